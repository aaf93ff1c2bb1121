"""People at counters err: some of what they tell of a dossier is wrong for a while, until they put it right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from services.cli.simulation.habits import happens
from services.cli.simulation.life import Course, Step
from services.cli.simulation.officehours import WHOLE_DAY, instant, place
from services.cli.simulation.scenario import Incidents

NOT_THIS_ONE = "Nhập nhầm hồ sơ"


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a dossier, in the order of the times told; from `wrong_from` to `righted_at` it is wrong."""

    steps: Sequence[Step]
    wrong_from: datetime | None = None
    righted_at: datetime | None = None

    def is_wrong(self, at: datetime) -> bool:
        """Tell whether what had been told by then was wrong."""
        return self.wrong_from is not None and self.righted_at is not None and self.wrong_from <= at < self.righted_at


def told(life: Course, incidents: Incidents, luck: Random) -> Told:
    """Return what is told of a life, with at most one slip."""
    chance = luck.random()
    if chance < incidents.corrected:
        return _corrected(life, luck)
    if chance < incidents.corrected + incidents.retracted:
        return _retracted(life, luck)
    return Told(life.steps)


def _corrected(life: Course, luck: Random) -> Told:
    """Tell one step wrongly and correct it within three working days."""
    steps = {step.kind: step for step in life.steps if step.kind in {"received", "paid", "resolved"}}
    if not steps:
        return Told(life.steps)
    right = list(steps.values())[int(len(steps) * luck.random())]
    wrong, fields = _misremembered(life, right, luck) if right.kind == "resolved" else _mistyped(right)
    where = place(life.hours, wrong.occurred_at) + 600 + int(2.5 * WHOLE_DAY * luck.random() ** 2)
    correction = Step(instant(life.hours, where), right.unit, "corrected", fields, about=wrong)
    return _in_order([*(step for step in life.steps if step is not right), wrong, correction], right, correction)


def _mistyped(right: Step) -> tuple[Step, dict[str, Any]]:
    """Return the step as told, and what must be told to put it right."""
    content = dict(right.content)
    if right.kind == "received":
        wrong = {"channel": "counter" if content["channel"] != "counter" else "postal"}
    elif content["method"] == "online":
        # The money came in by the platform and was booked as if it lay in the till.
        wrong = {"method": "cash"}
    else:
        wrong = {"amount": 10 * content["amount"]}
    fields = {name: content.pop(name) for name in (*wrong, "platform", "reference") if name in content}
    return replace(right, content={**content, **wrong}), fields


def _misremembered(life: Course, right: Step, luck: Random) -> tuple[Step, dict[str, Any]]:
    """Return the resolution with a wrong result, or with the day it was entered instead of the day it happened."""
    if happens(0.5, luck):
        result = "paper" if right.content["result"] != "paper" else "both"
        return replace(right, content={**right.content, "result": result}), {"result": right.content["result"]}
    where = life.finish + int((1.1 + luck.random()) * WHOLE_DAY)
    return replace(right, occurred_at=instant(life.hours, where)), {"time": right.occurred_at.isoformat()}


def _retracted(life: Course, luck: Random) -> Told:
    """Tell what never happened, and take it back: a resolution that was none yet, or somebody else's money."""
    gap = life.finish - life.free - 600
    if life.fate == "resolved" and gap > 0:
        where = life.free + 120 + int(gap * luck.random())
        unit, content = life.receipt.resolving.unit.code, next(s.content for s in life.steps if s.kind == "resolved")
        mistake = Step(instant(life.hours, where), unit, "resolved", content)
        taken_back_at = instant(life.hours, where + 60 + int((life.finish - where - 60) * luck.random()))
    else:
        first = life.steps[0]
        mistake = Step(
            first.occurred_at + timedelta(seconds=90), first.unit, "paid", {"amount": 20_000, "method": "cash"}
        )
        taken_back_at = mistake.occurred_at + timedelta(seconds=600 + int(7_200 * luck.random()))
    retraction = Step(taken_back_at, mistake.unit, "retracted", {"reason": NOT_THIS_ONE}, about=mistake)
    return _in_order([*life.steps, mistake, retraction], mistake, retraction)


def _in_order(steps: Sequence[Step], wrong_from: Step, righted_by: Step) -> Told:
    in_order = sorted(steps, key=lambda step: step.occurred_at)
    return Told(in_order, wrong_from.occurred_at, righted_by.occurred_at)
