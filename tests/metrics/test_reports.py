"""A frozen report is the same bytes for ever, and what has become of it is told down to the dossiers."""

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.cli.posting import NotPosted
from services.contract import DEFINITIONS_VERSION
from services.kit import clock
from tests import databases
from tests.builders import OTHER_UNIT, UNIT, Json, event, forwarded, paid, received, resolved, withdrawn
from tests.running import System

_KINDS = ("rates", "06a", "06b", "06c", "766")
# Of another field than the usual procedure.
_OTHER_PROCEDURE = "1.001193"


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["rejected"] == 0, answer
    return str(answer["position"])


def _freeze(client: httpx.Client, kind: str = "rates", **more: Any) -> Json:  # noqa: ANN401 - members of the body
    body = {"kind": kind, "period": "2026-10", **more}
    answer = client.post("/v1/reports", json=body)
    assert answer.status_code == 201, answer.text
    report: Json = answer.json()
    return report


def _diff(client: httpx.Client, report: Json, **params: Any) -> Json:  # noqa: ANN401 - query parameters
    answer: Json = client.get(f"/v1/reports/{report['id']}/diff", params=params).raise_for_status().json()
    return answer


# --- What is frozen ---------------------------------------------------------------------------------------------------


def test_a_report_is_the_answer_byte_for_byte_and_stays_so(system: System) -> None:
    paths = {kind: "/v1/rates" if kind == "rates" else f"/v1/forms/{kind}" for kind in _KINDS}

    with system.client() as client:
        position = _post(client, received("H-1"), resolved("H-1"), received("H-2", procedure=_OTHER_PROCEDURE))
        asked = {"period": "2026-10", "min_position": position}
        answered = {kind: client.get(path, params=asked).raise_for_status() for kind, path in paths.items()}
        reports = {kind: _freeze(client, kind, note="for the meeting") for kind in _KINDS}
        position = _post(client, resolved("H-2"), event("voided", "H-1", {"reason": "a test"}, at=_LATER))
        client.get("/v1/rates", params={"period": "2026-10", "min_position": position}).raise_for_status()
        read = {kind: client.get(f"/v1/reports/{reports[kind]['id']}/content").content for kind in _KINDS}
        whole = {kind: client.get(f"/v1/reports/{reports[kind]['id']}").json() for kind in _KINDS}

    for kind, report in reports.items():
        assert read[kind] == answered[kind].content
        assert hashlib.sha256(read[kind]).hexdigest() == report["content_hash"]
        assert whole[kind] == {**report, "content": answered[kind].json()}
        assert (report["kind"], report["note"], report["frozen_by"]) == (kind, "for the meeting", "province")
        assert (report["position"], report["definitions"]) == (answered[kind].json()["position"], DEFINITIONS_VERSION)


_LATER = "2026-10-20T09:00:00+07:00"


def test_frozen_bytes_are_named_by_their_hash_and_never_asked_for_twice(system: System) -> None:
    with system.client() as client:
        report = _freeze(client)
        path = f"/v1/reports/{report['id']}/content"
        read = client.get(path)
        again = client.get(path, headers={"If-None-Match": read.headers["etag"]})

    assert read.headers["etag"] == f'"{report["content_hash"]}"'
    assert "immutable" in read.headers["cache-control"]
    assert "private" in read.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


def test_a_frozen_form_comes_as_the_files_that_it_came_as_then(system: System) -> None:
    asked = {"period": "2026-10", "unit": [UNIT]}

    with system.client() as client:
        position = _post(client, received("H-1"), resolved("H-1"), withdrawn("H-2"), received("H-2"))
        files = {
            format_: client.get("/v1/forms/06a", params={**asked, "format": format_, "min_position": position}).content
            for format_ in ("csv", "xlsx")
        }
        report = _freeze(client, "06a", unit=UNIT)
        _post(client, received("H-3"))
        frozen = {
            format_: client.get(f"/v1/reports/{report['id']}/content", params={"format": format_}).raise_for_status()
            for format_ in ("csv", "xlsx")
        }
        of_rates = client.get(f"/v1/reports/{_freeze(client)['id']}/content", params={"format": "csv"})

    assert {format_: answer.content for format_, answer in frozen.items()} == files
    assert "attachment" in frozen["csv"].headers["content-disposition"]
    assert len({answer.headers["etag"] for answer in frozen.values()} | {f'"{report["content_hash"]}"'}) == 3
    assert (of_rates.status_code, of_rates.json()["code"]) == (406, "format_not_offered")


