"""What was known at an instant is answered in the same bytes for ever, whatever is recorded, corrected or recounted."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from services.kit import clock
from services.metrics import past, recount
from services.metrics.settings import MetricsSettings
from tests import databases, running
from tests.builders import OTHER_UNIT, UNIT, Json, event, forwarded, paid, received, resolved, withdrawn
from tests.running import System

# Of another field than the usual procedure.
_OTHER_FIELD = "1.001193"

_ASKED: Sequence[tuple[str, Mapping[str, Any]]] = (
    *(
        ("/v1/rates", {"period": "2026-10", "by": by})
        for by in ("unit", "field", "procedure", "channel", "day", "week", "none")
    ),
    ("/v1/rates", {"period": "2026", "by": "month", "role": "receiving"}),
    ("/v1/rates", {"period": "2026-10", "role": "receiving", "channel": "online"}),
    ("/v1/rates", {"period": "2026-Q4", "unit": [UNIT]}),
    ("/v1/rates", {"period": "2026-10", "procedure": ["2.000815"]}),
    ("/v1/rates", {"period": "2026-10", "by": "unit", "format": "csv"}),
    ("/v1/rates", {"period": "2026-10", "by": "unit", "format": "xlsx"}),
    ("/v1/series", {"period": "2026", "rate": "on_time_of_resolved"}),
    *((f"/v1/forms/{form}", {"period": "2026-10"}) for form in ("06a", "06b", "06c", "766")),
)


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _asked(client: httpx.Client, as_of: datetime) -> list[bytes]:
    return [
        client.get(path, params={**params, "as_of": as_of.isoformat()}).raise_for_status().content
        for path, params in _ASKED
    ]


def _before() -> Sequence[Json]:
    return [
        received("H-late"),
        resolved("H-late", at="2026-10-06T10:00:00+07:00", event_id="late"),
        received("H-paid"),
        paid("H-paid", event_id="payment"),
        resolved("H-paid"),
        received("H-open", channel="counter"),
        received("H-voided", channel="postal"),
        received("H-moved"),
        received("H-forwarded"),
        received("H-withdrawn"),
        resolved("H-early-bird"),
    ]


def _after() -> Sequence[Json]:
    """Return what happens to all of the dossiers later, each time in another way, and dossiers that nobody knew."""
    return [
        event("corrected", "H-late", {"event_id": "late", "time": "2026-10-05T10:00:00+07:00"}, at=_LATER),
        event("retracted", "H-paid", {"event_id": "payment", "reason": "another dossier's"}, at=_LATER),
        resolved("H-open"),
        event("rated", "H-open", {"score": 5}, at=_LATER),
        event("voided", "H-voided", {"reason": "a test"}, at=_LATER),
        event("corrected", "H-moved", {"event_id": "H-moved-received", "receiving_unit": OTHER_UNIT}, at=_LATER),
        forwarded("H-forwarded"),
        withdrawn("H-withdrawn"),
        received("H-early-bird"),
        received("H-new", procedure=_OTHER_FIELD, channel="postal"),
        received("H-new-elsewhere", receiving_unit="06001", at="2026-09-01T09:00:00+07:00"),
    ]


_LATER = "2026-10-20T09:00:00+07:00"


def _recount(database_url: str, dossier_url: str) -> None:
    settings: dict[str, Any] = {"database_url": database_url, "internal_key": running.INTERNAL_KEY}
    asyncio.run(recount.recount(MetricsSettings(port=1, dossier_url=dossier_url, **settings)))


def test_two_asks_with_one_as_of_give_the_same_bytes_whatever_happened_between(database_url: str) -> None:
    with running.system(database_url) as system:
        system.load_reference()
        with system.client() as client:
            position = _post(client, *_before())
            now = {"period": "2026-10", "min_position": position}
            present = client.get("/v1/rates", params=now).raise_for_status().json()
            then = clock.now()
            first = _asked(client, then)
            position = _post(client, *_after())
            client.get("/v1/rates", params={**now, "min_position": position}).raise_for_status()
        _recount(database_url, system.dossier_url)
    # Another process has nothing at hand that the first one put together.
    with running.system(database_url) as system, system.client() as client:
        changed = client.get("/v1/rates", params=now).raise_for_status().json()
        second = _asked(client, then)
        told = client.get("/v1/rates", params={"period": "2026-10", "as_of": then.isoformat()}).json()

    assert [asked for asked, a, b in zip(_ASKED, first, second, strict=True) if a != b] == []
    assert changed["total"]["counts"] != present["total"]["counts"]
    assert _counts(told) == _counts(present)
    assert told["position"] == present["position"]


def _counts(answer: Json) -> list[tuple[str, Json]]:
    """Return the counts of each unit and all together; those of different procedures are not told of the past."""
    rows = [(row["unit"]["code"], row["counts"]) for row in answer["rows"]] + [("", answer["total"]["counts"])]
    return [(code, {name: n for name, n in told.items() if "procedures" not in name}) for code, told in rows]


def test_what_was_recorded_just_before_the_instant_is_known_at_it(system: System) -> None:
    with system.client() as client:
        for number in range(5):
            _post(client, received(f"H-{number}"))
            params = {"period": "2026-10", "as_of": clock.now().isoformat(), "by": "none"}
            answer = client.get("/v1/rates", params=params).raise_for_status().json()

            assert answer["total"]["counts"]["received"] == number + 1


def test_what_was_being_recorded_at_the_instant_is_part_of_the_first_answer_too(system: System) -> None:
    async def asked_meanwhile(client: httpx.Client) -> tuple[httpx.Response, httpx.Response, str]:
        async with databases.held_commit(system.database_url) as held:
            recording = asyncio.create_task(asyncio.to_thread(_post, client, received("H-1")))
            await held.reached()
            params = {"period": "2026-10", "as_of": clock.now().isoformat()}
            asking = asyncio.create_task(asyncio.to_thread(client.get, "/v1/rates", params=params))
            await asyncio.sleep(0.4)
            await held.let_go()
            position = await recording
            again = await asyncio.to_thread(client.get, "/v1/rates", params={**params, "min_position": position})
            return await asking, again, position

    with system.client() as client:
        first, second, position = asyncio.run(asked_meanwhile(client))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["motcua-position"] == position
    assert first.content == second.content


def test_the_position_of_the_instant_stays_and_so_does_the_validator(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H-1"))
        params = {"period": "2026-10", "as_of": clock.now().isoformat()}
        first = client.get("/v1/rates", params=params)
        newest = _post(client, received("H-2"))
        unchanged = client.get(
            "/v1/rates", params={**params, "min_position": newest}, headers={"If-None-Match": first.headers["etag"]}
        )
        later = client.get("/v1/rates", params={"period": "2026-10", "as_of": clock.now().isoformat()})

    assert (first.json()["position"], first.headers["motcua-position"]) == (position, position)
    assert (unchanged.status_code, unchanged.headers["motcua-position"]) == (304, position)
    assert later.json()["position"] == newest
    assert later.headers["etag"] != first.headers["etag"]


def test_the_future_is_not_known_yet(system: System) -> None:
    ahead = (clock.now() + timedelta(minutes=1)).isoformat()

    with system.client() as client:
        answers = [
            client.get(path, params={**params, "as_of": ahead}) for path, params in (_ASKED[0], _ASKED[-1], _ASKED[-5])
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "as_of_in_future")] * 3


def test_before_the_first_event_nothing_was_known(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_before())
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()
        params = {"period": "2026-10", "as_of": "2026-10-07T12:00:00+07:00"}
        by_unit = client.get("/v1/rates", params=params).raise_for_status().json()
        by_field = client.get("/v1/rates", params={**params, "by": "field"}).raise_for_status().json()

    assert by_unit["position"] == "0"
    assert set(by_unit["total"]["counts"].values()) <= {0} | {
        count for name, count in by_unit["total"]["counts"].items() if name.startswith("catalogue_")
    }
    assert by_field["rows"] == []
    # The period was running then, and is counted up to that day.
    assert by_unit["counted_to"] == "2026-10-07"


def _happened(events_at: str, reference_at: str) -> Sequence[str]:
    """Return statements that let all have been recorded at another time; only the owner of the log can."""
    changes = (("event", f"recorded_at = '{events_at}'"), ("reference_change", f"changed_at = '{reference_at}'"))
    return [
        statement
        for table, change in changes
        for statement in (
            f"ALTER TABLE dossier.{table} DISABLE TRIGGER only_grows",
            f"UPDATE dossier.{table} SET {change}",  # noqa: S608 - a test's own text
            f"ALTER TABLE dossier.{table} ENABLE TRIGGER only_grows",
        )
    ]


def test_what_was_known_is_judged_as_of_the_day_of_the_instant(system: System, database_url: str) -> None:
    with system.client() as client:
        position = _post(client, received("H-1", at="2026-10-13T09:00:00+07:00", due_at="2026-10-14T17:00:00+07:00"))
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()
        asyncio.run(
            databases.execute(database_url, *_happened("2026-10-13T10:00:00+07:00", "2026-10-01T09:00:00+07:00"))
        )
        told = [
            client.get(
                "/v1/rates", params={"period": "2026-10", "by": "none", "as_of": f"2026-10-{day}T20:00:00+07:00"}
            )
            .raise_for_status()
            .json()
            for day in (12, 13, 14, 15)
        ]

    counts = [answer["total"]["counts"] for answer in told]
    assert [answer["counted_to"] for answer in told] == ["2026-10-12", "2026-10-13", "2026-10-14", "2026-10-15"]
    assert [(c["pending"], c["pending_overdue"], c["fell_due"]) for c in counts] == [
        (0, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
        (1, 1, 1),
    ]


def test_an_answer_about_the_past_tells_neither_silent_sources_nor_rates_of_procedures(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H-1"), paid("H-1"))
        now = client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).json()
        then = client.get("/v1/rates", params={"period": "2026-10", "as_of": clock.now().isoformat()}).json()

    assert now["total"]["rates"].keys() - then["total"]["rates"].keys() == {"procedures_paid_online"}
    assert then["stale_sources"] == []


def test_more_changes_than_can_be_put_back_are_a_problem(system: System, database_url: str) -> None:
    columns = (
        "province, generation, code, position, status, at_receipt, at_due, at_end, at_rating, payments, payments_online"
    )
    many = (
        f"INSERT INTO metrics.standing ({columns}) SELECT '20', 1, 'X' || n, 1000000 + n, 'pending', 0, 0, 0, 0, 0, 0 "  # noqa: S608
        f"FROM generate_series(1, {past.MOST_CHANGES}) AS n"
    )
    with system.client() as client:
        position = _post(client, received("H-1"))
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()
        params = {"period": "2026-10", "as_of": clock.now().isoformat()}
        position = _post(client, received("H-2"))
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()
        asyncio.run(databases.execute(database_url, many))
        answer = client.get("/v1/rates", params=params)

    assert (answer.status_code, answer.json()["code"]) == (422, "as_of_too_far")


def test_a_limited_client_is_told_what_was_known_of_its_units_alone(system: System) -> None:
    with system.client() as client:
        _post(client, received("H-mine"), received("H-theirs", receiving_unit=OTHER_UNIT))
        then = clock.now()
        _post(client, resolved("H-mine"), resolved("H-theirs"))

    with system.client(name="limited", units=[UNIT]) as client:
        asked = {"period": "2026-10", "as_of": then.isoformat()}
        answer = client.get("/v1/rates", params=asked).raise_for_status().json()
        foreign = client.get("/v1/rates", params={**asked, "unit": OTHER_UNIT})

    counts = answer["total"]["counts"]
    assert [row["unit"]["code"] for row in answer["rows"]] == [UNIT]
    assert (counts["received"], counts["resolved"], counts["pending"]) == (1, 0, 1)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "unit_forbidden")
