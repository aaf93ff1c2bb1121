"""How late dossiers were, and how late that was told, is counted here side by side.

A function takes the transaction first and never commits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.metrics import tables
from services.metrics.domain.boundaries import Version
from services.metrics.domain.lags import BOUNDS
from services.metrics.domain.vectors import Cut
from services.metrics.store.dossiers import Wanted, belongs, conditions, unit_of
from services.metrics.store.figures import Book

_standing = tables.standing.c


@dataclass(frozen=True, slots=True)
class Told:
    """How many dossiers were overdue by fact and by data, and how long receipts and ends took to be recorded."""

    overdue_by_fact: int
    overdue_by_data: int
    receipts: tuple[int, ...]
    ends: tuple[int, ...]


async def of_period(
    transaction: AsyncConnection, book: Book, cut: Cut, wanted: Wanted
) -> Mapping[tuple[Version, str | None], Told]:
    """Return for each version of a unit, and each sender of receipts, what counts in the cut."""
    found = conditions(cut)
    received, ended = found["received"], and_(_standing.at_end != 0, _standing.closes_on.between(cut.first, cut.last))
    of = (*unit_of(book), _standing.source)
    rows = await transaction.execute(
        select(
            *of,
            *(func.count().filter(found[name]) for name in ("overdue_by_fact", "overdue_by_data")),
            *_histogram(_standing.receipt_lag, received),
            *_histogram(_standing.end_lag, ended),
        )
        .where(
            belongs(book, wanted),
            or_(*(day.between(cut.first, cut.last) for day in (_standing.falls_due_on, _standing.received_on)), ended),
        )
        .group_by(*of)
    )
    width = len(BOUNDS)
    return {
        ((row[0], row[1]), row[2]): Told(row[3], row[4], tuple(row[5 : 5 + width]), tuple(row[5 + width :]))
        for row in rows
    }


def _histogram(lag: ColumnElement[int], counts: ColumnElement[bool]) -> list[ColumnElement[int]]:
    """Return how many of what counts took as long as each step says."""
    bounds = [(lag <= bound, place) for place, bound in enumerate(BOUNDS.values()) if bound is not None]
    step = case(*bounds, else_=len(BOUNDS) - 1)
    return [func.count().filter(counts, lag.is_not(None), step == place) for place in range(len(BOUNDS))]
