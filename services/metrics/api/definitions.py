"""`GET /v1/rates/definitions`: what every count and rate means, by which law, and what is asked of it."""

from datetime import date
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from services.contract import DEFINITIONS_VERSION, Day, Grant, vietnamese_day
from services.kit import clock, door, parameters, problems
from services.metrics.domain import definitions
from services.metrics.state import State


def router(state: State) -> APIRouter:
    """Return the route that tells the definitions."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get(
        "/v1/rates/definitions",
        responses={304: {"description": "The definitions are those of the ETag"}, **problems.documented(403, 422)},
    )
    async def get_definitions(
        request: Request,
        grant: granted,  # noqa: ARG001 - whoever may see rates may see what they mean
        on: Annotated[Day | None, Query(description="As they hold on this day; today where it is not told.")] = None,
    ) -> Response:
        """Return every count and rate in words, with formula, day, comparison, source, target, version and validity."""
        told_on: date = on or vietnamese_day(clock.now())
        headers = {"ETag": f'"definitions-{DEFINITIONS_VERSION}-{told_on}"', "Cache-Control": "private, no-cache"}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = orjson.dumps(definitions.definitions(told_on))
        return Response(content, headers=headers, media_type="application/json")

    return routes
