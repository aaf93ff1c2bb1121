"""All SQL of the metrics service; a function takes the transaction first and never commits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Text, bindparam, delete, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Standing, Unit
from services.kit import db
from services.metrics import tables
from services.metrics.domain.boundaries import Version
from services.metrics.domain.tally import MEASURES, Cell, Role, Tally

_STANDING_FIELDS = [field.name for field in fields(Standing)]
_CELL_KEY = ["province", "role", "on_day", "unit", "unit_since", "channel"]
_CELL_COLUMNS = [*_CELL_KEY, *MEASURES]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a province's feed has been counted, and with which version of the units."""

    position: int = 0
    reference_version: int = 0


async def checkpoint(transaction: AsyncConnection, province: str) -> Checkpoint:
    """Return how far the province has been counted."""
    table = tables.checkpoint.c
    row = (
        await transaction.execute(select(table.position, table.reference_version).where(table.province == province))
    ).one_or_none()
    return Checkpoint() if row is None else Checkpoint(*row)


async def hold_checkpoint(transaction: AsyncConnection, province: str) -> Checkpoint:
    """Return the checkpoint, and keep every other follower from moving it until the transaction ends."""
    await transaction.execute(
        insert(tables.checkpoint).values(province=province, position=0, reference_version=0).on_conflict_do_nothing()
    )
    table = tables.checkpoint.c
    row = (
        await transaction.execute(
            select(table.position, table.reference_version).where(table.province == province).with_for_update()
        )
    ).one()
    return Checkpoint(*row)


async def move_checkpoint(transaction: AsyncConnection, province: str, to: Checkpoint) -> None:
    """Note that everything up to `to` is counted."""
    await transaction.execute(
        tables.checkpoint.update()
        .where(tables.checkpoint.c.province == province)
        .values(position=to.position, reference_version=to.reference_version)
    )


async def standings(transaction: AsyncConnection, province: str, codes: Collection[str]) -> Mapping[str, Standing]:
    """Return those of the dossiers that have been counted, as they stood when they were."""
    table = tables.standing.c
    sought = db.unnested(tables.standing, ["code"]).subquery("sought")
    rows = await transaction.execute(
        select(*(table[name] for name in _STANDING_FIELDS))
        .join(sought, table.code == sought.c.code)
        .where(table.province == province),
        db.arrays([(code,) for code in codes], ["code"]),
    )
    return {row["code"]: Standing(**{**row, "flags": tuple(row["flags"])}) for row in rows.mappings()}


async def keep_standings(transaction: AsyncConnection, province: str, counted: Sequence[Standing]) -> None:
    """Keep how dossiers stood when they were counted."""
    codes = db.arrays([(one.code,) for one in counted], ["code"])
    await transaction.execute(_LEAVE, {"of_province": province, **codes})
    await db.copy(transaction, tables.standing, [(province, *_values(one)) for one in counted])


_left = db.unnested(tables.standing, ["code"]).subquery("left_behind")
_LEAVE = delete(tables.standing).where(
    tables.standing.c.province == bindparam("of_province", type_=Text), tables.standing.c.code == _left.c.code
)
_values = attrgetter(*_STANDING_FIELDS)


async def add(transaction: AsyncConnection, province: str, delta: Tally) -> None:
    """Add to the counts; cells are touched in one order, so two writers cannot wait for each other."""
    rows = [
        (province, cell.role, cell.on_day, cell.unit, cell.unit_since, cell.channel, *delta[cell])
        for cell in sorted(delta)
    ]
    if rows:
        await transaction.execute(_ADD, db.arrays(rows, _CELL_COLUMNS))


_add = insert(tables.cell).from_select(_CELL_COLUMNS, db.unnested(tables.cell, _CELL_COLUMNS))
_ADD = _add.on_conflict_do_update(
    index_elements=_CELL_KEY,
    set_={measure: tables.cell.c[measure] + _add.excluded[measure] for measure in MEASURES},
)


