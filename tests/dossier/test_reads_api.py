"""Whoever reads sees every dossier and every event, once, in order, and learns of a change the moment it is there."""

import threading
import time

import httpx

from tests import running
from tests.builders import DUE_AT, PROCEDURE, UNIT, event, paid, received, resolved, withdrawn
from tests.running import System


def test_a_dossier_shows_how_it_stands_its_events_and_how_its_due_date_came_about(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=[resolved("H37-1"), received("H37-1")]).raise_for_status()
        answer = client.get("/v1/dossiers/H37-1").json()

    assert answer.keys() == {"dossier", "events", "due"}
    dossier = answer["dossier"]
    assert dossier == dossier | {
        "code": "H37-1",
        "status": "resolved",
        "procedure": PROCEDURE,
        "receiving_unit": UNIT,
        "receiving_unit_since": "2025-07-01",
        "resolving_unit": UNIT,
        "channel": "online",
        "received_at": "2026-10-05T08:30:00+07:00",
        "received_on": "2026-10-05",
        "due_at": DUE_AT,
        "due_on": "2026-10-05",
        "ended_at": "2026-10-05T10:00:00+07:00",
        "ended_on": "2026-10-05",
        "outcome": "approved",
        "fee_due": True,
        "payments": 0,
        "position": "2",
    }
    assert [(event["position"], event["type"]) for event in answer["events"]] == [
        ("1", "vn.motcua.dossier.resolved"),
        ("2", "vn.motcua.dossier.received"),
    ]
    assert answer["events"][1].items() >= received("H37-1").items()
    assert [(step["code"], step["due_at"]) for step in answer["due"]] == [
        ("received", None),
        ("limit", DUE_AT),
        ("appointed", DUE_AT),
    ]
    assert answer["due"][-1] == {
        "code": "appointed",
        "detail": "appointed by the sender: 17:00 05/10/2026",
        "detail_vi": "đơn vị gửi hẹn trả: 17:00 05/10/2026",
        "due_at": DUE_AT,
    }


def test_a_dossier_tells_of_each_event_what_corrected_and_what_retracted_it(system: System) -> None:
    undone = [
        received("H37-1"),
        paid("H37-1"),
        resolved("H37-1"),
        event("corrected", "H37-1", {"event_id": "H37-1-paid", "amount": 5}, at=DUE_AT),
        event("retracted", "H37-1", {"event_id": "H37-1-resolved", "reason": "nhập nhầm"}, at=DUE_AT),
    ]

    with system.client() as client:
        client.post("/v1/events", json=undone).raise_for_status()
        events = client.get("/v1/dossiers/H37-1").json()["events"]

    assert [(event["corrected_by"], event["retracted_by"]) for event in events] == [
        ([], None),
        (["H37-1-corrected"], None),
        ([], "H37-1-retracted"),
        ([], None),
        ([], None),
    ]
    assert all(event["recorded_at"] > event["time"] for event in events)


def test_a_counted_due_date_tells_where_it_began_and_what_was_added(system: System) -> None:
    late_on_friday = "2026-10-09T15:30:00+07:00"

    with system.client() as client:
        client.post("/v1/events", json=received("H37-1", at=late_on_friday, due_at=None)).raise_for_status()
        answer = client.get("/v1/dossiers/H37-1").json()

    assert [(step["code"], step["due_at"]) for step in answer["due"]] == [
        ("received", None),
        ("after_cut_off", None),
        ("limit", "2026-10-12T17:00:00+07:00"),
    ]
    assert answer["due"][1]["detail_vi"] == "sau giờ nhận trong ngày, tính từ 07:00 12/10/2026"
    assert answer["dossier"]["due_at"] == "2026-10-12T17:00:00+07:00"


def test_a_dossier_without_a_receipt_has_no_due_date_to_explain(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=resolved("H37-1")).raise_for_status()
        answer = client.get("/v1/dossiers/H37-1").json()

    assert (answer["dossier"]["status"], answer["due"]) == ("unreceived", [])
    assert "missing_receipt" in answer["dossier"]["flags"]


def test_the_log_pages_through_every_event_once_in_recording_order(system: System) -> None:
    sent = [received(f"H37-{number}") for number in range(7)]

    with system.client() as client:
        client.post("/v1/events", json=sent).raise_for_status()
        for limit in range(1, 9):
            seen, cursor = [], None
            while True:
                page = client.get(
                    "/v1/events", params={"limit": limit, **({"cursor": cursor} if cursor else {})}
                ).json()
                seen += page["items"]
                cursor = page["next_cursor"]
                assert len(page["items"]) <= limit
                if cursor is None:
                    break
            assert [event["id"] for event in seen] == [event["id"] for event in sent]


def test_the_log_goes_on_after_a_position(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=[received("H37-1"), paid("H37-1"), resolved("H37-1")]).raise_for_status()
        after_first = client.get("/v1/events", params={"after": "1"}).json()["items"]
        after_all = client.get("/v1/events", params={"after": "3"}).json()

    assert [event["position"] for event in after_first] == ["2", "3"]
    assert after_all == {"items": [], "next_cursor": None}


