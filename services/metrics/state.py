"""What the routes of the metrics service share while the process runs."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.kit.bell import Bell
from services.metrics.answers import Answers
from services.metrics.units import HeldUnits


@dataclass(frozen=True, slots=True)
class State:
    """The database, the bell that rings whenever counts have changed, units and answers as last seen."""

    database: AsyncEngine
    counted: Bell
    units: HeldUnits
    answers: Answers
    internal_key: str
