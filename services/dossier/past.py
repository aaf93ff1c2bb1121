"""How dossiers stood at a moment of the past is folded from the log as it was then, and holds up nobody else.

Every dossier that has changed since is folded from its events up to that moment, by the reference data in force then.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import STANDING, Grant, Standing
from services.dossier.catalogues import Catalogues
from services.dossier.domain import lifecycle, revision
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.history import Occurrence
from services.dossier.store import log, past, reads
from services.dossier.store.reads import FeedEntry

# While the next events are awaited others get their turn; reading and folding as many takes some milliseconds.
_EVENTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything recorded up to a position, judged by the reference data of an instant; None is today's."""

    position: int
    instant: datetime | None


async def at_instant(transaction: AsyncConnection, province: str, instant: datetime) -> Moment:
    """Return the moment `instant`."""
    return Moment(await past.position_at(transaction, province, instant), instant)


async def at_position(transaction: AsyncConnection, province: str, position: int) -> Moment:
    """Return the moment at which `position` was the newest one.

    A position that belongs to no event was drawn when reference data reached dossiers, before the next event.
    """
    return Moment(position, await past.recorded_from(transaction, province, position))


async def entries_after(  # noqa: PLR0913 - whose, since when, and which page
    transaction: AsyncConnection, catalogues: Catalogues, grant: Grant, moment: Moment, after: int, limit: int
) -> Sequence[FeedEntry]:
    """Return at most `limit` dossiers that changed after position `after`, each as it stood at the moment.

    They come in the order of their latest change. A limited client is told how a dossier stood that is its own now and
    was then; of one that is not its own now, that alone; of one that was not then, as if it had not been there.
    """
    changed = await reads.changed_after(transaction, grant, after, limit)
    catalogue = await _catalogue(transaction, catalogues, grant.province, moment.instant)
    theirs = [one.code for one in changed if one.is_theirs]
    stood: dict[str, bytes] = {}
    async with aclosing(_histories(transaction, grant.province, theirs, moment.position)) as histories:
        async for code, history in histories:
            standing = lifecycle.fold(code, history, catalogue)
            if grant.units is None or not grant.units.isdisjoint({standing.receiving_unit, standing.resolving_unit}):
                stood[code] = STANDING.dump_json(standing)
    return [
        FeedEntry(
            one.position, stood.get(one.code) or _absent(one.code) if one.is_theirs else reads.elsewhere(one.code)
        )
        for one in changed
    ]


def _absent(code: str) -> bytes:
    return STANDING.dump_json(Standing(code=code, status="unreceived"))


async def _catalogue(
    transaction: AsyncConnection, catalogues: Catalogues, province: str, instant: datetime | None
) -> Catalogue:
    head = await log.head(transaction, province)
    catalogue = await catalogues.of(transaction, province, head.reference_version)
    if instant is None:
        return catalogue
    return revision.undone(catalogue, await past.reference_before(transaction, province, instant))


async def _histories(
    transaction: AsyncConnection, province: str, codes: Collection[str], position: int
) -> AsyncGenerator[tuple[str, Sequence[Occurrence]]]:
    """Yield each dossier that has events up to a position, with these."""
    code, history = "", list[Occurrence]()
    async with aclosing(past.events_until(transaction, province, codes, position, _EVENTS_AT_ONCE)) as portions:
        async for events in portions:
            for event in events:
                if event.subject != code and history:
                    yield code, history
                    history = []
                code = event.subject
                history.append(log.occurrence(event))
    if history:
        yield code, history
