"""`motcua up` runs the whole system on one machine: PostgreSQL, the three services, and something to show."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli import clients, demo, embedded, migrations, posting, processes, running, table
from services.cli.processes import Service
from services.cli.running import Running
from services.gateway.domain.access import SCOPES

_WATCH_SECONDS = 0.2
_LARGEST_LOG_BYTES = 20 * 1024 * 1024
_APPLICATION_ROLE = "motcua_application"

# What a person is told goes to standard error; standard output is for what was asked for.
_console = Console(stderr=True)


class CannotStart(Exception):
    """Something about the machine is not as it must be; the message is a sentence for the operator."""


class _Stopped(Exception):
    """SIGINT or SIGTERM arrived."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `motcua up` was asked for."""

    empty: bool
    port: int
    data: Path
    as_json: bool


def up(options: Options) -> None:
    """Run the system until SIGINT or SIGTERM.

    :raises CannotStart: the port is taken.
    :raises embedded.NoPostgres: PostgreSQL cannot be had.
    :raises processes.NotStarted: a service does not start.
    """
    with _signals_raise(), contextlib.suppress(_Stopped):
        _check_port(options.port)
        began = time.monotonic()
        server = embedded.start(options.data, bindir=embedded.find_bindir(_bindir()))
        services: list[Service] = []
        try:
            migrations.upgrade(server.url)
            # The role gets a new password at each start; nobody else needs to know it.
            application_url = migrations.admit(server.url, _APPLICATION_ROLE, secrets.token_urlsafe(24))
            _start_services(services, options, application_url)
            processes.wait_until_ready(services)
            started = _running(options, server, services)
            running.write(options.data, started)
            _show(options, started, time.monotonic() - began)
            while True:
                time.sleep(_WATCH_SECONDS)
                server = _watch(options, server, services, started)
        finally:
            with _signals_ignored():
                _console.print("\nStopping …" if sys.stderr.isatty() else "Stopping …")
                running.remove(options.data)
                processes.stop(services)
                embedded.stop(server)


def _bindir() -> Path | None:
    setting = os.environ.get("MOTCUA_PG_BINDIR")
    return Path(setting) if setting else None


