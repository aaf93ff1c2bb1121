"""The master property: however events arrive and the feed is paged, the counts are those of a recount from scratch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli import reference
from services.contract import Grant, Standing
from services.dossier import app as dossier
from services.dossier import store as dossier_store
from services.dossier import wire
from services.dossier.catalogues import Catalogues
from services.dossier.domain import lifecycle
from services.dossier.intake import Intake
from services.dossier.settings import DossierSettings
from services.kit import db
from services.kit.bell import Bell
from services.metrics import feed, follower
from services.metrics import store as metrics_store
from services.metrics.domain import tally
from services.metrics.follower import Source
from tests import builders, running

_GRANT = Grant(client="tests", province=running.PROVINCE)
_CODES = ("H37.05977-261005-0001", "H37.05977-261005-0002", "H37.05983-261005-0001")
_DAYS = st.integers(1, 4)


@dataclass(frozen=True)
class Arrival:
    """How events reach the system: in which order and portions, and how many standings are counted after each."""

    portions: Sequence[Sequence[builders.Json]]
    pages: Sequence[int]


def _at(day: int, hour: int) -> str:
    return f"2026-10-{day + 4:02d}T{hour:02d}:00:00+07:00"


@st.composite
def _events(draw: st.DrawFn) -> list[builders.Json]:
    """Draw the events of a few dossiers, odd lives among them; each event has an id of its own."""
    events: list[builders.Json] = []
    for number in range(draw(st.integers(1, 14))):
        subject, at, event_id = draw(st.sampled_from(_CODES)), _at(draw(_DAYS), draw(st.integers(8, 10))), f"e{number}"
        common: dict[str, Any] = {"at": at, "event_id": event_id}
        kind = draw(st.sampled_from(["received", "received", "forwarded", "paid", "resolved", "returned", "withdrawn"]))
        match kind:
            case "received":
                told: dict[str, Any] = {
                    "receiving_unit": draw(st.sampled_from([builders.UNIT, builders.OTHER_UNIT])),
                    "channel": draw(st.sampled_from(["counter", "online", "postal"])),
                    "due_at": draw(st.sampled_from([None, _at(2, 17), _at(3, 17)])),
                    "fee_required": draw(st.booleans()),
                }
                events.append(builders.received(subject, **common, **told))
            case "forwarded":
                events.append(builders.forwarded(subject, **common, to_unit="LS-STP"))
            case "paid":
                events.append(builders.paid(subject, **common, method=draw(st.sampled_from(["online", "cash"]))))
            case "resolved":
                events.append(builders.resolved(subject, **common))
            case "returned":
                events.append(builders.returned(subject, **common))
            case _:
                events.append(builders.withdrawn(subject, **common))
    return events


@st.composite
def _arrivals(draw: st.DrawFn) -> tuple[list[builders.Json], Arrival]:
    """Draw events and one way for them to arrive: shuffled, repeated, in portions, counted in pages of any size."""
    events = draw(_events())
    repeated = events + draw(st.lists(st.sampled_from(events), max_size=5))
    arriving = draw(st.permutations(repeated))
    cuts = sorted(draw(st.sets(st.integers(1, max(len(arriving) - 1, 1)), max_size=4)))
    portions = [arriving[a:b] for a, b in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]
    return events, Arrival([portion for portion in portions if portion], draw(st.lists(st.integers(1, 5), min_size=1)))


@pytest.fixture
def known_url(database_url: str) -> str:
    """Return a database that knows Lạng Sơn's units, procedures and calendar, and that nobody follows."""

    async def load() -> None:
        database = db.engine(database_url, application="tests", connections=1)
        async with database.begin() as transaction:
            await dossier_store.put_units(transaction, running.PROVINCE, reference.units(running.PROVINCE))
            await dossier_store.put_procedures(transaction, running.PROVINCE, reference.procedures())
            await dossier_store.put_calendar_days(transaction, running.PROVINCE, reference.calendar())
        await database.dispose()

    asyncio.run(load())
    return database_url


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(_arrivals())
def test_incremental_counts_are_a_recount_however_events_arrive(
    known_url: str, drawn: tuple[list[builders.Json], Arrival]
) -> None:
    events, arrival = drawn

    standings, counted, recounted = asyncio.run(_arrive(known_url, arrival))

    expected_standings, expected = asyncio.run(_expected(known_url, events))
    assert standings == expected_standings
    assert counted == expected
    assert recounted == expected


