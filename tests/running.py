"""A whole system for one test: the three services on free ports over real HTTP, on a database of their own."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from services.cli import clients, reference
from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant
from services.dossier import app as dossier
from services.dossier.settings import DossierSettings
from services.gateway import app as gateway
from services.gateway.domain.access import SCOPES
from services.gateway.settings import GatewaySettings
from services.kit.serve import BoundedProtocol, Server
from services.metrics import app as metrics
from services.metrics.settings import MetricsSettings

INTERNAL_KEY = "an-internal-key-for-tests"
PROVINCE = "20"


@dataclass(frozen=True, slots=True)
class System:
    """Where the three services and their database are."""

    gateway_url: str
    dossier_url: str
    metrics_url: str
    database_url: str

    def key(
        self,
        name: str = "province",
        *,
        units: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        scopes: Sequence[str] = SCOPES,
        province: str = PROVINCE,
    ) -> str:
        """Return a fresh API key of the client `name`, limited as said."""
        limits = {"units": units, "sources": sources}
        try:
            return asyncio.run(clients.add(self.database_url, name, province=province, scopes=scopes, **limits))
        except clients.NotDone:
            # Another key of a client may do what the client may; a test that wants other limits names another client.
            assert not any(limits.values())
            return asyncio.run(clients.add_key(self.database_url, name, province))

    def client(self, **limits: Any) -> httpx.Client:  # noqa: ANN401 - those of `key`
        """Return an HTTP client of the gateway with a fresh key; the limits are those of `key`."""
        headers = {"Authorization": f"Bearer {self.key(**limits)}"}
        return httpx.Client(base_url=self.gateway_url, headers=headers, timeout=30)

    def behind(self, service_url: str, **grant: Any) -> httpx.Client:  # noqa: ANN401 - fields of Grant
        """Return an HTTP client that asks one of the services itself, the way the gateway would."""
        granted = Grant(**{"client": "tests", "province": PROVINCE, **grant})
        headers = {INTERNAL_KEY_HEADER: INTERNAL_KEY, GRANT_HEADER: granted.header()}
        return httpx.Client(base_url=service_url, headers=headers, timeout=30)

    def load_reference(self, province: str = PROVINCE) -> None:
        """Load units, procedures and calendar through the public API."""
        files = {"units": f"{province}/units.csv", "procedures": "procedures.csv", "calendar": "calendar.csv"}
        with self.client(name="reference", province=province) as client:
            for path, name in files.items():
                client.put(
                    f"/v1/{path}", content=reference.csv_text(name), headers={"Content-Type": "text/csv"}
                ).raise_for_status()

    def await_units(self) -> None:
        """Return once the metrics service knows the province's units, which it learns with its first page."""
        with self.client(name="reference") as client:
            while not client.get("/v1/rates", params={"period": "2026-10"}).raise_for_status().json()["rows"]:
                time.sleep(0.05)


def port_of_its_own() -> tuple[socket.socket, int]:
    """Return a socket that listens on 127.0.0.1 already, so that nobody else takes its port, and the port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    return listening, listening.getsockname()[1]


@contextlib.contextmanager
def served(*apps: tuple[FastAPI, socket.socket]) -> Iterator[None]:
    """Serve applications from one background thread until the block ends."""
    servers = [
        Server(
            uvicorn.Config(
                app,
                log_config=None,
                http=BoundedProtocol,
                timeout_graceful_shutdown=1,
                # As when it runs: what a test does between two requests may take longer than uvicorn's five seconds.
                timeout_keep_alive=75,
            )
        )
        for app, _ in apps
    ]

    async def serve() -> None:
        await asyncio.gather(*(server.serve([listening]) for server, (_, listening) in zip(servers, apps, strict=True)))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        for server in servers:
            while not server.started:
                if not thread.is_alive():
                    msg = "a server did not start"
                    raise RuntimeError(msg)
                thread.join(0.01)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(20)


@contextlib.asynccontextmanager
async def asked(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Ask an application in this event loop, without a network, while its lifespan lasts."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        yield client


@contextlib.contextmanager
def system(database_url: str, **more: Any) -> Iterator[System]:  # noqa: ANN401 - settings of any service
    """Run the three services on a migrated database; `more` are further settings, taken by those that have them."""
    sockets, ports = zip(*(port_of_its_own() for _ in range(3)), strict=True)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    running = System(urls[0], urls[1], urls[2], database_url)
    common: dict[str, Any] = {"database_url": database_url, "internal_key": INTERNAL_KEY, **more}
    upstream: dict[str, Any] = {"dossier_url": running.dossier_url, "metrics_url": running.metrics_url}
    gateway_app = gateway.application(GatewaySettings(port=ports[0], **common, **upstream))
    dossier_app = dossier.application(DossierSettings(port=ports[1], **common))
    metrics_app = metrics.application(MetricsSettings(port=ports[2], **common, dossier_url=running.dossier_url))
    with served(*zip((gateway_app, dossier_app, metrics_app), sockets, strict=True)):
        yield running
