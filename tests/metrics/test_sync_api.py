"""Late in reality and late in the data are told apart, for each unit and each sender, with how late that was told."""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from services.contract import vietnamese_day
from services.kit import clock
from services.metrics.domain import tally, vectors
from services.metrics.domain.lags import BOUNDS, TITLES
from services.metrics.domain.periods import Period
from services.metrics.domain.tally import Counted
from services.metrics.domain.vectors import NAMES, Cut
from services.metrics.store import counting, lags
from services.metrics.store.dossiers import Wanted
from services.metrics.store.figures import Book
from tests.builders import OTHER_UNIT, SOURCE, UNIT, Json, received, resolved
from tests.metrics.standings import database, drawn
from tests.metrics.standings import resolved as standing_resolved
from tests.running import PROVINCE, System

_STEPS = list(BOUNDS)
_LIMITS = [bound for bound in BOUNDS.values() if bound is not None]
_HOUR = 3_600


def _expected(stands: Sequence[Counted], cut: Cut) -> Mapping[tuple[Any, str | None], list[int]]:
    """Go through all dossiers one by one."""
    found: dict[tuple[Any, str | None], Counter[Any]] = {}
    for one in stands:
        if one.resolving_unit is None or one.resolving_unit_since is None:
            continue
        counts = dict(zip(NAMES, vectors.of_dossier(one, cut), strict=True))
        into = found.setdefault(((one.resolving_unit, one.resolving_unit_since), one.source), Counter())
        for name in ("overdue_by_fact", "overdue_by_data"):
            into[name] += counts[name]
        for name, on_day, lag in (("receipt", one.received_on, one.receipt_lag), ("end", one.closes_on, one.end_lag)):
            if on_day is not None and one.at_receipt and cut.first <= on_day <= cut.last and lag is not None:
                into[name, bisect_left(_LIMITS, lag)] += 1
    names: list[Any] = ["overdue_by_fact", "overdue_by_data"]
    names += [(name, step) for name in ("receipt", "end") for step in range(len(BOUNDS))]
    told = {key: [counts[name] for name in names] for key, counts in found.items()}
    return {key: numbers for key, numbers in told.items() if any(numbers)}


@pytest.mark.parametrize("today", [date(2027, 1, 1), date(2026, 10, 10)])
def test_what_is_told_of_data_is_the_sum_of_what_each_dossier_counts_for(database_url: str, today: date) -> None:
    random = Random(11)
    stands = [tally.counted(drawn(random, f"H{n}"))._replace(position=n) for n in range(300)]
    period = Period("2026-10", date(2026, 10, 1), date(2026, 10, 31))
    cut = Cut.of(period, today)

    async def found() -> Mapping[Any, lags.Told]:
        async with database(database_url) as engine, engine.begin() as transaction:
            await counting.count(transaction, PROVINCE, 1, stands)
            return await lags.of_period(transaction, Book(PROVINCE, 1, "resolving"), cut, Wanted())

    told = {
        key: [one.overdue_by_fact, one.overdue_by_data, *one.receipts, *one.ends]
        for key, one in asyncio.run(found()).items()
    }
    assert {key: numbers for key, numbers in told.items() if any(numbers)} == _expected(stands, cut)


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        (-1, "clock_ahead"),
        (0, "within_1_hour"),
        (_HOUR, "within_1_hour"),
        (_HOUR + 1, "within_8_hours"),
        (8 * _HOUR, "within_8_hours"),
        (24 * _HOUR, "within_24_hours"),
        (72 * _HOUR, "within_72_hours"),
        (7 * 24 * _HOUR, "within_7_days"),
        (7 * 24 * _HOUR + 1, "later"),
    ],
)
def test_a_lag_belongs_to_the_first_step_that_holds_it(database_url: str, seconds: int, step: str) -> None:
    dossier = standing_resolved("06 09:00")
    assert dossier.received_at is not None
    recorded_at = dossier.received_at + timedelta(seconds=seconds)
    one = tally.counted(standing_resolved("06 09:00", receipt_recorded_at=recorded_at))
    cut = Cut(date(2026, 10, 1), date(2026, 10, 31), running=False)

    async def found() -> Mapping[Any, lags.Told]:
        async with database(database_url) as engine, engine.begin() as transaction:
            await counting.count(transaction, PROVINCE, 1, [one])
            return await lags.of_period(transaction, Book(PROVINCE, 1, "resolving"), cut, Wanted())

    (told,) = asyncio.run(found()).values()
    assert dict(zip(_STEPS, told.receipts, strict=True)) == {name: int(name == step) for name in _STEPS}
    assert (sum(told.receipts), sum(told.ends)) == (1, 1)


def test_every_step_has_a_title() -> None:
    assert list(TITLES) == _STEPS


# --- Over HTTP --------------------------------------------------------------------------------------------------------

