"""What the routes of the dossier service share while the process runs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.dossier.catalogues import Catalogues
from services.dossier.intake import Intake
from services.dossier.watch import Watch
from services.kit.bell import Bell


@dataclass(frozen=True, slots=True)
class State:
    """The database, what is known of it, the writer, the bell it rings, who listens, and the seats to wait in."""

    database: AsyncEngine
    catalogues: Catalogues
    intake: Intake
    recorded: Bell
    watch: Watch
    long_polls: asyncio.Semaphore
    internal_key: str
    portal_units: Mapping[str, str]
    """From the national portal's codes of units to ours."""
