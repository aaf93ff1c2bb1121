"""What is left to fold anew after a change of reference data is kept here until it is done.

A function takes the transaction first and never commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Text, and_, any_, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dossier import tables
from services.dossier.domain.revision import Reach
from services.dossier.store.log import Kept, kept_as
from services.kit import db

_COLUMNS = [column.name for column in tables.refold.columns]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change whose dossiers are being folded anew, in the order of their codes: done as far as `after_code`."""

    province: str
    version: int
    reach: Reach
    after_code: str


async def mark(transaction: AsyncConnection, province: str, version: int, reach: Reach) -> None:
    """Have all dossiers that the change `version` may alter folded anew."""
    procedures, units = (" ".join(sorted(codes)) for codes in (reach.procedures, reach.units))
    row = (province, version, procedures, units, reach.first_day, reach.last_day, "")
    await transaction.execute(_MARK, db.arrays([row], _COLUMNS))


_MARK = insert(tables.refold).from_select(_COLUMNS, db.unnested(tables.refold, _COLUMNS))


async def waiting(transaction: AsyncConnection) -> Sequence[Waiting]:
    """Return the changes that wait, those of a province in the order in which they were made."""
    row = tables.refold.c
    rows = await transaction.execute(select(tables.refold).order_by(row.province, row.version))
    return [
        Waiting(
            row.province,
            row.version,
            Reach(frozenset(row.procedures), frozenset(row.units), row.first_day, row.last_day),
            row.after_code,
        )
        for row in rows
    ]


async def is_current(transaction: AsyncConnection, change: Waiting) -> bool:
    """Tell whether nobody else went on with the change meanwhile; the caller holds the province."""
    return await transaction.scalar(select(tables.refold.c.version).where(_is(change))) is not None


async def advance(transaction: AsyncConnection, change: Waiting, after_code: str | None) -> None:
    """Note how far the change has come; None says that it is done."""
    if after_code is None:
        await transaction.execute(delete(tables.refold).where(_is(change)))
    else:
        await transaction.execute(update(tables.refold).where(_is(change)).values(after_code=after_code))


def _is(change: Waiting) -> ColumnElement[bool]:
    row = tables.refold.c
    return and_(row.province == change.province, row.version == change.version, row.after_code == change.after_code)


async def candidates(transaction: AsyncConnection, change: Waiting, limit: int) -> Sequence[str]:
    """Return the codes of the next dossiers that the change may alter, at most `limit`."""
    dossier = tables.dossier.c
    query = select(dossier.code).where(
        dossier.province == change.province, dossier.code > change.after_code, _within(change.reach)
    )
    return (await transaction.scalars(query.order_by(dossier.code).limit(limit))).all()


async def affected(transaction: AsyncConnection, province: str, reach: Reach) -> int:
    """Return how many dossiers a change may alter."""
    dossier = tables.dossier.c
    query = select(func.count()).where(dossier.province == province, _within(reach))
    return await transaction.scalar(query) or 0


def _within(reach: Reach) -> ColumnElement[bool]:
    """Return the condition that a dossier may stand otherwise after the change."""
    dossier = tables.dossier.c
    # One array each, whatever its length: an upload may hold more codes than a statement takes parameters.
    procedures, units = (literal(sorted(codes), ARRAY(Text)) for codes in (reach.procedures, reach.units))
    conditions = [
        dossier.procedure == any_(procedures),
        dossier.receiving_unit == any_(units),
        dossier.resolving_unit == any_(units),
        dossier.former_units.bool_op("&&")(units),
    ]
    if reach.first_day is not None:
        # Neither a day before the receipt was reckoned with, nor one after both the end and the due date.
        conditions.append(
            and_(
                or_(dossier.received_on.is_(None), dossier.received_on <= reach.last_day),
                or_(
                    dossier.ended_on.is_(None),
                    dossier.ended_on >= reach.first_day,
                    dossier.due_on >= reach.first_day,
                ),
            )
        )
    return or_(*conditions)


async def kept(transaction: AsyncConnection, province: str, codes: Collection[str]) -> Mapping[str, Kept]:
    """Return the dossiers as they are kept."""
    mine = tables.dossier.c.code == any_(literal(list(codes), ARRAY(Text)))
    rows = await transaction.execute(select(tables.dossier).where(tables.dossier.c.province == province, mine))
    return {row["code"]: kept_as(row) for row in rows.mappings()}
