"""The life of a dossier has one shape while it is planned: what happens, when it is due, and where it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.cli.simulation.officehours import WHOLE_DAY, OfficeHours, due, instant
from services.cli.simulation.receipts import Receipt
from services.contract import Limit

Kind = Literal[
    "received",
    "forwarded",
    "supplement_requested",
    "supplemented",
    "paused",
    "resumed",
    "paid",
    "refunded",
    "extended",
    "resolved",
    "returned",
    "declined",
    "withdrawn",
    "stopped",
    "rated",
    "corrected",
    "retracted",
    "voided",
]

Fate = Literal["resolved", "withdrawn", "declined", "stopped", "voided"]
"""How a dossier ends."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens to a dossier at `unit`, or is said to; `content` is the event's data.

    A correction or retraction is `about` another step; who numbers the steps writes into its content which.
    """

    occurred_at: datetime
    unit: str
    kind: Kind
    content: Mapping[str, Any]
    about: "Step | None" = None


@dataclass(slots=True, kw_only=True)
class Course:
    """The life of one dossier while it is being planned; places are seconds of office time."""

    receipt: Receipt
    hours: OfficeHours
    fate: Fate
    starts: int
    """Where the clock starts."""
    due_at: datetime | None
    finish: int
    """Where processing ends; all is well before the due date unless `late`."""
    free: int
    """Where the next incident may come at the earliest."""
    late: bool = False
    fee_due: bool = False
    steps: list[Step] = field(default_factory=list)
    dues: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    """Every due date that the dossier has, with the instant from which on it has it."""
    extended_due_at: datetime | None = None
    """The day that the authority named when it apologised."""

    def happens_at(self, where: int, unit: str, kind: Kind, content: Mapping[str, Any]) -> Step:
        """Add what happens at a place in office time."""
        step = Step(instant(self.hours, where), unit, kind, content)
        self.steps.append(step)
        return step


def counted(receipt: Receipt, hours: OfficeHours, starts_at: datetime) -> datetime | None:
    """Return the appointment that the procedure's limit comes to; None where it has none."""
    limit = limit_of(receipt)
    if limit is None:
        return None
    procedure = receipt.offer.procedure
    mountain = receipt.resolving.unit.class_ == "mountain"
    return due(hours, starts_at, limit, procedure.mountain_extra_days if mountain else 0, procedure.cut_off)


def limit_of(receipt: Receipt) -> Limit | None:
    """Return the limit of the procedure for the dossier's channel."""
    procedure = receipt.offer.procedure
    return procedure.limits_by_channel.get(receipt.channel, procedure.limit)


def day_after_due(life: Course) -> int:
    """Return the place at which the day after the due day begins."""
    return (life.hours.index[life.due_at.date()] + 1) * WHOLE_DAY if life.due_at else life.finish
