"""Due dates come out as the law and the official calendar say."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli import reference
from services.contract import VIETNAM, Limit
from services.dossier.domain import calendar

DAYS = {day.on_day: day.working for day in reference.calendar()}


def at(day: str, clock: str = "09:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00+07:00")


def due(day: str, clock: str, amount: int, unit: str, extra_days: int = 0) -> datetime:
    limit = Limit.model_validate({"amount": amount, "unit": unit})
    return calendar.due_at(calendar.counted_from(at(day, clock), limit, None, DAYS), limit, extra_days, DAYS)


@pytest.mark.parametrize(
    ("received_on", "amount", "due_on"),
    [
        pytest.param("2025-04-24", 3, "2025-04-28", id="a-worked-saturday-counts"),
        pytest.param("2025-04-25", 5, "2025-05-06", id="four-days-off-from-30-april"),
        pytest.param("2025-08-28", 3, "2025-09-04", id="national-day"),
        pytest.param("2025-12-31", 1, "2026-01-05", id="2-january-2026-was-swapped"),
        pytest.param("2026-01-08", 2, "2026-01-10", id="due-on-a-worked-saturday"),
        pytest.param("2026-02-12", 3, "2026-02-24", id="lunar-new-year"),
        pytest.param("2026-04-23", 2, "2026-04-28", id="hung-kings-day-compensated"),
        pytest.param("2026-11-23", 1, "2026-11-25", id="24-november-off"),
        pytest.param("2027-02-03", 3, "2027-02-15", id="lunar-new-year-2027-as-estimated"),
    ],
)
def test_working_days_come_out_as_the_official_calendar_says(received_on: str, amount: int, due_on: str) -> None:
    assert due(received_on, "09:00", amount, "working_days") == at(due_on, "17:00")


def test_24_november_2026_can_be_switched_to_a_working_day() -> None:
    switched = {**DAYS, date(2026, 11, 24): True}

    found = calendar.due_at(at("2026-11-23"), Limit(amount=1, unit="working_days"), 0, switched)

    assert found == at("2026-11-24", "17:00")


def test_calendar_days_that_end_on_a_day_off_are_pushed_to_the_next_working_day() -> None:
    assert due("2026-10-02", "09:00", 15, "calendar_days") == at("2026-10-19", "17:00")


def test_calendar_days_that_end_on_a_working_day_stay() -> None:
    assert due("2026-10-01", "09:00", 15, "calendar_days") == at("2026-10-16", "17:00")


@pytest.mark.parametrize(
    ("clock", "due_on"),
    [("08:00", "2026-10-02"), ("15:00", "2026-10-02"), ("15:01", "2026-10-05")],
)
def test_a_same_day_procedure_received_after_15_is_due_on_the_next_working_day(clock: str, due_on: str) -> None:
    assert due("2026-10-02", clock, 0, "same_day") == at(due_on, "17:00")


@pytest.mark.parametrize(
    ("clock", "amount", "expected"),
    [
        pytest.param("08:00", 2, at("2026-10-02", "10:00"), id="within-the-morning"),
        pytest.param("10:00", 3, at("2026-10-02", "15:00"), id="lunch-does-not-count"),
        pytest.param("16:00", 8, at("2026-10-05", "16:00"), id="a-day-of-work-over-a-weekend"),
        pytest.param("19:00", 1, at("2026-10-05", "08:00"), id="received-after-hours"),
        pytest.param("07:00", 8, at("2026-10-02", "17:00"), id="a-whole-day-ends-with-it"),
    ],
)
def test_working_hours_count_only_office_hours(clock: str, amount: int, expected: datetime) -> None:
    assert due("2026-10-02", clock, amount, "working_hours") == expected


def test_mountain_communes_get_working_days_on_top() -> None:
    plain = due("2026-10-01", "09:00", 8, "working_days")
    mountain = due("2026-10-01", "09:00", 8, "working_days", extra_days=10)

    assert plain == at("2026-10-13", "17:00")
    assert mountain == at("2026-10-27", "17:00")


@pytest.mark.parametrize(
    ("received_at", "cut_off", "due_on"),
    [
        pytest.param(at("2026-10-01", "15:00"), time(15, 0), "2026-10-06", id="at-the-cut-off"),
        pytest.param(at("2026-10-01", "15:01"), time(15, 0), "2026-10-07", id="after-the-cut-off"),
        pytest.param(at("2026-10-01", "15:01"), None, "2026-10-06", id="without-a-cut-off"),
        pytest.param(at("2026-10-03", "16:00"), time(15, 0), "2026-10-07", id="a-day-off-has-no-cut-off"),
        pytest.param(at("2026-10-02", "16:00"), time(15, 0), "2026-10-08", id="the-next-working-day-is-a-monday"),
    ],
)
def test_what_is_received_after_the_cut_off_counts_from_the_next_working_day(
    received_at: datetime, cut_off: time | None, due_on: str
) -> None:
    limit = Limit(amount=3, unit="working_days")

    found = calendar.due_at(calendar.counted_from(received_at, limit, cut_off, DAYS), limit, 0, DAYS)

    assert found == at(due_on, "17:00")


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        pytest.param(at("2026-10-02", "08:00"), at("2026-10-02", "10:00"), 2, id="within-the-morning"),
        pytest.param(at("2026-10-02", "11:00"), at("2026-10-02", "14:00"), 1, id="over-lunch"),
        pytest.param(at("2026-10-02", "16:00"), at("2026-10-05", "08:00"), 2, id="over-a-weekend"),
        pytest.param(at("2026-10-02", "17:00"), at("2026-10-05", "07:00"), 0, id="no-working-time"),
        pytest.param(at("2026-10-05", "08:00"), at("2026-10-12", "08:00"), 40, id="a-week"),
        pytest.param(at("2025-12-31", "16:00"), at("2026-01-05", "08:00"), 2, id="over-the-swapped-2-january"),
        pytest.param(at("2026-01-09", "16:00"), at("2026-01-12", "08:00"), 10, id="over-a-worked-saturday"),
        pytest.param(at("2026-10-05", "08:00"), at("2026-10-02", "08:00"), 0, id="backwards"),
    ],
)
def test_working_time_is_office_time_between_two_instants(begin: datetime, end: datetime, hours: int) -> None:
    assert calendar.working_time(begin, end, DAYS) == timedelta(hours=hours)


_instants = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1)).map(  # noqa: DTZ001 - the offset is added at once
    lambda when: when.replace(second=0, microsecond=0, tzinfo=VIETNAM)
)


@given(_instants, st.integers(0, 60 * 8 * 400).map(lambda minutes: timedelta(minutes=minutes)))
def test_adding_working_time_is_the_inverse_of_measuring_it(begin: datetime, amount: timedelta) -> None:
    end = calendar.add_working_time(begin, amount, DAYS)

    assert calendar.working_time(begin, end, DAYS) == amount


def test_a_pause_of_decades_is_reckoned_at_once() -> None:
    begin, end = at("1990-01-01"), at("2099-12-31")

    excluded = calendar.working_time(begin, end, DAYS)

    assert calendar.add_working_time(begin, excluded, DAYS) == end


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1)),  # noqa: DTZ001 - the offset is added below
    st.integers(0, 60),
    st.sampled_from(["working_hours", "working_days", "calendar_days", "same_day"]),
)
def test_a_due_date_is_a_working_day_and_not_before_the_receipt_day(when: datetime, amount: int, unit: str) -> None:
    received_at = when.replace(tzinfo=VIETNAM)
    limit = Limit.model_validate({"amount": amount, "unit": unit})

    found = calendar.due_at(received_at, limit, 0, DAYS)

    assert found.date() >= received_at.date()
    assert amount == 0 or calendar.is_working_day(found.date(), DAYS)


_days = st.dates(date(2026, 1, 1), date(2026, 3, 31))


@given(_days, _days, st.dictionaries(_days, st.booleans()))
def test_days_that_depart_from_the_week_are_found_whichever_is_longer_the_calendar_or_the_time(
    first: date, last: date, exceptions: dict[date, bool]
) -> None:
    departing = [day for day, working in exceptions.items() if working != (day.weekday() < 5)]

    found = list(calendar.departures(first, last, exceptions))

    assert found == sorted(day for day in departing if first <= day <= last)


class _Unwalked(dict[date, bool]):
    """A calendar that may be asked for a day, and not walked through."""

    def __iter__(self) -> NoReturn:
        raise AssertionError


def test_a_calendar_of_every_day_of_a_century_costs_a_short_time_nothing() -> None:
    every_day = _Unwalked({date(2000, 1, 1) + timedelta(days=n): False for n in range(36_500)})

    assert calendar.working_time(at("2026-10-05"), at("2026-10-15"), every_day) == timedelta(0)


@pytest.mark.parametrize(
    ("amount", "unit", "usual", "in_mountains"),
    [
        (4, "working_hours", at("2026-10-05", "15:00"), "2026-10-07"),
        (0, "same_day", at("2026-10-05", "17:00"), "2026-10-07"),
        (5, "calendar_days", at("2026-10-12", "17:00"), "2026-10-14"),
    ],
)
def test_days_on_top_of_any_limit_are_working_days(amount: int, unit: str, usual: datetime, in_mountains: str) -> None:
    assert due("2026-10-05", "09:00", amount, unit) == usual
    assert due("2026-10-05", "09:00", amount, unit, 2) == at(in_mountains, "17:00")


def test_instants_of_another_offset_are_the_same_working_time() -> None:
    begin, end = at("2026-10-05", "16:00"), at("2026-10-06", "08:00")

    assert calendar.working_time(begin.astimezone(UTC), end.astimezone(UTC), DAYS) == timedelta(hours=2)
