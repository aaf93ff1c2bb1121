"""An answer about counts and rates is put together here: counts read, folded onto units, summed and divided."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal, cast

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION, Channel, Unit
from services.metrics.domain import periods, rates, targets, vectors
from services.metrics.domain.boundaries import Version
from services.metrics.domain.periods import Period
from services.metrics.domain.rates import Rate
from services.metrics.domain.tally import Counted, Role
from services.metrics.domain.targets import Target, UnitKind
from services.metrics.domain.vectors import NAMES, Cut, Vector
from services.metrics.held import HeldFigures
from services.metrics.reference import Reference
from services.metrics.store import dossiers, figures
from services.metrics.store.dossiers import Behind, Side, Wanted
from services.metrics.store.figures import Book, Key, Procedures

By = Literal["unit", "field", "procedure", "channel", "day", "week", "month", "none"]
_BY_TIME = ("day", "week", "month")


class UnknownUnit(Exception):
    """A unit was asked for by a code that names none in the period."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the counts and rates of one province.

    `units` are those the answer may speak of, None for all; `asked_for` those that were named, which must exist. Those
    of `unit_since` are in the version that begins on that day.
    """

    province: str
    period: Period
    by: By = "unit"
    role: Role = "resolving"
    kind: UnitKind | None = None
    units: frozenset[str] | None = None
    asked_for: frozenset[str] | None = None
    fields: frozenset[str] = frozenset()
    procedures: frozenset[str] = frozenset()
    channel: Channel | None = None
    boundaries: Literal["current", "historical"] = "current"
    unit_since: date | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A dossier as it was counted at the position asked about, and as it is counted now; None where it is not."""

    then: Counted | None
    now: Counted | None


