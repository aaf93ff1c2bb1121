"""What the routes of the metrics service share while the process runs."""

from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter

import httpx
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.metrics.answers import Answer, Newest
from services.metrics.asking import Ask, Told
from services.metrics.held import HeldFigures
from services.metrics.progress import Progress, Reached
from services.metrics.reference import HeldReference
from services.metrics.report import Known


@dataclass(frozen=True, slots=True)
class State:
    """The database, the dossier service, how far is counted, and reference data and answers as last seen."""

    database: AsyncEngine
    dossier: httpx.AsyncClient
    internal_key: str
    progress: Progress
    reference: HeldReference = field(default_factory=HeldReference)
    held: HeldFigures = field(default_factory=HeldFigures)
    answers: Newest[Answer] = field(default_factory=lambda: Newest(size=attrgetter("size")))
    compressed: Newest[bytes] = field(default_factory=lambda: Newest(size=len))
    """Answers compressed by gzip, each under its validator and position."""
    told: Newest[Told] = field(default_factory=Newest)
    asked: Newest[Ask] = field(default_factory=Newest)
    """What requests came to mean, by what they look like: most are sent again and again."""

    async def known(self, transaction: AsyncConnection, province: str, reached: Reached, today: date) -> Known:
        """Return what answers given on the day are made from, where the transaction sees `reached`."""
        reference = await self.reference.of(transaction, province, reached.reference_version)
        return Known(reached.generation, reference, today, reached.position, self.held)
