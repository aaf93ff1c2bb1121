"""Which dossiers were truly overdue, and which only looked so because the system had not heard yet, is known here.

It is told from the dossiers' lives and from when each event is posted, without the system's own rules, so that the
system's answers can be held against it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from services.cli.simulation.delivery import events
from services.cli.simulation.life import Kind, Step
from services.cli.simulation.plan import ENDS, Dossier, dossiers, event_id
from services.cli.simulation.scenario import Scenario, told_until
from services.contract import VIETNAM

_STANDS_STILL: dict[Kind, bool] = {
    "supplement_requested": True,
    "paused": True,
    "supplemented": False,
    "resumed": False,
}

_OVER: frozenset[Kind] = frozenset({*ENDS, "returned"})
"""What a dossier is not open any more after: whoever has the result has had it resolved."""

Heard = tuple[datetime, Step]
"""A step, and the instant at which the system heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Whether a dossier was overdue by the end of the scenario: in truth, and in the eyes of the system."""

    code: str
    shown: bool
    """Whether the system ever showed it as open after its due day, going by what had been posted."""
    by_fact: bool
    """Whether it truly was open after its due day."""

    @property
    def by_data(self) -> bool:
        """Whether it was shown as overdue only because of what was not posted in time."""
        return self.shown and not self.by_fact


def backlog(scenario: Scenario) -> Iterator[Overdue]:
    """Yield for each dossier that counts whether it was overdue."""
    until = told_until(scenario)
    heard_at: dict[str, datetime] = {}
    for delivery in events(scenario):
        heard_at.setdefault(delivery.event["id"], delivery.deliver_at)
    for dossier in dossiers(scenario):
        if dossier.status != "voided" and dossier.received_at is not None:
            heard = [(heard_at[event_id(dossier.code, place)], step) for place, step in enumerate(dossier.steps)]
            yield Overdue(
                code=dossier.code,
                shown=_shown_overdue(dossier, sorted(heard, key=lambda one: one[0]), until),
                by_fact=_truly_overdue(dossier, until),
            )


def _truly_overdue(dossier: Dossier, until: datetime) -> bool:
    if dossier.ended_at is None:
        since = _overdue_since(dossier, dossier.steps)
        return since is not None and since <= until
    return dossier.late


def _shown_overdue(dossier: Dossier, heard: Sequence[Heard], until: datetime) -> bool:
    """Tell whether what had been heard ever made the dossier look overdue before the next thing was heard."""
    nexts = [*(at for at, _ in heard[1:]), until]
    for number, ((at, _), following) in enumerate(zip(heard, nexts, strict=True), 1):
        since = _overdue_since(dossier, [step for _, step in heard[:number]])
        if since is not None and max(at, since) < min(following, until):
            return True
    return False


def _overdue_since(dossier: Dossier, steps: Sequence[Step]) -> datetime | None:
    """Return from when on the dossier is overdue, going by some of its steps; None where it is not open or not due."""
    undone = [step.about for step in steps if step.kind == "retracted"]
    standing = [step for step in steps if step not in undone]
    if not any(step.kind == "received" for step in standing) or any(step.kind in _OVER for step in standing):
        return None
    known = {step.occurred_at for step in standing}
    due_at = next((due_at for since, due_at in reversed(dossier.dues) if since in known), None)
    if due_at is None:
        return None
    pausing = max((step for step in standing if step.kind in _STANDS_STILL), key=lambda s: s.occurred_at, default=None)
    if pausing is not None and _STANDS_STILL[pausing.kind] and pausing.occurred_at.date() <= due_at.date():
        return None
    return _midnight_after(due_at.date())


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), VIETNAM)
