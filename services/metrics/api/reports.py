"""`/v1/reports`: an answer is frozen as it was given, read unchanged for ever, and compared with what is known now."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal, cast

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BeforeValidator, Field, field_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION, VIETNAM, Channel, Code, FreeText, Grant, Identifier, Instant
from services.contract import Frozen as FrozenModel
from services.kit import clock, door, parameters, problems
from services.metrics import differences, past, report
from services.metrics.answers import Answer, Newest
from services.metrics.api import answering, forms, questions, rates
from services.metrics.api.public import PublicOnly
from services.metrics.api.questions import Asked
from services.metrics.asking import Ask, At, Make
from services.metrics.differences import Moved
from services.metrics.domain import periods
from services.metrics.domain.tally import Role
from services.metrics.domain.targets import UnitKind
from services.metrics.domain.vectors import NAMES, Vector
from services.metrics.formats import negotiation
from services.metrics.forms import form_06a
from services.metrics.forms.form_06a import Heading, Level
from services.metrics.past import Moment
from services.metrics.report import By, Figures, Known, Question, Row
from services.metrics.state import State
from services.metrics.store import counting, reports
from services.metrics.store.reports import Fresh, Frozen

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 1_000
# The pages of one comparison are asked for one after another, and each is cut from the whole.
_COMPARISONS_KEPT = 4
_FOR_EVER = "private, max-age=31536000, immutable"

Kind = Literal["rates", "06a", "06b", "06c", "766"]


class UnknownReport(Exception):
    """No report of that number is the client's to read."""


