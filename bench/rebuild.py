"""How fast all counts are made anew from the feed, beside what PostgreSQL takes to count the same by itself.

`python -m services.metrics rebuild` reads every dossier's standing over HTTP, keeps it as it is counted, and adds up
the counts, while the old ones answer. The floor is SQL alone: it copies the very standings that are already there into
the same table, with the same indexes, and adds up the same counts from them in one statement. It crosses no process,
parses nothing and decides nothing. In the end the cells of both are compared, one by one.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from bench import history, rates, system
from bench.system import Figure, Host, System
from services.metrics import tables
from services.metrics.domain.tally import BIT, MARKS, MEASURES, SECOND
from services.metrics.store.counting import FOR_ALL_TIME

REBUILD = "rebuild"
STANDINGS_AND_CELLS, CELLS_ALONE = "SQL, standings and cells", "SQL, cells alone"

_FLOOR_GENERATION = 1_000_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many dossiers there are, and how often everything is counted anew."""

    dossiers: int
    rounds: int


FULL = Sizes(dossiers=300_000, rounds=3)
QUICK = Sizes(dossiers=2_000, rounds=1)


# --- Counting by SQL --------------------------------------------------------------------------------------------------

# Each dossier with each unit that had a part in it.
_PARTS = """
FROM metrics.standing
CROSS JOIN LATERAL (VALUES
    (resolving_unit, resolving_unit_since,
     CASE WHEN (resolving_unit, resolving_unit_since) = (receiving_unit, receiving_unit_since)
          THEN 'both' ELSE 'resolving' END),
    (receiving_unit, receiving_unit_since,
     CASE WHEN (resolving_unit, resolving_unit_since) = (receiving_unit, receiving_unit_since)
          THEN NULL ELSE 'receiving' END)
) AS place (unit, unit_since, part)
"""
_THERE = """province = $1 AND generation = $2 AND channel IS NOT NULL
  AND unit IS NOT NULL AND unit_since IS NOT NULL AND part IS NOT NULL"""

# What each dossier counts for: like entries first, since there are far fewer of them than dossiers.
_ENTRIES = f"""
SELECT on_day, part, unit, unit_since, channel, occasion, marks, count(*) AS times
{_PARTS}
CROSS JOIN LATERAL (
    VALUES (received_on, 'receipt', NULLIF(at_receipt, 0)), (falls_due_on, 'due', at_due), (closes_on, 'end', at_end),
           (rated_on, 'rating', at_rating), (refused_on, 'refusal', 1),
           (received_on, 'payments', NULLIF(payments + payments_online * {SECOND}, 0))
    UNION ALL SELECT lower(span), 'awaiting', 1 FROM unnest(awaiting) AS span
    UNION ALL SELECT upper(span), 'awaiting', -1 FROM unnest(awaiting) AS span
    UNION ALL SELECT lower(span), 'awaiting_again', 1 FROM unnest(awaiting_again) AS span
    UNION ALL SELECT upper(span), 'awaiting_again', -1 FROM unnest(awaiting_again) AS span
) AS entry (on_day, occasion, marks)
WHERE {_THERE} AND on_day IS NOT NULL AND marks IS NOT NULL
GROUP BY on_day, part, unit, unit_since, channel, occasion, marks
"""  # noqa: S608 - of our own

FEES = f"""
INSERT INTO metrics.fee_procedure
    (province, generation, span, on_day, part, unit, unit_since, channel, procedure, dossiers, paid_online)
SELECT $1, $3::int, CASE WHEN grouping(received_on) = 0 THEN 'day' ELSE 'month' END,
       coalesce(received_on, date_trunc('month', received_on)::date), part, unit, unit_since, channel, procedure,
       count(*), count(*) FILTER (WHERE at_receipt & {BIT["paid_online"]} <> 0)
{_PARTS}
WHERE {_THERE} AND at_receipt & {BIT["fee_due"]} <> 0 AND procedure IS NOT NULL
GROUP BY part, unit, unit_since, channel, procedure, ROLLUP (date_trunc('month', received_on)::date, received_on)
HAVING grouping(date_trunc('month', received_on)::date) = 0
"""
"""Counts the procedures with a fee of the standings of province $1 in generation $2 into generation $3."""

