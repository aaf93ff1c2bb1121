"""A dossier is the fold of its events in the order in which they occurred; this is the only place that folds them.

The fold is total: whatever arrives finds a place, and what should not have happened becomes a flag. Arrival order,
repetition and batching never change the outcome, because the events are put in order first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar, cast

from services.contract import (
    Corrected,
    Data,
    Declined,
    Extended,
    Flag,
    Forwarded,
    Paid,
    Paused,
    Rated,
    Received,
    Refunded,
    Resolved,
    Resumed,
    Retracted,
    Returned,
    Standing,
    Status,
    Stopped,
    Supplemented,
    SupplementRequested,
    Unit,
    Voided,
    Withdrawn,
    vietnamese_day,
)
from services.dossier.domain import calendar, deadline, history
from services.dossier.domain.catalogue import Catalogue
from services.dossier.domain.deadline import DueStep, Pause, Standstill
from services.dossier.domain.history import Effect, Occurrence

# A counter's clock may run a little ahead of ours without anybody lying.
CLOCK_TOLERANCE = timedelta(minutes=5)

# Counters are told to record what happens within eight working hours; no run of days off is as long as a month.
RECORDING_TOLERANCE = timedelta(hours=8)
_NO_DAYS_OFF_LAST_AS_LONG = timedelta(days=31)

D = TypeVar("D", bound=Data)


class Happened(NamedTuple, Generic[D]):
    """What happened, when, and when and from whom the record of it came."""

    at: datetime
    data: D
    recorded_at: datetime
    source: str


@dataclass(slots=True)
class _Life:
    """What the fold has seen of a dossier so far; it lives for one fold and is seen by nobody else."""

    received: Happened[Received] | None = None
    forwardings: list[Happened[Forwarded]] = field(default_factory=list)
    resolved: Happened[Resolved] | None = None
    returned: Happened[Returned] | None = None
    declined: Happened[Declined] | None = None
    withdrawn: Happened[Withdrawn] | None = None
    stopped: Happened[Stopped] | None = None
    voided: bool = False
    rated: Happened[Rated] | None = None
    extensions: list[Happened[Extended]] = field(default_factory=list)
    paid: list[Paid] = field(default_factory=list)
    refunded: list[int] = field(default_factory=list)
    asked: list[datetime] = field(default_factory=list)
    """When the citizen was asked to complete the dossier, and when each request was met, as far as it was."""
    completed: list[datetime] = field(default_factory=list)
    pauses_begun: int = 0
    pauses: list[Pause] = field(default_factory=list)
    standstills: list[Standstill] = field(default_factory=list)
    """Why the clock stands still now; more than one reason may hold at once."""
    still_since: datetime | None = None
    flags: set[Flag] = field(default_factory=set)


def fold(code: str, recorded: Iterable[Occurrence], catalogue: Catalogue) -> Standing:
    """Return how the dossier `code` stands after `recorded`, which may come in any order but names each event once."""
    events = list(recorded)
    latest = max(events, key=attrgetter("position"))
    return _standing(code, _lived(history.effect(events), catalogue), catalogue, latest)


def explain_due(recorded: Iterable[Occurrence], catalogue: Catalogue) -> Sequence[DueStep]:
    """Return how the dossier's due date came about, step by step; empty before its receipt."""
    life = _lived(history.effect(recorded), catalogue)
    if life.received is None:
        return ()
    _, resolver = _resolver(life, life.received, catalogue)
    return deadline.explained(_due(life, life.received, resolver, catalogue), life.received.data, catalogue)


def units_named(recorded: Sequence[Occurrence]) -> set[str]:
    """Return every unit that had part in the dossier: those of its receipts, and those that these passed it on to.

    Whoever had no part in it then names nobody, himself least of all; so nobody comes in by what he sent beforehand.
    """
    # By type, since asking a pydantic model whether it is an instance of another takes as long as all the rest.
    named: set[str] = set()
    for occurrence in recorded:
        if type(occurrence.data) is Received:
            named.update(history.units_in(occurrence.data).values())
    passing_on = [occurrence for occurrence in recorded if type(occurrence.data) in _PASSING_ON]
    for occurrence in sorted(passing_on, key=history.order):
        if occurrence.sender_units is None or not named.isdisjoint(occurrence.sender_units):
            named.update(history.units_in(occurrence.data).values())
    return named


