"""What became of one dossier, worked out from its raw events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from tests.oracle.reference import (
    VIETNAM,
    Json,
    Known,
    after_minutes,
    in_force,
    instant,
    is_worked,
    minutes_between,
    working_day_after,
)

# Of events of one instant the one that usually comes first did.
KINDS = (
    "received", "forwarded", "supplement_requested", "supplemented", "paused", "resumed", "paid", "refunded",
    "extended", "resolved", "returned", "declined", "withdrawn", "stopped", "rated", "corrected", "retracted", "voided",
)  # fmt: skip

# What each kind that can be corrected must tell, and what it may.
_MUST = {
    "received": {"procedure", "receiving_unit", "channel"}, "forwarded": {"to_unit"}, "paused": {"reason"},
    "paid": {"amount", "method"}, "refunded": {"amount"}, "extended": {"due_at"}, "resolved": {"outcome"},
    "returned": {"channel"}, "rated": {"score"}, "voided": {"reason"},
}  # fmt: skip
_MAY = {
    "received": {"resolving_unit", "due_at", "submitted_at", "applicant", "online_level", "fee_required"},
    "supplement_requested": {"reason"}, "supplemented": {"due_at"}, "resumed": {"due_at"},
    "paid": {"platform", "reference"}, "extended": {"reason"},
    "resolved": {"result", "in_person", "reused_data", "digitised"},
    "declined": {"reason"}, "withdrawn": {"reason"}, "stopped": {"reason"},
}  # fmt: skip
_WHY_PAUSED = {
    "financial_obligation", "obligation_assessment", "appraisal", "public_notice", "violation", "verification", "other",
}  # fmt: skip

_ENDS = {
    "resolved": "resolved",
    "returned": "resolved",
    **{kind: kind for kind in ("declined", "withdrawn", "stopped")},
}


@dataclass(frozen=True, slots=True)
class Told:
    """An event, read."""

    kind: str
    at: datetime
    source: str
    id: str
    data: Json
    units: frozenset[str] | None
    """What the sender was limited to, None where it was not."""
    recorded_at: datetime

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it stands among the events of its dossier."""
        return self.at, KINDS.index(self.kind), self.source, self.id


def read(event: Json) -> Told:
    """Read an event as it was posted."""
    kind = event["type"].removeprefix("vn.motcua.dossier.")
    units, recorded_at = event["sender_units"], datetime.fromisoformat(event["recorded_at"]).astimezone(VIETNAM)
    limited = None if units is None else frozenset(units)
    return Told(kind, instant(event["time"]), event["source"], event["id"], event["data"], limited, recorded_at)


# --- Corrections and retractions --------------------------------------------------------------------------------------


def _is_about(one: Told, other: Told) -> bool:
    """Tell whether `one` names `other`, and its sender may touch it: he covers all that the other was limited to."""
    if (one.source, one.data["event_id"]) != (other.source, other.id):
        return False
    return one.units is None or (other.units is not None and other.units <= one.units)


def _is_undone(event: Told, events: Sequence[Told]) -> bool:
    """Tell whether a retraction that is not undone itself takes the event back; only later ones undo retractions."""
    return any(
        _is_about(one, event) and (event.kind != "retracted" or one.place > event.place) and not _is_undone(one, events)
        for one in events
        if one.kind == "retracted"
    )


def _corrected(event: Told, correction: Told) -> Told:
    """Return the event with what the correction names put in its place, or as it was if it could not hold that."""
    if event.kind in {"corrected", "retracted"}:
        return event
    named = {name: value for name, value in correction.data.items() if name not in {"event_id", "time"}}
    data = {name: value for name, value in (event.data | named).items() if value is not None}
    must, may = _MUST.get(event.kind, set()), _MAY.get(event.kind, set())
    if not must <= set(data) or not set(data) <= must | may:
        return event
    if event.kind == "paused" and data["reason"] not in _WHY_PAUSED:
        return event
    if (event.kind == "refunded" and data["amount"] == 0) or (event.kind == "voided" and not data["reason"]):
        return event
    moved = correction.data.get("time")
    return replace(event, data=data, at=instant(moved) if moved else event.at)


def in_effect(events: Iterable[Told]) -> list[Told]:
    """Return the events that stand, as corrected, in their order."""
    told = sorted(events, key=lambda event: event.place)
    corrections = [event for event in told if event.kind == "corrected" and not _is_undone(event, told)]
    standing = []
    for event in told:
        if event.kind not in {"corrected", "retracted"} and not _is_undone(event, told):
            now = event
            for correction in corrections:
                if _is_about(correction, event):
                    now = _corrected(now, correction)
            standing.append(now)
    return sorted(standing, key=lambda event: event.place)


def _own(events: Sequence[Told]) -> list[Told]:
    """Leave out what limited senders told who were neither the receiving nor the resolving unit of that time."""
    receipt = next((event for event in events if event.kind == "received"), None)
    if receipt is None:
        return list(events)
    kept: list[Told] = []
    resolving = receipt.data.get("resolving_unit")
    for event in events:
        # Whoever sent the receipt keeps his part in the dossier, also where it was corrected to name another unit.
        if event.units in {None, receipt.units} or event.units & {receipt.data["receiving_unit"], resolving}:
            kept.append(event)
            if event.kind == "forwarded":
                resolving = event.data["to_unit"]
    return kept


