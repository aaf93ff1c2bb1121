"""An operator sees each process from outside: requests counted and timed, alive and ready, a log line an event."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import db

# A series for when each counter was made would double what Prometheus stores and tell nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Bucket bounds are chosen around the promises: 10 ms for a read, 40 ms for a durable write, 30 s for a long poll.
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3, 0.6, 1.2, 2.5, 5, 10, 35)
_REQUESTS = Counter("http_requests", "Requests answered.", ("service", "method", "route", "status"))
_DURATION = Histogram("http_request_duration_seconds", "Time to answer.", ("service", "route"), buckets=_SECONDS)


# FastAPI would look for OpenTelemetry at every request; what happens here is told by Prometheus' metrics.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


class Observed:
    """ASGI middleware that counts and times every request under its route's template, never under its raw path."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        """Wrap `app`; `service` labels its metrics."""
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and record what came of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        finally:
            route = getattr(scope.get("route"), "path", None) or scope.get("motcua_route") or "unmatched"
            _REQUESTS.labels(self.service, scope["method"], route, str(status)).inc()
            _DURATION.labels(self.service, route).observe(time.perf_counter() - began)


def install(app: FastAPI, *, service: str, database: AsyncEngine) -> None:
    """Add `/metrics`, `/healthz` and `/readyz` to `app` and count its requests.

    The process is ready when its database answers. The event `app.state.stopping` is set when it begins to stop.
    """
    app.add_middleware(Observed, service=service)
    app.state.stopping = asyncio.Event()

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_request: Request) -> Response:
        try:
            await db.answers(database)
        except Exception:  # noqa: BLE001 - whatever is wrong, the answer is the same: not ready
            return Response("the database does not answer\n", 503, media_type="text/plain")
        return Response("ready\n", media_type="text/plain")

    for path, endpoint in (("/metrics", metrics), ("/healthz", healthz), ("/readyz", readyz)):
        app.add_route(path, named(path, endpoint), include_in_schema=False)


Endpoint = Callable[[Request], Awaitable[Response]]


def named(path: str, endpoint: Endpoint) -> Endpoint:
    """Count the endpoint's requests under `path`, which a plain route does not tell."""

    async def counted(request: Request) -> Response:
        request.scope["motcua_route"] = path
        return await endpoint(request)

    return counted


class _OneLine(logging.Formatter):
    """Formats a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(level: str) -> None:
    """Send every log record of the process to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # One line a request is Prometheus' work; these two would write it again.
    for noisy in ("httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
