"""What a dossier counts for, and on which days."""

from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract import Standing
from services.metrics.domain import tally, vectors
from services.metrics.domain.vectors import NAMES, Cut
from tests.metrics.standings import SINCE, drawn, resolved, standing

RECEIVED = {"received": 1, "received_online": 1}


def day(number: int) -> date:
    """Return a day of October 2026."""
    return date(2026, 10, number)


def counts(found: Standing, cut: Cut) -> dict[str, int]:
    """Return the counts other than zero that the dossier counts for."""
    told = vectors.of_dossier(tally.counted(found), cut)
    return {name: count for name, count in zip(NAMES, told, strict=True) if count}


def days(found: Standing, name: str) -> list[int]:
    """Return the days of October on which, or at whose end, the dossier counts."""
    return [n for n in range(1, 32) if counts(found, Cut(day(n), day(n), running=False)).get(name)]


_OCTOBER = Cut(day(1), day(31), running=False)


def flows(found: Standing) -> dict[str, int]:
    """Return what the dossier counts for in October, but for its stocks."""
    stocks = {"carried_over", "awaiting_supplement", *(name for name in NAMES if name.startswith("pending"))}
    return {name: count for name, count in counts(found, _OCTOBER).items() if name not in stocks}


# --- Receipt and payments ---------------------------------------------------------------------------------------------


def test_a_pending_dossier_counts_as_received_on_its_day_alone() -> None:
    assert days(standing(), "received") == days(standing(), "received_online") == [5]
    assert days(standing(), "received_counter") == days(standing(), "received_postal") == []


def test_a_dossier_without_a_receipt_counts_for_nothing() -> None:
    unreceived = standing(status="unreceived", received_at=None, channel=None, ended_at="09 10:00")

    assert counts(unreceived, _OCTOBER) == {}


def test_a_voided_dossier_counts_for_nothing() -> None:
    assert counts(standing(status="voided", ended_at="09 10:00", rated_on=day(9), score=5), _OCTOBER) == {}


def test_a_payment_counts_on_the_day_of_receipt_and_for_the_fee_only_where_one_is_due() -> None:
    received_day = Cut(day(5), day(5), running=False)
    paid = standing(due_at=None, fee_due=True, payments=3, payments_online=2)
    free = standing(due_at=None, fee_due=False, payments=1, payments_online=1)
    in_cash = standing(due_at=None, fee_due=True, payments=1)

    open_now = {**RECEIVED, "pending": 1, "pending_without_due": 1}
    assert counts(paid, received_day) == {
        **open_now, "fee_due": 1, "paid_online": 1, "payments": 3, "payments_online": 2,
    }  # fmt: skip
    assert counts(free, received_day) == {**open_now, "payments": 1, "payments_online": 1}
    assert counts(in_cash, received_day) == {**open_now, "fee_due": 1, "payments": 1}


def test_every_number_of_payments_that_a_dossier_can_have_is_counted() -> None:
    found = flows(standing(payments=300, payments_online=299))

    assert (found["payments"], found["payments_online"]) == (300, 299)


# --- Units ------------------------------------------------------------------------------------------------------------


def _counts_for(found: Standing) -> set[tuple[str, str]]:
    """Return the roles and units in which a dossier counts; a unit that does both does each."""
    return {
        (role, unit)
        for part, unit, _ in tally.units(tally.counted(found))
        for role in ("resolving", "receiving")
        if part in {role, "both"}
    }


def test_a_dossier_counts_for_the_unit_that_decides_it_and_for_the_one_that_took_it_in() -> None:
    assert _counts_for(standing()) == {("resolving", "05977"), ("receiving", "05977")}
    assert _counts_for(standing(resolving_unit="LS-STP")) == {("resolving", "LS-STP"), ("receiving", "05977")}


def test_a_unit_whose_version_is_not_known_counts_nothing_and_hides_the_dossier_from_no_other() -> None:
    unknown_decides = standing(resolving_unit="99999", resolving_unit_since=None)
    unknown_takes_in = standing(receiving_unit="99999", receiving_unit_since=None)

    assert _counts_for(unknown_decides) == {("receiving", "05977")}
    assert _counts_for(unknown_takes_in) == {("resolving", "05977")}


def test_one_code_in_two_versions_is_two_units() -> None:
    once = date(2004, 1, 1)

    found = tally.units(tally.counted(standing(receiving_unit_since=once)))

    assert sorted(found) == [("receiving", "05977", once), ("resolving", "05977", SINCE)]


# --- The end, by day and by instant -----------------------------------------------------------------------------------

_TIMINGS = ("early", "on_time", "late", "without_due")


