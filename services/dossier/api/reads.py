"""How dossiers stand now is read here: one with all that is known of it, lists behind any number, the backlog."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import TypeAdapter, ValidationError

from services.contract import (
    STANDING,
    VIETNAM,
    Channel,
    Code,
    Day,
    Flag,
    Grant,
    Instant,
    Standing,
    Status,
    vietnamese_day,
)
from services.dossier.api import documents, edge, feed
from services.dossier.domain import history, lifecycle
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.history import Effect
from services.dossier.domain.record import Recorded
from services.dossier.state import State
from services.dossier.store import log, reads
from services.dossier.store.reads import BACKLOG_COUNTS, Awaiting, Place, Role, Sort, Wanted
from services.kit import clock, door, parameters

_DEFAULT_ITEMS, _MOST_ITEMS = 100, 1_000
_MOST_CODES = 200


class UnknownDossier(Exception):
    """No dossier of that code is the client's to see."""


class ForbiddenUnit(Exception):
    """A unit was asked for that is not the client's."""


class UnknownCursor(Exception):
    """The text is no cursor, or one of a list that was asked for otherwise."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a walk through a list is: the list it belongs to, the day on which it judges, and the last dossier."""

    of: str
    on: Day
    key: str | None
    code: Code


@dataclass(frozen=True, slots=True)
class _Items:
    items: Sequence[Standing]
    next_cursor: str | None


_CODE: TypeAdapter[str] = TypeAdapter(Code)
_CURSOR: TypeAdapter[_Cursor] = TypeAdapter(_Cursor)
_ITEMS: TypeAdapter[_Items] = TypeAdapter(_Items)
# A cursor may have been made up, so what it holds is read like any other input.
_KEYS: Mapping[Sort, TypeAdapter[Any]] = {
    "code": TypeAdapter(None),
    "due": TypeAdapter(Day | None),
    "received": TypeAdapter(Instant | None),
}
_UNKNOWN = "no dossier of this code is known to this client"

_Units = Annotated[
    list[Code] | None, Query(max_length=_MOST_CODES, description="Codes of units; repeat the parameter for several.")
]
_Role = Annotated[
    Role, Query(description="Whether `unit` is the one that decides the dossier, or the counter that took it in.")
]
_On = Annotated[Day | None, Query(description="The day on which overdue is judged; default: today in Vietnam.")]
_From = Annotated[Day | None, Query(description="On this day or later.")]
_Before = Annotated[Day | None, Query(description="Before this day.")]


