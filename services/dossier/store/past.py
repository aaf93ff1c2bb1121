"""What was recorded up to a moment of the past is read here, and the reference data that was in force then.

A function takes the transaction first and never commits.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import CTE, BigInteger, DateTime, Text, any_, bindparam, case, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import CalendarDay, Procedure, Unit
from services.dossier import tables
from services.dossier.domain.record import Recorded
from services.dossier.domain.revision import KINDS, Entry, Kind
from services.dossier.store.reads import EVENT_COLUMNS

_event = tables.event.c


async def events_until(
    transaction: AsyncConnection, province: str, codes: Collection[str], position: int, at_once: int
) -> AsyncGenerator[Sequence[Recorded]]:
    """Yield the events of the dossiers `codes` up to `position`, those of one dossier together, a few `at_once`."""
    mine = _event.subject == any_(literal(list(codes), ARRAY(Text)))
    query = select(*EVENT_COLUMNS).where(_event.province == province, mine, _event.position <= position)
    query = query.order_by(_event.subject, _event.position).execution_options(yield_per=at_once)
    async with transaction.stream(query) as rows:
        async for some in rows.partitions():
            yield [Recorded(*row) for row in some]


async def position_at(transaction: AsyncConnection, province: str, instant: datetime) -> int:
    """Return the position of the newest event that was recorded by then, 0 where there is none.

    Events are recorded in the order of their positions, so the place is found by halving, in as many steps as a
    position has bits. If a clock went back, it is a place where what is before was recorded by then and what comes next
    was not; events that follow do not move it.
    """
    return await transaction.scalar(_POSITION_AT, {"of_province": province, "instant": instant}) or 0


def _halved() -> CTE:
    """Return the steps of the search: the span that is left, and the position that is known to be reached."""
    first = select(literal_column(f"{2**59}::bigint", BigInteger).label("span"), _ZERO.label("reached"))
    halved = first.cte("halved", recursive=True)
    ahead = halved.c.reached + halved.c.span
    recorded_at = (
        select(_event.recorded_at)
        .where(_event.province == bindparam("of_province", type_=Text), _event.position >= ahead)
        .order_by(_event.position)
        .limit(1)
        .scalar_subquery()
    )
    by_then = recorded_at <= bindparam("instant", type_=DateTime(timezone=True))
    nearer = select(halved.c.span // 2, case((by_then, ahead), else_=halved.c.reached)).where(halved.c.span > 0)
    return halved.union_all(nearer)


_ZERO = literal_column("0::bigint", BigInteger)
_search = _halved()
_POSITION_AT = select(_search.c.reached).where(_search.c.span == 0)


async def recorded_from(transaction: AsyncConnection, province: str, position: int) -> datetime | None:
    """Return when the first event at or after a position was recorded, None where there is none."""
    query = select(_event.recorded_at).where(_event.province == province, _event.position >= position)
    return await transaction.scalar(query.order_by(_event.position).limit(1))


async def reference_before(
    transaction: AsyncConnection, province: str, instant: datetime
) -> Mapping[tuple[Kind, str], Entry | None]:
    """Return what has changed since `instant`, by kind and key, as it was then; None where it was not there yet."""
    change = tables.reference_change.c
    query = (
        select(change.kind, change.key, change.before)
        .ext(distinct_on(change.kind, change.key))
        .where(change.province == province, change.changed_at > instant)
        .order_by(change.kind, change.key, change.version)
    )
    return {
        (row.kind, row.key): None if row.before is None else _SHAPES[row.kind].model_validate(row.before)
        for row in await transaction.execute(query)
    }


_SHAPES: Mapping[str, type[Entry]] = {KINDS[shape]: shape for shape in (Unit, Procedure, CalendarDay)}
