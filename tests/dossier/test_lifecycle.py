"""What events make of a dossier, whatever order they arrive in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli import reference
from services.contract import (
    Data,
    Forwarded,
    Paid,
    Procedure,
    Received,
    Resolved,
    Returned,
    Standing,
    Unit,
    Withdrawn,
)
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.lifecycle import Occurrence

KNOWN = catalogue(reference.units("20"), reference.procedures(), reference.calendar())
MONDAY = "2026-10-05"


def at(time: str, day: str = MONDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{time}:00+07:00")


def happened(*events: tuple[datetime, Data]) -> list[Occurrence]:
    recorded_at = at("12:00", "2026-11-30")
    return [
        Occurrence(position, recorded_at, "urn:x", f"e{position}", occurred_at, data)
        for position, (occurred_at, data) in enumerate(events, 1)
    ]


def received(**more: Any) -> Received:  # noqa: ANN401 - fields of Received
    return Received(**{"procedure": "2.000815", "receiving_unit": "05977", "channel": "online", **more})


def fold(*events: tuple[datetime, Data]) -> Standing:
    return lifecycle.fold("H37", happened(*events), KNOWN)


APPROVED = Resolved(outcome="approved", result="electronic")


def test_a_received_dossier_is_pending_with_its_counted_due_date() -> None:
    standing = fold((at("08:30"), received()))

    assert standing.status == "pending"
    assert standing.received_on == date(2026, 10, 5)
    assert standing.due_on == date(2026, 10, 5)
    assert standing.field is not None
    assert standing.flags == ()


def test_the_sender_s_due_date_wins_over_the_counted_one() -> None:
    standing = fold((at("08:30"), received(due_at=at("17:00", "2026-10-04"))))

    assert standing.due_on == date(2026, 10, 4)


def test_a_due_date_beyond_the_limit_is_flagged_and_kept() -> None:
    standing = fold((at("08:30"), received(due_at=at("17:00", "2026-10-09"))))

    assert standing.due_on == date(2026, 10, 9)
    assert standing.flags == ("due_beyond_limit",)


def test_a_due_date_before_the_receipt_is_flagged() -> None:
    assert fold((at("08:30"), received(due_at=at("08:00")))).flags == ("due_before_received",)


def test_resolution_ends_processing_and_a_late_collection_changes_nothing() -> None:
    standing = fold(
        (at("08:30"), received()),
        (at("10:00"), APPROVED),
        (at("10:00", "2026-10-30"), Returned(channel="counter")),
    )

    assert standing.status == "resolved"
    assert standing.ended_on == date(2026, 10, 5)
    assert standing.returned_channel == "counter"


def test_a_return_without_a_resolution_stands_in_for_it() -> None:
    standing = fold((at("08:30"), received()), (at("11:00"), Returned(channel="counter")))

    assert (standing.status, standing.ended_at, standing.outcome) == ("resolved", at("11:00"), None)


def test_a_withdrawal_ends_processing() -> None:
    standing = fold((at("08:30"), received()), (at("11:00"), Withdrawn()))

    assert (standing.status, standing.ended_at) == ("withdrawn", at("11:00"))


def test_a_resolution_wins_over_a_withdrawal_whichever_came_first() -> None:
    before = fold((at("08:30"), received()), (at("09:00"), Withdrawn()), (at("11:00"), APPROVED))
    after = fold((at("08:30"), received()), (at("11:00"), APPROVED), (at("12:00"), Withdrawn()))

    assert (before.status, before.ended_at, before.flags) == ("resolved", at("11:00"), ("event_after_close",))
    assert (after.status, after.ended_at, after.flags) == ("resolved", at("11:00"), ("event_after_close",))


def test_the_first_resolution_stands_and_a_second_is_flagged() -> None:
    standing = fold((at("08:30"), received()), (at("10:00"), APPROVED), (at("11:00"), Resolved(outcome="refused")))

    assert (standing.ended_at, standing.outcome) == (at("10:00"), "approved")
    assert standing.flags == ("repeated_resolution",)


def test_the_first_receipt_stands_and_a_second_is_flagged() -> None:
    standing = fold((at("08:30"), received()), (at("09:00"), received(channel="counter")))

    assert standing.channel == "online"
    assert standing.flags == ("repeated_receipt",)


def test_an_outcome_without_a_receipt_waits_for_it() -> None:
    standing = fold((at("10:00"), APPROVED))

    assert standing.status == "unreceived"
    assert standing.flags == ("missing_receipt",)


def test_an_outcome_before_the_receipt_is_flagged() -> None:
    standing = fold((at("08:30"), received()), (at("08:00"), APPROVED))

    assert standing.flags == ("resolved_before_received",)


def test_an_event_from_the_future_is_flagged_beyond_the_tolerance() -> None:
    recorded = happened((at("08:30"), received()))[0]
    ahead = replace(recorded, recorded_at=recorded.occurred_at - timedelta(minutes=6))
    within = replace(recorded, recorded_at=recorded.occurred_at - timedelta(minutes=5))

    assert lifecycle.fold("H37", [ahead], KNOWN).flags == ("future_time",)
    assert lifecycle.fold("H37", [within], KNOWN).flags == ()


def test_an_unknown_procedure_is_flagged_and_has_no_due_date() -> None:
    standing = fold((at("08:30"), received(procedure="9.999999")))

    assert standing.flags == ("unknown_procedure",)
    assert standing.due_at is None


def test_a_forwarded_dossier_belongs_to_the_unit_it_was_forwarded_to() -> None:
    standing = fold((at("08:30"), received()), (at("09:00"), Forwarded(to_unit="LS-STP")))

    assert (standing.receiving_unit, standing.resolving_unit) == ("05977", "LS-STP")
    assert standing.resolving_unit_since == date(2025, 3, 1)


def test_the_clock_of_a_forwarded_dossier_starts_when_the_other_unit_gets_it() -> None:
    standing = fold((at("08:30"), received()), (at("15:30"), Forwarded(to_unit="05983")))

    assert standing.due_on == date(2026, 10, 6)


def test_a_reused_code_means_what_it_meant_on_the_day_of_receipt() -> None:
    old = fold((at("08:30", "2025-06-30"), received()))
    new = fold((at("08:30", "2025-07-01"), received()))

    assert (old.receiving_unit, old.receiving_unit_since) == ("05977", date(2004, 1, 1))
    assert (new.receiving_unit, new.receiving_unit_since) == ("05977", date(2025, 7, 1))


@pytest.mark.parametrize(
    ("told", "payments", "expected"),
    [
        pytest.param(True, (), (True, 0, 0, False), id="a-fee-that-nobody-paid"),
        pytest.param(False, (), (False, 0, 0, False), id="no-fee"),
        pytest.param(False, (Paid(amount=1, method="cash"),), (True, 1, 0, False), id="a-payment-proves-a-fee"),
        pytest.param(True, (Paid(amount=0, method="online"),), (True, 0, 0, False), id="nothing-is-no-payment"),
        pytest.param(True, (Paid(amount=5, method="online"),), (True, 1, 1, True), id="platform-not-told"),
        pytest.param(
            True, (Paid(amount=5, method="online", platform="provincial"),), (True, 1, 1, False), id="provincial"
        ),
        pytest.param(
            True,
            (Paid(amount=5, method="cash"), Paid(amount=5, method="online", platform="national")),
            (True, 2, 1, True),
            id="two-payments",
        ),
    ],
)
def test_fees_and_payments_are_told_apart(
    told: bool,  # noqa: FBT001 - a parameter of the test
    payments: Sequence[Paid],
    expected: tuple[bool, int, int, bool],
) -> None:
    standing = fold(
        (at("08:30"), received(fee_required=told)), *((at(f"09:0{n}"), paid) for n, paid in enumerate(payments))
    )

    assert (standing.fee_due, standing.payments, standing.payments_online, standing.paid_on_platform) == expected


def test_the_procedure_says_whether_a_fee_is_due_where_the_sender_does_not() -> None:
    with_fee = next(p for p in reference.procedures() if p.fee_required and p.valid_to is None)
    without = next(p for p in reference.procedures() if not p.fee_required and p.valid_to is None)

    assert fold((at("08:30"), received(procedure=with_fee.code))).fee_due is True
    assert fold((at("08:30"), received(procedure=without.code))).fee_due is False


def test_a_dossier_keeps_the_procedure_in_force_at_its_receipt() -> None:
    def version(first: date, last: date | None, days: int) -> Procedure:
        return Procedure.model_validate(
            {
                "code": "P",
                "name": "P",
                "field": {"code": "F", "name": "F"},
                "limit": {"amount": days, "unit": "working_days"},
                "fee_required": False,
                "online_level": "full",
                "valid_from": first,
                "valid_to": last,
            }
        )

    unit = Unit(code="05977", name="U", kind="commune", valid_from=date(2025, 1, 1))
    versions = [version(date(2025, 1, 1), date(2025, 12, 31), 10), version(date(2026, 1, 1), None, 5)]
    known = catalogue([unit], versions, reference.calendar())

    before = lifecycle.fold("H", happened((at("09:00", "2025-12-30"), received(procedure="P"))), known)
    after = lifecycle.fold("H", happened((at("09:00", "2026-03-02"), received(procedure="P"))), known)

    assert before.due_on == date(2026, 1, 14)
    assert after.due_on == date(2026, 3, 9)


def test_the_due_date_is_explained_step_by_step() -> None:
    counted = lifecycle.explain_due(happened((at("15:30"), received())), KNOWN)
    given_by_sender = lifecycle.explain_due(happened((at("08:30"), received(due_at=at("17:00")))), KNOWN)

    assert [step.code for step in counted] == ["start", "same_day"]
    assert counted[-1].due_at == at("17:00", "2026-10-06")
    assert [step.code for step in given_by_sender] == ["sender"]


def sent_by(unit: str, occurrence: Occurrence) -> Occurrence:
    return replace(occurrence, sender_units=frozenset({unit}))


@pytest.mark.parametrize(
    "planted",
    [Forwarded(to_unit="05983"), APPROVED, Withdrawn(), Paid(amount=5, method="online"), Returned(channel="counter")],
    ids=["forwarded", "resolved", "withdrawn", "paid", "returned"],
)
def test_what_another_unit_planted_before_the_receipt_is_flagged_and_left_out(planted: Data) -> None:
    theirs, receipt = happened((at("08:00"), planted), (at("08:30"), received()))

    found = lifecycle.fold("H37", [sent_by("05983", theirs), sent_by("05977", receipt)], KNOWN)

    assert replace(found, position=1) == replace(fold((at("08:30"), received())), flags=("foreign_event",))


def test_the_resolving_unit_ends_a_dossier_and_a_former_one_no_longer_does() -> None:
    receipt, forwarded, again, resolved = happened(
        (at("08:30"), received()),
        (at("09:00"), Forwarded(to_unit="05983")),
        (at("10:00"), Forwarded(to_unit="LS-STP")),
        (at("11:00"), APPROVED),
    )
    before = [sent_by("05977", receipt), sent_by("05977", forwarded), sent_by("05983", again)]

    by_the_former = lifecycle.fold("H37", [*before, sent_by("05983", resolved)], KNOWN)
    by_the_present = lifecycle.fold("H37", [*before, sent_by("LS-STP", resolved)], KNOWN)

    assert (by_the_former.status, by_the_former.flags) == ("pending", ("foreign_event",))
    assert (by_the_present.status, by_the_present.flags) == ("resolved", ())


# Few instants, so that many events share one.
_instants = st.integers(0, 47).map(lambda hour: at("00:00") + timedelta(hours=hour))
_data: st.SearchStrategy[Data] = st.one_of(
    st.builds(
        Received,
        procedure=st.sampled_from(["2.000815", "unknown"]),
        receiving_unit=st.sampled_from(["05977", "05983"]),
        channel=st.sampled_from(["counter", "online", "postal"]),
        due_at=st.none() | _instants,
        fee_required=st.none() | st.booleans(),
    ),
    st.builds(Forwarded, to_unit=st.sampled_from(["05983", "LS-STP"])),
    st.builds(Paid, amount=st.integers(0, 10), method=st.sampled_from(["online", "cash"])),
    st.builds(Resolved, outcome=st.sampled_from(["approved", "refused"])),
    st.builds(Returned, channel=st.sampled_from(["counter", "online"])),
    st.builds(Withdrawn),
)


@given(st.lists(st.tuples(_instants, _data), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_arrival_order_never_changes_the_outcome(events: list[tuple[datetime, Data]], random: Any) -> None:  # noqa: ANN401
    in_order = happened(*events)
    shuffled = list(in_order)
    random.shuffle(shuffled)
    # Positions follow arrival, so only what the events say may decide, and ids stay with their events.
    arrived = [replace(occurrence, position=position) for position, occurrence in enumerate(shuffled, 1)]

    one, other = lifecycle.fold("H", in_order, KNOWN), lifecycle.fold("H", arrived, KNOWN)

    assert replace(one, position=0) == replace(other, position=0)


@given(st.lists(st.tuples(_instants, _data), min_size=1, max_size=8))
def test_the_fold_is_total(events: list[tuple[datetime, Data]]) -> None:
    standing = fold(*events)

    assert (standing.status == "unreceived") == (not any(isinstance(data, Received) for _, data in events))
    assert (standing.ended_at is None) == (standing.status == "pending" or not _ends(events))


def _ends(events: list[tuple[datetime, Data]]) -> bool:
    return any(isinstance(data, Resolved | Returned | Withdrawn) for _, data in events)
