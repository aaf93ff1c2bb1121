"""However many readers wait, they are bounded in number, cost one look at the database together, and miss nothing."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import event, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant
from services.dossier import app as dossier
from services.dossier import tables
from services.dossier.settings import DossierSettings
from services.dossier.store.log import Head
from services.dossier.watch import Watch
from services.kit import db
from services.kit.bell import Bell
from tests import running
from tests.builders import OTHER_UNIT, UNIT, received
from tests.running import System

_EMPTY = Head(0, 0, b"")


@contextlib.contextmanager
def _beside(database_url: str, **grant: object) -> Iterator[httpx.Client]:
    """Run one more dossier process with a single seat on the database, and return a client of it."""
    listening, port = running.port_of_its_own()
    application = dossier.application(
        DossierSettings(port=port, database_url=database_url, internal_key=running.INTERNAL_KEY, long_polls=1)
    )
    granted = Grant.model_validate({"client": "tests", "province": running.PROVINCE, **grant})
    headers = {INTERNAL_KEY_HEADER: running.INTERNAL_KEY, GRANT_HEADER: granted.header()}
    with (
        running.served((application, listening)),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client,
    ):
        yield client


def test_of_two_who_wait_in_one_seat_one_is_answered_at_once(database_url: str) -> None:
    def seconds_until_answered(_: int) -> float:
        began = time.monotonic()
        client.get("/v1/feed", params={"wait": 4}).raise_for_status()
        return time.monotonic() - began

    with _beside(database_url) as client, ThreadPoolExecutor(2) as pool:
        shorter, longer = sorted(pool.map(seconds_until_answered, range(2)))

    assert shorter < 3
    assert longer >= 4


def test_who_waits_is_answered_when_the_process_stops(database_url: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        with _beside(database_url) as reader:
            feed = f"{reader.base_url}/v1/feed"
            waiting = pool.submit(httpx.get, feed, params={"wait": 20}, headers=dict(reader.headers), timeout=30)
            time.sleep(0.5)
        answer = waiting.result(10)

    assert (answer.status_code, answer.json()["entries"]) == (200, [])


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/events"])
def test_what_another_process_recorded_wakes_a_reader(system: System, path: str) -> None:
    with _beside(system.database_url) as reader, system.client() as sender, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: (reader.get(path, params={"wait": 20}), time.monotonic()))
        time.sleep(0.6)
        waited = not waiting.done()
        sender.post("/v1/events", json=received("H37-1")).raise_for_status()
        posted_at = time.monotonic()
        answer, answered_at = waiting.result(25)

    assert waited
    assert len(next(value for value in answer.json().values() if isinstance(value, list))) == 1
    assert answered_at - posted_at < 2


def test_reference_data_put_by_another_process_wakes_a_reader_that_has_an_older_version(system: System) -> None:
    day = {"on_day": "2026-12-31", "working": False, "name": "Nghỉ bù"}
    with _beside(system.database_url) as reader, system.client() as sender, ThreadPoolExecutor(1) as pool:
        version = reader.get("/v1/feed").headers["motcua-reference"]
        waiting = pool.submit(lambda: reader.get("/v1/feed", params={"wait": 20, "reference": version}))
        time.sleep(0.3)
        waited = not waiting.done()
        sender.put("/v1/calendar", json=[day]).raise_for_status()
        answer = waiting.result(5)

    assert waited
    assert int(answer.headers["motcua-reference"]) > int(version)


def test_what_others_recorded_lets_a_limited_reader_wait_on(system: System) -> None:
    with (
        _beside(system.database_url, units=[UNIT]) as reader,
        system.client() as sender,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(lambda: reader.get("/v1/feed", params={"wait": 20}))
        for number in range(5):
            sender.post("/v1/events", json=received(f"H37-x{number}", receiving_unit=OTHER_UNIT)).raise_for_status()
            time.sleep(0.1)
        waited = not waiting.done()
        sender.post("/v1/events", json=received("H37-1")).raise_for_status()
        page = waiting.result(5).json()

    assert waited
    assert ([entry["code"] for entry in page["entries"]], page["after"], page["next_after"]) == (["H37-1"], "0", "6")


def _looks(database: AsyncEngine) -> list[None]:
    """Return a list that grows whenever the database is looked into from now on."""
    looks: list[None] = []
    event.listen(database.sync_engine, "checkout", lambda *_: looks.append(None))
    return looks


def test_a_hundred_who_wait_look_no_more_often_than_one(database_url: str) -> None:
    async def looks_while_waiting(readers: int) -> int:
        database = db.engine(database_url, application="tests", connections=2)
        looks, watch = _looks(database), Watch(database, Bell())
        async with watch.running():
            news = await asyncio.gather(*(watch.newer(running.PROVINCE, _EMPTY, 1) for _ in range(readers)))
        await database.dispose()
        assert not any(news)
        return len(looks)

    one, hundred = (asyncio.run(looks_while_waiting(readers)) for readers in (1, 100))

    assert 2 <= one <= 6
    assert 2 <= hundred <= 6


def test_nobody_waits_and_nobody_looks(database_url: str) -> None:
    async def looks_while_nobody_waits() -> int:
        database, bell = db.engine(database_url, application="tests", connections=2), Bell()
        watch = Watch(database, bell)
        async with watch.running():
            await watch.newer(running.PROVINCE, _EMPTY, 0.1)
            await asyncio.sleep(0.5)
            looks = _looks(database)
            bell.ring()
            await asyncio.sleep(0.6)
        await database.dispose()
        return len(looks)

    assert asyncio.run(looks_while_nobody_waits()) == 0


@pytest.mark.parametrize("rings", [True, False])
def test_what_is_new_ends_a_wait_whether_or_not_the_bell_rings(database_url: str, *, rings: bool) -> None:
    async def told() -> bool:
        database, bell = db.engine(database_url, application="tests", connections=2), Bell()
        watch = Watch(database, bell)
        async with watch.running(), asyncio.timeout(8):
            waiting = asyncio.create_task(watch.newer(running.PROVINCE, _EMPTY, 20))
            await asyncio.sleep(0.6)
            assert not waiting.done()
            async with database.begin() as transaction:
                version = insert(tables.reference_version).values(province=running.PROVINCE, version=1)
                await transaction.execute(version)
            if rings:
                bell.ring()
            news = await waiting
        await database.dispose()
        return news

    assert asyncio.run(told())


def test_who_waits_while_the_database_is_gone_is_told_to_ask_and_who_waits_later_is_not(database_url: str) -> None:
    async def told() -> tuple[bool, bool]:
        gone = db.engine(f"{database_url}_gone", application="tests", connections=1)
        watch = Watch(gone, Bell())
        async with watch.running(), asyncio.timeout(8):
            without = await watch.newer(running.PROVINCE, _EMPTY, 20)
        await gone.dispose()
        there = db.engine(database_url, application="tests", connections=1)
        watch = Watch(there, Bell())
        async with watch.running():
            with_one = await watch.newer(running.PROVINCE, _EMPTY, 0.6)
        await there.dispose()
        return without, with_one

    assert asyncio.run(told()) == (True, False)
