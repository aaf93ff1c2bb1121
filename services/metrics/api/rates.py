"""`GET /v1/rates` and `GET /v1/series`: counts and rates of any period, told apart as asked."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant
from services.kit import door, observe, parameters
from services.metrics import report, tabulation
from services.metrics.answers import Answer
from services.metrics.api import answering, documents, public, questions
from services.metrics.api.public import Audience
from services.metrics.api.questions import Asked
from services.metrics.asking import Ask, At
from services.metrics.domain import rates
from services.metrics.report import Known
from services.metrics.state import State

_PATH = "/v1/rates"


class UnknownRate(Exception):
    """No rate goes by that name."""


def router(state: State) -> APIRouter:
    """Return the routes that answer with counts and rates."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]
    asked = Annotated[Asked, Depends(questions.asked)]
    audience = Annotated[Audience, Depends(public.audience)]

    @routes.get(_PATH, responses=_RATES_DOC)
    async def get_rates(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        asked: asked,
        audience: audience,
        by: Annotated[
            Literal["unit", "field", "procedure", "channel", "day", "week", "month", "none"],
            Query(description="One row for each of these, or the total alone."),
        ] = "unit",
        as_of: questions.AsOf = None,
        min_position: questions.MinPosition = None,
        format: questions.FormatName = None,  # noqa: A002 - the parameter's public name
    ) -> Response:
        """Return counts and rates of a period per unit, field, procedure, channel, day, week or month, and their total.

        `period` is a year, half, quarter, month, day or a range of days; a running one is counted up to today.
        `min_position` waits up to ten seconds until that position is counted, so that the first read after a write
        sees it; `as_of` answers with what was known at an instant.
        """
        wanted = questions.chosen_format(request, format)
        if public.meant(audience, grant):
            ask = public.ask("rates", asked, grant, by, public.rates, wanted, others=(as_of, min_position))
        else:
            ask = Ask(
                "rates",
                asked.question(grant, by),
                made,
                wanted,
                as_of=as_of,
                min_position=questions.min_position(min_position),
            )
        state.asked.keep(_looks(request.scope), ask)
        return await answering.answered(state, request, ask)

    @routes.get("/v1/series", responses=_SERIES_DOC)
    async def get_series(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        asked: asked,
        audience: audience,
        rate: Annotated[str, Query(max_length=60, description="The name of a rate.")],
        by: Annotated[Literal["day", "week", "month"], Query(description="The length of each piece.")] = "month",
        as_of: questions.AsOf = None,
        min_position: questions.MinPosition = None,
        format: questions.FormatName = None,  # noqa: A002 - the parameter's public name
    ) -> Response:
        """Return one rate over the days, weeks or months of a period; a piece without anything to divide by is null."""
        if all(one.name != rate for one in rates.RATES):
            msg = f"no rate over time is called {rate[:60]!r}; there are {', '.join(one.name for one in rates.RATES)}"
            raise UnknownRate(msg)
        wanted = questions.chosen_format(request, format)
        if public.meant(audience, grant):
            others = (as_of, min_position)
            ask = public.ask("series", asked, grant, by, public.series, wanted, public.told(rate), others=others)
        else:
            ask = Ask(
                "series",
                asked.question(grant, by),
                _series,
                wanted,
                as_of=as_of,
                min_position=questions.min_position(min_position),
                more=(rate,),
            )
        return await answering.answered(state, request, ask)

    return routes


async def made(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    """Put the answer together."""
    found = await report.report(transaction, ask.question, known)
    if ask.format == "json":
        return answering.json({**report.head_json(found, at.position, at.stale_units), **report.fragments(found)})
    return answering.file(tabulation.table(found), ask.format, found.cut.last)


async def _series(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    (rate,) = ask.more
    found = await report.report(transaction, ask.question, known)
    if ask.format != "json":
        return answering.file(tabulation.series(found, rate), ask.format, found.cut.last)
    whole = report.as_json(found, at.position, at.stale_units)
    by = ask.question.by
    points = [{**row[by], **row["rates"][rate]} for row in whole["rows"]]
    told = {name: whole[name] for name in ("period", "counted_to", "by", "role", "boundaries", "position")}
    return answering.json(
        {
            **told,
            "definitions": whole["definitions"],
            "stale_sources": whole["stale_sources"],
            "rate": rate,
            "points": points,
            "total": whole["total"]["rates"][rate],
        }
    )


# --- The way of those who ask the same again --------------------------------------------------------------------------


def shortcut(state: State) -> BaseRoute:
    """Return a route for requests to `/v1/rates` that look like one that was answered lately.

    FastAPI's way to a handler takes several times as long as finding an answer unchanged.
    """
    granted = door.grant_reader(state.internal_key)

    async def get_rates(request: Request) -> Response:
        await granted(request)
        ask = state.asked.get(_looks(request.scope))
        assert ask is not None  # noqa: S101 - the route matched because it is there, and nothing ran between
        return await answering.answered(state, request, ask)

    return _Known(state, _PATH, observe.named(_PATH, get_rates), methods=["GET"])


class _Known(Route):
    """Leaves requests whose like was not seen lately to the routes after it."""

    def __init__(self, state: State, path: str, endpoint: observe.Endpoint, *, methods: list[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        self._state = state

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match by path and method if the same was asked before on behalf of the same client."""
        if scope.get("path") != _PATH or self._state.asked.get(_looks(scope)) is None:
            return Match.NONE, {}
        return super().matches(scope)


_TELLING = {GRANT_HEADER.encode(), INTERNAL_KEY_HEADER.encode(), b"accept"}


def _looks(scope: Scope) -> tuple[object, ...]:
    """Return all of a request that its meaning depends on, be a header there twice."""
    return (scope["query_string"], *(tuple(header) for header in scope["headers"] if header[0] in _TELLING))


_RATE_EXAMPLE: dict[str, Any] = {"numerator": 396, "denominator": 398, "percent": 99.5, "target": 99.0, "met": True}
_FIGURES_EXAMPLE = {
    "counts": {"received": 412, "resolved": 398, "resolved_late": 2, "carried_over": 20, "pending": 34},
    "rates": {"on_time_of_resolved": _RATE_EXAMPLE},
}
_HEAD_EXAMPLE = {
    "period": {"label": "2026-10", "from": "2026-10-01", "to": "2026-10-31"},
    "counted_to": "2026-10-31",
    "role": "resolving",
    "boundaries": "current",
    "position": "123456",
    "definitions": "1",
    "stale_sources": [],
}
_RATES_DOC = documents.table(
    {
        **_HEAD_EXAMPLE,
        "by": "unit",
        "rows": [{"unit": {"code": "05977", "name": "Phường Đông Kinh", "kind": "commune"}, **_FIGURES_EXAMPLE}],
        "total": _FIGURES_EXAMPLE,
    }
)
_SERIES_DOC = documents.table(
    {
        **_HEAD_EXAMPLE,
        "by": "month",
        "rate": "on_time_of_resolved",
        "points": [{"label": "2026-10", "from": "2026-10-01", "to": "2026-10-31", **_RATE_EXAMPLE}],
        "total": _RATE_EXAMPLE,
    }
) | {
    404: {
        "description": "There is no such rate",
        "content": {"application/problem+json": {"schema": {"type": "object"}}},
    }
}
