"""What is posted is recorded once or refused with its reason, item by item, and safe to send again."""

import gzip
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from services.contract import MAX_EVENT_BYTES, MAX_EVENTS, MAX_INFLATED_BYTES
from tests import builders
from tests.builders import FORMER_UNIT, UNIT, Json, forwarded, paid, received, resolved
from tests.running import System

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

JSON = {"Content-Type": "application/json"}


def _recorded(client: httpx.Client) -> list[str]:
    """Return the ids in the log."""
    return [event["id"] for event in client.get("/v1/events").json()["items"]]


def _without_positions(answer: builders.Json) -> builders.Json:
    results = [{name: value for name, value in r.items() if name != "position"} for r in answer["results"]]
    return {**answer, "position": None, "results": results}


def test_an_event_is_accepted_once_and_answered_alike_when_sent_again(system: System) -> None:
    with system.client() as client:
        first = client.post("/v1/events", json=received("H37-1"))
        client.post("/v1/events", json=received("H37-2")).raise_for_status()
        again = client.post("/v1/events", json=received("H37-1"))
        recorded = _recorded(client)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"position": "1", "id": "H37-1-received", "status": "accepted"}
    assert again.json() == {"position": "1", "id": "H37-1-received", "status": "duplicate"}
    assert (first.headers["motcua-position"], again.headers["motcua-position"]) == ("1", "1")
    assert recorded == ["H37-1-received", "H37-2-received"]


