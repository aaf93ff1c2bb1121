"""What is open, late or due soon is counted now, as the lists say, and costs no more after years of closed dossiers."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import Grant
from services.dossier.store import reads
from services.dossier.store.reads import Wanted
from services.kit import db
from tests import running
from tests.builders import FORMER_UNIT, OTHER_UNIT, UNIT, event, forwarded, received, resolved
from tests.running import System

_ON = "2026-10-08"


def _due(day: int) -> str:
    return f"2026-10-{day:02d}T17:00:00+07:00"


@pytest.fixture
def open_dossiers(system: System) -> System:
    """Record open dossiers of every sort at two units, and some that are closed."""
    events = []
    for place, unit in enumerate((UNIT, OTHER_UNIT)):
        dated = range(5, 15 - 2 * place)
        events += [
            *(received(f"H37-{unit}-{day}", receiving_unit=unit, due_at=_due(day)) for day in dated),
            received(f"H37-{unit}-closed", receiving_unit=unit, due_at=_due(6)),
            resolved(f"H37-{unit}-closed"),
            received(f"H37-{unit}-undated", receiving_unit=unit, due_at=None, procedure="no-such-procedure"),
            event("supplement_requested", f"H37-{unit}-9", {}, at="2026-10-07T09:00:00+07:00"),
            # Late already when its clock was stopped, and stopped before it could be.
            event("paused", f"H37-{unit}-5", {"reason": "violation"}, at="2026-10-07T09:00:00+07:00"),
            event("paused", f"H37-{unit}-6", {"reason": "appraisal"}, at="2026-10-06T09:00:00+07:00"),
        ]
    events.append(forwarded(f"H37-{OTHER_UNIT}-8", to_unit=UNIT))
    with system.client() as client:
        answer = client.post("/v1/events", json=events).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return system


def test_the_backlog_tells_of_each_unit_what_is_within_overdue_undated_paused_and_due_soon(
    open_dossiers: System,
) -> None:
    with open_dossiers.client() as client:
        answer = client.get("/v1/backlog", params={"on": _ON}).json()

    own, other = answer["rows"]
    assert own == {
        "unit": {"code": UNIT, "name": "Phường Đông Kinh", "kind": "commune"},
        "counts": {
            "pending": 12,
            "pending_within": 9,
            "pending_overdue": 2,
            "pending_without_due": 1,
            "paused": 3,
            "awaiting_supplement": 1,
            # Due from the 8th through the 11th, two on the 8th; the clock of the one due on the 9th stands still.
            "due_soon": 4,
        },
    }
    assert (other["unit"]["code"], other["counts"]["pending"], other["counts"]["due_soon"]) == (OTHER_UNIT, 8, 2)
    assert answer["total"]["counts"] == {name: n + other["counts"][name] for name, n in own["counts"].items()}
    assert (answer["on"], answer["role"], answer["within"]) == (_ON, "resolving", 3)


def test_within_overdue_and_undated_add_up_to_what_is_open(open_dossiers: System) -> None:
    with open_dossiers.client() as client:
        answers = [client.get("/v1/backlog", params={"on": f"2026-10-{day:02d}"}).json() for day in range(1, 20)]

    for answer in answers:
        for counts in [row["counts"] for row in answer["rows"]] + [answer["total"]["counts"]]:
            parts = [counts[name] for name in ("pending_within", "pending_overdue", "pending_without_due")]
            assert sum(parts) == counts["pending"]


@pytest.mark.parametrize("role", ["resolving", "receiving"])
def test_every_figure_of_the_backlog_is_the_length_of_a_list(open_dossiers: System, role: str) -> None:
    lists: dict[str, dict[str, Any]] = {
        "pending": {"status": "pending"},
        "pending_within": {"status": "pending", "overdue": "false", "without_due": "false"},
        "pending_overdue": {"status": "pending", "overdue": "true"},
        "pending_without_due": {"status": "pending", "without_due": "true"},
        "paused": {"awaiting": "any"},
        "awaiting_supplement": {"awaiting": "supplement"},
        "due_soon": {"awaiting": "none", "due_from": _ON, "due_before": "2026-10-13"},
    }

    with open_dossiers.client() as client:
        backlog = client.get("/v1/backlog", params={"on": _ON, "role": role, "within": 4}).json()
        for row in backlog["rows"]:
            asked = {"unit": row["unit"]["code"], "role": role, "on": _ON}
            lengths = {
                name: len(client.get("/v1/dossiers", params={**params, **asked}).json()["items"])
                for name, params in lists.items()
            }
            assert row["counts"] == lengths
    assert len(backlog["rows"]) == 2


def test_the_backlog_names_one_unit_where_one_is_asked_for(open_dossiers: System) -> None:
    with open_dossiers.client() as client:
        whole = client.get("/v1/backlog", params={"on": _ON}).json()
        one = client.get("/v1/backlog", params={"on": _ON, "unit": OTHER_UNIT}).json()
        none = client.get("/v1/backlog", params={"unit": "no-such-unit"}).json()

    assert one["rows"] == whole["rows"][1:]
    assert one["total"]["counts"] == whole["rows"][1]["counts"]
    assert (none["rows"], set(none["total"]["counts"].values())) == ([], {0})


def test_a_unit_that_has_ended_is_called_what_it_was_called_last(system: System) -> None:
    with system.client() as client:
        client.post(
            "/v1/events", json=received("H37-1", at="2025-06-02T08:30:00+07:00", receiving_unit=FORMER_UNIT)
        ).raise_for_status()
        (row,) = client.get("/v1/backlog", params={"on": _ON}).json()["rows"]

    assert (row["unit"]["code"], row["unit"]["kind"], row["counts"]["pending_overdue"]) == (FORMER_UNIT, "commune", 1)
    assert row["unit"]["name"]


@pytest.mark.parametrize(
    "query", ["on=x", "on=0", "on=9999-12-31", "within=-1", "within=367", "unit=%00", "role=both", "by=unit"]
)
def test_what_the_backlog_cannot_be_asked_is_a_problem(system: System, query: str) -> None:
    with system.client() as client:
        answer = client.get(f"/v1/backlog?{query}")

    assert answer.status_code == 422


# --- What it costs ----------------------------------------------------------------------------------------------------

_PROVINCE = Grant(client="tests", province=running.PROVINCE)
_LIMITED = Grant(client="tests", province=running.PROVINCE, units=frozenset({"u7"}))
_DAY = date(2026, 10, 8)


async def _listed(transaction: AsyncConnection, grant: Grant, **wanted: Any) -> None:  # noqa: ANN401 - fields of Wanted
    await reads.dossiers(transaction, grant, Wanted(**wanted), on=_DAY, sort="due", after=None, limit=100)


async def _counted(transaction: AsyncConnection, grant: Grant, role: reads.Role) -> None:
    await reads.backlog(transaction, grant, units=grant.units, role=role, on=_DAY, within=3)


_READS: dict[str, tuple[str, Callable[[AsyncConnection], Awaitable[None]]]] = {
    "backlog": ("dossier_pending", lambda t: _counted(t, _PROVINCE, "resolving")),
    "backlog of receiving units": ("dossier_pending", lambda t: _counted(t, _PROVINCE, "receiving")),
    "backlog of a limited client": ("dossier_pending", lambda t: _counted(t, _LIMITED, "resolving")),
    "overdue": ("dossier_pending", lambda t: _listed(t, _PROVINCE, overdue=True)),
    "overdue of a unit": ("dossier_pending", lambda t: _listed(t, _PROVINCE, overdue=True, units=["u7"])),
    "overdue of a limited client": ("dossier_pending", lambda t: _listed(t, _LIMITED, overdue=True)),
    "awaiting": ("dossier_pending", lambda t: _listed(t, _PROVINCE, awaiting="supplement")),
    "open": ("dossier_pending", lambda t: _listed(t, _PROVINCE, statuses=["pending"])),
    "a rare flag": ("dossier_flagged", lambda t: _listed(t, _PROVINCE, flags=["foreign_event"])),
}


_OPEN, _CLOSED = 400, 50_000


def test_what_is_open_is_read_in_as_many_blocks_as_are_open_however_many_were_closed(database_url: str) -> None:
    plans, blocks = asyncio.run(_explained(database_url))

    for name, (index, _) in _READS.items():
        plan, touched = plans[name]
        assert index in plan, name
        # Each open dossier may lie in a block of its own; the index has a few more.
        assert touched <= _OPEN + 20, name
    assert blocks > 2 * _OPEN


async def _explained(url: str) -> tuple[dict[str, tuple[str, int]], int]:
    """Return the plan of each read, how many blocks it touched, and how many the table has."""
    database = db.engine(url, application="tests", connections=1)
    await _fill(database, 0, _OPEN, "pending")
    await _fill(database, _OPEN, _CLOSED, "resolved")
    async with database.connect() as transaction:
        plans = {name: await _plan(transaction, read) for name, (_, read) in _READS.items()}
        blocks = await transaction.scalar(text("SELECT relpages FROM pg_class WHERE oid = 'dossier.dossier'::regclass"))
    await database.dispose()
    return plans, blocks or 0


async def _plan(transaction: AsyncConnection, read: Callable[[AsyncConnection], Awaitable[None]]) -> tuple[str, int]:
    """Return the plan of the one statement that `read` executes, and how many blocks it touches."""
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _k: object, statement: str, parameters: Any, *_: object) -> None:  # noqa: ANN401 - as bound
        statements.append((statement, parameters))

    sqlalchemy_event.listen(transaction.sync_connection, "before_cursor_execute", note)
    await read(transaction)
    sqlalchemy_event.remove(transaction.sync_connection, "before_cursor_execute", note)
    ((statement, parameters),) = statements
    driver: Any = (await transaction.get_raw_connection()).driver_connection
    rows = await driver.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}", *parameters)
    lines = [row[0] for row in rows]
    # The first line about buffers is the whole query's.
    touched = next(line for line in lines if "Buffers:" in line)
    return "\n".join(lines), sum(int(blocks) for blocks in re.findall(r"(?:hit|read)=(\d+)", touched))


async def _fill(database: AsyncEngine, first: int, count: int, status: str) -> None:
    """Insert dossiers of 40 units, a flag on every tenth, a rare one on few of the open ones."""
    async with database.begin() as transaction:
        columns = (await transaction.execute(text(_COLUMNS))).all()
        values = {
            "province": f"'{running.PROVINCE}'",
            "code": "'c' || n",
            "status": f"'{status}'",
            "position": "n + 1",
            "receiving_unit": "'u' || n % 40",
            "resolving_unit": "'u' || n % 40",
            "due_on": "date '2026-10-01' + n % 20",
            "pause_reason": "CASE WHEN n % 9 = 0 THEN 'supplement' END",
            "paused_at": "CASE WHEN n % 9 = 0 THEN timestamptz '2026-10-07 09:00+07' END",
            "flags": "CASE WHEN n IN (7, 77) THEN '{foreign_event}' WHEN n % 10 = 0 THEN '{late_recording}' "
            "ELSE '{}' END::text[]",
            "former_units": "'{}'",
        }
        values |= {name: default for name, default in columns if name not in values}
        await transaction.execute(
            text(
                f"INSERT INTO dossier.dossier ({', '.join(values)}) SELECT {', '.join(values.values())}"  # noqa: S608
                f" FROM generate_series({first}, {first + count - 1}) AS n"
            )
        )
    async with database.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE dossier.dossier"))


_COLUMNS = """
    SELECT column_name, CASE data_type WHEN 'boolean' THEN 'false' WHEN 'ARRAY' THEN '''{}''' ELSE '0' END
    FROM information_schema.columns WHERE table_schema = 'dossier' AND table_name = 'dossier' AND is_nullable = 'NO'
"""
