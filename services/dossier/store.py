"""All SQL of the dossier service; a function takes the transaction first and never commits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, get_args

from sqlalchemy import ColumnElement, Row, Select, Table, Text, bindparam, func, literal_column, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import AnyEvent, CalendarDay, Data, Grant, Procedure, Standing, Unit
from services.dossier import tables
from services.dossier.domain.catalogue import Catalogue, catalogue
from services.dossier.domain.lifecycle import Occurrence
from services.kit import db

_EVENT_COLUMNS = [column.name for column in tables.event.columns]
_DOSSIER_COLUMNS = [column.name for column in tables.dossier.columns]
_STANDING_FIELDS = [field.name for field in fields(Standing)]

DATA_OF_TYPE: Mapping[str, type[Data]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind.model_fields["data"].annotation
    for kind in get_args(get_args(AnyEvent)[0])
}
"""The class of an event's data, by the event's type."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the log of its province."""

    province: str
    occurrence: Occurrence
    type: str
    subject: str
    fingerprint: bytes
    client: str

    @property
    def position(self) -> int:
        """The event's place in the order of recording."""
        return self.occurrence.position


@dataclass(frozen=True, slots=True)
class Before:
    """What the log holds under a source and id already."""

    position: int
    fingerprint: bytes
    client: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest position of a province and the version of its reference data."""

    position: int
    reference_version: int


async def hold(transaction: AsyncConnection, province: str) -> None:
    """Become the one writer of the province until the transaction ends.

    Positions are drawn while this lock is held, so they are committed in their own order and a reader that has seen
    one has missed none before it.
    """
    await db.lock(transaction, "dossier", province)


async def head(transaction: AsyncConnection, province: str) -> Head:
    """Return the province's newest position, 0 before the first event.

    The latest event of a dossier gives the dossier its position, so the newest dossier stands at the head.
    """
    row = (await transaction.execute(_HEAD, {"province": province})).one()
    return Head(row[0], row[1])


# Statements of the hot path are built once: building one costs more than running it.
_mine = bindparam("of_province", type_=Text)
_newest = select(func.max(tables.dossier.c.position)).where(tables.dossier.c.province == bindparam("province"))
_version = select(tables.reference_version.c.version).where(
    tables.reference_version.c.province == bindparam("province")
)
_HEAD = select(func.coalesce(_newest.scalar_subquery(), 0), func.coalesce(_version.scalar_subquery(), 0))
_event = tables.event.c
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
        _event.data,
        _event.sender_units,
    )
    .join(_subjects, _event.subject == _subjects.c.subject)
    .where(_event.province == _mine)
)


async def recorded_before(
    transaction: AsyncConnection, province: str, keys: Collection[tuple[str, str]]
) -> Mapping[tuple[str, str], Before]:
    """Return what the log holds already under those of the keys (source, id) that it knows."""
    rows = await transaction.execute(_RECORDED_BEFORE, {"of_province": province, **db.arrays(keys, ["source", "id"])})
    return {(row.source, row.id): Before(row.position, row.fingerprint, row.client) for row in rows}


async def histories(
    transaction: AsyncConnection, province: str, subjects: Collection[str]
) -> dict[str, list[Occurrence]]:
    """Return the recorded events of each dossier in `subjects` that has any."""
    sought = db.arrays([(subject,) for subject in subjects], ["subject"])
    rows = await transaction.execute(_HISTORIES, {"of_province": province, **sought})
    by_subject: dict[str, list[Occurrence]] = {}
    for row in rows:
        by_subject.setdefault(row.subject, []).append(_occurrence(row))
    return by_subject


def _occurrence(row: Row[*tuple[Any, ...]]) -> Occurrence:
    data = DATA_OF_TYPE[row.type].model_validate(row.data)
    units = None if row.sender_units is None else frozenset(row.sender_units)
    return Occurrence(row.position, row.recorded_at, row.source, row.id, row.occurred_at, data, units)


async def append(transaction: AsyncConnection, events: Sequence[Recorded], standings: Iterable[Standing]) -> None:
    """Add `events` to the log and put each dossier where it stands after them."""
    if not events:
        return
    rows = [
        (
            event.province,
            event.occurrence.position,
            event.occurrence.source,
            event.occurrence.id,
            event.type,
            event.subject,
            event.occurrence.occurred_at,
            event.occurrence.data.model_dump_json(exclude_none=True),
            event.fingerprint,
            event.client,
            None if event.occurrence.sender_units is None else " ".join(sorted(event.occurrence.sender_units)),
            event.occurrence.recorded_at,
        )
        for event in events
    ]
    await transaction.execute(_APPEND, db.arrays(rows, _EVENT_COLUMNS))
    province = events[0].province
    await transaction.execute(
        _STAND, db.arrays([(province, *_values(standing)) for standing in standings], _DOSSIER_COLUMNS)
    )


_APPEND = insert(tables.event).from_select(_EVENT_COLUMNS, db.unnested(tables.event, _EVENT_COLUMNS))
_stand = insert(tables.dossier).from_select(_DOSSIER_COLUMNS, db.unnested(tables.dossier, _DOSSIER_COLUMNS))
_STAND = _stand.on_conflict_do_update(
    index_elements=["province", "code"],
    set_={name: _stand.excluded[name] for name in _DOSSIER_COLUMNS if name not in {"province", "code"}},
)


def _values(standing: Standing) -> tuple[Any, ...]:
    return tuple(" ".join(standing.flags) if name == "flags" else getattr(standing, name) for name in _STANDING_FIELDS)


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    return Standing(**{**row._mapping, "flags": tuple(row.flags)})  # noqa: SLF001 - Row's documented mapping


def _within(grant: Grant) -> ColumnElement[bool] | None:
    """Return the condition that a dossier belongs to one of the client's units, or None for a whole province."""
    if grant.units is None:
        return None
    dossier = tables.dossier.c
    units = sorted(grant.units)
    return or_(dossier.receiving_unit.in_(units), dossier.resolving_unit.in_(units))


