"""The metrics service as a process: settings, database, follower and routes put together."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from random import Random

from fastapi import FastAPI

from services.kit import db, garbage, observe, problems, serve, settings
from services.metrics import api, audit, feed, follower, gauges, recount
from services.metrics.api import rates
from services.metrics.follower import Source
from services.metrics.progress import Progress
from services.metrics.settings import MetricsSettings
from services.metrics.state import State


def application(configuration: MetricsSettings) -> FastAPI:
    """Return the service; it follows the feeds of its provinces while its lifespan lasts."""
    database = db.engine(
        configuration.database_url, application="metrics", connections=configuration.database_connections
    )
    dossier = feed.client(configuration.dossier_url)
    source = Source(dossier, configuration.internal_key, configuration.page)
    state = State(database, dossier, configuration.internal_key, Progress(database))

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with (
            dossier,
            state.progress.watched(),
            follower.following(database, source, configuration.provinces, state.progress),
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


def main() -> None:
    """Run the service as the environment says; with the argument `rebuild`, count anew and report instead."""
    configuration = settings.load(MetricsSettings)
    if sys.argv[1:] == ["rebuild"]:
        garbage.collect_rarely()
        try:
            asyncio.run(recount.recount(configuration))
        except recount.NotFinished as error:
            sys.stderr.write(f"Nothing more was changed, because counting anew could not be finished: {error}\n")
            raise SystemExit(1) from error
        return
    serve.run(lambda: application(configuration), configuration)
