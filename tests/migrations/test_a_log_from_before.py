"""A log that was recorded before it was chained is chained by the migration, and its dossiers are folded anew."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
from alembic import command

from services.cli import migrations
from services.contract import EVENT
from services.dossier import verification
from services.dossier.domain.verdict import Verdict
from services.kit import db
from tests import builders, running

_NOON = datetime(2026, 10, 6, 12, 0, 0, 125_000, tzinfo=UTC)
_LIFE = [
    builders.received("H1", due_at="2026-10-05T17:00:00.000500+07:00"),
    builders.forwarded("H1"),
    builders.paid("H1", reference="biên lai số 7 / “đã thu”"),
    builders.received("H2"),
    builders.forwarded("H2", to_unit=builders.UNIT),
    builders.resolved("H1"),
]


def _recorded_at_first_revision(url: str) -> None:
    """Store a log as the first revision held it: unchained, with dossiers that knew less."""
    for service in migrations.SERVICES:
        command.upgrade(migrations.config(service, url), "0001")
    rows = []
    for position, told in enumerate(_LIFE, 1):
        event = EVENT.validate_python(told)
        data = event.data.model_dump_json(exclude_none=True)
        units = ["05983", "05977"] if position == 4 else None
        rows.append(
            (
                running.PROVINCE,
                position,
                event.source,
                event.id,
                event.type,
                event.subject,
                event.time,
                data,
                b"of another kind",
                "one-stop",
                units,
                _NOON + timedelta(seconds=position),
            )
        )

    async def store() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.executemany(
                "INSERT INTO dossier.event VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", rows
            )
            await connection.executemany(
                "INSERT INTO dossier.dossier (province, code, status, receiving_unit, resolving_unit, received_at,"
                " in_person, fee_due, payments, payments_online, paid_on_platform, flags, position)"
                " VALUES ($1, $2, 'pending', $3, $4, $5, false, false, 0, 0, false, '{}', $6)",
                [
                    (running.PROVINCE, "H1", builders.UNIT, builders.OTHER_UNIT, _NOON, 6),
                    (running.PROVINCE, "H2", builders.OTHER_UNIT, builders.OTHER_UNIT, _NOON, 5),
                ],
            )
            await connection.execute(
                "INSERT INTO dossier.reference_version (province, version) VALUES ($1, 3)", running.PROVINCE
            )
        finally:
            await connection.close()

    asyncio.run(store())


def _verified(url: str) -> Verdict:
    async def verify() -> Verdict:
        database = db.engine(url, application="tests", connections=1)
        try:
            return await verification.verify(database, running.PROVINCE)
        finally:
            await database.dispose()

    return asyncio.run(verify())


def _rows(url: str, query: str) -> list[tuple[Any, ...]]:
    async def fetch() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def _wait_until_folded(url: str) -> None:
    give_up_at = time.monotonic() + 30
    while _rows(url, "SELECT 1 FROM dossier.refold"):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_events_recorded_before_the_chain_verify_after_it(empty_database_url: str) -> None:
    _recorded_at_first_revision(empty_database_url)

    migrations.upgrade(empty_database_url)

    verdict = _verified(empty_database_url)
    assert (verdict.fault, verdict.reached.events) == (None, len(_LIFE))
    kept = _rows(empty_database_url, "SELECT data::text FROM dossier.event ORDER BY position")
    assert [orjson.loads(data) for (data,) in kept] == [told["data"] for told in _LIFE]


def test_every_dossier_from_before_waits_to_be_folded_anew(empty_database_url: str) -> None:
    _recorded_at_first_revision(empty_database_url)

    migrations.upgrade(empty_database_url)

    waiting = _rows(empty_database_url, "SELECT province, version, first_day::text, last_day::text FROM dossier.refold")
    assert waiting == [(running.PROVINCE, 3, "1900-01-01", "2200-12-31")]
    left = _rows(empty_database_url, "SELECT code, former_units FROM dossier.dossier ORDER BY code")
    assert left == [("H1", []), ("H2", [builders.UNIT])]


def test_a_system_on_a_log_from_before_stands_as_if_it_had_recorded_it_itself(empty_database_url: str) -> None:
    _recorded_at_first_revision(empty_database_url)
    migrations.upgrade(empty_database_url)

    with running.system(empty_database_url) as system:
        system.load_reference()
        with system.client() as client:
            again = client.post("/v1/events", json=_LIFE, params={"results": "all"}).json()
            _wait_until_folded(empty_database_url)
            dossier = client.get("/v1/dossiers/H1").json()["dossier"]

    verdict = _verified(empty_database_url)
    assert (again["duplicate"], again["conflict"]) == (len(_LIFE), 0)
    assert (dossier["status"], dossier["resolving_unit"]) == ("resolved", builders.OTHER_UNIT)
    assert (verdict.fault, verdict.dossiers) == (None, 2)
