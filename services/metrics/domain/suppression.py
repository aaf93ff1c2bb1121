"""Who may not see a unit's dossiers learns from its counts nothing about so few of them that a person could be meant.

A count from 1 to k - 1 is hidden, and so is as much beside it that neither a total nor an identity gives it back.
Counts are hidden in blocks: within a block every count can be moved while all counts outside of it, and all identities,
stay as they are. So where a block is hidden in two rows, what is added in one may be taken off in the other, nothing
that is shown changes, and no hidden count can be calculated from it. Where a block is hidden in the total too, one row
is enough.

Subtracting the answers of overlapping periods from each other is beyond what one answer can prevent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Form = tuple[tuple[str, ...], tuple[str, ...]]
"""A number that follows from counts: the sum of the first names less the sum of the second."""

Counts = Mapping[str, int]
Shown = dict[str, int | None]

THRESHOLD = 5
"""Fewer than this many dossiers are not told apart from each other."""

IDENTITIES: tuple[Form, ...] = (
    (("received",), ("received_counter", "received_online", "received_postal")),
    (("received", "carried_over"), ("resolved", "withdrawn", "stopped", "declined", "pending")),
    (("resolved",), ("resolved_early", "resolved_on_time", "resolved_late", "resolved_without_due")),
    (
        ("resolved", "withdrawn", "stopped", "declined"),
        ("ended_early", "ended_on_time", "ended_late", "ended_without_due"),
    ),
    (("pending",), ("pending_within", "pending_overdue", "pending_without_due")),
    (("fell_due",), ("fell_due_met", "overdue_by_fact")),
)
"""What is zero for every unit and period; a reader knows it too."""


@dataclass(frozen=True, slots=True)
class Block:
    """Counts that are hidden together as soon as one of the `watched` numbers is small.

    What is left of a count without its part is watched likewise: 98 of 100 tells of the other two. The counts of
    `leans_on` move with the others; where each of the hidden rows has none of one, a reader knows that it cannot have
    moved.
    """

    hidden: tuple[str, ...]
    watched: tuple[Form, ...]
    leans_on: tuple[str, ...] = ()


def _block(
    *names: str, also: Iterable[str] = (), numbers: Iterable[Form] = (), leans_on: tuple[str, ...] = ()
) -> Block:
    return Block((*names, *also), (*(((name,), ()) for name in names), *numbers), leans_on)


_CHANNELS = _block(
    "received_counter",
    "received_online",
    "received_postal",
    numbers=[(("received",), ("received_online",))],
)
_ENDED = ("ended_early", "ended_on_time", "ended_late", "ended_without_due", "ended_in_time")
_CLASSES = _block(
    "resolved_early",
    "resolved_on_time",
    "resolved_late",
    "resolved_without_due",
    *_ENDED,
    "late_with_apology",
    "within_extension",
    numbers=[
        (("resolved",), ("resolved_without_due", "within_extension")),
        (("within_extension",), ("resolved_early", "resolved_on_time")),
        (("resolved_late",), ("late_with_apology",)),
        (
            ("ended_early", "ended_on_time", "ended_late", "pending_within", "pending_overdue"),
            ("ended_in_time", "pending_in_time"),
        ),
    ],
)
# All that ended otherwise is known from what came in, was resolved and is left. To move it takes what was carried over;
# that spares the numbers most looked at: received, resolved, on time, pending.
_OTHERWISE = _block(
    "withdrawn",
    "stopped",
    "declined",
    also=(*_ENDED, "carried_over"),
    numbers=[((f"ended_{of}",), (f"resolved_{of}",)) for of in ("early", "on_time", "late", "without_due")],
    leans_on=("carried_over",),
)
_PENDING = _block("pending_within", "pending_overdue", "pending_without_due", "pending_in_time")
_OPEN = _block("carried_over", "pending", also=_PENDING.hidden, leans_on=("carried_over", "pending"))
_FLOW = _block(
    "received",
    "resolved",
    also=(*_CHANNELS.hidden, *_CLASSES.hidden, *_OTHERWISE.hidden, *_OPEN.hidden),
)

BLOCKS: tuple[Block, ...] = (
    _CHANNELS,
    _CLASSES,
    _OTHERWISE,
    _PENDING,
    _OPEN,
    _FLOW,
    _block(
        "fee_due",
        "paid_online",
        numbers=[(("fee_due",), ("paid_online",)), (("received",), ("fee_due",))],
    ),
    _block("payments", "payments_online", numbers=[(("payments",), ("payments_online",))]),
    _block(
        "fell_due",
        "fell_due_met",
        "overdue_by_fact",
        "overdue_by_data",
        numbers=[(("fell_due_met",), ("overdue_by_data",))],
    ),
    _block("rated", "satisfied", numbers=[(("rated",), ("satisfied",))]),
    _block(
        "full_online",
        "offered_full_online",
        "full_online_of_offered",
        numbers=[
            (("resolved",), ("full_online",)),
            (("resolved",), ("offered_full_online",)),
            (("offered_full_online",), ("full_online_of_offered",)),
            (("full_online",), ("full_online_of_offered",)),
        ],
    ),
    _block("electronic_result", numbers=[(("resolved",), ("electronic_result",))]),
    _block("reused_data", numbers=[(("resolved",), ("reused_data",))]),
    _block("digitised", numbers=[(("resolved",), ("digitised",))]),
)


def suppressed(rows: Sequence[Counts], total: Counts | None, k: int = THRESHOLD) -> tuple[list[Shown], Shown | None]:
    """Return the rows and their total with None for what is hidden.

    Every row holds the same counts, all of which add up to `total`; a count in none of the blocks is a block of its
    own. None as `total` is a total that nobody gets to see.
    """
    shown: list[Shown] = [dict(row) for row in rows]
    shown_total: Shown | None = None if total is None else dict(total)
    names = {name for row in (*rows, *([] if total is None else [total])) for name in row}
    for block in _blocks(names):
        hidden, total_too = _hidden(block, rows, total, k)
        _hide(block, (shown[place] for place in hidden))
        if total_too and shown_total is not None:
            _hide(block, [shown_total])
    return shown, shown_total


def rate_is_shown(
    shown: Mapping[str, int | None], names: Iterable[str], numerator: int, denominator: int, k: int = THRESHOLD
) -> bool:
    """Tell whether a rate may be told beside the `shown` counts of its row; `names` are all counts it is made of."""
    small = range(1, k)
    return (
        all(shown[name] is not None for name in names)
        and numerator not in small
        and denominator - numerator not in small
    )


def _blocks(names: set[str]) -> Iterable[Block]:
    yield from BLOCKS
    for name in sorted(names.difference(*(block.hidden for block in BLOCKS))):
        yield _block(name)


def _hidden(block: Block, rows: Sequence[Counts], total: Counts | None, k: int) -> tuple[set[int], bool]:
    """Return the places of the rows in which the block is hidden, and whether it is in the total too."""
    hidden = {place for place, row in enumerate(rows) if _small(block, [row], k)}
    if total is None:
        return hidden, True
    # What the hidden rows count together follows from the total and the shown rows, so it must not be small either;
    # one row alone always is. The next smallest row joins them, which hides the least.
    while small := _small(block, [rows[place] for place in hidden], k):
        further = [
            (value, place) for place, row in enumerate(rows) if place not in hidden and (value := _value(small, row))
        ]
        if not further:
            return hidden, True
        hidden.add(min(further)[1])
    fixed = any(name in total and not any(rows[place][name] for place in hidden) for name in block.leans_on)
    return hidden, bool(hidden) and fixed


def _small(block: Block, rows: Sequence[Counts], k: int) -> Form | None:
    """Return the first watched number that is small in the sum of the rows."""
    return next((form for form in block.watched if 1 <= sum(_value(form, row) for row in rows) < k), None)


def _value(form: Form, row: Counts) -> int:
    added, taken_off = form
    if not all(name in row for name in (*added, *taken_off)):
        return 0
    return sum(row[name] for name in added) - sum(row[name] for name in taken_off)


def _hide(block: Block, rows: Iterable[Shown]) -> None:
    for row in rows:
        row.update(dict.fromkeys(row.keys() & set(block.hidden)))
