"""Office hours are one unbroken line of seconds here, so that working time is added by plain arithmetic."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from services.contract import VIETNAM, CalendarDay, Limit

WHOLE_DAY = 8 * 3600
"""Seconds of working time in a day: 07:00 to 11:30 and 13:30 to 17:00."""

_MORNING_OPENS = timedelta(hours=7)
_MORNING_SECONDS = 16_200
_AFTERNOON_OPENS = timedelta(hours=13, minutes=30)
_AFTERNOON_SECONDS = WHOLE_DAY - _MORNING_SECONDS
_CLOSE = timedelta(hours=17)
_SAME_DAY_CUT_OFF = time(15)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """The working days of a span: their `midnights`, and for any day the `index` of the first not before it."""

    midnights: tuple[datetime, ...]
    index: dict[date, int]


def office_hours(first: date, last: date, calendar: Iterable[CalendarDay]) -> OfficeHours:
    """Return the office hours from `first` through `last`: Monday to Friday, but for what the calendar says."""
    departures = {day.on_day: day.working for day in calendar}
    midnights: list[datetime] = []
    index: dict[date, int] = {}
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        index[day] = len(midnights)
        if departures.get(day, day.weekday() < _SATURDAY):
            midnights.append(datetime.combine(day, time(), VIETNAM))
    return OfficeHours(tuple(midnights), index)


def is_working(hours: OfficeHours, day: date) -> bool:
    """Tell whether the offices work on `day`."""
    return hours.midnights[hours.index[day]].date() == day


def place(hours: OfficeHours, at: datetime) -> int:
    """Return how many seconds of office time lie before `at`; out of hours counts as the next opening."""
    index = hours.index[at.date()]
    since_midnight = int((at - hours.midnights[index]).total_seconds())
    morning = min(max(since_midnight - _MORNING_OPENS.seconds, 0), _MORNING_SECONDS)
    afternoon = min(max(since_midnight - _AFTERNOON_OPENS.seconds, 0), _AFTERNOON_SECONDS)
    return index * WHOLE_DAY + morning + afternoon


def instant(hours: OfficeHours, seconds: int) -> datetime:
    """Return the instant before which `seconds` of office time lie."""
    index, rest = divmod(seconds, WHOLE_DAY)
    if rest < _MORNING_SECONDS:
        return hours.midnights[index] + timedelta(seconds=_MORNING_OPENS.seconds + rest)
    return hours.midnights[index] + timedelta(seconds=_AFTERNOON_OPENS.seconds + rest - _MORNING_SECONDS)


def close(hours: OfficeHours, index: int) -> datetime:
    """Return when a working day ends."""
    return hours.midnights[index] + _CLOSE


def due(hours: OfficeHours, starts_at: datetime, limit: Limit, extra_days: int, cut_off: time | None) -> datetime:
    """Return the appointment for a clock that starts within office hours: 17:00, or the instant for working hours.

    The first day is not counted, and a calendar day off passes the appointment on to the next working day.
    """
    index = hours.index[starts_at.date()]
    latest = cut_off or (_SAME_DAY_CUT_OFF if limit.unit == "same_day" else None)
    if latest is not None and starts_at.time() > latest:
        index += 1
        starts_at = hours.midnights[index] + _MORNING_OPENS
    match limit.unit:
        case "working_hours":
            ends_at = _ends_at(hours, place(hours, starts_at) + limit.amount * 3600)
            if not extra_days:
                return ends_at
            index = hours.index[ends_at.date()] + extra_days
        case "working_days":
            index += limit.amount + extra_days
        case "calendar_days":
            index = hours.index[starts_at.date() + timedelta(days=limit.amount)] + extra_days
        case "same_day":
            index += extra_days
    return close(hours, index)


def pushed(hours: OfficeHours, due_at: datetime, seconds: int) -> datetime:
    """Return the appointment after the clock stood still for so many seconds of office time."""
    return _ends_at(hours, place(hours, due_at) + seconds) if seconds else due_at


def _ends_at(hours: OfficeHours, seconds: int) -> datetime:
    """Return when a term ends: counted to its last second, at noon or in the evening and not at the next opening."""
    return instant(hours, seconds - 1) + timedelta(seconds=1)