_PASSING_ON = {Forwarded, Corrected}


def unretracted(recorded: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """Return the events that were not taken back, corrections and retractions among them, as they were recorded."""
    if not any(type(occurrence.data) is Retracted for occurrence in recorded):
        return recorded
    retracted = history.retracted_by(recorded)
    return [occurrence for occurrence in recorded if occurrence.key not in retracted]


def _lived(effect: Effect, catalogue: Catalogue) -> _Life:
    """Take the events in; what somebody sent who had no part in the dossier at that time is flagged and left out.

    Only the receipt says whose a dossier is, and it may arrive last, so this cannot be judged when an event arrives.
    """
    receipt = next((o for o in effect.events if type(o.data) is Received), None)
    life = _Life(flags=set(effect.flags))
    for occurrence in effect.events:
        if receipt is not None and occurrence.sender_units is not None and _is_foreign(occurrence, life, receipt):
            life.flags.add("foreign_event")
        else:
            _note_clocks(life, occurrence, catalogue)
            step = STEPS[type(occurrence.data)]
            step(life, Happened(occurrence.occurred_at, occurrence.data, occurrence.recorded_at, occurrence.source))
    return life


def _is_foreign(occurrence: Occurrence, life: _Life, receipt: Occurrence) -> bool:
    """Tell whether the sender was neither the receiving unit nor the resolving unit of that time.

    Whoever sent the receipt keeps his part in the dossier, even where it was corrected to name another unit.
    """
    told = cast("Received", receipt.data)
    resolving_unit = life.forwardings[-1].data.to_unit if life.forwardings else told.resolving_unit
    own = {told.receiving_unit, resolving_unit} & (occurrence.sender_units or frozenset())
    return not own and occurrence.sender_units != receipt.sender_units


def _note_clocks(life: _Life, occurrence: Occurrence, catalogue: Catalogue) -> None:
    """Flag what was recorded before it is said to have happened, or long after."""
    lag = occurrence.recorded_at - occurrence.occurred_at
    if lag < -CLOCK_TOLERANCE:
        life.flags.add("future_time")
    elif lag > RECORDING_TOLERANCE and (
        lag > _NO_DAYS_OFF_LAST_AS_LONG
        or calendar.working_time(occurrence.occurred_at, occurrence.recorded_at, catalogue.days) > RECORDING_TOLERANCE
    ):
        life.flags.add("late_recording")


def _received(life: _Life, receipt: Happened[Received]) -> None:
    if life.received is None:
        life.received = receipt
    else:
        life.flags.add("repeated_receipt")


def _forwarded(life: _Life, forwarding: Happened[Forwarded]) -> None:
    _flag_if(life, closed=_closed(life))
    life.forwardings.append(forwarding)


def _supplement_requested(life: _Life, request: Happened[SupplementRequested]) -> None:
    _flag_if(life, closed=_closed(life))
    life.asked.append(request.at)
    if len(life.asked) > 1:
        life.flags.add("repeated_supplement")
    _stand_still(life, request.at, "supplement")


def _supplemented(life: _Life, completion: Happened[Supplemented]) -> None:
    # Who completes a dossier meets every request that is open.
    life.completed += [completion.at] * (len(life.asked) - len(life.completed))
    _go_on(life, completion.at, {"supplement"}, completion.data.due_at)


def _paused(life: _Life, pause: Happened[Paused]) -> None:
    _flag_if(life, closed=_closed(life))
    _stand_still(life, pause.at, pause.data.reason)


def _resumed(life: _Life, resumption: Happened[Resumed]) -> None:
    _go_on(life, resumption.at, set(life.standstills) - {"supplement"}, resumption.data.due_at)


def _paid(life: _Life, payment: Happened[Paid]) -> None:
    # A fee may be collected with the result, so a payment after the end is nothing odd.
    if payment.data.amount:
        life.paid.append(payment.data)


def _refunded(life: _Life, refund: Happened[Refunded]) -> None:
    life.refunded.append(refund.data.amount)


def _extended(life: _Life, extension: Happened[Extended]) -> None:
    _flag_if(life, closed=_closed(life))
    if life.extensions:
        life.flags.add("repeated_extension")
    life.extensions.append(extension)


def _resolved(life: _Life, resolution: Happened[Resolved]) -> None:
    _flag_if(life, closed=bool(life.returned or _ended_otherwise(life)))
    if life.resolved is None:
        life.resolved = resolution
    else:
        life.flags.add("repeated_resolution")


def _returned(life: _Life, handing_over: Happened[Returned]) -> None:
    _flag_if(life, closed=_ended_otherwise(life))
    life.returned = life.returned or handing_over


def _declined(life: _Life, refusal: Happened[Declined]) -> None:
    _flag_if(life, closed=_closed(life))
    life.declined = life.declined or refusal


def _withdrawn(life: _Life, withdrawal: Happened[Withdrawn]) -> None:
    _flag_if(life, closed=_closed(life))
    life.withdrawn = life.withdrawn or withdrawal


def _stopped(life: _Life, stop: Happened[Stopped]) -> None:
    _flag_if(life, closed=_closed(life))
    life.stopped = life.stopped or stop


def _rated(life: _Life, rating: Happened[Rated]) -> None:
    life.rated = rating


def _voided(life: _Life, _voiding: Happened[Voided]) -> None:
    life.voided = True


# By type, since asking a pydantic model whether it is an instance of another takes longer than the step itself.
STEPS: Mapping[type[Data], Callable[[_Life, Happened[Any]], None]] = {
    Received: _received,
    Forwarded: _forwarded,
    SupplementRequested: _supplement_requested,
    Supplemented: _supplemented,
    Paused: _paused,
    Resumed: _resumed,
    Paid: _paid,
    Refunded: _refunded,
    Extended: _extended,
    Resolved: _resolved,
    Returned: _returned,
    Declined: _declined,
    Withdrawn: _withdrawn,
    Stopped: _stopped,
    Rated: _rated,
    Voided: _voided,
}
"""What each kind of event makes of a life; the earliest receipt and the earliest end of each kind stand.

Corrections and retractions have had their effect on the events that they name.
"""


def _flag_if(life: _Life, *, closed: bool) -> None:
    if closed:
        life.flags.add("event_after_close")


def _ended_otherwise(life: _Life) -> bool:
    return bool(life.declined or life.withdrawn or life.stopped)


def _closed(life: _Life) -> bool:
    return bool(life.resolved or life.returned or _ended_otherwise(life))


def _stand_still(life: _Life, when: datetime, reason: Standstill) -> None:
    """Stop the clock for one more reason."""
    life.pauses_begun += 1
    if life.still_since is None:
        life.still_since = when
    if reason not in life.standstills:
        life.standstills.append(reason)


def _go_on(life: _Life, when: datetime, reasons: set[Standstill], due_at: datetime | None) -> None:
    """End the standstill for `reasons`; the clock runs again once no reason is left."""
    ending: list[Standstill] = [reason for reason in life.standstills if reason in reasons]
    since = life.still_since
    if not ending or since is None:
        life.flags.add("unmatched_resumption")
        if due_at is not None:
            life.pauses.append(Pause("supplement" if reasons else "other", when, when, due_at))
        return
    life.pauses.append(Pause(ending[0], since, when, due_at, completed="supplement" in ending))
    life.standstills = [reason for reason in life.standstills if reason not in reasons]
    # What still stands in the way is a pause of its own from here on.
    life.still_since = when if life.standstills else None


_Ended = tuple[Status, datetime | None, datetime | None]


def _end(life: _Life) -> _Ended:
    """Return how and when processing ended, and when that was recorded.

    By resolution, else by the result's return, else by refusal, withdrawal or stop.
    """
    if life.resolved is not None:
        return "resolved", life.resolved.at, life.resolved.recorded_at
    if life.returned is not None:
        return "resolved", life.returned.at, life.returned.recorded_at
    if life.declined is not None:
        return "declined", life.declined.at, life.declined.recorded_at
    if life.withdrawn is not None:
        return "withdrawn", life.withdrawn.at, life.withdrawn.recorded_at
    if life.stopped is not None:
        return "stopped", life.stopped.at, life.stopped.recorded_at
    return "pending", None, None


def _forwarding(life: _Life) -> Happened[Forwarded] | None:
    """Return the last forwarding before the end of processing: a later one gives nobody else the outcome, nor time."""
    if not life.forwardings:
        return None
    ended_at = _end(life)[1]
    return next((f for f in reversed(life.forwardings) if ended_at is None or f.at <= ended_at), None)


def _resolver(life: _Life, received: Happened[Received], catalogue: Catalogue) -> tuple[str, Unit | None]:
    """Return the resolving unit's code and what the code meant when that unit got the dossier."""
    forwarded = _forwarding(life)
    if forwarded is not None:
        to_unit = forwarded.data.to_unit
        return to_unit, catalogue.unit(to_unit, vietnamese_day(forwarded.at))
    code = received.data.resolving_unit or received.data.receiving_unit
    return code, catalogue.unit(code, vietnamese_day(received.at))


def _due(life: _Life, received: Happened[Received], resolver: Unit | None, catalogue: Catalogue) -> deadline.Due:
    """Return when the dossier is due; only pauses before the end of processing count."""
    receipt, forwarded = received.data, _forwarding(life)
    elsewhere = forwarded is not None and forwarded.data.to_unit != receipt.receiving_unit
    return deadline.due(
        deadline.Case(
            received_at=received.at,
            receipt=receipt,
            forwarded_at=max(received.at, forwarded.at) if forwarded is not None and elsewhere else None,
            procedure=catalogue.procedure(receipt.procedure, vietnamese_day(received.at)),
            in_mountains=resolver is not None and resolver.class_ == "mountain",
            pauses=_pauses(life),
            extensions=[extension.data for extension in life.extensions],
        ),
        catalogue,
    )


def _pauses(life: _Life) -> list[Pause]:
    """Return the pauses in order, none of them going past the end of processing."""
    if not life.pauses and life.still_since is None:
        return []
    ended_at = _end(life)[1]
    pauses = list(life.pauses)
    if life.still_since is not None:
        pauses.append(Pause(life.standstills[0], life.still_since))
    if ended_at is None:
        return pauses
    return [_until(ended_at, pause) for pause in pauses if pause.began_at <= ended_at]


def _supplement_spans(life: _Life, ended_at: datetime | None) -> tuple[str, ...]:
    """Return from which day to which each request was open, none of them going past the end of processing."""
    if not life.asked:
        return ()
    met: list[datetime | None] = [*life.completed, *[None] * (len(life.asked) - len(life.completed))]
    spans = []
    for asked_at, met_at in zip(life.asked, met, strict=True):
        if ended_at is None or asked_at <= ended_at:
            until = min((instant for instant in (met_at, ended_at) if instant is not None), default=None)
            spans.append(f"{vietnamese_day(asked_at)}/{'' if until is None else vietnamese_day(until)}")
    return tuple(spans)


def _until(ended_at: datetime, pause: Pause) -> Pause:
    """Cut a pause off at the end of processing; what ended it later brought no appointment in time."""
    if pause.ended_at is not None and pause.ended_at <= ended_at:
        return pause
    return Pause(pause.reason, pause.began_at, ended_at)


def _payments(life: _Life) -> list[Paid]:
    """Return the payments that were not refunded in whole.

    A refund is set against the latest payment of just its amount, else against payments from the latest back.
    """
    if not life.refunded:
        return life.paid
    paid = life.paid
    left = [payment.amount for payment in paid]
    for amount in life.refunded:
        same = next((i for i in reversed(range(len(paid))) if paid[i].amount == amount == left[i]), None)
        if same is not None:
            left[same] = 0
            continue
        refund = amount
        for i in reversed(range(len(paid))):
            taken = min(left[i], refund)
            left[i], refund = left[i] - taken, refund - taken
        if refund:
            life.flags.add("refund_beyond_payment")
    return [payment for payment, rest in zip(paid, left, strict=True) if rest]


def _standing(code: str, life: _Life, catalogue: Catalogue, latest: Occurrence) -> Standing:
    """Put the standing together; before its receipt a dossier belongs to no unit, procedure or channel."""
    status, ended_at, end_recorded_at = _end(life)
    # What is not told keeps its default; to give forty fields by name at once takes three times as long as to set them.
    standing = Standing(code=code, status=status, position=latest.position, recorded_at=latest.recorded_at)
    _tell_clock(standing, life, ended_at)
    _tell_payments(standing, _payments(life))
    if ended_at is not None:
        standing.ended_at, standing.ended_on = ended_at, vietnamese_day(ended_at)
        standing.end_recorded_at = end_recorded_at
    if life.resolved is not None:
        _tell_resolution(standing, life.resolved.data)
    if life.returned is not None:
        standing.returned_channel = life.returned.data.channel
    if life.rated is not None:
        standing.score, standing.rated_on = life.rated.data.score, vietnamese_day(life.rated.at)
    if life.received is not None:
        _tell_receipt(standing, life, life.received, catalogue)
    elif life.declined is None:
        # What was declined at once has no receipt.
        standing.status = "unreceived"
        if not life.voided:
            life.flags.add("missing_receipt")
    if life.voided:
        standing.status = "voided"
    standing.flags = tuple(sorted(life.flags))
    return standing


def _tell_clock(standing: Standing, life: _Life, ended_at: datetime | None) -> None:
    """Tell when the clock stood still, and flag an end during that time."""
    standing.pauses = life.pauses_begun
    standing.supplements = len(life.asked)
    standing.supplement_spans = _supplement_spans(life, ended_at)
    if life.still_since is None:
        return
    if ended_at is None:
        standing.paused_at, standing.pause_reason = life.still_since, life.standstills[0]
    elif life.still_since <= ended_at:
        life.flags.add("ended_while_paused")


def _tell_payments(standing: Standing, payments: Sequence[Paid]) -> None:
    if payments:
        online = [payment for payment in payments if payment.method == "online"]
        standing.payments, standing.payments_online = len(payments), len(online)
        standing.paid_on_platform = any(payment.platform in {None, "national"} for payment in online)


def _tell_resolution(standing: Standing, resolution: Resolved) -> None:
    standing.outcome = resolution.outcome
    standing.result = resolution.result
    standing.in_person = bool(resolution.in_person)
    standing.reused_data = bool(resolution.reused_data)
    standing.digitised = bool(resolution.digitised)


def _tell_receipt(standing: Standing, life: _Life, received: Happened[Received], catalogue: Catalogue) -> None:
    """Tell what only a receipt can, and flag what is odd about it."""
    receipt, received_on = received.data, vietnamese_day(received.at)
    receiver = catalogue.unit(receipt.receiving_unit, received_on)
    resolving_unit, resolver = _resolver(life, received, catalogue)
    procedure = catalogue.procedure(receipt.procedure, received_on)
    due = _due(life, received, resolver, catalogue)
    _flag_receipt(standing, life, received, due)
    if procedure is None:
        life.flags.add("unknown_procedure")
    if receiver is None or resolver is None:
        life.flags.add("unknown_unit")
    standing.procedure = receipt.procedure
    standing.field = procedure.field.code if procedure else None
    standing.receiving_unit = receipt.receiving_unit
    standing.receiving_unit_since = receiver.valid_from if receiver else None
    standing.resolving_unit = resolving_unit
    standing.resolving_unit_since = resolver.valid_from if resolver else None
    standing.channel = receipt.channel
    standing.received_at, standing.received_on = received.at, received_on
    standing.receipt_recorded_at = received.recorded_at
    standing.source = received.source
    standing.due_at, standing.due_on = due.at, due.at and vietnamese_day(due.at)
    standing.extended_due_at = due.extended_at
    standing.extended_due_on = due.extended_at and vietnamese_day(due.extended_at)
    standing.online_level = receipt.online_level or (procedure.online_level if procedure else None)
    fee_told = receipt.fee_required if receipt.fee_required is not None else bool(procedure and procedure.fee_required)
    standing.fee_due = fee_told or bool(standing.payments)


def _flag_receipt(standing: Standing, life: _Life, received: Happened[Received], due: deadline.Due) -> None:
    """Flag what is odd about the receipt's times."""
    receipt = received.data
    # Until a named resolving unit has got the dossier, nobody knows from when its limit counts.
    on_its_way = _forwarding(life) is None and receipt.resolving_unit not in {None, receipt.receiving_unit}
    if due.beyond_limit and not on_its_way:
        life.flags.add("due_beyond_limit")
    if due.at is not None and due.at < received.at:
        life.flags.add("due_before_received")
    if standing.ended_at is not None and standing.ended_at < received.at:
        life.flags.add("resolved_before_received")
    for extension in life.extensions:
        # An apology is due at the latest on the day before the due day.
        if due.at is not None and vietnamese_day(extension.at) >= vietnamese_day(due.at):
            life.flags.add("late_extension")
