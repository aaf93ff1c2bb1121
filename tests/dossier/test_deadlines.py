"""Time that is not the authority's own moves the due date; nothing else does, and every step is told in words."""

from datetime import date, datetime
from typing import Any

import pytest

from services.cli import reference
from services.contract import (
    Data,
    Extended,
    Forwarded,
    Paused,
    Procedure,
    Received,
    Resolved,
    Resumed,
    Standing,
    Supplemented,
    SupplementRequested,
    Unit,
)
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import Catalogue, catalogue
from services.dossier.domain.deadline import DueStep
from services.dossier.domain.history import Occurrence

TEN_DAYS = {"amount": 10, "unit": "working_days"}
VERIFYING, PAYING = Paused(reason="verification"), Paused(reason="financial_obligation")


def at(day: str, clock: str = "09:00") -> datetime:
    return datetime.fromisoformat(f"2026-{day}T{clock}:00+07:00")


def known(*, unit_class: str = "other", **procedure: Any) -> Catalogue:  # noqa: ANN401 - fields of Procedure
    usual = {
        "code": "P",
        "name": "P",
        "field": {"code": "F", "name": "F"},
        "limit": TEN_DAYS,
        "fee_required": False,
        "online_level": "full",
        "valid_from": date(2025, 1, 1),
    }
    units = [
        Unit.model_validate(
            {"code": code, "name": code, "kind": "commune", "class": unit_class, "valid_from": date(2025, 1, 1)}
        )
        for code in ("A", "B")
    ]
    return catalogue(units, [Procedure.model_validate(usual | procedure)], reference.calendar())


def received(**more: Any) -> Received:  # noqa: ANN401 - fields of Received
    return Received(**{"procedure": "P", "receiving_unit": "A", "channel": "counter", **more})


def happened(*events: tuple[datetime, Data]) -> list[Occurrence]:
    return [
        Occurrence(position, occurred_at, "urn:x", f"e{position}", occurred_at, data)
        for position, (occurred_at, data) in enumerate(events, 1)
    ]


def fold(*events: tuple[datetime, Data], on: Catalogue | None = None) -> Standing:
    return lifecycle.fold("H", happened(*events), on or known())


def explained(*events: tuple[datetime, Data], on: Catalogue | None = None) -> list[DueStep]:
    return list(lifecycle.explain_due(happened(*events), on or known()))


RECEIVED = (at("10-05"), received())


def test_a_supplement_pushes_the_due_date_by_the_working_time_it_took() -> None:
    without = fold(RECEIVED)
    standing = fold(RECEIVED, (at("10-06", "16:00"), SupplementRequested()), (at("10-08", "08:00"), Supplemented()))

    assert without.due_at == at("10-19", "17:00")
    # An hour of the 6th, the 7th, an hour of the 8th: one day and two hours.
    assert standing.due_at == at("10-21", "09:00")
    assert (standing.supplements, standing.pauses, standing.flags) == (1, 1, ())


def test_a_pause_over_days_off_only_pushes_nothing() -> None:
    standing = fold(RECEIVED, (at("10-09", "17:00"), VERIFYING), (at("10-12", "07:00"), Resumed()))

    assert standing.due_at == at("10-19", "17:00")


def test_the_sender_s_due_date_is_pushed_like_a_counted_one() -> None:
    standing = fold(
        (at("10-05"), received(due_at=at("10-12", "17:00"))),
        (at("10-06", "08:00"), VERIFYING),
        (at("10-07", "08:00"), Resumed()),
    )

    assert standing.due_at == at("10-13", "17:00")


@pytest.mark.parametrize("pause", [(SupplementRequested(), Supplemented), (VERIFYING, Resumed)])
def test_a_new_appointment_at_the_end_of_a_pause_stands_as_it_is(pause: tuple[Data, type[Supplemented]]) -> None:
    begins, ends = pause
    standing = fold(RECEIVED, (at("10-06"), begins), (at("10-07"), ends(due_at=at("10-30", "17:00"))))

    assert standing.due_at == at("10-30", "17:00")


