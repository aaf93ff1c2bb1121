"""Whatever fails inside, outside there is one shape of answer, and it gives nothing of the inside away."""

import asyncio
from http import HTTPStatus

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError, ProgrammingError
from starlette.exceptions import HTTPException

from services.kit import problems
from services.kit.problems import Problem


class Unwell(Exception):
    """A failure that a table knows."""


_TABLE = {
    Unwell: Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unwell", "Không khoẻ.", 7),
    LookupError: Problem(HTTPStatus.UNAUTHORIZED, "unknown", "Không rõ."),
}


def _answer(failure: Exception) -> httpx.Response:
    """Return what a request answers that ends in `failure`."""
    app = FastAPI()
    problems.install(app, _TABLE)

    @app.get("/fail")
    async def fail() -> None:
        raise failure

    return _get(app, "/fail")


def _get(app: FastAPI, path: str) -> httpx.Response:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(get())


def test_a_failure_that_is_known_answers_what_its_table_says() -> None:
    answer = _answer(Unwell("the reason"))

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "7"
    assert answer.json() == {
        "type": "urn:motcua:problem:unwell",
        "title": "Service Unavailable",
        "status": 503,
        "code": "unwell",
        "detail": "the reason",
        "detail_vi": "Không khoẻ.",
    }


def test_a_missing_identity_says_how_to_bring_one() -> None:
    assert _answer(LookupError("who?")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (RuntimeError("password=secret"), 500, "internal_error"),
        (ProgrammingError("SELECT secret", {}, Exception("secret")), 500, "internal_error"),
        (OperationalError("SELECT secret", {}, Exception("secret")), 503, "database_unavailable"),
        (ConnectionRefusedError("secret"), 503, "database_unavailable"),
        (HTTPException(405), 405, "method_not_allowed"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(409), 409, "conflict"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_any_other_failure_answers_the_same_shape_and_tells_no_secret(
    failure: Exception, status: int, code: str
) -> None:
    answer = _answer(failure)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "code", "detail", "detail_vi"}
    assert answer.json()["code"] == code
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_parameter_that_is_not_valid_is_named() -> None:
    app = FastAPI()
    problems.install(app, {})

    @app.get("/fail")
    async def fail(number: int) -> int:
        return number

    answer = _get(app, "/fail?number=x")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [error["parameter"] for error in answer.json()["errors"]] == ["number"]
