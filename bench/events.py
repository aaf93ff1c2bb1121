"""How many events a second are on disk when answered: through the gateway, at the service, by a usual service, by COPY.

Subjects take turns within each round, so that a noisy neighbour slows all of them. All write to the same PostgreSQL
(fsync on), each into a database of its own, the same simulated events under other codes; the metrics service counts
what is recorded meanwhile. What was acknowledged is compared with what is in the tables after every turn. Directus
takes its turns too with `--directus`.
"""

import argparse
import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from bench import directus, load, system
from bench.directus import Directus
from bench.load import Generator, Load
from bench.system import Figure, Host, System
from services.cli import embedded
from services.dossier import tables

BATCH = 500
BATCH_CONNECTIONS = 4
COPY_CONNECTIONS = (1, BATCH_CONNECTIONS)
"""A province's log is one stream, each event tied to the one before; side by side COPY uses the whole machine."""
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


@dataclass(frozen=True, slots=True)
class Service:
    """One that events are posted to: its port, its requests for events or lists of them, its answers and its table."""

    port: int
    posts: Callable[[Sequence[Any]], Sequence[bytes]]
    url: str
    status: int = 201
    table: str = "dossier.event"


@dataclass(frozen=True, slots=True)
class Subjects:
    """Everything that is measured against each other."""

    system: System
    baseline: int
    baseline_url: str
    copy_urls: Mapping[int, str]
    """By the number of connections."""
    directus: Directus | None

    def single(self) -> Mapping[str, Service]:
        """Return those that events are posted to one at a time."""
        url = self.system.database_url
        services = {
            "gateway": Service(self.system.gateway, _posts(self.system.outside), url),
            "service": Service(self.system.dossier, _posts(self.system.inside), url),
            "baseline": Service(self.baseline, _posts({}), self.baseline_url),
        }
        return {**services, **self._directus()}

    def batched(self) -> Mapping[str, Service]:
        """Return those that lists of events are posted to."""
        gateway = Service(self.system.gateway, _posts(self.system.outside), self.system.database_url, status=200)
        return {"gateway": gateway, **self._directus()}

    def _directus(self) -> Mapping[str, Service]:
        if self.directus is None:
            return {}
        port, url = self.directus.port, self.directus.database_url
        return {"Directus": Service(port, directus.creates, url, status=200, table=directus.EVENT_TABLE)}

    def urls(self) -> set[str]:
        """Return the databases of all."""
        return {*self.copy_urls.values(), *(one.url for one in self.single().values())}


def _posts(headers: Mapping[str, str]) -> Callable[[Sequence[Any]], Sequence[bytes]]:
    return lambda contents: system.posts("/v1/events", headers, contents)


@asynccontextmanager
async def subjects(host: Host, *, with_directus: bool) -> AsyncIterator[Subjects]:
    """Run the system, the baseline and perhaps Directus, and make databases for COPY."""
    system_url = await system.migrated(host, "motcua_bench")
    copy_urls = {count: await system.migrated(host, f"copy_{count}_bench") for count in COPY_CONNECTIONS}
    baseline_url, port = await system.database(host, "baseline_bench"), embedded.free_port()
    command = ["bench.baseline", "--port", str(port)]
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(system.system(host, system_url))
        await stack.enter_async_context(system.process(host, command, port, {"DATABASE_URL": baseline_url}))
        peer = await stack.enter_async_context(directus.running(host)) if with_directus else None
        yield Subjects(running, port, baseline_url, copy_urls, peer)