_MEASURED = {
    "payments": ("payments", f"marks % {SECOND}"),
    "payments_online": ("payments", f"marks / {SECOND}"),
    "awaiting_supplement": ("awaiting", "marks"),
    "awaiting_again": ("awaiting_again", "marks"),
    "declined_before_receipt": ("refusal", "marks"),
    **{
        name: (occasion, f"((marks >> {place}) & 1)")
        for occasion, names in MARKS.items()
        for place, name in enumerate(names)
    },
}


def _cells() -> str:
    names = ", ".join(MEASURES)
    of_days = ", ".join(
        f"coalesce(sum(times * {measure}) FILTER (WHERE occasion = '{occasion}'), 0)::int AS {name}"
        for name, (occasion, measure) in ((name, _MEASURED[name]) for name in MEASURES)
    )
    added = ", ".join(f"sum({name})" for name in MEASURES)
    place = "part, unit, unit_since, channel"
    return f"""
WITH entry AS ({_ENTRIES}),
     of_day AS MATERIALIZED (SELECT on_day, {place}, {of_days} FROM entry GROUP BY on_day, {place})
INSERT INTO metrics.cell (province, generation, span, on_day, {place}, {names})
SELECT $1, $3::int, 'day', on_day, {place}, {names} FROM of_day
UNION ALL
SELECT $1, $3::int, 'month', date_trunc('month', on_day)::date AS month, {place}, {added}
FROM of_day GROUP BY month, {place}
UNION ALL
SELECT $1, $3::int, 'all', $4::date, {place}, {added} FROM of_day GROUP BY {place}
"""  # noqa: S608 - of our own


CELLS = _cells()
"""Counts the standings of province $1 in generation $2 into cells of generation $3, those of all time under day $4."""


def _standings() -> str:
    names = ", ".join(
        column.name for column in tables.standing.columns if column.name not in {"province", "generation"}
    )
    return f"""
INSERT INTO metrics.standing (province, generation, {names})
SELECT province, $3::int, {names} FROM metrics.standing WHERE province = $1 AND generation = $2
"""  # noqa: S608 - of our own


_STANDINGS = _standings()

_CELLS_THAT_DIFFER = f"""
SELECT count(*) FROM (
    SELECT span, on_day, part, unit, unit_since, channel, {", ".join(f"sum({name})" for name in MEASURES)}
    FROM (
        SELECT span, on_day, part, unit, unit_since, channel, {", ".join(MEASURES)}
        FROM metrics.cell WHERE province = $1 AND generation = $2
        UNION ALL
        SELECT span, on_day, part, unit, unit_since, channel, {", ".join(f"-{name}" for name in MEASURES)}
        FROM metrics.cell WHERE province = $1 AND generation = $3
    ) AS both_of_them
    GROUP BY span, on_day, part, unit, unit_since, channel
    HAVING {" OR ".join(f"sum({name}) <> 0" for name in MEASURES)}
) AS differing
"""  # noqa: S608 - of our own


_FEES = """
SELECT span, on_day, part, unit, unit_since, channel, procedure, dossiers, paid_online
FROM metrics.fee_procedure WHERE province = $1 AND dossiers <> 0 AND generation =
"""
_FEES_THAT_DIFFER = f"""
SELECT count(*) FROM (({_FEES} $2 EXCEPT {_FEES} $3) UNION ALL ({_FEES} $3 EXCEPT {_FEES} $2)) AS differing
"""  # noqa: S608 - of our own


async def differing(connection: asyncpg.Connection, one: int, other: int) -> int:
    """Return how many cells of two generations tell something else; one that is not there tells zeros."""
    differ = [
        await connection.fetchval(query, system.PROVINCE, one, other)
        for query in (_CELLS_THAT_DIFFER, _FEES_THAT_DIFFER)
    ]
    return sum(differ)


# --- Counting anew ----------------------------------------------------------------------------------------------------


async def _generation(connection: asyncpg.Connection) -> int:
    return int(
        await connection.fetchval("SELECT generation FROM metrics.checkpoint WHERE province = $1", system.PROVINCE)
    )


