"""Versions of a code never overlap, mergers and splits are told twice alike, and only what judges is judged anew."""

from datetime import date
from typing import Any

import pytest

from services.cli import reference
from services.cli.reference import PROVINCES
from services.contract import CalendarDay, Procedure, Unit
from services.dossier.domain import revision
from services.dossier.domain.revision import Change, Reach


def unit(code: str, valid_from: str, valid_to: str | None = None, **more: Any) -> Unit:  # noqa: ANN401 - fields of Unit
    return Unit.model_validate(
        {"code": code, "name": "X", "kind": "commune", "valid_from": valid_from, "valid_to": valid_to, **more}
    )


def day(on_day: str, *, working: bool = False, name: str = "Nghỉ") -> CalendarDay:
    return CalendarDay(on_day=date.fromisoformat(on_day), working=working, name=name)


def _faults(stored: list[Unit], uploaded: list[Unit]) -> list[tuple[int, str]]:
    return [(fault.index, fault.detail) for fault in revision.revised(stored, uploaded).faults]


def _warnings(stored: list[Unit], uploaded: list[Unit]) -> list[tuple[str, str]]:
    return [(warning.key, warning.detail) for warning in revision.warnings(stored, uploaded)]


def test_changes_are_in_the_order_of_codes_and_days_however_they_are_uploaded() -> None:
    uploaded = [unit("B", "2025-07-01"), unit("A", "2025-07-01"), unit("A", "2004-01-01", "2025-06-30")]

    made = revision.revised([unit("B", "2025-07-01", name="Y"), unit("A", "2025-07-01")], uploaded)

    assert [(revision.key(change.after), change.before is None) for change in made.changes] == [
        ("A@2004-01-01", True),
        ("B@2025-07-01", False),
    ]


# --- Overlaps ---------------------------------------------------------------------------------------------------------


def test_a_version_that_begins_while_a_stored_one_has_no_end_is_a_fault_that_says_which_one_to_close() -> None:
    ((index, detail),) = _faults([unit("A", "2004-01-01")], [unit("B", "2025-07-01"), unit("A", "2025-07-01")])

    assert index == 1
    assert detail.startswith("A@2025-07-01 overlaps A@2004-01-01, which has no end")
    assert "close A@2004-01-01" in detail
    assert detail.endswith("valid_to 2025-06-30")


def test_the_earlier_version_may_be_closed_in_the_same_upload() -> None:
    uploaded = [unit("A", "2025-07-01"), unit("A", "2004-01-01", "2025-06-30")]

    assert _faults([unit("A", "2004-01-01")], uploaded) == []


def test_one_common_day_is_an_overlap() -> None:
    ((_, detail),) = _faults([], [unit("A", "2004-01-01", "2025-07-01"), unit("A", "2025-07-01")])

    assert "which ends on 2025-07-01" in detail


def test_versions_of_different_codes_may_be_in_force_together() -> None:
    assert _faults([unit("A", "2004-01-01")], [unit("B", "2004-01-01")]) == []


def test_a_version_put_before_a_stored_one_is_the_one_to_close() -> None:
    ((index, detail),) = _faults([unit("A", "2025-07-01")], [unit("A", "2004-01-01")])

    assert index == 0
    assert "close A@2004-01-01" in detail


def test_a_long_version_overlaps_each_that_begins_within_it() -> None:
    uploaded = [unit("A", "2004-01-01", "2030-12-31"), unit("A", "2010-01-01", "2010-12-31"), unit("A", "2020-01-01")]

    assert [index for index, _ in _faults([], uploaded)] == [1, 2]


def test_an_overlap_that_is_stored_already_does_not_forbid_to_put_the_same_again() -> None:
    stored = [unit("A", "2004-01-01"), unit("A", "2025-07-01")]

    assert _faults(stored, stored) == []


# --- Predecessors and successors --------------------------------------------------------------------------------------


def test_a_merger_that_both_sides_tell_alike_gives_no_warning() -> None:
    former = [unit(code, "2004-01-01", "2025-06-30", successors=["B"]) for code in ("A", "B")]
    later = unit("B", "2025-07-01", predecessors=["A", "B"])

    assert _warnings([], [*former, later]) == []
    assert _warnings(former, [later]) == []