def test_the_log_gives_back_what_was_sent(system: System) -> None:
    sent = [
        received("H37-1", applicant="citizen", fee_required=True, submitted_at="2026-10-04T20:00:00+07:00"),
        paid("H37-1", reference="VN-1"),
        withdrawn("H37-1", reason="Nộp nhầm 'hồ sơ' \" \\ \u2028 😀"),
    ]

    with system.client() as client:
        client.post("/v1/events", json=sent).raise_for_status()
        items = client.get("/v1/events").json()["items"]

    assert [{name: item[name] for name in item if name not in {"position", "recorded_at"}} for item in items] == sent
    assert all(item["recorded_at"].endswith("+07:00") for item in items)


def test_the_feed_holds_each_dossier_once_at_its_latest_change(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=[received("H37-1"), received("H37-2"), paid("H37-1")]).raise_for_status()
        page = client.get("/v1/feed").json()
        client.post("/v1/events", json=resolved("H37-2")).raise_for_status()
        rest = client.get("/v1/feed", params={"after": page["next_after"]}).json()

    assert [(entry["code"], entry["position"], entry["payments"]) for entry in page["entries"]] == [
        ("H37-2", "2", 0),
        ("H37-1", "3", 1),
    ]
    assert (page["after"], page["next_after"], page["head"]) == ("0", "3", "3")
    assert [(entry["code"], entry["position"], entry["status"]) for entry in rest["entries"]] == [
        ("H37-2", "4", "resolved")
    ]


def test_pages_of_any_size_show_the_whole_feed(system: System) -> None:
    sent = [received(f"H37-{number}") for number in range(6)] + [resolved("H37-1"), resolved("H37-4")]

    with system.client() as client:
        client.post("/v1/events", json=sent).raise_for_status()
        for limit in range(1, 8):
            seen, after = [], "0"
            while True:
                page = client.get("/v1/feed", params={"after": after, "limit": limit}).json()
                seen += [entry["code"] for entry in page["entries"]]
                assert (page["after"], page["head"]) == (after, "8")
                after = page["next_after"]
                if not page["entries"]:
                    break
            assert seen == ["H37-0", "H37-2", "H37-3", "H37-5", "H37-1", "H37-4"]


def test_a_waiting_feed_is_answered_within_a_second_of_the_event(system: System) -> None:
    answered: list[tuple[float, httpx.Response]] = []

    def wait(client: httpx.Client) -> None:
        answered.append((0, client.get("/v1/feed", params={"after": "0", "wait": 20})))
        answered[0] = (time.monotonic(), answered[0][1])

    with system.client(name="follower") as follower, system.client(name="one-stop") as sender:
        thread = threading.Thread(target=wait, args=(follower,))
        thread.start()
        time.sleep(0.5)
        waiting = thread.is_alive()
        sender.post("/v1/events", json=received("H37-1")).raise_for_status()
        posted_at = time.monotonic()
        thread.join(25)

    answered_at, answer = answered[0]
    assert waiting
    assert [entry["code"] for entry in answer.json()["entries"]] == ["H37-1"]
    assert answered_at - posted_at < 1


def test_a_feed_in_which_nothing_happens_is_an_empty_page_after_its_time(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=received("H37-1")).raise_for_status()
        began = time.monotonic()
        page = client.get("/v1/feed", params={"after": "1", "wait": 0.5}).json()
        lasted = time.monotonic() - began

    assert page == {"after": "1", "next_after": "1", "head": "1", "entries": []}
    assert 0.5 <= lasted < 3


def test_a_waiting_feed_is_answered_with_an_empty_page_when_the_process_stops(database_url: str) -> None:
    answered: list[httpx.Response] = []

    def wait(client: httpx.Client) -> None:
        answered.append(client.get("/v1/feed", params={"after": "0", "wait": 20}))

    with running.system(database_url) as system:
        client = system.behind(system.dossier_url)
        thread = threading.Thread(target=wait, args=(client,))
        thread.start()
        time.sleep(0.5)
        waiting = thread.is_alive()
    thread.join(5)
    client.close()

    assert waiting
    assert [(answer.status_code, answer.json()["entries"]) for answer in answered] == [(200, [])]


def test_a_position_this_system_never_gave_out_is_a_problem(system: System) -> None:
    texts = ["", "x", "-1", "1.5", "1e3", "٣", "9" * 19, " 1", "0x1"]

    with system.client() as client:
        answers = {
            (path, text): client.get(path, params={"after": text})
            for path in ("/v1/feed", "/v1/events")
            for text in texts
        }
        for cursor in ("x", ""):
            answers["/v1/events", f"cursor {cursor}"] = client.get("/v1/events", params={"cursor": cursor})

    assert {asked: answer.status_code for asked, answer in answers.items()} == dict.fromkeys(answers, 422)
    assert {answer.json()["code"] for answer in answers.values()} == {"unknown_position"}


def test_pages_and_waits_are_bounded(system: System) -> None:
    asked = ["limit=0", "limit=-1", "limit=5001", "limit=x", "wait=31", "wait=-1", "wait=nan", "wait=inf"]

    with system.client() as client:
        codes = {query: client.get(f"/v1/feed?{query}").status_code for query in asked}
        largest = client.get("/v1/feed?limit=5000&wait=0").status_code

    assert codes == dict.fromkeys(asked, 422)
    assert largest == 200