class KeyReused(Exception):
    """The client froze something else with the same idempotency key."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Codes = Annotated[tuple[Code, ...], BeforeValidator(_listed), Field(max_length=200)]
"""Codes as a JSON array, or one of them alone."""


class Freezing(FrozenModel):
    """What is to be frozen: a kind of answer and the parameters that it is asked for with."""

    kind: Kind
    period: Annotated[str, Field(max_length=40, json_schema_extra={"pattern": periods.PATTERN})]
    by: Literal["unit", "field", "procedure", "channel", "day", "week", "month", "none"] | None = None
    role: Role = "resolving"
    unit_kind: UnitKind | None = None
    unit: Codes | None = None
    field: Codes = ()
    procedure: Codes = ()
    channel: Channel | None = None
    boundaries: Literal["current", "historical"] = "current"
    cutoff: Literal["calendar", "statutory"] = "calendar"
    as_of: Instant | None = None
    min_position: Annotated[str, Field(max_length=18)] | None = None
    note: FreeText = ""

    @field_validator("by")
    @classmethod
    def _of_rates_alone(cls, by: By | None, info: Any) -> By | None:  # noqa: ANN401 - pydantic's
        if by is not None and info.data.get("kind") != "rates":
            msg = "a form says itself by what its rows are told apart"
            raise ValueError(msg)
        return by

    def parameters(self) -> dict[str, Any]:
        """Return what is asked, as a JSON object: the parameters on which the answer depends."""
        return self.model_dump(mode="json", exclude={"kind", "note", "min_position"})

    def how(self) -> tuple[By, Make]:
        """Return by what the rows are told apart, and what puts the answer together."""
        return (self.by or "unit", rates.made) if self.kind == "rates" else forms.FORMS[self.kind]

    def question(self, grant: Grant) -> Question:
        """Return what is asked on behalf of the client.

        :raises InvalidPeriod: the period is none.
        :raises ForbiddenUnit: a unit is not the client's.
        """
        asked = Asked(
            self.period,
            self.role,
            self.unit_kind,
            self.unit,
            self.field,
            self.procedure,
            self.channel,
            self.boundaries,
            self.cutoff,
        )
        return asked.question(grant, self.how()[0])


_Id = Annotated[str, Path(max_length=18, description="The report's number.")]
_Cursor = Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")]
_Limit = Annotated[int, Query(ge=1, le=_LARGEST_PAGE, description="The most that one page may hold.")]


def router(state: State) -> APIRouter:
    """Return the routes of frozen reports."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(_not_public(state))]
    compared: Newest[_Compared] = Newest(_COMPARISONS_KEPT)

    @routes.post("/v1/reports", status_code=HTTPStatus.CREATED, responses=_CREATED_DOC)
    async def post_report(
        grant: granted,
        freezing: Freezing,
        idempotency_key: Annotated[
            Identifier | None, Header(description="Sent again with the same body, it answers with the same report.")
        ] = None,
    ) -> Response:
        """Freeze the answer to a question, as it is now or was at `as_of`: its bytes, its position, its definitions."""
        return await _freeze(state, grant, freezing, idempotency_key)

    @routes.get("/v1/reports", responses=_documented({"items": [_EXAMPLE], "next_cursor": None}))
    async def get_reports(
        grant: granted,
        kind: Annotated[Kind | None, Query(description="Reports of one kind.")] = None,
        period: Annotated[
            str | None, Query(max_length=40, description="Reports of one period, as it was written when frozen.")
        ] = None,
        cursor: _Cursor = None,
        limit: _Limit = _DEFAULT_PAGE,
    ) -> Response:
        """Return the frozen reports that the client may read, the newest first."""
        before = None if cursor is None else parameters.position(cursor)
        async with state.database.connect() as transaction:
            found = await reports.page(
                transaction, grant.province, grant.units, kind=kind, period=period, before=before, limit=limit
            )
        next_cursor = str(found[-1].id) if len(found) == limit else None
        return _json({"items": [_told(frozen) for frozen in found], "next_cursor": next_cursor})

    @routes.get("/v1/reports/{id}", responses=_documented({**_EXAMPLE, "content": {}}, 404))
    async def get_report(grant: granted, id: _Id) -> Response:  # noqa: A002 - the parameter's public name
        """Return what is told of a frozen report, with its content as the member `content`."""
        frozen, content, _ = await _read(state, grant, id)
        return _json({**_told(frozen), "content": orjson.Fragment(content)})

    @routes.get("/v1/reports/{id}/content", responses=_documented({}, 404, 406) | _UNCHANGED)
    async def get_content(
        request: Request,
        grant: granted,
        id: _Id,  # noqa: A002 - the parameter's public name
        format: questions.FormatName = None,  # noqa: A002 - the parameter's public name
    ) -> Response:
        """Return the answer byte for byte as it was frozen; its SHA-256 is the report's `content_hash`.

        Forms 06a, 06b and 06c come as CSV and XLSX, too, made of the counts that were frozen.
        """
        frozen, content, figures = await _read(state, grant, id)
        chosen = questions.chosen_format(request, format)
        etag = f'"{frozen.content_hash}"' if chosen == "json" else f'"{frozen.content_hash}-{chosen}"'
        headers = {"ETag": etag, "Cache-Control": _FOR_EVER, "Vary": "Accept, Authorization"}
        answer = Answer(content.encode(), None, negotiation.MEDIA_TYPES["json"])
        if chosen != "json":
            answer = _file(frozen, orjson.loads(content), figures, grant.province, chosen)
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if answer.disposition is not None:
            headers["Content-Disposition"] = answer.disposition
        return Response(answer.head, headers=headers, media_type=answer.media_type)

    @routes.get("/v1/reports/{id}/diff", responses=_documented(_DIFF_EXAMPLE, 404, 503) | _UNCHANGED)
    async def get_diff(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        id: _Id,  # noqa: A002 - the parameter's public name
        cursor: _Cursor = None,
        limit: _Limit = _DEFAULT_PAGE,
        min_position: questions.MinPosition = None,
    ) -> Response:
        """Return what has been recorded since that changes the report, for the same days, and the dossiers behind it.

        The moves of the dossiers add up to the difference of every count. What definitions or units of today tell
        otherwise of what was known then stands apart, in `judged_anew`.
        """
        frozen, _, figures = await _read(state, grant, id)
        ask = Ask(
            "diff",
            _question(frozen, grant.province),
            partial(_diff, state, compared, frozen, figures),
            min_position=questions.min_position(min_position),
            more=(frozen.id, cursor or "", limit),
            of_all_days=True,
        )
        return await answering.answered(state, request, ask)

    return routes


def _not_public(state: State) -> Callable[[Request], Awaitable[Grant]]:
    """Return a dependency that answers the request's grant, or raises `PublicOnly`."""
    granted = door.grant_reader(state.internal_key)

    async def not_public(request: Request) -> Grant:
        grant = await granted(request)
        if grant.public:
            msg = "the client sees public aggregates alone, and frozen reports tell more"
            raise PublicOnly(msg)
        return grant

    return not_public


