"""Rates are read back exactly as the events make them, for any period, and never before what was just written."""

import csv
import io
import itertools
import re
import time
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import httpx
import orjson
import pytest

from services.contract import vietnamese_day
from services.kit import clock
from services.metrics.domain import vectors
from services.metrics.domain.counts import COUNTS
from services.metrics.domain.rates import RATES
from tests.builders import FORMER_UNIT, OTHER_UNIT, PROCEDURE, UNIT, Json, event, paid, received, resolved, withdrawn
from tests.metrics import population
from tests.running import System


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _rates(client: httpx.Client, position: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - query parameters
    """Return the rates of October 2026 as of `position`, or of what else `params` ask for."""
    asked = {"period": "2026-10", "min_position": position, **params}
    answer: dict[str, Any] = client.get("/v1/rates", params=asked).raise_for_status().json()
    return answer


def _counts(answer: dict[str, Any], unit: str) -> dict[str, int]:
    (row,) = (row for row in answer["rows"] if row["unit"]["code"] == unit)
    counts: dict[str, int] = row["counts"]
    return counts


def test_the_first_read_after_a_write_sees_it(system: System) -> None:
    with system.client() as client:
        for number in range(10):
            position = _post(client, received(f"H37-{number}"))
            answer = _rates(client, position)

            assert answer["total"]["counts"]["received"] == number + 1
            assert int(answer["position"]) >= int(position)


def test_every_count_of_a_unit_is_where_its_dossiers_put_it(system: System) -> None:
    before, late = "2026-09-30T09:00:00+07:00", "2026-10-06T09:00:00+07:00"
    events = [
        received("H37-early", due_at="2026-10-06T17:00:00+07:00"),
        resolved("H37-early"),
        received("H37-on-the-day", channel="counter"),
        resolved("H37-on-the-day", at="2026-10-05T23:59:59+07:00"),
        received("H37-late", channel="postal"),
        paid("H37-late", method="cash", platform=None),
        resolved("H37-late", at=late),
        received("H37-paid", online_level="full"),
        paid("H37-paid"),
        resolved("H37-paid"),
        received("H37-withdrawn"),
        withdrawn("H37-withdrawn"),
        received("H37-declined"),
        event("declined", "H37-declined", {}, at=late),
        received("H37-stopped"),
        event("stopped", "H37-stopped", {}, at=late),
        received("H37-voided"),
        event("voided", "H37-voided", {"reason": "a test"}, at=late),
        event("declined", "H37-declined-at-once", {}, at="2026-10-05T08:00:00+07:00"),
        received("H37-pending"),
        received("H37-carried", at=before),
    ]

    with system.client() as client:
        answer = _rates(client, _post(client, *events))

    counts = _counts(answer, UNIT)
    assert {name: count for name, count in counts.items() if count} == {
        "received": 8,
        "received_counter": 1,
        "received_online": 6,
        "received_postal": 1,
        "carried_over": 1,
        "resolved": 4,
        "resolved_early": 1,
        "resolved_on_time": 2,
        "resolved_late": 1,
        "within_extension": 3,
        "electronic_result": 4,
        "full_online": 1,
        "offered_full_online": 1,
        "full_online_of_offered": 1,
        "declined": 1,
        "withdrawn": 1,
        "stopped": 1,
        "ended_early": 1,
        "ended_on_time": 3,
        "ended_late": 3,
        "ended_in_time": 3,
        "fell_due": 8,
        "fell_due_met": 3,
        "overdue_by_fact": 5,
        "pending": 2,
        "pending_overdue": 2,
        "fee_due": 8,
        "paid_online": 1,
        "payments": 2,
        "payments_online": 1,
        "fee_procedures": 1,
        "fee_procedures_paid_online": 1,
    }
    ended = counts["resolved"] + counts["declined"] + counts["withdrawn"] + counts["stopped"]
    assert counts["received"] + counts["carried_over"] == ended + counts["pending"]


def test_totals_are_the_sums_of_the_rows_and_percentages_come_from_them(system: System) -> None:
    events = [
        received("H37-1"),
        resolved("H37-1"),
        received("H37-2"),
        resolved("H37-2", at="2026-10-06T09:00:00+07:00"),
    ]
    others = [received("H37-3", receiving_unit=OTHER_UNIT), resolved("H37-3")]

    with system.client() as client:
        position = _post(client, *events, *others)
        answer = _rates(client, position)
        alone = _rates(client, position, by="none")

    total = answer["total"]
    summed = {*vectors.NAMES}, {rate.name for rate in RATES}
    for name in summed[0]:
        assert total["counts"][name] == sum(row["counts"][name] for row in answer["rows"])
    for name in summed[1]:
        for part in ("numerator", "denominator"):
            assert total["rates"][name][part] == sum(row["rates"][name][part] for row in answer["rows"])
    # One of two and one of one are two of three, and not the mean of 50 and 100.
    assert total["rates"]["on_time_of_resolved"]["percent"] == 66.67
    assert (alone["total"], alone["rows"]) == (total, [])


def test_nothing_to_divide_by_is_neither_zero_nor_a_hundred_percent(system: System) -> None:
    with system.client() as client:
        answer = _rates(client, _post(client, received("H37-1")))

    for figures in (answer["total"], *answer["rows"]):
        for rate in figures["rates"].values():
            if rate["denominator"] == 0:
                assert (rate["numerator"], rate["percent"], rate["met"]) == (0, None, None)
    assert answer["total"]["rates"]["on_time_of_resolved"]["denominator"] == 0


def test_a_target_is_judged_by_the_exact_share(system: System) -> None:
    dossiers = [(received(f"H37-{number}"), resolved(f"H37-{number}")) for number in range(99)]
    late = (received("H37-late"), resolved("H37-late", at="2026-10-06T09:00:00+07:00"))

    with system.client() as client:
        position = _post(client, *itertools.chain(*dossiers, late))
        at_target = _rates(client, position)["total"]["rates"]["on_time_of_resolved"]
        position = _post(client, received("H37-more"), resolved("H37-more"))
        above_target = _rates(client, position)["total"]["rates"]["on_time_of_resolved"]

    # The plan asks for more than 99 %.
    assert (at_target["percent"], at_target["target"], at_target["met"]) == (99.0, 99.0, False)
    assert (above_target["percent"], above_target["met"]) == (99.01, True)


def test_every_way_to_write_a_period_is_understood(system: System) -> None:
    spans = {
        "2026": ("2026-01-01", "2026-12-31", 1),
        "2026-H2": ("2026-07-01", "2026-12-31", 1),
        "2026-Q3": ("2026-07-01", "2026-09-30", 0),
        "2026-Q4": ("2026-10-01", "2026-12-31", 1),
        "2026-10": ("2026-10-01", "2026-10-31", 1),
        "2026-10-05": ("2026-10-05", "2026-10-05", 1),
        "2026-10-06": ("2026-10-06", "2026-10-06", 0),
        "2026-10-01..2026-10-05": ("2026-10-01", "2026-10-05", 1),
        "2024-02": ("2024-02-01", "2024-02-29", 0),
    }

    with system.client() as client:
        position = _post(client, received("H37-1"))
        answers = {label: _rates(client, position, period=label, by="none") for label in spans}

    assert {
        label: (answer["period"]["from"], answer["period"]["to"], answer["total"]["counts"]["received"])
        for label, answer in answers.items()
    } == spans
    assert [answer["period"]["label"] for answer in answers.values()] == list(spans)


def test_what_asks_for_nothing_that_exists_is_a_problem(system: System) -> None:
    periods = [
        "",
        "26",
        "2026-13",
        "2026-Q5",
        "2026-H0",
        "2026-02-30",
        "2026-10-05..2026-10-01",
        "2026-W40",
        "0000",
        "x",
    ]
    others = ["by=colour", "role=owner", "kind=province", "boundaries=future", "min_position=x", "min_position=-1"]

    with system.client() as client:
        of_periods = {period: client.get("/v1/rates", params={"period": period}) for period in periods}
        of_others = {query: client.get(f"/v1/rates?period=2026-10&{query}") for query in others}
        missing = client.get("/v1/rates")

    assert {period: answer.status_code for period, answer in of_periods.items()} == dict.fromkeys(periods, 422)
    assert {answer.json()["code"] for answer in of_periods.values()} == {"invalid_period"}
    assert {query: answer.status_code for query, answer in of_others.items()} == dict.fromkeys(others, 422)
    assert (missing.status_code, missing.json()["errors"][0]["parameter"]) == (422, "period")


def test_an_answer_that_would_be_the_same_is_not_sent_again_until_something_changes(system: System) -> None:
    params = {"period": "2026-10"}

    with system.client() as client:
        first = _post(client, received("H37-1"))
        read = client.get("/v1/rates", params={**params, "min_position": first})
        known = {"If-None-Match": read.headers["etag"]}
        unchanged = client.get("/v1/rates", params=params, headers=known)
        other_question = client.get("/v1/rates", params={**params, "role": "receiving"}, headers=known)
        second = _post(client, received("H37-2"))
        changed = client.get("/v1/rates", params={**params, "min_position": second}, headers=known)

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == read.headers["etag"]
    assert unchanged.headers["motcua-position"] == first
    assert other_question.status_code == 200
    assert changed.status_code == 200
    assert changed.headers["etag"] != read.headers["etag"]
    assert changed.headers["cache-control"] == "private, no-cache"


def test_a_position_that_is_not_counted_in_time_is_a_problem_that_asks_to_come_back(system: System) -> None:
    with system.client() as client:
        began = time.monotonic()
        answer = client.get("/v1/rates", params={"period": "2026-10", "min_position": "999999999"})
        lasted = time.monotonic() - began

    assert (answer.status_code, answer.json()["code"]) == (503, "not_counted_yet")
    assert answer.headers["retry-after"] == "1"
    assert 9 < lasted < 15


def test_the_role_decides_which_unit_a_dossier_counts_for(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-1", resolving_unit=OTHER_UNIT))
        by_role = {role: _rates(client, position, role=role) for role in ("resolving", "receiving")}

    assert [_counts(by_role["resolving"], unit)["received"] for unit in (UNIT, OTHER_UNIT)] == [0, 1]
    assert [_counts(by_role["receiving"], unit)["received"] for unit in (UNIT, OTHER_UNIT)] == [1, 0]


def test_units_and_their_kinds_can_be_asked_for(system: System) -> None:
    events = [
        received("H37-1"),
        received("H37-2", receiving_unit=OTHER_UNIT),
        received("H37-3", receiving_unit="LS-STP"),
    ]

    with system.client() as client:
        position = _post(client, *events)
        two = _rates(client, position, unit=[UNIT, OTHER_UNIT])
        departments = _rates(client, position, kind="department")
        communes = _rates(client, position, kind="commune")

    assert [row["unit"]["code"] for row in two["rows"]] == [UNIT, OTHER_UNIT]
    assert two["total"]["counts"]["received"] == 2
    assert {row["unit"]["kind"] for row in departments["rows"]} == {"department"}
    assert (departments["total"]["counts"]["received"], communes["total"]["counts"]["received"]) == (1, 2)
    assert (len(communes["rows"]), len(departments["rows"])) == (65, 14)


def test_a_unit_that_names_none_in_the_period_is_a_problem_and_not_an_empty_answer(system: System) -> None:
    with system.client() as client:
        answers = [
            client.get("/v1/rates", params={"period": "2026-10", "unit": [UNIT, code]})
            for code in ("99999", FORMER_UNIT)
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "unknown_unit")] * 2


def test_a_former_unit_has_a_row_in_the_periods_in_which_it_counts_for_something_alone(system: System) -> None:
    with system.client() as client:
        position = _post(
            client,
            received("H1", at="2025-07-05T09:00:00+07:00"),
            received("H2", at="2025-05-05T09:00:00+07:00", receiving_unit=FORMER_UNIT),
            withdrawn("H2", at="2025-05-05T10:00:00+07:00"),
        )
        answers = {
            period: _rates(client, position, period=period, boundaries="historical")
            for period in ("2025-05", "2026-10")
        }
        rows = {period: [row["unit"]["code"] for row in answer["rows"]] for period, answer in answers.items()}

    assert FORMER_UNIT in rows["2025-05"]
    assert FORMER_UNIT not in rows["2026-10"]


def test_a_former_units_dossiers_count_for_its_successor_or_for_itself_as_asked(system: System) -> None:
    before = "2025-06-02T09:00:00+07:00"
    events = [
        received("H37-1", at=before, receiving_unit=FORMER_UNIT),
        received("H37-2", at=before, receiving_unit=UNIT),
        received("H37-3"),
    ]

    with system.client() as client:
        position = _post(client, *events)
        current = _rates(client, position, period="2025-01-01..2026-12-31")
        historical = _rates(client, position, period="2025-01-01..2026-12-31", boundaries="historical")

    assert _counts(current, UNIT)["received"] == 3
    assert [
        (row["unit"]["code"], row["unit"]["name"], row["unit"]["valid_to"])
        for row in historical["rows"]
        if row["counts"]["received"] == 1
    ] == [
        (UNIT, "Phường Vĩnh Trại", "2025-06-30"),
        (UNIT, "Phường Đông Kinh", None),
        (FORMER_UNIT, "Phường Đông Kinh", "2025-06-30"),
    ]
    assert current["total"] == historical["total"]


def test_a_correction_moves_a_dossier_and_leaves_nothing_behind(system: System) -> None:
    late = resolved("H37-1", at="2026-10-06T09:00:00+07:00", event_id="late")
    in_time = resolved("H37-1", at="2026-10-05T09:00:00+07:00", event_id="in-time")

    with system.client() as client:
        before = _rates(client, _post(client, received("H37-1"), late))["total"]["counts"]
        # An outcome that is told later but happened earlier is the one that stands.
        after = _rates(client, _post(client, in_time))["total"]["counts"]

    assert (before["resolved"], before["resolved_late"], before["resolved_on_time"]) == (1, 1, 0)
    assert (after["resolved"], after["resolved_late"], after["resolved_on_time"]) == (1, 0, 1)


def test_a_receipt_at_the_first_instant_of_a_period_counts_in_it_and_not_in_the_one_before(system: System) -> None:
    """In OpenCPS it fell into the period before; and midnight in Vietnam is 17:00 of the day before in UTC."""
    with system.client() as client:
        position = _post(
            client,
            received("H37-first", at="2026-10-01T00:00:00+07:00"),
            received("H37-first-in-utc", at="2026-09-30T17:00:00Z"),
            received("H37-last", at="2026-10-31T23:59:59.999999+07:00"),
            received("H37-before", at="2026-09-30T23:59:59.999999+07:00"),
            received("H37-after", at="2026-10-31T17:00:00Z"),
        )
        periods = ["2026-09", "2026-10", "2026-11", "2026-Q3", "2026-Q4", "2026-10-01", "2026-10-31"]
        counted = [_rates(client, position, period=period)["total"]["counts"]["received"] for period in periods]

    assert counted == [1, 3, 1, 1, 4, 2, 1]


def test_an_outcome_told_a_year_late_still_counts_in_its_month(system: System) -> None:
    """GOV.UK Notify assumes that nothing changes after nine days; elsewhere late data leaves figures stale for ever."""
    told = [
        received("H37-1", at="2025-08-04T08:30:00+07:00", due_at="2025-08-05T17:00:00+07:00"),
        resolved("H37-1", at="2025-08-05T10:00:00+07:00"),
    ]

    with system.client() as client:
        before = _rates(client, _post(client, told[0]), period="2025-08")["total"]["counts"]
        after = _rates(client, _post(client, told[1]), period="2025-08")["total"]["counts"]

    assert (before["resolved"], before["pending"]) == (0, 1)
    assert (after["resolved_on_time"], after["pending"]) == (1, 0)


def test_a_figure_already_told_is_corrected_by_correcting_or_retracting_the_event_behind_it(system: System) -> None:
    """DIGIT refuses whatever comes for a day that was told before, so that a wrong number stays."""
    late = resolved("H37-1", at="2026-10-06T09:00:00+07:00")
    changed = {"event_id": late["id"], "time": "2026-10-05T09:00:00+07:00"}
    correction = event("corrected", "H37-1", changed, at="2026-10-07T09:00:00+07:00")
    retraction = event("retracted", "H37-1", {"event_id": late["id"], "reason": "x"}, at="2026-10-08T09:00:00+07:00")

    with system.client() as client:
        told = [
            _rates(client, _post(client, *events))["total"]["counts"]
            for events in ([received("H37-1"), late], [correction], [retraction])
        ]

    measures = ("resolved_late", "resolved_on_time", "pending")
    assert [[counts[name] for name in measures] for counts in told] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_a_dossier_of_the_future_is_in_no_figure_of_today(system: System) -> None:
    """Open Zaak takes a case that begins in 2030, says 201 and nothing else."""
    with system.client() as client:
        position = _post(client, received("H37-1", at="2090-01-02T08:30:00+07:00", due_at=None))
        counts = _rates(client, position, period="2026")["total"]["counts"]
        flags = client.get("/v1/dossiers/H37-1").json()["dossier"]["flags"]

    assert {counts[name] for name in vectors.NAMES} == {0}
    assert "future_time" in flags


def test_a_unit_put_just_now_is_counted_with_its_first_event(system: System) -> None:
    unit = {"code": "99999", "name": "Xã Mới", "kind": "commune", "valid_from": "2026-10-01"}

    with system.client() as client:
        client.put("/v1/units", json=[unit]).raise_for_status()
        answer = _rates(client, _post(client, received("H37-1", receiving_unit="99999")))

    assert _counts(answer, "99999")["received"] == 1


def test_a_unit_put_just_now_is_known_to_the_rates_within_seconds_though_nothing_was_recorded(system: System) -> None:
    unit = {"code": "99999", "name": "Xã Mới", "kind": "commune", "valid_from": "2026-10-01"}
    params = {"period": "2026-10", "unit": "99999"}

    with system.client() as client:
        client.put("/v1/units", json=[unit]).raise_for_status()
        deadline = time.monotonic() + 5
        while (answer := client.get("/v1/rates", params=params)).status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.1)

    assert answer.status_code == 200
    assert [row["unit"]["name"] for row in answer.json()["rows"]] == ["Xã Mới"]


