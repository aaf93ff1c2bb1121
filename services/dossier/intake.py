"""What was answered 2xx is on disk, once, in an order that never changes: one writer per province and commit.

Requests that arrive while a commit is under way wait in a bounded queue and become the next commit together, so the
cost of a commit is shared and nobody waits for a timer. Two intake processes take turns at the province's lock.
"""

import asyncio
import contextlib
from collections import Counter as Tally
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import AnyEvent, Corrected, Grant, Received, vietnamese_day
from services.dossier.catalogues import Catalogues
from services.dossier.domain import lifecycle, record
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.history import Occurrence, units_in
from services.dossier.domain.record import Recorded
from services.dossier.store import log
from services.dossier.wire import Candidate, ItemError, item_error
from services.kit import clock, db
from services.kit.bell import Bell
from services.kit.db import Line

# Nothing is gained above a thousand rows a statement, and what a commit has to hold in memory stays bounded.
EVENTS_PER_COMMIT = 1_000

# Most events are about dossiers that were written about lately; each event remembered takes little over a kilobyte.
EVENTS_REMEMBERED = 20_000

# A usual life has four to eight events. The bound keeps one dossier's fold from growing without end.
EVENTS_PER_DOSSIER = 300

# Before its receipt anybody may send what belongs to a dossier; nobody may fill it for the unit whose it turns out to
# be, nor has any life that many events.
EVENTS_BEFORE_RECEIPT = 100

_QUEUED = Gauge("dossier_queued_events", "Events that wait for the next commit.")
_RECORDED = Counter("dossier_events", "Events by what became of them.", ("province", "status"))
_COMMIT_SECONDS = Histogram("dossier_commit_seconds", "Time to record one commit's events.")
_COMMIT_EVENTS = Histogram(
    "dossier_commit_events", "Events in one commit.", buckets=(1, 2, 5, 10, 50, 100, 500, 1000, 5000)
)


class Overloaded(Exception):
    """More events wait than the process may hold; the sender is to come back."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item of a request."""

    index: int
    id: str | None
    status: Literal["accepted", "duplicate", "conflict", "rejected"]
    position: int | None = None
    errors: tuple[ItemError, ...] = ()
    fingerprints: tuple[str, str] | None = None
    """Of a conflict: what was recorded first, and what came now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of one request, in its order, and the position at which all it changed is counted."""

    position: int
    results: Sequence[Result]


@dataclass(frozen=True, slots=True)
class _Submission:
    grant: Grant
    candidates: Sequence[Candidate]
    first: int
    """The index of the first candidate in its request."""
    answer: asyncio.Future[Answer]


