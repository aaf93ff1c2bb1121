"""Rates are divided when read, exactly, and rounded once; what they divide are counts that exist."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.domain import rates
from services.metrics.domain.counts import COUNTS
from services.metrics.domain.rates import DEFINITIONS, PROCEDURE_RATES, RATES

BY_NAME = {rate.name: rate for rate in (*RATES, *PROCEDURE_RATES)}


def counts(**named: int) -> dict[str, int]:
    assert named.keys() <= {count.name for count in COUNTS}
    return dict.fromkeys((count.name for count in COUNTS), 0) | named


@pytest.mark.parametrize(
    ("early", "on_time", "late", "published"),
    [
        pytest.param(13_794, 134, 651, 95.53, id="gia-lai-january-2025"),
        pytest.param(0, 60_579, 712, 98.84, id="thai-nguyen-july-2025"),
        pytest.param(2_185, 7_161, 11, 99.88, id="lang-son-centre-october-2020"),
        pytest.param(2_199, 3_353, 31, 99.44, id="dien-bien-phu-ward-2025"),
    ],
)
def test_published_on_time_rates_come_out_to_the_digit(early: int, on_time: int, late: int, published: float) -> None:
    found = counts(resolved_early=early, resolved_on_time=on_time, resolved_late=late)

    divided = BY_NAME["on_time_of_resolved"].divided(found)

    assert divided == (early + on_time, early + on_time + late, published)


def test_nothing_to_divide_by_is_neither_0_nor_100_percent() -> None:
    assert {rate.divided(counts()) for rate in BY_NAME.values()} == {(0, 0, None)}


def test_a_dossier_without_a_due_date_is_outside_every_on_time_rate() -> None:
    found = counts(
        resolved=3,
        resolved_early=1,
        resolved_late=1,
        resolved_without_due=1,
        within_extension=1,
        withdrawn=1,
        ended_early=1,
        ended_late=1,
        ended_without_due=2,
        ended_in_time=1,
        pending=2,
        pending_within=1,
        pending_without_due=1,
        pending_in_time=1,
    )

    divided = {name: BY_NAME[name].divided(found)[:2] for name in BY_NAME if name.startswith("on_time_")}

    assert divided == {
        "on_time_of_resolved": (1, 2),
        "on_time_with_extension": (1, 2),
        "on_time_of_all": (2, 3),
        "on_time_of_due": (0, 0),
    }


def test_the_rate_of_all_takes_in_what_ended_otherwise_and_what_is_still_in_time() -> None:
    found = counts(
        resolved=90,
        withdrawn=2,
        stopped=3,
        declined=5,
        ended_in_time=95,
        pending=20,
        pending_overdue=4,
        pending_in_time=16,
    )

    assert BY_NAME["on_time_of_all"].divided(found) == (111, 120, 92.5)


@pytest.mark.parametrize(
    ("hits", "of", "expected"),
    [
        pytest.param(28, 854, 3.28, id="lang-son-centre-published-3.27"),
        (1, 8, 12.5),
        (12_345, 1_000_000, 1.23),
        (12_350, 1_000_000, 1.24),
        (99_995, 100_000, 100.0),
        (99_994, 100_000, 99.99),
        (1, 3, 33.33),
        (2, 3, 66.67),
        (1, 800, 0.13),
        (3, 800, 0.38),
        (5, 800, 0.63),
        (7, 800, 0.88),
    ],
)
def test_percentages_are_rounded_half_up_from_the_exact_value(hits: int, of: int, expected: float) -> None:
    assert rates.percent(hits, of) == expected


@settings(deadline=None)
@given(st.integers(1, 10**12).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_percentage_is_written_with_two_decimals_and_lies_within_half_a_hundredth(quotient: tuple[int, int]) -> None:
    exact = Fraction(*quotient) * 100

    rounded = rates.percent(*quotient)

    assert rounded is not None
    written = Fraction(repr(rounded))
    assert (written * 100).denominator == 1
    assert -Fraction(1, 200) < written - exact <= Fraction(1, 200)


def test_the_rates_stand_in_their_order_first_those_that_are_added_up() -> None:
    assert [rate.name for rate in RATES] == [
        "on_time_of_resolved",
        "on_time_with_extension",
        "on_time_of_all",
        "on_time_of_due",
        "online_submission",
        "full_online",
        "full_online_of_eligible",
        "online_payment",
        "online_payment_transactions",
        "electronic_results",
        "reused_data",
        "digitised",
        "satisfaction",
    ]
    assert [rate.name for rate in PROCEDURE_RATES] == [
        "procedures_paid_online",
        "procedures_offering_payment",
        "procedures_full_online",
    ]


def test_a_rate_divides_counts_of_one_kind_that_exist_each_once() -> None:
    kinds = {count.name: count.kind for count in COUNTS}
    natures = {count.name: count.nature for count in COUNTS}

    for rate in DEFINITIONS:
        named = [*rate.of, *rate.less]
        assert {kinds[name] for name in (*rate.hits, *named)} == {rate.kind}
        assert len(set(named)) == len(named)
        assert len(set(rate.hits)) == len(rate.hits)
        assert ({natures[name] for name in named} == {"distinct"}) == (rate.kind == "procedures")


def test_a_numerator_counts_by_the_same_days_as_its_denominator() -> None:
    days = {count.name: count.day for count in COUNTS}

    assert {rate.name: {days[name] for name in rate.hits} for rate in DEFINITIONS} == {
        rate.name: set(rate.days) for rate in DEFINITIONS
    }


@pytest.mark.parametrize("on", [date(2020, 1, 1), date(2025, 7, 1), date(2026, 11, 22), date(2031, 1, 1)])
def test_on_every_day_each_rate_has_one_definition(on: date) -> None:
    names = [rate.name for rate in rates.in_force(on)]

    assert sorted(names) == sorted(set(names)) == sorted({rate.name for rate in DEFINITIONS})


def test_a_definition_holds_from_its_first_through_its_last_day() -> None:
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    rate = rates.Rate(
        **{name: getattr(DEFINITIONS[0], name) for name in ("name", "title", "formula", "hits", "of", "source")},
        version=2,
        valid_from=first,
        valid_to=last,
    )
    days = (date(2025, 12, 31), first, last, date(2027, 1, 1))

    assert [rate.in_force(on) for on in days] == [False, True, True, False]
