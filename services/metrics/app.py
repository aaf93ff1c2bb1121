"""The metrics service as a process: settings, database, follower and routes put together."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from services.kit import db, observe, problems, serve, settings
from services.kit.bell import Bell
from services.metrics import api, feed, follower, gauges
from services.metrics.answers import Answers
from services.metrics.follower import Recount, Source
from services.metrics.settings import MetricsSettings
from services.metrics.state import State
from services.metrics.units import HeldUnits


def application(configuration: MetricsSettings) -> FastAPI:
    """Return the service; it follows the feeds of its provinces while its lifespan lasts."""
    database = db.engine(
        configuration.database_url, application="metrics", connections=configuration.database_connections
    )
    state = State(database, Bell(), HeldUnits(), Answers(), configuration.internal_key)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with (
            feed.client(configuration.dossier_url) as dossier,
            follower.following(database, _source(configuration, dossier), configuration.provinces, state.counted),
            gauges.refreshed(state, configuration.provinces),
        ):
            yield
        await database.dispose()

    app = serve.application("motcua metrics", lifespan)
    app.include_router(api.router(state))
    problems.install(app, api.PROBLEMS)
    observe.install(app, service="metrics", database=database)
    return app


def _source(configuration: MetricsSettings, dossier: httpx.AsyncClient) -> Source:
    return Source(dossier, configuration.internal_key, configuration.page)


async def recount(configuration: MetricsSettings) -> list[Recount]:
    """Count every province anew from the feed and return what changed."""
    database = db.engine(configuration.database_url, application="metrics recount", connections=2)
    async with feed.client(configuration.dossier_url) as dossier:
        source = _source(configuration, dossier)
        found = [await follower.recount(database, source, province) for province in configuration.provinces]
    await database.dispose()
    return found


def main() -> None:
    """Run the service as the environment says; with the argument `recount`, count anew and report instead."""
    configuration = settings.load(MetricsSettings)
    if sys.argv[1:] == ["recount"]:
        try:
            recounts = asyncio.run(recount(configuration))
        except (httpx.HTTPError, SQLAlchemyError, OSError) as error:
            sys.stderr.write(f"Nothing was changed, because the recount could not be finished: {error}\n")
            raise SystemExit(1) from error
        for found in recounts:
            sys.stdout.write(
                f"province {found.province}: {found.dossiers} dossiers counted up to position {found.position}, "
                f"{found.changed_cells} cells changed\n"
            )
        return
    serve.run(lambda: application(configuration), configuration)