def test_an_answer_of_the_past_is_frozen_as_it_was_known_then(system: System) -> None:
    with system.client() as client:
        _post(client, received("H-1"))
        then = clock.now().isoformat()
        _post(client, resolved("H-1"))
        report = _freeze(client, as_of=then)
        content = client.get(f"/v1/reports/{report['id']}/content").content
        answered = client.get("/v1/rates", params={"period": "2026-10", "as_of": then}).content
        diff = _diff(client, report)

    assert content == answered
    assert diff["total"]["counts"]["resolved"] == {"before": 0, "after": 1, "delta": 1}
    assert diff["judged_anew"] == {"rows": [], "total": {"counts": {}}}


@pytest.mark.parametrize(
    "statement", ["UPDATE metrics.report SET note = 'x'", "DELETE FROM metrics.report", "TRUNCATE metrics.report"]
)
def test_nobody_changes_or_removes_a_frozen_report(database_url: str, statement: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
        asyncio.run(databases.execute(database_url, statement))


_REFUSED: Sequence[tuple[object, str]] = (
    ({"kind": "06a"}, "invalid_request"),
    ({"kind": "06d", "period": "2026-10"}, "invalid_request"),
    ({"kind": "06a", "period": "2026-10", "by": "unit"}, "invalid_request"),
    ({"kind": "rates", "period": "2026-10", "colour": "red"}, "invalid_request"),
    ({"kind": "rates", "period": "2026-13"}, "invalid_period"),
    ({"kind": "rates", "period": "2026-10", "unit": "99999"}, "unknown_unit"),
    ({"kind": "rates", "period": "2026-10", "as_of": "2099-01-01T00:00:00Z"}, "as_of_in_future"),
    ({"kind": "rates", "period": "2026-10", "min_position": "x"}, "unknown_position"),
    ({"kind": "rates", "period": "2026-10", "note": "x" * 501}, "invalid_request"),
    ({"kind": "rates", "period": "2026-10", "note": "\0"}, "invalid_request"),
    ([], "invalid_request"),
)


def test_what_cannot_be_asked_cannot_be_frozen(system: System) -> None:
    with system.client() as client:
        answers = [client.post("/v1/reports", json=body) for body, _ in _REFUSED]
        listed = client.get("/v1/reports").json()["items"]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, code) for _, code in _REFUSED]
    assert listed == []


# --- Idempotency ------------------------------------------------------------------------------------------------------


def test_the_same_key_and_body_are_the_same_report_and_another_body_is_a_problem(system: System) -> None:
    body: Json = {"kind": "rates", "period": "2026-10", "note": "n"}
    headers = {"Idempotency-Key": "one"}

    with system.client() as client:
        first = client.post("/v1/reports", json=body, headers=headers)
        _post(client, received("H-1"))
        again = client.post("/v1/reports", json=body, headers=headers)
        others = [
            client.post("/v1/reports", json=body | other, headers=headers)
            for other in ({"note": "m"}, {"kind": "06a"}, {"period": "2026-11"}, {"unit": UNIT})
        ]
        another_key = client.post("/v1/reports", json=body, headers={"Idempotency-Key": "two"})
        with system.client(name="another") as another:
            another_client = another.post("/v1/reports", json=body, headers=headers)

    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    assert [(answer.status_code, answer.json()["code"]) for answer in others] == [(422, "idempotency_key_reused")] * 4
    assert [answer.status_code for answer in (another_key, another_client)] == [201, 201]
    assert len({answer.json()["id"] for answer in (first, another_key, another_client)}) == 3


def test_requests_with_one_key_at_the_same_time_freeze_one_report(system: System) -> None:
    with system.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: client.post(
                    "/v1/reports", json={"kind": "rates", "period": "2026-10"}, headers={"Idempotency-Key": "one"}
                ),
                range(8),
            )
        )
        listed = client.get("/v1/reports").json()["items"]

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.content for answer in answers}) == 1
    assert len(listed) == 1


