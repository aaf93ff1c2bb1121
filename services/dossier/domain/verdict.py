"""What can be wrong with a recorded log has its names and sentences here, and so has what was once seen of it."""

from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "content_changed",
    "record_changed",
    "event_inserted",
    "event_missing",
    "order_changed",
    "dossier_missing",
    "dossier_changed",
    "cut_off",
    "rewritten",
]
"""In which way a log is not as it was written."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest event of a province at some time: its position and hash, and how many events there were up to it."""

    province: str
    position: int
    hash: bytes
    events: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a province's log is as it was written, and what is wrong with it first, if anything is."""

    reached: Checkpoint
    fault: Fault | None = None
    position: int | None = None
    detail: str = ""
    dossiers: int | None = None
    """How many dossiers stand as their events make them; None where reference data is still being applied to some."""