def test_pauses_that_overlap_are_counted_once() -> None:
    standing = fold(
        RECEIVED,
        (at("10-06", "08:00"), SupplementRequested()),
        (at("10-07", "08:00"), PAYING),
        (at("10-08", "08:00"), Supplemented()),
        (at("10-09", "08:00"), Resumed()),
    )

    assert standing.due_at == at("10-22", "17:00")


def test_the_clock_stands_still_until_every_reason_has_ended() -> None:
    standing = fold(
        RECEIVED, (at("10-06"), SupplementRequested()), (at("10-07"), PAYING), (at("10-08"), Supplemented())
    )

    assert (standing.paused_at, standing.pause_reason) == (at("10-08"), "financial_obligation")


def test_a_dossier_that_waits_for_its_citizen_says_since_when_and_why() -> None:
    standing = fold(RECEIVED, (at("10-06"), SupplementRequested()))

    assert (standing.status, standing.paused_at, standing.pause_reason) == ("pending", at("10-06"), "supplement")
    assert standing.due_at == at("10-19", "17:00")


def test_a_second_supplement_request_is_flagged() -> None:
    standing = fold(
        RECEIVED,
        (at("10-06"), SupplementRequested()),
        (at("10-07"), Supplemented()),
        (at("10-08"), SupplementRequested()),
    )

    assert (standing.supplements, standing.flags) == (2, ("repeated_supplement",))


@pytest.mark.parametrize("end", [Supplemented(), Resumed()])
def test_the_end_of_a_pause_that_never_began_is_flagged(end: Data) -> None:
    standing = fold(RECEIVED, (at("10-06"), end))

    assert (standing.due_at, standing.flags) == (at("10-19", "17:00"), ("unmatched_resumption",))


def test_an_appointment_counts_even_if_the_request_for_a_supplement_is_missing() -> None:
    standing = fold(RECEIVED, (at("10-06"), Supplemented(due_at=at("10-30", "17:00"))))

    assert (standing.due_at, standing.flags) == (at("10-30", "17:00"), ("unmatched_resumption",))


def test_a_dossier_resolved_while_the_clock_stood_still_is_not_charged_for_the_pause() -> None:
    standing = fold(RECEIVED, (at("10-15", "17:00"), VERIFYING), (at("10-21", "17:00"), Resolved(outcome="approved")))

    assert (standing.due_at, standing.paused_at) == (at("10-23", "17:00"), None)
    assert standing.flags == ("ended_while_paused",)


def test_a_pause_after_the_end_of_processing_moves_nothing() -> None:
    standing = fold(
        RECEIVED,
        (at("10-06"), Resolved(outcome="approved")),
        (at("10-07"), VERIFYING),
        (at("10-09"), Resumed(due_at=at("10-30"))),
    )

    assert (standing.due_at, standing.flags) == (at("10-19", "17:00"), ("event_after_close",))


def test_a_pause_that_ends_after_the_end_of_processing_brings_no_new_appointment() -> None:
    standing = fold(
        RECEIVED,
        (at("10-06", "08:00"), VERIFYING),
        (at("10-07", "08:00"), Resolved(outcome="approved")),
        (at("10-09"), Resumed(due_at=at("10-30"))),
    )

    assert standing.due_at == at("10-20", "17:00")


def test_a_procedure_may_count_its_limit_anew_once_the_dossier_is_complete() -> None:
    restarting = known(restarts_after_supplement=True)
    supplement = (at("10-12"), SupplementRequested()), (at("10-14"), Supplemented())

    assert fold(RECEIVED, *supplement, on=restarting).due_at == at("10-28", "17:00")
    assert fold(RECEIVED, *supplement).due_at == at("10-21", "17:00")


def test_only_a_supplement_starts_the_limit_anew() -> None:
    standing = fold(
        RECEIVED, (at("10-12"), VERIFYING), (at("10-14"), Resumed()), on=known(restarts_after_supplement=True)
    )

    assert standing.due_at == at("10-21", "17:00")


