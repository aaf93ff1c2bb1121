"""A fresh system knows its units, procedures and calendar: they lie here as CSV, the form the public API takes."""

import csv
import io
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pydantic import TypeAdapter

from services.contract import CalendarDay, Procedure, Unit
from services.dossier import uploads

PROVINCES = ("19", "20")
"""The provinces whose units lie here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How often a procedure is asked for in the simulator, and where.

    `weight` is relative to the other procedures of its level; `departments` are the units of Lạng Sơn that resolve it,
    none for a commune's procedure; `fee` is in VND, 0 where there is none.
    """

    procedure: str
    level: Literal["commune", "department"]
    departments: tuple[str, ...]
    weight: float
    fee: int


TRAFFIC: TypeAdapter[list[Traffic]] = TypeAdapter(list[Traffic])


def csv_text(name: str) -> str:
    """Return a file of this folder as it stands, like `procedures.csv` or `20/units.csv`, to be PUT as text/csv."""
    return resources.files(__name__).joinpath(*name.split("/")).read_text(encoding="utf-8")


def units(province: str) -> list[Unit]:
    """Return every version of every unit of `province`, by its two digits: "20" is Lạng Sơn, "19" is Thái Nguyên."""
    return uploads.read(csv_text(f"{province}/units.csv").encode(), "text/csv", Unit).entries


def procedures() -> list[Procedure]:
    """Return every version of every procedure."""
    return uploads.read(csv_text("procedures.csv").encode(), "text/csv", Procedure).entries


def calendar() -> list[CalendarDay]:
    """Return the days that depart from Monday-to-Friday."""
    return uploads.read(csv_text("calendar.csv").encode(), "text/csv", CalendarDay).entries


def traffic() -> list[Traffic]:
    """Return how often each procedure is asked for in the simulator."""
    rows = csv.DictReader(io.StringIO(csv_text("traffic.csv")), strict=True)
    return TRAFFIC.validate_python(
        [{**row, "departments": [code for code in row["departments"].split(";") if code]} for row in rows]
    )
