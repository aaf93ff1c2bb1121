"""What dossiers count for is written here, and how far the feed has been counted.

A function takes the transaction first, and never commits. It has begun where the checkpoint was read, as comes first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import db
from services.metrics import tables
from services.metrics.domain.tally import (
    MEASURES,
    MEASURES_OF,
    SECOND,
    Cell,
    Counted,
    FeeCell,
    Occasion,
    Span,
    Sum,
)

FOR_ALL_TIME = date(1900, 1, 1)
"""The day under which cells for all time are kept."""

_COLUMNS = [tables.standing.c[name] for name in Counted._fields]
_SPANS = len(Counted._fields) - 2
# A dossier counts the same at whatever position it came to stand so.
_BESIDE_POSITION = slice(Counted._fields.index("position") + 1, None)


Touched = tuple[date, str]
"""A month and the code of a unit of which something is counted otherwise than before."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a province is counted: up to which position, with which reference data, and in which generation."""

    position: int = 0
    reference_version: int = 0
    generation: int = 1


async def checkpoint(transaction: AsyncConnection, province: str) -> Checkpoint:
    """Return how far the province has been counted."""
    for row in await _CHECKPOINT(transaction, of_province=province):
        return Checkpoint(*row)
    return Checkpoint()


async def hold_checkpoint(transaction: AsyncConnection, province: str) -> Checkpoint:
    """Return the checkpoint, and keep every other follower from moving it until the transaction ends."""
    while not (rows := await _HOLD_CHECKPOINT(transaction, of_province=province)):
        start = Checkpoint()
        await transaction.execute(
            insert(tables.checkpoint)
            .values(
                province=province,
                position=start.position,
                reference_version=start.reference_version,
                generation=start.generation,
            )
            .on_conflict_do_nothing()
        )
    return Checkpoint(*rows[0])


_reached = tables.checkpoint.c
_checkpoint = select(_reached.position, _reached.reference_version, _reached.generation).where(
    _reached.province == bindparam("of_province", type_=Text)
)
_CHECKPOINT, _HOLD_CHECKPOINT = db.Prepared(_checkpoint), db.Prepared(_checkpoint.with_for_update())


async def move_checkpoint(transaction: AsyncConnection, province: str, to: Checkpoint) -> None:
    """Note that everything up to `to` is counted."""
    await _MOVE_CHECKPOINT.fetch(
        transaction,
        of_province=province,
        to_position=to.position,
        to_reference_version=to.reference_version,
        to_generation=to.generation,
    )


_MOVE_CHECKPOINT = db.Prepared(
    tables.checkpoint.update()
    .where(_reached.province == bindparam("of_province", type_=Text))
    .values({name: bindparam(f"to_{name}", type_=_reached[name].type) for name in Checkpoint.__dataclass_fields__})
)


async def count(
    transaction: AsyncConnection, province: str, generation: int, dossiers: Sequence[Counted]
) -> frozenset[Touched]:
    """Count dossiers as they stand now in place of how they stood; return where figures may have changed."""
    sums = Sum()
    await keep(transaction, province, generation, dossiers, sums)
    await add(transaction, province, generation, sums)
    return frozenset((on_day.replace(day=1), unit) for on_day, unit in sums.days())


async def keep(
    transaction: AsyncConnection, province: str, generation: int, dossiers: Sequence[Counted], sums: Sum
) -> None:
    """Keep dossiers as they stand now in place of how they stood, and add to `sums` what that changes."""
    codes = [one.code for one in dossiers]
    left = await _LEAVE.fetch(transaction, of_province=province, of_generation=generation, codes=codes)
    before = {row[0]: _counted(row) for row in left}
    for one in dossiers:
        was = before.get(one.code)
        if was is not None:
            if was[_BESIDE_POSITION] == one[_BESIDE_POSITION]:
                continue
            sums.add(was, -1)
        sums.add(one)
    await _put(transaction, province, generation, dossiers)


