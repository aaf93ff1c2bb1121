"""Whoever finds no seat to wait in is answered at once, so that waiting readers are never more than there are seats."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from services.cli import embedded
from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant
from services.dossier import app as dossier
from services.dossier.settings import DossierSettings
from tests import running


def test_of_two_who_wait_in_one_seat_one_is_answered_at_once(database_url: str) -> None:
    port = embedded.free_port()
    application = dossier.application(
        DossierSettings(port=port, database_url=database_url, internal_key=running.INTERNAL_KEY, long_polls=1)
    )
    grant = Grant(client="tests", province=running.PROVINCE)
    headers = {INTERNAL_KEY_HEADER: running.INTERNAL_KEY, GRANT_HEADER: grant.model_dump_json()}

    def seconds_until_answered(_: int) -> float:
        began = time.monotonic()
        httpx.get(
            f"http://127.0.0.1:{port}/v1/feed", params={"wait": 4}, headers=headers, timeout=20
        ).raise_for_status()
        return time.monotonic() - began

    with running.served((application, port)), ThreadPoolExecutor(2) as pool:
        shorter, longer = sorted(pool.map(seconds_until_answered, range(2)))

    assert shorter < 3
    assert longer >= 4
