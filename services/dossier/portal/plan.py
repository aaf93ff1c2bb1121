"""Each fact becomes one event to submit: a new one, the one recorded already, or a correction of it.

What is recorded already is submitted again as it stands in the log. So the intake judges every fact alike, whoever
sent it, and answers for what was known before as it would for any event that is sent twice.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

import orjson

from services.contract import Received
from services.dossier import wire
from services.dossier.domain.history import Occurrence
from services.dossier.domain.record import DATA_OF_TYPE
from services.dossier.portal import dossiers, known, progress
from services.dossier.portal.envelope import Envelope, Fact, Reading
from services.dossier.portal.known import Known
from services.dossier.portal.units import Directory
from services.dossier.wire import Candidate

_TYPE_OF_DATA = {data: type_ for type_, data in DATA_OF_TYPE.items()}

# Two services of one software stamp the same click some seconds apart.
SAME_CLICK = timedelta(minutes=1)

# These are told by the dossier's record alone.
_TOLD_ONCE = frozenset({"received", "paid"})

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """What is submitted for a fact, and what it will have been if it is taken in.

    `existing` is recorded with another content, and the sender did not say that it updates.
    """

    fact: Fact
    candidate: Candidate
    as_: Literal["new", "known", "corrected", "existing"]


def planned(
    sent: Envelope, readings: Sequence[Reading], own: dict[str, list[Occurrence]], directory: Directory, now: datetime
) -> list[Planned]:
    """Return what to submit for what the records state, in their order.

    `own` is what the log holds of each dossier from the envelope's source; what is planned is added to it, so that a
    record is read in the light of those before it. What cannot be mapped is reported in the readings.
    """
    plans = []
    for reading in readings:
        events = own.setdefault(reading.code, [])
        of = known.known(reading.code, events)
        if sent.service == "DongBoHoSoMC":
            facts = dossiers.facts(reading, sent.unit, directory, of)
        else:
            facts = progress.facts(reading, of)
        for fact in _with_extensions(facts, sent, of, now):
            # The facts of one record are of different events, so none of them changes what is known of another.
            plan = _plan(fact, sent, of, now)
            plans.append(plan)
            event = plan.candidate.event
            if event is not None and plan.as_ in {"new", "corrected"}:
                events.append(Occurrence(0, now, event.source, event.id, event.time, event.data))
    return plans


def _with_extensions(facts: Iterable[Fact], sent: Envelope, of: Known, now: datetime) -> Iterator[Fact]:
    """Yield the facts; a receipt whose appointment was moved to a later day becomes an extension.

    Writing another day over the first one does not make a late dossier timely: the first appointment stands. When the
    day was moved is not told, so the arrival of the record is taken for it.
    """
    for fact in facts:
        told, after = of.told.get(fact.id), fact.data.get("due_at")
        before = told.data.due_at if told is not None and isinstance(told.data, Received) else None
        if not (sent.updating and isinstance(after, datetime) and before is not None and after > before):
            yield fact
            continue
        yield replace(fact, data={**fact.data, "due_at": before})
        extension = Fact(fact.index, fact.code, "extended", f"{after:%Y%m%d%H%M%S}", now, {"due_at": after})
        recorded = of.told.get(extension.id)
        yield extension if recorded is None else replace(extension, at=recorded.occurred_at)


def _plan(fact: Fact, sent: Envelope, of: Known, now: datetime) -> Planned:
    event_id = _event_id(fact, of)
    recorded = of.recorded.get(event_id)
    if recorded is None:
        data = {name: value for name, value in fact.data.items() if value is not None}
        return Planned(fact, _candidate(fact.code, sent.source, event_id, fact.kind, fact.at, data), "new")
    told = of.told.get(event_id)
    changes = {} if told is None or event_id in of.retracted else _changes(fact, told, sent)
    if told is not None and changes and _may_correct(fact, changes, told, sent):
        correction = {"event_id": event_id, **changes}
        # A later correction wins by its time, so it must not share that of the one before.
        at = now if of.corrected_at is None else max(now, of.corrected_at + _MOMENT)
        correction_id = f"{event_id}/corrected/{of.corrections.get(event_id, 0) + 1}-{_fingerprint(correction)}"
        return Planned(
            fact, _candidate(fact.code, sent.source, correction_id, "corrected", at, correction), "corrected"
        )
    again = _candidate(
        fact.code,
        sent.source,
        event_id,
        _TYPE_OF_DATA[type(recorded.data)].rpartition(".")[2],
        recorded.occurred_at,
        recorded.data.model_dump(exclude_none=True),
    )
    is_conflict = bool(changes) and sent.service == "DongBoHoSoMC"
    return Planned(fact, again, "existing" if is_conflict else "known")


def _event_id(fact: Fact, of: Known) -> str:
    """Return the id of the fact's event.

    A retracted event stays retracted when it is told again. Told otherwise it is another event, under a further id.
    """
    for number in count(1):
        event_id = fact.id if number == 1 else f"{fact.id}/{number}"
        told = of.told.get(event_id)
        if event_id not in of.retracted or told is None or not _differs(fact, told, timedelta(0)):
            return event_id
    raise AssertionError  # `count` does not end


def _differs(fact: Fact, recorded: Occurrence, tolerance: timedelta) -> dict[str, Any]:
    """Return what the fact tells otherwise than the recorded event: the fields, and `time`."""
    changes = {
        name: value
        for name, value in fact.data.items()
        if name not in fact.presumed and getattr(recorded.data, name, None) != value
    }
    return changes | ({"time": fact.at} if abs(fact.at - recorded.occurred_at) > tolerance else {})


def _changes(fact: Fact, recorded: Occurrence, sent: Envelope) -> dict[str, Any]:
    is_exact = fact.kind in _TOLD_ONCE or (sent.updating and sent.service == "DongBoHoSoMC")
    return _differs(fact, recorded, timedelta(0) if is_exact else SAME_CLICK)


def _may_correct(fact: Fact, changes: Mapping[str, Any], recorded: Occurrence, sent: Envelope) -> bool:
    """Tell whether the changes are to be recorded.

    A progress record tells less than the dossier's record, which may therefore add to what it told without saying that
    it updates; it may not contradict.
    """
    if sent.updating:
        return True
    return fact.kind not in _TOLD_ONCE and all(
        name != "time" and getattr(recorded.data, name, None) is None for name in changes
    )


def _fingerprint(correction: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(correction, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def _candidate(  # noqa: PLR0913 - the parts of an event
    subject: str, source: str, event_id: str, kind: str, at: datetime, data: Mapping[str, Any]
) -> Candidate:
    """Return the event as the events' own reader takes it in, with the same checks and the same fingerprint."""
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": f"vn.motcua.dossier.{kind}",
        "subject": subject,
        "time": at,
        "data": data,
    }
    (candidate,), _ = wire.events(orjson.dumps(event))
    return candidate