def test_gia_lais_january_2025_comes_out_as_published(system: System) -> None:
    """13,794 early, 134 on the day and 651 late are 13,928 of 14,579: 95.53 %."""
    ends = ["2025-01-14T16:00:00+07:00"] * 13_794 + ["2025-01-15T16:00:00+07:00"] * 134
    ends += ["2025-01-16T16:00:00+07:00"] * 651
    received_at, due_at = "2025-01-10T08:00:00+07:00", "2025-01-15T17:00:00+07:00"
    events = [
        event
        for number, ended_at in enumerate(ends)
        for event in (
            received(f"H21-{number}", at=received_at, due_at=due_at, receiving_unit=FORMER_UNIT),
            resolved(f"H21-{number}", at=ended_at),
        )
    ]

    position = "0"
    with system.client() as client:
        for start in range(0, len(events), 5_000):
            position = _post(client, *events[start : start + 5_000])
        answer = _rates(client, position, period="2025-01", boundaries="historical")

    counts, rate = _counts(answer, FORMER_UNIT), answer["total"]["rates"]["on_time_of_resolved"]
    assert position == "29158"
    assert [counts[name] for name in ("resolved_early", "resolved_on_time", "resolved_late")] == [13_794, 134, 651]
    assert [counts[name] for name in ("received", "resolved", "pending")] == [14_579, 14_579, 0]
    assert (rate["numerator"], rate["denominator"], rate["percent"]) == (13_928, 14_579, 95.53)
    # Of 2025 no plan asks anything yet.
    assert (rate["target"], rate["met"]) == (None, None)


