"""The operator's command: every province is counted anew, by as many processes as help beside the live service."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager, contextmanager

import httpx
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.kit import clock, db, garbage
from services.metrics import feed, rebuild
from services.metrics.follower import Source
from services.metrics.rebuild import Helpers, Kept, Stretch
from services.metrics.settings import MetricsSettings

STRETCH = 50_000
"""Positions that a process counts at a time: seconds of work, which outweigh its start, and sums that fit anywhere."""

# The dossier service reads the feed for all of them, and more would only wait for it and for PostgreSQL.
_MOST_PROCESSES = 4
# The live service goes first.
_NICENESS = 10
_SECONDS_BETWEEN_LINES = 2.0
_FAILURES = (httpx.HTTPError, SQLAlchemyError, *db.FAILURES)


class NotFinished(Exception):
    """Counting anew failed; the counts that answer are as they were."""


async def recount(configuration: MetricsSettings, positions: int = STRETCH) -> None:
    """Count every province anew, and tell the operator how far it is and what changed.

    :raises NotFinished: a service or the database failed, or a province is being counted anew already.
    """
    try:
        with _helpers(configuration, positions) as helpers:
            async with _connected(configuration, connections=3) as (database, source):
                for province in configuration.provinces:
                    found = await rebuild.rebuild(database, source, province, _told(), helpers)
                    sys.stdout.write(
                        f"province {found.province}: {found.dossiers} dossiers counted up to position "
                        f"{found.position}, {found.changed_cells} cells changed\n"
                    )
                    sys.stdout.flush()
    except (*_FAILURES, BrokenProcessPool, rebuild.UnderWay) as error:
        raise NotFinished(str(error)) from error


@asynccontextmanager
async def _connected(configuration: MetricsSettings, *, connections: int) -> AsyncIterator[tuple[AsyncEngine, Source]]:
    """Reach the database and the feed until the block ends."""
    database = db.engine(configuration.database_url, application="metrics rebuild", connections=connections)
    try:
        async with feed.client(configuration.dossier_url) as dossier:
            yield database, Source(dossier, configuration.internal_key, configuration.page)
    finally:
        await database.dispose()


@contextmanager
def _helpers(configuration: MetricsSettings, positions: int) -> Iterator[Helpers]:
    """Have processes count stretches; they are started when there is something for them to do."""
    number = min(os.cpu_count() or 1, _MOST_PROCESSES)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(number, context, initializer=_begin) as processes:

        async def count(stretch: Stretch) -> Kept:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(processes, _count, configuration, stretch)

        yield Helpers(count, number, positions)


def _begin() -> None:
    os.nice(_NICENESS)
    garbage.collect_rarely()


def _count(configuration: MetricsSettings, stretch: Stretch) -> Kept:
    """Count a stretch in a process of its own."""

    async def counted() -> Kept:
        async with _connected(configuration, connections=1) as (database, source):
            return await rebuild.count_stretch(database, source, stretch)

    try:
        return asyncio.run(counted())
    except _FAILURES as error:
        # Not all of them can travel from one process to another; their words can.
        raise NotFinished(str(error)) from None


def _told() -> Callable[[str, int, int], None]:
    """Return what tells the operator every two seconds how far it is."""
    last = clock.monotonic()

    def told(province: str, counted: int, positions: int) -> None:
        nonlocal last
        if clock.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = clock.monotonic()
            sys.stderr.write(f"province {province}: {counted} of {positions} positions counted\n")

    return told
