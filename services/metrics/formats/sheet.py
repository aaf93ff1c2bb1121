"""A table as an Excel workbook can be printed, signed and sent: numbers are numbers, and no text is a formula."""

import io
import math
import textwrap
from datetime import UTC, datetime
from typing import Any

import xlsxwriter

from services.contract import VIETNAM
from services.metrics.formats import numbers
from services.metrics.formats.table import Kind, Table, Value, spans

# Excel shows the separators of the reader's country for these: 1.234.567 and 99,53 in Vietnam.
_NUMBER_FORMATS: dict[Kind, str] = {
    "text": "@",
    "integer": "#,##0",
    "percent": "#,##0.00",
    "day": "dd/mm/yyyy",
    "instant": "dd/mm/yyyy hh:mm:ss",
}
_FONT = {"font_name": "Times New Roman", "font_size": 11, "valign": "vcenter"}
_NARROWEST, _WIDEST = 9, 48  # characters; a name longer than the widest is wrapped
_LINE_HEIGHT = 15  # points, of one line of the font above
_ROOM_TO_SIGN = 4  # rows
_A4 = 9  # Excel's number for the size of the paper


def xlsx_of(table: Table, created_at: datetime) -> bytes:
    """Return the table as a workbook of one sheet; the same table and instant give the same bytes."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    book.set_properties({"title": table.title, "created": created_at.astimezone(UTC).replace(tzinfo=None)})
    _Page(book, table).write()
    book.close()
    return file.getvalue()


class _Page:
    """The sheet being written, and the row it has come to."""

    def __init__(self, book: Any, table: Table) -> None:  # noqa: ANN401 - XlsxWriter says no types
        self._book, self._table = book, table
        self._sheet = book.add_worksheet("Số liệu")
        self._places = [place for place, column in enumerate(table.columns) if column.printed]
        self._columns = tuple(table.columns[place] for place in self._places)
        self._last = len(self._columns) - 1
        self._widths = [self._width(place) for place in self._places]
        self._row = 0
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    def write(self) -> None:
        table = self._table
        if table.corner:
            self._line(table.corner, bold=True)
        self._line(table.title, bold=True, font_size=14, align="center")
        for line in table.lines:
            self._line(line, align="center")
        if table.measured_in:
            self._line(f"Đơn vị tính: {table.measured_in}", italic=True, align="right")
        self._heading()
        for index, row in enumerate(table.rows):
            self._values(row, bold=index in table.subtotals)
        if table.total is not None:
            self._values(table.total, bold=True)
        for footnote in table.footnotes:
            self._line(footnote, italic=True)
        self._signature()
        self._set_up()

    def _across(self, area: tuple[int, int, int, int], text: str, **looks: Any) -> None:  # noqa: ANN401 - as above
        looks = {"text_wrap": True} | looks
        top, left, bottom, right = area
        if (top, left) == (bottom, right):  # Excel repairs a file in which a single cell is merged
            self._sheet.write_string(top, left, text, self._format(**looks))
        else:
            self._sheet.merge_range(*area, "", self._format(**looks))
            # `merge_range` would take a text that begins with = for a formula.
            self._sheet.write_string(top, left, text, self._format(**looks))

    def _line(self, text: str, **looks: Any) -> None:  # noqa: ANN401 - as above
        # Excel does not fit the height of merged cells by itself.
        letters = sum(self._widths) * 11 / looks.get("font_size", 11)
        self._sheet.set_row(self._row, math.ceil(len(text) / letters) * _LINE_HEIGHT * looks.get("font_size", 11) / 11)
        self._across((self._row, 0, self._row, self._last), text, **looks)
        self._row += 1

    def _heading(self) -> None:
        first = self._row
        looks = {"bold": True, "align": "center", "border": 1}
        lines: dict[int, int] = {}
        for top, left, bottom, right, label in spans(self._columns):
            self._across((first + top, left, first + bottom, right), label, **looks)
            # No program fits the height of merged cells, and not all do of others.
            wrapped = len(textwrap.wrap(label, int(sum(self._widths[left : right + 1]))))
            for row in range(first + top, first + bottom + 1):
                lines[row] = max(lines.get(row, 1), math.ceil(wrapped / (bottom - top + 1)))
        for row, number in lines.items():
            self._sheet.set_row(row, number * _LINE_HEIGHT)
        self._row = max(lines, default=first - 1) + 1
        if any(column.number for column in self._columns):
            for place, column in enumerate(self._columns):
                self._across((self._row, place, self._row, place), column.number, **looks | {"bold": False})
            self._row += 1
        self._sheet.repeat_rows(first, self._row - 1)
        texts = [column.kind == "text" for column in self._columns]
        self._sheet.freeze_panes(self._row, texts.index(False) if False in texts else 0)

    def _values(self, row: tuple[Value, ...], *, bold: bool) -> None:
        for place, source in enumerate(self._places):
            kind = self._columns[place].kind
            looks = self._format(bold=bold, border=1, num_format=_NUMBER_FORMATS[kind], text_wrap=kind == "text")
            self._cell(place, row[source], looks)
        self._row += 1

    def _cell(self, place: int, value: Value, looks: Any) -> None:  # noqa: ANN401 - as above
        match value:
            case None:
                self._sheet.write_blank(self._row, place, None, looks)
            case str():
                self._sheet.write_string(self._row, place, value, looks)
            case datetime():  # Excel knows no time zones; what is shown is the time in Vietnam
                local = value.astimezone(VIETNAM).replace(tzinfo=None)
                self._sheet.write_datetime(self._row, place, local, looks)
            case int():
                self._sheet.write_number(self._row, place, value, looks)
            case _ if hasattr(value, "year"):
                self._sheet.write_datetime(self._row, place, value, looks)
            case _:
                self._sheet.write_number(self._row, place, float(value), looks)

    def _format(self, **looks: Any) -> Any:  # noqa: ANN401 - as above
        key = tuple(sorted(looks.items()))
        if key not in self._formats:  # one for each look, not for each cell: a workbook compares all of them
            self._formats[key] = self._book.add_format(_FONT | looks)
        return self._formats[key]

    def _signature(self) -> None:
        signature = self._table.signature
        if signature is None:
            return
        self._row += 1
        self._line(signature.dated, italic=True, align="right")
        share = (self._last + 1) // len(signature.signers)
        for place, (role, note) in enumerate(signature.signers):
            left, right = place * share, (place + 1) * share - 1
            self._across((self._row, left, self._row, right), role, bold=True, align="center")
            self._across((self._row + 1, left, self._row + 1, right), note, italic=True, align="center")
        self._row += 2 + _ROOM_TO_SIGN

    def _set_up(self) -> None:
        sheet = self._sheet
        for place, width in enumerate(self._widths):
            sheet.set_column(place, place, width)
        sheet.set_landscape()
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4)
        sheet.center_horizontally()
        sheet.set_footer("&CTrang &P/&N")
        sheet.print_area(0, 0, max(self._row - 1, 0), self._last)

    def _width(self, place: int) -> float:
        column = self._table.columns[place]
        told = [*self._table.rows, *([] if self._table.total is None else [self._table.total])]
        longest = max((len(_shown(row[place], column.kind)) for row in told), default=0)
        return float(min(max(longest + 2, len(column.number) + 1, _NARROWEST), _WIDEST))


def _shown(value: Value, kind: Kind) -> str:
    match value:
        case None:
            return ""
        case int():
            return numbers.integer(value)
        case str():
            return value
        case _:
            return _NUMBER_FORMATS[kind]