# --- However it is told apart -----------------------------------------------------------------------------------------

_BYS = ("field", "procedure", "channel", "day", "week", "month", "none")
_SUMMED = [count.name for count in COUNTS if count.nature == "flow"]


def test_the_total_is_the_same_however_the_rows_are_told_apart(system: System) -> None:
    random = Random(7)
    with system.client() as client:
        position = population.record(client, dossiers=150, seed=7)
        for period in ("2025-07", "2025-06-10..2025-08-20", "2025-Q3"):
            asked = {
                "period": period,
                "role": random.choice(["resolving", "receiving"]),
                "boundaries": random.choice(["current", "historical"]),
                **random.choice([{}, {"kind": "commune"}, {"channel": "online"}, {"procedure": "days"}]),
            }
            by_unit = _rates(client, position, **asked)

            for by in _BYS:
                answer = _rates(client, position, by=by, **asked)

                for name in vectors.NAMES:
                    assert answer["total"]["counts"][name] == by_unit["total"]["counts"][name], (asked, by, name)
                for rate in RATES:
                    assert answer["total"]["rates"][rate.name] == by_unit["total"]["rates"][rate.name], (asked, by)
                if by != "none":
                    for name in _SUMMED:
                        rows = [row["counts"][name] for row in answer["rows"]]
                        assert sum(rows) == answer["total"]["counts"][name], (asked, by, name)


