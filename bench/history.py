"""Months of dossiers are put in place in a minute: folded as the dossier service folds them, but stored by COPY.

A tenth of them is simulated, and each stands ten times under ten codes: who counts cannot tell. The tables hold what
they would hold had every event been posted, and the metrics service counts them from the feed as always.
"""

import itertools
import operator
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from bench import system
from services.cli import simulation
from services.contract import Corrected, Data, Retracted
from services.dossier import tables
from services.dossier.domain.history import Occurrence
from services.dossier.domain.record import DATA_OF_TYPE, FIRST_HASH, canonical, chained, fingerprint
from services.dossier.store import log, reference
from services.dossier.store.log import Kept
from services.kit import clock, db

COPIES = 10

_LIVES_PER_COMMIT = 500
_SOURCE = "urn:motcua:demo:lang-son:"

_COLUMNS = {table.name: [column.name for column in table.columns] for table in (tables.event, tables.dossier)}
_FACTS = operator.attrgetter(*_COLUMNS["dossier"][1:-1])

Row = tuple[Any, ...]


async def record(url: str, dossiers: int) -> int:
    """Store so many dossiers received from January through October 2026, with their events; return the head.

    They are committed in the order of their positions, as a reader of the feed relies on.
    """
    engine = db.engine(url, application="bench", connections=1)
    async with engine.connect() as transaction:
        catalogue = await reference.load_catalogue(transaction, system.PROVINCE)
    await engine.dispose()
    position, newest, now = 0, FIRST_HASH, clock.now()
    lives = simulation.dossiers(system.scenario(dossiers // COPIES))
    connection = await asyncpg.connect(url)
    try:
        while chunk := list(itertools.islice(lives, _LIVES_PER_COMMIT)):
            events: list[Row] = []
            standings: list[Row] = []
            for life in chunk:
                told = _told(life)
                kept = None
                for number in range(COPIES):
                    code = f"{life.code}-{number}"
                    history = _history(life, told, number, position, now)
                    # Copies stand alike, so one fold is enough for all of them.
                    kept = kept or log.folded(code, history, catalogue)
                    rows = _event_rows(code, told, history, newest)
                    position, newest = history[-1].position, rows[-1][-1]
                    events += rows
                    standings.append(_dossier_row(kept, code, position))
            async with connection.transaction():
                for table, rows in (("event", events), ("dossier", standings)):
                    await connection.copy_records_to_table(
                        table, schema_name="dossier", records=rows, columns=_COLUMNS[table]
                    )
        await connection.execute("ANALYZE dossier.event, dossier.dossier")
    finally:
        await connection.close()
    return position


def _told(life: simulation.Dossier) -> Sequence[tuple[str, Data]]:
    """Return the type and the data of each of the dossier's events."""
    types = [f"vn.motcua.dossier.{step.kind}" for step in life.steps]
    return [
        (type_, DATA_OF_TYPE[type_].model_validate(step.content)) for type_, step in zip(types, life.steps, strict=True)
    ]


def _history(
    life: simulation.Dossier, told: Sequence[tuple[str, Data]], number: int, position: int, now: datetime
) -> Sequence[Occurrence]:
    code = f"{life.code}-{number}"
    return [
        Occurrence(
            position + place,
            now,
            _SOURCE + step.unit,
            f"{code}-{place}",
            step.occurred_at,
            _renamed(data, life.code, code),
        )
        for place, (step, (_type, data)) in enumerate(zip(life.steps, told, strict=True), 1)
    ]


def _renamed(data: Data, of: str, to: str) -> Data:
    """Let a correction or retraction in a copy of a dossier's life name the copy's event."""
    if not isinstance(data, Corrected | Retracted):
        return data
    return data.model_copy(update={"event_id": to + data.event_id.removeprefix(of)})


def _event_rows(
    code: str, told: Sequence[tuple[str, Data]], history: Sequence[Occurrence], newest: bytes
) -> Sequence[Row]:
    rows: list[Row] = []
    for (type_, _), occurrence in zip(told, history, strict=True):
        content = canonical(occurrence.data)
        print_ = fingerprint(type_, code, occurrence.occurred_at, content)
        newest = chained(newest, occurrence, print_, system.GRANT.client)
        rows.append(
            (
                system.PROVINCE,
                occurrence.position,
                occurrence.source,
                occurrence.id,
                type_,
                code,
                occurrence.occurred_at,
                content,
                print_,
                system.GRANT.client,
                None,
                occurrence.recorded_at,
                newest,
            )
        )
    return rows


def _dossier_row(kept: Kept, code: str, position: int) -> Row:
    standing = replace(kept.standing, code=code, position=position)
    return system.PROVINCE, *_FACTS(standing), sorted(kept.former_units)
