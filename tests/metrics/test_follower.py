"""A recount needs nothing of what was counted before: not the counts, and not the units either."""

import asyncio

import httpx

from services.cli import reference
from services.dossier import app as dossier
from services.dossier import store as dossier_store
from services.dossier.settings import DossierSettings
from services.kit import db
from services.metrics import follower, store
from services.metrics.follower import Source
from tests import running


def test_a_recount_knows_the_units_that_nobody_has_told_it_of_before(database_url: str) -> None:
    async def recounted() -> int:
        database = db.engine(database_url, application="tests", connections=4)
        units = reference.units(running.PROVINCE)
        async with database.begin() as transaction:
            await dossier_store.put_units(transaction, running.PROVINCE, units)
        app = dossier.application(DossierSettings(database_url=database_url, internal_key=running.INTERNAL_KEY))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dossier") as client:
            await follower.recount(database, Source(client, running.INTERNAL_KEY, 10), running.PROVINCE)
        async with database.connect() as transaction:
            known = await store.units(transaction, running.PROVINCE)
        await database.dispose()
        return len(known) - len(units)

    assert asyncio.run(recounted()) == 0