def _readable(grant: Grant, query: Select[Any]) -> Select[Any]:
    query = query.where(tables.dossier.c.province == grant.province)
    within = _within(grant)
    return query if within is None else query.where(within)


_STANDING_COLUMNS = [tables.dossier.c[name] for name in _STANDING_FIELDS]


async def standing(transaction: AsyncConnection, grant: Grant, code: str) -> Standing | None:
    """Return how the dossier stands, or None where it is unknown or not the client's to see."""
    query = _readable(grant, select(*_STANDING_COLUMNS).where(tables.dossier.c.code == code))
    row = (await transaction.execute(query)).one_or_none()
    return None if row is None else _standing(row)


async def feed_after(transaction: AsyncConnection, grant: Grant, after: int, limit: int) -> Sequence[Standing]:
    """Return at most `limit` standings that changed after position `after`, in the order of their latest change."""
    query = _readable(grant, select(*_STANDING_COLUMNS).where(tables.dossier.c.position > after))
    rows = await transaction.execute(query.order_by(tables.dossier.c.position).limit(limit))
    return [_standing(row) for row in rows]


async def events_after(transaction: AsyncConnection, grant: Grant, after: int, limit: int) -> Sequence[Recorded]:
    """Return at most `limit` events recorded after position `after`, in recording order."""
    return await _events(transaction, grant, tables.event.c.position > after, limit)


async def events_of(transaction: AsyncConnection, grant: Grant, code: str) -> Sequence[Recorded]:
    """Return the events of one dossier in recording order."""
    return await _events(transaction, grant, tables.event.c.subject == code, None)


async def _events(
    transaction: AsyncConnection, grant: Grant, condition: ColumnElement[bool], limit: int | None
) -> Sequence[Recorded]:
    event = tables.event
    query = select(event).where(event.c.province == grant.province, condition)
    within = _within(grant)
    if within is not None:
        dossier = tables.dossier
        query = query.join(
            dossier, (dossier.c.province == event.c.province) & (dossier.c.code == event.c.subject)
        ).where(within)
    rows = await transaction.execute(query.order_by(event.c.position).limit(limit))
    return [
        Recorded(row.province, _occurrence(row), row.type, row.subject, row.fingerprint, row.client) for row in rows
    ]


# --- Reference data ---------------------------------------------------------------------------------------------------


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


async def put_units(transaction: AsyncConnection, province: str, units: Sequence[Unit]) -> int:
    """Store versions of units under (code, valid_from); return how many were new or different."""
    return await _put_versions(transaction, province, tables.unit, units)


async def put_procedures(transaction: AsyncConnection, province: str, procedures: Sequence[Procedure]) -> int:
    """Store versions of procedures under (code, valid_from); return how many were new or different."""
    return await _put_versions(transaction, province, tables.procedure, procedures)


async def _put_versions(
    transaction: AsyncConnection, province: str, table: Table, versions: Sequence[Unit | Procedure]
) -> int:
    names = ["province", "code", "valid_from", "content"]
    rows = [(province, v.code, v.valid_from, v.model_dump_json(by_alias=True)) for v in versions]
    upsert = insert(table).from_select(names, db.unnested(table, names))
    return await _put(
        transaction,
        province,
        upsert.on_conflict_do_update(
            index_elements=["province", "code", "valid_from"],
            set_={"content": upsert.excluded.content},
            where=table.c.content != upsert.excluded.content,
        ),
        db.arrays(rows, names),
    )


async def put_calendar_days(transaction: AsyncConnection, province: str, days: Sequence[CalendarDay]) -> int:
    """Store departures from Monday-to-Friday by day; return how many were new or different."""
    table = tables.calendar_day
    names = [column.name for column in table.columns]
    upsert = insert(table).from_select(names, db.unnested(table, names))
    content = ["working", "name", "official"]
    return await _put(
        transaction,
        province,
        upsert.on_conflict_do_update(
            index_elements=["province", "on_day"],
            set_={name: upsert.excluded[name] for name in content},
            where=tuple_(*(table.c[name] for name in content)).is_distinct_from(
                tuple_(*(upsert.excluded[name] for name in content))
            ),
        ),
        db.arrays([(province, day.on_day, day.working, day.name, day.official) for day in days], names),
    )


async def _put(transaction: AsyncConnection, province: str, upsert: Any, values: dict[str, Any]) -> int:  # noqa: ANN401 - an Insert of either table
    changed = len((await transaction.execute(upsert.returning(literal_column("1")), values)).all())
    if changed:
        version = insert(tables.reference_version).values(province=province, version=1)
        await transaction.execute(
            version.on_conflict_do_update(
                index_elements=["province"],
                set_={"version": tables.reference_version.c.version + 1, "changed_at": func.now()},
            )
        )
    return changed
