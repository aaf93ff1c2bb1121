"""What was open, overdue or waiting at the end of any day, past or to come, is asked of the rates of that day."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.contract import vietnamese_day
from services.kit import clock
from tests.builders import event, received, resolved
from tests.running import System

_STOCKS = ("pending", "pending_within", "pending_overdue", "pending_without_due", "awaiting_supplement")

# Due on the 7th, sent back to the citizen from the 6th to the 8th, then due on the 9th, and resolved on the 12th.
_LIFE = [
    received("H37-1", at="2026-10-05T08:30:00+07:00", due_at="2026-10-07T17:00:00+07:00"),
    event("supplement_requested", "H37-1", {}, at="2026-10-06T09:00:00+07:00"),
    event("supplemented", "H37-1", {"due_at": "2026-10-09T17:00:00+07:00"}, at="2026-10-08T09:00:00+07:00"),
    resolved("H37-1", at="2026-10-12T10:00:00+07:00"),
]


def _stocks(client: httpx.Client, day: object, position: str) -> dict[str, int]:
    asked = {"period": str(day), "by": "none", "min_position": position}
    counts: Any = client.get("/v1/rates", params=asked).raise_for_status().json()["total"]["counts"]
    return {name: counts[name] for name in _STOCKS if counts[name]}


@pytest.mark.parametrize(
    ("day", "stocks"),
    [
        ("2026-10-04", {}),
        ("2026-10-05", {"pending": 1, "pending_within": 1}),
        ("2026-10-06", {"pending": 1, "pending_within": 1, "awaiting_supplement": 1}),
        ("2026-10-07", {"pending": 1, "pending_within": 1, "awaiting_supplement": 1}),
        ("2026-10-08", {"pending": 1, "pending_within": 1}),
        ("2026-10-09", {"pending": 1, "pending_within": 1}),
        ("2026-10-10", {"pending": 1, "pending_overdue": 1}),
        ("2026-10-11", {"pending": 1, "pending_overdue": 1}),
        ("2026-10-12", {}),
    ],
)
def test_the_rates_of_a_day_tell_what_was_open_at_its_end(system: System, day: str, stocks: dict[str, int]) -> None:
    with system.client() as client:
        position = client.post("/v1/events", json=_LIFE).raise_for_status().json()["position"]

        assert _stocks(client, day, position) == stocks


def test_the_rates_of_a_day_to_come_tell_what_will_be_open_if_nothing_ends(system: System) -> None:
    today = vietnamese_day(clock.now())
    due_on = today + timedelta(days=40)
    dossier = received("H37-1", at=f"{today - timedelta(days=2)}T08:30:00+07:00", due_at=f"{due_on}T17:00:00+07:00")

    with system.client() as client:
        position = client.post("/v1/events", json=[dossier]).raise_for_status().json()["position"]

        on_the_day = _stocks(client, due_on, position)
        day_after = _stocks(client, due_on + timedelta(days=1), position)
        backlog = client.get("/v1/backlog", params={"on": str(due_on + timedelta(days=1))}).json()["total"]["counts"]

    assert on_the_day == {"pending": 1, "pending_within": 1}
    # The backlog judges what is open now by that day, and comes to the same.
    assert day_after == {"pending": 1, "pending_overdue": 1}
    assert {name: backlog[name] for name in _STOCKS if backlog[name]} == day_after
