"""Counts of periods are read here from the cells, a few rows for each unit however long the period is.

A function takes the transaction first, which has begun, and never commits.
"""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from operator import add, sub
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Channel
from services.kit import db
from services.metrics import tables
from services.metrics.domain import vectors
from services.metrics.domain.boundaries import Version
from services.metrics.domain.tally import MEASURES, Role
from services.metrics.domain.vectors import CHANNELS, NO_STOCKS, STOCKED, Cut, Vector

Key = tuple[Version, str | date | None]
"""A version of a unit, and what else its figures are told apart by: a channel, a day, a procedure, a field."""

_ONE_DAY = timedelta(days=1)
_WIDTH = len(CHANNELS)
_STOCKED_AT = [_WIDTH + MEASURES.index(name) for name in STOCKED]
_LAST_DAY_AT = [_WIDTH + MEASURES.index(name) for name in ("due_open", "overdue_next_day")]
_ADDED, _TAKEN, _FOR_ALL_TIME, _AFTER, _LAST_DAY = range(5)

_cell, _fee = tables.cell.c, tables.fee_procedure.c


def _in_book(cell: Any) -> ColumnElement[bool]:  # noqa: ANN401 - columns by their names
    """Return the condition that a cell is the book's."""
    channel, units = bindparam("of_channel", type_=Text), bindparam("units", type_=ARRAY(Text))
    return and_(
        cell.province == bindparam("of_province", type_=Text),
        cell.generation == bindparam("of_generation", type_=Integer),
        cell.part.in_((bindparam("in_part", type_=Text), "both")),
        or_(channel.is_(None), cell.channel == channel),
        or_(units.is_(None), cell.unit == func.any(units)),
    )


_mine = _in_book(_cell)
# What a row of sums holds: what was received by channel, then every measure.
_SUMS = (
    *(func.coalesce(func.sum(_cell.received).filter(_cell.channel == name), 0) for name in CHANNELS),
    *(func.sum(_cell[measure]) for measure in MEASURES),
)
_STOCKED_SUMS = tuple(func.sum(_cell[name]) for name in STOCKED)


def _query(parts: Sequence[tuple[int, Any]], sums: Sequence[Any], *, by_channel: bool, by_day: bool = False) -> Any:  # noqa: ANN401
    """Return the sums of each part, a number and a condition on cells, by unit and by what else they are told apart."""
    of = [_cell.unit, _cell.unit_since]
    of += [_cell.channel] if by_channel else []
    of += [_cell.on_day] if by_day else []
    queries = [
        select(literal(number, Integer), *of, *sums).where(_mine, condition).group_by(*of)
        for number, condition in parts
    ]
    return db.Prepared(union_all(*queries) if len(queries) > 1 else queries[0])


def _cells(span: str, name: str, cell: Any = _cell) -> ColumnElement[bool]:  # noqa: ANN401 - columns by their names
    """Return the condition that a cell is of one of the days, or months, bound under the name."""
    return and_(cell.span == literal(span, Text), cell.on_day == func.any(bindparam(name, type_=ARRAY(Date))))


_WITHIN_PARTS = [(_ADDED, or_(_cells("month", "months"), _cells("day", "days"))), (_TAKEN, _cells("day", "taken"))]
_AROUND_PARTS = [
    (_FOR_ALL_TIME, _cell.span == literal("all", Text)),
    (
        _AFTER,
        or_(
            and_(_cell.span == literal("month", Text), _cell.on_day >= bindparam("month_after", type_=Date)),
            _cells("day", "days_after"),
        ),
    ),
]
_LAST_DAY_SUMS = (func.sum(_cell.due_open), func.sum(_cell.overdue_next_day))
_WITHIN = {by_channel: _query(_WITHIN_PARTS, _SUMS, by_channel=by_channel) for by_channel in (False, True)}
_AROUND = {by_channel: _query(_AROUND_PARTS, _STOCKED_SUMS, by_channel=by_channel) for by_channel in (False, True)}
_ON_LAST_DAY = {
    by_channel: _query([(_LAST_DAY, _cells("day", "days"))], _LAST_DAY_SUMS, by_channel=by_channel)
    for by_channel in (False, True)
}
_BY_DAY = {
    span: _query([(_ADDED, _cells(span, "days"))], _SUMS, by_channel=False, by_day=True) for span in ("day", "month")
}


