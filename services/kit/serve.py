"""Every service runs the same way: uvicorn on one port, one event loop, a garbage collector out of the way."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn
from fastapi import FastAPI
from pydantic import Field
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.kit import garbage, observe, settings

# A grant of every unit of the largest province and a cookie jar besides would fit twice.
_LARGEST_HEAD_BYTES = 128 * 1024


class ServerSettings(settings.Settings):
    """Where a process listens and how much it says."""

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    stop_with_stdin: bool = False
    """Stop when standard input is closed, which happens even when the parent process is killed."""
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")


def application(
    title: str,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    *,
    openapi_url: str | None = "/openapi.json",
) -> FastAPI:
    """Return an application without routes, set up as all services are."""
    return FastAPI(
        title=title,
        version="1",
        lifespan=lifespan,
        openapi_url=openapi_url,
        docs_url=None,
        redoc_url=None,
        # A redirect would name the address as seen from here, which is not the client's.
        redirect_slashes=False,
        telemetry=observe.NO_TELEMETRY,
    )


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is larger than any real one: the parser would hold all of it."""

    _head_bytes = 0
    _in_head = True
    _head_or_body_ended = False

    def data_received(self, data: bytes) -> None:
        """Take what arrived; where nothing ended with it, all of it belongs to the head of a request."""
        self._head_or_body_ended = False
        super().data_received(data)
        self._head_bytes = 0 if self._head_or_body_ended or not self._in_head else self._head_bytes + len(data)
        if self._head_bytes > _LARGEST_HEAD_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Note that a body may follow."""
        self._in_head, self._head_or_body_ended = False, True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that another head may follow."""
        self._in_head, self._head_or_body_ended = True, True
        super().on_message_complete()


class Server(uvicorn.Server):
    """Sets the application's `state.stopping` before it waits for requests under way: long polls end at once."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, tell the application, wait for what is under way."""
        stopping: asyncio.Event = self.config.app.state.stopping  # type: ignore[union-attr]
        stopping.set()
        await super().shutdown(sockets)


def run(app: Callable[[], FastAPI], server: ServerSettings) -> None:
    """Serve the application until SIGINT or SIGTERM; requests under way get ten seconds to finish."""
    observe.log_to_stderr(server.log_level)
    application = app()
    garbage.collect_rarely()
    if server.stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, daemon=True).start()
    configuration = uvicorn.Config(
        application,
        host=server.host,
        port=server.port,
        loop="uvloop",
        http=BoundedProtocol,
        access_log=False,
        log_config=None,
        server_header=False,
        # Nobody asks from where a request came: a client is known by its key.
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
    )
    Server(configuration).run()


def _stop_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
