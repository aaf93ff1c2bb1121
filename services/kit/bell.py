"""Whoever waits for something new in this process is woken the moment it is there."""

import asyncio


class Bell:
    """Wakes all who wait when it rings; a wait that began after a ring waits for the next one."""

    def __init__(self) -> None:
        """Begin silent."""
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who waits now."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._next.wait()
        except TimeoutError:
            return
