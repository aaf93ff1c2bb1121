"""Units, procedures and the calendar are read and stored here, in all their versions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import date
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import VIETNAM, CalendarDay, Day, Frozen, Grant, Procedure, Unit, vietnamese_day
from services.dossier import uploads
from services.dossier.api import documents, edge
from services.dossier.domain import revision
from services.dossier.domain.revision import Change, E
from services.dossier.state import State
from services.dossier.store import log, reference, refold
from services.dossier.uploads import InvalidReference
from services.kit import body, clock, door, parameters, problems
from services.kit.problems import Problem

_INVALID_REFERENCE = Problem(
    HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_reference", "Dữ liệu danh mục không hợp lệ; chưa có mục nào được lưu."
)

# Enough to see what an upload does; everything is answered by /v1/reference/changes.
_MOST_NAMED = 200
_LARGEST_PAGE = 5_000
_CURSOR = r"^\d{1,18}:[^\x00-\x1f\x7f]{1,120}$"

_Versions = Annotated[Literal["in_force", "all"], Query(description="Those in force on the day, or every version.")]
_Day = Annotated[Day | None, Query(description="A day; default: today in Vietnam.")]
_DryRun = Annotated[bool, Query(description="Answer as if, and store nothing.")]


def router(state: State) -> APIRouter:
    """Return the routes of reference data."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/units", **documents.documented({"items": [], "next_cursor": None}))
    async def get_units(grant: granted, on: _Day = None, versions: _Versions = "in_force") -> Response:
        """Return the province's units in force on a day (default today), or every version of them."""
        return await _listed(state, grant, lambda t: reference.units(t, grant.province, _on(on, versions)))

    @routes.get("/v1/procedures", **documents.documented({"items": [], "next_cursor": None}))
    async def get_procedures(grant: granted, on: _Day = None, versions: _Versions = "in_force") -> Response:
        """Return the procedures in force on a day (default today), or every version of them."""
        return await _listed(state, grant, lambda t: reference.procedures(t, grant.province, _on(on, versions)))

    @routes.get("/v1/calendar", **documents.documented({"items": [], "next_cursor": None}))
    async def get_calendar(grant: granted, on: _Day = None) -> Response:
        """Return the weekdays off and the weekend days worked: all of them, or what is known of one day."""
        return await _listed(state, grant, lambda t: reference.calendar_days(t, grant.province, on, on))

    @routes.get("/v1/reference/changes", **documents.documented({"items": [], "next_cursor": None}))
    async def get_changes(
        grant: granted,
        after: Annotated[int, Query(ge=0, lt=10**18, description="Changes after this version are answered.")] = 0,
        cursor: Annotated[str | None, Query(pattern=_CURSOR, description="Where the last page ended.")] = None,
        limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE, description="The most that one page may hold.")] = 1_000,
    ) -> Response:
        """Return who changed what when, in the order of the versions that the changes made."""
        version, _, after_key = (cursor or f"{after}").partition(":")
        async with state.database.connect() as transaction:
            changes = await reference.changes_after(transaction, grant.province, int(version), after_key or None, limit)
        next_cursor = f"{changes[-1].version}:{changes[-1].key}" if len(changes) == limit else None
        items = [{**asdict(change), "changed_at": change.changed_at.astimezone(VIETNAM)} for change in changes]
        return edge.json({"items": items, "next_cursor": next_cursor})

    @routes.put("/v1/units", **documents.put_documented(Unit))
    async def put_units(request: Request, grant: granted, dry_run: _DryRun = False) -> Response:  # noqa: FBT002 - a query parameter
        """Store versions of units under (code, valid_from): a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, Unit, reference.units, dry_run=dry_run)

    @routes.put("/v1/procedures", **documents.put_documented(Procedure))
    async def put_procedures(request: Request, grant: granted, dry_run: _DryRun = False) -> Response:  # noqa: FBT002 - a query parameter
        """Store versions of procedures under (code, valid_from): a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, Procedure, reference.procedures, dry_run=dry_run)

    @routes.put("/v1/calendar", **documents.put_documented(CalendarDay))
    async def put_calendar(request: Request, grant: granted, dry_run: _DryRun = False) -> Response:  # noqa: FBT002 - a query parameter
        """Store days that depart from Monday-to-Friday: a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, CalendarDay, reference.calendar_days, dry_run=dry_run)

    return routes


def _on(on_day: date | None, versions: _Versions) -> date | None:
    return None if versions == "all" else on_day or vietnamese_day(clock.now())


async def _listed(
    state: State, grant: Grant, read: Callable[[AsyncConnection], Awaitable[Sequence[Frozen]]]
) -> Response:
    async with state.database.connect() as transaction:
        # The version is read first: whoever keeps the items under it then asks again too soon, never too late.
        version = (await log.head(transaction, grant.province)).reference_version
        items = await read(transaction)
    content = {"items": [item.model_dump(mode="json", by_alias=True) for item in items], "next_cursor": None}
    return edge.json(content, headers={"Motcua-Reference": str(version)})


async def _put(  # noqa: PLR0913 - each names a part of the request
    state: State,
    request: Request,
    grant: Grant,
    shape: type[E],
    stored: Callable[[AsyncConnection, str], Awaitable[Sequence[E]]],
    *,
    dry_run: bool,
) -> Response:
    if grant.units is not None:
        msg = "reference data belongs to the whole province"
        raise edge.ProvinceOnly(msg)
    content_type = edge.content_type(request)
    if content_type not in {edge.JSON, "text/csv"}:
        msg = "send application/json or text/csv"
        raise edge.UnsupportedMediaType(msg)
    # A large upload takes a second to read; events go on being recorded meanwhile.
    upload = await asyncio.to_thread(uploads.read, await body.read(request), content_type, shape)
    async with state.database.begin() as transaction:
        if not dry_run:
            # Events being recorded are judged wholly by the old or wholly by the new reference data.
            await log.hold(transaction, grant.province)
        before = await stored(transaction, grant.province)
        made = await asyncio.to_thread(revision.revised, before, upload.entries)
        uploads.refuse(upload, made.faults)
        if not dry_run:
            await reference.put(transaction, grant.province, made.changes, client=grant.client, at=clock.now())
    if made.changes and not dry_run:
        state.recorded.ring()
    # These may be many, and are looked for when nobody waits for it any longer.
    warnings = await asyncio.to_thread(lambda: list(islice(revision.warnings(before, upload.entries), _MOST_NAMED)))
    reach = revision.reach(made.changes)
    async with state.database.connect() as transaction:
        # Counted when nobody waits for it any longer: it is a look at every dossier.
        affected = 0 if reach is None else await refold.affected(transaction, grant.province, reach)
        version = (await log.head(transaction, grant.province)).reference_version
    changed = sum(change.before is not None for change in made.changes)
    report = {
        "received": len(upload.entries),
        "created": len(made.changes) - changed,
        "changed": changed,
        "unchanged": len(upload.entries) - len(made.changes),
        "affected_dossiers": affected,
        "dry_run": dry_run,
        "changes": [_change_json(change) for change in made.changes[:_MOST_NAMED]],
        "warnings": [asdict(warning) for warning in warnings],
    }
    return edge.json(report, headers={"Motcua-Reference": str(version)})


def _change_json(change: Change[E]) -> dict[str, object]:
    return {
        "key": revision.key(change.after),
        "kind": "created" if change.before is None else "changed",
        "before": None if change.before is None else change.before.model_dump(mode="json", by_alias=True),
        "after": change.after.model_dump(mode="json", by_alias=True),
    }


async def invalid_reference(_request: Request, error: Exception) -> Response:
    """Return the answer to an upload that is not valid, with all that is wrong with it."""
    assert isinstance(error, InvalidReference)  # noqa: S101 - registered for this type alone
    return problems.answer(_INVALID_REFERENCE, str(error), errors=error.errors)
