"""The dossiers behind every count are found here, and the counts that no cell holds are taken from them.

A function takes the transaction first and never commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    case,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.metrics import tables
from services.metrics.domain.boundaries import Version
from services.metrics.domain.tally import BIT, MARKS
from services.metrics.domain.vectors import NAMES, Cut, Vector
from services.metrics.store.figures import Book, Key, Procedures

_standing = tables.standing.c
_DAY_OF = {
    "receipt": _standing.received_on,
    "due": _standing.falls_due_on,
    "end": _standing.closes_on,
    "rating": _standing.rated_on,
}
_MARKS_OF = {
    "receipt": _standing.at_receipt,
    "due": _standing.at_due,
    "end": _standing.at_end,
    "rating": _standing.at_rating,
}
_OCCASION = {name: occasion for occasion, names in MARKS.items() for name in names}

Side = Sequence[tuple[int, str]]
"""One side of a rate: counts with their signs."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dossiers are looked at: those for which everything that is told is true.

    `versions` are the units they count for, None for all; `procedures` and `fields` are codes.
    """

    versions: Collection[Version] | None = None
    procedures: Collection[str] = ()
    fields: Collection[str] = ()


def unit_of(book: Book) -> tuple[ColumnElement[str], ColumnElement[date]]:
    """Return the columns of the unit, in one of its versions, that the book counts a dossier for."""
    if book.role == "resolving":
        return _standing.resolving_unit, _standing.resolving_unit_since
    return _standing.receiving_unit, _standing.receiving_unit_since


def _marked(name: str, cut: Cut) -> ColumnElement[bool]:
    occasion = _OCCASION[name]
    return _DAY_OF[occasion].between(cut.first, cut.last) & (_MARKS_OF[occasion].op("&")(BIT[name]) != 0)


def conditions(cut: Cut) -> Mapping[str, ColumnElement[bool]]:
    """Return for each count the condition under which a dossier counts in it."""
    received = _standing.at_receipt != 0
    open_before = received & (_standing.received_on < cut.first)
    open_before &= _standing.closes_on.is_(None) | (_standing.closes_on >= cut.first)
    pending = received & (_standing.received_on <= cut.last)
    pending &= _standing.closes_on.is_(None) | (_standing.closes_on > cut.last)
    without_due = _standing.at_receipt.op("&")(BIT["received_without_due"]) != 0
    overdue = pending & (_standing.overdue_from <= cut.last)
    within = pending & ~without_due & (_standing.overdue_from.is_(None) | (_standing.overdue_from > cut.last))
    awaiting_again = func.coalesce(_standing.awaiting_again.op("@>")(literal(cut.last)), False)
    due_open = _marked("due_open", cut)
    if cut.running:
        due_open &= _standing.falls_due_on < cut.last
    fell_due, met = _marked("fell_due", cut) | due_open, _marked("fell_due_met", cut)
    found: dict[str, ColumnElement[bool]] = {
        **{name: _marked(name, cut) for name in NAMES if name in _OCCASION},
        **{
            f"received_{channel}": _marked("received", cut) & (_standing.channel == channel)
            for channel in ("counter", "online", "postal")
        },
        "carried_over": open_before,
        "declined_before_receipt": _standing.refused_on.between(cut.first, cut.last),
        "pending": pending,
        "pending_within": within,
        "pending_overdue": overdue,
        "pending_without_due": pending & without_due,
        "pending_in_time": within & ~awaiting_again,
        "awaiting_supplement": func.coalesce(_standing.awaiting.op("@>")(literal(cut.last)), False),
        "fell_due": fell_due,
        "overdue_by_fact": fell_due & ~met,
        "payments": _marked("received", cut) & (_standing.payments > 0),
        "payments_online": _marked("received", cut) & (_standing.payments_online > 0),
    }
    return {name: found[name] for name in NAMES}


_WEIGHTS: Mapping[str, ColumnElement[int]] = {
    "payments": _standing.payments,
    "payments_online": _standing.payments_online,
}


def _weight(name: str, condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return what a dossier adds to a count: 1 where the condition holds, single payments as many as there were."""
    return case((condition, _WEIGHTS.get(name, literal(1))), else_=0)


