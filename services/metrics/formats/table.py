"""A table is told as values with their kinds; how a paper, a sheet or a machine shows them is decided elsewhere."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Literal, NamedTuple

Kind = Literal["text", "integer", "percent", "day", "instant"]
"""`percent` is a number of two decimals, points as well as per cent; an `instant` is aware."""

Value = str | int | Decimal | date | datetime | None
"""None is what is not known, or not told; it is an empty cell everywhere."""

Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column under its machine-readable `key`.

    `heading` leads from the outermost group to the column's own Vietnamese label; columns side by side with the same
    beginning stand under one group. `number` is what official forms write under the heading, as `(3)=(4)+(5)`. What is
    not `printed` is for machines only, such as a code.
    """

    key: str
    heading: tuple[str, ...]
    kind: Kind
    number: str = ""
    printed: bool = True


@dataclass(frozen=True, slots=True)
class Signature:
    """Where a paper is dated and who signs it: pairs of the signer's role and what to do there."""

    dated: str
    signers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns, with what a paper needs around them.

    `subtotals` are the indices of rows that sum other rows, which are printed bold and which formats for machines leave
    out together with `total`, so that a column can be summed. Of a table without rows they give the total.
    `stem` is the file's name without its ending.
    """

    stem: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row | None = None
    subtotals: frozenset[int] = frozenset()
    corner: str = ""
    lines: tuple[str, ...] = ()
    measured_in: str = ""
    footnotes: tuple[str, ...] = ()
    signature: Signature | None = None


class Span(NamedTuple):
    """A cell of the heading, from its first through its last row and column, counted from 0."""

    top: int
    left: int
    bottom: int
    right: int
    label: str


def plain_rows(table: Table) -> tuple[Row, ...]:
    """Return the rows a machine reads: those that can be summed, or the total where there are none."""
    if not table.rows and table.total is not None:
        return (table.total,)
    return tuple(row for index, row in enumerate(table.rows) if index not in table.subtotals)


def spans(columns: tuple[Column, ...]) -> list[Span]:
    """Return the heading's cells: a group spans its columns, a column's own label the rows down to the last."""
    depth = max(len(column.heading) for column in columns)
    found = []
    for level in range(depth):

        def cell(place: int, level: int = level) -> tuple[object, ...]:
            heading = columns[place].heading
            # A column's own label is never merged with its neighbour's: its place keeps two equal ones apart.
            return heading[: level + 1] if len(heading) > level + 1 else (len(heading) == level + 1, place)

        for _, group in groupby(range(len(columns)), key=cell):
            places = list(group)
            heading = columns[places[0]].heading
            if len(heading) > level:
                bottom = depth - 1 if len(heading) == level + 1 else level
                found.append(Span(level, places[0], bottom, places[-1], heading[level]))
    return found
