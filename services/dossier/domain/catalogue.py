"""The reference data of one province at one moment: units and procedures in all their versions, days off and worked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, TypeVar

from services.contract import CalendarDay, Procedure, Unit


class Versioned(Protocol):
    """Something whose meaning has a first and, once replaced, a last day."""

    @property
    def code(self) -> str:
        """Its code, which alone does not name it."""

    @property
    def valid_from(self) -> date:
        """The first day it is in force."""

    @property
    def valid_to(self) -> date | None:
        """The last day it is in force, or None."""


V = TypeVar("V", bound=Versioned)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What codes mean on which day; the versions of a code are in order of their first day."""

    units: Mapping[str, Sequence[Unit]]
    procedures: Mapping[str, Sequence[Procedure]]
    days: Mapping[date, bool]
    day_names: Mapping[date, str]
    reckoned: dict[tuple[date, int, str, int], datetime] = field(default_factory=dict, compare=False, repr=False)
    """Due dates reckoned before on this calendar, by first day, limit and additional days; a memory, not a fact."""

    def unit(self, code: str, on_day: date) -> Unit | None:
        """Return the unit that `code` names on `on_day`."""
        return _in_force(self.units.get(code, ()), on_day)

    def procedure(self, code: str, on_day: date) -> Procedure | None:
        """Return the procedure that `code` names on `on_day`."""
        return _in_force(self.procedures.get(code, ()), on_day)


def catalogue(units: Iterable[Unit], procedures: Iterable[Procedure], days: Iterable[CalendarDay]) -> Catalogue:
    """Arrange reference data for look-up."""
    known = list(days)
    return Catalogue(
        _by_code(units),
        _by_code(procedures),
        {day.on_day: day.working for day in known},
        {day.on_day: day.name for day in known},
    )


def _by_code(versions: Iterable[V]) -> Mapping[str, Sequence[V]]:
    by_code: dict[str, list[V]] = {}
    for version in sorted(versions, key=lambda version: (version.code, version.valid_from)):
        by_code.setdefault(version.code, []).append(version)
    return by_code


def _in_force(versions: Sequence[V], on_day: date) -> V | None:
    for version in versions:
        if version.valid_from <= on_day and (version.valid_to is None or on_day <= version.valid_to):
            return version
    return None