def belongs(book: Book, wanted: Wanted) -> ColumnElement[bool]:
    """Return the condition under which a dossier is the book's and wanted."""
    mine = (_standing.province == book.province) & (_standing.generation == book.generation)
    unit, since = unit_of(book)
    mine &= unit.is_not(None) & since.is_not(None)
    if book.units is not None:
        mine &= unit.in_(sorted(book.units))
    if book.channel is not None:
        mine &= _standing.channel == book.channel
    if wanted.procedures:
        mine &= _standing.procedure.in_(sorted(wanted.procedures))
    if wanted.fields:
        mine &= _standing.field.in_(sorted(wanted.fields))
    if wanted.versions is not None:
        mine &= or_(false(), *((unit == code) & (since == first) for code, first in sorted(wanted.versions)))
    return mine


def _concerned(cut: Cut) -> ColumnElement[bool]:
    """Return a condition that every dossier fulfils which counts for anything in the cut, and indexes serve."""
    days = (_standing.falls_due_on, _standing.rated_on, _standing.refused_on)
    open_within = (_standing.received_on <= cut.last) & (
        _standing.closes_on.is_(None) | (_standing.closes_on >= cut.first)
    )
    return or_(open_within, *(day.between(cut.first, cut.last) for day in days))


async def of_period(
    transaction: AsyncConnection,
    book: Book,
    cut: Cut,
    wanted: Wanted,
    by: Literal["procedure", "field", "channel"] | None = None,
) -> Mapping[Key, Vector]:
    """Return the counts of each version of a unit, and of each procedure, field or channel if told apart by it."""
    of = (*unit_of(book), *((_standing[by],) if by else ()))
    found = conditions(cut)
    sums = (func.sum(_weight(name, found[name])) for name in NAMES)
    rows = await transaction.execute(select(*of, *sums).where(belongs(book, wanted), _concerned(cut)).group_by(*of))
    width = len(of)
    return {((row[0], row[1]), row[2] if by else None): tuple(row[width:]) for row in rows if any(row[width:])}


@dataclass(frozen=True, slots=True)
class Behind:
    """A dossier behind a figure, and how often it counts in it."""

    code: str
    times: int
    status: str
    procedure: str | None
    field: str | None
    channel: str | None
    receiving_unit: str | None
    resolving_unit: str | None
    received_on: date | None
    falls_due_on: date | None
    closes_on: date | None
    rated_on: date | None
    position: int


_SHOWN = [_standing[name] for name in Behind.__dataclass_fields__ if name != "times"]


def _times(side: Side, cut: Cut) -> ColumnElement[int]:
    """Return how often a dossier counts on one side of a rate."""
    found = conditions(cut)
    times: ColumnElement[int] = literal(0)
    for sign, name in side:
        times = times + sign * _weight(name, found[name])
    return times


async def behind(  # noqa: PLR0913 - each says one thing about the list
    transaction: AsyncConnection, book: Book, cut: Cut, wanted: Wanted, side: Side, *, after: str, limit: int
) -> Sequence[Behind]:
    """Return at most `limit` dossiers behind a figure, in the order of their codes, those after the code `after`."""
    times = _times(side, cut)
    rows = await transaction.execute(
        select(*_SHOWN, times.label("times"))
        .where(belongs(book, wanted), _concerned(cut), times != 0, _standing.code > after)
        .order_by(_standing.code)
        .limit(limit)
    )
    return [Behind(**row) for row in rows.mappings()]


async def total_behind(transaction: AsyncConnection, book: Book, cut: Cut, wanted: Wanted, side: Side) -> int:
    """Return how often dossiers count in a figure, all together."""
    times = func.coalesce(func.sum(_times(side, cut)), 0)
    return int(await transaction.scalar(select(times).where(belongs(book, wanted), _concerned(cut))) or 0)


async def fee_procedures(
    transaction: AsyncConnection, book: Book, cut: Cut, wanted: Wanted
) -> Mapping[Version, Procedures]:
    """Return for each version of a unit the procedures with a fee that dossiers received in the cut were about."""
    distinct = func.array_agg(_standing.procedure.distinct())
    paid = _standing.at_receipt.op("&")(BIT["paid_online"]) != 0
    rows = await transaction.execute(
        select(*unit_of(book), distinct, distinct.filter(paid))
        .where(belongs(book, wanted), _marked("fee_due", cut), _standing.procedure.is_not(None))
        .group_by(*unit_of(book))
    )
    return {(row[0], row[1]): Procedures(frozenset(row[2]), frozenset(row[3] or ())) for row in rows}
