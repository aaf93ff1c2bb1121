"""The metrics service's routes: rates of a period, per unit, exact as of a position."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from services.contract import Grant
from services.kit import clock, door, parameters, problems
from services.kit.problems import Problem
from services.metrics import report, store
from services.metrics.domain import periods
from services.metrics.report import Question
from services.metrics.state import State

_LONGEST_WAIT_SECONDS = 10
# What another process counts is noticed at this pace; what this one counts wakes a reader at once.
_POLL_SECONDS = 0.1

# What a period looks like, for the OpenAPI document.
_SPAN = r"[0-9]{4}(-(H[12]|Q[1-4]|[0-9]{2}(-[0-9]{2})?))?"
_PERIOD = rf"^{_SPAN}(\.\.{_SPAN})?$"


class ForbiddenUnit(Exception):
    """A unit was asked for that is not the client's."""


class NotCountedYet(Exception):
    """The position asked for was not counted within the time a request may wait."""


PROBLEMS: Mapping[type[Exception], Problem] = {
    door.NotInternal: Problem(HTTPStatus.FORBIDDEN, "not_internal", "Dịch vụ này chỉ trả lời qua cổng."),
    periods.InvalidPeriod: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_period", "Kỳ báo cáo không hợp lệ."),
    parameters.UnknownPosition: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_position", "Vị trí không hợp lệ."),
    report.UnknownUnit: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_unit", "Không có đơn vị này trong kỳ báo cáo."
    ),
    ForbiddenUnit: Problem(HTTPStatus.FORBIDDEN, "unit_forbidden", "Đơn vị không thuộc phạm vi của khoá truy cập."),
    NotCountedYet: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, "not_counted_yet", "Số liệu chưa được tính đến vị trí này; hãy hỏi lại.", 1
    ),
}


def router(state: State) -> APIRouter:
    """Return the service's routes over `state`."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/rates", responses=_RATES_DOC)
    async def get_rates(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        period: Annotated[
            str,
            Query(
                max_length=40,
                examples=["2026-10"],
                description="`2026`, `2026-H1`, `2026-Q4`, `2026-10`, `2026-10-05` or `2026-10-01..2026-10-20`.",
                json_schema_extra={"pattern": _PERIOD},
            ),
        ],
        by: Annotated[
            Literal["unit", "none"], Query(description="One row for each unit, or the total alone.")
        ] = "unit",
        role: Annotated[
            Literal["resolving", "receiving"],
            Query(description="Count a dossier for the unit that decides it, or for the counter that took it in."),
        ] = "resolving",
        kind: Annotated[
            Literal["commune", "department"] | None, Query(description="Communes or departments alone.")
        ] = None,
        unit: Annotated[
            list[str] | None,
            Query(max_length=200, description="Codes of units; repeat the parameter for several."),
        ] = None,
        boundaries: Annotated[
            Literal["current", "historical"],
            Query(description="Count former units for their successors of today, or as they were."),
        ] = "current",
        min_position: Annotated[
            str | None,
            Query(
                max_length=18,
                description="Wait up to ten seconds until this position is counted.",
                json_schema_extra={"pattern": "^[0-9]+$"},
            ),
        ] = None,
    ) -> Response:
        """Return counts and rates of a period per unit, and their total.

        `period` is a year, half, quarter, month, day or a range of days; `min_position` waits up to ten seconds until
        that position is counted, so that the first read after a write sees it.
        """
        question = Question(
            province=grant.province,
            period=periods.parse(period),
            by=by,
            role=role,
            kind=kind,
            units=_units(grant, unit),
            asked_for=None if unit is None else frozenset(unit),
            boundaries=boundaries,
        )
        if min_position is not None:
            await _counted_up_to(state, grant.province, parameters.position(min_position))
        async with state.database.connect() as transaction:
            # One snapshot, so that position, counts and units belong together.
            await transaction.execution_options(isolation_level="REPEATABLE READ")
            at = await report.freshness(transaction, question, clock.now())
            etag = report.etag(question, at)
            headers = {
                "ETag": etag,
                "Cache-Control": "private, no-cache",
                "Motcua-Position": str(at.position),
            }
            if etag in request.headers.get("if-none-match", ""):
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
            content = state.answers.get(etag)
            if content is None:
                content = orjson.dumps(await report.answer(transaction, question, at, state.units))
                state.answers.keep(etag, content)
        return Response(content, headers=headers, media_type="application/json")

    return routes


def _units(grant: Grant, asked: list[str] | None) -> frozenset[str] | None:
    """Return the units to answer about: those asked for, and never others than the client's."""
    if asked is None:
        return grant.units
    if grant.units is not None and not grant.units.issuperset(asked):
        msg = "one of the units asked for is not the client's"
        raise ForbiddenUnit(msg)
    return frozenset(asked)


async def _counted_up_to(state: State, province: str, position: int) -> None:
    """Return once `position` is counted.

    :raises NotCountedYet: ten seconds were not enough, or the position does not exist.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LONGEST_WAIT_SECONDS
    while True:
        async with state.database.connect() as transaction:
            reached = (await store.checkpoint(transaction, province)).position
        if reached >= position:
            return
        if loop.time() >= deadline:
            msg = f"counted up to {reached}, asked for {position}"
            raise NotCountedYet(msg)
        await state.counted.wait(_POLL_SECONDS)


_RATE_EXAMPLE = {"numerator": 396, "denominator": 398, "percent": 99.5, "target": 99.0, "met": True}
_FIGURES_EXAMPLE = {
    "counts": {"received": 412, "resolved": 398, "resolved_late": 2, "carried_over": 20, "pending": 34},
    "rates": {"on_time_of_resolved": _RATE_EXAMPLE},
}
_RATES_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "period": {"label": "2026-10", "from": "2026-10-01", "to": "2026-10-31"},
                    "by": "unit",
                    "role": "resolving",
                    "position": "123456",
                    "definitions": "1",
                    "stale_sources": [],
                    "rows": [
                        {
                            "unit": {"code": "05977", "name": "Phường Đông Kinh", "kind": "commune"},
                            **_FIGURES_EXAMPLE,
                        }
                    ],
                    "total": _FIGURES_EXAMPLE,
                },
            }
        }
    },
    304: {"description": "Nothing the answer depends on has changed since the ETag given in If-None-Match"},
    **problems.documented(
        403, 422, 503, s403="A unit that is not the client's", s503="The position is not counted yet, or an outage"
    ),
}
