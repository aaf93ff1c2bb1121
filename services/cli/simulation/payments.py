"""A fee is paid online or at the counter, now and then twice or too much, and what was too much is given back."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from services.cli.simulation.habits import happens
from services.cli.simulation.life import Course, Step
from services.cli.simulation.officehours import WHOLE_DAY, place
from services.cli.simulation.scenario import Incidents

PAID_TWICE = 0.4
"""Of the refunds of what was paid online, those of a second payment: somebody pressed the button again."""

OVERCHARGED = 0.5
"""Of the other refunds, those of a part; the rest return the whole fee."""


def pay(  # noqa: PLR0913 - when it ended, by what, and two sources of chance
    life: Course, ended_at: datetime, last: Step, incidents: Incidents, rng: Random, luck: Random
) -> None:
    """Pay: online within hours of the receipt, otherwise at the counter or with the result; sometimes get it back."""
    receipt = life.receipt
    payer, online = receipt.habits, receipt.channel == "online"
    content: dict[str, Any] = {"amount": receipt.offer.fee}
    # Whoever submits online mostly pays online; at the counter people pay online by scanning a code.
    if happens(1 - (1 - payer.pays_online) ** 1.7 if online else 0.5 * payer.pays_online, rng):
        span = min(6 * 3600, (ended_at - receipt.received_at).total_seconds() - 60)
        paid_at = receipt.received_at + timedelta(seconds=30 + int(max(span, 0) * rng.random() ** 2))
        content["method"] = "online"
        content["platform"] = "provincial" if happens(payer.provincial, rng) else "national"
        content["reference"] = _reference(rng)
    elif online and life.fate != "resolved":
        return
    else:
        paid_at = last.occurred_at if online else receipt.received_at + timedelta(seconds=30 + int(600 * rng.random()))
        content["method"] = "transfer" if happens(0.15, rng) else "cash"
    life.steps.append(Step(paid_at, payer.unit.code, "paid", content))
    if happens(incidents.refunded, luck):
        _refund(life, paid_at, content, luck)


def _refund(life: Course, paid_at: datetime, payment: Mapping[str, Any], luck: Random) -> None:
    """Give money back: one payment of two by mistake, what was asked too much, or the whole fee."""
    unit, amount = life.receipt.habits.unit.code, payment["amount"]
    if payment["method"] == "online" and happens(PAID_TWICE, luck):
        again_at = paid_at + timedelta(seconds=20 + int(100 * luck.random()))
        life.steps.append(Step(again_at, unit, "paid", {**payment, "reference": _reference(luck)}))
    elif happens(OVERCHARGED, luck):
        amount = max(amount // 2, 1)
    where = place(life.hours, paid_at) + 1_800 + int(4 * WHOLE_DAY * luck.random())
    life.happens_at(where, unit, "refunded", {"amount": amount})


def _reference(rng: Random) -> str:
    return f"GD{int(1e12 * rng.random()):012}"