@dataclass(frozen=True, slots=True)
class Known:
    """What an answer is made from: a generation of counts, the reference data, the day it is given on.

    `position` is how far was counted. Of an answer about the past, `changes` are all dossiers that have changed since.
    """

    generation: int
    reference: Reference
    today: date
    position: int
    held: HeldFigures
    changes: Sequence[Change] | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts of one row or of the total, and the procedures that its rates of procedures are about."""

    counts: Vector
    procedures: Mapping[str, int]


About = Mapping[str, Any]
"""What a row is about, under the name by which rows are told apart."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an answer: what it is about, and its figures."""

    about: About
    figures: Figures
    unit: Unit | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of an answer and their total, with the days that were counted."""

    question: Question
    cut: Cut
    rows: Sequence[Row]
    total: Figures


async def report(transaction: AsyncConnection, question: Question, known: Known) -> Report:
    """Return the rows that `question` asks for.

    :raises UnknownUnit: a unit was asked for by a code that names none in the period.
    """
    cut = Cut.of(question.period, known.today)
    homes = homes_of(question, known.reference)
    check_asked_for(question, known.reference, homes, cut)
    book = Book(question.province, known.generation, question.role, question.channel)
    if question.by in _BY_TIME:
        return await _by_time(transaction, question, known, book, homes)
    read, procedures = await _read(transaction, question, known, book, cut, homes)
    of_units: dict[Version, list[Vector]] = {}
    of_keys: dict[Any, list[Vector]] = {}
    for (version, key), vector in read.items():
        home = homes.get(version)
        if home is not None:
            of_units.setdefault(home, []).append(vector)
            of_keys.setdefault(key, []).append(vector)
    total = vectors.summed(vector for found in of_units.values() for vector in found)
    distinct = None if procedures is None else _at_home(procedures, homes)
    together = None if distinct is None else [one for procedures in distinct.values() for one in procedures]
    rows: Sequence[Row] = []
    if question.by == "unit":
        rows = _unit_rows(question, known.reference, cut, of_units, distinct)
    elif question.by != "none":
        rows = [
            _key_row(question.by, key, vectors.summed(of_keys[key]), known.reference)
            for key in sorted(of_keys, key=_last_if_none)
        ]
    return Report(question, cut, rows, Figures(total, _distinct(together) | _catalogue(question, known.reference, cut)))


def homes_of(question: Question, reference: Reference) -> Mapping[Version, Version]:
    """Return for each version of a unit that the answer may speak of the one it is counted for."""
    standing_for = reference.successors if question.boundaries == "current" else {}
    homes = {}
    for version in reference.units:
        home = standing_for.get(version, version)
        unit = reference.units[home]
        if (
            (question.kind is None or unit.kind == question.kind)
            and (question.units is None or unit.code in question.units)
            and (question.unit_since is None or unit.valid_from == question.unit_since)
        ):
            homes[version] = home
    return homes


def check_asked_for(question: Question, reference: Reference, homes: Mapping[Version, Version], cut: Cut) -> None:
    """Refuse codes that name no unit which could count for anything in the cut.

    :raises UnknownUnit: one of those asked for is such a code.
    """
    if question.asked_for is None:
        return
    known = {
        reference.units[home].code for version, home in homes.items() if reference.units[version].valid_from <= cut.last
    }
    missing = question.asked_for - known
    if missing:
        msg = f"no {question.kind or 'unit'} {', '.join(sorted(missing))} in this period"
        raise UnknownUnit(msg)


def wanted_of(question: Question, homes: Mapping[Version, Version]) -> Wanted:
    """Return which dossiers the question is about."""
    everyone = question.kind is None and question.units is None and question.unit_since is None
    return Wanted(None if everyone else frozenset(homes), question.procedures, question.fields)


async def _read(  # noqa: PLR0913 - what is asked, and of what
    transaction: AsyncConnection,
    question: Question,
    known: Known,
    book: Book,
    cut: Cut,
    homes: Mapping[Version, Version],
) -> tuple[Mapping[Key, Vector], Mapping[Version, Procedures] | None]:
    """Return the counts of each version of a unit, told apart as asked, from cells where cells can tell them apart.

    With them come the procedures with a fee that each unit had dossiers about, where the answer tells them.
    """
    by, changes = question.by, known.changes
    filtered = bool(question.procedures or question.fields)
    procedures: Mapping[Version, Procedures] | None = None
    read: Mapping[Key, Vector]
    if by in {"unit", "none"} and not filtered and changes is None:
        held = await known.held.of(transaction, book, cut, known.position)
        return held.figures, held.procedures
    if by in {"procedure", "field"} or filtered:
        told_apart = by if by in {"procedure", "field", "channel"} else None
        read = await dossiers.of_period(transaction, book, cut, wanted_of(question, homes), told_apart)
    else:
        read = await figures.of_period(transaction, book, cut, by_channel=by == "channel")
    if changes is not None:
        # Which procedures had dossiers then is not put back.
        return await asyncio.to_thread(_as_it_was, read, question, changes, cut), None
    if by in {"unit", "none"}:
        procedures = await dossiers.fee_procedures(transaction, book, cut, wanted_of(question, homes))
    return read, procedures


def _as_it_was(
    read: Mapping[Key, Vector], question: Question, changes: Sequence[Change], cut: Cut
) -> Mapping[Key, Vector]:
    """Return the counts without what has changed since; of hundreds of thousands of dossiers that takes seconds."""
    # Most changes are alike, and are added once for all.
    times: dict[tuple[Key, Vector], int] = {}
    for change in changes:
        for sign, one in ((1, change.then), (-1, change.now)):
            place = None if one is None else _place(question, one)
            if one is not None and place is not None:
                move = place, vectors.of_dossier(one, cut)
                times[move] = times.get(move, 0) + sign
    was = dict(read)
    for (place, vector), n in times.items():
        if n:
            was[place] = tuple(a + n * b for a, b in zip(was.get(place, vectors.NOTHING), vector, strict=True))
    # Where nothing counted then, there was no row, whatever counts there now.
    return {place: vector for place, vector in was.items() if any(vector)}


def _place(question: Question, one: Counted) -> Key | None:
    """Return where the dossier counts in an answer, or None where the question leaves it out."""
    if question.channel not in {None, one.channel}:
        return None
    if (question.procedures and one.procedure not in question.procedures) or (
        question.fields and one.field not in question.fields
    ):
        return None
    resolving = question.role == "resolving"
    unit = one.resolving_unit if resolving else one.receiving_unit
    since = one.resolving_unit_since if resolving else one.receiving_unit_since
    if unit is None or since is None:
        return None
    match question.by:
        case "procedure":
            key = one.procedure
        case "field":
            key = one.field
        case "channel":
            key = one.channel
        case _:
            key = None
    return (unit, since), key


async def _by_time(
    transaction: AsyncConnection,
    question: Question,
    known: Known,
    book: Book,
    homes: Mapping[Version, Version],
) -> Report:
    """Return one row for each day, week or month of the period, and its total."""
    cut = Cut.of(question.period, known.today)
    pieces = _pieces(question, known.today)
    if question.procedures or question.fields:
        wanted = wanted_of(question, homes)
        read = [await dossiers.of_period(transaction, book, piece_cut, wanted) for _, piece_cut in pieces]
    else:
        by_version = await figures.of_pieces(transaction, book, [piece_cut for _, piece_cut in pieces])
        read = [{(version, None): vector for version, vector in found.items()} for found in by_version]
    if known.changes is not None:
        read = [
            await asyncio.to_thread(_as_it_was, found, question, known.changes, piece_cut)
            for found, (_, piece_cut) in zip(read, pieces, strict=True)
        ]
    rows = [
        Row(
            _about_piece(question, piece),
            Figures(vectors.summed(v for (version, _), v in found.items() if version in homes), {}),
        )
        for (piece, _), found in zip(pieces, read, strict=True)
    ]
    whole, _ = await _read(transaction, question, known, book, cut, homes)
    total = vectors.summed(vector for (version, _), vector in whole.items() if version in homes)
    return Report(question, cut, rows, Figures(total, {}))


def _pieces(question: Question, today: date) -> Sequence[tuple[Period, Cut]]:
    """Return the days, weeks or months of the period that are told, and what of each is counted."""
    running = Cut.of(question.period, today).running
    return [
        (piece, Cut.of(piece, today))
        for piece in periods.split(question.period, cast("periods.Pieces", question.by))
        if not running or piece.first <= today
    ]


def _about_piece(question: Question, piece: Period) -> About:
    return {question.by: period_json(piece)}


def in_force(question: Question, reference: Reference, cut: Cut) -> frozenset[Version]:
    """Return the units in force at the cut's end that the answer speaks of, whether they count anything or not."""
    return frozenset(
        home
        for version, home in homes_of(question, reference).items()
        if (unit := reference.units[version]).kind != "province"
        and unit.valid_from <= cut.last
        and (unit.valid_to is None or cut.last <= unit.valid_to)
    )


