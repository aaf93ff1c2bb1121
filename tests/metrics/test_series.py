"""One rate over the days, weeks or months of a period: each piece is what it would be asked alone."""

import csv
import io
from random import Random
from typing import Any

import httpx
import pytest

from services.metrics.domain.rates import RATES
from tests.builders import OTHER_UNIT, UNIT, received, resolved
from tests.metrics import population
from tests.running import System


def _get(client: httpx.Client, path: str, **params: Any) -> Any:  # noqa: ANN401 - query parameters, and JSON
    return client.get(path, params=params).raise_for_status().json()


_DIVIDED = ("numerator", "denominator", "percent", "target", "met")


@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_each_point_and_the_total_are_the_rates_of_their_days(system: System, by: str) -> None:
    random = Random(by)
    with system.client() as client:
        position = population.record(client, dossiers=100, seed=3)
        for _ in range(4):
            period = {"day": "2025-07-07..2025-07-20", "week": "2025-07", "month": "2025-06..2025-09"}[by]
            asked = {
                "role": random.choice(["resolving", "receiving"]),
                "kind": random.choice(["commune", "department"]),
            }
            asked |= random.choice([{}, {"procedure": "days"}, {"field": "land"}, {"channel": "online"}])
            rate = random.choice(RATES).name

            series = _get(client, "/v1/series", period=period, rate=rate, by=by, min_position=position, **asked)

            for point in series["points"]:
                alone = _get(client, "/v1/rates", period=f"{point['from']}..{point['to']}", by="none", **asked)
                assert {name: point[name] for name in _DIVIDED} == alone["total"]["rates"][rate], (asked, point)
            whole = _get(client, "/v1/rates", period=period, by="none", **asked)
            assert series["total"] == whole["total"]["rates"][rate], asked
            days = [(point["from"], point["to"]) for point in series["points"]]
            assert days[0][0] == series["period"]["from"]
            assert days[-1][1] == series["period"]["to"]


def test_a_piece_without_anything_to_divide_by_is_null_and_not_left_out(system: System) -> None:
    with system.client() as client:
        position = client.post("/v1/events", json=[received("H1"), resolved("H1")]).json()["position"]
        asked = {"period": "2026-09..2026-10", "rate": "on_time_of_resolved", "min_position": position}
        series = _get(client, "/v1/series", **asked)

    assert [(point["label"], point["denominator"], point["percent"]) for point in series["points"]] == [
        ("2026-09", 0, None),
        ("2026-10", 1, 100.0),
    ]
    assert series["by"] == "month"


def test_statutory_months_make_statutory_points(system: System) -> None:
    with system.client() as client:
        asked = {"period": "2026-Q3", "rate": "on_time_of_resolved", "cutoff": "statutory"}
        points = _get(client, "/v1/series", **asked)["points"]

    assert [(point["label"], point["from"], point["to"]) for point in points] == [
        ("2026-07", "2026-06-15", "2026-07-14"),
        ("2026-08", "2026-07-15", "2026-08-14"),
        ("2026-09", "2026-08-15", "2026-09-14"),
    ]


def test_a_series_as_a_file_holds_its_points(system: System) -> None:
    with system.client() as client:
        position = client.post("/v1/events", json=[received("H1"), resolved("H1")]).json()["position"]
        asked = {"period": "2026-09..2026-10", "rate": "on_time_of_resolved", "min_position": position}
        answer = client.get("/v1/series", params={**asked, "format": "csv"})

    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert answer.headers["content-type"].startswith("text/csv")
    assert "series-on_time_of_resolved-2026-09_2026-10-month" in answer.headers["content-disposition"]
    assert [row for row in rows if row and row[0].startswith("2026")] == [
        ["2026-09", "0", "0", ""],
        ["2026-10", "1", "1", "100.00"],
    ]


def test_what_is_no_series_is_a_problem(system: System) -> None:
    queries = {
        "period=2026&rate=none": (404, "unknown_rate"),
        "period=2026&rate=procedures_full_online": (404, "unknown_rate"),
        "period=2026": (422, "invalid_request"),
        "rate=full_online": (422, "invalid_request"),
        "period=2026&rate=full_online&by=unit": (422, "invalid_request"),
        "period=2024..2026&rate=full_online&by=day": (422, "invalid_period"),
        "period=2026&rate=full_online&unit=99999": (422, "unknown_unit"),
        "period=2026&rate=full_online&format=pdf": (422, "invalid_request"),
    }
    with system.client() as client:
        answers = {query: client.get(f"/v1/series?{query}") for query in queries}

    assert {query: (answer.status_code, answer.json()["code"]) for query, answer in answers.items()} == queries


def test_a_client_of_some_units_sees_their_series_alone(system: System) -> None:
    with system.client() as province:
        events = [received("H1"), received("H2", receiving_unit=OTHER_UNIT)]
        position = province.post("/v1/events", json=events).json()["position"]

    asked = {"period": "2026-10", "rate": "online_submission", "min_position": position}
    with system.client(name="limited", units=[UNIT]) as client:
        mine = _get(client, "/v1/series", **asked)
        theirs = client.get("/v1/series", params={**asked, "unit": OTHER_UNIT})

    assert (mine["total"]["denominator"], [point["denominator"] for point in mine["points"]]) == (1, [1])
    assert (theirs.status_code, theirs.json()["code"]) == (403, "unit_forbidden")
