"""A number is a sum of contributions: what each dossier counts for, and on which days, is decided here alone.

`counted` is pure, so a change takes away what it said of the dossier before and adds what it says now: correction,
withdrawal, transfer and late arrival need no case of their own.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from operator import add
from typing import Any, Literal, NamedTuple, TypeVar

from services.contract import Channel, Standing, Status, vietnamese_day

Role = Literal["resolving", "receiving"]
Part = Literal["resolving", "receiving", "both"]
"""What part a unit has in a dossier; `both` where it took in what it decides itself, which counts in either role."""

Occasion = Literal["receipt", "due", "end", "rating", "payments", "awaiting", "refusal"]

MARKS: Mapping[Occasion, tuple[str, ...]] = {
    "receipt": ("received", "received_without_due", "fee_due", "paid_online"),
    "due": ("fell_due", "fell_due_met", "due_open", "overdue_by_data", "overdue_next_day", "overdue_at_once"),
    "end": (
        "resolved",
        "resolved_early",
        "resolved_on_time",
        "resolved_late",
        "resolved_without_due",
        "late_with_apology",
        "within_extension",
        "withdrawn",
        "stopped",
        "declined",
        "ended_early",
        "ended_on_time",
        "ended_late",
        "ended_without_due",
        "ended_in_time",
        "full_online",
        "offered_full_online",
        "full_online_of_offered",
        "electronic_result",
        "reused_data",
        "digitised",
        "ended_overdue",
    ),
    "rating": ("rated", "satisfied"),
}
"""What a dossier may count for on the day of its receipt, on its due day, at its end and at its rating.

Those that fell due and were not resolved are overdue from the next day on, or at once if they came after it.
"""

BIT: Mapping[str, int] = {name: 1 << place for names in MARKS.values() for place, name in enumerate(names)}
"""The bit of each mark within those of its occasion."""

MEASURES_OF: Mapping[Occasion, tuple[str, ...]] = {
    **MARKS,
    "payments": ("payments", "payments_online"),
    # By how much the number of those that await the citizen changes on the day.
    "awaiting": ("awaiting_supplement", "awaiting_again"),
    "refusal": ("declined_before_receipt",),
}
"""What a cell holds of each occasion: numbers of dossiers and of single payments."""

MEASURES: tuple[str, ...] = tuple(name for names in MEASURES_OF.values() for name in names)
"""All that a cell holds."""

_ONE_DAY = timedelta(days=1)
_SATISFIED_FROM = 4
_MOST_SECONDS = 2**31 - 1
_ENDED_OTHERWISE = ("withdrawn", "stopped", "declined")

Span = tuple[date, date | None]
"""From a day to the day before which it ended; None while it lasts."""


class Cell(NamedTuple):
    """Where something counts: a day, a unit in one of its versions, its part in the dossiers, and their channel."""

    on_day: date
    part: Part
    unit: str
    unit_since: date
    channel: Channel


class FeeCell(NamedTuple):
    """Where dossiers received about a procedure that had a fee are counted: a cell's place, and the procedure."""

    on_day: date
    part: Part
    unit: str
    unit_since: date
    channel: Channel
    procedure: str


class Counted(NamedTuple):
    """A dossier as it is counted: whose it is, its days, and what it counts for on each of them.

    `at_receipt`, `at_due`, `at_end` and `at_rating` are sums of `BIT`s; each counts on the day named before it.
    """

    code: str
    position: int
    status: Status
    procedure: str | None
    field: str | None
    channel: Channel | None
    receiving_unit: str | None
    receiving_unit_since: date | None
    resolving_unit: str | None
    resolving_unit_since: date | None
    source: str | None
    receipt_lag: int | None
    """Seconds from the receipt to its recording."""
    end_lag: int | None
    """Seconds from the end of processing to its recording."""
    received_on: date | None
    at_receipt: int
    falls_due_on: date | None
    at_due: int
    closes_on: date | None
    at_end: int
    rated_on: date | None
    at_rating: int
    refused_on: date | None
    """When it was declined, if that was before its receipt: it counts for nothing else then."""
    overdue_from: date | None
    """The first day at whose end it was overdue; it is until it closes."""
    payments: int
    payments_online: int
    awaiting: tuple[Span, ...] = ()
    """When the citizen was asked to complete it."""
    awaiting_again: tuple[Span, ...] = ()
    """When the citizen was asked for the second time or more, and it had a due date and was not overdue."""