_OTHER_SOURCE = "urn:example:department"


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _sync(client: httpx.Client, position: str, **params: Any) -> Any:  # noqa: ANN401 - JSON
    asked = {"period": "2026-10", "min_position": position, **params}
    return client.get("/v1/sync", params=asked).raise_for_status().json()


def _events() -> list[Json]:
    """Return one dossier late in the data alone, one late in fact, and one that nobody ended; all recorded now."""
    # The receipt is recorded days before the end, so that the dossier was there to seem overdue.
    return [
        resolved("H37-told-late"),
        received("H37-late"),
        resolved("H37-late", at="2026-10-07T09:00:00+07:00"),
        received("H37-untold", source=_OTHER_SOURCE),
    ]


def test_an_end_told_late_is_overdue_in_the_data_and_one_not_told_yet_in_fact(system: System) -> None:
    with system.client() as client:
        _post(client, received("H37-told-late"))
        position = _post(client, *_events())
        answer = _sync(client, position)

    (row,) = (row for row in answer["rows"] if row["unit"]["code"] == UNIT)
    assert (row["overdue_by_fact"], row["overdue_by_data"]) == (2, 1)
    assert row["share_by_data"] == {"numerator": 1, "denominator": 3, "percent": 33.33}
    assert (sum(row["receipts"].values()), sum(row["ends"].values())) == (3, 2)
    assert answer["total"] == {name: row[name] for name in answer["total"]}


def test_each_sender_has_a_row_with_when_it_was_last_heard_of(system: System) -> None:
    with system.client() as client:
        _post(client, received("H37-told-late"))
        position = _post(client, *_events())
        before = clock.now()
        answer = _sync(client, position, by="source")
        of_units = _sync(client, position)

    rows = {row["source"]: row for row in answer["rows"]}
    assert rows.keys() == {SOURCE, _OTHER_SOURCE}
    assert (rows[SOURCE]["overdue_by_fact"], rows[SOURCE]["overdue_by_data"]) == (1, 1)
    assert (rows[_OTHER_SOURCE]["overdue_by_fact"], rows[_OTHER_SOURCE]["overdue_by_data"]) == (1, 0)
    for row in rows.values():
        assert row["last_recorded_at"][:10] == str(vietnamese_day(before))
        assert row["silent_days"] == 0
    (unit,) = (row for row in of_units["rows"] if row["unit"]["code"] == UNIT)
    assert [one["source"] for one in unit["sources"]] == sorted([SOURCE, _OTHER_SOURCE])
    assert answer["total"] == of_units["total"]


def test_a_unit_that_sent_nothing_has_a_row_of_zeros_and_no_share(system: System) -> None:
    with system.client() as client:
        answer = _sync(client, _post(client, received("H37-1")))

    (row,) = (row for row in answer["rows"] if row["unit"]["code"] == OTHER_UNIT)
    assert (row["overdue_by_fact"], row["sources"]) == (0, [])
    assert row["share_by_data"] == {"numerator": 0, "denominator": 0, "percent": None}


def test_a_client_of_some_units_learns_of_their_senders_alone(system: System) -> None:
    with system.client() as client:
        position = _post(
            client,
            received("H37-mine"),
            received("H37-theirs", receiving_unit=OTHER_UNIT, source=_OTHER_SOURCE),
        )

    with system.client(name="limited", units=[UNIT]) as client:
        by_unit, by_source = _sync(client, position), _sync(client, position, by="source")
        other = client.get("/v1/sync", params={"period": "2026-10", "unit": OTHER_UNIT})

    assert [row["unit"]["code"] for row in by_unit["rows"]] == [UNIT]
    assert [row["source"] for row in by_source["rows"]] == [SOURCE]
    assert sum(by_source["total"]["receipts"].values()) == 1
    assert (other.status_code, other.json()["code"]) == (403, "unit_forbidden")


def test_the_answer_is_a_table_too(system: System) -> None:
    with system.client() as client:
        position = _post(client, *_events())
        params = {"period": "2026-10", "min_position": position, "by": "source", "format": "csv"}
        table = client.get("/v1/sync", params=params).raise_for_status().content.decode("utf-8-sig")
        sheet = client.get("/v1/sync", params={**params, "format": "xlsx", "by": "unit"}).raise_for_status().content

    head, *rows = (line.split(",") for line in table.splitlines())
    assert [dict(zip(head, row, strict=True))["overdue_by_fact"] for row in rows] == ["1", "1"]
    assert sheet[:2] == b"PK"


def test_a_sender_whose_clock_is_decades_off_stops_nobodys_counting(system: System) -> None:
    with system.client() as client:
        position = _post(client, received("H37-2099", at="2099-12-31T09:00:00+07:00", due_at=None))
        answer = _sync(client, position, period="2099")

    assert answer["total"]["receipts"]["clock_ahead"] == 1
