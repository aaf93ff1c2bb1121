"""How many events a second are on disk when answered: through the gateway, at the service, by a usual service, by COPY.

Subjects take turns within each round, so that a noisy neighbour slows all of them. All write to the same PostgreSQL
(fsync on), each into a database of its own, the same simulated events under other codes; the metrics service counts
what is recorded meanwhile. What was acknowledged is compared with what is in the tables after every turn.
"""

import argparse
import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from bench import load, system
from bench.load import Generator, Load
from bench.system import Figure, Host, System
from services.cli import embedded
from services.dossier import tables

BATCH = 500
BATCH_CONNECTIONS = 4
COLUMNS = {table.name: [column.name for column in table.columns] for table in (tables.event, tables.dossier)}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long and how often each subject is measured; `events` and `batches` are more than it gets through."""

    rounds: int
    seconds: float
    events: int
    batches: int


FULL = Sizes(rounds=3, seconds=2.0, events=10_000, batches=80)
QUICK = Sizes(rounds=1, seconds=0.5, events=3_000, batches=10)


def renamed(events: Sequence[Mapping[str, Any]], mark: str) -> list[dict[str, Any]]:
    """Return the same events of other dossiers, told apart by `mark`."""
    return [{**event, "id": f"{event['id']}-{mark}", "subject": f"{event['subject']}-{mark}"} for event in events]


async def recorded(url: str) -> int:
    """Return how many events the database holds."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM dossier.event"))
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Subjects:
    """Everything that is measured against each other."""

    system: System
    baseline: int
    baseline_url: str
    copy_url: str


@asynccontextmanager
async def subjects(host: Host) -> AsyncIterator[Subjects]:
    """Run the system and the baseline, and make a database for COPY."""
    system_url, copy_url = await system.migrated(host, "motcua_bench"), await system.migrated(host, "copy_bench")
    baseline_url, port = await system.database(host, "baseline_bench"), embedded.free_port()
    command = ["bench.baseline", "--port", str(port)]
    async with (
        system.system(host, system_url) as running,
        system.process(host, command, port, {"DATABASE_URL": baseline_url}),
    ):
        yield Subjects(running, port, baseline_url, copy_url)


async def single(  # noqa: PLR0913 - where to, what, and how much of it
    generator: Generator, url: str, requests: Sequence[bytes], port: int, connections: int, seconds: float
) -> Figure:
    """Post one event at a time and return the figure, once the table holds exactly what was acknowledged."""
    before = await recorded(url)
    sent = Load(port=port, requests=requests, connections=connections, seconds=seconds)
    [outcome] = load.run(generator, sent)
    outcome.expect(201)
    _verify(await recorded(url) - before, len(outcome.latencies))
    return outcome.figure()


def _verify(recorded_now: int, acknowledged: int) -> None:
    if recorded_now != acknowledged:
        msg = f"{acknowledged} events were acknowledged, {recorded_now} are in the table"
        raise SystemExit(msg)


async def batches(generator: Generator, running: System, requests: Sequence[bytes], seconds: float) -> Figure:
    """Post arrays of events through the gateway."""
    before = await recorded(running.database_url)
    sent = Load(port=running.gateway, requests=requests, connections=BATCH_CONNECTIONS, seconds=seconds)
    [outcome] = load.run(generator, sent)
    outcome.expect(200)
    _verify(await recorded(running.database_url) - before, len(outcome.latencies) * BATCH)
    return outcome.figure(each=BATCH)


async def as_recorded(url: str, mark: str) -> list[dict[str, list[tuple[Any, ...]]]]:
    """Return the rows that batches marked `mark` left behind, cut at every `BATCH` events.

    A dossier's row goes with its last event: the floor writes each dossier once, as it stands in the end.
    """
    connection = await asyncpg.connect(url)
    try:
        rows = {
            table: await connection.fetch(
                f"SELECT {', '.join(COLUMNS[table])} FROM dossier.{table} "  # noqa: S608 - names of our own
                f"WHERE {code} LIKE $1 ORDER BY position",
                f"%-{mark}",
            )
            for table, code in (("event", "subject"), ("dossier", "code"))
        }
    finally:
        await connection.close()
    firsts = [row["position"] for row in rows["event"][::BATCH]]
    cut: list[dict[str, list[tuple[Any, ...]]]] = [{"event": [], "dossier": []} for _ in firsts]
    for table, found in rows.items():
        batch = 0
        for row in found:
            while batch + 1 < len(firsts) and row["position"] >= firsts[batch + 1]:
                batch += 1
            cut[batch][table].append(tuple(row))
    return cut


