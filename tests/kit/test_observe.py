"""An operator sees each process from outside: what it was asked, whether it lives, and what it waits for."""

import asyncio
import json
import logging

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from services.kit import db, observe

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
"""A database that nobody serves."""


def _get(service: str, database_url: str, *paths: str) -> list[httpx.Response]:
    """Ask a process of two routes, one of which fails."""
    app = FastAPI()

    @app.get("/dossiers/{code}")
    async def dossier(code: str) -> str:
        return code

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async def get() -> list[httpx.Response]:
        database = db.engine(database_url, application="tests", connections=1)
        observe.install(app, service=service, database=database)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [await client.get(path) for path in paths]
        await database.dispose()
        return answers

    return asyncio.run(get())


def _requests(service: str) -> dict[tuple[str, str], float]:
    """Return how many requests the service answered, by route and status."""
    return {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "http_requests_total" and sample.labels["service"] == service
    }


def test_requests_are_counted_under_the_route_and_never_under_what_a_client_wrote() -> None:
    _get("counted", NOWHERE, "/dossiers/1", "/dossiers/2", "/dossiers/1/2/3", "/nowhere", "/healthz", "/broken")

    assert _requests("counted") == {
        ("/dossiers/{code}", "200"): 2,
        ("unmatched", "404"): 2,
        ("/healthz", "200"): 1,
        ("/broken", "500"): 1,
    }


def test_a_process_lives_but_is_not_ready_while_its_database_does_not_answer(postgres_url: str) -> None:
    live, waiting = _get("waiting", NOWHERE, "/healthz", "/readyz")
    (ready,) = _get("ready", postgres_url, "/readyz")

    assert (live.status_code, waiting.status_code, waiting.text) == (200, 503, "the database does not answer\n")
    assert (ready.status_code, ready.text) == (200, "ready\n")


def test_the_metrics_are_what_prometheus_reads() -> None:
    metrics = _get("scraped", NOWHERE, "/healthz", "/metrics")[1]

    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert 'http_requests_total{method="GET",route="/healthz",service="scraped",status="200"} 1.0' in metrics.text


def test_a_log_record_is_one_line_of_json_even_with_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.handlers = []

    try:
        observe.log_to_stderr("info")
        logging.getLogger("services.tests").error("hồ sơ %s\nis odd", "H37-1", exc_info=ValueError("a\nb"))
    finally:
        root.handlers = handlers
        root.setLevel(level)

    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["level"], record["logger"], record["message"]) == ("error", "services.tests", "hồ sơ H37-1\nis odd")
    assert "ValueError: a\nb" in record["error"]
