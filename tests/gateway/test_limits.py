"""No client, no body and no burst takes more of the gateway than it may."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest

from services.contract import MAX_BODY_BYTES, MAX_EVENTS
from services.gateway.limits import Limits, Overloaded, TooManyRequests
from tests import running
from tests.builders import Json, received
from tests.running import System


def _limits(*, requests_per_second: float = 1, requests_at_once: int = 2, body_bytes_at_once: int = 10) -> Limits:
    return Limits(
        requests_per_second=requests_per_second,
        requests_at_once=requests_at_once,
        body_bytes_at_once=body_bytes_at_once,
    )


def test_a_client_may_spend_ten_seconds_worth_at_once_and_then_waits() -> None:
    limits = _limits(requests_per_second=0.5)

    for _ in range(5):
        limits.spend("20", "one-stop")

    with pytest.raises(TooManyRequests):
        limits.spend("20", "one-stop")


def test_what_one_client_spends_another_still_has() -> None:
    limits = _limits(requests_per_second=0.1)

    limits.spend("20", "one-stop")

    limits.spend("20", "dashboard")
    # A name belongs to its province.
    limits.spend("19", "one-stop")


def test_a_seat_is_free_again_after_its_request_even_a_failed_one() -> None:
    limits = _limits(requests_at_once=1)

    with pytest.raises(RuntimeError), limits.request():
        raise RuntimeError

    with limits.request(), pytest.raises(Overloaded), limits.request():
        pass


def test_bytes_are_free_again_after_their_request_even_a_failed_one() -> None:
    limits = _limits(body_bytes_at_once=10)

    with pytest.raises(RuntimeError), limits.memory(10):
        raise RuntimeError

    with limits.memory(10), pytest.raises(Overloaded), limits.memory(1):
        pass


def test_a_client_that_asks_too_often_is_told_when_to_come_back(database_url: str) -> None:
    with running.system(database_url, requests_per_second=0.1) as system, system.client() as client:
        first, second = client.get("/v1/units"), client.get("/v1/units")

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (429, "too_many_requests")
    assert second.headers["retry-after"] == "1"


def test_a_body_of_more_than_five_megabytes_goes_no_further_than_the_gateway(lone_gateway: System) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    headers = {"Content-Type": "application/json"}

    with lone_gateway.client() as client:
        announced = client.post("/v1/events", content=body, headers=headers)
        chunked = client.post("/v1/events", content=_chunks(body), headers=headers)
        put = client.put("/v1/units", content=_chunks(body), headers=headers)
        largest = client.post("/v1/events", content=_chunks(body[:-1]), headers=headers)

    assert [answer.status_code for answer in (announced, chunked, put)] == [413, 413, 413]
    assert {answer.json()["code"] for answer in (announced, chunked, put)} == {"body_too_large"}
    # One that is not too large is passed on, to where nobody answers.
    assert largest.status_code == 503


def test_a_service_reads_no_more_of_a_body_than_the_gateway_would(system: System) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    headers = {"Content-Type": "application/json"}

    with system.behind(system.dossier_url) as client:
        answers = [client.post("/v1/events", content=content, headers=headers) for content in (body, _chunks(body))]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(413, "body_too_large")] * 2


def test_a_chunked_body_that_is_small_enough_is_read(system: System) -> None:
    body = httpx.Request("POST", "http://x", json=received("H37-1")).content

    with system.client() as client:
        answer = client.post("/v1/events", content=_chunks(body, 10), headers={"Content-Type": "application/json"})

    assert answer.status_code == 201


def _chunks(body: bytes, size: int = 256 * 1024) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def test_a_body_that_trickles_in_is_given_up_and_its_seat_free_again(database_url: str) -> None:
    with running.system(database_url, body_seconds=0.5, requests_at_once=1) as system, system.client() as client:
        host, _, port = system.gateway_url.removeprefix("http://").partition(":")
        head = f"POST /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {system.key()}\r\n"
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(head.encode() + b"Content-Length: 100\r\n\r\n[")
            time.sleep(0.2)
            meanwhile = client.get("/v1/units")
            connection.sendall(b" ")
            answer = b""
            while b"body_too_slow" not in answer and (part := connection.recv(1_000)):
                answer += part
        afterwards = client.get("/v1/units")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in answer
    assert (meanwhile.status_code, afterwards.status_code) == (503, 200)


def test_a_body_announced_as_too_large_is_refused_before_it_is_sent(system: System) -> None:
    host, _, port = system.gateway_url.removeprefix("http://").partition(":")
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {system.key()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {10**15}\r\n\r\n"
    )

    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(100)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_request_holds_five_thousand_events_and_not_one_more(system: System) -> None:
    full = [received(f"H37-{number}") for number in range(MAX_EVENTS)]
    broken = [*full, {}]

    with system.client() as client:
        too_many = client.post("/v1/events", json=[*full, received("H37-one-more")])
        too_many_with_a_fault = client.post("/v1/events", json=broken)
        enough = client.post("/v1/events", json=full)

    assert (too_many.status_code, too_many.json()["code"]) == (413, "too_many_events")
    assert (too_many_with_a_fault.status_code, too_many_with_a_fault.json()["code"]) == (413, "too_many_events")
    assert (enough.status_code, enough.json()["accepted"]) == (200, MAX_EVENTS)


def _many(name: str, count: int = 3_000) -> list[Json]:
    return [received(f"H37-{name}-{number}") for number in range(count)]


def test_what_waits_is_bounded_and_who_is_turned_away_is_accepted_later(database_url: str) -> None:
    with running.system(database_url, queued_events=5_000) as system:
        system.load_reference()
        with system.client() as client, ThreadPoolExecutor(6) as senders:
            ways = ["", "?dry_run=true"] * 3
            answers = list(senders.map(lambda n: client.post(f"/v1/events{ways[n]}", json=_many(str(n))), range(6)))
            again = [client.post(f"/v1/events{ways[n]}", json=_many(str(n))) for n in range(6)]

    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "overloaded")}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert {answer.status_code for answer in again} == {200}
    assert all(answer.json()["accepted"] + answer.json()["duplicate"] == 3_000 for answer in again)


def test_a_client_that_does_not_read_its_answer_takes_no_place_from_others(database_url: str) -> None:
    with running.system(database_url, queued_events=5_000) as system, contextlib.ExitStack() as opened:
        system.load_reference()
        client = opened.enter_context(system.client())
        host, _, port = system.gateway_url.removeprefix("http://").partition(":")
        body = orjson.dumps(_many("unread"))
        head = (
            f"POST /v1/events?results=all HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {system.key()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        for _ in range(3):
            connection = opened.enter_context(socket.create_connection((host, int(port)), timeout=30))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.sendall(head.encode() + body)
            # The answer has begun, and stays where it is.
            assert connection.recv(12) == b"HTTP/1.1 200"

        answer = client.post("/v1/events", json=_many("read"))

    assert (answer.status_code, answer.json()["accepted"]) == (200, 3_000)


def test_an_allowance_grows_again_with_time() -> None:
    limits = _limits(requests_per_second=1)
    for _ in range(10):
        limits.spend("20", "one-stop")
    time.sleep(1.1)

    limits.spend("20", "one-stop")


def test_an_allowance_that_nobody_used_does_not_grow_beyond_ten_seconds_worth() -> None:
    limits = _limits(requests_per_second=1)
    limits.spend("20", "one-stop")
    time.sleep(2.2)

    for _ in range(10):
        limits.spend("20", "one-stop")

    with pytest.raises(TooManyRequests):
        limits.spend("20", "one-stop")


def test_a_request_that_finds_no_seat_is_told_to_come_back(database_url: str) -> None:
    with running.system(database_url, requests_at_once=1) as system:
        waiting, next_one = system.client(), system.client()
        poll = threading.Thread(target=lambda: waiting.get("/v1/feed", params={"wait": 2}))
        poll.start()
        time.sleep(0.5)

        answer = next_one.get("/v1/units")
        poll.join()
        waiting.close()
        next_one.close()

    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
