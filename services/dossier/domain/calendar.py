"""A due date is counted here, on the working calendar in force, from nothing but its arguments.

The first day is not counted (Civil Code, art. 147), a term that ends on a day off ends with the next working day
(art. 148.5), and a same-day procedure received after 15:00 is due on the next working day.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import assert_never

from services.contract import VIETNAM, Limit

# Eight working hours a day. The hours of a counter are shorter; they say when it receives, not how time is counted.
MORNING = (time(7, 0), time(11, 30))
AFTERNOON = (time(13, 30), time(17, 0))
SAME_DAY_CUT_OFF = time(15, 0)

_SATURDAY = 5

Exceptions = Mapping[date, bool]
"""The days that depart from Monday-to-Friday: True where a weekend day is worked, False where a weekday is off."""


def is_working_day(on_day: date, exceptions: Exceptions) -> bool:
    """Tell whether `on_day` is worked."""
    return exceptions.get(on_day, on_day.weekday() < _SATURDAY)


def next_working_day(on_day: date, exceptions: Exceptions) -> date:
    """Return the first working day after `on_day`."""
    following = on_day + timedelta(days=1)
    while not is_working_day(following, exceptions):
        following += timedelta(days=1)
    return following


def add_working_days(on_day: date, amount: int, exceptions: Exceptions) -> date:
    """Return the working day that is `amount` working days after `on_day`, which itself is not counted."""
    for _ in range(amount):
        on_day = next_working_day(on_day, exceptions)
    return on_day


def due_at(started_at: datetime, limit: Limit, extra_days: int, exceptions: Exceptions) -> datetime:
    """Return the instant at which `limit`, counted from `started_at`, runs out.

    `extra_days` are working days that the procedure allows in addition. Whole days end with office hours.
    """
    local = started_at.astimezone(VIETNAM)
    on_day = local.date()
    match limit.unit:
        case "working_hours":
            due = _add_working_time(local, timedelta(hours=limit.amount), exceptions)
            return _close(add_working_days(due.date(), extra_days, exceptions)) if extra_days else due
        case "working_days":
            last = add_working_days(on_day, limit.amount + extra_days, exceptions)
        case "calendar_days":
            last = on_day + timedelta(days=limit.amount)
            if not is_working_day(last, exceptions):
                last = next_working_day(last, exceptions)
            last = add_working_days(last, extra_days, exceptions)
        case "same_day":
            today = is_working_day(on_day, exceptions) and local.time() <= SAME_DAY_CUT_OFF
            last = on_day if today else next_working_day(on_day, exceptions)
            last = add_working_days(last, extra_days, exceptions)
        case _:
            assert_never(limit.unit)
    return _close(last)


def _close(on_day: date) -> datetime:
    return datetime.combine(on_day, AFTERNOON[1], VIETNAM)


def _add_working_time(local: datetime, amount: timedelta, exceptions: Exceptions) -> datetime:
    on_day = local.date()
    while True:
        if is_working_day(on_day, exceptions):
            for opens, closes in (MORNING, AFTERNOON):
                begins = max(local, datetime.combine(on_day, opens, VIETNAM))
                available = datetime.combine(on_day, closes, VIETNAM) - begins
                if timedelta(0) < available and amount <= available:
                    return begins + amount
                amount -= max(available, timedelta(0))
        on_day += timedelta(days=1)
