"""A fresh system knows its units, procedures and calendar: they lie here as CSV, the form the public API takes."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pydantic import TypeAdapter

from services.contract import CalendarDay, Procedure, Unit


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
    return [
        Unit.model_validate(
            {
                **row,
                "valid_to": row["valid_to"] or None,
                "predecessors": _listed(row["predecessors"]),
                "successors": _listed(row["successors"]),
            }
        )
        for row in _rows(f"{province}/units.csv")
    ]


def procedures() -> list[Procedure]:
    """Return every version of every procedure."""
    return [
        Procedure.model_validate(
            {
                "code": row["code"],
                "name": row["name"],
                "field": {"code": row["field_code"], "name": row["field_name"]},
                "limit": _limit(row["limit_amount"], row["limit_unit"]) if row["limit_unit"] else None,
                "limits_by_channel": {
                    channel: _limit(*limit.split(" "))
                    for channel, limit in (pair.split("=") for pair in _listed(row["limits_by_channel"]))
                },
                "mountain_extra_days": row["mountain_extra_days"],
                "fee_required": row["fee_required"],
                "online_level": row["online_level"],
                "valid_from": row["valid_from"],
                "valid_to": row["valid_to"] or None,
                "official": row["official"],
            }
        )
        for row in _rows("procedures.csv")
    ]


def calendar() -> list[CalendarDay]:
    """Return the days of 2024 to 2027 that depart from Monday-to-Friday."""
    return [CalendarDay.model_validate(row) for row in _rows("calendar.csv")]


def traffic() -> list[Traffic]:
    """Return how often each procedure is asked for in the simulator."""
    return TRAFFIC.validate_python(
        [{**row, "departments": _listed(row["departments"])} for row in _rows("traffic.csv")]
    )


def _rows(name: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(csv_text(name)), strict=True)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(";")) if text else ()


def _limit(amount: str, unit: str) -> dict[str, str]:
    return {"amount": amount, "unit": unit}