@pytest.mark.parametrize(
    ("ended_at", "due_at", "timing"),
    [
        pytest.param("08 23:59", "09 00:00", "early", id="the-day-before"),
        pytest.param("09 08:00", "09 17:00", "on_time", id="the-due-day"),
        pytest.param("09 23:59", "09 17:00", "on_time", id="the-due-day-after-the-hour"),
        pytest.param("10 00:00", "09 17:00", "late", id="the-day-after"),
        pytest.param("12 08:00", None, "without_due", id="no-due-date"),
    ],
)
@pytest.mark.parametrize("status", ["resolved", "withdrawn", "stopped", "declined"])
def test_days_decide_between_early_on_time_and_late_however_it_ended(
    ended_at: str, due_at: str | None, timing: str, status: str
) -> None:
    found = flows(standing(status=status, ended_at=ended_at, due_at=due_at))

    assert found[status] == 1
    assert {name for name in _TIMINGS if f"ended_{name}" in found} == {timing}
    assert {name for name in _TIMINGS if f"resolved_{name}" in found} == ({timing} if status == "resolved" else set())


@pytest.mark.parametrize(
    ("ended_at", "due_at", "in_time"),
    [
        pytest.param("09 17:00", "09 17:00", True, id="at-the-instant"),
        pytest.param("09 17:00:01", "09 17:00", False, id="a-second-later-on-the-due-day"),
        pytest.param("08 10:00", "09 17:00", True, id="before"),
        pytest.param("08 10:00", None, False, id="no-due-date"),
    ],
)
@pytest.mark.parametrize("status", ["resolved", "withdrawn", "stopped", "declined"])
def test_instants_decide_what_ended_in_time(
    ended_at: str,
    due_at: str | None,
    in_time: bool,  # noqa: FBT001 - a parameter of the test
    status: str,
) -> None:
    found = flows(standing(status=status, ended_at=ended_at, due_at=due_at))

    assert ("ended_in_time" in found) is in_time


def test_a_dossier_without_a_due_date_is_not_counted_as_on_time() -> None:
    """In OpenCPS it is."""
    found = flows(resolved("09 10:00", due_at=None))

    assert found == {
        **RECEIVED, "resolved": 1, "resolved_without_due": 1, "ended_without_due": 1, "full_online": 1,
        "electronic_result": 1,
    }  # fmt: skip


def test_a_dossier_that_ended_otherwise_is_not_resolved() -> None:
    withdrawn = standing(status="withdrawn", ended_at="08 10:00", result="electronic", digitised=True, reused_data=True)

    assert flows(withdrawn) == {**RECEIVED, "withdrawn": 1, "ended_early": 1, "ended_in_time": 1}


def test_an_outcome_is_counted_on_its_own_day_and_not_on_that_of_the_receipt() -> None:
    """OpenCPS took Saturday's results from the day of receipt."""
    received_on_saturday = resolved("12 10:00", received_at="10 09:00", due_at="12 17:00")
    resolved_on_saturday = resolved("10 10:00", received_at="09 09:00", due_at="10 17:00")

    assert days(received_on_saturday, "received") == [10]
    assert days(received_on_saturday, "resolved") == days(received_on_saturday, "resolved_on_time") == [12]
    assert days(resolved_on_saturday, "resolved") == days(resolved_on_saturday, "resolved_on_time") == [10]


def test_an_outcome_before_the_receipt_counts_on_the_day_of_the_receipt_and_is_timed_by_its_own() -> None:
    """Otherwise the dossier would be open before it came, and the stocks of a day below zero."""
    before = resolved("02 10:00", due_at="02 17:00")

    assert days(before, "resolved_on_time") == days(before, "ended_in_time") == [5]
    assert days(before, "pending") == days(before, "carried_over") == []


@pytest.mark.parametrize(
    ("ended_at", "extended_due_at", "expected"),
    [
        pytest.param("08 10:00", None, {"within_extension"}, id="early"),
        pytest.param("09 10:00", None, {"within_extension"}, id="on-the-due-day"),
        pytest.param("12 10:00", None, {"resolved_late"}, id="late"),
        pytest.param("12 10:00", "13 17:00", {"resolved_late", "late_with_apology", "within_extension"}, id="kept"),
        pytest.param("14 10:00", "13 17:00", {"resolved_late", "late_with_apology"}, id="not-kept"),
        pytest.param("08 10:00", "13 17:00", {"within_extension"}, id="early-although-extended"),
        pytest.param("09 10:00", "07 17:00", {"within_extension"}, id="extended-to-before-the-due-day"),
    ],
)
def test_an_extension_makes_nothing_timely_and_is_told_beside(
    ended_at: str, extended_due_at: str | None, expected: set[str]
) -> None:
    found = flows(resolved(ended_at, extended_due_at=extended_due_at))

    assert found.keys() & {"resolved_late", "late_with_apology", "within_extension"} == expected


