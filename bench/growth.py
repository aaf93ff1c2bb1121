"""Whether recording and reading cost the same among a hundred thousand dossiers and among a million or more.

One system a size, each with a database of its own in the same PostgreSQL; the sizes take turns at every measure of
every round, so that a noisy neighbour slows them alike. Half of what is posted is about new dossiers, half follows up
on old ones: on dossiers of the last month, as most of what is told late does, or on any that was ever closed. The
latter reads a page of a table for nearly everything it looks up, so it tells how the log compares with the memory of
the machine. The dossiers that are read are any, too.

A database is filled by multiplying a small true history inside PostgreSQL: the copies of all events follow in the order
in which they happened, so that a dossier's events lie as far apart as in a log that grew day by day. Only closed
dossiers are multiplied: what is open does not grow with the years. Copies keep the hashes of what they were copied
from, so the chain of such a log does not verify. The metrics service is given the standings of the copies and a
checkpoint at the head, and counts only what is recorded afterwards.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from sqlalchemy import Table

from bench import history, load, rates, rebuild, system
from bench.events import BATCH, BATCH_CONNECTIONS, FULL, Sizes, renamed
from bench.load import Generator, Load
from bench.system import Figure, Host, System
from services.dossier import tables
from services.metrics import tables as metrics_tables
from services.metrics.store.counting import FOR_ALL_TIME

SINGLE_CONNECTIONS = 32
RECORDING = (
    f"batches of {BATCH}, old ones of the last month",
    f"batches of {BATCH}, old ones of any time",
    f"single, {SINGLE_CONNECTIONS} connections, old ones of any time",
)
READING = ("a dossier", "the backlog")
RATES = ("the rates of a month", "the same, just after an event of that month")
QUICK = Sizes(rounds=1, seconds=0.3, events=1_000, batches=4)

_A_MONTH = 0.1
"""Of the ten months that the log holds."""

_READS = 2_000
"""Dossiers that are read in a round, over and over where there is time."""

# Every event of a closed dossier has its place in the order of what happened, and so have the events of each dossier.
_PLACES = """
CREATE TEMPORARY TABLE place ON COMMIT DROP AS
SELECT event.position, row_number() OVER (ORDER BY occurred_at, event.position) AS place
FROM dossier.event JOIN dossier.dossier ON code = subject AND status <> 'pending'
"""

# A set in the list of columns multiplies the rows as they come, where a join might come in any order.
_COPY = """
INSERT INTO {table} ({columns})
SELECT {values}
FROM (
    SELECT *, generate_series(1, {copies}) AS copy
    FROM (SELECT * FROM place JOIN {table} USING (position) ORDER BY place) AS ended
) AS ended
"""

_EVENT_ID = """
CASE WHEN data ? 'event_id'
     THEN data || jsonb_build_object('event_id', (data ->> 'event_id') || '-c' || copy) ELSE data END
"""


def _copy(table: Table, copies: int, head: int) -> str:
    """Return the statement that puts so many copies of every closed dossier's rows of `table` beside them."""
    changed = {
        "position": f"{head} + (place - 1) * {copies} + copy",
        "data": _EVENT_ID,
        **{name: f"{name} || '-c' || copy" for name in ("id", "subject", "code")},
    }
    names = [column.name for column in table.columns]
    values = [changed.get(name, name) for name in names]
    return _COPY.format(columns=", ".join(names), values=", ".join(values), copies=copies, table=table.fullname)


# For rates alone: a log without the copies ends where it did, so the copies stand where the true dossiers do.
_STANDINGS = """
INSERT INTO metrics.standing ({columns})
SELECT {values}
FROM metrics.standing CROSS JOIN generate_series(1, {copies}) AS copy
WHERE status <> 'pending'
"""


async def multiply_standings(connection: asyncpg.Connection, copies: int) -> None:
    """Let the metrics service have counted so many copies of every closed dossier that the log does not hold."""
    names = [column.name for column in metrics_tables.standing.columns]
    values = ["code || '-c' || copy" if name == "code" else name for name in names]
    async with connection.transaction():
        await connection.execute(_STANDINGS.format(columns=", ".join(names), values=", ".join(values), copies=copies))
        await count(connection)


async def count(connection: asyncpg.Connection) -> None:
    """Count the standings by SQL in place of all that was counted, and let nobody keep what was read before."""
    # Who counts holds the checkpoint.
    generation = await connection.fetchval("SELECT generation FROM metrics.checkpoint FOR UPDATE")
    await connection.execute("DELETE FROM metrics.cell")
    await connection.execute("DELETE FROM metrics.fee_procedure")
    await connection.execute(rebuild.CELLS, system.PROVINCE, generation, generation, FOR_ALL_TIME)
    await connection.execute(rebuild.FEES, system.PROVINCE, generation, generation)
    await connection.execute("UPDATE metrics.touched SET position = (SELECT max(position) FROM dossier.event)")


