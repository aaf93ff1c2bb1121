"""How soon a closed month tells what was recorded late: from the POST of the first late event to the rate with all.

The system has counted a history of ten months when 10,000 events of October arrive late, in November, for all units:
receipts and results of dossiers that nobody had told of. They are posted in lists of 500, and the month's rates are
asked for with the last one's position. What that answer says is compared with SQL over all dossiers, unit by unit.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from bench import events, history, load, rates, system
from bench.load import Generator, Load
from bench.system import Figure, Host, System

RECORDED, RESTATED = "until all are recorded", "until the rate includes all"

_BATCH, _CONNECTIONS = 500, 4
_TYPES = ("vn.motcua.dossier.received", "vn.motcua.dossier.resolved")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many dossiers are counted already, how many events come late, and how often."""

    dossiers: int
    late: int
    rounds: int


FULL = Sizes(dossiers=100_000, late=10_000, rounds=3)
QUICK = Sizes(dossiers=1_000, late=1_000, rounds=1)


def late(count: int) -> Sequence[Mapping[str, Any]]:
    """Return so many events of October: of dossiers that were received and resolved in it, each told in order."""
    return list(itertools.islice(itertools.chain.from_iterable(_of_october()), count))


def _of_october() -> Iterator[Sequence[Mapping[str, Any]]]:
    told: dict[str, Mapping[str, Any]] = {}
    posted = set[str]()
    for event in system.events(100_000):
        # Some are posted twice, as senders do, and would be recorded once.
        if event["id"] in posted or event["type"] not in _TYPES or not event["time"].startswith("2026-10"):
            continue
        posted.add(event["id"])
        if event["type"] == _TYPES[0]:
            told[event["subject"]] = event
        elif event["subject"] in told:
            yield told.pop(event["subject"]), event


async def restated(generator: Generator, running: System, told: Sequence[Mapping[str, Any]]) -> Mapping[str, Figure]:
    """Post the events and return how many a second were recorded, and restated, counted from the first POST."""
    lists = [told[start : start + _BATCH] for start in range(0, len(told), _BATCH)]
    requests = system.posts("/v1/events", running.outside, lists)
    before = await events.recorded(running.database_url, "dossier.event")
    noise, began = system.noise(), time.perf_counter()
    sent = Load(port=running.gateway, requests=requests, connections=_CONNECTIONS, seconds=600)
    [outcome] = await asyncio.to_thread(load.run, generator, sent)
    outcome.expect(200)
    posted = time.perf_counter()
    answer = await rates.read(running.gateway, await _awaited(running, before + len(told)))
    ended = time.perf_counter()
    rates.verify(orjson.loads(answer.body), await rates.flatten(running))
    return {
        RECORDED: Figure(len(told) / (posted - began), [posted - began], noise, outcome.busy),
        RESTATED: Figure(len(told) / (ended - began), [ended - began], noise, outcome.busy),
    }


async def _awaited(running: System, recorded: int) -> bytes:
    """Return the request for the month's rates at the newest position, if so many events are recorded."""
    connection = await asyncpg.connect(running.database_url)
    try:
        head = await connection.fetchval("SELECT max(position) FROM dossier.event")
        found = await connection.fetchval("SELECT count(*) FROM dossier.event")
    finally:
        await connection.close()
    if found != recorded:
        msg = f"{recorded} events should be recorded, {found} are"
        raise SystemExit(msg)
    return system.request("GET", f"{rates.PATH}&min_position={head}", running.outside)


async def measure(host: Host, sizes: Sizes) -> Mapping[str, Sequence[Figure]]:
    """Return the rounds; each has late events of its own."""
    began = time.perf_counter()
    figures: dict[str, list[Figure]] = {RECORDED: [], RESTATED: []}
    url = await system.migrated(host, "motcua_bench")
    told = late(sizes.late)
    with load.generator() as generator:
        async with system.system(host, url) as running:
            await rates.counted(running, await history.record(url, sizes.dossiers))
            system.timed(f"{sizes.dossiers} dossiers in place and counted", began)
            # What is asked for once is asked for again: whoever reads reports has read the month before.
            await rates.read(running.gateway, system.request("GET", rates.PATH, running.outside))
            await restated(generator, running, events.renamed(told[: sizes.late // 10], "warm"))
            for number in range(sizes.rounds):
                for name, figure in (await restated(generator, running, events.renamed(told, f"late{number}"))).items():
                    figures[name].append(figure)
    return figures


def main() -> None:
    """Measure, and print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the ratios mean little")
    asked = parser.parse_args()
    sizes = QUICK if asked.quick else FULL
    with system.host() as host:
        figures = asyncio.run(measure(host, sizes))
    system.say(system.table(figures, "events/s"))
    seconds = sorted(figure.latencies[0] for figure in figures[RESTATED])
    system.say(
        f"{sizes.late} late events restated: {seconds[0]:.2f} s (best), {seconds[len(seconds) // 2]:.2f} s (median)"
    )
    system.say(system.ratio("restated / recorded, events a second", figures[RESTATED], figures[RECORDED]))


if __name__ == "__main__":
    main()
