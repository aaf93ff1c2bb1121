"""Figures that were read once are mended, not read anew: only units of which something changed since are read again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from services.metrics.answers import Newest
from services.metrics.domain.boundaries import Version
from services.metrics.domain.vectors import Cut, Vector
from services.metrics.store import counting, figures
from services.metrics.store.figures import Book, Key, Procedures

# Beyond so many units, reading all of them at once takes no longer.
_FEW = 30


@dataclass(frozen=True, slots=True)
class Held:
    """The figures of all units as they were at a position."""

    position: int
    figures: Mapping[Key, Vector]
    procedures: Mapping[Version, Procedures]


class HeldFigures:
    """Holds the figures of the periods asked for most recently."""

    def __init__(self) -> None:
        """Hold nothing yet; figures of a period are some hundred kilobytes."""
        self._held: Newest[Held] = Newest(32)

    async def of(self, transaction: AsyncConnection, book: Book, cut: Cut, position: int) -> Held:
        """Return the figures of the cut of every unit, as the transaction sees them at `position`."""
        held = self._held.get((book, cut))
        if held is not None and held.position == position:
            return held
        changed = None
        if held is not None and held.position < position:
            changed = await counting.units_touched(transaction, book.province, held.position, cut.last)
        if held is None or changed is None or len(changed) > _FEW:
            found = await _read(transaction, book, cut, position)
        elif changed:
            found = _mended(held, await _read(transaction, replace(book, units=changed), cut, position), changed)
        else:
            found = replace(held, position=position)
        # A snapshot older than what is held is answered from, and not kept.
        if held is None or held.position < position:
            self._held.keep((book, cut), found)
        return found


async def _read(transaction: AsyncConnection, book: Book, cut: Cut, position: int) -> Held:
    return Held(
        position,
        await figures.of_period(transaction, book, cut),
        await figures.fee_procedures(transaction, book, cut),
    )


def _mended(held: Held, fresh: Held, changed: frozenset[str]) -> Held:
    return Held(
        fresh.position,
        {key: vector for key, vector in held.figures.items() if key[0][0] not in changed} | dict(fresh.figures),
        {version: found for version, found in held.procedures.items() if version[0] not in changed}
        | dict(fresh.procedures),
    )
