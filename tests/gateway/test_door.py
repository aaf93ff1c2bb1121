"""Nobody passes the gateway without a key and a scope."""

import asyncio
import re
import time

import httpx

from services.cli import clients
from services.gateway.auth import new_key
from services.gateway.domain.access import ROUTES, SCOPES, Route
from tests.running import PROVINCE, System


def asked(client: httpx.Client, route: Route) -> httpx.Response:
    """Ask for the route with nothing in it but what its path needs."""
    return client.request(route.method, path(route))


def path(route: Route) -> str:
    """Return the route's path with something in each of its places."""
    return re.sub(r"{\w+}", "H37-1", route.path)


def test_every_route_refuses_a_request_without_a_key(system: System) -> None:
    with httpx.Client(base_url=system.gateway_url) as client:
        answers = {route: asked(client, route) for route in ROUTES}

    assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(ROUTES, 401)
    assert {answer.json()["code"] for answer in answers.values()} == {"no_key"}
    assert {answer.headers["www-authenticate"] for answer in answers.values()} == {"Bearer"}


def test_every_route_refuses_a_key_nobody_has(system: System) -> None:
    for key in (new_key(), "motcua_é", "x" * 4_000):
        headers = {b"Authorization": f"Bearer {key}".encode()}
        with httpx.Client(base_url=system.gateway_url, headers=headers) as client:
            answers = {route: asked(client, route) for route in ROUTES}

        assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(ROUTES, 401)
        assert {answer.json()["code"] for answer in answers.values()} == {"unknown_key"}
        assert {answer.headers["www-authenticate"] for answer in answers.values()} == {"Bearer"}


def test_a_key_is_a_bearer_key_and_nothing_else(system: System) -> None:
    key = system.key()

    codes = {
        authorization: httpx.get(f"{system.gateway_url}/v1/units", headers={"Authorization": authorization}).status_code
        for authorization in (f"Bearer {key}", f"bearer {key}", f"Basic {key}", key, "Bearer")
    }

    assert codes == {
        f"Bearer {key}": 200,
        f"bearer {key}": 200,
        f"Basic {key}": 401,
        key: 401,
        "Bearer": 401,
    }


def test_each_route_is_opened_by_its_own_scopes_and_by_no_other(system: System) -> None:
    for scope in SCOPES:
        with system.client(name=scope, scopes=[scope]) as client:
            answers = {route: asked(client, route) for route in ROUTES}

        refused = {route for route, answer in answers.items() if answer.status_code in {401, 403}}
        assert refused == {route for route in ROUTES if scope not in route.scopes}
        assert {answers[route].status_code for route in refused} == {403}
        assert {answers[route].json()["code"] for route in refused} == {"missing_scope"}


def test_every_scope_opens_something() -> None:
    opened = {scope for route in ROUTES for scope in route.scopes}

    assert opened == set(SCOPES)


def test_a_key_in_use_stops_working_within_seconds_of_its_revocation(system: System) -> None:
    with system.client(name="one-stop") as client:
        before = client.get("/v1/units").status_code
        asyncio.run(clients.revoke(system.database_url, "one-stop", PROVINCE))

        deadline = time.monotonic() + 8
        while client.get("/v1/units").status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        after = client.get("/v1/units")

    assert before == 200
    assert (after.status_code, after.json()["code"]) == (401, "unknown_key")


def test_a_client_whose_keys_were_revoked_works_again_under_a_new_one_and_others_never_stopped(system: System) -> None:
    old, others = system.key("one-stop"), system.key("dashboard")

    asyncio.run(clients.revoke(system.database_url, "one-stop", PROVINCE))
    new = asyncio.run(clients.add_key(system.database_url, "one-stop", PROVINCE))

    codes = [
        httpx.get(f"{system.gateway_url}/v1/units", headers={"Authorization": f"Bearer {key}"}).status_code
        for key in (old, others, new)
    ]
    assert codes == [401, 200, 200]


def test_services_themselves_answer_nobody_but_the_gateway(system: System) -> None:
    urls = {"dossier": system.dossier_url, "metrics": system.metrics_url}
    grant = '{"client": "intruder", "province": "20"}'
    for headers in ({}, {"motcua-grant": grant}, {"motcua-grant": grant, "motcua-internal-key": "a-guessed-key"}):
        answers = {
            route: httpx.request(route.method, urls[route.service] + path(route), headers=headers) for route in ROUTES
        }

        # A required parameter may be missed before the door is; nothing else is told.
        assert {route for route, answer in answers.items() if answer.status_code not in {403, 422}} == set()
        assert {answer.json()["code"] for answer in answers.values()} <= {"not_internal", "invalid_request"}


def test_a_client_cannot_bring_a_grant_of_its_own(system: System) -> None:
    headers = {"motcua-grant": '{"client": "intruder", "province": "20"}', "motcua-internal-key": "a-guessed-key"}
    with system.client(name="limited", units=["05977"]) as client:
        answer = client.put("/v1/calendar", json=[], headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "province_only")
