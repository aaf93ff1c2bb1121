"""What an answer tells of a unit and a period is one vector of counts, which add up over units, channels and fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from operator import add

from services.contract import Channel
from services.metrics.domain import tally
from services.metrics.domain.counts import COUNTS
from services.metrics.domain.periods import Period
from services.metrics.domain.tally import MEASURES, Counted, Occasion

NAMES: tuple[str, ...] = tuple(count.name for count in COUNTS if count.nature != "distinct")
"""What is counted, in the order in which it is told."""

Vector = tuple[int, ...]
"""A number for each of `NAMES`."""

NOTHING: Vector = (0,) * len(NAMES)

CHANNELS = ("counter", "online", "postal")

STOCKED: tuple[str, ...] = (
    "received",
    "resolved",
    "withdrawn",
    "stopped",
    "declined",
    "received_without_due",
    "ended_without_due",
    "overdue_next_day",
    "overdue_at_once",
    "ended_overdue",
    "awaiting_supplement",
    "awaiting_again",
)
"""The measures whose sums over all days up to one say how many dossiers stood open, overdue or waiting at its end."""

NO_STOCKS = (0,) * len(STOCKED)

_AT = {name: NAMES.index(name) for name in NAMES}
_IN = {name: MEASURES.index(name) for name in MEASURES}
_STOCKED_IN = [_IN[name] for name in STOCKED]
# Counts that are measured as they are told; how many await the citizen is measured by its changes.
_AS_MEASURED = [(_AT[name], _IN[name]) for name in NAMES if name in _IN and name != "awaiting_supplement"]
_FIRST_IN = {occasion: _IN[names[0]] for occasion, names in tally.MEASURES_OF.items()}


@dataclass(frozen=True, slots=True)
class Cut:
    """The days that an answer counts: a running period is counted up to today, any other one whole."""

    first: date
    last: date
    running: bool

    @classmethod
    def of(cls, period: Period, today: date) -> "Cut":
        """Return what of the period is counted on the day `today`."""
        running = period.first <= today <= period.last
        return cls(period.first, today if running else period.last, running)


def summed(vectors: Iterable[Vector]) -> Vector:
    """Return the sum of the vectors."""
    total = NOTHING
    for vector in vectors:
        total = tuple(map(add, total, vector))
    return total


def told(
    within: Sequence[int] | None,
    by_channel: Sequence[int] = (0, 0, 0),
    before: Sequence[int] = NO_STOCKS,
    last_day: tuple[int, int] = (0, 0),
    *,
    running: bool = False,
) -> Vector:
    """Return the counts of a period from what its days add up to.

    `within` holds a sum over the days for each of `MEASURES`, `by_channel` what of them was received by each of
    `CHANNELS`, `before` what all days before add up to for each of `STOCKED`. `last_day` holds the last day's
    `due_open` and `overdue_next_day`: nobody is overdue on the due day itself, and while that day lasts, as the last
    one of a running period does, what is open has not fallen due yet.
    """
    counts = [0] * len(NAMES)
    stocked = before
    due_open, overdue_next_day = last_day
    if within is not None:
        for at, place in _AS_MEASURED:
            counts[at] = within[place]
        for channel, received in zip(CHANNELS, by_channel, strict=True):
            counts[_AT[f"received_{channel}"]] = received
        fell_due = within[_IN["fell_due"]] + within[_IN["due_open"]] - (due_open if running else 0)
        counts[_AT["fell_due"]] = fell_due
        counts[_AT["overdue_by_fact"]] = fell_due - within[_IN["fell_due_met"]]
        stocked = [so_far + within[place] for so_far, place in zip(before, _STOCKED_IN, strict=True)]
    pending, without_due, overdue, awaiting, awaiting_again = _stocks(stocked)
    overdue -= overdue_next_day
    counts[_AT["carried_over"]] = _stocks(before)[0]
    counts[_AT["pending"]] = pending
    counts[_AT["pending_without_due"]] = without_due
    counts[_AT["pending_overdue"]] = overdue
    counts[_AT["pending_within"]] = pending - without_due - overdue
    counts[_AT["pending_in_time"]] = pending - without_due - overdue - awaiting_again
    counts[_AT["awaiting_supplement"]] = awaiting
    return tuple(counts)


def _stocks(stocked: Sequence[int]) -> tuple[int, int, int, int, int]:
    received, resolved, withdrawn, stopped, declined, without_due, ended_without_due, *overdue_and_waiting = stocked
    overdue_next_day, overdue_at_once, ended_overdue, awaiting, awaiting_again = overdue_and_waiting
    return (
        received - resolved - withdrawn - stopped - declined,
        without_due - ended_without_due,
        overdue_next_day + overdue_at_once - ended_overdue,
        awaiting,
        awaiting_again,
    )


def of_dossier(one: Counted, cut: Cut) -> Vector:
    """Return what one dossier adds to the counts of the cut."""
    first, last = cut.first, cut.last
    told_by_then = tuple(
        (occasion, marks, (on_day >= first) + (on_day == last))
        for on_day, occasion, marks in tally.entries(one)
        if on_day <= last
    )
    return _of_entries(told_by_then, one.channel, cut.running)


# Most dossiers are alike: they count for the same, on days that lie alike to the cut.
@lru_cache(maxsize=65_536)
def _of_entries(entries: tuple[tuple[Occasion, int, int], ...], channel: Channel | None, running: bool) -> Vector:  # noqa: FBT001
    """Return what a dossier adds that counts for `entries` before the cut (0), in it (1), and on its last day (2)."""
    within, before, last_day = [0] * len(MEASURES), [0] * len(MEASURES), [0] * len(MEASURES)
    for occasion, marks, lies in entries:
        for place, n in enumerate(tally.vector(occasion, marks), _FIRST_IN[occasion]):
            for into in ((before,), (within,), (within, last_day))[lies]:
                into[place] += n
    received = within[_IN["received"]]
    return told(
        within,
        [received * (channel == name) for name in CHANNELS],
        [before[place] for place in _STOCKED_IN],
        (last_day[_IN["due_open"]], last_day[_IN["overdue_next_day"]]),
        running=running,
    )
