"""The pages say what the code does: what they name exists, what they show works, and nothing that counts is missing."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import typer
from typer.testing import CliRunner

from services.cli.main import app
from services.contract import EVENT, Flag
from services.dossier.settings import DossierSettings
from services.dossier.wire import _VI as ITEM_TEXTS
from services.gateway.domain.access import ROUTES
from services.gateway.settings import GatewaySettings
from services.kit.serve import ServerSettings
from services.metrics.settings import MetricsSettings
from tests.running import System

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
README, API = ROOT / "README.md", ROOT / "docs" / "api.md"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"[\w.-]+(/[\w.-]+)*(\.(py|md|toml|yml|yaml|csv|txt)|/)")
_VARIABLE = re.compile(r"\bMOTCUA_[A-Z][A-Z_]*\b")
_PROBLEM = re.compile(r'\bProblem\(\s*[\w.]+,\s*"(\w+)"')


class Block(NamedTuple):
    """A fenced block of a page: the word after the fence and what stands in it."""

    language: str
    text: str


def _blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def _spans(page: Path) -> set[str]:
    """Return what stands between single backticks outside fenced blocks."""
    return set(re.findall(r"`([^`]+)`", _FENCE.sub("", page.read_text(encoding="utf-8"))))


def _sources(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob("*.py")))


def _rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    section = page.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    lines = re.findall(r"^\|(.*)\|$", section.split("\n#", 1)[0], re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def _named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _json_values(text: str) -> Iterator[Any]:
    """Yield every JSON object and array that stands in a text, the outermost of each."""
    decoder, place = json.JSONDecoder(), 0
    while found := re.compile(r"[{\[]").search(text, place):
        try:
            value, place = decoder.raw_decode(text, found.start())
        except ValueError:
            place = found.end()
        else:
            yield value


def _events(value: object) -> Iterator[dict[str, Any]]:
    """Yield the events in a JSON value."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and str(value.get("type", "")).startswith("vn.motcua."):
        yield value
    for member in members:
        yield from _events(member)


@every_page
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = [span for span in _spans(page) if _FILE.fullmatch(span)]

    missing = [name for name in named if not (ROOT / name).exists()]

    assert missing == []


@every_page
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", _FENCE.sub("", page.read_text(encoding="utf-8")))

    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = {span for span in _spans(page) if re.fullmatch(r"test_\w+", span)}

    defined = set(re.findall(r"def (test_\w+)\(", _sources("tests")))

    assert named <= defined


@every_page
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    shell = "\n".join(block.text for block in _blocks(page) if block.language == "sh")
    named = re.findall(r"^make (\w+)", "\n".join([shell, *_spans(page)]), re.MULTILINE)

    defined = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) <= set(defined)


@every_page
def test_every_motcua_command_and_option_that_a_page_names_exists(page: Path) -> None:
    shell = "\n".join(block.text for block in _blocks(page) if block.language == "sh")
    lines = [line for line in [*shell.split("\n"), *_spans(page)] if re.match(r"motcua [a-z]", line)]

    for line in lines:
        command: Any = typer.main.get_command(app)
        words = line.split()[1:]
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_every_motcua_command_stands_in_the_readme() -> None:
    tool: Any = typer.main.get_command(app)
    commands = {
        f"motcua {name} {sub}".strip()
        for name, command in tool.commands.items()
        for sub in getattr(command, "commands", [""])
    }

    # What follows a command in its row is an option or, in capitals, an argument.
    told = {re.sub(r" [-A-Z].*", "", _named(row[0])[0]) for row in _rows(README, "## The tool")}

    assert told == commands


def test_the_readme_and_the_code_know_the_same_variables() -> None:
    settings = (GatewaySettings, DossierSettings, MetricsSettings)
    known = {f"MOTCUA_{name.upper()}" for shape in settings for name in shape.model_fields}

    assert set(_VARIABLE.findall(README.read_text(encoding="utf-8"))) == known | set(
        _VARIABLE.findall(_sources("services"))
    )