def test_without_a_key_every_request_freezes_anew(system: System) -> None:
    with system.client() as client:
        ids = [_freeze(client)["id"] for _ in range(3)]

    assert ids == ["1", "2", "3"]


# --- Lists ------------------------------------------------------------------------------------------------------------


def test_reports_are_listed_newest_first_by_kind_and_period_page_by_page(system: System) -> None:
    with system.client() as client:
        frozen = [_freeze(client, kind, period=period) for kind in ("rates", "06a") for period in ("2026-10", "2026")]
        of_kind = client.get("/v1/reports", params={"kind": "06a"}).json()["items"]
        of_period = client.get("/v1/reports", params={"period": "2026"}).json()["items"]
        first = client.get("/v1/reports", params={"limit": 3}).json()
        second = client.get("/v1/reports", params={"limit": 3, "cursor": first["next_cursor"]}).json()
        nonsense = client.get("/v1/reports", params={"cursor": "x"})

    assert first["items"] + second["items"] == frozen[::-1]
    assert second["next_cursor"] is None
    assert of_kind == [frozen[3], frozen[2]]
    assert of_period == [frozen[3], frozen[1]]
    assert nonsense.status_code == 422


def test_an_unknown_report_is_a_problem_however_it_is_asked_for(system: System) -> None:
    with system.client() as client:
        answers = [
            client.get(f"/v1/reports/{number}{more}")
            for number in ("1", "x", "999999999999999999")
            for more in ("", "/content", "/diff")
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "unknown_report")] * 9


# --- Whose reports ----------------------------------------------------------------------------------------------------


def test_a_limited_client_reads_reports_of_its_units_alone_and_of_no_other_ones_on_any_route(system: System) -> None:
    with system.client() as province:
        of_province = _freeze(province)
        of_mine = _freeze(province, unit=[UNIT])
        of_theirs = _freeze(province, unit=[OTHER_UNIT])
        of_both = _freeze(province, unit=[UNIT, OTHER_UNIT])
    reports = (of_province, of_mine, of_theirs, of_both)

    told = {}
    limits = {"mine": [UNIT], "both": [UNIT, OTHER_UNIT], "nobody": []}
    for name, units in limits.items():
        with system.client(name=name, units=units) as client:
            listed = [item["id"] for item in client.get("/v1/reports").json()["items"]]
            read = [
                [
                    report["id"]
                    for report in reports
                    if client.get(f"/v1/reports/{report['id']}{more}").status_code == 200
                ]
                for more in ("", "/content", "/diff")
            ]
            told[name] = (sorted(listed), read)

    expected = {"mine": [of_mine], "both": [of_mine, of_theirs, of_both], "nobody": []}
    ids = {name: [report["id"] for report in found] for name, found in expected.items()}
    assert told == {name: (found, [found] * 3) for name, found in ids.items()}


def test_a_limited_client_freezes_what_is_its_own_alone(system: System) -> None:
    with system.client() as province:
        position = _post(province, received("H-mine"), received("H-theirs", receiving_unit=OTHER_UNIT))

    with system.client(name="limited", units=[UNIT]) as client:
        forbidden = client.post("/v1/reports", json={"kind": "06a", "period": "2026-10", "unit": OTHER_UNIT})
        report = _freeze(client, min_position=position)
        content = client.get(f"/v1/reports/{report['id']}/content").json()

    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "unit_forbidden")
    assert report["units"] == [UNIT]
    assert [row["unit"]["code"] for row in content["rows"]] == [UNIT]
    assert content["total"]["counts"]["received"] == 1


