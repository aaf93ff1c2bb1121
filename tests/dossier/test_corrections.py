"""A sender takes back or puts right what it sent, and the dossier stands as if it had been right from the start."""

from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

import pytest

from services.cli import reference
from services.contract import (
    Corrected,
    Data,
    Paid,
    Paused,
    Received,
    Resolved,
    Retracted,
    Returned,
    Standing,
    Voided,
)
from services.dossier.domain import history, lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.history import Occurrence

KNOWN = catalogue(reference.units("20"), reference.procedures(), reference.calendar())
UNDOING = (Corrected, Retracted)
MISTAKE = "a mistake"


def at(clock: str, day: str = "2026-10-05") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00+07:00")


def event(number: int, clock: str, data: Data, **more: Any) -> Occurrence:  # noqa: ANN401 - fields of Occurrence
    return Occurrence(
        **{
            "position": number,
            "recorded_at": at(clock),
            "source": "urn:x",
            "id": f"e{number}",
            "occurred_at": at(clock),
            "data": data,
            **more,
        }
    )


RECEIPT = event(
    1,
    "08:30",
    Received(procedure="2.000815", receiving_unit="05977", channel="online", due_at=at("16:00"), fee_required=True),
)
PAYMENT = event(2, "09:00", Paid(amount=20_000, method="cash"))
OUTCOME = event(3, "10:00", Resolved(outcome="approved", result="paper"))
LIFE = (RECEIPT, PAYMENT, OUTCOME)


def fold(*events: Occurrence) -> Standing:
    return replace(lifecycle.fold("H37", events, KNOWN), position=0, recorded_at=None)


def corrected(number: int, clock: str, event_id: str, **fields: Any) -> Occurrence:  # noqa: ANN401 - any field
    return event(number, clock, Corrected(event_id=event_id, **fields))


def retracted(number: int, clock: str, event_id: str, **more: Any) -> Occurrence:  # noqa: ANN401 - fields of Occurrence
    return event(number, clock, Retracted(event_id=event_id, reason=MISTAKE), **more)


def test_a_correction_replaces_the_fields_that_it_names_and_keeps_the_others() -> None:
    right = PAYMENT._replace(data=Paid(amount=20_000, method="online", platform="provincial"))

    found = fold(*LIFE, corrected(4, "11:00", "e2", method="online", platform="provincial"))

    assert found == fold(RECEIPT, right, OUTCOME)
    assert found.payments_online == 1


def test_a_correction_may_put_an_event_at_another_time() -> None:
    found = fold(*LIFE, corrected(4, "11:00", "e3", time=at("17:30")))

    assert found.ended_at == at("17:30")


def test_null_takes_an_optional_field_away() -> None:
    found = fold(*LIFE, corrected(4, "11:00", "e1", due_at=None))

    assert found.due_at == at("17:00")


def test_a_later_correction_wins_whichever_arrived_first() -> None:
    first, second = corrected(5, "11:00", "e2", amount=1), corrected(4, "12:00", "e2", method="online")
    third = corrected(6, "13:00", "e2", method="transfer")

    effects = [history.effect([*LIFE, *order]) for order in ((first, second, third), (third, first, second))]

    assert effects[0] == effects[1]
    assert effects[0].events[1].data == Paid(amount=1, method="transfer")
    assert effects[0].corrected_by == {("urn:x", "e2"): ["e5", "e4", "e6"]}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"score": 5}, id="a-field-of-another-kind"),
        pytest.param({"score": None}, id="null-for-a-field-of-another-kind"),
        pytest.param({"amount": None}, id="a-required-field-taken-away"),
        pytest.param({"reason": "because", "method": "online"}, id="one-bad-field-voids-all-of-it"),
    ],
)
def test_a_correction_that_the_event_could_not_hold_is_flagged_and_left_out(fields: dict[str, Any]) -> None:
    found = fold(*LIFE, corrected(4, "11:00", "e2", **fields))

    assert found == replace(fold(*LIFE), flags=("invalid_correction",))


def test_a_reason_that_is_no_reason_for_a_pause_is_an_invalid_correction() -> None:
    pause = event(2, "09:00", Paused(reason="other"))

    assert fold(RECEIPT, pause, corrected(3, "10:00", "e2", reason="appraisal")).pause_reason == "appraisal"
    assert fold(RECEIPT, pause, corrected(3, "10:00", "e2", reason="tired")).flags == ("invalid_correction",)


def test_corrections_and_retractions_themselves_cannot_be_corrected() -> None:
    found = fold(*LIFE, corrected(4, "11:00", "e2", amount=1), corrected(5, "12:00", "e4", amount=2))

    assert found.flags == ("invalid_correction",)


def test_a_retracted_event_never_happened() -> None:
    assert fold(*LIFE, retracted(4, "11:00", "e2")) == fold(RECEIPT, OUTCOME)


def test_a_dossier_is_opened_again_by_retracting_its_end() -> None:
    found = fold(*LIFE, retracted(4, "11:00", "e3"))

    assert (found.status, found.ended_at, found.outcome) == ("pending", None, None)


