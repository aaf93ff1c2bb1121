"""Corrected reference data reaches the dossiers recorded before it: they are folded anew, a few at a time.

Those that then stand otherwise appear in the feed at fresh positions, which belong to no event. What is done is noted
in the same transaction, so a process that is killed goes on where it was, and two of them take turns.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.dossier.catalogues import Catalogues
from services.dossier.store import log, refold
from services.dossier.store.log import Kept
from services.dossier.store.refold import Waiting
from services.kit.bell import Bell

# Events of the province wait while as many dossiers are folded: about a tenth of a second.
DOSSIERS_PER_CHUNK = 500

# Dossiers of a thousand events each take a hundred times as long: only this many are held at once, and after this
# time the rest of the chunk is left for the next one.
_DOSSIERS_AT_ONCE = 50
_HOLD_SECONDS = 0.5

# A change that this or another process has stored is noticed at this pace.
_POLL_SECONDS = 1.0

_REFOLDING = Gauge("dossier_refolding", "Changes of reference data whose dossiers are still being folded anew.")
_REFOLDED = Counter(
    "dossier_refolded", "Dossiers that stand otherwise after a change of reference data.", ("province",)
)

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running(database: AsyncEngine, catalogues: Catalogues, recorded: Bell) -> AsyncIterator[None]:
    """Fold anew in the background what waits; ring `recorded` after each commit; on leaving, finish the chunk."""
    closing = asyncio.Event()
    worker = asyncio.create_task(_until_closed(database, catalogues, recorded, closing), name="refold")
    try:
        yield
    finally:
        closing.set()
        await worker


async def _until_closed(database: AsyncEngine, catalogues: Catalogues, recorded: Bell, closing: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    while not closing.is_set():
        began = clock()
        try:
            worked = await _round(database, catalogues, recorded)
        except Exception as error:  # noqa: BLE001 - it outlives any failure, and goes on where it was
            worked = False
            _log.warning("dossiers are not folded anew; again in %.1f s: %r", _POLL_SECONDS, error)
        # Half of the time at most, so that events that wait are recorded in between.
        pause = clock() - began if worked else _POLL_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), pause)


async def _round(database: AsyncEngine, catalogues: Catalogues, recorded: Bell) -> bool:
    """Fold one chunk of each province that has any; tell whether there was one."""
    async with database.connect() as transaction:
        waiting = await refold.waiting(transaction)
    _REFOLDING.set(len(waiting))
    first_of_each = {change.province: change for change in reversed(waiting)}
    for change in first_of_each.values():
        if await chunk(database, catalogues, change):
            recorded.ring()
    return bool(waiting)


async def chunk(
    database: AsyncEngine,
    catalogues: Catalogues,
    change: Waiting,
    dossiers: int = DOSSIERS_PER_CHUNK,
    hold_seconds: float = _HOLD_SECONDS,
) -> int | None:
    """Fold the next dossiers of a change anew and return how many of them stand otherwise.

    None says that another process did so meanwhile; nobody waits for the same twice.
    """
    async with database.begin() as transaction:
        # Sought before anybody has to wait. A dossier that becomes one of them only now is folded with the new
        # reference data by whoever records its event.
        codes = await refold.candidates(transaction, change, dossiers)
        await log.hold(transaction, change.province)
        if not await refold.is_current(transaction, change):
            return None
        until = asyncio.get_running_loop().time() + hold_seconds
        changed, after_code = 0, codes[-1] if len(codes) == dossiers else None
        for first in range(0, len(codes), _DOSSIERS_AT_ONCE):
            some = codes[first : first + _DOSSIERS_AT_ONCE]
            kept = await _folded(transaction, catalogues, change.province, some)
            await log.keep(transaction, change.province, kept)
            changed += len(kept)
            if asyncio.get_running_loop().time() > until and some[-1] != codes[-1]:
                after_code = some[-1]
                break
        await refold.advance(transaction, change, after_code)
    _REFOLDED.labels(change.province).inc(changed)
    return changed


async def _folded(
    transaction: AsyncConnection, catalogues: Catalogues, province: str, codes: Sequence[str]
) -> Sequence[Kept]:
    """Return those of the dossiers that stand otherwise by the reference data in force, each at a fresh position."""
    head = await log.head(transaction, province)
    catalogue = await catalogues.of(transaction, province, head.reference_version)
    histories = await log.histories(transaction, province, codes)
    before = await refold.kept(transaction, province, codes)
    position, changed = head.position, []
    for code in codes:
        kept = log.folded(code, histories[code], catalogue)
        if _told(kept) != _told(before[code]):
            position += 1
            changed.append(replace(kept, standing=replace(kept.standing, position=position)))
    return changed


def _told(kept: Kept) -> Kept:
    return replace(kept, standing=replace(kept.standing, position=0, recorded_at=None))
