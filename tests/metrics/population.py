"""A test of answers asks them of dossiers with every kind of life, of before and after the communes were merged."""

from datetime import timedelta
from random import Random

import httpx

from services.contract import vietnamese_day
from services.kit import clock
from tests.oracle import drawn

_TODAY = vietnamese_day(clock.now())
_PROCEDURES = drawn.procedures(_TODAY - timedelta(days=20))
_BEGINNINGS = (drawn.MERGER - timedelta(days=30), _TODAY - timedelta(days=70))


def record(client: httpx.Client, *, dossiers: int, seed: int, prefix: str = "H37") -> str:
    """Record random lives, half of them about the merger and half until some days ahead; return the position reached.

    What a sender may not send is refused, as elsewhere.
    """
    random = Random(seed)
    client.put("/v1/procedures", json=_PROCEDURES).raise_for_status()
    events = [
        sent.event for n in range(dossiers) for sent in drawn.life(random, f"{prefix}-{n}", _BEGINNINGS[n % 2], 80)
    ]
    random.shuffle(events)
    answer = client.post("/v1/events", json=events).raise_for_status().json()
    assert answer["accepted"] > dossiers
    return str(answer["position"])


def some_period(random: Random) -> str:
    """Return a period in which some of the lives may lie."""
    first = random.choice(_BEGINNINGS) + timedelta(days=random.randint(-20, 90))
    return random.choice(
        [
            f"{first}..{first + timedelta(days=random.choice([0, 6, 20, 61]))}",
            f"{first:%Y-%m}",
            f"{first:%Y-%m}",
            f"{first.year}-Q{(first.month + 2) // 3}",
            str(first.year),
        ]
    )
