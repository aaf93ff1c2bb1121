"""Units of the past are folded into those that stand for them today, and none is counted twice."""

from collections import Counter
from datetime import date

import pytest

from services.cli import reference
from services.contract import Unit
from services.metrics.domain import boundaries

BEFORE, NOW = date(2004, 1, 1), date(2025, 7, 1)


def test_a_reused_code_is_two_units_and_the_old_one_is_carried_on_by_the_new() -> None:
    found = boundaries.successors(reference.units("20"))

    assert found["05977", BEFORE] == ("05977", NOW)
    assert found["05980", BEFORE] == ("05977", NOW)
    assert found["05977", NOW] == ("05977", NOW)


@pytest.mark.parametrize(("province", "communes"), [("20", 65), ("19", 92)])
def test_every_commune_of_the_past_is_carried_on_by_exactly_one_of_today(province: str, communes: int) -> None:
    units = reference.units(province)
    kinds = {(unit.code, unit.valid_from): unit for unit in units}

    found = boundaries.successors(units)
    ends = Counter(found[version] for version, unit in kinds.items() if unit.kind == "commune")

    assert len(ends) == communes
    assert all(kinds[end].valid_to is None for end in ends)


def test_a_split_unit_is_carried_on_by_the_successor_it_names_first() -> None:
    def unit(code: str, first: date, last: date | None = None, successors: tuple[str, ...] = ()) -> Unit:
        return Unit(code=code, name=code, kind="commune", valid_from=first, valid_to=last, successors=successors)

    split = unit("A", BEFORE, date(2025, 6, 30), ("B", "C"))

    found = boundaries.successors([split, unit("B", NOW), unit("C", NOW)])

    assert found["A", BEFORE] == ("B", NOW)


def test_a_successor_that_is_not_known_leaves_the_unit_as_it_is() -> None:
    orphan = Unit(
        code="A", name="A", kind="commune", valid_from=BEFORE, valid_to=date(2025, 6, 30), successors=("nowhere",)
    )

    assert boundaries.successors([orphan]) == {("A", BEFORE): ("A", BEFORE)}


def test_a_successors_code_means_what_it_meant_on_the_day_after() -> None:
    former = Unit(code="A", name="A", kind="commune", valid_from=BEFORE, valid_to=date(2025, 6, 30), successors=("B",))
    # Code order puts the meaning that B once had, and has no more, before the one that took A in.
    others = [
        Unit(code="B", name="B once", kind="commune", valid_from=date(1999, 1, 1), valid_to=date(2003, 12, 31)),
        Unit(code="B", name="B", kind="commune", valid_from=NOW),
    ]

    found = boundaries.successors([former, *others])

    assert found["A", BEFORE] == ("B", NOW)
