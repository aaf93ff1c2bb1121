"""Prometheus sees the running month's numerators and denominators of every unit, and how long each has been silent."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import Gauge

from services.contract import vietnamese_day
from services.kit import clock
from services.metrics import progress, report
from services.metrics.domain import periods
from services.metrics.report import Question
from services.metrics.state import State

# Prometheus scrapes every 15 seconds by default; figures older than that would be its stale ones, not ours.
_REFRESH_SECONDS = 15

_NUMERATOR = Gauge("metrics_rate_numerator", "Numerator of a rate, running month.", ("province", "unit", "rate"))
_DENOMINATOR = Gauge("metrics_rate_denominator", "Denominator of a rate, running month.", ("province", "unit", "rate"))
_SILENT = Gauge("metrics_unit_silent_seconds", "Seconds since a unit's last event was recorded.", ("province", "unit"))

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def refreshed(state: State, provinces: Sequence[str]) -> AsyncIterator[None]:
    """Keep the gauges up to date in the background."""
    task = asyncio.create_task(_refresh_forever(state, provinces))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _refresh_forever(state: State, provinces: Sequence[str]) -> None:
    while True:
        try:
            await refresh(state, provinces, clock.now())
        except Exception as error:  # noqa: BLE001 - the next refresh may succeed; silence would freeze the gauges
            _log.warning("the gauges are not refreshed: %r", error)
            # Old figures would look like present ones.
            _clear()
        await asyncio.sleep(_REFRESH_SECONDS)


def _clear() -> None:
    for gauge in (_NUMERATOR, _DENOMINATOR, _SILENT):
        gauge.clear()


async def refresh(state: State, provinces: Sequence[str], now: datetime) -> None:
    """Set the gauges to what is counted at the instant `now`, for the units that are in force."""
    found = [(province, *await _read(state, province, now)) for province in provinces]
    _clear()
    for province, rows, recorded in found:
        for row in rows:
            unit = row["unit"]["code"]
            for rate, figure in row["rates"].items():
                _NUMERATOR.labels(province, unit, rate).set(figure["numerator"])
                _DENOMINATOR.labels(province, unit, rate).set(figure["denominator"])
            if unit in recorded:
                _SILENT.labels(province, unit).set((now - recorded[unit]).total_seconds())


async def _read(
    state: State, province: str, now: datetime
) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, datetime]]:
    """Return the running month's rows of units in force, and when each was last heard of."""
    question = Question(province, periods.parse(vietnamese_day(now).isoformat()[:7]))
    async with state.database.connect() as transaction:
        await transaction.execution_options(isolation_level="REPEATABLE READ")
        reached = await progress.seen_in(transaction, province, None)
        known = await state.known(transaction, province, reached, vietnamese_day(now))
        found = await report.report(transaction, question, known)
    rows = report.as_json(found, reached.position, ())["rows"]
    return [row for row in rows if row["unit"]["valid_to"] is None], reached.heard()
