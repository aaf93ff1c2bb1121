"""Prometheus sees the running month's numerators and denominators of every unit, and how long each has been silent."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import vietnamese_day
from services.kit import clock
from services.metrics import report, store
from services.metrics.domain import periods
from services.metrics.report import Question

# Prometheus scrapes every 15 seconds by default; figures older than that would be its stale ones, not ours.
_REFRESH_SECONDS = 15

_NUMERATOR = Gauge("metrics_rate_numerator", "Numerator of a rate, running month.", ("province", "unit", "rate"))
_DENOMINATOR = Gauge("metrics_rate_denominator", "Denominator of a rate, running month.", ("province", "unit", "rate"))
_SILENT = Gauge("metrics_unit_silent_seconds", "Seconds since a unit's last event was recorded.", ("province", "unit"))

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def refreshed(database: AsyncEngine, provinces: Sequence[str]) -> AsyncIterator[None]:
    """Keep the gauges up to date in the background."""
    task = asyncio.create_task(_refresh_forever(database, provinces))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _refresh_forever(database: AsyncEngine, provinces: Sequence[str]) -> None:
    while True:
        for province in provinces:
            try:
                await refresh(database, province, clock.now())
            except (SQLAlchemyError, OSError) as error:
                _log.warning("the gauges of province %s are not refreshed: %s", province, error)
        await asyncio.sleep(_REFRESH_SECONDS)


async def refresh(database: AsyncEngine, province: str, now: datetime) -> None:
    """Set the gauges of the province to what is counted at the instant `now`."""
    question = Question(province, periods.parse(vietnamese_day(now).isoformat()[:7]))
    async with database.connect() as transaction:
        content = await report.answer(transaction, question, await report.freshness(transaction, question, now))
        recorded = await store.last_recorded(transaction, province)
    for row in content["rows"]:
        for rate, figure in row["rates"].items():
            _NUMERATOR.labels(province, row["unit"]["code"], rate).set(figure["numerator"])
            _DENOMINATOR.labels(province, row["unit"]["code"], rate).set(figure["denominator"])
    for unit, recorded_at in recorded.items():
        _SILENT.labels(province, unit).set((now - recorded_at).total_seconds())
