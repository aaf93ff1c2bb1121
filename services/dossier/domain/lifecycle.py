"""A dossier is the fold of its events in the order in which they occurred; this is the only place that folds them.

The fold is total: whatever arrives finds a place, and what should not have happened becomes a flag. Arrival order,
repetition and batching never change the outcome, so events of one instant are taken in the order of a usual life
(receipt before payment before resolution), and those of one kind by sender and id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

from services.contract import (
    Data,
    Flag,
    Forwarded,
    Limit,
    Paid,
    Procedure,
    Received,
    Resolved,
    Returned,
    Standing,
    Status,
    Unit,
    Withdrawn,
    vietnamese_day,
)
from services.dossier.domain import calendar
from services.dossier.domain.catalogue import Catalogue

# A counter's clock may run a little ahead of ours without anybody lying.
CLOCK_TOLERANCE = timedelta(minutes=5)

_USUAL_ORDER: dict[type, int] = {
    kind: rank for rank, kind in enumerate((Received, Forwarded, Paid, Resolved, Returned, Withdrawn))
}

_LIMIT_EN = {
    "working_hours": "{} working hours",
    "working_days": "{} working days",
    "calendar_days": "{} days",
    "same_day": "the same day; after 15:00 the next working day",
}
_LIMIT_VI = {
    "working_hours": "{} giờ làm việc",
    "working_days": "{} ngày làm việc",
    "calendar_days": "{} ngày",
    "same_day": "trong ngày, sau 15 giờ thì ngày làm việc tiếp theo",
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One recorded event of a dossier: what happened, when, and when and where the record of it was made."""

    position: int
    recorded_at: datetime
    source: str
    id: str
    occurred_at: datetime
    data: Data
    sender_units: frozenset[str] | None = None
    """The units that the sender was limited to, None where it was not."""


@dataclass(frozen=True, slots=True)
class DueStep:
    """One step of how a due date came about, in both languages."""

    code: str
    detail: str
    detail_vi: str
    due_at: datetime | None


@dataclass(slots=True)
class _Life:
    """What the fold has seen of a dossier so far; it lives for one fold and is seen by nobody else."""

    received: tuple[datetime, Received] | None = None
    forwarded: tuple[datetime, Forwarded] | None = None
    resolved: tuple[datetime, Resolved] | None = None
    returned: tuple[datetime, Returned] | None = None
    withdrawn: tuple[datetime, Withdrawn] | None = None
    payments: list[Paid] = field(default_factory=list)
    flags: set[Flag] = field(default_factory=set)


def fold(code: str, history: Iterable[Occurrence], catalogue: Catalogue) -> Standing:
    """Return how the dossier `code` stands after `history`, which may come in any order but names each event once."""
    events = list(history)
    latest = max(events, key=lambda occurrence: occurrence.position)
    return _standing(code, _lived(events), catalogue, latest)


def explain_due(history: Iterable[Occurrence], catalogue: Catalogue) -> Sequence[DueStep]:
    """Return how the dossier's due date came about, step by step; empty before its receipt."""
    life = _lived(history)
    if life.received is None:
        return ()
    receipt = life.received[1]
    if receipt.due_at is not None:
        return (DueStep("sender", "given by the sender", "do đơn vị gửi ấn định", receipt.due_at),)
    procedure, limit = _limit(life.received, catalogue)
    if procedure is None:
        return (DueStep("unknown_procedure", "the procedure is not known", "chưa biết thủ tục", None),)
    if limit is None:
        return (DueStep("no_limit", "the procedure has no time limit", "thủ tục không quy định thời hạn", None),)
    start = _clock_start(life, life.received)
    return (
        DueStep("start", "the clock starts", "bắt đầu tính thời hạn", start),
        DueStep(
            limit.unit,
            _LIMIT_EN[limit.unit].format(limit.amount),
            _LIMIT_VI[limit.unit].format(limit.amount),
            _counted_due_at(life, life.received, catalogue),
        ),
    )


