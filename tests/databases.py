"""A test's own database: made from another, spoken to in plain SQL, and named by its address."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg


async def execute(url: str, *statements: str) -> None:
    """Carry out the statements one after another over one connection."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def named(url: str, database: str) -> str:
    """Return the address of another database of the same PostgreSQL."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@contextmanager
def cloned(postgres_url: str, name: str, template: str) -> Iterator[str]:
    """Make the database `name` from another one, and drop it in the end."""
    asyncio.run(execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield named(postgres_url, name)
    asyncio.run(execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))
