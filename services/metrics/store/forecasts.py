"""What a forecast is made from is taken here from dossiers as they are counted.

A function takes the transaction first and never commits.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.metrics import tables
from services.metrics.domain.boundaries import Version
from services.metrics.domain.forecast import Arrived, Done, Ended, Known, Open
from services.metrics.domain.tally import BIT
from services.metrics.domain.vectors import NAMES, Cut
from services.metrics.store import figures
from services.metrics.store.dossiers import Wanted, belongs, unit_of
from services.metrics.store.figures import Book

HISTORY_DAYS = 90

_standing = tables.standing.c
_EARLY, _ON_TIME, _LATE = (NAMES.index(f"resolved_{timing}") for timing in ("early", "on_time", "late"))


async def known(
    transaction: AsyncConnection, book: Book, month: Cut, on_day: date, name: Callable[[Version], str | None]
) -> Known:
    """Return what is known at the end of `on_day` of a month's outcome.

    Each version of a unit goes by the name it is given, and is left out where that is None.
    """
    whole = and_(belongs(book, Wanted()), _standing.at_receipt != 0)
    since = await _since(transaction, whole, on_day)
    unit = unit_of(book)
    has_due = _standing.at_receipt.op("&")(BIT["received_without_due"]) == 0
    was_open = or_(_standing.closes_on.is_(None), _standing.closes_on > on_day)

    async def counted(*by: ColumnElement[Any], where: ColumnElement[bool]) -> Sequence[tuple[Any, ...]]:
        of: list[ColumnElement[Any]] = [*unit, *by]
        rows = await transaction.execute(
            select(*of, func.count()).where(whole, _standing.received_on <= on_day, where).group_by(*of)
        )
        named = ((name((row[0], row[1])), *row[2:]) for row in rows)
        return [row for row in named if row[0] is not None]

    ended = await counted(
        _standing.falls_due_on - _standing.received_on,
        _standing.closes_on - _standing.falls_due_on,
        where=and_(
            _standing.status == "resolved",
            _standing.falls_due_on.is_not(None),
            _standing.closes_on.between(since, on_day),
        ),
    )
    arrived = await counted(
        func.extract("isodow", _standing.received_on) - 1,
        where=and_(_standing.received_on >= since, has_due),
    )
    waiting = await counted(_standing.falls_due_on, where=and_(was_open, _standing.falls_due_on.is_not(None)))
    done: list[Done] = []
    # On the first day of a month there are no days yet, and nothing is done.
    so_far = await figures.of_period(transaction, book, Cut(month.first, on_day, running=False))
    for (version, _), vector in so_far.items():
        called, in_time, late = name(version), vector[_EARLY] + vector[_ON_TIME], vector[_LATE]
        if called is not None and in_time + late:
            done.append(Done(called, in_time, late))
    return Known(
        since=since,
        on_day=on_day,
        last_day=month.last,
        ended=[Ended(*row) for row in ended],
        arrived=[Arrived(row[0], int(row[1]), row[2]) for row in arrived],
        open=[Open(*row) for row in waiting],
        done=done,
    )


async def _since(transaction: AsyncConnection, whole: ColumnElement[bool], on_day: date) -> date:
    """Return the first day that is looked at: `HISTORY_DAYS` before, or the day of the very first receipt."""
    earliest = on_day - timedelta(days=HISTORY_DAYS - 1)
    first: date | None = await transaction.scalar(select(func.min(_standing.received_on)).where(whole))
    return earliest if first is None else min(max(first, earliest), on_day)
