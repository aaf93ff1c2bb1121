"""A process knows how far each province is counted without asking, so what has not changed costs nothing."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.kit.bell import Bell
from services.metrics.store import counting
from services.metrics.store.counting import Source

STALE_AFTER = timedelta(days=3)
"""A counter that recorded nothing for longer than a weekend has probably stopped sending."""

# What another process counts is noticed at this pace; what this one counts at once.
_POLL_SECONDS = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a province is counted, which months that touched, and when each source was last heard of."""

    position: int = 0
    reference_version: int = 0
    generation: int = 1
    months: Mapping[date, int] = field(default_factory=dict)
    recorded: Mapping[Source, datetime] = field(default_factory=dict)

    def touched(self, last: date) -> int:
        """Return the newest position that may have changed a figure of days up to `last`."""
        return max((position for month, position in self.months.items() if month <= last), default=0)

    def heard(self) -> Mapping[str, datetime]:
        """Return when each unit was last heard of, from whichever of its sources."""
        newest: dict[str, datetime] = {}
        for (unit, _), recorded_at in self.recorded.items():
            newest[unit] = max(recorded_at, newest.get(unit, recorded_at))
        return newest


class Progress:
    """What was last seen of each province's checkpoint."""

    def __init__(self, database: AsyncEngine) -> None:
        """Know nothing yet; the first question about a province asks the database."""
        self._database = database
        self._reached: dict[str, Reached] = {}
        self._seen_by: dict[str, int] = {}
        self._looks = 0
        self._moved = Bell()

    async def of(self, province: str) -> Reached:
        """Return how far the province is counted."""
        return self._reached.get(province) or await self.look(province)

    async def look(self, province: str) -> Reached:
        """Ask the database how far the province is counted."""
        self._looks += 1
        look = self._looks
        async with self._database.connect() as transaction:
            # One snapshot, so that all of it belongs together.
            await transaction.execution_options(isolation_level="REPEATABLE READ")
            held = self._reached.get(province)
            reached = await seen_in(transaction, province, held)
            if reached is held:
                return reached
        # Two looks may overlap, and the later one to end may have begun first.
        if look > self._seen_by.get(province, 0):
            self._seen_by[province], self._reached[province] = look, reached
            self._moved.ring()
        return reached

    async def wait(self, seconds: float) -> None:
        """Return when something was counted, or after `seconds`."""
        await self._moved.wait(seconds)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Notice in the background what other processes count."""
        watching = asyncio.create_task(self._watch_for_ever(), name="progress")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            for province in list(self._reached):
                try:
                    await self.look(province)
                except Exception as error:  # noqa: BLE001 - watching outlives any failure
                    _log.warning("how far province %s is counted cannot be read: %r", province, error)
                    # Nobody is told old figures as new ones: the next question asks for itself.
                    self._reached.pop(province, None)


async def seen_in(transaction: AsyncConnection, province: str, held: Reached | None) -> Reached:
    """Return how far the province is counted in the transaction's snapshot: `held` itself, where it is that far."""
    seen = await counting.checkpoint(transaction, province)
    place = seen.position, seen.reference_version, seen.generation
    if held is not None and (held.position, held.reference_version, held.generation) == place:
        return held
    return Reached(
        *place, await counting.touched(transaction, province), await counting.last_recorded(transaction, province)
    )
