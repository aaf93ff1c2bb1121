"""The current instant is read here and nowhere else, so that everything else is a function of its arguments."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current instant, aware and in UTC."""
    return datetime.now(UTC)  # noqa: DTZ005, RUF100, TID251 - the one module that owns the clock


def monotonic() -> float:
    """Return seconds on a clock that never goes back; only differences mean something."""
    return time.monotonic()
