"""What the routes of the dossier service share while the process runs."""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.dossier.catalogues import Catalogues
from services.dossier.intake import Intake
from services.kit.bell import Bell


@dataclass(frozen=True, slots=True)
class State:
    """The database, what is known of it, the writer, the bell it rings after a commit, and the seats to wait for it."""

    database: AsyncEngine
    catalogues: Catalogues
    intake: Intake
    recorded: Bell
    long_polls: asyncio.Semaphore
    internal_key: str
