"""The page for vendors names every field that is read, and calls none dropped that is."""

import re
from pathlib import Path

from services.dossier.portal import dossiers, progress

PAGE = (Path(__file__).parents[2] / "docs" / "national-portal.md").read_text(encoding="utf-8")


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
