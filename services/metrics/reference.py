"""A process reads each province's units and procedures once, and again only after they have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Procedure, Unit
from services.metrics.domain import boundaries
from services.metrics.domain.boundaries import Version
from services.metrics.store import reference


@dataclass(frozen=True, slots=True)
class Reference:
    """All versions of a province's units and procedures, and which unit stands for each today."""

    units: Mapping[Version, Unit]
    successors: Mapping[Version, Version]
    procedures: Sequence[Procedure]
    procedure_names: Mapping[str, str]
    field_names: Mapping[str, str]

    def in_force(self, on: date) -> Sequence[Procedure]:
        """Return the procedures in force on the day."""
        return [p for p in self.procedures if p.valid_from <= on and (p.valid_to is None or on <= p.valid_to)]


class HeldReference:
    """Holds the newest reference data that this process has seen of each province."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, Reference]] = {}

    async def of(self, transaction: AsyncConnection, province: str, version: int) -> Reference:
        """Return the province's reference data, which the transaction sees in `version`."""
        held = self._held.get(province)
        if held is None or held[0] != version:
            units = await reference.units(transaction, province)
            procedures = await reference.procedures(transaction, province)
            held = (
                version,
                Reference(
                    {(unit.code, unit.valid_from): unit for unit in units},
                    boundaries.successors(units),
                    procedures,
                    # The newest version comes last and gives the name.
                    {procedure.code: procedure.name for procedure in procedures},
                    {procedure.field.code: procedure.field.name for procedure in procedures},
                ),
            )
            self._held[province] = held
        return held[1]
