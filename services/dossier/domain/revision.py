"""What an upload of reference data changes is found here, whether its versions fit together, and whom it concerns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Generic, Literal, TypeVar

from services.contract import CalendarDay, Frozen, Procedure, Unit
from services.dossier.domain import catalogue
from services.dossier.domain.catalogue import Catalogue

Entry = Unit | Procedure | CalendarDay
E = TypeVar("E", bound=Entry)

Kind = Literal["unit", "procedure", "calendar_day"]
KINDS: Mapping[type[Frozen], Kind] = {Unit: "unit", Procedure: "procedure", CalendarDay: "calendar_day"}

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an entry: its place in the upload, and in the entry as a JSON pointer."""

    index: int
    pointer: str
    detail: str
    detail_vi: str


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - what it is called in the answer
    """Something odd about an entry that is stored all the same."""

    key: str
    detail: str
    detail_vi: str


@dataclass(frozen=True, slots=True)
class Change(Generic[E]):
    """An entry as it was, None if there was none, and as it is to be."""

    before: E | None
    after: E


@dataclass(frozen=True, slots=True)
class Reach:
    """What a change of reference data may alter: dossiers of these procedures and units, or that passed these days."""

    procedures: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class Revision(Generic[E]):
    """What an upload changes, and what forbids it."""

    changes: Sequence[Change[E]]
    faults: Sequence[Fault]


def revised(stored: Sequence[E], uploaded: Sequence[E]) -> Revision[E]:
    """Return what the upload makes of what is stored; no entry of it stands there twice."""
    return Revision(changes(stored, uploaded), sorted(overlaps(stored, uploaded), key=lambda fault: fault.index))


def key(entry: Entry) -> str:
    """Return what an entry is stored under, as answers name it: `05977@2025-07-01`, or the day."""
    return entry.on_day.isoformat() if isinstance(entry, CalendarDay) else f"{entry.code}@{entry.valid_from}"


def _order(entry: Entry) -> tuple[str, date]:
    """Return what an entry is stored under as it is compared."""
    return ("", entry.on_day) if isinstance(entry, CalendarDay) else (entry.code, entry.valid_from)


def changes(stored: Iterable[E], uploaded: Iterable[E]) -> list[Change[E]]:
    """Return what differs from what is stored, by code and day."""
    known = {_order(entry): entry for entry in stored}
    compared = (Change(known.get(_order(entry)), entry) for entry in sorted(uploaded, key=_order))
    return [change for change in compared if change.before != change.after]


def repeated(uploaded: Sequence[Entry]) -> Iterator[Fault]:
    """Yield a fault for each entry that stands in the upload before."""
    first: dict[tuple[str, date], int] = {}
    for index, entry in enumerate(uploaded):
        before = first.setdefault(_order(entry), index)
        if before != index:
            detail = f"{key(entry)} stands in the upload before, as entry {before}"
            yield Fault(index, "", detail, f"{key(entry)} xuất hiện nhiều lần trong tệp.")


def overlaps(stored: Iterable[E], uploaded: Sequence[E]) -> Iterator[Fault]:
    """Yield a fault for each version that begins before an earlier one of its code ends, once all are stored.

    Nothing is closed silently: whoever declares a new version says when the old one ended.
    """
    places = {_order(entry): place for place, entry in enumerate(uploaded)}
    kept = list(stored)
    fresh = {_order(change.after) for change in changes(kept, uploaded)}
    by_code: dict[str, list[Unit | Procedure]] = {
        entry.code: [] for entry in uploaded if not isinstance(entry, CalendarDay)
    }
    for entry in _together(kept, uploaded):
        if not isinstance(entry, CalendarDay) and entry.code in by_code:
            by_code[entry.code].append(entry)
    for versions in by_code.values():
        longest = versions[0]
        for version in versions[1:]:
            meets = longest.valid_to is None or longest.valid_to >= version.valid_from
            if meets and fresh & {_order(version), _order(longest)}:
                index = places[_order(version) if _order(version) in places else _order(longest)]
                yield _overlap(index, longest, version)
            if longest.valid_to is not None and (version.valid_to is None or version.valid_to > longest.valid_to):
                longest = version


def _together(stored: Iterable[E], uploaded: Iterable[E]) -> list[E]:
    """Return all the entries that there are once those uploaded are stored, by code and day."""
    known = {_order(entry): entry for entry in (*stored, *uploaded)}
    return [known[place] for place in sorted(known)]


def _overlap(index: int, earlier: Unit | Procedure, later: Unit | Procedure) -> Fault:
    ends = "has no end" if earlier.valid_to is None else f"ends on {earlier.valid_to}"
    ends_vi = "không có ngày kết thúc" if earlier.valid_to is None else f"kết thúc ngày {earlier.valid_to:%d/%m/%Y}"
    last = later.valid_from - _DAY
    return Fault(
        index,
        "/valid_from",
        f"{key(later)} overlaps {key(earlier)}, which {ends}; close {key(earlier)} in the same upload or before, "
        f"with valid_to {last}",
        f"{key(later)} trùng thời gian hiệu lực với {key(earlier)} ({ends_vi}); "
        f"hãy đặt valid_to của {key(earlier)} là {last}.",
    )


