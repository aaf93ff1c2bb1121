"""A recount needs nothing of what was counted before: not the counts, and not the units either."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import httpx

from services.cli import reference
from services.contract import FeedPage, Standing
from services.dossier import app as dossier
from services.dossier.domain import revision
from services.dossier.settings import DossierSettings
from services.dossier.store import reference as reference_store
from services.kit import clock, db
from services.metrics import feed, follower, store
from services.metrics.follower import Source
from tests import running


def test_a_recount_knows_the_units_that_nobody_has_told_it_of_before(database_url: str) -> None:
    async def recounted() -> int:
        database = db.engine(database_url, application="tests", connections=4)
        units = reference.units(running.PROVINCE)
        async with database.begin() as transaction:
            changes = revision.changes([], units)
            await reference_store.put(transaction, running.PROVINCE, changes, client="tests", at=clock.now())
        app = dossier.application(DossierSettings(database_url=database_url, internal_key=running.INTERNAL_KEY))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dossier") as client:
            await follower.recount(database, Source(client, running.INTERNAL_KEY, 10), running.PROVINCE)
        async with database.connect() as transaction:
            known = await store.units(transaction, running.PROVINCE)
        await database.dispose()
        return len(known) - len(units)

    assert asyncio.run(recounted()) == 0


def test_a_dossier_folded_anew_does_not_make_its_counter_look_silent(database_url: str) -> None:
    recorded_at = clock.now()
    recorded = Standing(code="H1", status="pending", receiving_unit="05977", position=1, recorded_at=recorded_at)
    earlier = replace(recorded, code="H2", position=2, recorded_at=recorded_at - timedelta(days=9))
    page = feed.Page(FeedPage(after=0, next_after=2, head=2, entries=(recorded, earlier)), reference_version=0)

    async def last_recorded() -> Mapping[str, datetime]:
        database = db.engine(database_url, application="tests", connections=2)
        async with httpx.AsyncClient() as nobody:
            await follower.count_page(database, Source(nobody, "", 10), running.PROVINCE, page)
        async with database.connect() as transaction:
            found = await store.last_recorded(transaction, running.PROVINCE)
        await database.dispose()
        return found

    assert asyncio.run(last_recorded()) == {"05977": recorded_at}
