"""The dossier service's routes: events in; dossiers, log, feed and reference data out."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from services.contract import (
    EVENTS,
    FEED_PAGE,
    MAX_BODY_BYTES,
    STANDING,
    VIETNAM,
    CalendarDay,
    FeedPage,
    Frozen,
    Grant,
    Procedure,
    Unit,
    vietnamese_day,
)
from services.dossier import store, wire
from services.dossier.domain import lifecycle
from services.dossier.intake import Answer, Overloaded, Result
from services.dossier.state import State
from services.kit import clock, door, problems
from services.kit.problems import Problem

# A process that another one writes beside is noticed at this pace; its own commits wake a reader at once.
_POLL_SECONDS = 0.1
_DEFAULT_PAGE, _LARGEST_PAGE = 1_000, 5_000


class TooLarge(Exception):
    """The body is larger than a request may be."""


class UnsupportedMediaType(Exception):
    """The body is of a type that this route does not read."""


class UnknownDossier(Exception):
    """No dossier of that code is the client's to see."""


class UnknownPosition(Exception):
    """The text is no position that this system gave out."""


class ProvinceOnly(Exception):
    """Only a client of the whole province may do this."""


PROBLEMS: Mapping[type[Exception], Problem] = {
    door.NotInternal: Problem(HTTPStatus.FORBIDDEN, "not_internal", "Dịch vụ này chỉ trả lời qua cổng."),
    wire.NotJson: Problem(HTTPStatus.BAD_REQUEST, "not_json", "Nội dung gửi lên không phải JSON hợp lệ."),
    wire.TooManyEvents: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_events", "Mỗi yêu cầu chứa tối đa 5.000 sự kiện."
    ),
    wire.InvalidReference: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_reference", "Dữ liệu danh mục không hợp lệ."
    ),
    TooLarge: Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "Nội dung gửi lên vượt quá 5 MB."),
    UnsupportedMediaType: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Kiểu nội dung không được hỗ trợ."
    ),
    UnknownDossier: Problem(HTTPStatus.NOT_FOUND, "unknown_dossier", "Không tìm thấy hồ sơ."),
    UnknownPosition: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_position", "Vị trí không hợp lệ."),
    ProvinceOnly: Problem(
        HTTPStatus.FORBIDDEN, "province_only", "Chỉ khoá truy cập của toàn tỉnh được thực hiện thao tác này."
    ),
    Overloaded: Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Hệ thống đang bận; hãy gửi lại.", 1),
}

_INVALID_EVENT = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_event", "Sự kiện không hợp lệ.")
_FORBIDDEN = Problem(HTTPStatus.FORBIDDEN, "forbidden", "Sự kiện không thuộc phạm vi của khoá truy cập.")
_CONFLICT = Problem(HTTPStatus.CONFLICT, "conflict", "Mã sự kiện này đã được gửi với nội dung khác.")
_FORBIDDEN_CODES = {"source_forbidden", "unit_forbidden"}


