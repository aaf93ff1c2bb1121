"""What codes mean on a day, which days are worked, and every single working minute there is."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

Json = dict[str, Any]

VIETNAM = timezone(timedelta(hours=7))
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Known:
    """Reference data as JSON objects, the worked days in order, and the working minutes of them all in order."""

    units: Sequence[Json]
    procedures: Sequence[Json]
    days: Sequence[date]
    minutes: Sequence[datetime]


def known(
    units: Sequence[Json], procedures: Sequence[Json], calendar: Iterable[Json], first: date, last: date
) -> Known:
    """Lay out every working day and minute from `first` through `last`; nothing beyond can be reckoned with."""
    departing = {date.fromisoformat(day["on_day"]): day["working"] for day in calendar}
    days = [first + n * _DAY for n in range((last - first).days + 1)]
    worked = [day for day in days if departing.get(day, day.isoweekday() <= 5)]
    # 07:00 to 11:30 and 13:30 to 17:00: eight hours.
    of_a_day = [*range(7 * 60, 11 * 60 + 30), *range(13 * 60 + 30, 17 * 60)]
    midnights = [datetime.combine(day, time(), VIETNAM) for day in worked]
    return Known(units, procedures, worked, [midnight + n * _MINUTE for midnight in midnights for n in of_a_day])


def in_force(versions: Iterable[Json], code: str, on_day: date) -> Json | None:
    """Return what `code` names on `on_day`."""
    for version in versions:
        last = version["valid_to"] or "9999-12-31"
        if version["code"] == code and version["valid_from"] <= on_day.isoformat() <= last:
            return version
    return None


def stands_today_for(units: Iterable[Json], code: str, since: str) -> tuple[str, str]:
    """Follow a version of a unit through its first successors; return the code and first day of the last one."""
    versions = {(unit["code"], unit["valid_from"]): unit for unit in units}
    unit = versions[code, since]
    while unit["valid_to"] and unit["successors"]:
        following = (date.fromisoformat(unit["valid_to"]) + _DAY).isoformat()
        if (unit["successors"][0], following) not in versions:
            break
        unit = versions[unit["successors"][0], following]
    return unit["code"], unit["valid_from"]


def instant(text: str) -> datetime:
    """Read an instant; the oracle understands whole minutes, as minutes are what it walks."""
    at = datetime.fromisoformat(text).astimezone(VIETNAM)
    assert at.second == at.microsecond == 0, text
    return at


def is_worked(known: Known, day: date) -> bool:
    """Tell whether the day is worked."""
    assert known.days[0] <= day <= known.days[-1], day
    return known.days[bisect_left(known.days, day)] == day


def working_day_after(known: Known, day: date, amount: int) -> date:
    """Return the day itself, or the working day that is `amount` working days after it."""
    for _ in range(amount):
        day += _DAY
        while not is_worked(known, day):
            day += _DAY
    return day


def minutes_between(known: Known, begin: datetime, end: datetime) -> int:
    """Return how many working minutes begin in [begin, end)."""
    assert known.minutes[0] <= begin, begin
    assert end <= known.minutes[-1], end
    return max(bisect_left(known.minutes, end) - bisect_left(known.minutes, begin), 0)


def after_minutes(known: Known, begin: datetime, amount: int) -> datetime:
    """Return when the last of `amount` working minutes from `begin` on is over."""
    if amount == 0:
        return begin
    assert known.minutes[0] <= begin, begin
    return known.minutes[bisect_left(known.minutes, begin) + amount - 1] + _MINUTE
