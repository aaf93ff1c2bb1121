"""What was answered 2xx is on disk, once, in an order that never changes: one writer per province and commit.

Requests that arrive while a commit is under way wait in a bounded queue and become the next commit together, so the
cost of a commit is shared and nobody waits for a timer. Where many wait, they are judged while PostgreSQL still writes
those before them. Two intake processes take turns at the province's lock.
"""

import asyncio
import contextlib
import logging
from collections import Counter as Tally
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import accumulate

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.contract import Grant
from services.dossier.catalogues import Catalogues
from services.dossier.judging import Answer, Draft, Known
from services.dossier.store import log
from services.dossier.store.log import Head
from services.dossier.wire import Candidate
from services.kit import clock, db
from services.kit.bell import Bell
from services.kit.db import Line

# Nothing is gained above a thousand rows a statement, and what a commit has to hold in memory stays bounded.
EVENTS_PER_COMMIT = 1_000

# So many are judged while others are written; fewer do better to join the next commit all at once.
EVENTS_AHEAD = 100

# Others have their turn in between; to fold as many takes a millisecond.
_FOLDED_AT_ONCE = 30

# An event bears the instant at which it was judged, and is to be on disk soon after.
_STALE_AFTER = timedelta(seconds=0.5)

# Most events are about dossiers that were written about lately; each event remembered takes little over a kilobyte.
EVENTS_REMEMBERED = 20_000

_QUEUED = Gauge("dossier_queued_events", "Events that wait for the next commit.")
_RECORDED = Counter("dossier_events", "Events by what became of them.", ("province", "status"))
_COMMIT_SECONDS = Histogram("dossier_commit_seconds", "Time to record one commit's events.")
_COMMIT_EVENTS = Histogram(
    "dossier_commit_events", "Events in one commit.", buckets=(1, 2, 5, 10, 50, 100, 500, 1000, 5000)
)

_log = logging.getLogger(__name__)


class Overloaded(Exception):
    """More events wait than the process may hold; the sender is to come back."""


@dataclass(frozen=True, slots=True)
class _Submission:
    grant: Grant
    candidates: Sequence[Candidate]
    first: int
    """The index of the first candidate in its request."""
    answer: asyncio.Future[Answer]