def _unit_rows(
    question: Question,
    reference: Reference,
    cut: Cut,
    of_units: Mapping[Version, Sequence[Vector]],
    distinct: Mapping[Version, Sequence[Procedures]] | None,
) -> Sequence[Row]:
    """Return a row for each unit in force at the cut's end, and for each that counted anything, by code."""
    rows = []
    for version in sorted(of_units.keys() | in_force(question, reference, cut)):
        unit = reference.units[version]
        procedures = None if distinct is None else distinct.get(version, ())
        counted = Figures(vectors.summed(of_units.get(version, ())), _distinct(procedures))
        rows.append(Row({"unit": unit_json(unit)}, counted, unit))
    return rows


def counts_in(question: Question, known: Known) -> Callable[[Counted], Sequence[tuple[About | None, Cut]]]:
    """Return what tells for a dossier the rows in which it may count, and the total as None, each with its cut."""
    cut, homes = Cut.of(question.period, known.today), homes_of(question, known.reference)
    pieces: Sequence[tuple[About | None, Cut]] = ()
    if question.by in _BY_TIME:
        pieces = [(_about_piece(question, piece), of_it) for piece, of_it in _pieces(question, known.today)]

    def rows(one: Counted) -> Sequence[tuple[About | None, Cut]]:
        place = _place(question, one)
        home = None if place is None else homes.get(place[0])
        if place is None or home is None:
            return ()
        if question.by == "unit":
            return ({"unit": unit_json(known.reference.units[home])}, cut), (None, cut)
        if question.by == "none" or question.by in _BY_TIME:
            return *pieces, (None, cut)
        row = _key_row(question.by, cast("str | None", place[1]), vectors.NOTHING, known.reference)
        return (row.about, cut), (None, cut)

    return rows


