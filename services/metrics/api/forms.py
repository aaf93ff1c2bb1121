"""The statutory forms: 06a of a unit, its roll-ups 06b and 06c, and what decision 766 scores."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Grant
from services.kit import door, parameters
from services.metrics import publication, report
from services.metrics.answers import Answer
from services.metrics.api import answering, documents, public, questions
from services.metrics.api.public import Audience
from services.metrics.api.questions import Asked
from services.metrics.asking import Ask, At, Make
from services.metrics.domain.suppression import Shown
from services.metrics.domain.vectors import NAMES
from services.metrics.forms import decision_766, form_06a
from services.metrics.forms.form_06a import Counts, Heading, Level, Line
from services.metrics.publication import NotPublic
from services.metrics.report import About, By, Known, Report, Row
from services.metrics.state import State

_KINDS = {"department": "Cấp tỉnh", "commune": "Cấp xã"}


def router(state: State) -> APIRouter:
    """Return the routes that answer with forms."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]
    asked = Annotated[Asked, Depends(questions.asked)]
    audience = Annotated[Audience, Depends(public.audience)]

    @routes.get("/v1/forms/{form}", responses=_DOC)
    async def get_form(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        asked: asked,
        audience: audience,
        form: Literal["06a", "06b", "06c", "766"],
        as_of: questions.AsOf = None,
        min_position: questions.MinPosition = None,
        format: questions.FormatName = None,  # noqa: A002 - the parameter's public name
    ) -> Response:
        """Return a form: 06a by field, 06b by unit, 06c by unit with sub-totals by level, 766 as points.

        The points are computed from what is recorded; they are not the official score.
        """
        by, make = FORMS[form]
        wanted = questions.chosen_format(request, format)
        if public.meant(audience, grant):
            if form not in PUBLIC:
                msg = f"of the forms, {', '.join(PUBLIC)} are told to everybody"
                raise NotPublic(msg)
            ask = public.ask("form", asked, grant, by, _public_06, wanted, form, others=(as_of, min_position))
        else:
            ask = Ask(
                f"form {form}",
                asked.question(grant, by),
                make,
                wanted,
                as_of=as_of,
                min_position=questions.min_position(min_position),
                more=(form,),
            )
        return await answering.answered(state, request, ask)

    return routes


async def _06(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    found = await report.report(transaction, ask.question, known)
    level = cast("Level", ask.more[0][-1])
    heading = Heading(*_unit(ask, known), found.question.period.first, found.cut.last)
    lines, total = lines_of(found.rows, level), dict(zip(NAMES, found.total.counts, strict=True))
    if ask.format != "json":
        return answering.file(form_06a.table(level, lines, total, heading), ask.format, found.cut.last)
    return answering.json(
        {**form_06a.answer(level, lines, total, heading), "position": str(at.position), "stale_sources": at.stale_units}
    )


async def _public_06(transaction: AsyncConnection, ask: Ask, known: Known, _at: At) -> Answer:
    """Put together what everybody may see of the form; stocks and small numbers are not told."""
    found = await publication.publication(transaction, ask.question, known)
    level, period = cast("Level", ask.more[0][-1]), ask.question.period
    heading = Heading(*_unit(ask, known), period.first, period.last)
    untold: Shown = dict.fromkeys(NAMES)
    lines = _lines([(row.about, untold | row.counts) for row in found.rows], level)
    total = untold | found.total
    if ask.format != "json":
        return answering.file(form_06a.table(level, lines, total, heading), ask.format, period.last)
    told = {name: publication.head_json(ask.question)[name] for name in ("audience", "suppressed")}
    return answering.json({**form_06a.answer(level, lines, total, heading), **told})


def lines_of(rows: Sequence[Row], level: Level) -> Sequence[Line]:
    """Return the rows of an answer as lines of the form."""
    return _lines([(row.about, dict(zip(NAMES, row.figures.counts, strict=True))) for row in rows], level)


def _lines(rows: Sequence[tuple[About, Counts]], level: Level) -> Sequence[Line]:
    lines = []
    for of, counts in rows:
        (about,) = of.values()
        code, name = ("", "Chưa rõ lĩnh vực") if about is None else (about["code"], about["name"])
        group = _KINDS.get(about["kind"]) if level == "c" else None
        lines.append(Line(name or code, counts, code, group))
    # A roll-up names departments before communes; within each, and in other forms, the order is that of the codes.
    order = [None, *_KINDS.values()]
    return sorted(lines, key=lambda line: order.index(line.group))


def _unit(ask: Ask, known: Known) -> tuple[str, str]:
    """Return the name and code of whoever reports: the one unit that the form speaks of, else the province."""
    speaks_of = ask.question.units
    if speaks_of is not None and len(speaks_of) == 1:
        (code,) = speaks_of
        versions = [unit for (of, _), unit in sorted(known.reference.units.items()) if of == code]
        on = ask.question.period.last
        told = [unit for unit in versions if unit.valid_from <= on]
        # A client may be limited to a unit that nobody has put yet.
        return (told or versions)[-1].name if versions else code, code
    provinces = [unit for unit in known.reference.units.values() if unit.kind == "province"]
    return (provinces[-1].name if provinces else f"Tỉnh {ask.question.province}"), ask.question.province


async def _766(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
    found = await report.report(transaction, ask.question, known)
    shares = _shares(found)
    name, code = _unit(ask, known)
    first, last = found.question.period.first, found.cut.last
    if ask.format != "json":
        return answering.file(decision_766.table(name, code, first, last, shares), ask.format, last)
    content = decision_766.answer(name, first, last, shares)
    return answering.json({**content, "position": str(at.position), "stale_sources": at.stale_units})


def _shares(found: Report) -> decision_766.Shares:
    told = {**dict(zip(NAMES, found.total.counts, strict=True)), **found.total.procedures}
    return {rate.name: (rate.numerator(told), rate.denominator(told)) for rate in report.told_rates(found, found.total)}


FORMS: Mapping[str, tuple[By, Make]] = {
    "06a": ("field", _06),
    "06b": ("unit", _06),
    "06c": ("unit", _06),
    "766": ("none", _766),
}
"""By what the rows of each form are told apart, and what puts it together."""

PUBLIC = ("06a", "06b", "06c")
"""The forms that are told to everybody."""


_DOC = documents.table({"form": "II.06a/VPCP/KSTT", "rows": [], "total": {"column_3": 432, "column_7": 398}})
