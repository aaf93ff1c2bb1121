"""An answer about rates is put together here: counts read, folded onto units, summed and divided."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION, Unit
from services.metrics import store
from services.metrics.domain import rates
from services.metrics.domain.boundaries import Version
from services.metrics.domain.periods import Period
from services.metrics.domain.tally import MEASURES, Role
from services.metrics.units import HeldUnits, Units

STALE_AFTER = timedelta(days=3)
"""A counter that recorded nothing for longer than a weekend has probably stopped sending."""

_STORED = (*MEASURES, "received_counter", "received_online", "received_postal", "carried_over")


class UnknownUnit(Exception):
    """A unit was asked for by a code that names none in the period."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the rates of one province.

    `units` are those the answer may speak of, None for all; `asked_for` those that were named, which must exist.
    """

    province: str
    period: Period
    by: Literal["unit", "none"] = "unit"
    role: Role = "resolving"
    kind: Literal["commune", "department"] | None = None
    units: frozenset[str] | None = None
    asked_for: frozenset[str] | None = None
    boundaries: Literal["current", "historical"] = "current"


@dataclass(frozen=True, slots=True)
class Freshness:
    """What an answer depends on besides the question: how far is counted, with which units, and who fell silent."""

    position: int
    reference_version: int
    stale_units: tuple[str, ...]


async def freshness(transaction: AsyncConnection, question: Question, now: datetime) -> Freshness:
    """Return what the answer to `question` depends on at the instant `now`; two indexed look-ups."""
    reached = await store.checkpoint(transaction, question.province)
    recorded = await store.last_recorded(transaction, question.province)
    stale = tuple(
        sorted(
            unit
            for unit, recorded_at in recorded.items()
            if now - recorded_at > STALE_AFTER and (question.units is None or unit in question.units)
        )
    )
    return Freshness(reached.position, reached.reference_version, stale)


def etag(question: Question, at: Freshness) -> str:
    """Return a strong validator: it differs whenever the answer could."""
    # A set has no order of its own, so it is told sorted.
    sets = [None if units is None else sorted(units) for units in (question.units, question.asked_for)]
    told = repr((replace(question, units=None, asked_for=None), sets, at, DEFINITIONS_VERSION))
    return f'"{hashlib.blake2b(told.encode(), digest_size=12).hexdigest()}"'


async def answer(transaction: AsyncConnection, question: Question, at: Freshness, held: HeldUnits) -> dict[str, Any]:
    """Return the answer to `question` as the JSON object of the public contract.

    :raises UnknownUnit: a unit was asked for by a code that names none in the period.
    """
    period = question.period
    units = await held.of(transaction, question.province, at.reference_version)
    counted = await store.counts(transaction, question.province, question.role, period.first, period.last)
    rows = _rows(question, units, counted)
    if question.asked_for is not None:
        missing = question.asked_for - {unit.code for unit, _ in rows}
        if missing:
            msg = f"no {question.kind or 'unit'} {', '.join(sorted(missing))} in this period"
            raise UnknownUnit(msg)
    total = _sum(counts for _, counts in rows)
    return {
        "period": {"label": period.label, "from": period.first.isoformat(), "to": period.last.isoformat()},
        "by": question.by,
        "role": question.role,
        "boundaries": question.boundaries,
        "position": str(at.position),
        "definitions": DEFINITIONS_VERSION,
        "stale_sources": list(at.stale_units),
        "rows": []
        if question.by == "none"
        else [{"unit": _unit_json(unit), **figures(counts)} for unit, counts in rows],
        "total": figures(total),
    }


def _rows(
    question: Question, units: Units, counted: Mapping[Version, Mapping[str, int]]
) -> Sequence[tuple[Unit, Mapping[str, int]]]:
    """Return the units asked for with their counts, by code: those in force at the period's end, and those counted."""
    known = units.by_version
    standing_for = units.successors if question.boundaries == "current" else {}
    folded: dict[Version, list[Mapping[str, int]]] = {}
    for version, counts in counted.items():
        folded.setdefault(standing_for.get(version, version), []).append(counts)
    last = question.period.last
    in_force = {
        standing_for.get(version, version)
        for version, unit in known.items()
        if unit.kind != "province" and unit.valid_from <= last and (unit.valid_to is None or last <= unit.valid_to)
    }
    rows = [(known[version], _sum(folded.get(version, ()))) for version in sorted(folded.keys() | in_force)]
    return [
        (unit, counts)
        for unit, counts in rows
        if (question.kind is None or unit.kind == question.kind)
        and (question.units is None or unit.code in question.units)
    ]


def _sum(parts: Collection[Mapping[str, int]] | Any) -> Mapping[str, int]:  # noqa: ANN401 - any iterable of counts
    sums = dict.fromkeys(_STORED, 0)
    for counts in parts:
        for name in sums:
            sums[name] += counts[name]
    return sums


def _unit_json(unit: Unit) -> dict[str, Any]:
    return unit.model_dump(mode="json", include={"code", "name", "kind", "valid_from", "valid_to"})


def figures(stored: Mapping[str, int]) -> dict[str, Any]:
    """Return counts and rates as they appear in an answer.

    `pending` is what the period leaves open: received + carried_over = resolved + declined + withdrawn + stopped +
    pending.
    """
    ended = stored["resolved"] + stored["declined"] + stored["withdrawn"] + stored["stopped"]
    pending = stored["carried_over"] + stored["received"] - ended
    return {
        "counts": {**stored, "pending": pending},
        "rates": {rate.name: _rate_json(rate, stored) for rate in rates.RATES},
    }


def _rate_json(rate: rates.Rate, counts: Mapping[str, int]) -> dict[str, Any]:
    share = rate.share(counts)
    percent = rates.percent(share)
    return {
        "numerator": rate.numerator(counts),
        "denominator": rate.denominator(counts),
        "percent": None if percent is None else float(percent),
        "target": float(rate.target.percent),
        "met": None if share is None else rate.target.met_by(share),
    }
