"""Every count and every side of every rate opens into the very dossiers that make it, and they add up to it."""

from random import Random
from typing import Any

import httpx
import pytest

from services.metrics.domain.rates import PROCEDURE_RATES, RATES
from services.metrics.domain.vectors import NAMES
from tests.builders import OTHER_UNIT, UNIT, paid, received, resolved
from tests.metrics import population
from tests.running import System

_QUESTIONS = 12


def _get(client: httpx.Client, path: str, **params: Any) -> Any:  # noqa: ANN401 - query parameters, and JSON
    return client.get(path, params=params).raise_for_status().json()


def _some_question(random: Random) -> dict[str, Any]:
    """Return a question as any may be asked: of some units, fields, procedures, a channel, a role, a kind, a period."""
    choice = random.choice
    several: list[dict[str, Any]] = [
        {},
        {},
        {"unit": choice([[UNIT], [UNIT, OTHER_UNIT]])},
        {"kind": choice(["commune", "department"])},
        {"field": choice([["land"], ["land", "civil"]])},
        {"procedure": choice([["days"], ["calendar", "hours"]])},
        {"channel": choice(["online", "counter", "postal"])},
        {"cutoff": "statutory"},
    ]
    return {
        "period": population.some_period(random),
        "role": choice(["resolving", "receiving"]),
        "boundaries": choice(["current", "historical"]),
        **choice(several),
        **choice(several),
    }


def test_the_total_of_the_dossiers_behind_a_figure_is_the_figure(system: System) -> None:
    random = Random(1)
    with system.client() as client:
        position = population.record(client, dossiers=150, seed=1)
        for _ in range(_QUESTIONS):
            question = _some_question(random)

            figures = _get(client, "/v1/rates", **question, by="none", min_position=position)["total"]
            counts = {
                name: _get(client, f"/v1/counts/{name}/dossiers", **question, limit=1)["total"]
                for name in random.sample(NAMES, 10)
            }
            sides = {
                (rate.name, side): _get(client, f"/v1/rates/{rate.name}/dossiers", **question, side=side, limit=1)[
                    "total"
                ]
                for rate in random.sample(RATES, 3)
                for side in ("numerator", "denominator")
            }

            assert counts == {name: figures["counts"][name] for name in counts}, question
            assert sides == {(name, side): figures["rates"][name][side] for name, side in sides}, question


@pytest.mark.parametrize("role", ["resolving", "receiving"])
def test_every_row_of_units_as_they_were_leads_to_its_own_dossiers(system: System, role: str) -> None:
    asked = {"period": "2025..2026", "boundaries": "historical", "role": role}

    with system.client() as client:
        position = population.record(client, dossiers=120, seed=3)
        rows = _get(client, "/v1/rates", **asked, min_position=position)["rows"]
        figures = {
            (row["unit"]["code"], row["unit"]["valid_from"]): row["counts"]["received"]
            for row in rows
            if row["counts"]["received"]
        }
        behind = {
            (code, since): _get(client, "/v1/counts/received/dossiers", **asked, unit=code, unit_since=since)["total"]
            for code, since in figures
        }
        no_days = [
            client.get("/v1/rates", params={**asked, "unit_since": day}).status_code for day in ("0", "2025-07", "")
        ]
        of_all_that_began_then = _get(client, "/v1/rates", **asked, by="none", unit_since="2025-07-01")["total"]
        behind_them = _get(client, "/v1/counts/received/dossiers", **asked, unit_since="2025-07-01")["total"]

    assert behind == figures
    assert no_days == [422] * 3
    # A code that was borne by two units, one after the other.
    assert len({code for code, _ in figures}) < len(figures)
    began_then = sum(received for (_, since), received in figures.items() if since == "2025-07-01")
    assert of_all_that_began_then["counts"]["received"] == behind_them == began_then > 0


def test_the_pages_join_to_the_whole_without_gaps_or_repetitions(system: System) -> None:
    with system.client() as client:
        position = population.record(client, dossiers=120, seed=2)
        figures = {"period": "2025..2026", "boundaries": "current"}
        whole = _get(client, "/v1/counts/received/dossiers", **figures, min_position=position, limit=1_000)
        payments = _get(client, "/v1/counts/payments/dossiers", **figures, limit=1_000)

        for limit in (3, 10, len(whole["items"])):
            items: list[dict[str, Any]] = []
            cursor: str | None = None
            while True:
                params = figures | ({"cursor": cursor} if cursor else {})
                page = _get(client, "/v1/counts/received/dossiers", **params, limit=limit)
                assert page["total"] == whole["total"]
                items += page["items"]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            assert items == whole["items"], limit

    codes = [item["code"] for item in whole["items"]]
    assert codes == sorted(set(codes))
    assert len(codes) == whole["total"] > 80
    assert sum(item["times"] for item in payments["items"]) == payments["total"] > len(payments["items"])


