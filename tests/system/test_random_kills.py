"""For a minute processes are killed at random under load; nothing answered for is lost, doubled or miscounted."""

import asyncio
import contextlib
import itertools
import os
import random
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli import embedded, reference
from services.contract import FEED_PAGE, GRANT_HEADER, INTERNAL_KEY_HEADER, Grant, Standing
from services.kit import db
from services.metrics import follower, rebuild
from services.metrics.store import counting
from tests import builders, running

_SECONDS = 60.0
_SENDERS = 4
_PATIENCE = 60.0
_HEADERS = {
    INTERNAL_KEY_HEADER: running.INTERNAL_KEY,
    GRANT_HEADER: Grant(client="tests", province=running.PROVINCE).header(),
}


@dataclass
class Process:
    """A service as a real process, which can be killed and started again on its port."""

    module: str
    port: int
    environment: dict[str, str]
    running: asyncio.subprocess.Process | None = None
    kills: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self.module,
            env={**os.environ, **self.environment, "MOTCUA_PORT": str(self.port)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with httpx.AsyncClient() as client, asyncio.timeout(_PATIENCE):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).is_success:
                        return
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        if self.running is not None and self.running.returncode is None:
            self.running.kill()
            await self.running.wait()


@dataclass
class Replica:
    """What a follower of the feed has made of it."""

    standings: dict[str, Standing] = field(default_factory=dict)
    position: int = 0
    went_back: bool = False

    def take(self, entries: Sequence[Standing]) -> None:
        for entry in entries:
            self.went_back |= entry.position <= self.position
            self.position = entry.position
            self.standings[entry.code] = entry


def _life(sender: int, number: int) -> Iterator[builders.Json]:
    """Yield the events of a dossier with a correction, and of some with a pause or a retraction."""
    code = f"H37.05977-{sender}-{number}"
    yield builders.received(code)
    if number % 3 == 0:
        yield builders.event("supplement_requested", code, {}, at="2026-10-05T09:00:00+07:00")
        yield builders.event("supplemented", code, {}, at="2026-10-05T09:30:00+07:00")
    yield builders.paid(code)
    yield builders.resolved(code)
    yield builders.event(
        "corrected", code, {"event_id": f"{code}-paid", "method": "cash", "platform": None}, at=builders.DUE_AT
    )
    if number % 5 == 0:
        yield builders.event(
            "retracted", code, {"event_id": f"{code}-resolved", "reason": "a mistake"}, at=builders.DUE_AT
        )


async def _send(processes: Sequence[Process], sender: int, until: asyncio.Event) -> list[builders.Json]:
    """Post dossier after dossier, now to one process, now to the other, each array until it is answered for."""
    sent: list[builders.Json] = []
    targets = itertools.cycle(processes)
    async with httpx.AsyncClient(headers=_HEADERS, timeout=10) as client:
        for number in itertools.count():
            events = list(_life(sender, number))
            for portion in (events[:2], events[2:]):
                # A process that is being started again refuses at once, so the other one's turn comes soon.
                while not await _posted(client, next(targets), portion):
                    pass
                sent += portion
            if until.is_set():
                return sent
    raise AssertionError


async def _posted(client: httpx.AsyncClient, to: Process, events: Sequence[builders.Json]) -> bool:
    try:
        answer = await client.post(f"{to.url}/v1/events", json=list(events))
    except httpx.TransportError:
        await asyncio.sleep(0.05)
        return False
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    content = answer.raise_for_status().json()
    assert content["conflict"] == content["rejected"] == 0, content
    return True


async def _follow(processes: Sequence[Process], until: asyncio.Event) -> Replica:
    """Follow the feed from one process and the other, to its very end once `until` is set."""
    replica, sources = Replica(), itertools.cycle(processes)
    async with httpx.AsyncClient(headers=_HEADERS, timeout=10) as client:
        while True:
            last_round = until.is_set()
            try:
                answer = await client.get(
                    f"{next(sources).url}/v1/feed", params={"after": str(replica.position), "limit": 50, "wait": 0.5}
                )
                answer.raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                continue
            entries = FEED_PAGE.validate_json(answer.content).entries
            replica.take(entries)
            if last_round and not entries:
                return replica


async def _kill_at_random(processes: Sequence[Process], chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0.5, 3))
        process = chance.choice(processes)
        await process.kill()
        process.kills += 1
        await asyncio.sleep(chance.uniform(0, 0.5))
        await process.start()


@contextlib.asynccontextmanager
async def _started(*processes: Process) -> AsyncIterator[None]:
    try:
        await asyncio.gather(*(process.start() for process in processes))
        yield
    finally:
        for process in processes:
            await process.kill()


