"""All counts can be made anew from the feed beside those that answer, and take their place without a gap.

What is counted anew is a new generation. The old one answers, and goes on being counted, until the new one has reached
its position; then one transaction moves the checkpoint over, and the old generation is cleared away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import FeedPage, Standing
from services.kit import db
from services.metrics import feed
from services.metrics.domain import tally
from services.metrics.domain.tally import Cell, FeeCell, Sum
from services.metrics.follower import Source, latest
from services.metrics.store import counting, reference
from services.metrics.store.counting import Touched

_PAGE = 5_000
# What is left to count while the checkpoint is held: a page, which nobody notices.
_NEAR = 2_000
# About 100 MB of sums; a province's counts of a few years are fewer.
_MOST_ENTRIES = 500_000


class UnderWay(Exception):
    """Another process counts the province anew; two at once would count into one generation."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What counting anew found."""

    province: str
    dossiers: int
    position: int
    changed_cells: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a province's feed, after one position and up to another, that is counted into a generation."""

    province: str
    generation: int
    after: int
    until: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How many dossiers of a stretch are kept in its generation, and what they count for, which no cell tells yet."""

    dossiers: int
    sums: Sum


@dataclass(frozen=True, slots=True)
class Helpers:
    """Who counts stretches: so many of them at once, each of so many positions."""

    count: Callable[[Stretch], Awaitable[Kept]]
    at_once: int
    positions: int


Told = Callable[[str, int, int], None]
"""Learns of a province, how many positions of its feed have been counted, and how many there are."""


async def rebuild(
    database: AsyncEngine, source: Source, province: str, told: Told | None = None, helpers: Helpers | None = None
) -> Rebuilt:
    """Count the whole feed anew and put the new counts in place of the old ones, which answer until then.

    What is longer than one stretch is counted by the `helpers`, if there are any.

    :raises UnderWay: the province is being counted anew already.
    """
    async with database.connect() as claim:
        await claim.execution_options(isolation_level="AUTOCOMMIT")
        if not await counting.claim_rebuild(claim, province):
            msg = f"province {province} is being counted anew already"
            raise UnderWay(msg)
        try:
            return await _rebuild(database, source, province, told, helpers)
        finally:
            # However it ended: a connection that is gone claims nothing.
            await claim.invalidate()


async def count_stretch(database: AsyncEngine, source: Source, stretch: Stretch) -> Kept:
    """Keep the dossiers of a stretch in its generation, which holds none of them.

    None comes twice: whatever moves on while the stretch is read comes after the newest position there was.
    """
    province, dossiers, sums = stretch.province, 0, Sum()
    reading = asyncio.create_task(_page(source, province, stretch.after))
    try:
        while True:
            read = await reading
            is_last = read.next_after >= stretch.until
            if not is_last:
                # The next page is read while this one is counted.
                reading = asyncio.create_task(_page(source, province, read.next_after))
            entries = [entry for entry in read.entries if entry.position <= stretch.until]
            dossiers += len(entries)
            async with database.begin() as transaction:
                await db.commit_lazily(transaction)
                counted = [tally.counted(entry) for entry in entries]
                await counting.keep_new(transaction, province, stretch.generation, counted, sums)
                await counting.note_fresh(transaction, province, latest(entries))
            if is_last:
                return Kept(dossiers, sums)
    finally:
        # Whatever went wrong, nobody waits for the next page any more.
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _rebuild(
    database: AsyncEngine, source: Source, province: str, told: Told | None, helpers: Helpers | None
) -> Rebuilt:
    async with database.begin() as transaction:
        generation = await counting.new_generation(transaction, province)
    reached = await _head(source, province)
    if helpers is None or reached <= helpers.positions:
        helpers = Helpers(lambda stretch: count_stretch(database, source, stretch), 1, reached or 1)
    stretches = [
        Stretch(province, generation, after, min(after + helpers.positions, reached))
        for after in range(0, reached, helpers.positions)
    ]
    dossiers, sums = await _added_up(database, stretches, helpers, told)
    # Before the checkpoint is held, so that nobody waits for it.
    await asyncio.gather(_add(database, province, generation, sums), _analyse(database))
    sums = Sum()
    while await _head(source, province) - reached > _NEAR:
        read = await _page(source, province, reached)
        async with database.begin() as transaction:
            await db.commit_lazily(transaction)
            await _keep(transaction, province, generation, read.entries, sums)
        dossiers, reached = dossiers + len(read.entries), read.next_after
    async with database.begin() as transaction:
        old = await counting.hold_checkpoint(transaction, province)
        newer = set[Touched]()
        # From wherever the one that is behind has come to, so that both tell of the same dossiers at the end.
        goal, at = max(reached, old.position), min(reached, old.position)
        while True:
            read = await _page(source, province, at)
            dossiers += sum(entry.position > reached for entry in read.entries)
            await _keep(transaction, province, generation, read.entries, sums)
            # What came meanwhile is new to both generations, and is no difference between them.
            came = [tally.counted(entry) for entry in read.entries if entry.position > old.position]
            if came:
                newer |= await counting.count(transaction, province, old.generation, came)
            at = read.next_after
            if at >= goal:
                break
        reached = at
        await counting.add(transaction, province, generation, sums)
        known = await feed.reference(source.dossier, source.internal_key, province)
        await reference.replace(transaction, province, known.units, known.procedures)
        before = await _told(transaction, province, old.generation)
        after = await _told(transaction, province, generation)
        changed = {cell for cell in before.keys() | after.keys() if before.get(cell) != after.get(cell)}
        # Dossiers of the old generation may have been wrong in ways that cancel out in cells: all of it is new.
        newer |= {(cell.on_day.replace(day=1), cell.unit) for cell in changed}
        await counting.touch_all(transaction, province, newer, reached)
        await counting.move_checkpoint(transaction, province, replace(old, position=reached, generation=generation))
    async with database.begin() as transaction:
        await counting.forget(transaction, province, old.generation)
    return Rebuilt(province, dossiers, reached, len(changed))


async def _told(transaction: AsyncConnection, province: str, generation: int) -> Mapping[Cell | FeeCell, Sequence[int]]:
    """Return everything that cells of days tell."""
    cells = await counting.cells(transaction, province, generation)
    fees = await counting.fees(transaction, province, generation)
    return dict([*cells.items(), *fees.items()])


async def _added_up(
    database: AsyncEngine, stretches: Sequence[Stretch], helpers: Helpers, told: Told | None
) -> tuple[int, Sum]:
    """Let the helpers count; return how many dossiers there are, and what they count for and no cell tells yet."""
    seats = asyncio.Semaphore(helpers.at_once)

    async def kept(stretch: Stretch) -> tuple[Stretch, Kept]:
        async with seats:
            return stretch, await helpers.count(stretch)

    dossiers, positions, sums = 0, 0, Sum()
    under_way = [asyncio.create_task(kept(stretch)) for stretch in stretches]
    try:
        for finished in asyncio.as_completed(under_way):
            stretch, found = await finished
            dossiers, positions = dossiers + found.dossiers, positions + stretch.until - stretch.after
            sums.include(found.sums)
            # Nobody reads this generation yet, so its cells may wait until many dossiers have added to each.
            if len(sums) > _MOST_ENTRIES:
                await _add(database, stretch.province, stretch.generation, sums)
                sums = Sum()
            if told is not None:
                told(stretch.province, positions, stretches[-1].until)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return dossiers, sums


async def _add(database: AsyncEngine, province: str, generation: int, sums: Sum) -> None:
    async with database.begin() as transaction:
        await db.commit_lazily(transaction)
        await counting.add(transaction, province, generation, sums)


async def _analyse(database: AsyncEngine) -> None:
    async with database.begin() as transaction:
        await counting.analyse(transaction)


async def _head(source: Source, province: str) -> int:
    return (await _page(source, province, 0, limit=1)).head


async def _page(source: Source, province: str, after: int, limit: int = _PAGE) -> FeedPage:
    read = await feed.page_after(source.dossier, source.internal_key, province, after=after, limit=limit)
    return read.page


async def _keep(
    transaction: AsyncConnection, province: str, generation: int, entries: Sequence[Standing], sums: Sum
) -> None:
    if entries:
        await counting.keep(transaction, province, generation, [tally.counted(entry) for entry in entries], sums)
        await counting.note_fresh(transaction, province, latest(entries))
