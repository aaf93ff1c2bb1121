"""The recorded events of a dossier become those that are in effect: corrected ones corrected, retracted ones gone.

A sender corrects and retracts its own events only: those of the same source, about the same dossier. Corrections apply
in the order of their times, so a later one wins. A retraction may itself be retracted, by a later one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from services.contract import (
    Corrected,
    Data,
    Declined,
    Extended,
    Flag,
    Forwarded,
    Paid,
    Paused,
    Rated,
    Received,
    Refunded,
    Resolved,
    Resumed,
    Retracted,
    Returned,
    Stopped,
    Supplemented,
    SupplementRequested,
    Voided,
    Withdrawn,
)

_USUAL_LIFE: tuple[type[Data], ...] = (
    Received,
    Forwarded,
    SupplementRequested,
    Supplemented,
    Paused,
    Resumed,
    Paid,
    Refunded,
    Extended,
    Resolved,
    Returned,
    Declined,
    Withdrawn,
    Stopped,
    Rated,
    Corrected,
    Retracted,
    Voided,
)
_UNDOING = {Corrected, Retracted}
_UNITS_IN: Mapping[type[Data], Sequence[str]] = {
    kind: [name for name in ("receiving_unit", "resolving_unit", "to_unit") if name in kind.model_fields]
    for kind in _USUAL_LIFE
}
_USUAL_ORDER: Mapping[type, int] = {kind: rank for rank, kind in enumerate(_USUAL_LIFE)}

Key = tuple[str, str]
"""What names an event for ever: its source and its id."""


class Occurrence(NamedTuple):
    """One recorded event of a dossier: what happened, when, and when and where the record of it was made.

    A tuple, because every event becomes one for each fold that it has part in, and a frozen dataclass takes four times
    as long to make.
    """

    position: int
    recorded_at: datetime
    source: str
    id: str
    occurred_at: datetime
    data: Data
    sender_units: frozenset[str] | None = None
    """The units that the sender was limited to, None where it was not."""

    @property
    def key(self) -> Key:
        """The source and the id."""
        return self.source, self.id


class Effect(NamedTuple):
    """The events in effect, in the order in which they occurred, and what became of the others."""

    events: Sequence[Occurrence]
    retracted_by: Mapping[Key, str]
    """By which event (its id) an event was retracted."""
    corrected_by: Mapping[Key, Sequence[str]]
    """By which events (their ids) an event was corrected, in the order in which they apply."""
    flags: frozenset[Flag]


def effect(history: Iterable[Occurrence]) -> Effect:
    """Return what `history`, in any order but naming each event once, amounts to."""
    ordered = sorted(history, key=order)
    if _UNDOING.isdisjoint([type(occurrence.data) for occurrence in ordered]):
        return Effect(ordered, {}, {}, frozenset())
    flags: set[Flag] = set()
    by_key = {occurrence.key: occurrence for occurrence in ordered}
    retracted = _retractions(ordered, by_key, flags)
    corrected_by: dict[Key, list[str]] = {}
    for occurrence in ordered:
        if isinstance(occurrence.data, Corrected) and occurrence.key not in retracted:
            target = _target(occurrence, occurrence.data.event_id, by_key, flags)
            after = None if target is None else _corrected(target, occurrence.data, flags)
            if after is not None:
                by_key[after.key] = after
                corrected_by.setdefault(after.key, []).append(occurrence.id)
    events = [
        by_key[occurrence.key]
        for occurrence in ordered
        if occurrence.key not in retracted and not isinstance(occurrence.data, Corrected | Retracted)
    ]
    return Effect(sorted(events, key=order), retracted, corrected_by, frozenset(flags))


def units_in(data: Data) -> Mapping[str, str]:
    """Return the units that an event names, by the field that does."""
    names = _UNITS_IN[type(data)]
    return {name: unit for name in names if (unit := getattr(data, name)) is not None} if names else {}


def retracted_by(history: Iterable[Occurrence]) -> Mapping[Key, str]:
    """Return by which event (its id) each retracted event was retracted."""
    ordered = sorted(history, key=order)
    return _retractions(ordered, {occurrence.key: occurrence for occurrence in ordered}, set())


def order(occurrence: Occurrence) -> tuple[datetime, int, str, str]:
    """Order by time; events of one instant come in the order of a usual life, then by sender and id."""
    return occurrence.occurred_at, _USUAL_ORDER[type(occurrence.data)], occurrence.source, occurrence.id


def _retractions(ordered: Sequence[Occurrence], by_key: Mapping[Key, Occurrence], flags: set[Flag]) -> dict[Key, str]:
    """Return what is retracted and by what; the latest retractions are taken first, since only later ones undo them."""
    retracted: dict[Key, str] = {}
    pending = {occurrence.key for occurrence in ordered if isinstance(occurrence.data, Retracted)}
    for occurrence in reversed(ordered):
        if not isinstance(occurrence.data, Retracted):
            continue
        pending.discard(occurrence.key)
        if occurrence.key in retracted:
            continue
        target = _target(occurrence, occurrence.data.event_id, by_key, flags)
        if target is None:
            continue
        if isinstance(target.data, Retracted) and target.key not in pending:
            # It is later than this one, or this one itself, and has had its effect.
            flags.add("unknown_event")
            continue
        retracted[target.key] = occurrence.id
    return retracted


def _target(
    occurrence: Occurrence, event_id: str, by_key: Mapping[Key, Occurrence], flags: set[Flag]
) -> Occurrence | None:
    """Return the event that a correction or retraction is about, or None with a flag where it is not to be touched."""
    target = by_key.get((occurrence.source, event_id))
    if target is None:
        flags.add("unknown_event")
        return None
    units = occurrence.sender_units
    if units is not None and (target.sender_units is None or not target.sender_units <= units):
        flags.add("foreign_event")
        return None
    return target


def _corrected(target: Occurrence, correction: Corrected, flags: set[Flag]) -> Occurrence | None:
    """Return the event as corrected, or None with a flag where it cannot be corrected like this."""
    changes = {name: getattr(correction, name) for name in correction.model_fields_set - {"event_id", "time"}}
    if isinstance(target.data, Corrected | Retracted) or not changes.keys() <= type(target.data).model_fields.keys():
        flags.add("invalid_correction")
        return None
    told = target.data.model_dump(exclude_none=True) | changes
    try:
        data = type(target.data).model_validate({name: value for name, value in told.items() if value is not None})
    except ValidationError:
        flags.add("invalid_correction")
        return None
    return target._replace(data=data, occurred_at=correction.time or target.occurred_at)
