"""The metrics service as a process: settings, database, follower and routes put together."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from random import Random

import httpx
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from services.kit import clock, db, observe, problems, serve, settings
from services.metrics import api, audit, feed, follower, gauges, rebuild
from services.metrics.api import rates
from services.metrics.follower import Source
from services.metrics.progress import Progress
from services.metrics.settings import MetricsSettings
from services.metrics.state import State

_SECONDS_BETWEEN_LINES = 2.0


def application(configuration: MetricsSettings) -> FastAPI:
    """Return the service; it follows the feeds of its provinces while its lifespan lasts."""
    database = db.engine(
        configuration.database_url, application="metrics", connections=configuration.database_connections
    )
    dossier = feed.client(configuration.dossier_url)
    state = State(database, dossier, configuration.internal_key, Progress(database))

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with (
            dossier,
            state.progress.watched(),
            follower.following(database, _source(configuration, dossier), configuration.provinces, state.progress),
            gauges.refreshed(state, configuration.provinces),
            audit.audited(state, configuration.provinces, Random()),  # noqa: S311 - samples, not secrets
        ):
            yield
        await database.dispose()

    app = serve.application("motcua metrics", lifespan)
    app.router.routes.append(rates.shortcut(state))
    app.include_router(api.router(state))
    problems.install(app, api.PROBLEMS)
    observe.install(app, service="metrics", database=database)
    return app


def _source(configuration: MetricsSettings, dossier: httpx.AsyncClient) -> Source:
    return Source(dossier, configuration.internal_key, configuration.page)


async def rebuild_all(configuration: MetricsSettings) -> None:
    """Count every province anew from the feed beside whatever answers; tell how far it is, and what changed."""
    database = db.engine(configuration.database_url, application="metrics rebuild", connections=2)
    try:
        async with feed.client(configuration.dossier_url) as dossier:
            for province in configuration.provinces:
                found = await rebuild.rebuild(database, _source(configuration, dossier), province, _told())
                sys.stdout.write(
                    f"province {found.province}: {found.dossiers} dossiers counted up to position {found.position}, "
                    f"{found.changed_cells} cells changed\n"
                )
                sys.stdout.flush()
    finally:
        await database.dispose()


def _told() -> Callable[[str, int, int], None]:
    """Return what tells the operator every two seconds how far a rebuild is."""
    last = clock.monotonic()

    def told(province: str, reached: int, head: int) -> None:
        nonlocal last
        if clock.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = clock.monotonic()
            sys.stderr.write(f"province {province}: counted up to position {reached} of {head}\n")

    return told


def main() -> None:
    """Run the service as the environment says; with the argument `rebuild`, count anew and report instead."""
    configuration = settings.load(MetricsSettings)
    if sys.argv[1:] == ["rebuild"]:
        try:
            asyncio.run(rebuild_all(configuration))
        except (httpx.HTTPError, SQLAlchemyError, *db.FAILURES, rebuild.UnderWay) as error:
            sys.stderr.write(f"Nothing more was changed, because counting anew could not be finished: {error}\n")
            raise SystemExit(1) from error
        return
    serve.run(lambda: application(configuration), configuration)
