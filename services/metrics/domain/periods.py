"""A period is a first and a last Vietnamese calendar day, written the way people name it."""

import calendar
import re
from dataclasses import dataclass
from datetime import date

_QUARTER_MONTHS, _HALF_MONTHS, _YEAR_MONTHS = 3, 6, 12
_NAMED = re.compile(
    r"(?P<year>\d{4})(?:-(?:H(?P<half>[12])|Q(?P<quarter>[1-4])|(?P<month>\d{2})(?:-(?P<day>\d{2}))?))?",
    re.ASCII,
)


class InvalidPeriod(Exception):
    """The text names no period."""


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` through `last`, under the name they were asked by."""

    label: str
    first: date
    last: date


def parse(label: str) -> Period:
    """Read `2026`, `2026-H1`, `2026-Q4`, `2026-10`, `2026-10-05` or `2026-10-01..2026-10-20`.

    :raises InvalidPeriod: the text is none of these, or its end lies before its beginning.
    """
    first_label, between, last_label = label.partition("..")
    try:
        first, last = _span(first_label)
        if between:
            last = _span(last_label)[1]
    except ValueError as error:
        raise InvalidPeriod(_message(label)) from error
    if last < first:
        raise InvalidPeriod(_message(label))
    return Period(label, first, last)


def _message(label: str) -> str:
    return f"{label[:40]!r} is no period; write 2026, 2026-H1, 2026-Q4, 2026-10, 2026-10-05 or 2026-10-01..2026-10-20"


def _span(label: str) -> tuple[date, date]:
    named = _NAMED.fullmatch(label)
    if named is None:
        raise ValueError(label)
    year = int(named["year"])
    if named["day"]:
        on_day = date(year, int(named["month"]), int(named["day"]))
        return on_day, on_day
    if named["month"]:
        return _months(year, int(named["month"]), 1)
    if named["quarter"]:
        return _months(year, (int(named["quarter"]) - 1) * _QUARTER_MONTHS + 1, _QUARTER_MONTHS)
    if named["half"]:
        return _months(year, (int(named["half"]) - 1) * _HALF_MONTHS + 1, _HALF_MONTHS)
    return _months(year, 1, _YEAR_MONTHS)


def _months(year: int, month: int, amount: int) -> tuple[date, date]:
    last_month = month + amount - 1
    return date(year, month, 1), date(year, last_month, calendar.monthrange(year, last_month)[1])
