"""A province's months at its counters are replayed from a seed, event by event, to the same byte every time."""

from services.cli.simulation.delivery import Delivery, events, ndjson
from services.cli.simulation.plan import Dossier, Step, dossiers
from services.cli.simulation.scenario import Faults, Scenario

__all__ = ["Delivery", "Dossier", "Faults", "Scenario", "Step", "dossiers", "events", "ndjson"]
