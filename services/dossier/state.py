"""What the routes of the dossier service share while the process runs."""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.dossier.intake import Intake
from services.kit.bell import Bell


@dataclass(frozen=True, slots=True)
class State:
    """The database, the writer, the bell it rings after each commit, and the seats for those who wait for it."""

    database: AsyncEngine
    intake: Intake
    recorded: Bell
    long_polls: asyncio.Semaphore
    internal_key: str