class Intake:
    """Takes requests one by one and records them together."""

    def __init__(
        self,
        database: AsyncEngine,
        *,
        catalogues: Catalogues,
        queued_events: int,
        recorded: Bell,
        remembered_events: int = EVENTS_REMEMBERED,
    ) -> None:
        """Record into `database`; ring `recorded` after each commit; hold at most `queued_events` that wait."""
        self._database = database
        self._line = Line(database)
        self._limit = queued_events
        self._recorded = recorded
        self._queue: list[_Submission] = []
        self._queued = 0
        self._filled = asyncio.Event()
        self._closing = False
        self._catalogues = catalogues
        # What the last commit knew of its province; it serves the next one if nobody else recorded in between.
        self._remembered: dict[str, _Known] = {}
        self._remembered_events = remembered_events
        # One at a time, so that dry runs never take the writer's connection.
        self._trying = asyncio.Semaphore(1)

    async def submit(self, grant: Grant, candidates: Sequence[Candidate]) -> Answer:
        """Record the candidates and return once they are on disk.

        Many are recorded in several commits, one after another: no commit holds more than the histories of
        `EVENTS_PER_COMMIT` dossiers, and others get their turn in between.

        :raises Overloaded: the queue is full; nothing of the request was recorded.
        """
        self._hold(len(candidates))
        new_answer = asyncio.get_running_loop().create_future
        parts = [
            _Submission(grant, candidates[first : first + EVENTS_PER_COMMIT], first, new_answer())
            for first in range(0, max(len(candidates), 1), EVENTS_PER_COMMIT)
        ]
        self._queue += parts
        self._filled.set()
        if len(parts) == 1:
            # Most requests hold one event, and to gather one answer takes as long as to judge it.
            return await parts[0].answer
        answers = []
        for answer in await asyncio.gather(*(part.answer for part in parts), return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            answers.append(answer)
        position = max(answer.position for answer in answers)
        return Answer(position, [result for answer in answers for result in answer.results])

    async def dry_run(self, grant: Grant, candidates: Sequence[Candidate]) -> Answer:
        """Return what `submit` would answer now, and record nothing.

        :raises Overloaded: the queue is full; a dry run takes as much of the memory as a real one.
        """
        self._hold(len(candidates))
        try:
            async with self._trying, self._database.connect() as transaction:
                known = await self._known(transaction, grant.province, [candidates], anywhere=True)
                newest = known.position
                answer = _judge(grant, candidates, known, clock.now())
        finally:
            self._count(-len(candidates))
        # Positions that were not drawn are not told: what exists is counted at the newest there is.
        results = [replace(r, position=newest) if r.status == "accepted" else r for r in answer.results]
        return Answer(newest, results)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Record in the background; on leaving, first record what still waits."""
        writer = asyncio.create_task(self._write_until_closed(), name="intake")
        try:
            yield
        finally:
            self._closing = True
            self._filled.set()
            await writer

    def _hold(self, events: int) -> None:
        if self._queued + events > self._limit:
            msg = f"{self._queued} events wait already; send the request again"
            raise Overloaded(msg)
        self._count(events)

    def _count(self, events: int) -> None:
        self._queued += events
        _QUEUED.set(self._queued)

    async def _write_until_closed(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            if not batch:
                await self._line.release()
                if self._closing:
                    return
                self._filled.clear()
                continue
            by_province: dict[str, list[_Submission]] = defaultdict(list)
            for submission in batch:
                by_province[submission.grant.province].append(submission)
            for province, submissions in by_province.items():
                await self._write(province, submissions)
            self._recorded.ring()
            self._count(-sum(len(submission.candidates) for submission in batch))

    def _next_batch(self) -> list[_Submission]:
        taken = events = 0
        for submission in self._queue:
            if taken and events + len(submission.candidates) > EVENTS_PER_COMMIT:
                break
            taken, events = taken + 1, events + len(submission.candidates)
        batch, self._queue = self._queue[:taken], self._queue[taken:]
        return batch

    async def _write(self, province: str, submissions: Sequence[_Submission]) -> None:
        """Record the submissions in one transaction and answer each; one that cannot be recorded fails alone."""
        try:
            with _COMMIT_SECONDS.time():
                answers = await self._record(province, submissions)
        except Exception as error:  # noqa: BLE001 - the writer must outlive any one request; the error is its answer
            if len(submissions) == 1 or db.is_outage(error):
                _fail(submissions, error)
                return
            for submission in submissions:
                await self._write(province, [submission])
        else:
            for submission, answer in zip(submissions, answers, strict=True):
                if not submission.answer.done():
                    submission.answer.set_result(answer)

    async def _record(self, province: str, submissions: Sequence[_Submission]) -> Sequence[Answer]:
        try:
            return await self._record_once(province, submissions, anywhere=False)
        except db.AlreadyThere:
            # An id was recorded before, and of another dossier than this time.
            return await self._record_once(province, submissions, anywhere=True)

    async def _record_once(
        self, province: str, submissions: Sequence[_Submission], *, anywhere: bool
    ) -> Sequence[Answer]:
        """Record the submissions; ids are looked for in the log of their own dossiers, or `anywhere` in it.

        :raises AlreadyThere: an id stands elsewhere in the log; nothing was recorded.
        """
        # Given back when all is committed: a commit that fails has told it of events that the log does not hold.
        remembered = self._remembered.pop(province, None)
        async with log.holding(self._line, province) as transaction:
            requests = [submission.candidates for submission in submissions]
            known = await self._known(transaction, province, requests, anywhere=anywhere, remembered=remembered)
            now = clock.now()
            answers = [_judge(one.grant, one.candidates, known, now, first=one.first) for one in submissions]
            dossiers = [log.folded(code, known.histories[code], known.catalogue) for code in known.touched]
            await log.append(transaction, known.fresh, dossiers)
        if not anywhere:
            known.forget_all_but(self._remembered_events)
            self._remembered = {province: known}
        statuses = Tally(result.status for answer in answers for result in answer.results)
        for status, results in statuses.items():
            _RECORDED.labels(province, status).inc(results)
        _COMMIT_EVENTS.observe(len(known.fresh))
        return answers

    async def _known(
        self,
        transaction: AsyncConnection,
        province: str,
        requests: Sequence[Sequence[Candidate]],
        *,
        anywhere: bool,
        remembered: "_Known | None" = None,
    ) -> "_Known":
        """Return what there is to know of the dossiers of `requests`; what is `remembered` is not read again.

        An event's hash names all of the log up to it: what was known when it was the newest is true while it is.
        """
        events = [candidate.event for request in requests for candidate in request if candidate.event is not None]
        head = await log.head(transaction, province)
        catalogue = await self._catalogues.of(transaction, province, head.reference_version)
        known = _Known(catalogue, {}, OrderedDict(), [], set(), head.position, head.hash)
        if remembered is not None and remembered.hash == head.hash:
            known.recorded, known.histories = remembered.recorded, remembered.histories
        unread = {event.subject for event in events} - known.histories.keys()
        histories, recorded = await log.histories_and_keys(transaction, province, unread)
        known.histories.update(histories)
        known.recorded.update(recorded)
        if anywhere:
            keys = {(event.source, event.id) for event in events}
            known.recorded.update(await log.recorded_before(transaction, province, keys))
        return known


@dataclass(slots=True)
class _Known:
    """What a transaction knows of the log, kept up to date while it judges one item after another."""

    catalogue: Catalogue
    recorded: dict[tuple[str, str], log.Before]
    histories: OrderedDict[str, list[Occurrence]]
    fresh: list[Recorded]
    touched: set[str]
    position: int
    hash: bytes
    sender_units: Sequence[str] | None = None
    """Those of the request that is being judged."""

    def forget_all_but(self, events: int) -> None:
        """Keep no more than so many events; the dossiers known for longest are the likeliest to have ended."""
        while len(self.recorded) > events:
            _, history = self.histories.popitem(last=False)
            for occurrence in history:
                del self.recorded[occurrence.key]


def _judge(grant: Grant, candidates: Sequence[Candidate], known: _Known, now: datetime, *, first: int = 0) -> Answer:
    """Decide on every item of a request, from the index `first` on, and add what is accepted to `known`."""
    known.sender_units = None if grant.units is None else sorted(grant.units)
    results = [_judge_one(grant, index, candidate, known, now) for index, candidate in enumerate(candidates, first)]
    reached = [result.position for result in results if result.position is not None]
    return Answer(max(reached, default=known.position), results)


def _judge_one(grant: Grant, index: int, candidate: Candidate, known: _Known, now: datetime) -> Result:
    event = candidate.event
    if event is None:
        return Result(index, candidate.id, "rejected", errors=candidate.errors)
    history = known.histories.get(event.subject, [])
    forbidden = _forbidden(grant, event, history)
    if forbidden is not None:
        return Result(index, event.id, "rejected", errors=(forbidden,))
    before = known.recorded.get((event.source, event.id))
    if before is not None:
        return _repeated(grant, index, event, candidate.fingerprint, before)
    errors = _unknown_units(event, history, known.catalogue)
    refusal = _no_room(grant, event, history) or _received_by_others(grant, event, history)
    if refusal is not None:
        errors = (refusal,)
    if errors:
        return Result(index, event.id, "rejected", errors=errors)
    known.position += 1
    occurrence = Occurrence(known.position, now, event.source, event.id, event.time, event.data, grant.units)
    known.hash = record.chained(known.hash, occurrence, candidate.fingerprint, grant.client)
    known.fresh.append(
        Recorded(
            grant.province,
            known.position,
            event.source,
            event.id,
            event.type,
            event.subject,
            event.time,
            candidate.data.decode(),
            candidate.fingerprint,
            grant.client,
            known.sender_units,
            now,
            known.hash,
        )
    )
    known.recorded[event.source, event.id] = log.Before(known.position, candidate.fingerprint, grant.client)
    known.histories.setdefault(event.subject, []).append(occurrence)
    known.touched.add(event.subject)
    return Result(index, event.id, "accepted", known.position)


def _repeated(grant: Grant, index: int, event: AnyEvent, fingerprint: bytes, before: log.Before) -> Result:
    """Return what an event answers whose source and id are in the log: a duplicate, or a conflict of contents."""
    if fingerprint == before.fingerprint:
        return Result(index, event.id, "duplicate", before.position)
    if grant.units is not None and before.client != grant.client:
        # Another client's event may be about a dossier that this one may not know of, not even by its hash.
        errors = (item_error("conflict", "/id", "another client recorded other content under this source and id"),)
        return Result(index, event.id, "conflict", errors=errors)
    detail = f"recorded with fingerprint {before.fingerprint.hex()}, now {fingerprint.hex()}"
    errors = (item_error("conflict", "/id", detail),)
    fingerprints = before.fingerprint.hex(), fingerprint.hex()
    return Result(index, event.id, "conflict", errors=errors, fingerprints=fingerprints)


def _forbidden(grant: Grant, event: AnyEvent, history: Sequence[Occurrence]) -> ItemError | None:
    """Return why the event is not the client's to send, or None.

    Before its receipt a dossier belongs to nobody yet: whatever arrives first is kept for it.
    """
    if grant.sources is not None and event.source not in grant.sources:
        return item_error("source_forbidden", "/source", f"the client may not send as {event.source}")
    if grant.units is None:
        return None
    receiving_unit = units_in(event.data).get("receiving_unit")
    if receiving_unit is not None and receiving_unit not in grant.units:
        return item_error("unit_forbidden", "/data/receiving_unit", "the unit is not the client's")
    if is_of_others(grant, history):
        return item_error("unit_forbidden", "/subject", "the dossier belongs to no unit of the client")
    return None


def is_of_others(grant: Grant, history: Sequence[Occurrence]) -> bool:
    """Tell whether a dossier was received, and the client has had no part in it."""
    if grant.units is None or not _receipts(history):
        return False
    return grant.units.isdisjoint(lifecycle.units_named(lifecycle.unretracted(history)))


def _receipts(history: Sequence[Occurrence]) -> Sequence[Received]:
    """Return the receipts that were not taken back."""
    # By type, since asking a pydantic model whether it is an instance of another takes as long as all the rest.
    return [o.data for o in lifecycle.unretracted(history) if type(o.data) is Received]


def _no_room(grant: Grant, event: AnyEvent, history: Sequence[Occurrence]) -> ItemError | None:
    """Return why the dossier holds no more of the client's events, or None."""
    most, when = EVENTS_PER_DOSSIER, ""
    if grant.units is not None and len(history) >= EVENTS_BEFORE_RECEIPT and type(event.data) is not Received:
        most, when = (most, when) if _receipts(history) else (EVENTS_BEFORE_RECEIPT, " before its receipt")
    if len(history) < most:
        return None
    return item_error("too_many_events_of_dossier", "/subject", f"a dossier holds at most {most} events{when}")


def _received_by_others(grant: Grant, event: AnyEvent, history: Sequence[Occurrence]) -> ItemError | None:
    """Return why a receipt is not the client's to send, or None.

    The earliest receipt stands, and a sender says himself how early his is: otherwise a unit that a dossier was passed
    on to could take it over.
    """
    if grant.units is None or type(event.data) is not Received:
        return None
    if all(receipt.receiving_unit in grant.units for receipt in _receipts(history)):
        return None
    return item_error("unit_forbidden", "/data/receiving_unit", "another unit received the dossier")


def _unknown_units(event: AnyEvent, history: Sequence[Occurrence], catalogue: Catalogue) -> tuple[ItemError, ...]:
    """Return an error for each code that names no unit on the day the event happened."""
    codes = units_in(event.data)
    if not codes:
        return ()
    data, happened_at = event.data, event.time
    if isinstance(data, Corrected):
        about = next((o for o in history if o.key == (event.source, data.event_id)), None)
        if about is None:
            # When the corrected event happened is not known yet; the fold flags what then proves unknown.
            return ()
        happened_at = data.time or about.occurred_at
    on_day = vietnamese_day(happened_at)
    return tuple(
        item_error("unknown_unit", f"/data/{name}", f"{code} is no unit of the province on {on_day}")
        for name, code in codes.items()
        if catalogue.unit(code, on_day) is None
    )


def _fail(submissions: Sequence[_Submission], error: BaseException) -> None:
    for submission in submissions:
        if not submission.answer.done():
            submission.answer.set_exception(error)
