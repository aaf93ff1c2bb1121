"""Every count is worked out here a second time, from the raw events, slowly and plainly, and with nothing of ours.

`known` takes the reference data, `frame` the events as they were posted, each with the `recorded_at` and `position`
that the log gave it and the `sender_units` that its sender was limited to; `counts` and `dossiers` answer
from the frame.
"""

from tests.oracle.counting import (
    COUNTS,
    PROCEDURES,
    RATES,
    Boundaries,
    By,
    Role,
    catalogue,
    counts,
    dossiers,
    frame,
    rates,
)
from tests.oracle.reference import Known, known

__all__ = [
    "COUNTS",
    "PROCEDURES",
    "RATES",
    "Boundaries",
    "By",
    "Known",
    "Role",
    "catalogue",
    "counts",
    "dossiers",
    "frame",
    "known",
    "rates",
]
