"""The units and procedures by which dossiers are told apart are kept here as the dossier service gave them out.

A function takes the transaction first and never commits.
"""

from collections.abc import Sequence

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Procedure, Unit
from services.kit import db
from services.metrics import tables


async def replace(
    transaction: AsyncConnection, province: str, units: Sequence[Unit], procedures: Sequence[Procedure]
) -> None:
    """Keep all versions of the province's units and procedures in place of those kept before."""
    await _replace(transaction, tables.unit, province, units)
    await _replace(transaction, tables.procedure, province, procedures)


async def _replace(
    transaction: AsyncConnection, table: Table, province: str, versions: Sequence[Unit] | Sequence[Procedure]
) -> None:
    await transaction.execute(delete(table).where(table.c.province == province))
    names = [column.name for column in table.columns]
    rows = [(province, one.code, one.valid_from, one.model_dump_json(by_alias=True)) for one in versions]
    await transaction.execute(insert(table).from_select(names, db.unnested(table, names)), db.arrays(rows, names))


async def units(transaction: AsyncConnection, province: str) -> Sequence[Unit]:
    """Return all versions of the province's units."""
    table = tables.unit.c
    contents = await transaction.scalars(
        select(table.content).where(table.province == province).order_by(table.code, table.valid_from)
    )
    return [Unit.model_validate(content) for content in contents]


async def procedures(transaction: AsyncConnection, province: str) -> Sequence[Procedure]:
    """Return all versions of the province's procedures."""
    table = tables.procedure.c
    contents = await transaction.scalars(
        select(table.content).where(table.province == province).order_by(table.code, table.valid_from)
    )
    return [Procedure.model_validate(content) for content in contents]
