"""Which unit stands today for a unit of the past, so that one series runs through mergers and reused codes."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from services.contract import Unit

Version = tuple[str, date]
"""A unit in one of its versions: its code and the first day of that meaning."""


def successors(units: Iterable[Unit]) -> Mapping[Version, Version]:
    """Return for each version of a unit the version that stands for it at the end of the chain.

    A unit that was split is carried on by the successor it names first, so that no dossier is counted twice.
    """
    by_version = {(unit.code, unit.valid_from): unit for unit in units}
    return {version: _last(unit, by_version) for version, unit in by_version.items()}


def _last(unit: Unit, by_version: Mapping[Version, Unit]) -> Version:
    while unit.valid_to is not None and unit.successors:
        following = by_version.get((unit.successors[0], unit.valid_to + timedelta(days=1)))
        if following is None:
            break
        unit = following
    return unit.code, unit.valid_from
