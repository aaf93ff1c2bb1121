"""An API key names its client; keys are random, shown once, and stored as hashes."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from services.gateway import store
from services.gateway.store import Client
from services.kit import clock

# A revoked key works at most this long after.
_REMEMBERED_SECONDS = 5.0
# Junk keys push each other out; memory stays bounded.
_REMEMBERED_KEYS = 10_000

_REFUSED = Counter("gateway_refused", "Requests refused for lack of a key or a scope.", ("why",))


class NoKey(Exception):
    """The request carries no bearer key."""


class UnknownKey(Exception):
    """The key is not known, or it was revoked."""


class MissingScope(Exception):
    """The client may not do this."""


def new_key() -> str:
    """Return a fresh key of 256 random bits."""
    return f"motcua_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> bytes:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode()).digest()


class Keyring:
    """Knows which client a key belongs to, and asks the database again every few seconds."""

    def __init__(self, database: AsyncEngine) -> None:
        """Look keys up in `database`."""
        self._database = database
        self._known: OrderedDict[bytes, tuple[float, Client | None]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Client | None]] = {}

    async def client(self, authorization: str | None, scopes: Sequence[str]) -> Client:
        """Return the client of a bearer key that has one of `scopes`.

        :raises NoKey: there is no bearer key.
        :raises UnknownKey: it is nobody's.
        :raises MissingScope: its client has none of them.
        """
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            _REFUSED.labels("no_key").inc()
            msg = "send the API key as `Authorization: Bearer …`"
            raise NoKey(msg)
        client = await self._look_up(hash_of(key.strip()))
        if client is None:
            _REFUSED.labels("unknown_key").inc()
            msg = "the API key is not known"
            raise UnknownKey(msg)
        if client.scopes.isdisjoint(scopes):
            _REFUSED.labels("missing_scope").inc()
            msg = f"the client {client.grant.client} lacks the scope {' or '.join(scopes)}"
            raise MissingScope(msg)
        return client

    async def _look_up(self, key_hash: bytes) -> Client | None:
        known = self._known.get(key_hash)
        if known is not None and clock.monotonic() < known[0]:
            return known[1]
        # Whoever comes with the same key meanwhile gets the same answer; all asking at once would hold each other up.
        asking = self._asking.get(key_hash)
        if asking is None:
            asking = self._asking[key_hash] = asyncio.create_task(self._ask(key_hash))
            asking.add_done_callback(lambda _: self._asking.pop(key_hash))
        return await asyncio.shield(asking)

    async def _ask(self, key_hash: bytes) -> Client | None:
        now = clock.monotonic()
        async with self._database.connect() as transaction:
            client = await store.client_of(transaction, key_hash)
        self._known[key_hash] = now + _REMEMBERED_SECONDS, client
        self._known.move_to_end(key_hash)
        if len(self._known) > _REMEMBERED_KEYS:
            self._known.popitem(last=False)
        return client
