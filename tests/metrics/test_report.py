"""What an answer depends on is in its ETag, and it speaks of the client's own units alone."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.kit import clock, db
from services.metrics import report, store
from services.metrics.domain import periods
from services.metrics.report import Freshness, Question
from tests import running
from tests.builders import OTHER_UNIT, UNIT, received
from tests.running import System

_QUESTION = Question(running.PROVINCE, periods.parse("2026-10"), units=frozenset({UNIT}))
_AT = Freshness(position=7, reference_version=1, stale_units=())


@pytest.mark.parametrize(
    "asked",
    [
        {"province": "19"},
        {"period": periods.parse("2026-11")},
        {"by": "none"},
        {"role": "receiving"},
        {"kind": "commune"},
        {"units": frozenset({OTHER_UNIT})},
        {"units": frozenset({UNIT, OTHER_UNIT})},
        {"units": None},
        {"boundaries": "historical"},
    ],
    ids=["province", "period", "by", "role", "kind", "other-unit", "two-units", "all-units", "boundaries"],
)
def test_another_question_has_another_etag(asked: Mapping[str, Any]) -> None:
    assert report.etag(replace(_QUESTION, **asked), _AT) != report.etag(_QUESTION, _AT)


@pytest.mark.parametrize("told", [{"position": 8}, {"reference_version": 2}, {"stale_units": (UNIT,)}], ids=str)
def test_whatever_an_answer_depends_on_changes_its_etag(told: Mapping[str, Any]) -> None:
    assert report.etag(_QUESTION, replace(_AT, **told)) != report.etag(_QUESTION, _AT)


def test_a_silent_unit_is_named_to_those_who_may_see_it_alone(database_url: str) -> None:
    async def stale(question: Question) -> tuple[str, ...]:
        database = db.engine(database_url, application="tests", connections=1)
        long_ago = clock.now() - report.STALE_AFTER - timedelta(minutes=1)
        async with database.begin() as transaction:
            await store.note_fresh(transaction, running.PROVINCE, {UNIT: long_ago, OTHER_UNIT: long_ago})
            found = await report.freshness(transaction, question, clock.now())
        await database.dispose()
        return found.stale_units

    assert asyncio.run(stale(_QUESTION)) == (UNIT,)
    assert asyncio.run(stale(replace(_QUESTION, units=None))) == (UNIT, OTHER_UNIT)


def test_an_answer_of_before_a_unit_was_renamed_is_not_said_to_be_current(system: System) -> None:
    renamed = {"code": UNIT, "name": "Phường Tên Mới", "kind": "commune", "valid_from": "2025-07-01"}
    params = {"period": "2026-10", "unit": UNIT}

    with system.client() as client:
        recorded = client.post("/v1/events", json=received("H1")).json()
        before = client.get("/v1/rates", params={**params, "min_position": recorded["position"]})
        client.put("/v1/units", json=[renamed]).raise_for_status()
        deadline = time.monotonic() + 10
        while True:
            now = client.get("/v1/rates", params=params, headers={"If-None-Match": before.headers["ETag"]})
            if now.status_code == 200 or time.monotonic() > deadline:
                break
            time.sleep(0.1)

    assert before.json()["rows"][0]["unit"]["name"] != "Phường Tên Mới"
    assert now.status_code == 200
    assert now.json()["rows"][0]["unit"]["name"] == "Phường Tên Mới"