def warnings(stored: Iterable[Entry], uploaded: Iterable[Entry]) -> Iterator[Warning]:
    """Yield where predecessors and successors of the uploaded units do not agree, once all are stored.

    A merger or a split is told twice, by the units that end and by those that begin. They may come in several uploads,
    and so a disagreement is no fault.
    """
    units = [entry for entry in _together(stored, uploaded) if isinstance(entry, Unit)]
    known = catalogue.catalogue(units, (), ())
    named = {_order(unit) for unit in uploaded}
    ended = [(unit, unit.valid_to + _DAY) for unit in units if unit.valid_to is not None]
    by_later = {(code, unit.code, unit.valid_from): unit for unit in units for code in unit.predecessors}
    by_former = {(unit.code, code, first): unit for unit, first in ended for code in unit.successors}
    for former, later, first in sorted(by_later.keys() ^ by_former.keys()):
        link = former, later, first
        pair = (
            (by_later[link], known.unit(former, first - _DAY))
            if link in by_later
            else (by_former[link], known.unit(later, first))
        )
        if any(unit is not None and _order(unit) in named for unit in pair):
            yield _predecessor(*pair, former) if link in by_later else _successor(*pair, later, first)
    for unit in units:
        if unit.successors and unit.valid_to is None and _order(unit) in named:
            detail_vi = f"{key(unit)} có đơn vị kế tiếp nhưng không có ngày kết thúc."
            yield Warning(key(unit), f"{key(unit)} names successors and has no end", detail_vi)


def _predecessor(teller: Unit, former: Unit | None, code: str) -> Warning:
    """Tell why `code`, which `teller` names as a predecessor, is none."""
    last = teller.valid_from - _DAY
    if former is None:
        why, why_vi = f"is no unit on {last}", f"không phải là đơn vị vào ngày {last:%d/%m/%Y}"
    elif former.valid_to != last:
        why, why_vi = f"does not end on {last}", f"không kết thúc vào ngày {last:%d/%m/%Y}"
    else:
        why, why_vi = f"does not name {teller.code} as a successor", f"không ghi {teller.code} là đơn vị kế tiếp"
    return Warning(key(teller), f"its predecessor {code} {why}", f"Đơn vị trước {code} {why_vi}.")


def _successor(teller: Unit, later: Unit | None, code: str, first: date) -> Warning:
    """Tell why `code`, which `teller` names as a successor from `first` on, is none."""
    if later is None:
        why, why_vi = f"is no unit on {first}", f"không phải là đơn vị vào ngày {first:%d/%m/%Y}"
    elif later.valid_from != first:
        why, why_vi = f"does not begin on {first}", f"không bắt đầu vào ngày {first:%d/%m/%Y}"
    else:
        why, why_vi = f"does not name {teller.code} as a predecessor", f"không ghi {teller.code} là đơn vị trước"
    return Warning(key(teller), f"its successor {code} {why}", f"Đơn vị kế tiếp {code} {why_vi}.")


def undone(known: Catalogue, before: Mapping[tuple[Kind, str], Entry | None]) -> Catalogue:
    """Return reference data with these entries as they were before, by kind and key; None where there was none."""
    if not before:
        return known
    entries: list[Entry] = [unit for versions in known.units.values() for unit in versions]
    entries += [procedure for versions in known.procedures.values() for procedure in versions]
    entries += [CalendarDay(on_day=day, working=known.days[day], name=name) for day, name in known.day_names.items()]
    kept: dict[tuple[Kind, str], Entry | None] = {(KINDS[type(entry)], key(entry)): entry for entry in entries}
    kept.update(before)
    return catalogue.catalogue(
        [entry for entry in kept.values() if isinstance(entry, Unit)],
        [entry for entry in kept.values() if isinstance(entry, Procedure)],
        [entry for entry in kept.values() if isinstance(entry, CalendarDay)],
    )


# Nothing that a dossier is judged by: its standing holds codes, not names.
_NAMES: Mapping[type[Frozen], Any] = {
    Unit: {"name": True, "predecessors": True, "successors": True},
    Procedure: {"name": True, "field": {"name"}, "official": True},
    CalendarDay: {"name": True, "official": True},
}


def reach(made: Iterable[Change[E]]) -> Reach | None:
    """Return what the changes may alter, None where they alter no dossier, as a change of name does not."""
    entries = [change.after for change in made if _judging(change.before) != _judging(change.after)]
    if not entries:
        return None
    days = [entry.on_day for entry in entries if isinstance(entry, CalendarDay)]
    return Reach(
        frozenset(entry.code for entry in entries if isinstance(entry, Procedure)),
        frozenset(entry.code for entry in entries if isinstance(entry, Unit)),
        min(days, default=None),
        max(days, default=None),
    )


def _judging(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else entry.model_dump(exclude=_NAMES[type(entry)])
