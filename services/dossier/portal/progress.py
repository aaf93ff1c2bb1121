"""Progress records (`CapNhatTienDoHoSoMC`) become the facts they state: each says which state began when."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from services.contract import Resolved, vietnamese_day
from services.dossier.portal import dossiers, envelope, known
from services.dossier.portal.envelope import Fact, Reading
from services.dossier.portal.known import Known

FIELDS = frozenset({"MaHoSo", "TrangThai", "ThoiDiemXuLy"})
"""What is read of a record; who did it, and what was written about it, stays at the door."""

NEW, RECEIVED, GOING_ON = 1, 2, 4
_ONCE: Mapping[int, str] = {
    dossiers.DECLINED: "declined",
    dossiers.WITHDRAWN: "withdrawn",
    dossiers.STOPPED: "stopped",
    dossiers.RESOLVED: "resolved",
    dossiers.RETURNED: "returned",
}


def facts(reading: Reading, of: Known) -> Iterator[Fact]:
    """Yield what the record states; `of` is what is known of the dossier, earlier records of the envelope included."""
    state = dossiers.state(reading, "TrangThai")
    at = envelope.instant(reading, "ThoiDiemXuLy")
    if state is None or state in {NEW, RECEIVED}:
        return
    if at is None:
        envelope.report(reading, "ThoiDiemXuLy", "missing")
    elif state == GOING_ON:
        yield from _going_on(reading, at, of)
    elif state == dossiers.SUPPLEMENT:
        yield Fact(reading.index, reading.code, "supplement_requested", _supplement_key(at, of), at, {})
    elif state == dossiers.OBLIGATION:
        pause = {"reason": "financial_obligation"}
        yield Fact(reading.index, reading.code, "paused", f"{at:%Y%m%d%H%M%S}", at, pause)
    else:
        data = _presumed(_ONCE[state], of)
        yield Fact(reading.index, reading.code, _ONCE[state], "", at, data, frozenset(data))


def _going_on(reading: Reading, at: datetime, of: Known) -> Iterator[Fact]:
    """Yield the end of what stood still last, if it still did then: work goes on."""
    begun, ended = known.standstills(of)
    earlier = [(began_at, kind, key) for (kind, key), began_at in begun.items() if began_at <= at]
    if earlier:
        _, kind, key = max(earlier)
        if (kind, key) not in ended or at <= ended[kind, key]:
            yield Fact(reading.index, reading.code, known.ENDING[kind], key, at, {})


def _supplement_key(at: datetime, of: Known) -> str:
    """Return the key of a request; a second one of one day is the first told again, perhaps by the dossier's record."""
    begun, _ = known.standstills(of)
    same_day = (
        key
        for (kind, key), began_at in begun.items()
        if kind == "supplement_requested" and vietnamese_day(began_at) == vietnamese_day(at)
    )
    return next(same_day, dossiers.day_key(at))


def _presumed(kind: str, of: Known) -> dict[str, object]:
    """Return what an event of the kind must say, though a progress record does not."""
    match kind:
        case "resolved":
            return {"outcome": "approved"}
        case "returned":
            results = [event.data.result for event in known.standing(of) if isinstance(event.data, Resolved)]
            return {"channel": "online" if "electronic" in results else "counter"}
        case _:
            return {}


def in_order(readings: Sequence[Reading]) -> list[Reading]:
    """Return the records of each dossier in the order of their times; what is unreadable comes first."""
    return sorted(readings, key=_place)


def _place(reading: Reading) -> tuple[str, str]:
    """Return what orders the records: both ways in which the portal writes instants begin with the same digits."""
    return reading.code, re.sub(r"\D", "", envelope.text(reading.record, "ThoiDiemXuLy"))[:14]
