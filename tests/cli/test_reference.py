"""The reference data that every fresh system starts from is complete, consistent and honest about what is official."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise

import holidays
import pytest

from services.cli import reference
from services.contract import Procedure, Unit

PROVINCES = ("19", "20")
MERGER = date(2025, 7, 1)
TODAY = date(2026, 10, 1)

# Official decisions that the holidays package does not know: the swap of 2 January 2026 for Saturday 10 January 2026.
OVERRIDES = {date(2026, 1, 2): False, date(2026, 1, 10): True}

HEADERS = {
    "19/units.csv": "code,name,kind,class,valid_from,valid_to,predecessors,successors",
    "20/units.csv": "code,name,kind,class,valid_from,valid_to,predecessors,successors",
    "procedures.csv": (
        "code,name,field_code,field_name,limit_amount,limit_unit,limits_by_channel,mountain_extra_days,"
        "fee_required,online_level,valid_from,valid_to,official"
    ),
    "calendar.csv": "on_day,working,name,official",
    "traffic.csv": "procedure,level,departments,weight,fee",
}


def in_force(versions: Iterable[Unit], on: date) -> list[Unit]:
    return [unit for unit in versions if unit.valid_from <= on and (unit.valid_to is None or on <= unit.valid_to)]


def kinds(units: Iterable[Unit]) -> Counter[str]:
    return Counter(unit.kind for unit in units)


def overlapping(versions: Sequence[Unit] | Sequence[Procedure]) -> list[str]:
    by_code = defaultdict(list)
    for version in versions:
        by_code[version.code].append((version.valid_from, version.valid_to or date.max))
    return [
        code
        for code, spans in by_code.items()
        if any(earlier_to >= later_from for (_, earlier_to), (later_from, _) in pairwise(sorted(spans)))
    ]


def year(number: int) -> list[date]:
    days = (date(number + 1, 1, 1) - date(number, 1, 1)).days
    return [date(number, 1, 1) + timedelta(days=offset) for offset in range(days)]


@pytest.mark.parametrize(("name", "header"), HEADERS.items())
def test_a_file_opens_with_the_agreed_header_and_every_row_has_as_many_cells(name: str, header: str) -> None:
    rows = list(csv.reader(io.StringIO(reference.csv_text(name)), strict=True))

    assert ",".join(rows[0]) == header
    assert {len(row) for row in rows} == {len(rows[0])}


# --- Units ------------------------------------------------------------------------------------------------------------


def test_lang_son_has_65_communes_and_14_departments_today() -> None:
    today = kinds(in_force(reference.units("20"), TODAY))

    assert today == {"commune": 65, "department": 14, "province": 1}


def test_thai_nguyen_has_92_communes_and_14_departments_today() -> None:
    today = kinds(in_force(reference.units("19"), TODAY))

    assert today == {"commune": 92, "department": 14, "province": 1}


@pytest.mark.parametrize(("province", "communes"), [("20", 194), ("19", 280)])
def test_the_communes_before_the_merger_are_complete(province: str, communes: int) -> None:
    before = kinds(in_force(reference.units(province), MERGER - timedelta(days=1)))

    assert before["commune"] == communes


@pytest.mark.parametrize("province", PROVINCES)
def test_a_successor_names_the_unit_as_its_predecessor(province: str) -> None:
    versions = reference.units(province)

    forward = {
        (unit.code, unit.valid_from, successor, later.valid_from)
        for unit in versions
        if unit.valid_to is not None
        for successor in unit.successors
        for later in in_force(versions, unit.valid_to + timedelta(days=1))
        if later.code == successor
    }
    backward = {
        (earlier.code, earlier.valid_from, unit.code, unit.valid_from)
        for unit in versions
        for predecessor in unit.predecessors
        for earlier in in_force(versions, unit.valid_from - timedelta(days=1))
        if earlier.code == predecessor
    }

    assert forward == backward
    assert len(forward) == sum(len(unit.successors) for unit in versions)
    assert len(backward) == sum(len(unit.predecessors) for unit in versions)


@pytest.mark.parametrize("province", PROVINCES)
def test_a_commune_that_ended_has_a_successor_and_one_that_came_has_a_predecessor(province: str) -> None:
    communes = [unit for unit in reference.units(province) if unit.kind == "commune"]

    assert all(bool(unit.successors) == (unit.valid_to is not None) for unit in communes)
    assert all(bool(unit.predecessors) == (unit.valid_from == MERGER) for unit in communes)


@pytest.mark.parametrize(("province", "divided"), [("20", {"06622", "06625"}), ("19", {"05461", "05467", "05932"})])
def test_only_the_divided_communes_have_two_successors(province: str, divided: set[str]) -> None:
    successors = {unit.code: len(unit.successors) for unit in reference.units(province) if len(unit.successors) > 1}

    assert successors == dict.fromkeys(divided, 2)


@pytest.mark.parametrize("province", PROVINCES)
def test_no_two_versions_of_a_unit_are_in_force_on_the_same_day(province: str) -> None:
    versions = reference.units(province)

    assert overlapping(versions) == []
    assert len({(unit.code, unit.valid_from) for unit in versions}) == len(versions)


def test_a_reused_code_names_another_commune_after_the_merger() -> None:
    versions = reference.units("20")

    def name(code: str, on: date) -> list[str]:
        return [unit.name for unit in in_force(versions, on) if unit.code == code]

    assert name("05977", MERGER - timedelta(days=1)) == ["Phường Vĩnh Trại"]
    assert name("05977", MERGER) == ["Phường Đông Kinh"]
    assert name("05980", MERGER - timedelta(days=1)) == ["Phường Đông Kinh"]
    assert name("05980", MERGER) == []


def test_the_codes_of_departments_cannot_be_taken_for_official_ones() -> None:
    departments = [unit for province in PROVINCES for unit in reference.units(province) if unit.kind == "department"]

    assert {unit.code.partition("-")[0] for unit in departments} == {"LS", "TN"}


@pytest.mark.parametrize("province", PROVINCES)
def test_wards_are_not_mountain_communes(province: str) -> None:
    communes = [unit for unit in reference.units(province) if unit.kind == "commune"]

    assert all((unit.class_ == "other") == unit.name.startswith("Phường ") for unit in communes)


# --- Procedures -------------------------------------------------------------------------------------------------------


def test_procedures_are_many_and_of_many_fields() -> None:
    procedures = reference.procedures()

    assert len({procedure.code for procedure in procedures}) >= 120
    assert len({procedure.field.code for procedure in procedures}) >= 20
    assert len({procedure.field.code for procedure in procedures}) == len({each.field for each in procedures})


def test_every_kind_of_limit_occurs() -> None:
    procedures = reference.procedures()

    limits = {procedure.limit.unit if procedure.limit else None for procedure in procedures}

    assert limits == {"working_hours", "working_days", "calendar_days", "same_day", None}
    assert any(procedure.limits_by_channel.keys() == {"online", "postal"} for procedure in procedures)


def test_an_online_dossier_may_have_hours_where_others_have_days() -> None:
    procedure = next(each for each in reference.procedures() if each.name == "Cấp Giấy xác nhận tình trạng hôn nhân")

    online = procedure.limits_by_channel["online"]

    assert (online.amount, online.unit) == (8, "working_hours")
    assert procedure.limit is not None
    assert (procedure.limit.amount, procedure.limit.unit) == (2, "working_days")


def test_land_takes_ten_working_days_more_in_the_mountains() -> None:
    procedures = reference.procedures()

    land = [procedure for procedure in procedures if procedure.mountain_extra_days]

    assert {procedure.field.name for procedure in land} == {"Đất đai"}
    assert {procedure.mountain_extra_days for procedure in land} == {10}
    assert all(each.limit and each.limit.unit == "working_days" and 8 <= each.limit.amount <= 30 for each in land)


def test_a_later_version_of_a_procedure_follows_the_earlier_one_with_a_shorter_limit() -> None:
    by_code = defaultdict(list)
    for procedure in reference.procedures():
        by_code[procedure.code].append(procedure)

    pairs = [sorted(versions, key=lambda each: each.valid_from) for versions in by_code.values() if len(versions) > 1]

    assert len(pairs) == 4
    for earlier, later in pairs:
        assert (earlier.valid_to, later.valid_from) == (date(2025, 12, 31), date(2026, 1, 1))
        assert earlier.limit
        assert later.limit
        assert earlier.limit.amount > later.limit.amount
    assert overlapping(reference.procedures()) == []


def test_what_is_not_official_says_so_in_its_code() -> None:
    procedures = reference.procedures()

    assert all(procedure.official != procedure.code.startswith("DEMO-") for procedure in procedures)
    assert {"2.000908", "2.000815", "2.000635"} <= {each.code for each in procedures if each.official}


def test_most_procedures_are_offered_full_online_and_about_half_have_a_fee() -> None:
    today = [procedure for procedure in reference.procedures() if procedure.valid_to is None]

    levels = Counter(procedure.online_level for procedure in today)
    with_fee = sum(procedure.fee_required for procedure in today)

    assert levels["full"] > len(today) / 2
    assert levels["partial"]
    assert levels["none"]
    assert 0.4 < with_fee / len(today) < 0.6


# --- Calendar ---------------------------------------------------------------------------------------------------------


def test_the_calendar_is_the_holidays_package_corrected_by_official_decisions() -> None:
    package = holidays.country_holidays("VN", years=range(2024, 2028))
    expected = {day: False for day in package if day.weekday() < 5}
    expected |= {day: True for day in package.weekend_workdays if day.year >= 2024}
    expected |= OVERRIDES

    calendar = {day.on_day: day.working for day in reference.calendar()}

    assert calendar == expected


def test_a_calendar_day_departs_from_monday_to_friday_and_occurs_once() -> None:
    days = reference.calendar()

    assert all(day.working == (day.on_day.weekday() >= 5) for day in days)
    assert [day.on_day for day in days] == sorted({day.on_day for day in days})


@pytest.mark.parametrize(("number", "working_days"), [(2024, 251), (2025, 250), (2026, 249), (2027, 249)])
def test_a_year_has_its_number_of_working_days(number: int, working_days: int) -> None:
    exceptions = {day.on_day: day.working for day in reference.calendar()}

    worked = [day for day in year(number) if exceptions.get(day, day.weekday() < 5)]

    assert len(worked) == working_days


def test_only_decided_days_are_official() -> None:
    unofficial = {day.on_day for day in reference.calendar() if not day.official}

    assert {day for day in unofficial if day.year < 2027} == {date(2026, 11, 24)}
    assert {day.on_day for day in reference.calendar() if day.on_day.year == 2027} <= unofficial


# --- Traffic ----------------------------------------------------------------------------------------------------------


def test_traffic_names_every_procedure_once() -> None:
    codes = [row.procedure for row in reference.traffic()]

    assert len(set(codes)) == len(codes)
    assert set(codes) == {procedure.code for procedure in reference.procedures()}


def test_department_procedures_name_departments_of_lang_son_and_all_of_them_occur() -> None:
    departments = {unit.code for unit in in_force(reference.units("20"), TODAY) if unit.kind == "department"}

    traffic = reference.traffic()

    assert all(bool(row.departments) == (row.level == "department") for row in traffic)
    assert {department for row in traffic for department in row.departments} == departments


def test_a_fee_is_asked_exactly_where_the_procedure_has_one() -> None:
    fee_required = {procedure.code: procedure.fee_required for procedure in reference.procedures()}

    assert all((row.fee > 0) == fee_required[row.procedure] for row in reference.traffic())


@pytest.mark.parametrize(
    ("level", "fields"),
    [("commune", {"CT", "HT"}), ("department", {"DD", "GDBD", "DN", "DTU", "DB", "LX", "LLTP"})],
)
def test_a_few_fields_make_most_of_the_traffic(level: str, fields: set[str]) -> None:
    field = {procedure.code: procedure.field.code for procedure in reference.procedures()}
    rows = [row for row in reference.traffic() if row.level == level]

    share = sum(row.weight for row in rows if field[row.procedure] in fields) / sum(row.weight for row in rows)

    assert all(row.weight > 0 for row in rows)
    assert share > 0.6