def test_the_same_id_with_other_content_is_a_conflict_that_shows_both_fingerprints(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=received("H37-1")).raise_for_status()
        answer = client.post("/v1/events", json=received("H37-1", channel="counter"))
        kept = client.get("/v1/dossiers/H37-1").json()["dossier"]["channel"]

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["id"]) == (409, "conflict", "H37-1-received")
    assert len(problem["recorded_fingerprint"]) == len(problem["given_fingerprint"]) == 32
    assert problem["recorded_fingerprint"] != problem["given_fingerprint"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert kept == "online"


def test_an_id_recorded_of_another_dossier_is_a_conflict_and_harms_no_other_item(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=received("H37-1", event_id="e1")).raise_for_status()
        answer = client.post("/v1/events", json=[received("H37-2", event_id="e1"), received("H37-3")]).json()
        alone = client.post("/v1/events", json=received("H37-4", event_id="e1"))

    assert (answer["accepted"], answer["conflict"], answer["results"][0]["index"]) == (1, 1, 0)
    assert alone.status_code == 409


def test_another_formatting_of_the_same_event_is_no_conflict(system: System) -> None:
    event = received("H37-1")
    reordered = dict(reversed(event.items()))
    elsewhere = {**event, "time": "2026-10-05T01:30:00.000Z", "data": {**event["data"], "applicant": None}}

    with system.client() as client:
        client.post("/v1/events", json=event).raise_for_status()
        answers = [
            client.post("/v1/events", content=json.dumps(event, indent=2), headers=JSON),
            client.post("/v1/events", json=reordered),
            client.post("/v1/events", json=elsewhere),
            client.post("/v1/events", json=[elsewhere]),
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200]
    assert [answer.json()["status"] for answer in answers[:3]] == ["duplicate"] * 3
    assert answers[3].json()["duplicate"] == 1


def test_ids_are_unique_per_source(system: System) -> None:
    with system.client() as client:
        first = client.post("/v1/events", json=received("H37-1", event_id="7", source="urn:example:a"))
        second = client.post("/v1/events", json=received("H37-2", event_id="7", source="urn:example:b"))

    assert (first.status_code, second.status_code) == (201, 201)


def test_one_bad_item_harms_no_other_and_every_item_not_newly_accepted_is_named(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=[received("H37-old"), received("H37-changed")]).raise_for_status()
        answer = client.post(
            "/v1/events",
            json=[
                received("H37-1"),
                {"id": "broken"},
                received("H37-old"),
                received("H37-changed", channel="postal"),
                7,
                received("H37-2", receiving_unit="nowhere"),
                received("H37-3"),
            ],
        )
        recorded = _recorded(client)

    body = answer.json()
    assert answer.status_code == 200
    assert {name: body[name] for name in ("accepted", "duplicate", "conflict", "rejected")} == {
        "accepted": 2,
        "duplicate": 1,
        "conflict": 1,
        "rejected": 3,
    }
    assert [(item["index"], item["id"], item["status"]) for item in body["results"]] == [
        (1, "broken", "rejected"),
        (2, "H37-old-received", "duplicate"),
        (3, "H37-changed-received", "conflict"),
        (4, None, "rejected"),
        (5, "H37-2-received", "rejected"),
    ]
    assert all(item["errors"] for item in body["results"] if item["status"] != "duplicate")
    assert body["position"] == answer.headers["motcua-position"] == "4"
    assert recorded == ["H37-old-received", "H37-changed-received", "H37-1-received", "H37-3-received"]


def test_all_results_are_told_when_asked_for(system: System) -> None:
    with system.client() as client:
        body = client.post("/v1/events?results=all", json=[received("H37-1"), {}, received("H37-1")]).json()

    assert [(item["index"], item["status"], item.get("position")) for item in body["results"]] == [
        (0, "accepted", "1"),
        (1, "rejected", None),
        (2, "duplicate", "1"),
    ]


def test_an_id_repeated_inside_one_array_is_a_duplicate_or_a_conflict(system: System) -> None:
    with system.client() as client:
        body = client.post(
            "/v1/events", json=[received("H37-1"), received("H37-1"), received("H37-1", channel="counter")]
        ).json()
        recorded = _recorded(client)

    assert (body["accepted"], body["duplicate"], body["conflict"]) == (1, 1, 1)
    assert [(item["index"], item["status"]) for item in body["results"]] == [(1, "duplicate"), (2, "conflict")]
    assert recorded == ["H37-1-received"]


def test_of_a_request_that_is_refused_as_a_whole_nothing_is_recorded(system: System) -> None:
    """Lago stored what stood before the fault and answered that all was refused."""
    good = json.dumps(received("H37-1")).encode()
    bodies = [b"[" + good + b", {]", b"[" + good, b"[" + good + b', {"data": NaN}]', b"[" + good + b"] []"]

    with system.client() as client:
        answers = [client.post("/v1/events", content=body, headers=JSON) for body in bodies]
        too_many = client.post("/v1/events", json=[received("H37-1"), *({} for _ in range(MAX_EVENTS))])
        recorded = _recorded(client)

    assert [answer.status_code for answer in answers] == [400] * 4
    assert too_many.status_code == 413
    assert recorded == []


def test_a_rejected_id_is_free_to_be_sent_again_corrected(system: System) -> None:
    with system.client() as client:
        refused = client.post("/v1/events", json=received("H37-1", receiving_unit="nowhere"))
        accepted = client.post("/v1/events", json=received("H37-1"))

    assert (refused.status_code, accepted.status_code) == (422, 201)


def test_an_empty_array_changes_nothing_and_answers_where_the_log_stands(system: System) -> None:
    with system.client() as client:
        before = client.post("/v1/events", json=[])
        client.post("/v1/events", json=[received("H37-1"), paid("H37-1")]).raise_for_status()
        after = client.post("/v1/events", json=[])

    assert (before.status_code, before.json()["position"]) == (200, "0")
    assert (after.json()["position"], after.json()["accepted"], after.json()["results"]) == ("2", 0, [])


def test_an_array_of_nothing_but_faults_is_answered_item_by_item(system: System) -> None:
    with system.client() as client:
        answer = client.post("/v1/events", json=[None, {}, []])

    assert (answer.status_code, answer.json()["rejected"]) == (200, 3)


def test_a_body_that_is_no_event_and_no_array_is_a_problem(system: System) -> None:
    bodies = {
        "nothing": b"",
        "half": b"{",
        "null": b"null",
        "a number": b"7",
        "text": b'"text"',
        "no UTF-8": b'{"id": "\xff"}',
        "a lone surrogate": b'{"id": "\\ud800"}',
        "NaN": b'[{"data": {"amount": NaN}}]',
        "a deep array": b"[" * 100_000,
        "a deep object": b'{"data":' * 8_000,
        "a byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": '{"id": "1"}'.encode("utf-16"),
        "infinity": b'{"data": {"amount": -Infinity}}',
        "a number without end": b'{"data": {"amount": ' + b"9" * 5_000 + b"}}",
    }

    with system.client() as client:
        answers = {name: client.post("/v1/events", content=body, headers=JSON) for name, body in bodies.items()}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(bodies, 400)
    assert {answer.json()["code"] for answer in answers.values()} == {"not_json"}


def test_a_single_faulty_event_is_refused_with_every_fault_and_its_place(system: System) -> None:
    fault = {**received("H37-1", channel="fax"), "time": "2026-10-05T08:30:00", "citizen": "x"}

    with system.client() as client:
        answer = client.post("/v1/events", json=fault)
        recorded = _recorded(client)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["id"]) == (422, "invalid_event", "H37-1-received")
    assert sorted((error["code"], error["pointer"]) for error in problem["errors"]) == [
        ("invalid_instant", "/time"),
        ("unknown_field", "/citizen"),
        ("value_not_allowed", "/data/channel"),
    ]
    assert recorded == []


