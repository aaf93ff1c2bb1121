"""What clients may read of dossiers, log, feed and backlog, each within its own units.

A function takes the transaction first and never commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Interval,
    Row,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import STANDING, VIETNAM, Channel, Flag, Grant, PauseReason, Standing, Status
from services.dossier import tables
from services.dossier.domain.record import Recorded
from services.dossier.store.log import LISTS, STANDING_FIELDS

Role = Literal["resolving", "receiving"]
Sort = Literal["code", "due", "received"]
Awaiting = Literal["supplement", "any", "none"] | PauseReason

_dossier = tables.dossier.c
_STANDING_COLUMNS = [_dossier[name] for name in STANDING_FIELDS]
_UNIT_OF = {"resolving": _dossier.resolving_unit, "receiving": _dossier.receiving_unit}
_SORTED_BY = {"due": _dossier.due_on, "received": _dossier.received_at}


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    # The columns are those fields in their order; what was asked beside them comes after.
    told = dict(zip(STANDING_FIELDS, row, strict=False))
    return Standing(**{**told, **{name: tuple(told[name]) for name in LISTS}})


def _within(grant: Grant) -> ColumnElement[bool] | None:
    """Return the condition that a dossier belongs to one of the client's units, or None for a whole province."""
    if grant.units is None:
        return None
    units = sorted(grant.units)
    return or_(_dossier.receiving_unit.in_(units), _dossier.resolving_unit.in_(units))


def _readable(grant: Grant, query: Select[Any]) -> Select[Any]:
    query = query.where(_dossier.province == grant.province)
    within = _within(grant)
    return query if within is None else query.where(within)


async def standing(transaction: AsyncConnection, grant: Grant, code: str) -> Standing | None:
    """Return how the dossier stands, or None where it is unknown or not the client's to see."""
    query = _readable(grant, select(*_STANDING_COLUMNS).where(_dossier.code == code))
    row = (await transaction.execute(query)).one_or_none()
    return None if row is None else _standing(row)


# --- Lists ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dossiers a list holds: those for which everything that is told is true; days are Vietnamese."""

    units: Collection[str] = ()
    role: Role = "resolving"
    statuses: Collection[Status] = ()
    procedures: Collection[str] = ()
    field: str | None = None
    channel: Channel | None = None
    flags: Collection[Flag] = ()
    due_from: date | None = None
    due_before: date | None = None
    without_due: bool | None = None
    received_from: date | None = None
    received_before: date | None = None
    ended_from: date | None = None
    ended_before: date | None = None
    overdue: bool | None = None
    awaiting: Awaiting | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: after this dossier, in the order of what it is sorted by, then of codes."""

    key: date | datetime | None
    code: str


async def dossiers(  # noqa: PLR0913 - each says one thing about the list
    transaction: AsyncConnection, grant: Grant, wanted: Wanted, *, on: date, sort: Sort, after: Place | None, limit: int
) -> Sequence[Standing]:
    """Return at most `limit` dossiers after a place; `on` is the day on which overdue is judged.

    Those without a due day, or not received yet, come last where they are sorted by it.
    """
    query = _readable(grant, select(*_STANDING_COLUMNS)).where(*_conditions(wanted, on))
    if sort == "code":
        query = query.order_by(_dossier.code)
        if after is not None:
            query = query.where(_dossier.code > after.code)
    else:
        key = _SORTED_BY[sort]
        query = query.order_by(key, _dossier.code)
        if after is not None and after.key is None:
            query = query.where(key.is_(None), _dossier.code > after.code)
        elif after is not None:
            query = query.where(or_(tuple_(key, _dossier.code) > (after.key, after.code), key.is_(None)))
    return [_standing(row) for row in await transaction.execute(query.limit(limit))]


def place(standing: Standing, sort: Sort) -> Place:
    """Return the place of a dossier in a list."""
    keys = {"code": None, "due": standing.due_on, "received": standing.received_at}
    return Place(keys[sort], standing.code)


def _conditions(wanted: Wanted, on: date) -> Sequence[ColumnElement[bool]]:
    """Return one condition for each thing that is told."""
    bounds = (
        (_dossier.due_on, wanted.due_from, wanted.due_before),
        (_dossier.received_on, wanted.received_from, wanted.received_before),
        (_dossier.ended_on, wanted.ended_from, wanted.ended_before),
    )
    sets = (
        (_UNIT_OF[wanted.role], wanted.units),
        (_dossier.status, wanted.statuses),
        (_dossier.procedure, wanted.procedures),
    )
    conditions = [day >= first for day, first, _ in bounds if first is not None]
    conditions += [day < end for day, _, end in bounds if end is not None]
    conditions += [column.in_(sorted(values)) for column, values in sets if values]
    equals = ((_dossier.field, wanted.field), (_dossier.channel, wanted.channel))
    conditions += [column == value for column, value in equals if value is not None]
    if wanted.flags:
        # The first condition is the index's own; PostgreSQL does not conclude it from the second.
        conditions += [
            _dossier.flags != literal_column("'{}'"),
            _dossier.flags.overlap(cast(sorted(wanted.flags), ARRAY(Text))),
        ]
    if wanted.without_due is not None:
        conditions.append(_dossier.due_on.is_(None) if wanted.without_due else _dossier.due_on.is_not(None))
    if wanted.overdue is not None:
        conditions.append(_overdue(on) if wanted.overdue else _overdue(on).is_not(True))
    if wanted.awaiting is not None:
        # An open dossier's clock alone is of interest: that of a voided one may stand still for ever.
        paused = {"any": _dossier.paused_at.is_not(None), "none": _dossier.paused_at.is_(None)}
        conditions += [
            _dossier.status == "pending",
            paused.get(wanted.awaiting, _dossier.pause_reason == wanted.awaiting),
        ]
    return conditions


# The day on which an open dossier's clock stood still; null while it runs.
_paused_on = cast(func.timezone(literal(VIETNAM.utcoffset(None), Interval), _dossier.paused_at), Date)


def _overdue(on: date) -> ColumnElement[bool]:
    """Return the condition that an open dossier's due day had passed on `on`, or before its clock was stopped.

    A clock that stands still makes no dossier late, and excuses none that was late already.
    """
    return and_(
        _dossier.status == "pending",
        _dossier.due_on < on,
        or_(_dossier.paused_at.is_(None), _dossier.due_on < _paused_on),
    )


# --- Backlog ----------------------------------------------------------------------------------------------------------


BACKLOG_COUNTS = (
    "pending",
    "pending_within",
    "pending_overdue",
    "pending_without_due",
    "paused",
    "awaiting_supplement",
    "due_soon",
)
"""What is counted of each unit's open dossiers: each is within, overdue or without a due date."""


