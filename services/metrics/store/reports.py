"""Frozen reports are added and read here; nothing here, and nobody at all, changes one.

A function takes the transaction first and never commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, func, insert, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import db
from services.metrics import tables


@dataclass(frozen=True, slots=True)
class Fresh:
    """A report that is to be frozen."""

    province: str
    kind: str
    question: Mapping[str, Any]
    units: Sequence[str] | None
    position: int
    told_on: date
    reference_version: int
    definitions: str
    frozen_at: datetime
    frozen_by: str
    note: str
    idempotency_key: str | None
    figures: Mapping[str, Any]
    content: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """What is told of a frozen report; its content and figures are read apart."""

    id: int
    kind: str
    question: Mapping[str, Any]
    units: Sequence[str] | None
    position: int
    told_on: date
    reference_version: int
    definitions: str
    frozen_at: datetime
    frozen_by: str
    note: str
    content_hash: str


_report = tables.report.c
_TOLD = [_report[name] for name in Frozen.__dataclass_fields__]


async def add(transaction: AsyncConnection, fresh: Fresh) -> Frozen:
    """Freeze the report under the province's next number, or return what the client froze with the same key before."""
    # Numbers follow each other, and a key that is looked for stays as it was found; reports are few.
    await db.lock(transaction, "report", fresh.province)
    if fresh.idempotency_key is not None:
        before = await by_key(transaction, fresh.province, fresh.frozen_by, fresh.idempotency_key)
        if before is not None:
            return before
    newest = await transaction.scalar(select(func.max(_report.id)).where(_report.province == fresh.province))
    row = {name: getattr(fresh, name) for name in Fresh.__dataclass_fields__}
    added = await transaction.execute(insert(tables.report).values(id=(newest or 0) + 1, **row).returning(*_TOLD))
    return Frozen(*added.one())


async def by_key(transaction: AsyncConnection, province: str, client: str, key: str) -> Frozen | None:
    """Return what the client froze with the idempotency key before."""
    mine = (_report.province == province) & (_report.frozen_by == client) & (_report.idempotency_key == key)
    row = (await transaction.execute(select(*_TOLD).where(mine))).one_or_none()
    return None if row is None else Frozen(*row)


def _readable(units: Collection[str] | None) -> ColumnElement[bool]:
    """Return the condition that a report speaks of no other units than these; one of the whole province does."""
    if units is None:
        return true()
    readable: ColumnElement[bool] = _report.units.contained_by(literal(sorted(units), ARRAY(Text)))
    return readable


async def page(  # noqa: PLR0913 - each says one thing about the list
    transaction: AsyncConnection,
    province: str,
    units: Collection[str] | None,
    *,
    kind: str | None,
    period: str | None,
    before: int | None,
    limit: int,
) -> Sequence[Frozen]:
    """Return reports that speak of no other units than `units`, the newest first, those older than number `before`."""
    sought = (_report.province == province) & _readable(units)
    if kind is not None:
        sought &= _report.kind == kind
    if period is not None:
        sought &= _report.question["period"].astext == period
    if before is not None:
        sought &= _report.id < before
    rows = await transaction.execute(select(*_TOLD).where(sought).order_by(_report.id.desc()).limit(limit))
    return [Frozen(*row) for row in rows]


async def one(
    transaction: AsyncConnection, province: str, units: Collection[str] | None, number: int
) -> tuple[Frozen, str, Mapping[str, Any]] | None:
    """Return the report with its content and figures, or None where there is none that speaks of no other units."""
    sought = (_report.province == province) & (_report.id == number) & _readable(units)
    row = (await transaction.execute(select(*_TOLD, _report.content, _report.figures).where(sought))).one_or_none()
    return None if row is None else (Frozen(*row[:-2]), row.content, row.figures)