async def recorded(url: str, table: str) -> int:
    """Return how many events a table holds."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a name of our own
    finally:
        await connection.close()


async def posted(
    generator: Generator, service: Service, contents: Sequence[Any], connections: int, seconds: float
) -> Figure:
    """Post events or lists of `BATCH` and return the figure, once the table holds exactly what was acknowledged."""
    before = await recorded(service.url, service.table)
    requests = service.posts(contents)
    sent = Load(port=service.port, requests=requests, connections=connections, seconds=seconds)
    [outcome] = load.run(generator, sent)
    outcome.expect(service.status)
    each = 1 if isinstance(contents[0], Mapping) else BATCH
    _verify(await recorded(service.url, service.table) - before, len(outcome.latencies) * each)
    return outcome.figure(each)


def _verify(recorded_now: int, acknowledged: int) -> None:
    if recorded_now != acknowledged:
        msg = f"{acknowledged} events were acknowledged, {recorded_now} are in the table"
        raise SystemExit(msg)


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
    generator: Generator,
    url: str,
    rows: Sequence[Mapping[str, Sequence[tuple[Any, ...]]]],
    connections: int,
    seconds: float,
) -> Figure:
    """COPY the rows, one transaction a batch."""
    before = await recorded(url, "dossier.event")
    outcome, events = load.copy(generator, url, rows, COLUMNS, connections, seconds)
    _verify(await recorded(url, "dossier.event") - before, events)
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
    figures: dict[str, Figure] = {}
    for count in connections:
        for name, service in all_subjects.single().items():
            fresh = renamed(events[: sizes.events], f"{name}{count}{mark}")
            figures[f"{name}, single, {count} connections"] = await posted(
                generator, service, fresh, count, sizes.seconds
            )
    for name, service in all_subjects.batched().items():
        fresh = renamed(events[: sizes.batches * BATCH], f"batch{name}{mark}")
        arrays = [fresh[start : start + BATCH] for start in range(0, len(fresh), BATCH)]
        figures[f"{name}, batches of {BATCH}"] = await posted(
            generator, service, arrays, BATCH_CONNECTIONS, sizes.seconds
        )
    rows = await as_recorded(all_subjects.system.database_url, f"batchgateway{mark}")
    for count, url in all_subjects.copy_urls.items():
        figures[f"COPY, batches of {BATCH}, {_streams(count)}"] = await copied(
            generator, url, rows, count, sizes.seconds
        )
    return figures


def _streams(connections: int) -> str:
    return "one stream" if connections == 1 else f"{connections} streams"


async def measure(
    host: Host, sizes: Sizes, connections: Sequence[int], *, with_directus: bool
) -> Mapping[str, list[Figure]]:
    """Return the rounds of every subject."""
    began = time.perf_counter()
    wanted = max(sizes.events, sizes.batches * BATCH)
    events = list(itertools.islice(system.events(wanted), wanted))
    figures: dict[str, list[Figure]] = defaultdict(list)
    with load.generator() as generator:
        async with subjects(host, with_directus=with_directus) as all_subjects:
            system.timed("processes started, events simulated", began)
            short = replace(sizes, seconds=sizes.seconds / 4)
            await one_round(generator, all_subjects, events, short, connections, "warm")
            await _analyse(all_subjects.urls())
            system.timed("everything warm", began)
            for number in range(sizes.rounds):
                found = await one_round(generator, all_subjects, events, sizes, connections, str(number))
                for name, figure in found.items():
                    figures[name].append(figure)
            system.timed("all rounds", began)
    return figures


async def _analyse(urls: set[str]) -> None:
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
    parser.add_argument("--directus", action="store_true", help="measure Directus too; installs it by npm at first")
    asked = parser.parse_args()
    connections = (8,) if asked.quick else (8, 32)
    with system.host() as host:
        measuring = measure(host, QUICK if asked.quick else FULL, connections, with_directus=asked.directus)
        figures = asyncio.run(measuring)
    system.say(system.table(figures, "events/s"))
    peers = ["Directus"] if asked.directus else []
    for count in connections:
        for over, under in [("gateway", "baseline"), ("service", "baseline"), *(("gateway", peer) for peer in peers)]:
            one, other = (figures[f"{name}, single, {count} connections"] for name in (over, under))
            system.say(system.ratio(f"{over} single / {under} single, {count} connections", one, other))
    batches = f"batches of {BATCH}"
    unders = {f"COPY, {_streams(count)}": f"COPY, {batches}, {_streams(count)}" for count in COPY_CONNECTIONS}
    unders |= {f"{peer} batches": f"{peer}, {batches}" for peer in peers}
    for name, under in unders.items():
        system.say(system.ratio(f"gateway batches / {name}", figures[f"gateway, {batches}"], figures[under]))


if __name__ == "__main__":
    main()
