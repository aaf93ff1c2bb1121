"""Corrected reference data reaches the dossiers recorded before it, once, in pieces, and through every crash."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cli import reference
from services.contract import STANDING, CalendarDay, Grant, Procedure, Standing
from services.dossier import refold, wire
from services.dossier.catalogues import Catalogues
from services.dossier.domain import revision
from services.dossier.domain.revision import Entry, Reach
from services.dossier.intake import Intake
from services.dossier.store import log, reads
from services.dossier.store import reference as reference_store
from services.dossier.store import refold as refold_store
from services.dossier.store.reads import FeedEntry
from services.dossier.store.refold import Waiting
from services.kit import clock, db
from services.kit.bell import Bell
from tests.builders import DUE_AT, OTHER_UNIT, UNIT, Json, event, forwarded, paid, received, resolved
from tests.running import PROVINCE, System

_GRANT = Grant(client="tests", province=PROVINCE)

UNKNOWN = "X-1"
THREE_DAYS = next(
    each
    for each in reference.procedures()
    if each.limit is not None and (each.limit.amount, each.limit.unit) == (3, "working_days")
    if not (each.limits_by_channel or each.mountain_extra_days or each.valid_to)
)
"""A procedure that may take three working days, wherever and however it is asked for."""

NEW = THREE_DAYS.model_copy(update={"code": UNKNOWN})


def _day(on_day: str, *, working: bool = False) -> CalendarDay:
    return CalendarDay(on_day=date.fromisoformat(on_day), working=working, name="Nghỉ")


# --- Chunk by chunk ---------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _known(url: str) -> AsyncIterator[AsyncEngine]:
    """Give a database that knows Lạng Sơn's reference data, and in which nobody folds anew but the test."""
    database = db.engine(url, application="tests", connections=4)
    loaded: tuple[Sequence[Entry], ...] = (reference.units(PROVINCE), reference.procedures(), reference.calendar())
    try:
        for entries in loaded:
            await _put(database, entries)
        await _finish(database)
        yield database
    finally:
        await database.dispose()


async def _put(database: AsyncEngine, entries: Sequence[Entry]) -> None:
    async with database.begin() as transaction:
        await log.hold(transaction, PROVINCE)
        stored: Sequence[Entry] = (
            *await reference_store.units(transaction, PROVINCE),
            *await reference_store.procedures(transaction, PROVINCE),
            *await reference_store.calendar_days(transaction, PROVINCE),
        )
        same = [entry for entry in stored if isinstance(entry, type(entries[0]))]
        changes = revision.changes(same, entries)
        await reference_store.put(transaction, PROVINCE, changes, client="tests", at=clock.now())


async def _record(database: AsyncEngine, *events: Json) -> None:
    intake = Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell())
    async with intake.running():
        answer = await intake.submit(_GRANT, wire.events(orjson.dumps(events))[0])
    assert {result.status for result in answer.results} == {"accepted"}


async def _waiting(database: AsyncEngine) -> Sequence[Waiting]:
    async with database.connect() as transaction:
        return await refold_store.waiting(transaction)


async def _feed(database: AsyncEngine, after: int = 0) -> Sequence[Standing]:
    async with database.connect() as transaction:
        return _standings(await reads.feed_after(transaction, _GRANT, after, 1_000))


def _standings(entries: Sequence[FeedEntry]) -> Sequence[Standing]:
    return [STANDING.validate_json(entry.json) for entry in entries]


async def _finish(database: AsyncEngine, dossiers: int = 2) -> int:
    """Fold anew until nothing waits, as a process that has just started would; return how many dossiers changed."""
    changed = 0
    while waiting := await _waiting(database):
        changed += await refold.chunk(database, Catalogues(), waiting[0], dossiers) or 0
    return changed


def _unknown(count: int) -> list[Json]:
    return [received(f"H37-{number}", procedure=UNKNOWN, due_at=None) for number in range(count)]


