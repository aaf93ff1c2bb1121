"""The log and the dossiers folded from it are written and read back here, by the province's one writer.

A function takes the transaction first and never commits.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import RowMapping, Text, any_, bindparam, cast, delete, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Received, Standing
from services.dossier import tables
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.history import Key, Occurrence
from services.dossier.domain.record import DATA_OF_TYPE, FIRST_HASH, Recorded
from services.kit import db
from services.kit.db import Line

STANDING_FIELDS = [field.name for field in fields(Standing)]
LISTS = ("supplement_spans", "flags")
"""The fields that hold several values: tuples in a standing, lists as the database gives them."""


class Before(NamedTuple):
    """What the log holds under a source and id already."""

    position: int
    fingerprint: bytes
    client: str


class Head(NamedTuple):
    """The newest position of a province, the hash of its newest event, and the version of its reference data."""

    position: int
    reference_version: int
    hash: bytes


async def hold(transaction: AsyncConnection, province: str) -> None:
    """Become the one writer of the province until the transaction ends.

    Positions are drawn while this lock is held, so they are committed in their own order and a reader that has seen
    one has missed none before it.
    """
    await db.lock(transaction, *_lock(province))


def holding(line: Line, province: str) -> AbstractAsyncContextManager[AsyncConnection]:
    """Begin a transaction as the one writer of the province; it commits where the block ends well."""
    return line.holding(*_lock(province))


def _lock(province: str) -> tuple[str, str]:
    return "dossier", province


async def head(transaction: AsyncConnection, province: str) -> Head:
    """Return the province's newest position, 0 before the first event.

    Every position is given to a dossier when it is drawn, with an event or by folding anew, so the newest dossier
    stands at the head.
    """
    [row] = await _HEAD.fetch(transaction, province=province)
    return Head(row[0], row[1], row[2] or FIRST_HASH)


# Statements of the hot path are built once: building one costs more than running it.
_mine = bindparam("of_province", type_=Text)
_newest = select(func.max(tables.dossier.c.position)).where(tables.dossier.c.province == bindparam("province"))
_version = select(tables.reference_version.c.version).where(
    tables.reference_version.c.province == bindparam("province")
)
_event = tables.event.c
_hash = select(_event.hash).where(_event.province == bindparam("province")).order_by(_event.position.desc()).limit(1)
_HEAD = db.Prepared(
    select(
        func.coalesce(_newest.scalar_subquery(), 0),
        func.coalesce(_version.scalar_subquery(), 0),
        _hash.scalar_subquery(),
    )
)
_keys = db.unnested(tables.event, ["source", "id"]).subquery("sought")
_RECORDED_BEFORE = db.Prepared(
    select(_event.source, _event.id, _event.position, _event.fingerprint, _event.client)
    .join(_keys, (_event.source == _keys.c.source) & (_event.id == _keys.c.id))
    .where(_event.province == _mine)
)
# Without a join: as long as no statistics tell how long the log is, the planner would join all of it.
_HISTORIES = db.Prepared(
    select(*(cast(_event.data, Text) if name == "data" else _event[name] for name in Recorded._fields)).where(
        _event.province == _mine, _event.subject == any_(bindparam("subjects", type_=ARRAY(Text)))
    )
)


async def recorded_before(transaction: AsyncConnection, province: str, keys: Collection[Key]) -> Mapping[Key, Before]:
    """Return what the log holds already under those of the keys (source, id) that it knows."""
    sought = db.arrays(keys, ["source", "id"])
    rows = await _RECORDED_BEFORE.fetch(transaction, of_province=province, **sought)
    return {(source, id_): Before(*before) for source, id_, *before in rows}


async def histories(
    transaction: AsyncConnection, province: str, subjects: Collection[str]
) -> dict[str, list[Occurrence]]:
    """Return the recorded events of each dossier in `subjects` that has any."""
    return (await histories_and_keys(transaction, province, subjects))[0]


async def histories_and_keys(
    transaction: AsyncConnection, province: str, subjects: Collection[str]
) -> tuple[dict[str, list[Occurrence]], dict[Key, Before]]:
    """Return the recorded events of each dossier in `subjects` that has any, and what was recorded under their keys."""
    by_subject: dict[str, list[Occurrence]] = {}
    recorded: dict[Key, Before] = {}
    for row in await _HISTORIES.fetch(transaction, of_province=province, subjects=list(subjects)):
        entry = Recorded(*row)
        by_subject.setdefault(entry.subject, []).append(occurrence(entry))
        recorded[entry.source, entry.id] = Before(entry.position, entry.fingerprint, entry.client)
    return by_subject, recorded


def occurrence(entry: Recorded) -> Occurrence:
    """Return the event that an entry of the log tells of."""
    data = DATA_OF_TYPE[entry.type].model_validate_json(entry.data)
    units = None if entry.sender_units is None else frozenset(entry.sender_units)
    return Occurrence(entry.position, entry.recorded_at, entry.source, entry.id, entry.occurred_at, data, units)


@dataclass(frozen=True, slots=True)
class Kept:
    """A dossier as it is kept: how it stands, and the units that it has left."""

    standing: Standing
    former_units: frozenset[str]


def folded(code: str, history: Sequence[Occurrence], catalogue: Catalogue) -> Kept:
    """Return the dossier `code` as its history makes it."""
    standing = lifecycle.fold(code, history, catalogue)
    if standing.received_at is None and not any(type(occurrence.data) is Received for occurrence in history):
        # Before its receipt a dossier belongs to nobody, and nobody has lost it.
        return Kept(standing, frozenset())
    named = lifecycle.units_named(history)
    return Kept(standing, frozenset(named - {standing.receiving_unit, standing.resolving_unit}))


def kept_as(row: RowMapping) -> Kept:
    """Return the dossier that a whole row tells of."""
    standing = {name: row[name] for name in STANDING_FIELDS}
    lists = {name: tuple(row[name]) for name in LISTS}
    return Kept(Standing(**standing | lists), frozenset(row["former_units"]))


async def add(transaction: AsyncConnection, events: Sequence[Recorded]) -> None:
    """Add events to the log.

    :raises AlreadyThere: an event is in the log already; the transaction has failed.
    """
    if events:
        await db.copy(transaction, tables.event, events)


async def keep(transaction: AsyncConnection, province: str, dossiers: Sequence[Kept]) -> None:
    """Put each dossier where it stands."""
    if not dossiers:
        return
    # All of a row changes with its position, so writing it anew by COPY costs PostgreSQL no more than an update.
    codes = [kept.standing.code for kept in dossiers]
    await _LEAVE.fetch(transaction, of_province=province, code=codes)
    rows = [(province, *_values(kept.standing), sorted(kept.former_units)) for kept in dossiers]
    await db.copy(transaction, tables.dossier, rows)


_left = db.unnested(tables.dossier, ["code"]).subquery("left_behind")
_LEAVE = db.Prepared(
    delete(tables.dossier).where(
        tables.dossier.c.province == bindparam("of_province", type_=Text), tables.dossier.c.code == _left.c.code
    )
)
_values = attrgetter(*STANDING_FIELDS)
