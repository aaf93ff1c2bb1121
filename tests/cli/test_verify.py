"""`motcua verify` names the first place at which a log is not as it was written, and what is wrong there.

Who tampers here is a superuser with all triggers off: nobody else gets that far.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.cli import demo, simulation
from services.dossier import verification
from services.dossier.domain import record
from services.dossier.domain.record import FIRST_HASH, Recorded
from services.dossier.domain.verdict import Checkpoint, Verdict
from services.dossier.store import chain
from services.kit import db
from tests import builders, databases, running
from tests.running import PROVINCE, System

_LOG = [
    builders.received("H1"),
    builders.received("H2"),
    builders.paid("H1"),
    builders.paid("H2"),
    builders.resolved("H1"),
    builders.resolved("H2"),
    builders.returned("H1"),
]
"""Seven events at the positions 1 to 7; the last belongs to H1."""


@pytest.fixture(scope="module")
def recorded(postgres_url: str) -> Iterator[str]:
    """Record the seven events once and return the name of the database that every test gets a copy of."""
    with databases.cloned(postgres_url, f"verify_{secrets.token_hex(6)}", "motcua_template") as url:
        with running.system(url) as started:
            started.load_reference()
            _wait_until_folded(url)
            with started.client() as client:
                client.post("/v1/events", json=_LOG).raise_for_status()
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def log(postgres_url: str, recorded: str) -> Iterator[str]:
    """Return a database with the seven events recorded."""
    with databases.cloned(postgres_url, f"verify_{secrets.token_hex(6)}", recorded) as url:
        yield url


@pytest.fixture
def served(log: str) -> Iterator[System]:
    """Return a system on the seven events."""
    with running.system(log) as started:
        yield started


def _wait_until_folded(url: str) -> None:
    """Wait until changed reference data was applied to all dossiers, also where there is none yet."""
    give_up_at = time.monotonic() + 30
    while asyncio.run(_is_refolding(url)):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


async def _is_refolding(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM dossier.refold)"))
    finally:
        await connection.close()


def tamper(url: str, *statements: str) -> None:
    """Do with the log what its triggers would refuse."""
    asyncio.run(databases.execute(url, "SET session_replication_role = replica", *statements))


def verified(url: str, known: Checkpoint | None = None, *, page: int = 2_000) -> Verdict:
    """Return what a verification of the province finds."""

    async def verify() -> Verdict:
        database = db.engine(url, application="tests", connections=1)
        try:
            return await verification.verify(database, PROVINCE, known, page=page)
        finally:
            await database.dispose()

    return asyncio.run(verify())


def found(url: str, known: Checkpoint | None = None) -> tuple[str | None, int | None]:
    """Return what a verification finds wrong first, and where."""
    verdict = verified(url, known)
    return verdict.fault, verdict.position


def _set(position: int, change: str) -> str:
    return f"UPDATE dossier.event SET {change} WHERE position = {position}"  # noqa: S608 - of our own


def _delete(position: int) -> str:
    return f"DELETE FROM dossier.event WHERE position = {position}"  # noqa: S608 - of our own


def _swap(one: int, other: int) -> tuple[str, str, str]:
    return _set(one, "position = 99"), _set(other, f"position = {one}"), _set(99, f"position = {other}")


def _forge(position: int, like: int) -> str:
    names = "province, source, type, subject, occurred_at, data, fingerprint, client, sender_units, recorded_at, hash"
    return (
        f"INSERT INTO dossier.event (position, id, {names}) "  # noqa: S608 - of our own
        f"SELECT {position}, 'forged', {names} FROM dossier.event WHERE position = {like}"
    )


TAMPERINGS: Sequence[tuple[Sequence[str], str, int]] = [
    ((_set(3, "data = jsonb_set(data, '{amount}', '20001')"),), "content_changed", 3),
    ((_set(3, "data = data - 'platform'"),), "content_changed", 3),
    ((_set(3, "data = jsonb_set(data, '{amount}', '1e400')"),), "content_changed", 3),
    ((_set(4, "occurred_at = occurred_at + interval '1 microsecond'"),), "content_changed", 4),
    ((_set(5, "subject = 'H2'"),), "content_changed", 5),
    ((_set(7, "type = 'vn.motcua.dossier.forwarded'"),), "content_changed", 7),
    ((_set(6, "fingerprint = decode(md5('x'), 'hex')"),), "content_changed", 6),
    ((_set(3, "client = 'somebody'"),), "record_changed", 3),
    ((_set(3, "source = 'urn:example:another'"),), "record_changed", 3),
    ((_set(3, "id = 'another'"),), "record_changed", 3),
    ((_set(3, "sender_units = '{}'"),), "record_changed", 3),
    ((_set(3, "sender_units = '{*}'"),), "record_changed", 3),
    ((_set(7, "recorded_at = recorded_at - interval '1 microsecond'"),), "record_changed", 7),
    ((_set(4, "hash = sha256('x')"),), "record_changed", 4),
    ((_set(1, "hash = sha256('x')"),), "record_changed", 1),
    (_swap(3, 5), "order_changed", 3),
    (_swap(3, 4), "order_changed", 3),
    (_swap(1, 7), "order_changed", 1),
    ((_delete(4),), "event_missing", 4),
    ((_delete(3), _delete(4)), "event_missing", 3),
    ((_delete(1),), "event_missing", 1),
    ((_delete(7),), "event_missing", 7),
    ((_delete(6), _delete(7)), "event_missing", 7),
    ((_forge(8, like=7),), "record_changed", 8),
    ((_forge(0, like=3),), "event_inserted", 0),
    ((_delete(4), _forge(4, like=3)), "record_changed", 4),
    (("DELETE FROM dossier.dossier WHERE code = 'H2'",), "dossier_missing", 2),
    (("UPDATE dossier.dossier SET position = 0 WHERE code = 'H1'",), "dossier_missing", 1),
    (("UPDATE dossier.dossier SET due_on = due_on + 1 WHERE code = 'H2'",), "dossier_changed", 6),
    (("UPDATE dossier.dossier SET former_units = '{05983}' WHERE code = 'H2'",), "dossier_changed", 6),
]


@pytest.mark.parametrize(("statements", "fault", "position"), TAMPERINGS, ids=lambda value: str(value)[:60])
def test_a_tampering_is_named_at_its_first_position(
    log: str, statements: Sequence[str], fault: str, position: int
) -> None:
    tamper(log, *statements)

    assert found(log) == (fault, position)


def test_a_dossier_whose_only_event_was_taken_away_is_noticed(log: str, served: System) -> None:
    with served.client() as client:
        client.post("/v1/events", json=builders.received("H3")).raise_for_status()

    tamper(log, _delete(8))

    assert found(log) == ("event_missing", 8)


def test_an_event_put_into_a_gap_is_told_from_one_that_is_missing(log: str, served: System) -> None:
    # A dossier that was folded anew has drawn the position 8, and no event ever had it.
    tamper(log, "UPDATE dossier.dossier SET position = 8 WHERE code = 'H2'")
    with served.client() as client:
        client.post("/v1/events", json=builders.withdrawn("H2")).raise_for_status()
    assert found(log) == (None, None)

    tamper(log, _forge(8, like=3))

    assert found(log) == ("event_inserted", 8)


def test_what_several_thousand_simulated_events_became_verifies_in_pages(system: System) -> None:
    _wait_until_folded(system.database_url)
    events = [json.loads(line) for line in simulation.ndjson(simulation.events(replace(demo.scenario(), dossiers=800)))]
    with system.client() as client:
        for begin in range(0, len(events), 2_500):
            client.post("/v1/events", json=events[begin : begin + 2_500]).raise_for_status()

    verdict = verified(system.database_url)

    assert verdict.fault is None
    assert verdict.reached.events == verdict.reached.position == len(events) > 2_500
    assert verdict.dossiers == 800


def test_pages_of_any_size_are_one_log(log: str) -> None:
    for page in range(1, 9):
        verdict = verified(log, page=page)
        assert (verdict.fault, verdict.reached.events, verdict.dossiers) == (None, 7, 2)

    tamper(log, *_swap(2, 7))

    for page in range(1, 9):
        verdict = verified(log, page=page)
        assert (verdict.fault, verdict.position) == ("order_changed", 2)


def test_dossiers_are_not_compared_while_changed_reference_data_is_still_being_applied(log: str) -> None:
    tamper(log, "INSERT INTO dossier.refold VALUES ('20', 9, '{}', '{}', NULL, NULL, '')")

    verdict = verified(log)
    finished = motcua_verify(log)

    assert (verdict.fault, verdict.dossiers) == (None, None)
    assert "dossiers were not compared" in finished.stdout


# --- Checkpoints ------------------------------------------------------------------------------------------------------


async def _rechain(url: str, change: Callable[[Recorded], Recorded]) -> None:
    """Write the whole log anew as somebody who knows all of this program would, leaving no trace in it."""
    database = db.engine(url, application="tests", connections=1)
    async with database.connect() as transaction:
        entries = [change(placed.entry) for placed in await chain.page_after(transaction, PROVINCE, 0, 1_000)]
    await database.dispose()
    connection = await asyncpg.connect(url)
    newest = FIRST_HASH
    try:
        await connection.execute("SET session_replication_role = replica")
        for entry in entries:
            print_ = record.fingerprint(entry.type, entry.subject, entry.occurred_at, entry.data)
            newest = record.linked(newest, entry._replace(fingerprint=print_))
            await connection.execute(
                "UPDATE dossier.event SET data = $2::text::jsonb, fingerprint = $3, hash = $4 WHERE position = $1",
                entry.position,
                entry.data,
                print_,
                newest,
            )
    finally:
        await connection.close()


def _cheaper(entry: Recorded) -> Recorded:
    data = json.loads(entry.data) | ({"amount": 1} if entry.position == 3 else {})
    return entry._replace(data=json.dumps(data, sort_keys=True, separators=(",", ":")))


def test_a_history_rewritten_with_a_new_chain_is_found_by_a_checkpoint_alone(log: str) -> None:
    before = verified(log).reached

    asyncio.run(_rechain(log, _cheaper))

    assert found(log) == (None, None)
    assert found(log, before) == ("rewritten", 7)


def test_a_tail_cut_off_with_its_dossiers_put_right_is_found_by_a_checkpoint_alone(log: str) -> None:
    before = verified(log).reached

    tamper(
        log,
        _delete(7),
        "UPDATE dossier.dossier AS kept SET returned_channel = NULL, position = 5, recorded_at = event.recorded_at "
        "FROM dossier.event WHERE code = 'H1' AND event.position = 5",
    )

    assert found(log) == (None, None)
    assert found(log, before) == ("cut_off", 7)


def test_a_log_that_only_grew_holds_what_its_checkpoints_saw(log: str, served: System) -> None:
    nothing = Checkpoint(PROVINCE, 0, FIRST_HASH, 0)
    before = verified(log).reached
    with served.client() as client:
        client.post("/v1/events", json=[builders.received("H3"), builders.resolved("H3")]).raise_for_status()

    assert found(log, nothing) == (None, None)
    assert found(log, before) == (None, None)
    assert verified(log, before).reached.events == 9


def test_a_checkpoint_is_answered_to_clients_of_the_whole_province(log: str, served: System) -> None:
    with served.client() as client:
        answer = client.get("/v1/checkpoint")
    reached = verified(log).reached

    assert answer.json() == {"province": PROVINCE, "position": "7", "hash": reached.hash.hex(), "events": 7}


def test_a_log_of_nothing_has_a_checkpoint_too(system: System) -> None:
    with system.client() as client:
        answer = client.get("/v1/checkpoint").json()

    assert answer == {"province": PROVINCE, "position": "0", "hash": "00" * 32, "events": 0}
    assert verified(system.database_url).fault is None


def test_a_client_of_some_units_or_without_the_scope_gets_no_checkpoint(served: System) -> None:
    with (
        served.client(name="limited", units=[builders.UNIT]) as limited,
        served.client(name="sender", scopes=["events:write"]) as sender,
    ):
        answers = [limited.get("/v1/checkpoint"), sender.get("/v1/checkpoint")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (403, "province_only"),
        (403, "missing_scope"),
    ]


# --- The command ------------------------------------------------------------------------------------------------------


def motcua_verify(url: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command on a database."""
    command = [sys.executable, "-m", "services.cli", "verify", "--database-url", url, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ))


