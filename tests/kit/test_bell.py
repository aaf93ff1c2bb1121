"""A bell wakes all who wait when it rings, and nobody who comes later."""

import asyncio
import time

from services.kit.bell import Bell


def test_a_ring_wakes_everyone_who_waits() -> None:
    async def woken() -> float:
        bell, began = Bell(), time.monotonic()
        waiters = [asyncio.create_task(bell.wait(30)) for _ in range(3)]
        await asyncio.sleep(0)
        bell.ring()
        await asyncio.gather(*waiters)
        return time.monotonic() - began

    assert asyncio.run(woken()) < 5


def test_a_wait_that_begins_after_a_ring_waits_for_the_next_one() -> None:
    async def waited() -> float:
        bell, began = Bell(), time.monotonic()
        bell.ring()
        await bell.wait(0.05)
        return time.monotonic() - began

    assert asyncio.run(waited()) >= 0.04


def test_a_wait_of_no_time_is_over_at_once() -> None:
    asyncio.run(Bell().wait(0))