async def keep_new(
    transaction: AsyncConnection, province: str, generation: int, dossiers: Sequence[Counted], sums: Sum
) -> None:
    """Keep dossiers of which the generation holds none, and add to `sums` what they count for.

    :raises AlreadyThere: it holds one of them; the transaction has failed.
    """
    for one in dossiers:
        sums.add(one)
    await _put(transaction, province, generation, dossiers)


async def _put(transaction: AsyncConnection, province: str, generation: int, dossiers: Sequence[Counted]) -> None:
    await db.copy(transaction, tables.standing, [(province, generation, *_stored(one)) for one in dossiers])


_LEAVE = db.Prepared(
    delete(tables.standing)
    .where(
        tables.standing.c.province == bindparam("of_province", type_=Text),
        tables.standing.c.generation == bindparam("of_generation", type_=Integer),
        tables.standing.c.code == func.any(bindparam("codes", type_=ARRAY(Text))),
    )
    .returning(*_COLUMNS)
)


def _stored(one: Counted) -> Sequence[Any]:
    if one.awaiting:
        return *one[:_SPANS], _ranges(one.awaiting), _ranges(one.awaiting_again)
    return *one[:_SPANS], None, None


def _ranges(spans: Iterable[Span]) -> list[asyncpg.Range[date]] | None:
    return [asyncpg.Range(began, over) for began, over in spans] or None


def _counted(row: Any) -> Counted:  # noqa: ANN401 - a row of SQLAlchemy or of the driver
    if row[_SPANS] is None:
        return Counted(*row[:_SPANS])
    return Counted(*row[:_SPANS], *(tuple((r.lower, r.upper) for r in row[place] or ()) for place in (_SPANS, -1)))


async def standings(
    transaction: AsyncConnection, province: str, generation: int, codes: Sequence[str]
) -> Sequence[Counted]:
    """Return those of the dossiers that are there, as they are counted."""
    table = tables.standing.c
    rows = await transaction.execute(
        select(*_COLUMNS).where(table.province == province, table.generation == generation, table.code.in_(codes))
    )
    return [_counted(row) for row in rows]


async def changed_after(transaction: AsyncConnection, province: str, generation: int, position: int) -> int:
    """Return how many dossiers have changed after the position."""
    table = tables.standing.c
    mine = (table.province == province) & (table.generation == generation)
    return int(await transaction.scalar(select(func.count()).where(mine, table.position > position)) or 0)


async def add(transaction: AsyncConnection, province: str, generation: int, sums: Sum) -> None:
    """Add to the counts of days, of their months and for all time.

    Cells are touched in one order, so two writers cannot wait for each other.
    """
    for adding, table, rows in ((_ADD, _ENTRY, sums.rows()), (_ADD_FEES, _FEE, sums.fees())):
        if rows:
            entries = db.arrays(rows, table.c.keys())
            await adding.fetch(transaction, of_province=province, of_generation=generation, **entries)


# What counts travels as marks, which PostgreSQL tells apart: a cell's numbers are several times as many.
_ENTRY = Table(
    "entry",
    MetaData(),
    *(Column(name, tables.cell.c[name].type) for name in Cell._fields),
    Column("occasion", Text),
    Column("marks", Integer),
    Column("times", Integer),
)


def _measured(occasion: Occasion, marks: ColumnElement[int]) -> Sequence[ColumnElement[int]]:
    """Return what an entry adds to each measure of its occasion, as `tally.vector` does."""
    match occasion:
        case "payments":
            return marks % SECOND, marks.op("/")(SECOND)
        case "awaiting":
            return case((func.abs(marks) < SECOND, marks), else_=0), marks.op("/")(SECOND)
        case "refusal":
            return (marks,)
        case _:
            return [marks.op(">>")(place).op("&")(1) for place in range(len(MEASURES_OF[occasion]))]


# In this order sorting is fastest: units tell most entries apart.
_PLACE = ("unit", "channel", "part", "unit_since")