@dataclass(frozen=True, slots=True)
class Grown:
    """A system that has recorded much: which closed dossiers were multiplied, by their receipt, and how often."""

    system: System
    closed: Sequence[str]
    copies: int

    def codes(self, count: int, seed: str, newest: float = 1) -> Iterator[str]:
        """Yield the codes of so many copies, any of them, or of that newest part, as likely as any other."""
        pick, among = random.Random(seed), self.closed[-round(len(self.closed) * newest) :]
        for _ in range(count):
            yield f"{pick.choice(among)}-c{pick.randint(1, self.copies)}"


async def multiply(connection: asyncpg.Connection, copies: int, head: int) -> None:
    """Put so many copies of every closed dossier behind `head`, and let the metrics service have counted them."""
    async with connection.transaction():
        await connection.execute(_PLACES)
        await connection.execute("ANALYZE place")
        for table in (tables.event, tables.dossier, metrics_tables.standing):
            await connection.execute(_copy(table, copies, head))
        await count(connection)
        # In the same transaction, so that whoever reads the new head finds it counted already.
        await connection.execute("UPDATE metrics.checkpoint SET position = (SELECT max(position) FROM dossier.event)")


async def grown(running: System, true: int, dossiers: int, *, rates_alone: bool = False) -> Grown:
    """Record so many `true` dossiers, have them counted, and multiply the closed ones until there are `dossiers`.

    For `rates_alone` the metrics service alone holds the copies, which takes a fifth of the time and of the disk.
    """
    head = await history.record(running.database_url, true)
    await rates.counted(running, head)
    connection = await asyncpg.connect(running.database_url)
    try:
        closed = await connection.fetch(
            "SELECT code FROM dossier.dossier WHERE status <> 'pending' ORDER BY received_at"
        )
        copies = max(round((dossiers - true) / len(closed)), 1)
        await (multiply_standings(connection, copies) if rates_alone else multiply(connection, copies, head))
        await connection.execute("VACUUM ANALYZE")
        # What is measured pays for no page that the filling left to be written.
        await connection.execute("CHECKPOINT")
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
    finally:
        await connection.close()
    system.say(f"# {true} dossiers, the {len(closed)} closed ones {copies} times more: {size / 1e9:.1f} GB")
    return Grown(running, [row["code"] for row in closed], copies)


def followed_up(codes: Iterator[str], mark: str) -> Iterator[dict[str, Any]]:
    """Yield one event for each of the dossiers: its citizen rates it, long after it was closed."""
    for number, code in enumerate(codes):
        yield {
            "specversion": "1.0",
            "id": f"{code}-{mark}-{number}",
            "source": "urn:motcua:bench",
            "type": "vn.motcua.dossier.rated",
            "subject": code,
            "time": "2026-11-02T08:30:00+07:00",
            "data": {"score": 4},
        }