def router(state: State) -> APIRouter:
    """Return the service's routes over `state`."""
    routes = APIRouter()
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.post("/v1/events", **_EVENTS_DOC)
    async def record_events(
        request: Request,
        grant: granted,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - a query parameter
        results: Literal["all"] | None = None,
    ) -> Response:
        """Record one event or an array of up to 5,000; answered after the commit, safe to send again."""
        if _content_type(request) not in wire.JSON_TYPES:
            msg = f"send one of {', '.join(sorted(wire.JSON_TYPES))}"
            raise UnsupportedMediaType(msg)
        candidates, is_array = wire.events(await _body(request))
        answer = await (state.intake.dry_run if dry_run else state.intake.submit)(grant, candidates)
        return _array_answer(answer, everything=results == "all") if is_array else _single_answer(answer)

    @routes.get("/v1/dossiers/{code}", **_documented(_DOSSIER_EXAMPLE, 404))
    async def get_dossier(code: str, grant: granted) -> Response:
        """Return how a dossier stands, its events in recording order, and how its due date came about."""
        async with state.database.connect() as transaction:
            standing = await store.standing(transaction, grant, code)
            if standing is None:
                msg = f"no dossier {code} is known to this client"
                raise UnknownDossier(msg)
            events = await store.events_of(transaction, grant, code)
            catalogue = await store.load_catalogue(transaction, grant.province)
        due = lifecycle.explain_due((event.occurrence for event in events), catalogue)
        return _json(
            {
                "dossier": STANDING.dump_python(standing, mode="json"),
                "events": [_event_json(event) for event in events],
                "due": [{**asdict(step), "due_at": step.due_at and step.due_at.astimezone(VIETNAM)} for step in due],
            }
        )

    @routes.get("/v1/events", **_documented({"items": [], "next_cursor": None}))
    async def get_events(
        grant: granted, after: str = "0", cursor: str | None = None, limit: _Limit = _DEFAULT_PAGE
    ) -> Response:
        """Return the log after a position, in recording order; `cursor` and `after` mean the same."""
        async with state.database.connect() as transaction:
            events = await store.events_after(transaction, grant, _position(cursor or after), limit)
        next_cursor = str(events[-1].position) if len(events) == limit else None
        return _json({"items": [_event_json(event) for event in events], "next_cursor": next_cursor})

    @routes.get("/v1/feed", **_documented({"after": "0", "next_after": "0", "head": "0", "entries": []}))
    async def get_feed(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        after: str = "0",
        limit: _Limit = _DEFAULT_PAGE,
        wait: Annotated[float, Query(ge=0, le=30)] = 0,
        province: str | None = None,
    ) -> Response:
        """Return the standings that changed after a position, each once, at its latest change.

        With `wait` an empty page is held back up to that many seconds until something changes.
        """
        if province not in {None, grant.province}:
            msg = "the client belongs to another province"
            raise ProvinceOnly(msg)
        page, version = await _page(state, grant, _position(after), limit)
        if not page.entries and wait and state.long_polls.locked() is False:
            async with state.long_polls:
                page, version = await _page_within(state, grant, page.after, limit, wait, request.app.state.stopping)
        return Response(FEED_PAGE.dump_json(page), headers={"Motcua-Reference": str(version)}, media_type=_JSON)

    _reference_routes(routes, state, granted)
    return routes


def _reference_routes(routes: APIRouter, state: State, granted: Any) -> None:  # noqa: ANN401 - an annotated dependency
    @routes.get("/v1/units", **_documented({"items": [], "next_cursor": None}))
    async def get_units(grant: granted, on: date | None = None, versions: _Versions = "in_force") -> Response:
        """Return the province's units in force on a day (default today), or every version of them."""
        async with state.database.connect() as transaction:
            return await _listed(transaction, grant, await store.units(transaction, grant.province, _on(on, versions)))

    @routes.get("/v1/procedures", **_documented({"items": [], "next_cursor": None}))
    async def get_procedures(grant: granted, on: date | None = None, versions: _Versions = "in_force") -> Response:
        """Return the procedures in force on a day (default today), or every version of them."""
        async with state.database.connect() as transaction:
            procedures = await store.procedures(transaction, grant.province, _on(on, versions))
            return await _listed(transaction, grant, procedures)

    @routes.get("/v1/calendar", **_documented({"items": [], "next_cursor": None}))
    async def get_calendar(grant: granted, on: date | None = None) -> Response:
        """Return the weekdays off and the weekend days worked: all of them, or what is known of one day."""
        async with state.database.connect() as transaction:
            days = await store.calendar_days(transaction, grant.province, on, on)
            return await _listed(transaction, grant, days)

    @routes.put("/v1/units", **_put_doc(Unit))
    async def put_units(request: Request, grant: granted) -> Response:
        """Store versions of units under (code, valid_from): a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, Unit)

    @routes.put("/v1/procedures", **_put_doc(Procedure))
    async def put_procedures(request: Request, grant: granted) -> Response:
        """Store versions of procedures under (code, valid_from): a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, Procedure)

    @routes.put("/v1/calendar", **_put_doc(CalendarDay))
    async def put_calendar(request: Request, grant: granted) -> Response:
        """Store days that depart from Monday-to-Friday: a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, CalendarDay)


_Limit = Annotated[int, Query(ge=1, le=_LARGEST_PAGE)]
_Versions = Literal["in_force", "all"]
_JSON = "application/json"


def _json(content: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type=_JSON)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()


def _position(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - 18 digits fit a bigint
        msg = f"{text[:40]!r} is no position"
        raise UnknownPosition(msg)
    return int(text)


async def _body(request: Request) -> bytes:
    """Return the body, reading no more of it than may be accepted."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            msg = f"a body holds at most {MAX_BODY_BYTES} bytes"
            raise TooLarge(msg)
        parts.append(part)
    return b"".join(parts)


