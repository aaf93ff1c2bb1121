"""Every schema goes from nothing to head and back, and head is what the code says."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from alembic import command

from services.cli import migrations


def _fetch(url: str, query: str) -> list[str]:
    async def fetch() -> list[str]:
        connection = await asyncpg.connect(url)
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


_TABLES = """
    SELECT schemaname || '.' || tablename FROM pg_tables
    WHERE schemaname IN ('dossier', 'metrics', 'gateway') AND tablename <> 'schema_version' ORDER BY 1
"""


def test_the_migrations_go_from_nothing_to_head_and_back(empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url)
    at_head = _fetch(empty_database_url, _TABLES)
    migrations.downgrade(empty_database_url)
    at_base = _fetch(empty_database_url, _TABLES)
    migrations.upgrade(empty_database_url)

    assert "dossier.event" in at_head
    assert "metrics.cell" in at_head
    assert "gateway.api_key" in at_head
    assert at_base == []
    assert _fetch(empty_database_url, _TABLES) == at_head


@pytest.mark.parametrize("service", migrations.SERVICES)
def test_head_is_what_the_tables_say(database_url: str, service: str) -> None:
    command.check(migrations.config(service, database_url))


def test_each_service_keeps_its_own_schema_version(database_url: str) -> None:
    versions = _fetch(
        database_url, "SELECT schemaname::text FROM pg_tables WHERE tablename = 'schema_version' ORDER BY 1"
    )

    assert versions == ["dossier", "gateway", "metrics"]


def test_two_migrating_processes_do_not_harm_each_other(empty_database_url: str) -> None:
    # Alembic keeps its context in module globals, so only whole processes can be two migrations at once.
    def migrate() -> int:
        arguments = [sys.executable, "-m", "services.cli", "migrate", "--database-url", empty_database_url]
        return subprocess.run(arguments, check=False, capture_output=True).returncode

    with ThreadPoolExecutor() as pool:
        statuses = list(pool.map(lambda _: migrate(), range(2)))

    assert statuses == [0, 0]
    assert "dossier.event" in _fetch(empty_database_url, _TABLES)
