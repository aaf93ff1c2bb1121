"""`GET /v1/sync`: whether dossiers were late in reality or only in what was told of them, and by whom."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import add
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION, VIETNAM, Grant, vietnamese_day
from services.kit import door, parameters
from services.metrics import report
from services.metrics.answers import Answer
from services.metrics.api import answering, documents, questions
from services.metrics.api.questions import Asked
from services.metrics.asking import Ask, At
from services.metrics.domain import rates
from services.metrics.domain.lags import BOUNDS, TITLES
from services.metrics.domain.vectors import Cut
from services.metrics.formats import numbers
from services.metrics.formats.table import Column, Row, Table
from services.metrics.report import Known
from services.metrics.state import State
from services.metrics.store import counting, lags
from services.metrics.store.counting import Source
from services.metrics.store.figures import Book
from services.metrics.store.lags import Told


def router(state: State) -> APIRouter:
    """Return the route that tells how well data keeps up with reality."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]
    asked = Annotated[Asked, Depends(questions.asked)]

    @routes.get("/v1/sync", responses=_DOC)
    async def get_sync(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        asked: asked,
        by: Annotated[
            Literal["unit", "source"], Query(description="One row for each unit, or for each sender of receipts.")
        ] = "unit",
        min_position: questions.MinPosition = None,
        format: questions.FormatName = None,  # noqa: A002 - the parameter's public name
    ) -> Response:
        """Return how many dossiers were overdue by fact and by data, and how late receipts and ends were recorded.

        An end that nobody has told yet counts as overdue by fact until somebody does.
        """
        ask = Ask(
            "sync",
            asked.question(grant, "unit"),
            _made,
            questions.chosen_format(request, format),
            min_position=questions.min_position(min_position),
            more=(by,),
            of_all_days=True,
        )
        return await answering.answered(state, request, ask)

    return routes


class _Line(NamedTuple):
    """A row: a unit or a sender, what was told of its dossiers, and when its senders were last heard of."""

    about: Mapping[str, Any]
    told: Told
    heard: Mapping[Source, datetime]


