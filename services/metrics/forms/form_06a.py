"""Form II.06a/VPCP/KSTT and its roll-ups 06b and 06c stand on paper as the law draws them, and their sums agree.

Columns 7 through 10 count every dossier that ended, also those withdrawn, stopped or declined; those without a due date
stand in columns 9 and 12, and a footnote says how many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Literal

from services.metrics.formats import numbers
from services.metrics.formats.table import Column, Row, Signature, Table

Level = Literal["a", "b", "c"]
"""`a` is one unit by field; `b` the units of one level of government; `c` a province, with sub-totals by level."""

Counts = Mapping[str, int | None]
"""Counts by the names of the metrics; None is one that is not told."""

_TITLES: dict[Level, str] = {
    "a": "Tình hình, kết quả giải quyết TTHC tại cơ quan, đơn vị trực tiếp giải quyết",
    "b": "Tổng hợp tình hình, kết quả giải quyết TTHC của các cơ quan, đơn vị cùng cấp",
    "c": "Tổng hợp tình hình, kết quả giải quyết TTHC của tỉnh",
}
_IN_ROWS: dict[Level, str] = {
    "a": "Lĩnh vực, công việc giải quyết theo cấp",
    "b": "Cơ quan, đơn vị",
    "c": "Cơ quan, đơn vị",
}
_MEASURED_IN = "Số hồ sơ TTHC"
_RECEIVED, _ENDED, _PENDING = "Số hồ sơ tiếp nhận", "Số hồ sơ đã giải quyết", "Số hồ sơ đang giải quyết"
_WITHIN_PERIOD = "Trong kỳ"

_HEADINGS: dict[int, tuple[str, ...]] = {
    3: (_RECEIVED, "Tổng số"),
    4: (_RECEIVED, _WITHIN_PERIOD, "Trực tuyến"),
    5: (_RECEIVED, _WITHIN_PERIOD, "Trực tiếp, dịch vụ bưu chính"),
    6: (_RECEIVED, "Từ kỳ trước"),
    7: (_ENDED, "Tổng số"),
    8: (_ENDED, "Trước hạn"),
    9: (_ENDED, "Đúng hạn"),
    10: (_ENDED, "Quá hạn"),
    11: (_PENDING, "Tổng số"),
    12: (_PENDING, "Trong hạn"),
    13: (_PENDING, "Quá hạn"),
}

# What each column adds up. Column 3 stands on its own identity: 3 = 4 + 5 + 6.
_SUMS: dict[int, tuple[str, ...]] = {
    4: ("received_online",),
    5: ("received_counter", "received_postal"),
    6: ("carried_over",),
    7: ("resolved", "withdrawn", "stopped", "declined"),
    8: ("ended_early",),
    9: ("ended_on_time", "ended_without_due"),
    10: ("ended_late",),
    11: ("pending",),
    12: ("pending_within", "pending_without_due"),
    13: ("pending_overdue",),
}
COUNTS: tuple[str, ...] = tuple(name for names in _SUMS.values() for name in names)
"""The counts a row of the form needs."""

_IDENTITIES: tuple[tuple[int, tuple[int, ...]], ...] = (
    (3, (4, 5, 6)),
    (3, (7, 11)),
    (7, (8, 9, 10)),
    (11, (12, 13)),
)
_NUMBERS: dict[int, str] = {3: "(3)=(4)+(5)+(6)", 7: "(7)=(8)+(9)+(10)", 11: "(11)=(12)+(13)"}


@dataclass(frozen=True, slots=True)
class Heading:
    """Who reports on which days; where and when it is signed is left blank to be written by hand if it is not told."""

    unit: str
    code: str
    first: date
    last: date
    place: str | None = None
    signed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the form: a field or a unit by `name`, its machine-readable `code`, what it counts.

    `group` is the level of government under which form 06c gives a sub-total; lines of one group stand together.
    """

    name: str
    counts: Counts
    code: str | None = None
    group: str | None = None


def table(level: Level, lines: Sequence[Line], total: Counts, heading: Heading) -> Table:
    """Return the form as a table; `total` is what all lines count together."""
    rows: list[Row] = []
    subtotals = set()
    number = 0
    for place, (group, grouped) in enumerate(_grouped(lines)):
        if group is not None:
            subtotals.add(len(rows))
            rows.append((_roman(place + 1), group, None, group, *_in_order(_columns_of_sum(grouped))))
            number = 0
        for line in grouped:
            number += 1
            rows.append((str(number), line.name, line.code, group, *_in_order(_columns(line.counts))))
    return Table(
        stem=f"06{level}-{heading.code}-{heading.first.isoformat()}-{heading.last.isoformat()}",
        title=_TITLES[level],
        columns=(
            Column("line", ("STT",), "text", "(1)"),
            Column("name", (_IN_ROWS[level],), "text", "(2)"),
            Column("code", ("Mã",), "text", printed=False),
            Column("group", ("Cấp",), "text", printed=False),
            *(
                Column(f"column_{column}", path, "integer", _NUMBERS.get(column, f"({column})"))
                for column, path in _HEADINGS.items()
            ),
        ),
        rows=tuple(rows),
        total=(None, "Tổng số", None, None, *_in_order(_columns(total))),
        subtotals=frozenset(subtotals),
        corner=f"Biểu số {_form(level)}",
        lines=(
            f"Đơn vị báo cáo: {heading.unit}",
            f"Kỳ báo cáo: từ ngày {numbers.day(heading.first)} đến ngày {numbers.day(heading.last)}",
        ),
        measured_in=_MEASURED_IN,
        footnotes=_footnotes(lines, total),
        signature=_signature(heading),
    )