async def backlog(  # noqa: PLR0913 - each says one thing about the figures
    transaction: AsyncConnection, grant: Grant, *, units: Collection[str] | None, role: Role, on: date, within: int
) -> Mapping[str, Mapping[str, int]]:
    """Return the counts of each unit that has open dossiers, judged on the day `on`; all units where none are named.

    `due_soon` are those whose clock runs and that are due on `on` or in the `within` days after it.
    """
    unit = _UNIT_OF[role]
    overdue = _overdue(on)
    soon = and_(_dossier.paused_at.is_(None), _dossier.due_on.between(on, on + timedelta(days=within)))
    query = (
        _readable(grant, select(unit))
        .add_columns(
            func.count(),
            func.count().filter(_dossier.due_on.is_not(None), overdue.is_not(True)),
            func.count().filter(overdue),
            func.count().filter(_dossier.due_on.is_(None)),
            func.count().filter(_dossier.paused_at.is_not(None)),
            func.count().filter(_dossier.pause_reason == "supplement"),
            func.count().filter(soon),
        )
        .where(_dossier.status == "pending")
        .group_by(unit)
        .order_by(unit)
    )
    if units is not None:
        query = query.where(unit.in_(sorted(units)))
    rows = await transaction.execute(query)
    return {code: dict(zip(BACKLOG_COUNTS, counts, strict=True)) for code, *counts in rows}


# --- Feed -------------------------------------------------------------------------------------------------------------


class FeedEntry(NamedTuple):
    """A standing as the feed tells it, in JSON, and the position of its latest change."""

    position: int
    json: str | bytes


class Changed(NamedTuple):
    """A dossier that changed, the position of its latest change, and whether it is one of the reader's units'."""

    position: int
    code: str
    is_theirs: bool


async def feed_after(transaction: AsyncConnection, grant: Grant, after: int, limit: int) -> Sequence[FeedEntry]:
    """Return at most `limit` standings that changed after position `after`, in the order of their latest change.

    Of a dossier that was a limited client's and is no more, it learns this alone.
    """
    place = {"of_province": grant.province, "after": after, "most": limit}
    if grant.units is None:
        return [FeedEntry(*row) for row in await transaction.execute(_FEED, place)]
    rows = await transaction.execute(_FEED_OF_UNITS, place | {"units": sorted(grant.units)})
    return [
        FeedEntry(row.position, row.json if row.is_theirs else elsewhere(row.code, row.position, row.recorded_at))
        for row in rows
    ]