def test_a_unit_must_be_in_force_on_the_day_of_the_event(system: System) -> None:
    former = "2025-06-30T16:00:00+07:00"
    last_minute, first_minute = "2025-06-30T23:59:59+07:00", "2025-06-30T17:00:00Z"
    attempts = [
        received("H37-1", receiving_unit="nowhere"),
        received("H37-2", receiving_unit=FORMER_UNIT),
        received("H37-3", resolving_unit=FORMER_UNIT),
        forwarded("H37-4", to_unit=FORMER_UNIT),
        received("H37-5", receiving_unit=FORMER_UNIT, at=first_minute),
        received("H37-6", receiving_unit=FORMER_UNIT, at=last_minute),
        received("H37-7", receiving_unit=UNIT, resolving_unit=FORMER_UNIT, at=former),
        forwarded("H37-8", to_unit=FORMER_UNIT, at=former),
    ]

    with system.client() as client:
        body = client.post("/v1/events", json=attempts).json()
        single = client.post("/v1/events", json=attempts[0])

    assert [(item["index"], item["errors"][0]["code"], item["errors"][0]["pointer"]) for item in body["results"]] == [
        (0, "unknown_unit", "/data/receiving_unit"),
        (1, "unknown_unit", "/data/receiving_unit"),
        (2, "unknown_unit", "/data/resolving_unit"),
        (3, "unknown_unit", "/data/to_unit"),
        (4, "unknown_unit", "/data/receiving_unit"),
    ]
    assert body["accepted"] == 3
    assert (single.status_code, single.json()["errors"][0]["code"]) == (422, "unknown_unit")


def test_an_unknown_procedure_is_recorded_and_flagged(system: System) -> None:
    with system.client() as client:
        answer = client.post("/v1/events", json=received("H37-1", procedure="9.999999"))
        flags = client.get("/v1/dossiers/H37-1").json()["dossier"]["flags"]

    assert answer.status_code == 201
    assert "unknown_procedure" in flags


def test_an_event_from_the_future_is_recorded_and_flagged(system: System) -> None:
    with system.client() as client:
        answer = client.post("/v1/events", json=received("H37-1", at="2099-12-31T08:00:00+07:00", due_at=None))
        flags = client.get("/v1/dossiers/H37-1").json()["dossier"]["flags"]

    assert answer.status_code == 201
    assert "future_time" in flags


def test_a_dry_run_answers_what_a_real_one_would_and_records_nothing(system: System) -> None:
    array: list[object] = [received("H37-1"), {}, received("H37-1"), received("H37-2", receiving_unit="nowhere")]

    with system.client() as client:
        dry = client.post("/v1/events?dry_run=true", json=array)
        alone = client.post("/v1/events?dry_run=true", json=received("H37-1"))
        recorded = _recorded(client)
        dossier = client.get("/v1/dossiers/H37-1")
        real = client.post("/v1/events", json=array)

    assert (recorded, dossier.status_code) == ([], 404)
    assert alone.status_code == 201
    # Positions that were not drawn are not told.
    assert dry.json()["position"] == "0"
    assert _without_positions(dry.json()) == _without_positions(real.json())