def test_the_command_exports_a_checkpoint_and_verifies_against_it(log: str, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    exported = motcua_verify(log, "--export", file)
    kept = json.loads(file.read_text())
    same = motcua_verify(log, "--against", file, "--province", PROVINCE)

    tamper(log, *(_delete(position) for position in range(1, 8)), "DELETE FROM dossier.dossier")
    emptied = motcua_verify(log)
    against = motcua_verify(log, "--against", file)

    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.startswith("province 20: 7 events up to position 7 are as they were written, 2 dossiers")
    assert kept.keys() == {"province", "position", "hash", "events", "made_at", "version"}
    assert same.returncode == 0, same.stderr
    # Who takes everything away leaves nothing that could be wrong, but for what somebody has kept elsewhere.
    assert (emptied.returncode, emptied.stdout) == (0, "nothing is recorded\n")
    assert against.returncode == 1
    assert "BROKEN at position 1: cut_off" in against.stdout


def test_what_the_gateway_answered_is_a_file_of_checkpoints(log: str, served: System, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    with served.client() as client:
        file.write_bytes(client.get("/v1/checkpoint").content)

    same = motcua_verify(log, "--against", file)
    asyncio.run(_rechain(log, _cheaper))
    rewritten = motcua_verify(log, "--against", file)

    assert same.returncode == 0, same.stderr
    assert (rewritten.returncode, "rewritten" in rewritten.stdout) == (1, True)


def test_a_broken_log_is_said_with_its_place_and_no_checkpoint_is_made_of_it(log: str, tmp_path: Path) -> None:
    tamper(log, _set(3, "data = jsonb_set(data, '{amount}', '20001')"))

    finished = motcua_verify(log, "--export", tmp_path / "checkpoint.json")

    assert finished.returncode == 1
    assert finished.stdout == (
        "province 20: BROKEN at position 3: content_changed: what this event tells was changed\n"
    )
    assert not (tmp_path / "checkpoint.json").exists()


@pytest.mark.parametrize("content", ["", '{"province": "20"}', "nonsense", '{"position": "1"}'])
def test_what_cannot_be_told_is_neither_well_nor_broken(database_url: str, tmp_path: Path, content: str) -> None:
    file = tmp_path / "file"
    file.write_text(content)

    finished = motcua_verify(database_url, "--against", file, "--province", PROVINCE)

    assert finished.returncode == 2
    assert "It could not be told" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_database_that_does_not_answer_is_neither_well_nor_broken() -> None:
    finished = motcua_verify("postgresql://nobody:nothing@127.0.0.1:1/nowhere")

    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
