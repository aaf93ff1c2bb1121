"""The list behind a number holds exactly the dossiers counted, once each, however long it is and whatever changes."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.builders import OTHER_UNIT, PROCEDURE, UNIT, Json, event, forwarded, paid, received, resolved, withdrawn
from tests.running import System


def _post(client: httpx.Client, *events: Json) -> None:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer


def _pages(client: httpx.Client, params: dict[str, Any]) -> Iterator[Sequence[str]]:
    """Yield the codes of one page of the list after another."""
    cursor: str | None = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = client.get("/v1/dossiers", params={**params, **more}).raise_for_status().json()
        yield [item["code"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _codes(client: httpx.Client, **params: object) -> list[str]:
    return [code for page in _pages(client, params) for code in page]


def _due(day: int) -> str:
    return f"2026-10-{day:02d}T17:00:00+07:00"


@pytest.fixture
def mixed(system: System) -> Iterator[httpx.Client]:
    """Record dossiers that differ in everything a list can ask for, and return a client of the province."""
    with system.client() as client:
        _post(
            client,
            received("H37-a", due_at=_due(6)),
            received("H37-b", due_at=_due(9), channel="counter", receiving_unit=OTHER_UNIT),
            forwarded("H37-b", to_unit=UNIT),
            received("H37-c", at="2026-10-06T08:30:00+07:00", due_at=_due(7)),
            event("supplement_requested", "H37-c", {}, at="2026-10-07T09:00:00+07:00"),
            received("H37-d", due_at=_due(6)),
            event("paused", "H37-d", {"reason": "appraisal"}, at="2026-10-08T09:00:00+07:00"),
            received("H37-e", due_at=_due(8), procedure="no-such-procedure"),
            resolved("H37-e", at="2026-10-07T10:00:00+07:00"),
            received("H37-f", due_at=None, procedure="no-such-procedure"),
            received("H37-g", due_at=_due(5)),
            withdrawn("H37-g", at="2026-10-08T10:00:00+07:00"),
            paid("H37-h"),
        )
        yield client


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", "abcdefgh"),
        (f"unit={UNIT}", "abcdefg"),
        (f"unit={UNIT}&role=receiving", "acdefg"),
        (f"unit={UNIT}&unit={OTHER_UNIT}&role=receiving", "abcdefg"),
        ("unit=no-such-unit", ""),
        ("status=pending", "abcdf"),
        ("status=resolved&status=withdrawn", "eg"),
        ("status=unreceived", "h"),
        ("procedure=no-such-procedure", "ef"),
        (f"procedure={PROCEDURE}&procedure=no-such-procedure", "abcdefg"),
        ("field=CT", "abcdg"),
        ("channel=counter", "b"),
        ("flag=unknown_procedure", "ef"),
        ("flag=unknown_procedure&flag=missing_receipt", "efh"),
        ("due_from=2026-10-07&sort=code", "bce"),
        ("due_before=2026-10-07&sort=code", "adg"),
        ("due_from=2026-10-06&due_before=2026-10-07", "ad"),
        ("without_due=true", "fh"),
        ("without_due=false&status=pending", "abcd"),
        ("received_from=2026-10-06", "c"),
        ("received_before=2026-10-06", "abdefg"),
        ("ended_from=2026-10-08", "g"),
        ("ended_before=2026-10-08", "e"),
        ("awaiting=supplement", "c"),
        ("awaiting=appraisal", "d"),
        ("awaiting=any", "cd"),
        ("awaiting=none", "abf"),
        ("overdue=true&on=2026-10-06", ""),
        # What was late when its clock was stopped stays late; what was not does not become it.
        ("overdue=true&on=2026-10-08", "ad"),
        ("overdue=true&on=2026-10-10", "adb"),
        ("overdue=false&status=pending&on=2026-10-10", "cf"),
    ],
)
def test_a_list_holds_the_dossiers_for_which_everything_asked_is_true(
    mixed: httpx.Client, query: str, codes: str
) -> None:
    answer = mixed.get(f"/v1/dossiers?{query}").raise_for_status().json()

    assert [item["code"] for item in answer["items"]] == [f"H37-{letter}" for letter in codes]
    assert answer["next_cursor"] is None


def test_the_late_dossiers_of_any_interval_are_listed_with_their_unit_and_their_days(system: System) -> None:
    """Users of OpenCPS have asked for such a list since 2018."""
    with system.client() as client:
        _post(
            client,
            received("H37-open-late", due_at=_due(6)),
            received("H37-open-later", due_at=_due(7)),
            received("H37-ended-late", due_at=_due(6)),
            resolved("H37-ended-late", at="2026-10-08T10:00:00+07:00"),
            received("H37-in-time", due_at=_due(8)),
            resolved("H37-in-time", at="2026-10-08T10:00:00+07:00"),
        )
        asked = {"overdue": "true", "on": "2026-10-09", "due_from": "2026-10-06", "due_before": "2026-10-07"}
        still_open = client.get("/v1/dossiers", params=asked).json()["items"]
        days = {"ended_from": "2026-10-08", "ended_before": "2026-10-09"}
        ended = client.get("/v1/dossiers", params=days).json()["items"]

    assert [(item["code"], item["resolving_unit"], item["due_on"]) for item in still_open] == [
        ("H37-open-late", UNIT, "2026-10-06")
    ]
    assert [item["code"] for item in ended if item["ended_on"] > item["due_on"]] == ["H37-ended-late"]


def test_an_item_is_how_the_dossier_stands(mixed: httpx.Client) -> None:
    item = mixed.get("/v1/dossiers", params={"status": "resolved"}).json()["items"][0]

    assert item == mixed.get("/v1/dossiers/H37-e").json()["dossier"]


def test_a_list_is_in_the_order_asked_for_with_what_has_no_day_last(mixed: httpx.Client) -> None:
    by_due = _codes(mixed, sort="due", limit=2)
    by_receipt = _codes(mixed, sort="received", limit=2)
    overdue_first = _codes(mixed, overdue="true", on="2026-10-10")

    assert by_due == [f"H37-{letter}" for letter in "gadcebfh"]
    assert by_receipt == [f"H37-{letter}" for letter in "abdefgch"]
    assert overdue_first == ["H37-a", "H37-d", "H37-b"]


@pytest.mark.parametrize("sort", ["code", "due", "received"])
def test_a_dossier_there_all_along_is_listed_exactly_once_whatever_is_recorded_meanwhile(
    system: System, sort: str
) -> None:
    steady = [f"H37-s{number:02d}" for number in range(13)]
    undated: dict[str, Any] = {"due_at": None, "procedure": "no-such-procedure"}
    with system.client() as client:
        _post(
            client, *(received(code, **(undated if n % 4 else {"due_at": _due(n)})) for n, code in enumerate(steady, 5))
        )
        for limit in (1, 5, 12, 13):
            seen: list[str] = []
            for number, page in enumerate(_pages(client, {"sort": sort, "limit": limit, "status": "pending"})):
                seen += page
                # What is new comes before and after every place; what is listed changes; one that is not steady ends.
                added = f"{limit}-{number}"
                _post(
                    client,
                    received(f"H37-a{added}", due_at=_due(6)),
                    received(f"H37-z{added}", **undated),
                    resolved(f"H37-a{added}"),
                    resolved(f"H37-z{added}"),
                    *(paid(code, event_id=f"{added}-{code}") for code in steady[:3]),
                )

            assert sorted(code for code in seen if code in steady) == steady
            assert len(seen) == len(set(seen))


def test_pages_hold_at_most_what_was_asked_for(mixed: httpx.Client) -> None:
    pages = list(_pages(mixed, {"limit": 3}))
    whole = mixed.get("/v1/dossiers", params={"limit": 8}).json()
    codes = {query: mixed.get(f"/v1/dossiers?{query}").status_code for query in ("limit=0", "limit=1001", "limit=1000")}

    assert [len(page) for page in pages] == [3, 3, 2]
    assert (len(whole["items"]), whole["next_cursor"]) == (8, None)
    assert codes == {"limit=0": 422, "limit=1001": 422, "limit=1000": 200}


def test_a_cursor_of_another_list_is_refused(mixed: httpx.Client) -> None:
    cursor = mixed.get("/v1/dossiers", params={"limit": 1, "status": ["pending", "resolved"]}).json()["next_cursor"]
    others: list[dict[str, Any]] = [
        {},
        {"status": "pending"},
        {"status": ["pending", "resolved"], "sort": "due"},
        {"status": ["pending", "resolved"], "unit": UNIT},
        {"status": ["pending", "resolved"], "on": "2026-10-05"},
    ]

    same = mixed.get("/v1/dossiers", params={"cursor": cursor, "status": ["resolved", "pending"], "limit": 7})
    refused = [mixed.get("/v1/dossiers", params={"cursor": cursor, **other}) for other in others]

    assert [item["code"] for item in same.json()["items"]] == [f"H37-{letter}" for letter in "bcdef"]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(422, "unknown_cursor")] * 5


def test_a_text_that_is_no_cursor_is_refused(mixed: httpx.Client) -> None:
    true = mixed.get("/v1/dossiers", params={"limit": 1, "sort": "due"}).json()["next_cursor"]
    content = base64.urlsafe_b64decode(true)
    forged = [
        content.replace(b"2026-10-05", b"2026-13-05"),
        content.replace(b"H37-g", b"H37\\u0000"),
        content.replace(b'"of"', b'"to"'),
        content[:-3],
        b"[]",
    ]
    texts = ["x", "é", "", "====", true[:-4], *(base64.urlsafe_b64encode(text).decode() for text in forged)]

    answers = [mixed.get("/v1/dossiers", params={"sort": "due", "cursor": text}) for text in texts]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "unknown_cursor")] * 10


@pytest.mark.parametrize(
    "query",
    [
        "status=open",
        "role=owner",
        "sort=name",
        "flag=odd",
        "awaiting=godot",
        "overdue=maybe",
        "on=05-10-2026",
        "on=0",
        "due_from=x",
        "due_from=0001-01-01",
        "unit=%00",
        "procedure=%00",
        "field=%00",
        "unit=",
        "total=true",
    ],
)
def test_what_a_list_cannot_be_asked_is_a_problem(system: System, query: str) -> None:
    with system.client() as client:
        answer = client.get(f"/v1/dossiers?{query}")

    assert answer.status_code == 422
    assert answer.json()["code"] in {"invalid_request", "unknown_parameter"}
