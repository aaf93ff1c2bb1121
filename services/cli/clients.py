"""API clients are added, listed and shut out from the command line; a key is shown once and never stored."""

from collections.abc import Collection, Sequence

from services.contract import Grant
from services.gateway import auth, store
from services.gateway.store import Client
from services.kit import db


async def add(  # noqa: PLR0913 - what a client is
    database_url: str,
    name: str,
    *,
    province: str,
    units: Collection[str] | None,
    sources: Collection[str] | None,
    scopes: Collection[str],
) -> str:
    """Store the client in place of one of that name, and return one more key for it."""
    grant = Grant(
        client=name,
        province=province,
        units=None if units is None else frozenset(units),
        sources=None if sources is None else frozenset(sources),
    )
    key = auth.new_key()
    database = db.engine(database_url, application="motcua client", connections=1)
    async with database.begin() as transaction:
        await store.put_client(transaction, Client(grant, frozenset(scopes)))
        await store.add_key(transaction, grant, auth.hash_of(key))
    await database.dispose()
    return key


async def listed(database_url: str) -> Sequence[Client]:
    """Return all clients."""
    database = db.engine(database_url, application="motcua client", connections=1)
    async with database.connect() as transaction:
        found = await store.clients(transaction)
    await database.dispose()
    return found


async def revoke(database_url: str, name: str, province: str) -> int:
    """Revoke all keys of a client; return how many there were."""
    database = db.engine(database_url, application="motcua client", connections=1)
    async with database.begin() as transaction:
        revoked = await store.revoke_keys(transaction, province, name)
    await database.dispose()
    return revoked
