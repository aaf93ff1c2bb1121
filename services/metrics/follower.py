"""Every change of a dossier reaches the counts exactly once: delta, standings and checkpoint are one transaction."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import httpx
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import Standing
from services.kit import clock, db
from services.metrics import feed
from services.metrics.domain import tally
from services.metrics.progress import Progress
from services.metrics.store import counting, reference
from services.metrics.store.counting import Touched

_LONG_POLL_SECONDS = 25
# A larger page counts once what changes again or adds to the same cells: after one that took long, the next has three
# times as long to grow, so that at most a quarter of the time goes into counting. Nobody who reads a rate notices it.
_LINGER_SECONDS, _LONGEST_LINGER_SECONDS = 0.03, 0.25
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0

_POSITION = Gauge("metrics_feed_position", "Position up to which the feed is counted.", ("province",))
_HEAD = Gauge("metrics_feed_head", "Newest position of the feed when last read.", ("province",))
_LAG = Gauge("metrics_feed_lag_seconds", "Seconds since everything there was had been counted.", ("province",))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """Where standings come from, and how many are counted in one transaction."""

    dossier: httpx.AsyncClient
    internal_key: str
    page: int


@contextlib.asynccontextmanager
async def following(
    database: AsyncEngine, source: Source, provinces: Sequence[str], progress: Progress
) -> AsyncIterator[None]:
    """Follow the provinces' feeds in the background; `progress` learns of every page that was counted."""
    tasks = [asyncio.create_task(_follow_forever(database, source, province, progress)) for province in provinces]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow_forever(database: AsyncEngine, source: Source, province: str, progress: Progress) -> None:
    """Count one page after another; after a failure read again from the checkpoint, a little later each time."""
    pause = _FIRST_PAUSE_SECONDS
    behind, caught_up_at = True, clock.now()
    _LAG.labels(province).set_function(lambda: (clock.now() - caught_up_at).total_seconds() if behind else 0.0)
    while True:
        try:
            async with database.connect() as transaction:
                reached = await counting.checkpoint(transaction, province)
            read = await feed.page_after(
                source.dossier,
                source.internal_key,
                province,
                after=reached.position,
                limit=source.page,
                wait=_LONG_POLL_SECONDS,
                reference=reached.reference_version,
            )
            began = clock.monotonic()
            position = await count_page(database, source, province, read)
            took = clock.monotonic() - began
            if read.page.entries:
                await progress.look(province)
        except Exception as error:  # noqa: BLE001 - following outlives any failure; the lag tells operators of it
            behind = True
            _log.warning("the feed of province %s is not counted; again in %.1f s: %r", province, pause, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            continue
        pause = _FIRST_PAUSE_SECONDS
        behind = position < read.page.head
        if not behind:
            caught_up_at = clock.now()
        _POSITION.labels(province).set(position)
        _HEAD.labels(province).set(read.page.head)
        if read.page.entries:
            if not behind:
                await asyncio.sleep(min(max(_LINGER_SECONDS, 3 * took), _LONGEST_LINGER_SECONDS))
        elif read.reference_version == reached.reference_version:
            # Where no seat is left to wait in, empty pages come at once.
            await asyncio.sleep(_FIRST_PAUSE_SECONDS)


async def count_page(database: AsyncEngine, source: Source, province: str, read: feed.Page) -> int:
    """Count one page of the feed and return the position then reached.

    A page that does not begin at the checkpoint was overtaken by another follower and is dropped.
    """
    async with database.begin() as transaction:
        # What a crash takes back was counted from the feed, and is counted from it again.
        await db.commit_lazily(transaction)
        reached = await counting.hold_checkpoint(transaction, province)
        if reached.position != read.page.after:
            return reached.position
        if reached.reference_version != read.reference_version:
            known = await feed.reference(source.dossier, source.internal_key, province)
            await reference.replace(transaction, province, known.units, known.procedures)
        places = await count(transaction, province, reached.generation, read.page.entries)
        await counting.note_touched(transaction, province, places, read.page.next_after)
        after = replace(reached, position=read.page.next_after, reference_version=read.reference_version)
        if after != reached:
            await counting.move_checkpoint(transaction, province, after)
    return after.position


async def count(
    transaction: AsyncConnection, province: str, generation: int, entries: Sequence[Standing]
) -> frozenset[Touched]:
    """Count the standings in place of how the same dossiers stood before; return where figures may have changed."""
    if not entries:
        return frozenset()
    places = await counting.count(transaction, province, generation, [tally.counted(entry) for entry in entries])
    await counting.note_fresh(transaction, province, latest(entries))
    return places


def latest(entries: Sequence[Standing]) -> Mapping[counting.Source, datetime]:
    """Return when something of each receiving unit was last recorded from each of its senders."""
    # A dossier folded anew comes late in the feed and was recorded long before others, so positions do not tell.
    found: dict[counting.Source, datetime] = {}
    for entry in entries:
        if entry.receiving_unit is not None and entry.recorded_at is not None:
            key = entry.receiving_unit, entry.source or ""
            found[key] = max(entry.recorded_at, found.get(key, entry.recorded_at))
    return found
