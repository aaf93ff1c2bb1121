"""All counts can be made anew from the feed beside those that answer, and take their place without a gap.

What is counted anew is a new generation. The old one answers, and goes on being counted, until the new one has reached
its position; then one transaction moves the checkpoint over, and the old generation is cleared away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import FeedPage
from services.kit import db
from services.metrics import feed
from services.metrics.domain import tally
from services.metrics.domain.tally import Sum
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


async def rebuild(
    database: AsyncEngine, source: Source, province: str, told: Callable[[str, int, int], None] | None = None
) -> Rebuilt:
    """Count the whole feed anew and put the new counts in place of the old ones, which answer until then.

    After every page `told` learns of the province, the position reached and the newest one.

    :raises UnderWay: the province is being counted anew already.
    """
    async with database.connect() as claim:
        await claim.execution_options(isolation_level="AUTOCOMMIT")
        if not await counting.claim_rebuild(claim, province):
            msg = f"province {province} is being counted anew already"
            raise UnderWay(msg)
        try:
            return await _rebuild(database, source, province, told)
        finally:
            # However it ended: a connection that is gone claims nothing.
            await claim.invalidate()


async def _rebuild(
    database: AsyncEngine, source: Source, province: str, told: Callable[[str, int, int], None] | None
) -> Rebuilt:
    async with database.begin() as transaction:
        generation = await counting.new_generation(transaction, province)
    dossiers, reached, head, sums = 0, 0, _NEAR + 1, Sum()
    reading = asyncio.create_task(_page(source, province, reached))
    try:
        while head - reached > _NEAR:
            read = await reading
            reached, head = read.next_after, read.head
            # The next page is read while this one is counted.
            reading = asyncio.create_task(_page(source, province, reached))
            dossiers += len(read.entries)
            async with database.begin() as transaction:
                await db.commit_lazily(transaction)
                await _keep(transaction, province, generation, read, sums)
                # Nobody reads this generation yet, so its cells may wait until many dossiers have added to each.
                if len(sums) > _MOST_ENTRIES:
                    await counting.add(transaction, province, generation, sums)
                    sums = Sum()
            if told is not None:
                told(province, reached, head)
    finally:
        # Whatever went wrong, nobody waits for the next page any more.
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    async with database.begin() as transaction:
        old = await counting.hold_checkpoint(transaction, province)
        newer = set[Touched]()
        # From wherever the one that is behind has come to, so that both tell of the same dossiers at the end.
        goal, at = max(reached, old.position), min(reached, old.position)
        while True:
            read = await _page(source, province, at)
            dossiers += sum(entry.position > reached for entry in read.entries)
            await _keep(transaction, province, generation, read, sums)
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
        before = await counting.cells(transaction, province, old.generation)
        after = await counting.cells(transaction, province, generation)
        changed = {cell for cell in before.keys() | after.keys() if before.get(cell) != after.get(cell)}
        # Dossiers of the old generation may have been wrong in ways that cancel out in cells: all of it is new.
        newer |= {(cell.on_day.replace(day=1), cell.unit) for cell in changed}
        await counting.touch_all(transaction, province, newer, reached)
        await counting.move_checkpoint(transaction, province, replace(old, position=reached, generation=generation))
    async with database.begin() as transaction:
        await counting.forget(transaction, province, old.generation)
    return Rebuilt(province, dossiers, reached, len(changed))


async def _page(source: Source, province: str, after: int) -> FeedPage:
    read = await feed.page_after(source.dossier, source.internal_key, province, after=after, limit=_PAGE)
    return read.page


async def _keep(transaction: AsyncConnection, province: str, generation: int, read: FeedPage, sums: Sum) -> None:
    if read.entries:
        counted = [tally.counted(entry) for entry in read.entries]
        await counting.keep(transaction, province, generation, counted, sums)
        await counting.note_fresh(transaction, province, latest(read.entries))