def test_a_voided_dossier_comes_back_by_retracting_the_voiding() -> None:
    voided = event(4, "11:00", Voided(reason=MISTAKE))

    assert fold(*LIFE, voided).status == "voided"
    assert fold(*LIFE, voided, retracted(5, "12:00", "e4")) == fold(*LIFE)


def test_a_retraction_can_be_retracted() -> None:
    assert fold(*LIFE, retracted(4, "11:00", "e3"), retracted(5, "12:00", "e4")) == fold(*LIFE)


def test_a_retracted_correction_has_no_effect() -> None:
    assert fold(*LIFE, corrected(4, "11:00", "e2", amount=0), retracted(5, "12:00", "e4")) == fold(*LIFE)


def test_of_two_retractions_of_each_other_the_later_one_decides() -> None:
    found = fold(*LIFE, retracted(4, "11:00", "e5"), retracted(5, "12:00", "e4"))

    assert found == replace(fold(*LIFE), flags=())


def test_a_retraction_of_itself_is_flagged() -> None:
    assert fold(*LIFE, retracted(4, "11:00", "e4")) == replace(fold(*LIFE), flags=("unknown_event",))


def test_an_event_dated_after_its_retraction_is_retracted_too() -> None:
    far_ahead = OUTCOME._replace(occurred_at=at("10:00", "2030-10-05"))

    assert fold(RECEIPT, PAYMENT, far_ahead, retracted(4, "11:00", "e3")) == fold(RECEIPT, PAYMENT)


@pytest.mark.parametrize("undoing", [corrected(4, "11:00", "e9", amount=1), retracted(4, "11:00", "e9")])
def test_what_names_an_event_that_is_not_there_is_flagged_until_it_is(undoing: Occurrence) -> None:
    late = event(9, "09:30", Paid(amount=5, method="online"))

    assert fold(*LIFE, undoing).flags == ("unknown_event",)
    assert fold(*LIFE, undoing, late).flags == ()


def test_a_sender_undoes_only_what_came_from_its_own_source() -> None:
    found = fold(*LIFE, retracted(4, "11:00", "e3", source="urn:another"))

    assert found == replace(fold(*LIFE), flags=("unknown_event",))


@pytest.mark.parametrize(
    ("recorded_by", "undone_by", "undone"),
    [
        pytest.param({"05977"}, None, True, id="the-province-undoes-anything"),
        pytest.param({"05977"}, {"05977", "05983"}, True, id="a-wider-client-undoes-a-narrower-one-s"),
        pytest.param(None, {"05977"}, False, id="a-unit-does-not-undo-the-province-s"),
        pytest.param({"05977", "05983"}, {"05977"}, False, id="a-narrower-client-does-not-undo-a-wider-one-s"),
    ],
)
def test_who_may_undo_an_event(recorded_by: set[str] | None, undone_by: set[str] | None, *, undone: bool) -> None:
    outcome = OUTCOME._replace(sender_units=None if recorded_by is None else frozenset(recorded_by))
    undoing = retracted(4, "11:00", "e3")._replace(sender_units=None if undone_by is None else frozenset(undone_by))

    found = fold(RECEIPT, outcome, undoing)

    assert (found.status, found.flags) == (("pending", ()) if undone else ("resolved", ("foreign_event",)))


def test_a_return_still_ends_a_dossier_whose_resolution_was_retracted() -> None:
    returned = event(4, "14:00", Returned(channel="online"))

    assert fold(*LIFE, returned, retracted(5, "15:00", "e3")).ended_at == at("14:00")


def test_a_correction_may_name_any_field_of_any_event() -> None:
    fields = {name for kind in get_args(Data) if kind not in UNDOING for name in kind.model_fields}

    assert set(Corrected.model_fields) == fields | {"event_id", "time"}


def test_an_event_put_at_another_time_takes_its_place_among_the_others() -> None:
    late = event(4, "11:00", Received(procedure="2.000815", receiving_unit="05983", channel="counter"))

    found = fold(*LIFE, late, corrected(5, "12:00", "e4", time=at("08:00")))

    assert (found.receiving_unit, found.received_at) == ("05983", at("08:00"))


def test_an_earlier_retraction_does_not_take_a_later_one_back() -> None:
    first, second = retracted(4, "11:00", "e5"), retracted(5, "12:00", "e2")

    found = history.effect([*LIFE, first, second])

    assert found.retracted_by == {PAYMENT.key: "e5"}
    assert found.flags == {"unknown_event"}


def test_what_stands_after_retractions_does_not_depend_on_the_order_of_their_arrival() -> None:
    events = [*LIFE, retracted(4, "11:00", "e2"), retracted(5, "12:00", "e4"), retracted(6, "13:00", "e3")]

    one, other = lifecycle.unretracted(events), lifecycle.unretracted(events[::-1])

    assert [occurrence.id for occurrence in one] == ["e1", "e2", "e5", "e6"]
    assert one == other[::-1]


def test_a_receipt_corrected_to_another_unit_keeps_the_dossier_and_what_its_sender_told_of_it() -> None:
    theirs = frozenset({"05977"})
    moved = corrected(4, "11:00", "e1", receiving_unit="05983")

    found = fold(RECEIPT._replace(sender_units=theirs), OUTCOME._replace(sender_units=theirs), moved)

    assert (found.status, found.receiving_unit, found.flags) == ("resolved", "05983", ())
