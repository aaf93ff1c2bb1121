"""Reference data is stored whole or not at all; its report and its history tell who changed what, and from what."""

from typing import Any

import httpx
import pytest

from services.cli import reference
from tests import running
from tests.builders import FORMER_UNIT, UNIT, received
from tests.running import System

NEW_YEARS_EVE = {"on_day": "2026-12-31", "working": False, "name": "Nghỉ bù", "official": False}
NEW_UNIT = {"code": "99999", "name": "Xã Mới", "kind": "commune", "valid_from": "2026-10-01"}


def _version(client: httpx.Client) -> int:
    return int(client.get("/v1/calendar").headers["motcua-reference"])


def test_a_code_means_the_unit_it_named_on_the_day_asked_for(system: System) -> None:
    names = {}
    with system.client() as client:
        for on_day in ("2025-06-01", "2025-06-30", "2025-07-01", "2026-10-01"):
            items = client.get("/v1/units", params={"on": on_day}).json()["items"]
            names[on_day] = {unit["code"]: unit["name"] for unit in items}
        versions = client.get("/v1/units", params={"versions": "all"}).json()["items"]

    assert [of_day[UNIT] for of_day in names.values()] == [
        "Phường Vĩnh Trại",
        "Phường Vĩnh Trại",
        "Phường Đông Kinh",
        "Phường Đông Kinh",
    ]
    assert [FORMER_UNIT in of_day for of_day in names.values()] == [True, True, False, False]
    assert [unit["name"] for unit in versions if unit["code"] == UNIT] == ["Phường Vĩnh Trại", "Phường Đông Kinh"]


def test_a_procedure_has_the_limit_it_had_on_the_day_asked_for(system: System) -> None:
    limits = {}
    with system.client() as client:
        for on_day in ("2025-12-31", "2026-01-01"):
            items = client.get("/v1/procedures", params={"on": on_day}).json()["items"]
            limits[on_day] = next(item["limit"]["amount"] for item in items if item["code"] == "DEMO-DD-001")

    assert limits["2026-01-01"] < limits["2025-12-31"]


def test_the_calendar_tells_what_is_known_of_one_day(system: System) -> None:
    with system.client() as client:
        worked = client.get("/v1/calendar", params={"on": "2026-01-10"}).json()["items"]
        plain = client.get("/v1/calendar", params={"on": "2026-10-05"}).json()["items"]
        everything = client.get("/v1/calendar").json()["items"]

    assert [(day["on_day"], day["working"]) for day in worked] == [("2026-01-10", True)]
    assert plain == []
    assert len(everything) > 50


@pytest.mark.parametrize(
    "path", ["/v1/units?on=05-10-2026", "/v1/procedures?versions=some", "/v1/calendar?on=x", "/v1/units?on=0"]
)
def test_a_day_that_is_none_is_a_problem(system: System, path: str) -> None:
    with system.client() as client:
        answer = client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_what_was_read_can_be_put_back_and_changes_nothing(system: System) -> None:
    with system.client() as client:
        before = _version(client)
        for path, query in (("/v1/units", "versions=all"), ("/v1/procedures", "versions=all"), ("/v1/calendar", "")):
            items = client.get(f"{path}?{query}").json()["items"]
            answer = client.put(path, json=items)

            assert (answer.status_code, answer.json()) == (
                200,
                {
                    "received": len(items),
                    "created": 0,
                    "changed": 0,
                    "unchanged": len(items),
                    "affected_dossiers": 0,
                    "dry_run": False,
                    "changes": [],
                    "warnings": [],
                },
            )
            assert answer.headers["motcua-reference"] == str(before)
        assert _version(client) == before


def test_the_files_that_were_loaded_change_nothing_when_they_are_loaded_again(system: System) -> None:
    with system.client() as client:
        before = _version(client)
        system.load_reference()

        assert _version(client) == before


def test_a_put_changes_what_it_names_and_nothing_else(system: System) -> None:
    with system.client() as client:
        before = client.get("/v1/calendar").json()["items"]
        answers = [client.put("/v1/calendar", json=[NEW_YEARS_EVE]).json() for _ in range(2)]
        after = client.get("/v1/calendar").json()["items"]

    assert [(answer["created"], answer["changed"], answer["unchanged"]) for answer in answers] == [(1, 0, 0), (0, 0, 1)]
    assert [one for one in after if one not in before] == [NEW_YEARS_EVE]
    assert len(after) == len(before) + 1


def test_the_report_tells_each_change_with_what_was_there_before(system: System) -> None:
    culture_day = {"on_day": "2026-11-24", "working": True, "name": "Ngày Văn hóa Việt Nam", "official": True}

    with system.client() as client:
        (before,) = client.get("/v1/calendar", params={"on": "2026-11-24"}).json()["items"]
        report = client.put("/v1/calendar", json=[NEW_YEARS_EVE, culture_day]).json()

    assert (report["received"], report["created"], report["changed"], report["unchanged"]) == (2, 1, 1, 0)
    assert report["changes"] == [
        {"key": "2026-11-24", "kind": "changed", "before": before, "after": culture_day},
        {"key": "2026-12-31", "kind": "created", "before": None, "after": NEW_YEARS_EVE},
    ]


