"""All SQL of the gateway; a function takes the transaction first and never commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
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


async def clients(transaction: AsyncConnection) -> Sequence[Client]:
    """Return all clients by province and name."""
    table = tables.client
    rows = await transaction.execute(select(table).order_by(table.c.province, table.c.name))
    return [_client(row.name, row.province, row.units, row.sources, row.scopes) for row in rows]


async def put_client(transaction: AsyncConnection, client: Client) -> None:
    """Store the client under (province, name), in place of what was stored there."""
    grant = client.grant
    content = {
        "units": None if grant.units is None else sorted(grant.units),
        "sources": None if grant.sources is None else sorted(grant.sources),
        "scopes": sorted(client.scopes),
    }
    await transaction.execute(
        insert(tables.client)
        .values(province=grant.province, name=grant.client, **content)
        .on_conflict_do_update(index_elements=["province", "name"], set_=content)
    )


async def add_key(transaction: AsyncConnection, grant: Grant, key_hash: bytes) -> None:
    """Store one more key of the client."""
    await transaction.execute(
        insert(tables.api_key).values(hash=key_hash, province=grant.province, client=grant.client)
    )


async def revoke_keys(transaction: AsyncConnection, province: str, name: str, *, but: Collection[bytes] = ()) -> int:
    """Revoke all keys of the client but those named; return how many were."""
    key = tables.api_key
    revoked = await transaction.execute(
        key.update()
        .where(key.c.province == province, key.c.client == name, key.c.revoked.is_(False), key.c.hash.not_in(list(but)))
        .values(revoked=True)
    )
    return revoked.rowcount
