"""A period is read the way people name it, closed on the 14th where the State asks for it, and cut into pieces."""

import re
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.domain import periods
from services.metrics.domain.periods import InvalidPeriod, Period, Pieces, parse, previous, split

DAYS = st.dates(date(2019, 12, 1), date(2029, 2, 1))


@pytest.mark.parametrize(
    ("label", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-H1", date(2026, 1, 1), date(2026, 6, 30)),
        ("2026-H2", date(2026, 7, 1), date(2026, 12, 31)),
        ("2026-9M", date(2026, 1, 1), date(2026, 9, 30)),
        ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026-10", date(2026, 10, 1), date(2026, 10, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-10-05", date(2026, 10, 5), date(2026, 10, 5)),
        ("2026-10-01..2026-10-20", date(2026, 10, 1), date(2026, 10, 20)),
        ("2025-12..2026-Q1", date(2025, 12, 1), date(2026, 3, 31)),
        ("1900", date(1900, 1, 1), date(1900, 12, 31)),
        ("2199-12", date(2199, 12, 1), date(2199, 12, 31)),
    ],
)
def test_a_period_is_its_first_and_last_day(label: str, first: date, last: date) -> None:
    assert parse(label) == Period(label, first, last)


@pytest.mark.parametrize(
    ("label", "first", "last"),
    [
        ("2026", date(2025, 12, 15), date(2026, 12, 14)),
        ("2026-H1", date(2025, 12, 15), date(2026, 6, 14)),
        ("2026-H2", date(2026, 6, 15), date(2026, 12, 14)),
        ("2026-9M", date(2025, 12, 15), date(2026, 9, 14)),
        ("2026-Q1", date(2025, 12, 15), date(2026, 3, 14)),
        ("2026-Q2", date(2026, 3, 15), date(2026, 6, 14)),
        ("2026-Q3", date(2026, 6, 15), date(2026, 9, 14)),
        ("2026-Q4", date(2026, 9, 15), date(2026, 12, 14)),
        ("2026-01", date(2025, 12, 15), date(2026, 1, 14)),
        ("2026-03", date(2026, 2, 15), date(2026, 3, 14)),
        ("2026-12", date(2026, 11, 15), date(2026, 12, 14)),
        ("2026-10..2026-11", date(2026, 9, 15), date(2026, 11, 14)),
        ("2026-10-15", date(2026, 10, 15), date(2026, 10, 15)),
        ("2026-10-01..2026-10-31", date(2026, 10, 1), date(2026, 10, 31)),
        ("2026-10-20..2026-11", date(2026, 10, 20), date(2026, 11, 14)),
    ],
)
def test_a_statutory_period_is_closed_on_the_14th_and_days_are_not_moved(label: str, first: date, last: date) -> None:
    assert parse(label, statutory=True) == Period(label, first, last, statutory=True)