def test_filters_leave_out_what_is_not_asked_for_and_several_are_all_true_at_once(system: System) -> None:
    with system.client() as client:
        position = population.record(client, dossiers=150, seed=8)
        rows = {
            by: _rates(client, position, period="2025-07", by=by)["rows"] for by in ("procedure", "field", "channel")
        }

        for by, told in rows.items():
            for row in told:
                code = row[by]["code"] if isinstance(row[by], dict) else row[by]
                if code is None:
                    continue
                alone = _rates(client, position, period="2025-07", by="none", **{by: code})["total"]["counts"]
                names = vectors.NAMES
                assert {name: alone[name] for name in names} == {name: row["counts"][name] for name in names}, code
        both = _rates(
            client, position, period="2025-07", by="channel", procedure=["days", "calendar"], channel="online"
        )
        neither = _rates(client, position, period="2025-07", by="none", procedure="days", field="no-such-field")

    assert [row["channel"] for row in both["rows"]] == ["online"]
    by_procedure = {row["procedure"]["code"]: row["counts"]["received"] for row in rows["procedure"]}
    assert 0 < both["total"]["counts"]["received"] < by_procedure["days"] + by_procedure["calendar"]
    assert {neither["total"]["counts"][name] for name in vectors.NAMES} == {0}


def test_fields_and_procedures_are_told_by_their_names_and_what_is_unknown_without_one(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H1"), received("H2", procedure="9.999999"))
        fields = _rates(client, position, by="field")["rows"]
        procedures = _rates(client, position, by="procedure")["rows"]

    assert [row["field"] for row in fields] == [{"code": "CT", "name": "Chứng thực"}, None]
    assert [row["procedure"]["code"] for row in procedures] == [PROCEDURE, "9.999999"]
    assert procedures[0]["procedure"]["name"]
    assert procedures[1]["procedure"]["name"] is None


def test_a_running_period_is_counted_up_to_today_and_says_so(system: System) -> None:
    today = vietnamese_day(clock.now())
    due_at = f"{today + timedelta(days=1)}T17:00:00+07:00"
    events = [
        received("H-now", at=f"{today}T00:00:00+07:00", due_at=due_at),
        received("H-due", at=f"{today}T00:00:00+07:00", due_at=f"{today}T23:59:59+07:00"),
        received("H-ahead", at=f"{today + timedelta(days=1)}T08:00:00+07:00", due_at=due_at),
    ]
    whole = f"{today - timedelta(days=3)}..{today + timedelta(days=3)}"
    with system.client() as client:
        position = _post(client, *events)
        running = _rates(client, position, period=whole, by="day")
        ahead = _rates(client, position, period=f"{today + timedelta(days=1)}..{today + timedelta(days=3)}", by="none")

    assert (running["counted_to"], running["period"]["to"]) == (f"{today}", f"{today + timedelta(days=3)}")
    assert [row["day"]["label"] for row in running["rows"]] == [f"{today - timedelta(days=n)}" for n in (3, 2, 1, 0)]
    counts = running["total"]["counts"]
    assert (counts["received"], counts["pending"], counts["fell_due"], counts["pending_overdue"]) == (2, 2, 0, 0)
    counts = ahead["total"]["counts"]
    assert (counts["received"], counts["carried_over"], counts["fell_due"]) == (1, 2, 2)


def test_statutory_months_run_from_the_fifteenth_to_the_fourteenth(system: System) -> None:
    with system.client() as client:
        days = ("2026-09-14", "2026-09-15", "2026-10-14", "2026-10-15")
        events = [received(f"H{day}", at=f"{day}T09:00:00+07:00", due_at=None) for day in days]
        position = _post(client, *events)
        october = _rates(client, position, cutoff="statutory", by="none")
        months = _rates(client, position, period="2026-09..2026-11", cutoff="statutory", by="month")

    assert (october["period"]["from"], october["period"]["to"]) == ("2026-09-15", "2026-10-14")
    assert (october["total"]["counts"]["received"], october["total"]["counts"]["carried_over"]) == (2, 1)
    told = [(row["month"]["label"], row["month"]["from"], row["counts"]["received"]) for row in months["rows"]]
    assert told[:2] == [("2026-09", "2026-08-15", 1), ("2026-10", "2026-09-15", 2)]


def test_more_pieces_than_can_be_told_are_a_problem(system: System) -> None:
    with system.client() as client:
        answer = client.get("/v1/rates", params={"period": "2024..2026", "by": "day"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_period")


def test_an_answer_as_a_file_holds_the_rows_and_says_what_it_counts(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H1"), resolved("H1"))
        asked = {"period": "2026-10", "unit": UNIT, "min_position": position}
        by_parameter = client.get("/v1/rates", params={**asked, "format": "csv"})
        by_header = client.get("/v1/rates", params=asked, headers={"Accept": "text/csv"})
        json = client.get("/v1/rates", params=asked)

    rows = list(csv.DictReader(io.StringIO(by_parameter.text.lstrip("\ufeff"))))
    assert by_parameter.content == by_header.content
    assert len({answer.headers["etag"] for answer in (by_parameter, json)}) == 2
    assert by_parameter.headers["etag"] == by_header.headers["etag"]
    assert 'filename="rates-2026-10-unit-resolving.csv"' in by_parameter.headers["content-disposition"]
    assert [(row["code"], row["resolved"], row["on_time_of_resolved_percent"]) for row in rows] == [
        (UNIT, "1", "100.00")
    ]


@pytest.mark.parametrize(
    ("taken", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("identity", None),
        ("br", None),
        ("gzip;q=0, *", None),
        ("", None),
    ],
)
def test_an_answer_is_compressed_for_whoever_takes_it_so(system: System, taken: str, encoding: str | None) -> None:
    with system.client() as client:
        system.await_units()
        plain = client.get("/v1/rates", params={"period": "2026-10"}, headers={"Accept-Encoding": "identity"})
        answer = client.get("/v1/rates", params={"period": "2026-10"}, headers={"Accept-Encoding": taken})

    assert answer.headers.get("content-encoding") == encoding
    assert answer.content == plain.content
    assert (answer.num_bytes_downloaded < len(plain.content) / 4) == (encoding == "gzip")
    assert (answer.headers["etag"] == plain.headers["etag"]) == (encoding is None)
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept, Accept-Encoding, Authorization"


def test_each_encoding_of_an_answer_is_found_unchanged_and_true_up_to_now(system: System) -> None:
    september = {"period": "2026-09"}

    with system.client() as client:
        first = _post(client, received("H37-1"))
        answers = []
        for taken in ("gzip", "identity"):
            read = client.get(
                "/v1/rates", params={**september, "min_position": first}, headers={"Accept-Encoding": taken}
            )
            known = {"If-None-Match": read.headers["etag"]}
            same, other = (
                client.get("/v1/rates", params=september, headers={"Accept-Encoding": encoding, **known})
                for encoding in (taken, {"gzip": "identity", "identity": "gzip"}[taken])
            )
            answers.append((read, same, other))
        second = _post(client, received("H37-2"))
        later = client.get(
            "/v1/rates", params={**september, "min_position": second}, headers={"Accept-Encoding": "gzip"}
        )
        workbook = client.get("/v1/rates", params={**september, "format": "xlsx"}, headers={"Accept-Encoding": "gzip"})

    assert [[answer.status_code for answer in each] for each in answers] == [[200, 304, 200]] * 2
    assert [same.headers["etag"] for _, same, _ in answers] == [read.headers["etag"] for read, _, _ in answers]
    # Nothing of September has changed, and the answer says up to where that is so.
    assert later.headers["etag"] == answers[0][0].headers["etag"]
    assert (answers[0][0].json()["position"], later.json()["position"]) == (first, second)
    assert (workbook.status_code, workbook.headers.get("content-encoding")) == (200, None)


def test_the_etag_of_a_month_that_is_over_outlives_what_happens_later_and_no_late_word_about_it(system: System) -> None:
    params = {"period": "2026-09"}
    with system.client() as client:
        position = _post(client, received("H1", at="2026-09-07T09:00:00+07:00", due_at=None))
        read = client.get("/v1/rates", params={**params, "min_position": position})
        known = {"If-None-Match": read.headers["etag"]}

        def status(*events: Json) -> int:
            asked = {**params, "min_position": _post(client, *events)}
            return client.get("/v1/rates", params=asked, headers=known).status_code

        later = status(received("H2"), resolved("H2"))
        late = status(received("H3", at="2026-09-30T23:00:00+07:00", due_at=None))
        read = client.get("/v1/rates", params=params)
        known = {"If-None-Match": read.headers["etag"]}
        # Open since August, it was carried over into September and pending at its end.
        before = status(received("H4", at="2026-08-03T09:00:00+07:00", due_at=None))

    assert (later, late, before) == (304, 200, 200)


# --- Units that come, go and are merged -------------------------------------------------------------------------------


def _put_units(client: httpx.Client, *units: Json) -> None:
    """Store units, and wait until rates know them."""
    version = client.put("/v1/units", json=list(units)).raise_for_status().headers["motcua-reference"]
    assert version
    # The next event is folded and counted with them; it is over before everything that is asked about.
    long_ago = "2020-01-02T09:00:00+07:00"
    of_long_ago = received(f"K{version}", at=long_ago, due_at=None), withdrawn(f"K{version}", at=long_ago)
    _rates(client, _post(client, *of_long_ago))


def _unit_of(client: httpx.Client, code: str) -> Json:
    (unit,) = (unit for unit in client.get("/v1/units").json()["items"] if unit["code"] == code)
    return dict(unit)


def _without_position(answer: httpx.Response) -> bytes:
    return re.sub(rb'"position":"\d+",', b"", answer.content)


def test_merging_a_unit_into_a_live_one_loses_no_dossier(system: System) -> None:
    """DHIS2 merges by deleting, and could not merge into a facility that was alive."""
    year = {"period": "2026", "kind": "commune"}
    with system.client() as client:
        gone, stays = _unit_of(client, OTHER_UNIT), _unit_of(client, UNIT)
        position = _post(
            client,
            received("H1"),
            received("H2", receiving_unit=OTHER_UNIT),
            resolved("H2"),
            received("H3", receiving_unit=OTHER_UNIT, at="2026-03-02T09:00:00+07:00", due_at=None),
        )
        before = {
            boundaries: client.get("/v1/rates", params={**year, "boundaries": boundaries, "min_position": position})
            for boundaries in ("current", "historical")
        }
        # Phường Lương Văn Tri ends in October, and Phường Đông Kinh, which lives on, takes it in.
        end = {**gone, "valid_to": "2026-10-31", "successors": [UNIT]}
        heir = {**stays, "code": UNIT, "valid_from": "2026-11-01", "valid_to": None, "predecessors": [OTHER_UNIT, UNIT]}
        _put_units(client, end, {**stays, "valid_to": "2026-10-31", "successors": [UNIT]}, heir)
        merged = client.get("/v1/rates", params=year)
        as_it_was = client.get("/v1/rates", params={**year, "boundaries": "historical"})
        position = _post(client, received("H4", at="2026-11-02T09:00:00+07:00", due_at=None))
        went_on = _rates(client, position, **year)

    totals = [answer.json()["total"]["counts"] for answer in (before["current"], merged, as_it_was)]
    assert totals == [totals[0]] * 3
    by_unit = {
        (row["unit"]["code"], row["unit"]["valid_from"]): row["counts"]["received"]
        for row in merged.json()["rows"]
        if row["counts"]["received"]
    }
    assert by_unit == {(UNIT, "2026-11-01"): 3}
    old = {(row["unit"]["code"], row["counts"]["received"]) for row in as_it_was.json()["rows"]}
    assert {(UNIT, 1), (OTHER_UNIT, 2)} <= old
    assert _counts_of_version(went_on, UNIT, "2026-11-01")["received"] == 4
    assert went_on["total"]["counts"]["received"] == totals[0]["received"] + 1


def _counts_of_version(answer: dict[str, Any], code: str, since: str) -> dict[str, int]:
    (row,) = (r for r in answer["rows"] if (r["unit"]["code"], r["unit"]["valid_from"]) == (code, since))
    counts: dict[str, int] = row["counts"]
    return counts


def test_what_a_merger_changed_is_as_before_when_it_is_taken_back(system: System) -> None:
    asked = {"period": "2026-10"}
    with system.client() as client:
        gone = _unit_of(client, OTHER_UNIT)
        _rates(client, _post(client, received("H1"), received("H2", receiving_unit=OTHER_UNIT)))

        def told() -> dict[str, bytes]:
            return {
                boundaries: _without_position(client.get("/v1/rates", params={**asked, "boundaries": boundaries}))
                for boundaries in ("current", "historical")
            }

        before = told()
        # The unit that takes it in begins when the other one's end has passed.
        _put_units(
            client,
            {**gone, "valid_to": "2026-11-30", "successors": ["99999"]},
            {"code": "99999", "name": "Phường Mới", "kind": "commune", "valid_from": "2026-12-01"},
        )
        merged = told()
        _put_units(client, gone)
        after = told()

    assert merged["current"] != before["current"]
    assert b'"99999"' in merged["current"]
    assert _figures(merged["historical"]) == _figures(before["historical"])
    assert after == before


def _figures(content: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return an answer's figures by unit, whatever is told of the units themselves."""
    answer = orjson.loads(content)
    return [(row["unit"]["code"], row["counts"]) for row in answer["rows"]], answer["total"]


def test_a_unit_that_was_split_is_carried_on_by_the_successor_it_names_first(system: System) -> None:
    with system.client() as client:
        units = client.get("/v1/units", params={"versions": "all"}).json()["items"]
        split = [unit for unit in units if unit["kind"] == "commune" and len(unit["successors"]) > 1]
        events = [
            received(f"H{unit['code']}", at="2025-06-02T09:00:00+07:00", receiving_unit=unit["code"], due_at=None)
            for unit in split
        ]
        position = _post(client, *events)
        answer = _rates(client, position, period="2025-06")

    counted = {row["unit"]["code"]: row["counts"]["received"] for row in answer["rows"] if row["counts"]["received"]}
    firsts = Counter(unit["successors"][0] for unit in split)
    assert len(split) == 2
    assert counted == dict(firsts)
    assert answer["total"]["counts"]["received"] == 2