async def copied(
    generator: Generator, url: str, rows: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]], seconds: float
) -> Figure:
    """COPY the rows, one transaction a batch, over as many connections as the batches were posted."""
    before = await recorded(url)
    outcome, events = load.copy(generator, url, rows, COLUMNS, BATCH_CONNECTIONS, seconds)
    _verify(await recorded(url) - before, events)
    return outcome.figure(each=BATCH)


async def one_round(  # noqa: PLR0913 - everything that is measured
    generator: Generator,
    all_subjects: Subjects,
    events: Sequence[Mapping[str, Any]],
    sizes: Sizes,
    connections: Sequence[int],
    mark: str,
) -> Mapping[str, Figure]:
    """Measure every subject once, one after another, with events told apart by `mark`."""
    running = all_subjects.system
    figures: dict[str, Figure] = {}
    for count in connections:
        for name, port, headers, url in (
            ("gateway", running.gateway, running.outside, running.database_url),
            ("service", running.dossier, running.inside, running.database_url),
            ("baseline", all_subjects.baseline, {}, all_subjects.baseline_url),
        ):
            fresh = renamed(events[: sizes.events], f"{name}{count}{mark}")
            requests = system.posts("/v1/events", headers, fresh)
            figures[f"{name}, single, {count} connections"] = await single(
                generator, url, requests, port, count, sizes.seconds
            )
    fresh = renamed(events[: sizes.batches * BATCH], f"batch{mark}")
    arrays = [fresh[start : start + BATCH] for start in range(0, len(fresh), BATCH)]
    requests = system.posts("/v1/events", running.outside, arrays)
    figures["gateway, batches of 500"] = await batches(generator, running, requests, sizes.seconds)
    rows = await as_recorded(running.database_url, f"batch{mark}")
    figures["COPY, batches of 500"] = await copied(generator, all_subjects.copy_url, rows, sizes.seconds)
    return figures


async def measure(host: Host, sizes: Sizes, connections: Sequence[int]) -> Mapping[str, list[Figure]]:
    """Return the rounds of every subject."""
    began = time.perf_counter()
    wanted = max(sizes.events, sizes.batches * BATCH)
    events = list(itertools.islice(system.events(wanted), wanted))
    figures: dict[str, list[Figure]] = defaultdict(list)
    with load.generator() as generator:
        async with subjects(host) as all_subjects:
            system.timed("processes started, events simulated", began)
            short = replace(sizes, seconds=sizes.seconds / 4)
            await one_round(generator, all_subjects, events, short, connections, "warm")
            await _analyse(all_subjects.system.database_url, all_subjects.baseline_url, all_subjects.copy_url)
            system.timed("everything warm", began)
            for number in range(sizes.rounds):
                found = await one_round(generator, all_subjects, events, sizes, connections, str(number))
                for name, figure in found.items():
                    figures[name].append(figure)
            system.timed("all rounds", began)
    return figures


async def _analyse(*urls: str) -> None:
    """Tell the planner how large the tables are, as autovacuum would have within their first minute."""
    for url in urls:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("ANALYZE")
        finally:
            await connection.close()


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the ratios mean little")
    quick = parser.parse_args().quick
    connections = (8,) if quick else (8, 32)
    with system.host() as host:
        figures = asyncio.run(measure(host, QUICK if quick else FULL, connections))
    system.say(system.table(figures, "events/s"))
    for count in connections:
        baseline = figures[f"baseline, single, {count} connections"]
        for name in ("gateway", "service"):
            over = figures[f"{name}, single, {count} connections"]
            system.say(system.ratio(f"{name} single / baseline single, {count} connections", over, baseline))
    system.say(
        system.ratio("gateway batches / raw COPY", figures["gateway, batches of 500"], figures["COPY, batches of 500"])
    )


if __name__ == "__main__":
    main()
