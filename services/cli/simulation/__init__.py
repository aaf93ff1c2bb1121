"""A province's months at its counters are replayed from a seed, event by event, to the same byte every time."""

from services.cli.simulation.backlog import Overdue, backlog
from services.cli.simulation.delivery import Delivery, events, ndjson
from services.cli.simulation.life import Step
from services.cli.simulation.plan import Dossier, dossiers
from services.cli.simulation.scenario import Faults, Incidents, Scenario

__all__ = [
    "Delivery",
    "Dossier",
    "Faults",
    "Incidents",
    "Overdue",
    "Scenario",
    "Step",
    "backlog",
    "dossiers",
    "events",
    "ndjson",
]