def answer(level: Level, lines: Sequence[Line], total: Counts, heading: Heading) -> dict[str, Any]:
    """Return the form as the JSON object of the public contract."""
    told = [_columns(line.counts) for line in lines]
    whole = _columns(total)
    return {
        "form": _form(level),
        "title": _TITLES[level],
        "unit": heading.unit,
        "period": {"from": heading.first.isoformat(), "to": heading.last.isoformat()},
        "measured_in": _MEASURED_IN,
        "columns": [
            {"key": f"column_{column}", "number": column, "heading_vi": list(path)}
            for column, path in _HEADINGS.items()
        ],
        "rows": [
            {"code": line.code, "name": line.name, "group": line.group, **_keyed(columns)}
            for line, columns in zip(lines, told, strict=True)
        ],
        "subtotals": [
            {"name": group, **_keyed(_columns_of_sum(grouped))}
            for group, grouped in _grouped(lines)
            if group is not None
        ],
        "total": _keyed(whole),
        "footnotes": list(_footnotes(lines, total)),
        "identities_hold": all(map(_holds, [*told, whole])) and _adds_up(told, whole),
    }


def _form(level: Level) -> str:
    return f"II.06{level}/VPCP/KSTT"


def _columns(counts: Counts) -> dict[int, int | None]:
    found = {column: _sum(counts[name] for name in names) for column, names in _SUMS.items()}
    return {3: _sum(found[column] for column in (4, 5, 6)), **found}


def _columns_of_sum(lines: Sequence[Line]) -> dict[int, int | None]:
    told = [_columns(line.counts) for line in lines]
    return {column: _sum(columns[column] for columns in told) for column in _HEADINGS}


def _sum(parts: Any) -> int | None:  # noqa: ANN401 - any iterable of counts
    """Return the sum, or None where one part is not told."""
    told = list(parts)
    return None if None in told else sum(told)


def _holds(columns: Mapping[int, int | None]) -> bool:
    """Tell whether the form's identities hold as far as the columns are told."""
    return all(
        None in (columns[whole], *(columns[part] for part in parts))
        or columns[whole] == _sum(columns[part] for part in parts)
        for whole, parts in _IDENTITIES
    )


def _adds_up(told: Sequence[Mapping[int, int | None]], whole: Mapping[int, int | None]) -> bool:
    """Tell whether the lines, where there are any, sum to the total as far as they are told."""
    sums = {column: _sum(columns[column] for columns in told) for column in _HEADINGS}
    return not told or all(None in (sums[column], whole[column]) or sums[column] == whole[column] for column in sums)


def _in_order(columns: Mapping[int, int | None]) -> tuple[int | None, ...]:
    return tuple(columns[column] for column in _HEADINGS)


def _keyed(columns: Mapping[int, int | None]) -> dict[str, int | None]:
    return {f"column_{column}": columns[column] for column in _HEADINGS}


def _grouped(lines: Sequence[Line]) -> list[tuple[str | None, list[Line]]]:
    return [(group, list(grouped)) for group, grouped in groupby(lines, key=lambda line: line.group)]


def _roman(number: int) -> str:
    """Return the number of a group as official forms write it; there are fewer groups than nine."""
    return ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")[number - 1]


def _footnotes(lines: Sequence[Line], total: Counts) -> tuple[str, ...]:
    notes = []
    otherwise = [total["withdrawn"], total["stopped"], total["declined"]]
    if _sum(otherwise):
        withdrawn, stopped, declined = (numbers.integer(count or 0) for count in otherwise)
        notes.append(
            f"Cột 7 gồm cả hồ sơ kết thúc không có kết quả: {withdrawn} hồ sơ rút, {stopped} hồ sơ dừng giải quyết, "
            f"{declined} hồ sơ từ chối."
        )
    if total["ended_without_due"]:
        notes.append(f"Cột 9 gồm {numbers.integer(total['ended_without_due'])} hồ sơ không có hạn trả.")
    if total["pending_without_due"]:
        notes.append(f"Cột 12 gồm {numbers.integer(total['pending_without_due'])} hồ sơ không có hạn trả.")
    if any(None in _columns(counts).values() for counts in (total, *(line.counts for line in lines))):
        notes.append("Ô trống: số liệu nhỏ không được công bố.")
    return tuple(notes)


def _signature(heading: Heading) -> Signature:
    place = heading.place or "………………"
    signed = heading.signed_on
    on = "ngày …… tháng …… năm ………" if signed is None else f"ngày {signed:%d} tháng {signed:%m} năm {signed.year}"
    return Signature(
        dated=f"{place}, {on}",
        signers=(("NGƯỜI LẬP BIỂU", "(Ký, ghi rõ họ tên)"), ("THỦ TRƯỞNG ĐƠN VỊ", "(Ký, đóng dấu)")),
    )
