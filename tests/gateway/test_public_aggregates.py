"""What everybody may see tells nothing of so few dossiers that a person could be meant, however it is asked."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import httpx
import openpyxl
import polars as pl
import pytest

from services.gateway.domain.access import ROUTES
from services.metrics.domain.suppression import BLOCKS, IDENTITIES, THRESHOLD
from services.metrics.publication import COUNTED
from tests.builders import OTHER_UNIT, PROCEDURE, UNIT, Json, event, forwarded, paid, received, resolved, withdrawn
from tests.running import PROVINCE, System

_SMALL = range(1, THRESHOLD)
_MONTHS = ("2026-09", "2026-10")
_LONGER = ("2026-09..2026-10",)
_ROWS_BY = ("unit", "field", "channel")
_BY = (*_ROWS_BY, "month", "none")
_FORMS = ("06a", "06b", "06c")
_NAMED = {"audience": "public", "province": PROVINCE}
_UNITS = {UNIT: 90, OTHER_UNIT: 70, "06184": 40, "LS-STP": 12, "LS-SNV": 3}
_PROCEDURES = {PROCEDURE: 20, "DEMO-HT-008": 10, "DEMO-DD-010": 5, "DEMO-TGI-003": 1}


def _drawn(seed: int) -> Iterator[Json]:
    """Yield lives of two months in which some units, fields and channels have few dossiers, and others many."""
    random = Random(seed)
    for number, unit in enumerate(random.choices([*_UNITS], [*_UNITS.values()], k=330)):
        code, month = f"H37-{number}", random.choice(_MONTHS)
        (procedure,) = random.choices([*_PROCEDURES], [*_PROCEDURES.values()])
        (channel,) = random.choices(["online", "counter", "postal"], [60, 40, 2])
        due = f"{month}-{random.randint(8, 14):02}T17:00:00+07:00"
        yield received(
            code,
            at=f"{month}-0{random.randint(1, 7)}T08:30:00+07:00",
            due_at=due if random.random() < 0.97 else None,
            procedure=procedure,
            receiving_unit=unit,
            channel=channel,
            fee_required=random.random() < 0.9,
            online_level="full" if channel == "online" else "partial",
        )
        end = f"{month}-{random.choice(['08', '10', '14', '14', '16', '28'])}T10:00:00+07:00"
        if random.random() < 0.6:
            yield paid(code, at=f"{month}-07T09:00:00+07:00", method=random.choice(["online", "online", "cash"]))
        if random.random() < 0.05:
            yield event("extended", code, {"due_at": f"{month}-20T17:00:00+07:00"}, at=f"{month}-08T07:00:00+07:00")
        fate = random.random()
        if fate < 0.85:
            yield resolved(code, at=end, result=random.choice(["electronic", "electronic", "paper"]))
        elif fate < 0.93:
            yield withdrawn(code, at=end)
        if random.random() < 0.1:
            yield event("rated", code, {"score": random.choice([5, 5, 4, 2])}, at=f"{month}-28T12:00:00+07:00")


@pytest.fixture
def counted(system: System) -> System:
    """Return a system in which two months with few and many dossiers are counted."""
    with system.client() as client:
        answer = client.post("/v1/events", json=list(_drawn(7))).raise_for_status().json()
        assert answer["rejected"] == 0, answer
        asked = {"period": "2026", "min_position": answer["position"]}
        client.get("/v1/rates", params=asked).raise_for_status()
    return system


def _public(system: System, name: str = "public") -> httpx.Client:
    return system.client(name=name, scopes=["rates:public"])


def _asked(period: str, **more: str) -> dict[str, str]:
    return {**_NAMED, "period": period, **more}


def _unnamed(params: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in _NAMED}


def _every_question() -> list[tuple[str, dict[str, str]]]:
    """Return every question that can be asked of the two months, but for the file's format."""
    periods = (*_MONTHS, *_LONGER)
    return [
        *(("/v1/rates", _asked(period, by=by)) for period in periods for by in _BY),
        *(("/v1/series", _asked(period, rate=rate)) for period in periods for rate in ("full_online", "satisfaction")),
        *((f"/v1/forms/{form}", _asked(period)) for period in periods for form in _FORMS),
    ]