# --- One dossier ------------------------------------------------------------------------------------------------------


def life(code: str, events: Iterable[Json], known: Known) -> Json | None:
    """Return what counts of a dossier: whose it is, its days and what it tells; None if it counts nowhere."""
    told = _own(in_effect(read(event) for event in events))
    receipt = next((event for event in told if event.kind == "received"), None)
    if receipt is None or any(event.kind == "voided" for event in told):
        return None
    end = next((event for kind in _ENDS for event in told if event.kind == kind), None)
    receiver, resolver, resolving_unit = _units(receipt, told, end, known)
    procedure = in_force(known.procedures, receipt.data["procedure"], receipt.at.date())
    pauses, paused_at = _pauses(told, end)
    due_at = _due_at(receipt, told, end, pauses, procedure, resolver, known)
    extensions = [event.data["due_at"] for event in told if event.kind == "extended"]
    resolution = next((event.data for event in told if event.kind == "resolved"), {})
    handing_over = next((event.data["channel"] for event in told if event.kind == "returned"), None)
    paid = payments(told)
    online = [payment for payment in paid if payment["method"] == "online"]
    rating = next((event for event in reversed(told) if event.kind == "rated"), None)
    fee_told = receipt.data.get("fee_required")
    fee_of_procedure = bool(procedure and procedure["fee_required"])
    channel, result = receipt.data["channel"], resolution.get("result")
    fee_due = bool(paid) or (fee_of_procedure if fee_told is None else fee_told)
    received_on, ended_at = receipt.at.date(), end.at if end else None
    due_on, ended_on = due_at.date() if due_at else None, end.at.date() if end else None
    closes_on = max(ended_on, received_on) if ended_on else None
    stands_still = paused_at is not None and due_on is not None and due_on >= paused_at.date()
    status = _ENDS[end.kind] if end else "pending"
    return {
        "code": code,
        "procedure": receipt.data["procedure"],
        "field": procedure["field"]["code"] if procedure else None,
        "channel": channel,
        "receiving_unit": receipt.data["receiving_unit"],
        "receiving_since": receiver and receiver["valid_from"],
        "resolving_unit": resolving_unit,
        "resolving_since": resolver and resolver["valid_from"],
        "received_at": receipt.at,
        "received_on": received_on,
        "receipt_recorded_at": receipt.recorded_at,
        "due_at": due_at,
        "due_on": due_on,
        "extended_due_on": instant(extensions[-1]).date() if extensions else None,
        "paused_at": paused_at,
        "status": status,
        "ended_at": ended_at,
        "ended_on": ended_on,
        "end_recorded_at": end.recorded_at if end else None,
        "closes_on": closes_on,
        "before_receipt": status == "declined" and ended_at is not None and ended_at < receipt.at,
        "stands_still": stands_still,
        "requests": _requests(told),
        "fee_due": fee_due,
        "payments": len(paid),
        "payments_online": len(online),
        "full_online": status == "resolved"
        and channel == "online"
        and (not fee_due or any(payment.get("platform") in {None, "national"} for payment in online))
        and result in {"electronic", "both", "none"}
        and handing_over != "counter"
        and not resolution.get("in_person"),
        "online_level": receipt.data.get("online_level") or (procedure["online_level"] if procedure else None),
        "result": result,
        "reused_data": bool(resolution.get("reused_data")),
        "digitised": bool(resolution.get("digitised")),
        "rated_on": rating.at.date() if rating else None,
        "score": rating.data["score"] if rating else None,
    }


def _units(receipt: Told, told: Sequence[Told], end: Told | None, known: Known) -> tuple[Json | None, Json | None, str]:
    """Return the receiving unit and the resolving unit in their versions, None where unknown, and the latter's code."""
    receiver = in_force(known.units, receipt.data["receiving_unit"], receipt.at.date())
    forwarding = _forwarding(told, end)
    if forwarding is not None:
        code = forwarding.data["to_unit"]
        return receiver, in_force(known.units, code, forwarding.at.date()), code
    code = receipt.data.get("resolving_unit") or receipt.data["receiving_unit"]
    return receiver, in_force(known.units, code, receipt.at.date()), code


def _forwarding(told: Sequence[Told], end: Told | None) -> Told | None:
    """Return the last forwarding, none after the end of processing."""
    until_the_end = [event for event in told if event.kind == "forwarded" and (end is None or event.at <= end.at)]
    return until_the_end[-1] if until_the_end else None


def _requests(told: Sequence[Told]) -> list[Json]:
    """Return each request to complete the dossier: from which day, to which if it was met, and if it was not the first.

    Who completes a dossier meets every request that is open.
    """
    requests: list[Json] = []
    for event in told:
        if event.kind == "supplement_requested":
            requests.append({"asked_on": event.at.date(), "met_on": None, "again": bool(requests)})
        if event.kind == "supplemented":
            for request in requests:
                request["met_on"] = request["met_on"] or event.at.date()
    return requests


