"""A request reaches the service that answers it, and the answer comes back, byte for byte.

The hop is on every request's path, and aiohttp's parser in C makes it several times cheaper than httpx, which serves
everywhere else; `bench.events` shows what it costs.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson
from fastapi import Response
from yarl import URL

from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant

# A long poll of 30 seconds must come back before the gateway gives up on it.
_TIMEOUT = aiohttp.ClientTimeout(total=45, sock_connect=2)
_CONNECTIONS = 600
# Shorter than the services keep an idle connection, so that it is rarely they who close one.
_KEEP_ALIVE_SECONDS = 60

_PASSED_ON = {
    b"content-type",
    b"content-encoding",
    b"accept",
    b"accept-encoding",
    b"if-none-match",
    b"idempotency-key",
}
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
    """One service behind the gateway; it is open while the gateway runs."""

    def __init__(self, name: str, url: str, internal_key: str) -> None:
        """Reach the service `name` at `url`."""
        self.name = name
        self._url = url.rstrip("/")
        self._key = internal_key
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Be ready to ask; connections are made when they are needed and kept."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=_TIMEOUT,
            # Cookies, user agents and decompression are a browser's; bytes are passed on as they are.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, method: str, target: bytes, headers: Headers, body: bytes, grant: Grant) -> Response:
        """Return the service's answer to the request made on behalf of `grant`.

        :raises Unavailable: there was none, after a second try; every route is safe to repeat.
        """
        sent = [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers if name in _PASSED_ON]
        sent += [(INTERNAL_KEY_HEADER, self._key), (GRANT_HEADER, grant.header())]
        try:
            return await self._once(method, target, sent, body)
        except aiohttp.ServerDisconnectedError:
            # The service closed a connection that had been idle, or is being restarted.
            pass
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable() from error
        try:
            return await self._once(method, target, sent, body)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable() from error

    async def document(self) -> Mapping[str, Any]:
        """Return the service's own OpenAPI document.

        :raises Unavailable: the service does not answer.
        """
        try:
            answered = await self._once("GET", b"/openapi.json", [], b"")
        except (aiohttp.ClientError, OSError) as error:
            raise self._unavailable() from error
        document: Mapping[str, Any] = orjson.loads(answered.body)
        return document

    async def _once(self, method: str, target: bytes, headers: Sequence[tuple[str, str]], body: bytes) -> Response:
        if self._session is None:
            raise self._unavailable()
        # Said to be encoded, the target goes on as it came: tidied up, `..` would reach a route of another scope.
        url = URL(self._url + target.decode("latin-1"), encoded=True)
        # Written in parts, so that a large body lets other requests in between.
        data = io.BytesIO(body) if body else None
        async with self._session.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
            content = await response.read()
            passed = {name: response.headers[name] for name in _PASSED_BACK if name in response.headers}
            return Response(content, response.status, passed)

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"the {self.name} service does not answer at the moment; send the request again")
