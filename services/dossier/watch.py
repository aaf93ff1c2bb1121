"""However many readers wait for something new, a process asks the database for all of them together."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncEngine

from services.dossier.store import log
from services.dossier.store.log import Head
from services.kit.bell import Bell

# What another process recorded is noticed at this pace; this one's own commits ring.
_POLL_SECONDS = 0.25
# Commits that follow each other faster are noticed together: asking takes the time in which more could be recorded.
_BREATH_SECONDS = 0.02

_log = logging.getLogger(__name__)


class Watch:
    """Looks for what is new in the provinces that somebody waits for, while somebody does."""

    def __init__(self, database: AsyncEngine, recorded: Bell) -> None:
        """Look into `database` whenever `recorded` rings, and at a steady pace for what others record."""
        self._database = database
        self._recorded = recorded
        self._waiting: Counter[str] = Counter()
        self._wanted = asyncio.Event()
        self._newest: dict[str, Head] = {}
        self._failing = False
        self._news = Bell()

    async def newer(self, province: str, seen: Head, seconds: float) -> bool:
        """Wait up to `seconds` until the province has something newer than `seen`, and tell whether it has.

        True also while the database cannot be asked: whoever waits learns that by asking for himself.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        self._waiting[province] += 1
        self._wanted.set()
        try:
            while not (found := self._is_newer(province, seen)) and (left := deadline - loop.time()) > 0:
                await self._news.wait(left)
            return found
        finally:
            self._waiting[province] -= 1
            if not self._waiting[province]:
                del self._waiting[province]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look in the background until the block ends."""
        looking = asyncio.create_task(self._look_for_ever(), name="watch")
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def _is_newer(self, province: str, seen: Head) -> bool:
        # What was read before the waiting began may be older than what is seen.
        newest = self._newest.get(province, seen)
        return self._failing or newest.position > seen.position or newest.reference_version > seen.reference_version

    async def _look_for_ever(self) -> None:
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            async with asyncio.TaskGroup() as group:
                # The wait begins before the look, so that a commit during it is not missed.
                group.create_task(self._recorded.wait(_POLL_SECONDS))
                await self._look()
                await asyncio.sleep(_BREATH_SECONDS)

    async def _look(self) -> None:
        try:
            async with self._database.connect() as transaction:
                newest = {province: await log.head(transaction, province) for province in list(self._waiting)}
        except Exception as error:  # noqa: BLE001 - watching outlives any failure; those who wait are told to ask
            _log.warning("what is new cannot be read: %r", error)
            self._failing = True
            self._news.ring()
            return
        if self._failing or newest != self._newest:
            self._failing, self._newest = False, newest
            self._news.ring()
