"""Rates are divided when read, exactly, and rounded once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.domain import rates
from services.metrics.domain.tally import MEASURES

BY_NAME = {rate.name: rate for rate in rates.RATES}


def counts(**named: int) -> dict[str, int]:
    return dict.fromkeys(MEASURES, 0) | named


@pytest.mark.parametrize(
    ("early", "on_time", "late", "published"),
    [
        pytest.param(13_794, 134, 651, "95.53", id="gia-lai-january-2025"),
        pytest.param(0, 60_579, 712, "98.84", id="thai-nguyen-july-2025"),
        pytest.param(2_185, 7_161, 11, "99.88", id="lang-son-centre-october-2020"),
        pytest.param(2_199, 3_353, 31, "99.44", id="dien-bien-phu-ward-2025"),
    ],
)
def test_published_on_time_rates_come_out_to_the_digit(early: int, on_time: int, late: int, published: str) -> None:
    found = counts(resolved_early=early, resolved_on_time=on_time, resolved_late=late)

    assert rates.percent(BY_NAME["on_time_of_resolved"].share(found)) == Decimal(published)


def test_nothing_to_divide_by_is_neither_0_nor_100_percent() -> None:
    for rate in rates.RATES:
        assert rate.share(counts()) is None
    assert rates.percent(None) is None


def test_a_dossier_without_a_due_date_is_outside_the_on_time_rate() -> None:
    found = counts(resolved=3, resolved_early=1, resolved_late=1, resolved_without_due=1)

    assert BY_NAME["on_time_of_resolved"].share(found) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (Fraction(28, 854), "3.28"),
        (Fraction(1, 8), "12.50"),
        (Fraction(12_345, 1_000_000), "1.23"),
        (Fraction(12_350, 1_000_000), "1.24"),
        (Fraction(99_995, 100_000), "100.00"),
        (Fraction(1, 3), "33.33"),
        (Fraction(2, 3), "66.67"),
    ],
)
def test_percentages_are_rounded_half_up_from_the_exact_value(share: Fraction, expected: str) -> None:
    assert rates.percent(share) == Decimal(expected)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_rounding_never_moves_a_percentage_by_more_than_half_a_hundredth(hits: int, of: int) -> None:
    share = Fraction(hits, of)

    rounded = rates.percent(share)

    assert rounded is not None
    assert abs(Fraction(rounded) - share * 100) <= Fraction(1, 200)


@pytest.mark.parametrize(
    ("rate", "hits", "misses", "met"),
    [
        ("on_time_of_resolved", 99, 1, False),
        ("on_time_of_resolved", 9_901, 99, True),
        ("online_payment", 50, 50, True),
        ("online_payment", 49_999, 50_001, False),
        ("full_online", 85, 15, True),
        ("full_online", 84_999, 15_001, False),
    ],
)
def test_targets_are_judged_exactly_and_on_time_must_be_above_99_percent(
    rate: str,
    hits: int,
    misses: int,
    met: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    asked = BY_NAME[rate]
    found = counts(**{asked.hits[0]: hits})
    rest = next((name for name in asked.of if name not in asked.hits), asked.of[0])
    found[rest] = misses if rest in asked.of and asked.hits[0] in asked.of else hits + misses

    share = asked.share(found)

    assert share == Fraction(hits, hits + misses)
    assert asked.target.met_by(share) is met


@pytest.mark.parametrize(("hits", "expected"), [(1, "0.13"), (3, "0.38"), (5, "0.63"), (7, "0.88")])
def test_a_half_is_rounded_up_whether_the_digit_before_it_is_even_or_odd(hits: int, expected: str) -> None:
    assert rates.percent(Fraction(hits, 800)) == Decimal(expected)
