"""`GET /v1/forecast`: what falls due in the days ahead, and how a running month is expected to end."""

import asyncio
import calendar
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION, Code, Day, Grant, vietnamese_day
from services.kit import clock, door, parameters
from services.metrics import report
from services.metrics.answers import Answer
from services.metrics.api import answering, documents, questions
from services.metrics.api.questions import Asked
from services.metrics.asking import Ask, At
from services.metrics.domain import forecast
from services.metrics.domain.boundaries import Version
from services.metrics.domain.forecast import DAYS_AHEAD, Expected, Forecast
from services.metrics.domain.tally import Role
from services.metrics.domain.targets import UnitKind
from services.metrics.domain.vectors import Cut
from services.metrics.formats import numbers
from services.metrics.formats.table import Column, Row, Table, Value
from services.metrics.report import Known
from services.metrics.state import State
from services.metrics.store import forecasts
from services.metrics.store.figures import Book

_ONE_DAY = timedelta(days=1)


class DayAhead(Exception):
    """A forecast was asked for as of a day that has not come."""


def router(state: State) -> APIRouter:
    """Return the route that tells what lies ahead."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/forecast", responses=_DOC)
    async def get_forecast(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        on: Annotated[
            Day | None, Query(description="Of the month of this day, from the days before it; default: today.")
        ] = None,
        role: Annotated[
            Role, Query(description="Count a dossier for the unit that decides it, or for the counter that took it in.")
        ] = "resolving",
        kind: Annotated[UnitKind | None, Query(description="Communes or departments alone.")] = None,
        unit: Annotated[
            list[Code] | None, Query(max_length=200, description="Codes of units; repeat the parameter for several.")
        ] = None,
        min_position: questions.MinPosition = None,
        format: questions.FormatName = None,  # noqa: A002 - the parameter's public name
    ) -> Response:
        """Tell per unit what falls due in the 14 days from `on`, and the `on_time_of_resolved` the month may end with.

        It is expected between `low` and `high` in 80 of 100 cases, between `lowest` and `highest` in 95.
        """
        today = vietnamese_day(clock.now())
        on_day = on or today
        if on_day > today:
            msg = f"{on_day} has not come; a forecast is made from the days before today"
            raise DayAhead(msg)
        ask = Ask(
            "forecast",
            Asked(on_day.isoformat()[:7], role, kind, unit).question(grant, "unit"),
            _made,
            questions.chosen_format(request, format),
            min_position=questions.min_position(min_position),
            more=(on_day, None if grant.units is None else tuple(sorted(grant.units))),
        )
        return await answering.answered(state, request, ask)

    return routes


async def _made(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    on_day, units = ask.more
    question, reference = ask.question, known.reference
    month = Cut(on_day.replace(day=1), _end_of_month(on_day), running=False)
    # A unit is held against all others, whichever are asked for; to a limited client not even that tells of them.
    mine = None if units is None else frozenset(units)
    everyone = report.Question(question.province, question.period, role=question.role, units=mine)
    standing_for = report.homes_of(everyone, reference)
    homes = report.homes_of(question, reference)
    report.check_asked_for(question, reference, homes, month)
    told = {_name(home): home for home in homes.values()}
    codes = None if mine is None else frozenset(code for code, _ in standing_for)
    made_from = await forecasts.known(
        transaction,
        Book(question.province, known.generation, question.role, units=codes),
        month,
        on_day - _ONE_DAY,
        lambda version: _name(standing_for[version]) if version in standing_for else None,
    )
    # Weighing all outcomes takes longer than other requests should wait for.
    together, each = await asyncio.to_thread(forecast.forecasts, made_from, told.keys())
    in_force = report.in_force(question, reference, Cut(on_day, on_day, running=False))
    rows = [
        (told[name], one)
        for name, one in each.items()
        if told[name] in in_force or one.due or one.overdue_now or one.expected
    ]
    if ask.format != "json":
        return answering.file(_table(known, on_day, rows, together), ask.format, made_from.on_day)
    return answering.json(
        {
            "on": on_day.isoformat(),
            "month": question.period.label,
            "role": question.role,
            "position": str(at.position),
            "definitions": DEFINITIONS_VERSION,
            "stale_sources": list(at.stale_units),
            "rows": [
                {"unit": report.unit_json(reference.units[version]), **_figures(one, on_day)} for version, one in rows
            ],
            "total": _figures(together, on_day),
        }
    )


def _name(version: Version) -> str:
    code, since = version
    return f"{code}@{since}"


def _end_of_month(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _due(one: Forecast, on_day: date) -> Mapping[date, int]:
    """Return how many dossiers fall due on each of the days ahead, of which `on_day` is the first."""
    due = dict(one.due)
    return {day: due.get(day, 0) for day in (on_day + timedelta(days=n) for n in range(DAYS_AHEAD))}


def _figures(one: Forecast, on_day: date) -> Mapping[str, Any]:
    return {
        "due": [{"on": day.isoformat(), "dossiers": dossiers} for day, dossiers in _due(one, on_day).items()],
        "overdue_now": one.overdue_now,
        "expected": one.expected and asdict(one.expected),
        "reason": one.reason,
        "history_days": one.history_days,
    }


_EXPECTED = {
    "numerator": "Đúng hạn, trước hạn",
    "denominator": "Giải quyết xong",
    "percent": "Tỷ lệ (%)",
    "low": "Thấp (80%)",
    "high": "Cao (80%)",
    "lowest": "Thấp nhất (95%)",
    "highest": "Cao nhất (95%)",
}


def _table(known: Known, on_day: date, rows: list[tuple[Version, Forecast]], together: Forecast) -> Table:
    days = [on_day + timedelta(days=n) for n in range(DAYS_AHEAD)]
    units = known.reference.units
    return Table(
        stem=f"forecast-{on_day}",
        title="Dự báo tình hình giải quyết thủ tục hành chính",
        columns=(
            Column("code", ("Mã",), "text"),
            Column("name", ("Đơn vị",), "text"),
            Column("overdue_now", ("Đang quá hạn",), "integer"),
            *(Column(f"due_{day}", ("Đến hạn trả", numbers.day(day)), "integer") for day in days),
            *(Column(name, ("Dự báo cả tháng", title), "percent") for name, title in _EXPECTED.items()),
        ),
        rows=tuple((units[version].code, units[version].name, *_values(one, on_day)) for version, one in rows),
        total=(None, "Tổng số", *_values(together, on_day)),
        lines=(
            f"Dự báo tháng {on_day:%m/%Y} từ số liệu đến hết ngày {numbers.day(on_day - _ONE_DAY)}",
            "Khoảng 80%, 95%: tỷ lệ cả tháng nằm trong khoảng này với xác suất tương ứng.",
        ),
    )


def _values(one: Forecast, on_day: date) -> Row:
    return one.overdue_now, *_due(one, on_day).values(), *_expected(one.expected)


def _expected(expected: Expected | None) -> tuple[Value, ...]:
    if expected is None:
        return (None,) * len(_EXPECTED)
    return tuple(Decimal(f"{getattr(expected, name):.2f}") for name in _EXPECTED)


_EXPECTED_EXAMPLE = {
    "numerator": 395.2,
    "denominator": 398.6,
    "percent": 99.15,
    "low": 98.74,
    "high": 99.5,
    "lowest": 98.4,
    "highest": 99.6,
}
_FIGURES_EXAMPLE = {
    "due": [{"on": "2026-10-20", "dossiers": 12}],
    "overdue_now": 1,
    "expected": _EXPECTED_EXAMPLE,
    "reason": None,
    "history_days": 90,
}
_DOC = documents.table(
    {
        "on": "2026-10-20",
        "month": "2026-10",
        "role": "resolving",
        "position": "123456",
        "definitions": "1",
        "stale_sources": [],
        "rows": [{"unit": {"code": "05977", "name": "Phường Đông Kinh", "kind": "commune"}, **_FIGURES_EXAMPLE}],
        "total": _FIGURES_EXAMPLE,
    }
)