def test_only_json_is_read(system: System) -> None:
    types = {
        "application/json": 201,
        "application/cloudevents+json": 200,
        "application/cloudevents-batch+json; charset=utf-8": 200,
        "Application/JSON; charset=UTF-8": 200,
        "application/x-ndjson": 200,
        "application/jsonl; charset=utf-8": 200,
        "text/plain": 415,
        "text/csv": 415,
        "application/x-www-form-urlencoded": 415,
    }
    body = json.dumps(received("H37-1"))

    with system.client() as client:
        answers = {name: client.post("/v1/events", content=body, headers={"Content-Type": name}) for name in types}

    assert {name: answer.status_code for name, answer in answers.items()} == types
    assert answers["text/plain"].json()["code"] == "unsupported_media_type"


def _lines(*events: object) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in events) + b"\n"


def test_lines_are_answered_like_an_array_and_a_broken_one_harms_no_other(system: System) -> None:
    body = _lines(received("H37-1")) + b"\n{broken\n" + _lines(received("H37-1"), received("H37-2"))

    with system.client() as client:
        dry, real = (
            client.post(f"/v1/events{how}", content=body, headers={"Content-Type": "application/x-ndjson"})
            for how in ("?dry_run=true", "")
        )
        empty = client.post("/v1/events", content=b"\n", headers={"Content-Type": "application/jsonl"})
        recorded = _recorded(client)

    answer = real.json()
    assert (real.status_code, answer["accepted"], answer["duplicate"], answer["rejected"]) == (200, 2, 1, 1)
    assert [(item["index"], item["status"]) for item in answer["results"]] == [(1, "rejected"), (2, "duplicate")]
    assert [error["code"] for error in answer["results"][0]["errors"]] == ["not_json"]
    assert _without_positions(dry.json()) == _without_positions(answer)
    assert (empty.status_code, empty.json()["results"]) == (200, [])
    assert recorded == ["H37-1-received", "H37-2-received"]


def test_one_line_is_answered_like_an_array_of_one(system: System) -> None:
    with system.client() as client:
        answer = client.post(
            "/v1/events", content=_lines(received("H37-1")), headers={"Content-Type": "application/x-ndjson"}
        )

    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


def test_a_compressed_body_means_what_it_meant_before(system: System) -> None:
    ways: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "zstd": zstd.compress,
        "GZIP": gzip.compress,
        "identity": bytes,
    }
    types: dict[str, Callable[[Json], bytes]] = {
        "application/json": lambda event: json.dumps([event]).encode(),
        "application/x-ndjson": _lines,
    }
    sent = [(encoding, name) for encoding in ways for name in types]

    with system.client() as client:
        answers = [
            client.post(
                "/v1/events",
                content=ways[encoding](types[name](received(f"H37-{number}"))),
                headers={"Content-Type": name, "Content-Encoding": encoding},
            )
            for number, (encoding, name) in enumerate(sent)
        ]

    assert [(answer.status_code, answer.json()["accepted"]) for answer in answers] == [(200, 1)] * len(sent)


def test_reference_data_may_be_compressed_as_well(system: System) -> None:
    day = b"on_day,working,name,official\n2026-12-31,false,A,false\n"

    with system.client() as client:
        answer = client.put(
            "/v1/calendar", content=gzip.compress(day), headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"}
        )

    assert (answer.status_code, answer.json()["received"]) == (200, 1)


def test_a_bomb_is_too_large_a_broken_stream_corrupt_and_another_compression_unsupported(system: System) -> None:
    bomb = gzip.compress(b"[" + b" " * 100 * MAX_INFLATED_BYTES + b"]")
    cases = {
        ("gzip", bomb): (413, "body_too_large"),
        ("gzip", gzip.compress(b"[]")[:-1]): (400, "body_corrupt"),
        ("gzip", gzip.compress(b"[]") + b"[]"): (400, "body_corrupt"),
        ("gzip", b"[]"): (400, "body_corrupt"),
        ("gzip", b""): (400, "body_corrupt"),
        ("zstd", zstd.compress(b"[]")[:-1]): (400, "body_corrupt"),
        ("zstd", gzip.compress(b"[]")): (400, "body_corrupt"),
        ("br", b"[]"): (415, "unsupported_media_type"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"[]"))): (415, "unsupported_media_type"),
        ("x" * 5_000, b"[]"): (415, "unsupported_media_type"),
    }

    with system.client() as client:
        answers = [
            client.post("/v1/events", content=content, headers={**JSON, "Content-Encoding": encoding})
            for encoding, content in cases
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == list(cases.values())
    assert len(bomb) < 2 * 1024 * 1024


def test_an_event_with_a_repeated_key_is_refused_and_its_id_stays_free(system: System) -> None:
    event = json.dumps(received("H37-1"))
    repeated = event.replace('"channel":', '"channel": "counter", "channel":')

    with system.client() as client:
        alone = client.post("/v1/events", content=repeated, headers=JSON)
        among = client.post("/v1/events", content=f"[{repeated}, {event}]", headers=JSON)

    problem, array = alone.json(), among.json()
    assert (alone.status_code, problem["code"], problem["id"]) == (422, "invalid_event", "H37-1-received")
    for errors in (problem["errors"], array["results"][0]["errors"]):
        assert [(error["code"], error["pointer"]) for error in errors] == [("duplicate_key", "/data/channel")]
    assert (array["accepted"], array["rejected"]) == (1, 1)


def test_an_event_larger_than_any_can_be_is_refused(system: System) -> None:
    event = received("H37-1", note="x" * MAX_EVENT_BYTES)

    with system.client() as client:
        answers = [client.post("/v1/events", json=body) for body in (event, [event])]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(413, "event_too_large")] * 2