async def _cleared(connection: asyncpg.Connection) -> None:
    for table in ("cell", "fee_procedure", "standing"):
        await connection.execute(f"DELETE FROM metrics.{table} WHERE generation = {_FLOOR_GENERATION}")  # noqa: S608
        # Neither subject pays for the rows that the other left behind.
        await connection.execute(f"VACUUM ANALYZE metrics.{table}")


async def by_sql(connection: asyncpg.Connection, dossiers: int) -> Mapping[str, Figure]:
    """Count by SQL and return how many dossiers a second that was; the cells stay, to be compared."""
    generation, noise = await _generation(connection), system.noise()
    began = time.perf_counter()
    async with connection.transaction():
        # The system's commits do not wait for the disk either.
        await connection.execute("SET LOCAL synchronous_commit = off")
        await connection.execute(_STANDINGS, system.PROVINCE, generation, _FLOOR_GENERATION)
        kept = time.perf_counter()
        await connection.execute(CELLS, system.PROVINCE, generation, _FLOOR_GENERATION, FOR_ALL_TIME)
        await connection.execute(FEES, system.PROVINCE, generation, _FLOOR_GENERATION)
    ended = time.perf_counter()
    return {
        STANDINGS_AND_CELLS: Figure(dossiers / (ended - began), [ended - began], noise, 0),
        CELLS_ALONE: Figure(dossiers / (ended - kept), [ended - kept], noise, 0),
    }


async def rebuilt(running: System) -> Figure:
    """Run the command that counts anew, with its start and its end, and return its figure."""
    noise, began = system.noise(), time.perf_counter()
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.metrics", "rebuild"],
        cwd=system.ROOT,
        env=dict(system.environment(running, running.metrics)),
        check=False,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    counted = re.search(r": (\d+) dossiers counted", ran.stdout)
    if ran.returncode or counted is None:
        raise SystemExit(ran.stdout + ran.stderr)
    if not ran.stdout.rstrip().endswith(" 0 cells changed"):
        msg = f"counting anew found other counts than following the feed: {ran.stdout}"
        raise SystemExit(msg)
    return Figure(int(counted[1]) / seconds, [seconds], noise, 0)


async def measure(host: Host, sizes: Sizes) -> Mapping[str, Sequence[Figure]]:
    """Return the rounds of counting anew and of SQL, which take turns."""
    began = time.perf_counter()
    figures: dict[str, list[Figure]] = defaultdict(list)
    url = await system.migrated(host, "motcua_bench")
    async with system.system(host, url) as running:
        await rates.counted(running, await history.record(url, sizes.dossiers))
        system.timed(f"{sizes.dossiers} dossiers in place and counted", began)
        connection = await asyncpg.connect(url, server_settings={"jit": "off"}, timeout=60)
        try:
            dossiers = await connection.fetchval("SELECT count(*) FROM metrics.standing")
            for _ in range(sizes.rounds):
                await _cleared(connection)
                for name, figure in (await by_sql(connection, dossiers)).items():
                    figures[name].append(figure)
                await _check(connection)
                await _cleared(connection)
                figures[REBUILD].append(await rebuilt(running))
                system.timed("another round", began)
        finally:
            await connection.close()
    return figures


async def _check(connection: asyncpg.Connection) -> None:
    differ = await differing(connection, await _generation(connection), _FLOOR_GENERATION)
    if differ:
        msg = f"{differ} cells differ between the system and SQL"
        raise SystemExit(msg)
    cells = await connection.fetchval("SELECT count(*) FROM metrics.cell WHERE generation = $1", _FLOOR_GENERATION)
    system.say(f"# each of {cells} cells is the same by SQL")


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the ratios mean little")
    parser.add_argument("--dossiers", type=int, help="how many dossiers there are")
    asked = parser.parse_args()
    sizes = QUICK if asked.quick else FULL
    with system.host() as host:
        figures = asyncio.run(measure(host, Sizes(asked.dossiers or sizes.dossiers, sizes.rounds)))
    system.say(system.table(figures, "dossiers/s"))
    for under in (STANDINGS_AND_CELLS, CELLS_ALONE):
        system.say(system.ratio(f"{REBUILD} / {under}", figures[REBUILD], figures[under]))


if __name__ == "__main__":
    main()