def test_an_extension_names_another_day_beside_the_due_date() -> None:
    standing = fold(RECEIVED, (at("10-15"), Extended(due_at=at("10-30", "17:00"))))

    assert standing.due_at == at("10-19", "17:00")
    assert (standing.extended_due_at, standing.extended_due_on) == (at("10-30", "17:00"), date(2026, 10, 30))
    assert standing.flags == ()


def test_a_second_extension_is_flagged_and_the_latest_stands() -> None:
    standing = fold(RECEIVED, (at("10-15"), Extended(due_at=at("10-30"))), (at("10-16"), Extended(due_at=at("11-05"))))

    assert (standing.extended_due_at, standing.flags) == (at("11-05"), ("repeated_extension",))


@pytest.mark.parametrize(("day", "flags"), [("10-18", ()), ("10-19", ("late_extension",))])
def test_an_extension_is_late_from_the_due_day_on(day: str, flags: tuple[str, ...]) -> None:
    assert fold(RECEIVED, (at(day), Extended(due_at=at("10-30")))).flags == flags


def test_a_pause_before_another_unit_got_the_dossier_is_not_counted_twice() -> None:
    standing = fold(
        RECEIVED,
        (at("10-06", "08:00"), SupplementRequested()),
        (at("10-08", "08:00"), Supplemented()),
        (at("10-12"), Forwarded(to_unit="B")),
    )

    assert standing.due_at == at("10-26", "17:00")


def test_mountain_communes_get_more_time_where_the_procedure_says_so() -> None:
    assert fold(RECEIVED, on=known(mountain_extra_days=10)).due_at == at("10-19", "17:00")
    assert fold(RECEIVED, on=known(mountain_extra_days=10, unit_class="mountain")).due_at == at("11-02", "17:00")


def test_the_limit_of_the_dossier_s_channel_counts() -> None:
    by_channel = known(limits_by_channel={"online": {"amount": 8, "unit": "working_hours"}})

    assert fold(RECEIVED, on=by_channel).due_at == at("10-19", "17:00")
    assert fold((at("10-05"), received(channel="online")), on=by_channel).due_at == at("10-06", "09:00")


def test_the_due_date_is_told_step_by_step_in_both_languages() -> None:
    steps = explained((at("11-11", "16:10"), received()), on=known(cut_off="15:00"))

    assert [(step.code, step.due_at) for step in steps] == [
        ("received", None),
        ("after_cut_off", None),
        ("limit", at("11-27", "17:00")),
    ]
    assert [step.detail_vi for step in steps] == [
        "tiếp nhận trực tiếp lúc 16:10 11/11/2026",
        "sau giờ nhận trong ngày, tính từ 07:00 12/11/2026",
        "10 ngày làm việc; nghỉ 24/11 (Ngày Văn hóa Việt Nam); hạn 17:00 27/11/2026",
    ]
    assert steps[-1].detail == "10 working days; off 24/11 (Ngày Văn hóa Việt Nam); due 17:00 27/11/2026"


def test_pauses_and_extensions_are_told_too() -> None:
    steps = explained(
        RECEIVED,
        (at("10-06", "16:00"), SupplementRequested()),
        (at("10-08", "08:00"), Supplemented()),
        (at("10-15"), Extended(due_at=at("10-30", "17:00"))),
        (at("10-16"), PAYING),
    )

    assert [step.code for step in steps] == ["received", "limit", "paused", "paused_still", "extended"]
    assert steps[2].detail_vi == (
        "chờ bổ sung hồ sơ, 16:00 06/10/2026 đến 08:00 08/10/2026: "
        "không tính 1 ngày 2 giờ làm việc; hạn 09:00 21/10/2026"
    )
    assert steps[4].detail == "extended with an apology to 17:00 30/10/2026; the due date stays"


@pytest.mark.parametrize(
    ("on", "code"), [(catalogue([], [], []), "unknown_procedure"), (known(limit=None), "no_limit")]
)
def test_where_nothing_limits_a_dossier_the_explanation_says_so(on: Catalogue, code: str) -> None:
    steps = explained(RECEIVED, on=on)

    assert [step.code for step in steps] == ["received", code]
    assert fold(RECEIVED, on=on).due_at is None
