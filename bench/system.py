"""A benchmark has a whole system to itself: a durable PostgreSQL, one process a service, all gone when it ends."""

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import orjson

from services.cli import clients, embedded, migrations, reference, simulation
from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant
from services.gateway.domain.access import SCOPES

PROVINCE = "20"
GZIP = {"accept-encoding": "gzip"}
"""What browsers and HTTP libraries say unasked when they read."""
INTERNAL_KEY = "an-internal-key-for-benchmarks"
GRANT = Grant(client="bench", province=PROVINCE)

ROOT = Path(__file__).resolve().parents[1]
_SECONDS_TO_START = 60.0
_SECONDS_TO_STOP = 15.0


@dataclass(frozen=True, slots=True)
class Host:
    """A PostgreSQL with its usual durable settings, and a folder for what the processes say."""

    url: str
    folder: Path

    def named(self, database: str) -> str:
        """Return the address of another database of the same server."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))


@dataclass(frozen=True, slots=True)
class System:
    """Where the services listen on 127.0.0.1, the database they share, and what each must be sent to be let in."""

    gateway: int
    dossier: int
    metrics: int
    database_url: str
    key: str

    @property
    def outside(self) -> Mapping[str, str]:
        """The headers of a client of the gateway."""
        return {"authorization": f"Bearer {self.key}"}

    @property
    def inside(self) -> Mapping[str, str]:
        """The headers with which the gateway asks a service."""
        return {INTERNAL_KEY_HEADER: INTERNAL_KEY, GRANT_HEADER: GRANT.model_dump_json()}


@contextlib.contextmanager
def host() -> Iterator[Host]:
    """Run a PostgreSQL of the benchmark's own until the block ends, and leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="motcua-bench-"))
    # The account that PostgreSQL drops to when we are root must be able to pass.
    folder.chmod(0o755)
    bindir = os.environ.get("MOTCUA_PG_BINDIR")
    try:
        server = embedded.start(folder / "data", bindir=embedded.find_bindir(Path(bindir) if bindir else None))
        try:
            yield Host(server.url, folder)
        finally:
            embedded.stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def database(on: Host, name: str) -> str:
    """Make an empty database and return its address."""
    connection = await asyncpg.connect(on.url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return on.named(name)


async def migrated(on: Host, name: str) -> str:
    """Make a database with all tables of the system and return its address."""
    url = await database(on, name)
    # Alembic's environment runs an event loop of its own.
    await asyncio.to_thread(migrations.upgrade, url)
    return url


@contextlib.asynccontextmanager
async def process(
    on: Host, command: Sequence[str], port: int, environment: Mapping[str, str] | None = None, *, ready: str = "/readyz"
) -> AsyncIterator[None]:
    """Run `python -m command…` until the block ends; the block begins when `ready` answers 200 on `port`."""
    python = [sys.executable, "-m", *command]
    async with program(on, python, port, environment, ready=ready, folder=ROOT):
        yield


@contextlib.asynccontextmanager
async def program(  # noqa: PLR0913 - what, where, and how to tell that it runs
    on: Host,
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str] | None = None,
    *,
    ready: str,
    folder: Path,
) -> AsyncIterator[None]:
    """Run any command in `folder` until the block ends; the block begins when `ready` answers 200 on `port`."""
    log = on.folder / f"{port}.log"
    with log.open("wb") as out:
        running = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            command,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), **(environment or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        await _answers(running, f"http://127.0.0.1:{port}{ready}", log)
        yield
    finally:
        running.terminate()
        try:
            await asyncio.to_thread(running.wait, _SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


async def _answers(running: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at = time.monotonic() + _SECONDS_TO_START
    async with httpx.AsyncClient() as client:
        while running.poll() is None and time.monotonic() < give_up_at:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(0.05)
    raise SystemExit(_last_words(url, log))


def _last_words(url: str, log: Path) -> str:
    return f"{url} does not answer; its log ends with: {log.read_text(errors='replace')[-2000:]}"


@contextlib.asynccontextmanager
async def system(on: Host, database_url: str) -> AsyncIterator[System]:
    """Run dossier, metrics and gateway on a migrated database, with Lạng Sơn's reference data and nothing recorded."""
    running = System(
        gateway=embedded.free_port(),
        dossier=embedded.free_port(),
        metrics=embedded.free_port(),
        database_url=database_url,
        key=await _key(database_url),
    )
    async with contextlib.AsyncExitStack() as stack:
        for name, port in (("dossier", running.dossier), ("metrics", running.metrics), ("gateway", running.gateway)):
            await stack.enter_async_context(process(on, [f"services.{name}"], port, environment(running, port)))
        await _load_reference(running)
        yield running


def environment(running: System, port: int, *, metrics: int | None = None) -> Mapping[str, str]:
    """Return the settings of any of the services, listening on `port`; a gateway finds metrics at port `metrics`."""
    return {
        "MOTCUA_PORT": str(port),
        "MOTCUA_DATABASE_URL": running.database_url,
        "MOTCUA_INTERNAL_KEY": INTERNAL_KEY,
        "MOTCUA_DOSSIER_URL": f"http://127.0.0.1:{running.dossier}",
        "MOTCUA_METRICS_URL": f"http://127.0.0.1:{metrics or running.metrics}",
        "MOTCUA_PROVINCES": PROVINCE,
        "MOTCUA_LOG_LEVEL": "warning",
        # One client asks more here than any client may: its allowance is not what is measured.
        "MOTCUA_REQUESTS_PER_SECOND": "1000000",
    }


async def _key(database_url: str) -> str:
    name, province = GRANT.client, GRANT.province
    return await clients.add(database_url, name, province=province, units=None, sources=None, scopes=SCOPES)


async def _load_reference(running: System) -> None:
    files = {"units": f"{PROVINCE}/units.csv", "procedures": "procedures.csv", "calendar": "calendar.csv"}
    base = f"http://127.0.0.1:{running.gateway}"
    async with httpx.AsyncClient(base_url=base, headers=dict(running.outside), timeout=30) as client:
        for path, name in files.items():
            content, content_type = reference.csv_text(name), {"Content-Type": "text/csv"}
            (await client.put(f"/v1/{path}", content=content, headers=content_type)).raise_for_status()


def scenario(dossiers: int) -> simulation.Scenario:
    """Return so many dossiers of Lạng Sơn, received from January through October 2026."""
    return simulation.Scenario(
        seed=1,
        province=PROVINCE,
        first_day=date(2026, 1, 1),
        last_day=date(2026, 10, 31),
        dossiers=dossiers,
        units=reference.units(PROVINCE),
        procedures=reference.procedures(),
        traffic=reference.traffic(),
        calendar=reference.calendar(),
    )


def events(dossiers: int) -> Iterator[dict[str, Any]]:
    """Yield what happened to the dossiers of the scenario, in the order in which it is posted."""
    return (delivery.event for delivery in simulation.events(scenario(dossiers)))


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return an HTTP/1.1 request ready to be written to a connection that is kept open."""
    sent = {"host": "127.0.0.1", **headers}
    if body:
        sent |= {"content-type": "application/json", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def posts(path: str, headers: Mapping[str, str], contents: Sequence[object]) -> list[bytes]:
    """Return one POST for each of the contents, an event or a list of events."""
    return [request("POST", path, headers, orjson.dumps(content)) for content in contents]


def noise() -> float:
    """Return how many milliseconds a fixed loop takes now: where it takes longer, others are using the machine."""
    began = time.perf_counter()
    sum(range(1_500_000))
    return (time.perf_counter() - began) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one round of one subject measured: how many a second, latencies in seconds, and the machine's noise."""

    rate: float
    latencies: Sequence[float]
    noise: float
    busy: float
    """The share of the time in which the load generator itself was computing."""


def table(figures: Mapping[str, Sequence[Figure]], unit: str) -> str:
    """Return the rounds of each subject as lines of text: best and median rate, latencies of all rounds, noise."""
    width = max(map(len, figures))
    lines = [
        f"{'':{width}}  {unit + ' best':>18} {'median':>9} {'p50 ms':>8} {'p99 ms':>8} {'loop ms':>8} {'load busy':>9}"
    ]
    for name, rounds in figures.items():
        latencies = [latency * 1000 for one in rounds for latency in one.latencies]
        p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
        loop, busy = (
            statistics.median(values) for values in zip(*((one.noise, one.busy) for one in rounds), strict=True)
        )
        rates = f"{best(rounds):18,.0f} {median(rounds):9,.0f}"
        lines.append(f"{name:{width}}  {rates} {p50:8.2f} {p99:8.2f} {loop:8.1f} {busy:9.0%}")
    return "\n".join(lines)


def best(rounds: Sequence[Figure]) -> float:
    """Return the highest rate of the rounds: what the machine can do when left alone."""
    return max(one.rate for one in rounds)


def median(rounds: Sequence[Figure]) -> float:
    """Return the middle rate of the rounds."""
    return statistics.median(one.rate for one in rounds)


def ratio(name: str, over: Sequence[Figure], under: Sequence[Figure]) -> str:
    """Return a line that compares two subjects by their best and by their median rounds."""
    return f"ratio {name}: {best(over) / best(under):.2f} (best), {median(over) / median(under):.2f} (median)"


def say(text: str) -> None:
    """Print a line at once, so that whoever waits sees where the time goes."""
    print(text, flush=True)


def timed(what: str, since: float, clock: Callable[[], float] = time.perf_counter) -> None:
    """Print how long something took that is not itself measured."""
    say(f"# {what}: {clock() - since:.1f} s")
