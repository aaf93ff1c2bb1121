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


def slow_commit(seconds: float, *, of: str | None = None, then: str = "RETURN NULL") -> str:
    """Return SQL by which a commit of the event with the id `of`, or of any, takes so long, and then ends like this."""
    only = "" if of is None else f"WHEN (NEW.id = '{of}')"
    return f"""
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_sleep({seconds}); {then}; END
        $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON dossier.event DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW {only} EXECUTE FUNCTION dawdle();
    """


async def slow_commit_under_way(url: str) -> None:
    """Return once a slow commit has begun in the database."""
    connection = await asyncpg.connect(url)
    sleeping = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    try:
        while not await connection.fetch(sleeping):  # noqa: ASYNC110 - PostgreSQL rings no bell
            await asyncio.sleep(0.01)
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
