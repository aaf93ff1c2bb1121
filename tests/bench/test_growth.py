"""A multiplied history is as true as the one it was made of, and what follows up on it is spread over all of it."""

import asyncio
from collections.abc import Sequence

import asyncpg

from bench import growth, history, system
from services.cli import reference as csv
from services.dossier.domain.catalogue import Catalogue
from services.dossier.store import chain, log, reference
from services.dossier.store.log import Kept
from services.kit import db
from services.metrics import follower
from services.metrics.domain import tally
from services.metrics.domain.tally import MEASURES, MEASURES_OF, Sum, Tally
from services.metrics.store import counting

COPIES = 3
ENDED = ("resolved", "declined", "withdrawn", "stopped", "voided")


async def known(url: str) -> None:
    """Let the province's units be known, for which alone anything counts."""
    units = [(system.PROVINCE, one.code, one.valid_from, one.model_dump_json()) for one in csv.units(system.PROVINCE)]
    connection = await asyncpg.connect(url)
    try:
        await connection.executemany("INSERT INTO dossier.unit VALUES ($1, $2, $3, $4)", units)
    finally:
        await connection.close()


async def counted(url: str) -> None:
    """Let the metrics service have counted all that is recorded."""
    engine = db.engine(url, application="test", connections=1)
    async with engine.begin() as transaction:
        reached = await counting.hold_checkpoint(transaction, system.PROVINCE)
        kept = await chain.dossiers_after(transaction, system.PROVINCE, "", 5_000)
        await follower.count(transaction, system.PROVINCE, reached.generation, [one.standing for one in kept])
    await engine.dispose()


async def multiplied(url: str) -> int:
    """Record five hundred dossiers, have them counted, multiply them, and return the head before."""
    await known(url)
    head = await history.record(url, 500)
    await counted(url)
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


async def all_counted(url: str) -> tuple[Tally, Tally]:
    """Return the cells as they stand, and as the dossiers that are kept make them."""
    kept, _, _ = await all_kept(url)
    engine = db.engine(url, application="test", connections=1)
    async with engine.connect() as transaction:
        generation = (await counting.checkpoint(transaction, system.PROVINCE)).generation
        cells = await counting.cells(transaction, system.PROVINCE, generation)
    await engine.dispose()
    sums = Sum()
    for one in kept:
        sums.add(tally.counted(one.standing))
    places = {occasion: [MEASURES.index(name) for name in names] for occasion, names in MEASURES_OF.items()}
    found = {
        occasion: {cell: told for cell, row in cells.items() if any(told := tuple(row[place] for place in of_it))}
        for occasion, of_it in places.items()
    }
    return found, sums.tally()


def test_the_cells_of_a_multiplied_history_are_those_its_dossiers_make(database_url: str) -> None:
    asyncio.run(multiplied(database_url))

    cells, expected = asyncio.run(all_counted(database_url))

    assert sum(len(of_occasion) for of_occasion in cells.values()) > 100
    assert cells == expected


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
