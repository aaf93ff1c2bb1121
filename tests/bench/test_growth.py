"""A multiplied history is as true as the one it was made of, and what follows up on it is spread over all of it."""

import asyncio
from collections.abc import Sequence

import asyncpg

from bench import growth, history, system
from services.dossier.domain.catalogue import Catalogue
from services.dossier.store import chain, log, reference
from services.dossier.store.log import Kept
from services.kit import db

COPIES = 3
ENDED = ("resolved", "declined", "withdrawn", "stopped", "voided")


async def multiplied(url: str) -> int:
    """Record five hundred dossiers, multiply them, and return the head before."""
    head = await history.record(url, 500)
    connection = await asyncpg.connect(url)
    try:
        await growth.multiply(connection, COPIES, head)
    finally:
        await connection.close()
    return head


async def all_kept(url: str) -> tuple[Sequence[Kept], Sequence[Kept], Sequence[int]]:
    """Return all dossiers as they are kept and as the log makes them, and the positions of all events."""
    engine = db.engine(url, application="test", connections=1)
    async with engine.connect() as transaction:
        catalogue: Catalogue = await reference.load_catalogue(transaction, system.PROVINCE)
        kept = await chain.dossiers_after(transaction, system.PROVINCE, "", 5_000)
        codes = {one.standing.code for one in kept}
        told, _ = await log.histories_and_keys(transaction, system.PROVINCE, codes)
    await engine.dispose()
    positions = sorted(occurrence.position for history in told.values() for occurrence in history)
    return kept, [log.folded(one.standing.code, told[one.standing.code], catalogue) for one in kept], positions


def test_every_copy_of_a_dossier_stands_as_its_own_events_make_it(database_url: str) -> None:
    asyncio.run(multiplied(database_url))

    kept, folded, _ = asyncio.run(all_kept(database_url))

    assert len(kept) > 500
    assert kept == folded


def test_closed_dossiers_are_multiplied_and_open_ones_are_not(database_url: str) -> None:
    asyncio.run(multiplied(database_url))

    kept, _, _ = asyncio.run(all_kept(database_url))

    copied = [one.standing.status for one in kept if one.standing.code.count("-c") == 1]
    true = [one.standing.status for one in kept if one.standing.code.count("-c") == 0]
    assert set(true) > set(copied)
    assert len(copied) == COPIES * sum(status in ENDED for status in true)


def test_copies_take_the_positions_behind_the_head_without_a_gap(database_url: str) -> None:
    head = asyncio.run(multiplied(database_url))

    _, _, positions = asyncio.run(all_kept(database_url))

    assert positions == list(range(1, len(positions) + 1))
    assert len(positions) > head
