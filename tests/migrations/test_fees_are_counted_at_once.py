"""The fourth revision of metrics counts procedures with a fee from the dossiers that are there, as the service does."""

import asyncio
from collections.abc import Sequence

import asyncpg
from alembic import command

from services.cli import migrations
from tests import running
from tests.metrics import population


async def _fees(url: str) -> Sequence[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT * FROM metrics.fee_procedure WHERE dossiers <> 0 ORDER BY fee_procedure")
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


def test_the_fourth_revision_finds_what_was_counted_dossier_by_dossier(database_url: str) -> None:
    with running.system(database_url) as system:
        system.load_reference()
        with system.client() as client:
            position = population.record(client, dossiers=80, seed=4)
            client.get("/v1/rates", params={"period": "2026", "min_position": position}).raise_for_status()
    counted = asyncio.run(_fees(database_url))
    configured = migrations.config("metrics", database_url)

    command.downgrade(configured, "0003")
    command.upgrade(configured, "0004")

    assert asyncio.run(_fees(database_url)) == counted
    assert {row[2] for row in counted} == {"day", "month"}
    assert any(row[-1] for row in counted)
