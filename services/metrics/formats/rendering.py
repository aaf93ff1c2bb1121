"""A table becomes the bytes, the media type and the file name of the format that was chosen."""

import re
from datetime import datetime
from typing import Literal, assert_never

from services.metrics.formats import columnar, sheet, text
from services.metrics.formats.table import Table

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")

FileFormat = Literal["csv", "xlsx", "arrow", "parquet"]
"""The formats a table is a file in; JSON answers keep a shape of their own."""


def rendered(table: Table, chosen: FileFormat, created_at: datetime) -> bytes:
    """Return the table in the format; `created_at` is written into workbooks, and nothing else tells the time."""
    match chosen:
        case "csv":
            return text.csv_of(table)
        case "xlsx":
            return sheet.xlsx_of(table, created_at)
        case "arrow":
            return columnar.arrow_of(table)
        case "parquet":
            return columnar.parquet_of(table)
        case _:
            assert_never(chosen)


def disposition(table: Table, chosen: FileFormat) -> str:
    """Return the header `Content-Disposition`, by which a browser saves the file under its name."""
    # Codes of units and the like stand in the name; nothing of them may end the header or its quotation.
    return f'attachment; filename="{_UNSAFE.sub("_", table.stem)}.{chosen}"'
