"""The feed tells how dossiers stood at any moment of the past, as it would have told it then."""

import asyncio
import contextlib
import gc
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from services.cli import reference
from services.contract import STANDING, CalendarDay, Grant, Procedure, Standing, Unit
from services.dossier import past, wire
from services.dossier.catalogues import Catalogues
from services.dossier.domain import revision
from services.dossier.domain.catalogue import catalogue
from services.dossier.intake import Intake
from services.dossier.past import Moment
from services.dossier.store import past as past_store
from services.dossier.store import reads
from services.kit import clock, db
from services.kit.bell import Bell
from tests.builders import OTHER_UNIT, UNIT, Json, event, forwarded, paid, received, resolved
from tests.dossier.test_feed import Lives
from tests.running import PROVINCE, System

_GRANT = Grant(client="tests", province=PROVINCE)
_NOON = datetime(2026, 10, 5, 5, tzinfo=UTC)
_HOLIDAY = {"on_day": "2026-10-07", "working": False, "name": "Nghỉ", "official": False}
_ABSENT = orjson.loads(STANDING.dump_json(Standing(code="", status="unreceived")))


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _page(client: httpx.Client, **params: str | int) -> Json:
    page: Json = client.get("/v1/feed", params=params).raise_for_status().json()
    return page


def _all(client: httpx.Client, **params: str | int) -> dict[str, Json]:
    """Return the last entry of each dossier in the feed, which is read in small pages."""
    entries: dict[str, Json] = {}
    after = "0"
    while True:
        page = _page(client, after=after, limit=2, **params)
        entries |= {entry["code"]: entry for entry in page["entries"]}
        if not page["entries"]:
            return entries
        after = page["next_after"]


def _readable(entries: Mapping[str, Json]) -> dict[str, Json]:
    return {code: entry for code, entry in entries.items() if entry["status"] != "elsewhere"}


def _instant() -> str:
    """Return an instant between what was recorded before and what is recorded after."""
    time.sleep(0.01)
    instant = clock.now().isoformat()
    time.sleep(0.01)
    return instant


@pytest.mark.parametrize("seed", range(2))
def test_the_past_is_what_the_feed_told_then(system: System, seed: int) -> None:
    lives, told_then, left = Lives(seed), [], 0
    with contextlib.ExitStack() as opened:
        limits = enumerate((None, [UNIT], [OTHER_UNIT], []))
        clients = [opened.enter_context(system.client(name=f"reader-{n}", units=units)) for n, units in limits]
        for number in range(40):
            position = _post(clients[0], lives.next(number))
            if number % 8 == 0:
                told_then.append((position, _instant(), [_readable(_all(client)) for client in clients]))

        for position, instant, told in told_then:
            for client, then in zip(clients, told, strict=True):
                now = _all(client)
                changed = {code: entry for code, entry in now.items() if int(entry["position"]) > int(position)}
                expected = {code: _expected(code, entry, then) for code, entry in changed.items()}
                left += sum(entry["status"] == "elsewhere" for entry in changed.values())
                assert _all(client, as_of_position=position) == expected
                assert _all(client, as_of=instant) == expected

    assert left > 0


def _expected(code: str, now: Json, then: Mapping[str, Json]) -> Json:
    absent: Json = _ABSENT | {"code": code}
    return absent | {"status": "elsewhere"} if now["status"] == "elsewhere" else then.get(code, absent)