def _single_answer(answer: Answer) -> Response:
    result = answer.results[0]
    errors = [wire.error_json(error) for error in result.errors]
    match result.status:
        case "accepted" | "duplicate":
            status = HTTPStatus.CREATED if result.status == "accepted" else HTTPStatus.OK
            content = {"position": str(result.position), "id": result.id, "status": result.status}
            return _json(content, status, {"Motcua-Position": str(result.position)})
        case "conflict":
            recorded, given = result.fingerprints or ("", "")
            return problems.answer(
                _CONFLICT,
                "the id was sent before with other content",
                id=result.id,
                errors=errors,
                recorded_fingerprint=recorded,
                given_fingerprint=given,
            )
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
    return _json(content, headers={"Motcua-Position": str(answer.position)})


def _result_json(result: Result) -> dict[str, object]:
    return {
        "index": result.index,
        "id": result.id,
        "status": result.status,
        "errors": [wire.error_json(error) for error in result.errors],
        **({} if result.position is None else {"position": str(result.position)}),
    }


def _event_json(event: store.Recorded) -> dict[str, object]:
    occurrence = event.occurrence
    return {
        "position": str(occurrence.position),
        "recorded_at": occurrence.recorded_at.astimezone(VIETNAM),
        "specversion": "1.0",
        "id": occurrence.id,
        "source": occurrence.source,
        "type": event.type,
        "subject": event.subject,
        "time": occurrence.occurred_at.astimezone(VIETNAM),
        "data": occurrence.data.model_dump(mode="json", exclude_none=True),
    }


async def _page(state: State, grant: Grant, after: int, limit: int) -> tuple[FeedPage, int]:
    async with state.database.connect() as transaction:
        # The head is read first: what is committed between the two reads may then only lie beyond it.
        head = await store.head(transaction, grant.province)
        entries = await store.feed_after(transaction, grant, after, limit) if head.position > after else ()
    last = entries[-1].position if entries else after
    return FeedPage(
        after=after, next_after=last, head=max(head.position, last), entries=tuple(entries)
    ), head.reference_version


