"""The gateway as a process: settings, keys, limits and routes put together."""

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from services.gateway import api
from services.gateway.auth import Keyring
from services.gateway.limits import Limits
from services.gateway.settings import GatewaySettings
from services.gateway.state import State
from services.gateway.upstream import Upstream
from services.kit import db, observe, problems, serve, settings


def application(configuration: GatewaySettings) -> FastAPI:
    """Return the gateway."""
    database = db.engine(
        configuration.database_url, application="gateway", connections=configuration.database_connections
    )
    state = State(
        database,
        Keyring(database),
        Limits(
            requests_per_second=configuration.requests_per_second,
            requests_at_once=configuration.requests_at_once,
            body_bytes_at_once=configuration.body_bytes_at_once,
        ),
        configuration.body_seconds,
        {
            "dossier": Upstream("dossier", configuration.dossier_url, configuration.internal_key),
            "metrics": Upstream("metrics", configuration.metrics_url, configuration.internal_key),
        },
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        for upstream in state.upstreams.values():
            await upstream.open()
        yield
        for upstream in state.upstreams.values():
            await upstream.aclose()
        await database.dispose()

    app = serve.application("motcua", lifespan, openapi_url=None)
    api.install(app, state)
    problems.install(app, api.PROBLEMS)
    observe.install(app, service="gateway", database=database)
    return app


def main() -> None:
    """Run the gateway as the environment says."""
    configuration = settings.load(GatewaySettings)
    serve.run(lambda: application(configuration), configuration)
