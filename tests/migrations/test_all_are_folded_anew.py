"""A revision by which dossiers tell more has every one of them folded anew, whatever else waits for that already."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import asyncpg
from alembic import command

from services.cli import migrations
from services.dossier.store import refold
from services.kit import db

_DAY = date(2026, 10, 5)
_AT = datetime(2026, 10, 5, 9, tzinfo=UTC)
# Received and open, ended long ago without a due date, declined before its receipt, not received yet.
_DOSSIERS = [
    ("20", "H1", "pending", _AT, _DAY, None),
    ("20", "H2", "resolved", _AT, date(1990, 1, 1), date(1990, 1, 2)),
    ("20", "H3", "declined", None, None, _DAY),
    ("20", "H4", "unreceived", None, None, None),
    ("19", "T1", "pending", _AT, date(2099, 12, 31), None),
]


async def _store(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.executemany(
            "INSERT INTO dossier.dossier (province, code, status, received_at, received_on, ended_on, position,"
            " in_person, reused_data, digitised, fee_due, payments, payments_online, paid_on_platform, pauses,"
            " supplements, flags, former_units)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, false, false, false, false, 0, 0, false, 0, 0, '{}', '{}')",
            [(*dossier, position) for position, dossier in enumerate(_DOSSIERS, 1)],
        )
        await connection.execute("INSERT INTO dossier.reference_version (province, version) VALUES ('20', 3)")
        await connection.execute("INSERT INTO dossier.refold VALUES ('20', 3, '{P}', '{}', NULL, NULL, 'H1')")
    finally:
        await connection.close()


async def _to_be_folded(url: str) -> Mapping[tuple[str, int], Sequence[str]]:
    database = db.engine(url, application="tests", connections=1)
    try:
        async with database.connect() as transaction:
            return {
                (change.province, change.version): await refold.candidates(transaction, change, 100)
                for change in await refold.waiting(transaction)
            }
    finally:
        await database.dispose()


def test_every_dossier_of_every_province_is_folded_anew_by_the_third_revision(empty_database_url: str) -> None:
    command.upgrade(migrations.config("dossier", empty_database_url), "0002")
    asyncio.run(_store(empty_database_url))

    command.upgrade(migrations.config("dossier", empty_database_url), "0003")

    waiting = asyncio.run(_to_be_folded(empty_database_url))
    assert waiting == {("19", 0): ["T1"], ("20", 3): ["H1", "H2", "H3", "H4"]}


def test_the_third_revision_can_be_taken_back_and_done_again(empty_database_url: str) -> None:
    configured = migrations.config("dossier", empty_database_url)
    command.upgrade(configured, "0002")
    asyncio.run(_store(empty_database_url))
    command.upgrade(configured, "0003")

    command.downgrade(configured, "0002")
    command.upgrade(configured, "0003")

    assert ("20", 3) in asyncio.run(_to_be_folded(empty_database_url))