async def cells(transaction: AsyncConnection, province: str) -> Tally:
    """Return every count of the province; cells in which everything cancelled out are left out."""
    table = tables.cell.c
    rows = await transaction.execute(
        select(
            table.on_day, table.role, table.unit, table.unit_since, table.channel, *(table[m] for m in MEASURES)
        ).where(table.province == province)
    )
    width = len(Cell._fields)
    return {Cell(*row[:width]): tuple(row[width:]) for row in rows if any(row[width:])}


async def forget(transaction: AsyncConnection, province: str) -> None:
    """Delete everything counted of the province, and its checkpoint's position with it."""
    for table in (tables.cell, tables.standing, tables.freshness):
        await transaction.execute(delete(table).where(table.c.province == province))
    await move_checkpoint(transaction, province, Checkpoint())


async def counts(
    transaction: AsyncConnection, province: str, role: Role, first: date, last: date
) -> Mapping[Version, Mapping[str, int]]:
    """Return, for each version of a unit, its counts of the days from `first` through `last`.

    Beside the measures stand `received_counter`, `received_online`, `received_postal`, and `carried_over`: received
    before `first` and not ended before it.
    """
    table = tables.cell.c
    mine = (table.province == province) & (table.role == role)
    names = [*MEASURES, "received_counter", "received_online", "received_postal"]
    within = (
        select(
            table.unit,
            table.unit_since,
            *(func.sum(table[measure]).label(measure) for measure in MEASURES),
            *(
                func.coalesce(func.sum(table.received).filter(table.channel == channel), 0).label(f"received_{channel}")
                for channel in ("counter", "online", "postal")
            ),
            literal(0).label("carried_over"),
        )
        .where(mine, table.on_day.between(first, last))
        .group_by(table.unit, table.unit_since)
    )
    before = (
        select(
            table.unit,
            table.unit_since,
            *(literal(0).label(name) for name in names),
            func.sum(table.received - table.resolved - table.declined - table.withdrawn - table.stopped).label(
                "carried_over"
            ),
        )
        .where(mine, table.on_day < first)
        .group_by(table.unit, table.unit_since)
    )
    both: dict[Version, dict[str, int]] = {}
    for row in (await transaction.execute(union_all(within, before))).mappings():
        sums = both.setdefault((row["unit"], row["unit_since"]), dict.fromkeys([*names, "carried_over"], 0))
        for name in sums:
            sums[name] += int(row[name])
    return both


async def replace_units(transaction: AsyncConnection, province: str, units: Sequence[Unit]) -> None:
    """Keep all versions of the province's units in place of those kept before."""
    await transaction.execute(delete(tables.unit).where(tables.unit.c.province == province))
    names = [column.name for column in tables.unit.columns]
    rows = [(province, unit.code, unit.valid_from, unit.model_dump_json(by_alias=True)) for unit in units]
    await transaction.execute(
        insert(tables.unit).from_select(names, db.unnested(tables.unit, names)), db.arrays(rows, names)
    )


async def units(transaction: AsyncConnection, province: str) -> Sequence[Unit]:
    """Return all versions of the province's units."""
    table = tables.unit.c
    contents = await transaction.scalars(
        select(table.content).where(table.province == province).order_by(table.code, table.valid_from)
    )
    return [Unit.model_validate(content) for content in contents]


async def note_fresh(transaction: AsyncConnection, province: str, latest: Mapping[str, datetime]) -> None:
    """Note when something of each receiving unit was last recorded."""
    names = ["province", "unit", "recorded_at"]
    upsert = insert(tables.freshness).from_select(names, db.unnested(tables.freshness, names))
    await transaction.execute(
        upsert.on_conflict_do_update(
            index_elements=["province", "unit"],
            set_={"recorded_at": func.greatest(tables.freshness.c.recorded_at, upsert.excluded.recorded_at)},
        ),
        db.arrays([(province, unit, latest[unit]) for unit in sorted(latest)], names),
    )


async def last_recorded(transaction: AsyncConnection, province: str) -> Mapping[str, datetime]:
    """Return when something of each receiving unit was last recorded."""
    table = tables.freshness.c
    rows: Iterable[Any] = await transaction.execute(
        select(table.unit, table.recorded_at).where(table.province == province)
    )
    return {row.unit: row.recorded_at for row in rows}