def _json(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = {"Cache-Control": "private, no-cache"}
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _told(frozen: Frozen) -> dict[str, Any]:
    return {
        "id": str(frozen.id),
        "kind": frozen.kind,
        "question": frozen.question,
        "units": frozen.units,
        "position": str(frozen.position),
        "told_on": frozen.told_on.isoformat(),
        "reference_version": str(frozen.reference_version),
        "definitions": frozen.definitions,
        "frozen_at": frozen.frozen_at.astimezone(VIETNAM).isoformat(),
        "frozen_by": frozen.frozen_by,
        "note": frozen.note,
        "content_hash": frozen.content_hash,
    }


async def _read(state: State, grant: Grant, number: str) -> tuple[Frozen, str, Mapping[str, Any]]:
    """Return the report, its content and its figures.

    :raises UnknownReport: there is none of that number, or it speaks of units that are not the client's.
    """
    found = None
    if number.isascii() and number.isdigit():
        async with state.database.connect() as transaction:
            found = await reports.one(transaction, grant.province, grant.units, int(number))
    if found is None:
        msg = f"no report {number} is known to this client"
        raise UnknownReport(msg)
    return found


# --- Freezing ---------------------------------------------------------------------------------------------------------


async def _freeze(state: State, grant: Grant, freezing: Freezing, key: str | None) -> Response:
    found = None
    if key is not None:
        async with state.database.connect() as transaction:
            found = await reports.by_key(transaction, grant.province, grant.client, key)
    fresh = None
    if found is None:
        fresh = await _fresh(state, grant, freezing, key)
        async with state.database.begin() as transaction:
            found = await reports.add(transaction, fresh)
    # Of two requests with one key at the same time, the second is answered with the report of the first.
    if fresh is not None and found.frozen_at == fresh.frozen_at:
        return _json(_told(found), HTTPStatus.CREATED)
    if (found.kind, found.question, found.note) != (freezing.kind, freezing.parameters(), freezing.note):
        msg = "another report was frozen with this Idempotency-Key"
        raise KeyReused(msg)
    return _json(_told((await _read(state, grant, str(found.id)))[0]))


async def _fresh(state: State, grant: Grant, freezing: Freezing, key: str | None) -> Fresh:
    """Return the report that is to be frozen, with the answer put together for it alone."""
    question = freezing.question(grant)
    taken: dict[str, Any] = {}

    async def make(transaction: AsyncConnection, ask: Ask, known: Known, at: At) -> Answer:
        checkpoint = await counting.checkpoint(transaction, question.province)
        taken["reference_version"] = checkpoint.reference_version
        taken["figures"] = differences.figures(await report.report(transaction, question, known))
        return await freezing.how()[1](transaction, ask, known, at)

    ask = Ask(
        "report",
        question,
        make,
        as_of=freezing.as_of,
        min_position=questions.min_position(freezing.min_position),
        more=(freezing.kind,),
    )
    at, _, answer = await answering.made(state, ask, *await answering.seen(state, ask))
    content = answer.content(at.position)
    return Fresh(
        province=grant.province,
        kind=freezing.kind,
        question=freezing.parameters(),
        units=None if question.units is None else sorted(question.units),
        position=at.position,
        told_on=at.today,
        definitions=DEFINITIONS_VERSION,
        frozen_at=clock.now(),
        frozen_by=grant.client,
        note=freezing.note,
        idempotency_key=key,
        content=content.decode(),
        content_hash=hashlib.sha256(content).hexdigest(),
        **taken,
    )


def _question(frozen: Frozen, province: str) -> Question:
    """Return what the report answered; units that it was asked for may have been merged into others since."""
    freezing = Freezing(kind=cast("Kind", frozen.kind), **frozen.question)
    question = freezing.question(Grant(client=frozen.frozen_by, province=province))
    return replace(question, units=None if frozen.units is None else frozenset(frozen.units), asked_for=None)


def _as_of(frozen: Frozen) -> datetime | None:
    as_of = frozen.question["as_of"]
    return None if as_of is None else datetime.fromisoformat(as_of)


# --- Files ------------------------------------------------------------------------------------------------------------


def _file(
    frozen: Frozen,
    content: Mapping[str, Any],
    figures: Mapping[str, Any],
    province: str,
    chosen: negotiation.Format,
) -> Answer:
    """Return a frozen form as a file.

    :raises NotOffered: there is none of this kind of report.
    """
    if chosen not in {"csv", "xlsx"} or not frozen.kind.startswith("06"):
        msg = f"a frozen report {frozen.kind} is not offered as {chosen}"
        raise negotiation.NotOffered(msg)
    first, last = (date.fromisoformat(content["period"][end]) for end in ("from", "to"))
    named: Sequence[str] = frozen.question["unit"] or ()
    heading = Heading(content["unit"], named[0] if len(named) == 1 else province, first, last)
    level = cast("Level", frozen.kind[-1])
    rows = [Row(differences.told_about(row), Figures(_vector(row["counts"]), {})) for row in figures["rows"]]
    table = form_06a.table(level, forms.lines_of(rows, level), figures["total"]["counts"], heading)
    return answering.file(table, chosen, last)


def _vector(counts: Mapping[str, int]) -> Vector:
    return tuple(counts.get(name, 0) for name in NAMES)


# --- Comparing --------------------------------------------------------------------------------------------------------

_Compared = tuple[dict[str, Any], list[Moved]]


async def _diff(  # noqa: PLR0913 - what is compared, and for whom
    state: State,
    compared: Newest[_Compared],
    frozen: Frozen,
    figures: Mapping[str, Any],
    transaction: AsyncConnection,
    ask: Ask,
    known: Known,
    at: At,
) -> Answer:
    _, cursor, limit = ask.more
    reached = await counting.checkpoint(transaction, ask.question.province)
    key = ask.question.province, frozen.id, reached
    found = compared.get(key)
    if found is None:
        found = await _compared(state, frozen, figures, transaction, ask.question, known)
        compared.keep(key, found)
    differing, moved = found
    items = [one for one in moved if one.code > cursor][: limit + 1]
    return answering.json(
        {
            "report": _told(frozen),
            "position": str(at.position),
            "definitions_then": frozen.definitions,
            "definitions_now": DEFINITIONS_VERSION,
            "reference_version_then": str(frozen.reference_version),
            "reference_version_now": str(reached.reference_version),
            **differing,
            "dossiers": len(moved),
            "items": [_moved_json(one) for one in items[:limit]],
            "next_cursor": items[limit - 1].code if len(items) > limit else None,
        }
    )


async def _compared(  # noqa: PLR0913 - what is compared
    state: State,
    frozen: Frozen,
    figures: Mapping[str, Any],
    transaction: AsyncConnection,
    question: Question,
    known: Known,
) -> _Compared:
    """Return how the report's figures differ from those of today, and every dossier that moved them."""
    source = answering.source(state)
    then = Moment(frozen.position, frozen.told_on, _as_of(frozen))
    changes = await past.changes(transaction, source, question.province, known.generation, then)
    # Counted as of the report's own day: what time alone has done since is no news about what was reported.
    present = replace(known, today=frozen.told_on, changes=())
    now = report.as_json(await report.report(transaction, question, present), 0, ())
    before = await report.report(transaction, question, replace(present, changes=changes))
    differing = differences.between(report.as_json(before, 0, ()), now)
    judged_anew = differences.between(figures, differences.figures(before))
    moved = await asyncio.to_thread(differences.moved, question, present, changes)
    return {**differing, "judged_anew": judged_anew}, list(moved)


def _moved_json(one: Moved) -> dict[str, Any]:
    def changed(vector: Vector) -> dict[str, int]:
        return {name: by for name, by in differences.counts_json(vector).items() if by}

    return {
        "code": one.code,
        "rows": [{**about, "counts": changed(vector)} for about, vector in one.rows],
        "total": {"counts": changed(one.total)},
    }


_QUESTION_EXAMPLE = {"period": "2026-10", "by": None, "role": "resolving", "unit": ["05977"], "boundaries": "current"}
_EXAMPLE: dict[str, Any] = {
    "id": "17",
    "kind": "06a",
    "question": _QUESTION_EXAMPLE,
    "units": ["05977"],
    "position": "123456",
    "told_on": "2026-11-03",
    "reference_version": "3",
    "definitions": "1",
    "frozen_at": "2026-11-03T08:00:00+07:00",
    "frozen_by": "one-stop-05977",
    "note": "",
    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
_DIFF_EXAMPLE = {
    "report": _EXAMPLE,
    "position": "123999",
    "definitions_then": "1",
    "definitions_now": "1",
    "rows": [],
    "total": {"counts": {"resolved": {"before": 398, "after": 399, "delta": 1}}, "rates": {}},
    "judged_anew": {"rows": [], "total": {"counts": {}}},
    "dossiers": 1,
    "items": [{"code": "H37.05977-261005-9001", "rows": [], "total": {"counts": {"resolved": 1}}}],
    "next_cursor": None,
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has the answer of the ETag"}}


def _documented(example: Mapping[str, Any], *statuses: int, ok: int = 200) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {
        ok: {"content": content},
        **problems.documented(
            403, 422, *statuses, s403="The client sees public figures alone, or a unit is not the client's"
        ),
    }


_CREATED_DOC = _documented(_EXAMPLE, 400, 503, ok=201) | {
    200: {"description": "The report that was frozen with the same Idempotency-Key"}
}
