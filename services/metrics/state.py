"""What the routes of the metrics service share while the process runs."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.kit.bell import Bell


@dataclass(frozen=True, slots=True)
class State:
    """The database and the bell that rings whenever counts have changed."""

    database: AsyncEngine
    counted: Bell
    internal_key: str
