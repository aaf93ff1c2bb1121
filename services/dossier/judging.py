"""Every item of a request is decided on here: accepted, a duplicate, a conflict, or rejected and why."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from services.contract import AnyEvent, Corrected, Grant, Received, vietnamese_day
from services.dossier.domain import lifecycle, record
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.history import Key, Occurrence, units_in
from services.dossier.domain.record import Recorded
from services.dossier.store import log
from services.dossier.store.log import Before, Head, Kept
from services.dossier.wire import Candidate, ItemError, item_error

# A usual life has four to eight events. The bound keeps one dossier's fold from growing without end.
EVENTS_PER_DOSSIER = 300

# Before its receipt anybody may send what belongs to a dossier; nobody may fill it for the unit whose it turns out to
# be, nor has any life that many events.
EVENTS_BEFORE_RECEIPT = 100


@dataclass(slots=True)
class Result:
    """What became of one item of a request.

    Nobody changes one, but it is not frozen: past that lock its fields take twice as long to set.
    """

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


@dataclass(slots=True)
class Known:
    """What is known of a province's log, kept up to date with every event that is accepted."""

    catalogue: Catalogue
    head: Head
    """The head of the log once all that was accepted is in it."""
    recorded: dict[Key, Before] = field(default_factory=dict)
    histories: OrderedDict[str, list[Occurrence]] = field(default_factory=OrderedDict)

    def forget_all_but(self, events: int, needed: Collection[str]) -> None:
        """Keep no more than so many events, besides those of `needed` dossiers.

        Those known for longest go first; they are the likeliest to have ended.
        """
        for code in needed:
            self.histories.move_to_end(code)
        while len(self.recorded) > events and len(self.histories) > len(needed):
            _, history = self.histories.popitem(last=False)
            for occurrence in history:
                del self.recorded[occurrence.key]


class Draft:
    """What a commit is to add to the log: requests judged one after another on what is known of it."""

    def __init__(self, known: Known) -> None:
        """Begin with nothing."""
        self.known = known
        self.after = known.head
        """The head of the log that this follows; after any other it is worth nothing."""
        self.events: list[Recorded] = []
        self.dossiers: dict[str, Kept] = {}
        """The dossiers that were touched, as they stand, as far as they are folded."""
        self._unfolded: set[str] = set()

    def following(self) -> "Draft":
        """Return the draft of the next commit; this one is folded first, since what is known tells of both then."""
        self.fold(len(self._unfolded))
        return Draft(self.known)

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the first of its events was judged."""
        return now - self.events[0].recorded_at if self.events else timedelta()

    @property
    def touched(self) -> Collection[str]:
        """The codes of the dossiers that the events are about."""
        return self.dossiers.keys() | self._unfolded

    def judge(self, grant: Grant, candidates: Sequence[Candidate], now: datetime, *, first: int = 0) -> Answer:
        """Decide on every item of a request, from the index `first` on, and add what is accepted."""
        sender_units = None if grant.units is None else sorted(grant.units)
        results = [
            self._judge_one(grant, sender_units, index, candidate, now)
            for index, candidate in enumerate(candidates, first)
        ]
        reached = [result.position for result in results if result.position is not None]
        return Answer(max(reached, default=self.known.head.position), results)

    def fold(self, most: int) -> bool:
        """Fold at most so many of the touched dossiers; tell whether any is left."""
        for _ in range(min(most, len(self._unfolded))):
            code = self._unfolded.pop()
            self.dossiers[code] = log.folded(code, self.known.histories[code], self.known.catalogue)
        return bool(self._unfolded)

    def _judge_one(
        self, grant: Grant, sender_units: Sequence[str] | None, index: int, candidate: Candidate, now: datetime
    ) -> Result:
        event, known = candidate.event, self.known
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
        position = known.head.position + 1
        occurrence = Occurrence(position, now, event.source, event.id, event.time, event.data, grant.units)
        hash_ = record.chained(known.head.hash, occurrence, candidate.fingerprint, grant.client)
        known.head = Head(position, known.head.reference_version, hash_)
        self.events.append(
            Recorded(
                grant.province,
                position,
                event.source,
                event.id,
                event.type,
                event.subject,
                event.time,
                candidate.data,
                candidate.fingerprint,
                grant.client,
                sender_units,
                now,
                hash_,
            )
        )
        known.recorded[event.source, event.id] = Before(position, candidate.fingerprint, grant.client)
        known.histories.setdefault(event.subject, []).append(occurrence)
        self._unfolded.add(event.subject)
        return Result(index, event.id, "accepted", position)


def _repeated(grant: Grant, index: int, event: AnyEvent, fingerprint: bytes, before: Before) -> Result:
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