def test_a_process_that_dies_between_two_chunks_is_carried_on_where_it_was(database_url: str) -> None:
    async def run() -> tuple[int | None, list[str], int, Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, *_unknown(5))
            await _put(database, [NEW])
            (waiting,) = await _waiting(database)
            first = await refold.chunk(database, Catalogues(), waiting, 2)
            left = [change.after_code for change in await _waiting(database)]
            rest = await _finish(database)
            return first, left, rest, await _feed(database)

    first, left, rest, feed = asyncio.run(run())

    assert (first, left, rest) == (2, ["H37-1"], 3)
    assert [(standing.code, standing.position) for standing in feed] == [(f"H37-{n}", 6 + n) for n in range(5)]
    assert {standing.field for standing in feed} == {THREE_DAYS.field.code}


def test_a_process_that_dies_within_a_chunk_leaves_nothing_of_it(database_url: str) -> None:
    async def run() -> tuple[Sequence[Standing], list[str], int]:
        async with _known(database_url) as database:
            await _record(database, *_unknown(3))
            await _put(database, [NEW])
            (waiting,) = await _waiting(database)
            async with database.begin() as transaction:
                await log.hold(transaction, PROVINCE)
                dying = asyncio.create_task(refold.chunk(database, Catalogues(), waiting, 2))
                await asyncio.sleep(0.2)
                dying.cancel()
                await asyncio.gather(dying, return_exceptions=True)
            feed = await _feed(database)
            return feed, [change.after_code for change in await _waiting(database)], await _finish(database)

    feed, left, changed = asyncio.run(run())

    assert [standing.position for standing in feed] == [1, 2, 3]
    assert (left, changed) == ([""], 3)


def test_a_chunk_that_takes_too_long_leaves_its_rest_to_the_next(database_url: str) -> None:
    async def run() -> tuple[list[int | None], Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, *_unknown(120))
            await _put(database, [NEW])
            changed = []
            while waiting := await _waiting(database):
                changed.append(await refold.chunk(database, Catalogues(), waiting[0], hold_seconds=0))
            return changed, await _feed(database)

    changed, feed = asyncio.run(run())

    assert changed == [50, 50, 20]
    assert [standing.position for standing in feed] == list(range(121, 241))
    assert {standing.field for standing in feed} == {THREE_DAYS.field.code}


def test_two_processes_at_the_same_change_fold_each_dossier_once(database_url: str) -> None:
    async def run() -> tuple[list[set[int | None]], Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, *_unknown(6))
            await _put(database, [NEW])
            changed = []
            while waiting := await _waiting(database):
                both = (refold.chunk(database, Catalogues(), waiting[0], 2) for _ in range(2))
                changed.append(set(await asyncio.gather(*both)))
            return changed, await _feed(database)

    changed, feed = asyncio.run(run())

    # The one that comes second learns that there is nothing left to do; the last look finds no dossier.
    assert changed == [{2, None}, {2, None}, {2, None}, {0, None}]
    assert [standing.position for standing in feed] == list(range(7, 13))


def test_units_noted_wrongly_as_having_lost_a_dossier_are_put_right(database_url: str) -> None:
    async def run() -> tuple[Sequence[Standing], Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, received("H37-0"), received("H37-1"))
            async with database.begin() as transaction:
                noted = text("UPDATE dossier.dossier SET former_units = :units WHERE code = 'H37-0'")
                await transaction.execute(noted, {"units": [OTHER_UNIT]})
            await _put(database, [_day("2026-12-25")])
            await _finish(database)
            other = _GRANT.model_copy(update={"units": frozenset([OTHER_UNIT])})
            async with database.connect() as transaction:
                return _standings(await reads.feed_after(transaction, other, 0, 10)), await _feed(database)

    others, feed = asyncio.run(run())

    assert others == []
    assert [(standing.code, standing.position) for standing in feed] == [("H37-1", 2), ("H37-0", 3)]


def test_what_stands_as_before_keeps_its_position(database_url: str) -> None:
    async def run() -> tuple[int, Sequence[Standing]]:
        async with _known(database_url) as database:
            appointed = received("H37-appointed", procedure=THREE_DAYS.code)
            counted = received("H37-counted", procedure=THREE_DAYS.code, due_at=None)
            await _record(database, appointed, counted, received("H37-other", due_at=None))
            await _put(database, [_day("2026-10-06")])
            return await _finish(database), await _feed(database)

    changed, feed = asyncio.run(run())

    assert changed == 1
    assert [(standing.code, standing.position) for standing in feed] == [
        ("H37-appointed", 1),
        ("H37-other", 3),
        ("H37-counted", 4),
    ]