def units_named(history: Iterable[Data]) -> set[str]:
    """Return every unit that the events of one dossier name: those that a client of it may belong to."""
    named: set[str] = set()
    for data in history:
        match data:
            case Received():
                named.update(unit for unit in (data.receiving_unit, data.resolving_unit) if unit)
            case Forwarded():
                named.add(data.to_unit)
            case _:
                pass
    return named


def _order(occurrence: Occurrence) -> tuple[datetime, int, str, str]:
    return occurrence.occurred_at, _USUAL_ORDER[type(occurrence.data)], occurrence.source, occurrence.id


def _lived(history: Iterable[Occurrence]) -> _Life:
    """Take the events in; what somebody sent who had no part in the dossier at that time is flagged and left out.

    Only the receipt says whose a dossier is, and it may arrive last, so this cannot be judged when an event arrives.
    """
    ordered = sorted(history, key=_order)
    receipt = next((o.data for o in ordered if isinstance(o.data, Received)), None)
    life = _Life()
    for occurrence in ordered:
        if receipt is not None and _is_foreign(occurrence, life, receipt):
            life.flags.add("foreign_event")
        else:
            _step(life, occurrence)
    return life


def _is_foreign(occurrence: Occurrence, life: _Life, receipt: Received) -> bool:
    """Tell whether the sender was neither the receiving unit nor the resolving unit of that time."""
    if occurrence.sender_units is None:
        return False
    resolving_unit = life.forwarded[1].to_unit if life.forwarded else receipt.resolving_unit
    return occurrence.sender_units.isdisjoint({receipt.receiving_unit, resolving_unit})


def _step(life: _Life, occurrence: Occurrence) -> None:  # noqa: C901, PLR0912 - one branch for each kind of event
    """Take one more event into `life`; the earliest receipt, resolution, return and withdrawal stand."""
    when, data = occurrence.occurred_at, occurrence.data
    if when > occurrence.recorded_at + CLOCK_TOLERANCE:
        life.flags.add("future_time")
    match data:
        case Received():
            if life.received is None:
                life.received = when, data
            else:
                life.flags.add("repeated_receipt")
        case Forwarded():
            _flag_if(life, closed=_closed(life))
            life.forwarded = when, data
        case Paid():
            # A fee may be collected with the result, so a payment after the end is nothing odd.
            if data.amount:
                life.payments.append(data)
        case Resolved():
            _flag_if(life, closed=bool(life.withdrawn or life.returned))
            if life.resolved is None:
                life.resolved = when, data
            else:
                life.flags.add("repeated_resolution")
        case Returned():
            _flag_if(life, closed=life.withdrawn is not None)
            life.returned = life.returned or (when, data)
        case Withdrawn():
            _flag_if(life, closed=_closed(life))
            life.withdrawn = life.withdrawn or (when, data)
        case _:
            assert_never(data)


def _flag_if(life: _Life, *, closed: bool) -> None:
    if closed:
        life.flags.add("event_after_close")


def _closed(life: _Life) -> bool:
    return bool(life.resolved or life.returned or life.withdrawn)


def _end(life: _Life) -> tuple[Status, datetime | None]:
    """Return how and when processing ended: by resolution, else by the result's return, else by withdrawal."""
    if life.resolved:
        return "resolved", life.resolved[0]
    if life.returned:
        return "resolved", life.returned[0]
    if life.withdrawn:
        return "withdrawn", life.withdrawn[0]
    return "pending", None


def _resolver(life: _Life, received: tuple[datetime, Received], catalogue: Catalogue) -> tuple[str, Unit | None]:
    """Return the resolving unit's code and what the code meant when that unit got the dossier."""
    received_at, receipt = received
    if life.forwarded is not None:
        forwarded_at, forwarded = life.forwarded
        return forwarded.to_unit, catalogue.unit(forwarded.to_unit, vietnamese_day(forwarded_at))
    code = receipt.resolving_unit or receipt.receiving_unit
    return code, catalogue.unit(code, vietnamese_day(received_at))