def _fee_procedures() -> db.Prepared:
    taken = _cells("day", "taken", _fee)
    sign = case((taken, -1), else_=1)
    dossiers = func.sum(sign * _fee.dossiers)
    found = (
        select(_fee.unit, _fee.unit_since, _fee.procedure, func.sum(sign * _fee.paid_online).label("paid"))
        .where(_in_book(_fee), or_(_cells("month", "months", _fee), _cells("day", "days", _fee), taken))
        .group_by(_fee.unit, _fee.unit_since, _fee.procedure)
        .having(dossiers > 0)
        .subquery()
    ).c
    procedures = func.array_agg(found.procedure)
    return db.Prepared(
        select(found.unit, found.unit_since, procedures, procedures.filter(found.paid > 0)).group_by(
            found.unit, found.unit_since
        )
    )


_FEE_PROCEDURES = _fee_procedures()


@dataclass(frozen=True, slots=True)
class Procedures:
    """Procedures with a fee that had dossiers in a period, and those of them in which somebody paid online."""

    with_fee: frozenset[str]
    paid_online: frozenset[str]


@dataclass(frozen=True, slots=True)
class Book:
    """Whose counts are read: a province's in one generation and one role, of all channels or one.

    `units` are the codes of those that are read, None for all.
    """

    province: str
    generation: int
    role: Role
    channel: Channel | None = None
    units: frozenset[str] | None = None

    def bound(self) -> dict[str, Any]:
        """Return the values of the parameters that say so."""
        return {
            "of_province": self.province,
            "of_generation": self.generation,
            "in_part": self.role,
            "of_channel": self.channel,
            "units": None if self.units is None else sorted(self.units),
        }


async def of_period(
    transaction: AsyncConnection, book: Book, cut: Cut, *, by_channel: bool = False
) -> Mapping[Key, Vector]:
    """Return the counts of each version of a unit that has any, and of each channel where they are told apart by it."""
    width = 4 if by_channel else 3
    within: dict[Key, list[int]] = {}
    for row in await _WITHIN[by_channel].fetch(transaction, **book.bound(), **_covering(cut.first, cut.last)):
        key, sums = _key(row, by_channel=by_channel), row[width:]
        so_far = within.get(key, _NOTHING)
        within[key] = list(map(add if row[0] == _ADDED else sub, so_far, sums))
    before = await _before(transaction, book, within, cut.last, by_channel=by_channel)
    on_last_day = {
        _key(row, by_channel=by_channel): (row[width], row[width + 1])
        for row in await _ON_LAST_DAY[by_channel].fetch(transaction, **book.bound(), days=[cut.last])
    }
    found = {
        key: _told(within.get(key), before.get(key, NO_STOCKS), on_last_day.get(key, (0, 0)), running=cut.running)
        for key in within.keys() | before.keys()
    }
    # What counts for nothing in the cut has cells on other days.
    return {key: vector for key, vector in found.items() if any(vector)}


async def fee_procedures(transaction: AsyncConnection, book: Book, cut: Cut) -> Mapping[Version, Procedures]:
    """Return for each version of a unit the procedures with a fee that dossiers received in the cut were about."""
    rows = await _FEE_PROCEDURES.fetch(transaction, **book.bound(), **_covering(cut.first, cut.last))
    return {(row[0], row[1]): Procedures(frozenset(row[2]), frozenset(row[3] or ())) for row in rows}


