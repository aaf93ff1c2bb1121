"""Every failure answers one shape: RFC 9457 problem details with a stable code, in English and Vietnamese."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from services.kit import db
from services.kit.parameters import UnknownParameter


@dataclass(frozen=True, slots=True)
class Problem:
    """What a kind of failure answers; `retry_after` is in seconds."""

    status: HTTPStatus
    code: str
    detail_vi: str
    retry_after: int | None = None


INVALID_REQUEST = Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "Tham số của yêu cầu không hợp lệ.")
UNKNOWN_PARAMETER = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_parameter", "Yêu cầu có tham số không được hỗ trợ."
)
INTERNAL = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Hệ thống gặp lỗi; lỗi đã được ghi lại.")
UNAVAILABLE = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", "Cơ sở dữ liệu tạm thời không trả lời; hãy gửi lại.", 1
)
_BY_STATUS: Mapping[int, Problem] = {
    404: Problem(HTTPStatus.NOT_FOUND, "not_found", "Không tìm thấy."),
    405: Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Phương thức không được hỗ trợ ở địa chỉ này."),
}


def documented(*statuses: int, **why: str) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of the problems with these statuses; `why` tells more, as `s429="…"`."""
    content = {"application/problem+json": {"schema": {"type": "object"}}}
    return {
        status: {"description": why.get(f"s{status}", HTTPStatus(status).phrase), "content": content}
        for status in statuses
    }


def answer(problem: Problem, detail: str, **more: Any) -> Response:  # noqa: ANN401 - members of a JSON object
    """Return the problem as a response; `more` are further members of its body."""
    body = {
        "type": f"urn:motcua:problem:{problem.code}",
        "title": problem.status.phrase,
        "status": int(problem.status),
        "code": problem.code,
        "detail": detail,
        "detail_vi": problem.detail_vi,
        **more,
    }
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), problem.status, headers, media_type="application/problem+json")


def _handler(problem: Problem) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_request: Request, error: Exception) -> Response:
        return answer(problem, str(error))

    return handle


def install(app: FastAPI, table: Mapping[type[Exception], Problem]) -> None:
    """Give each domain error of `table` its answer, and every other failure a problem of its own."""
    for kind, problem in table.items():
        app.add_exception_handler(kind, _handler(problem))
    app.add_exception_handler(UnknownParameter, _handler(UNKNOWN_PARAMETER))
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http)
    for kind in db.FAILURES:
        app.add_exception_handler(kind, _database)
    app.add_exception_handler(Exception, _internal)


async def _invalid_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    errors = [
        {"code": found["type"], "parameter": ".".join(str(part) for part in found["loc"][1:]), "detail": found["msg"]}
        for found in error.errors()
    ]
    return answer(INVALID_REQUEST, "; ".join(f"{e['parameter']}: {e['detail']}" for e in errors), errors=errors)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    status = HTTPStatus(error.status_code)
    problem = _BY_STATUS.get(status) or Problem(status, status.phrase.lower().replace(" ", "_"), "Yêu cầu bị từ chối.")
    answered = answer(problem, str(error.detail))
    # A 405 says which methods there are.
    answered.headers.update(error.headers or {})
    return answered


async def _database(_request: Request, error: Exception) -> Response:
    if not db.is_outage(error):
        # Left to the last handler, which logs it: sending the request again would not help.
        raise error
    return answer(UNAVAILABLE, "the database does not answer at the moment; send the request again")


async def _internal(_request: Request, _error: Exception) -> Response:
    return answer(INTERNAL, "an unexpected failure was logged")
