"""The master property: however events arrive and the feed is paged, the counts are those of a recount from scratch."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import add

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli import reference
from services.contract import STANDING, Grant, Standing
from services.dossier import app as dossier
from services.dossier import wire
from services.dossier.catalogues import Catalogues
from services.dossier.domain import lifecycle, revision
from services.dossier.domain.history import Occurrence
from services.dossier.domain.record import DATA_OF_TYPE
from services.dossier.domain.revision import Entry
from services.dossier.intake import Intake
from services.dossier.settings import DossierSettings
from services.dossier.store import reads
from services.dossier.store import reference as reference_store
from services.dossier.store.reads import Sought
from services.kit import clock, db
from services.kit.bell import Bell
from services.metrics import feed, follower, rebuild
from services.metrics.domain import tally
from services.metrics.domain.tally import MEASURES, MEASURES_OF, Cell
from services.metrics.follower import Source
from services.metrics.store import counting
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


def _later() -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, _at(2, 17), _at(3, 17)])


_IDS = st.integers(0, 13).map(lambda number: f"e{number}")
_MISTAKE = st.just("a mistake")
_DATA: Mapping[str, st.SearchStrategy[builders.Json]] = {
    "received": st.fixed_dictionaries(
        {
            "procedure": st.sampled_from([builders.PROCEDURE, "unknown"]),
            "receiving_unit": st.sampled_from([builders.UNIT, builders.OTHER_UNIT]),
            "channel": st.sampled_from(["counter", "online", "postal"]),
            "due_at": _later(),
            "fee_required": st.booleans(),
        }
    ),
    "forwarded": st.just({"to_unit": "LS-STP"}),
    "supplement_requested": st.just({}),
    "supplemented": st.fixed_dictionaries({"due_at": _later()}),
    "paused": st.just({"reason": "financial_obligation"}),
    "resumed": st.fixed_dictionaries({"due_at": _later()}),
    "paid": st.fixed_dictionaries({"amount": st.integers(0, 3), "method": st.sampled_from(["online", "cash"])}),
    "refunded": st.fixed_dictionaries({"amount": st.integers(1, 3)}),
    "extended": st.just({"due_at": _at(4, 17)}),
    "resolved": st.fixed_dictionaries({"outcome": st.just("approved"), "result": st.just("electronic")}),
    "returned": st.fixed_dictionaries({"channel": st.sampled_from(["counter", "online"])}),
    "declined": st.just({}),
    "withdrawn": st.just({}),
    "stopped": st.just({}),
    "rated": st.fixed_dictionaries({"score": st.integers(1, 5)}),
    "corrected": st.fixed_dictionaries({"event_id": _IDS}, optional={
        "time": st.just(_at(3, 9)), "due_at": _later(), "channel": st.just("postal"),
        "receiving_unit": st.just(builders.OTHER_UNIT), "amount": st.integers(0, 3),
    }),
    "retracted": st.fixed_dictionaries({"event_id": _IDS, "reason": _MISTAKE}),
    "voided": st.fixed_dictionaries({"reason": _MISTAKE}),
}  # fmt: skip
# Most lives begin with a receipt; what corrects and retracts needs something to name.
_KINDS = ["received", "received", "received", "resolved", "corrected", "retracted", *_DATA]


@st.composite
def _events(draw: st.DrawFn) -> list[builders.Json]:
    """Draw the events of a few dossiers, odd lives among them; each event has an id of its own."""
    events: list[builders.Json] = []
    for number in range(draw(st.integers(1, 14))):
        kind, subject = draw(st.sampled_from(_KINDS)), draw(st.sampled_from(_CODES))
        at = _at(draw(_DAYS), draw(st.integers(8, 10)))
        events.append(builders.event(kind, subject, draw(_DATA[kind]), at=at, event_id=f"e{number}"))
    return events


def test_every_kind_of_event_is_drawn_in_the_master_property() -> None:
    assert {f"vn.motcua.dossier.{kind}" for kind in _DATA} == set(DATA_OF_TYPE)


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
    known: tuple[Sequence[Entry], ...] = (
        reference.units(running.PROVINCE),
        reference.procedures(),
        reference.calendar(),
    )

    async def load() -> None:
        database = db.engine(database_url, application="tests", connections=1)
        async with database.begin() as transaction:
            for entries in known:
                changes = revision.changes([], entries)
                await reference_store.put(transaction, running.PROVINCE, changes, client="tests", at=clock.now())
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


Cells = Mapping[Cell, Sequence[int]]


async def _arrive(url: str, arrival: Arrival) -> tuple[list[Standing], Cells, Cells]:
    """Record and count the events as they arrive; return standings, counts, and the counts of a recount."""
    database = db.engine(url, application="tests", connections=4)
    await _forget_everything(database)
    app = dossier.application(DossierSettings(database_url=url, internal_key=running.INTERNAL_KEY))
    intake = Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell())
    async with intake.running(), running.asked(app) as client:
        for number, portion in enumerate(arrival.portions):
            await intake.submit(_GRANT, wire.events(orjson.dumps(portion))[0])
            source = Source(client, running.INTERNAL_KEY, arrival.pages[number % len(arrival.pages)])
            await _count_a_page(database, source)
        while await _count_a_page(database, source):
            pass
        async with database.connect() as transaction:
            entries = await reads.feed_after(transaction, _GRANT, 0, 100)
        counted = await _cells(database)
        rebuilt = await rebuild.rebuild(database, source, running.PROVINCE)
        assert rebuilt.changed_cells == 0
        recounted = await _cells(database)
    await database.dispose()
    return _as_told([STANDING.validate_json(entry.json) for entry in entries]), counted, recounted


async def _cells(database: AsyncEngine) -> Cells:
    """Return what is counted of days, once it is sure that months and all time add up to the same."""
    async with database.connect() as transaction:
        generation = (await counting.checkpoint(transaction, running.PROVINCE)).generation
        days, months, ever = [
            await counting.cells(transaction, running.PROVINCE, generation, span) for span in ("day", "month", "all")
        ]
    assert _added_up(days, lambda cell: cell._replace(on_day=cell.on_day.replace(day=1))) == months
    assert _added_up(days, lambda cell: cell._replace(on_day=counting.FOR_ALL_TIME)) == ever
    return {cell: _told(counts) for cell, counts in days.items()}


def _added_up(days: Cells, of: Callable[[Cell], Cell]) -> Cells:
    sums: dict[Cell, tuple[int, ...]] = {}
    for cell, counts in days.items():
        sums[of(cell)] = tuple(map(add, sums.get(of(cell), (0,) * len(counts)), counts))
    return {cell: counts for cell, counts in sums.items() if any(counts)}


def _told(counts: Sequence[int]) -> Sequence[int]:
    """Leave out what depends on when it was recorded."""
    return [n for name, n in zip(MEASURES, counts, strict=True) if name != "overdue_by_data"]


async def _count_a_page(database: AsyncEngine, source: Source) -> bool:
    async with database.connect() as transaction:
        after = (await counting.checkpoint(transaction, running.PROVINCE)).position
    read = await feed.page_after(source.dossier, source.internal_key, running.PROVINCE, after=after, limit=source.page)
    await follower.count_page(database, source, running.PROVINCE, read)
    return bool(read.page.entries)


async def _expected(url: str, events: Sequence[builders.Json]) -> tuple[list[Standing], Cells]:
    """Return what the pure functions make of the events in the order in which they were drawn."""
    database = db.engine(url, application="tests", connections=1)
    async with database.connect() as transaction:
        catalogue = await reference_store.load_catalogue(transaction, running.PROVINCE)
        recorded_at = (await reads.events_after(transaction, _GRANT, 0, 1, Sought()))[0].recorded_at
    await database.dispose()
    histories: dict[str, list[Occurrence]] = {}
    for candidate in wire.events(orjson.dumps(events))[0]:
        event = candidate.event
        assert event is not None
        occurrence = Occurrence(1, recorded_at, event.source, event.id, event.time, event.data)
        histories.setdefault(event.subject, []).append(occurrence)
    standings = [lifecycle.fold(code, history, catalogue) for code, history in histories.items()]
    sums = tally.Sum()
    for standing in standings:
        sums.add(tally.counted(standing))
    by_occasion = sums.tally()
    cells = {
        cell: [
            n
            for occasion, measures in MEASURES_OF.items()
            for n in by_occasion[occasion].get(cell, (0,) * len(measures))
        ]
        for cell in {cell for found in by_occasion.values() for cell in found}
    }
    return _as_told(standings), {cell: _told(counts) for cell, counts in cells.items()}


def _as_told(standings: Sequence[Standing]) -> list[Standing]:
    """Return the standings by code, without what depends on when and where they were recorded."""
    told = (
        replace(standing, position=0, recorded_at=None, receipt_recorded_at=None, end_recorded_at=None)
        for standing in standings
    )
    return sorted(told, key=lambda standing: standing.code)


async def _forget_everything(database: AsyncEngine) -> None:
    async with database.begin() as transaction:
        # The log lets nobody take anything out of it, not even its owner, who may though switch its triggers off.
        await transaction.execute(text("SET LOCAL session_replication_role = replica"))
        await transaction.execute(
            text(
                "TRUNCATE dossier.event, dossier.dossier, metrics.cell, metrics.fee_procedure, metrics.standing,"
                " metrics.checkpoint, metrics.freshness, metrics.touched"
            )
        )