async def of_pieces(
    transaction: AsyncConnection, book: Book, cuts: Sequence[Cut]
) -> Sequence[Mapping[Version, Vector]]:
    """Return the counts of each version of a unit in each of the cuts, which follow each other without a gap."""
    span = "month" if all(_is_whole_month(cut) for cut in cuts) else "day"
    days = [cut.first for cut in cuts] if span == "month" else _days(cuts[0].first, cuts[-1].last)
    by_day: dict[date, list[tuple[Key, Sequence[int]]]] = {}
    altogether: dict[Key, list[int]] = {}
    for row in await _BY_DAY[span].fetch(transaction, **book.bound(), days=days):
        key, sums = _key(row, by_channel=False), row[4:]
        by_day.setdefault(row[3], []).append((key, sums))
        altogether[key] = list(map(add, altogether.get(key, _NOTHING), sums))
    stocked: dict[Key, Sequence[int]] = dict(
        await _before(transaction, book, altogether, cuts[-1].last, by_channel=False)
    )
    # Of months, the last days are read beside.
    last_days = await _BY_DAY["day"].fetch(transaction, **book.bound(), days=[cut.last for cut in cuts])
    on_last_day = {
        (row[3], _key(row, by_channel=False)): (row[4 + _LAST_DAY_AT[0]], row[4 + _LAST_DAY_AT[1]]) for row in last_days
    }
    pieces: list[Mapping[Version, Vector]] = []
    for cut in cuts:
        within: dict[Key, list[int]] = {}
        for on_day in [cut.first] if span == "month" else _days(cut.first, cut.last):
            for key, sums in by_day.get(on_day, ()):
                within[key] = list(map(add, within.get(key, _NOTHING), sums))
        told: dict[Version, Vector] = {}
        for key in within.keys() | stocked.keys():
            before = stocked.get(key, NO_STOCKS)
            last_day = on_last_day.get((cut.last, key), (0, 0))
            told[key[0]] = _told(within.get(key), before, last_day, running=cut.running)
            if key in within:
                stocked[key] = [a + within[key][place] for a, place in zip(before, _STOCKED_AT, strict=True)]
        pieces.append(told)
    return pieces


_NOTHING = (0,) * (_WIDTH + len(MEASURES))


def _told(within: Sequence[int] | None, before: Sequence[int], last_day: tuple[int, int], *, running: bool) -> Vector:
    if within is None:
        return vectors.told(None, before=before, last_day=last_day, running=running)
    return vectors.told(within[_WIDTH:], within[:_WIDTH], before, last_day, running=running)


def _key(row: Sequence[Any], *, by_channel: bool) -> Key:
    return (row[1], row[2]), row[3] if by_channel else None


async def _before(
    transaction: AsyncConnection, book: Book, within: Mapping[Key, Sequence[int]], last: date, *, by_channel: bool
) -> Mapping[Key, Sequence[int]]:
    """Return what all days before those that `within` sums up, through the day `last`, add up to for `STOCKED`.

    That is what all time adds up to, without what is within and after: most questions are about recent days, and
    behind those lies less than before them.
    """
    month_after = (last.replace(day=1) + timedelta(days=31)).replace(day=1)
    after = _days(last + _ONE_DAY, month_after - _ONE_DAY)
    sums: dict[Key, Sequence[int]] = {}
    rows = await _AROUND[by_channel].fetch(transaction, **book.bound(), month_after=month_after, days_after=after)
    for row in rows:
        key, values = _key(row, by_channel=by_channel), row[-len(STOCKED) :]
        sums[key] = list(map(add if row[0] == _FOR_ALL_TIME else sub, sums.get(key, NO_STOCKS), values))
    return {
        key: [a - within[key][place] for a, place in zip(stocked, _STOCKED_AT, strict=True)]
        if key in within
        else stocked
        for key, stocked in sums.items()
    }


def _is_whole_month(cut: Cut) -> bool:
    return cut.first.day == 1 and cut.last == _end_of_month(cut.first)


def _end_of_month(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _covering(first: date, last: date) -> dict[str, list[date]]:
    """Return the months and days whose cells cover the days from `first` through `last`, and days to take away again.

    Whole months are read from the cells of months; of a month that is asked for in part, the shorter part is read.
    """
    covering: dict[str, list[date]] = {"months": [], "days": [], "taken": []}
    month = first.replace(day=1)
    while month <= last:
        end = _end_of_month(month)
        asked_first, asked_last = max(first, month), min(last, end)
        asked = _days(asked_first, asked_last)
        rest = [*_days(month, asked_first - _ONE_DAY), *_days(asked_last + _ONE_DAY, end)]
        if len(rest) < len(asked):
            covering["months"].append(month)
            covering["taken"] += rest
        else:
            covering["days"] += asked
        month = end + _ONE_DAY
    return covering
