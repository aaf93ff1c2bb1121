"""A forecast is made from the days that are over, told for each unit and for all, and never from a day to come."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from services.contract import vietnamese_day
from services.kit import clock
from services.metrics.domain import tally
from services.metrics.domain.boundaries import Version
from services.metrics.domain.forecast import Arrived, Done, Ended, Known, Open
from services.metrics.domain.tally import BIT, Counted
from services.metrics.domain.vectors import Cut
from services.metrics.store import counting, forecasts
from services.metrics.store.figures import Book
from tests.builders import OTHER_UNIT, UNIT, Json, received, resolved
from tests.metrics.standings import SINCE, database, drawn
from tests.running import PROVINCE, System

_OCTOBER = Cut(date(2026, 10, 1), date(2026, 10, 31), running=False)
_HIDDEN = "LS-STP"


def _name(version: Version) -> str | None:
    """Return the code, so that versions of one code add up; one unit is not to be told of."""
    return None if version[0] == _HIDDEN else version[0]


def _rows(known: Known) -> dict[str, dict[Any, int]]:
    """Return the rows of each kind with those of one unit added up, as the forecast itself does."""
    found: dict[str, dict[Any, int]] = {}
    for kind in ("ended", "arrived", "open"):
        numbers: Counter[Any] = Counter()
        for row in getattr(known, kind):
            numbers[row[:-1]] += row.dossiers
        found[kind] = dict(numbers)
    done: Counter[Any] = Counter()
    for unit, in_time, late in known.done:
        done[unit, "in_time"] += in_time
        done[unit, "late"] += late
    return {**found, "done": {key: number for key, number in done.items() if number}}


def _expected(stands: Sequence[Counted], on_day: date, role: tally.Role) -> Known:
    """Go through all dossiers one by one."""
    known = Known(since=on_day, on_day=on_day, last_day=_OCTOBER.last, ended=[], arrived=[], open=[], done=[])
    ended, arrived, waiting, done = [], [], [], []
    received_on = [one.received_on for one in stands if one.received_on is not None and _version(one, role)]
    since = min(max(min(received_on), on_day - timedelta(days=89)), on_day)
    for one in stands:
        version = _version(one, role)
        unit = None if version is None else _name(version)
        if unit is None or one.received_on is None or one.received_on > on_day:
            continue
        if one.received_on >= since and not one.at_receipt & BIT["received_without_due"]:
            arrived.append(Arrived(unit, one.received_on.weekday(), 1))
        if one.closes_on is not None and one.closes_on <= on_day:
            if one.status == "resolved" and one.falls_due_on is not None and one.closes_on >= since:
                term, offset = (one.falls_due_on - one.received_on).days, (one.closes_on - one.falls_due_on).days
                ended.append(Ended(unit, term, offset, 1))
            timing = [bool(one.at_end & BIT[name]) for name in ("resolved_early", "resolved_on_time", "resolved_late")]
            if one.closes_on >= _OCTOBER.first and any(timing):
                done.append(Done(unit, int(timing[0] or timing[1]), int(timing[2])))
        elif one.falls_due_on is not None:
            waiting.append(Open(unit, one.falls_due_on, 1))
    return Known(
        since=since,
        on_day=known.on_day,
        last_day=known.last_day,
        ended=ended,
        arrived=arrived,
        open=waiting,
        done=done if on_day >= _OCTOBER.first else [],
    )


def _version(one: Counted, role: tally.Role) -> Version | None:
    code, since = (
        (one.resolving_unit, one.resolving_unit_since)
        if role == "resolving"
        else (one.receiving_unit, one.receiving_unit_since)
    )
    return None if code is None or since is None else (code, since)


@pytest.mark.parametrize("role", ["resolving", "receiving"])
def test_a_forecast_is_made_from_what_each_dossier_counts_for(database_url: str, role: tally.Role) -> None:
    random = Random(7)
    stands = [tally.counted(drawn(random, f"H{n}"))._replace(position=n) for n in range(300)]

    async def found() -> Iterator[Known]:
        async with database(database_url) as engine, engine.begin() as transaction:
            await counting.count(transaction, PROVINCE, 1, stands)
            book = Book(PROVINCE, 1, role)
            return iter([await forecasts.known(transaction, book, _OCTOBER, day, _name) for day in days])

    days = [date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 15), date(2026, 10, 31)]
    for day, known in zip(days, asyncio.run(found()), strict=True):
        expected = _expected(stands, day, role)
        assert _rows(known) == _rows(expected), day
        assert (known.since, known.on_day, known.last_day) == (expected.since, day, _OCTOBER.last)
        assert all(_rows(known)[kind] for kind in ("ended", "arrived", "open")), "there was something to compare"


def test_no_more_than_ninety_days_are_looked_at(database_url: str) -> None:
    random = Random(8)
    stands = [tally.counted(drawn(random, f"H{n}"))._replace(position=n) for n in range(40)]

    async def since() -> date:
        async with database(database_url) as engine, engine.begin() as transaction:
            await counting.count(transaction, PROVINCE, 1, stands)
            december = Cut(date(2026, 12, 1), date(2026, 12, 31), running=False)
            known = await forecasts.known(
                transaction, Book(PROVINCE, 1, "resolving"), december, date(2026, 12, 20), _name
            )
            return known.since

    assert asyncio.run(since()) == date(2026, 9, 22)


# --- Over HTTP --------------------------------------------------------------------------------------------------------


def _dossiers(unit: str, resolved_ones: int, late: int, waiting: int) -> Iterator[Json]:
    """Yield dossiers of a week in October: some resolved by the 12th, some due on the 20th and open."""
    for number in range(resolved_ones):
        code, is_late = f"H37-{unit}-{number}", number < late
        yield received(code, receiving_unit=unit, due_at="2026-10-09T17:00:00+07:00")
        yield resolved(code, at=f"2026-10-{12 if is_late else 8:02}T09:00:00+07:00")
    for number in range(waiting):
        yield received(f"H37-{unit}-open-{number}", receiving_unit=unit, due_at="2026-10-20T17:00:00+07:00")


def _forecast(client: httpx.Client, **params: Any) -> Any:  # noqa: ANN401 - JSON
    return client.get("/v1/forecast", params={"on": "2026-10-15", **params}).raise_for_status().json()


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _row(answer: Any, unit: str) -> Any:  # noqa: ANN401 - JSON
    (row,) = (row for row in answer["rows"] if row["unit"]["code"] == unit)
    return row


def test_a_unit_learns_what_falls_due_and_what_its_month_may_end_with(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_dossiers(UNIT, 20, 1, 7), *_dossiers(OTHER_UNIT, 20, 0, 0))
        answer = _forecast(client, min_position=position)

    row = _row(answer, UNIT)
    assert (answer["on"], answer["month"], answer["role"]) == ("2026-10-15", "2026-10", "resolving")
    # Fourteen days, of which the one asked about is the first.
    assert [day["on"] for day in row["due"]] == [str(date(2026, 10, 15) + timedelta(days=n)) for n in range(14)]
    assert [day for day in row["due"] if day["dossiers"]] == [{"on": "2026-10-20", "dossiers": 7}]
    assert row["overdue_now"] == 0
    assert row["reason"] is None
    assert row["expected"]["lowest"] <= row["expected"]["low"] <= row["expected"]["percent"]
    assert row["expected"]["percent"] <= row["expected"]["high"] <= row["expected"]["highest"] <= 100
    # 20 have ended, 7 are open, and the two Mondays ahead bring half each of what came on one of two Mondays.
    assert row["expected"]["denominator"] == pytest.approx(20 + 7 + 2 * 27 / 2, abs=1)
    assert answer["total"]["expected"]["denominator"] == pytest.approx(54 + 40, abs=2)
    # Received on the 5th, seen to the 14th.
    assert row["history_days"] == 10


def test_what_was_open_at_the_end_of_its_due_day_is_overdue_on_the_next(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_dossiers(UNIT, 20, 1, 7))
        on_the_day = _forecast(client, on="2026-10-20", min_position=position)
        day_after = _forecast(client, on="2026-10-21")

    assert [_row(answer, UNIT)["overdue_now"] for answer in (on_the_day, day_after)] == [0, 7]


def test_a_unit_without_dossiers_has_a_row_and_nothing_to_expect(system: System) -> None:
    system.await_units()
    with system.client() as client:
        before = _forecast(client)
        after = _forecast(client, min_position=_post(client, *_dossiers(UNIT, 20, 1, 7)))

    assert _row(before, OTHER_UNIT)["reason"] == before["total"]["reason"] == "no_history"
    assert _row(after, OTHER_UNIT)["reason"] == "nothing_expected"
    assert _row(after, OTHER_UNIT)["expected"] is None


def test_the_units_asked_for_are_told_as_in_the_answer_about_all_and_the_total_is_theirs(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_dossiers(UNIT, 20, 1, 7), *_dossiers(OTHER_UNIT, 30, 4, 2))
        whole = _forecast(client, min_position=position)
        one = _forecast(client, unit=UNIT)

    assert one["rows"] == [_row(whole, UNIT)]
    assert one["total"]["due"] == _row(whole, UNIT)["due"]
    assert one["total"]["expected"]["denominator"] == _row(whole, UNIT)["expected"]["denominator"]


def test_a_client_of_some_units_is_told_nothing_that_follows_from_other_units(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[UNIT]) as limited:
        before = _forecast(limited, min_position=_post(province, *_dossiers(UNIT, 20, 1, 7)))
        position = _post(province, *_dossiers(OTHER_UNIT, 30, 4, 2))
        after = _forecast(limited, min_position=position)
        other = limited.get("/v1/forecast", params={"unit": OTHER_UNIT})

    assert [row["unit"]["code"] for row in after["rows"]] == [UNIT]
    assert {**before, "position": position} == after
    assert (other.status_code, other.json()["code"]) == (403, "unit_forbidden")


def test_on_the_first_day_of_a_month_nothing_of_it_is_done(system: System) -> None:
    events = [
        *_dossiers(UNIT, 20, 1, 0),
        received("H37-september", at="2026-09-01T09:00:00+07:00", due_at="2026-09-10T17:00:00+07:00"),
        resolved("H37-september", at="2026-09-08T10:00:00+07:00"),
    ]

    with system.client() as client:
        answer = _forecast(client, on="2026-10-01", min_position=_post(client, *events))

    row = _row(answer, UNIT)
    assert (answer["month"], row["history_days"]) == ("2026-10", 30)
    # October's twenty are ahead on that day; the month is expected to go on as September did.
    assert row["expected"]["denominator"] < 10


def test_the_expectation_is_the_months_rate_once_the_month_is_over(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_dossiers(UNIT, 20, 3, 0))
        rates = client.get("/v1/rates", params={"period": "2026-10", "min_position": position, "by": "none"}).json()
        answer = _forecast(client, on="2026-10-31", unit=UNIT)

    known = rates["total"]["rates"]["on_time_of_resolved"]
    expected = answer["total"]["expected"]
    assert (known["numerator"], known["denominator"]) == (17, 20)
    # A day is left in which little happens.
    assert expected["percent"] == pytest.approx(known["percent"], abs=2)


def test_no_forecast_is_made_as_of_a_day_to_come(system: System) -> None:
    with system.client() as client:
        tomorrow = vietnamese_day(clock.now()) + timedelta(days=1)
        answer = client.get("/v1/forecast", params={"on": str(tomorrow + timedelta(days=1))})
        today = client.get("/v1/forecast").json()

    assert (answer.status_code, answer.json()["code"]) == (422, "day_ahead")
    assert today["on"] in {str(tomorrow), str(tomorrow - timedelta(days=1))}


def test_former_units_add_to_the_forecast_of_their_successor(system: System) -> None:
    old = [
        received("H37-old", at="2025-06-20T09:00:00+07:00", due_at="2025-06-25T17:00:00+07:00"),
        resolved("H37-old", at="2025-06-24T10:00:00+07:00"),
        received("H37-old-open", at="2025-06-20T09:00:00+07:00", due_at="2025-07-18T17:00:00+07:00"),
        received("H37-new", at="2025-07-02T09:00:00+07:00", due_at="2025-07-20T17:00:00+07:00"),
    ]

    with system.client() as client:
        position = _post(client, *old)
        answer = _forecast(client, on="2025-07-10", unit=UNIT, min_position=position)

    (row,) = answer["rows"]
    assert row["unit"]["valid_from"] == str(SINCE)
    assert row["history_days"] == 20
    assert [day for day in row["due"] if day["dossiers"]] == [
        {"on": "2025-07-18", "dossiers": 1},
        {"on": "2025-07-20", "dossiers": 1},
    ]


def test_a_forecast_is_a_table_too_and_unchanged_when_nothing_happened(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_dossiers(UNIT, 20, 1, 7))
        params = {"on": "2026-10-15", "min_position": position}
        first = client.get("/v1/forecast", params=params)
        again = client.get("/v1/forecast", params=params, headers={"If-None-Match": first.headers["ETag"]})
        _post(client, received("H37-more"))
        changed = client.get(
            "/v1/forecast",
            params={**params, "min_position": str(int(position) + 1)},
            headers={"If-None-Match": first.headers["ETag"]},
        )
        table = client.get("/v1/forecast", params={"on": "2026-10-15", "format": "csv", "unit": UNIT})
        sheet = client.get("/v1/forecast", params={"on": "2026-10-15", "format": "xlsx"})

    assert [answer.status_code for answer in (first, again, changed)] == [200, 304, 200]
    head, row, *_ = table.content.decode("utf-8-sig").splitlines()
    assert head.split(",")[:4] == ["code", "name", "overdue_now", "due_2026-10-15"]
    assert dict(zip(head.split(","), row.split(","), strict=True))["due_2026-10-20"] == "7"
    assert sheet.content[:2] == b"PK"