async def _arrive(url: str, arrival: Arrival) -> tuple[list[Standing], tally.Tally, tally.Tally]:
    """Record and count the events as they arrive; return standings, counts, and the counts of a recount."""
    database = db.engine(url, application="tests", connections=4)
    await _forget_everything(database)
    app = dossier.application(DossierSettings(database_url=url, internal_key=running.INTERNAL_KEY))
    intake = Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell())
    transport = httpx.ASGITransport(app)
    async with intake.running(), httpx.AsyncClient(transport=transport, base_url="http://dossier") as client:
        for number, portion in enumerate(arrival.portions):
            await intake.submit(_GRANT, wire.events(orjson.dumps(portion))[0])
            source = Source(client, running.INTERNAL_KEY, arrival.pages[number % len(arrival.pages)])
            await _count_a_page(database, source)
        while await _count_a_page(database, source):
            pass
        async with database.connect() as transaction:
            standings = await dossier_store.feed_after(transaction, _GRANT, 0, 100)
            counted = await metrics_store.cells(transaction, running.PROVINCE)
        await follower.recount(database, source, running.PROVINCE)
        async with database.connect() as transaction:
            recounted = await metrics_store.cells(transaction, running.PROVINCE)
    await database.dispose()
    return _as_told(standings), counted, recounted


async def _count_a_page(database: AsyncEngine, source: Source) -> bool:
    async with database.connect() as transaction:
        after = (await metrics_store.checkpoint(transaction, running.PROVINCE)).position
    read = await feed.page_after(source.dossier, source.internal_key, running.PROVINCE, after=after, limit=source.page)
    await follower.count_page(database, source, running.PROVINCE, read)
    return bool(read.page.entries)


async def _expected(url: str, events: Sequence[builders.Json]) -> tuple[list[Standing], tally.Tally]:
    """Return what the pure functions make of the events in the order in which they were drawn."""
    database = db.engine(url, application="tests", connections=1)
    async with database.connect() as transaction:
        catalogue = await dossier_store.load_catalogue(transaction, running.PROVINCE)
        recorded_at = (await dossier_store.feed_after(transaction, _GRANT, 0, 1))[0].recorded_at
    await database.dispose()
    assert recorded_at is not None
    histories: dict[str, list[lifecycle.Occurrence]] = {}
    for candidate in wire.events(orjson.dumps(events))[0]:
        event = candidate.event
        assert event is not None
        occurrence = lifecycle.Occurrence(1, recorded_at, event.source, event.id, event.time, event.data)
        histories.setdefault(event.subject, []).append(occurrence)
    standings = [lifecycle.fold(code, history, catalogue) for code, history in histories.items()]
    return (
        _as_told(standings),
        tally.total(tally.contribution(standing) for standing in standings),
    )


def _as_told(standings: Sequence[Standing]) -> list[Standing]:
    """Return the standings by code, without what depends on when and where they were recorded."""
    told = (replace(standing, position=0, recorded_at=None) for standing in standings)
    return sorted(told, key=lambda standing: standing.code)


async def _forget_everything(database: AsyncEngine) -> None:
    async with database.begin() as transaction:
        await transaction.execute(
            text(
                "TRUNCATE dossier.event, dossier.dossier, metrics.cell, metrics.standing, metrics.checkpoint,"
                " metrics.freshness"
            )
        )