def router(state: State) -> APIRouter:
    """Return the routes that read dossiers."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/dossiers/{code:path}", **documents.documented(documents.DOSSIER_EXAMPLE, 404))
    async def get_dossier(code: str, grant: granted) -> Response:
        """Return how a dossier stands, its events in recording order, and how its due date came about."""
        if not _is_code(code):
            raise UnknownDossier(_UNKNOWN)
        async with state.database.connect() as transaction:
            standing = await reads.standing(transaction, grant, code)
            if standing is None:
                raise UnknownDossier(_UNKNOWN)
            events = await reads.events_of(transaction, grant, code)
            head = await log.head(transaction, grant.province)
            catalogue = await state.catalogues.of(transaction, grant.province, head.reference_version)
        recorded = [log.occurrence(event) for event in events]
        due, effect = lifecycle.explain_due(recorded, catalogue), history.effect(recorded)
        return edge.json(
            {
                "dossier": STANDING.dump_python(standing, mode="json"),
                "events": [feed.event_json(event) | _undone(event, effect) for event in events],
                "due": [{**asdict(step), "due_at": step.due_at and step.due_at.astimezone(VIETNAM)} for step in due],
            }
        )

    @routes.get("/v1/dossiers", **documents.documented(documents.DOSSIERS_EXAMPLE))
    async def get_dossiers(  # noqa: PLR0913 - one argument a query parameter
        grant: granted,
        unit: _Units = None,
        role: _Role = "resolving",
        status: Annotated[list[Status] | None, Query(max_length=8, description="Any of these; repeatable.")] = None,
        procedure: Annotated[
            list[Code] | None, Query(max_length=_MOST_CODES, description="Any of these; repeatable.")
        ] = None,
        field: Annotated[Code | None, Query(description="The field of the procedure.")] = None,
        channel: Annotated[Channel | None, Query(description="How the dossier came in.")] = None,
        flag: Annotated[list[Flag] | None, Query(max_length=50, description="Any of these; repeatable.")] = None,
        due_from: _From = None,
        due_before: _Before = None,
        without_due: Annotated[bool | None, Query(description="Whether there is no due date.")] = None,
        received_from: _From = None,
        received_before: _Before = None,
        ended_from: _From = None,
        ended_before: _Before = None,
        overdue: Annotated[bool | None, Query(description="Whether it is open and its due day has passed.")] = None,
        on: _On = None,
        awaiting: Annotated[
            Awaiting | None,
            Query(description="Why the clock of the open dossier stands still; `any` reason, or `none`: it runs."),
        ] = None,
        sort: Annotated[
            Sort | None, Query(description="Default: `due` where due dates are asked about, else `code`.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_ITEMS, description="The most one page holds.")] = _DEFAULT_ITEMS,
        cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before.")] = None,
    ) -> Response:
        """Return the dossiers for which everything asked is true: the list behind any number."""
        wanted = Wanted(
            units=_own(grant, unit) or (),
            role=role,
            statuses=frozenset(status or ()),
            procedures=frozenset(procedure or ()),
            field=field,
            channel=channel,
            flags=frozenset(flag or ()),
            due_from=due_from,
            due_before=due_before,
            without_due=without_due,
            received_from=received_from,
            received_before=received_before,
            ended_from=ended_from,
            ended_before=ended_before,
            overdue=overdue,
            awaiting=awaiting,
        )
        sorted_by = sort or ("due" if overdue or due_from or due_before else "code")
        list_ = _digest(wanted, sorted_by, on)
        day, after = (on or vietnamese_day(clock.now()), None) if cursor is None else _place(cursor, list_, sorted_by)
        async with state.database.connect() as transaction:
            # One more than a page tells whether there is a next one.
            found = await reads.dossiers(
                transaction, grant, wanted, on=day, sort=sorted_by, after=after, limit=limit + 1
            )
        items = found[:limit]
        more = None if len(found) <= limit else _cursor(list_, day, reads.place(items[-1], sorted_by))
        return Response(_ITEMS.dump_json(_Items(items, more)), media_type=edge.JSON)

    @routes.get("/v1/backlog", **documents.documented(documents.BACKLOG_EXAMPLE))
    async def get_backlog(
        grant: granted,
        on: _On = None,
        unit: _Units = None,
        role: _Role = "resolving",
        within: Annotated[int, Query(ge=0, le=366, description="How many days ahead `due_soon` looks.")] = 3,
    ) -> Response:
        """Return how many dossiers of each unit are open now, and of how many the due day has passed or is near."""
        day = on or vietnamese_day(clock.now())
        units = grant.units if unit is None else _own(grant, unit)
        async with state.database.connect() as transaction:
            head = await log.head(transaction, grant.province)
            catalogue = await state.catalogues.of(transaction, grant.province, head.reference_version)
            rows = await reads.backlog(transaction, grant, units=units, role=role, on=day, within=within)
        return edge.json(
            {
                "on": day,
                "role": role,
                "within": within,
                "position": str(head.position),
                "rows": [{"unit": _unit(code, day, catalogue), "counts": counts} for code, counts in rows.items()],
                "total": {"counts": {name: sum(row[name] for row in rows.values()) for name in BACKLOG_COUNTS}},
            }
        )

    return routes


def _own(grant: Grant, asked: Sequence[str] | None) -> frozenset[str] | None:
    """Return the units asked for.

    :raises ForbiddenUnit: one of them is not the client's.
    """
    if asked is not None and grant.units is not None and not grant.units.issuperset(asked):
        msg = "one of the units asked for is not the client's"
        raise ForbiddenUnit(msg)
    return None if asked is None else frozenset(asked)


def _unit(code: str, on_day: date, catalogue: Catalogue) -> Mapping[str, str | None]:
    """Return what a unit's code means on the day, or meant last."""
    unit = catalogue.unit(code, on_day) or next(reversed(catalogue.units.get(code, ())), None)
    return {"code": code, "name": unit.name if unit else None, "kind": unit.kind if unit else None}


def _digest(wanted: Wanted, sort: Sort, on: date | None) -> str:
    """Return what two requests share exactly when they ask for the same list."""
    asked = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(wanted).items()}
    content = orjson.dumps([asked, sort, on], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _cursor(of: str, on: date, place: Place) -> str:
    key = None if place.key is None else place.key.isoformat()
    return base64.urlsafe_b64encode(_CURSOR.dump_json(_Cursor(of, on, key, place.code))).decode()


def _place(text: str, of: str, sort: Sort) -> tuple[date, Place]:
    """Return the day and the place that a cursor of the list `of` holds.

    :raises UnknownCursor: it holds none, or belongs to another list.
    """
    try:
        cursor = _CURSOR.validate_json(base64.b64decode(text, altchars=b"-_", validate=True))
        key = _KEYS[sort].validate_python(cursor.key)
    except (ValidationError, binascii.Error, ValueError) as error:
        msg = "the text is no cursor of this system"
        raise UnknownCursor(msg) from error
    if cursor.of != of:
        msg = "the cursor belongs to a list that was asked for with other parameters"
        raise UnknownCursor(msg)
    return cursor.on, Place(key, cursor.code)


def _undone(event: Recorded, effect: Effect) -> dict[str, object]:
    """Return by which events, named by their ids, an event was corrected and retracted."""
    key = event.source, event.id
    return {
        "corrected_by": list(effect.corrected_by.get(key, ())),
        "retracted_by": effect.retracted_by.get(key),
    }


def _is_code(text: str) -> bool:
    """Tell whether a dossier could have this code; PostgreSQL could not even be asked for some others."""
    try:
        _CODE.validate_python(text)
    except ValidationError:
        return False
    return True
