"""What the commands of an operator say they do, they do, beside a system that goes on answering."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Sequence

import orjson
import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests import databases
from tests.builders import UNIT, received, resolved
from tests.running import INTERNAL_KEY, System


def _rebuild(system: System, **other: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "MOTCUA_DATABASE_URL": system.database_url,
        "MOTCUA_DOSSIER_URL": system.dossier_url,
        "MOTCUA_INTERNAL_KEY": INTERNAL_KEY,
        **other,
    }
    command = [sys.executable, "-m", "services.cli", "rebuild"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_rebuild_mends_what_was_changed_by_hand_and_says_how_much_that_was(system: System) -> None:
    with system.client() as client:
        events = [received("H37-1"), resolved("H37-1"), received("H37-2")]
        position = client.post("/v1/events", json=events).json()["position"]
        asked = {"period": "2026-10", "unit": UNIT, "min_position": position}
        before = client.get("/v1/rates", params=asked).json()["total"]
        spoiled = f"UPDATE metrics.cell SET received = 9 WHERE span IN ('day', 'month') AND unit = '{UNIT}'"  # noqa: S608
        asyncio.run(databases.execute(system.database_url, spoiled))

        first, second = _rebuild(system), _rebuild(system)
        after = client.get("/v1/rates", params=asked).json()["total"]

    assert [found.returncode for found in (first, second)] == [0, 0], first.stderr
    told = [
        re.fullmatch(r"province 20: 2 dossiers counted up to position (\d+), (\d+) cells changed\n", found.stdout)
        for found in (first, second)
    ]
    assert told[0] is not None
    assert told[1] is not None
    assert (told[0][1], told[1][1]) == (position, position)
    assert int(told[0][2]) > 0
    assert int(told[1][2]) == 0
    assert after == before


def test_a_rebuild_that_cannot_read_the_feed_changes_nothing_and_fails(system: System) -> None:
    found = _rebuild(system, MOTCUA_DOSSIER_URL="http://127.0.0.1:9")

    assert (found.returncode, found.stdout) == (1, "")
    assert "could not be finished" in found.stderr


def _simulated(*options: str) -> Sequence[tuple[str, str]]:
    """Return type and time of each event, in the order in which they are posted."""
    command = ["simulate", "--dossiers", "300", "--to", "2026-10-14", *options]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    events = [orjson.loads(line) for line in ran.stdout_bytes.splitlines()]
    return [(event["subject"] + event["type"], event["time"]) for event in events]


@pytest.mark.parametrize("option", ["--late-ends", "--outages", "--missing-ends"])
def test_a_fault_changes_when_something_is_told_and_nothing_that_happened(option: str) -> None:
    usual, faulty = _simulated(), _simulated(option, "0.5")

    assert faulty != usual
    assert sorted(faulty) == sorted(usual)