def test_a_dry_run_answers_the_same_report_and_stores_nothing(system: System) -> None:
    with system.client() as client:
        version = _version(client)
        tried = client.put("/v1/calendar", params={"dry_run": "true"}, json=[NEW_YEARS_EVE]).json()
        between = client.get("/v1/calendar", params={"on": "2026-12-31"}).json()["items"]
        unmoved = _version(client)
        stored = client.put("/v1/calendar", json=[NEW_YEARS_EVE]).json()

    assert (tried["dry_run"], stored["dry_run"]) == (True, False)
    assert {**tried, "dry_run": False} == stored
    assert between == []
    assert unmoved == version


def test_a_dry_run_names_the_faults_too(system: System) -> None:
    with system.client() as client:
        answer = client.put("/v1/units", params={"dry_run": "true"}, json=[{**NEW_UNIT, "code": UNIT}])

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_reference")


def test_the_report_names_the_first_two_hundred_changes_and_counts_all(system: System) -> None:
    units = [{**NEW_UNIT, "code": f"X-{number:03d}"} for number in range(250)]

    with system.client() as client:
        report = client.put("/v1/units", json=units[::-1]).json()

    assert report["created"] == 250
    assert [change["key"] for change in report["changes"]] == [f"X-{number:03d}@2026-10-01" for number in range(200)]


def test_the_report_says_how_many_dossiers_are_judged_anew(system: System) -> None:
    with system.client() as client:
        client.post("/v1/events", json=[received("H37-1"), received("H37-2", procedure="no-such")]).raise_for_status()
        (known,) = [p for p in client.get("/v1/procedures").json()["items"] if p["code"] == "2.000815"]
        new = {**known, "code": "no-such", "valid_from": "2026-01-01"}
        reports = [
            client.put(path, params={"dry_run": "true"}, json=[entry]).json()["affected_dossiers"]
            for path, entry in (
                ("/v1/procedures", new),
                ("/v1/procedures", {**known, "name": "Chứng thực"}),
                ("/v1/units", {**NEW_UNIT, "code": "99999"}),
                ("/v1/calendar", {**NEW_YEARS_EVE, "on_day": "2026-10-05"}),
                ("/v1/calendar", {**NEW_YEARS_EVE, "on_day": "2026-10-02"}),
            )
        ]

    assert reports == [1, 0, 0, 2, 0]


def test_a_version_that_overlaps_a_stored_one_is_refused_until_that_one_is_closed(system: System) -> None:
    renamed = {"code": UNIT, "name": "Phường Mới", "kind": "commune", "valid_from": "2026-12-01"}

    with system.client() as client:
        stored = [u for u in client.get("/v1/units").json()["items"] if u["code"] == UNIT]
        refused = client.put("/v1/units", json=[renamed])
        closed = client.put("/v1/units", json=[renamed, {**stored[0], "valid_to": "2026-11-30"}])

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_reference")
    (error,) = refused.json()["errors"]
    assert (error["index"], error["pointer"]) == (0, "/valid_from")
    assert "close 05977@2025-07-01" in error["detail"]
    assert "hãy đặt valid_to của 05977@2025-07-01 là 2026-11-30" in error["detail_vi"]
    assert (closed.status_code, closed.json()["created"], closed.json()["changed"]) == (200, 1, 1)


def test_a_successor_that_nobody_knows_is_a_warning_and_the_unit_is_stored(system: System) -> None:
    ended = {**NEW_UNIT, "valid_to": "2026-11-30", "successors": ["88888"]}

    with system.client() as client:
        report = client.put("/v1/units", json=[ended]).json()

    assert report["created"] == 1
    assert report["warnings"] == [
        {
            "key": "99999@2026-10-01",
            "detail": "its successor 88888 is no unit on 2026-12-01",
            "detail_vi": "Đơn vị kế tiếp 88888 không phải là đơn vị vào ngày 01/12/2026.",
        }
    ]


def test_the_real_data_gives_no_warnings_and_loads_once(database_url: str) -> None:
    with running.system(database_url) as system, system.client() as client:
        reports = [
            client.put(f"/v1/{path}", content=reference.csv_text(name), headers={"Content-Type": "text/csv"}).json()
            for path, name in (
                ("units", "20/units.csv"),
                ("procedures", "procedures.csv"),
                ("calendar", "calendar.csv"),
                ("units", "20/units.csv"),
            )
        ]

    assert [report["warnings"] for report in reports] == [[], [], [], []]
    assert [report["created"] for report in reports] == [274, 212, 54, 0]


# --- History ----------------------------------------------------------------------------------------------------------