@pytest.mark.parametrize(
    "label",
    ["", "x", "26", "2026-", "2026-13", "2026-00", "2026-Q5", "2026-Q0", "2026-H3", "2026-6M", "2026-9M-01",
     "2026-02-30", "2026-10-05T00:00", "0000", "0001", "1899", "2200", "9999", "9999-12-31", "2026-W41", "2026-1",
     "2026-10-20..2026-10-01", "2026-11..2026-10", "..2026", "2026..", "2026-10-01..2026-10-02..2026-10-03",
     "\uff12\uff10\uff12\uff16", "2026\n", " 2026", "2026-q4", "20261005", "2026-10-5", "2026-10-00", "+2026"],
)  # fmt: skip
@pytest.mark.parametrize("statutory", [False, True])
def test_anything_else_is_refused(label: str, statutory: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with pytest.raises(InvalidPeriod):
        parse(label, statutory=statutory)


def test_a_range_that_only_its_cut_off_turns_round_is_refused() -> None:
    label = "2026-10-20..2026-10"

    calendar = parse(label)

    assert (calendar.first, calendar.last) == (date(2026, 10, 20), date(2026, 10, 31))
    with pytest.raises(InvalidPeriod):
        parse(label, statutory=True)


@settings(deadline=None)
@given(st.from_regex(periods.PATTERN, fullmatch=True))
def test_what_the_published_pattern_admits_is_read_or_has_an_impossible_day_or_order(label: str) -> None:
    first, _, last = label.strip("\n").partition("..")

    try:
        parse(label)
    except InvalidPeriod:
        impossible = [end for end in (first, last) if re.fullmatch(r"\d{4}-\d\d-(29|30|31)", end)]
        assert impossible or "\n" in label or first[:4] >= last[:4] != ""


@settings(deadline=None)
@given(st.text("0123456789-HQM.", max_size=22))
def test_what_is_read_matches_the_published_pattern(label: str) -> None:
    try:
        parse(label)
    except InvalidPeriod:
        return
    assert re.fullmatch(periods.PATTERN, label)


@pytest.mark.parametrize(
    ("label", "before"),
    [
        ("2026", "2025"),
        ("2026-H1", "2025-H2"),
        ("2026-H2", "2026-H1"),
        ("2026-9M", "2025-9M"),
        ("2026-Q1", "2025-Q4"),
        ("2026-Q3", "2026-Q2"),
        ("2026-01", "2025-12"),
        ("2026-10", "2026-09"),
        ("2026-10..2026-11", "2026-08..2026-09"),
        ("2025-12..2026-Q1", "2025-08..2025-11"),
        ("2025..2026", "2023-01..2024-12"),
    ],
)
@pytest.mark.parametrize("statutory", [False, True])
def test_before_a_period_lies_one_of_the_same_kind(
    label: str,
    before: str,
    statutory: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert previous(parse(label, statutory=statutory)) == parse(before, statutory=statutory)


@pytest.mark.parametrize(
    ("label", "before"),
    [
        ("2026-03-01", "2026-02-28"),
        ("2026-10-05..2026-10-20", "2026-09-19..2026-10-04"),
        ("2026-03-01..2026-03-31", "2026-01-29..2026-02-28"),
    ],
)
def test_before_days_lie_as_many_days(label: str, before: str) -> None:
    assert previous(parse(label)) == parse(before)


@pytest.mark.parametrize("label", ["2026", "2026-H1", "2026-Q1", "2026-01", "2026-10..2026-11", "2026-10-05"])
@pytest.mark.parametrize("statutory", [False, True])
def test_the_period_before_ends_on_the_day_before(
    label: str,
    statutory: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    period = parse(label, statutory=statutory)

    assert previous(period).last + timedelta(days=1) == period.first


def _told(pieces: tuple[Period, ...]) -> list[tuple[str, str, str]]:
    return [(piece.label, piece.first.isoformat(), piece.last.isoformat()) for piece in pieces]


def test_days_are_named_by_themselves() -> None:
    pieces = split(parse("2026-02-27..2026-03-01"), "day")

    assert _told(pieces) == [(day, day, day) for day in ("2026-02-27", "2026-02-28", "2026-03-01")]


def test_weeks_run_from_monday_to_sunday_and_are_cut_where_the_period_ends() -> None:
    pieces = split(parse("2026-10"), "week")

    assert _told(pieces) == [
        ("2026-W40", "2026-10-01", "2026-10-04"),
        ("2026-W41", "2026-10-05", "2026-10-11"),
        ("2026-W42", "2026-10-12", "2026-10-18"),
        ("2026-W43", "2026-10-19", "2026-10-25"),
        ("2026-W44", "2026-10-26", "2026-10-31"),
    ]


def test_a_week_over_new_year_bears_the_year_of_its_thursday() -> None:
    pieces = split(parse("2027-01-01..2027-01-04"), "week")

    assert _told(pieces) == [("2026-W53", "2027-01-01", "2027-01-03"), ("2027-W01", "2027-01-04", "2027-01-04")]


def test_months_are_cut_where_the_period_ends() -> None:
    pieces = split(parse("2026-12-20..2027-02-03"), "month")

    assert _told(pieces) == [
        ("2026-12", "2026-12-20", "2026-12-31"),
        ("2027-01", "2027-01-01", "2027-01-31"),
        ("2027-02", "2027-02-01", "2027-02-03"),
    ]


def test_the_months_of_a_statutory_period_are_statutory() -> None:
    pieces = split(parse("2026-Q1", statutory=True), "month")

    assert pieces == tuple(parse(label, statutory=True) for label in ("2026-01", "2026-02", "2026-03"))


def test_the_14th_ends_a_statutory_month_and_the_15th_begins_the_next() -> None:
    pieces = split(parse("2026-12-14..2026-12-15", statutory=True), "month")

    assert _told(pieces) == [("2026-12", "2026-12-14", "2026-12-14"), ("2027-01", "2026-12-15", "2026-12-15")]


@settings(deadline=None)
@given(DAYS, st.integers(0, 390), st.sampled_from(["day", "week", "month"]), st.booleans())
def test_pieces_follow_each_other_without_gap_from_the_first_day_to_the_last(
    first: date,
    length: int,
    by: Pieces,
    statutory: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    last = first + timedelta(days=length)

    pieces = split(Period(f"{first}..{last}", first, last, statutory), by)

    assert (pieces[0].first, pieces[-1].last) == (first, last)
    assert all(before.last + timedelta(days=1) == after.first for before, after in pairwise(pieces))
    assert all(piece.first <= piece.last for piece in pieces)
    assert len({piece.label for piece in pieces}) == len(pieces)


def test_400_pieces_are_answered_and_401_are_refused() -> None:
    first = date(2026, 1, 1)
    most, too_many = (parse(f"{first}..{first + timedelta(days=days - 1)}") for days in (400, 401))

    assert len(split(most, "day")) == 400
    assert len(split(too_many, "week")) < 400
    with pytest.raises(InvalidPeriod):
        split(too_many, "day")
