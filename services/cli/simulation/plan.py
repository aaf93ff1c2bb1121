"""Every dossier of a scenario is planned here, from receipt to return, in the order of receipt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from services.cli.simulation import receipts
from services.cli.simulation.habits import happens
from services.cli.simulation.officehours import (
    WHOLE_DAY,
    OfficeHours,
    due,
    instant,
    place,
)
from services.cli.simulation.receipts import Receipt
from services.cli.simulation.scenario import Scenario, stream, told_until
from services.contract import Channel

Kind = Literal["received", "forwarded", "paid", "resolved", "returned", "withdrawn"]

PREFIXES = {"19": "H55", "20": "H37"}
"""The provinces' codes in the government's messaging network, with which dossier codes begin."""

WITHDRAWN = 0.01
APPOINTED = 0.85
"""Of the dossiers with a limit, those whose sender names the due date."""

EXEMPT = 0.05
"""Of the dossiers with a fee, those whose applicant need not pay it."""

REFUSED = 0.015
COLLECTED_AT_ONCE = 0.65
NEVER_COLLECTED = 0.02


@dataclass(frozen=True, slots=True)
class Step:
    """Something that truly happens to a dossier at `unit`; `content` is the event's data."""

    occurred_at: datetime
    unit: str
    kind: Kind
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """A dossier as the simulation knows it to be, whatever the system hears of it.

    `due_at` is the true appointment, also where the sender does not name it; None without a limit. `steps` are in the
    order of occurrence and end with what the scenario tells of; `ended_at` is None for a dossier still pending then.
    """

    code: str
    procedure: str
    receiving_unit: str
    resolving_unit: str
    channel: Channel
    received_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    late: bool
    steps: tuple[Step, ...]


def dossiers(scenario: Scenario) -> Iterator[Dossier]:
    """Yield the scenario's dossiers in the order of receipt; a ValueError says what the scenario lacks."""
    province = receipts.province_of(scenario)
    rng = stream(scenario, "dossiers")
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
            yield _dossier(
                f"{prefix}.{unit}-{day:%y%m%d}-{scenario.seed}{number:04}", receipt, province.hours, rng, until
            )


def _dossier(code: str, receipt: Receipt, hours: OfficeHours, rng: Random, until: datetime) -> Dossier:
    receiving, resolving, procedure = receipt.habits.unit, receipt.resolving.unit, receipt.offer.procedure
    steps: list[Step] = []
    starts = place(hours, receipt.received_at)
    if resolving is not receiving:
        # The clock starts where the resolving unit has the dossier, some working hours later.
        starts += int(1_200 + WHOLE_DAY * rng.random() * rng.random())
        steps.append(Step(instant(hours, starts), receiving.code, "forwarded", {"to_unit": resolving.code}))
    due_at = _due_at(receipt, hours, instant(hours, starts) if steps else receipt.received_at)
    exempt = happens(EXEMPT, rng)
    content = _received(receipt, due_at if happens(APPOINTED, rng) else None, exempt=exempt, rng=rng)
    steps.insert(0, Step(receipt.received_at, receiving.code, "received", content))
    late = False
    if happens(WITHDRAWN, rng):
        ended_at = instant(hours, _finish(starts, due_at, hours, rng))
        steps.append(Step(ended_at, receiving.code, "withdrawn", {"reason": "Công dân đề nghị rút hồ sơ"}))
    else:
        late = due_at is not None and happens(receipt.resolving.late, rng)
        finish = _late_finish(due_at, hours, rng) if due_at and late else _finish(starts, due_at, hours, rng)
        ended_at = instant(hours, finish)
        resolved = _resolved(receipt, rng)
        steps.append(Step(ended_at, resolving.code, "resolved", resolved))
        steps.extend(_returned(receipt, resolved["result"], finish, hours, rng))
    if receipt.offer.fee and not exempt:
        steps.extend(_paid(receipt, ended_at, steps[-1], rng))
    steps.sort(key=lambda step: step.occurred_at)
    ended = ended_at <= until
    return Dossier(
        code=code,
        procedure=procedure.code,
        receiving_unit=receiving.code,
        resolving_unit=resolving.code,
        channel=receipt.channel,
        received_at=receipt.received_at,
        due_at=due_at,
        ended_at=ended_at if ended else None,
        late=ended and late,
        steps=tuple(step for step in steps if step.occurred_at <= until),
    )


def _due_at(receipt: Receipt, hours: OfficeHours, starts_at: datetime) -> datetime | None:
    procedure = receipt.offer.procedure
    limit = procedure.limits_by_channel.get(receipt.channel, procedure.limit)
    if limit is None:
        return None
    mountain = receipt.resolving.unit.class_ == "mountain"
    return due(hours, starts_at, limit, procedure.mountain_extra_days if mountain else 0)