def _clock_start(life: _Life, received: tuple[datetime, Received]) -> datetime:
    """Return when the clock starts: at the receipt, or when another unit than the receiving one got the dossier."""
    received_at, receipt = received
    if life.forwarded and life.forwarded[1].to_unit != receipt.receiving_unit:
        return max(received_at, life.forwarded[0])
    return received_at


def _limit(received: tuple[datetime, Received], catalogue: Catalogue) -> tuple[Procedure | None, Limit | None]:
    """Return the procedure in force at the receipt and the limit it sets for the receipt's channel."""
    received_at, receipt = received
    procedure = catalogue.procedure(receipt.procedure, vietnamese_day(received_at))
    if procedure is None:
        return None, None
    return procedure, procedure.limits_by_channel.get(receipt.channel, procedure.limit)


def _counted_due_at(life: _Life, received: tuple[datetime, Received], catalogue: Catalogue) -> datetime | None:
    """Return when the procedure's limit runs out, or None where it sets none."""
    procedure, limit = _limit(received, catalogue)
    if procedure is None or limit is None:
        return None
    _, resolver = _resolver(life, received, catalogue)
    extra = procedure.mountain_extra_days if resolver is not None and resolver.class_ == "mountain" else 0
    return calendar.due_at(_clock_start(life, received), limit, extra, catalogue.days)


def _standing(code: str, life: _Life, catalogue: Catalogue, latest: Occurrence) -> Standing:
    """Put the standing together; before its receipt a dossier belongs to no unit, procedure or channel."""
    status, ended_at = _end(life)
    online = [payment for payment in life.payments if payment.method == "online"]
    resolved = life.resolved[1] if life.resolved else None
    if life.received is None:
        status = "unreceived"
        life.flags.add("missing_receipt")
        known: dict[str, Any] = {}
    else:
        known = _known_from_receipt(life, life.received, ended_at, catalogue)
    return Standing(
        code=code,
        status=status,
        ended_at=ended_at,
        ended_on=ended_at and vietnamese_day(ended_at),
        outcome=resolved.outcome if resolved else None,
        result=resolved.result if resolved else None,
        in_person=bool(resolved and resolved.in_person),
        returned_channel=life.returned[1].channel if life.returned else None,
        payments=len(life.payments),
        payments_online=len(online),
        paid_on_platform=any(payment.platform in {None, "national"} for payment in online),
        flags=tuple(sorted(life.flags)),
        position=latest.position,
        recorded_at=latest.recorded_at,
        **known,
    )


def _known_from_receipt(
    life: _Life, received: tuple[datetime, Received], ended_at: datetime | None, catalogue: Catalogue
) -> dict[str, Any]:
    """Return the fields of the standing that only a receipt can tell, and flag what is odd about them."""
    received_at, receipt = received
    received_on = vietnamese_day(received_at)
    receiver = catalogue.unit(receipt.receiving_unit, received_on)
    resolving_unit, resolver = _resolver(life, received, catalogue)
    procedure, _ = _limit(received, catalogue)
    counted = _counted_due_at(life, received, catalogue)
    due_at = receipt.due_at or counted
    if procedure is None:
        life.flags.add("unknown_procedure")
    if due_at is not None and counted is not None and vietnamese_day(counted) < vietnamese_day(due_at):
        life.flags.add("due_beyond_limit")
    if due_at is not None and due_at < received_at:
        life.flags.add("due_before_received")
    if ended_at is not None and ended_at < received_at:
        life.flags.add("resolved_before_received")
    fee_told = receipt.fee_required if receipt.fee_required is not None else bool(procedure and procedure.fee_required)
    return {
        "procedure": receipt.procedure,
        "field": procedure.field.code if procedure else None,
        "receiving_unit": receipt.receiving_unit,
        "receiving_unit_since": receiver.valid_from if receiver else None,
        "resolving_unit": resolving_unit,
        "resolving_unit_since": resolver.valid_from if resolver else None,
        "channel": receipt.channel,
        "received_at": received_at,
        "received_on": received_on,
        "due_at": due_at,
        "due_on": due_at and vietnamese_day(due_at),
        "fee_due": fee_told or bool(life.payments),
    }
