"""A period is a first and a last Vietnamese calendar day, written the way people name it, and can be cut into pieces.

Statutory reports are closed on the 14th: with `statutory`, a month runs from the 15th of the one before it to its own
14th, and quarters, halves, nine months and years with it, so that 2026 is 2025-12-15 to 2026-12-14.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple

_YEAR_MONTHS = 12
_CUT_OFF_DAY = 14
_ONE_DAY = timedelta(days=1)

MOST_PIECES = 400
"""The most pieces a period is cut into: the days of a year and a month."""

# Years in which every day has a day before and after it, and no stock is asked for in vain.
_SPAN = (
    r"(19|20|21)[0-9]{2}"
    r"(-(H[12]|Q[1-4]|9M|(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?))?"
)

PATTERN = rf"^{_SPAN}(\.\.{_SPAN})?$"
"""What a period looks like, for OpenAPI; days that a month has not, and ends before the beginning, match as well."""

_SHAPE = re.compile(_SPAN, re.ASCII)

_PARTS = {
    "H1": (1, 6), "H2": (7, 6), "9M": (1, 9),
    "Q1": (1, 3), "Q2": (4, 3), "Q3": (7, 3), "Q4": (10, 3),
}  # fmt: skip
"""The first month of each named part of a year, and how many months it has."""

Pieces = Literal["day", "week", "month"]


class InvalidPeriod(Exception):
    """The text names no period, or the period has more pieces than can be answered."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` through `last`, under the name they were asked by; months may be `statutory` ones."""

    label: str
    first: date
    last: date
    statutory: bool = False


class _Months(NamedTuple):
    """So many months in a row; the first is counted from the year 0, so that they can be shifted."""

    first: int
    amount: int


def parse(label: str, *, statutory: bool = False) -> Period:
    """Read `2026`, `2026-H1`, `2026-9M`, `2026-Q4`, `2026-10`, `2026-10-05` or two of them as `2026-10-01..2026-10-20`.

    A range runs from the beginning of the first to the end of the second. Single days are the same in statutory
    periods.

    :raises InvalidPeriod: the text is none of these, or its end lies before its beginning.
    """
    first_label, between, last_label = label.partition("..")
    try:
        first, last = _days(_read(first_label), statutory=statutory)
        if between:
            last = _days(_read(last_label), statutory=statutory)[1]
    except ValueError as error:
        raise InvalidPeriod(_message(label)) from error
    if last < first:
        raise InvalidPeriod(_message(label))
    return Period(label, first, last, statutory)


def previous(period: Period) -> Period:
    """Return the period of the same kind before one that was read by `parse`.

    Before a half lies a half and before nine months the nine months of the year before; before a range of months as
    many months, before a range of days as many days.
    """
    first_label, between, last_label = period.label.partition("..")
    first, last = _read(first_label), _read(last_label if between else first_label)
    if isinstance(first, _Months) and isinstance(last, _Months):
        # Nine months leave a gap: the nine months before are those of the year before.
        amount = last.first + last.amount - first.first
        back = _YEAR_MONTHS if first_label.endswith("9M") and not between else amount
        before = _Months(first.first - back, amount)
        if between:
            label = f"{_month_label(before.first)}..{_month_label(before.first + amount - 1)}"
        else:
            label = _named(before)
        return Period(label, *_days(before, statutory=period.statutory), period.statutory)
    length = period.last - period.first
    end = period.first - _ONE_DAY
    start = end - length
    return Period(f"{start}..{end}" if between else f"{end}", start, end, period.statutory)


def split(period: Period, by: Pieces) -> tuple[Period, ...]:
    """Cut the period into consecutive days, weeks from Monday to Sunday, or months; the outermost end where it does.

    They are named `2026-10-05`, `2026-W41` by ISO 8601, and `2026-10`; months are statutory ones if the period is.

    :raises InvalidPeriod: there are more than `MOST_PIECES`.
    """
    pieces: list[Period] = []
    first = period.first
    while first <= period.last:
        if len(pieces) == MOST_PIECES:
            raise InvalidPeriod(
                f"{period.label!r} has more than {MOST_PIECES} pieces by {by}; ask for a shorter period"
            )
        label, end = _piece(first, by, statutory=period.statutory)
        pieces.append(Period(label, first, min(end, period.last), period.statutory))
        first = end + _ONE_DAY
    return tuple(pieces)


def _piece(first: date, by: Pieces, *, statutory: bool) -> tuple[str, date]:
    """Return the name and the last day of the day, week or month that `first` lies in."""
    match by:
        case "day":
            return first.isoformat(), first
        case "week":
            year, week, weekday = first.isocalendar()
            return f"{year}-W{week:02}", first + timedelta(days=7 - weekday)
        case "month":
            month = _YEAR_MONTHS * first.year + first.month - 1 + (statutory and first.day > _CUT_OFF_DAY)
            return _month_label(month), _days(_Months(month, 1), statutory=statutory)[1]


def _read(label: str) -> date | _Months:
    """Return the day or the months that a label names.

    :raises ValueError: it names neither.
    """
    if _SHAPE.fullmatch(label) is None:
        raise ValueError(label)
    year, _, part = label.partition("-")
    if part.count("-"):
        return date.fromisoformat(label)
    month, amount = (1, _YEAR_MONTHS) if not part else _PARTS.get(part) or (int(part), 1)
    return _Months(_YEAR_MONTHS * int(year) + month - 1, amount)


def _days(named: date | _Months, *, statutory: bool) -> tuple[date, date]:
    """Return the first and the last day of what a label names."""
    if isinstance(named, date):
        return named, named
    first, last = named.first, named.first + named.amount - 1
    if statutory:
        return _day(first - 1, _CUT_OFF_DAY + 1), _day(last, _CUT_OFF_DAY)
    return _day(first, 1), _day(last, calendar.monthrange(*_year_and_month(last))[1])


def _year_and_month(month: int) -> tuple[int, int]:
    return month // _YEAR_MONTHS, month % _YEAR_MONTHS + 1


def _day(month: int, day: int) -> date:
    return date(*_year_and_month(month), day)


def _month_label(month: int) -> str:
    return _day(month, 1).isoformat()[:7]


def _named(months: _Months) -> str:
    """Return the label of one month, of a year or of a named part of it."""
    year, month = _year_and_month(months.first)
    if months.amount == 1:
        return _month_label(months.first)
    if months.amount == _YEAR_MONTHS:
        return str(year)
    return next(f"{year}-{part}" for part, span in _PARTS.items() if span == (month, months.amount))


def _message(label: str) -> str:
    return (
        f"{label[:40]!r} is no period; write 2026, 2026-H1, 2026-9M, 2026-Q4, 2026-10, 2026-10-05 or "
        "2026-10-01..2026-10-20"
    )
