"""The statutory forms hold the figures of the rates, add up, and speak of the client's own units alone."""

import csv
import io
import itertools
from collections.abc import Sequence
from typing import Any

import httpx
import openpyxl

from tests.builders import FORMER_UNIT, OTHER_UNIT, UNIT, event, received, resolved
from tests.metrics import population
from tests.running import System

_FORMS = ("06a", "06b", "06c", "766")
_COLUMNS = {
    4: ("received_online",),
    5: ("received_counter", "received_postal"),
    6: ("carried_over",),
    8: ("ended_early",),
    9: ("ended_on_time", "ended_without_due"),
    10: ("ended_late",),
    11: ("pending",),
    13: ("pending_overdue",),
}
"""Of which counts each column is the sum."""


def _get(client: httpx.Client, path: str, **params: Any) -> Any:  # noqa: ANN401 - query parameters, and JSON
    return client.get(path, params=params).raise_for_status().json()


def _post(client: httpx.Client, *events: Any) -> str:  # noqa: ANN401 - events
    return str(client.post("/v1/events", json=list(events)).raise_for_status().json()["position"])


def _expected(counts: dict[str, int]) -> dict[str, int]:
    return {f"column_{column}": sum(counts[name] for name in names) for column, names in _COLUMNS.items()}


def test_each_form_holds_the_figures_of_the_rates_and_its_identities(system: System) -> None:
    with system.client() as client:
        position = population.record(client, dossiers=120, seed=5)
        for form, by, period, role in (
            ("06a", "field", "2025-07", "resolving"),
            ("06b", "unit", "2025-06-15..2025-08-14", "receiving"),
            ("06c", "unit", "2025-07", "resolving"),
        ):
            asked = {"period": period, "role": role, "min_position": position}
            told = _get(client, f"/v1/forms/{form}", **asked)
            rates = _get(client, "/v1/rates", by=by, **asked)

            rows = {row["code"]: row for row in told["rows"]}
            for row in rates["rows"]:
                code = "" if row[by] is None else row[by]["code"]
                expected = _expected(row["counts"])
                assert {name: rows[code][name] for name in expected} == expected, (form, code)
            total = _expected(rates["total"]["counts"])
            assert {name: told["total"][name] for name in total} == total, form
            assert told["identities_hold"] is True
            assert len(rows) == len(rates["rows"])
            assert told["position"] == position
            assert sum(told["total"][f"column_{column}"] for column in (4, 5)) > 10