def test_the_history_tells_who_changed_what_when_and_from_what(system: System) -> None:
    with system.client(name="Sở Nội vụ") as client:
        version = _version(client)
        client.put("/v1/calendar", json=[NEW_YEARS_EVE]).raise_for_status()
        client.put("/v1/calendar", json=[{**NEW_YEARS_EVE, "working": True}]).raise_for_status()
        client.put("/v1/calendar", json=[{**NEW_YEARS_EVE, "working": True}]).raise_for_status()
        answer = client.get("/v1/reference/changes", params={"after": version}).json()

    told: list[dict[str, Any]] = answer["items"]
    assert [change.pop("changed_at")[-6:] for change in told] == ["+07:00", "+07:00"]
    same = {"kind": "calendar_day", "key": "2026-12-31", "client": "Sở Nội vụ"}
    switched = {**NEW_YEARS_EVE, "working": True}
    assert told == [
        {**same, "version": version + 1, "before": None, "after": NEW_YEARS_EVE},
        {**same, "version": version + 2, "before": NEW_YEARS_EVE, "after": switched},
    ]
    assert answer["next_cursor"] is None


@pytest.mark.parametrize("limit", [37, 539, 540, 541])
def test_pages_of_any_size_show_the_whole_history_in_order(system: System, limit: int) -> None:
    told: list[tuple[int, str]] = []
    with system.client() as client:
        query: dict[str, Any] = {"after": 0}
        while query:
            page = client.get("/v1/reference/changes", params={**query, "limit": limit}).json()
            told += [(change["version"], change["key"]) for change in page["items"]]
            query = {"cursor": page["next_cursor"]} if page["next_cursor"] and len(told) < 600 else {}

    assert len(told) == len(set(told)) == 540
    assert told == sorted(told)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "cursor=1", "cursor=x:y", "cursor=1:%00", "limit=0"])
def test_a_place_in_the_history_that_is_none_is_a_problem(system: System, query: str) -> None:
    with system.client() as client:
        answer = client.get(f"/v1/reference/changes?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_twenty_thousand_procedures_come_in_one_upload(system: System) -> None:
    header = reference.csv_text("procedures.csv").partition("\n")[0]
    lines = (f"X-{number:05d},X,X,X,5,working_days,,0,false,full,2026-01-01,,false" for number in range(20_000))
    csv = "\n".join([header, *lines])

    with system.client() as client:
        reports = [
            client.put("/v1/procedures", content=csv, headers={"Content-Type": "text/csv"}).raise_for_status().json()
            for _ in range(2)
        ]

    assert [(report["created"], report["unchanged"]) for report in reports] == [(20_000, 0), (0, 20_000)]


# --- What is refused --------------------------------------------------------------------------------------------------


def test_an_event_is_judged_by_the_reference_data_put_before_it(system: System) -> None:
    with system.client() as client:
        before = client.post("/v1/events", json=received("H37-1", receiving_unit="99999"))
        client.put("/v1/units", json=[NEW_UNIT]).raise_for_status()
        after = client.post("/v1/events", json=received("H37-1", receiving_unit="99999"))

    assert (before.status_code, after.status_code) == (422, 201)


def test_an_entry_named_twice_in_one_put_is_refused(system: System) -> None:
    with system.client() as client:
        answers = [
            client.put("/v1/calendar", json=[NEW_YEARS_EVE, NEW_YEARS_EVE]),
            client.put("/v1/units", json=[NEW_UNIT, NEW_UNIT]),
        ]

    # 503 would ask the sender to come back with the same body for ever.
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "invalid_reference")] * 2


def test_a_put_that_is_faulty_in_one_place_changes_nothing(system: System) -> None:
    with system.client() as client:
        before = client.get("/v1/calendar").json()
        answer = client.put("/v1/calendar", json=[NEW_YEARS_EVE, {**NEW_YEARS_EVE, "on_day": "31/12/2026"}])
        after = client.get("/v1/calendar").json()

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_reference")
    assert "entry 1/on_day" in answer.json()["detail"]
    assert answer.json()["errors"] == [
        {
            "index": 1,
            "pointer": "/on_day",
            "detail": "a day is written like 2026-10-05",
            "detail_vi": "Ngày phải theo dạng 2026-10-05.",
        }
    ]
    assert before == after


def test_a_version_that_ends_before_it_begins_is_refused(system: System) -> None:
    unit = {"code": "99999", "name": "Xã Mới", "kind": "commune", "valid_from": "2025-07-01", "valid_to": "2025-06-30"}

    with system.client() as client:
        (procedure,) = client.get("/v1/procedures", params={"on": "2026-10-05"}).json()["items"][:1]
        answers = [
            # Its own successor on its own first day: whoever follows the chain would never arrive.
            client.put("/v1/units", json=[{**unit, "successors": ["99999"]}]),
            client.put("/v1/procedures", json=[{**procedure, "valid_to": "1999-12-31"}]),
        ]

    assert [(answer.status_code, answer.json().get("code")) for answer in answers] == [(422, "invalid_reference")] * 2


def test_reference_data_is_json_or_csv(system: System) -> None:
    with system.client() as client:
        wrong_type = client.put("/v1/units", content=b"<units/>", headers={"Content-Type": "text/xml"})
        no_json = client.put("/v1/units", content=b"<units/>", headers={"Content-Type": "application/json"})

    assert (wrong_type.status_code, wrong_type.json()["code"]) == (415, "unsupported_media_type")
    assert (no_json.status_code, no_json.json()["code"]) == (400, "not_json")
