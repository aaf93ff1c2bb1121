"""What everybody may see of the counts: flows of whole months without small numbers, and longer periods as their sums.

One table a month is suppressed for units, one for fields and one for channels; whatever is told is taken from these.
Their totals hide the same, since a total is hidden where it is small itself. A longer period tells what its months add
up to, and nothing where one of them hides something, so no two periods can be subtracted from each other.

Stocks are not told. The stock at a month's end is that at the next one's beginning, and what lies between two stocks
are the flows of the month, those that it hides, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION
from services.metrics import report
from services.metrics.domain import periods, rates, targets
from services.metrics.domain.counts import COUNTS
from services.metrics.domain.periods import Period
from services.metrics.domain.rates import Rate
from services.metrics.domain.suppression import THRESHOLD, Shown, rate_is_shown, suppressed
from services.metrics.domain.targets import UnitKind
from services.metrics.domain.vectors import NAMES
from services.metrics.report import About, Figures, Known, Question, Row

MOST_MONTHS = 12
"""The longest period that is told; each of its months is put together on its own."""

# The ends in time by the hour could be held against those by the day, and are told for a rate of stocks alone.
COUNTED: tuple[str, ...] = tuple(
    count.name for count in COUNTS if count.nature == "flow" and count.name != "ended_in_time"
)
"""The counts that are told."""

_BY = ("unit", "field", "channel", "month", "none")
_ROWS_BY = ("unit", "field", "channel")
_ONE_DAY = timedelta(days=1)


class NotPublic(Exception):
    """Something was asked that is not told to everybody."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row of what is told: what it is about, and its counts, None where they are hidden."""

    about: About
    counts: Shown
    kind: UnitKind | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """The rows that everybody may see, and their total."""

    question: Question
    rows: Sequence[Told]
    total: Shown

    @property
    def rates(self) -> Sequence[Rate]:
        """The rates that are made of counts that are told."""
        return [rate for rate in rates.in_force(self.question.period.last) if is_told(rate)]


def is_told(rate: Rate) -> bool:
    """Tell whether the rate is made of counts that are told."""
    return {*_names(rate)} <= {*COUNTED}


def check(question: Question, today: date) -> None:
    """Pass what may be asked for everybody's eyes.

    :raises NotPublic: it is told otherwise apart, or its period is not one to twelve whole months that are over.
    """
    if question.by not in _BY:
        raise NotPublic(f"public aggregates are told by {', '.join(_BY)}, not by {question.by}")
    first, last = question.period.first, question.period.last
    months = 12 * (last.year - first.year) + last.month - first.month + 1
    if first.day != 1 or (last + _ONE_DAY).day != 1 or last >= today or months > MOST_MONTHS:
        raise NotPublic(f"public aggregates are told of whole calendar months that are over, at most {MOST_MONTHS}")


async def publication(transaction: AsyncConnection, question: Question, known: Known) -> Publication:
    """Return what everybody may see of the answer to a question that was checked."""
    months = [
        (month, await _month(transaction, replace(question, period=month), known))
        for month in periods.split(question.period, "month")
    ]
    total = _added(told.total for _, told in months)
    if question.by == "month":
        return Publication(question, [Told(_about(month), told.total) for month, told in months], total)
    by_key: dict[tuple[bool, str, str], list[Told]] = {}
    for _, told in months:
        for row in told.rows:
            by_key.setdefault(_key(row.about), []).append(row)
    rows = [replace(found[-1], counts=_added(row.counts for row in found)) for _, found in sorted(by_key.items())]
    return Publication(question, rows, total)


async def _month(transaction: AsyncConnection, question: Question, known: Known) -> Publication:
    """Return what is told of one month, the one place where anything is hidden."""
    by = question.by if question.by in _ROWS_BY else "none"
    found = await report.report(transaction, replace(question, by=by), known)
    total = _counts(found.total)
    # A total alone is hidden where it is small, as it is beside rows.
    shown, shown_total = suppressed([_counts(row.figures) for row in found.rows] or [total], total)
    assert shown_total is not None  # noqa: S101 - only a total that was not given is not given back
    rows = [_told(row, counts) for row, counts in zip(found.rows, shown, strict=False)]
    return Publication(question, rows, shown_total)


def _counts(figures: Figures) -> Mapping[str, int]:
    counts = dict(zip(NAMES, figures.counts, strict=True))
    return {name: counts[name] for name in COUNTED}


def _told(row: Row, counts: Shown) -> Told:
    return Told(row.about, counts, report.kind_of(row.unit), row.field)


def _about(month: Period) -> About:
    return {"month": report.period_json(month)}


def _key(about: About) -> tuple[bool, str, str]:
    """Return by what rows of several months are recognised and put in order; what is not known comes last."""
    (value,) = about.values()
    if isinstance(value, Mapping):
        return False, value["code"], value.get("valid_from", "")
    return value is None, value or "", ""


def _added(parts: Iterable[Shown]) -> Shown:
    """Return the sums of the parts, None where one part is hidden."""
    sums: Shown = dict.fromkeys(COUNTED, 0)
    for part in parts:
        for name, so_far in sums.items():
            count = part[name]
            sums[name] = None if so_far is None or count is None else so_far + count
    return sums


def divided(rate: Rate, shown: Shown) -> tuple[int | None, int | None, float | None]:
    """Return numerator, denominator and percentage of a rate, all None where they are hidden."""
    counts = {name: count for name, count in shown.items() if count is not None}
    if not {*_names(rate)} <= counts.keys():
        return None, None, None
    numerator, denominator, percent = rate.divided(counts)
    if not rate_is_shown(shown, _names(rate), numerator, denominator):
        return None, None, None
    return numerator, denominator, percent


def _names(rate: Rate) -> tuple[str, ...]:
    return rate.hits + rate.of + rate.less


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(found: Publication) -> dict[str, Any]:
    """Return what is told as the JSON object of the public contract."""
    rows = [{**row.about, **_figures_json(found, row.counts, row.kind, row.field)} for row in found.rows]
    return {**head_json(found.question), "rows": rows, "total": _figures_json(found, found.total)}


def head_json(question: Question) -> dict[str, Any]:
    """Return what stands before the rows: no position and no silent sources, which every single event would move."""
    return {
        **report.question_json(question, question.period.last),
        "definitions": DEFINITIONS_VERSION,
        "audience": "public",
        "suppressed": {"k": THRESHOLD},
    }


def _figures_json(
    found: Publication, counts: Shown, kind: UnitKind | None = None, field: str | None = None
) -> dict[str, Any]:
    return {
        "counts": counts,
        "rates": {rate.name: _rate_json(found, rate, counts, kind, field) for rate in found.rates},
    }


def _rate_json(
    found: Publication, rate: Rate, counts: Shown, kind: UnitKind | None, field: str | None
) -> dict[str, Any]:
    numerator, denominator, percent = divided(rate, counts)
    target = targets.target_of(rate.name, field=field, kind=kind, on=found.question.period.last)
    met = None
    if target is not None and numerator is not None and denominator is not None:
        met = target.met_by(numerator, denominator)
    return {
        "numerator": numerator,
        "denominator": denominator,
        "percent": percent,
        "target": None if target is None else target.percent,
        "met": met,
    }