def test_a_dossier_is_told_with_its_days_and_units_so_that_a_figure_can_be_explained(system: System) -> None:
    with system.client() as client:
        events = [received("H1", resolving_unit=OTHER_UNIT), paid("H1"), resolved("H1", at="2026-10-06T09:00:00+07:00")]
        position = client.post("/v1/events", json=events).json()["position"]
        (item,) = _get(client, "/v1/counts/resolved_late/dossiers", period="2026-10", min_position=position)["items"]

    assert item == {
        "code": "H1",
        "times": 1,
        "status": "resolved",
        "procedure": "2.000815",
        "field": "CT",
        "channel": "online",
        "receiving_unit": UNIT,
        "resolving_unit": OTHER_UNIT,
        "received_on": "2026-10-05",
        "falls_due_on": "2026-10-05",
        "closes_on": "2026-10-06",
        "rated_on": None,
        "position": position,
    }


def test_a_client_of_some_units_follows_figures_to_its_own_dossiers_alone(system: System) -> None:
    with system.client() as province:
        position = province.post(
            "/v1/events", json=[received("H-mine"), received("H-theirs", receiving_unit=OTHER_UNIT)]
        ).json()["position"]

    asked = {"period": "2026", "min_position": position}
    with system.client(name="limited", units=[UNIT]) as client:
        mine = _get(client, "/v1/counts/received/dossiers", **asked)
        side = _get(client, "/v1/rates/online_submission/dossiers", **asked)
        theirs = client.get("/v1/counts/received/dossiers", params={**asked, "unit": OTHER_UNIT})
        beyond = _get(client, "/v1/counts/received/dossiers", **asked, cursor="H-mine")

    assert [item["code"] for item in mine["items"]] == [item["code"] for item in side["items"]] == ["H-mine"]
    assert (mine["total"], side["total"]) == (1, 1)
    assert (theirs.status_code, theirs.json()["code"]) == (403, "unit_forbidden")
    assert beyond["items"] == []


def test_a_dossier_forwarded_away_is_behind_the_figures_of_each_role_of_its_units(system: System) -> None:
    with system.client() as province:
        position = province.post("/v1/events", json=received("H1", resolving_unit=OTHER_UNIT)).json()["position"]

    found = {}
    for unit in (UNIT, OTHER_UNIT):
        with system.client(name=unit, units=[unit]) as client:
            for role in ("resolving", "receiving"):
                asked = {"period": "2026-10", "role": role, "min_position": position}
                found[unit, role] = _get(client, "/v1/counts/received/dossiers", **asked)["total"]

    assert found == {
        (UNIT, "resolving"): 0, (UNIT, "receiving"): 1, (OTHER_UNIT, "resolving"): 1, (OTHER_UNIT, "receiving"): 0,
    }  # fmt: skip


def test_a_page_that_would_be_the_same_is_not_sent_again_until_a_dossier_changes(system: System) -> None:
    path, params = "/v1/counts/pending/dossiers", {"period": "2026-10"}
    with system.client() as client:
        position = client.post("/v1/events", json=received("H1")).json()["position"]
        read = client.get(path, params={**params, "min_position": position})
        known = {"If-None-Match": read.headers["etag"]}
        unchanged = client.get(path, params=params, headers=known)
        other_page = client.get(path, params={**params, "cursor": "H1"}, headers=known)
        other_side = client.get("/v1/counts/received/dossiers", params=params, headers=known)
        # A dossier of October is told with the day on which it closed, even where that is after the period.
        after = resolved("H1", at="2026-11-05T09:00:00+07:00")
        position = client.post("/v1/events", json=after).json()["position"]
        changed = client.get(path, params={**params, "min_position": position}, headers=known)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert [answer.status_code for answer in (other_page, other_side, changed)] == [200, 200, 200]
    assert [item["closes_on"] for item in changed.json()["items"]] == ["2026-11-05"]


def test_a_figure_that_is_none_or_is_of_no_dossiers_is_a_problem(system: System) -> None:
    asked = {"period": "2026-10"}
    with system.client() as client:
        answers = {
            path: client.get(f"/v1/{path}/dossiers", params=asked)
            for path in ("rates/none", "counts/none", "counts/fee_procedures", "counts/open")
        }
        of_procedures = [client.get(f"/v1/rates/{rate.name}/dossiers", params=asked) for rate in PROCEDURE_RATES]
        odd = [
            client.get(f"/v1/counts/received/dossiers?period=2026-10&{query}")
            for query in ("limit=0", "limit=1001", "by=unit", "format=csv", f"cursor={'x' * 101}", "side=numerator")
        ]

    assert {path: (answer.status_code, answer.json()["code"]) for path, answer in answers.items()} == dict.fromkeys(
        answers, (404, "unknown_rate")
    )
    assert [(answer.status_code, answer.json()["code"]) for answer in of_procedures] == [(422, "no_dossiers")] * 3
    assert [answer.status_code for answer in odd] == [422] * 6


@pytest.mark.parametrize("cursor", ["\x00", "H1\x00"])
def test_a_cursor_that_no_database_can_hold_is_a_problem_and_no_failure(system: System, cursor: str) -> None:
    with system.client() as client:
        answer = client.get("/v1/counts/received/dossiers", params={"period": "2026-10", "cursor": cursor})

    assert answer.status_code == 422
