"""A due date is counted here, on the working calendar in force, from nothing but its arguments.

The first day is not counted (Civil Code, art. 147), a term that ends on a day off ends with the next working day
(art. 148.5), and what is received after the cut-off counts as received on the next working day.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import assert_never

from services.contract import VIETNAM, Limit

# Eight working hours a day. The hours of a counter are shorter; they say when it receives, not how time is counted.
MORNING = (time(7, 0), time(11, 30))
AFTERNOON = (time(13, 30), time(17, 0))
SAME_DAY_CUT_OFF = time(15, 0)

_SATURDAY = 5
_ONE_DAY = timedelta(days=1)
_NO_TIME = timedelta(0)
_WORKING_DAY = timedelta(hours=8)
# Calendar time always holds less working time than itself, so a stride never goes past the amount.
_STRIDE = timedelta(days=100)

Exceptions = Mapping[date, bool]
"""The days that depart from Monday-to-Friday: True where a weekend day is worked, False where a weekday is off."""


def is_working_day(on_day: date, exceptions: Exceptions) -> bool:
    """Tell whether `on_day` is worked."""
    return exceptions.get(on_day, on_day.weekday() < _SATURDAY)


def next_working_day(on_day: date, exceptions: Exceptions) -> date:
    """Return the first working day after `on_day`."""
    following = on_day + _ONE_DAY
    while not is_working_day(following, exceptions):
        following += _ONE_DAY
    return following


def add_working_days(on_day: date, amount: int, exceptions: Exceptions) -> date:
    """Return the working day that is `amount` working days after `on_day`, which itself is not counted."""
    for _ in range(amount):
        on_day = next_working_day(on_day, exceptions)
    return on_day


def counted_from(arrived_at: datetime, limit: Limit, cut_off: time | None, exceptions: Exceptions) -> datetime:
    """Return the instant from which `limit` is counted for what arrived at `arrived_at`.

    That is the arrival itself, or the opening of the next working day where a working day's cut-off had passed.
    """
    local = arrived_at.astimezone(VIETNAM)
    latest = cut_off or (SAME_DAY_CUT_OFF if limit.unit == "same_day" else None)
    if latest is None or local.time() <= latest or not is_working_day(local.date(), exceptions):
        return local
    return datetime.combine(next_working_day(local.date(), exceptions), MORNING[0], VIETNAM)


def due_at(started_at: datetime, limit: Limit, extra_days: int, exceptions: Exceptions) -> datetime:
    """Return the instant at which `limit`, counted from `started_at`, runs out.

    `extra_days` are working days that the procedure allows in addition. Whole days end with office hours.
    """
    local = started_at.astimezone(VIETNAM)
    on_day = local.date()
    match limit.unit:
        case "working_hours":
            due = add_working_time(local, timedelta(hours=limit.amount), exceptions)
            return _close(add_working_days(due.date(), extra_days, exceptions)) if extra_days else due
        case "working_days":
            last = add_working_days(on_day, limit.amount + extra_days, exceptions)
        case "calendar_days":
            last = on_day + timedelta(days=limit.amount)
            if not is_working_day(last, exceptions):
                last = next_working_day(last, exceptions)
            last = add_working_days(last, extra_days, exceptions)
        case "same_day":
            last = on_day if is_working_day(on_day, exceptions) else next_working_day(on_day, exceptions)
            last = add_working_days(last, extra_days, exceptions)
        case _:
            assert_never(limit.unit)
    return _close(last)


def working_time(begin: datetime, end: datetime, exceptions: Exceptions) -> timedelta:
    """Return how much working time lies between two instants; none where `end` is not after `begin`."""
    if end <= begin:
        return _NO_TIME
    begin, end = begin.astimezone(VIETNAM), end.astimezone(VIETNAM)
    first, last = begin.date(), end.date()
    if first == last:
        return _worked(first, begin, end, exceptions)
    between = _working_days(first + _ONE_DAY, last - _ONE_DAY, exceptions)
    return (
        _worked(first, begin, datetime.combine(first, AFTERNOON[1], VIETNAM), exceptions)
        + between * _WORKING_DAY
        + _worked(last, datetime.combine(last, MORNING[0], VIETNAM), end, exceptions)
    )


def add_working_time(instant: datetime, amount: timedelta, exceptions: Exceptions) -> datetime:
    """Return when `amount` of working time after `instant` has passed; `instant` itself where there is none to pass."""
    local = instant.astimezone(VIETNAM)
    # A mistyped year makes pauses of decades; they are passed in strides, not day by day.
    while amount > _STRIDE:
        amount -= working_time(local, local + _STRIDE, exceptions)
        local += _STRIDE
    if amount > _NO_TIME:
        for opens, closes in _office_hours(local, exceptions):
            if amount <= closes - opens:
                return opens + amount
            amount -= closes - opens
    return local


def describe(worked: timedelta) -> tuple[int, int, int]:
    """Return working time as working days, hours and minutes."""
    days, rest = divmod(worked, _WORKING_DAY)
    hours, rest = divmod(rest, timedelta(hours=1))
    return days, hours, rest // timedelta(minutes=1)


def departures(first: date, last: date, exceptions: Exceptions) -> Iterator[date]:
    """Yield the weekdays off and the weekend days worked from `first` through `last`, in order."""
    length = (last - first).days + 1
    # A calendar may hold every day of three centuries, and a time may last as long: the shorter of them is walked.
    days: Iterable[date] = (first + n * _ONE_DAY for n in range(length))
    if len(exceptions) < length:
        days = sorted(day for day in exceptions if first <= day <= last)
    for on_day in days:
        usual = on_day.weekday() < _SATURDAY
        if exceptions.get(on_day, usual) != usual:
            yield on_day


def _close(on_day: date) -> datetime:
    return datetime.combine(on_day, AFTERNOON[1], VIETNAM)


def _worked(on_day: date, begin: datetime, end: datetime, exceptions: Exceptions) -> timedelta:
    """Return the working time of one day between two of its instants."""
    worked = _NO_TIME
    if is_working_day(on_day, exceptions):
        for opens, closes in (MORNING, AFTERNOON):
            opened = max(begin, datetime.combine(on_day, opens, VIETNAM))
            closed = min(end, datetime.combine(on_day, closes, VIETNAM))
            worked += max(closed - opened, _NO_TIME)
    return worked


def _working_days(first: date, last: date, exceptions: Exceptions) -> int:
    """Return how many days from `first` through `last` are worked."""
    weeks, rest = divmod(max((last - first).days + 1, 0), 7)
    weekdays = 5 * weeks + sum((first.weekday() + day) % 7 < _SATURDAY for day in range(rest))
    departing = departures(first, last, exceptions)
    return weekdays + sum(1 if exceptions[on_day] else -1 for on_day in departing)


def _office_hours(local: datetime, exceptions: Exceptions) -> Iterator[tuple[datetime, datetime]]:
    """Yield what is left of office hours from `local` on, half day by half day, without end."""
    on_day = local.date()
    while True:
        if is_working_day(on_day, exceptions):
            for opens, closes in (MORNING, AFTERNOON):
                begins, ends = datetime.combine(on_day, opens, VIETNAM), datetime.combine(on_day, closes, VIETNAM)
                if ends > local:
                    yield max(begins, local), ends
        on_day += _ONE_DAY
