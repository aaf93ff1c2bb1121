"""What happened is posted the way counters do it: soon after, or late, twice and in disorder where told to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

import orjson

from services.cli.simulation.habits import happens
from services.cli.simulation.life import Step
from services.cli.simulation.plan import ENDS, Dossier, dossiers, event_id
from services.cli.simulation.scenario import Faults, Scenario, stream, units_in_force
from services.contract import VIETNAM

SLUGS = {"19": "thai-nguyen", "20": "lang-son"}
OFFLINE = timedelta(days=3)

Outage = tuple[datetime, datetime]
"""Nothing comes from a counter between the two instants; at the second one all of it comes at once."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, a CloudEvents JSON object, and the instant at which the counter's software posts it."""

    deliver_at: datetime
    event: dict[str, Any]


def events(scenario: Scenario) -> Iterator[Delivery]:
    """Yield the scenario's deliveries in the order of `deliver_at`, holding only what has not been posted yet.

    Faults change when and how often something is delivered, and a wrong clock its time; nothing else differs.
    """
    offline, clocks, outages = _counters_offline(scenario), _clock_errors(scenario), _outages(scenario)
    late_ends, ends = _counters_of_late_ends(scenario), stream(scenario, "ends")
    delays, luck = stream(scenario, "delays"), stream(scenario, "faults")
    source = f"urn:motcua:demo:{SLUGS.get(scenario.province, scenario.province)}:"
    # All that is posted on a day waits in the day's own list until no dossier can add to it any more; the running
    # number keeps the order of events posted in the same second.
    waiting: dict[date, list[tuple[datetime, int, dict[str, Any]]]] = {}
    number = 0
    today = scenario.first_day
    for dossier in dossiers(scenario):
        began_on = dossier.steps[0].occurred_at.date()
        if began_on != today:
            yield from _posted_before(began_on, waiting)
            today = began_on
        held_back, ended = _held_back(scenario.faults, ends, ends_late=dossier.resolving_unit in late_ends), False
        for step, event, deliver_at in _posted(dossier, source, scenario.faults.shuffled, delays, luck):
            if clocks:
                event["time"] = (step.occurred_at + clocks.get(step.unit, timedelta())).isoformat()
            at = deliver_at + OFFLINE if step.unit in offline else deliver_at
            ended = ended or step.kind in ENDS
            if ended:
                at += held_back
            began, over = outages.get(step.unit, (at, at))
            if began <= at < over:
                at = over
            waiting.setdefault(at.date(), []).append((at, number, event))
            number += 1
            if luck.random() < scenario.faults.duplicates:
                again_at = at + timedelta(seconds=60 + int(172_000 * luck.random()))
                waiting.setdefault(again_at.date(), []).append((again_at, number, event))
                number += 1
    yield from _posted_before(date.max, waiting)


def ndjson(deliveries: Iterable[Delivery]) -> Iterator[bytes]:
    """Yield each event as a line of JSON, ready to be written or posted."""
    for delivery in deliveries:
        yield orjson.dumps(delivery.event, option=orjson.OPT_APPEND_NEWLINE)


def _posted_before(day: date, waiting: dict[date, list[tuple[datetime, int, dict[str, Any]]]]) -> Iterator[Delivery]:
    for past in sorted(on_day for on_day in waiting if on_day < day):
        for deliver_at, _, event in sorted(waiting.pop(past), key=lambda posted: posted[:2]):
            yield Delivery(deliver_at, event)


def _posted(
    dossier: Dossier, source: str, shuffled: float, delays: Random, luck: Random
) -> Iterator[tuple[Step, dict[str, Any], datetime]]:
    """Yield each step with its event and the instant of posting, before any counter's own troubles."""
    posted_after = timedelta(seconds=1 + int(90 * delays.random()))
    order: list[int] | None = None
    if luck.random() < shuffled:
        order = list(range(len(dossier.steps)))
        luck.shuffle(order)
    for index, step in enumerate(dossier.steps):
        event = {
            "specversion": "1.0",
            "id": event_id(dossier.code, index),
            "source": source + step.unit,
            "type": f"vn.motcua.dossier.{step.kind}",
            "subject": dossier.code,
            "time": step.occurred_at.isoformat(),
            "data": step.content,
        }
        if order is None:
            yield step, event, step.occurred_at + posted_after
        else:
            yield step, event, dossier.steps[-1].occurred_at + timedelta(seconds=1 + order[index])


def _counters_offline(scenario: Scenario) -> frozenset[str]:
    return frozenset(_some_counters(scenario, scenario.faults.offline, stream(scenario, "offline")))


def _counters_of_late_ends(scenario: Scenario) -> frozenset[str]:
    return frozenset(_some_counters(scenario, scenario.faults.late_ends, stream(scenario, "late ends")))


def _held_back(faults: Faults, rng: Random, *, ends_late: bool) -> timedelta:
    """Draw for how long the end of a dossier's processing is not told, nor what comes after it."""
    missing = happens(faults.missing_ends, rng)
    longest, shortest = (35, 14) if missing else (8, 1) if ends_late else (0, 0)
    return timedelta(days=shortest, seconds=int((longest - shortest) * 86_400 * rng.random()))


def _outages(scenario: Scenario) -> dict[str, Outage]:
    """Draw the counters with an outage, which begins at any time of the period."""
    rng = stream(scenario, "outages")
    midnight, days = datetime.combine(scenario.first_day, time(), VIETNAM), scenario.last_day - scenario.first_day
    outages = {}
    for unit in _some_counters(scenario, scenario.faults.outages, rng):
        began = midnight + timedelta(seconds=int((days.days + 1) * 86_400 * rng.random()))
        outages[unit] = began, began + timedelta(days=2, seconds=int(4 * 86_400 * rng.random()))
    return outages


def _clock_errors(scenario: Scenario) -> dict[str, timedelta]:
    rng = stream(scenario, "clocks")
    wrong = _some_counters(scenario, scenario.faults.clock_errors, rng)
    return {unit: timedelta(minutes=rng.choice((-1, 1)) * rng.randrange(10, 361)) for unit in wrong}


def _some_counters(scenario: Scenario, share: float, rng: Random) -> list[str]:
    """Draw a share of the counters, at least one as soon as the share is above 0."""
    units = [unit.code for unit in units_in_force(scenario)]
    return rng.sample(units, k=min(len(units), max(round(share * len(units)), share > 0)))
