"""A process knows how far each province is counted, also by others, and never goes back to what it saw before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from typing import Any, cast

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import FeedPage
from services.metrics import feed, follower
from services.metrics.follower import Source
from services.metrics.progress import Progress, Reached
from services.metrics.store import counting
from tests.metrics.standings import database, numbered, standing
from tests.running import PROVINCE

_PAGES = [
    feed.Page(FeedPage(after=one.position - 1, next_after=one.position, head=9, entries=(one,)), reference_version=0)
    for one in numbered(
        [standing(code=f"H{n}", received_at=f"2026-{n + 7:02}-01 09:00", due_at=None) for n in range(3)]
    )
]


async def _count(engine: Any, page: feed.Page) -> None:  # noqa: ANN401 - an engine
    async with httpx.AsyncClient() as nobody:
        await follower.count_page(engine, Source(nobody, "", 10), PROVINCE, page)


def test_a_province_of_which_nothing_is_counted_is_at_the_beginning(database_url: str) -> None:
    async def reached() -> Reached:
        async with database(database_url) as engine:
            return await Progress(engine).of(PROVINCE)

    assert asyncio.run(reached()) == Reached()


def test_what_is_known_is_not_asked_for_again_until_somebody_looks(database_url: str) -> None:
    async def positions() -> list[int]:
        async with database(database_url) as engine:
            progress = Progress(engine)
            found = [(await progress.of(PROVINCE)).position]
            await _count(engine, _PAGES[0])
            found.append((await progress.of(PROVINCE)).position)
            found.append((await progress.look(PROVINCE)).position)
            found.append((await progress.of(PROVINCE)).position)
            return found

    assert asyncio.run(positions()) == [0, 0, 1, 1]


def test_what_another_process_counts_is_noticed_and_wakes_who_waits(database_url: str) -> None:
    async def positions() -> list[int]:
        async with database(database_url, connections=4) as engine:
            progress = Progress(engine)
            found = [(await progress.of(PROVINCE)).position]
            async with progress.watched():
                for page in _PAGES:
                    waiting = asyncio.create_task(progress.wait(10))
                    await asyncio.sleep(0)
                    await _count(engine, page)
                    await waiting
                    found.append((await progress.of(PROVINCE)).position)
            return found

    assert asyncio.run(positions()) == [0, 1, 2, 3]


class _FirstEndsLate:
    """A database whose first connection is given back when it is told, and not before."""

    def __init__(self, engine: Any, until: asyncio.Event) -> None:  # noqa: ANN401 - an engine
        self._engine, self._until = engine, until
        self._connections = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        self._connections += 1
        first = self._connections == 1
        async with self._engine.connect() as connection:
            yield connection
            if first:
                await self._until.wait()


def test_a_look_that_ends_late_does_not_bring_back_what_was_seen_before(database_url: str) -> None:
    async def positions() -> list[int]:
        until = asyncio.Event()
        async with database(database_url, connections=4) as engine:
            progress = Progress(cast("AsyncEngine", _FirstEndsLate(engine, until)))
            late = asyncio.create_task(progress.look(PROVINCE))
            await asyncio.sleep(0.3)
            await _count(engine, _PAGES[0])
            found = [(await progress.look(PROVINCE)).position]
            until.set()
            found.append((await late).position)
            found.append((await progress.of(PROVINCE)).position)
            return found

    assert asyncio.run(positions()) == [1, 0, 1]


def test_another_generation_is_noticed_although_the_position_is_the_same(database_url: str) -> None:
    async def generations() -> list[int]:
        async with database(database_url) as engine:
            progress = Progress(engine)
            await _count(engine, _PAGES[0])
            found = [(await progress.look(PROVINCE)).generation]
            async with engine.begin() as transaction:
                reached = await counting.hold_checkpoint(transaction, PROVINCE)
                await counting.move_checkpoint(transaction, PROVINCE, replace(reached, generation=2))
            found.append((await progress.look(PROVINCE)).generation)
            return found

    assert asyncio.run(generations()) == [1, 2]


def test_while_the_database_does_not_answer_nobody_is_told_old_figures_as_new_ones(database_url: str) -> None:
    async def asks_again() -> bool:
        async with database(database_url) as engine:
            progress = Progress(engine)
            await progress.of(PROVINCE)
            async with engine.begin() as transaction:
                await transaction.execute(text("ALTER TABLE metrics.checkpoint RENAME TO hidden"))
            async with progress.watched():
                await asyncio.sleep(0.5)
                try:
                    await progress.of(PROVINCE)
                except Exception:  # noqa: BLE001 - whatever the database says
                    return True
                return False

    assert asyncio.run(asks_again())


def test_the_newest_position_that_touched_a_day_or_one_before_it_is_told() -> None:
    reached = Reached(months={date(2026, 8, 1): 9, date(2026, 9, 1): 4, date(2026, 10, 1): 7})

    assert reached.touched(date(2026, 7, 31)) == 0
    assert reached.touched(date(2026, 8, 1)) == 9
    assert reached.touched(date(2026, 9, 30)) == 9
    assert Reached(months={date(2026, 9, 1): 4, date(2026, 10, 1): 7}).touched(date(2026, 10, 1)) == 7
