"""A process reads each province's units once, and again only after they have changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Unit
from services.metrics import store
from services.metrics.domain import boundaries
from services.metrics.domain.boundaries import Version


@dataclass(frozen=True, slots=True)
class Units:
    """All versions of a province's units, and which of them stands for each today."""

    by_version: Mapping[Version, Unit]
    successors: Mapping[Version, Version]


class HeldUnits:
    """Holds the newest units that this process has seen of each province."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, Units]] = {}

    async def of(self, transaction: AsyncConnection, province: str, version: int) -> Units:
        """Return the province's units, which the transaction sees in `version` of the reference data."""
        held = self._held.get(province)
        if held is None or held[0] != version:
            units = await store.units(transaction, province)
            by_version = {(unit.code, unit.valid_from): unit for unit in units}
            held = version, Units(by_version, boundaries.successors(units))
            self._held[province] = held
        return held[1]
