"""Who asks the same again is answered on a shorter way, and never otherwise than on the long one."""

from collections.abc import Mapping
from typing import Any

import httpx

from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant
from tests.builders import OTHER_UNIT, UNIT, received
from tests.running import INTERNAL_KEY, System

_ASKED = {"period": "2026-10"}


def _told(answer: httpx.Response) -> tuple[int, Mapping[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in {"date", "server"}}
    return answer.status_code, headers, answer.content


def _post(client: httpx.Client, *events: Any) -> str:  # noqa: ANN401 - events
    return str(client.post("/v1/events", json=list(events)).raise_for_status().json()["position"])


def test_a_question_asked_again_has_the_same_answer_to_the_byte(system: System) -> None:
    queries = ["period=2026-10", "period=2026-10&by=none&role=receiving", f"period=2026&unit={UNIT}"]
    with system.client() as client:
        position = _post(client, received("H1"))
        client.get(f"/v1/rates?period=2026&min_position={position}").raise_for_status()

        answers = {query: [_told(client.get(f"/v1/rates?{query}")) for _ in range(3)] for query in queries}

    for first, *again in answers.values():
        assert again == [first, first]
        assert first[0] == 200


def test_a_question_that_is_a_problem_is_one_again(system: System) -> None:
    queries = ["period=2026-13", "period=2026-10&unit=99999", "period=2026-10&colour=red", ""]
    with system.client() as client:
        answers = {query: [_told(client.get(f"/v1/rates?{query}")) for _ in range(3)] for query in queries}

    for first, *again in answers.values():
        assert again == [first, first]
        assert first[0] == 422


def test_what_was_recorded_meanwhile_is_counted_for_who_asks_again(system: System) -> None:
    with system.client() as client:
        counted = []
        for number in range(5):
            position = _post(client, received(f"H{number}"))
            client.get("/v1/rates", params={"period": "2026", "min_position": position}).raise_for_status()
            answer = client.get("/v1/rates", params=_ASKED)
            assert answer.headers["motcua-position"] == answer.json()["position"] == position
            counted.append(answer.json()["total"]["counts"]["received"])

    assert counted == [1, 2, 3, 4, 5]


def test_an_answer_tells_the_present_position_although_nothing_it_says_has_changed(system: System) -> None:
    with system.client() as client:
        first = _post(client, received("H1"))
        before = client.get("/v1/rates", params={**_ASKED, "min_position": first})
        # November's dossier is no part of October.
        second = _post(client, received("H2", at="2026-11-03T09:00:00+07:00", due_at="2026-11-04T09:00:00+07:00"))
        client.get("/v1/rates", params={"period": "2026-11", "min_position": second}).raise_for_status()
        after = client.get("/v1/rates", params=_ASKED)
        unchanged = client.get("/v1/rates", params=_ASKED, headers={"If-None-Match": before.headers["etag"]})

    assert (before.json()["position"], after.json()["position"]) == (first, second)
    assert before.json() | {"position": None} == after.json() | {"position": None}
    assert before.headers["etag"] == after.headers["etag"]
    assert (unchanged.status_code, unchanged.headers["motcua-position"]) == (304, second)


def test_another_client_that_asks_the_same_is_answered_for_itself(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H1"), received("H2", receiving_unit=OTHER_UNIT))
        client.get("/v1/rates", params={**_ASKED, "min_position": position}).raise_for_status()

    received_by = {}
    for name, units in {"all": None, "mine": [UNIT], "theirs": [OTHER_UNIT], "none": []}.items():
        with system.client(name=name, units=units) as client:
            received_by[name] = [
                client.get("/v1/rates", params=_ASKED).json()["total"]["counts"]["received"] for _ in range(2)
            ]

    assert received_by == {"all": [2, 2], "mine": [1, 1], "theirs": [1, 1], "none": [0, 0]}


def test_another_accept_is_another_answer(system: System) -> None:
    with system.client() as client:
        types = [
            client.get("/v1/rates", params=_ASKED, headers={"Accept": accept}).headers["content-type"].split(";")[0]
            for accept in ("application/json", "text/csv", "*/*", "application/json", "text/csv")
        ]

    assert types == ["application/json", "text/csv", "application/json", "application/json", "text/csv"]


def test_who_comes_past_the_gateway_is_refused_on_the_shorter_way_too(system: System) -> None:
    with system.behind(system.metrics_url) as gateway:
        gateway.get("/v1/rates", params=_ASKED).raise_for_status()
        gateway.get("/v1/rates", params=_ASKED).raise_for_status()
    grant = {GRANT_HEADER: Grant(client="tests", province="20").header()}

    with httpx.Client(base_url=system.metrics_url) as anybody:
        answers = [
            anybody.get("/v1/rates", params=_ASKED, headers=headers)
            for headers in ({}, grant, {**grant, INTERNAL_KEY_HEADER: "a guess"}, {INTERNAL_KEY_HEADER: INTERNAL_KEY})
        ]

    assert [answer.status_code for answer in answers] == [403] * 4


def test_the_shorter_way_is_counted_under_the_same_route(system: System) -> None:
    with system.client() as client:
        for _ in range(3):
            client.get("/v1/rates", params=_ASKED).raise_for_status()
    told = httpx.get(f"{system.metrics_url}/metrics").text

    counted = [line for line in told.splitlines() if line.startswith("http_requests_total") and "/v1/rates" in line]
    assert any('route="/v1/rates"' in line for line in counted)


def test_only_the_path_and_method_of_the_route_are_answered_on_the_shorter_way(system: System) -> None:
    with system.behind(system.metrics_url) as gateway:
        gateway.get("/v1/rates", params=_ASKED).raise_for_status()
        statuses = [
            gateway.request(method, path, params=_ASKED).status_code
            for method, path in [("POST", "/v1/rates"), ("GET", "/v1/rates/"), ("DELETE", "/v1/rates")]
        ]

    assert statuses == [405, 404, 405]
