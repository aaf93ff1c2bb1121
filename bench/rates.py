"""How fast the rates of a month are read among 300,000 dossiers, and how soon an answer knows what was just recorded.

All subjects are asked for the same month of 79 units over four connections, in turns: the system through its gateway
(plainly, while events arrive, and with If-None-Match), the metrics service itself, PostgreSQL by one GROUP BY over a
flat and well indexed table, and an application that answers from memory, with and without the same gateway before it.
The system's figures are first compared with those of the flat table, unit by unit. With `--directus`, so are those of
Directus, and it takes its turns too.
"""

import argparse
import asyncio
import gzip
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date
from http import HTTPStatus
from typing import Any

import asyncpg
import orjson

from bench import directus, history, load, system
from bench.directus import Directus
from bench.load import Answer, Generator, Load
from bench.system import Figure, Host, System
from services.cli import embedded

PATH = "/v1/rates?period=2026-10"
HELLO = "/v1/rates/definitions"
"""What the application in memory only greets: a path that the gateway passes on as it does those of rates."""
FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
CONNECTIONS = 4
PAUSE_BETWEEN_EVENTS = 0.01
"""While events arrive, one arrives about every 10 ms: nearly every read finds a position that nobody has read at."""

ANEW = "gateway, just after an event"

_SECONDS_TO_COUNT = 240.0

# Decree 307/2025/NĐ-CP, appendix item 12, as the metrics service counts it.
_FLAT = """
DROP TABLE IF EXISTS flat;
CREATE TABLE flat AS
SELECT *, channel = 'online' AND (paid_on_platform OR NOT fee_due) AND result IN ('electronic', 'both', 'none')
          AND returned_channel IS DISTINCT FROM 'counter' AND NOT in_person AS full_online,
       -- Vietnam keeps one offset; nothing falls due while a dossier is paused from before its due day on.
       CASE WHEN due_on IS NOT NULL
                 AND (paused_at IS NULL OR due_on < (paused_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date)
            THEN greatest(due_on, received_on) END AS falls_due_on,
       CASE WHEN ended_on IS NOT NULL THEN greatest(ended_on, received_on) END AS closes_on
FROM dossier.dossier
-- What was recorded in error, or declined before it was received, counts for nothing.
WHERE received_on IS NOT NULL AND channel IS NOT NULL AND status <> 'voided'
  AND (status <> 'declined' OR ended_at >= received_at);
CREATE INDEX ON flat (province, received_on);
CREATE INDEX ON flat (province, closes_on);
CREATE INDEX ON flat (province, falls_due_on);
CREATE INDEX ON flat (province, rated_on);
"""

_COUNTS = """
SELECT resolving_unit,
       count(*) FILTER (WHERE came) AS received,
       count(*) FILTER (WHERE came AND channel = 'counter') AS received_counter,
       count(*) FILTER (WHERE came AND channel = 'online') AS received_online,
       count(*) FILTER (WHERE came AND channel = 'postal') AS received_postal,
       count(*) FILTER (WHERE came AND fee_due) AS fee_due,
       count(*) FILTER (WHERE came AND fee_due AND payments_online > 0) AS paid_online,
       count(*) FILTER (WHERE done) AS resolved,
       count(*) FILTER (WHERE done AND ended_on < due_on) AS resolved_early,
       count(*) FILTER (WHERE done AND ended_on = due_on) AS resolved_on_time,
       count(*) FILTER (WHERE done AND ended_on > due_on) AS resolved_late,
       count(*) FILTER (WHERE done AND due_on IS NULL) AS resolved_without_due,
       count(*) FILTER (WHERE done AND ended_on > due_on AND extended_due_on IS NOT NULL) AS late_with_apology,
       count(*) FILTER (WHERE done AND (ended_on <= due_on OR due_on IS NOT NULL AND ended_on <= extended_due_on))
           AS within_extension,
       count(*) FILTER (WHERE done AND full_online) AS full_online,
       count(*) FILTER (WHERE done AND online_level = 'full') AS offered_full_online,
       count(*) FILTER (WHERE done AND online_level = 'full' AND full_online) AS full_online_of_offered,
       count(*) FILTER (WHERE done AND result IN ('electronic', 'both')) AS electronic_result,
       count(*) FILTER (WHERE done AND reused_data) AS reused_data,
       count(*) FILTER (WHERE done AND digitised) AS digitised,
       count(*) FILTER (WHERE went AND status = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE went AND status = 'stopped') AS stopped,
       count(*) FILTER (WHERE went AND status = 'declined') AS declined,
       count(*) FILTER (WHERE went AND ended_on < due_on) AS ended_early,
       count(*) FILTER (WHERE went AND ended_on = due_on) AS ended_on_time,
       count(*) FILTER (WHERE went AND ended_on > due_on) AS ended_late,
       count(*) FILTER (WHERE went AND due_on IS NULL) AS ended_without_due,
       count(*) FILTER (WHERE went AND ended_at <= due_at) AS ended_in_time,
       count(*) FILTER (WHERE rated_on BETWEEN $2 AND $3) AS rated,
       count(*) FILTER (WHERE rated_on BETWEEN $2 AND $3 AND score >= 4) AS satisfied,
       count(*) FILTER (WHERE received_on < $2 AND (closes_on >= $2 OR closes_on IS NULL)) AS carried_over,
       count(*) FILTER (WHERE stays) AS pending,
       count(*) FILTER (WHERE stays AND due_on IS NULL) AS pending_without_due,
       count(*) FILTER (WHERE stays AND overdue) AS pending_overdue,
       count(*) FILTER (WHERE owed) AS fell_due,
       count(*) FILTER (WHERE owed AND status = 'resolved' AND ended_on <= due_on) AS fell_due_met,
       coalesce(sum(payments) FILTER (WHERE came), 0)::bigint AS payments,
       coalesce(sum(payments_online) FILTER (WHERE came), 0)::bigint AS payments_online
FROM (
    SELECT *, received_on BETWEEN $2 AND $3 AS came, closes_on BETWEEN $2 AND $3 AS went,
           status = 'resolved' AND closes_on BETWEEN $2 AND $3 AS done,
           received_on <= $3 AND (closes_on > $3 OR closes_on IS NULL) AS stays,
           falls_due_on IS NOT NULL AND greatest(due_on + 1, received_on) <= $3 AS overdue,
           falls_due_on BETWEEN $2 AND $3
               AND NOT (ended_on <= due_on AND status IN ('withdrawn', 'stopped', 'declined')) IS TRUE AS owed
    FROM flat
    WHERE province = $1 AND ({rows})
) AS dossier
GROUP BY resolving_unit
"""