def test_the_answer_to_an_array_of_nothing_but_faults_is_not_much_larger_than_the_array(system: System) -> None:
    faulty = received("H37-1")
    faulty["data"] |= {f"unknown_{number}": None for number in range(30)}
    body = json.dumps([faulty] * 4_000).encode()

    with system.client() as client:
        answer = client.post("/v1/events", content=body, headers=JSON)

    assert answer.json()["rejected"] == 4_000
    assert all(item["errors"] for item in answer.json()["results"])
    assert len(answer.content) < len(body) / 2


def test_arrival_order_does_not_change_how_a_dossier_stands(system: System) -> None:
    lives: list[Json] = [received("H37-{}"), paid("H37-{}"), resolved("H37-{}")]
    orders = [(0, 1, 2), (2, 1, 0), (1, 2, 0)]

    with system.client() as client:
        for number, order in enumerate(orders):
            for step in order:
                event = json.loads(json.dumps(lives[step]).replace("{}", str(number)))
                assert client.post("/v1/events", json=event).status_code == 201
        dossiers = [client.get(f"/v1/dossiers/H37-{number}").json()["dossier"] for number in range(len(orders))]

    own = {"code", "position", "recorded_at", "receipt_recorded_at", "end_recorded_at"}
    assert len({str({name: one[name] for name in one if name not in own}) for one in dossiers}) == 1


def test_an_event_sent_many_times_at_once_is_accepted_once(system: System) -> None:
    with system.client() as client, ThreadPoolExecutor(16) as senders:
        answers = list(senders.map(lambda _: client.post("/v1/events", json=received("H37-1")), range(32)))
        recorded = _recorded(client)

    assert sorted(answer.status_code for answer in answers) == [200] * 31 + [201]
    assert {answer.json()["position"] for answer in answers} == {"1"}
    assert recorded == ["H37-1-received"]


def test_events_sent_at_once_each_have_a_position_of_their_own(system: System) -> None:
    with system.client() as client, ThreadPoolExecutor(16) as senders:
        answers = list(senders.map(lambda n: client.post("/v1/events", json=received(f"H37-{n}")), range(64)))
        items = client.get("/v1/events").json()["items"]

    assert {answer.status_code for answer in answers} == {201}
    assert sorted(int(answer.json()["position"]) for answer in answers) == list(range(1, 65))
    assert [(item["id"], item["position"]) for item in items] == sorted(
        ((answer.json()["id"], answer.json()["position"]) for answer in answers), key=lambda one: int(one[1])
    )


def test_a_dossier_holds_three_hundred_events_and_not_one_more(system: System) -> None:
    payments = [paid("H37-1", event_id=f"payment-{number}") for number in range(301)]

    with system.client() as client:
        body = client.post("/v1/events", json=payments).json()

    assert (body["accepted"], body["rejected"]) == (300, 1)
    assert body["results"][0]["errors"][0]["code"] == "too_many_events_of_dossier"


def test_a_parameter_that_means_nothing_is_a_problem(system: System) -> None:
    with system.client() as client:
        answers = [
            client.post("/v1/events?dry_run=perhaps", json=received("H37-1")),
            client.post("/v1/events?results=some", json=received("H37-1")),
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "invalid_request")] * 2
