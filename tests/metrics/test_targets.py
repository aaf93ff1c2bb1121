"""A target is judged exactly, by the narrowest that is asked on the day."""

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from services.cli import reference
from services.metrics.domain import targets
from services.metrics.domain.rates import DEFINITIONS
from services.metrics.domain.targets import TARGETS, Target, target_of

ON = date(2026, 10, 31)
PROCEDURES = Path(reference.__file__).parent / "procedures.csv"


@pytest.mark.parametrize(
    ("rate", "numerator", "denominator", "met"),
    [
        ("on_time_of_resolved", 99, 100, False),
        ("on_time_of_resolved", 990_000, 1_000_000, False),
        ("on_time_of_resolved", 990_001, 1_000_000, True),
        ("on_time_of_resolved", 98_999, 100_000, False),
        ("online_payment", 1, 2, True),
        ("online_payment", 49_999, 100_000, False),
        ("online_payment_transactions", 1, 2, True),
        ("online_payment_transactions", 49_999, 100_000, False),
        ("full_online", 85, 100, True),
        ("full_online", 84_999, 100_000, False),
        ("satisfaction", 95, 100, True),
        ("satisfaction", 94_999, 100_000, False),
        ("procedures_full_online", 1_000, 1_000, True),
        ("procedures_full_online", 999, 1_000, False),
        ("procedures_offering_payment", 338, 338, True),
        ("procedures_offering_payment", 337, 338, False),
    ],
)
def test_targets_are_judged_exactly_and_on_time_must_be_above_99_percent(
    rate: str,
    numerator: int,
    denominator: int,
    met: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    target = target_of(rate, on=ON)

    assert target is not None
    assert target.met_by(numerator, denominator) is met


def test_with_nothing_to_divide_by_a_target_is_neither_met_nor_missed() -> None:
    assert {target.met_by(0, 0) for target in TARGETS} == {None}


def test_what_no_plan_asks_has_no_target() -> None:
    asked = {rate.name for rate in DEFINITIONS if target_of(rate.name, on=ON) is not None}

    assert asked == {
        "on_time_of_resolved",
        "full_online",
        "online_payment",
        "online_payment_transactions",
        "satisfaction",
        "procedures_offering_payment",
        "procedures_full_online",
    }


@pytest.mark.parametrize(
    ("field", "percent"),
    [
        (None, 95.0), ("HT", 95.0), ("DD", 90.0), ("XD", 90.0), ("QH", 90.0), ("DTU", 90.0),
        ("DD-01", 90.0), ("DD.1", 90.0), ("DDX", 95.0), ("D", 95.0), ("BDS", 95.0), ("", 95.0),
    ],
)  # fmt: skip
def test_land_construction_and_investment_are_asked_for_less_satisfaction(field: str | None, percent: float) -> None:
    target = target_of("satisfaction", field=field, on=ON)

    assert target is not None
    assert target.percent == percent


@pytest.mark.parametrize("field", ["DD", "HT"])
def test_other_targets_are_the_same_in_every_field(field: str) -> None:
    assert target_of("on_time_of_resolved", field=field, on=ON) == target_of("on_time_of_resolved", on=ON)


def test_of_the_reference_data_land_construction_and_investment_alone_are_asked_for_less() -> None:
    with PROCEDURES.open(encoding="utf-8", newline="") as file:
        fields = {(row["field_code"], row["field_name"]) for row in csv.DictReader(file)}

    asked_for_less = {name for code, name in fields if _percent("satisfaction", code) == 90.0}

    assert asked_for_less == {"Đất đai", "Hoạt động xây dựng", "Quy hoạch xây dựng", "Đầu tư tại Việt Nam"}


def _percent(rate: str, field: str) -> float | None:
    target = target_of(rate, field=field, on=ON)
    return None if target is None else target.percent


@pytest.mark.parametrize(
    ("on", "asked"),
    [
        (date(2025, 12, 31), False),
        (date(2026, 1, 1), True),
        (date(2030, 12, 31), True),
        (date(2031, 1, 1), False),
    ],
)
def test_the_plan_asks_from_2026_through_2030(on: date, asked: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert (target_of("on_time_of_resolved", on=on) is not None) is asked


def _everywhere() -> Iterator[tuple[str | None, targets.UnitKind | None]]:
    for field in (None, "DD", "HT"):
        yield field, None
        yield field, "commune"
        yield field, "department"


def test_a_target_of_a_kind_of_unit_is_asked_of_that_kind_alone() -> None:
    target = Target("on_time_of_resolved", 98_50, "at_least", "-", date(2026, 1, 1), kind="commune")

    spoken_of = {kind for field, kind in _everywhere() if target.speaks_of(field, kind)}

    assert spoken_of == {"commune"}
    assert target.percent == 98.5


def test_everywhere_and_on_every_day_at_most_one_of_the_narrowest_targets_is_asked() -> None:
    for rate in {target.rate for target in TARGETS}:
        for field, kind in _everywhere():
            fitting = [
                (bool(target.fields), target.kind is not None)
                for target in TARGETS
                if target.rate == rate and target.in_force(ON) and target.speaks_of(field, kind)
            ]
            assert fitting.count(max(fitting)) == 1


def test_every_target_is_of_a_rate_that_exists() -> None:
    assert {target.rate for target in TARGETS} <= {rate.name for rate in DEFINITIONS}


def test_alerts_are_for_the_newest_target_of_everything() -> None:
    old, new = date(2026, 1, 1), date(2031, 1, 1)
    among = [
        Target("satisfaction", 96_00, "at_least", "-", new),
        Target("satisfaction", 95_00, "at_least", "-", old),
        Target("satisfaction", 90_00, "at_least", "-", date(2032, 1, 1), fields=("DD",)),
        Target("satisfaction", 91_00, "at_least", "-", date(2032, 1, 1), kind="commune"),
    ]

    assert targets.general("satisfaction", among) == among[0]
    assert targets.general("on_time_of_all", among) is None