def counted(standing: Standing) -> Counted:
    """Return the dossier as it is counted; nothing of it counts before its receipt or after it was voided."""
    received_on, channel = standing.received_on, standing.channel
    if received_on is None or channel is None or standing.status == "voided":
        return _counts_nowhere(standing)
    received_at, ended_at = standing.received_at, standing.ended_at
    if standing.status == "declined" and ended_at is not None and received_at is not None and ended_at < received_at:
        return _counts_nowhere(standing)._replace(refused_on=standing.ended_on)
    due_on, ended_on = standing.due_on, standing.ended_on
    # Nothing is overdue, due or closed before it came, whatever the sender says.
    closes_on = None if ended_on is None else max(ended_on, received_on)
    stands_still = (
        standing.paused_at is not None and due_on is not None and due_on >= vietnamese_day(standing.paused_at)
    )
    overdue_from, falls_due_on, at_due = None, None, 0
    if due_on is not None and not stands_still:
        overdue_from = max(due_on + _ONE_DAY, received_on)
        if closes_on is not None and closes_on <= overdue_from:
            overdue_from = None
        at_due = _at_due(standing, due_on)
        falls_due_on = max(due_on, received_on) if at_due else None
        if overdue_from is not None:
            at_due += BIT["overdue_at_once" if overdue_from == falls_due_on else "overdue_next_day"]
    asked = tuple(_spans(standing, received_on, closes_on)) if standing.supplement_spans else ()
    fee_due, rated_on = standing.fee_due, standing.rated_on
    return Counted(
        standing.code,
        standing.position,
        standing.status,
        standing.procedure,
        standing.field,
        channel,
        standing.receiving_unit,
        standing.receiving_unit_since,
        standing.resolving_unit,
        standing.resolving_unit_since,
        standing.source,
        _seconds(received_at, standing.receipt_recorded_at),
        _seconds(ended_at, standing.end_recorded_at),
        received_on,
        BIT["received"]
        + BIT["received_without_due"] * (due_on is None)
        + BIT["fee_due"] * fee_due
        + BIT["paid_online"] * (fee_due and standing.payments_online > 0),
        falls_due_on,
        at_due,
        closes_on,
        0 if ended_on is None else _at_end(standing, ended_on) + BIT["ended_overdue"] * (overdue_from is not None),
        rated_on,
        0 if rated_on is None else BIT["rated"] + BIT["satisfied"] * ((standing.score or 0) >= _SATISFIED_FROM),
        None,
        overdue_from,
        standing.payments,
        standing.payments_online,
        tuple(_before(None, asked)) if asked else (),
        tuple(_before(overdue_from, asked[1:])) if len(asked) > 1 and due_on is not None else (),
    )


def _counts_nowhere(standing: Standing) -> Counted:
    return Counted(
        standing.code,
        standing.position,
        standing.status,
        standing.procedure,
        standing.field,
        standing.channel,
        standing.receiving_unit,
        standing.receiving_unit_since,
        standing.resolving_unit,
        standing.resolving_unit_since,
        standing.source,
        *(None, None, None, 0, None, 0, None, 0, None, 0, None, None, 0, 0),
    )


def _seconds(happened_at: object, recorded_at: object) -> int | None:
    if happened_at is None or recorded_at is None:
        return None
    seconds = int((recorded_at - happened_at).total_seconds())  # type: ignore[operator]
    # A clock may be a century off; 68 years fit the column.
    return max(-_MOST_SECONDS, min(seconds, _MOST_SECONDS))


def _at_due(standing: Standing, due_on: date) -> int:
    """Return what it counts for on its due day; processing that ended otherwise before it owed nothing any more."""
    ended_on = standing.ended_on
    if ended_on is None:
        return BIT["due_open"]
    if standing.status in _ENDED_OTHERWISE:
        return 0 if ended_on <= due_on else BIT["fell_due"]
    if ended_on > due_on:
        return BIT["fell_due"]
    receipt_recorded_at, end_recorded_at = standing.receipt_recorded_at, standing.end_recorded_at
    shown_overdue = (
        end_recorded_at is not None
        and vietnamese_day(end_recorded_at) > due_on
        and (receipt_recorded_at is None or end_recorded_at > receipt_recorded_at)
    )
    return BIT["fell_due"] + BIT["fell_due_met"] + BIT["overdue_by_data"] * shown_overdue


