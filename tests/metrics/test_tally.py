"""What a dossier counts for, in which cell, on which day."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract import Standing
from services.metrics.domain import tally
from services.metrics.domain.tally import MEASURES, Cell

RECEIVED_ON, DUE_ON = date(2026, 10, 5), date(2026, 10, 9)
SINCE = date(2025, 7, 1)


def standing(**more: Any) -> Standing:  # noqa: ANN401 - fields of Standing
    return Standing(
        **{
            "code": "H",
            "status": "pending",
            "receiving_unit": "05977",
            "receiving_unit_since": SINCE,
            "resolving_unit": "05977",
            "resolving_unit_since": SINCE,
            "channel": "online",
            "received_on": RECEIVED_ON,
            "due_on": DUE_ON,
            **more,
        }
    )


def resolved(on_day: date, **more: Any) -> Standing:  # noqa: ANN401 - fields of Standing
    return standing(**{"status": "resolved", "ended_on": on_day, "result": "electronic", **more})


def counts(found: Standing, on_day: date, role: Any = "resolving", unit: str = "05977") -> dict[str, int]:  # noqa: ANN401 - a Role
    """Return the measures above zero that the dossier counts for on a day."""
    cell = tally.contribution(found).get(Cell(on_day, role, unit, SINCE, "online"), (0,) * len(MEASURES))
    return {measure: count for measure, count in zip(MEASURES, cell, strict=True) if count}


def test_a_pending_dossier_counts_as_received_on_its_day() -> None:
    assert counts(standing(), RECEIVED_ON) == {"received": 1}


@pytest.mark.parametrize(
    ("ended_on", "due_on", "measure"),
    [
        (date(2026, 10, 8), DUE_ON, "resolved_early"),
        (date(2026, 10, 9), DUE_ON, "resolved_on_time"),
        (date(2026, 10, 12), DUE_ON, "resolved_late"),
        (date(2026, 10, 12), None, "resolved_without_due"),
    ],
)
def test_days_decide_between_early_on_time_and_late(ended_on: date, due_on: date | None, measure: str) -> None:
    found = counts(resolved(ended_on, due_on=due_on), ended_on)

    assert found == {"resolved": 1, "full_online": 1, measure: 1}


def test_a_dossier_without_a_due_date_is_not_counted_as_on_time() -> None:
    assert "resolved_on_time" not in counts(resolved(DUE_ON, due_on=None), DUE_ON)


def test_a_withdrawn_dossier_is_not_resolved() -> None:
    assert counts(standing(status="withdrawn", ended_on=DUE_ON), DUE_ON) == {"withdrawn": 1}


def test_a_payment_counts_on_the_day_of_receipt_and_only_where_a_fee_is_due() -> None:
    paid = standing(fee_due=True, payments=1, payments_online=1)
    free = standing(fee_due=False, payments=1, payments_online=1)

    assert counts(paid, RECEIVED_ON) == {"received": 1, "fee_due": 1, "paid_online": 1}
    assert counts(free, RECEIVED_ON) == {"received": 1}


def test_a_forwarded_dossier_counts_for_both_units_in_their_roles() -> None:
    forwarded = resolved(DUE_ON, resolving_unit="LS-STP")

    assert counts(forwarded, DUE_ON, "resolving", "LS-STP")["resolved"] == 1
    assert counts(forwarded, DUE_ON, "receiving")["resolved"] == 1
    assert counts(forwarded, DUE_ON, "resolving") == {}


def test_an_outcome_is_counted_on_its_own_day_and_not_on_that_of_the_receipt() -> None:
    """OpenCPS took Saturday's results from the day of receipt."""
    saturday, monday = date(2026, 10, 10), date(2026, 10, 12)
    counted_first = resolved(monday, received_on=saturday, due_on=monday)
    counted_last = resolved(saturday, received_on=date(2026, 10, 9), due_on=saturday)

    assert counts(counted_first, saturday) == {"received": 1}
    assert counts(counted_first, monday) == {"resolved": 1, "resolved_on_time": 1, "full_online": 1}
    assert counts(counted_last, saturday) == {"resolved": 1, "resolved_on_time": 1, "full_online": 1}


def test_a_late_outcome_is_charged_to_the_unit_that_decided_and_told_apart_for_the_counter() -> None:
    """OpenCPS charged every late dossier to the unit itself, whoever was late."""
    late = resolved(date(2026, 10, 12), resolving_unit="LS-STP")

    assert counts(late, date(2026, 10, 12), "resolving", "LS-STP")["resolved_late"] == 1
    assert counts(late, date(2026, 10, 12), "resolving") == {}
    assert counts(late, date(2026, 10, 12), "receiving")["resolved_late"] == 1


def test_a_dossier_without_a_receipt_counts_for_nothing() -> None:
    assert tally.contribution(Standing(code="H", status="unreceived", ended_on=DUE_ON)) == {}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, True, id="free-and-electronic"),
        pytest.param({"channel": "counter"}, False, id="submitted-at-the-counter"),
        pytest.param({"channel": "postal"}, False, id="submitted-by-post"),
        pytest.param({"fee_due": True}, False, id="fee-not-paid-on-the-platform"),
        pytest.param({"fee_due": True, "paid_on_platform": True}, True, id="fee-paid-on-the-platform"),
        pytest.param({"result": "both"}, True, id="paper-beside-electronic"),
        pytest.param({"result": "none"}, True, id="no-result-is-made"),
        pytest.param({"result": "paper"}, False, id="paper-alone"),
        pytest.param({"result": None}, False, id="result-not-told"),
        pytest.param({"in_person": True}, False, id="somebody-had-to-come"),
        pytest.param({"returned_channel": "counter"}, False, id="handed-over-at-the-counter"),
        pytest.param({"returned_channel": "postal"}, True, id="paper-copy-by-post"),
    ],
)
def test_full_online_asks_all_four_conditions(
    more: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert tally.is_full_online(resolved(DUE_ON, **more)) is expected


_standings = st.builds(
    standing,
    status=st.sampled_from(["pending", "resolved", "withdrawn"]),
    ended_on=st.sampled_from([None, RECEIVED_ON, DUE_ON]),
    due_on=st.sampled_from([None, DUE_ON]),
    channel=st.sampled_from(["counter", "online"]),
    resolving_unit=st.sampled_from(["05977", "LS-STP"]),
    fee_due=st.booleans(),
    payments_online=st.integers(0, 2),
)


@given(st.none() | _standings, st.none() | _standings)
def test_before_plus_the_difference_is_after(before: Standing | None, after: Standing | None) -> None:
    old, new = tally.contribution(before), tally.contribution(after)

    assert tally.total(iter((old, tally.difference(new, old)))) == tally.total(iter((new,)))


@given(_standings)
def test_every_resolved_dossier_is_early_on_time_late_or_without_a_due_date(found: Standing) -> None:
    for cell in tally.contribution(found).values():
        named = dict(zip(MEASURES, cell, strict=True))
        parts = ("resolved_early", "resolved_on_time", "resolved_late", "resolved_without_due")
        assert named["resolved"] == sum(named[part] for part in parts)
        assert named["paid_online"] <= named["fee_due"] <= named["received"]
        assert named["full_online"] <= named["resolved"]
