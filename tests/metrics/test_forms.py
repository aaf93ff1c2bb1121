"""Form 06a satisfies its identities, and a page of decision 766 scores what events tell and nothing else."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrics.formats import sheet, text
from services.metrics.forms import decision_766, form_06a
from services.metrics.forms.form_06a import COUNTS, Heading, Line

OCTOBER = Heading("Trung tâm Phục vụ hành chính công tỉnh Lạng Sơn", "H37.30", date(2020, 10, 1), date(2020, 10, 31))
SIGNED_AT = datetime(2026, 11, 2, tzinfo=UTC)


def counts(**named: int | None) -> dict[str, int | None]:
    return dict.fromkeys(COUNTS, 0) | named


# Lạng Sơn, provincial centre, October 2020, as published; what was pending is not told apart.
LANG_SON = counts(
    received_online=4_580,
    received_counter=4_378,
    received_postal=76,
    carried_over=1_335,
    resolved=9_357,
    ended_early=2_185,
    ended_on_time=7_161,
    ended_late=11,
    pending=1_012,
    pending_within=1_012,
)
# Thái Nguyên, the whole province, July 2025, as published; early and on time are not told apart.
THAI_NGUYEN = counts(
    received_online=30_006,
    received_counter=43_840,
    carried_over=8_920,
    resolved=61_291,
    ended_on_time=60_579,
    ended_late=712,
    pending=21_475,
    pending_within=21_475,
)
SMALL = counts(
    received_counter=9,
    received_postal=1,
    carried_over=2,
    resolved=4,
    withdrawn=1,
    declined=2,
    ended_early=1,
    ended_on_time=2,
    ended_late=1,
    ended_without_due=3,
    pending=5,
    pending_within=1,
    pending_without_due=2,
    pending_overdue=2,
)


def total_of(*rows: dict[str, int | None]) -> dict[str, int | None]:
    return {name: sum(row[name] or 0 for row in rows) for name in COUNTS}


def test_the_published_table_of_lang_son_stands_in_the_form_as_it_was_published() -> None:
    answer = form_06a.answer("a", [], LANG_SON, OCTOBER)

    assert list(answer["total"].values()) == [10_369, 4_580, 4_454, 1_335, 9_357, 2_185, 7_161, 11, 1_012, 1_012, 0]
    assert answer["identities_hold"]


def test_the_published_table_of_thai_nguyen_stands_in_the_form_as_it_was_published() -> None:
    answer = form_06a.answer("c", [], THAI_NGUYEN, OCTOBER)

    assert list(answer["total"].values()) == [
        82_766, 30_006, 43_840, 8_920, 61_291, 0, 60_579, 712, 21_475, 21_475, 0,
    ]  # fmt: skip
    assert answer["identities_hold"]


def test_what_has_no_due_date_stands_in_columns_9_and_12_and_is_told_in_footnotes() -> None:
    answer = form_06a.answer("a", [], SMALL, OCTOBER)

    assert answer["total"] == {
        "column_3": 12,
        "column_4": 0,
        "column_5": 10,
        "column_6": 2,
        "column_7": 7,
        "column_8": 1,
        "column_9": 5,
        "column_10": 1,
        "column_11": 5,
        "column_12": 3,
        "column_13": 2,
    }
    assert answer["identities_hold"]
    assert answer["footnotes"] == [
        "Cột 7 gồm cả hồ sơ kết thúc không có kết quả: 1 hồ sơ rút, 0 hồ sơ dừng giải quyết, 2 hồ sơ từ chối.",
        "Cột 9 gồm 3 hồ sơ không có hạn trả.",
        "Cột 12 gồm 2 hồ sơ không có hạn trả.",
    ]


def test_a_form_in_which_everything_had_a_due_date_has_no_footnotes() -> None:
    assert form_06a.answer("a", [Line("Đất đai", LANG_SON)], LANG_SON, OCTOBER)["footnotes"] == []


def test_footnotes_write_thousands_with_a_point() -> None:
    many = counts(ended_without_due=1_234, resolved=1_234, received_online=1_234)

    assert form_06a.table("a", [], many, OCTOBER).footnotes == ("Cột 9 gồm 1.234 hồ sơ không có hạn trả.",)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"carried_over": 1_336}, id="3=7+11"),
        pytest.param({"ended_late": 12}, id="7=8+9+10"),
        pytest.param({"pending_overdue": 1}, id="11=12+13"),
    ],
)
def test_a_broken_identity_is_told(wrong: dict[str, int]) -> None:
    assert not form_06a.answer("a", [], LANG_SON | wrong, OCTOBER)["identities_hold"]
    assert not form_06a.answer("a", [Line("Đất đai", LANG_SON | wrong)], LANG_SON, OCTOBER)["identities_hold"]


def test_lines_that_do_not_sum_to_the_total_are_told() -> None:
    assert form_06a.answer("b", [Line("A", LANG_SON), Line("B", SMALL)], total_of(LANG_SON, SMALL), OCTOBER)[
        "identities_hold"
    ]
    assert not form_06a.answer("b", [Line("A", LANG_SON), Line("B", SMALL)], LANG_SON, OCTOBER)["identities_hold"]


def test_a_count_that_is_not_told_leaves_its_columns_empty_and_says_why() -> None:
    hidden = LANG_SON | {"received_postal": None}

    answer = form_06a.answer("b", [Line("A", hidden)], LANG_SON, OCTOBER)

    assert [answer["rows"][0][f"column_{column}"] for column in (3, 4, 5)] == [None, 4_580, None]
    assert answer["identities_hold"]
    assert answer["footnotes"] == ["Ô trống: số liệu nhỏ không được công bố."]


def read_sheet(level: form_06a.Level, lines: list[Line], total: dict[str, int | None], heading: Heading) -> Any:  # noqa: ANN401 - openpyxl says no types
    content = sheet.xlsx_of(form_06a.table(level, lines, total, heading), SIGNED_AT)
    return openpyxl.load_workbook(io.BytesIO(content)).active


def values(page: Any) -> list[list[Any]]:  # noqa: ANN401 - as above
    return [[cell.value for cell in row if cell.value is not None] for row in page.iter_rows()]


def test_the_sheet_of_form_06a_is_laid_out_as_the_form_is() -> None:
    page = read_sheet("a", [Line("Đất đai", LANG_SON), Line("Hộ tịch", SMALL)], total_of(LANG_SON, SMALL), OCTOBER)

    assert [row for row in values(page) if row] == [
        ["Biểu số II.06a/VPCP/KSTT"],
        ["Tình hình, kết quả giải quyết TTHC tại cơ quan, đơn vị trực tiếp giải quyết"],
        ["Đơn vị báo cáo: Trung tâm Phục vụ hành chính công tỉnh Lạng Sơn"],
        ["Kỳ báo cáo: từ ngày 01/10/2020 đến ngày 31/10/2020"],
        ["Đơn vị tính: Số hồ sơ TTHC"],
        [
            "STT",
            "Lĩnh vực, công việc giải quyết theo cấp",
            "Số hồ sơ tiếp nhận",
            "Số hồ sơ đã giải quyết",
            "Số hồ sơ đang giải quyết",
        ],
        [
            "Tổng số",
            "Trong kỳ",
            "Từ kỳ trước",
            *("Tổng số", "Trước hạn", "Đúng hạn", "Quá hạn"),
            *("Tổng số", "Trong hạn", "Quá hạn"),
        ],
        ["Trực tuyến", "Trực tiếp, dịch vụ bưu chính"],
        [
            *("(1)", "(2)", "(3)=(4)+(5)+(6)", "(4)", "(5)", "(6)"),
            *("(7)=(8)+(9)+(10)", "(8)", "(9)", "(10)", "(11)=(12)+(13)", "(12)", "(13)"),
        ],
        ["1", "Đất đai", 10_369, 4_580, 4_454, 1_335, 9_357, 2_185, 7_161, 11, 1_012, 1_012, 0],
        ["2", "Hộ tịch", 12, 0, 10, 2, 7, 1, 5, 1, 5, 3, 2],
        ["Tổng số", 10_381, 4_580, 4_464, 1_337, 9_364, 2_186, 7_166, 12, 1_017, 1_015, 2],
        ["Cột 7 gồm cả hồ sơ kết thúc không có kết quả: 1 hồ sơ rút, 0 hồ sơ dừng giải quyết, 2 hồ sơ từ chối."],
        ["Cột 9 gồm 3 hồ sơ không có hạn trả."],
        ["Cột 12 gồm 2 hồ sơ không có hạn trả."],
        ["………………, ngày …… tháng …… năm ………"],
        ["NGƯỜI LẬP BIỂU", "THỦ TRƯỞNG ĐƠN VỊ"],
        ["(Ký, ghi rõ họ tên)", "(Ký, đóng dấu)"],
    ]


def test_a_form_that_is_dated_says_where_and_when() -> None:
    signed = Heading("UBND xã Bắc Sơn", "x", date(2026, 1, 1), date(2026, 3, 31), "Bắc Sơn", date(2026, 4, 2))

    page = read_sheet("a", [], SMALL, signed)

    assert ["Bắc Sơn, ngày 02 tháng 04 năm 2026"] in values(page)


PROVINCE = [
    Line("Sở Tư pháp", SMALL, "S1", "Sở, ban, ngành"),
    Line("Sở Y tế", SMALL, "S2", "Sở, ban, ngành"),
    Line("Xã Bắc Sơn", LANG_SON, "X1", "Cấp xã"),
]


def test_form_06c_gives_a_sub_total_before_the_units_of_each_level() -> None:
    page = read_sheet("c", PROVINCE, total_of(SMALL, SMALL, LANG_SON), OCTOBER)

    begun = [row[:3] for row in values(page) if len(row) > 11 and isinstance(row[2], int)]
    assert begun == [
        ["I", "Sở, ban, ngành", 24],
        ["1", "Sở Tư pháp", 12],
        ["2", "Sở Y tế", 12],
        ["II", "Cấp xã", 10_369],
        ["1", "Xã Bắc Sơn", 10_369],
        ["Tổng số", 10_393, 4_580],
    ]


def test_form_06c_as_csv_can_be_summed_and_tells_unit_and_level_by_code() -> None:
    content = text.csv_of(form_06a.table("c", PROVINCE, total_of(SMALL, SMALL, LANG_SON), OCTOBER))

    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [(row["code"], row["group"]) for row in rows] == [
        ("S1", "Sở, ban, ngành"),
        ("S2", "Sở, ban, ngành"),
        ("X1", "Cấp xã"),
    ]
    assert sum(int(row["column_3"]) for row in rows) == 10_393


def test_the_json_of_form_06c_holds_its_sub_totals_beside_its_rows() -> None:
    answer = form_06a.answer("c", PROVINCE, total_of(SMALL, SMALL, LANG_SON), OCTOBER)

    assert answer["form"] == "II.06c/VPCP/KSTT"
    assert answer["period"] == {"from": "2020-10-01", "to": "2020-10-31"}
    assert [(sub["name"], sub["column_11"]) for sub in answer["subtotals"]] == [
        ("Sở, ban, ngành", 10),
        ("Cấp xã", 1_012),
    ]
    assert [row["code"] for row in answer["rows"]] == ["S1", "S2", "X1"]
    assert [column["number"] for column in answer["columns"]] == list(range(3, 14))
    assert answer["identities_hold"]


JUNE = ("UBND xã Bắc Sơn", date(2026, 6, 1), date(2026, 6, 30))


def scores(shares: decision_766.Shares) -> dict[str, float]:
    answer = decision_766.answer(*JUNE, shares)
    return {
        indicator["key"]: indicator["score"]
        for component in answer["components"]
        for indicator in component["indicators"]
        if indicator["score"] is not None
    }


def test_the_maxima_are_those_of_the_decision() -> None:
    answer = decision_766.answer(*JUNE, {})

    assert [(component["key"], component["maximum"]) for component in answer["components"]] == [
        ("transparency", 18),
        ("progress", 20),
        ("online_services", 12),
        ("online_payment", 10),
        ("satisfaction", 18),
        ("digitisation", 22),
    ]
    assert answer["total"] == {"score": None, "computable_maximum": 0, "maximum": 100}


@pytest.mark.parametrize(
    ("rate", "share", "key", "points"),
    [
        ("on_time_of_all", (972, 1000), "on_time", 19.44),
        ("online_submission", (1, 4), "submitted_online", 3.0),
        ("online_submission", (3, 5), "submitted_online", 6.0),
        ("online_services_used", (1, 2), "used_online", 2.0),
        ("procedures_provided_online", (40, 100), "provided_online", 1.0),
        ("procedures_provided_online", (80, 100), "provided_online", 2.0),
        ("online_payment", (53, 100), "dossiers_paid_online", 3.18),
        ("procedures_paid_online", (715, 1000), "procedures_paid_online", 1.79),
        ("procedures_offering_payment", (9, 10), "offering_payment", 2.0),
        ("satisfaction", (45, 100), "dossiers_satisfied", 3.0),
        ("satisfaction", (95, 100), "dossiers_satisfied", 6.0),
        ("electronic_results", (874, 1000), "electronic_results", 5.24),
        ("digitised", (1, 3), "digitised", 1.33),
        ("reused_data", (937, 1000), "reused_data", 2.0),
        ("reused_data", (1, 10), "reused_data", 0.25),
    ],
)
def test_a_share_becomes_points(rate: str, share: tuple[int, int], key: str, points: float) -> None:
    assert scores({rate: share}) == {key: points}


def test_points_are_summed_exactly_and_rounded_once() -> None:
    thirds = {"electronic_results": (1, 900), "digitised": (1, 600)}

    answer = decision_766.answer(*JUNE, thirds)

    # 6/900 + 4/600 = 0.01333…; each alone is 0.01 rounded, so that a sum of rounded points would be 0.02.
    assert answer["total"]["score"] == 0.01
    assert scores(thirds) == {"electronic_results": 0.01, "digitised": 0.01}


def test_what_cannot_be_computed_is_listed_with_its_maximum_and_no_score() -> None:
    answer = decision_766.answer(*JUNE, {"on_time_of_all": (9, 10), "satisfaction": (0, 0)})

    listed = {item["key"]: item for component in answer["components"] for item in component["indicators"]}
    assert len(listed) == 21
    assert listed["petitions_on_time"]["score"] is None
    assert listed["petitions_on_time"]["maximum"] == 6
    assert listed["petitions_on_time"]["remark_vi"] == "không tính được từ dữ liệu hồ sơ"
    assert listed["used_online"]["remark_vi"] == "không tính được từ dữ liệu hồ sơ"
    assert listed["dossiers_satisfied"]["remark_vi"] == "không có hồ sơ để tính"
    assert answer["total"] == {"score": 18.0, "computable_maximum": 20, "maximum": 100}


def test_the_page_says_that_it_is_not_the_published_score() -> None:
    answer = decision_766.answer(*JUNE, {})
    page = decision_766.table(JUNE[0], "H37.1", *JUNE[1:], {})

    assert answer["official"] is False
    assert answer["notice_vi"] == "Tính toán từ dữ liệu, không phải điểm công bố"
    assert "Tính toán từ dữ liệu, không phải điểm công bố" in page.lines


def test_the_page_as_a_table_holds_the_same_points_as_the_json() -> None:
    shares = {"on_time_of_all": (972, 1000), "online_submission": (1, 4), "reused_data": (1, 10)}

    page = decision_766.table(JUNE[0], "H37.1", *JUNE[1:], shares)

    by_key = {row[1]: row for row in page.rows if row[1] is not None}
    assert by_key["on_time"][3:8] == (972, 1000, Decimal("19.44"), 20, 20)
    assert by_key["petitions_on_time"][3:8] == (None, None, None, 0, 6)
    assert page.total is not None
    assert page.total[5:8] == (Decimal("22.69"), 28, 100)
    assert [page.rows[index][2] for index in sorted(page.subtotals)] == [
        component.name_vi for component in decision_766.COMPONENTS
    ]


@given(st.sampled_from(sorted(decision_766.RATES)), st.integers(0, 10**9), st.integers(1, 10**9))
def test_no_indicator_scores_more_than_its_maximum_or_less_than_nothing(rate: str, hits: int, of: int) -> None:
    for component in decision_766.COMPONENTS:
        for indicator in component.indicators:
            points = decision_766.score(indicator, {rate: (hits, of)})
            assert points is None or Fraction(0) <= points <= indicator.maximum
