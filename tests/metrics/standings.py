"""A standing in a test is one short call that names only what the test is about; random ones are as odd as any.

Unless told otherwise a dossier was received online in Phường Đông Kinh on Monday 2026-10-05 at 08:30, was recorded at
once, is due on Friday the 9th at 17:00 and is open.
"""

from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import VIETNAM, Standing, vietnamese_day
from services.kit import db

SINCE = date(2025, 7, 1)
_DERIVED = ("received", "due", "extended_due", "ended")


def at(told: str) -> datetime:
    """Return an instant of October 2026 told like `05 08:30`, or of another month like `2026-11-05 08:30`."""
    day, _, hour = told.rpartition(" ")
    return datetime.fromisoformat(f"{day if '-' in day else f'2026-10-{day}'}T{hour}+07:00").astimezone(VIETNAM)


def standing(**more: Any) -> Standing:  # noqa: ANN401 - fields of Standing
    """Return how a dossier stands; instants are told as `at` reads them, and their days follow from them."""
    usual: dict[str, Any] = {
        "code": "H",
        "status": "pending",
        "receiving_unit": "05977",
        "receiving_unit_since": SINCE,
        "resolving_unit": "05977",
        "resolving_unit_since": SINCE,
        "channel": "online",
        "received_at": "05 08:30",
        "due_at": "09 17:00",
    }
    told: dict[str, Any] = {
        name: at(value) if name.endswith("_at") and isinstance(value, str) else value
        for name, value in (usual | more).items()
    }
    for name in _DERIVED:
        instant = told.get(f"{name}_at")
        if f"{name}_on" not in told and instant is not None:
            told[f"{name}_on"] = vietnamese_day(instant)
    if "receipt_recorded_at" not in told:
        told["receipt_recorded_at"] = told["received_at"]
    if "end_recorded_at" not in told:
        told["end_recorded_at"] = told.get("ended_at")
    return Standing(**told)


def resolved(ended_at: str, **more: Any) -> Standing:  # noqa: ANN401 - fields of Standing
    """Return a dossier with an outcome."""
    return standing(**{"status": "resolved", "ended_at": ended_at, "result": "electronic", **more})


FIRST = date(2026, 8, 20)
"""The day on which random dossiers begin to be received."""

_UNITS = (("05977", SINCE), ("05977", date(2004, 1, 1)), ("05983", SINCE), ("LS-STP", SINCE), ("unknown", None))


def drawn(random: Random, code: str) -> Standing:
    """Return a dossier of any kind, its days within some months of `FIRST`, in whatever order."""
    received_at = _instant(random, 0, 70)
    ended = random.choice(
        ["pending", "pending", "resolved", "resolved", "resolved", "withdrawn", "declined", "stopped"]
    )
    due_at = random.choice([None, _instant(random, -5, 95), received_at + timedelta(days=random.randint(0, 20))])
    ended_at = None if ended == "pending" else received_at + timedelta(hours=random.randint(-60, 900))
    paused_at = _instant(random, 0, 90) if ended == "pending" and random.random() < 0.3 else None
    online, payments = random.randint(0, 2), random.randint(0, 2)
    (receiving, receiving_since), (resolving, resolving_since) = random.choice(_UNITS), random.choice(_UNITS)
    rated = random.random() < 0.3
    found = standing(
        code=code,
        status=ended,
        procedure=random.choice(["1.000001", "1.000002", "1.000003"]),
        field=random.choice([None, "CT", "DD"]),
        receiving_unit=receiving,
        receiving_unit_since=receiving_since,
        resolving_unit=resolving,
        resolving_unit_since=resolving_since,
        channel=random.choice(["counter", "online", "postal"]),
        source=random.choice([None, "urn:a", "urn:b"]),
        received_at=received_at,
        receipt_recorded_at=received_at + timedelta(hours=random.choice([0, 1, 200])),
        due_at=due_at,
        extended_due_at=random.choice([None, None, _instant(random, 10, 95)]),
        ended_at=ended_at,
        end_recorded_at=None if ended_at is None else ended_at + timedelta(hours=random.choice([0, 1, 400])),
        paused_at=paused_at,
        supplement_spans=tuple(_spans(random)) if random.random() < 0.4 else (),
        fee_due=random.random() < 0.5,
        payments=payments + online,
        payments_online=online,
        paid_on_platform=random.random() < 0.5,
        result=random.choice([None, "electronic", "paper", "both", "none"]),
        in_person=random.random() < 0.2,
        reused_data=random.random() < 0.5,
        digitised=random.random() < 0.5,
        online_level=random.choice([None, "full", "partial"]),
        score=random.randint(1, 5) if rated else None,
        rated_on=FIRST + timedelta(days=random.randint(0, 90)) if rated else None,
    )
    match random.random():
        case chance if chance < 0.04:
            return replace(found, received_at=None, received_on=None, receipt_recorded_at=None, channel=None)
        case chance if chance < 0.08:
            return replace(found, status="voided")
        case _:
            return found


def _instant(random: Random, first: int, last: int) -> datetime:
    return datetime.combine(FIRST, datetime.min.time(), VIETNAM) + timedelta(
        hours=random.randint(24 * first, 24 * last)
    )


def _spans(random: Random) -> Iterator[str]:
    """Yield when the citizen was asked, one after another and the last perhaps still."""
    day = random.randint(0, 40)
    for number in range(random.randint(1, 3)):
        over = day + random.randint(0, 12)
        first, last = (FIRST + timedelta(days=n) for n in (day, over))
        if number and random.random() < 0.3:
            yield f"{first}/"
            return
        yield f"{first}/{last}"
        day = over + random.randint(0, 6)


def numbered(dossiers: Sequence[Standing], position: int = 0) -> list[Standing]:
    """Return the dossiers as the feed would tell them: each at a position of its own."""
    return [replace(one, position=position + number) for number, one in enumerate(dossiers, 1)]


@asynccontextmanager
async def database(url: str, connections: int = 2) -> Any:  # noqa: ANN401 - an engine
    """Return an engine on the database for as long as the block lasts."""
    engine: AsyncEngine = db.engine(url, application="tests", connections=connections)
    try:
        yield engine
    finally:
        await engine.dispose()
