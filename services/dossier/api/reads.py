"""What has been recorded is read here: dossiers, the log of events, the feed of standings."""

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from services.contract import FEED_PAGE, STANDING, VIETNAM, Code, FeedPage, Grant
from services.dossier import store
from services.dossier.api import documents, edge
from services.dossier.domain import lifecycle
from services.dossier.state import State
from services.kit import door, parameters

# A process that another one writes beside is noticed at this pace; its own commits wake a reader at once.
_POLL_SECONDS = 0.5
_DEFAULT_PAGE, _LARGEST_PAGE = 1_000, 5_000


class OtherProvince(Exception):
    """The client asks for a province that is not its own."""


class UnknownDossier(Exception):
    """No dossier of that code is the client's to see."""


_CODE: TypeAdapter[str] = TypeAdapter(Code)
_UNKNOWN = "no dossier of this code is known to this client"

_Limit = Annotated[int, Query(ge=1, le=_LARGEST_PAGE, description="The most that one page may hold.")]
_After = Annotated[str, Query(description="A position that this system gave out; what comes after it is answered.")]


def router(state: State) -> APIRouter:
    """Return the routes that read dossiers, log and feed."""
    routes = APIRouter(dependencies=[Depends(parameters.known_only)])
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.get("/v1/dossiers/{code:path}", **documents.documented(documents.DOSSIER_EXAMPLE, 404))
    async def get_dossier(code: str, grant: granted) -> Response:
        """Return how a dossier stands, its events in recording order, and how its due date came about."""
        if not _is_code(code):
            raise UnknownDossier(_UNKNOWN)
        async with state.database.connect() as transaction:
            standing = await store.standing(transaction, grant, code)
            if standing is None:
                raise UnknownDossier(_UNKNOWN)
            events = await store.events_of(transaction, grant, code)
            head = await store.head(transaction, grant.province)
            catalogue = await state.catalogues.of(transaction, grant.province, head.reference_version)
        due = lifecycle.explain_due((event.occurrence for event in events), catalogue)
        return edge.json(
            {
                "dossier": STANDING.dump_python(standing, mode="json"),
                "events": [_event_json(event) for event in events],
                "due": [{**asdict(step), "due_at": step.due_at and step.due_at.astimezone(VIETNAM)} for step in due],
            }
        )

    @routes.get("/v1/events", **documents.documented({"items": [], "next_cursor": None}))
    async def get_events(
        grant: granted, after: _After = "0", cursor: _After | None = None, limit: _Limit = _DEFAULT_PAGE
    ) -> Response:
        """Return the log after a position, in recording order; `cursor` and `after` mean the same."""
        async with state.database.connect() as transaction:
            events = await store.events_after(transaction, grant, edge.position(cursor or after), limit)
        next_cursor = str(events[-1].position) if len(events) == limit else None
        return edge.json({"items": [_event_json(event) for event in events], "next_cursor": next_cursor})

    @routes.get("/v1/feed", **documents.documented({"after": "0", "next_after": "0", "head": "0", "entries": []}))
    async def get_feed(  # noqa: PLR0913 - one argument a query parameter
        request: Request,
        grant: granted,
        after: _After = "0",
        limit: _Limit = _DEFAULT_PAGE,
        wait: Annotated[float, Query(ge=0, le=30, description="Seconds to hold back an empty page.")] = 0,
        reference: Annotated[
            int | None, Query(description="The version of the reference data that the reader has.")
        ] = None,
        province: Annotated[str | None, Query(description="The client's own province, if it is named at all.")] = None,
    ) -> Response:
        """Return the standings that changed after a position, each once, at its latest change.

        With `wait` an empty page is held back up to that many seconds until something changes. The header
        `Motcua-Reference` names the version of units, procedures and calendar; with `reference`, the version that the
        reader has, a page is not held back when there is another.
        """
        if province not in {None, grant.province}:
            msg = "the client belongs to another province"
            raise OtherProvince(msg)
        page, version = await _page(state, grant, edge.position(after), limit)
        deadline = asyncio.get_running_loop().time() + wait
        while not page.entries and reference in {None, version} and not _is_over(deadline, request):
            # Whoever finds no seat to wait in is answered at once.
            if state.long_polls.locked():
                break
            async with state.long_polls:
                left = deadline - asyncio.get_running_loop().time()
                await state.recorded.wait(min(_POLL_SECONDS, left))
            page, version = await _page(state, grant, page.after, limit)
        return Response(FEED_PAGE.dump_json(page), headers={"Motcua-Reference": str(version)}, media_type=edge.JSON)

    return routes


def _event_json(event: store.Recorded) -> dict[str, object]:
    occurrence = event.occurrence
    return {
        "position": str(occurrence.position),
        "recorded_at": occurrence.recorded_at.astimezone(VIETNAM),
        "specversion": "1.0",
        "id": occurrence.id,
        "source": occurrence.source,
        "type": event.type,
        "subject": event.subject,
        "time": occurrence.occurred_at.astimezone(VIETNAM),
        "data": occurrence.data.model_dump(mode="json", exclude_none=True),
    }


async def _page(state: State, grant: Grant, after: int, limit: int) -> tuple[FeedPage, int]:
    async with state.database.connect() as transaction:
        # The head is read first: what is committed between the two reads may then only lie beyond it.
        head = await store.head(transaction, grant.province)
        entries = await store.feed_after(transaction, grant, after, limit) if head.position > after else ()
    last = entries[-1].position if entries else after
    return FeedPage(
        after=after, next_after=last, head=max(head.position, last), entries=tuple(entries)
    ), head.reference_version


def _is_code(text: str) -> bool:
    """Tell whether a dossier could have this code; PostgreSQL could not even be asked for some others."""
    try:
        _CODE.validate_python(text)
    except ValidationError:
        return False
    return True


def _is_over(deadline: float, request: Request) -> bool:
    """Tell whether a long poll has waited long enough, or the process stops."""
    stopping: asyncio.Event = request.app.state.stopping
    return asyncio.get_running_loop().time() >= deadline or stopping.is_set()
