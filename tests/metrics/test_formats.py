"""One table reads the same in every format: numbers as numbers, Vietnamese as Vietnamese, and nothing as a formula."""

import csv
import io
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from services.metrics.formats import columnar, numbers, sheet, text
from services.metrics.formats.negotiation import FORMATS, MEDIA_TYPES, NotOffered, chosen
from services.metrics.formats.rendering import disposition, rendered
from services.metrics.formats.table import Column, Signature, Span, Table, spans

CREATED_AT = datetime(2026, 11, 2, 1, 30, tzinfo=UTC)
RECORDED_AT = datetime(2026, 10, 31, 18, 5, tzinfo=UTC)

TABLE = Table(
    stem="rates-2026-10",
    title="Tỷ lệ hồ sơ giải quyết đúng hạn",
    columns=(
        Column("code", ("Mã",), "text", printed=False),
        Column("name", ("Đơn vị",), "text", "(1)"),
        Column("received", ("Hồ sơ", "Tiếp nhận"), "integer", "(2)"),
        Column("resolved", ("Hồ sơ", "Đã giải quyết"), "integer", "(3)"),
        Column("on_time", ("Tỷ lệ (%)",), "percent", "(4)"),
        Column("last_on", ("Ngày gần nhất",), "day", "(5)"),
        Column("recorded_at", ("Ghi nhận lúc",), "instant", "(6)"),
    ),
    rows=(
        (None, "Cấp xã", 1_234_567, None, None, None, None),
        ("H37.1", "Phường Lương Văn Tri", 1_234_560, 1_200_000, Decimal("99.53"), date(2026, 10, 31), RECORDED_AT),
        ("H37.2", "Xã Bắc Sơn", 7, None, None, None, None),
    ),
    total=(None, "Tổng số", 1_234_567, None, Decimal("99.50"), None, None),
    subtotals=frozenset({0}),
    corner="Biểu số 1",
    lines=("Tỉnh Lạng Sơn", "Tháng 10/2026"),
    measured_in="Hồ sơ",
    footnotes=("Ô trống: số liệu nhỏ không được công bố.",),
    signature=Signature("Lạng Sơn, ngày 02 tháng 11 năm 2026", (("NGƯỜI LẬP BIỂU", "(Ký)"), ("THỦ TRƯỞNG", "(Ký)"))),
)


def one_column(*values: str | None) -> Table:
    return Table("t", "=1+1", (Column("name", ("Đơn vị",), "text"),), tuple((value,) for value in values))


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_sheet(content: bytes) -> Any:  # noqa: ANN401 - openpyxl says no types
    return openpyxl.load_workbook(io.BytesIO(content)).active


def row_of(page: Any, name: str) -> list[Any]:  # noqa: ANN401 - as above
    return next(list(row) for row in page.iter_rows() if row[0].value == name)


def test_csv_has_keys_and_the_rows_that_can_be_summed() -> None:
    keys, *rows = read_csv(text.csv_of(TABLE))

    assert keys == ["code", "name", "received", "resolved", "on_time", "last_on", "recorded_at"]
    assert rows == [
        ["H37.1", "Phường Lương Văn Tri", "1234560", "1200000", "99.53", "2026-10-31", "2026-11-01T01:05:00+07:00"],
        ["H37.2", "Xã Bắc Sơn", "7", "", "", "", ""],
    ]


def test_csv_of_a_table_without_rows_gives_the_total() -> None:
    _, *rows = read_csv(text.csv_of(replace(TABLE, rows=(), subtotals=frozenset())))

    assert rows == [["", "Tổng số", "1234567", "", "99.50", "", ""]]


def test_csv_begins_with_the_mark_by_which_excel_knows_utf_8_and_ends_its_lines_with_crlf() -> None:
    content = text.csv_of(TABLE)

    assert content.startswith(b"\xef\xbb\xbfcode,name")
    assert content.count(b"\r\n") == content.count(b"\n") == 3


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "  =", "\uff1d"])
def test_no_text_of_a_csv_begins_as_a_formula_does(begin: str) -> None:
    _, [cell] = read_csv(text.csv_of(one_column(f"{begin}HYPERLINK(1)")))

    assert cell == f"'{begin}HYPERLINK(1)"


def test_a_negative_number_of_a_csv_stays_a_number() -> None:
    table = Table("t", "t", (Column("change", ("Tăng, giảm",), "integer"),), ((-5,),))

    assert read_csv(text.csv_of(table))[1] == ["-5"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), max_size=5))
def test_csv_gives_every_text_back(values: list[str]) -> None:
    rows = read_csv(text.csv_of(one_column(*values)))[1:]

    assert [cell.removeprefix("'") for [cell] in rows] == [value.removeprefix("'") for value in values]


