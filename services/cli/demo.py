"""A fresh system has something to show: Lạng Sơn's reference data and a simulated month, sent by the front door."""

from collections.abc import Callable
from datetime import date

import httpx

from services.cli import posting, reference, simulation
from services.cli.posting import Outcome
from services.cli.simulation import Scenario

PROVINCE = "20"
PERIOD = "2026-10"


def load_reference(gateway: httpx.Client, province: str) -> None:
    """Store units, procedures and calendar; what is there already stays as it is."""
    files = {"units": f"{province}/units.csv", "procedures": "procedures.csv", "calendar": "calendar.csv"}
    for path, name in files.items():
        gateway.put(
            f"/v1/{path}", content=reference.csv_text(name), headers={"Content-Type": "text/csv"}
        ).raise_for_status()


def has_reference(gateway: httpx.Client) -> bool:
    """Tell whether the province has any unit."""
    answer = gateway.get("/v1/units", params={"versions": "all"}).raise_for_status()
    return bool(answer.json()["items"])


def has_events(gateway: httpx.Client) -> bool:
    """Tell whether anything has been recorded for the province."""
    return bool(gateway.get("/v1/feed", params={"limit": 1}).raise_for_status().json()["entries"])


def scenario() -> Scenario:
    """Return the month that a fresh system is filled with."""
    return Scenario(
        seed=316,
        province=PROVINCE,
        first_day=date(2026, 10, 1),
        last_day=date(2026, 10, 31),
        dossiers=20_000,
        units=reference.units(PROVINCE),
        procedures=reference.procedures(),
        traffic=reference.traffic(),
        calendar=reference.calendar(),
    )


def load_month(gateway: httpx.Client, total: Callable[[int], None], done: Callable[[int], None]) -> Outcome:
    """Simulate the month and post it; `total` hears how many events there are, `done` how many were answered for."""
    events = list(simulation.ndjson(simulation.events(scenario())))
    total(len(events))
    return posting.post(gateway, events, batch=2_500, done=done)