def _at_end(standing: Standing, ended_on: date) -> int:
    due_on, due_at, ended_at = standing.due_on, standing.due_at, standing.ended_at
    if due_on is None:
        timing = "without_due"
    elif ended_on < due_on:
        timing = "early"
    else:
        timing = "on_time" if ended_on == due_on else "late"
    marks = BIT["ended_" + timing]
    if due_at is not None and ended_at is not None and ended_at <= due_at:
        marks += BIT["ended_in_time"]
    if standing.status in _ENDED_OTHERWISE:
        return marks + BIT[standing.status]
    extended_due_on = standing.extended_due_on
    in_full, offered = is_full_online(standing), standing.online_level == "full"
    return (
        marks
        + BIT["resolved"]
        + BIT["resolved_" + timing]
        + BIT["late_with_apology"] * (timing == "late" and extended_due_on is not None)
        + BIT["within_extension"] * (due_on is not None and ended_on <= max(due_on, extended_due_on or due_on))
        + BIT["full_online"] * in_full
        + BIT["offered_full_online"] * offered
        + BIT["full_online_of_offered"] * (in_full and offered)
        + BIT["electronic_result"] * (standing.result in {"electronic", "both"})
        + BIT["reused_data"] * standing.reused_data
        + BIT["digitised"] * standing.digitised
    )


def _spans(standing: Standing, received_on: date, closes_on: date | None) -> Iterator[Span]:
    """Yield for each request when the dossier awaited the citizen while it was open: to no day, if on none."""
    for span in standing.supplement_spans:
        first, _, last = span.partition("/")
        began, over = max(date.fromisoformat(first), received_on), date.fromisoformat(last) if last else None
        yield began, closes_on if over is None else over if closes_on is None else min(over, closes_on)