def _last_if_none(key: str | None) -> tuple[bool, str]:
    return key is None, key or ""


def _key_row(by: By, key: str | None, vector: Vector, reference: Reference) -> Row:
    if by == "channel":
        return Row({"channel": key}, Figures(vector, {}))
    names = reference.field_names if by == "field" else reference.procedure_names
    about = None if key is None else {"code": key, "name": names.get(key)}
    return Row({by: about}, Figures(vector, {}), field=key if by == "field" else None)


def unit_json(unit: Unit) -> dict[str, Any]:
    """Return a unit as answers name it."""
    return unit.model_dump(mode="json", include={"code", "name", "kind", "valid_from", "valid_to"})


async def behind(  # noqa: PLR0913 - which figure, and which part of the list
    transaction: AsyncConnection, question: Question, known: Known, side: Side, *, after: str, limit: int
) -> tuple[int, Sequence[Behind]]:
    """Return what one side of a rate adds up to, and the dossiers behind it whose codes come after `after`.

    :raises UnknownUnit: a unit was asked for by a code that names none in the period.
    """
    cut = Cut.of(question.period, known.today)
    homes = homes_of(question, known.reference)
    check_asked_for(question, known.reference, homes, cut)
    book = Book(question.province, known.generation, question.role, question.channel)
    wanted = wanted_of(question, homes)
    total = await dossiers.total_behind(transaction, book, cut, wanted, side)
    return total, await dossiers.behind(transaction, book, cut, wanted, side, after=after, limit=limit)


# --- Rates of procedures ----------------------------------------------------------------------------------------------


def _at_home(
    procedures: Mapping[Version, Procedures], homes: Mapping[Version, Version]
) -> Mapping[Version, Sequence[Procedures]]:
    """Return the procedures of each unit that the answer may speak of, with those of its predecessors."""
    found: dict[Version, list[Procedures]] = {}
    for version, of_version in procedures.items():
        home = homes.get(version)
        if home is not None:
            found.setdefault(home, []).append(of_version)
    return found


def _distinct(procedures: Sequence[Procedures] | None) -> dict[str, int]:
    """Return how many different procedures there are, if they were looked up; in no unit's sum is one counted twice."""
    if procedures is None:
        return {}
    return {
        "fee_procedures": len(frozenset[str]().union(*(one.with_fee for one in procedures))),
        "fee_procedures_paid_online": len(frozenset[str]().union(*(one.paid_online for one in procedures))),
    }


def _catalogue(question: Question, reference: Reference, cut: Cut) -> dict[str, int]:
    """Return what the catalogue says at the cut's end; of whole provinces alone, for it names no unit."""
    whole = Question(question.province, question.period, question.by, question.role, boundaries=question.boundaries)
    if question.by not in {"unit", "none"} or question != whole:
        return {}
    in_force = reference.in_force(cut.last)
    online = [procedure for procedure in in_force if procedure.online_level != "none"]
    with_fee = [procedure for procedure in in_force if procedure.fee_required]
    return {
        "catalogue_fee_procedures": len(with_fee),
        "catalogue_fee_procedures_offering_payment": sum(
            procedure.online_level != "none" if procedure.online_payment is None else procedure.online_payment
            for procedure in with_fee
        ),
        "catalogue_online_procedures": len(online),
        "catalogue_full_online_procedures": sum(procedure.online_level == "full" for procedure in online),
    }


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(found: Report, position: int, stale_sources: Sequence[str]) -> dict[str, Any]:
    """Return the answer as the JSON object of the public contract."""
    rows = [
        {**row.about, **figures_json(found.cut.last, row.figures, kind=kind_of(row.unit), field=row.field)}
        for row in found.rows
    ]
    return {**head_json(found, position, stale_sources), "rows": rows, "total": _total_json(found)}