def test_an_event_recorded_meanwhile_is_judged_by_the_new_data_and_its_dossier_left_alone(database_url: str) -> None:
    async def run() -> tuple[int, Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, *_unknown(3))
            await _put(database, [NEW])
            await _record(database, paid("H37-1"))
            return await _finish(database), await _feed(database)

    changed, feed = asyncio.run(run())

    assert changed == 2
    assert [(standing.code, standing.position) for standing in feed] == [("H37-1", 4), ("H37-0", 5), ("H37-2", 6)]


def test_an_event_recorded_afterwards_draws_a_position_beyond_those_that_belong_to_none(database_url: str) -> None:
    async def run() -> tuple[list[int], Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, *_unknown(2))
            await _put(database, [NEW])
            await _finish(database)
            await _record(database, resolved("H37-0"))
            async with database.connect() as transaction:
                histories = await log.histories(transaction, PROVINCE, ["H37-0", "H37-1"])
            positions = sorted(occurrence.position for history in histories.values() for occurrence in history)
            return positions, await _feed(database)

    events, feed = asyncio.run(run())

    assert events == [1, 2, 5]
    assert [(standing.code, standing.position) for standing in feed] == [("H37-1", 4), ("H37-0", 5)]


def test_a_day_declared_and_taken_back_before_it_was_done_leaves_everything_as_it_was(database_url: str) -> None:
    async def run() -> tuple[list[int], Sequence[Standing], Sequence[Standing]]:
        async with _known(database_url) as database:
            counted = [received(f"H37-{n}", procedure=THREE_DAYS.code, due_at=None) for n in range(3)]
            await _record(database, *counted)
            before = await _feed(database)
            await _put(database, [_day("2026-10-06")])
            (waiting,) = await _waiting(database)
            await refold.chunk(database, Catalogues(), waiting, 1)
            await _put(database, [_day("2026-10-06", working=True)])
            versions = [change.version for change in await _waiting(database)]
            await _finish(database)
            return versions, before, await _feed(database)

    versions, before, after = asyncio.run(run())

    assert versions == sorted(versions)
    assert len(versions) == 2
    due = {standing.code: standing.due_at for standing in before}
    assert {standing.code: standing.due_at for standing in after} == due


@pytest.mark.parametrize(
    ("on_day", "working", "changed"),
    [
        # Received on Monday the 5th, due on Thursday the 8th, resolved on Friday the 9th.
        ("2026-10-02", False, 0),
        ("2026-10-05", False, 0),
        ("2026-10-06", False, 1),
        ("2026-10-08", False, 1),
        ("2026-10-09", False, 0),
        ("2026-10-10", True, 0),
        ("2026-12-31", False, 0),
    ],
)
def test_a_day_moves_the_due_dates_that_were_counted_across_it(
    database_url: str, on_day: str, *, working: bool, changed: int
) -> None:
    async def run() -> int:
        async with _known(database_url) as database:
            await _record(
                database,
                received("H37-1", procedure=THREE_DAYS.code, due_at=None),
                resolved("H37-1", at="2026-10-09T10:00:00+07:00"),
            )
            await _put(database, [_day(on_day, working=working)])
            return await _finish(database)

    assert asyncio.run(run()) == changed


def test_days_between_the_first_and_the_last_that_changed_are_passed_too(database_url: str) -> None:
    async def run() -> int:
        async with _known(database_url) as database:
            await _record(database, received("H37-1", procedure=THREE_DAYS.code, due_at=None))
            await _put(database, [_day("2026-09-01"), _day("2026-10-06")])
            return await _finish(database)

    assert asyncio.run(run()) == 1


def test_a_dossier_that_ended_early_learns_of_a_day_before_it_was_due(database_url: str) -> None:
    async def run() -> Sequence[Standing]:
        async with _known(database_url) as database:
            await _record(database, received("H37-1", procedure=THREE_DAYS.code, due_at=None), resolved("H37-1"))
            await _put(database, [_day("2026-10-07")])
            await _finish(database)
            return await _feed(database)

    assert [standing.due_on for standing in asyncio.run(run())] == [date(2026, 10, 9)]


