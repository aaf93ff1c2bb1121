"""Every question is answered here in the same way: waited for, found unchanged, found at hand, or put together."""

import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from http import HTTPStatus

import orjson
from fastapi import Request, Response

from services.contract import VIETNAM
from services.kit import clock
from services.metrics import asking, past
from services.metrics.answers import Answer
from services.metrics.asking import Ask, At, Told
from services.metrics.follower import Source
from services.metrics.formats import negotiation, rendering
from services.metrics.formats.negotiation import Format
from services.metrics.formats.rendering import FileFormat
from services.metrics.formats.table import Table
from services.metrics.past import Moment
from services.metrics.progress import Reached, seen_in
from services.metrics.state import State

_LONGEST_WAIT_SECONDS = 10
_POSITION_HERE = "the position"
# The feed folds the dossiers of a page anew, up to the position asked for.
_PAST_PAGE = 1_000
# Shared caches may hand out what everybody may see for as long as a dashboard would wait anyway.
_PUBLIC = "public, max-age=60"
_PRIVATE = "private, no-cache"
# Workbooks and Parquet are compressed already, and readers of Arrow map it into memory as it is.
_ZIPPED: frozenset[Format] = frozenset({"json", "csv"})


class NotCountedYet(Exception):
    """The position asked for was not counted within the time a request may wait."""


async def answered(state: State, request: Request, ask: Ask) -> Response:
    """Return the answer, or 304 where the client has it."""
    reached, then = await seen(state, ask)
    moment, etag = _depends_on(state, ask, reached, then)
    zipped = ask.format in _ZIPPED and negotiation.takes_gzip(request.headers.get("accept-encoding", ""))
    validator = _validator(etag, zipped=zipped)
    if validator in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=_headers(ask, validator, moment))
    answer = state.answers.get(etag)
    if answer is None:
        moment, etag, answer = await made(state, ask, reached, then)
        state.answers.keep(etag, answer)
    headers = _headers(ask, _validator(etag, zipped=zipped), moment)
    if answer.disposition is not None:
        headers["Content-Disposition"] = answer.disposition
    if zipped:
        headers["Content-Encoding"] = "gzip"
    content = _compressed(state, etag, answer, moment) if zipped else answer.content(moment.position)
    return Response(content, headers=headers, media_type=answer.media_type)


def _compressed(state: State, etag: str, answer: Answer, moment: At) -> bytes:
    """Return the answer compressed, which is done once for whoever asks the same."""
    key = etag, moment.position
    content = state.compressed.get(key)
    if content is None:
        # A better level takes three times as long and saves a quarter.
        content = gzip.compress(answer.content(moment.position), 1, mtime=0)
        state.compressed.keep(key, content)
    return content


async def seen(state: State, ask: Ask) -> tuple[Reached, Moment | None]:
    """Return how far the province is counted, which is far enough, and the moment of the past that is asked about.

    :raises NotCountedYet: what is asked about was not counted within ten seconds.
    :raises InFuture: the moment that is asked about is not over.
    """
    province = ask.question.province
    then = None if ask.as_of is None else await past.moment(source(state), province, ask.as_of, clock.now())
    reached = await state.progress.of(province)
    # What was recorded up to then must be counted before anything can be put back.
    least = max(ask.min_position or 0, 0 if then is None else then.position)
    if reached.position < least:
        reached = await _counted_up_to(state, province, least)
    return reached, then


def source(state: State) -> Source:
    """Return where dossiers are asked for as they stood in the past."""
    return Source(state.dossier, state.internal_key, _PAST_PAGE)


def _depends_on(state: State, ask: Ask, reached: Reached, then: Moment | None) -> tuple[At, str]:
    """Return the moment that the answer is about, and its validator."""
    if then is None:
        told, now = state.told.get(ask), clock.now()
        # Nothing was counted since it was told, and no time has passed that tells.
        if told is None or told.reached is not reached or not told.since <= now < told.until:
            moment = asking.at(ask, reached, now)
            told = Told(reached, now, asking.until(reached, now), moment, asking.etag(ask, reached, moment))
            state.told.keep(ask, told)
        return told.moment, told.etag
    # Nothing that was counted since is part of the answer; which sources were silent then is not known any more.
    moment = At(then.position, then.today)
    whole = replace(ask, of_all_days=True)
    return moment, asking.etag(whole, replace(reached, position=then.position), moment)


def _validator(etag: str, *, zipped: bool) -> str:
    """Return the validator of the bytes that are sent: no two encodings of an answer share one (RFC 9110, 8.8.3)."""
    return f'{etag[:-1]}-gzip"' if zipped else etag


def _headers(ask: Ask, validator: str, moment: At) -> dict[str, str]:
    if ask.public:
        # The same bytes for whoever asks: neither the client nor the newest position makes a difference.
        return {"ETag": validator, "Cache-Control": _PUBLIC, "Vary": "Accept, Accept-Encoding"}
    return {
        "ETag": validator,
        "Cache-Control": _PRIVATE,
        "Vary": "Accept, Accept-Encoding, Authorization",
        "Motcua-Position": str(moment.position),
    }


async def made(state: State, ask: Ask, reached: Reached, then: Moment | None) -> tuple[At, str, Answer]:
    """Put the answer together from one snapshot of the counts; return the moment it is about and its validator, too.

    :raises TooFar: too much has changed since the moment of the past that is asked about.
    """
    province = ask.question.province
    async with state.database.connect() as transaction:
        await transaction.execution_options(isolation_level="REPEATABLE READ")
        reached = await seen_in(transaction, province, reached)
        moment, etag = _depends_on(state, ask, reached, then)
        known = await state.known(transaction, province, reached, moment.today)
        if then is not None:
            known = await past.known(transaction, source(state), province, known, then)
        return moment, etag, await ask.make(transaction, ask, known, moment)


async def _counted_up_to(state: State, province: str, position: int) -> Reached:
    """Return once `position` is counted.

    :raises NotCountedYet: ten seconds were not enough, or the position does not exist.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LONGEST_WAIT_SECONDS
    reached = await state.progress.look(province)
    while reached.position < position:
        left = deadline - loop.time()
        if left <= 0:
            msg = f"counted up to {reached.position}, asked for {position}"
            raise NotCountedYet(msg)
        await state.progress.wait(left)
        reached = await state.progress.of(province)
    return reached


def json(content: Mapping[str, object]) -> Answer:
    """Return a JSON answer; where its `position` is told, the newest one is filled in whenever it is given."""
    if "position" not in content:
        return Answer(orjson.dumps(content), None, negotiation.MEDIA_TYPES["json"])
    head, tail = orjson.dumps({**content, "position": _POSITION_HERE}).split(orjson.dumps(_POSITION_HERE), 1)
    return Answer(head + b'"', b'"' + tail, negotiation.MEDIA_TYPES["json"])


def file(table: Table, chosen: FileFormat, counted_to: date) -> Answer:
    """Return the table as a file of the chosen format.

    Answers to one question are the same bytes whenever they are made, so a workbook is dated by what it counts.
    """
    content = rendering.rendered(table, chosen, datetime.combine(counted_to, time(), VIETNAM))
    return Answer(content, None, negotiation.MEDIA_TYPES[chosen], rendering.disposition(table, chosen))
