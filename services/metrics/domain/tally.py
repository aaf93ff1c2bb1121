"""A number is a sum of contributions: what each dossier counts for, in which cell, is decided here and nowhere else.

`contribution` is pure, so a change counts as `contribution(after) - contribution(before)`, and correction, withdrawal,
transfer and late arrival need no case of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal, NamedTuple

from services.contract import Channel, Standing

Role = Literal["resolving", "receiving"]


class Cell(NamedTuple):
    """Where something counts: a day, a unit in one of its versions and in one of its roles, and a channel."""

    on_day: date
    role: Role
    unit: str
    unit_since: date
    channel: Channel


@dataclass(frozen=True, slots=True)
class Measures:
    """What a cell holds; each is a number of dossiers.

    `received`, `fee_due` and `paid_online` count on the day of receipt (Decision 766/QĐ-TTg, indicator 3.6, takes the
    start of processing); all others on the day processing ended.
    """

    received: int = 0
    fee_due: int = 0
    paid_online: int = 0
    resolved: int = 0
    resolved_early: int = 0
    resolved_on_time: int = 0
    resolved_late: int = 0
    resolved_without_due: int = 0
    full_online: int = 0
    declined: int = 0
    withdrawn: int = 0
    stopped: int = 0


MEASURES: tuple[str, ...] = tuple(field.name for field in fields(Measures))

Tally = Mapping[Cell, tuple[int, ...]]
"""Counts by cell, in the order of `MEASURES`; a cell that is not there holds zeros."""

_NOTHING = (0,) * len(MEASURES)


def contribution(standing: Standing | None) -> dict[Cell, tuple[int, ...]]:
    """Return what a dossier counts for as it stands; nothing before its receipt or where it belongs to no unit.

    A voided dossier counts for nothing, nor does one that was declined before it was received.
    """
    tally: dict[Cell, tuple[int, ...]] = {}
    if standing is None or standing.received_on is None or standing.channel is None or standing.status == "voided":
        return tally
    if standing.status == "declined" and standing.ended_on is not None and standing.ended_on < standing.received_on:
        return tally
    for role, unit, since in _units(standing):
        received = Cell(standing.received_on, role, unit, since, standing.channel)
        _add(tally, received, _at_receipt(standing))
        if standing.ended_on is not None:
            _add(tally, received._replace(on_day=standing.ended_on), _at_end(standing))
    return tally


def difference(after: Tally, before: Tally) -> dict[Cell, tuple[int, ...]]:
    """Return what to add to the counts when `before` becomes `after`; cells that do not change are left out."""
    delta: dict[Cell, tuple[int, ...]] = {}
    for cell in after.keys() | before.keys():
        new, old = after.get(cell, _NOTHING), before.get(cell, _NOTHING)
        if new != old:
            delta[cell] = tuple(n - o for n, o in zip(new, old, strict=True))
    return delta


def total(tallies: Iterator[Tally]) -> dict[Cell, tuple[int, ...]]:
    """Return the sum of the tallies, without the cells in which everything cancels out."""
    sums: dict[Cell, tuple[int, ...]] = {}
    for tally in tallies:
        for cell, counts in tally.items():
            _add(sums, cell, counts)
    return {cell: counts for cell, counts in sums.items() if any(counts)}


def _add(tally: dict[Cell, tuple[int, ...]], cell: Cell, counts: tuple[int, ...]) -> None:
    so_far = tally.get(cell)
    tally[cell] = counts if so_far is None else tuple(a + b for a, b in zip(so_far, counts, strict=True))


def _units(standing: Standing) -> Iterator[tuple[Role, str, date]]:
    if standing.resolving_unit is not None and standing.resolving_unit_since is not None:
        yield "resolving", standing.resolving_unit, standing.resolving_unit_since
    if standing.receiving_unit is not None and standing.receiving_unit_since is not None:
        yield "receiving", standing.receiving_unit, standing.receiving_unit_since


def _at_receipt(standing: Standing) -> tuple[int, ...]:
    return _counts(
        Measures(
            received=1,
            fee_due=int(standing.fee_due),
            paid_online=int(standing.fee_due and standing.payments_online > 0),
        )
    )


def _at_end(standing: Standing) -> tuple[int, ...]:
    match standing.status:
        case "declined" | "withdrawn" | "stopped":
            return _counts(Measures(**{standing.status: 1}))
        case _:
            due_on, ended_on = standing.due_on, standing.ended_on
    return _counts(
        Measures(
            resolved=1,
            resolved_early=int(due_on is not None and ended_on is not None and ended_on < due_on),
            resolved_on_time=int(due_on is not None and ended_on == due_on),
            resolved_late=int(due_on is not None and ended_on is not None and ended_on > due_on),
            resolved_without_due=int(due_on is None),
            full_online=int(is_full_online(standing)),
        )
    )


def _counts(measures: Measures) -> tuple[int, ...]:
    return tuple(getattr(measures, name) for name in MEASURES)


def is_full_online(standing: Standing) -> bool:
    """Tell whether a dossier was *toàn trình*: Decree 307/2025/NĐ-CP, appendix item 12, all four conditions.

    Submitted online; paid through the national platform where a fee is due; the result electronic (or none is made)
    and not handed over at the counter; nobody had to come. A result that was not told does not count as met.
    """
    return (
        standing.channel == "online"
        and (standing.paid_on_platform or not standing.fee_due)
        and standing.result in {"electronic", "both", "none"}
        and standing.returned_channel != "counter"
        and not standing.in_person
    )
