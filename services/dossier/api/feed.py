"""Whoever follows what is recorded reads it here, gap-free and in order: standings as the feed, events as the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import VIETNAM, Code, Grant, Identifier, Instant
from services.dossier import past
from services.dossier.api import documents, edge
from services.dossier.domain.record import DATA_OF_TYPE, Recorded
from services.dossier.past import Moment
from services.dossier.state import State
from services.dossier.store import log, reads
from services.dossier.store.log import Head
from services.dossier.store.reads import FeedEntry, Sought
from services.kit import clock, door, parameters

_DEFAULT_PAGE, _LARGEST_PAGE = 1_000, 5_000
# Each entry of the past is folded anew, which takes fifty times as long as reading one.
_LARGEST_PAST_PAGE = 1_000
# News for others wakes a limited reader too; in a busy province it looks again no faster than this.
_BREATH_SECONDS = 0.1
# Events are given their time before they are on disk; hardly ever as long before.
_SETTLES_SECONDS = 1.0

_PREFIX = "vn.motcua.dossier."
_KINDS = [type_.removeprefix(_PREFIX) for type_ in DATA_OF_TYPE]


class OtherProvince(Exception):
    """The client asks for a province that is not its own."""


class PositionAhead(Exception):
    """The position lies beyond everything that is recorded: the database is not the one that gave it out."""


_Limit = Annotated[int, Query(ge=1, le=_LARGEST_PAGE, description="The most that one page may hold.")]
_After = Annotated[
    str,
    Query(
        description="A position that this system gave out; what comes after it is answered.",
        json_schema_extra={"pattern": edge.POSITION},
    ),
]
_Wait = Annotated[float, Query(ge=0, le=30, description="Seconds to hold back an empty page.")]
_Kind = Annotated[str, StringConstraints(pattern=f"^({'|'.join(_KINDS)})$")]

T = TypeVar("T", FeedEntry, Recorded)


@dataclass(frozen=True, slots=True)
class _Page(Generic[T]):
    """What was found after a position, the province's head, and the position up to which all there is was read."""

    found: Sequence[T]
    head: Head
    reached: int