async def _load_reference(url: str) -> None:
    async with httpx.AsyncClient(headers=_HEADERS, base_url=url, timeout=30) as client:
        files = {"units": f"{running.PROVINCE}/units.csv", "procedures": "procedures.csv", "calendar": "calendar.csv"}
        for path, name in files.items():
            content = reference.csv_text(name)
            (await client.put(f"/v1/{path}", content=content, headers={"Content-Type": "text/csv"})).raise_for_status()


@dataclass(frozen=True)
class Outcome:
    """What a minute of load and kills left behind."""

    sent: list[builders.Json]
    log: list[Any]
    standings: dict[str, Any]
    replicas: list[Replica]
    counted: Any
    recounted: Any
    kills: list[int]


async def _a_minute_of_kills(url: str) -> Outcome:
    common = {"MOTCUA_DATABASE_URL": url, "MOTCUA_INTERNAL_KEY": running.INTERNAL_KEY}
    dossiers = [Process("services.dossier", embedded.free_port(), common) for _ in range(2)]
    follows = {**common, "MOTCUA_DOSSIER_URL": dossiers[0].url}
    metrics = Process("services.metrics", embedded.free_port(), follows)
    everything = [*dossiers, metrics]
    stop_sending, sent_all = asyncio.Event(), asyncio.Event()
    async with _started(*everything):
        await _load_reference(dossiers[0].url)
        killing = asyncio.create_task(_kill_at_random(everything, random.Random(316)))
        followers = [asyncio.create_task(_follow(order, sent_all)) for order in (dossiers, dossiers[::-1])]
        senders = [asyncio.create_task(_send(dossiers, number, stop_sending)) for number in range(_SENDERS)]
        await asyncio.sleep(_SECONDS)
        stop_sending.set()
        sent = [event for events in await asyncio.gather(*senders) for event in events]
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        for process in everything:
            await process.kill()
            await process.start()
        sent_all.set()
        replicas = await asyncio.gather(*followers)
        log, standings, counted, recounted = await _read_back(url, dossiers[0])
    return Outcome(sent, log, standings, replicas, counted, recounted, [process.kills for process in everything])


async def _read_back(url: str, dossier: Process) -> tuple[list[Any], dict[str, Any], Any, Any]:
    database = db.engine(url, application="tests", connections=2)
    async with httpx.AsyncClient(headers=_HEADERS, base_url=dossier.url, timeout=30) as client:
        log = [item async for item in _pages(client, "/v1/events", "items")]
        standings = {item["code"]: item async for item in _pages(client, "/v1/feed", "entries")}
        head = int(log[-1]["position"])
        async with asyncio.timeout(_PATIENCE):
            while True:
                async with database.connect() as transaction:
                    if (await counting.checkpoint(transaction, running.PROVINCE)).position >= head:
                        break
                await asyncio.sleep(0.1)
        counted = await _cells(database)
        await rebuild.rebuild(database, follower.Source(client, running.INTERNAL_KEY, 500), running.PROVINCE)
        recounted = await _cells(database)
    await database.dispose()
    return log, standings, counted, recounted


async def _cells(database: AsyncEngine) -> Any:  # noqa: ANN401 - compared as a whole
    async with database.connect() as transaction:
        generation = (await counting.checkpoint(transaction, running.PROVINCE)).generation
        return await counting.cells(transaction, running.PROVINCE, generation)


async def _pages(client: httpx.AsyncClient, path: str, key: str) -> AsyncIterator[Any]:
    after = "0"
    while items := (await client.get(path, params={"after": after, "limit": 5000})).raise_for_status().json()[key]:
        for item in items:
            yield item
        after = items[-1]["position"]


@pytest.mark.timeout(600)
def test_a_minute_of_random_kills_loses_doubles_and_skips_nothing(database_url: str) -> None:
    found = asyncio.run(_a_minute_of_kills(database_url))

    assert min(found.kills) > 0, "every process was to be killed at least once"
    assert len(found.sent) > 100
    # Everything answered for stands in the log, once, at positions without a gap.
    assert sorted(event["id"] for event in found.log) == sorted(event["id"] for event in found.sent)
    assert [int(event["position"]) for event in found.log] == list(range(1, len(found.sent) + 1))
    # Both followers never went back and ended with what there is.
    for replica in found.replicas:
        assert not replica.went_back
        assert {code: standing.position for code, standing in replica.standings.items()} == {
            code: int(standing["position"]) for code, standing in found.standings.items()
        }
    # Each dossier was counted once, whoever counted it.
    assert found.counted == found.recounted
    received = sum(1 for event in found.sent if event["type"].endswith(".received"))
    assert len(found.standings) == received