def test_the_day_of_receipt_counts_where_the_limit_is_the_same_day(database_url: str) -> None:
    async def run() -> Sequence[Standing]:
        async with _known(database_url) as database:
            await _record(database, received("H37-1", due_at=None))
            await _put(database, [_day("2026-10-05")])
            await _finish(database)
            return await _feed(database)

    assert [(standing.due_on, standing.position) for standing in asyncio.run(run())] == [(date(2026, 10, 6), 2)]


@pytest.mark.parametrize("end", [[], [resolved("H37-1", at="2026-10-19T10:00:00+07:00")]], ids=["open", "closed"])
def test_a_pause_after_the_due_date_is_reckoned_anew_too(database_url: str, end: list[Json]) -> None:
    async def run() -> tuple[date | None, Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(
                database,
                received("H37-1", procedure=THREE_DAYS.code, due_at=None),
                event("supplement_requested", "H37-1", {}, at="2026-10-12T08:30:00+07:00"),
                event("supplemented", "H37-1", {}, at="2026-10-16T08:30:00+07:00"),
                *end,
            )
            (before,) = await _feed(database)
            await _put(database, [_day("2026-10-15")])
            await _finish(database)
            return before.due_on, await _feed(database)

    before, (after,) = asyncio.run(run())

    assert before is not None
    assert after.due_on is not None
    assert after.due_on < before < date(2026, 10, 15)


def test_a_unit_concerns_the_dossiers_it_received_resolves_or_has_left(database_url: str) -> None:
    async def run() -> list[int]:
        async with _known(database_url) as database:
            passed_on = [forwarded("H37-1", event_id=code, to_unit=code) for code in (OTHER_UNIT, "LS-STP")]
            await _record(database, received("H37-1"), passed_on[0], {**passed_on[1], "time": DUE_AT})
            async with database.connect() as transaction:
                return [
                    await refold_store.affected(transaction, PROVINCE, Reach(units=frozenset({code})))
                    for code in (UNIT, OTHER_UNIT, "LS-STP", "LS-SNV")
                ]

    assert asyncio.run(run()) == [1, 1, 1, 0]


def test_a_corrected_limit_reaches_open_and_closed_dossiers_of_the_procedure(database_url: str) -> None:
    assert THREE_DAYS.limit is not None
    corrected = THREE_DAYS.model_copy(update={"limit": THREE_DAYS.limit.model_copy(update={"amount": 4})})

    async def run() -> Sequence[Standing]:
        async with _known(database_url) as database:
            await _record(
                database,
                received("H37-open", procedure=THREE_DAYS.code, due_at=None),
                received("H37-closed", procedure=THREE_DAYS.code, due_at=None),
                resolved("H37-closed"),
                received("H37-other", due_at=None),
            )
            await _put(database, [corrected])
            await _finish(database)
            return await _feed(database, after=4)

    feed = asyncio.run(run())

    assert {standing.code: standing.due_on for standing in feed} == dict.fromkeys(
        ("H37-open", "H37-closed"), date(2026, 10, 9)
    )


def test_a_unit_that_turns_out_to_lie_in_the_mountains_moves_its_dossiers(database_url: str) -> None:
    land = next(each for each in reference.procedures() if each.mountain_extra_days and each.valid_to is None)
    (unit,) = (each for each in reference.units(PROVINCE) if each.code == UNIT and each.valid_to is None)

    async def run() -> tuple[date | None, Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, received("H37-1", procedure=land.code, due_at=None))
            (before,) = await _feed(database)
            await _put(database, [unit.model_copy(update={"class_": "mountain"})])
            await _finish(database)
            return before.due_on, await _feed(database, after=1)

    before, feed = asyncio.run(run())

    assert before is not None
    assert [standing.due_on > before for standing in feed if standing.due_on is not None] == [True]


def test_a_dossier_without_a_receipt_waits_as_before(database_url: str) -> None:
    async def run() -> tuple[int, Sequence[Standing]]:
        async with _known(database_url) as database:
            await _record(database, resolved("H37-1"))
            await _put(database, [_day("2026-10-06")])
            return await _finish(database), await _feed(database)

    changed, feed = asyncio.run(run())

    assert changed == 0
    assert [standing.status for standing in feed] == ["unreceived"]


# --- The whole system -------------------------------------------------------------------------------------------------


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events)
    return str(answer["position"])


