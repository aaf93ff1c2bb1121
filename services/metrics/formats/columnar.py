"""A table as Arrow or Parquet keeps its types, so that whoever analyses it need not guess them."""

import io
from decimal import Decimal
from typing import Any

from services.metrics.formats.table import Kind, Table, Value, plain_rows


def arrow_of(table: Table) -> bytes:
    """Return the table as an Arrow IPC stream."""
    import pyarrow as pa  # noqa: PLC0415 - see _typed

    file = io.BytesIO()
    typed = _typed(table)
    with pa.ipc.new_stream(file, typed.schema) as stream:
        stream.write_table(typed)
    return file.getvalue()


def parquet_of(table: Table) -> bytes:
    """Return the table as a Parquet file."""
    from pyarrow import parquet  # noqa: PLC0415 - see _typed

    file = io.BytesIO()
    parquet.write_table(_typed(table), file)
    return file.getvalue()


def _typed(table: Table) -> Any:  # noqa: ANN401 - pyarrow says no types
    # pyarrow takes 100 ms and 60 MB to import; a service that nobody asks for these formats does without.
    import pyarrow as pa  # noqa: PLC0415

    types: dict[Kind, Any] = {
        "text": pa.string(),
        "integer": pa.int64(),
        # As in JSON: two decimals are exact enough in a float, and every tool can calculate with it.
        "percent": pa.float64(),
        "day": pa.date32(),
        "instant": pa.timestamp("us", "UTC"),
    }
    schema = pa.schema(
        [
            pa.field(column.key, types[column.kind], metadata={"label_vi": " - ".join(column.heading)})
            for column in table.columns
        ],
        metadata={"title": table.title, "lines": "\n".join(table.lines), "footnotes": "\n".join(table.footnotes)},
    )
    arrays = [
        pa.array([float(value) if isinstance(value, Decimal) else value for value in values], types[column.kind])
        for column, values in zip(table.columns, _by_column(table), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _by_column(table: Table) -> list[list[Value]]:
    rows = plain_rows(table)
    return [[row[place] for row in rows] for place in range(len(table.columns))]
