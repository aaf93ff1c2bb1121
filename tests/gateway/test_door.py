"""Nobody passes the gateway without a key and a scope."""

import httpx

from tests.running import System


def test_a_request_without_a_key_is_refused(system: System) -> None:
    answer = httpx.get(f"{system.gateway_url}/v1/rates?period=2026-10")

    assert answer.status_code == 401
    assert answer.json()["code"] == "no_key"
    assert answer.headers["www-authenticate"] == "Bearer"
