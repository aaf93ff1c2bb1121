"""A dossier late in truth and one that only was told late are told apart, whatever goes wrong in passing events on.

The simulation knows what truly happened and when each event was posted; the events go through the very rules by which
the dossier service makes standings and the metrics service counts them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from services.cli import demo, simulation
from services.cli.simulation import Faults, Overdue, Scenario
from services.contract import EVENTS, VIETNAM
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.history import Occurrence
from services.metrics.domain import tally

ALL = Faults(late_ends=0.2, outages=0.3, missing_ends=0.02)
MONTH = replace(demo.scenario(), dossiers=4_000)
# Two months later every dossier of the month has fallen due, and what was missing has been found.
UNTIL = datetime.combine(MONTH.last_day, time(23, 59, 59), VIETNAM) + timedelta(days=60)


def histories(scenario: Scenario) -> Mapping[str, list[Occurrence]]:
    """Return each dossier's events, recorded at the instant at which they are posted."""
    deliveries = list(simulation.events(scenario))
    events = EVENTS.validate_python([delivery.event for delivery in deliveries])
    recorded: dict[str, list[Occurrence]] = defaultdict(list)
    for position, (delivery, event) in enumerate(zip(deliveries, events, strict=True), 1):
        occurrence = Occurrence(position, delivery.deliver_at, event.source, event.id, event.time, event.data)
        recorded[event.subject].append(occurrence)
    return recorded


def as_counted(scenario: Scenario) -> Mapping[str, tally.Counted]:
    """Return the dossiers as they are counted when all has been posted."""
    known = catalogue(scenario.units, scenario.procedures, scenario.calendar)
    return {code: tally.counted(lifecycle.fold(code, history, known)) for code, history in histories(scenario).items()}


def classified(counted: tally.Counted, today: date) -> str:
    """Return why a dossier was overdue, as the metrics service counts it."""
    falls_due_on, marks = counted.falls_due_on, counted.at_due
    if falls_due_on is None or falls_due_on >= today:
        return "not"
    if not marks & tally.BIT["fell_due_met"]:
        return "by fact"
    return "by data" if marks & tally.BIT["overdue_by_data"] else "not"


def truly(overdue: Overdue) -> str:
    return "by fact" if overdue.by_fact else "by data" if overdue.by_data else "not"


@pytest.mark.parametrize(
    "faults",
    [Faults(late_ends=0.3), Faults(outages=0.6), Faults(missing_ends=0.05), ALL],
    ids=["late ends", "outages", "missing ends", "all"],
)
def test_what_was_overdue_by_fact_and_what_by_data_is_told_apart(faults: Faults) -> None:
    scenario = replace(MONTH, faults=faults, until=UNTIL)
    overdue = {one.code: truly(one) for one in simulation.backlog(scenario) if one.shown}

    counted = as_counted(scenario)
    found = {code: classified(counted[code], UNTIL.date()) for code in overdue}

    pairs = Counter((overdue[code], found[code]) for code in overdue)
    for why in ("by fact", "by data"):
        right = pairs[why, why]
        assert right >= 20
        assert right >= 0.95 * sum(n for (_, told), n in pairs.items() if told == why), pairs
        assert right >= 0.95 * sum(n for (true, _), n in pairs.items() if true == why), pairs


def test_without_faults_nothing_is_overdue_by_data() -> None:
    honest = replace(MONTH, until=UNTIL, incidents=replace(MONTH.incidents, corrected=0.0, retracted=0.0))

    counted = as_counted(honest)

    assert not [code for code, one in counted.items() if one.at_due & tally.BIT["overdue_by_data"]]


def test_what_happened_is_counted_the_same_whatever_went_wrong_in_telling() -> None:
    def facts(faults: Faults) -> Counter[tuple[date | None, date | None, int]]:
        counted = as_counted(replace(MONTH, dossiers=1_000, faults=faults, until=UNTIL)).values()
        return Counter((one.falls_due_on, one.closes_on, one.at_end) for one in counted)

    assert facts(ALL) == facts(Faults())