def period_json(period: Period) -> dict[str, str]:
    """Return a period as answers name it."""
    return {"label": period.label, "from": period.first.isoformat(), "to": period.last.isoformat()}


def question_json(question: Question, counted_to: date) -> dict[str, Any]:
    """Return what was asked as answers repeat it, with the day up to which was counted."""
    return {
        "period": period_json(question.period),
        "counted_to": counted_to.isoformat(),
        "by": question.by,
        "role": question.role,
        "boundaries": question.boundaries,
    }


def head_json(found: Report, position: int, stale_sources: Sequence[str]) -> dict[str, Any]:
    """Return what stands before the rows of an answer."""
    return {
        **question_json(found.question, found.cut.last),
        "position": str(position),
        "definitions": DEFINITIONS_VERSION,
        "stale_sources": list(stale_sources),
    }


def fragments(found: Report) -> dict[str, Any]:
    """Return the rows and total of an answer as `as_json` does, those that are as they were lately put into bytes."""
    rows = [
        orjson.Fragment(
            _row_bytes(
                orjson.dumps(row.about),
                row.figures.counts,
                tuple(row.figures.procedures.items()),
                found.cut.last,
                kind_of(row.unit),
                row.field,
            )
        )
        for row in found.rows
    ]
    return {"rows": rows, "total": _total_json(found)}


# An event changes one unit or two, and an answer has a hundred; a row is about 2 kB.
@lru_cache(maxsize=2048)
def _row_bytes(  # noqa: PLR0913 - all that a row depends on
    about: bytes,
    counts: Vector,
    procedures: tuple[tuple[str, int], ...],
    on: date,
    kind: UnitKind | None,
    field: str | None,
) -> bytes:
    told = figures_json(on, Figures(counts, dict(procedures)), kind=kind, field=field)
    return about[:-1] + b"," + orjson.dumps(told)[1:]


def _total_json(found: Report) -> dict[str, Any]:
    question = found.question
    return figures_json(
        found.cut.last,
        found.total,
        kind=question.kind,
        field=next(iter(question.fields)) if len(question.fields) == 1 else None,
    )


def kind_of(unit: Unit | None) -> UnitKind | None:
    """Return the kind of unit by which targets are asked; None of a province, which is all of them."""
    return unit.kind if unit is not None and unit.kind != "province" else None


def figures_json(on: date, told: Figures, *, kind: UnitKind | None = None, field: str | None = None) -> dict[str, Any]:
    """Return counts and rates as they appear in an answer, by the definitions and targets that hold on the day.

    A target is that of the kind of unit and the field.
    """
    counts = dict(zip(NAMES, told.counts, strict=True))
    counts.update(told.procedures)
    shown = {}
    for rate, target in _judged(on, kind, field):
        if rate.of[0] in counts:
            numerator, denominator, percent = rate.divided(counts)
            shown[rate.name] = {
                "numerator": numerator,
                "denominator": denominator,
                "percent": percent,
                "target": None if target is None else target.percent,
                "met": None if target is None else target.met_by(numerator, denominator),
            }
    return {"counts": counts, "rates": shown}


@lru_cache(maxsize=1024)
def _judged(on: date, kind: UnitKind | None, field: str | None) -> Sequence[tuple[Rate, Target | None]]:
    """Return the rates in force on the day, each with what is asked of it."""
    return [(rate, targets.target_of(rate.name, field=field, kind=kind, on=on)) for rate in rates.in_force(on)]


def told_rates(found: Report, told: Figures) -> Iterable[Rate]:
    """Return the rates that can be told of the figures: those of procedures only where these were looked up."""
    for rate in rates.in_force(found.cut.last):
        if rate.kind != "procedures" or rate.of[0] in told.procedures:
            yield rate
