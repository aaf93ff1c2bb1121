"""How long a sender waits while half as much arrives as could be recorded, and whether memory stays what it is.

First as many events as 32 connections get through, which is the most there is to get; then half as many a second, each
at a moment of its own, as from counters that know nothing of each other. Whoever finds all connections taken has waited
since that moment. Gateway and dossier service take turns, and each is held against what it did a moment ago.

Then the same half arrives at the gateway for minutes, while rates, backlog and dossiers are read, and each process says
now and then how much memory it holds (on Linux).
"""

import argparse
import asyncio
import functools
import itertools
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import uvloop

from bench import events, history, load, rates, system
from bench.events import Service
from bench.load import Connection, Generator, Outcome
from bench.system import Figure, Host, System

Figures = Mapping[str, Sequence[Figure]]

FRESH = "freshness at half"

CONNECTIONS = 32
READS = (rates.PATH, "/v1/backlog", "/v1/dossiers?limit=50")

_BETWEEN_READS = 0.05
_SAMPLES = 60
"""How often each process is asked for its memory."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many dossiers and different events there are, how long and how often to measure, how long to watch memory."""

    dossiers: int
    events: int
    rounds: int
    seconds: float
    minutes: float


FULL = Sizes(dossiers=20_000, events=20_000, rounds=3, seconds=5.0, minutes=3.0)
QUICK = Sizes(dossiers=500, events=2_000, rounds=1, seconds=0.5, minutes=0.03)


# --- Half of what is possible -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Events that arrive at a port by themselves: `rate` a second on average, over and over under other codes."""

    port: int
    headers: Mapping[str, str]
    events: Sequence[Mapping[str, Any]]
    mark: str
    rate: float
    seconds: float

    def requests(self) -> Iterator[bytes]:
        """Yield requests without end, each made when it is wanted: minutes of them would be gigabytes."""
        for turn in itertools.count():
            for event in self.events:
                yield from system.posts("/v1/events", self.headers, events.renamed([event], f"{self.mark}{turn}"))


def arriving(on: Generator, arrivals: Arrivals) -> "Future[Outcome]":
    """Let events arrive from now on; the outcome is there when all are answered."""
    return on.submit(_arrive, arrivals)


def _arrive(arrivals: Arrivals) -> Outcome:
    return uvloop.run(_arriving(arrivals))


async def _arriving(arrivals: Arrivals) -> Outcome:
    waiting, gaps = arrivals.requests(), random.Random(1)
    outcome = Outcome(noise=system.noise())
    connections = [await load.connect(arrivals.port) for _ in range(CONNECTIONS)]
    computing, began = time.process_time(), time.perf_counter()
    arrival = began

    async def send(connection: Connection) -> None:
        nonlocal arrival
        while True:
            arrival = mine = arrival + gaps.expovariate(arrivals.rate)
            request = next(waiting)
            if mine > began + arrivals.seconds:
                return
            ahead = mine - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
                # The timer's own delay of up to a millisecond is not the system's.
                mine = time.perf_counter()
            answer = await load.ask(connection, request)
            outcome.latencies.append(time.perf_counter() - mine)
            outcome.statuses[answer.status] += 1

    await asyncio.gather(*(send(connection) for connection in connections))
    outcome.seconds = time.perf_counter() - began
    outcome.busy = (time.process_time() - computing) / outcome.seconds
    for _, writer in connections:
        writer.close()
    return outcome


async def _fresh(running: System, posts: rates.Posts, arrived: "Future[Outcome]") -> Figure:
    """Post events of our own while others arrive; return how long from each 201 to a rate that counts the event."""
    writing, reading = await load.connect(running.gateway), await load.connect(running.gateway)
    latencies, noise, began = list[float](), system.noise(), time.perf_counter()
    while not arrived.done():
        [request] = posts.requests(1)
        posted = await load.ask(writing, request)
        acknowledged = time.perf_counter()
        path = f"{rates.PATH}&min_position={posted.header(b'motcua-position')}"
        answer = await load.ask(reading, system.request("GET", path, running.outside))
        latencies.append(time.perf_counter() - acknowledged)
        if (posted.status, answer.status) != (201, 200):
            msg = f"answered {posted.status} and {answer.status}"
            raise SystemExit(msg)
        await asyncio.sleep(_BETWEEN_READS)
    for _, writer in (writing, reading):
        writer.close()
    return Figure(len(latencies) / (time.perf_counter() - began), latencies, noise, 0)


async def _recorded_by(running: System, arrived: "Future[Outcome]", before: int, besides: int = 0) -> Outcome:
    """Return the outcome once everything is answered, if the log holds just what was acknowledged, and `besides`."""
    outcome = (await asyncio.wrap_future(arrived)).expect(201)
    recorded = await events.recorded(running.database_url, "dossier.event") - before - besides
    if recorded != len(outcome.latencies):
        msg = f"{len(outcome.latencies)} events were acknowledged, {recorded} are in the table"
        raise SystemExit(msg)
    return outcome


