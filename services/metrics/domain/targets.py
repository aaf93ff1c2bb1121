"""Targets are data: what a plan asks of a rate, in which fields, of which units, and from when until when.

Answers are judged by them (`target_of`), and Prometheus warns by the same ones (`services/metrics/rules.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Literal

UnitKind = Literal["commune", "department"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of a rate: so many hundredths of a percent, to be exceeded or to be reached.

    `fields` are codes of fields that it is limited to, each with the codes that continue it after a hyphen or a full
    stop; `kind` the kind of unit. Without either it is asked of everything.
    """

    rate: str
    hundredths: int
    comparison: Literal["above", "at_least"]
    source: str
    valid_from: date
    valid_to: date | None = None
    fields: tuple[str, ...] = ()
    kind: UnitKind | None = None

    @property
    def percent(self) -> float:
        """The target as a percentage."""
        return self.hundredths / 100

    def met_by(self, numerator: int, denominator: int) -> bool | None:
        """Tell whether the quotient meets the target, exactly, before any rounding; None with nothing to divide by."""
        if denominator == 0:
            return None
        reached, asked = 10_000 * numerator, self.hundredths * denominator
        return reached > asked if self.comparison == "above" else reached >= asked

    def in_force(self, on: date) -> bool:
        """Tell whether the target is asked on the day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    def speaks_of(self, field: str | None, kind: UnitKind | None) -> bool:
        """Tell whether the target is asked of what lies in `field`, of units of `kind`; None is all of them."""
        return (self.kind is None or self.kind == kind) and (
            not self.fields
            or (
                field is not None
                and any(field == code or field.startswith((f"{code}-", f"{code}.")) for code in self.fields)
            )
        )


_PLAN = "Plan 316/KH-UBND"
_FROM, _TO = date(2026, 1, 1), date(2030, 12, 31)

# *Đất đai*; *hoạt động xây dựng* and *quy hoạch xây dựng*; *đầu tư tại Việt Nam*, by the reference data's codes.
_LAND_CONSTRUCTION_INVESTMENT = ("DD", "XD", "QH", "DTU")

TARGETS: tuple[Target, ...] = (
    Target("on_time_of_resolved", 99_00, "above", f"{_PLAN}, II.2.2", _FROM, _TO),
    Target("full_online", 85_00, "at_least", _PLAN, _FROM, _TO),
    Target("online_payment", 50_00, "at_least", _PLAN, _FROM, _TO),
    Target("online_payment_transactions", 50_00, "at_least", _PLAN, _FROM, _TO),
    Target("satisfaction", 95_00, "at_least", _PLAN, _FROM, _TO),
    Target("satisfaction", 90_00, "at_least", _PLAN, _FROM, _TO, fields=_LAND_CONSTRUCTION_INVESTMENT),
    Target("procedures_offering_payment", 100_00, "at_least", _PLAN, _FROM, _TO),
    Target("procedures_full_online", 100_00, "at_least", _PLAN, _FROM, _TO),
)
"""What the province of Lạng Sơn asks for 2026 to 2030."""


def _narrowness(target: Target) -> tuple[bool, bool]:
    return bool(target.fields), target.kind is not None


# A target of the field or of the kind of unit is asked in place of the one asked of everything.
_NARROWEST_FIRST = {
    rate: tuple(sorted((target for target in TARGETS if target.rate == rate), key=_narrowness, reverse=True))
    for rate in dict.fromkeys(target.rate for target in TARGETS)
}


def target_of(rate: str, *, field: str | None = None, kind: UnitKind | None = None, on: date) -> Target | None:
    """Return what is asked of the rate on the day, the narrowest target first; None if nothing is.

    `field` and `kind` say what the figure is limited to: a figure over several fields has none.
    """
    for target in _NARROWEST_FIRST.get(rate, ()):
        if target.in_force(on) and target.speaks_of(field, kind):
            return target
    return None


def general(rate: str, among: Iterable[Target] = TARGETS) -> Target | None:
    """Return the newest target asked of every field and unit, whenever it is in force; None if there never was one."""
    asked = [target for target in among if target.rate == rate and not target.fields and target.kind is None]
    return max(asked, key=attrgetter("valid_from"), default=None)