def payments(told: Sequence[Told]) -> list[Json]:
    """Return the payments of something that were not refunded in whole.

    A refund is set against the latest payment of just its amount of which nothing went back yet, else against payments
    from the latest back.
    """
    paid = [event.data for event in told if event.kind == "paid" and event.data["amount"]]
    left = [payment["amount"] for payment in paid]
    for refund in (event.data["amount"] for event in told if event.kind == "refunded"):
        fitting = [n for n, payment in enumerate(paid) if payment["amount"] == left[n] == refund]
        if fitting:
            left[fitting[-1]] = 0
            continue
        rest = refund
        for n in range(len(paid) - 1, -1, -1):
            back = min(rest, left[n])
            left[n], rest = left[n] - back, rest - back
    return [payment for n, payment in enumerate(paid) if left[n]]


# --- The due date -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pause:
    """A time the clock stood still; `until` is None while it does, `due_at` the new appointment its end brought."""

    since: datetime
    until: datetime | None
    due_at: datetime | None = None
    completed: bool = False


def _pauses(told: Sequence[Told], end: Told | None) -> tuple[list[Pause], datetime | None]:
    """Return the pauses, cut off at the end of processing, and since when an open dossier's clock stands still."""
    pauses: list[Pause] = []
    reasons: set[str] = set()
    since: datetime | None = None
    for event in told:
        if event.kind in {"supplement_requested", "paused"}:
            reasons.add("supplement" if event.kind == "supplement_requested" else event.data["reason"])
            since = since or event.at
        if event.kind in {"supplemented", "resumed"}:
            ending = {reason for reason in reasons if (reason == "supplement") == (event.kind == "supplemented")}
            new = instant(event.data["due_at"]) if event.data.get("due_at") else None
            if ending and since is not None:
                pauses.append(Pause(since, event.at, new, completed=event.kind == "supplemented"))
                reasons -= ending
                since = event.at if reasons else None
            elif new is not None:
                # Nothing had begun, but an appointment is an appointment.
                pauses.append(Pause(event.at, event.at, new))
    if since is not None:
        pauses.append(Pause(since, None))
    if end is None:
        return pauses, since
    begun = [pause for pause in pauses if pause.since <= end.at]
    in_time = [p if p.until is not None and p.until <= end.at else Pause(p.since, end.at) for p in begun]
    return in_time, None


def _due_at(  # noqa: PLR0913 - all that a due date depends on
    receipt: Told,
    told: Sequence[Told],
    end: Told | None,
    pauses: Sequence[Pause],
    procedure: Json | None,
    resolver: Json | None,
    known: Known,
) -> datetime | None:
    """Return the first appointment plus the working time that was not the authority's own."""
    start, forwarding = receipt.at, _forwarding(told, end)
    if forwarding is not None and forwarding.data["to_unit"] != receipt.data["receiving_unit"]:
        start = max(receipt.at, forwarding.at)
    limit, extra = None, 0
    if procedure is not None:
        limit = procedure["limits_by_channel"].get(receipt.data["channel"], procedure["limit"])
        extra = procedure["mountain_extra_days"] if resolver is not None and resolver["class"] == "mountain" else 0
    due_at = _counted(start, limit, extra, procedure, known)
    if receipt.data.get("due_at"):
        start, due_at = receipt.at, instant(receipt.data["due_at"])
    for pause in pauses:
        if pause.until is None:
            continue
        if pause.due_at is not None:
            due_at = pause.due_at
        elif pause.completed and limit is not None and procedure is not None and procedure["restarts_after_supplement"]:
            due_at = _counted(pause.until, limit, extra, procedure, known)
        elif due_at is not None:
            due_at = after_minutes(known, due_at, minutes_between(known, max(pause.since, start), pause.until))
    return due_at


def _counted(start: datetime, limit: Json | None, extra: int, procedure: Json | None, known: Known) -> datetime | None:
    """Return when the limit runs out; the first day is not counted, and whole days end at 17:00."""
    if limit is None or procedure is None:
        return None
    amount, unit = limit["amount"], limit["unit"]
    cut_off = procedure["cut_off"] or ("15:00" if unit == "same_day" else None)
    if cut_off is not None and is_worked(known, start.date()) and start.time() > time.fromisoformat(cut_off):
        start = datetime.combine(working_day_after(known, start.date(), 1), time(7), VIETNAM)
    day = start.date()
    match unit:
        case "working_hours":
            due_at = after_minutes(known, start, 60 * amount)
            if extra == 0:
                return due_at
            day = due_at.date()
        case "working_days":
            day = working_day_after(known, day, amount)
        case "calendar_days":
            day = _worked_from(day + timedelta(days=amount), known)
        case "same_day":
            day = _worked_from(day, known)
        case _:
            raise AssertionError(unit)
    return datetime.combine(working_day_after(known, day, extra), time(17), VIETNAM)


def _worked_from(day: date, known: Known) -> date:
    return day if is_worked(known, day) else working_day_after(known, day, 1)
