"""API clients are added, listed and shut out from the command line; a key is shown once and never stored."""

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Grant
from services.gateway import auth, store
from services.gateway.store import Client
from services.kit import db


class NotDone(Exception):
    """The clients are not as the command needs them; nothing was changed."""


@contextlib.asynccontextmanager
async def _transaction(database_url: str) -> AsyncIterator[AsyncConnection]:
    database = db.engine(database_url, application="motcua client", connections=1)
    try:
        async with database.begin() as transaction:
            yield transaction
    finally:
        await database.dispose()


async def add(  # noqa: PLR0913 - what a client is
    database_url: str,
    name: str,
    *,
    province: str,
    units: Collection[str] | None,
    sources: Collection[str] | None,
    scopes: Collection[str],
) -> str:
    """Store a new client and return its key.

    :raises NotDone: there is a client of that name.
    """
    grant = Grant(
        client=name,
        province=province,
        units=None if units is None else frozenset(units),
        sources=None if sources is None else frozenset(sources),
    )
    async with _transaction(database_url) as transaction:
        if not await store.add_client(transaction, Client(grant, frozenset(scopes))):
            raise NotDone(
                f"Province {province} has a client {name} already; `motcua client key {name}` adds a key for it."
            )
        return await _new_key(transaction, name, province)


async def add_key(database_url: str, name: str, province: str) -> str:
    """Return one more key of a client, which may do what the client may.

    :raises NotDone: there is no client of that name.
    """
    async with _transaction(database_url) as transaction:
        return await _new_key(transaction, name, province)


async def _new_key(transaction: AsyncConnection, name: str, province: str) -> str:
    key = auth.new_key()
    if not await store.add_key(transaction, province, name, auth.hash_of(key)):
        raise NotDone(f"There is no client {name} in province {province}.")
    return key


async def listed(database_url: str) -> Sequence[tuple[Client, int]]:
    """Return all clients, each with the number of its working keys."""
    async with _transaction(database_url) as transaction:
        return await store.clients(transaction)


async def works(database_url: str, key: str) -> bool:
    """Tell whether the key is a client's."""
    async with _transaction(database_url) as transaction:
        return await store.client_of(transaction, auth.hash_of(key)) is not None


async def revoke(database_url: str, name: str, province: str, key: str | None = None) -> int:
    """Revoke one key of a client, or all of them; return how many there were.

    :raises NotDone: there was none.
    """
    key_hash = None if key is None else auth.hash_of(key)
    async with _transaction(database_url) as transaction:
        revoked = await store.revoke_keys(transaction, province, name, key_hash)
    if not revoked:
        raise NotDone(f"No client {name} in province {province} has {'a' if key is None else 'that'} key.")
    return revoked