async def _made(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    (by,) = ask.more
    question, reference = ask.question, known.reference
    cut, homes = Cut.of(question.period, known.today), report.homes_of(question, reference)
    report.check_asked_for(question, reference, homes, cut)
    book = Book(question.province, known.generation, question.role, question.channel)
    found = await lags.of_period(transaction, book, cut, report.wanted_of(question, homes))
    counted = [(homes[version], source, told) for (version, source), told in found.items() if version in homes]
    in_force = report.in_force(question, reference, cut)
    codes = {code for code, _ in in_force}
    recorded = await counting.last_recorded(transaction, question.province)
    heard = {source: recorded_at for source, recorded_at in recorded.items() if source[0] in codes}
    if by == "unit":
        lines = [
            _Line(
                {"unit": report.unit_json(reference.units[home])},
                _together(told for of, _, told in counted if of == home),
                {source: at for source, at in heard.items() if source[0] == home[0] and home in in_force},
            )
            for home in sorted(in_force | {home for home, _, _ in counted})
        ]
    else:
        lines = [
            _Line(
                {"source": sender or None},
                _together(told for _, source, told in counted if (source or "") == sender),
                {source: at for source, at in heard.items() if source[1] == sender},
            )
            for sender in sorted({source or "" for _, source, _ in counted} | {sender for _, sender in heard})
        ]
    total = _Line({}, _together(told for _, _, told in counted), heard)
    if ask.format != "json":
        return answering.file(_table(ask, cut, lines, total), ask.format, cut.last)
    return answering.json(
        {
            **report.question_json(question, cut.last),
            "by": by,
            "position": str(at.position),
            "definitions": DEFINITIONS_VERSION,
            "stale_sources": list(at.stale_units),
            "rows": [{**line.about, **_figures(line.told), **_senders(by, line.heard, known.today)} for line in lines],
            "total": _figures(total.told),
        }
    )


def _together(every: Iterable[Told]) -> Told:
    found = Told(0, 0, (0,) * len(BOUNDS), (0,) * len(BOUNDS))
    for told in every:
        found = Told(
            found.overdue_by_fact + told.overdue_by_fact,
            found.overdue_by_data + told.overdue_by_data,
            tuple(map(add, found.receipts, told.receipts)),
            tuple(map(add, found.ends, told.ends)),
        )
    return found


def _share(told: Told) -> tuple[int, int, float | None]:
    """Return what share of all that seemed overdue was so in the data alone."""
    seemed = told.overdue_by_fact + told.overdue_by_data
    return told.overdue_by_data, seemed, rates.percent(told.overdue_by_data, seemed)


def _figures(told: Told) -> Mapping[str, Any]:
    return {
        "overdue_by_fact": told.overdue_by_fact,
        "overdue_by_data": told.overdue_by_data,
        "share_by_data": dict(zip(("numerator", "denominator", "percent"), _share(told), strict=True)),
        "receipts": dict(zip(BOUNDS, told.receipts, strict=True)),
        "ends": dict(zip(BOUNDS, told.ends, strict=True)),
    }


def _senders(by: str, heard: Mapping[Source, datetime], today: date) -> Mapping[str, Any]:
    """Return when each sender was last heard of, or the one that a row is about."""
    if by == "source":
        return _last(heard.values(), today)
    return {"sources": [{"source": sender or None, **_last([at], today)} for (_, sender), at in sorted(heard.items())]}


def _last(heard: Iterable[datetime], today: date) -> Mapping[str, Any]:
    last = max(heard, default=None)
    return {
        "last_recorded_at": None if last is None else last.astimezone(VIETNAM).isoformat(),
        "silent_days": None if last is None else (today - vietnamese_day(last)).days,
    }


_FIXED = (
    Column("overdue_by_fact", ("Quá hạn", "Thực tế"), "integer"),
    Column("overdue_by_data", ("Quá hạn", "Do cập nhật chậm"), "integer"),
    Column("share_by_data", ("Quá hạn", "Tỷ lệ do cập nhật chậm (%)"), "percent"),
)


def _table(ask: Ask, cut: Cut, lines: Sequence[_Line], total: _Line) -> Table:
    (by,), period = ask.more, ask.question.period
    histograms = [
        Column(f"{name}_{step}", (heading, title), "integer")
        for name, heading in (("receipts", "Cập nhật tiếp nhận"), ("ends", "Cập nhật kết quả"))
        for step, title in TITLES.items()
    ]
    return Table(
        stem=f"sync-{period.label.replace('..', '_')}-{by}-{ask.question.role}",
        title="Tình hình cập nhật, đồng bộ dữ liệu hồ sơ",
        columns=(
            Column("code", ("Mã",), "text"),
            Column("name", ("Đơn vị" if by == "unit" else "Nguồn gửi",), "text"),
            *_FIXED,
            *histograms,
            Column("last_recorded_at", ("Cập nhật gần nhất",), "instant"),
        ),
        rows=tuple((*_named(line), *_values(line)) for line in lines),
        total=(None, "Tổng số", *_values(total)),
        lines=(f"Kỳ báo cáo: từ ngày {numbers.day(cut.first)} đến ngày {numbers.day(cut.last)}",),
        footnotes=("Hồ sơ chưa được cập nhật kết quả được tính là quá hạn thực tế.",),
    )


def _named(line: _Line) -> Row:
    unit = line.about.get("unit")
    return (line.about.get("source"), line.about.get("source")) if unit is None else (unit["code"], unit["name"])


def _values(line: _Line) -> Row:
    told, percent = line.told, _share(line.told)[2]
    last = max(line.heard.values(), default=None)
    return (
        told.overdue_by_fact,
        told.overdue_by_data,
        None if percent is None else Decimal(f"{percent:.2f}"),
        *told.receipts,
        *told.ends,
        last,
    )


_STEPS_EXAMPLE = dict.fromkeys(BOUNDS, 0) | {"within_1_hour": 380, "later": 2}
_FIGURES_EXAMPLE = {
    "overdue_by_fact": 2,
    "overdue_by_data": 3,
    "share_by_data": {"numerator": 3, "denominator": 5, "percent": 60.0},
    "receipts": _STEPS_EXAMPLE,
    "ends": _STEPS_EXAMPLE,
}
_DOC = documents.table(
    {
        "period": {"label": "2026-10", "from": "2026-10-01", "to": "2026-10-31"},
        "counted_to": "2026-10-31",
        "by": "source",
        "role": "resolving",
        "boundaries": "current",
        "position": "123456",
        "definitions": "1",
        "stale_sources": [],
        "rows": [
            {
                "source": "urn:example:one-stop",
                **_FIGURES_EXAMPLE,
                "last_recorded_at": "2026-10-31T16:58:03+07:00",
                "silent_days": 0,
            }
        ],
        "total": _FIGURES_EXAMPLE,
    }
)
