"""What the log holds of a dossier from one portal source: what was recorded, and what it amounts to by now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.contract import (
    Corrected,
    Declined,
    Paid,
    Paused,
    Resolved,
    Resumed,
    Retracted,
    Returned,
    Stopped,
    Supplemented,
    SupplementRequested,
    Withdrawn,
)
from services.dossier.domain import history
from services.dossier.domain.history import Occurrence

_ENDS = (Resolved, Returned, Declined, Withdrawn, Stopped)


@dataclass(frozen=True, slots=True)
class Known:
    """One dossier's events of one source, by id."""

    code: str
    recorded: Mapping[str, Occurrence]
    """As they were recorded."""
    told: Mapping[str, Occurrence]
    """As they are corrected by now, retracted ones too."""
    retracted: frozenset[str]
    corrections: Mapping[str, int]
    """How many corrections of an event are in effect."""
    corrected_at: datetime | None
    """The time of the newest correction."""


def known(code: str, events: Iterable[Occurrence]) -> Known:
    """Arrange what the log holds; `events` are of one dossier and one source."""
    own = list(events)
    effect = history.effect(own)
    # A retracted event is not among those in effect; what it said last is asked for as well.
    unretracted = history.effect(event for event in own if not isinstance(event.data, Retracted))
    corrections = [event.occurred_at for event in own if isinstance(event.data, Corrected)]
    return Known(
        code,
        {event.id: event for event in own},
        {event.id: event for event in unretracted.events},
        frozenset(event_id for _, event_id in effect.retracted_by),
        {event_id: len(by) for (_, event_id), by in effect.corrected_by.items()},
        max(corrections, default=None),
    )


def standing(of: Known) -> Iterable[Occurrence]:
    """Yield what is in effect."""
    return (event for event_id, event in of.told.items() if event_id not in of.retracted)


def is_ended(of: Known) -> bool:
    """Tell whether the dossier was recorded as ended."""
    return any(isinstance(event.data, _ENDS) for event in standing(of))


def is_paid(of: Known) -> bool:
    """Tell whether an online payment was recorded."""
    return any(isinstance(event.data, Paid) for event in standing(of))


def is_still(of: Known) -> bool:
    """Tell whether the clock was recorded as standing still."""
    begun, ended = standstills(of)
    return not begun.keys() <= ended.keys()


Stills = dict[tuple[str, str], datetime]
"""When standstills began or ended, by the kind of event that began them and its key."""

_BEGINNING: Mapping[type, str] = {SupplementRequested: "supplement_requested", Paused: "paused"}
_CLOSING: Mapping[type, str] = {Supplemented: "supplement_requested", Resumed: "paused"}
ENDING: Mapping[str, str] = {"supplement_requested": "supplemented", "paused": "resumed"}
"""The kind of event that ends what a kind of event began."""


def standstills(of: Known) -> tuple[Stills, Stills]:
    """Return when the standstills of the dossier began, and when those that have ended did."""
    begun: Stills = {}
    ended: Stills = {}
    for event in standing(of):
        if kind := _BEGINNING.get(type(event.data)):
            begun[kind, _key(of, event.id, kind)] = event.occurred_at
        elif kind := _CLOSING.get(type(event.data)):
            ended[kind, _key(of, event.id, ENDING[kind])] = event.occurred_at
    return begun, ended


def _key(of: Known, event_id: str, kind: str) -> str:
    """Return what tells the event from others of its kind: the part of its id after dossier and kind."""
    return event_id.removeprefix(f"{of.code}/{kind}/").partition("/")[0]
