"""Counting anew needs nothing of what was counted before, disturbs nobody meanwhile, and mends what was wrong."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from services.cli import reference
from services.dossier import app as dossier
from services.dossier.domain import revision
from services.dossier.settings import DossierSettings
from services.dossier.store import reference as reference_store
from services.kit import clock
from services.metrics import feed, rebuild, recount, tables
from services.metrics.follower import Source
from services.metrics.rebuild import Helpers, Kept, Rebuilt, Stretch
from services.metrics.settings import MetricsSettings
from services.metrics.store import counting
from services.metrics.store import reference as kept
from tests import databases, running
from tests.builders import received, resolved
from tests.metrics import population
from tests.metrics.standings import database
from tests.running import System

_ALL = {"period": "2025..2026", "by": "unit"}


def _rebuild(system: System) -> Rebuilt:
    async def rebuilt() -> Rebuilt:
        async with database(system.database_url) as engine, feed.client(system.dossier_url) as client:
            return await rebuild.rebuild(engine, Source(client, running.INTERNAL_KEY, 10), running.PROVINCE)

    return asyncio.run(rebuilt())


def _rates(client: httpx.Client, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - query parameters
    answer: dict[str, Any] = client.get("/v1/rates", params=_ALL | more).raise_for_status().json()
    return answer


async def _generations(system: System) -> Sequence[tuple[int, int]]:
    """Return how many cells and dossiers there are of all generations but the one that answers."""
    async with database(system.database_url) as engine, engine.connect() as transaction:
        reached = await counting.checkpoint(transaction, running.PROVINCE)
        return [
            (
                reached.generation,
                await transaction.scalar(select(func.count()).where(table.c.generation != reached.generation)),
            )
            for table in (tables.cell, tables.standing)
        ]


def test_a_rebuild_finds_what_was_counted_page_by_page(system: System) -> None:
    with system.client() as client:
        for seed in range(3):
            position = population.record(client, dossiers=60, seed=seed, prefix=f"H{seed}")
        before = _rates(client, min_position=position)

        found = _rebuild(system)

        after = _rates(client)
    assert (found.changed_cells, found.position) == (0, int(position))
    assert found.dossiers == 180
    assert after == before
    assert asyncio.run(_generations(system)) == [(2, 0), (2, 0)]


@contextlib.contextmanager
def _writing(system: System, number: int) -> Iterator[threading.Thread]:
    """Record one dossier after another in the background."""

    def write() -> None:
        with system.client(name="writer") as client:
            for n in range(number):
                client.post("/v1/events", json=received(f"W{n:04}")).raise_for_status()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_figures_are_right_at_every_moment_of_a_rebuild_and_go_on_after_it(system: System) -> None:
    told: list[tuple[int, int]] = []
    rebuilt = list[Rebuilt]()

    def again_and_again() -> None:
        rebuilt.extend(_rebuild(system) for _ in range(2))

    with system.client() as client:
        position = client.post("/v1/events", json=[received(f"H{n:04}") for n in range(2_100)]).json()["position"]
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()
        with _writing(system, 80) as writer:
            rebuilding = threading.Thread(target=again_and_again)
            rebuilding.start()
            while rebuilding.is_alive() or writer.is_alive():
                answer = client.get("/v1/rates", params={"period": "2026-10", "by": "none"}).raise_for_status().json()
                told.append((int(answer["position"]), answer["total"]["counts"]["received"]))
            rebuilding.join()
        last = client.post("/v1/events", json=received("last")).json()["position"]
        answer = _rates(client, min_position=last)

    # Every dossier is one event here, so that the position is the number of dossiers.
    assert [position for position, _ in told] == [received for _, received in told]
    assert [position for position, _ in told] == sorted(position for position, _ in told)
    assert [found.changed_cells for found in rebuilt] == [0, 0]
    assert answer["total"]["counts"]["received"] == int(last) == 2_181
    assert asyncio.run(_generations(system)) == [(3, 0), (3, 0)]


def test_what_had_been_counted_wrong_is_right_for_everybody_after_a_rebuild(system: System) -> None:
    with system.client() as client:
        position = client.post("/v1/events", json=[received("H1"), resolved("H1")]).json()["position"]
        right = _rates(client, min_position=position)
        asyncio.run(databases.execute(system.database_url, "UPDATE metrics.cell SET received = received + 5"))
        # Nobody has asked for October before, so what is held is what was wrong.
        wrong = client.get("/v1/rates", params={"period": "2026-10"})

        found = _rebuild(system)

        known = {"If-None-Match": wrong.headers["etag"]}
        asked = {"period": "2026-10", "min_position": position}
        mended = client.get("/v1/rates", params=asked, headers=known)
        for _ in range(50):
            if mended.status_code == 200 and mended.json()["total"]["counts"]["received"] == 1:
                break
            # What another process counted is noticed within a moment.
            time.sleep(0.1)
            mended = client.get("/v1/rates", params=asked, headers=known)
        again = _rates(client)

    assert wrong.json()["total"]["counts"]["received"] == 6
    assert found.changed_cells > 0
    assert (mended.status_code, mended.json()["total"]["counts"]["received"]) == (200, 1)
    assert again["total"] == right["total"]


class _Dies(httpx.AsyncBaseTransport):
    """Answers a few requests and then no more."""

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._behind = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._answers -= 1
        if self._answers < 0:
            msg = "the dossier service died"
            raise httpx.ConnectError(msg)
        return await self._behind.handle_async_request(request)

    async def aclose(self) -> None:
        await self._behind.aclose()


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
def test_a_rebuild_that_dies_leaves_nothing_that_is_counted(system: System, answers: int) -> None:
    async def dying() -> None:
        client = httpx.AsyncClient(base_url=system.dossier_url, transport=_Dies(answers))
        async with database(system.database_url) as engine, client:
            with contextlib.suppress(httpx.ConnectError):
                await rebuild.rebuild(engine, Source(client, running.INTERNAL_KEY, 10), running.PROVINCE)
                pytest.fail("the rebuild was finished")

    with system.client() as client:
        position = client.post("/v1/events", json=[received(f"H{n}") for n in range(20)]).json()["position"]
        before = _rates(client, min_position=position)
        asyncio.run(dying())
        meanwhile = _rates(client)
        position = client.post("/v1/events", json=received("H-more")).json()["position"]
        more = _rates(client, min_position=position)
        found = _rebuild(system)
        after = _rates(client)

    assert meanwhile == before
    assert (found.changed_cells, found.dossiers) == (0, 21)
    assert after == more
    assert asyncio.run(_generations(system)) == [(2, 0), (2, 0)]


def test_a_helper_that_fails_leaves_nothing_that_is_counted(system: System) -> None:
    async def failing() -> None:
        async with database(system.database_url, connections=3) as engine, feed.client(system.dossier_url) as client:
            source = Source(client, running.INTERNAL_KEY, 10)

            async def count(stretch: Stretch) -> Kept:
                if stretch.after >= 10:
                    msg = "a helper died"
                    raise ConnectionError(msg)
                return await rebuild.count_stretch(engine, source, stretch)

            with pytest.raises(ConnectionError, match="a helper died"):
                await rebuild.rebuild(engine, source, running.PROVINCE, helpers=Helpers(count, 2, 5))

    with system.client() as client:
        position = client.post("/v1/events", json=[received(f"H{n}") for n in range(20)]).json()["position"]
        before = _rates(client, min_position=position)
        asyncio.run(failing())
        meanwhile = _rates(client)
        found = _rebuild(system)
        after = _rates(client)

    assert meanwhile == before == after
    assert (found.changed_cells, found.dossiers) == (0, 20)
    assert asyncio.run(_generations(system)) == [(2, 0), (2, 0)]


def test_several_processes_count_what_one_counts_while_dossiers_move_on(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = MetricsSettings(
        database_url=system.database_url, internal_key=running.INTERNAL_KEY, dossier_url=system.dossier_url
    )
    with system.client() as client:
        for seed in range(2):
            position = population.record(client, dossiers=60, seed=seed, prefix=f"H{seed}")
        before = _rates(client, min_position=position)
        with _writing(system, 60):
            asyncio.run(recount.recount(configuration, positions=100))
        written = client.post("/v1/events", json=received("last")).json()["position"]
        after = _rates(client, min_position=written)

    assert int(position) > 300
    assert capsys.readouterr().out.endswith(" 0 cells changed\n")
    assert after["total"]["counts"]["received"] == before["total"]["counts"]["received"] + 61
    assert asyncio.run(_generations(system)) == [(2, 0), (2, 0)]
    asyncio.run(recount.recount(configuration))
    assert capsys.readouterr().out.endswith(" 0 cells changed\n")


def test_two_rebuilds_of_a_province_at_once_are_one_and_a_refusal(system: System) -> None:
    async def both() -> list[Rebuilt | BaseException]:
        async with (
            database(system.database_url) as one,
            database(system.database_url) as another,
            feed.client(system.dossier_url) as client,
        ):
            source = Source(client, running.INTERNAL_KEY, 10)
            found = await asyncio.gather(
                *(rebuild.rebuild(engine, source, running.PROVINCE) for engine in (one, another)),
                return_exceptions=True,
            )
            # The claim ends with the rebuild.
            return [*found, await rebuild.rebuild(one, source, running.PROVINCE)]

    with system.client() as client:
        position = client.post("/v1/events", json=[received(f"H{n}") for n in range(200)]).json()["position"]
        before = _rates(client, min_position=position)
        *at_once, after_that = asyncio.run(both())
        after = _rates(client)

    assert sorted(isinstance(found, rebuild.UnderWay) for found in at_once) == [False, True]
    assert isinstance(after_that, Rebuilt)
    assert after == before
    assert asyncio.run(_generations(system)) == [(3, 0), (3, 0)]


def test_a_recount_knows_the_units_that_nobody_has_told_it_of_before(database_url: str) -> None:
    async def recounted() -> int:
        units = reference.units(running.PROVINCE)
        async with database(database_url, connections=4) as engine:
            async with engine.begin() as transaction:
                changes = revision.changes([], units)
                await reference_store.put(transaction, running.PROVINCE, changes, client="tests", at=clock.now())
            app = dossier.application(DossierSettings(database_url=database_url, internal_key=running.INTERNAL_KEY))
            async with running.asked(app) as client:
                await rebuild.rebuild(engine, Source(client, running.INTERNAL_KEY, 10), running.PROVINCE)
            async with engine.connect() as transaction:
                return len(await kept.units(transaction, running.PROVINCE)) - len(units)

    assert asyncio.run(recounted()) == 0


def test_the_operators_command_says_whether_a_number_changed(system: System) -> None:
    environment = {
        **os.environ,
        "MOTCUA_DATABASE_URL": system.database_url,
        "MOTCUA_INTERNAL_KEY": running.INTERNAL_KEY,
    }

    def command(dossier_url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.cli", "rebuild"],
            env={**environment, "MOTCUA_DOSSIER_URL": dossier_url},
            capture_output=True,
            text=True,
            check=False,
        )

    with system.client() as client:
        position = client.post("/v1/events", json=[received("H1"), received("H2")]).json()["position"]
        _rates(client, min_position=position)
    right = command(system.dossier_url)
    asyncio.run(databases.execute(system.database_url, "UPDATE metrics.cell SET received = 9 WHERE span = 'day'"))
    wrong = command(system.dossier_url)
    unreachable = command("http://127.0.0.1:9")

    told = "province 20: 2 dossiers counted up to position 2"
    assert (right.returncode, right.stdout.splitlines()[-1]) == (0, f"{told}, 0 cells changed")
    assert (wrong.returncode, wrong.stdout.splitlines()[-1]) == (0, f"{told}, 1 cells changed")
    assert (unreachable.returncode, unreachable.stdout) == (1, "")
    assert "could not be finished" in unreachable.stderr