_MONTHS_OWN = " OR ".join(
    f"{day} BETWEEN $2 AND $3" for day in ("received_on", "closes_on", "falls_due_on", "rated_on")
)

MONTH = _COUNTS.format(rows=_MONTHS_OWN)
"""The rows of the month alone, which leaves out most of what was carried over into it."""

EVERYTHING = _COUNTS.format(rows=_MONTHS_OWN + " OR (received_on <= $3 AND (closes_on >= $2 OR closes_on IS NULL))")
"""The same counts as the system's answer holds."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many dossiers there are, how long and how often each subject is measured, how often freshness."""

    dossiers: int
    rounds: int
    seconds: float
    posts: int


FULL = Sizes(dossiers=300_000, rounds=3, seconds=1.5, posts=100)
QUICK = Sizes(dossiers=5_000, rounds=1, seconds=0.4, posts=20)


class Posts:
    """Makes events that nobody has sent: receipts of one commune in the month that is read."""

    def __init__(self, running: System) -> None:
        """Make requests to the gateway."""
        self._running = running
        self._made = 0

    def requests(self, count: int) -> list[bytes]:
        """Return so many requests, each with an event of a dossier of its own."""
        first, self._made = self._made, self._made + count
        receipt = next(
            event for event in system.events(200) if event["type"].endswith(".received") and "06" in event["source"]
        )
        made = [
            {**receipt, "id": f"fresh-{number}", "subject": f"fresh-{number}", "time": "2026-10-05T08:30:00+07:00"}
            for number in range(first, self._made)
        ]
        return system.posts("/v1/events", self._running.outside, made)


async def counted(running: System, head: int) -> None:
    """Return once the metrics service has counted everything up to `head`."""
    connection = await asyncpg.connect(running.database_url)
    give_up_at = time.monotonic() + _SECONDS_TO_COUNT
    try:
        while (await connection.fetchval("SELECT max(position) FROM metrics.checkpoint") or 0) < head:
            if time.monotonic() > give_up_at:
                msg = f"the metrics service has not counted up to {head} after {_SECONDS_TO_COUNT:.0f} s"
                raise SystemExit(msg)
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def all_counted(running: System) -> None:
    """Return once the metrics service has counted everything there is."""
    connection = await asyncpg.connect(running.database_url)
    try:
        head = await connection.fetchval("SELECT max(position) FROM dossier.dossier")
    finally:
        await connection.close()
    await counted(running, head)


async def flatten(running: System) -> Sequence[asyncpg.Record]:
    """Make the flat table, and return everything counted from it by the resolving unit."""
    connection = await asyncpg.connect(running.database_url)
    try:
        await connection.execute(_FLAT)
        await connection.execute("VACUUM ANALYZE")
        return await connection.fetch(EVERYTHING, system.PROVINCE, FIRST, LAST)
    finally:
        await connection.close()


