"""A request reaches the service that answers it, and the answer comes back, byte for byte."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson
from fastapi import Response

from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant

# A long poll of 30 seconds must come back before the gateway gives up on it.
_TIMEOUT = httpx.Timeout(45, connect=2)
_CONNECTIONS = httpx.Limits(max_connections=600, max_keepalive_connections=100, keepalive_expiry=60)

_PASSED_ON = {b"content-type", b"content-encoding", b"accept", b"accept-encoding", b"if-none-match"}
_PASSED_BACK = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "cache-control",
    "etag",
    "vary",
    "retry-after",
    "motcua-position",
    "motcua-reference",
)


Headers = Sequence[tuple[bytes, bytes]]
"""Header fields as they stand on the wire, names in lower case."""


class Unavailable(Exception):
    """The service that would answer does not; the request is safe to send again."""


class Upstream:
    """One service behind the gateway."""

    def __init__(self, name: str, url: str, internal_key: str) -> None:
        """Reach the service `name` at `url`."""
        self.name = name
        self._url = httpx.URL(url)
        self._key = internal_key
        # The bare transport: redirects, cookies and the rest of a browser have no part in passing bytes on.
        self._transport = httpx.AsyncHTTPTransport(limits=_CONNECTIONS, retries=1)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def ask(self, method: str, target: bytes, headers: Headers, body: bytes, grant: Grant) -> Response:
        """Return the service's answer to the request made on behalf of `grant`.

        :raises Unavailable: there was none, after a second try; every route is safe to repeat.
        """
        sent = [(name, value) for name, value in headers if name in _PASSED_ON]
        sent += [
            (b"host", self._url.netloc),
            (INTERNAL_KEY_HEADER.encode(), self._key.encode()),
            (GRANT_HEADER.encode(), grant.header().encode()),
        ]
        if body or method != "GET":
            sent.append((b"content-length", str(len(body)).encode()))
        try:
            return await self._once(method, target, sent, body)
        except httpx.RemoteProtocolError:
            # The service closed a connection that had been idle, or is being restarted.
            pass
        except httpx.TransportError as error:
            raise self._unavailable() from error
        try:
            return await self._once(method, target, sent, body)
        except httpx.TransportError as error:
            raise self._unavailable() from error

    async def document(self) -> Mapping[str, Any]:
        """Return the service's own OpenAPI document.

        :raises Unavailable: the service does not answer.
        """
        try:
            answered = await self._once("GET", b"/openapi.json", [(b"host", self._url.netloc)], b"")
        except httpx.TransportError as error:
            raise self._unavailable() from error
        document: Mapping[str, Any] = orjson.loads(answered.body)
        return document

    async def _once(self, method: str, target: bytes, headers: Headers, body: bytes) -> Response:
        # The target goes on as it came: a URL would resolve `..`, and so reach a route that nobody asked the scope of.
        extensions = {"timeout": _TIMEOUT.as_dict(), "target": target}
        request = httpx.Request(method, self._url, headers=headers, content=body, extensions=extensions)
        response = await self._transport.handle_async_request(request)
        try:
            content = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
        finally:
            await response.aclose()
        passed = {name: response.headers[name] for name in _PASSED_BACK if name in response.headers}
        return Response(content, response.status_code, passed)

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"the {self.name} service does not answer at the moment; send the request again")
