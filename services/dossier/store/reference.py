"""Units, procedures and the calendar are kept here in all their versions.

A function takes the transaction first and never commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, bindparam, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import CalendarDay, Frozen, Procedure, Unit
from services.dossier import tables
from services.dossier.domain import revision
from services.dossier.domain.catalogue import Catalogue, catalogue
from services.dossier.domain.revision import KINDS, Change, E, Entry, Kind, key
from services.dossier.store import refold
from services.kit import db


async def load_catalogue(transaction: AsyncConnection, province: str) -> Catalogue:
    """Return all reference data of the province."""
    return catalogue(
        await units(transaction, province),
        await procedures(transaction, province),
        await calendar_days(transaction, province),
    )


async def units(transaction: AsyncConnection, province: str, on_day: date | None = None) -> Sequence[Unit]:
    """Return the versions of units, all of them or those in force on `on_day`, by code and first day."""
    return [Unit.model_validate(content) for content in await _contents(transaction, tables.unit, province, on_day)]


async def procedures(transaction: AsyncConnection, province: str, on_day: date | None = None) -> Sequence[Procedure]:
    """Return the versions of procedures, all of them or those in force on `on_day`, by code and first day."""
    contents = await _contents(transaction, tables.procedure, province, on_day)
    return [Procedure.model_validate(content) for content in contents]


async def _contents(
    transaction: AsyncConnection, table: Table, province: str, on_day: date | None
) -> Sequence[Mapping[str, Any]]:
    query = select(table.c.content).where(table.c.province == province).order_by(table.c.code, table.c.valid_from)
    if on_day is not None:
        last = table.c.content["valid_to"].astext
        query = query.where(table.c.valid_from <= on_day, or_(last.is_(None), last >= on_day.isoformat()))
    return (await transaction.scalars(query)).all()


async def calendar_days(
    transaction: AsyncConnection, province: str, first: date | None = None, last: date | None = None
) -> Sequence[CalendarDay]:
    """Return the days that depart from Monday-to-Friday, in order, from `first` through `last`."""
    day = tables.calendar_day.c
    query = select(day.on_day, day.working, day.name, day.official).where(day.province == province).order_by(day.on_day)
    if first is not None:
        query = query.where(day.on_day >= first)
    if last is not None:
        query = query.where(day.on_day <= last)
    return [CalendarDay.model_validate(dict(row)) for row in (await transaction.execute(query)).mappings()]


async def put(
    transaction: AsyncConnection, province: str, changes: Sequence[Change[E]], *, client: str, at: datetime
) -> None:
    """Store the changes with their history and mark the dossiers that they may alter; nothing changed is nothing done.

    The caller holds the province and has found the changes while it did.
    """
    if not changes:
        return
    table = _TABLES[type(changes[0].after)]
    upsert = _stored(table)
    names = [column.name for column in table.columns]
    await transaction.execute(upsert, db.arrays([(province, *_row(change.after)) for change in changes], names))
    version = await transaction.scalar(_NEXT_VERSION, {"province": province, "changed_at": at})
    history = [
        (province, version, KINDS[type(c.after)], key(c.after), client, at, _json(c.before), _json(c.after))
        for c in changes
    ]
    await transaction.execute(_CHANGED, db.arrays(history, _CHANGE_COLUMNS))
    reach = revision.reach(changes)
    if reach is not None:
        await refold.mark(transaction, province, version, reach)


_TABLES: Mapping[type[Frozen], Table] = {
    Unit: tables.unit,
    Procedure: tables.procedure,
    CalendarDay: tables.calendar_day,
}
_CHANGE_COLUMNS = [column.name for column in tables.reference_change.columns]
_CHANGED = insert(tables.reference_change).from_select(
    _CHANGE_COLUMNS, db.unnested(tables.reference_change, _CHANGE_COLUMNS)
)
_version = insert(tables.reference_version).values(
    province=bindparam("province"), version=1, changed_at=bindparam("changed_at")
)
_NEXT_VERSION = _version.on_conflict_do_update(
    index_elements=["province"],
    set_={"version": tables.reference_version.c.version + 1, "changed_at": _version.excluded.changed_at},
).returning(tables.reference_version.c.version)


def _stored(table: Table) -> Insert:
    names = [column.name for column in table.columns]
    upsert = insert(table).from_select(names, db.unnested(table, names))
    content = {name: upsert.excluded[name] for name in names if not table.c[name].primary_key}
    return upsert.on_conflict_do_update(index_elements=list(table.primary_key), set_=content)


def _row(entry: Entry) -> tuple[Any, ...]:
    if isinstance(entry, CalendarDay):
        return entry.on_day, entry.working, entry.name, entry.official
    return entry.code, entry.valid_from, entry.model_dump_json(by_alias=True)


def _json(entry: Entry | None) -> str | None:
    return None if entry is None else entry.model_dump_json(by_alias=True)


@dataclass(frozen=True, slots=True)
class Changed:
    """A change of reference data as its history tells it: which version it made, of what, by whom and when."""

    version: int
    kind: Kind
    key: str
    client: str
    changed_at: datetime
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


async def changes_after(
    transaction: AsyncConnection, province: str, version: int, after_key: str | None, limit: int
) -> Sequence[Changed]:
    """Return at most `limit` changes after `version`, or after one key of it, in the order of version and key."""
    change = tables.reference_change.c
    columns = [change[field.name] for field in fields(Changed)]
    after = (
        change.version > version
        if after_key is None
        else tuple_(change.version, change.key) > tuple_(literal(version), literal(after_key))
    )
    query = select(*columns).where(change.province == province, after).order_by(change.version, change.key).limit(limit)
    return [Changed(*row) for row in await transaction.execute(query)]
