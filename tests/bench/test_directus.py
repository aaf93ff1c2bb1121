"""Directus is asked what the system is asked, its answers are read as they are meant, and it is installed whole."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from bench import directus

ROOT = Path(__file__).resolve().parents[2]
RECEIVED, RESOLVED = directus.QUESTIONS

EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "urn:test",
    "type": "vn.motcua.dossier.received",
    "subject": "H37-1",
    "time": "2026-10-05T08:30:00+07:00",
    "data": {"channel": "online"},
}
STORED = {name: EVENT[name] for name in ("source", "id", "type", "subject", "time", "data")}


def asked(request: bytes) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.split(b" ")[1].decode()).query)


def body(request: bytes) -> object:
    return orjson.loads(request.partition(b"\r\n\r\n")[2])


def install(npm: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Ask for Directus's folder where npm is this script and the cache of the user is `folder`."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "npm").write_text(f"#!/bin/sh\n{npm}\n")
    (programs / "npm").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-c", "from bench import directus; print(directus.installed())"],
        cwd=ROOT,
        env={"PATH": path, "XDG_CACHE_HOME": str(folder)},
        check=False,
        capture_output=True,
        text=True,
    )


def test_an_event_is_posted_with_the_fields_of_its_collection() -> None:
    [request] = directus.creates([EVENT])

    assert request.startswith(b"POST /items/event?fields=position HTTP/1.1\r\n")
    assert body(request) == STORED


def test_a_list_of_events_is_one_request() -> None:
    [request] = directus.creates([[EVENT, EVENT]])

    assert body(request) == [STORED, STORED]


def test_the_month_is_asked_for_by_unit_and_without_a_limit() -> None:
    request = directus.aggregate(RESOLVED, date(2026, 10, 1), date(2026, 10, 31))

    query = asked(request)
    assert orjson.loads(query.pop("filter")[0]) == {
        "ended_on": {"_between": ["2026-10-01", "2026-10-31"]},
        "status": {"_eq": "resolved"},
    }
    assert query == {
        "groupBy[]": ["resolving_unit"],
        "aggregate[count]": ["*"],
        "aggregate[sum]": ["resolved_early,resolved_on_time,resolved_late,full_online"],
        "limit": ["-1"],
    }


def test_an_answer_is_read_under_the_names_of_the_systems_counts() -> None:
    answer = b'{"data":[{"resolving_unit":"06115","count":"7","sum":{"fee_due":"5","paid_online":"3"}}]}'

    counts = directus.counts(RECEIVED, answer)

    assert counts == {"06115": {"received": 7, "fee_due": 5, "paid_online": 3}}


@pytest.mark.parametrize("counted", [True, False])
def test_the_first_field_of_a_collection_is_its_key(*, counted: bool) -> None:
    made = directus.collection("dossier", {"code": "string", "due_on": "date"}, counted=counted)

    assert [field["schema"] for field in made["fields"]] == [
        {"is_primary_key": True, "has_auto_increment": counted},
        {},
    ]


def test_directus_listens_on_this_machine_only_and_tells_nobody(tmp_path: Path) -> None:
    settings = directus.environment(tmp_path, "postgresql://127.0.0.1/x", 20_000)

    assert settings["HOST"] == "127.0.0.1"
    assert settings["TELEMETRY"] == "false"


def test_directus_is_installed_once(tmp_path: Path) -> None:
    first = install("touch installed; echo x >> $XDG_CACHE_HOME/runs", tmp_path)
    second = install("echo x >> $XDG_CACHE_HOME/runs", tmp_path)

    folder = tmp_path / "motcua-bench" / f"directus-{directus.VERSION}"
    assert first.stdout.splitlines()[-1] == second.stdout.strip() == str(folder)
    assert (folder / "installed").exists()
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_failed_npm_leaves_nothing_behind_and_is_quoted(tmp_path: Path) -> None:
    ran = install("touch half; echo no such version; exit 1", tmp_path)

    assert ran.returncode == 1
    assert "no such version" in ran.stderr
    assert list((tmp_path / "motcua-bench").iterdir()) == []
