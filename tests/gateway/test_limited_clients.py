"""A client of some units sees and writes theirs alone, on every route and in every figure, answer and error."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import httpx
import pytest

from services.contract import Flag
from services.gateway.domain.access import ROUTES
from services.metrics.domain.tally import Role
from services.metrics.report import By
from tests.builders import OTHER_UNIT, PROCEDURE, SOURCE, UNIT, Json, forwarded, paid, received, resolved
from tests.running import System


def _post(client: httpx.Client, *events: Json) -> str:
    """Post the events, all of which are new, and return the position reached."""
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _two_units(system: System) -> str:
    """Record one dossier of each of two units, one of them resolved; return the position."""
    with system.client() as province:
        return _post(
            province,
            received("H37-mine"),
            received("H37-theirs", receiving_unit=OTHER_UNIT),
            resolved("H37-theirs"),
        )


def test_a_receipt_of_another_unit_is_refused(system: System) -> None:
    theirs = received("H37-theirs", receiving_unit=OTHER_UNIT)

    with system.client(name="limited", units=[UNIT]) as client:
        one = client.post("/v1/events", json=theirs)
        array = client.post("/v1/events", json=[theirs, received("H37-mine")]).json()

    assert (one.status_code, one.json()["code"]) == (403, "forbidden")
    assert [(error["code"], error["pointer"]) for error in one.json()["errors"]] == [
        ("unit_forbidden", "/data/receiving_unit")
    ]
    assert (array["accepted"], array["rejected"]) == (1, 1)
    assert [(item["index"], item["status"], item["errors"][0]["code"]) for item in array["results"]] == [
        (0, "rejected", "unit_forbidden")
    ]


def test_nothing_is_added_to_a_dossier_of_another_unit(system: System) -> None:
    _two_units(system)
    attempts = [paid("H37-theirs"), received("H37-theirs", event_id="mine-now"), forwarded("H37-theirs", to_unit=UNIT)]

    with system.client(name="limited", units=[UNIT]) as client:
        answers = [client.post("/v1/events", json=attempt) for attempt in attempts]
    with system.client() as province:
        events = province.get("/v1/dossiers/H37-theirs").json()["events"]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert [event["type"].rpartition(".")[2] for event in events] == ["received", "resolved"]


def test_the_units_that_received_and_resolve_a_dossier_both_write_and_see_it(system: System) -> None:
    with system.client(name="receiving", units=[UNIT]) as receiving:
        _post(receiving, received("H37-1"), forwarded("H37-1", to_unit=OTHER_UNIT))
        with system.client(name="resolving", units=[OTHER_UNIT]) as resolving:
            _post(resolving, resolved("H37-1"))

            statuses = [
                client.get("/v1/dossiers/H37-1").json()["dossier"]["status"] for client in (receiving, resolving)
            ]

    assert statuses == ["resolved", "resolved"]


def test_an_outcome_that_arrives_before_the_receipt_is_kept_for_it(system: System) -> None:
    with system.client(name="limited", units=[UNIT]) as client:
        _post(client, resolved("H37-1"))
        before = client.get("/v1/dossiers/H37-1").status_code
        _post(client, received("H37-1"))
        after = client.get("/v1/dossiers/H37-1").json()["dossier"]

    assert before == 404
    assert after["status"] == "resolved"
    assert "missing_receipt" not in after["flags"]


def test_a_receipt_is_taken_although_the_forwarding_to_another_unit_arrived_first(system: System) -> None:
    with system.client(name="resolving", units=[OTHER_UNIT]) as resolving:
        _post(resolving, forwarded("H37-1", to_unit=OTHER_UNIT))

    with system.client(name="receiving", units=[UNIT]) as receiving:
        answer = receiving.post("/v1/events", json=received("H37-1"))

    assert (answer.status_code, answer.json().get("errors")) == (201, None)


def test_a_dossier_of_another_unit_is_as_unknown_as_one_that_does_not_exist(system: System) -> None:
    _two_units(system)

    with system.client(name="limited", units=[UNIT]) as client:
        theirs, nobodys = client.get("/v1/dossiers/H37-theirs"), client.get("/v1/dossiers/H37-nobody")

    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert theirs.text.replace("H37-theirs", "H37-nobody") == nobodys.text
    assert theirs.headers.keys() == nobodys.headers.keys()


_MORE: Sequence[Any] = ({}, {"role": "receiving"}, {"unit": OTHER_UNIT}, {"as_of": "2026-10-06T00:00:00Z"})

_ASKED: Mapping[tuple[str, str], Sequence[Any]] = {
    ("GET", "/v1/events"): ["", "?subject=H37-theirs", "?source=urn:theirs", "?type=resolved"],
    ("GET", "/v1/feed"): ["", "?limit=1", "?as_of_position=0", "?as_of_position=1", "?as_of=2026-10-05T08:30:00Z"],
    ("GET", "/v1/dossiers"): ["", "?status=resolved", f"?unit={UNIT}&role=receiving", "?sort=due"],
    ("GET", "/v1/dossiers/{code}"): ["", "/due"],
    ("GET", "/v1/backlog"): ["", "?role=receiving"],
    ("GET", "/v1/rates"): [
        *(f"?period=2026&by={by}" for by in get_args(By)),
        *(f"?period=2026&format={name}" for name in ("csv", "xlsx", "arrow", "parquet")),
        "?period=2026&role=receiving",
        "?period=2026&boundaries=historical",
        "?period=2026&kind=commune",
        "?period=2026&channel=online&field=CT",
        f"?period=2026&unit={OTHER_UNIT}",
        "?period=2026&as_of=2026-11-01T00:00:00%2B07:00",
    ],
    ("GET", "/v1/rates/definitions"): [""],
    ("GET", "/v1/rates/{rate}/dossiers"): [
        *(f"?period=2026&side={side}&role={role}" for side in ("numerator", "denominator") for role in get_args(Role)),
        f"?period=2026&unit={OTHER_UNIT}",
    ],
    ("GET", "/v1/counts/{count}/dossiers"): ["?period=2026", "?period=2026&role=receiving", "?period=2026&cursor=H"],
    ("GET", "/v1/series"): [f"?period=2026&rate=full_online&by={by}" for by in ("week", "month")],
    ("GET", "/v1/forms/{form}"): ["?period=2026", "?period=2026&role=receiving", "?period=2026&format=csv"],
    ("GET", "/v1/forecast"): ["", "?on=2026-10-20", "?on=2026-10-20&role=receiving", f"?unit={OTHER_UNIT}"],
    ("GET", "/v1/sync"): ["?period=2026", "?period=2026&by=source", "?period=2026&role=receiving"],
    ("POST", "/v1/reports"): [
        {"kind": kind, "period": "2026", **more} for kind in ("rates", "06b", "766") for more in _MORE
    ],
    ("GET", "/v1/reports"): ["", "?kind=rates", "?period=2026"],
    ("GET", "/v1/reports/{id}"): [""],
    ("GET", "/v1/reports/{id}/content"): ["", "?format=csv"],
    ("GET", "/v1/reports/{id}/diff"): ["", "?limit=1"],
    ("GET", "/v1/checkpoint"): [""],
    ("GET", "/v1/reference/changes"): [""],
    **{("GET", f"/v1/{name}"): ["", "?versions=all"] for name in ("units", "procedures")},
    ("GET", "/v1/calendar"): [""],
    **{("PUT", f"/v1/{name}"): [[]] for name in ("units", "procedures", "calendar")},
    ("POST", "/v1/events"): [
        resolved("H37-guess", event_id="theirs-1", source="urn:theirs"),
        [resolved("H37-guess", event_id="theirs-1", source="urn:theirs"), {}],
    ],
    ("POST", "/v1/national-portal/DongBoHoSoMC"): [{"data": [{"MaHoSo": "H37-guess"}]}],
    ("POST", "/v1/national-portal/CapNhatTienDoHoSoMC"): [{"data": [{"MaHoSo": "H37-guess"}]}],
}
"""What a client of one unit asks of every route there is: queries, or bodies that do not name what they are after."""


_NAMED = {"code": "H37-theirs", "rate": "full_online", "count": "received", "form": "06b", "id": "1"}
"""What stands in a path; the first report is one of the whole province."""


def test_no_route_tells_a_client_of_a_dossier_of_another_unit(system: System) -> None:
    """Open Zaak forgot its scopes at three side doors in one summer: a search, an expansion and lists."""
    with system.client() as province:
        position = _post(
            province,
            received("H37-theirs", event_id="theirs-1", source="urn:theirs", receiving_unit=OTHER_UNIT),
            resolved("H37-theirs", event_id="theirs-2", source="urn:theirs", at="2026-10-06T09:41:17+07:00"),
        )
        # The first report; the numbers of the client's own begin with the second.
        frozen = {"kind": "rates", "period": "2026", "min_position": position}
        province.post("/v1/reports", json=frozen).raise_for_status()

    with system.client(name="limited", units=[UNIT]) as client:
        told = {
            (method, path, str(asked)): client.request(
                method,
                path.format(**_NAMED) + (asked if method == "GET" else ""),
                json=None if method == "GET" else asked,
            ).text
            for (method, path), every in _ASKED.items()
            for asked in every
        }

    assert set(_ASKED) == {(route.method, route.path) for route in ROUTES}
    traces = ("H37-theirs", "theirs-2", "09:41:17", "urn:theirs", '"received":1', '"resolved":1', '"pending":1')
    assert [asked for asked, text in told.items() if any(trace in text for trace in traces)] == []


def test_feed_and_log_hold_the_clients_dossiers_alone(system: System) -> None:
    _two_units(system)

    with system.client(name="limited", units=[UNIT]) as client:
        feed = client.get("/v1/feed").json()
        log = client.get("/v1/events").json()

    assert [entry["code"] for entry in feed["entries"]] == ["H37-mine"]
    assert [event["subject"] for event in log["items"]] == ["H37-mine"]


def test_lists_and_backlog_hold_the_clients_dossiers_alone_whatever_is_asked(system: System) -> None:
    with system.client() as province:
        _post(
            province,
            received("H37-mine"),
            received("H37-theirs", receiving_unit=OTHER_UNIT),
            received("H37-passed-on"),
            forwarded("H37-passed-on", to_unit=OTHER_UNIT),
            received("H37-closed", receiving_unit=OTHER_UNIT),
            resolved("H37-closed"),
        )
    asked: list[dict[str, Any]] = [
        *({}, {"sort": "due"}, {"sort": "received"}, {"role": "receiving"}, {"status": "pending"}, {"overdue": "true"}),
        *(
            {"overdue": "false", "on": "2026-10-05"},
            {"awaiting": "none"},
            {"field": "CT"},
            {"channel": "online"},
            {"without_due": "false"},
        ),
        *({"procedure": PROCEDURE}, {"flag": get_args(Flag)}, {"due_from": "2026-10-05"}, {"due_before": "2026-10-06"}),
        *({"received_from": "2026-10-05"}, {"received_before": "2026-10-06"}, {"on": "2026-10-09"}, {"limit": 2}),
        *({"ended_from": "2026-10-05"}, {"ended_before": "2026-10-06"}, {"status": ["resolved", "pending"]}),
    ]

    with system.client(name="limited", units=[UNIT]) as client:
        lists = [client.get("/v1/dossiers", params=params).raise_for_status().json() for params in asked]
        own = client.get("/v1/dossiers", params={"unit": UNIT}).json()["items"]
        backlogs = {
            role: client.get("/v1/backlog", params={"role": role}).json() for role in ("resolving", "receiving")
        }

    listed = [{item["code"] for item in page["items"]} for page in lists]
    assert set().union(*listed) == {"H37-mine", "H37-passed-on"}
    # Every filter found something of theirs to hide, but that of the day of the end: nothing of the client's has ended.
    assert [params for params, codes in zip(asked, listed, strict=True) if not codes] == asked[-3:-1]
    assert [item["code"] for item in own] == ["H37-mine"]
    assert [[row["unit"]["code"] for row in backlog["rows"]] for backlog in backlogs.values()] == [[UNIT], [UNIT]]
    assert [backlog["total"]["counts"]["pending"] for backlog in backlogs.values()] == [1, 2]


@pytest.mark.parametrize("path", ["/v1/dossiers", "/v1/backlog"])
@pytest.mark.parametrize("role", ["resolving", "receiving"])
def test_lists_and_backlog_of_another_unit_are_forbidden_even_beside_an_own_one(
    system: System, path: str, role: str
) -> None:
    with system.client(name="limited", units=[UNIT]) as client:
        answers = [
            client.get(path, params={"role": role, "unit": units})
            for units in ([OTHER_UNIT], [UNIT, OTHER_UNIT], ["no-such-unit"])
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "unit_forbidden")] * 3


def test_another_clients_cursor_leads_to_the_clients_own_dossiers_alone(system: System) -> None:
    with system.client() as province:
        _post(province, *(received(f"H37-{n}", receiving_unit=(UNIT, OTHER_UNIT)[n % 2]) for n in range(6)))
        cursor = province.get("/v1/dossiers", params={"limit": 1}).json()["next_cursor"]

    with system.client(name="limited", units=[UNIT]) as client:
        items = client.get("/v1/dossiers", params={"cursor": cursor}).json()["items"]

    assert [item["code"] for item in items] == ["H37-2", "H37-4"]


def test_no_filter_of_the_log_shows_what_is_not_the_clients(system: System) -> None:
    _two_units(system)
    asked: list[dict[str, Any]] = [
        {"subject": "H37-theirs"},
        {"source": SOURCE},
        {"type": ["received", "resolved"]},
        {"wait": "0.1"},
    ]

    with system.client(name="limited", units=[UNIT]) as client:
        seen = [
            [event["subject"] for event in client.get("/v1/events", params=params).raise_for_status().json()["items"]]
            for params in asked
        ]

    assert seen == [[], ["H37-mine"], ["H37-mine"], ["H37-mine"]]


def test_rates_and_their_total_cover_the_clients_units_alone(system: System) -> None:
    position = _two_units(system)

    with system.client(name="limited", units=[UNIT]) as client:
        answer = client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).json()
        total = client.get("/v1/rates", params={"period": "2026-10", "by": "none"}).json()["total"]

    assert [row["unit"]["code"] for row in answer["rows"]] == [UNIT]
    assert (answer["total"]["counts"]["received"], answer["total"]["counts"]["resolved"]) == (1, 0)
    assert total == answer["total"]


def test_rates_of_another_unit_are_forbidden_even_beside_an_own_one(system: System) -> None:
    with system.client(name="limited", units=[UNIT]) as client:
        answers = [
            client.get("/v1/rates", params={"period": "2026-10", "unit": units})
            for units in ([OTHER_UNIT], [UNIT, OTHER_UNIT], ["no-such-unit"])
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "unit_forbidden")] * 3


def test_one_clients_etag_is_never_anothers(system: System) -> None:
    position = _two_units(system)
    params = {"period": "2026-10", "min_position": position}

    with (
        system.client() as province,
        system.client(name="mine", units=[UNIT]) as mine,
        system.client(name="theirs", units=[OTHER_UNIT]) as theirs,
    ):
        etags = [client.get("/v1/rates", params=params).headers["etag"] for client in (province, mine, theirs)]
        answer = mine.get("/v1/rates", params=params, headers={"If-None-Match": f"{etags[0]}, {etags[2]}"})

    assert len(set(etags)) == 3
    assert answer.status_code == 200


def test_an_etag_of_several_units_does_not_depend_on_their_order(system: System) -> None:
    params = {"period": "2026-10", "min_position": _two_units(system)}

    with system.client() as client:
        items = client.get("/v1/units").json()["items"]
        units = [unit["code"] for unit in items if unit["kind"] == "commune"][:40]
        etags = {
            client.get("/v1/rates", params={**params, "unit": asked}).raise_for_status().headers["etag"]
            for asked in (units, units[::-1], units[20:] + units[:20], [*units, *units])
        }

    assert len(etags) == 1


def test_a_client_of_no_unit_sees_nothing(system: System) -> None:
    position = _two_units(system)

    with system.client(name="nobody", units=[]) as client:
        feed, log = client.get("/v1/feed").json()["entries"], client.get("/v1/events").json()["items"]
        rates = client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).json()

        listed = client.get("/v1/dossiers").json()["items"]
        backlog = client.get("/v1/backlog").json()

    assert (feed, log, rates["rows"], rates["total"]["counts"]["received"]) == ([], [], [], 0)
    assert (listed, backlog["rows"], backlog["total"]["counts"]["pending"]) == ([], [], 0)


def test_reference_data_is_the_whole_provinces_to_change(system: System) -> None:
    with system.client(name="limited", units=[UNIT]) as client:
        answers = [client.put(path, json=[]) for path in ("/v1/units", "/v1/procedures", "/v1/calendar")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "province_only")] * 3


def test_a_client_sends_as_its_own_sources_alone(system: System) -> None:
    with system.client(name="limited", sources=[SOURCE]) as client:
        own = client.post("/v1/events", json=received("H37-1"))
        foreign = client.post("/v1/events", json=received("H37-2", source="urn:example:another"))

    assert own.status_code == 201
    assert (foreign.status_code, foreign.json()["errors"][0]["code"]) == (403, "source_forbidden")


def test_what_another_source_sent_under_an_id_is_not_told_to_a_client_without_it(system: System) -> None:
    with system.client() as province:
        _post(province, received("H37-1", event_id="e-1", source="urn:example:another"))

    with system.client(name="limited", sources=[SOURCE]) as client:
        repeated = client.post("/v1/events", json=received("H37-1", event_id="e-1", source="urn:example:another"))
        unknown = client.post("/v1/events", json=received("H37-1", event_id="e-2", source="urn:example:another"))

    assert repeated.text.replace("e-1", "e-2") == unknown.text


def test_what_was_sent_for_another_unit_is_not_told_to_a_client_without_it(system: System) -> None:
    with system.client() as province:
        _post(province, received("H37-theirs", event_id="e-1", receiving_unit=OTHER_UNIT))

    with system.client(name="limited", units=[UNIT]) as client:
        answer = client.post("/v1/events", json=received("H37-mine", event_id="e-1"))

    # The id is taken, which the client must learn; what stands under it, not even as a hash.
    assert answer.status_code == 409
    assert answer.json().get("recorded_fingerprint") is None


def test_a_dry_run_forbids_what_a_real_one_forbids(system: System) -> None:
    _two_units(system)

    with system.client(name="limited", units=[UNIT]) as client:
        answer = client.post("/v1/events?dry_run=true", json=paid("H37-theirs"))

    assert answer.status_code == 403


def test_provinces_see_nothing_of_each_other(system: System) -> None:
    _two_units(system)

    with system.client(name="neighbour", province="19") as client:
        dossier = client.get("/v1/dossiers/H37-mine").status_code
        feed, log = client.get("/v1/feed").json(), client.get("/v1/events").json()
        units = client.get("/v1/units").json()["items"]
        asked = client.get("/v1/feed", params={"province": "20"})
        listed, backlog = client.get("/v1/dossiers").json()["items"], client.get("/v1/backlog").json()
        rates = client.get("/v1/rates", params={"period": "2026-10"}).json()

    assert (dossier, feed["entries"], feed["head"], log["items"], units) == (404, [], "0", [], [])
    assert (asked.status_code, asked.json()["code"]) == (403, "other_province")
    assert (rates["rows"], rates["total"]["counts"]["received"]) == ([], 0)
    assert (listed, backlog["rows"]) == ([], [])


def test_a_second_accept_header_changes_nobodys_next_answer(system: System) -> None:
    """What was answered lately is recognised by its headers, so all of them must count."""
    params = {"period": "2026-10", "min_position": _two_units(system)}
    accept = [("Accept", "text/csv"), ("Accept", "application/json")]

    with system.client(name="limited", units=[UNIT]) as client:
        twice = client.get("/v1/rates", params=params, headers=accept)
        once = client.get("/v1/rates", params=params, headers={"Accept": "application/json"})

    assert twice.headers["content-type"].startswith("text/csv")
    assert once.headers["content-type"] == "application/json"


def test_nothing_that_another_unit_records_moves_an_answer_of_a_limited_client(system: System) -> None:
    """A figure that is compared, smoothed or summed over all units would tell of the others without naming them."""
    mine = [
        life
        for day in range(1, 29)
        for life in (
            received(f"H37-{day}", at=f"2026-10-{day:02}T08:00:00+07:00", due_at=f"2026-10-{day:02}T17:00:00+07:00"),
            resolved(f"H37-{day}", at=f"2026-10-{min(day + day % 5 // 4, 28):02}T10:00:00+07:00"),
        )
    ]
    theirs = [
        life
        for n in range(60)
        for life in (
            received(f"H38-{n}", receiving_unit=OTHER_UNIT, source="urn:theirs", channel="counter"),
            resolved(f"H38-{n}", at=f"2026-10-{7 + n % 20:02}T10:00:00+07:00", source="urn:theirs"),
        )
    ]
    asked = [
        path.format(**_NAMED) + query
        for (method, path), queries in _ASKED.items()
        for query in queries
        if method == "GET" and path.startswith(("/v1/rates", "/v1/counts", "/v1/series", "/v1/fo", "/v1/sync"))
    ]

    with system.client() as province, system.client(name="limited", units=[UNIT]) as client:

        def told() -> dict[str, bytes]:
            answers = {path: client.get(path) for path in asked}
            return {path: re.sub(rb'"position":"\d+"', b"", answer.content) for path, answer in answers.items()}

        province.get("/v1/rates", params={"period": "2026", "min_position": _post(province, *mine)})
        before = told()
        province.get("/v1/rates", params={"period": "2026", "min_position": _post(province, *theirs)})
        after = told()

    assert [path for path in asked if before[path] != after[path]] == []
