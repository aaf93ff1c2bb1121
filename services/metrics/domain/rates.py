"""Each rate is a numerator over a denominator of counts, with its target and its source; it is divided when read."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Literal

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Target:
    """What the provincial plan asks: `percent`, to be exceeded or to be reached."""

    percent: Decimal
    comparison: Literal["above", "at_least"]

    def met_by(self, share: Fraction) -> bool:
        """Tell whether `share`, between 0 and 1, meets the target; exactly, before any rounding."""
        asked = Fraction(self.percent) / 100
        return share > asked if self.comparison == "above" else share >= asked


@dataclass(frozen=True, slots=True)
class Rate:
    """A named share: the sum of `hits` over the sum of `of`, both names of counts."""

    name: str
    hits: tuple[str, ...]
    of: tuple[str, ...]
    target: Target
    source: str

    def numerator(self, counts: Mapping[str, int]) -> int:
        """Return how many dossiers fulfil the rate's condition."""
        return sum(counts[name] for name in self.hits)

    def denominator(self, counts: Mapping[str, int]) -> int:
        """Return how many dossiers the condition is asked of."""
        return sum(counts[name] for name in self.of)

    def share(self, counts: Mapping[str, int]) -> Fraction | None:
        """Return the share between 0 and 1, or None where there is nothing to divide by."""
        denominator = self.denominator(counts)
        return Fraction(self.numerator(counts), denominator) if denominator else None


RATES = (
    Rate(
        "on_time_of_resolved",
        ("resolved_early", "resolved_on_time"),
        ("resolved_early", "resolved_on_time", "resolved_late"),
        Target(Decimal(99), "above"),
        "Plan 316/KH-UBND, II.2.2; form II.06a, columns 8 and 9 over 7",
    ),
    Rate(
        "online_payment",
        ("paid_online",),
        ("fee_due",),
        Target(Decimal(50), "at_least"),
        "Decision 766/QĐ-TTg, 3.6; plan 316/KH-UBND",
    ),
    Rate(
        "full_online",
        ("full_online",),
        ("resolved",),
        Target(Decimal(85), "at_least"),
        "Plan 316/KH-UBND; Decree 307/2025/NĐ-CP, appendix item 12",
    ),
)


def percent(share: Fraction | None) -> Decimal | None:
    """Return the share as a percentage of two decimals, rounded half up from the exact value."""
    if share is None:
        return None
    # Two more digits than asked would round twice; the exact quotient is scaled to an integer and rounded once.
    scaled = share * 10_000
    return (Decimal((2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)) * _CENT).quantize(
        _CENT, ROUND_HALF_UP
    )
