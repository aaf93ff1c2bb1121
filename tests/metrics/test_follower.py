"""A page of the feed is counted once, whoever follows, and freshness is that of the newest record."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import FEED_PAGE, FeedPage, Standing
from services.metrics import feed, follower
from services.metrics.follower import Source
from services.metrics.progress import Progress, Reached
from services.metrics.store import counting
from services.metrics.store.counting import Checkpoint
from tests.metrics.standings import database, numbered, resolved, standing
from tests.running import PROVINCE

_AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def _page(*entries: Standing, after: int = 0) -> feed.Page:
    last = max((entry.position for entry in entries), default=after)
    return feed.Page(FeedPage(after=after, next_after=last, head=last, entries=entries), reference_version=0)


async def _count(engine: AsyncEngine, *pages: feed.Page) -> None:
    async with httpx.AsyncClient() as nobody:
        for page in pages:
            await follower.count_page(engine, Source(nobody, "", 10), PROVINCE, page)


async def _cells(engine: AsyncEngine) -> Mapping[Any, Any]:
    async with engine.connect() as transaction:
        return await counting.cells(transaction, PROVINCE, 1)


def test_a_page_that_another_follower_was_faster_with_is_counted_once(database_url: str) -> None:
    first, second = numbered([standing(code="H1"), standing(code="H2")])

    async def counted() -> tuple[Any, Any, Checkpoint]:
        async with database(database_url) as engine:
            await _count(engine, _page(first), _page(second, after=1))
            expected = await _cells(engine)
            # One that is behind, one that is ahead of what was counted.
            await _count(engine, _page(first), _page(replace(second, position=9), after=8))
            async with engine.connect() as transaction:
                return expected, await _cells(engine), await counting.checkpoint(transaction, PROVINCE)

    expected, found, reached = asyncio.run(counted())

    assert found == expected
    assert reached == Checkpoint(position=2)


def test_two_followers_at_once_count_every_page_once(database_url: str) -> None:
    pages = [_page(one, after=one.position - 1) for one in numbered([standing(code=f"H{n % 5}") for n in range(20)])]

    async def counted() -> tuple[int, int]:
        async with database(database_url, connections=4) as engine:
            await asyncio.gather(_count(engine, *pages), _count(engine, *pages))
            received = sum(counts[0] for counts in (await _cells(engine)).values())
            async with engine.connect() as transaction:
                return received, (await counting.checkpoint(transaction, PROVINCE)).position

    assert asyncio.run(counted()) == (5, 20)


class _FaintProgress(Progress):
    """One whose first looks find no database."""

    left = 2

    async def look(self, province: str) -> Reached:
        """Fail, then look."""
        if self.left:
            self.left -= 1
            msg = "no database"
            raise OSError(msg)
        return await super().look(province)


def test_following_outlives_a_look_at_how_far_is_counted_that_fails(database_url: str) -> None:
    entries = numbered([standing(code="H1"), standing(code="H2"), standing(code="H3")])

    def answer(request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["after"])
        return httpx.Response(
            200,
            content=FEED_PAGE.dump_json(_page(*entries[after : after + 1], after=after).page),
            headers={"Motcua-Reference": "0"},
        )

    async def counted() -> int:
        async with (
            database(database_url, connections=4) as engine,
            httpx.AsyncClient(base_url="http://dossier", transport=httpx.MockTransport(answer)) as dossier,
        ):
            source, progress = Source(dossier, "", 10), _FaintProgress(engine)
            async with follower.following(engine, source, [PROVINCE], progress), asyncio.timeout(20):
                while True:
                    await progress.wait(0.1)
                    async with engine.connect() as transaction:
                        reached = await counting.checkpoint(transaction, PROVINCE)
                    if reached.position == len(entries):
                        return reached.position

    assert asyncio.run(counted()) == len(entries)


def test_what_changes_is_counted_in_place_of_what_it_was(database_url: str) -> None:
    before, after = numbered([standing(), resolved("09 10:00", receiving_unit="05983")])

    async def counted() -> tuple[Any, Any]:
        async with database(database_url) as engine:
            await _count(engine, _page(before), _page(after, after=1))
            changed = await _cells(engine)
        async with database(database_url) as engine, engine.begin() as transaction:
            await counting.new_generation(transaction, PROVINCE)
            await follower.count(transaction, PROVINCE, 2, [after])
            return changed, await counting.cells(transaction, PROVINCE, 2)

    changed, fresh = asyncio.run(counted())

    assert changed == fresh


def test_a_change_touches_the_months_in_which_the_dossier_counts_and_counted(database_url: str) -> None:
    before = replace(standing(received_at="2026-08-03 09:00", due_at="2026-09-03 09:00"), position=1)
    after = replace(resolved("2026-10-05 09:00", received_at="2026-08-03 09:00", due_at=None), position=2)
    unchanged = replace(after, position=3, recorded_at=_AT)
    other = replace(standing(code="H2", received_at="2026-11-03 09:00", due_at=None), position=4)

    async def touched() -> list[dict[int, int]]:
        found = []
        async with database(database_url) as engine:
            for one in (before, after, unchanged, other):
                await _count(engine, _page(one, after=one.position - 1))
                async with engine.connect() as transaction:
                    months = await counting.touched(transaction, PROVINCE)
                found.append({month.month: position for month, position in months.items()})
        return found

    assert asyncio.run(touched()) == [
        {8: 1, 9: 1},
        {8: 2, 9: 2, 10: 2},
        {8: 2, 9: 2, 10: 2},
        {8: 2, 9: 2, 10: 2, 11: 4},
    ]


def test_a_dossier_folded_anew_does_not_make_its_counter_look_silent(database_url: str) -> None:
    recorded = replace(standing(code="H1", source="urn:a"), position=1, recorded_at=_AT)
    earlier = replace(standing(code="H2", source="urn:a"), position=2, recorded_at=_AT - timedelta(days=9))

    async def last_recorded() -> Mapping[counting.Source, datetime]:
        async with database(database_url) as engine:
            await _count(engine, _page(recorded, earlier), _page(replace(earlier, position=3), after=2))
            async with engine.connect() as transaction:
                return await counting.last_recorded(transaction, PROVINCE)

    assert asyncio.run(last_recorded()) == {("05977", "urn:a"): _AT}


def test_each_sender_of_a_unit_is_heard_of_by_itself(database_url: str) -> None:
    one = replace(standing(code="H1", source="urn:a"), position=1, recorded_at=_AT)
    another = replace(standing(code="H2", source="urn:b"), position=2, recorded_at=_AT - timedelta(days=9))

    async def last_recorded() -> Mapping[counting.Source, datetime]:
        async with database(database_url) as engine:
            await _count(engine, _page(one, another))
            async with engine.connect() as transaction:
                return await counting.last_recorded(transaction, PROVINCE)

    assert asyncio.run(last_recorded()) == {("05977", "urn:a"): _AT, ("05977", "urn:b"): _AT - timedelta(days=9)}
