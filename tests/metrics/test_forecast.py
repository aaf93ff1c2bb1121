"""A forecast follows from what is open, what was done lately and what the month has; it tells how sure it is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.forecast import EVERYONE, Attempt, attempts
from services.metrics.domain import forecast
from services.metrics.domain.forecast import Arrived, Done, Ended, Expected, Forecast, Known, Open
from tests.cli.test_simulation import SCENARIO

ON_DAY, LAST_DAY = date(2026, 10, 15), date(2026, 10, 31)

PUNCTUAL = [Ended("A", 10, -4, 300), Ended("A", 10, 0, 290), Ended("A", 10, 3, 10)]
"""Ten in six hundred were late."""

NOTHING = Known(since=date(2026, 7, 18), on_day=ON_DAY, last_day=LAST_DAY, ended=PUNCTUAL, arrived=[], open=[], done=[])


def unit_a(known: Known) -> Forecast:
    return forecast.forecasts(known)[1]["A"]


def expected_of(known: Known) -> Expected:
    found = unit_a(known).expected
    assert found is not None
    return found


def due_in(days: int, dossiers: int = 100, unit: str = "A") -> Open:
    return Open(unit, ON_DAY + timedelta(days=days), dossiers)


def test_what_falls_due_in_the_days_ahead_is_told_by_day() -> None:
    known = replace(NOTHING, open=[due_in(2, 5), due_in(1, 3), due_in(2, 1), due_in(0, 8), due_in(15, 9)])

    assert unit_a(known).due == ((date(2026, 10, 16), 3), (date(2026, 10, 17), 6))


def test_what_is_open_at_the_end_of_its_due_day_is_overdue() -> None:
    known = replace(NOTHING, open=[due_in(0, 2), due_in(-3, 1), due_in(1, 7)])

    assert unit_a(known).overdue_now == 3


def test_the_days_looked_at_are_told() -> None:
    assert unit_a(NOTHING).history_days == 90


def test_without_any_history_nothing_is_expected() -> None:
    known = replace(NOTHING, ended=[], open=[due_in(1)], done=[Done("A", 5, 0)])

    together, units = forecast.forecasts(known)

    assert [(one.expected, one.reason) for one in (together, units["A"])] == [(None, "no_history")] * 2
    assert units["A"].due


def test_a_unit_that_will_have_resolved_nothing_has_no_rate() -> None:
    assert (unit_a(NOTHING).expected, unit_a(NOTHING).reason) == (None, "nothing_expected")


def test_at_the_end_of_the_month_the_forecast_is_what_the_month_has() -> None:
    known = replace(NOTHING, on_day=LAST_DAY, done=[Done("A", 30, 2), Done("A", 7, 1)], open=[due_in(30)])

    assert expected_of(known) == Expected(
        numerator=37.0, denominator=40.0, percent=92.5, low=92.5, high=92.5, lowest=92.5, highest=92.5
    )


def test_an_overdue_dossier_that_ends_within_the_month_is_late() -> None:
    done = [Done("A", 100, 0)]
    without = expected_of(replace(NOTHING, done=done))

    found = expected_of(replace(NOTHING, done=done, open=[due_in(-1, 10)]))

    assert found.numerator == without.numerator == 100
    assert 109 < found.denominator <= 110


def test_the_closer_its_due_day_the_likelier_an_open_dossier_is_late() -> None:
    rates = [expected_of(replace(NOTHING, open=[due_in(days)])).percent for days in (8, 5, 4, 1)]

    # Half end on the fourth day before the due day: who is still open at its end is one of the others, or late.
    assert rates == pytest.approx([100 * 590 / 600] * 2 + [100 * 290 / 300] * 2, abs=0.2)


def test_what_falls_due_after_the_month_counts_only_as_far_as_it_ends_early() -> None:
    ended = [row._replace(term=20) for row in PUNCTUAL]

    found = expected_of(replace(NOTHING, ended=ended, open=[due_in(18)]))

    assert found.numerator == found.denominator == pytest.approx(100 * 300 / 600, abs=1)


def test_the_days_ahead_bring_what_their_weekdays_brought() -> None:
    # Of the twelve or thirteen Mondays looked at, each brought ten; two Mondays are left, and those of the first
    # end by the end of the month if they are four days early or on time.
    ended = [Ended("A", 5, -4, 500), Ended("A", 5, 0, 490), Ended("A", 5, 1, 10)]
    mondays = sum((NOTHING.since + timedelta(days=n)).weekday() == 0 for n in range(90))
    known = replace(NOTHING, ended=ended, arrived=[Arrived("A", 0, 10 * mondays)])

    assert expected_of(known).denominator == pytest.approx(20, abs=0.2)


def test_a_unit_without_a_history_of_its_own_is_expected_to_be_like_the_others() -> None:
    known = replace(NOTHING, open=[due_in(5), due_in(5, unit="new")])

    _, units = forecast.forecasts(known)

    new, old = units["new"].expected, units["A"].expected
    assert new is not None
    assert old is not None
    assert new.percent == pytest.approx(old.percent, abs=0.1)
    assert new.lowest < old.lowest


def test_a_small_units_own_share_is_pulled_towards_that_of_all() -> None:
    small = [Ended("small", 10, 0, 8), Ended("small", 10, 3, 2)]
    known = replace(NOTHING, ended=[*PUNCTUAL, *small], open=[due_in(1), due_in(1, unit="small")])

    _, units = forecast.forecasts(known)

    pulled, usual = units["small"].expected, units["A"].expected
    assert pulled is not None
    assert usual is not None
    assert 80 < pulled.percent < usual.percent


def test_the_less_is_known_of_a_unit_the_wider_its_interval() -> None:
    others = [Ended(f"U{n}", 10, 3 if n % 4 == 0 else -4, 40) for n in range(20)]
    little = [Ended("A", 10, -4, 6), Ended("A", 10, 3, 2)]
    much = [row._replace(dossiers=100 * row.dossiers) for row in little]

    narrow, wide = (expected_of(replace(NOTHING, ended=[*others, *own], open=[due_in(5)])) for own in (much, little))

    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert wide.highest - wide.lowest > wide.high - wide.low


def test_the_units_add_up_to_the_total() -> None:
    known = replace(
        NOTHING,
        ended=[*PUNCTUAL, Ended("B", 4, 1, 9), Ended("B", 4, -1, 20)],
        open=[due_in(3), due_in(1, unit="B"), due_in(-4, unit="B")],
        arrived=[Arrived("A", 2, 50), Arrived("B", 3, 8)],
        done=[Done("A", 40, 1), Done("B", 9, 3)],
    )

    together, units = forecast.forecasts(known)

    parts = [one.expected for one in units.values() if one.expected]
    assert together.expected is not None
    assert together.expected.numerator == pytest.approx(sum(part.numerator for part in parts), abs=0.11)
    assert together.expected.denominator == pytest.approx(sum(part.denominator for part in parts), abs=0.11)
    assert together.overdue_now == units["B"].overdue_now == 100


def test_the_total_is_surer_than_any_unit() -> None:
    ended = [row._replace(unit=unit) for unit in "ABCDEFGH" for row in PUNCTUAL]
    known = replace(NOTHING, ended=ended, open=[due_in(5, unit=unit) for unit in "ABCDEFGH"])

    together, units = forecast.forecasts(known)

    widths = [one.expected.high - one.expected.low for one in (together, *units.values()) if one.expected]
    assert len(widths) == 9
    assert widths[0] < 0.6 * min(widths[1:])


def test_rows_of_the_same_unit_add_up() -> None:
    whole = replace(NOTHING, open=[due_in(3, 10)], arrived=[Arrived("A", 2, 50)], done=[Done("A", 40, 2)])
    halves = replace(
        whole,
        ended=[row._replace(dossiers=row.dossiers // 2) for row in PUNCTUAL] * 2,
        open=[due_in(3, 5)] * 2,
        arrived=[Arrived("A", 2, 25)] * 2,
        done=[Done("A", 20, 1)] * 2,
    )

    assert forecast.forecasts(halves) == forecast.forecasts(whole)


UNITS, SOME = st.sampled_from("ABC"), st.integers(1, 2_000)


@given(
    ended=st.lists(st.builds(Ended, UNITS, st.integers(0, 90), st.integers(-90, 60), SOME)),
    arrived=st.lists(st.builds(Arrived, UNITS, st.integers(0, 6), SOME)),
    waiting=st.lists(st.builds(due_in, st.integers(-90, 90), SOME, UNITS)),
    done=st.lists(st.builds(Done, UNITS, SOME, SOME)),
    left=st.integers(0, 31),
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_known_the_intervals_lie_within_one_another(
    ended: list[Ended], arrived: list[Arrived], waiting: list[Open], done: list[Done], left: int
) -> None:
    known = replace(NOTHING, ended=ended, arrived=arrived, open=waiting, done=done)

    together, units = forecast.forecasts(replace(known, on_day=LAST_DAY - timedelta(days=left)))

    for one in (together, *units.values()):
        expected = one.expected
        assert (expected is None) == (one.reason is not None)
        if expected is not None:
            assert 0 <= expected.lowest <= expected.low <= expected.high <= expected.highest <= 100
            assert 0 <= expected.numerator <= expected.denominator


@pytest.fixture(scope="module")
def backtest() -> Sequence[Attempt]:
    """Forecast October in four small provinces of fourteen units, from its 10th and its 20th day."""
    months = replace(SCENARIO, first_day=date(2026, 8, 3), last_day=LAST_DAY, dossiers=9_000)
    return [
        one
        for seed in range(4)
        for one in attempts(replace(months, seed=seed), [date(2026, 10, 1)], (10, 20))
        if one.month_before is not None and one.month_so_far is not None
    ]


def test_a_forecast_is_closer_than_the_rate_of_the_month_before_and_that_of_the_month_so_far(
    backtest: Sequence[Attempt],
) -> None:
    def error(guesses: Sequence[tuple[float | None, float]]) -> float:
        return fmean(abs(guess - truth) for guess, truth in guesses if guess is not None)

    for together, at_most in ((True, 1.0), (False, 0.85)):
        chosen = [one for one in backtest if (one.unit == EVERYONE) == together]
        off = error([(one.forecast, one.truth) for one in chosen])
        assert off < at_most * error([(one.month_before, one.truth) for one in chosen])
        assert off < at_most * error([(one.month_so_far, one.truth) for one in chosen])


def test_the_rate_lies_in_the_intervals_about_as_often_as_they_promise(backtest: Sequence[Attempt]) -> None:
    within_80, within_95 = fmean(one.within_80 for one in backtest), fmean(one.within_95 for one in backtest)

    assert len(backtest) > 100
    assert 0.75 < within_80 < 0.90
    assert 0.90 < within_95 < 1.0
