"""A general back end stands beside the system: Directus 11.17.4 by npm, on a database of its own, asked by REST.

It is as fast as its settings make it: its limits, its log, its telemetry and its pages are off, its tables have the
indexes of the others, and no revisions are kept of what is written.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import orjson

from bench import system
from bench.system import Host
from services.cli import embedded

VERSION = "11.17.4"
"""The newest that npm installs."""

EVENT_TABLE = "public.event"

_TOKEN = "a-static-token-for-benchmarks"  # noqa: S105 - of a server that lives as long as the benchmark
_HEADERS = {"authorization": f"Bearer {_TOKEN}"}
# The command line without the question for a newer version, which would be asked of the network.
_PROGRAM = Path("node_modules", "@directus", "api", "dist", "cli", "run.js")

_EVENT = {
    "position": "bigInteger",
    "source": "string",
    "id": "string",
    "type": "string",
    "subject": "string",
    "time": "timestamp",
    "data": "json",
}
_POSTED = tuple(_EVENT)[1:]

# Directus adds up numbers only, so what is counted stands in its table as 0 or 1.
_DOSSIER = {
    "code": ("string", "code"),
    "resolving_unit": ("string", "resolving_unit"),
    "procedure": ("string", "procedure"),
    "channel": ("string", "channel"),
    "status": ("string", "status"),
    "received_on": ("date", "received_on"),
    "ended_on": ("date", "ended_on"),
    "due_on": ("date", "due_on"),
    "fee_due": ("integer", "fee_due::int"),
    "paid_online": ("integer", "(fee_due AND payments_online > 0)::int"),
    "resolved_early": ("integer", "(ended_on < due_on IS TRUE)::int"),
    "resolved_on_time": ("integer", "(ended_on = due_on IS TRUE)::int"),
    "resolved_late": ("integer", "(ended_on > due_on IS TRUE)::int"),
    "full_online": ("integer", "(full_online IS TRUE)::int"),
}

_INDEXES = """
CREATE UNIQUE INDEX event_once ON event (source, id);
CREATE INDEX event_of_dossier ON event (subject);
CREATE INDEX dossier_received ON dossier (received_on);
CREATE INDEX dossier_ended ON dossier (ended_on);
"""


@dataclass(frozen=True, slots=True)
class Directus:
    """Where it listens on 127.0.0.1, and the database it has to itself."""

    port: int
    database_url: str


@dataclass(frozen=True, slots=True)
class Question:
    """One of the requests that the rates of a month take: an answer counts the dossiers of one day column."""

    count: str
    day: str
    sums: Sequence[str]
    condition: Mapping[str, Any]


QUESTIONS = (
    Question("received", "received_on", ("fee_due", "paid_online"), {}),
    Question(
        "resolved",
        "ended_on",
        ("resolved_early", "resolved_on_time", "resolved_late", "full_online"),
        {"status": {"_eq": "resolved"}},
    ),
)
"""Directus has no condition for a single count, so what came and what went are asked apart."""


def installed() -> Path:
    """Return the folder Directus is installed in, of the user's cache; the first time this takes minutes."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "motcua-bench" / f"directus-{VERSION}"
    if folder.exists():
        return folder
    system.say(f"# installing directus {VERSION} in {folder}; once, but for minutes and close to a gigabyte")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # What an interrupted npm leaves behind must never be taken for Directus.
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        (making / "package.json").write_text("{}", encoding="ascii")
        install = [_program("npm"), "install", "--no-audit", "--no-fund", f"directus@{VERSION}", "pg"]
        ran = subprocess.run(install, cwd=making, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        _check(ran)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        msg = f"Directus needs Node.js, and {name} is not on the PATH"
        raise SystemExit(msg)
    return found


def _check(ran: subprocess.CompletedProcess[bytes]) -> None:
    if ran.returncode:
        msg = f"{ran.args} failed; it ended with: {ran.stdout.decode(errors='replace')[-2000:]}"
        raise SystemExit(msg)


def environment(folder: Path, database_url: str, port: int) -> Mapping[str, str]:
    """Return the settings of Directus with whatever it writes to disk in `folder`."""
    return {
        "NODE_ENV": "production",
        "CONFIG_PATH": str(folder / "none.env"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SECRET": "a-secret-for-benchmarks",
        "ADMIN_EMAIL": "bench@example.com",
        "ADMIN_PASSWORD": "a-password-for-benchmarks",
        "ADMIN_TOKEN": _TOKEN,
        "DB_CLIENT": "pg",
        "DB_CONNECTION_STRING": database_url,
        # As many connections as the baseline has.
        "DB_POOL__MIN": "0",
        "DB_POOL__MAX": "32",
        "TELEMETRY": "false",
        "LOG_LEVEL": "silent",
        "CACHE_ENABLED": "false",
        "SERVE_APP": "false",
        "MCP_ENABLED": "false",
        "AI_ENABLED": "false",
        "RATE_LIMITER_ENABLED": "false",
        # It would answer 503 whenever it is as busy as a benchmark makes it.
        "PRESSURE_LIMITER_ENABLED": "false",
        "STORAGE_LOCAL_ROOT": str(folder / "uploads"),
        "EXTENSIONS_PATH": str(folder / "extensions"),
        "MIGRATIONS_PATH": str(folder / "migrations"),
        "TEMP_PATH": str(folder / "temporary"),
    }


@asynccontextmanager
async def running(on: Host) -> AsyncIterator[Directus]:
    """Run Directus, with its collections `event` and `dossier` empty, until the block ends."""
    program = [_program("node"), str(await asyncio.to_thread(installed) / _PROGRAM)]
    url, port = await system.database(on, "directus_bench"), embedded.free_port()
    folder = on.folder / "directus"
    folder.mkdir()
    settings = environment(folder, url, port)
    bootstrap = await asyncio.to_thread(
        subprocess.run,
        [*program, "bootstrap"],
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), **settings, "LOG_LEVEL": "warn"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    _check(bootstrap)
    async with system.program(on, [*program, "start"], port, settings, ready="/server/ping", folder=folder):
        await _make_collections(port)
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(_INDEXES)
        finally:
            await connection.close()
        yield Directus(port, url)


async def _make_collections(port: int) -> None:
    types = {name: type_ for name, (type_, _sql) in _DOSSIER.items()}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=_HEADERS, timeout=30) as client:
        for asked in (collection("event", _EVENT, counted=True), collection("dossier", types, counted=False)):
            (await client.post("/collections", json=asked)).raise_for_status()


def collection(name: str, types: Mapping[str, str], *, counted: bool) -> Mapping[str, Any]:
    """Return what makes a collection with fields of these types; the first is its key, `counted` up or given."""
    key = next(iter(types))
    return {
        "collection": name,
        "schema": {},
        # Neither activity nor revisions are kept: of events, they would be a second log.
        "meta": {"accountability": None},
        "fields": [
            {
                "field": field,
                "type": type_,
                "meta": {},
                "schema": {"is_primary_key": True, "has_auto_increment": counted} if field == key else {},
            }
            for field, type_ in types.items()
        ],
    }


def creates(contents: Sequence[Mapping[str, Any] | Sequence[Mapping[str, Any]]]) -> list[bytes]:
    """Return a POST for each event or list of events; Directus answers with nothing but positions."""
    shaped = [
        _shaped(content) if isinstance(content, Mapping) else [_shaped(event) for event in content]
        for content in contents
    ]
    return system.posts("/items/event?fields=position", _HEADERS, shaped)


def _shaped(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: event[name] for name in _POSTED}


async def fill(directus: Directus, url: str, folder: Path) -> None:
    """Copy every dossier of the table `flat` in the database at `url`, by way of a file in `folder`."""
    rows = folder / "dossiers"
    chosen = ", ".join(sql for _type, sql in _DOSSIER.values())
    source, target = await asyncpg.connect(url), await asyncpg.connect(directus.database_url)
    try:
        await source.copy_from_query(f"SELECT {chosen} FROM flat", output=rows, format="binary")  # noqa: S608 - of our own
        await target.copy_to_table("dossier", source=rows, columns=list(_DOSSIER), format="binary")
        await target.execute("VACUUM ANALYZE dossier")
    finally:
        await source.close()
        await target.close()
        rows.unlink(missing_ok=True)


def aggregate(question: Question, first: date, last: date) -> bytes:
    """Return the request that counts and adds up by unit from the first through the last day."""
    days = {question.day: {"_between": [first.isoformat(), last.isoformat()]}}
    asked = {
        "groupBy[]": "resolving_unit",
        "aggregate[count]": "*",
        "aggregate[sum]": ",".join(question.sums),
        "filter": orjson.dumps({**days, **question.condition}).decode(),
        "limit": "-1",
    }
    path = "/items/dossier?" + "&".join(f"{quote(name)}={quote(value)}" for name, value in asked.items())
    return system.request("GET", path, {**_HEADERS, **system.GZIP})


def counts(question: Question, answer: bytes) -> Mapping[str, Mapping[str, int]]:
    """Return what Directus answered by unit, under the names of the system's counts."""
    return {
        row["resolving_unit"]: {
            question.count: int(row["count"]),
            **{name: int(row["sum"][name]) for name in question.sums},
        }
        for row in orjson.loads(answer)["data"]
    }