def mixed(events: Sequence[Mapping[str, Any]], among: Grown, mark: str, newest: float = 1) -> list[Mapping[str, Any]]:
    """Return as many events: half of them new dossiers' under `mark`, every other one an old dossier's."""
    fresh = renamed(events[: len(events) // 2], mark)
    old = followed_up(among.codes(len(fresh), mark, newest), mark)
    return [event for pair in zip(fresh, old, strict=True) for event in pair]


async def _asked(among: Grown, sql: str, *arguments: int) -> int:
    connection = await asyncpg.connect(among.system.database_url)
    try:
        return int(await connection.fetchval(sql, system.PROVINCE, *arguments))
    finally:
        await connection.close()


async def posted(generator: Generator, among: Grown, contents: Sequence[Any], sizes: Sizes, connections: int) -> Figure:
    """Post events or lists of `BATCH`; return the figure once exactly what was acknowledged is recorded and counted."""
    # Counting the whole log would take longer than the turn, and leave nothing else in memory.
    head = await _asked(among, "SELECT max(position) FROM dossier.event WHERE province = $1")
    each, status = (1, 201) if isinstance(contents[0], Mapping) else (BATCH, 200)
    requests = system.posts("/v1/events", among.system.outside, contents)
    sent = Load(port=among.system.gateway, requests=requests, connections=connections, seconds=sizes.seconds)
    [outcome] = load.run(generator, sent)
    acknowledged = len(outcome.expect(status).latencies) * each
    recorded = await _asked(among, "SELECT count(*) FROM dossier.event WHERE province = $1 AND position > $2", head)
    if recorded != acknowledged:
        msg = f"{acknowledged} events were acknowledged, {recorded} are in the table"
        raise SystemExit(msg)
    await rates.counted(among.system, head + recorded)
    return outcome.figure(each)


def read(generator: Generator, among: Grown, paths: Sequence[str], sizes: Sizes) -> Figure:
    """Read over one connection, so that no reader waits for another."""
    requests = [system.request("GET", path, among.system.outside) for path in paths]
    sent = Load(port=among.system.gateway, requests=requests, connections=1, seconds=sizes.seconds, over_and_over=True)
    [outcome] = load.run(generator, sent)
    return outcome.expect(200).figure()


async def one_round(
    generator: Generator, subjects: Mapping[int, Grown], events: Sequence[Mapping[str, Any]], sizes: Sizes, mark: str
) -> Mapping[tuple[str, int], Figure]:
    """Measure everything once, each measure at one size after the other, with new events told apart by `mark`."""
    figures: dict[tuple[str, int], Figure] = {}
    (recent, batches, single), (dossier, backlog) = RECORDING, READING
    for name, newest in ((recent, _A_MONTH), (batches, 1)):
        for size, among in subjects.items():
            both = mixed(events[: sizes.batches * BATCH], among, f"batch{newest}{mark}", newest)
            arrays = [both[start : start + BATCH] for start in range(0, len(both), BATCH)]
            figures[name, size] = await posted(generator, among, arrays, sizes, BATCH_CONNECTIONS)
    for size, among in subjects.items():
        both = mixed(events[: sizes.events], among, f"single{mark}")
        figures[single, size] = await posted(generator, among, both, sizes, SINGLE_CONNECTIONS)
    for size, among in subjects.items():
        paths = [f"/v1/dossiers/{code}" for code in among.codes(_READS, f"read{mark}")]
        figures[dossier, size] = read(generator, among, paths, sizes)
    for size, among in subjects.items():
        figures[backlog, size] = read(generator, among, ["/v1/backlog"], sizes)
    return figures


async def rates_read(
    generator: Generator, subjects: Mapping[int, Grown], posts: Mapping[int, rates.Posts], sizes: Sizes
) -> Mapping[tuple[str, int], Figure]:
    """Measure how long the month's rates take, as they are held and as they must be read anew, at every size."""
    figures: dict[tuple[str, int], Figure] = {}
    held, anew = RATES
    for size, among in subjects.items():
        figures[held, size] = read(generator, among, [rates.PATH], sizes)
    for size, among in subjects.items():
        figures[anew, size] = await rates.read_anew(among.system, posts[size], sizes.seconds)
    return figures


Figures = Mapping[tuple[str, int], list[Figure]]


async def measure(host: Host, sizes: Sizes, dossiers: Sequence[int], *, rates_alone: bool = False) -> Figures:
    """Return the rounds of every measure at every number of dossiers."""
    began = time.perf_counter()
    wanted = max(sizes.events, sizes.batches * BATCH)
    events = list(itertools.islice(system.events(wanted), wanted))
    figures: dict[tuple[str, int], list[Figure]] = defaultdict(list)
    with load.generator() as generator:
        async with AsyncExitStack() as stack:
            subjects: dict[int, Grown] = {}
            for size in dossiers:
                url = await system.migrated(host, f"grown_{size}")
                running = await stack.enter_async_context(system.system(host, url))
                subjects[size] = await grown(running, dossiers[0] // 2, size, rates_alone=rates_alone)
                system.timed(f"{size} dossiers in place", began)
            posts = {size: rates.Posts(among.system) for size, among in subjects.items()}

            async def turn(sizes: Sizes, mark: str) -> Mapping[tuple[str, int], Figure]:
                others = {} if rates_alone else await one_round(generator, subjects, events, sizes, mark)
                return {**others, **await rates_read(generator, subjects, posts, sizes)}

            await turn(replace(sizes, seconds=sizes.seconds / 4), "warm")
            for number in range(sizes.rounds):
                for what, figure in (await turn(sizes, str(number))).items():
                    figures[what].append(figure)
            system.timed("all rounds", began)
    return figures


def ratios(figures: Figures, smallest: int, size: int) -> Iterator[str]:
    """Yield a line for each measure that compares a size with the smallest, and the machine's noise at both."""
    for name in (*RECORDING, *READING, *RATES):
        over, under = figures.get((name, size)), figures.get((name, smallest))
        if over is None or under is None:
            continue
        loops = " / ".join(f"{statistics.median(one.noise for one in rounds):.0f}" for rounds in (over, under))
        compared = f"{name}, {size} / {smallest} dossiers"
        if name in RECORDING:
            line = system.ratio(compared, over, under)
        else:
            mine, others = ([system.percentile(one.latencies, 0.5) for one in rounds] for rounds in (over, under))
            best, median = min(mine) / min(others), statistics.median(mine) / statistics.median(others)
            line = f"ratio p50 of {compared}: {best:.2f} (best), {median:.2f} (median)"
        yield f"{line}; loop {loops} ms"


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the ratios mean little")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of dossiers, the smallest at least 1000")
    parser.add_argument("--rates", action="store_true", help="the rates alone: the log is not multiplied")
    asked = parser.parse_args()
    dossiers = sorted(asked.sizes or ([1_000, 5_000] if asked.quick else [100_000, 1_000_000]))
    with system.host() as host:
        figures = asyncio.run(measure(host, QUICK if asked.quick else FULL, dossiers, rates_alone=asked.rates))
    system.say(system.table({f"{name}, {size}": rounds for (name, size), rounds in figures.items()}, "a second"))
    for size in dossiers[1:]:
        for line in ratios(figures, dossiers[0], size):
            system.say(line)


if __name__ == "__main__":
    main()
