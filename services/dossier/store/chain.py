"""The log is read here as it is, by whoever wants to know whether it is still as it was written.

A function takes the transaction first and never commits.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Text, bindparam, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.dossier import tables
from services.dossier.domain.record import FIRST_HASH, Recorded
from services.dossier.domain.verdict import Checkpoint
from services.dossier.store.log import Kept, kept_as

_event, _dossier = tables.event.c, tables.dossier.c


class Placed(NamedTuple):
    """An entry of the log, and the position at which its dossier stands, None where there is no such dossier."""

    entry: Recorded
    dossier_position: int | None


_PAGE = (
    select(
        *(cast(_event.data, Text) if name == "data" else _event[name] for name in Recorded._fields),
        _dossier.position.label("dossier_position"),
    )
    .outerjoin(tables.dossier, (_dossier.province == _event.province) & (_dossier.code == _event.subject))
    .where(_event.province == bindparam("province"), _event.position > bindparam("after"))
    .order_by(_event.position)
    .limit(bindparam("size"))
)


async def provinces(transaction: AsyncConnection) -> Sequence[str]:
    """Return every province that has an event or a dossier, in order; one look into an index each."""
    found: list[str] = []
    while True:
        following = [
            await transaction.scalar(select(func.min(column)).where(column > (found[-1] if found else "")))
            for column in (_event.province, _dossier.province)
        ]
        if not any(following):
            return found
        found.append(min(province for province in following if province is not None))


async def page_after(transaction: AsyncConnection, province: str, after: int, size: int) -> Sequence[Placed]:
    """Return at most `size` entries recorded after position `after`, in recording order."""
    rows = await transaction.execute(_PAGE, {"province": province, "after": after, "size": size})
    return [Placed(Recorded(*row[:-1]), row[-1]) for row in rows]


async def checkpoint(transaction: AsyncConnection, province: str) -> Checkpoint:
    """Return the newest event of the province."""
    newest = select(_event.position, _event.hash).where(_event.province == province)
    row = (await transaction.execute(newest.order_by(_event.position.desc()).limit(1))).one_or_none()
    if row is None:
        return Checkpoint(province, 0, FIRST_HASH, 0)
    # What is recorded meanwhile lies beyond the newest event just seen.
    counted = select(func.count()).where(_event.province == province, _event.position <= row.position)
    return Checkpoint(province, row.position, row.hash, await transaction.scalar(counted) or 0)


async def dossiers_after(transaction: AsyncConnection, province: str, code: str, size: int) -> Sequence[Kept]:
    """Return at most `size` dossiers as they are kept, in the order of their codes, after `code`."""
    query = select(tables.dossier).where(_dossier.province == province, _dossier.code > code)
    rows = await transaction.execute(query.order_by(_dossier.code).limit(size))
    return [kept_as(row) for row in rows.mappings()]


async def is_refolding(transaction: AsyncConnection, province: str) -> bool:
    """Tell whether changed reference data is still being applied to dossiers of the province."""
    pending = select(tables.refold.c.version).where(tables.refold.c.province == province).limit(1)
    return (await transaction.execute(pending)).one_or_none() is not None
