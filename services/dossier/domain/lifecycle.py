"""A dossier is the fold of its events in the order in which they occurred; this is the only place that folds them.

The fold is total: whatever arrives finds a place, and what should not have happened becomes a flag. Arrival order,
repetition and batching never change the outcome, so events of one instant are taken in the order of a usual life
(receipt before payment before resolution), and those of one kind by sender and id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

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


@dataclass(frozen=True, slots=True)
class DueStep:
    """One step of how a due date came about, in both languages."""

    code: str
    detail: str
    detail_vi: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Life:
    """What has been seen of a dossier so far."""

    received: tuple[datetime, Received] | None = None
    forwarded: tuple[datetime, Forwarded] | None = None
    resolved: tuple[datetime, Resolved] | None = None
    returned: tuple[datetime, Returned] | None = None
    withdrawn: tuple[datetime, Withdrawn] | None = None
    payments: tuple[Paid, ...] = ()
    flags: frozenset[Flag] = frozenset()

    def flagged(self, *flags: Flag) -> "_Life":
        return replace(self, flags=self.flags.union(flags))


def fold(code: str, history: Iterable[Occurrence], catalogue: Catalogue) -> Standing:
    """Return how the dossier `code` stands after `history`, which may come in any order but names each event once."""
    ordered = sorted(history, key=_order)
    life = _Life()
    for occurrence in ordered:
        life = _step(life, occurrence)
    latest = max(ordered, key=lambda occurrence: occurrence.position)
    return replace(_standing(code, life, catalogue), position=latest.position, recorded_at=latest.recorded_at)


def explain_due(history: Iterable[Occurrence], catalogue: Catalogue) -> Sequence[DueStep]:
    """Return how the dossier's due date came about, step by step; empty before its receipt."""
    life = _Life()
    for occurrence in sorted(history, key=_order):
        life = _step(life, occurrence)
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


def _step(life: _Life, occurrence: Occurrence) -> _Life:  # noqa: PLR0911 - one for each kind of event
    """Return `life` after one more event; the earliest receipt, resolution, return and withdrawal stand."""
    when, data = occurrence.occurred_at, occurrence.data
    if when > occurrence.recorded_at + CLOCK_TOLERANCE:
        life = life.flagged("future_time")
    match data:
        case Received():
            return replace(life, received=(when, data)) if life.received is None else life.flagged("repeated_receipt")
        case Forwarded():
            life = life.flagged("event_after_close") if _closed(life) else life
            return replace(life, forwarded=(when, data))
        case Paid():
            # A fee may be collected with the result, so a payment after the end is nothing odd.
            return replace(life, payments=(*life.payments, data)) if data.amount else life
        case Resolved():
            life = life.flagged("event_after_close") if life.withdrawn or life.returned else life
            if life.resolved is not None:
                return life.flagged("repeated_resolution")
            return replace(life, resolved=(when, data))
        case Returned():
            life = life.flagged("event_after_close") if life.withdrawn else life
            return replace(life, returned=life.returned or (when, data))
        case Withdrawn():
            life = life.flagged("event_after_close") if _closed(life) else life
            return replace(life, withdrawn=life.withdrawn or (when, data))
        case _:
            assert_never(data)


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


def _standing(code: str, life: _Life, catalogue: Catalogue) -> Standing:
    status, ended_at = _end(life)
    online = [payment for payment in life.payments if payment.method == "online"]
    standing = Standing(
        code=code,
        status=status,
        ended_at=ended_at,
        ended_on=ended_at and vietnamese_day(ended_at),
        outcome=life.resolved and life.resolved[1].outcome,
        result=life.resolved and life.resolved[1].result,
        in_person=bool(life.resolved and life.resolved[1].in_person),
        returned_channel=life.returned and life.returned[1].channel,
        payments=len(life.payments),
        payments_online=len(online),
        paid_on_platform=any(payment.platform in {None, "national"} for payment in online),
    )
    if life.received is None:
        return replace(standing, status="unreceived", flags=tuple(sorted(life.flagged("missing_receipt").flags)))
    return _received_standing(standing, life, life.received, catalogue)


def _received_standing(
    standing: Standing, life: _Life, received: tuple[datetime, Received], catalogue: Catalogue
) -> Standing:
    received_at, receipt = received
    received_on = vietnamese_day(received_at)
    receiver = catalogue.unit(receipt.receiving_unit, received_on)
    resolving_unit, resolver = _resolver(life, received, catalogue)
    procedure, _ = _limit(received, catalogue)
    counted = _counted_due_at(life, received, catalogue)
    due_at = receipt.due_at or counted
    if procedure is None:
        life = life.flagged("unknown_procedure")
    if due_at is not None and counted is not None and vietnamese_day(counted) < vietnamese_day(due_at):
        life = life.flagged("due_beyond_limit")
    if due_at is not None and due_at < received_at:
        life = life.flagged("due_before_received")
    if standing.ended_at is not None and standing.ended_at < received_at:
        life = life.flagged("resolved_before_received")
    fee_told = receipt.fee_required if receipt.fee_required is not None else bool(procedure and procedure.fee_required)
    return replace(
        standing,
        procedure=receipt.procedure,
        field=procedure.field.code if procedure else None,
        receiving_unit=receipt.receiving_unit,
        receiving_unit_since=receiver.valid_from if receiver else None,
        resolving_unit=resolving_unit,
        resolving_unit_since=resolver.valid_from if resolver else None,
        channel=receipt.channel,
        received_at=received_at,
        received_on=received_on,
        due_at=due_at,
        due_on=due_at and vietnamese_day(due_at),
        fee_due=fee_told or bool(life.payments),
        flags=tuple(sorted(life.flags)),
    )
