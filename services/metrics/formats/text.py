"""A table as CSV opens in Excel with its Vietnamese letters, and no cell of it is a formula."""

import csv
import io
from datetime import datetime

from services.contract import VIETNAM
from services.metrics.formats.table import Table, Value, plain_rows

# What makes a spreadsheet take a text for a formula; the last four are the full-width forms that some take likewise.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def csv_of(table: Table) -> bytes:
    """Return the table as RFC 4180 in UTF-8 with a byte order mark: a row of keys, then rows; days are ISO 8601."""
    page = io.StringIO(newline="")
    writer = csv.writer(page)
    writer.writerow(column.key for column in table.columns)
    for row in plain_rows(table):
        writer.writerow(map(_cell, row))
    # Excel takes a file without the mark for one in the machine's own code page.
    return page.getvalue().encode("utf-8-sig")


def _cell(value: Value) -> str:
    match value:
        case None:
            return ""
        case str():
            # Spaces in front are skipped by some spreadsheets, so the first letter after them counts.
            return f"'{value}" if value.lstrip(" ")[:1] in _FORMULA else value
        case datetime():
            return value.astimezone(VIETNAM).isoformat()
        case _:
            return str(value)