def test_a_key_does_not_show_a_report_of_units_that_are_no_more_the_clients(system: System) -> None:
    body, headers = {"kind": "rates", "period": "2026-10"}, {"Idempotency-Key": "one"}
    with system.behind(system.metrics_url, client="one", units=frozenset({UNIT, OTHER_UNIT})) as client:
        client.post("/v1/reports", json=body, headers=headers).raise_for_status()

    with system.behind(system.metrics_url, client="one", units=frozenset({UNIT})) as client:
        answer = client.post("/v1/reports", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_report")


def test_a_report_of_another_province_does_not_exist(system: System) -> None:
    with system.client() as client:
        report = _freeze(client)

    with system.behind(system.metrics_url, province="19") as client:
        answer = client.get(f"/v1/reports/{report['id']}")

    assert answer.status_code == 404


def test_frozen_reports_are_not_for_everybody(system: System) -> None:
    with system.client() as client:
        report = _freeze(client)

    with system.behind(system.metrics_url, public=True) as client:
        answers = [
            client.get("/v1/reports"),
            *(client.get(f"/v1/reports/{report['id']}{more}") for more in ("", "/content", "/diff")),
            client.post("/v1/reports", json={"kind": "rates", "period": "2026-10"}),
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "public_only")] * 5


# --- What has become of it --------------------------------------------------------------------------------------------

_ASKED: Sequence[Json] = (
    *({"by": by} for by in ("unit", "field", "procedure", "channel", "month", "week", "day", "none")),
    {"by": "unit", "role": "receiving"},
    {"by": "unit", "unit": [UNIT]},
    {"by": "day", "procedure": [_OTHER_PROCEDURE]},
    {"by": "field", "channel": "counter"},
    {"by": "month", "period": "2026"},
    {"by": "week", "period": "2026-Q4"},
    {"by": "unit", "boundaries": "historical", "period": "2026-10-06"},
)


def _history(chance: random.Random, code: str) -> Iterator[Json]:
    """Yield events of one dossier, in any order, some of which undo others."""
    day = chance.randint(1, 20)
    at = [f"2026-10-{min(day + chance.randint(0, 9), 31):02}T{chance.randint(8, 16):02}:00:00+07:00" for _ in range(9)]
    facts: Json = {"channel": chance.choice(["online", "counter", "postal"]), "receiving_unit": chance.choice(_UNITS)}
    if chance.random() < 0.5:
        facts["procedure"] = _OTHER_PROCEDURE
    yield received(code, at=f"2026-10-{day:02}T08:00:00+07:00", due_at=chance.choice([*at, None]), **facts)
    yield paid(code, at=at[0])
    yield forwarded(code, at=at[1], to_unit=chance.choice(_UNITS))
    yield event("supplement_requested", code, {}, at=at[2])
    yield event("supplemented", code, {}, at=at[3])
    yield chance.choice([resolved, withdrawn])(code, at=at[4])
    yield event("rated", code, {"score": chance.randint(1, 5)}, at=at[5])
    moved = {"event_id": f"{code}-received", "receiving_unit": chance.choice(_UNITS)}
    yield event("corrected", code, moved, at=at[6])
    yield event("retracted", code, {"event_id": f"{code}-paid", "reason": "wrong"}, at=at[7])
    yield event("voided", code, {"reason": "a test"}, at=at[8])


_UNITS = (UNIT, OTHER_UNIT, "06001")


