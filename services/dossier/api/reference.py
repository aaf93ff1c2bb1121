"""Units, procedures and the calendar are read and stored here, in all their versions."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import CalendarDay, Frozen, Grant, Procedure, Unit, vietnamese_day
from services.dossier import store, wire
from services.dossier.api import documents, edge
from services.dossier.state import State
from services.dossier.wire import R
from services.kit import body, clock, door, parameters

_Versions = Annotated[Literal["in_force", "all"], Query(description="Those in force on the day, or every version.")]
_Day = Annotated[date | None, Query(description="A day; default: today in Vietnam.")]


def router(state: State) -> APIRouter:
    """Return the routes of reference data."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/units", **documents.documented({"items": [], "next_cursor": None}))
    async def get_units(grant: granted, on: _Day = None, versions: _Versions = "in_force") -> Response:
        """Return the province's units in force on a day (default today), or every version of them."""
        return await _listed(state, grant, lambda t: store.units(t, grant.province, _on(on, versions)))

    @routes.get("/v1/procedures", **documents.documented({"items": [], "next_cursor": None}))
    async def get_procedures(grant: granted, on: _Day = None, versions: _Versions = "in_force") -> Response:
        """Return the procedures in force on a day (default today), or every version of them."""
        return await _listed(state, grant, lambda t: store.procedures(t, grant.province, _on(on, versions)))

    @routes.get("/v1/calendar", **documents.documented({"items": [], "next_cursor": None}))
    async def get_calendar(grant: granted, on: _Day = None) -> Response:
        """Return the weekdays off and the weekend days worked: all of them, or what is known of one day."""
        return await _listed(state, grant, lambda t: store.calendar_days(t, grant.province, on, on))

    @routes.put("/v1/units", **documents.put_documented(Unit))
    async def put_units(request: Request, grant: granted) -> Response:
        """Store versions of units under (code, valid_from): a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, Unit, store.put_units)

    @routes.put("/v1/procedures", **documents.put_documented(Procedure))
    async def put_procedures(request: Request, grant: granted) -> Response:
        """Store versions of procedures under (code, valid_from): a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, Procedure, store.put_procedures)

    @routes.put("/v1/calendar", **documents.put_documented(CalendarDay))
    async def put_calendar(request: Request, grant: granted) -> Response:
        """Store days that depart from Monday-to-Friday: a JSON array, or CSV with a header line."""
        return await _put(state, request, grant, CalendarDay, store.put_calendar_days)

    return routes


def _on(on_day: date | None, versions: _Versions) -> date | None:
    return None if versions == "all" else on_day or vietnamese_day(clock.now())


async def _listed(
    state: State, grant: Grant, read: Callable[[AsyncConnection], Awaitable[Sequence[Frozen]]]
) -> Response:
    async with state.database.connect() as transaction:
        # The version is read first: whoever keeps the items under it then asks again too soon, never too late.
        version = (await store.head(transaction, grant.province)).reference_version
        items = await read(transaction)
    content = {"items": [item.model_dump(mode="json", by_alias=True) for item in items], "next_cursor": None}
    return edge.json(content, headers={"Motcua-Reference": str(version)})


async def _put(
    state: State,
    request: Request,
    grant: Grant,
    shape: type[R],
    put: Callable[[AsyncConnection, str, Sequence[R]], Awaitable[int]],
) -> Response:
    if grant.units is not None:
        msg = "reference data belongs to the whole province"
        raise edge.ProvinceOnly(msg)
    content_type = edge.content_type(request)
    if content_type not in {edge.JSON, "text/csv"}:
        msg = "send application/json or text/csv"
        raise edge.UnsupportedMediaType(msg)
    entries = wire.references(await body.read(request), content_type, shape)
    async with state.database.begin() as transaction:
        # Events being recorded are judged wholly by the old or wholly by the new reference data.
        await store.hold(transaction, grant.province)
        changed = await put(transaction, grant.province, entries)
    state.recorded.ring()
    return edge.json({"received": len(entries), "changed": changed})