def test_a_sheet_holds_numbers_as_numbers_and_days_as_days() -> None:
    page = read_sheet(sheet.xlsx_of(TABLE, CREATED_AT))

    cells = row_of(page, "Phường Lương Văn Tri")
    assert [cell.value for cell in cells] == [
        "Phường Lương Văn Tri",
        1_234_560,
        1_200_000,
        99.53,
        datetime(2026, 10, 31),  # noqa: DTZ001 - Excel knows no time zones
        datetime(2026, 11, 1, 1, 5),  # noqa: DTZ001 - as above
    ]
    assert [cell.number_format for cell in cells[1:5]] == ["#,##0", "#,##0", "#,##0.00", "dd/mm/yyyy"]


def test_a_sheet_leaves_what_is_not_told_empty() -> None:
    page = read_sheet(sheet.xlsx_of(TABLE, CREATED_AT))

    assert [cell.value for cell in row_of(page, "Xã Bắc Sơn")] == ["Xã Bắc Sơn", 7, None, None, None, None]


def test_a_sheet_prints_title_heading_total_footnotes_and_signatures_in_order_but_no_codes() -> None:
    page = read_sheet(sheet.xlsx_of(TABLE, CREATED_AT))

    first_column = [row[0].value for row in page.iter_rows() if row[0].value is not None]
    assert first_column == [
        "Biểu số 1",
        "Tỷ lệ hồ sơ giải quyết đúng hạn",
        "Tỉnh Lạng Sơn",
        "Tháng 10/2026",
        "Đơn vị tính: Hồ sơ",
        "Đơn vị",
        "(1)",
        "Cấp xã",
        "Phường Lương Văn Tri",
        "Xã Bắc Sơn",
        "Tổng số",
        "Ô trống: số liệu nhỏ không được công bố.",
        "Lạng Sơn, ngày 02 tháng 11 năm 2026",
        "NGƯỜI LẬP BIỂU",
        "(Ký)",
    ]


def test_a_sheet_is_bold_in_sums_and_only_there() -> None:
    page = read_sheet(sheet.xlsx_of(TABLE, CREATED_AT))

    bold = [name for name in ("Cấp xã", "Xã Bắc Sơn", "Tổng số") if row_of(page, name)[0].font.b]
    assert bold == ["Cấp xã", "Tổng số"]


def test_a_sheet_keeps_its_heading_in_sight_and_on_every_page_of_a4_lying_down() -> None:
    page = read_sheet(sheet.xlsx_of(TABLE, CREATED_AT))

    assert page.freeze_panes == "B9"
    assert page.print_title_rows == "$6:$8"
    assert (page.page_setup.orientation, page.page_setup.paperSize) == ("landscape", 9)
    assert {"A1:F1", "B6:C6", "A6:A7"} <= {str(area) for area in page.merged_cells.ranges}


def test_a_label_of_the_heading_that_is_wider_than_its_column_has_room_in_height() -> None:
    heading_of_two = ("Trong kỳ", "Trực tiếp, dịch vụ bưu chính")
    columns = (Column("a", ("Tổng số",), "integer"), Column("b", heading_of_two, "integer"))

    page = read_sheet(sheet.xlsx_of(Table("t", "Biểu", columns, ((1, 2),)), CREATED_AT))

    heading = next(row for row in range(1, 9) if page.cell(row, 2).value == "Trong kỳ")
    assert page.column_dimensions["B"].width < len(heading_of_two[1]) / 2
    assert (page.row_dimensions[heading].height or 15) == 15
    assert page.row_dimensions[heading + 1].height >= 3 * 15


def test_no_text_of_a_sheet_is_a_formula_or_a_link() -> None:
    texts = ("=1+1", "{=1+1}", "https://example.vn", "+84", None)
    page = read_sheet(sheet.xlsx_of(replace(one_column(*texts), footnotes=("=2",)), CREATED_AT))

    cells = [cell for row in page.iter_rows() for cell in row if cell.value is not None]
    assert {cell.value for cell in cells} == {"Đơn vị", "=1+1", "{=1+1}", "https://example.vn", "+84", "=2"}
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)


def test_no_merged_title_of_a_sheet_is_a_formula() -> None:
    page = read_sheet(sheet.xlsx_of(replace(TABLE, title="=1+1"), CREATED_AT))

    assert (page["A2"].value, page["A2"].data_type) == ("=1+1", "s")


def test_the_same_table_gives_the_same_bytes_at_any_time() -> None:
    for chosen_ in ("csv", "xlsx", "arrow", "parquet"):
        assert rendered(TABLE, chosen_, CREATED_AT) == rendered(TABLE, chosen_, CREATED_AT)
    created = openpyxl.load_workbook(io.BytesIO(sheet.xlsx_of(TABLE, CREATED_AT))).properties.created
    assert created == CREATED_AT.replace(tzinfo=None)