def router(state: State) -> APIRouter:
    """Return the routes that programs follow."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/events", **documents.documented({"items": [], "next_cursor": None}, 409))
    async def get_events(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        after: _After = "0",
        cursor: _After | None = None,
        limit: _Limit = _DEFAULT_PAGE,
        wait: _Wait = 0,
        subject: Annotated[Code | None, Query(description="The code of one dossier.")] = None,
        source: Annotated[Identifier | None, Query(description="One sender.")] = None,
        type: Annotated[  # noqa: A002 - the parameter's public name
            list[_Kind] | None,
            Query(max_length=len(_KINDS), description=f"Kinds of events, repeatable: {', '.join(_KINDS)}."),
        ] = None,
    ) -> Response:
        """Return the log after a position, in recording order; `cursor` and `after` mean the same.

        The header `Motcua-Position` names the position up to which the log was read for this answer: whoever follows
        goes on after it, also when no event was found. With `wait` an empty answer is held back up to that many
        seconds until something is found.
        """
        sought = Sought(subject=subject, source=source, types=[_PREFIX + kind for kind in type or ()])

        async def read(after: int) -> _Page[Recorded]:
            return await _page(state, grant, after, limit, lambda t: reads.events_after(t, grant, after, limit, sought))

        page = await _found(
            state, request, grant, wait, await read(parameters.position(after if cursor is None else cursor)), read
        )
        content = {
            "items": [event_json(event) for event in page.found],
            "next_cursor": str(page.reached) if len(page.found) == limit else None,
        }
        return edge.json(content, headers={"Motcua-Position": str(page.reached)})

    @routes.get("/v1/feed", **documents.documented(documents.FEED_EXAMPLE, 409))
    async def get_feed(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        after: _After = "0",
        limit: _Limit = _DEFAULT_PAGE,
        wait: _Wait = 0,
        reference: Annotated[
            int | None, Query(description="The version of the reference data that the reader has.")
        ] = None,
        province: Annotated[str | None, Query(description="The client's own province, if it is named at all.")] = None,
        as_of: Annotated[Instant | None, Query(description="How dossiers stood at this instant.")] = None,
        as_of_position: Annotated[_After | None, Query(description="How they stood at this position.")] = None,
    ) -> Response:
        """Return the standings that changed after a position, each once, at its latest change.

        With `wait` an empty page is held back up to that many seconds until something changes. The header
        `Motcua-Reference` names the version of units, procedures and calendar; with `reference`, the version that the
        reader has, a page is not held back when there is another.

        With `as_of` or `as_of_position` each entry is how a dossier stood then that has changed since; a page is never
        held back and holds at most 1,000, and `as_of_position` in it names the position that was the newest then.
        """
        if province not in {None, grant.province}:
            msg = "the client belongs to another province"
            raise OtherProvince(msg)

        async def read(after: int) -> _Page[FeedEntry]:
            return await _page(state, grant, after, limit, lambda t: reads.feed_after(t, grant, after, limit))

        asked = parameters.position(after)
        moment = await _moment(state, grant, as_of, as_of_position)
        if moment is None:
            page = await _found(state, request, grant, wait, await read(asked), read, reference)
        else:
            page = await _page_of_the_past(state, grant, moment, asked, min(limit, _LARGEST_PAST_PAGE))
        content = {
            **({} if moment is None else {"as_of_position": str(moment.position)}),
            "after": str(asked),
            "next_after": str(page.reached),
            "head": str(max(page.head.position, page.reached)),
            "entries": [orjson.Fragment(entry.json) for entry in page.found],
        }
        return edge.json(content, headers={"Motcua-Reference": str(page.head.reference_version)})

    return routes


def event_json(event: Recorded) -> dict[str, object]:
    """Return an event as the log shows it: as it was sent, with its place and the instant of its recording."""
    return {
        "position": str(event.position),
        "recorded_at": event.recorded_at.astimezone(VIETNAM),
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": event.occurred_at.astimezone(VIETNAM),
        "data": orjson.Fragment(event.data),
    }


async def _moment(state: State, grant: Grant, as_of: datetime | None, as_of_position: str | None) -> Moment | None:
    """Return the moment that is asked about, once all that was being recorded then is there; None for now.

    :raises RequestValidationError: it is named twice.
    """
    if as_of is None and as_of_position is None:
        return None
    if as_of is not None and as_of_position is not None:
        error = {"type": "as_of_twice", "loc": ("query", "as_of"), "msg": "give as_of or as_of_position, not both"}
        raise RequestValidationError([error])
    if as_of is not None:
        # What was being recorded then bears its time, and is there a moment later: it is part of every answer.
        left = (as_of - clock.now()).total_seconds() + _SETTLES_SECONDS
        await asyncio.sleep(min(max(left, 0), _SETTLES_SECONDS))
    async with state.database.connect() as transaction:
        if as_of is not None:
            return await past.at_instant(transaction, grant.province, as_of)
        return await past.at_position(transaction, grant.province, parameters.position(as_of_position or ""))


async def _page_of_the_past(state: State, grant: Grant, moment: Moment, after: int, limit: int) -> _Page[FeedEntry]:
    after = max(after, moment.position)

    async def read(transaction: AsyncConnection) -> Sequence[FeedEntry]:
        return await past.entries_after(transaction, state.catalogues, grant, moment, after, limit)

    return await _page(state, grant, after, limit, read)


async def _page(
    state: State, grant: Grant, after: int, limit: int, read: Callable[[AsyncConnection], Awaitable[Sequence[T]]]
) -> _Page[T]:
    """Return what `read` finds after a position.

    :raises PositionAhead: nothing that far is recorded.
    """
    async with state.database.connect() as transaction:
        # The head is read first: what is committed between the two reads may then only lie beyond it.
        head = await log.head(transaction, grant.province)
        if after > head.position:
            msg = f"position {after} is not recorded, the newest is {head.position}; read again from 0"
            raise PositionAhead(msg)
        found = await read(transaction) if head.position > after else ()
    last = found[-1].position if found else after
    # A page that is not full was read to its end, however little of it was the reader's.
    return _Page(found, head, last if len(found) == limit else max(head.position, last))


async def _found(  # noqa: PLR0913 - what the two routes wait for, and how
    state: State,
    request: Request,
    grant: Grant,
    wait: float,
    page: _Page[T],
    read: Callable[[int], Awaitable[_Page[T]]],
    reference: int | None = None,
) -> _Page[T]:
    """Return the first page that holds something, or what there is when the wait is over."""
    deadline = asyncio.get_running_loop().time() + wait
    while not page.found and reference in {None, page.head.reference_version}:
        if not await _news(state, request, grant.province, page.head, deadline):
            break
        page = await read(page.reached)
        if not page.found:
            await asyncio.sleep(_BREATH_SECONDS)
    return page


async def _news(state: State, request: Request, province: str, seen: Head, deadline: float) -> bool:
    """Wait for something newer than `seen`; false when time is over, the process stops, or there is no seat."""
    stopping: asyncio.Event = request.app.state.stopping
    # Whoever finds no seat to wait in is answered at once.
    if state.long_polls.locked():
        return False
    async with state.long_polls:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0 or stopping.is_set():
            return False
        waiting = asyncio.create_task(state.watch.newer(province, seen, left)), asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            newer, _ = waiting
            return newer.done() and newer.result()
        finally:
            for task in waiting:
                task.cancel()
