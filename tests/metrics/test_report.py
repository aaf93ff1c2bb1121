"""What an answer depends on is in its ETag and nothing else, and it speaks of the client's own units alone."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.contract import VIETNAM
from services.metrics import asking
from services.metrics.answers import Answer
from services.metrics.asking import Ask, At
from services.metrics.domain import periods
from services.metrics.progress import STALE_AFTER, Reached
from services.metrics.report import Question
from tests import running
from tests.builders import OTHER_UNIT, UNIT, received
from tests.running import System

_OCTOBER, _NOVEMBER, _SEPTEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 9, 1)
_QUESTION = Question(running.PROVINCE, periods.parse("2026-10"), units=frozenset({UNIT}))
_NOW = datetime(2026, 11, 22, 9, tzinfo=VIETNAM)
_AT = At(position=7, today=_NOW.date())
_REACHED = Reached(position=7, reference_version=1, months={_OCTOBER: 5})


async def _make(*_: object) -> Answer:
    raise AssertionError


def _ask(**more: Any) -> Ask:  # noqa: ANN401 - fields of Ask
    return Ask(**{"name": "rates", "question": _QUESTION, "make": _make, **more})


def _etag(ask: Ask, reached: Reached = _REACHED, moment: At = _AT) -> str:
    return asking.etag(ask, reached, moment)


@pytest.mark.parametrize(
    "asked",
    [
        {"province": "19"},
        {"period": periods.parse("2026-11")},
        {"period": periods.parse("2026-10", statutory=True)},
        {"by": "none"},
        {"role": "receiving"},
        {"kind": "commune"},
        {"units": frozenset({OTHER_UNIT})},
        {"units": frozenset({UNIT, OTHER_UNIT})},
        {"units": None},
        {"asked_for": frozenset({UNIT})},
        {"fields": frozenset({"CT"})},
        {"procedures": frozenset({"CT"})},
        {"channel": "online"},
        {"boundaries": "historical"},
    ],
    ids=[
        *("province", "period", "statutory", "by", "role", "kind", "other-unit", "two-units", "all-units", "named"),
        *("field", "procedure", "channel", "boundaries"),
    ],
)
def test_another_question_has_another_etag(asked: Mapping[str, Any]) -> None:
    assert _etag(_ask(question=replace(_QUESTION, **asked))) != _etag(_ask())


@pytest.mark.parametrize(
    "asked", [{"name": "series"}, {"format": "csv"}, {"public": True}, {"more": ("a rate",)}], ids=str
)
def test_another_kind_of_answer_has_another_etag(asked: Mapping[str, Any]) -> None:
    assert _etag(_ask(**asked)) != _etag(_ask())


@pytest.mark.parametrize(
    "told",
    [{"reference_version": 2}, {"generation": 2}, {"months": {_OCTOBER: 6}}, {"months": {_OCTOBER: 5, _SEPTEMBER: 6}}],
    ids=str,
)
def test_whatever_an_answer_depends_on_changes_its_etag(told: Mapping[str, Any]) -> None:
    assert _etag(_ask(), replace(_REACHED, **told)) != _etag(_ask())


def test_silence_changes_an_etag() -> None:
    assert _etag(_ask(), moment=replace(_AT, stale_units=(UNIT,))) != _etag(_ask())


def test_what_happened_after_a_period_that_is_over_does_not_change_its_etag() -> None:
    later = replace(_REACHED, position=9, months={_OCTOBER: 5, _NOVEMBER: 9})

    assert _etag(_ask(), later) == _etag(_ask())
    assert _etag(_ask(), moment=replace(_AT, today=date(2026, 12, 24))) == _etag(_ask())


def test_a_day_that_passes_changes_the_etag_of_a_period_that_is_not_over() -> None:
    november = _ask(question=replace(_QUESTION, period=periods.parse("2026-11")))
    tomorrow = replace(_AT, today=_AT.today + timedelta(days=1))

    assert _etag(november, moment=tomorrow) != _etag(november)


def test_what_depends_on_all_days_changes_with_every_position() -> None:
    later = replace(_REACHED, position=9, months={_OCTOBER: 5, _NOVEMBER: 9})

    assert _etag(_ask(of_all_days=True), later) != _etag(_ask(of_all_days=True))


# --- Silent counters --------------------------------------------------------------------------------------------------

_LONG_AGO = _NOW - STALE_AFTER - timedelta(minutes=1)


def test_a_silent_unit_is_named_to_those_who_may_see_it_alone() -> None:
    reached = Reached(recorded={(UNIT, "urn:a"): _LONG_AGO, (OTHER_UNIT, "urn:a"): _LONG_AGO})

    def stale(question: Question) -> Any:  # noqa: ANN401 - names of units
        return asking.at(_ask(question=question), reached, _NOW).stale_units

    assert stale(_QUESTION) == (UNIT,)
    assert stale(replace(_QUESTION, units=None)) == (UNIT, OTHER_UNIT)


def test_a_unit_is_silent_when_all_who_send_for_it_are() -> None:
    one_speaks = Reached(recorded={(UNIT, "urn:a"): _LONG_AGO, (UNIT, "urn:b"): _NOW})
    none_speaks = Reached(recorded={(UNIT, "urn:a"): _LONG_AGO, (UNIT, "urn:b"): _LONG_AGO})

    assert asking.at(_ask(), one_speaks, _NOW).stale_units == ()
    assert asking.at(_ask(), none_speaks, _NOW).stale_units == (UNIT,)


def test_a_unit_that_spoke_within_three_days_is_not_silent() -> None:
    just_within = Reached(recorded={(UNIT, "urn:a"): _NOW - STALE_AFTER})

    assert asking.at(_ask(), just_within, _NOW).stale_units == ()


# --- Over HTTP --------------------------------------------------------------------------------------------------------


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
