"""From every count and every side of a rate to the very dossiers, whose number always equals the figure."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Code, Grant
from services.kit import door, parameters
from services.metrics import report
from services.metrics.answers import Answer
from services.metrics.api import answering, documents, questions
from services.metrics.api.questions import Asked
from services.metrics.api.rates import UnknownRate
from services.metrics.asking import Ask, At
from services.metrics.domain import rates
from services.metrics.domain.rates import Rate
from services.metrics.domain.vectors import NAMES
from services.metrics.report import Known
from services.metrics.state import State
from services.metrics.store.dossiers import Side

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1_000


class NotCountedByDossier(Exception):
    """The rate is of procedures: no list of dossiers adds up to it."""


_Cursor = Annotated[Code | None, Query(description="`next_cursor` of the page before; the code that it ended with.")]
_Limit = Annotated[int, Query(ge=1, le=_LARGEST_PAGE, description="The most dossiers that one page may hold.")]


def router(state: State) -> APIRouter:
    """Return the routes that list the dossiers behind a figure."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]
    asked = Annotated[Asked, Depends(questions.asked)]

    @routes.get("/v1/rates/{rate}/dossiers", responses=_DOC)
    async def get_dossiers_of_rate(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        asked: asked,
        rate: Annotated[str, Path(max_length=60)],
        side: Annotated[
            Literal["numerator", "denominator"], Query(description="Which side of the rate.")
        ] = "denominator",
        cursor: _Cursor = None,
        limit: _Limit = _DEFAULT_PAGE,
        min_position: questions.MinPosition = None,
    ) -> Response:
        """Return the dossiers that one side of a rate counts; `total` is the figure itself."""
        return await _behind(state, request, grant, asked, _side(rate, side), cursor, limit, min_position)

    @routes.get("/v1/counts/{count}/dossiers", responses=_DOC)
    async def get_dossiers_of_count(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        asked: asked,
        count: Annotated[str, Path(max_length=60)],
        cursor: _Cursor = None,
        limit: _Limit = _DEFAULT_PAGE,
        min_position: questions.MinPosition = None,
    ) -> Response:
        """Return the dossiers that a count counts; `total` is the figure itself."""
        if count not in NAMES:
            msg = f"no count is called {count[:60]!r}"
            raise UnknownRate(msg)
        return await _behind(state, request, grant, asked, ((1, count),), cursor, limit, min_position)

    return routes


def _side(name: str, side: Literal["numerator", "denominator"]) -> Side:
    """Return what the side of the rate adds up.

    :raises UnknownRate: there is no such rate.
    :raises NotCountedByDossier: the rate is of procedures.
    """
    found: dict[str, Rate] = {rate.name: rate for rate in rates.RATES + rates.PROCEDURE_RATES}
    if name not in found:
        msg = f"no rate is called {name[:60]!r}; there are {', '.join(found)}"
        raise UnknownRate(msg)
    rate = found[name]
    if rate.kind == "procedures":
        msg = f"{name} counts procedures, not dossiers"
        raise NotCountedByDossier(msg)
    if side == "numerator":
        return tuple((1, count) for count in rate.hits)
    return (*((1, count) for count in rate.of), *((-1, count) for count in rate.less))


async def _behind(  # noqa: PLR0913 - what was asked for
    state: State,
    request: Request,
    grant: Grant,
    asked: Asked,
    side: Side,
    cursor: str | None,
    limit: int,
    min_position: str | None,
) -> Response:
    ask = Ask(
        "lineage",
        asked.question(grant, "none"),
        _page,
        min_position=questions.min_position(min_position),
        more=(tuple(side), cursor or "", limit),
        of_all_days=True,
    )
    return await answering.answered(state, request, ask)


async def _page(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    side, after, limit = ask.more
    total, found = await report.behind(transaction, ask.question, known, side, after=after, limit=limit)
    content: dict[str, Any] = {
        "period": report.period_json(ask.question.period),
        "role": ask.question.role,
        "position": str(at.position),
        "total": total,
        "items": [{**asdict(one), "position": str(one.position)} for one in found],
        "next_cursor": found[-1].code if len(found) == limit else None,
    }
    return answering.json(content)


_DOC = documents.answer(
    {
        "period": {"label": "2026-10", "from": "2026-10-01", "to": "2026-10-31"},
        "role": "resolving",
        "position": "123456",
        "total": 1,
        "items": [{"code": "H37.05977-261005-9001", "times": 1, "status": "resolved"}],
        "next_cursor": None,
    },
    404,
)