def verify(answer: Mapping[str, Any], flat: Sequence[asyncpg.Record]) -> None:
    """End the benchmark if any count of any unit differs between the system's answer and the flat table's."""
    told = {row["unit"]["code"]: row["counts"] for row in answer["rows"]}
    for row in flat:
        _compare("system", row, told[row["resolving_unit"]], list(row.keys())[1:])
    system.say(f"# {len(answer['rows'])} units; every count of {len(flat)} with dossiers equals the flat table's")


def _compare(name: str, row: asyncpg.Record, told: Mapping[str, int], counts: Sequence[str]) -> None:
    differing = {count: (told[count], row[count]) for count in counts if told[count] != row[count]}
    if differing:
        msg = f"the counts of {row['resolving_unit']} differ ({name}, flat table): {differing}"
        raise SystemExit(msg)


async def verify_directus(peer: Directus, flat: Sequence[asyncpg.Record]) -> None:
    """End the benchmark if any count of any unit differs between an answer of Directus and the flat table's."""
    for question in directus.QUESTIONS:
        answer = await read(peer.port, directus.aggregate(question, FIRST, LAST))
        told, counts = directus.counts(question, answer.body), [question.count, *question.sums]
        for row in flat:
            _compare("Directus", row, told.get(row["resolving_unit"], dict.fromkeys(counts, 0)), counts)
        system.say(f"# {len(told)} units of Directus; what was {question.count} equals the flat table's counts")


async def read(port: int, request: bytes) -> Answer:
    """Ask once, for something that must be answered."""
    connection = await load.connect(port)
    answer = await load.ask(connection, request)
    connection[1].close()
    if answer.status != HTTPStatus.OK:
        msg = f"answered {answer.status}: {answer.body[:500]!r}"
        raise SystemExit(msg)
    if answer.header(b"content-encoding") == "gzip":
        return replace(answer, body=gzip.decompress(answer.body))
    return answer


async def read_anew(running: System, posts: Posts, seconds: float) -> Figure:
    """Time the first read after each of many events, one at a time; it begins once the event is counted."""
    writing, reading = await load.connect(running.gateway), await load.connect(running.gateway)
    latencies, noise, until = list[float](), system.noise(), time.perf_counter() + seconds
    plain = system.request("GET", PATH, running.outside)
    while time.perf_counter() < until:
        [request] = posts.requests(1)
        position = (await load.ask(writing, request)).header(b"motcua-position")
        # What waits asks for other figures than those that are read.
        waiting = f"/v1/rates?period=2024-01-01&by=none&min_position={position}"
        counted = await load.ask(writing, system.request("GET", waiting, running.outside))
        began = time.perf_counter()
        answer = await load.ask(reading, plain)
        latencies.append(time.perf_counter() - began)
        told = answer.header(b"motcua-position")
        if (counted.status, answer.status) != (200, 200) or int(told) < int(position):
            msg = f"answered {counted.status}, and {answer.status} at position {told} after {position}"
            raise SystemExit(msg)
    for _, writer in (writing, reading):
        writer.close()
    return Figure(len(latencies) / sum(latencies), latencies, noise, 0)


@dataclass(frozen=True, slots=True)
class Others:
    """Where the application that answers from memory listens, and the gateway before it; Directus where wanted."""

    memory: int
    gateway: int
    directus: Directus | None


async def one_round(  # noqa: PLR0913 - everything that is measured
    generator: Generator,
    running: System,
    others: Others,
    posts: Posts,
    figures: Mapping[str, list[Figure]],
    seconds: float,
) -> None:
    """Measure every subject once, one after another, and add what was found to `figures`."""
    plain = system.request("GET", PATH, running.outside)

    def reads(port: int, request: bytes) -> Load:
        return Load(port=port, requests=[request], connections=CONNECTIONS, seconds=seconds, over_and_over=True)

    def note(name: str, port: int, request: bytes, status: int = 200) -> None:
        [outcome] = load.run(generator, reads(port, request))
        figures[name].append(outcome.expect(status).figure())

    note("gateway, plain", running.gateway, plain)
    note("gateway, gzip", running.gateway, system.request("GET", PATH, {**running.outside, **system.GZIP}))
    writer = Load(
        port=running.gateway,
        requests=posts.requests(int(seconds / PAUSE_BETWEEN_EVENTS)),
        connections=1,
        seconds=seconds,
        pause=PAUSE_BETWEEN_EVENTS,
    )
    reader, written = load.run(generator, reads(running.gateway, plain), writer)
    written.expect(201)
    figures["gateway, events arriving"].append(reader.expect(200).figure())
    figures[ANEW].append(await read_anew(running, posts, seconds))
    await all_counted(running)
    etag = (await read(running.gateway, plain)).header(b"etag")
    unchanged = system.request("GET", PATH, {**running.outside, "if-none-match": etag})
    note("gateway, 304", running.gateway, unchanged, 304)
    inside = system.request("GET", PATH, running.inside)
    note("service, plain", running.metrics, inside)
    note("service, 304", running.metrics, system.request("GET", PATH, {**running.inside, "if-none-match": etag}), 304)
    for name, sql in (("SQL, the month", MONTH), ("SQL, all counts", EVERYTHING)):
        asked = load.query(generator, running.database_url, sql, (system.PROVINCE, FIRST, LAST), CONNECTIONS, seconds)
        figures[name].append(asked.figure())
    note("memory, hello", others.memory, system.request("GET", "/hello", {}))
    note("memory, hello behind gateway", others.gateway, system.request("GET", HELLO, running.outside))
    note("memory, same answer", others.memory, system.request("GET", PATH, {}))
    note("memory, same answer behind gateway", others.gateway, plain)
    if others.directus:
        for question in directus.QUESTIONS:
            note(_subject(question), others.directus.port, directus.aggregate(question, FIRST, LAST))


