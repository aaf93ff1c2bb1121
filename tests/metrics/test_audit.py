"""A count that is not what its dossiers add up to is found, named and mended; nothing that is right is called wrong."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from services.contract import vietnamese_day
from services.kit import clock
from services.metrics import audit, feed, rebuild
from services.metrics.audit import Findings
from services.metrics.domain import periods
from services.metrics.domain.vectors import Cut
from services.metrics.follower import Source
from services.metrics.progress import Progress
from services.metrics.state import State
from services.metrics.store.figures import Book
from tests.builders import OTHER_UNIT, UNIT, Json, event, forwarded, paid, received, resolved, withdrawn
from tests.metrics.standings import database
from tests.running import INTERNAL_KEY, PROVINCE, System

_ENOUGH = 400
"""So many looks see every day of a month in either role."""


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _lives(client: httpx.Client, first: int = 0, dossiers: int = 6) -> None:
    """Record dossiers of several kinds, and wait until they are counted."""
    events: list[Json] = []
    for number in range(first, first + dossiers):
        code = f"H37-{number}"
        events += [received(code, receiving_unit=(UNIT, OTHER_UNIT)[number % 2])]
        match number % 4:
            case 0:
                events += [resolved(code, at=f"2026-10-{6 + number // 4 % 20:02}T09:00:00+07:00")]
            case 1:
                events += [forwarded(code, to_unit=UNIT), paid(code)]
            case 2:
                events += [withdrawn(code)]
            case _:
                asked = "supplement_requested"
                events += [event(asked, code, {}, at="2026-10-05T08:40:00+07:00")]
    position = _post(client, *events)
    client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()


@asynccontextmanager
async def _state(system: System) -> AsyncIterator[State]:
    """Return what an audit of the system needs, apart from the system's own."""
    async with database(system.database_url, 3) as engine, feed.client(system.dossier_url) as dossier:
        yield State(engine, dossier, INTERNAL_KEY, Progress(engine))


async def _looked(state: State, found: Findings, random: Random) -> None:
    await audit.look(state, PROVINCE, found, random, clock.now())


def _drift() -> float | None:
    return REGISTRY.get_sample_value("metrics_drift_cells", {"province": PROVINCE})


def _spoiled(system: System, statement: str, *named: str) -> Findings:
    """Look at the counts until what the statement spoils is named, and again after a rebuild; return what was found."""

    async def spoiled() -> Findings:
        async with _state(system) as state:
            found, random = Findings(), Random(1)
            await _looked(state, found, random)
            assert (found.differences(), _drift()) == ({}, 0)
            async with state.database.begin() as transaction:
                changed = await transaction.execute(text(statement))
                assert changed.rowcount > 0
            for _ in range(_ENOUGH):
                await _looked(state, found, random)
                if found.differences().keys() >= set(named):
                    break
            assert _drift() == len(found.differences()) > 0
            seen = Findings(dict(found.wrong), dict(found.wrong_dossiers))
            await rebuild.rebuild(state.database, Source(state.dossier, INTERNAL_KEY, 500), PROVINCE)
            await state.progress.look(PROVINCE)
            for _ in range(_ENOUGH):
                await _looked(state, found, random)
                if not found.differences():
                    break
            # Whatever was still to be looked at is right as well.
            while found.left:
                await _looked(state, found, random)
                assert (found.differences(), _drift()) == ({}, 0)
            return seen

    return asyncio.run(spoiled())


@pytest.mark.parametrize(
    ("span", "named"),
    [
        ("day", ["received of {} in 2026-10, beside its days", "received of {} in 2026-10-05"]),
        ("month", ["received of {} in 2026-10"]),
        ("all", ["pending of {} in 2026-10"]),
    ],
)
def test_a_cell_changed_by_hand_is_found_and_named_until_all_is_counted_anew(
    system: System, span: str, named: Sequence[str], caplog: pytest.LogCaptureFixture
) -> None:
    with system.client() as client:
        _lives(client)

    names = [name.format(f"receiving unit {UNIT} (since 2025-07-01)") for name in named]
    with caplog.at_level(logging.WARNING, logger="services.metrics.audit"):
        found = _spoiled(
            system,
            f"UPDATE metrics.cell SET received = received + 3 WHERE span = '{span}' AND unit = '{UNIT}'",  # noqa: S608
            *names,
        )

    assert found.differences().keys() >= set(names)
    assert all(name in caplog.text for name in names)
    assert "all counts that were wrong are right again" in caplog.text


@pytest.mark.parametrize(
    "spoiling", ["SET paid_online = 0", "SET procedure = 'another'", "SET on_day = on_day + interval '1 month'"]
)
def test_a_procedure_with_a_fee_that_is_counted_otherwise_is_found_and_named(system: System, spoiling: str) -> None:
    with system.client() as client:
        _lives(client)
        position = client.post("/v1/events", json=paid("H37-0")).json()["position"]
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()

    name = f"procedures with a fee of receiving unit {UNIT} (since 2025-07-01) in 2026-10"
    found = _spoiled(system, f"UPDATE metrics.fee_procedure {spoiling} WHERE span = 'month'", name)

    assert "wrong about" in found.differences()[name]


def test_a_dossier_changed_by_hand_is_found_and_named(system: System, caplog: pytest.LogCaptureFixture) -> None:
    with system.client() as client:
        _lives(client)

    found = _spoiled(system, "UPDATE metrics.standing SET field = 'other' WHERE code = 'H37-0'", "dossier H37-0")

    # No cell tells fields apart, so the feed alone can tell.
    assert (set(found.wrong_dossiers), found.wrong) == ({"H37-0"}, {})
    assert "dossier H37-0" in caplog.text


