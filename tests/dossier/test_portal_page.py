"""The page for vendors shows requests that work, and names every field that is read and every reason that is given."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from services.dossier.portal import dossiers, progress
from tests.running import System

PAGE = (Path(__file__).parents[2] / "docs" / "national-portal.md").read_text(encoding="utf-8")


def test_the_requests_of_the_page_are_answered_as_it_says(system: System) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    environment = {**os.environ, "MOTCUA_URL": system.gateway_url, "MOTCUA_API_KEY": system.key()}
    shown = re.findall(r"^```sh\n(curl .*?)^```\n\n```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

    answers = []
    for request, _ in shown:
        command = request.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
        ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
        answers.append(json.loads(ran.stdout))

    assert len(shown) == 2
    assert answers == [json.loads(answer) for _, answer in shown]


def test_the_page_names_every_field_that_is_read() -> None:
    rows = {name for row in re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    text = set(re.findall(r"`(\w+)`", PAGE))

    assert dossiers.FIELDS - {"DonViXuLy"} <= rows
    assert progress.FIELDS | {"DonViXuLy"} <= text


def test_what_the_page_calls_dropped_is_not_read() -> None:
    section = PAGE.split("## What is dropped\n", 1)[1].split("\n## ", 1)[0]
    named = set(re.findall(r"`(\w+)`", section))

    assert len(named) > 15
    assert not named & (dossiers.FIELDS | progress.FIELDS)