def _adding(
    to: Table, of: Table, place: Sequence[str], sums_of: Callable[[Any], Mapping[str, ColumnElement[int]]], spans: int
) -> Insert:
    """Return the statement that adds entries, rows of `of`, to the days, months and all time that `to` holds.

    It adds what `sums_of` makes of them, to the first `spans` of the three.
    """
    fresh = db.unnested(of, of.c.keys())
    month_of = cast(func.date_trunc("month", fresh.selected_columns.on_day), Date)
    entry = fresh.add_columns(month_of.label("month")).subquery("entry").c
    on_day, month, key = entry.on_day, entry.month, [entry[name] for name in place]
    # Rolled up, a column is null: days become months, and those all time.
    span = case((func.grouping(on_day) == 0, "day"), (func.grouping(month) == 0, "month"), else_="all").label("span")
    first_day = func.coalesce(on_day, month, literal(FOR_ALL_TIME)).label("first_day")
    sums = sums_of(entry)
    found = (
        select(
            bindparam("of_province", type_=Text),
            bindparam("of_generation", type_=Integer),
            span,
            first_day,
            *key,
            *(summed.label(name) for name, summed in sums.items()),
        )
        .group_by(*key, func.rollup(month, on_day))
        .having(func.grouping(on_day) + func.grouping(month) < spans)
        .order_by(first_day, *key, span)
    )
    adding = insert(to).from_select(["province", "generation", "span", "on_day", *place, *sums], found)
    return adding.on_conflict_do_update(
        index_elements=list(to.primary_key), set_={name: to.c[name] + adding.excluded[name] for name in sums}
    )


def _counts(entry: Any) -> Mapping[str, ColumnElement[int]]:  # noqa: ANN401 - columns by their names
    return {
        name: func.coalesce(func.sum(entry.times * measured).filter(entry.occasion == occasion), 0)
        for occasion, names in MEASURES_OF.items()
        for name, measured in zip(names, _measured(occasion, entry.marks), strict=True)
    }


def _fee_counts(entry: Any) -> Mapping[str, ColumnElement[int]]:  # noqa: ANN401 - columns by their names
    return {"dossiers": func.sum(entry.times), "paid_online": func.sum(entry.times * entry.paid)}


_FEE = Table(
    "fee",
    MetaData(),
    *(Column(name, tables.fee_procedure.c[name].type) for name in FeeCell._fields),
    Column("paid", Integer),
    Column("times", Integer),
)
_ADD = db.Prepared(_adding(tables.cell, _ENTRY, _PLACE, _counts, spans=3))
_ADD_FEES = db.Prepared(_adding(tables.fee_procedure, _FEE, ("unit", "procedure", *_PLACE[1:]), _fee_counts, spans=2))


async def note_touched(transaction: AsyncConnection, province: str, places: Iterable[Touched], position: int) -> None:
    """Note that `position` changed what is counted of the months and units."""
    rows = [(province, month, unit, position) for month, unit in sorted(places)]
    if rows:
        await _NOTE_TOUCHED.fetch(transaction, **db.arrays(rows, tables.touched.c.keys()))


def _keeping_greatest(table: Table) -> db.Prepared:
    """Return the statement that adds rows; where one with the same key is there, the greater last value stays."""
    *key, value = table.c.keys()
    upsert = insert(table).from_select(table.c.keys(), db.unnested(table, table.c.keys()))
    greatest = func.greatest(table.c[value], upsert.excluded[value])
    return db.Prepared(upsert.on_conflict_do_update(index_elements=key, set_={value: greatest}))


_NOTE_TOUCHED = _keeping_greatest(tables.touched)


async def touch_all(transaction: AsyncConnection, province: str, more: Iterable[Touched], position: int) -> None:
    """Note that `position` changed whatever is counted, and what is newly counted besides."""
    await transaction.execute(
        tables.touched.update().where(tables.touched.c.province == province).values(position=position)
    )
    await note_touched(transaction, province, more, position)


async def touched(transaction: AsyncConnection, province: str) -> Mapping[date, int]:
    """Return for each month the newest position that changed what is counted of it."""
    return {row[0]: row[1] for row in await _TOUCHED.fetch(transaction, of_province=province)}


async def units_touched(transaction: AsyncConnection, province: str, after: int, last: date) -> frozenset[str]:
    """Return the codes of the units of which figures of days up to `last` may have changed after a position."""
    rows = await _UNITS_TOUCHED.fetch(transaction, of_province=province, after=after, last=last)
    return frozenset(row[0] for row in rows)