def test_a_dossier_that_is_gone_is_found(system: System) -> None:
    with system.client() as client:
        _lives(client)

    found = _spoiled(system, "DELETE FROM metrics.standing WHERE code = 'H37-2'", "dossier H37-2")

    assert "H37-2" in found.wrong_dossiers


def test_held_figures_that_differ_from_the_stored_ones_are_found(system: System) -> None:
    async def found() -> Findings:
        today = vietnamese_day(clock.now())
        async with _state(system) as state:
            async with state.database.connect() as transaction:
                reached = await state.progress.of(PROVINCE)
                cut = Cut.of(periods.parse(today.isoformat()[:7]), today)
                held = await state.held.of(
                    transaction, Book(PROVINCE, reached.generation, "resolving"), cut, reached.position
                )
            figures: dict = held.figures  # type: ignore[assignment, type-arg]
            key = next(iter(figures))
            figures[key] = tuple(count + 1 for count in figures[key])
            findings = Findings()
            await _looked(state, findings, Random(1))
            return findings

    with system.client() as client:
        _lives(client)
    findings = asyncio.run(found())

    assert findings.differences()
    assert all(", as held" in what for what in findings.differences())


def test_counts_are_right_whenever_they_are_looked_at_while_events_arrive_and_all_is_counted_anew(
    system: System,
) -> None:
    stop = threading.Event()

    def send(first: int) -> None:
        with system.client(name=f"sender-{first}") as client:
            number = first
            while not stop.is_set():
                _lives(client, number)
                _post(
                    client, *(event("voided", f"H37-{number}", {"reason": "a test"}, at="2026-10-06T09:00:00+07:00"),)
                )
                number += 6

    async def looked() -> tuple[int, Findings]:
        looks, found, random = 0, Findings(), Random(2)
        async with _state(system) as state:
            source = Source(state.dossier, INTERNAL_KEY, 500)
            until = time.monotonic() + 6
            while time.monotonic() < until:
                rebuilding = asyncio.create_task(rebuild.rebuild(state.database, source, PROVINCE))
                while not rebuilding.done():
                    await state.progress.look(PROVINCE)
                    await _looked(state, found, random)
                    assert found.differences() == {}
                    looks += 1
                    await asyncio.sleep(0)
                await rebuilding
        return looks, found

    senders = [threading.Thread(target=send, args=(first,)) for first in (0, 100_000)]
    for sender in senders:
        sender.start()
    try:
        looks, found = asyncio.run(looked())
    finally:
        stop.set()
        for sender in senders:
            sender.join()

    assert looks > 5
    assert found.differences() == {}


def test_a_dossier_that_changes_while_it_is_compared_is_no_difference(system: System) -> None:
    def pay() -> None:
        with system.client(name="payer") as client:
            position = _post(client, paid("H37-1"))
            client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()

    async def found() -> Findings:
        paid_for = False

        async def change(_: httpx.Response) -> None:
            """Once the feed has told, let the dossier change and be counted before its count is looked at."""
            nonlocal paid_for
            if not paid_for:
                paid_for = True
                await asyncio.to_thread(pay)

        async with _state(system) as state:
            state.dossier.event_hooks = {"response": [change]}
            findings = Findings()
            await _looked(state, findings, Random(4))
        assert paid_for
        return findings

    with system.client() as client:
        position = _post(client, received("H37-1"))
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()

    assert asyncio.run(found()).differences() == {}


def test_stretches_of_waiting_that_follow_each_other_are_no_difference(system: System) -> None:
    asked, completed = "supplement_requested", "supplemented"
    events = [
        received("H37-1", at="2026-10-05T08:00:00+07:00", due_at="2026-10-30T17:00:00+07:00"),
        event(asked, "H37-1", {}, at="2026-10-06T09:00:00+07:00"),
        event(completed, "H37-1", {}, at="2026-10-08T09:00:00+07:00"),
        event(asked, "H37-1", {}, at="2026-10-08T10:00:00+07:00", event_id="again"),
        event(completed, "H37-1", {}, at="2026-10-12T09:00:00+07:00", event_id="again-completed"),
    ]

    async def found() -> Findings:
        async with _state(system) as state:
            findings = Findings()
            await _looked(state, findings, Random(3))
            return findings

    with system.client() as client:
        position = _post(client, *events)
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()

    assert asyncio.run(found()).differences() == {}


def test_a_system_compares_from_its_start_on_and_says_so(system: System) -> None:
    async def exported() -> str:
        async with httpx.AsyncClient(base_url=system.metrics_url) as client:
            return (await client.get("/metrics")).text

    told_last = f'metrics_audit_timestamp_seconds{{province="{PROVINCE}"}}'
    seen = _eventually(exported, lambda page: told_last in page)

    assert told_last in seen
    assert f'metrics_drift_cells{{province="{PROVINCE}"}} 0.0' in seen
    assert f'metrics_audit_seconds{{province="{PROVINCE}"}}' in seen


def _eventually(ask: Callable[[], Awaitable[str]], enough: Callable[[str], bool]) -> str:
    until = time.monotonic() + 10
    while True:
        answer = asyncio.run(_awaited(ask))
        if enough(answer) or time.monotonic() > until:
            return answer
        time.sleep(0.1)


async def _awaited(ask: Callable[[], Awaitable[str]]) -> str:
    return await ask()


def test_looking_takes_two_percent_of_the_time_at_the_most() -> None:
    assert [audit.pause_after(took, 30.0) for took in (0.01, 0.6, 2.0)] == [30.0, 30.0, 100.0]
