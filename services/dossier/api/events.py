"""Events come in here: one or many, each answered for."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from services.contract import MAX_INFLATED_BYTES, Grant
from services.dossier import wire
from services.dossier.api import documents, edge
from services.dossier.judging import Answer, Result
from services.dossier.state import State
from services.dossier.wire import Candidate
from services.kit import body, door, observe, parameters, problems
from services.kit.problems import Problem

_PATH = "/v1/events"
_INVALID_EVENT = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_event", "Sự kiện không hợp lệ.")
_FORBIDDEN = Problem(HTTPStatus.FORBIDDEN, "forbidden", "Sự kiện không thuộc phạm vi của khoá truy cập.")
_CONFLICT = Problem(HTTPStatus.CONFLICT, "conflict", "Mã sự kiện này đã được gửi với nội dung khác.")
_FORBIDDEN_CODES = {"source_forbidden", "unit_forbidden"}


def router(state: State) -> APIRouter:
    """Return the route that records events."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.post(_PATH, **documents.EVENTS_DOC)
    async def record_events(
        request: Request,
        grant: granted,
        dry_run: Annotated[bool, Query(description="Answer as if, and record nothing.")] = False,  # noqa: FBT002 - a query parameter
        results: Annotated[
            Literal["all"] | None, Query(description="Name every item of an array, also those newly accepted.")
        ] = None,
    ) -> Response:
        """Record one event, or up to 5,000 as an array or one a line; answered after the commit, safe to send again."""
        return await _recorded(state, request, grant, dry_run=dry_run, everything=results == "all")

    return routes


def shortcut(state: State) -> BaseRoute:
    """Return a route to the same for requests without query parameters, which nearly all are.

    FastAPI's way to a handler takes as long as everything that is done there for one event.
    """
    granted = door.grant_reader(state.internal_key)

    async def record_events(request: Request) -> Response:
        return await _recorded(state, request, await granted(request), dry_run=False, everything=False)

    return _WithoutQuery(_PATH, observe.named(_PATH, record_events), methods=["POST"])


class _WithoutQuery(Route):
    """Leaves requests with query parameters to the routes after it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match by path and method, unless there is a query."""
        return (Match.NONE, {}) if scope.get("query_string") else super().matches(scope)


async def _recorded(state: State, request: Request, grant: Grant, *, dry_run: bool, everything: bool) -> Response:
    candidates, is_one = await _candidates(request)
    answer = await (state.intake.dry_run if dry_run else state.intake.submit)(grant, candidates)
    return _single_answer(answer) if is_one else _array_answer(answer, everything=everything)


async def _candidates(request: Request) -> tuple[Sequence[Candidate], bool]:
    """Return what the body holds, and whether that is one event by itself; the body is let go of before anything waits.

    :raises UnsupportedMediaType: the body is neither JSON nor JSON a line.
    """
    content_type = edge.content_type(request)
    if content_type not in wire.JSON_TYPES | wire.LINES_TYPES:
        msg = f"send one of {', '.join(sorted(wire.JSON_TYPES | wire.LINES_TYPES))}"
        raise edge.UnsupportedMediaType(msg)
    content = await body.read(request, most=MAX_INFLATED_BYTES)
    if content_type in wire.LINES_TYPES:
        return wire.lines(content), False
    candidates, is_array = wire.events(content)
    return candidates, not is_array


def _single_answer(answer: Answer) -> Response:
    result = answer.results[0]
    errors = [wire.error_json(error) for error in result.errors]
    match result.status:
        case "accepted" | "duplicate":
            status = HTTPStatus.CREATED if result.status == "accepted" else HTTPStatus.OK
            content = {"position": str(result.position), "id": result.id, "status": result.status}
            return edge.json(content, status, {"Motcua-Position": str(result.position)})
        case "conflict":
            fingerprints = dict(
                zip(("recorded_fingerprint", "given_fingerprint"), result.fingerprints or (), strict=False)
            )
            detail = "the id was sent before with other content"
            return problems.answer(_CONFLICT, detail, id=result.id, errors=errors, **fingerprints)
        case "rejected":
            forbidden = any(error.code in _FORBIDDEN_CODES for error in result.errors)
            detail = "; ".join(f"{error.pointer or '/'}: {error.detail}" for error in result.errors)
            return problems.answer(_FORBIDDEN if forbidden else _INVALID_EVENT, detail, id=result.id, errors=errors)


def _array_answer(answer: Answer, *, everything: bool) -> Response:
    counts = dict.fromkeys(("accepted", "duplicate", "conflict", "rejected"), 0)
    for result in answer.results:
        counts[result.status] += 1
    content = {
        "position": str(answer.position),
        **counts,
        "results": [_result_json(result) for result in answer.results if everything or result.status != "accepted"],
    }
    return edge.json(content, headers={"Motcua-Position": str(answer.position)})


def _result_json(result: Result) -> dict[str, object]:
    return {
        "index": result.index,
        "id": result.id,
        "status": result.status,
        "errors": [wire.error_json(error) for error in result.errors],
        **({} if result.position is None else {"position": str(result.position)}),
    }
