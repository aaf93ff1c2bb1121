"""The dossier service as a process: settings, database, writer and routes put together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.dossier import api, refold
from services.dossier.api import documents, events, reference
from services.dossier.catalogues import Catalogues
from services.dossier.intake import Intake
from services.dossier.settings import DossierSettings
from services.dossier.state import State
from services.dossier.uploads import InvalidReference
from services.dossier.watch import Watch
from services.kit import db, observe, problems, serve, settings
from services.kit.bell import Bell


def application(configuration: DossierSettings) -> FastAPI:
    """Return the service; it writes while its lifespan lasts."""
    database = db.engine(
        configuration.database_url, application="dossier", connections=configuration.database_connections
    )
    # The writer has connections of its own: readers, however many wait, never keep it from committing.
    writing = db.engine(configuration.database_url, application="dossier intake", connections=4)
    recorded = Bell()
    catalogues = Catalogues()
    intake = Intake(writing, catalogues=catalogues, queued_events=configuration.queued_events, recorded=recorded)
    watch = Watch(database, recorded)
    state = State(
        database,
        catalogues,
        intake,
        recorded,
        watch,
        asyncio.Semaphore(configuration.long_polls),
        configuration.internal_key,
        configuration.portal_units,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with intake.running(), watch.running(), refold.running(writing, catalogues, recorded):
            yield
        await writing.dispose()
        await database.dispose()

    app = serve.application("motcua dossier", lifespan)
    app.router.routes.append(events.shortcut(state))
    app.include_router(api.router(state))
    problems.install(app, api.PROBLEMS)
    app.add_exception_handler(InvalidReference, reference.invalid_reference)
    observe.install(app, service="dossier", database=database)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI document with the shapes of bodies that the routes read themselves."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, routes=app.routes)
            document.setdefault("components", {}).setdefault("schemas", {}).update(documents.schemas())
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def main() -> None:
    """Run the service as the environment says."""
    configuration = settings.load(DossierSettings)
    serve.run(lambda: application(configuration), configuration)
