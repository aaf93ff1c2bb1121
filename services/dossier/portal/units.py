"""The portal's unit becomes ours by the operator's table, by our own code, or by its exact name; never by a guess."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from services.contract import Unit
from services.dossier.domain.catalogue import Catalogue

# Grave, acute, tilde, hook above, dot below: the marks of tone, each of which a syllable has at most once.
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")


@dataclass(frozen=True, slots=True)
class Directory:
    """The province's units, the operator's table of the portal's codes, and what was looked up in a request so far."""

    catalogue: Catalogue
    aliases: Mapping[str, str]
    by_name: dict[date, Mapping[str, Sequence[Unit]]] = field(default_factory=dict)


def directory(catalogue: Catalogue, aliases: Mapping[str, str]) -> Directory:
    """Arrange units for look-up; `aliases` leads from the portal's codes or names to our codes."""
    return Directory(catalogue, {spelt(told): code for told, code in aliases.items()})


def find(units: Directory, told: str, on_day: date) -> Sequence[Unit]:
    """Return what `told` names on the day: one unit, none, or several of one name."""
    unit = units.catalogue.unit(units.aliases.get(spelt(told), told), on_day)
    if unit is not None:
        return (unit,)
    if on_day not in units.by_name:
        units.by_name[on_day] = _by_name(units.catalogue, on_day)
    return units.by_name[on_day].get(spelt(told), ())


def _by_name(catalogue: Catalogue, on_day: date) -> Mapping[str, Sequence[Unit]]:
    by_name: dict[str, list[Unit]] = {}
    for code in catalogue.units:
        unit = catalogue.unit(code, on_day)
        if unit is not None:
            by_name.setdefault(spelt(unit.name), []).append(unit)
    return by_name


def spelt(name: str) -> str:
    """Return the one spelling of a name: blind to case, white space, and how and over which vowel marks are written.

    `Hoà` and `Hòa` are the same syllable, so the mark of tone goes to the end of each word; other marks stay.
    """
    words = unicodedata.normalize("NFD", name.casefold()).split()
    return " ".join(
        "".join(mark for mark in word if mark not in _TONES) + "".join(mark for mark in word if mark in _TONES)
        for word in words
    )