def test_the_subtotals_of_a_rollup_are_those_of_each_level(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H1"), received("H2", receiving_unit="LS-STP"), received("H3"))
        told = _get(client, "/v1/forms/06c", period="2026-10", min_position=position)

    assert [(row["name"], row["column_3"]) for row in told["subtotals"]] == [("Cấp tỉnh", 1), ("Cấp xã", 2)]
    assert told["total"]["column_3"] == 3


def test_what_a_form_is_of_is_told_by_name(system: System) -> None:
    system.await_units()
    with system.client() as client:
        units = {
            "province": _get(client, "/v1/forms/06b", period="2026-10")["unit"],
            "asked": _get(client, "/v1/forms/06a", period="2026-10", unit=UNIT)["unit"],
            "then": _get(client, "/v1/forms/06a", period="2025-06", unit=UNIT, boundaries="historical")["unit"],
        }
    for name, codes in {"limited": [UNIT], "unknown": ["nobody"]}.items():
        with system.client(name=name, units=codes) as client:
            units |= {name: _get(client, "/v1/forms/06a", period="2026-10")["unit"]}

    assert units == {
        "province": "Tỉnh Lạng Sơn",
        "asked": "Phường Đông Kinh",
        "then": "Phường Vĩnh Trại",
        "limited": "Phường Đông Kinh",
        "unknown": "nobody",
    }


def test_decision_766_is_scored_from_the_rates_and_says_that_it_is_not_official(system: System) -> None:
    with system.client() as client:
        position = _post(
            client,
            received("H1"),
            resolved("H1"),
            received("H2", channel="counter", due_at="2026-10-06T17:00:00+07:00"),
            event("stopped", "H2", {}, at="2026-10-07T09:00:00+07:00"),
        )
        asked = {"period": "2026-10", "min_position": position}
        told = _get(client, "/v1/forms/766", **asked)
        rates = _get(client, "/v1/rates", by="none", **asked)["total"]["rates"]

    (on_time,) = (one for part in told["components"] for one in part["indicators"] if one["rate"] == "on_time_of_all")
    assert told["official"] is False
    assert (on_time["numerator"], on_time["denominator"]) == (1, 2)
    assert rates["on_time_of_all"]["denominator"] == 2


def _table(answer: httpx.Response) -> Sequence[Sequence[Any]]:
    if answer.headers["content-type"].startswith("text/csv"):
        return list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def test_a_form_as_a_file_is_the_same_bytes_until_something_changes(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H1"))
        for form, name in itertools.product(_FORMS, ("csv", "xlsx")):
            asked = {"period": "2026-10", "format": name, "min_position": position}
            answers = [client.get(f"/v1/forms/{form}", params=asked) for _ in range(2)]
            known = {"If-None-Match": answers[0].headers["etag"]}
            unchanged = client.get(f"/v1/forms/{form}", params=asked, headers=known)

            assert answers[0].content == answers[1].content
            assert f".{name}" in answers[0].headers["content-disposition"]
            assert len(_table(answers[0])) > 1
            assert unchanged.status_code == 304


def test_a_form_of_former_units_is_as_they_were(system: System) -> None:
    before = received("H1", at="2025-06-02T09:00:00+07:00", receiving_unit=FORMER_UNIT)
    with system.client() as client:
        asked = {"period": "2025-06", "min_position": _post(client, before)}
        rows = {
            boundaries: [
                (row["code"], row["column_3"])
                for row in _get(client, "/v1/forms/06b", boundaries=boundaries, **asked)["rows"]
                if row["column_3"]
            ]
            for boundaries in ("current", "historical")
        }

    assert rows == {"current": [(UNIT, 1)], "historical": [(FORMER_UNIT, 1)]}


def test_what_is_no_form_is_a_problem(system: System) -> None:
    queries = {
        "06d?period=2026": (422, "invalid_request"),
        "06a": (422, "invalid_request"),
        "06a?period=2026-13": (422, "invalid_period"),
        "06a?period=2026&by=unit": (422, "unknown_parameter"),
        "06a?period=2026&unit=99999": (422, "unknown_unit"),
        "06a?period=2026&format=pdf": (422, "invalid_request"),
    }
    with system.client() as client:
        answers = {query: client.get(f"/v1/forms/{query}") for query in queries}
        refused = client.get("/v1/forms/06a", params={"period": "2026"}, headers={"Accept": "image/png"})

    assert {query: (answer.status_code, answer.json()["code"]) for query, answer in answers.items()} == queries
    assert (refused.status_code, refused.json()["code"]) == (406, "format_not_offered")


def test_a_client_of_some_units_gets_the_forms_of_these_alone(system: System) -> None:
    with system.client() as province:
        position = _post(province, received("H1"), received("H2", receiving_unit=OTHER_UNIT))

    asked = {"period": "2026-10", "min_position": position}
    with system.client(name="limited", units=[UNIT]) as client:
        mine = {form: _get(client, f"/v1/forms/{form}", **asked) for form in _FORMS}
        alone = {form: _get(client, f"/v1/forms/{form}", **asked, unit=UNIT) for form in _FORMS}
        theirs = [client.get(f"/v1/forms/{form}", params={**asked, "unit": [UNIT, OTHER_UNIT]}) for form in _FORMS]

    assert mine == alone
    assert [mine[form]["total"]["column_3"] for form in ("06a", "06b", "06c")] == [1, 1, 1]
    assert [(answer.status_code, answer.json()["code"]) for answer in theirs] == [(403, "unit_forbidden")] * 4