@pytest.mark.parametrize("chosen_", ["arrow", "parquet"])
def test_arrow_and_parquet_keep_the_types(chosen_: str) -> None:
    if chosen_ == "arrow":
        table = pa.ipc.open_stream(columnar.arrow_of(TABLE)).read_all()
    else:
        table = parquet.read_table(io.BytesIO(columnar.parquet_of(TABLE)))

    assert [str(field.type) for field in table.schema] == [
        "string",
        "string",
        "int64",
        "int64",
        "double",
        "date32[day]",
        "timestamp[us, tz=UTC]",
    ]
    assert table.to_pylist() == [
        {
            "code": "H37.1",
            "name": "Phường Lương Văn Tri",
            "received": 1_234_560,
            "resolved": 1_200_000,
            "on_time": 99.53,
            "last_on": date(2026, 10, 31),
            "recorded_at": RECORDED_AT,
        },
        dict.fromkeys(("resolved", "on_time", "last_on", "recorded_at"))
        | {"code": "H37.2", "name": "Xã Bắc Sơn", "received": 7},
    ]
    assert table.schema.metadata[b"title"].decode() == TABLE.title
    assert table.schema.field("received").metadata[b"label_vi"].decode() == "Hồ sơ - Tiếp nhận"


def test_a_group_of_the_heading_spans_its_columns_and_a_label_the_rows_below_it() -> None:
    columns = tuple(
        Column(str(place), heading, "integer")
        for place, heading in enumerate([("Đơn vị",), ("A", "B", "x"), ("A", "B", "y"), ("A", "z"), ("z",), ("z",)])
    )

    assert spans(columns) == [
        Span(0, 0, 2, 0, "Đơn vị"),
        Span(0, 1, 0, 3, "A"),
        Span(0, 4, 2, 4, "z"),
        Span(0, 5, 2, 5, "z"),
        Span(1, 1, 1, 2, "B"),
        Span(1, 3, 2, 3, "z"),
        Span(2, 1, 2, 1, "x"),
        Span(2, 2, 2, 2, "y"),
    ]


def test_columns_of_one_group_name_that_stand_apart_are_not_joined() -> None:
    columns = tuple(
        Column(str(place), heading, "integer")
        for place, heading in enumerate([("A", "B", "x"), ("short",), ("A", "B", "y")])
    )

    assert [span for span in spans(columns) if span.label == "B"] == [Span(1, 0, 1, 0, "B"), Span(1, 2, 1, 2, "B")]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/*", "json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/*", "csv"),
        ("text/csv, */*", "csv"),
        ("text/csv;q=0.5, */*", "json"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("application/json, text/plain, */*", "json"),
        ("application/json;q=0, */*;q=0.1", "csv"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet;q=0.9, text/html", "xlsx"),
        ("text/csv;q=nan, application/vnd.apache.parquet;q=0.1", "parquet"),
    ],
)
def test_the_format_a_client_likes_best_is_chosen(accept: str | None, expected: str) -> None:
    assert chosen(None, accept) == expected


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "image/*", "text/csv;q=2", ",", "csv"])
def test_a_client_that_accepts_none_of_the_formats_is_told_so(accept: str) -> None:
    with pytest.raises(NotOffered):
        chosen(None, accept)


def test_a_named_format_goes_before_what_is_accepted() -> None:
    assert chosen("xlsx", "text/csv") == "xlsx"


@pytest.mark.parametrize("named", ["", "CSV", "pdf", "x" * 10_000])
def test_an_unknown_format_is_not_offered_and_the_message_is_short(named: str) -> None:
    with pytest.raises(NotOffered) as told:
        chosen(named, None)

    assert len(str(told.value)) < 150


def test_nobody_waits_for_pyarrow_who_does_not_ask_for_it() -> None:
    loaded = "import sys, services.metrics.formats.rendering; print('pyarrow' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert found.stdout == "False\n"


def test_every_format_has_a_media_type() -> None:
    assert tuple(MEDIA_TYPES) == FORMATS


def test_a_file_name_ends_no_header() -> None:
    assert disposition(TABLE, "csv") == 'attachment; filename="rates-2026-10.csv"'
    assert disposition(replace(TABLE, stem='a"\r\nX: y/ế'), "xlsx") == 'attachment; filename="a___X__y__.xlsx"'


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        (Fraction(60_579 * 100, 61_291), "98.84"),
        (Fraction(28 * 100, 854), "3.28"),
        (Fraction(1, 200), "0.01"),
        (Fraction(-1, 200), "-0.01"),
        (Fraction(499_999, 100_000_000), "0.00"),
        (Fraction(20), "20.00"),
    ],
)
def test_halves_are_rounded_up_once(exact: Fraction, rounded: str) -> None:
    assert str(numbers.half_up(exact)) == rounded


def test_numbers_and_days_are_written_as_in_vietnam() -> None:
    assert numbers.integer(1_234_567) == "1.234.567"
    assert numbers.integer(-1_000) == "-1.000"
    assert numbers.decimal(Decimal("1234.565")) == "1.234,57"
    assert numbers.decimal(Fraction(9953, 100)) == "99,53"
    assert numbers.decimal(5) == "5,00"
    assert numbers.day(date(2026, 10, 1)) == "01/10/2026"