def _subject(question: directus.Question) -> str:
    return f"Directus, {question.count}"


async def measure(
    host: Host, sizes: Sizes, *, with_directus: bool
) -> tuple[Mapping[str, list[Figure]], Sequence[float]]:
    """Return the rounds of every subject, and how long the first read after each write took, in seconds."""
    began = time.perf_counter()
    figures: dict[str, list[Figure]] = defaultdict(list)
    url = await system.migrated(host, "motcua_bench")
    with load.generator() as generator:
        async with system.system(host, url) as running:
            head = await history.record(url, sizes.dossiers)
            system.timed(f"{sizes.dossiers} dossiers, {head} events in place", began)
            await counted(running, head)
            system.timed("all of them counted", began)
            flat = await flatten(running)
            plain = system.request("GET", PATH, running.outside)
            answer = await read(running.gateway, plain)
            verify(orjson.loads(answer.body), flat)
            same = host.folder / "answer.json"
            same.write_bytes(answer.body)
            memory, before_memory, posts = embedded.free_port(), embedded.free_port(), Posts(running)
            from_memory = ["bench.memory", "--port", str(memory), "--answer", str(same)]
            gateway = system.environment(running, before_memory, metrics=memory)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(system.process(host, from_memory, memory))
                await stack.enter_async_context(system.process(host, ["services.gateway"], before_memory, gateway))
                peer = await stack.enter_async_context(directus.running(host)) if with_directus else None
                if peer:
                    await directus.fill(peer, url, host.folder)
                    await verify_directus(peer, flat)
                    system.timed("Directus has the same dossiers", began)
                others = Others(memory, before_memory, peer)
                for _ in range(sizes.rounds):
                    await one_round(generator, running, others, posts, figures, sizes.seconds)
            system.timed("all rounds", began)
            awaited = system.request("GET", f"{PATH}&min_position=POSITION", running.outside)
            fresh = load.freshness(generator, running.gateway, posts.requests(sizes.posts), awaited)
    return figures, fresh.expect(200).latencies


RATIOS = (
    ("gateway, plain", "SQL, all counts"),
    ("gateway, plain", "SQL, the month"),
    ("gateway, gzip", "gateway, plain"),
    ("gateway, events arriving", "SQL, all counts"),
    (ANEW, "SQL, all counts"),
    ("service, plain", "SQL, all counts"),
    ("gateway, plain", "memory, same answer behind gateway"),
    ("gateway, 304", "SQL, all counts"),
    ("gateway, 304", "memory, same answer behind gateway"),
    ("gateway, 304", "memory, hello behind gateway"),
    ("service, 304", "memory, hello"),
    ("memory, same answer behind gateway", "memory, same answer"),
)


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the ratios mean little")
    parser.add_argument("--directus", action="store_true", help="measure Directus too; installs it by npm at first")
    asked = parser.parse_args()
    with system.host() as host:
        figures, fresh = asyncio.run(measure(host, QUICK if asked.quick else FULL, with_directus=asked.directus))
    system.say(system.table(figures, "reads/s"))
    mine = ("gateway, gzip", "gateway, plain", "gateway, events arriving", ANEW)
    peers = [(one, _subject(question)) for one in mine for question in directus.QUESTIONS if asked.directus]
    for over, under in (*RATIOS, *peers):
        system.say(system.ratio(f"{over} / {under}", figures[over], figures[under]))
    p50, p99 = (system.percentile(fresh, share) * 1000 for share in (0.5, 0.99))
    plain = system.percentile([latency for one in figures["gateway, plain"] for latency in one.latencies], 0.5) * 1000
    system.say(f"freshness, from the 201 to a read that counts it: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    system.say(f"ratio freshness p50 / plain read p50 at {CONNECTIONS} connections: {p50 / plain:.2f}")


if __name__ == "__main__":
    main()