def _rows(items: Sequence[Json]) -> dict[str, Json]:
    """Return the counts of rows by what tells them apart."""
    return {str({k: v for k, v in row.items() if k not in {"counts", "rates"}}): row["counts"] for row in items}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_moves_of_the_dossiers_add_up_to_the_difference_of_every_count(system: System, seed: int) -> None:
    chance = random.Random(seed)
    events = [told for number in range(60) for told in list(_history(chance, f"H-{number}"))[: chance.randint(1, 10)]]
    chance.shuffle(events)
    half = len(events) // 2

    with system.client() as client:
        position = _post(client, *events[:half])
        reports = [_freeze(client, **asked, min_position=position) for asked in _ASKED]
        contents = [client.get(f"/v1/reports/{report['id']}/content").json() for report in reports]
        position = _post(client, *events[half:])
        diffs = [_diff(client, report, min_position=position, limit=1000) for report in reports]
        now = [
            client.get("/v1/rates", params={"period": "2026-10", **asked, "min_position": position}).json()
            for asked in _ASKED
        ]

    for asked, content, diff, present in zip(_ASKED, contents, diffs, now, strict=True):
        assert diff["judged_anew"] == {"rows": [], "total": {"counts": {}}}, asked
        assert diff["next_cursor"] is None
        assert len(diff["items"]) == diff["dossiers"] > 0
        moves: dict[str, dict[str, int]] = {}
        for item in diff["items"]:
            for name, counts in (*_rows(item["rows"]).items(), ("total", item["total"]["counts"])):
                for count, by in counts.items():
                    moves.setdefault(name, {}).setdefault(count, 0)
                    moves[name][count] += by
        deltas = {
            name: {count: told["delta"] for count, told in counts.items()}
            for name, counts in (*_rows(diff["rows"]).items(), ("total", diff["total"]["counts"]))
        }
        added = {name: {count: by for count, by in counts.items() if by} for name, counts in moves.items()}
        assert {n: c for n, c in added.items() if c} == {n: c for n, c in deltas.items() if c}, asked
        # What was before is what was frozen, and what is after is what is answered now.
        before, after = content["total"]["counts"], present["total"]["counts"]
        told = diff["total"]["counts"]
        assert {n: (t["before"], t["after"]) for n, t in told.items()} == {
            n: (before[n], after[n]) for n in before if n in after and before[n] != after[n] and "procedures" not in n
        }, asked
        rates = diff["total"]["rates"]
        assert {n: (t["before"]["percent"], t["after"]["percent"]) for n, t in rates.items()} == {
            n: (content["total"]["rates"][n]["percent"], present["total"]["rates"][n]["percent"]) for n in rates
        }, asked


