"""Whatever is asked of the gateway, the answer is the service's own or one problem that says what to do."""

import contextlib
import http.client
import json
import socket

import httpx
import pytest

from services.gateway.domain.access import ROUTES
from tests.builders import received
from tests.running import System


def test_an_unknown_path_is_a_problem(system: System) -> None:
    with system.client() as client:
        answer = client.get("/v1/nothing")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert answer.json()["detail_vi"]


def test_a_method_that_a_path_does_not_have_is_a_problem(system: System) -> None:
    with system.client() as client:
        answers = [client.delete("/v1/events"), client.post("/v1/rates"), client.request("OPTIONS", "/v1/units")]

    assert [answer.status_code for answer in answers] == [405, 405, 405]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert {answer.json()["code"] for answer in answers} == {"method_not_allowed"}
    assert ["GET" in answer.headers["allow"] for answer in answers] == [True, True, True]
    assert ["POST" in answer.headers["allow"] for answer in answers] == [True, False, False]


_NAMED = {"code": "H37-1", "rate": "on_time_of_resolved", "count": "received", "form": "06a", "id": "none"}


def test_head_answers_what_get_would_without_the_body(system: System) -> None:
    with system.client() as client:
        position = client.post("/v1/events", json=received("H37-1")).json()["position"]
        counted = {"period": "2026-10", "min_position": position}
        client.get("/v1/rates", params=counted)
        frozen = client.post("/v1/reports", json={"kind": "rates", "period": "2026-10"}).json()
        named = {**_NAMED, "id": frozen["id"]}
        asked = {
            route.path.format(**named): counted
            for route in ROUTES
            if route.path.startswith(("/v1/rates", "/v1/counts", "/v1/forms")) and "definitions" not in route.path
        }
        asked |= {"/v1/series": {**counted, "rate": "full_online"}, "/v1/sync": {"period": "2026-10"}}
        paths = [route.path.format(**named) for route in ROUTES if route.method == "GET"]
        full = {path: client.get(path, params=asked.get(path)) for path in paths}
        bare = {path: client.head(path, params=asked.get(path)) for path in paths}

    assert {path: answer.status_code for path, answer in bare.items()} == dict.fromkeys(paths, 200)
    assert {answer.content for answer in bare.values()} == {b""}
    for path in paths:
        assert bare[path].headers["content-length"] == str(full[path].num_bytes_downloaded)


def test_a_service_that_is_down_is_a_problem_that_asks_to_come_back(lone_gateway: System) -> None:
    with lone_gateway.client() as client:
        answers = {route: client.request(route.method, route.path.format(**_NAMED)) for route in ROUTES}
        document = client.get("/openapi.json")

    assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(ROUTES, 503)
    assert document.status_code == 503
    for answer in (*answers.values(), document):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "service_unavailable"
        # Where the services are is nobody's business outside.
        assert lone_gateway.dossier_url not in answer.text


def test_probes_and_metrics_need_no_key(system: System) -> None:
    answers = {path: httpx.get(system.gateway_url + path) for path in ("/healthz", "/readyz", "/metrics")}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)


def test_a_dossier_is_found_under_any_code_it_can_be_recorded_under(system: System) -> None:
    codes = ["H37.1-261005-0001", "Hồ-sơ-1", "a%b", "a?b", "a#b", "a&b=c", "a+b", "a;b", "'\"", "a%2Fb"]
    with system.client() as client:
        client.post("/v1/events", json=[received(code) for code in codes]).raise_for_status()
        answers = {code: client.get(f"/v1/dossiers/{_quoted(code)}").json() for code in codes}

    assert {code: answer["dossier"]["code"] for code, answer in answers.items()} == {code: code for code in codes}


def test_a_dossier_whose_code_holds_a_slash_is_found(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=received("12/2026/H37")).raise_for_status()
        answer = client.get(f"/v1/dossiers/{_quoted('12/2026/H37')}")

    assert (answer.status_code, answer.json().get("dossier", {}).get("code")) == (200, "12/2026/H37")


def test_a_path_with_characters_no_code_can_hold_is_an_unknown_dossier(system: System) -> None:
    with system.client() as client:
        answers = {code: client.get(f"/v1/dossiers/{code}") for code in ("%00", "H37%00", "%FF", "%ED%A0%80", "%20")}

    assert {code: answer.status_code for code, answer in answers.items()} == dict.fromkeys(answers, 404)


def _quoted(code: str) -> str:
    return "".join(f"%{byte:02X}" for byte in code.encode())


@pytest.mark.parametrize(
    "path",
    [
        "..%2fevents",
        "../events",
        "../feed",
        "../../metrics",
        "../../openapi.json",
        "./",
        "a/../../units",
        "%2e%2e/feed",
    ],
)
def test_no_path_reaches_a_route_other_than_its_own(system: System, path: str) -> None:
    key = system.key("reader", scopes=["dossiers:read"])
    host, port = system.gateway_url.removeprefix("http://").split(":")

    # By hand, because every HTTP library would tidy the path up first.
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.putrequest("GET", f"/v1/dossiers/{path}", skip_host=False)
    connection.putheader("Authorization", f"Bearer {key}")
    connection.endheaders()
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()

    assert (answer.status, told["code"]) == (404, "unknown_dossier")


def test_clients_and_units_may_have_vietnamese_names(system: System) -> None:
    with system.client(name="Trung tâm Lạng Sơn", units=["Đơn-vị", "05977"]) as client:
        assert client.get("/v1/feed").status_code == 200


def test_bytes_that_are_no_text_in_a_header_are_passed_on_and_harm_nothing(system: System) -> None:
    with system.client() as client:
        answer = client.get("/v1/rates", params={"period": "2026-10"}, headers={b"If-None-Match": b"\xff\xfe"})

    assert answer.status_code == 200


def test_a_request_head_without_end_is_cut_off(lone_gateway: System) -> None:
    host, port = lone_gateway.gateway_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /v1/units HTTP/1.1\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 10_000_000:
                sent += connection.send(b"X-Filler: " + b"x" * 8_000 + b"\r\n")

    assert sent < 10_000_000


def test_a_path_with_a_slash_too_many_is_unknown_and_leads_nowhere_else(lone_gateway: System) -> None:
    answer = httpx.post(f"{lone_gateway.gateway_url}/v1/events/", follow_redirects=False)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