def test_a_predecessor_that_is_no_unit_on_the_day_before_gives_a_warning() -> None:
    assert _warnings([unit("A", "2004-01-01", "2025-06-29")], [unit("B", "2025-07-01", predecessors=["A"])]) == [
        ("B@2025-07-01", "its predecessor A is no unit on 2025-06-30")
    ]


def test_a_predecessor_that_goes_on_gives_a_warning() -> None:
    assert _warnings([unit("A", "2004-01-01")], [unit("B", "2025-07-01", predecessors=["A"])]) == [
        ("B@2025-07-01", "its predecessor A does not end on 2025-06-30")
    ]


def test_a_predecessor_that_does_not_know_of_it_gives_a_warning_whichever_side_is_uploaded() -> None:
    former, later = unit("A", "2004-01-01", "2025-06-30"), unit("B", "2025-07-01", predecessors=["A"])
    told = [("B@2025-07-01", "its predecessor A does not name B as a successor")]

    assert _warnings([former], [later]) == told
    assert _warnings([later], [former]) == told


def test_a_successor_that_is_no_unit_or_begins_otherwise_or_does_not_know_of_it_gives_a_warning() -> None:
    former = unit("A", "2004-01-01", "2025-06-30", successors=["B", "C", "D"])
    others = [unit("C", "2020-01-01"), unit("D", "2025-07-01")]

    assert _warnings(others, [former]) == [
        ("A@2004-01-01", "its successor B is no unit on 2025-07-01"),
        ("A@2004-01-01", "its successor C does not begin on 2025-07-01"),
        ("A@2004-01-01", "its successor D does not name A as a predecessor"),
    ]


def test_successors_of_a_unit_without_an_end_give_a_warning() -> None:
    assert _warnings([], [unit("A", "2004-01-01", successors=["A"])]) == [
        ("A@2004-01-01", "A@2004-01-01 names successors and has no end")
    ]


def test_what_is_wrong_with_other_units_is_not_told_again() -> None:
    assert _warnings([unit("B", "2025-07-01", predecessors=["A"])], [unit("C", "2025-07-01")]) == []


@pytest.mark.parametrize("province", PROVINCES)
def test_the_real_units_fit_together(province: str) -> None:
    units = reference.units(province)

    assert (revision.revised([], units).faults, list(revision.warnings([], units))) == ([], [])


def test_the_real_procedures_fit_together() -> None:
    assert revision.revised([], reference.procedures()).faults == []


# --- What is judged anew ----------------------------------------------------------------------------------------------


def _reach(before: Any, after: Any) -> Reach | None:  # noqa: ANN401 - any two of a kind
    return revision.reach([Change(before, after)])


def test_a_change_of_names_alone_concerns_no_dossier() -> None:
    procedure = reference.procedures()[0]
    field = procedure.field.model_copy(update={"name": "Y"})

    assert _reach(unit("A", "2025-07-01"), unit("A", "2025-07-01", name="Y")) is None
    assert _reach(day("2026-11-24"), day("2026-11-24", name="Ngày Văn hóa")) is None
    assert _reach(procedure, procedure.model_copy(update={"name": "Y", "field": field, "official": False})) is None


@pytest.mark.parametrize(
    "change",
    [
        {"limit": None},
        {"mountain_extra_days": 3},
        {"fee_required": True},
        {"online_level": "none"},
        {"restarts_after_supplement": True},
        {"valid_to": date(2030, 12, 31)},
    ],
    ids=str,
)
def test_whatever_a_dossier_is_judged_by_concerns_the_procedures_dossiers(change: dict[str, Any]) -> None:
    procedure = next(each for each in reference.procedures() if each.code == "2.000908")

    assert _reach(procedure, procedure.model_copy(update=change)) == Reach(procedures=frozenset({"2.000908"}))


def test_changed_days_concern_what_was_reckoned_across_them() -> None:
    made = [Change(None, day("2026-12-31")), Change(day("2026-11-24"), day("2026-11-24", working=True))]

    assert revision.reach(made) == Reach(first_day=date(2026, 11, 24), last_day=date(2026, 12, 31))


def test_a_unit_is_concerned_by_its_code_in_whatever_version() -> None:
    procedure: list[Change[Procedure]] = []

    assert _reach(None, unit("A", "2025-07-01")) == Reach(units=frozenset({"A"}))
    assert revision.reach(procedure) is None