def _numbers(content: object) -> Iterator[int]:
    """Yield every whole number of a JSON value but those that name a column of a form."""
    match content:
        case dict():
            for key, value in content.items():
                if key != "number":
                    yield from _numbers(value)
        case list():
            for value in content:
                yield from _numbers(value)
        case int() if not isinstance(content, bool):
            yield content
        case _:
            pass


def _cells(answer: httpx.Response, wanted: str) -> list[str]:
    """Return what stands in the cells of a file, but for the numbers that a form gives its lines."""
    rows: list[Sequence[object]]
    match wanted:
        case "csv":
            rows = [*csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))]
        case "xlsx":
            sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
            assert sheet is not None
            rows = [*sheet.iter_rows(values_only=True)]
        case "parquet":
            rows = [*pl.read_parquet(answer.content).rows()]
        case _:
            rows = [*pl.read_ipc_stream(answer.content).rows()]
    first = 1 if "06" in answer.url.path else 0
    return [str(cell).removesuffix(".0") for row in rows for cell in row[first:]]


def test_a_public_answer_holds_no_small_number_in_any_format(counted: System) -> None:
    with _public(counted) as client, counted.client() as full:
        answers = {
            (path, *params.values()): client.get(path, params=params).raise_for_status()
            for path, params in _every_question()
        }
        files = {
            (wanted, *asked): _cells(client.get(asked[0], params={**params, "format": wanted}), wanted)
            for wanted in ("csv", "xlsx", "parquet", "arrow")
            for asked, params in zip(answers, (params for _, params in _every_question()), strict=True)
        }
        true = [full.get("/v1/rates", params={"period": "2026-10", "by": by}).json() for by in _ROWS_BY]

    small = [asked for asked, answer in answers.items() if {*_numbers(answer.json())} & {*_SMALL}]
    assert small == []
    assert [asked for asked, cells in files.items() if {*cells} & {str(count) for count in _SMALL}] == []
    # Much is hidden of so few dossiers, and not all in any format.
    told = {asked[0] for asked, cells in files.items() if any(cell.isdigit() and int(cell) > 20 for cell in cells)}
    assert told == {"csv", "xlsx", "parquet", "arrow"}
    # There was something to hide in each of the tables.
    assert all({*_numbers(table["rows"])} & {*_SMALL} for table in true)


def test_what_is_told_is_true_and_whole_numbers_of_many_are_told(counted: System) -> None:
    with _public(counted) as client, counted.client() as full:
        told, true = (
            asking.get("/v1/rates", params=params).raise_for_status().json()
            for asking, params in ((client, _asked("2026-10")), (full, {"period": "2026-10"}))
        )

    rows = {row["unit"]["code"]: row["counts"] for row in true["rows"]}
    for row in told["rows"]:
        assert all(count in {None, rows[row["unit"]["code"]][name]} for name, count in row["counts"].items())
    assert told["rows"][0]["counts"].keys() == {*COUNTED}
    assert told["total"]["counts"]["received"] == true["total"]["counts"]["received"]
    shown = {name: rate for name, rate in told["total"]["rates"].items() if rate["percent"] is not None}
    assert shown == {name: true["total"]["rates"][name] for name in shown}
    assert {"on_time_of_due", "full_online"} <= shown.keys(), shown.keys()
    assert (told["audience"], told["suppressed"]) == ("public", {"k": 5})
    assert {"position", "stale_sources"}.isdisjoint(told)


Cell = tuple[str, str, str]
"""A table or `total`, what a row of it is about, and a count."""


