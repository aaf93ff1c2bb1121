"""What events make of a dossier, whatever order they arrive in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli import reference
from services.contract import (
    VIETNAM,
    CalendarDay,
    Corrected,
    Data,
    Declined,
    Extended,
    Forwarded,
    Paid,
    Paused,
    Procedure,
    Rated,
    Received,
    Refunded,
    Resolved,
    Resumed,
    Retracted,
    Returned,
    Standing,
    Stopped,
    Supplemented,
    SupplementRequested,
    Unit,
    Voided,
    Withdrawn,
)
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.history import Occurrence
from services.dossier.store import log

KNOWN = catalogue(reference.units("20"), reference.procedures(), reference.calendar())
MONDAY = "2026-10-05"


def at(time: str, day: str = MONDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{time}:00+07:00")


def happened(*events: tuple[datetime, Data]) -> list[Occurrence]:
    """Return events that were recorded when they happened, with the ids e1, e2, …."""
    return [
        Occurrence(position, occurred_at, "urn:x", f"e{position}", occurred_at, data)
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


def test_a_due_date_is_not_beyond_the_limit_of_a_unit_that_has_not_got_the_dossier_yet() -> None:
    receipt = at("08:30"), received(resolving_unit="05983", due_at=at("17:00", "2026-10-06"))
    forwarded = at("16:00"), Forwarded(to_unit="05983")

    assert fold(receipt).flags == ()
    assert fold(receipt, forwarded).flags == ()
    assert fold(receipt, (at("09:00"), Forwarded(to_unit="05983"))).flags == ("due_beyond_limit",)


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
    ahead = recorded._replace(recorded_at=recorded.occurred_at - timedelta(minutes=6))
    within = recorded._replace(recorded_at=recorded.occurred_at - timedelta(minutes=5))

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

    assert [step.code for step in counted] == ["received", "after_cut_off", "limit"]
    assert counted[-1].due_at == at("17:00", "2026-10-06")
    assert [step.code for step in given_by_sender] == ["received", "limit", "appointed"]


def sent_by(unit: str, occurrence: Occurrence) -> Occurrence:
    return occurrence._replace(sender_units=frozenset({unit}))


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


def test_a_forwarding_after_the_end_gives_nobody_else_the_outcome_nor_more_time() -> None:
    life = (
        (at("08:30"), received()),
        (at("09:00"), Forwarded(to_unit="05983")),
        (at("10:00", "2026-10-09"), APPROVED),
    )

    ended, passed_on = fold(*life), fold(*life, (at("11:00", "2026-10-09"), Forwarded(to_unit="LS-STP")))

    assert ended.resolving_unit == "05983"
    assert ended.ended_on is not None
    assert ended.due_on is not None
    assert ended.due_on < ended.ended_on
    assert replace(passed_on, position=ended.position, recorded_at=ended.recorded_at, flags=()) == ended
    assert passed_on.flags == ("event_after_close",)


def test_the_last_forwarding_until_the_end_counts_however_late_the_end_was_recorded() -> None:
    *before, outcome, later = happened(
        (at("08:30"), received()),
        (at("09:00"), Forwarded(to_unit="05977")),
        (at("10:00"), Forwarded(to_unit="05983")),
        (at("10:00"), APPROVED),
        (at("11:00"), Forwarded(to_unit="LS-STP")),
    )

    found = lifecycle.fold("H37", [*before, outcome._replace(recorded_at=at("12:00")), later], KNOWN)

    assert (found.resolving_unit, found.flags) == ("05983", ("event_after_close",))


PASSED_ON = (received(), Forwarded(to_unit="05983"), Forwarded(to_unit="LS-STP"))


@pytest.mark.parametrize(
    ("events", "senders", "named"),
    [
        pytest.param(PASSED_ON, ("05977", "05977", "05983"), {"05977", "05983", "LS-STP"}, id="one-by-another"),
        pytest.param(PASSED_ON, ("05977", "05983", "LS-STP"), {"05977"}, id="each-by-itself"),
        pytest.param(PASSED_ON, ("05977", "LS-STP", None), {"05977", "LS-STP"}, id="by-the-province"),
        pytest.param(
            (received(resolving_unit="05983"), Corrected(event_id="e1", resolving_unit="LS-STP")),
            ("05977", "05977"),
            {"05977", "05983", "LS-STP"},
            id="corrected",
        ),
        pytest.param(
            (received(), Corrected(event_id="e1", receiving_unit="05983")), ("05977", "05983"), {"05977"}, id="claimed"
        ),
    ],
)
def test_a_unit_has_part_in_a_dossier_by_its_receipt_or_by_somebody_who_had(
    events: Sequence[Data], senders: Sequence[str | None], named: set[str]
) -> None:
    sent = [
        occurrence if sender is None else sent_by(sender, occurrence)
        for occurrence, sender in zip(
            happened(*((at(f"{hour:02d}:00"), data) for hour, data in enumerate(events, 8))), senders, strict=True
        )
    ]

    assert lifecycle.units_named(sent) == lifecycle.units_named(sent[::-1]) == named


def test_what_is_recorded_within_eight_working_hours_is_not_late_even_over_days_off() -> None:
    friday = happened((at("16:00", "2026-10-02"), received()))[0]
    monday = friday._replace(recorded_at=at("16:00"))
    too_late = friday._replace(recorded_at=at("16:01"))

    assert lifecycle.fold("H37", [monday], KNOWN).flags == ()
    assert lifecycle.fold("H37", [too_late], KNOWN).flags == ("late_recording",)


def test_what_is_recorded_months_later_is_late() -> None:
    receipt = happened((at("08:30"), received()))[0]

    found = lifecycle.fold("H37", [receipt._replace(recorded_at=at("08:30", "2027-10-05"))], KNOWN)

    assert found.flags == ("late_recording",)


@pytest.mark.parametrize(
    ("end", "status"), [(Declined(), "declined"), (Withdrawn(), "withdrawn"), (Stopped(), "stopped")]
)
def test_a_dossier_may_end_without_an_outcome(end: Data, status: str) -> None:
    standing = fold((at("08:30"), received()), (at("11:00"), end))

    assert (standing.status, standing.ended_at, standing.outcome) == (status, at("11:00"), None)


def test_the_end_of_processing_is_looked_for_in_one_order() -> None:
    ends: list[Data] = [APPROVED, Returned(channel="counter"), Declined(), Withdrawn(), Stopped()]
    # The weaker an end is, the earlier it comes; the strongest still decides.
    found = [
        fold((at("08:30"), received()), *((at(f"{16 - rank}:00"), end) for rank, end in enumerate(ends[first:], first)))
        for first in range(len(ends))
    ]

    assert [standing.status for standing in found] == ["resolved", "resolved", "declined", "withdrawn", "stopped"]
    assert [standing.ended_at for standing in found] == [at(f"{16 - first}:00") for first in range(len(ends))]


def test_what_is_declined_at_once_has_no_receipt_to_miss() -> None:
    standing = fold((at("08:30"), Declined(reason="not ours")))

    assert (standing.status, standing.receiving_unit, standing.flags) == ("declined", None, ())


def test_a_voided_dossier_keeps_its_units_and_counts_as_voided() -> None:
    standing = fold((at("08:30"), received()), (at("09:00"), APPROVED), (at("10:00"), Voided(reason="a test")))

    assert (standing.status, standing.receiving_unit, standing.flags) == ("voided", "05977", ())


def test_a_dossier_voided_before_its_receipt_misses_none() -> None:
    standing = fold((at("10:00"), Voided(reason="a test")))

    assert (standing.status, standing.flags) == ("voided", ())


ENDS: tuple[Data, ...] = (APPROVED, Returned(channel="counter"), Declined(), Withdrawn(), Stopped())


@pytest.mark.parametrize("end", ENDS, ids=lambda data: type(data).__name__)
@pytest.mark.parametrize(
    "late",
    [
        Forwarded(to_unit="05983"),
        SupplementRequested(),
        Paused(reason="appraisal"),
        Extended(due_at=at("17:00", "2026-10-09")),
        *ENDS[1:],
        APPROVED,
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_opens_or_ends_a_dossier_after_its_end_is_flagged(late: Data, end: Data) -> None:
    standing = fold((at("08:30", "2026-10-02"), received()), (at("09:00", "2026-10-02"), end), (at("08:00"), late))

    # The result is handed over after the outcome, perhaps twice; a second outcome has a flag of its own.
    is_odd = (type(end), type(late)) not in {(Resolved, Returned), (Resolved, Resolved), (Returned, Returned)}
    assert ("event_after_close" in standing.flags) == is_odd
    assert end is not APPROVED or (standing.status, standing.ended_at) == ("resolved", at("09:00", "2026-10-02"))


@pytest.mark.parametrize("end", ENDS, ids=lambda data: type(data).__name__)
def test_the_earliest_end_of_a_kind_stands(end: Data) -> None:
    assert fold((at("08:30"), received()), (at("10:00"), end), (at("11:00"), end)).ended_at == at("10:00")


def test_what_the_outcome_tells_is_kept() -> None:
    outcome = Resolved(outcome="approved", result="both", in_person=True, reused_data=True, digitised=True)

    told, untold = (fold((at("08:30"), received()), (at("09:00"), end)) for end in (outcome, APPROVED))

    assert (told.result, told.in_person, told.reused_data, told.digitised) == ("both", True, True, True)
    assert (untold.result, untold.in_person, untold.reused_data, untold.digitised) == (
        "electronic",
        False,
        False,
        False,
    )


def test_flags_are_in_the_order_of_their_names() -> None:
    standing = fold(
        (at("08:30"), received(procedure="unknown")),
        (at("08:40"), received()),
        (at("09:00"), APPROVED),
        (at("09:30"), APPROVED),
        (at("10:00"), Withdrawn()),
    )

    assert standing.flags == ("event_after_close", "repeated_receipt", "repeated_resolution", "unknown_procedure")


def test_what_a_limited_sender_tells_before_the_receipt_waits_for_it() -> None:
    (paid,) = happened((at("09:00"), Paid(amount=5, method="online")))

    found = lifecycle.fold("H37", [sent_by("05977", paid)], KNOWN)

    assert (found.status, found.payments, found.flags) == ("unreceived", 1, ("missing_receipt",))


@pytest.mark.parametrize(
    "late",
    [Paid(amount=5, method="cash"), Returned(channel="counter"), Rated(score=5)],
    ids=lambda data: type(data).__name__,
)
def test_what_usually_follows_the_end_is_nothing_odd(late: Data) -> None:
    assert fold((at("08:30"), received()), (at("09:00"), APPROVED), (at("10:00"), late)).flags == ()


def test_the_latest_rating_stands() -> None:
    standing = fold(
        (at("08:30"), received()),
        (at("09:00"), Rated(score=2)),
        (at("09:00", "2026-10-07"), Rated(score=5)),
        (at("09:00", "2026-10-06"), Rated(score=1)),
    )

    assert (standing.score, standing.rated_on) == (5, date(2026, 10, 7))


def test_what_was_offered_at_the_receipt_is_the_sender_s_or_the_procedure_s() -> None:
    procedure = next(p for p in reference.procedures() if p.code == "2.000815")

    assert fold((at("08:30"), received())).online_level == procedure.online_level
    assert fold((at("08:30"), received(online_level="none"))).online_level == "none"


def test_a_resolving_unit_that_is_none_on_the_day_is_flagged() -> None:
    standing = fold((at("08:30"), received(resolving_unit="00000")))

    assert standing.flags == ("unknown_unit",)
    assert (standing.receiving_unit_since, standing.resolving_unit_since) == (date(2025, 7, 1), None)


def test_a_unit_that_is_none_on_the_day_is_flagged() -> None:
    standing = fold((at("08:30"), received(receiving_unit="00000")))

    assert standing.flags == ("unknown_unit",)
    assert standing.receiving_unit_since is None


@pytest.mark.parametrize(
    ("payments", "refunds", "left"),
    [
        pytest.param([5], [5], 0, id="in-whole"),
        pytest.param([5], [3], 1, id="in-part"),
        pytest.param([5], [3, 2], 0, id="in-two-parts"),
        pytest.param([5, 7, 5], [7], 2, id="the-payment-of-that-amount"),
        pytest.param([5, 7], [6], 2, id="from-the-latest-back"),
        pytest.param([5, 7], [8], 1, id="the-latest-in-whole-and-a-part-of-the-one-before"),
    ],
)
def test_a_payment_refunded_in_whole_no_longer_counts(payments: list[int], refunds: list[int], left: int) -> None:
    standing = fold(
        (at("08:30"), received(fee_required=False)),
        *((at(f"09:{n:02d}"), Paid(amount=amount, method="online")) for n, amount in enumerate(payments)),
        *((at(f"10:{n:02d}"), Refunded(amount=amount)) for n, amount in enumerate(refunds)),
    )

    assert (standing.payments, standing.payments_online, standing.fee_due) == (left, left, left > 0)
    assert standing.flags == ()


@pytest.mark.parametrize(
    ("payments", "refunds", "left_online"),
    [
        pytest.param([(5, "online"), (5, "cash")], [5], 1, id="the-latest-of-that-amount"),
        pytest.param([(7, "cash"), (5, "online"), (5, "online")], [7], 2, id="the-one-of-that-amount-first"),
        pytest.param([(5, "cash"), (7, "online")], [2, 5], 1, id="not-what-is-left-of-another"),
        pytest.param([(7, "online"), (5, "cash")], [2, 5], 1, id="not-one-refunded-in-part"),
        pytest.param([(5, "online"), (5, "cash")], [5, 5], 0, id="each-once"),
    ],
)
def test_a_refund_is_set_against_the_payment_that_it_fits(
    payments: list[tuple[int, Any]], refunds: list[int], left_online: int
) -> None:
    standing = fold(
        (at("08:30"), received()),
        *((at(f"09:{n:02d}"), Paid(amount=amount, method=method)) for n, (amount, method) in enumerate(payments)),
        *((at(f"10:{n:02d}"), Refunded(amount=amount)) for n, amount in enumerate(refunds)),
    )

    assert standing.payments_online == left_online


def test_more_refunded_than_paid_is_flagged() -> None:
    standing = fold(
        (at("08:30"), received()), (at("09:00"), Paid(amount=5, method="cash")), (at("10:00"), Refunded(amount=6))
    )

    assert (standing.payments, standing.flags) == (0, ("refund_beyond_payment",))


# Few instants, so that many events share one.
_instants = st.integers(0, 47).map(lambda hour: at("00:00") + timedelta(hours=hour))
_ids = st.integers(1, 12).map(lambda number: f"e{number}")
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
    st.builds(SupplementRequested),
    st.builds(Supplemented, due_at=st.none() | _instants),
    st.builds(Paused, reason=st.sampled_from(["appraisal", "other"])),
    st.builds(Resumed, due_at=st.none() | _instants),
    st.builds(Refunded, amount=st.integers(1, 10)),
    st.builds(Extended, due_at=_instants),
    st.builds(Declined),
    st.builds(Withdrawn),
    st.builds(Stopped),
    st.builds(Rated, score=st.integers(1, 5)),
    st.builds(Voided, reason=st.just("a test")),
    st.builds(Corrected, event_id=_ids, time=_instants),
    st.builds(Corrected, event_id=_ids, due_at=st.none() | _instants, channel=st.just("postal")),
    st.builds(Corrected, event_id=_ids, amount=st.integers(0, 10)),
    st.builds(Retracted, event_id=_ids, reason=st.just("a mistake")),
    st.builds(Retracted, event_id=_ids, reason=st.just("a mistake")),
)
_lives = st.lists(st.tuples(_instants, _data), min_size=1, max_size=12)


@given(_lives, st.randoms(use_true_random=False))
def test_arrival_order_never_changes_the_outcome(events: list[tuple[datetime, Data]], random: Any) -> None:  # noqa: ANN401
    in_order = happened(*events)
    shuffled = list(in_order)
    random.shuffle(shuffled)
    # Positions follow arrival, so only what the events say may decide, and ids stay with their events.
    arrived = [occurrence._replace(position=position) for position, occurrence in enumerate(shuffled, 1)]

    one, other = lifecycle.fold("H", in_order, KNOWN), lifecycle.fold("H", arrived, KNOWN)

    assert replace(one, position=0, recorded_at=None) == replace(other, position=0, recorded_at=None)


@given(_lives)
def test_the_fold_is_total_and_its_explanation_ends_at_its_due_date(events: list[tuple[datetime, Data]]) -> None:
    standing = fold(*events)

    steps = lifecycle.explain_due(happened(*events), KNOWN)

    assert (standing.received_at is None) == (standing.due_at is None and not steps)
    assert standing.status != "unreceived" or standing.received_at is None
    assert standing.ended_at is not None or standing.status in {"unreceived", "pending", "voided"}
    assert standing.paused_at is None or standing.ended_at is None
    if steps:
        named = [step.due_at for step in steps if step.due_at is not None]
        assert standing.due_at == (named[-1] if named else None)


def test_every_kind_of_event_has_its_step() -> None:
    assert set(lifecycle.STEPS) == set(get_args(Data)) - {Corrected, Retracted}


def test_every_kind_of_event_is_drawn_in_the_tests_of_the_fold() -> None:
    drawn: set[type] = set()

    @settings(max_examples=300, database=None)
    @given(_data)
    def note(data: Data) -> None:
        drawn.add(type(data))

    note()

    assert drawn == set(get_args(Data))


_senders = st.sampled_from([None, frozenset({"05977"}), frozenset({"05983"}), frozenset({"05983", "LS-STP"})])
_sent_lives = st.lists(st.tuples(_instants, _data, _senders), min_size=1, max_size=12)


@given(_sent_lives, st.randoms(use_true_random=False))
def test_arrival_order_never_changes_whose_a_dossier_is_and_was(
    events: list[tuple[datetime, Data, frozenset[str] | None]],
    random: Any,  # noqa: ANN401
) -> None:
    in_order = [
        occurrence._replace(sender_units=senders)
        for occurrence, (_, _, senders) in zip(happened(*((at_, data) for at_, data, _ in events)), events, strict=True)
    ]
    shuffled = list(in_order)
    random.shuffle(shuffled)

    one, other = log.folded("H", in_order, KNOWN), log.folded("H", shuffled, KNOWN)

    assert one == other


# However long a calendar declares days off, beyond them work goes on, so every count comes to an end.
NEVER_WORKED = catalogue(
    reference.units("20"),
    reference.procedures(),
    [CalendarDay(on_day=date(2026, 1, 1) + timedelta(days=n), working=False, name="x") for n in range(1_000)],
)
_far = st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30)).map(  # noqa: DTZ001 - the offset is added at once
    lambda when: when.replace(tzinfo=VIETNAM)
)
_far_data = st.one_of(
    _data,
    st.builds(Supplemented, due_at=st.none() | _far),
    st.builds(Extended, due_at=_far),
    st.builds(SupplementRequested),
)


@given(st.lists(st.tuples(_far, _far_data), max_size=8), _far)
def test_the_fold_is_total_over_all_instants_that_an_event_may_name(
    events: list[tuple[datetime, Data]], received_at: datetime
) -> None:
    for catalogue_ in (KNOWN, NEVER_WORKED):
        history = happened((received_at, received(due_at=None)), *events)
        standing = lifecycle.fold("H", history, catalogue_)
        steps = lifecycle.explain_due(history, catalogue_)

        assert not steps or steps[-1].due_at == standing.due_at