async def one_round(  # noqa: PLR0913 - everything that is measured
    generator: Generator,
    running: System,
    posts: rates.Posts,
    told: Sequence[Mapping[str, Any]],
    sizes: Sizes,
    mark: str,
) -> Mapping[str, Figure]:
    """Measure gateway and service once: all that can be recorded, then half of that; and how fresh rates are then."""
    figures: dict[str, Figure] = {}
    for name, port, headers in (
        ("gateway", running.gateway, running.outside),
        ("service", running.dossier, running.inside),
    ):
        service = Service(port, functools.partial(system.posts, "/v1/events", headers), running.database_url)
        fresh = events.renamed(told, f"{name}{mark}")
        most = figures[f"{name}, most"] = await events.posted(generator, service, fresh, CONNECTIONS, sizes.seconds)
        before = await events.recorded(running.database_url, "dossier.event")
        arrivals = Arrivals(
            port=port,
            headers=headers,
            events=told,
            mark=f"{name}{mark}half",
            rate=most.rate / 2,
            seconds=sizes.seconds,
        )
        half = await _recorded_by(running, arriving(generator, arrivals), before)
        figures[f"{name}, half"] = half.figure()
        if name == "gateway":
            # In a turn of its own, for it takes of what is measured.
            before = await events.recorded(running.database_url, "dossier.event")
            arrived = arriving(generator, replace(arrivals, mark=f"{arrivals.mark}fresh"))
            figures[FRESH] = await _fresh(running, posts, arrived)
            await _recorded_by(running, arrived, before, len(figures[FRESH].latencies))
    return figures


def tails(figures: Figures) -> Iterator[str]:
    """Yield a line each for gateway and service: how much longer the slowest in a hundred waits than the middle one."""
    for name in ("gateway", "service"):
        rounds = [
            system.percentile(one.latencies, 0.99) / system.percentile(one.latencies, 0.5)
            for one in figures[f"{name}, half"]
        ]
        yield f"ratio {name} p99 / p50 at half: {min(rounds):.2f} (best), {statistics.median(rounds):.2f} (median)"
    fresh = [latency * 1000 for one in figures[FRESH] for latency in one.latencies]
    p50, p99 = system.percentile(fresh, 0.5), system.percentile(fresh, 0.99)
    yield f"{FRESH}, from the 201 to a rate that counts it: p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    yield f"ratio freshness p99 / p50 at half: {p99 / p50:.2f}"


# --- Memory over minutes ----------------------------------------------------------------------------------------------


async def resident(running: System) -> Mapping[str, float]:
    """Return how many bytes of memory each process holds, as it tells Prometheus."""
    held: dict[str, float] = {}
    for name, port in (("gateway", running.gateway), ("dossier", running.dossier), ("metrics", running.metrics)):
        answer = await rates.read(port, system.request("GET", "/metrics", {}))
        told = re.search(rb"^process_resident_memory_bytes (\S+)", answer.body, re.MULTILINE)
        if told is None:
            msg = "the processes tell how much memory they hold on Linux only"
            raise SystemExit(msg)
        held[name] = float(told[1])
    return held


async def watched(running: System, arrivals: Arrivals, generator: Generator) -> Mapping[str, Sequence[float]]:
    """Return what each process held again and again while events arrived and everything else was read."""
    held: dict[str, list[float]] = defaultdict(list)
    before = await events.recorded(running.database_url, "dossier.event")
    arrived = arriving(generator, arrivals)
    due, pause = time.monotonic(), arrivals.seconds / _SAMPLES
    while not arrived.done():
        for path in READS:
            await rates.read(running.gateway, system.request("GET", path, running.outside))
        if time.monotonic() >= due:
            for name, size in (await resident(running)).items():
                held[name].append(size)
            due += pause
        await asyncio.sleep(_BETWEEN_READS)
    outcome = await _recorded_by(running, arrived, before)
    system.say(f"# {len(outcome.latencies)} events in {outcome.seconds:.0f} s while memory was watched")
    return held


def growths(held: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Yield a line for each process that compares the last third of what it held with the first."""
    for name, sizes in held.items():
        third = max(len(sizes) // 3, 1)
        first, last = statistics.mean(sizes[:third]), statistics.mean(sizes[-third:])
        grew = f"{first / 1e6:.1f} to {last / 1e6:.1f} MB"
        yield f"ratio memory of {name}, last third / first third: {last / first:.3f} ({grew})"


# ----------------------------------------------------------------------------------------------------------------------


async def measure(host: Host, sizes: Sizes) -> tuple[Figures, Mapping[str, Sequence[float]]]:
    """Return the rounds of gateway and service, and what each process held over the minutes after them."""
    began = time.perf_counter()
    told = list(itertools.islice(system.events(sizes.events), sizes.events))
    figures: dict[str, list[Figure]] = defaultdict(list)
    url = await system.migrated(host, "motcua_bench")
    with load.generator() as generator:
        async with system.system(host, url) as running:
            await rates.counted(running, await history.record(url, sizes.dossiers))
            posts = rates.Posts(running)
            await one_round(generator, running, posts, told, replace(sizes, seconds=sizes.seconds / 4), "warm")
            system.timed("dossiers in place, everything warm", began)
            for number in range(sizes.rounds):
                found = await one_round(generator, running, posts, told, sizes, str(number))
                for name, figure in found.items():
                    figures[name].append(figure)
            system.timed("all rounds", began)
            arrivals = Arrivals(
                port=running.gateway,
                headers=running.outside,
                events=told,
                mark="minutes",
                rate=system.median(figures["gateway, half"]),
                seconds=sizes.minutes * 60,
            )
            held = await watched(running, arrivals, generator)
            system.timed("memory watched", began)
    return figures, held


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the ratios mean little")
    parser.add_argument("--minutes", type=float, help="how long memory is watched; 3 unless told")
    asked = parser.parse_args()
    sizes = QUICK if asked.quick else FULL
    with system.host() as host:
        figures, held = asyncio.run(measure(host, replace(sizes, minutes=asked.minutes or sizes.minutes)))
    system.say(system.table(figures, "events/s"))
    for line in (*tails(figures), *growths(held)):
        system.say(line)


if __name__ == "__main__":
    main()
