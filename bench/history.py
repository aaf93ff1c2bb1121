"""Months of dossiers are put in place in a minute: folded as the dossier service folds them, but stored by COPY.

A tenth of them is simulated, and each stands ten times under ten codes: who counts cannot tell. The tables hold what
they would hold had every event been posted, and the metrics service counts them from the feed as always.
"""

import hashlib
import itertools
import operator
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from bench import system
from services.cli import simulation
from services.contract import Standing
from services.dossier import store, tables
from services.dossier.domain import lifecycle
from services.dossier.domain.lifecycle import Occurrence
from services.kit import clock, db

COPIES = 10

_DOSSIERS_PER_COMMIT = 5_000
_SOURCE = "urn:motcua:demo:lang-son:"

_COLUMNS = {table.name: [column.name for column in table.columns] for table in (tables.event, tables.dossier)}
_FACTS = operator.attrgetter(*_COLUMNS["dossier"][1:])


def _again(table: str, code: str) -> str:
    """Return the statement that stores each first row of a table again, as number $1, its position moved by $2."""
    names = _COLUMNS[table]
    moved = {"position": "position + $2", "id": "id || '-' || $1::int", code: f"{code} || '-' || $1::int"}
    return (
        f"INSERT INTO dossier.{table} ({', '.join(names)}) "  # noqa: S608 - names of our own
        f"SELECT {', '.join(moved.get(name, name) for name in names)} FROM dossier.{table} "
        "WHERE position * $1::int <= $2 ORDER BY position"
    )


_COPY = (_again("event", "subject"), _again("dossier", "code"))

Row = tuple[Any, ...]


async def record(url: str, dossiers: int) -> int:
    """Store so many dossiers received from January through October 2026, with their events; return the head.

    They are committed in the order of their positions, as a reader of the feed relies on.
    """
    engine = db.engine(url, application="bench", connections=1)
    async with engine.connect() as transaction:
        catalogue = await store.load_catalogue(transaction, system.PROVINCE)
    await engine.dispose()
    position, now = 0, clock.now()
    lives = simulation.dossiers(system.scenario(dossiers // COPIES))
    connection = await asyncpg.connect(url)
    try:
        while chunk := list(itertools.islice(lives, _DOSSIERS_PER_COMMIT)):
            events: list[Row] = []
            standings: list[Row] = []
            for life in chunk:
                occurrences = _occurrences(life, position, now)
                position = occurrences[-1].position
                events += _event_rows(life, occurrences)
                standings.append(_dossier_row(lifecycle.fold(life.code, occurrences, catalogue)))
            async with connection.transaction():
                for table, rows in (("event", events), ("dossier", standings)):
                    await connection.copy_records_to_table(
                        table, schema_name="dossier", records=rows, columns=_COLUMNS[table]
                    )
        for number in range(1, COPIES):
            async with connection.transaction():
                for statement in _COPY:
                    await connection.execute(statement, number, number * position)
        await connection.execute("ANALYZE dossier.event, dossier.dossier")
    finally:
        await connection.close()
    return COPIES * position


def _occurrences(life: simulation.Dossier, position: int, now: datetime) -> Sequence[Occurrence]:
    return [
        Occurrence(
            position + number,
            now,
            _SOURCE + step.unit,
            f"{life.code}-{number}",
            step.occurred_at,
            store.DATA_OF_TYPE[f"vn.motcua.dossier.{step.kind}"].model_validate(step.content),
        )
        for number, step in enumerate(life.steps, 1)
    ]


def _event_rows(life: simulation.Dossier, occurrences: Sequence[Occurrence]) -> Iterator[Row]:
    for step, occurrence in zip(life.steps, occurrences, strict=True):
        yield (
            system.PROVINCE,
            occurrence.position,
            occurrence.source,
            occurrence.id,
            f"vn.motcua.dossier.{step.kind}",
            life.code,
            occurrence.occurred_at,
            orjson.dumps(step.content).decode(),
            hashlib.blake2b(occurrence.id.encode(), digest_size=16).digest(),
            system.GRANT.client,
            None,
            occurrence.recorded_at,
        )


def _dossier_row(standing: Standing) -> Row:
    return system.PROVINCE, *_FACTS(standing)
