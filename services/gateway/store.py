"""All SQL of the gateway; a function takes the transaction first and never commits."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Grant
from services.gateway import tables


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the grant that services see, and the scopes that open routes."""

    grant: Grant
    scopes: frozenset[str]


async def client_of(transaction: AsyncConnection, key_hash: bytes) -> Client | None:
    """Return the client whose unrevoked key has this hash."""
    client, key = tables.client, tables.api_key
    row = (
        await transaction.execute(
            select(client)
            .join(key, (key.c.province == client.c.province) & (key.c.client == client.c.name))
            .where(key.c.hash == key_hash, key.c.revoked.is_(False))
        )
    ).one_or_none()
    if row is None:
        return None
    return _client(row.name, row.province, row.units, row.sources, row.scopes)


def _client(name: str, province: str, units: list[str] | None, sources: list[str] | None, scopes: list[str]) -> Client:
    grant = Grant(
        client=name,
        province=province,
        units=None if units is None else frozenset(units),
        sources=None if sources is None else frozenset(sources),
    )
    return Client(grant, frozenset(scopes))


async def clients(transaction: AsyncConnection) -> Sequence[tuple[Client, int]]:
    """Return all clients by province and name, each with the number of its keys that are not revoked."""
    client, key = tables.client, tables.api_key
    working = func.count(key.c.hash).filter(key.c.revoked.is_(False))
    rows = await transaction.execute(
        select(*client.columns, working.label("working_keys"))
        .outerjoin(key, (key.c.province == client.c.province) & (key.c.client == client.c.name))
        .group_by(*client.columns)
        .order_by(client.c.province, client.c.name)
    )
    return [(_client(row.name, row.province, row.units, row.sources, row.scopes), row.working_keys) for row in rows]


async def add_client(transaction: AsyncConnection, client: Client) -> bool:
    """Store a new client under (province, name); return whether the name was free."""
    grant = client.grant
    added = await transaction.execute(
        insert(tables.client)
        .values(
            province=grant.province,
            name=grant.client,
            units=None if grant.units is None else sorted(grant.units),
            sources=None if grant.sources is None else sorted(grant.sources),
            scopes=sorted(client.scopes),
        )
        .on_conflict_do_nothing()
        .returning(tables.client.c.name)
    )
    return added.one_or_none() is not None


async def add_key(transaction: AsyncConnection, province: str, name: str, key_hash: bytes) -> bool:
    """Store one more key of a client; return whether there is such a client."""
    client = tables.client.c
    owner = select(literal(key_hash), client.province, client.name)
    added = await transaction.execute(
        insert(tables.api_key)
        .from_select(["hash", "province", "client"], owner.where(client.province == province, client.name == name))
        .returning(tables.api_key.c.hash)
    )
    return added.one_or_none() is not None


async def revoke_keys(transaction: AsyncConnection, province: str, name: str, key_hash: bytes | None = None) -> int:
    """Revoke one key of the client, or all of them; return how many were."""
    key = tables.api_key
    revoking = key.update().where(key.c.province == province, key.c.client == name, key.c.revoked.is_(False))
    if key_hash is not None:
        revoking = revoking.where(key.c.hash == key_hash)
    return (await transaction.execute(revoking.values(revoked=True))).rowcount