def _counts(client: httpx.Client, **params: Any) -> Json:  # noqa: ANN401 - query parameters
    answer = client.get("/v1/rates", params={"period": "2026-10", "by": "none", **params}).raise_for_status()
    counts: Json = answer.json()["total"]["counts"]
    return counts


def _eventually(found: Any, expected: object) -> None:  # noqa: ANN401 - a function without arguments
    deadline = time.monotonic() + 10
    while (last := found()) != expected:
        assert time.monotonic() < deadline, f"{last!r} instead of {expected!r}"
        time.sleep(0.05)


def _put_one(client: httpx.Client, path: str, entry: CalendarDay | Procedure) -> Json:
    answer = client.put(path, json=[entry.model_dump(mode="json", by_alias=True)]).raise_for_status()
    report: Json = answer.json()
    return report


def test_a_holiday_declared_afterwards_makes_a_late_dossier_timely_in_the_rates(system: System) -> None:
    with system.client() as client:
        position = _post(
            client,
            received("H37-1", procedure=THREE_DAYS.code, due_at=None),
            resolved("H37-1", at="2026-10-09T10:00:00+07:00"),
        )
        before = _counts(client, min_position=position)

        report = _put_one(client, "/v1/calendar", _day("2026-10-07"))

        assert (before["resolved_late"], before["resolved_on_time"]) == (1, 0)
        assert report["affected_dossiers"] == 1
        _eventually(lambda: _counts(client)["resolved_on_time"], 1)
        assert _counts(client)["resolved_late"] == 0


def test_a_procedure_that_becomes_known_gives_its_dossiers_a_field_and_a_due_date(system: System) -> None:
    with system.client() as client:
        _post(client, *_unknown(1))
        before = client.get("/v1/dossiers/H37-0").json()["dossier"]

        _put_one(client, "/v1/procedures", NEW)

        assert "unknown_procedure" in before["flags"]
        assert (before["due_on"], before["field"]) == (None, None)
        _eventually(lambda: client.get("/v1/dossiers/H37-0").json()["dossier"]["due_on"], "2026-10-08")
        after = client.get("/v1/dossiers/H37-0").json()["dossier"]
        assert "unknown_procedure" not in after["flags"]
        assert after["field"] == THREE_DAYS.field.code
        assert after["recorded_at"] == before["recorded_at"]


def test_a_day_off_that_is_switched_off_moves_a_due_date_back(system: System) -> None:
    with system.client() as client:
        _post(client, received("H37-1", at="2026-11-20T08:30:00+07:00", procedure=THREE_DAYS.code, due_at=None))
        before = client.get("/v1/dossiers/H37-1").json()["dossier"]["due_on"]

        _put_one(client, "/v1/calendar", _day("2026-11-24", working=True))

        assert before == "2026-11-26"
        _eventually(lambda: client.get("/v1/dossiers/H37-1").json()["dossier"]["due_on"], "2026-11-25")


def test_the_same_put_again_moves_nothing(system: System) -> None:
    with system.client() as client, httpx.Client(base_url=system.dossier_url) as process:
        _post(client, received("H37-1", procedure=THREE_DAYS.code, due_at=None))
        _put_one(client, "/v1/calendar", _day("2026-10-07"))
        _eventually(lambda: client.get("/v1/feed").json()["head"], "2")
        before = client.get("/v1/feed")
        refolded = [line for line in process.get("/metrics").text.splitlines() if line.startswith("dossier_refolded")]

        report = _put_one(client, "/v1/calendar", _day("2026-10-07"))
        time.sleep(1.5)
        after = client.get("/v1/feed")

        assert (report["unchanged"], report["affected_dossiers"]) == (1, 0)
        assert after.json() == before.json()
        assert after.headers["motcua-reference"] == before.headers["motcua-reference"]
        metrics = process.get("/metrics").text
        assert [line for line in metrics.splitlines() if line.startswith("dossier_refolded")] == refolded
        assert "\ndossier_refolding 0.0\n" in metrics