def _received(receipt: Receipt, due_at: datetime | None, *, exempt: bool, rng: Random) -> dict[str, Any]:
    procedure = receipt.offer.procedure
    content: dict[str, Any] = {"procedure": procedure.code, "receiving_unit": receipt.habits.unit.code}
    if receipt.resolving is not receipt.habits:
        content["resolving_unit"] = receipt.resolving.unit.code
    content["channel"] = receipt.channel
    if due_at:
        content["due_at"] = due_at.isoformat()
    if receipt.submitted_at:
        content["submitted_at"] = receipt.submitted_at.isoformat()
    businesses = 0.4 if receipt.resolving.unit.kind == "department" else 0.08
    content["applicant"] = "business" if happens(businesses, rng) else "citizen"
    content["online_level"] = procedure.online_level
    content["fee_required"] = receipt.offer.fee > 0 and not exempt
    return content


def _finish(starts: int, due_at: datetime | None, hours: OfficeHours, rng: Random) -> int:
    """Return the place in office time where a dossier ends in time: mostly early, and never in the first minutes."""
    ends = place(hours, due_at) - 60 if due_at else starts + 8 * WHOLE_DAY
    quick = happens(0.3, rng)
    share = 0.02 + 0.2 * rng.random() if quick else 0.1 + 0.45 * (rng.random() + rng.random())
    return min(starts + 300 + int(share * (ends - starts)), max(ends, starts + 60))


def _late_finish(due_at: datetime, hours: OfficeHours, rng: Random) -> int:
    """Return the place in office time where a dossier ends late: one to six working days after the due day."""
    next_day = hours.index[due_at.date()] + 1
    return next_day * WHOLE_DAY + 600 + int(5 * WHOLE_DAY * rng.random() * rng.random())


def _resolved(receipt: Receipt, rng: Random) -> dict[str, Any]:
    online = receipt.channel == "online"
    if happens(receipt.resolving.electronic if online else 0.25, rng):
        result = "both" if happens(0.25 if online else 0.9, rng) else "electronic"
    else:
        result = "paper"
    # A procedure offered online in part asks more people to come, but fewer where the unit spares them the way anyhow.
    partly = receipt.offer.procedure.online_level == "partial"
    in_person = receipt.habits.in_person * (3.5 if partly else 1)
    return {
        "outcome": "refused" if happens(REFUSED, rng) else "approved",
        "result": result,
        "in_person": not online or happens(in_person, rng),
        "reused_data": happens(0.5 if online else 0.2, rng),
        "digitised": happens(0.8, rng),
    }


def _returned(receipt: Receipt, result: str, finish: int, hours: OfficeHours, rng: Random) -> Iterator[Step]:
    channel: Channel = receipt.channel
    if channel == "online" and result == "paper":
        channel = "postal" if happens(0.4, rng) else "counter"
    if channel == "online":
        returned_at = instant(hours, finish) + timedelta(seconds=20 + int(1_800 * rng.random() ** 2))
    elif happens(NEVER_COLLECTED, rng):
        return
    elif channel == "postal":
        returned_at = instant(hours, finish + WHOLE_DAY + int(2 * WHOLE_DAY * rng.random()))
    elif happens(COLLECTED_AT_ONCE, rng):
        returned_at = instant(hours, finish + 120 + int(0.5 * WHOLE_DAY * rng.random() ** 2))
    else:
        returned_at = instant(hours, finish + WHOLE_DAY // 2 + int(8 * WHOLE_DAY * rng.random() ** 2))
    yield Step(returned_at, receipt.habits.unit.code, "returned", {"channel": channel})


def _paid(receipt: Receipt, ended_at: datetime, last: Step, rng: Random) -> Iterator[Step]:
    """Yield the payment: online within hours of the receipt, otherwise at the counter or with the result."""
    payer, online = receipt.habits, receipt.channel == "online"
    content: dict[str, Any] = {"amount": receipt.offer.fee}
    # Whoever submits online mostly pays online; at the counter people pay online by scanning a code.
    if happens(1 - (1 - payer.pays_online) ** 1.7 if online else 0.5 * payer.pays_online, rng):
        span = min(6 * 3600, (ended_at - receipt.received_at).total_seconds() - 60)
        paid_at = receipt.received_at + timedelta(seconds=30 + int(max(span, 0) * rng.random() ** 2))
        content["method"] = "online"
        content["platform"] = "provincial" if happens(payer.provincial, rng) else "national"
        content["reference"] = f"GD{int(1e12 * rng.random()):012}"
    elif online and last.kind == "withdrawn":
        return
    else:
        paid_at = last.occurred_at if online else receipt.received_at + timedelta(seconds=30 + int(600 * rng.random()))
        content["method"] = "transfer" if happens(0.15, rng) else "cash"
    yield Step(paid_at, payer.unit.code, "paid", content)
