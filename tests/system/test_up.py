"""`motcua up` as an operator meets it: real processes, killed without warning, stopped and started again."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.cli import embedded, running
from tests import builders

_PATIENCE = 60.0
"""Seconds that a noisy machine may take for what usually takes one or two."""


@dataclass
class Up:
    """A running `motcua up` and what its first line said."""

    process: subprocess.Popen[str]
    told: dict[str, Any]
    data: Path

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.told['api_key']}"}
        return httpx.Client(base_url=self.told["url"], headers=headers, timeout=30)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE)


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "services.cli", *(str(argument) for argument in arguments)]


def _run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        env={**os.environ, **environment},
    )


@contextmanager
def up(data: Path, port: int) -> Iterator[Up]:
    """Start the system, empty but for reference data, and stop it in the end."""
    process = subprocess.Popen(
        _command("up", "--empty", "--json", "--port", str(port), "--data", data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.stderr.read())
        yield Up(process, json.loads(line), data)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=_PATIENCE)


@pytest.fixture
def data() -> Iterator[Path]:
    """Return a data folder that PostgreSQL's own account can reach, which pytest's temporary folders are not."""
    folder = Path(tempfile.mkdtemp(prefix="motcua-up-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(condition: Any) -> None:  # noqa: ANN401 - any function without arguments
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.1)


def test_an_event_is_in_its_rate_at_the_first_read_and_everything_survives_a_restart(data: Path) -> None:
    port = embedded.free_port()
    with up(data, port) as first, first.client() as client:
        accepted = client.post("/v1/events", json=[builders.received("H1"), builders.resolved("H1")]).json()
        seen = client.get("/v1/rates", params={"period": "2026-10", "min_position": accepted["position"]}).json()
        pids = first.told["pids"].values()
        status = first.stop()

        assert accepted["accepted"] == 2
        assert seen["total"]["rates"]["on_time_of_resolved"]["numerator"] == 1
        assert status == 0
        assert not any(_is_alive(pid) for pid in pids)
        with pytest.raises(running.NotRunning):
            running.read(data)

    with up(data, port) as second, second.client() as client:
        again = client.get("/v1/rates", params={"period": "2026-10"}).json()

        assert second.told["api_key"] == first.told["api_key"]
        assert again["total"] == seen["total"]


def test_its_services_run_as_a_role_that_cannot_change_the_log(data: Path) -> None:
    with up(data, embedded.free_port()) as system:
        application_url = running.read(data).environment["MOTCUA_DATABASE_URL"]
        verified = _run("verify", "--database-url", application_url)

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(_execute(application_url, "DELETE FROM dossier.event"))

    assert application_url != system.told["database_url"]
    assert verified.returncode == 0, verified.stderr


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@dataclass
class Counter:
    """One-stop software that posts dossiers one after the other and sends again whatever was not answered."""

    url: str
    key: str
    name: str
    acknowledged: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {self.key}"}, timeout=30) as client:
            number = 0
            while not self.stopping.is_set():
                number += 1
                code = f"H37.{self.name}-{number:05d}"
                events = [builders.received(code), builders.paid(code, amount=5), builders.resolved(code)]
                while not self._sent(client, events):
                    time.sleep(0.05)
                self.acknowledged.append(code)

    def _sent(self, client: httpx.Client, events: Sequence[builders.Json]) -> bool:
        try:
            answer = client.post(f"{self.url}/v1/events", json=events)
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            assert answer.headers["Retry-After"]
            return False
        told = answer.json()
        assert told["accepted"] + told["duplicate"] == len(events), told
        return True


def test_kill_9_of_any_process_loses_nothing_acknowledged_and_counts_nothing_twice(data: Path) -> None:
    with up(data, embedded.free_port()) as system:
        counters = [Counter(system.told["url"], system.told["api_key"], f"C{number}") for number in range(3)]
        threads = [threading.Thread(target=counter.run) for counter in counters]
        for thread in threads:
            thread.start()
        for name in ("dossier", "metrics", "gateway", "postgres", "dossier", "postgres"):
            _kill_and_await_its_successor(system, name)
            _until_more_is_acknowledged(counters)
        for counter in counters:
            counter.stopping.set()
        for thread in threads:
            thread.join(_PATIENCE)

        acknowledged = {code for counter in counters for code in counter.acknowledged}
        with system.client() as client:
            total = _total(client)
            logged = _log(client)

        assert len(acknowledged) > 20
        assert {event["subject"] for event in logged} == acknowledged
        assert len(logged) == 3 * len(acknowledged)
        assert len({event["id"] for event in logged}) == len(logged)
        assert [int(event["position"]) for event in logged] == list(range(1, len(logged) + 1))
        assert total["counts"]["received"] == total["counts"]["resolved"] == len(acknowledged)
        assert total["rates"]["online_payment"]["numerator"] == len(acknowledged)

        rebuilt = _run("rebuild", "--data", data)

        assert rebuilt.returncode == 0, rebuilt.stderr
        assert f"{len(acknowledged)} dossiers counted up to position {len(logged)}, 0 cells changed" in rebuilt.stdout


def _kill_and_await_its_successor(system: Up, name: str) -> None:
    victim = running.read(system.data).pids[name]
    os.kill(victim, signal.SIGKILL)
    _until(lambda: running.read(system.data).pids[name] != victim)


def _until_more_is_acknowledged(counters: Sequence[Counter]) -> None:
    before = [len(counter.acknowledged) for counter in counters]
    _until(lambda: all(len(c.acknowledged) > count + 1 for c, count in zip(counters, before, strict=True)))


def _total(client: httpx.Client) -> dict[str, Any]:
    """Return the total once everything recorded is counted."""
    head = client.get("/v1/feed", params={"limit": 1}).raise_for_status().json()["head"]
    answer = client.get("/v1/rates", params={"period": "2026-10", "by": "none", "min_position": head})
    total: dict[str, Any] = answer.raise_for_status().json()["total"]
    return total


def _log(client: httpx.Client) -> list[builders.Json]:
    events: list[builders.Json] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = client.get("/v1/events", params={"cursor": cursor, "limit": 500}).raise_for_status().json()
        events += page["items"]
        cursor = page["next_cursor"]
    return events


def test_nothing_is_left_running_when_motcua_itself_is_killed(data: Path) -> None:
    port = embedded.free_port()
    with up(data, port) as killed:
        pids = killed.told["pids"]
        killed.process.kill()
        killed.process.wait(_PATIENCE)
        _until(lambda: not any(_is_alive(pids[name]) for name in ("gateway", "dossier", "metrics")))
        with pytest.raises(running.NotRunning):
            running.read(data)

    with up(data, port) as second, second.client() as client:
        assert client.get("/v1/rates", params={"period": "2026-10"}).status_code == 200
        assert not _is_alive(pids["postgres"])


def _one_sentence(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a command that could not start; there is no traceback and no other line."""
    lines = [line for line in finished.stderr.splitlines() if line != "Stopping …"]
    assert finished.returncode == 1
    assert len(lines) == 1, finished.stderr
    return lines[0]


