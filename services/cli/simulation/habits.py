"""Units differ in size, punctuality and digital strength, and each unit keeps its habits all through a simulation."""

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp
from random import Random
from typing import Generic, TypeVar

from services.cli.simulation.scenario import (
    Scenario,
    procedures_in_force,
    stream,
    units_in_force,
)
from services.contract import Procedure, Unit, UnitKind

DEPARTMENT_SHARE = 0.22
"""Departments receive about a fifth of a province's dossiers."""

SLOW_SHARE = 0.08
"""So few units miss the province's target of 99 % that the others keep the whole above it."""

LEADING_SHARE = 0.15
"""Some units do nearly everything online; they alone come near the target of 85 % fully online."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Habits:
    """How one unit works: `weight` is its share of the receipts, all others are shares of its dossiers."""

    unit: Unit
    weight: float
    online: float
    postal: float
    pays_online: float
    provincial: float
    in_person: float
    electronic: float
    late: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A procedure as citizens ask for it: the fee in VND (0 for none), and the departments that resolve it."""

    procedure: Procedure
    fee: int
    departments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Urn(Generic[T]):
    """Things to draw with unequal chances; `bounds` run up to 1."""

    things: tuple[T, ...]
    bounds: tuple[float, ...]


def urn(weighted: Iterable[tuple[T, float]]) -> Urn[T]:
    """Return an urn of the things whose weight is above 0."""
    kept = [(thing, weight) for thing, weight in weighted if weight > 0]
    total = sum(weight for _, weight in kept)
    return Urn(tuple(thing for thing, _ in kept), tuple(sum_ / total for sum_ in accumulate(w for _, w in kept)))


def draw(urn_: Urn[T], rng: Random) -> T:
    """Draw one thing; it stays in the urn."""
    # Rounding may leave the last bound a hair under 1.
    return urn_.things[min(bisect(urn_.bounds, rng.random()), len(urn_.things) - 1)]


def happens(share: float, rng: Random) -> bool:
    """Draw whether something happens that happens in this share of the draws."""
    return rng.random() < share


def offers(scenario: Scenario, units: Sequence[Unit], level: UnitKind) -> list[tuple[Offer, float]]:
    """Return the weighted offers of a level; a ValueError names a procedure that is not in force."""
    in_force = procedures_in_force(scenario)
    present = tuple(unit.code for unit in units if unit.kind == "department")
    found = []
    for row in scenario.traffic:
        if row.level != level:
            continue
        if row.procedure not in in_force:
            msg = f"the traffic names {row.procedure}, which is not in force on {scenario.first_day}"
            raise ValueError(msg)
        # Another province has departments of other codes; there any of them may resolve it.
        resolving = tuple(code for code in row.departments if code in present) or present
        found.append((Offer(in_force[row.procedure], row.fee, resolving), row.weight))
    return found


def habits(scenario: Scenario, for_departments: Iterable[tuple[Offer, float]]) -> list[Habits]:
    """Return the habits of every unit in force, by code; the weights of all add up to 1.

    Communes are of different size by chance, departments by what is asked of them.
    """
    units = units_in_force(scenario)
    rng = stream(scenario, "habits")
    slow = {unit.code for unit in rng.sample(units, k=round(SLOW_SHARE * len(units)))}
    leading = {unit.code for unit in rng.sample(units, k=round(LEADING_SHARE * len(units)))}
    asked = {unit.code: 0.0 for unit in units}
    for offer, weight in for_departments:
        for code in offer.departments:
            asked[code] += weight / len(offer.departments)
    sizes = {unit.code: rng.lognormvariate(0, 0.55) if unit.kind == "commune" else asked[unit.code] for unit in units}
    totals = {kind: sum(sizes[u.code] for u in units if u.kind == kind) for kind in ("commune", "department")}
    shares = {"commune": 1 - DEPARTMENT_SHARE, "department": DEPARTMENT_SHARE}
    if not all(totals.values()):
        shares = {"commune": 1.0, "department": 1.0}
    return [
        _habits_of(
            unit,
            shares[unit.kind] * sizes[unit.code] / (totals[unit.kind] or 1),
            slow=unit.code in slow,
            leading=unit.code in leading,
            rng=rng,
        )
        for unit in units
    ]


def _habits_of(unit: Unit, weight: float, *, slow: bool, leading: bool, rng: Random) -> Habits:
    # One strength moves everything digital: a unit good at online receipts is good at online payment, too.
    strength = rng.uniform(2.2, 3.4) if leading else rng.gauss(-0.1, 0.8)
    return Habits(
        unit=unit,
        weight=weight,
        online=_logistic(0.85 + 0.95 * strength),
        postal=rng.uniform(0.0, 0.12) ** 1.2,
        pays_online=_logistic(0.2 + 0.6 * strength + rng.gauss(0, 0.3)),
        provincial=rng.uniform(0.0, 0.10) if happens(0.85, rng) else rng.uniform(0.2, 0.5),
        in_person=_logistic(-2.8 - 0.5 * strength + rng.gauss(0, 0.3)),
        electronic=_logistic(2.6 + 0.5 * strength),
        late=rng.uniform(0.025, 0.05) if slow else rng.uniform(0.001, 0.009),
    )


def _logistic(odds: float) -> float:
    return 1 / (1 + exp(-odds))
