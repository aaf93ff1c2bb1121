"""What truly happens to a dossier is decided here, from its receipt to the citizen's rating."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from services.cli.simulation import pauses, payments
from services.cli.simulation.habits import draw, happens, urn
from services.cli.simulation.life import Course, Fate, Step, counted, day_after_due
from services.cli.simulation.officehours import WHOLE_DAY, OfficeHours, instant, place, pushed
from services.cli.simulation.receipts import Receipt
from services.cli.simulation.scenario import Incidents
from services.contract import Channel

APPOINTED = 0.85
"""Of the dossiers with a limit, those whose sender names the due date."""

EXEMPT = 0.05
"""Of the dossiers with a fee, those whose applicant need not pay it."""

REFUSED = 0.015
COLLECTED_AT_ONCE = 0.65
NEVER_COLLECTED = 0.02

DECLINED_AT_ONCE = 0.5
"""Of the dossiers declined, those that were never received."""

UNANSWERED = 0.5
"""Of the dossiers stopped, those whose citizen never completed them."""

PATIENCE = 15
"""Working days after which a dossier that was not completed is closed (Decree 297/2025/NĐ-CP, 6.4a)."""

SCORES = urn([(5, 0.64), (4, 0.26), (3, 0.06), (2, 0.02), (1, 0.02)])
SCORES_OF_THE_LATE = urn([(5, 0.15), (4, 0.25), (3, 0.25), (2, 0.2), (1, 0.15)])


def course(receipt: Receipt, hours: OfficeHours, incidents: Incidents, rng: Random, luck: Random) -> Course:
    """Draw the life of a dossier: its usual course by `rng`, what comes in between by `luck`."""
    receiving, resolving = receipt.habits.unit, receipt.resolving.unit
    starts = place(hours, receipt.received_at)
    steps: list[Step] = []
    if resolving is not receiving:
        # The clock starts where the resolving unit has the dossier, some working hours later.
        starts += int(1_200 + WHOLE_DAY * rng.random() * rng.random())
        steps.append(Step(instant(hours, starts), receiving.code, "forwarded", {"to_unit": resolving.code}))
    starts_at = steps[0].occurred_at if steps else receipt.received_at
    due_at = counted(receipt, hours, starts_at)
    exempt, appointed = happens(EXEMPT, rng), happens(APPOINTED, rng)
    content = _received(receipt, due_at if appointed else None, exempt=exempt, rng=rng)
    steps.insert(0, Step(receipt.received_at, receiving.code, "received", content))
    life = Course(
        receipt=receipt,
        hours=hours,
        fate=_fate(incidents, rng, luck),
        starts=starts,
        due_at=due_at,
        finish=0,
        free=starts,
        fee_due=receipt.offer.fee > 0 and not exempt,
        steps=steps,
    )
    # Where nobody names the appointment, it is counted from the receipt until the forwarding is heard of.
    if not appointed and starts_at > receipt.received_at:
        life.dues.append((receipt.received_at, counted(receipt, hours, receipt.received_at)))
    life.dues.append((receipt.received_at if appointed else starts_at, due_at))
    _end(life, incidents, rng, luck)
    life.steps.sort(key=lambda step: step.occurred_at)
    return life


def _fate(incidents: Incidents, rng: Random, luck: Random) -> Fate:
    if happens(incidents.withdrawn, rng):
        return "withdrawn"
    chance = luck.random()
    if chance < incidents.voided:
        return "voided"
    if chance < incidents.voided + incidents.declined:
        return "declined"
    if chance < incidents.voided + incidents.declined + incidents.stopped:
        return "stopped"
    return "resolved"


def _end(life: Course, incidents: Incidents, rng: Random, luck: Random) -> None:
    """Take the life from where its clock starts to its end and beyond."""
    receipt, hours = life.receipt, life.hours
    receiving, resolving = receipt.habits.unit.code, receipt.resolving.unit.code
    life.late = life.fate == "resolved" and life.due_at is not None and happens(receipt.resolving.late, rng)
    life.finish = _late_finish(life, rng) if life.late else _finish(life, rng)
    match life.fate:
        case "voided":
            void_at = receipt.received_at + timedelta(seconds=120 + int(90_000 * luck.random() ** 3))
            reason = "Nhập nhầm" if happens(0.6, luck) else "Hồ sơ thử nghiệm"
            life.steps.append(Step(void_at, receiving, "voided", {"reason": reason}))
            return
        case "declined":
            _decline(life, luck)
        case "withdrawn":
            pauses.interrupt(life, incidents, luck)
            life.happens_at(life.finish, receiving, "withdrawn", {"reason": "Công dân đề nghị rút hồ sơ"})
        case "stopped":
            _stop(life, luck)
        case "resolved":
            pauses.interrupt(life, incidents, luck)
            content = _resolved(receipt, rng)
            life.happens_at(life.finish, resolving, "resolved", content)
            life.steps.extend(_returned(receipt, content["result"], life.finish, hours, rng))
    ended = life.steps[-1]
    if life.fee_due:
        payments.pay(life, instant(hours, life.finish), ended, incidents, rng, luck)
    if life.fate == "resolved" and happens(incidents.rated, luck):
        rated_at = ended.occurred_at + timedelta(seconds=60 + int(200_000 * luck.random() ** 3))
        score = draw(SCORES_OF_THE_LATE if life.late else SCORES, luck)
        life.steps.append(Step(rated_at, receiving, "rated", {"score": score}))


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


# --- How it ends ------------------------------------------------------------------------------------------------------


def _finish(life: Course, rng: Random) -> int:
    """Return the place in office time where a dossier ends in time: mostly early, and never in the first minutes."""
    starts = life.starts
    ends = place(life.hours, life.due_at) - 60 if life.due_at else starts + 8 * WHOLE_DAY
    quick = happens(0.3, rng)
    share = 0.02 + 0.2 * rng.random() if quick else 0.1 + 0.45 * (rng.random() + rng.random())
    return min(starts + 300 + int(share * (ends - starts)), max(ends, starts + 60))


def _late_finish(life: Course, rng: Random) -> int:
    """Return the place in office time where a dossier ends late: one to six working days after the due day."""
    return day_after_due(life) + 600 + int(5 * WHOLE_DAY * rng.random() * rng.random())


def _decline(life: Course, luck: Random) -> None:
    """Refuse to take the dossier: at once, and then nothing was received, or in the first hours."""
    unit, content = life.receipt.habits.unit.code, {"reason": "Hồ sơ không thuộc thẩm quyền giải quyết"}
    if happens(DECLINED_AT_ONCE, luck):
        life.steps = [Step(life.receipt.received_at, unit, "declined", content)]
        life.dues, life.fee_due = [], False
    else:
        life.finish = min(life.finish, life.starts + 300 + int(WHOLE_DAY * luck.random()))
        life.happens_at(life.finish, unit, "declined", content)


def _stop(life: Course, luck: Random) -> None:
    """Stop processing: the citizen never completed the dossier, or what it asks for has lapsed."""
    unit = life.receipt.resolving.unit.code
    began = pauses.begin(life, luck) if happens(UNANSWERED, luck) else None
    if began is None:
        life.happens_at(life.finish, unit, "stopped", {"reason": "Không còn căn cứ giải quyết"})
        return
    life.happens_at(began, unit, "supplement_requested", {"reason": pauses.INCOMPLETE})
    life.finish = began + PATIENCE * WHOLE_DAY
    life.due_at = life.due_at and pushed(life.hours, life.due_at, life.finish - began)
    stopped = life.happens_at(life.finish, unit, "stopped", {"reason": "Quá thời hạn bổ sung hồ sơ"})
    life.dues.append((stopped.occurred_at, life.due_at))


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