class Knowledge:
    """All that a reader can calculate about hidden counts, as equations each of which begins with a cell of its own."""

    def __init__(self) -> None:
        self._solved: dict[Cell, dict[Cell, Fraction]] = {}

    def learn(self, equation: Mapping[Cell, int]) -> None:
        rest = self._reduced(equation)
        if rest:
            first, factor = next(iter(rest.items()))
            self._solved[first] = {cell: known / factor for cell, known in rest.items()}

    def gives(self, sought: Mapping[Cell, int]) -> bool:
        return not self._reduced(sought)

    def _reduced(self, equation: Mapping[Cell, int]) -> dict[Cell, Fraction]:
        rest = {cell: Fraction(factor) for cell, factor in equation.items()}
        while solvable := next((cell for cell in rest if cell in self._solved), None):
            factor = rest[solvable]
            for cell, known in self._solved[solvable].items():
                rest[cell] = rest.get(cell, Fraction(0)) - factor * known
                if rest[cell] == 0:
                    del rest[cell]
        return rest


def _tables(client: httpx.Client, **asked: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the counts of each row of each table of a month, with the total they share."""
    tables: dict[str, dict[str, dict[str, Any]]] = {"total": {}}
    for by in (*_ROWS_BY, "none"):
        answer = client.get("/v1/rates", params={**asked, "by": by}).raise_for_status().json()
        totals = {name: answer["total"]["counts"][name] for name in COUNTED}
        assert tables["total"].setdefault("", totals) == totals, by
        if by != "none":
            tables[by] = {str(row[by]): row["counts"] for row in answer["rows"]}
    return tables


def test_no_small_number_can_be_calculated_from_all_tables_of_a_month_together(counted: System) -> None:
    forms = [(block, form) for block in BLOCKS for form in block.watched if {*form[0], *form[1]} <= {*COUNTED}]
    for month in _MONTHS:
        with _public(counted) as client, counted.client() as full:
            told, true = _tables(client, **_asked(month)), _tables(full, period=month)

        knowledge = Knowledge()
        for table, rows in told.items():
            for about, row in rows.items():
                for name, count in row.items():
                    if count is not None:
                        knowledge.learn({(table, about, name): 1})
                for added, taken_off in IDENTITIES:
                    if {*added, *taken_off} <= {*COUNTED}:
                        knowledge.learn(
                            {(table, about, n): 1 for n in added} | {(table, about, n): -1 for n in taken_off}
                        )
            for name in COUNTED if table != "total" else ():
                knowledge.learn({(table, about, name): 1 for about in rows} | {("total", "", name): -1})
        for channel in told["channel"]:
            # What came in this way stands in the total, too, and all else came in other ways.
            knowledge.learn({("channel", channel, "received"): 1, ("total", "", f"received_{channel}"): -1})
            knowledge.learn({("channel", channel, "received"): 1, ("channel", channel, f"received_{channel}"): -1})
        found = [
            (table, about, form)
            for table, rows in told.items()
            for about in rows
            for _, form in forms
            if (sum(true[table][about][n] for n in form[0]) - sum(true[table][about][n] for n in form[1])) in _SMALL
            and knowledge.gives({(table, about, n): 1 for n in form[0]} | {(table, about, n): -1 for n in form[1]})
        ]
        assert found == []


def test_a_longer_period_tells_what_its_months_add_up_to_and_no_more(counted: System) -> None:
    with _public(counted) as client:
        tables = {
            (period, by): client.get("/v1/rates", params=_asked(period, by=by)).raise_for_status().json()
            for period in (*_MONTHS, *_LONGER)
            for by in _ROWS_BY
        }

    for by in _ROWS_BY:
        months = [{str(row[by]): row["counts"] for row in tables[month, by]["rows"]} for month in _MONTHS]
        longer = {str(row[by]): row["counts"] for row in tables[_LONGER[0], by]["rows"]}
        assert longer.keys() == months[0].keys() | months[1].keys()
        for about, counts in longer.items():
            parts = [month[about] for month in months if about in month]
            for name, count in counts.items():
                assert count == (None if any(part[name] is None for part in parts) else sum(p[name] for p in parts))
    assert any(count is None for row in longer.values() for count in row.values())
    assert any(count for row in longer.values() for count in row.values())


def test_stocks_are_not_told_since_two_of_them_give_back_the_flows_between(counted: System) -> None:
    with _public(counted) as client:
        form = client.get("/v1/forms/06b", params=_asked("2026-10")).raise_for_status().json()
        rates = client.get("/v1/rates", params=_asked("2026-10")).json()["total"]
        series = client.get("/v1/series", params=_asked("2026-10", rate="on_time_of_all"))

    assert {"pending", "carried_over", "ended_in_time"}.isdisjoint(rates["counts"])
    assert "on_time_of_all" not in rates["rates"]
    assert [form["total"][f"column_{column}"] for column in (3, 6, 11, 12, 13)] == [None] * 5
    assert {row[f"column_{column}"] for row in form["rows"] for column in (4, 5, 7, 8, 9, 10)} - {None, 0}
    assert form["footnotes"][-1].startswith("Ô trống")
    assert (series.status_code, series.json()["code"]) == (422, "not_public")


def test_whoever_asks_for_public_aggregates_gets_the_same_bytes_under_the_same_etag(system: System) -> None:
    with system.client() as province:
        _post(province, *(received(f"H37-{number}") for number in range(9)))
        with (
            _public(system, "one") as one,
            _public(system, "two") as two,
            system.client(name="limited", units=[OTHER_UNIT]) as limited,
        ):
            for path, params in _every_question():
                answers = [client.get(path, params=params) for client in (one, two, limited, province)]

                assert len({(answer.content, answer.headers["etag"]) for answer in answers}) == 1
                assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=60"}
                assert {answer.headers["vary"] for answer in answers} == {"Accept, Accept-Encoding"}
                assert [answer for answer in answers if "motcua-position" in answer.headers] == []


def _post(client: httpx.Client, *events: Json) -> None:
    position = client.post("/v1/events", json=list(events)).raise_for_status().json()["position"]
    client.get("/v1/rates", params={"period": "2026", "min_position": position}).raise_for_status()


def test_only_what_is_asked_for_by_its_name_may_be_kept_by_shared_caches(system: System) -> None:
    with system.client() as client:
        _post(client, received("H37-1"))
        for path, params in _every_question():
            named = client.get(path, params=params)
            etag = named.headers["etag"]
            unnamed = client.get(path, params=_unnamed(params))
            again = client.get(path, params=params, headers={"If-None-Match": etag})
            crossed = client.get(
                path,
                params=_unnamed(params),
                headers={"If-None-Match": etag},
            )

            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
            assert again.headers["cache-control"] == "public, max-age=60"
            assert unnamed.headers["cache-control"] == "private, no-cache"
            assert "Authorization" in unnamed.headers["vary"]
            assert crossed.status_code == 200
            refused = client.get(path, params={**params, "period": "2026-10-05"})
            assert (refused.status_code, refused.headers.get("cache-control")) == (422, None)


def test_a_client_of_public_aggregates_reaches_nothing_else(system: System) -> None:
    with _public(system) as client:
        answers = {
            route: client.request(
                route.method,
                re.sub(r"{\w+}", "06a", route.path),
                params={"period": "2026-10"} | ({"rate": "full_online"} if route.path == "/v1/series" else {}),
            )
            for route in ROUTES
        }
        definitions = client.get("/v1/rates/definitions")

    codes = {route: (answer.status_code, answer.json()["code"]) for route, answer in answers.items()}
    assert {route for route in ROUTES if route.public} == {
        route
        for route in ROUTES
        if route.path in {"/v1/rates", "/v1/rates/definitions", "/v1/series", "/v1/forms/{form}"}
    }
    assert {code for route, code in codes.items() if not route.public} == {(403, "missing_scope")}
    # The definitions tell nothing of dossiers and are told to everybody with a key; they know no period.
    assert {code for route, code in codes.items() if route.public and not route.path.endswith("definitions")} == {
        (403, "public_only")
    }
    assert definitions.status_code == 200


_REFUSED: Sequence[tuple[str, dict[str, str]]] = [
    *(
        ("/v1/rates", {"period": period})
        for period in (
            *("2026-10-05", "2026-10-01..2026-10-20", "2026-10-02..2026-10-31", "2025-09..2026-10"),
            *("2099", "2098-12"),
        )
    ),
    *(("/v1/rates", {"period": "2026-10", "by": by}) for by in ("procedure", "day", "week")),
    *(
        ("/v1/rates", {"period": "2026-10", name: value})
        for name, value in {
            "unit": UNIT,
            "kind": "commune",
            "field": "CT",
            "procedure": PROCEDURE,
            "channel": "online",
            "role": "receiving",
            "boundaries": "historical",
            "cutoff": "statutory",
            "as_of": "2026-11-01T00:00:00+07:00",
            "min_position": "5",
        }.items()
    ),
    ("/v1/series", {"period": "2026-10", "rate": "full_online", "by": "day"}),
    ("/v1/series", {"period": "2026-10", "rate": "full_online", "field": "CT"}),
    ("/v1/forms/766", {"period": "2026-10"}),
    ("/v1/forms/06a", {"period": "2026-10", "unit": UNIT}),
    ("/v1/forms/06b", {"period": "2026-10", "kind": "commune"}),
]


def test_what_could_be_held_against_another_public_answer_is_refused(system: System) -> None:
    with system.client() as province, _public(system) as client:
        before = [client.get(path, params={**_NAMED, **params}) for path, params in _REFUSED]
        _post(province, *(received(f"H37-{number}") for number in range(3)), forwarded("H37-1"))
        after = [client.get(path, params={**_NAMED, **params}) for path, params in _REFUSED]

    assert {(answer.status_code, answer.json()["code"]) for answer in after} == {(422, "not_public")}
    # A refusal is the same whatever there is to hide.
    assert [answer.content for answer in before] == [answer.content for answer in after]


def test_a_month_that_runs_is_nobodys_to_watch_day_by_day(system: System) -> None:
    with system.client() as province:
        today = province.get("/v1/backlog").json()["on"]
    with _public(system) as client:
        running = client.get("/v1/rates", params=_asked(today[:7]))

    assert (running.status_code, running.json()["code"]) == (422, "not_public")


def test_a_limited_client_sees_other_units_in_public_aggregates_alone(counted: System) -> None:
    with counted.client(name="limited", units=["LS-SNV"]) as client:
        public = client.get("/v1/rates", params=_asked("2026-10")).raise_for_status().json()
        own = client.get("/v1/rates", params={"period": "2026-10"}).json()
        others = client.get("/v1/rates", params={"period": "2026-10", "unit": UNIT})

    assert [row["unit"]["code"] for row in own["rows"]] == ["LS-SNV"]
    assert own["total"]["counts"]["received"] in _SMALL
    assert {"LS-SNV", UNIT, OTHER_UNIT} <= {row["unit"]["code"] for row in public["rows"]}
    assert {*_numbers(public)}.isdisjoint(_SMALL)
    assert (others.status_code, others.json()["code"]) == (403, "unit_forbidden")


def test_one_url_never_has_the_answers_of_two_provinces(counted: System) -> None:
    with counted.client(name="neighbour", province="19", scopes=["rates:public"]) as client:
        own = client.get("/v1/rates", params={**_asked("2026-10"), "province": "19"}).raise_for_status().json()
        other = client.get("/v1/rates", params=_asked("2026-10"))
        none = client.get("/v1/rates", params={"audience": "public", "period": "2026-10"})

    assert (own["rows"], own["total"]["counts"]["received"]) == ([], 0)
    assert (other.status_code, other.json()["code"]) == (403, "other_province")
    assert (none.status_code, none.json()["code"]) == (422, "not_public")