_touched = tables.touched.c
_of_province = _touched.province == bindparam("of_province", type_=Text)
_TOUCHED = db.Prepared(select(_touched.month, func.max(_touched.position)).where(_of_province).group_by(_touched.month))
_UNITS_TOUCHED = db.Prepared(
    select(_touched.unit)
    .where(
        _of_province,
        _touched.position > bindparam("after", type_=BigInteger),
        _touched.month <= bindparam("last", type_=Date),
    )
    .distinct()
)


async def cells(
    transaction: AsyncConnection, province: str, generation: int, span: str = "day"
) -> Mapping[Cell, Sequence[int]]:
    """Return all counts of the province's days, in the order of `MEASURES`; cells of zeros are left out."""
    table = tables.cell.c
    rows = await transaction.execute(
        select(*(table[name] for name in (*Cell._fields, *MEASURES))).where(
            table.province == province, table.generation == generation, table.span == span
        )
    )
    width = len(Cell._fields)
    return {Cell(*row[:width]): tuple(row[width:]) for row in rows if any(row[width:])}


async def fees(transaction: AsyncConnection, province: str, generation: int) -> Mapping[FeeCell, Sequence[int]]:
    """Return how many dossiers of each procedure with a fee were received on each day, and of how many it was paid."""
    table = tables.fee_procedure.c
    rows = await transaction.execute(
        select(*(table[name] for name in FeeCell._fields), table.dossiers, table.paid_online).where(
            table.province == province, table.generation == generation, table.span == "day", table.dossiers != 0
        )
    )
    return {FeeCell(*row[:-2]): tuple(row[-2:]) for row in rows}


Source = tuple[str, str]
"""A receiving unit and a sender of its events."""


async def note_fresh(transaction: AsyncConnection, province: str, latest: Mapping[Source, datetime]) -> None:
    """Note when something of each receiving unit was last recorded from each of its senders."""
    rows = [(province, *key, latest[key]) for key in sorted(latest)]
    if rows:
        await _NOTE_FRESH.fetch(transaction, **db.arrays(rows, tables.freshness.c.keys()))


_NOTE_FRESH = _keeping_greatest(tables.freshness)


async def last_recorded(transaction: AsyncConnection, province: str) -> Mapping[Source, datetime]:
    """Return when something of each receiving unit was last recorded from each of its senders."""
    rows = await _LAST_RECORDED.fetch(transaction, of_province=province)
    return {(row[0], row[1]): row[2] for row in rows}


_fresh = tables.freshness.c
_LAST_RECORDED = db.Prepared(
    select(_fresh.unit, _fresh.source, _fresh.recorded_at).where(
        _fresh.province == bindparam("of_province", type_=Text)
    )
)


async def claim_rebuild(connection: AsyncConnection, province: str) -> bool:
    """Claim to be the only one that counts the province anew, for as long as the connection lasts."""
    name = func.hashtextextended(f"metrics rebuild/{province}", 0)
    return bool(await connection.scalar(select(func.pg_try_advisory_lock(name))))


_OF_GENERATIONS = (tables.cell, tables.fee_procedure, tables.standing)


async def new_generation(transaction: AsyncConnection, province: str) -> int:
    """Return the number of a generation that holds nothing yet; what a rebuild left unfinished is cleared away."""
    reached = await hold_checkpoint(transaction, province)
    for table in _OF_GENERATIONS:
        await transaction.execute(
            delete(table).where(table.c.province == province, table.c.generation != reached.generation)
        )
    return reached.generation + 1


async def analyse(transaction: AsyncConnection) -> None:
    """Tell the planner what generations there are: of one it does not know it expects a row, and reads all of it."""
    await transaction.execute(text(f"ANALYZE {', '.join(t.fullname for t in _OF_GENERATIONS)}"))


async def forget(transaction: AsyncConnection, province: str, generation: int) -> None:
    """Delete a generation of the province's counts."""
    for table in _OF_GENERATIONS:
        await transaction.execute(delete(table).where(table.c.province == province, table.c.generation == generation))
