"""Every dossier of a scenario is planned here in the order in which they come in: what happens, and what is told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.cli.simulation import receipts, slips
from services.cli.simulation.course import course
from services.cli.simulation.life import Course, Kind, Step
from services.cli.simulation.scenario import Scenario, stream, told_until
from services.contract import Channel, vietnamese_day

PREFIXES = {"19": "H55", "20": "H37"}
"""The provinces' codes in the government's messaging network, with which dossier codes begin."""

ENDS: Mapping[Kind, Literal["resolved", "declined", "withdrawn", "stopped"]] = {
    "resolved": "resolved",
    "declined": "declined",
    "withdrawn": "withdrawn",
    "stopped": "stopped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """A dossier as it truly stands when the scenario ends, whatever the system hears of it.

    `steps` is what is told of it, in the order of the times told, through the end of the scenario; all else is the
    truth of that moment.
    """

    code: str
    procedure: str
    receiving_unit: str
    resolving_unit: str
    channel: Channel
    status: Literal["pending", "resolved", "declined", "withdrawn", "stopped", "voided"]
    received_at: datetime | None
    """None for a dossier that was declined without being received."""
    due_at: datetime | None
    """The appointment, also where the sender does not name it; None without a limit or a receipt."""
    dues: tuple[tuple[datetime, datetime | None], ...]
    """Every appointment that it had so far, with the instant from which on it had it."""
    extended_due_at: datetime | None
    """The other day that was named with an apology."""
    ended_at: datetime | None
    late: bool
    """Whether it ended on a day after its due day, apology or not."""
    fee_due: bool
    paid_online: bool
    """Whether a fee is due and was paid online, and not given back."""
    full_online: bool
    """Whether it was resolved without paper or a visit, by the four conditions of Decree 307/2025/NĐ-CP."""
    score: int | None
    mistaken: bool
    """Whether something told of it is wrong and not put right yet, so that the system cannot know the truth."""
    steps: tuple[Step, ...]


def dossiers(scenario: Scenario) -> Iterator[Dossier]:
    """Yield the scenario's dossiers in the order in which they come in; a ValueError says what the scenario lacks."""
    province = receipts.province_of(scenario)
    rng, luck, slipping = (stream(scenario, purpose) for purpose in ("dossiers", "incidents", "slips"))
    until = told_until(scenario)
    prefix = PREFIXES.get(scenario.province, f"P{scenario.province}")
    for day, count in receipts.counts_by_day(scenario, province.hours, rng):
        of_the_day = [receipts.received_on(day, province, rng) for _ in range(count)]
        of_the_day.sort(key=lambda receipt: receipt.received_at)
        numbers: dict[str, int] = {}
        for receipt in of_the_day:
            if receipt.received_at > until:
                return
            unit = receipt.habits.unit.code
            numbers[unit] = number = numbers.get(unit, 0) + 1
            # The seed is part of the code, so that what two seeds make can live in one system.
            code = f"{prefix}.{unit}-{day:%y%m%d}-{scenario.seed}{number:04}"
            life = course(receipt, province.hours, scenario.incidents, rng, luck)
            yield _as_of(until, code, life, slips.told(life, scenario.incidents, slipping))


def event_id(code: str, place: int) -> str:
    """Return the id of the event that tells the step at a place, counted from 0, of a dossier."""
    return f"{code}-{place + 1}"


def _as_of(until: datetime, code: str, life: Course, told: slips.Told) -> Dossier:
    """Return how a dossier stands at an instant, and what has been told of it by then."""
    receipt = life.receipt
    happened = {step.kind: step for step in life.steps if step.occurred_at <= until}
    due_at = next((due_at for since, due_at in reversed(life.dues) if since <= until), None)
    ended = next((happened[kind] for kind in ENDS if kind in happened), None)
    ended_at = ended.occurred_at if ended else None
    rated = happened.get("rated")
    return Dossier(
        code=code,
        procedure=receipt.offer.procedure.code,
        receiving_unit=receipt.habits.unit.code,
        resolving_unit=receipt.resolving.unit.code,
        channel=receipt.channel,
        status="voided" if "voided" in happened else ENDS[ended.kind] if ended else "pending",
        received_at=receipt.received_at if "received" in happened else None,
        due_at=due_at,
        dues=tuple((since, due_at) for since, due_at in life.dues if since <= until),
        extended_due_at=life.extended_due_at if "extended" in happened else None,
        ended_at=ended_at,
        late=bool(ended_at and due_at and vietnamese_day(ended_at) > vietnamese_day(due_at)),
        fee_due=life.fee_due,
        paid_online=bool(_platforms(life, until)),
        full_online=_is_full_online(life, until, happened),
        score=rated.content["score"] if rated else None,
        mistaken=told.is_wrong(until),
        steps=tuple(step for step in _numbered(code, told.steps) if step.occurred_at <= until),
    )


def _platforms(life: Course, until: datetime) -> list[str]:
    """Return the platform of each online payment that was not given back in whole."""
    steps = [step for step in life.steps if step.occurred_at <= until]
    given_back = [
        step for step in steps if step.kind == "refunded" and step.content["amount"] == life.receipt.offer.fee
    ]
    platforms = [step.content["platform"] for step in steps if step.kind == "paid" and "platform" in step.content]
    return platforms[len(given_back) :]


def _is_full_online(life: Course, until: datetime, happened: Mapping[Kind, Step]) -> bool:
    resolved, returned = happened.get("resolved"), happened.get("returned")
    return (
        resolved is not None
        and life.receipt.channel == "online"
        and ("national" in _platforms(life, until) or not life.fee_due)
        and resolved.content["result"] != "paper"
        and not resolved.content["in_person"]
        and (returned is None or returned.content["channel"] != "counter")
    )


def _numbered(code: str, steps: Sequence[Step]) -> Iterator[Step]:
    """Yield the steps; those about another one name its event."""
    for step in steps:
        if step.about is None:
            yield step
        else:
            named = event_id(code, steps.index(step.about))
            yield replace(step, content={"event_id": named, **step.content})
