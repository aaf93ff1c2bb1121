"""What is shown of a table gives back no small count, neither by subtraction nor by an identity."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.domain import suppression
from services.metrics.domain.suppression import BLOCKS, IDENTITIES, Block, Form, rate_is_shown, suppressed

Equation = dict[tuple[int, str], Fraction]

_CLASSES = ("early", "on_time", "late", "without_due")
_SMALL = range(1, 5)


def total_of(rows: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def unit(**counts: int) -> dict[str, int]:
    """Return a row in which every identity holds: 200 received, 180 resolved on time, 20 pending, but for `counts`."""
    given_ = dict.fromkeys(
        ("resolved_early", "resolved_late", "resolved_without_due", "withdrawn", "stopped", "declined", "carried_over"),
        0,
    ) | {"resolved_on_time": 180, "pending_within": 20, "pending_overdue": 0, "pending_without_due": 0}
    given_ |= {"received_counter": 0, "received_postal": 0, "rated": 100, "satisfied": 80, "fee_due": 90}
    given_ |= {"paid_online": 60} | counts
    resolved = sum(given_[f"resolved_{of}"] for of in _CLASSES)
    otherwise = given_["withdrawn"] + given_["stopped"] + given_["declined"]
    pending = given_["pending_within"] + given_["pending_overdue"] + given_["pending_without_due"]
    received = resolved + otherwise + pending - given_["carried_over"]
    ended = {f"ended_{of}": given_[f"resolved_{of}"] for of in _CLASSES}
    ended["ended_on_time"] += otherwise
    online = received - given_["received_counter"] - given_["received_postal"]
    return {
        "received": received,
        "resolved": resolved,
        "pending": pending,
        "received_online": online,
        **ended,
        **given_,
    }


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, int]]:
    number = st.sampled_from((0, 0, 0, 1, 2, 3, 4, 5, 6, 9, 40, 1000))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        parts = {f"resolved_{of}": draw(number) for of in _CLASSES}
        otherwise = {name: draw(number) for name in ("withdrawn", "stopped", "declined")}
        pending = {f"pending_{of}": draw(number) for of in ("within", "overdue", "without_due")}
        ended = {f"ended_{of}": parts[f"resolved_{of}"] for of in _CLASSES}
        ended[draw(st.sampled_from(sorted(ended)))] += sum(otherwise.values())
        out = sum(parts.values()) + sum(otherwise.values()) + sum(pending.values())
        received = out - min(out, draw(number))
        counter = min(received, draw(number))
        postal = min(received - counter, draw(number))
        met, missed, rated = draw(number), draw(number), draw(number)
        rows.append(
            {
                **parts,
                **otherwise,
                **pending,
                **ended,
                "received": received,
                "carried_over": out - received,
                "received_counter": counter,
                "received_postal": postal,
                "received_online": received - counter - postal,
                "resolved": sum(parts.values()),
                "pending": sum(pending.values()),
                "fell_due": met + missed,
                "fell_due_met": met,
                "overdue_by_fact": missed,
                "rated": rated,
                "satisfied": min(rated, draw(number)),
                "full_online": min(sum(parts.values()), draw(number)),
                "awaiting_supplement": draw(number),
            }
        )
    return rows


class Knowledge:
    """Everything a reader can calculate about the hidden counts, as equations in which each begins with its own."""

    def __init__(self, shown: Sequence[dict[str, int | None]]) -> None:
        # The total is the last of `shown`; it is what the others sum to.
        self._hidden = {(place, name) for place, row in enumerate(shown) for name in row if row[name] is None}
        self._solved: dict[tuple[int, str], Equation] = {}
        last = len(shown) - 1
        for place in range(len(shown)):
            for added, taken_off in IDENTITIES:
                self._learn(self._part(place, (added, taken_off)))
        for name in shown[0]:
            equation = {(place, name): Fraction(1 if place < last else -1) for place in range(len(shown))}
            self._learn({cell: factor for cell, factor in equation.items() if cell in self._hidden})

    def gives(self, place: int, form: Form) -> bool:
        return not self._reduced(self._part(place, form))

    def _part(self, place: int, form: Form) -> Equation:
        added, taken_off = form
        signs = {(place, name): Fraction(1) for name in added} | {(place, name): Fraction(-1) for name in taken_off}
        return {cell: sign for cell, sign in signs.items() if cell in self._hidden}

    def _reduced(self, equation: Equation) -> Equation:
        equation = dict(equation)
        while solvable := [cell for cell in equation if cell in self._solved]:
            factor = equation[solvable[0]]
            for cell, other in self._solved[solvable[0]].items():
                equation[cell] = equation.get(cell, Fraction(0)) - factor * other
                if equation[cell] == 0:
                    del equation[cell]
        return equation

    def _learn(self, equation: Equation) -> None:
        equation = self._reduced(equation)
        if not equation:
            return
        first = next(iter(equation))
        new = {cell: factor / equation[first] for cell, factor in equation.items()}
        self._solved[first] = new
        for cell, known in list(self._solved.items()):
            if cell != first and first in known:
                del self._solved[cell]
                self._solved[cell] = self._reduced(known)


@given(tables())
@settings(max_examples=150, deadline=None)
def test_no_hidden_count_and_no_small_number_can_be_calculated_from_what_is_shown(rows: list[dict[str, int]]) -> None:
    everything = [*rows, total_of(rows)]

    shown, shown_total = suppressed(rows, everything[-1])

    assert shown_total is not None
    told = [*shown, shown_total]
    knowledge = Knowledge(told)
    for place, (true, row) in enumerate(zip(everything, told, strict=True)):
        for name, value in row.items():
            assert value in {None, true[name]}
            assert value not in _SMALL
            if value is None:
                assert not knowledge.gives(place, ((name,), ()))
        for block in BLOCKS:
            for added, taken_off in block.watched:
                if {*added, *taken_off} <= true.keys() and _value(true, (added, taken_off)) in _SMALL:
                    assert not knowledge.gives(place, (added, taken_off))


def _value(row: dict[str, int], form: Form) -> int:
    return sum(row[name] for name in form[0]) - sum(row[name] for name in form[1])


def test_the_readers_calculation_finds_what_can_be_found() -> None:
    rows = [unit(declined=3), unit(declined=8)]
    declined_hidden: list[dict[str, int | None]] = [{**row, "declined": None} for row in (*rows, total_of(rows))]

    knowledge = Knowledge(declined_hidden)

    assert knowledge.gives(0, (("declined",), ()))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.hidden[0])
def test_every_count_of_a_block_can_move_while_all_outside_of_it_stands_still(block: Block) -> None:
    names = {name for identity in IDENTITIES for side in identity for name in side} | set(block.hidden)
    names |= {name for form in block.watched for side in form for name in side}

    # The total is hidden altogether, so it tells nothing, as a second row that is hidden would.
    row: dict[str, int | None] = {name: None if name in block.hidden else 0 for name in sorted(names)}
    knowledge = Knowledge([row, dict.fromkeys(names)])

    for form in (*block.watched, *(((name,), ()) for name in block.hidden)):
        assert not knowledge.gives(0, form)


def test_what_is_large_everywhere_is_shown_as_it_is() -> None:
    rows = [unit(), unit(resolved_early=40)]

    shown, total = suppressed(rows, total_of(rows))

    assert shown == rows
    assert total == total_of(rows)


def test_zero_is_shown() -> None:
    shown, _ = suppressed([{"declined_before_receipt": 0}, {"declined_before_receipt": 7}], None)

    assert [row["declined_before_receipt"] for row in shown] == [0, 7]


def test_a_single_hidden_count_takes_the_next_smallest_with_it() -> None:
    rows = [{"awaiting_supplement": count} for count in (900, 3, 20, 0)]

    shown, total = suppressed(rows, total_of(rows))

    assert [row["awaiting_supplement"] for row in shown] == [900, None, None, 0]
    assert total == {"awaiting_supplement": 923}


def test_hidden_counts_that_are_few_together_take_another_with_them() -> None:
    rows = [{"awaiting_supplement": count} for count in (900, 1, 1)]

    shown, _ = suppressed(rows, total_of(rows))

    assert [row["awaiting_supplement"] for row in shown] == [None, None, None]


def test_of_one_row_the_total_is_hidden_likewise() -> None:
    rows = [{"awaiting_supplement": 3}]

    shown, total = suppressed(rows, {"awaiting_supplement": 3})

    assert shown == [{"awaiting_supplement": None}]
    assert total == {"awaiting_supplement": None}


def test_few_late_hide_the_other_classes_from_which_they_would_follow_and_nothing_else() -> None:
    rows = [unit(resolved_late=2), unit(resolved_late=30), unit(resolved_late=50)]

    shown, _ = suppressed(rows, total_of(rows))

    assert [row["resolved_late"] for row in shown] == [None, None, 50]
    assert shown[0]["resolved_on_time"] is None
    assert shown[0]["ended_late"] is None
    assert shown[0]["resolved"] == 182
    assert shown[0]["received"] == 202


def test_few_declined_hide_what_would_give_them_back_but_not_what_was_resolved() -> None:
    rows = [unit(declined=3, carried_over=9), unit(declined=8, carried_over=9)]

    shown, total = suppressed(rows, total_of(rows))

    assert shown[0]["declined"] is None
    assert shown[0]["carried_over"] is None
    assert shown[0]["resolved"] == 180
    assert shown[0]["resolved_on_time"] == 180
    assert total is not None
    assert total["declined"] == 11


def test_where_nothing_was_carried_over_anywhere_the_total_is_hidden_too() -> None:
    rows = [unit(declined=3), unit(declined=8)]

    _, total = suppressed(rows, total_of(rows))

    # Otherwise 0 carried over in all would mean 0 in each, and 3 = received - resolved - pending.
    assert total is not None
    assert total["declined"] is None
    assert total["carried_over"] is None


def test_98_of_100_tells_of_the_other_two_and_is_hidden() -> None:
    rows = [unit(satisfied=98), unit(satisfied=70)]

    shown, _ = suppressed(rows, total_of(rows))

    assert shown[0]["satisfied"] is None
    assert shown[0]["rated"] is None
    assert shown[1]["satisfied"] is None


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ("received", "fee_due"),
        ("fee_due", "paid_online"),
        ("resolved", "offered_full_online"),
        ("full_online", "full_online_of_offered"),
        ("resolved_late", "late_with_apology"),
        ("ended_late", "resolved_late"),
        ("fell_due_met", "overdue_by_data"),
    ],
)
def test_what_is_left_of_a_count_without_its_part_is_hidden_if_it_is_small(whole: str, part: str) -> None:
    few, many = {whole: 50, part: 48}, {whole: 50, part: 30}

    shown, _ = suppressed([few, many], None)

    assert None in shown[0].values()
    assert shown[1] == many


def test_the_threshold_is_an_argument() -> None:
    rows = [{"awaiting_supplement": count} for count in (9, 9)]

    assert suppressed(rows, total_of(rows), k=10)[0] == [{"awaiting_supplement": None}] * 2
    assert suppressed(rows, total_of(rows), k=9)[0] == rows


@pytest.mark.parametrize(
    ("hits", "of", "told"),
    [
        pytest.param(50, 100, True, id="large"),
        pytest.param(0, 100, True, id="none"),
        pytest.param(100, 100, True, id="all"),
        pytest.param(4, 100, False, id="few-hits"),
        pytest.param(96, 100, False, id="few-others"),
        pytest.param(5, 10, True, id="just-enough"),
    ],
)
def test_a_rate_of_few_or_of_all_but_few_is_not_told(hits: int, of: int, *, told: bool) -> None:
    assert rate_is_shown({"hits": hits, "of": of}, ("hits", "of"), hits, of) is told


def test_a_rate_of_a_hidden_count_is_not_told() -> None:
    assert not rate_is_shown({"hits": 50, "of": None}, ("hits", "of"), 50, 100)


def test_a_count_of_no_block_is_a_block_of_its_own() -> None:
    rows = [{"declined_before_receipt": 2, "received": 500}, {"declined_before_receipt": 60, "received": 700}]

    shown, _ = suppressed(rows, total_of(rows))

    assert shown == [
        {"declined_before_receipt": None, "received": 500},
        {"declined_before_receipt": None, "received": 700},
    ]
    assert suppression.THRESHOLD == 5
