"""What a period counts of a dossier, and where a period that is running ends."""

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract import Standing
from services.metrics.domain import periods, tally, vectors
from services.metrics.domain.vectors import NAMES, Cut
from tests.metrics.standings import FIRST, drawn, resolved, standing

_STOCKS = {"carried_over", "awaiting_supplement", *(name for name in NAMES if name.startswith("pending"))}
_FLOWS = [place for place, name in enumerate(NAMES) if name not in _STOCKS]


def _counts(found: Standing, label: str, today: date) -> dict[str, int]:
    cut = Cut.of(periods.parse(label), today)
    return dict(zip(NAMES, vectors.of_dossier(tally.counted(found), cut), strict=True))


@pytest.mark.parametrize(
    ("today", "last", "running"),
    [
        pytest.param(date(2026, 9, 30), date(2026, 10, 31), False, id="ahead-taken-at-its-word"),
        pytest.param(date(2026, 10, 1), date(2026, 10, 1), True, id="its-first-day"),
        pytest.param(date(2026, 10, 22), date(2026, 10, 22), True, id="running"),
        pytest.param(date(2026, 10, 31), date(2026, 10, 31), True, id="its-last-day"),
        pytest.param(date(2026, 11, 1), date(2026, 10, 31), False, id="over"),
    ],
)
def test_a_running_period_is_counted_up_to_today_and_any_other_one_whole(
    today: date,
    last: date,
    running: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert Cut.of(periods.parse("2026-10"), today) == Cut(date(2026, 10, 1), last, running)


def test_what_is_open_on_its_due_day_has_not_fallen_due_while_the_day_lasts() -> None:
    due_on_the_9th = standing()

    def fell_due(today: date) -> tuple[int, int, int]:
        counts = _counts(due_on_the_9th, "2026-10", today)
        return counts["fell_due"], counts["overdue_by_fact"], counts["pending_overdue"]

    assert fell_due(date(2026, 10, 8)) == (0, 0, 0)
    assert fell_due(date(2026, 10, 9)) == (0, 0, 0)
    assert fell_due(date(2026, 10, 10)) == (1, 1, 1)
    assert fell_due(date(2026, 11, 22)) == (1, 1, 1)


def test_what_was_resolved_on_its_due_day_has_fallen_due_at_once() -> None:
    counts = _counts(resolved("09 10:00"), "2026-10", date(2026, 10, 9))

    assert (counts["fell_due"], counts["fell_due_met"]) == (1, 1)


def test_what_will_happen_later_in_a_running_period_does_not_count_yet() -> None:
    ahead = resolved("20 10:00", due_at="21 17:00")

    assert _counts(ahead, "2026-10", date(2026, 10, 10))["resolved"] == 0
    assert _counts(ahead, "2026-10", date(2026, 10, 10))["pending"] == 1
    assert _counts(ahead, "2026-10", date(2026, 10, 20))["resolved"] == 1


def test_a_dossier_is_carried_over_by_every_period_that_begins_while_it_is_open() -> None:
    long = resolved("2026-12-02 10:00", received_at="2026-10-31 23:59")

    assert [_counts(long, f"2026-{month}", date(2027, 1, 1))["carried_over"] for month in (10, 11, 12)] == [0, 1, 1]
    assert [_counts(long, f"2026-{month}", date(2027, 1, 1))["pending"] for month in (10, 11, 12)] == [1, 1, 0]


def test_a_receipt_in_the_first_instant_of_a_period_counts_in_it() -> None:
    """In OpenCPS it fell into the period before."""
    first = standing(received_at="01 00:00")

    assert _counts(first, "2026-10", date(2027, 1, 1))["received"] == 1
    assert _counts(first, "2026-09", date(2027, 1, 1))["received"] == 0
    assert _counts(first, "2026-10", date(2027, 1, 1))["carried_over"] == 0


@given(st.integers(0, 10**6), st.integers(-20, 100), st.integers(1, 40))
def test_the_flows_of_a_period_are_the_sum_of_its_days_and_its_stocks_those_of_its_ends(
    seed: int, after: int, length: int
) -> None:
    one, first = tally.counted(drawn(Random(seed), "H")), FIRST + timedelta(days=after)
    days = [first + timedelta(days=n) for n in range(length)]

    whole = vectors.of_dossier(one, Cut(days[0], days[-1], running=False))
    each = [vectors.of_dossier(one, Cut(day, day, running=False)) for day in days]

    assert [whole[place] for place in _FLOWS] == [sum(vector[place] for vector in each) for place in _FLOWS]
    for name in _STOCKS:
        place = NAMES.index(name)
        assert whole[place] == each[0 if name == "carried_over" else -1][place], name


@given(st.integers(0, 10**6), st.integers(-20, 100))
def test_what_is_open_at_the_end_of_a_day_is_carried_over_to_the_next(seed: int, after: int) -> None:
    one, day = tally.counted(drawn(Random(seed), "H")), FIRST + timedelta(days=after)
    next_day = day + timedelta(days=1)

    today = dict(zip(NAMES, vectors.of_dossier(one, Cut(day, day, running=False)), strict=True))
    tomorrow = dict(zip(NAMES, vectors.of_dossier(one, Cut(next_day, next_day, running=False)), strict=True))

    assert tomorrow["carried_over"] == today["pending"]


def test_the_sum_of_no_vectors_is_nothing() -> None:
    assert vectors.summed([]) == vectors.NOTHING == (0,) * len(NAMES)