def test_what_was_not_recorded_yet_was_unreceived_and_had_no_position(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-1"))
        _post(client, received("H37-2"))
        page = _page(client, as_of_position=position)

    place = {"as_of_position": "1", "after": "0", "next_after": "2", "head": "2"}
    assert page == place | {"entries": [_ABSENT | {"code": "H37-2"}]}


def test_an_event_that_arrived_late_is_in_no_moment_before_it_arrived(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-1"))
        _post(client, resolved("H37-1", at="2026-10-05T08:31:00+07:00"))
        (stood,) = _page(client, as_of_position=position)["entries"]

    assert (stood["status"], stood["ended_on"], stood["position"]) == ("pending", None, "1")


def test_what_was_taken_back_since_still_held_then(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-1"), resolved("H37-1"))
        _post(client, event("voided", "H37-1", {"reason": "nhập nhầm"}, at="2026-10-06T08:00:00+07:00"))
        (stood,) = _page(client, as_of_position=position)["entries"]

    assert (stood["status"], stood["position"]) == ("resolved", "2")


def test_nothing_has_changed_since_the_newest_position_and_nobody_waits_for_it(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-1"))
        began = time.monotonic()
        pages = [_page(client, wait=20, **asked) for asked in ({"as_of_position": position}, {"as_of": _instant()})]

    assert time.monotonic() - began < 10
    told = {"as_of_position": "1", "after": "0", "next_after": "1", "head": "1", "entries": []}
    assert pages == [told, told]


def test_before_the_first_event_no_dossier_was_there(system: System) -> None:
    with system.client() as client:
        _post(client, received("H37-1"), paid("H37-1"))
        page = _page(client, as_of="2000-01-01T00:00:00+07:00")

    assert (page["as_of_position"], page["entries"]) == ("0", [_ABSENT | {"code": "H37-1"}])


def test_a_page_of_the_past_goes_on_after_a_present_position(system: System) -> None:
    with system.client() as client:
        _post(client, *(received(f"H37-{n}") for n in range(4)))
        _post(client, *(paid(f"H37-{n}") for n in (2, 0, 3)))
        first = _page(client, as_of_position=4, limit=2)
        second = _page(client, as_of_position=4, limit=2, after=first["next_after"])

    assert [[entry["code"] for entry in page["entries"]] for page in (first, second)] == [["H37-2", "H37-0"], ["H37-3"]]
    assert [[entry["position"] for entry in page["entries"]] for page in (first, second)] == [["3", "1"], ["4"]]
    assert [(page["next_after"], page["head"]) for page in (first, second)] == [("6", "7"), ("7", "7")]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ("as_of_position=2", 409, "position_ahead"),
        ("as_of_position=x", 422, "unknown_position"),
        ("as_of_position=1&as_of=2026-10-05T08:30:00Z", 422, "invalid_request"),
        ("as_of=2026-10-05", 422, "invalid_request"),
        ("as_of=2026-10-05T08:30:00", 422, "invalid_request"),
    ],
)
def test_what_names_no_moment_is_a_problem(system: System, asked: str, status: int, code: str) -> None:
    with system.client() as client:
        _post(client, received("H37-1"))
        answer = client.get(f"/v1/feed?{asked}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


# --- Clients of some units --------------------------------------------------------------------------------------------


def test_of_a_dossier_that_has_left_its_reader_is_not_told_how_it_stood(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[OTHER_UNIT]) as limited:
        position = _post(province, received("H37-1"), forwarded("H37-1", to_unit=OTHER_UNIT))
        _post(province, forwarded("H37-1", event_id="on", to_unit="05986", at="2026-10-05T09:45:00+07:00"))
        entries = _page(limited, as_of_position=position)["entries"]

    assert entries == [_ABSENT | {"code": "H37-1", "status": "elsewhere"}]


def test_a_dossier_that_was_another_units_then_is_told_as_if_it_had_not_been_there(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[OTHER_UNIT]) as limited:
        position = _post(province, received("H37-1"))
        _post(province, forwarded("H37-1", to_unit=OTHER_UNIT))
        entries = _page(limited, as_of_position=position)["entries"]

    assert entries == [_ABSENT | {"code": "H37-1"}]


# --- Reference data ---------------------------------------------------------------------------------------------------

_THREE_DAYS = next(
    each
    for each in reference.procedures()
    if each.limit is not None and (each.limit.amount, each.limit.unit) == (3, "working_days")
    if not (each.limits_by_channel or each.mountain_extra_days or each.valid_to)
)


def test_a_dossier_stood_by_the_reference_data_of_the_moment(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-1", procedure=_THREE_DAYS.code, due_at=None))
        before = _instant()
        client.put("/v1/calendar", json=[_HOLIDAY]).raise_for_status()
        refolded = _page(client, after=position, wait=20)
        after = _instant()
        _post(client, paid("H37-1"))
        asked: Sequence[dict[str, Any]] = [
            *({"as_of_position": position}, {"as_of": before}),
            *({"as_of_position": refolded["head"]}, {"as_of": after}),
        ]
        stood = [_page(client, **params)["entries"][0] for params in asked]

    assert refolded["entries"][0]["due_on"] == "2026-10-09"
    assert [entry["due_on"] for entry in stood] == ["2026-10-08", "2026-10-08", "2026-10-09", "2026-10-09"]
    assert [entry["payments"] for entry in stood] == [0, 0, 0, 0]


def test_changes_undone_leave_the_reference_data_as_it_was() -> None:
    units, procedures, days = reference.units(PROVINCE), reference.procedures(), reference.calendar()
    was = catalogue(units, procedures, days)
    unit = units[0].model_copy(update={"class_": "mountain" if units[0].class_ == "other" else "other"})
    newcomer = procedures[0].model_copy(update={"code": "new"})
    day = CalendarDay(on_day=days[0].on_day, working=not days[0].working, name="Đổi")
    changed = catalogue([unit, *units[1:]], [*procedures, newcomer], [day, *days[1:]])

    undone = revision.undone(
        changed,
        {
            ("unit", revision.key(unit)): units[0],
            ("procedure", revision.key(newcomer)): None,
            ("calendar_day", revision.key(day)): days[0],
        },
    )

    assert changed != was
    assert undone == was


def test_of_an_entry_that_changed_more_than_once_since_the_first_state_is_found(database_url: str) -> None:
    async def run() -> list[Mapping[Any, Any]]:
        connection = await asyncpg.connect(database_url)
        kinds: list[tuple[str, str, Unit | Procedure]] = [
            ("unit", "a", reference.units(PROVINCE)[0]),
            ("procedure", "b", reference.procedures()[0]),
        ]
        for version, (kind, key, entry) in enumerate(kinds * 3, 1):
            states = [None if v < 1 else entry.model_copy(update={"name": f"{v}"}) for v in (version - 2, version)]
            before, after = (state and state.model_dump_json(by_alias=True) for state in states)
            await connection.execute(
                "INSERT INTO dossier.reference_change VALUES ('20', $1, $2, $3, 'c', $4, $5, $6)",
                *(version, kind, key, _NOON + timedelta(hours=version), before, after),
            )
        await connection.close()
        database = db.engine(database_url, application="tests", connections=1)
        async with database.connect() as transaction:
            found = [
                await past_store.reference_before(transaction, PROVINCE, _NOON + timedelta(hours=hours))
                for hours in (0, 2, 3, 6)
            ]
        await database.dispose()
        return [{key: entry and entry.name for key, entry in one.items()} for one in found]

    found = asyncio.run(run())

    unit, procedure = ("unit", "a"), ("procedure", "b")
    assert found == [{unit: None, procedure: None}, {unit: "1", procedure: "2"}, {unit: "3", procedure: "2"}, {}]


# --- The place of an instant ------------------------------------------------------------------------------------------


async def _log(url: str, recorded: Mapping[int, datetime]) -> None:
    """Put events into the log at these positions, recorded at these instants."""
    connection = await asyncpg.connect(url)
    rows = [
        (PROVINCE, position, "urn:x", f"e{position}", "t", "H", _NOON, "{}", b"", "c", None, at, b"")
        for position, at in recorded.items()
    ]
    values = ", ".join(f"${number}" for number in range(1, 14))
    await connection.executemany(f"INSERT INTO dossier.event VALUES ({values})", rows)  # noqa: S608
    await connection.close()


async def _positions(url: str, *instants: datetime) -> list[int]:
    database = db.engine(url, application="tests", connections=1)
    async with database.connect() as transaction:
        found = [await past_store.position_at(transaction, PROVINCE, instant) for instant in instants]
    await database.dispose()
    return found


def _at(seconds: float) -> datetime:
    return _NOON + timedelta(seconds=seconds)


def test_an_instant_is_the_newest_position_that_was_recorded_by_then(database_url: str) -> None:
    # Positions that belong to no event lie between; events of one commit share their instant.
    recorded = {1: _at(1), 2: _at(2), 3: _at(2), 40: _at(3), 41: _at(3), 1000: _at(9), 10**15: _at(10)}

    async def run() -> list[int]:
        await _log(database_url, recorded)
        return await _positions(database_url, *(_at(seconds) for seconds in (0, 1, 1.5, 2, 3, 8.9, 9, 10, 99)))

    assert asyncio.run(run()) == [0, 1, 1, 3, 41, 41, 1000, 10**15, 10**15]


def test_an_empty_log_has_no_place_for_an_instant(database_url: str) -> None:
    assert asyncio.run(_positions(database_url, _NOON)) == [0]


def test_a_clock_that_went_back_moves_no_place_once_the_log_goes_on(database_url: str) -> None:
    told = [0, 1, 2, 3, 1.5, 2.5, 3.5, 4, 5, 6]
    recorded = {position: _at(seconds) for position, seconds in enumerate(told, 1)}
    instants = [_at(seconds) for seconds in (0.5, 1.7, 2.2, 3.2, 4.5)]

    async def run() -> tuple[list[int], list[int]]:
        await _log(database_url, recorded)
        found = await _positions(database_url, *instants)
        await _log(database_url, {position: _at(100 + position) for position in range(11, 200)})
        return found, await _positions(database_url, *instants)

    found, again = asyncio.run(run())

    assert found == again
    assert found == sorted(found)
    for instant, position in zip(instants, found, strict=True):
        assert recorded[position] <= instant < recorded[position + 1]


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_a_page_of_the_past_holds_at_most_a_thousand_dossiers(system: System) -> None:
    with system.client() as client:
        _post(client, *(received(f"H37-{n}") for n in range(1_001)))
        page = _page(client, as_of_position=0, limit=5_000)

    assert (len(page["entries"]), page["next_after"]) == (1_000, "1000")


def test_others_get_their_turn_while_the_past_is_folded(database_url: str) -> None:
    lives = [step(f"H37-{n}") for n in range(1_000) for step in (received, paid, forwarded, resolved)]
    later = [paid(f"H37-{n}", event_id=f"again-{n}") for n in range(1_000)]

    async def run() -> tuple[int, list[float]]:
        database = db.engine(database_url, application="tests", connections=4)
        intake = Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell())
        # Units that nobody knows are refused.
        await _units(database_url)
        async with intake.running():
            for events in (lives, later):
                answer = await intake.submit(_GRANT, wire.events(orjson.dumps(events))[0])
                assert {result.status for result in answer.results} == {"accepted"}
        catalogues, moment = Catalogues(), Moment(len(lives), None)
        async with database.connect() as transaction:
            # What a process does once is not what a page costs.
            await past.entries_after(transaction, catalogues, _GRANT, moment, len(lives), 1)
        # A collection of what earlier tests have left takes longer than all of this.
        gc.collect()
        gc.disable()
        seen, folded = [time.process_time()], asyncio.Event()

        async def look() -> None:
            while not folded.is_set():
                await asyncio.sleep(0)
                seen.append(time.process_time())

        looking = asyncio.create_task(look())
        async with database.connect() as transaction:
            entries = await past.entries_after(transaction, catalogues, _GRANT, moment, len(lives), 1_000)
        folded.set()
        await looking
        gc.enable()
        await database.dispose()
        return len(entries), [after - before for before, after in pairwise(seen)]

    entries, held = asyncio.run(run())

    assert entries == 1_000
    # By the processor's clock, which does not run while others have it.
    assert max(held) < sum(held) / 4


async def _units(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.executemany(
        "INSERT INTO dossier.unit VALUES ('20', $1, $2, $3)",
        [(unit.code, unit.valid_from, unit.model_dump_json(by_alias=True)) for unit in reference.units(PROVINCE)],
    )
    await connection.close()


# --- To the letter ----------------------------------------------------------------------------------------------------

_FRACTIONS = ("", ".5", ".120000", ".000001", ".999999")


def test_the_feed_writes_a_standing_to_the_letter_as_every_other_route_does(database_url: str) -> None:
    odd = ('quo"te', "back\\slash", "hồ-sơ-đặc-biệt", "😀", "/slash/", "'", "%s", "+07:00", ".000000", "x" * 100)
    events = [received(code, at=f"2026-10-05T08:30:00{f}Z") for code, f in zip(odd, _FRACTIONS * 2, strict=True)]
    events += [resolved(code, at=f"2099-12-31T16:59:59{f}Z") for code, f in zip(odd, _FRACTIONS * 2, strict=True)]
    events += [event("supplement_requested", odd[0], {}, at="1990-01-01T00:00:00Z"), paid(odd[1]), forwarded(odd[2])]
    events += [resolved("unreceived")]

    async def run() -> tuple[list[bytes], list[bytes]]:
        database = db.engine(database_url, application="tests", connections=4)
        intake = Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell())
        await _units(database_url)
        async with intake.running():
            answer = await intake.submit(_GRANT, wire.events(orjson.dumps(events))[0])
            assert {result.status for result in answer.results} == {"accepted"}, answer
        async with database.connect() as transaction:
            fed = [str(entry.json).encode() for entry in await reads.feed_after(transaction, _GRANT, 0, 100)]
            codes = [orjson.loads(one)["code"] for one in fed]
            standings = [await reads.standing(transaction, _GRANT, code) for code in codes]
        await database.dispose()
        return fed, [STANDING.dump_json(standing) for standing in standings if standing is not None]

    fed, told = asyncio.run(run())

    assert len(told) == len(odd) + 1
    assert fed == told
