"""What the routes of the metrics service share while the process runs."""

from dataclasses import dataclass, field

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from services.metrics.answers import Answer, Newest
from services.metrics.asking import Ask, Told
from services.metrics.held import HeldFigures
from services.metrics.progress import Progress
from services.metrics.reference import HeldReference


@dataclass(frozen=True, slots=True)
class State:
    """The database, the dossier service, how far is counted, and reference data and answers as last seen."""

    database: AsyncEngine
    dossier: httpx.AsyncClient
    internal_key: str
    progress: Progress
    reference: HeldReference = field(default_factory=HeldReference)
    held: HeldFigures = field(default_factory=HeldFigures)
    answers: Newest[Answer] = field(default_factory=Newest)
    told: Newest[Told] = field(default_factory=Newest)
    asked: Newest[Ask] = field(default_factory=Newest)
    """What requests came to mean, by what they look like: most are sent again and again."""