@dataclass(slots=True)
class _Commit:
    """Requests of one province that are recorded together, and the answers of those that have been judged."""

    province: str
    submissions: list[_Submission] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    draft: Draft | None = None
    judging: asyncio.Task[None] | None = None
    """What judges it while the commit before is written."""
    may_grow: bool = True

    @property
    def events(self) -> int:
        """How many events there are in it."""
        return sum(len(submission.candidates) for submission in self.submissions)

    @property
    def unjudged(self) -> Sequence[_Submission]:
        """The requests that have no answer yet."""
        return self.submissions[len(self.answers) :]


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
        # By province; the one whose turn is next comes first.
        self._waiting: dict[str, deque[_Submission]] = {}
        self._queued = 0
        self._filled = asyncio.Event()
        self._closing = False
        self._catalogues = catalogues
        # What the last commit knew of its province; it serves the next one if nobody else recorded in between.
        self._remembered: dict[str, Known] = {}
        self._remembered_events = remembered_events
        # The commit that was judged while the last one was written.
        self._ahead: _Commit | None = None
        self._writing = False
        self._stirred = asyncio.Event()
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
        self._waiting.setdefault(grant.province, deque()).extend(parts)
        self._filled.set()
        if len(candidates) >= EVENTS_AHEAD:
            self._stirred.set()
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
                head = await log.head(transaction, grant.province)
                draft = Draft(await self._known(transaction, grant.province, head))
                await _learn(transaction, grant.province, draft.known, [candidates], anywhere=True)
                answer = draft.judge(grant, candidates, clock.now())
        finally:
            self._count(-len(candidates))
        # Positions that were not drawn are not told: what exists is counted at the newest there is.
        results = [replace(r, position=head.position) if r.status == "accepted" else r for r in answer.results]
        return Answer(head.position, results)

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
            if self._ahead is not None:
                commit, self._ahead = self._ahead, None
            elif self._waiting:
                commit = _Commit(next(iter(self._waiting)))
            else:
                await self._line.release()
                if self._closing:
                    return
                self._filled.clear()
                continue
            await self._write(commit)
            self._count(-commit.events)

    def _join(self, commit: _Commit) -> None:
        """Make what waits part of the commit, as far as there is room; then it is another province's turn."""
        if not commit.may_grow or self._ahead is not None or commit.province not in self._waiting:
            # What is judged ahead already came before what waits.
            return
        waiting = self._waiting.pop(commit.province)
        room = EVENTS_PER_COMMIT - commit.events
        while waiting and len(waiting[0].candidates) <= room:
            room -= len(waiting[0].candidates)
            commit.submissions.append(waiting.popleft())
        if waiting:
            self._waiting[commit.province] = waiting

    async def _write(self, commit: _Commit) -> None:
        """Record the requests in one transaction and answer each; one that cannot be recorded fails alone."""
        try:
            await self._record(commit)
        except Exception as error:  # noqa: BLE001 - the writer must outlive any one request; the error is its answer
            if not commit.submissions:
                # The database could not be reached, and nothing has joined yet; who waits is to be told.
                self._join(commit)
            if len(commit.submissions) == 1 or db.is_outage(error):
                _fail(commit.submissions, error)
                return
            for submission in commit.submissions:
                await self._write(_Commit(commit.province, [submission], may_grow=False))

    async def _record(self, commit: _Commit) -> None:
        try:
            await self._record_once(commit)
        except db.AlreadyThere:
            # An id was recorded before, and of another dossier than this time.
            commit.draft = None
            await self._record_once(commit, anywhere=True)

    async def _record_once(self, commit: _Commit, *, anywhere: bool = False) -> None:
        """Record the requests; ids are looked for in the log of their own dossiers, or `anywhere` in it.

        :raises AlreadyThere: an id stands elsewhere in the log; nothing was recorded.
        """
        began, remembered = clock.monotonic(), self._remembered.pop(commit.province, None)
        async with self._ahead_of(commit) as ahead:
            async with log.holding(self._line, commit.province) as transaction:
                head = await log.head(transaction, commit.province)
                # A hash names all of the log up to its event: what was known when it was the newest is still true.
                is_alone = remembered is None or remembered.head.hash == head.hash
                draft = commit.draft
                if draft is not None and draft.after == head and draft.age(clock.now()) < _STALE_AFTER:
                    is_alone = True
                else:
                    still_true = remembered if is_alone else None
                    draft = Draft(await self._known(transaction, commit.province, head, still_true))
                    commit.draft, commit.answers = draft, []
                # Whoever came while the lock was awaited is in time.
                self._join(commit)
                requests = [one.candidates for one in commit.unjudged]
                await _learn(transaction, commit.province, draft.known, requests, anywhere=anywhere)
                now = clock.now()
                commit.answers += [
                    draft.judge(one.grant, one.candidates, now, first=one.first) for one in commit.unjudged
                ]
                async with _meanwhile(log.add(transaction, draft.events)):
                    await _fold(draft)
                    if commit.may_grow and not anywhere:
                        ahead.draft = draft.following()
                        # Where others record too, it would be in vain.
                        if is_alone:
                            ahead.judging = asyncio.create_task(self._judge_ahead(ahead, ahead.draft))
                await log.keep(transaction, commit.province, list(draft.dossiers.values()))
            _COMMIT_SECONDS.observe(clock.monotonic() - began)
            _COMMIT_EVENTS.observe(len(draft.events))
            self._tell(commit)

    def _tell(self, commit: _Commit) -> None:
        """Answer the requests, now that they are on disk, and wake whoever waits for something new."""
        for submission, answer in zip(commit.submissions, commit.answers, strict=True):
            if not submission.answer.done():
                submission.answer.set_result(answer)
        self._recorded.ring()
        statuses = Tally(result.status for answer in commit.answers for result in answer.results)
        for status, results in statuses.items():
            _RECORDED.labels(commit.province, status).inc(results)

    @contextlib.asynccontextmanager
    async def _ahead_of(self, commit: _Commit) -> AsyncIterator[_Commit]:
        """Yield the commit after this one, to be judged meanwhile as if all of this one were in the log.

        If this one fails, the log's head tells that the next one has to be judged again.
        """
        ahead = _Commit(commit.province)
        self._writing = True
        try:
            yield ahead
        finally:
            self._writing = False
            self._stirred.set()
            if ahead.draft is not None:
                known = ahead.draft.known
                try:
                    if ahead.judging is not None:
                        await ahead.judging
                    known.forget_all_but(self._remembered_events, ahead.draft.touched)
                    self._remembered = {ahead.province: known}
                except Exception as error:  # noqa: BLE001 - whatever it is, it happens again where it can be answered
                    _log.warning("events of province %s are judged again: %r", ahead.province, error)
                    ahead.draft, ahead.answers = None, []
                if ahead.submissions:
                    self._ahead = ahead

    async def _judge_ahead(self, ahead: _Commit, draft: Draft) -> None:
        """Judge what waits, and fold what it touches, for as long as the commit before is written."""
        while self._writing:
            self._stirred.clear()
            if self._many_wait(ahead.province):
                self._join(ahead)
            if ahead.unjudged:
                async with self._database.connect() as transaction:
                    await _learn(transaction, ahead.province, draft.known, [one.candidates for one in ahead.unjudged])
                for one in ahead.unjudged:
                    ahead.answers.append(draft.judge(one.grant, one.candidates, clock.now(), first=one.first))
                    await asyncio.sleep(0)
                await _fold(draft)
            else:
                await self._stirred.wait()

    def _many_wait(self, province: str) -> bool:
        """Tell whether enough events of the province wait to be judged ahead, and nobody else's turn is next."""
        if list(self._waiting) != [province]:
            return False
        events = accumulate(len(submission.candidates) for submission in self._waiting[province])
        return any(so_far >= EVENTS_AHEAD for so_far in events)

    async def _known(
        self, transaction: AsyncConnection, province: str, head: Head, remembered: Known | None = None
    ) -> Known:
        """Return what is known of a log with this head before anything of it is read, besides what is `remembered`."""
        known = Known(await self._catalogues.of(transaction, province, head.reference_version), head)
        if remembered is not None:
            known.recorded, known.histories = remembered.recorded, remembered.histories
        return known


async def _learn(
    transaction: AsyncConnection,
    province: str,
    known: Known,
    requests: Sequence[Sequence[Candidate]],
    *,
    anywhere: bool = False,
) -> None:
    """Read what is not known yet of the requests' dossiers; ids are looked for in their logs, or `anywhere`."""
    events = [candidate.event for request in requests for candidate in request if candidate.event is not None]
    unread = {event.subject for event in events if event.subject not in known.histories}
    if unread:
        histories, recorded = await log.histories_and_keys(transaction, province, unread)
        known.histories.update(histories)
        known.recorded.update(recorded)
    if anywhere:
        keys = {(event.source, event.id) for event in events}
        known.recorded.update(await log.recorded_before(transaction, province, keys))


async def _fold(draft: Draft) -> None:
    """Fold what the draft touches, and let others have their turn in between."""
    is_more = True
    while is_more:
        await asyncio.sleep(0)
        is_more = draft.fold(_FOLDED_AT_ONCE)


@contextlib.asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let `work` go on while the block does; on leaving, both are done."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await task


def _fail(submissions: Sequence[_Submission], error: BaseException) -> None:
    for submission in submissions:
        if not submission.answer.done():
            submission.answer.set_exception(error)