def test_a_port_in_use_is_said_in_one_sentence(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        sentence = _one_sentence(_run("up", "--port", str(port), "--data", data))

    assert sentence.startswith(f"motcua: Port {port} on 127.0.0.1 is already in use")


def test_an_unwritable_data_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    sentence = _one_sentence(_run("up", "--port", str(embedded.free_port()), "--data", tmp_path / "file" / "data"))

    assert str(tmp_path / "file") in sentence


def test_a_postgresql_that_is_not_there_is_said_in_one_sentence(data: Path, tmp_path: Path) -> None:
    arguments = ("up", "--port", str(embedded.free_port()), "--data", data)

    sentence = _one_sentence(_run(*arguments, MOTCUA_PG_BINDIR=str(tmp_path)))

    assert "MOTCUA_PG_BINDIR" in sentence


def test_a_second_motcua_on_the_same_data_is_said_in_one_sentence(data: Path) -> None:
    with up(data, embedded.free_port()):
        sentence = _one_sentence(_run("up", "--port", str(embedded.free_port()), "--data", data))

    assert str(data) in sentence


def test_a_command_without_a_running_system_says_so_in_one_sentence(tmp_path: Path) -> None:
    sentence = _one_sentence(_run("rates", "--period", "2026-10", "--data", tmp_path))

    assert "motcua up" in sentence


def test_a_wrong_setting_is_named_and_the_process_does_not_start(tmp_path: Path) -> None:
    environment = {"MOTCUA_DATABASE_URL": "mysql://nowhere", "MOTCUA_INTERNAL_KEY": "short"}

    finished = subprocess.run(
        [sys.executable, "-m", "services.dossier"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
    )

    assert finished.returncode == 2
    assert "MOTCUA_DATABASE_URL: " in finished.stderr
    assert "MOTCUA_INTERNAL_KEY: " in finished.stderr


def test_simulated_events_are_sent_from_a_file_and_again_without_harm(data: Path, tmp_path: Path) -> None:
    lines = _run("simulate", "--dossiers", "40", "--to", "2026-10-09", "--duplicates", "0.2", "--shuffled", "0.2")
    file = tmp_path / "events.ndjson"
    file.write_text(lines.stdout)
    told = [json.loads(line) for line in lines.stdout.splitlines()]
    received, voided = ({e["subject"] for e in told if e["type"].endswith(end)} for end in (".received", ".voided"))
    with up(data, embedded.free_port()) as system, system.client() as client:
        sent, again = (_run("send", file, "--data", data) for _ in range(2))
        total = _total(client)
        shown = _run("rates", "--period", "2026-10", "--data", data)

    assert sent.returncode == again.returncode == 0, sent.stderr
    assert " 0 conflict, 0 rejected" in sent.stdout
    assert again.stdout.startswith("0 accepted")
    assert total["counts"]["received"] == len(received - voided) > 35
    assert "Phường Đông Kinh" in shown.stdout
    (total_line,) = (line for line in shown.stdout.splitlines() if "Tổng cộng" in line)
    # Three rates and four counts, whole, on a line that fits the usual terminal of a hundred columns and a bit.
    assert len(total_line.replace(" %", "%").split()) == 2 + 4 + 3
    assert max(len(line) for line in shown.stdout.splitlines()) <= 107


def test_a_folder_started_empty_is_never_filled_with_simulated_dossiers(data: Path) -> None:
    with up(data, embedded.free_port()):
        pass

    process = subprocess.Popen(
        _command("up", "--json", "--port", str(embedded.free_port()), "--data", data),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    started = Up(process, json.loads(process.stdout.readline()), data)
    with started.client() as client:
        recorded = client.get("/v1/feed").json()["entries"]
    status = started.stop()
    process.communicate()

    assert recorded == []
    assert status == 0


def test_events_are_sent_through_a_pipe_and_different_seeds_never_meet(data: Path) -> None:
    first, second = (_run("simulate", "--dossiers", "5", "--seed", seed) for seed in ("1", "2"))
    with up(data, embedded.free_port()):
        sent = [
            subprocess.run(
                _command("send", "-", "--data", data), input=lines, capture_output=True, text=True, check=False
            )
            for lines in (first.stdout, second.stdout)
        ]

    assert [finished.returncode for finished in sent] == [0, 0]
    assert all(" 0 duplicate, 0 conflict, 0 rejected" in finished.stdout for finished in sent)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("send", "nowhere.ndjson"), "nowhere.ndjson"),
        (("simulate", "--province", "77"), "choose from 19, 20"),
        (("simulate", "--from", "2026-12-01", "--to", "2026-11-01"), "before"),
        (("simulate", "--from", "tomorrow"), "YYYY-MM-DD"),
        (("client", "add", "x", "--province", "abc"), "abc is no code"),
        (("client", "add", "x", "--scopes", "everything"), "rates:read"),
        (("migrate", "--database-url", "mysql://x"), "postgresql://"),
        (("rates", "--period", "2026-10", "--url", "http://127.0.0.1:1", "--key", "k"), "does not answer"),
        (("rates", "--period", "2026-10", "--url", "127.0.0.1", "--key", "k"), "does not answer"),
        (("up", "--port", "65536"), "65535"),
    ],
)
def test_what_an_operator_mistypes_is_said_without_a_traceback(arguments: Sequence[str], said: str) -> None:
    finished = _run(*arguments)

    assert finished.returncode in {1, 2}
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr
