"""A test's own database: made from another, spoken to in plain SQL, and named by its address."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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


_GATE = 20_260_101
"""The number of the lock that a held commit waits for; the services' own locks have numbers of 64 random bits."""


class HeldCommit:
    """A commit that PostgreSQL holds back in its last step, until it is let go."""

    def __init__(self, gate: asyncpg.Connection) -> None:
        """Take the connection that holds the lock."""
        self._gate = gate

    async def reached(self, waiting: int = 1) -> None:
        """Return once so many transactions wait in the database: the one that is held, and others for their turn."""
        wait = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        async with asyncio.timeout(60):
            while await self._gate.fetchval(wait) < waiting:  # noqa: ASYNC110 - PostgreSQL rings no bell
                await asyncio.sleep(0.01)

    async def let_go(self) -> None:
        """Let the commit go on."""
        await self._gate.execute(f"SELECT pg_advisory_unlock({_GATE})")


@asynccontextmanager
async def held_commit(url: str, *, of: str | None = None, then: str = "RETURN NULL") -> AsyncIterator[HeldCommit]:
    """Hold the commit of the event with the id `of`, or of any; once it is let go, it ends like `then`, in PL/pgSQL."""
    only = "" if of is None else f"WHEN (NEW.id = '{of}')"
    gate = await asyncpg.connect(url)
    try:
        await gate.execute(f"""
            CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_advisory_xact_lock({_GATE}); {then}; END
            $$;
            CREATE CONSTRAINT TRIGGER wait_at_gate AFTER INSERT ON dossier.event DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW {only} EXECUTE FUNCTION wait_at_gate();
            SELECT pg_advisory_lock({_GATE});
        """)
        yield HeldCommit(gate)
    finally:
        await gate.close()


def named(url: str, database: str) -> str:
    """Return the address of another database of the same PostgreSQL."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@contextmanager
def cloned(postgres_url: str, name: str, template: str) -> Iterator[str]:
    """Make the database `name` from another one, and drop it in the end."""
    asyncio.run(execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield named(postgres_url, name)
    asyncio.run(execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))
