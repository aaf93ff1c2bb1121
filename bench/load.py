"""The load generator is a process of its own and does little: it writes prepared bytes and reads what comes back."""

import asyncio
import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
import uvloop

from bench import system
from bench.system import Figure

R = TypeVar("R")

_READ_AT_ONCE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send to a port of 127.0.0.1: each request once or over and over, until done or the time is up."""

    port: int
    requests: Sequence[bytes]
    connections: int
    seconds: float
    over_and_over: bool = False
    pause: float = 0.0
    """Seconds between an answer and the next request of a connection."""


@dataclass(slots=True)
class Outcome:
    """What came back: how many of each status, how long each took, and how busy this process was meanwhile."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    busy: float = 0.0
    noise: float = 0.0

    def figure(self, each: int = 1) -> Figure:
        """Return the outcome as a figure, where one answer stands for `each` of what is counted."""
        return Figure(len(self.latencies) * each / self.seconds, self.latencies, self.noise, self.busy)

    def expect(self, status: int) -> "Outcome":
        """Return the outcome, or end the benchmark if anything else than `status` was answered."""
        if set(self.statuses) != {status}:
            msg = f"expected {status} only, got {dict(self.statuses)}"
            raise SystemExit(msg)
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's status, its head as it came (in lower case) and its body."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> str:
        """Return the value of a header that is there."""
        return self.head.partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0].decode()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(port: int) -> Connection:
    """Open a connection to a port of 127.0.0.1 that can be asked again and again."""
    return await asyncio.open_connection("127.0.0.1", port, limit=_READ_AT_ONCE)


async def ask(connection: Connection, request: bytes) -> Answer:
    """Write a request and read its answer, whose length the server announces."""
    reader, writer = connection
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    announced = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(announced)) if announced.strip() else b""
    return Answer(status, head, body)


Generator = ProcessPoolExecutor
"""A process that generates load; it is the same for all turns of a benchmark, so that none pays for its start."""


def generator() -> Generator:
    """Return a fresh load generator; leave it as a context manager."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def run(on: Generator, *loads: Load) -> list[Outcome]:
    """Carry out the loads at the same time; one outcome a load."""
    return _elsewhere(on, _all, loads)


def copy(  # noqa: PLR0913 - where to, what, and how much of it
    on: Generator,
    url: str,
    batches: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]],
    columns: Mapping[str, Sequence[str]],
    connections: int,
    seconds: float,
) -> tuple[Outcome, int]:
    """COPY batches into tables of the schema `dossier`, one transaction a batch; tell rows of the first table."""
    return _elsewhere(on, _copy, url, batches, columns, connections, seconds)


def query(  # noqa: PLR0913 - whom, what, and how much of it
    on: Generator, url: str, sql: str, arguments: Sequence[Any], connections: int, seconds: float
) -> Outcome:
    """Ask PostgreSQL one question over and over."""
    return _elsewhere(on, _query, url, sql, arguments, connections, seconds)


def freshness(on: Generator, port: int, requests: Sequence[bytes], read: bytes) -> Outcome:
    """Post one event after another, each followed by `read` for its POSITION; time from the 201 to that answer."""
    return _elsewhere(on, _freshness, port, requests, read)


def _elsewhere(on: Generator, function: Callable[..., Awaitable[R]], *arguments: Any) -> R:  # noqa: ANN401 - the function's own
    return on.submit(_run, function, arguments).result()


def _run(function: Callable[..., Awaitable[R]], arguments: Sequence[Any]) -> R:
    async def main() -> R:
        return await function(*arguments)

    return uvloop.run(main())


async def _measured(connections: int, seconds: float, begin: Callable[[Outcome, float], Awaitable[None]]) -> Outcome:
    """Run `begin` once for each connection, given where to note what happens and when to stop."""
    outcome = Outcome(noise=system.noise())
    computing, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(begin(outcome, began + seconds) for _ in range(connections)))
    outcome.seconds = time.perf_counter() - began
    outcome.busy = (time.process_time() - computing) / outcome.seconds
    return outcome


async def _all(loads: Sequence[Load]) -> list[Outcome]:
    return await asyncio.gather(*(_one(load) for load in loads))


async def _one(load: Load) -> Outcome:
    waiting: Iterator[bytes] = itertools.cycle(load.requests) if load.over_and_over else iter(load.requests)
    connections = [await connect(load.port) for _ in range(load.connections)]
    free = iter(connections)

    async def send(outcome: Outcome, until: float) -> None:
        connection = next(free)
        for request in waiting:
            began = time.perf_counter()
            if began >= until:
                return
            answer = await ask(connection, request)
            outcome.latencies.append(time.perf_counter() - began)
            outcome.statuses[answer.status] += 1
            if load.pause:
                await asyncio.sleep(load.pause)

    outcome = await _measured(load.connections, load.seconds, send)
    for _, writer in connections:
        writer.close()
    return outcome


async def _copy(
    url: str,
    batches: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]],
    columns: Mapping[str, Sequence[str]],
    connections: int,
    seconds: float,
) -> tuple[Outcome, int]:
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)
    waiting, copied = iter(batches), 0

    async def send(outcome: Outcome, until: float) -> None:
        nonlocal copied
        async with pool.acquire() as connection:
            for batch in waiting:
                began = time.perf_counter()
                if began >= until:
                    return
                async with connection.transaction():
                    for table, names in columns.items():
                        await connection.copy_records_to_table(
                            table, schema_name="dossier", records=batch[table], columns=names
                        )
                outcome.latencies.append(time.perf_counter() - began)
                copied += len(batch[next(iter(columns))])

    outcome = await _measured(connections, seconds, send)
    await pool.close()
    return outcome, copied


async def _query(url: str, sql: str, arguments: Sequence[Any], connections: int, seconds: float) -> Outcome:
    settings = {"jit": "off"}
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections, server_settings=settings)

    async def send(outcome: Outcome, until: float) -> None:
        async with pool.acquire() as connection:
            while (began := time.perf_counter()) < until:
                await connection.fetch(sql, *arguments)
                outcome.latencies.append(time.perf_counter() - began)

    outcome = await _measured(connections, seconds, send)
    await pool.close()
    return outcome


async def _freshness(port: int, requests: Sequence[bytes], read: bytes) -> Outcome:
    writing, reading = await connect(port), await connect(port)

    async def send(outcome: Outcome, until: float) -> None:
        for request in requests:
            posted = await ask(writing, request)
            if posted.status != 201:
                outcome.statuses[posted.status] += 1
                return
            began = time.perf_counter()
            if began >= until:
                return
            answer = await ask(reading, read.replace(b"POSITION", posted.header(b"motcua-position").encode()))
            outcome.latencies.append(time.perf_counter() - began)
            outcome.statuses[answer.status] += 1

    outcome = await _measured(1, float("inf"), send)
    for _, writer in (writing, reading):
        writer.close()
    return outcome
