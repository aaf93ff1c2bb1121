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


@pytest.mark.parametrize(
    ("asked", "due_at"),
    [
        # Asked, answered, asked and answered: a day and a day.
        (["10-06 ask", "10-07 given", "10-08 ask", "10-09 given"], at("10-21", "17:00")),
        # Asked again before the first was answered: from the first request to the answer.
        (["10-06 ask", "10-07 ask", "10-08 ask", "10-09 given"], at("10-22", "17:00")),
    ],
)
def test_supplement_requests_however_many_never_make_a_dossier_late(asked: list[str], due_at: datetime) -> None:
    """In OpenCPS a repeated request turned a dossier to overdue."""
    steps: list[tuple[datetime, Data]] = [
        (at(step[:5]), SupplementRequested() if step.endswith("ask") else Supplemented()) for step in asked
    ]
    standing = fold(RECEIVED, *steps, (due_at, Resolved(outcome="approved")))

    assert standing.due_at == due_at
    assert (standing.due_on, standing.ended_on) == (due_at.date(), due_at.date())


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


COMPLETED = ((at("10-06"), SupplementRequested()), (at("10-08"), Supplemented()))
APPROVED = Resolved(outcome="approved")


def test_a_pause_that_ended_in_time_counts_for_a_resolved_dossier_as_for_an_open_one() -> None:
    open_, resolved = fold(RECEIVED, *COMPLETED), fold(RECEIVED, *COMPLETED, (at("10-30"), APPROVED))

    assert open_.due_on == date(2026, 10, 21)
    assert (resolved.due_on, resolved.flags) == (open_.due_on, ())


def test_the_end_of_processing_and_not_its_recording_cuts_a_pause_off() -> None:
    *before, outcome = happened(RECEIVED, *COMPLETED, (at("10-07"), APPROVED))
    recorded_late = outcome._replace(recorded_at=at("10-12"))

    found = lifecycle.fold("H", [*before, recorded_late], known())

    assert (found.due_on, found.pauses) == (date(2026, 10, 20), 1)


def test_a_pause_after_the_end_does_not_make_it_an_end_while_paused() -> None:
    assert fold(RECEIVED, (at("10-06"), APPROVED), (at("10-07"), VERIFYING)).flags == ("event_after_close",)


def test_passing_a_dossier_to_the_unit_that_has_it_gives_it_no_more_time() -> None:
    assert fold(RECEIVED, (at("10-12"), Forwarded(to_unit="A"))).due_at == fold(RECEIVED).due_at


def test_working_hours_are_counted_from_each_dossier_s_own_hour() -> None:
    on = known(limit={"amount": 4, "unit": "working_hours"})

    due = [fold((at("10-05", clock), received()), on=on).due_at for clock in ("07:00", "07:30")]

    assert due == [at("10-05", "11:00"), at("10-05", "11:30")]


def test_what_is_remembered_of_due_dates_is_bounded() -> None:
    on = known()
    on.reckoned.update({(date(1990, 1, 1), amount, "working_days", 0): at("10-05") for amount in range(20_000)})

    fold(RECEIVED, on=on)

    assert len(on.reckoned) == 1


def test_without_a_limit_there_is_none_to_count_anew() -> None:
    on = known(limit=None, restarts_after_supplement=True)

    assert fold(RECEIVED, *COMPLETED, on=on).due_at is None
    assert explained(RECEIVED, *COMPLETED, on=on)[-1].detail.endswith("of working time not counted; due not set")
    assert explained(RECEIVED, *COMPLETED, on=on)[-1].detail_vi.endswith("hạn chưa có")


def test_every_reason_for_another_day_stands_in_the_explanation() -> None:
    on = known(unit_class="mountain", mountain_extra_days=10, restarts_after_supplement=True)

    steps = explained(
        (at("01-08"), received()),
        (at("01-09"), Forwarded(to_unit="B")),
        (at("01-12"), SupplementRequested()),
        (at("01-13"), Supplemented()),
        on=on,
    )

    assert [step.code for step in steps] == ["received", "forwarded", "limit", "restarted", "limit"]
    assert "10 working days, and 10 working days more for a mountain commune; worked 10/01" in steps[2].detail
    assert "10 ngày làm việc, cộng 10 ngày làm việc cho xã miền núi; làm việc 10/01" in steps[2].detail_vi
    assert "the limit is counted anew" in steps[3].detail


def test_a_pause_without_working_time_says_so_in_both_languages() -> None:
    weekend = (at("10-10"), SupplementRequested()), (at("10-11"), Supplemented())

    step = explained(RECEIVED, *weekend)[-1]

    assert "no working time not counted" in step.detail
    assert "không tính 0 giờ làm việc" in step.detail_vi


@pytest.mark.parametrize(
    ("end", "reason"),
    [(Supplemented(due_at=at("11-02")), "complete the dossier"), (Resumed(due_at=at("11-02")), "another reason")],
)
def test_an_appointment_without_a_pause_is_told_with_the_reason_that_its_end_names(end: Data, reason: str) -> None:
    assert reason in explained(RECEIVED, (at("10-07"), end))[-1].detail
