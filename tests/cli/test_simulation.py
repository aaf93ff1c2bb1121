"""Simulated events are the same to the last byte for the same seed, valid, plausible, and only as faulty as told."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, time, timedelta
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import get_args

import pytest

from services.cli import demo, simulation
from services.cli.reference import Traffic
from services.cli.simulation import Dossier, Faults, Incidents, Scenario
from services.cli.simulation.life import Kind
from services.contract import (
    EVENT,
    EVENTS,
    VIETNAM,
    CalendarDay,
    Channel,
    Flag,
    Limit,
    OnlineLevel,
    Procedure,
    ProcedureField,
    Received,
    Standing,
    Unit,
    UnitKind,
    vietnamese_day,
)
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.history import Occurrence
from services.dossier.domain.record import DATA_OF_TYPE
from services.metrics.domain import tally

JULY_2025 = date(2025, 7, 1)
NATIONAL_DAY = date(2026, 9, 2)
WORKED_SATURDAY = date(2026, 8, 22)


def unit(code: str, kind: UnitKind = "commune") -> Unit:
    return Unit(code=code, name=code, kind=kind, valid_from=JULY_2025)


def procedure(
    code: str, limit: Limit | None, level: OnlineLevel = "full", by_channel: dict[Channel, Limit] | None = None
) -> Procedure:
    return Procedure(
        code=code,
        name=code,
        field=ProcedureField(code="F", name="Lĩnh vực"),
        limit=limit,
        limits_by_channel=by_channel or {},
        fee_required=True,
        online_level=level,
        valid_from=date(2025, 1, 1),
    )


DAYS, HOURS = Limit(amount=10, unit="working_days"), Limit(amount=8, unit="working_hours")

SCENARIO = Scenario(
    seed=7,
    province="20",
    first_day=date(2026, 8, 17),
    last_day=date(2026, 9, 11),
    dossiers=3_000,
    units=[
        *(unit(f"060{n:02}").model_copy(update={"class_": "mountain" if n % 2 else "other"}) for n in range(12)),
        *(unit("D1", "department"), unit("D2", "department")),
    ],
    procedures=[
        procedure("1.000656", Limit(amount=0, unit="same_day"), "partial"),
        procedure("1.001193", Limit(amount=3, unit="working_days"), by_channel={"online": HOURS}),
        procedure("1.004873", None),
        procedure("2.001610", DAYS),
        procedure("1.012753", Limit(amount=15, unit="calendar_days"), "none"),
        procedure("1.012789", DAYS).model_copy(
            update={
                "field": ProcedureField(code="DD", name="Đất đai"),
                "mountain_extra_days": 2,
                "cut_off": time(15, 30),
                "restarts_after_supplement": True,
            }
        ),
    ],
    traffic=[
        Traffic(procedure="1.000656", level="commune", departments=(), weight=5.0, fee=0),
        Traffic(procedure="1.001193", level="commune", departments=(), weight=4.0, fee=8_000),
        Traffic(procedure="1.004873", level="commune", departments=(), weight=1.0, fee=15_000),
        Traffic(procedure="1.012789", level="commune", departments=(), weight=2.0, fee=20_000),
        Traffic(procedure="2.001610", level="department", departments=("D1",), weight=1.0, fee=50_000),
        Traffic(procedure="1.012753", level="department", departments=("D1", "D2"), weight=1.0, fee=100_000),
    ],
    calendar=[
        CalendarDay(on_day=WORKED_SATURDAY, working=True, name="Làm bù"),
        CalendarDay(on_day=date(2026, 8, 31), working=False, name="Nghỉ hoán đổi"),
        CalendarDay(on_day=date(2026, 9, 1), working=False, name="Quốc khánh"),
        CalendarDay(on_day=NATIONAL_DAY, working=False, name="Quốc khánh"),
    ],
)

QUIET = Incidents(**dict.fromkeys(asdict(Incidents()), 0.0))
"""Nothing but the usual course."""

EVENTFUL = Incidents(
    **{name: 10 * share for name, share in asdict(Incidents()).items() if share < 0.05}
    | {"supplements": 0.6, "rated": 0.5, "land_pauses": 0.7, "foreseen": 0.6}
)
"""So much that a few hundred dossiers hold every kind of event in many constellations."""


def with_faults(**shares: float) -> Scenario:
    return replace(SCENARIO, faults=Faults(**shares))


def lines(scenario: Scenario) -> list[bytes]:
    return list(simulation.ndjson(simulation.events(scenario)))


def receipts(scenario: Scenario) -> Iterator[tuple[datetime, Received]]:
    for event in EVENTS.validate_python([delivery.event for delivery in simulation.events(scenario)]):
        if isinstance(event.data, Received):
            yield event.time, event.data


def test_the_same_seed_gives_the_same_bytes() -> None:
    scenario = with_faults(duplicates=0.05, shuffled=0.05, offline=0.2, clock_errors=0.2)

    first, second = lines(scenario), lines(scenario)

    assert first == second


def test_another_seed_gives_other_events() -> None:
    other = replace(SCENARIO, seed=8)

    assert set(lines(SCENARIO)).isdisjoint(lines(other))


def test_every_event_is_one_the_contract_accepts_and_every_kind_occurs() -> None:
    posted = b"[" + b",".join(lines(replace(SCENARIO, incidents=EVENTFUL))) + b"]"

    events = EVENTS.validate_json(posted)

    assert {event.type for event in events} == set(DATA_OF_TYPE)


def test_times_are_written_with_the_offset_of_vietnam() -> None:
    times = [str(delivery.event["time"]) for delivery in simulation.events(SCENARIO)]

    assert all(time.endswith("+07:00") for time in times)


def test_an_event_id_is_used_once_by_its_source() -> None:
    ids = Counter((delivery.event["source"], delivery.event["id"]) for delivery in simulation.events(SCENARIO))

    assert max(ids.values()) == 1


def test_dossier_codes_count_the_receipts_of_a_unit_and_day() -> None:
    codes = [dossier.code for dossier in simulation.dossiers(SCENARIO) if dossier.receiving_unit == "06000"]

    on_the_monday = [code for code in codes if "-260817-" in code]

    assert on_the_monday == [f"H37.06000-260817-{SCENARIO.seed}{n:04}" for n in range(1, len(on_the_monday) + 1)]


def test_deliveries_come_in_the_order_of_posting() -> None:
    scenario = with_faults(duplicates=0.05, shuffled=0.05, offline=0.2)

    posted = [delivery.deliver_at for delivery in simulation.events(scenario)]

    assert all(earlier <= later for earlier, later in pairwise(posted))


def test_an_event_is_posted_after_it_happened() -> None:
    scenario = with_faults(duplicates=0.05, shuffled=0.05, offline=0.2)

    early = [d for d in simulation.events(scenario) if d.deliver_at <= datetime.fromisoformat(d.event["time"])]

    assert early == []


def test_the_number_of_dossiers_is_the_one_asked_for() -> None:
    dossiers = list(simulation.dossiers(SCENARIO))

    received = list(receipts(SCENARIO))

    never_received = [dossier for dossier in dossiers if dossier.received_at is None]
    assert len(dossiers) == SCENARIO.dossiers
    assert len(received) == SCENARIO.dossiers - len(never_received)
    assert {dossier.status for dossier in never_received} == {"declined"}


def test_every_unit_receives_dossiers() -> None:
    receiving = {data.receiving_unit for _, data in receipts(SCENARIO)}

    assert receiving == {unit.code for unit in SCENARIO.units}


def test_departments_nobody_asks_anything_of_receive_nothing() -> None:
    for_communes = replace(SCENARIO, traffic=[row for row in SCENARIO.traffic if row.level == "commune"])

    received = {data.receiving_unit for _, data in receipts(for_communes)}

    assert received == {unit.code for unit in SCENARIO.units} - {"D1", "D2"}


def test_nothing_is_received_on_a_day_off() -> None:
    days = {time.date() for time, _ in receipts(SCENARIO)}

    weekend = {day for day in days if day.weekday() >= date(2026, 8, 22).weekday()}
    assert weekend == {WORKED_SATURDAY}
    assert NATIONAL_DAY not in days


def test_online_dossiers_are_submitted_before_they_are_received_and_also_at_weekends() -> None:
    online = [(time, data.submitted_at) for time, data in receipts(SCENARIO) if data.channel == "online"]

    assert all(submitted_at is not None and submitted_at < time for time, submitted_at in online)
    assert any(submitted_at is not None and submitted_at.date() == date(2026, 8, 23) for _, submitted_at in online)


def test_a_procedure_that_is_not_online_is_received_otherwise() -> None:
    channels = {data.channel for _, data in receipts(SCENARIO) if data.procedure == "1.012753"}

    assert "online" not in channels


def test_a_forwarded_dossier_names_its_resolving_unit_and_ends_there() -> None:
    forwarded = [d for d in simulation.dossiers(SCENARIO) if d.receiving_unit != d.resolving_unit]

    ends = [step.unit == d.resolving_unit for d in forwarded for step in d.steps if step.kind == "resolved"]

    assert ends
    assert all(ends)


def test_a_dossier_is_late_exactly_if_it_ends_on_a_day_after_its_due_day() -> None:
    ended = [
        (d.late, d.ended_at.date() > d.due_at.date()) for d in simulation.dossiers(SCENARIO) if d.ended_at and d.due_at
    ]

    assert [late for late, _ in ended] == [after for _, after in ended]
    assert any(late for late, _ in ended)


def test_a_dossier_that_is_not_late_ends_before_the_very_instant_it_is_due() -> None:
    ended = [(d.ended_at, d.due_at) for d in simulation.dossiers(SCENARIO) if d.ended_at and d.due_at and not d.late]

    assert all(ended_at < due_at for ended_at, due_at in ended)


def test_about_one_dossier_in_a_hundred_is_late() -> None:
    scenario = replace(SCENARIO, dossiers=20_000)

    with_due = [d for d in simulation.dossiers(scenario) if d.ended_at and d.due_at]

    late = sum(d.late for d in with_due) / len(with_due)
    assert 0.002 < late < 0.025


def test_working_hours_run_on_the_next_morning() -> None:
    online = [
        (d.received_at, d.due_at)
        for d in simulation.dossiers(replace(SCENARIO, incidents=QUIET))
        if d.procedure == "1.001193" and d.channel == "online" and d.received_at
    ]

    from_a_tuesday = [dates for dates in online if dates[0].date() == date(2026, 8, 18)]

    assert from_a_tuesday
    assert all(due_at == received_at + timedelta(days=1) for received_at, due_at in from_a_tuesday)


def test_nothing_is_told_of_what_happens_after_the_end() -> None:
    until = datetime(2026, 8, 25, 12, 0, tzinfo=VIETNAM)

    posted = list(simulation.events(replace(SCENARIO, until=until)))

    assert max(delivery.event["time"] for delivery in posted) <= until.isoformat()
    assert [d.event for d in posted] == [
        d.event for d in simulation.events(SCENARIO) if d.event["time"] <= until.isoformat()
    ]


def test_an_event_sent_twice_is_the_same_event() -> None:
    once, twice = Counter(lines(SCENARIO)), Counter(lines(with_faults(duplicates=0.1)))

    repeated = twice - once
    assert set(repeated) <= set(once)
    assert 0.08 * len(once) < sum(repeated.values()) < 0.12 * len(once)


def test_shuffled_dossiers_arrive_with_their_outcome_before_their_receipt() -> None:
    order: dict[str, list[str]] = {}
    for delivery in simulation.events(with_faults(shuffled=0.2)):
        order.setdefault(delivery.event["subject"], []).append(delivery.event["type"].rpartition(".")[2])

    received = [kinds for kinds in order.values() if "received" in kinds]
    turned = [kinds for kinds in received if "resolved" in kinds[: kinds.index("received")]]

    assert len(turned) > 0.05 * SCENARIO.dossiers


def test_shuffling_loses_and_invents_nothing() -> None:
    assert Counter(lines(with_faults(shuffled=0.2))) == Counter(lines(SCENARIO))


def test_an_offline_counter_delivers_three_days_late_and_loses_nothing() -> None:
    on_time = {(d.event["source"], d.event["id"]): d for d in simulation.events(SCENARIO)}
    delayed = {(d.event["source"], d.event["id"]): d for d in simulation.events(with_faults(offline=0.25))}

    delays: dict[str, set[timedelta]] = {}
    for (source, id_), delivery in delayed.items():
        delays.setdefault(source, set()).add(delivery.deliver_at - on_time[source, id_].deliver_at)

    assert {key: d.event for key, d in delayed.items()} == {key: d.event for key, d in on_time.items()}
    assert Counter(map(frozenset, delays.values())) == {
        frozenset({timedelta(days=3)}): round(0.25 * len(SCENARIO.units)),
        frozenset({timedelta()}): len(SCENARIO.units) - round(0.25 * len(SCENARIO.units)),
    }


def delays(scenario: Scenario) -> Mapping[str, list[tuple[datetime, timedelta]]]:
    """Return for each source when its events would be posted without faults, and how much later they are."""
    on_time = {d.event["id"]: d for d in simulation.events(replace(scenario, faults=Faults()))}
    by_source: dict[str, list[tuple[datetime, timedelta]]] = {}
    for delivery in simulation.events(scenario):
        event, usual = delivery.event, on_time.pop(delivery.event["id"])
        assert event == usual.event
        delay = (usual.deliver_at, delivery.deliver_at - usual.deliver_at)
        by_source.setdefault(event["source"], []).append(delay)
    assert not on_time
    return by_source


def test_ends_posted_late_come_one_to_eight_days_after_they_happened_and_nothing_before_them_is_late() -> None:
    scenario = with_faults(late_ends=0.3)
    late = {unit.code for unit in SCENARIO.units}
    before: list[timedelta] = []
    since: list[tuple[str, timedelta]] = []
    posted = {d.event["id"]: d.deliver_at for d in simulation.events(scenario)}
    for dossier in simulation.dossiers(scenario):
        ended = False
        for place, step in enumerate(dossier.steps, 1):
            ended = ended or step.kind in {"resolved", "declined", "withdrawn", "stopped"}
            delay = posted[f"{dossier.code}-{place}"] - step.occurred_at
            if not ended:
                before.append(delay)
            else:
                since.append((dossier.resolving_unit, delay))
                if delay < timedelta(days=1):
                    late.discard(dossier.resolving_unit)

    assert len(late) == round(0.3 * len(SCENARIO.units))
    assert max(before) < timedelta(minutes=2)
    assert all((timedelta(days=1) < delay < timedelta(days=8, minutes=2)) == (unit in late) for unit, delay in since)


def test_after_an_outage_everything_comes_at_once() -> None:
    outages = [
        {usual + delay for usual, delay in posted if delay} for posted in delays(with_faults(outages=0.5)).values()
    ]

    assert sum(bool(ends) for ends in outages) == round(0.5 * len(SCENARIO.units))
    assert all(len(ends) <= 1 for ends in outages)


def test_during_an_outage_nothing_comes() -> None:
    for posted in delays(with_faults(outages=0.5)).values():
        over = max((usual + delay for usual, delay in posted if delay), default=None)
        began = min((usual for usual, delay in posted if delay), default=None)

        came = [usual for usual, delay in posted if began and over and began <= usual + delay < over]

        assert came == []
        assert began is None or over is None or over - began <= timedelta(days=6)


def test_a_missing_end_is_posted_weeks_later() -> None:
    late = [delay for posted in delays(with_faults(missing_ends=0.1)).values() for _, delay in posted if delay]

    assert late
    assert all(timedelta(weeks=2) <= delay <= timedelta(weeks=5) for delay in late)


def test_the_backlog_is_the_one_that_the_system_shows_as_the_events_come_in() -> None:
    until = datetime.combine(SCENARIO.last_day, time(), VIETNAM) + timedelta(days=60)
    faults = Faults(late_ends=0.3, outages=0.5, missing_ends=0.05)
    scenario = replace(SCENARIO, dossiers=1_000, until=until, faults=faults)
    known = catalogue(scenario.units, scenario.procedures, scenario.calendar)
    recorded: dict[str, list[Occurrence]] = {}
    for position, delivery in enumerate(simulation.events(scenario), 1):
        event = EVENT.validate_python(delivery.event)
        occurrence = Occurrence(position, delivery.deliver_at, event.source, event.id, event.time, event.data)
        recorded.setdefault(event.subject, []).append(occurrence)

    def is_shown(code: str, history: Sequence[Occurrence]) -> bool:
        nexts = [*(occurrence.recorded_at for occurrence in history[1:]), until]
        for number, following in enumerate(nexts, 1):
            counted = tally.counted(lifecycle.fold(code, history[:number], known))
            if counted.closes_on is None and counted.overdue_from is not None:
                since = datetime.combine(counted.overdue_from, time(), VIETNAM)
                if max(since, history[number - 1].recorded_at) < min(following, until):
                    return True
        return False

    backlog = list(simulation.backlog(scenario))

    assert sum(one.by_data for one in backlog) > 50
    assert [one.code for one in backlog if one.shown] == [
        one.code for one in backlog if is_shown(one.code, recorded[one.code])
    ]


def test_a_wrong_clock_shifts_all_times_of_its_counter_alike() -> None:
    right = {d.event["id"]: d.event for d in simulation.events(SCENARIO)}

    shifts: dict[str, set[timedelta]] = {}
    for delivery in simulation.events(with_faults(clock_errors=0.2)):
        event, true = delivery.event, right[delivery.event["id"]]
        shift = datetime.fromisoformat(event["time"]) - datetime.fromisoformat(true["time"])
        shifts.setdefault(event["source"], set()).add(shift)

    assert all(len(each) == 1 for each in shifts.values())
    assert sum(each != {timedelta()} for each in shifts.values()) == round(0.2 * len(SCENARIO.units))


def test_the_first_deliveries_are_there_before_the_last_dossier_is_planned() -> None:
    half_a_century = replace(SCENARIO, dossiers=3_000_000, last_day=date(2076, 9, 11))

    first = list(islice(simulation.events(half_a_century), 10))

    assert {delivery.deliver_at.date() for delivery in first} == {SCENARIO.first_day}


def standings(scenario: Scenario) -> Mapping[str, Standing]:
    """Return how the dossiers stand once every event is recorded when it is posted, but in any order."""
    deliveries = list(simulation.events(scenario))
    events = EVENTS.validate_python([delivery.event for delivery in deliveries])
    positions = Random(scenario.seed).sample(range(1, len(events) + 1), k=len(events))
    recorded: dict[str, list[Occurrence]] = {}
    for position, delivery, event in sorted(zip(positions, deliveries, events, strict=True), key=lambda row: row[0]):
        occurrence = Occurrence(position, delivery.deliver_at, event.source, event.id, event.time, event.data)
        recorded.setdefault(event.subject, []).append(occurrence)
    known = catalogue(scenario.units, scenario.procedures, scenario.calendar)
    return {code: lifecycle.fold(code, history, known) for code, history in recorded.items()}


def truth(dossier: Dossier) -> Mapping[str, object]:
    """Return what the simulation knows of a dossier, in the words of a standing."""
    return {
        "status": dossier.status,
        "received_at": dossier.received_at,
        "due_on": dossier.due_at and vietnamese_day(dossier.due_at),
        "due_at": dossier.due_at,
        "extended_due_at": dossier.extended_due_at,
        "ended_on": dossier.ended_at and vietnamese_day(dossier.ended_at),
        "ended_at": dossier.ended_at,
        "late": dossier.late,
        "fee_due": dossier.fee_due,
        "paid_online": dossier.paid_online,
        "full_online": dossier.full_online,
        "score": dossier.score,
    }


def facts(standing: Standing) -> Mapping[str, object]:
    """Return the same of a standing."""
    return {
        "status": standing.status,
        "received_at": standing.received_at,
        "due_on": standing.due_on,
        "due_at": standing.due_at,
        "extended_due_at": standing.extended_due_at,
        "ended_on": standing.ended_on,
        "ended_at": standing.ended_at,
        "late": bool(standing.ended_on and standing.due_on and standing.ended_on > standing.due_on),
        "fee_due": standing.fee_due,
        "paid_online": standing.payments_online > 0,
        "full_online": standing.status == "resolved" and tally.is_full_online(standing),
        "score": standing.score,
    }


def intended_flags(dossier: Dossier) -> set[Flag]:
    """Return what is odd about a dossier because the simulation means it to be."""
    kinds = Counter(step.kind for step in dossier.steps)
    flags: set[Flag] = set()
    if kinds["supplement_requested"] > 1:
        flags.add("repeated_supplement")
    if dossier.ended_at and kinds["supplement_requested"] > kinds["supplemented"]:
        flags.add("ended_while_paused")
    for step in dossier.steps:
        if step.kind == "extended" and dossier.due_at and step.occurred_at.date() >= dossier.due_at.date():
            flags.add("late_extension")
        if step.kind == "corrected" and "time" in step.content:
            flags.add("late_recording")
    return flags


REFERENCE = replace(demo.scenario(), dossiers=1_500)
AFTERWARDS = timedelta(days=400)


@pytest.mark.parametrize("incidents", [QUIET, Incidents(), EVENTFUL], ids=["quiet", "usual", "eventful"])
@pytest.mark.parametrize("scenario", [SCENARIO, REFERENCE], ids=["small", "reference"])
def test_a_month_recorded_in_any_order_stands_as_it_truly_is(scenario: Scenario, incidents: Incidents) -> None:
    month = replace(scenario, dossiers=1_500, incidents=incidents)
    dossiers = [dossier for dossier in simulation.dossiers(month) if not dossier.mistaken]

    found = standings(month)

    assert [facts(found[dossier.code]) for dossier in dossiers] == [truth(dossier) for dossier in dossiers]


@pytest.mark.parametrize("scenario", [SCENARIO, REFERENCE], ids=["small", "reference"])
def test_in_the_end_every_dossier_stands_as_it_truly_is_with_the_flags_it_is_meant_to_have(scenario: Scenario) -> None:
    until = datetime.combine(scenario.last_day, time(), VIETNAM) + AFTERWARDS
    to_the_end = replace(scenario, dossiers=1_500, incidents=EVENTFUL, until=until)
    dossiers = list(simulation.dossiers(to_the_end))

    found = standings(to_the_end)

    intended = [intended_flags(dossier) for dossier in dossiers]
    assert [facts(found[dossier.code]) for dossier in dossiers] == [truth(dossier) for dossier in dossiers]
    assert [set(found[dossier.code].flags) for dossier in dossiers] == intended
    assert set().union(*intended) == {"repeated_supplement", "ended_while_paused", "late_extension", "late_recording"}


def test_an_apology_comes_before_the_end_and_mostly_before_the_due_day() -> None:
    eventful = replace(SCENARIO, incidents=EVENTFUL)

    apologies = [
        (step.occurred_at, dossier.due_at, dossier.ended_at)
        for dossier in simulation.dossiers(eventful)
        for step in dossier.steps
        if step.kind == "extended"
    ]

    too_late = sum(due_at is None or at.date() >= due_at.date() for at, due_at, _ in apologies)
    assert all(ended_at is None or at < ended_at for at, _, ended_at in apologies)
    assert 0 < too_late < 0.25 * len(apologies)


def test_what_is_told_wrongly_is_put_right_within_days() -> None:
    eventful = replace(SCENARIO, incidents=EVENTFUL)

    mistaken = [dossier for dossier in simulation.dossiers(eventful) if dossier.mistaken]

    later = replace(eventful, until=datetime.combine(SCENARIO.last_day, time(), VIETNAM) + timedelta(days=60))
    assert 0 < len(mistaken) < 0.02 * SCENARIO.dossiers
    assert not any(dossier.mistaken for dossier in simulation.dossiers(later))


@pytest.fixture(scope="module")
def month() -> Sequence[Dossier]:
    return list(simulation.dossiers(demo.scenario()))


def test_the_month_of_the_demonstration_holds_every_kind_in_the_shares_of_a_province(month: Sequence[Dossier]) -> None:
    told = Counter(kind for dossier in month for kind in {step.kind for step in dossier.steps})

    shares = {kind: told[kind] / len(month) for kind in get_args(Kind)}
    expected = {
        "supplement_requested": 0.05,
        "paused": 0.035,
        "refunded": 0.002,
        "extended": 0.01,
        "declined": 0.007,
        "withdrawn": 0.01,
        "stopped": 0.003,
        "rated": 0.18,
        "corrected": 0.005,
        "retracted": 0.002,
        "voided": 0.001,
    }
    assert all(told[kind] for kind in get_args(Kind))
    assert {kind: share for kind, share in expected.items() if not 0.5 * share < shares[kind] < 1.6 * share} == {}


def test_the_readme_shows_the_figures_of_the_demonstration(month: Sequence[Dossier]) -> None:
    received = [dossier for dossier in month if dossier.received_at and dossier.status != "voided"]
    resolved = [dossier for dossier in received if dossier.status == "resolved"]
    with_due = [dossier for dossier in resolved if dossier.due_at]
    with_fee = [dossier for dossier in received if dossier.fee_due]
    late = sum(dossier.late for dossier in resolved)
    pending = sum(dossier.status == "pending" for dossier in received)

    counts = (len(received), len(resolved), late, pending)
    rates = (
        1 - late / len(with_due),
        sum(dossier.paid_online for dossier in with_fee) / len(with_fee),
        sum(dossier.full_online for dossier in resolved) / len(resolved),
    )

    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    told = [f"{count:,}".replace(",", ".") for count in counts] + [f"{rate:.2%}".replace(".", ",") for rate in rates]
    assert "Tổng cộng " + " ".join(told).replace("%", " %") in readme
    assert f"({len(month):,} dossiers, {sum(len(dossier.steps) for dossier in month):,} events)" in readme
    assert f"({len(month) - len(received)} of the dossiers were declined at once or voided)" in readme


def test_traffic_of_a_procedure_out_of_force_is_refused() -> None:
    scenario = replace(
        SCENARIO, traffic=[Traffic(procedure="9.999999", level="commune", departments=(), weight=1.0, fee=0)]
    )

    with pytest.raises(ValueError, match=r"9\.999999"):
        next(simulation.events(scenario))


def test_a_period_without_a_working_day_is_refused() -> None:
    scenario = replace(SCENARIO, first_day=date(2026, 9, 5), last_day=date(2026, 9, 6))

    with pytest.raises(ValueError, match="working day"):
        next(simulation.events(scenario))