async def _page_within(  # noqa: PLR0913 - the request, and how long it may wait
    state: State, grant: Grant, after: int, limit: int, seconds: float, stopping: asyncio.Event
) -> tuple[FeedPage, int]:
    """Return the first page that is not empty, or an empty one after `seconds` or when the process stops."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        await state.recorded.wait(min(_POLL_SECONDS, max(deadline - loop.time(), 0)))
        page, version = await _page(state, grant, after, limit)
        if page.entries or loop.time() >= deadline or stopping.is_set():
            return page, version


def _on(on_day: date | None, versions: Literal["in_force", "all"]) -> date | None:
    return None if versions == "all" else on_day or vietnamese_day(clock.now())


async def _listed(transaction: Any, grant: Grant, items: Sequence[Frozen]) -> Response:  # noqa: ANN401 - AsyncConnection
    version = (await store.head(transaction, grant.province)).reference_version
    content = {"items": [item.model_dump(mode="json", by_alias=True) for item in items], "next_cursor": None}
    return _json(content, headers={"Motcua-Reference": str(version)})


async def _put(
    state: State, request: Request, grant: Grant, shape: type[Unit] | type[Procedure] | type[CalendarDay]
) -> Response:
    if grant.units is not None:
        msg = "reference data belongs to the whole province"
        raise ProvinceOnly(msg)
    content_type = _content_type(request)
    if content_type not in {_JSON, "text/csv"}:
        msg = "send application/json or text/csv"
        raise UnsupportedMediaType(msg)
    entries = wire.references(await _body(request), content_type, shape)  # type: ignore[type-var]
    async with state.database.begin() as transaction:
        # Events being recorded are judged wholly by the old or wholly by the new reference data.
        await store.hold(transaction, grant.province)
        if shape is CalendarDay:
            changed = await store.put_calendar_days(transaction, grant.province, entries)  # type: ignore[arg-type]
        else:
            changed = await store.put_versions(transaction, grant.province, entries)  # type: ignore[arg-type]
    return _json({"received": len(entries), "changed": changed})


# --- What the OpenAPI document says beyond the signatures -------------------------------------------------------------

_RECEIVED_EXAMPLE = {
    "specversion": "1.0",
    "id": "05977-2026-000123-received",
    "source": "urn:example:one-stop:05977",
    "type": "vn.motcua.dossier.received",
    "subject": "H37.05977-261005-0001",
    "time": "2026-10-05T08:30:00+07:00",
    "data": {
        "procedure": "2.000815",
        "receiving_unit": "05977",
        "channel": "online",
        "due_at": "2026-10-05T17:00:00+07:00",
        "fee_required": True,
    },
}
_PAID_EXAMPLE = {
    **_RECEIVED_EXAMPLE,
    "id": "05977-2026-000123-paid",
    "type": "vn.motcua.dossier.paid",
    "time": "2026-10-05T08:31:00+07:00",
    "data": {"amount": 20000, "method": "online", "platform": "national"},
}
_RESOLVED_EXAMPLE = {
    **_RECEIVED_EXAMPLE,
    "id": "05977-2026-000123-resolved",
    "type": "vn.motcua.dossier.resolved",
    "time": "2026-10-05T10:00:00+07:00",
    "data": {"outcome": "approved", "result": "electronic", "in_person": False},
}
_DOSSIER_EXAMPLE = {"dossier": {"code": "H37.05977-261005-0001", "status": "pending"}, "events": [], "due": []}

_PROBLEM_DOC = {"content": {"application/problem+json": {"schema": {"type": "object"}}}}


def _problem(status: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": HTTPStatus(status).phrase, **_PROBLEM_DOC}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    documented: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        documented |= _problem(status)
    return documented


def _documented(example: object, *statuses: int) -> dict[str, Any]:
    answer = {200: {"content": {_JSON: {"schema": {"type": "object"}, "example": example}}}}
    return {"responses": {**answer, **_problems(403, 422, 503, *statuses)}}


def _put_doc(shape: type[Frozen]) -> dict[str, Any]:
    schema = {"type": "array", "items": {"$ref": f"#/components/schemas/{shape.__name__}"}}
    return {
        **_documented({"received": 1, "changed": 1}, 400, 413, 415),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {_JSON: {"schema": schema}, "text/csv": {"schema": {"type": "string"}}},
            }
        },
    }


_EVENTS_DOC: dict[str, Any] = {
    "responses": {
        200: {
            "description": "An array was read, or the one event was sent before",
            "content": {_JSON: {"schema": {"type": "object"}}},
        },
        201: {
            "description": "The one event was accepted",
            "content": {_JSON: {"schema": {"type": "object"}, "example": {"position": "1", "status": "accepted"}}},
        },
        **_problems(400, 403, 409, 413, 415, 422, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/AnyEvent"},
                            {
                                "type": "array",
                                "maxItems": 5000,
                                "items": {"$ref": "#/components/schemas/AnyEvent"},
                            },
                        ]
                    },
                    "examples": {
                        "one": {"summary": "A dossier is received", "value": _RECEIVED_EXAMPLE},
                        "life": {
                            "summary": "Received, paid and resolved in one array",
                            "value": [_RECEIVED_EXAMPLE, _PAID_EXAMPLE, _RESOLVED_EXAMPLE],
                        },
                    },
                }
            },
        }
    },
}


def schemas() -> dict[str, Any]:
    """Return the schemas that the routes read from raw bodies, for the OpenAPI document's components."""
    template = "#/components/schemas/{model}"
    events = EVENTS.json_schema(ref_template=template)
    documented = {"AnyEvent": events["items"], **events["$defs"]}
    for shape in (Unit, Procedure, CalendarDay):
        schema = shape.model_json_schema(ref_template=template)
        documented |= {**schema.pop("$defs", {}), shape.__name__: schema}
    return documented