def elsewhere(code: str, position: int = 0, recorded_at: str | None = None) -> bytes:
    """Return all that the feed tells of a dossier that belongs to none of the reader's units."""
    return orjson.dumps({**_ELSEWHERE, "code": code, "position": str(position), "recorded_at": recorded_at})


_ELSEWHERE = STANDING.dump_python(Standing(code="", status="elsewhere"), mode="json")


def _told(name: str) -> ColumnElement[Any]:
    """Return the field as JSON tells it: instants as Python would write them in Vietnamese time, positions as text."""
    column = _dossier[name]
    if name == "position":
        return cast(column, Text).label(name)
    if not isinstance(column.type, DateTime):
        return column
    local = func.timezone(literal_column("interval '7 hours'"), column)
    written = func.to_char(local, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"+07:00"'"""))
    return func.replace(written, literal_column("'.000000'"), literal_column("''")).label(name)


_units = bindparam("units", type_=ARRAY(Text))
_mine_after = and_(_dossier.province == bindparam("of_province"), _dossier.position > bindparam("after"))
_is_or_was_theirs = or_(
    _dossier.receiving_unit == any_(_units),
    _dossier.resolving_unit == any_(_units),
    _dossier.former_units.overlap(_units),
)


def _feed(condition: ColumnElement[bool]) -> tuple[Subquery, Select[int, str]]:
    """Return a page's rows and the query that tells them; PostgreSQL writes the JSON in a tenth of Python's time."""
    page = select(*(_told(name) for name in STANDING_FIELDS)).where(condition)
    told = page.order_by(_dossier.position).limit(bindparam("most")).subquery("told")
    position = cast(told.c.position, BigInteger).label("position")
    json = cast(func.row_to_json(told.table_valued()), Text).label("json")
    return told, select(position, json).order_by(position)


_FEED = _feed(_mine_after)[1]
_of_units, _feed_of_units = _feed(and_(_mine_after, _is_or_was_theirs))
_FEED_OF_UNITS = _feed_of_units.add_columns(
    func.coalesce(
        or_(_of_units.c.receiving_unit == any_(_units), _of_units.c.resolving_unit == any_(_units)),
        literal(value=False),
    ).label("is_theirs"),
    _of_units.c.code,
    _of_units.c.recorded_at,
)


async def changed_after(transaction: AsyncConnection, grant: Grant, after: int, limit: int) -> Sequence[Changed]:
    """Return the dossiers that `feed_after` would tell of."""
    within = _within(grant)
    is_theirs = literal(value=True) if within is None else func.coalesce(within, literal(value=False))
    query = select(_dossier.position, _dossier.code, is_theirs).where(_mine_after)
    place: dict[str, Any] = {"of_province": grant.province, "after": after}
    if grant.units is not None:
        query, place["units"] = query.where(_is_or_was_theirs), sorted(grant.units)
    return [Changed(*row) for row in await transaction.execute(query.order_by(_dossier.position).limit(limit), place)]


# --- The log ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which events of the log are read: those for which everything that is told is true."""

    subject: str | None = None
    source: str | None = None
    types: Collection[str] = ()


async def events_after(
    transaction: AsyncConnection, grant: Grant, after: int, limit: int, sought: Sought
) -> Sequence[Recorded]:
    """Return at most `limit` events recorded after position `after`, in recording order."""
    event = tables.event.c
    equals = ((event.subject, sought.subject), (event.source, sought.source))
    conditions = [column == value for column, value in equals if value is not None]
    if sought.types:
        conditions.append(event.type.in_(sorted(sought.types)))
    return await _events(transaction, grant, and_(event.position > after, *conditions), limit)


async def events_of(transaction: AsyncConnection, grant: Grant, code: str) -> Sequence[Recorded]:
    """Return the events of one dossier in recording order."""
    return await _events(transaction, grant, tables.event.c.subject == code, None)


EVENT_COLUMNS = [
    cast(tables.event.c.data, Text) if name == "data" else tables.event.c[name] for name in Recorded._fields
]


async def _events(
    transaction: AsyncConnection, grant: Grant, condition: ColumnElement[bool], limit: int | None
) -> Sequence[Recorded]:
    event = tables.event
    query = select(*EVENT_COLUMNS).where(event.c.province == grant.province, condition)
    within = _within(grant)
    if within is not None:
        dossier = tables.dossier
        query = query.join(
            dossier, (dossier.c.province == event.c.province) & (dossier.c.code == event.c.subject)
        ).where(within)
    rows = await transaction.execute(query.order_by(event.c.position).limit(limit))
    return [Recorded(*row) for row in rows]
