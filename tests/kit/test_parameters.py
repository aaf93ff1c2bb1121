"""A query parameter that a route does not know is refused, also where it is what the route depends on that knows it."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query

from services.kit import parameters, problems


def _shared(unit: str = "", kind: Annotated[str, Query(alias="type")] = "") -> str:
    return unit + kind


def _deeper(shared: Annotated[str, Depends(_shared)], channel: str = "") -> str:
    return shared + channel


Get = Callable[[str], httpx.Response]


@pytest.fixture
def get() -> Get:
    """Return what asks one of two routes: one knows no parameter, one those of what it depends on besides its own."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])

    @routes.get("/none")
    async def get_none() -> str:
        return "none"

    @routes.get("/some")
    async def get_some(told: Annotated[str, Depends(_deeper)], own: str = "") -> str:
        return told + own

    app = FastAPI()
    app.include_router(routes)
    problems.install(app, {})

    async def answer(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kit") as client:
            return await client.get(path)

    return lambda path: asyncio.run(answer(path))


@pytest.mark.parametrize("query", ["own=1", "unit=1", "type=1", "channel=1", "own=1&unit=2&type=3&channel=4", ""])
def test_what_a_route_or_its_dependencies_declare_is_known(get: Get, query: str) -> None:
    assert get(f"/some?{query}").status_code == 200


@pytest.mark.parametrize("query", ["kind=1", "Unit=1", "units=1", "own=1&colour=red", "told=1", "shared=1"])
def test_what_nobody_declares_is_refused_by_name(get: Get, query: str) -> None:
    answer = get(f"/some?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert "the route knows channel, own, type, unit" in answer.json()["detail"]


def test_a_route_without_parameters_knows_none(get: Get) -> None:
    answer = get("/none?anything=1")

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert "knows none" in answer.json()["detail"]
    assert get("/none").status_code == 200


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("123456", 123_456), ("9" * 18, int("9" * 18))])
def test_a_position_that_was_given_out_is_read(text: str, expected: int) -> None:
    assert parameters.position(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "1.0", "x", " 1", "1 ", "+1", "1_000", "٣", "9" * 19, "0x10"])
def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(parameters.UnknownPosition):
        parameters.position(text)
