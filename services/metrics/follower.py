"""Every change of a dossier reaches the counts exactly once: delta, standings and checkpoint are one transaction."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import Standing
from services.kit import clock
from services.kit.bell import Bell
from services.metrics import feed, store
from services.metrics.domain import tally
from services.metrics.store import Checkpoint

_LONG_POLL_SECONDS = 25
# Under load many small pages cost more than a few larger ones; nobody who reads a rate notices as little as this.
_LINGER_SECONDS = 0.03
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
    database: AsyncEngine, source: Source, provinces: Sequence[str], counted: Bell
) -> AsyncIterator[None]:
    """Follow the provinces' feeds in the background; ring `counted` whenever counts have changed."""
    tasks = [asyncio.create_task(_follow_forever(database, source, province, counted)) for province in provinces]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow_forever(database: AsyncEngine, source: Source, province: str, counted: Bell) -> None:
    """Count one page after another; after a failure read again from the checkpoint, a little later each time."""
    pause = _FIRST_PAUSE_SECONDS
    behind, caught_up_at = True, clock.now()
    _LAG.labels(province).set_function(lambda: (clock.now() - caught_up_at).total_seconds() if behind else 0.0)
    while True:
        try:
            async with database.connect() as transaction:
                reached = await store.checkpoint(transaction, province)
            read = await feed.page_after(
                source.dossier,
                source.internal_key,
                province,
                after=reached.position,
                limit=source.page,
                wait=_LONG_POLL_SECONDS,
                reference=reached.reference_version,
            )
            position = await count_page(database, source, province, read)
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
            counted.ring()
            if not behind:
                await asyncio.sleep(_LINGER_SECONDS)
        elif read.reference_version == reached.reference_version:
            # Where no seat is left to wait in, empty pages come at once.
            await asyncio.sleep(_FIRST_PAUSE_SECONDS)


async def count_page(database: AsyncEngine, source: Source, province: str, read: feed.Page) -> int:
    """Count one page of the feed and return the position then reached.

    A page that does not begin at the checkpoint was overtaken by another follower and is dropped.
    """
    async with database.begin() as transaction:
        reached = await store.hold_checkpoint(transaction, province)
        if reached.position != read.page.after:
            return reached.position
        if reached.reference_version != read.reference_version:
            units = await feed.units(source.dossier, source.internal_key, province)
            await store.replace_units(transaction, province, units)
        await _count(transaction, province, read.page.entries)
        after = Checkpoint(read.page.next_after, read.reference_version)
        if after != reached:
            await store.move_checkpoint(transaction, province, after)
    return after.position


async def _count(transaction: AsyncConnection, province: str, entries: Sequence[Standing]) -> None:
    if not entries:
        return
    before = await store.standings(transaction, province, [entry.code for entry in entries])
    delta = tally.total(
        tally.difference(tally.contribution(entry), tally.contribution(before.get(entry.code))) for entry in entries
    )
    await store.add(transaction, province, delta)
    await store.keep_standings(transaction, province, entries)
    # A dossier folded anew comes late in the feed and was recorded long before others, so positions do not tell.
    latest: dict[str, datetime] = {}
    for entry in entries:
        if entry.receiving_unit is not None and entry.recorded_at is not None:
            latest[entry.receiving_unit] = max(entry.recorded_at, latest.get(entry.receiving_unit, entry.recorded_at))
    await store.note_fresh(transaction, province, latest)


@dataclass(frozen=True, slots=True)
class Recount:
    """What a recount from an empty schema found."""

    province: str
    dossiers: int
    position: int
    changed_cells: int


async def recount(database: AsyncEngine, source: Source, province: str) -> Recount:
    """Count the whole feed anew in one transaction; readers see the old counts until the new ones are complete."""
    async with database.begin() as transaction:
        await store.hold_checkpoint(transaction, province)
        before = await store.cells(transaction, province)
        await store.forget(transaction, province)
        reached, dossiers = 0, 0
        while True:
            read = await feed.page_after(
                source.dossier, source.internal_key, province, after=reached, limit=source.page
            )
            await _count(transaction, province, read.page.entries)
            dossiers += len(read.page.entries)
            reached = read.page.next_after
            if not read.page.entries:
                break
        await store.replace_units(
            transaction, province, await feed.units(source.dossier, source.internal_key, province)
        )
        await store.move_checkpoint(transaction, province, Checkpoint(reached, read.reference_version))
        after = await store.cells(transaction, province)
    return Recount(province, dossiers, reached, len(tally.difference(after, before)))