def test_the_dossiers_that_moved_are_told_page_by_page(system: System) -> None:
    with system.client() as client:
        report = _freeze(client)
        position = _post(client, *(received(f"H-{number}") for number in range(5)))
        whole = _diff(client, report, min_position=position)
        pages, cursor = [], ""
        while cursor is not None:
            page = _diff(client, report, limit=2, cursor=cursor)
            pages.append(page["items"])
            cursor = page["next_cursor"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [item for page in pages for item in page] == whole["items"]
    assert [item["code"] for item in whole["items"]] == [f"H-{number}" for number in range(5)]
    assert whole["dossiers"] == 5


def test_what_moves_no_figure_of_the_report_is_not_told(system: System) -> None:
    with system.client() as client:
        report = _freeze(client, "06b", min_position=_post(client, received("H-1")))
        unchanged = _diff(client, report)
        _post(client, resolved("H-1"))
        changed = _diff(client, report, min_position=_post(client, received("H-2", at="2026-11-05T08:30:00+07:00")))

    assert (unchanged["rows"], unchanged["total"], unchanged["items"]) == ([], {"counts": {}, "rates": {}}, [])
    # A dossier of another month moves no figure of this one.
    assert [item["code"] for item in changed["items"]] == ["H-1"]


def _copied(**columns: str) -> str:
    """Return a statement that adds a second report like the first, but for the SQL expressions that are given."""
    names = (
        "province, id, kind, question, units, position, told_on, reference_version, definitions, frozen_at, frozen_by"
    )
    names += ", note, figures, content, content_hash"
    values = ", ".join({"id": "2", **columns}.get(name, name) for name in names.split(", "))
    return f"INSERT INTO metrics.report ({names}) SELECT {values} FROM metrics.report"  # noqa: S608


def test_what_time_alone_has_done_is_no_difference(system: System, database_url: str) -> None:
    with system.client() as client:
        position = _post(client, received("H-1", due_at="2026-10-08T17:00:00+07:00"))
        report = _freeze(client, min_position=position)
        asyncio.run(databases.execute(database_url, _copied(told_on="'2026-10-05'")))
        position = _post(client, resolved("H-1", at="2026-10-06T09:00:00+07:00"))
        whole = _diff(client, report, min_position=position)
        of_the_fifth = _diff(client, {"id": "2"})

    assert whole["total"]["counts"]["resolved"] == {"before": 0, "after": 1, "delta": 1}
    # By the fifth it was not resolved, and what is counted up to then is the same as it was.
    assert (of_the_fifth["rows"], of_the_fifth["total"]) == ([], {"counts": {}, "rates": {}})
    assert of_the_fifth["items"] == []


def test_what_definitions_or_units_of_today_tell_otherwise_stands_apart(system: System, database_url: str) -> None:
    # As a system with other definitions would have frozen it.
    older = {
        "definitions": "'0'",
        "figures": "jsonb_set(figures, '{total,counts,received}', '7')",
        "content": "'{\"old\": true}'",
    }

    with system.client() as client:
        report = _freeze(client, by="none", min_position=_post(client, received("H-1")))
        asyncio.run(databases.execute(database_url, _copied(**older)))
        content = client.get("/v1/reports/2/content").json()
        old, new = _diff(client, {"id": "2"}), _diff(client, report)

    assert content == {"old": True}
    assert (old["definitions_then"], old["definitions_now"]) == ("0", DEFINITIONS_VERSION)
    assert old["judged_anew"]["total"]["counts"] == {"received": {"before": 7, "after": 1, "delta": -6}}
    assert (old["total"]["counts"], old["items"]) == ({}, [])
    assert (new["definitions_then"], new["judged_anew"]["total"]["counts"]) == (DEFINITIONS_VERSION, {})


def test_a_merger_of_units_since_is_no_move_of_a_dossier(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H-1"), received("H-2", receiving_unit=OTHER_UNIT))
        report = _freeze(client, min_position=position)
        of_unit = _freeze(client, unit=[OTHER_UNIT])
        units = {unit["code"]: unit for unit in client.get("/v1/units").json()["items"]}
        merged = {**units[OTHER_UNIT], "valid_to": "2026-10-31", "successors": ["LS-NEW"]}
        successor = {
            "code": "LS-NEW",
            "name": "Phường Mới",
            "kind": "commune",
            "valid_from": "2026-11-01",
            "predecessors": [OTHER_UNIT],
        }
        client.put("/v1/units", json=[merged, successor]).raise_for_status()
        client.put("/v1/units", json=[{**units[UNIT]}]).raise_for_status()
        position = _post(client, received("H-3", receiving_unit=OTHER_UNIT))
        diff = _diff(client, report, min_position=position)
        alone = _diff(client, of_unit, min_position=position)

    assert [(row["unit"]["code"], row["counts"]["received"]["delta"]) for row in diff["rows"]] == [("LS-NEW", 1)]
    assert [item["code"] for item in diff["items"]] == ["H-3"]
    anew = {row["unit"]["code"]: row["counts"]["received"] for row in diff["judged_anew"]["rows"]}
    assert anew == {
        "LS-NEW": {"before": 0, "after": 1, "delta": 1},
        OTHER_UNIT: {"before": 1, "after": 0, "delta": -1},
    }
    assert int(diff["reference_version_now"]) > int(diff["reference_version_then"])
    assert alone["judged_anew"]["total"]["counts"]["received"]["delta"] == -1
    assert alone["items"] == []


# --- From the command line --------------------------------------------------------------------------------------------


def test_an_operator_writes_forms_and_freezes_and_lists_reports(system: System, tmp_path: Path) -> None:
    def run(*words: str) -> Result:
        environment = {"MOTCUA_URL": system.gateway_url, "MOTCUA_API_KEY": key}
        return CliRunner().invoke(app, words, env=environment)

    system.await_units()
    key, file = system.key(), tmp_path / "06a.xlsx"
    asked = ("--period", "2026-10", "--unit", UNIT)
    printed = run("form", "06a", *asked).stdout_bytes
    run("form", "06a", *asked, "--format", "xlsx", "--output", str(file))
    frozen = run("reports", "freeze", "06a", *asked, "--note", "for the meeting").stdout
    listed = run("reports", "list").stdout
    refused = run("reports", "freeze", "06a", "--period", "2026-13")
    with system.client() as client:
        forms = {
            format_: client.get("/v1/forms/06a", params={"period": "2026-10", "unit": UNIT, "format": format_}).content
            for format_ in ("csv", "xlsx")
        }
        (item,) = client.get("/v1/reports").json()["items"]

    assert {"csv": printed, "xlsx": file.read_bytes()} == forms
    assert frozen == f"{item['id']} {item['content_hash']}\n"
    assert listed == f"1 {item['frozen_at']} 06a 2026-10 {UNIT} {item['content_hash']} for the meeting\n"
    assert isinstance(refused.exception, NotPosted)
