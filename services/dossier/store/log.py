"""The log and the dossiers folded from it are written and read back here, by the province's one writer.

A function takes the transaction first and never commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Row, RowMapping, Text, bindparam, cast, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Received, Standing
from services.dossier import tables
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.history import Key, Occurrence
from services.dossier.domain.record import DATA_OF_TYPE, FIRST_HASH, Recorded
from services.kit import db

STANDING_FIELDS = [field.name for field in fields(Standing)]


class Before(NamedTuple):
    """What the log holds under a source and id already."""

    position: int
    fingerprint: bytes
    client: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest position of a province, the hash of its newest event, and the version of its reference data."""

    position: int
    reference_version: int
    hash: bytes


async def hold(transaction: AsyncConnection, province: str) -> None:
    """Become the one writer of the province until the transaction ends.

    Positions are drawn while this lock is held, so they are committed in their own order and a reader that has seen
    one has missed none before it.
    """
    await db.lock(transaction, "dossier", province)


async def head(transaction: AsyncConnection, province: str) -> Head:
    """Return the province's newest position, 0 before the first event.

    Every position is given to a dossier when it is drawn, with an event or by folding anew, so the newest dossier
    stands at the head.
    """
    row = (await transaction.execute(_HEAD, {"province": province})).one()
    return Head(row[0], row[1], row[2] or FIRST_HASH)


# Statements of the hot path are built once: building one costs more than running it.
_mine = bindparam("of_province", type_=Text)
_newest = select(func.max(tables.dossier.c.position)).where(tables.dossier.c.province == bindparam("province"))
_version = select(tables.reference_version.c.version).where(
    tables.reference_version.c.province == bindparam("province")
)
_event = tables.event.c
_hash = select(_event.hash).where(_event.province == bindparam("province")).order_by(_event.position.desc()).limit(1)
_HEAD = select(
    func.coalesce(_newest.scalar_subquery(), 0),
    func.coalesce(_version.scalar_subquery(), 0),
    _hash.scalar_subquery(),
)
_keys = db.unnested(tables.event, ["source", "id"]).subquery("sought")
_RECORDED_BEFORE = (
    select(_event.source, _event.id, _event.position, _event.fingerprint, _event.client)
    .join(_keys, (_event.source == _keys.c.source) & (_event.id == _keys.c.id))
    .where(_event.province == _mine)
)
_subjects = db.unnested(tables.event, ["subject"]).subquery("sought")
_HISTORIES = (
    select(
        _event.subject,
        _event.position,
        _event.recorded_at,
        _event.source,
        _event.id,
        _event.occurred_at,
        _event.type,
        cast(_event.data, Text).label("data"),
        _event.sender_units,
        _event.fingerprint,
        _event.client,
    )
    .join(_subjects, _event.subject == _subjects.c.subject)
    .where(_event.province == _mine)
)


async def recorded_before(transaction: AsyncConnection, province: str, keys: Collection[Key]) -> Mapping[Key, Before]:
    """Return what the log holds already under those of the keys (source, id) that it knows."""
    rows = await transaction.execute(_RECORDED_BEFORE, {"of_province": province, **db.arrays(keys, ["source", "id"])})
    return {(row.source, row.id): Before(row.position, row.fingerprint, row.client) for row in rows}


async def histories(
    transaction: AsyncConnection, province: str, subjects: Collection[str]
) -> dict[str, list[Occurrence]]:
    """Return the recorded events of each dossier in `subjects` that has any."""
    return (await histories_and_keys(transaction, province, subjects))[0]


async def histories_and_keys(
    transaction: AsyncConnection, province: str, subjects: Collection[str]
) -> tuple[dict[str, list[Occurrence]], dict[Key, Before]]:
    """Return the recorded events of each dossier in `subjects` that has any, and what was recorded under their keys."""
    sought = db.arrays([(subject,) for subject in subjects], ["subject"])
    rows = await transaction.execute(_HISTORIES, {"of_province": province, **sought})
    by_subject: dict[str, list[Occurrence]] = {}
    recorded: dict[Key, Before] = {}
    for row in rows:
        by_subject.setdefault(row.subject, []).append(occurrence(row))
        recorded[row.source, row.id] = Before(row.position, row.fingerprint, row.client)
    return by_subject, recorded


def occurrence(row: Recorded | Row[*tuple[Any, ...]]) -> Occurrence:
    """Return the event that a row of the log tells of."""
    data = DATA_OF_TYPE[row.type].model_validate_json(row.data)
    units = None if row.sender_units is None else frozenset(row.sender_units)
    return Occurrence(row.position, row.recorded_at, row.source, row.id, row.occurred_at, data, units)


@dataclass(frozen=True, slots=True)
class Kept:
    """A dossier as it is kept: how it stands, and the units that it has left."""

    standing: Standing
    former_units: frozenset[str]


def folded(code: str, history: Sequence[Occurrence], catalogue: Catalogue) -> Kept:
    """Return the dossier `code` as its history makes it."""
    standing = lifecycle.fold(code, history, catalogue)
    if not any(isinstance(occurrence.data, Received) for occurrence in history):
        # Before its receipt a dossier belongs to nobody, and nobody has lost it.
        return Kept(standing, frozenset())
    named = lifecycle.units_named(history)
    return Kept(standing, frozenset(named - {standing.receiving_unit, standing.resolving_unit}))


def kept_as(row: RowMapping) -> Kept:
    """Return the dossier that a whole row tells of."""
    standing = {name: row[name] for name in STANDING_FIELDS} | {"flags": tuple(row["flags"])}
    return Kept(Standing(**standing), frozenset(row["former_units"]))


async def append(transaction: AsyncConnection, events: Sequence[Recorded], dossiers: Sequence[Kept]) -> None:
    """Add `events` to the log and put each dossier where it stands after them.

    :raises AlreadyThere: an event is in the log already; the transaction has failed.
    """
    if not events:
        return
    await db.copy(transaction, tables.event, events)
    await keep(transaction, events[0].province, dossiers)


async def keep(transaction: AsyncConnection, province: str, dossiers: Sequence[Kept]) -> None:
    """Put each dossier where it stands."""
    # All of a row changes with its position, so writing it anew by COPY costs PostgreSQL no more than an update.
    codes = db.arrays([(kept.standing.code,) for kept in dossiers], ["code"])
    await transaction.execute(_LEAVE, {"of_province": province, **codes})
    rows = [(province, *_values(kept.standing), sorted(kept.former_units)) for kept in dossiers]
    await db.copy(transaction, tables.dossier, rows)


_left = db.unnested(tables.dossier, ["code"]).subquery("left_behind")
_LEAVE = delete(tables.dossier).where(
    tables.dossier.c.province == bindparam("of_province", type_=Text), tables.dossier.c.code == _left.c.code
)
_values = attrgetter(*STANDING_FIELDS)
