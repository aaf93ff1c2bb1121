"""A dossier tells whose receipt stands, when that was recorded, and on which days its citizen was asked for more."""

from datetime import datetime, timedelta

import pytest

from services.cli import reference
from services.contract import (
    Corrected,
    Data,
    Received,
    Resolved,
    Resumed,
    Retracted,
    Standing,
    Supplemented,
    SupplementRequested,
    Withdrawn,
)
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.history import Occurrence

KNOWN = catalogue(reference.units("20"), reference.procedures(), reference.calendar())
HOUR = timedelta(hours=1)
ASKED, COMPLETED, RESOLVED = SupplementRequested(), Supplemented(), Resolved(outcome="approved")


def at(day: int, clock: str = "09:00") -> datetime:
    return datetime.fromisoformat(f"2026-10-{day:02d}T{clock}:00+07:00")


def receipt(**more: str) -> Received:
    return Received.model_validate({"procedure": "2.000815", "receiving_unit": "05977", "channel": "counter", **more})


def sent(number: int, occurred_at: datetime, data: Data, source: str = "urn:x") -> Occurrence:
    """Return an event that was recorded as many hours after it happened as it is numbered."""
    return Occurrence(number, occurred_at + number * HOUR, source, f"e{number}", occurred_at, data)


def fold(*events: tuple[datetime, Data]) -> Standing:
    return lifecycle.fold("H", [sent(number, *event) for number, event in enumerate(events, 1)], KNOWN)


RECEIVED = (at(5), receipt())


def test_the_source_is_the_sender_of_the_receipt_that_stands() -> None:
    events = [
        sent(1, at(6), receipt(), "urn:later"),
        sent(2, at(5), receipt(), "urn:earlier"),
        sent(3, at(7), RESOLVED, "urn:other"),
    ]

    standing = lifecycle.fold("H", events, KNOWN)

    assert (standing.source, standing.receipt_recorded_at) == ("urn:earlier", at(5) + 2 * HOUR)


def test_once_a_receipt_is_taken_back_the_next_one_says_who_sent_it_and_when() -> None:
    events = [
        sent(1, at(5), receipt(), "urn:first"),
        sent(2, at(6), receipt(), "urn:second"),
        sent(3, at(7), Retracted(event_id="e1", reason="a mistake"), "urn:first"),
    ]

    standing = lifecycle.fold("H", events, KNOWN)

    assert (standing.source, standing.receipt_recorded_at) == ("urn:second", at(6) + 2 * HOUR)


def test_a_corrected_receipt_was_recorded_when_it_was_sent() -> None:
    standing = fold(RECEIVED, (at(6), Corrected.model_validate({"event_id": "e1", "channel": "online"})))

    assert (standing.channel, standing.receipt_recorded_at) == ("online", at(5) + HOUR)


def test_before_its_receipt_a_dossier_tells_no_source() -> None:
    standing = fold((at(5), RESOLVED))

    assert (standing.source, standing.receipt_recorded_at) == (None, None)


def test_a_request_lasts_from_the_day_the_citizen_was_asked_to_the_day_the_dossier_was_completed() -> None:
    standing = fold(RECEIVED, (at(5, "16:00"), ASKED), (at(8, "08:00"), COMPLETED))

    assert standing.supplement_spans == ("2026-10-05/2026-10-08",)


def test_days_of_requests_are_those_of_vietnam() -> None:
    before_seven = (datetime.fromisoformat(f"2026-10-{day}T20:00:00+00:00") for day in ("06", "07"))
    asked_at, completed_at = before_seven

    standing = fold(RECEIVED, (asked_at, ASKED), (completed_at, COMPLETED))

    assert standing.supplement_spans == ("2026-10-07/2026-10-08",)


def test_a_request_that_was_not_met_has_no_last_day() -> None:
    standing = fold(RECEIVED, (at(6), ASKED), (at(8), COMPLETED), (at(12), ASKED))

    assert standing.supplement_spans == ("2026-10-06/2026-10-08", "2026-10-12/")


def test_of_two_requests_at_once_each_begins_on_its_day_and_both_end_with_the_completion() -> None:
    standing = fold(RECEIVED, (at(6), ASKED), (at(7), ASKED), (at(9), COMPLETED), (at(12), ASKED))

    assert standing.supplement_spans == ("2026-10-06/2026-10-09", "2026-10-07/2026-10-09", "2026-10-12/")
    assert standing.supplements == 3


def test_a_completion_that_nobody_asked_for_ends_no_later_request() -> None:
    standing = fold(RECEIVED, (at(6), COMPLETED), (at(7), ASKED))

    assert standing.supplement_spans == ("2026-10-07/",)


def test_a_resumption_ends_no_request() -> None:
    standing = fold(RECEIVED, (at(6), ASKED), (at(7), Resumed()))

    assert standing.supplement_spans == ("2026-10-06/",)


@pytest.mark.parametrize("end", [RESOLVED, Withdrawn()])
def test_a_request_that_was_open_at_the_end_of_processing_ends_on_that_day(end: Data) -> None:
    unmet = fold(RECEIVED, (at(6), ASKED), (at(9), end))
    met_too_late = fold(RECEIVED, (at(6), ASKED), (at(9), end), (at(14), COMPLETED))

    assert unmet.supplement_spans == met_too_late.supplement_spans == ("2026-10-06/2026-10-09",)


def test_a_request_after_the_end_of_processing_has_no_days_but_is_counted() -> None:
    standing = fold(RECEIVED, (at(9), RESOLVED), (at(9, "10:00"), ASKED), (at(14), COMPLETED))

    assert (standing.supplements, standing.supplement_spans) == (1, ())


def test_a_request_that_was_taken_back_has_no_days() -> None:
    standing = fold(RECEIVED, (at(6), ASKED), (at(7), Retracted(event_id="e2", reason="a mistake")))

    assert (standing.supplements, standing.supplement_spans) == (0, ())