def test_the_other_pages_know_no_further_variable() -> None:
    elsewhere = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert set(_VARIABLE.findall(elsewhere)) == set(_VARIABLE.findall(README.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("column", "shape"), [(1, GatewaySettings), (2, DossierSettings), (3, MetricsSettings)])
def test_the_readme_tells_every_default_as_it_is(column: int, shape: type[ServerSettings]) -> None:
    told = {_named(row[0])[0]: row[column] for row in _rows(README, "## Settings") if row[column].strip("\u2013")}

    assert told == {f"MOTCUA_{name.upper()}": _default(shape, name) for name in shape.model_fields}


def _default(shape: type[ServerSettings], name: str) -> str:
    field = shape.model_fields[name]
    if field.is_required():
        return "required"
    value = field.default
    return f"`{','.join(value) if isinstance(value, tuple) else str(value).lower()}`"


def test_the_api_page_and_the_code_know_the_same_problem_codes() -> None:
    told = [_named(row[0])[0] for row in _rows(API, "## Problem codes")]

    assert sorted(told) == sorted(set(_PROBLEM.findall(_sources("services"))))


def test_the_api_page_and_the_code_know_the_same_codes_of_items() -> None:
    told = [_named(row[0])[0] for row in _rows(API, "### Codes of items")]

    assert sorted(told) == sorted(ITEM_TEXTS)


def test_the_api_page_names_every_flag() -> None:
    assert {name for row in _rows(API, "### Out of order") for name in _named(row[0])} == set(get_args(Flag))


def test_the_api_page_names_every_route_with_its_scopes() -> None:
    told = set()
    for row in _rows(API, "## What holds everywhere"):
        method, _, first = _named(row[0])[0].partition(" ")
        told |= {(method, path, *_named(row[1])) for path in (first, *_named(row[0])[1:])}

    assert told == {(route.method, route.path, *route.scopes) for route in ROUTES}


@every_page
def test_every_block_of_json_is_json(page: Path) -> None:
    for block in _blocks(page):
        if block.language == "json":
            json.loads(block.text)


def test_every_event_that_a_page_shows_is_one_the_contract_accepts() -> None:
    # What a page shows as mistaken is shown with the answer it gets, and run.
    right = [page.read_text(encoding="utf-8").split("\n## Common mistakes\n")[0] for page in PAGES]
    texts = [text for page in right for _, text in _FENCE.findall(page)]
    shown = [event for text in texts for value in _json_values(text) for event in _events(value)]

    for event in shown:
        EVENT.validate_python(event)
    assert len(shown) > 5


# The pages whose requests are run, one after the other, on an empty system; those of one tuple on the same.
WALKS = [(("api.md", "feed.md"), 7), (("integrating.md",), 11), (("national-portal.md",), 2)]


@pytest.mark.parametrize(("names", "requests"), WALKS, ids=[names[0] for names, _ in WALKS])
def test_the_requests_of_a_page_are_answered_as_it_says(system: System, names: Sequence[str], requests: int) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    pages = [ROOT / "docs" / name for name in names]
    environment = {**os.environ, "MOTCUA_URL": system.gateway_url, "MOTCUA_API_KEY": _key(pages[0], system)}
    asked = [pair for page in pages for pair in pairwise(_blocks(page)) if re.search(r"\bcurl ", pair[0].text)]

    for request, shown in asked:
        command = f'curl() {{ command curl --silent --show-error "$@"; }}\n{request.text}'
        ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
        # Before the body there may be headers, which are shown as they come.
        headers, _, body = ran.stdout.rpartition("\n")
        answer = json.loads(body)
        if shown.language == "json":
            assert answer == json.loads(shown.text)
        else:
            told, text = _told(shown.text), _compact(answer)
            assert told
            assert _first_missing(told, text) is None, text
            assert [line for line in _HEADER.findall(shown.text) if line not in headers] == []
    assert len(asked) == requests


_HEADER = re.compile(r"^(?:HTTP/1.1 |[\w-]+: )[^\r\n]*", re.MULTILINE)
# What is shortened is compared by the figures, texts and lists of those that it still tells.
_PLAIN = r'(?:"[^"]*"|-?[\d.]+|true|false|null)'
_MEMBER = re.compile(rf'"\w+": ?(?:{_PLAIN}|\[(?:{_PLAIN}(?:, ?{_PLAIN})*)?\])(?=[,}}])')


def _told(text: str) -> list[str]:
    """Return the members of a shortened answer whose values stand there in full, in their order."""
    return [_compact(json.loads(f"{{{member}}}"))[1:-1] for member in _MEMBER.findall(text)]


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _first_missing(parts: Sequence[str], text: str) -> str | None:
    """Return the first of the parts that does not stand in the text after those before it."""
    place = 0
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return part
        place = found + len(part)
    return None


def _key(page: Path, system: System) -> str:
    """Return a key of the client that the page makes, or of one that may do everything."""
    made = re.search(r"^motcua (client add .+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if made is None:
        return system.key()
    ran = CliRunner().invoke(app, made[1].split(), env={"MOTCUA_DATABASE_URL": system.database_url})
    return ran.stdout.strip()


def test_what_a_page_shows_of_an_answer_is_looked_for_in_its_order() -> None:
    shown = '{"a": 1, …, "rows": […], "flags": ["late", "odd"], "b": {"c": "d", …}}'

    told = _told(shown)

    assert told == ['"a":1', '"flags":["late","odd"]', '"c":"d"']
    assert _first_missing(told, '{"a":1,"x":0,"flags":["late","odd"],"b":{"c":"d"}}') is None
    assert _first_missing(told, '{"flags":["late","odd"],"a":1,"b":{"c":"d"}}') == '"flags":["late","odd"]'