def _raise_stopped(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an exception, so that whatever has begun is undone in order."""
    before = {number: signal.signal(number, _raise_stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    """Let a second Ctrl-C not leave half of the system behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    yield


def _check_port(port: int) -> None:
    try:
        _bind(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"Port {port} on 127.0.0.1 is already in use; end the program that uses it or"
        else:
            why = f"Port {port} on 127.0.0.1 cannot be used ({error.strerror});"
        raise CannotStart(f"{why} choose another with --port.") from error


def _bind(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def _is_free(port: int) -> bool:
    try:
        _bind(port)
    except (OSError, OverflowError):
        return False
    return True


def _start_services(services: list[Service], options: Options, database_url: str) -> None:
    """Start the services, each on the gateway's next ports where those are free, else on any."""
    ports = {"gateway": options.port}
    for name, preferred in (("dossier", options.port + 1), ("metrics", options.port + 2)):
        ports[name] = preferred if _is_free(preferred) else embedded.free_port()
    environment = {
        "MOTCUA_DATABASE_URL": database_url,
        "MOTCUA_INTERNAL_KEY": secrets.token_urlsafe(32),
        "MOTCUA_DOSSIER_URL": f"http://127.0.0.1:{ports['dossier']}",
        "MOTCUA_METRICS_URL": f"http://127.0.0.1:{ports['metrics']}",
        "MOTCUA_PROVINCES": demo.PROVINCE,
    }
    for name in ("gateway", "metrics", "dossier"):
        log = options.data / f"{name}.log"
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        services.append(processes.start(name, ports[name], environment, log))


def _running(options: Options, server: embedded.Server, services: list[Service]) -> Running:
    environment = next(service.environment for service in services if service.name == "metrics")
    return Running(
        url=f"http://127.0.0.1:{options.port}",
        api_key=_operator_key(server.url, options.data / "api-key"),
        database_url=server.url,
        pids={**{service.name: service.process.pid for service in services}, "postgres": server.process.pid},
        supervisor=os.getpid(),
        environment={name: value for name, value in environment.items() if name.startswith("MOTCUA_")},
    )


def _operator_key(database_url: str, file: Path) -> str:
    """Return the key that this data folder's operator has had since its first start."""
    kept = file.read_text().strip() if file.exists() else ""
    # After a restore from elsewhere the file and the database may not know each other.
    if kept and asyncio.run(clients.works(database_url, kept)):
        return kept
    try:
        added = clients.add(database_url, "operator", province=demo.PROVINCE, units=None, sources=None, scopes=SCOPES)
        key = asyncio.run(added)
    except clients.NotDone:
        key = asyncio.run(clients.add_key(database_url, "operator", demo.PROVINCE))
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as opened:
        opened.write(key)
    return key


def _show(options: Options, started: Running, seconds: float) -> None:
    """Load what a fresh system shows, and tell the operator what there is."""
    with posting.client(started.url, started.api_key) as gateway:
        if not demo.has_reference(gateway):
            demo.load_reference(gateway, demo.PROVINCE)
        without_demo = options.data / "without-demo"
        if options.empty:
            without_demo.touch()
        if not without_demo.exists():
            _load_month(options.data / "demo-incomplete", gateway)
        if options.as_json:
            line = {name: getattr(started, name) for name in ("url", "api_key", "database_url", "pids")}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            return
        answer = gateway.get("/v1/rates", params={"period": demo.PERIOD}).raise_for_status().json()
    if answer["total"]["counts"]["received"]:
        table.show(answer)
    _tell(started, seconds)


def _load_month(incomplete: Path, gateway: httpx.Client) -> None:
    """Fill an empty log with the simulated month; one that was interrupted is sent again, which harms nothing."""
    if not incomplete.exists():
        if demo.has_events(gateway):
            return
        incomplete.touch()
    columns = (TextColumn("Loading October 2026 of Lạng Sơn"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task("events", total=None)
        outcome = demo.load_month(
            gateway, lambda total: progress.update(task, total=total), lambda done: progress.advance(task, done)
        )
    # The table that follows is to hold all of it.
    gateway.get("/v1/rates", params={"period": demo.PERIOD, "by": "none", "min_position": outcome.position})
    incomplete.unlink()


def _tell(started: Running, seconds: float) -> None:
    key, url = started.api_key, started.url
    sys.stdout.write(
        f"""
motcua answers at {url} (ready after {seconds:.1f} s); Ctrl-C stops it.

API key of the operator, good for everything:  {key}

Documentation to try things in:   {url}/docs
Rates of a month, per unit:
  curl -H 'Authorization: Bearer {key}' '{url}/v1/rates?period={demo.PERIOD}'
Tell it of a dossier:
  curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' '{url}/v1/events' -d '{_EVENT}'
See the dossier:
  curl -H 'Authorization: Bearer {key}' '{url}/v1/dossiers/{_CODE}'
"""
    )
    sys.stdout.flush()


_CODE = "H37.05977-261030-9000"
_EVENT = json.dumps(
    {
        "specversion": "1.0",
        "id": "first-1",
        "source": "urn:example:first",
        "type": "vn.motcua.dossier.received",
        "subject": _CODE,
        "time": "2026-10-30T08:30:00+07:00",
        "data": {"procedure": "2.000815", "receiving_unit": "05977", "channel": "online"},
    }
)


def _watch(options: Options, server: embedded.Server, services: list[Service], started: Running) -> embedded.Server:
    """Start again whatever has died; the data folder and the addresses stay the same."""
    changed = False
    if server.process.poll() is not None:
        _console.print("PostgreSQL ended and is started again.", highlight=False)
        embedded.stop(server)
        server = embedded.start(options.data, bindir=embedded.find_bindir(_bindir()), port=server.port)
        changed = True
    for service in services:
        sentence = processes.start_again_if_dead(service)
        if sentence is not None:
            _console.print(sentence, highlight=False)
            changed = True
    if changed:
        pids = {**{service.name: service.process.pid for service in services}, "postgres": server.process.pid}
        running.write(options.data, replace(started, pids=pids))
    return server


def quiet_libraries() -> None:
    """Keep the migrations' log lines off the operator's screen."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