def test_an_extension_of_what_was_never_due_is_within_nothing() -> None:
    assert "within_extension" not in flows(resolved("08 10:00", due_at=None, extended_due_at="13 17:00"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({"result": "electronic"}, {"electronic_result"}, id="electronic"),
        pytest.param({"result": "both"}, {"electronic_result"}, id="both"),
        pytest.param({"result": "paper"}, set(), id="paper"),
        pytest.param({"result": "none"}, set(), id="no-result-is-made"),
        pytest.param({"result": None}, set(), id="not-told"),
        pytest.param({"result": "paper", "reused_data": True}, {"reused_data"}, id="data-reused"),
        pytest.param({"result": "paper", "digitised": True}, {"digitised"}, id="digitised"),
    ],
)
def test_what_is_told_of_an_outcome_counts_at_the_end(more: dict[str, Any], expected: set[str]) -> None:
    found = resolved("09 10:00", **more)

    names = {"electronic_result", "reused_data", "digitised"}
    assert {name: days(found, name) for name in names} == {name: [9] if name in expected else [] for name in names}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, True, id="free-and-electronic"),
        pytest.param({"channel": "counter"}, False, id="submitted-at-the-counter"),
        pytest.param({"channel": "postal"}, False, id="submitted-by-post"),
        pytest.param({"fee_due": True}, False, id="fee-not-paid-on-the-platform"),
        pytest.param({"fee_due": True, "paid_on_platform": True}, True, id="fee-paid-on-the-platform"),
        pytest.param({"result": "both"}, True, id="paper-beside-electronic"),
        pytest.param({"result": "none"}, True, id="no-result-is-made"),
        pytest.param({"result": "paper"}, False, id="paper-alone"),
        pytest.param({"result": None}, False, id="result-not-told"),
        pytest.param({"in_person": True}, False, id="somebody-had-to-come"),
        pytest.param({"returned_channel": "counter"}, False, id="handed-over-at-the-counter"),
        pytest.param({"returned_channel": "postal"}, True, id="paper-copy-by-post"),
    ],
)
def test_full_online_asks_all_four_conditions(
    more: dict[str, Any],
    expected: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert days(resolved("09 10:00", **more), "full_online") == ([9] if expected else [])


def test_full_online_of_offered_counts_procedures_offered_so_alone() -> None:
    names = ("full_online", "offered_full_online", "full_online_of_offered")

    found = {
        (level, channel): [
            flows(resolved("09 10:00", online_level=level, channel=channel)).get(name, 0) for name in names
        ]
        for level in ("full", "partial", None)
        for channel in ("online", "counter")
    }

    assert found == {
        ("full", "online"): [1, 1, 1],
        ("full", "counter"): [0, 1, 0],
        ("partial", "online"): [1, 0, 0],
        ("partial", "counter"): [0, 0, 0],
        (None, "online"): [1, 0, 0],
        (None, "counter"): [0, 0, 0],
    }


@pytest.mark.parametrize(("score", "satisfied"), [(1, False), (3, False), (4, True), (5, True)])
def test_a_rating_of_four_or_five_is_satisfied_on_the_day_of_the_rating(
    score: int,
    satisfied: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    rated = resolved("09 10:00", score=score, rated_on=day(20))

    assert days(rated, "rated") == [20]
    assert days(rated, "satisfied") == ([20] if satisfied else [])


# --- Declined before the receipt --------------------------------------------------------------------------------------


def test_what_was_declined_before_its_receipt_counts_for_that_alone() -> None:
    declined = standing(status="declined", ended_at="05 08:00", fee_due=True, payments=1, rated_on=day(6), score=5)

    assert days(declined, "declined_before_receipt") == [5]
    assert counts(declined, _OCTOBER) == {"declined_before_receipt": 1}


@pytest.mark.parametrize("ended_at", ["05 08:30", "05 09:00"])
def test_what_was_declined_at_or_after_its_receipt_was_received(ended_at: str) -> None:
    declined = standing(status="declined", ended_at=ended_at)

    assert days(declined, "declined") == days(declined, "received") == [5]
    assert days(declined, "declined_before_receipt") == []


def test_only_a_refusal_before_the_receipt_undoes_it() -> None:
    assert days(standing(status="withdrawn", ended_at="05 08:00"), "received") == [5]


# --- Falling due and overdue ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "ended_at", "fell_due", "met"),
    [
        pytest.param("resolved", "08 10:00", True, True, id="resolved-before"),
        pytest.param("resolved", "09 23:00", True, True, id="resolved-on-the-day"),
        pytest.param("resolved", "12 10:00", True, False, id="resolved-after"),
        pytest.param("withdrawn", "08 10:00", False, False, id="withdrawn-before"),
        pytest.param("stopped", "09 10:00", False, False, id="stopped-on-the-day"),
        pytest.param("declined", "12 10:00", True, False, id="declined-after"),
        pytest.param("pending", None, True, False, id="open"),
    ],
)
def test_a_dossier_falls_due_unless_it_ended_otherwise_by_then(
    status: str,
    ended_at: str | None,
    fell_due: bool,  # noqa: FBT001 - a parameter of the test
    met: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    found = standing(status=status, ended_at=ended_at)

    assert days(found, "fell_due") == ([9] if fell_due else [])
    assert days(found, "fell_due_met") == ([9] if met else [])
    assert days(found, "overdue_by_fact") == ([9] if fell_due and not met else [])


@pytest.mark.parametrize("due_at", ["01 17:00", "04 17:00"])
def test_nothing_falls_due_or_is_overdue_before_it_came(due_at: str) -> None:
    due_before = standing(due_at=due_at)

    assert days(due_before, "fell_due") == [5]
    assert days(due_before, "pending_overdue") == list(range(5, 32))


def test_what_is_due_on_the_day_it_came_is_overdue_from_the_next() -> None:
    assert days(standing(due_at="05 17:00"), "pending_overdue") == list(range(6, 32))


def test_a_dossier_is_overdue_from_the_day_after_the_due_day_until_the_day_it_closes() -> None:
    assert days(standing(), "pending_overdue") == list(range(10, 32))
    assert days(standing(), "pending_within") == [5, 6, 7, 8, 9]
    assert days(resolved("14 10:00"), "pending_overdue") == [10, 11, 12, 13]
    assert days(standing(status="withdrawn", ended_at="14 10:00"), "pending_overdue") == [10, 11, 12, 13]


@pytest.mark.parametrize("ended_at", ["09 10:00", "10 10:00"])
def test_what_closes_on_the_first_day_after_the_due_day_was_overdue_at_the_end_of_none(ended_at: str) -> None:
    assert days(resolved(ended_at), "pending_overdue") == []


@pytest.mark.parametrize(("paused_at", "stands_still"), [("08 10:00", True), ("09 23:00", True), ("10 00:00", False)])
def test_the_due_day_of_a_paused_dossier_stands_still_unless_it_had_passed(
    paused_at: str,
    stands_still: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    paused = standing(paused_at=paused_at, pause_reason="other")

    assert days(paused, "fell_due") == ([] if stands_still else [9])
    assert days(paused, "pending_overdue") == ([] if stands_still else list(range(10, 32)))
    assert days(paused, "pending_within") == list(range(5, 32 if stands_still else 10))
    assert days(paused, "pending_without_due") == []


def test_what_has_no_due_date_is_open_without_one() -> None:
    without = standing(due_at=None)

    assert days(without, "pending_without_due") == days(without, "pending") == list(range(5, 32))
    assert days(without, "pending_within") == days(without, "pending_in_time") == days(without, "fell_due") == []


@pytest.mark.parametrize(
    ("ended_at", "recorded_at", "receipt_recorded_at", "by_data"),
    [
        pytest.param("08 10:00", "08 10:00", "05 08:30", False, id="told-at-once"),
        pytest.param("08 10:00", "09 23:59", "05 08:30", False, id="told-on-the-due-day"),
        pytest.param("08 10:00", "10 00:00", "05 08:30", True, id="told-the-day-after"),
        pytest.param("08 10:00", "12 10:00", "12 10:00", False, id="told-together-with-the-receipt"),
        pytest.param("08 10:00", "12 10:00", "12 09:59", True, id="told-after-the-receipt"),
        pytest.param("12 10:00", "14 10:00", "05 08:30", False, id="truly-late"),
    ],
)
def test_overdue_by_data_was_resolved_in_time_and_told_after_the_due_day(
    ended_at: str,
    recorded_at: str,
    receipt_recorded_at: str,
    by_data: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    told = resolved(ended_at, end_recorded_at=recorded_at, receipt_recorded_at=receipt_recorded_at)

    assert days(told, "overdue_by_data") == ([9] if by_data else [])


def test_what_ended_otherwise_is_not_overdue_by_data() -> None:
    withdrawn = standing(status="withdrawn", ended_at="08 10:00", end_recorded_at="12 10:00")

    assert days(withdrawn, "overdue_by_data") == []


# --- Awaiting the citizen ---------------------------------------------------------------------------------------------


def _asked(*spans: tuple[int, int | None], **more: Any) -> Standing:  # noqa: ANN401 - fields of Standing
    told = tuple(f"{day(first)}/{day(last) if last else ''}" for first, last in spans)
    return standing(**{"due_at": "29 17:00", "supplement_spans": told, **more})


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([(6, 8)], [6, 7], id="asked-and-completed"),
        pytest.param([(29, None)], [29, 30, 31], id="asked"),
        pytest.param([(6, 8), (12, 14)], [6, 7, 12, 13], id="asked-twice"),
        pytest.param([(6, 8), (8, 9)], [6, 7, 8], id="asked-again-at-once"),
        pytest.param([(6, 6)], [], id="completed-on-the-day"),
        pytest.param([(1, 7)], [5, 6], id="asked-before-it-came"),
        pytest.param([(1, 3)], [], id="completed-before-it-came"),
    ],
)
def test_a_dossier_awaits_the_citizen_from_the_request_until_the_day_it_was_completed(
    spans: list[tuple[int, int | None]], expected: list[int]
) -> None:
    assert days(_asked(*spans), "awaiting_supplement") == expected


@pytest.mark.parametrize("over", [None, 12])
def test_nothing_awaits_the_citizen_after_it_closed(over: int | None) -> None:
    asked = _asked((6, over), status="resolved", ended_at="10 10:00")
    too_late = _asked((12, over and 14), status="resolved", ended_at="10 10:00")

    assert days(asked, "awaiting_supplement") == [6, 7, 8, 9]
    assert days(too_late, "awaiting_supplement") == []


def _not_in_time(found: Standing) -> list[int]:
    """Return the days at whose end the dossier was open within its term and yet not in time."""
    return sorted(set(days(found, "pending_within")) - set(days(found, "pending_in_time")))


def test_what_the_citizen_is_asked_for_once_is_still_in_time() -> None:
    assert _not_in_time(_asked((6, 8))) == []


def test_what_the_citizen_is_asked_for_again_is_not_in_time_meanwhile() -> None:
    assert _not_in_time(_asked((6, 8), (12, 14), (20, 21))) == [12, 13, 20]
    assert _not_in_time(_asked((6, 10), (8, 10))) == [8, 9]


@pytest.mark.parametrize("first", [(6, 6), (1, 3)], ids=["met-on-the-day", "met-before-it-came"])
def test_the_first_request_is_the_first_however_soon_it_was_met(first: tuple[int, int]) -> None:
    assert _not_in_time(_asked(first, (12, 14))) == [12, 13]


def test_what_has_no_due_date_is_not_taken_from_the_timely() -> None:
    assert set(_in_time_of_each_day(_asked((6, 8), (12, 14), due_at=None))) == {0}


def _in_time_of_each_day(found: Standing) -> list[int]:
    place = NAMES.index("pending_in_time")
    one = tally.counted(found)
    return [vectors.of_dossier(one, Cut(day(n), day(n), running=False))[place] for n in range(1, 32)]


def test_what_is_overdue_and_asked_for_again_is_taken_from_the_timely_once() -> None:
    again = _asked((6, 8), (12, 15), due_at="12 17:00")

    assert days(again, "pending_overdue") == list(range(13, 32))
    assert _not_in_time(again) == [12]
    assert days(again, "pending_in_time") == list(range(5, 12))
    assert days(again, "awaiting_supplement") == [6, 7, 12, 13, 14]


# --- Any dossier ------------------------------------------------------------------------------------------------------


_standings = st.integers(0, 10**9).map(lambda seed: drawn(Random(seed), "H"))


@given(st.lists(_standings, max_size=6), st.integers(0, 6))
def test_a_sum_forgets_what_was_taken_away_again(found: list[Standing], taken: int) -> None:
    dossiers = [tally.counted(one) for one in found]
    sums, expected = tally.Sum(), tally.Sum()

    for one in dossiers:
        sums.add(one)
    for one in dossiers[:taken]:
        sums.add(one, -1)

    for one in dossiers[taken:]:
        expected.add(one)
    assert sums.tally() == expected.tally()


@given(_standings)
def test_a_dossier_counts_at_most_once_in_whatever_is_no_number_of_payments(found: Standing) -> None:
    told = counts(found, Cut(date(2026, 1, 1), date(2027, 12, 31), running=False))

    assert {count for name, count in told.items() if not name.startswith("payments")} <= {1}