def _before(end: date | None, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield what lies before `end` of the spans, none of it twice."""
    reached: date | None = None
    for began, over in spans:
        first = began if reached is None else max(began, reached)
        last = over if end is None else end if over is None else min(over, end)
        if last is None or first < last:
            yield first, last
        if last is None:
            return
        reached = last if reached is None else max(reached, last)


def is_full_online(standing: Standing) -> bool:
    """Tell whether a dossier was *toàn trình*: Decree 307/2025/NĐ-CP, appendix item 12, all four conditions.

    Submitted online; paid through the national platform where a fee is due; the result electronic (or none is made)
    and not handed over at the counter; nobody had to come. A result that was not told does not count as met.
    """
    return (
        standing.channel == "online"
        and (standing.paid_on_platform or not standing.fee_due)
        and standing.result in {"electronic", "both", "none"}
        and standing.returned_channel != "counter"
        and not standing.in_person
    )


# --- Contributions ----------------------------------------------------------------------------------------------------

Entry = tuple[date, Occasion, int]
"""A day, an occasion, and what counts then: a sum of `BIT`s or, of payments and waiting, two numbers as one."""

SECOND = 1 << 16
"""The second of two numbers that travel as one is so many times itself."""


def entries(one: Counted) -> Iterator[Entry]:
    """Yield the days on which the dossier counts and what for."""
    if one.refused_on is not None:
        yield one.refused_on, "refusal", 1
    if one.received_on is None or not one.at_receipt:
        return
    yield one.received_on, "receipt", one.at_receipt
    if one.falls_due_on is not None:
        yield one.falls_due_on, "due", one.at_due
    if one.closes_on is not None:
        yield one.closes_on, "end", one.at_end
    if one.payments:
        yield one.received_on, "payments", one.payments + one.payments_online * SECOND
    if one.rated_on is not None:
        yield one.rated_on, "rating", one.at_rating
    for each, spans in ((1, one.awaiting), (SECOND, one.awaiting_again)):
        for began, over in spans:
            yield began, "awaiting", each
            if over is not None:
                yield over, "awaiting", -each


def units(one: Counted) -> Iterator[tuple[Part, str, date]]:
    """Yield the units for which the dossier counts, in the versions that got it, and their part in it."""
    resolving, receiving = one.resolving_unit, one.receiving_unit
    decides = None if resolving is None or one.resolving_unit_since is None else (resolving, one.resolving_unit_since)
    takes_in = None if receiving is None or one.receiving_unit_since is None else (receiving, one.receiving_unit_since)
    if decides is not None and decides == takes_in:
        yield "both", *decides
        return
    if decides is not None:
        yield "resolving", *decides
    if takes_in is not None:
        yield "receiving", *takes_in


@cache
def vector(occasion: Occasion, marks: int) -> tuple[int, ...]:
    """Return what an entry adds to each of the measures of its occasion; there are few dozens of different ones."""
    match occasion:
        case "payments":
            return marks % SECOND, marks // SECOND
        case "awaiting":
            return (marks, 0) if abs(marks) < SECOND else (0, marks // SECOND)
        case "refusal":
            return (marks,)
        case _:
            return tuple(int(bool(marks & BIT[name])) for name in MARKS[occasion])


_Place = tuple[date, Part, str, date, Channel]

Tally = Mapping[Occasion, Mapping[Cell, tuple[int, ...]]]
"""Counts by occasion and cell, in the order of `MEASURES_OF` the occasion; a cell that is not there holds zeros."""


class Sum:
    """Adds up what dossiers count for; what cancels out is left out."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._entries: dict[tuple[_Place, Occasion, int], int] = {}
        self._fees: dict[tuple[_Place, str, int], int] = {}

    def __len__(self) -> int:
        """Tell how many different things count."""
        return len(self._entries)

    def add(self, one: Counted, times: Literal[1, -1] = 1) -> None:
        """Add what the dossier counts for, or take it away."""
        channel = one.channel
        if channel is None:
            return
        sums, fees, found = self._entries, self._fees, list(entries(one))
        had_fee, paid_online = one.at_receipt & BIT["fee_due"], int(bool(one.at_receipt & BIT["paid_online"]))
        for part, unit, since in units(one):
            for on_day, occasion, marks in found:
                key = (on_day, part, unit, since, channel), occasion, marks
                sums[key] = sums.get(key, 0) + times
            if had_fee and one.received_on is not None and one.procedure is not None:
                fee = (one.received_on, part, unit, since, channel), one.procedure, paid_online
                fees[fee] = fees.get(fee, 0) + times

    def include(self, other: "Sum") -> None:
        """Add what another sum adds up to."""
        _include(self._entries, other._entries)  # noqa: SLF001 - one of its own kind
        _include(self._fees, other._fees)  # noqa: SLF001

    def days(self) -> set[tuple[date, str]]:
        """Return the days and codes of units of which anything was added or taken away."""
        return {(place[0], place[2]) for place, _, _ in self._entries}

    def rows(self) -> list[tuple[Any, ...]]:
        """Return for each different thing a cell's key, the occasion, what counts there, and how often, as one row."""
        return [(*place, occasion, marks, times) for (place, occasion, marks), times in self._entries.items() if times]

    def fees(self) -> list[tuple[Any, ...]]:
        """Return for each place, procedure with a fee, and whether somebody paid online, how often, as one row."""
        return [(*place, procedure, paid, times) for (place, procedure, paid), times in self._fees.items() if times]

    def tally(self) -> dict[Occasion, dict[Cell, tuple[int, ...]]]:
        """Return the counts by occasion and cell."""
        tally: dict[Occasion, dict[Cell, tuple[int, ...]]] = {occasion: {} for occasion in MEASURES_OF}
        for (place, occasion, marks), times in self._entries.items():
            if times:
                cells, cell = tally[occasion], Cell(*place)
                counts = tuple(times * n for n in vector(occasion, marks))
                so_far = cells.get(cell)
                cells[cell] = counts if so_far is None else tuple(map(add, so_far, counts))
        return {
            occasion: {cell: counts for cell, counts in cells.items() if any(counts)}
            for occasion, cells in tally.items()
        }


_Key = TypeVar("_Key")


def _include(sums: dict[_Key, int], others: Mapping[_Key, int]) -> None:
    for key, times in others.items():
        sums[key] = sums.get(key, 0) + times
