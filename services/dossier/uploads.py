"""An upload of reference data becomes entries here, or an error that names every faulty one and its faults."""

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Generic

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from services.contract import CalendarDay, Frozen, Procedure, Unit
from services.dossier.domain import revision
from services.dossier.domain.revision import E, Fault
from services.dossier.wire import NotJson

MAX_ENTRIES = 20_000
"""The most entries of reference data that one upload may hold: ten times what the largest province has."""

_MAX_ERRORS = 100


class InvalidReference(Exception):
    """Entries of an upload are not valid, and so nothing of it is stored; `errors` names them, as answers show them."""

    def __init__(self, detail: str, errors: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(detail)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Upload(Generic[E]):
    """The entries of an upload as they came; of a CSV also the line on which each begins."""

    entries: list[E]
    lines: Sequence[int] | None = None


def read(body: bytes, content_type: str, shape: type[E]) -> Upload[E]:
    """Read an upload: a JSON array, `{"items": […]}`, or CSV with a header line.

    :raises InvalidReference: naming the entries that are not valid.
    :raises NotJson: a body that is not announced as CSV and is not JSON.
    """
    lines, rows = _csv(body, _COLUMNS[shape]) if content_type == "text/csv" else (None, _json(body))
    if len(rows) > MAX_ENTRIES:
        raise InvalidReference(f"an upload holds at most {MAX_ENTRIES} entries, this one {len(rows)}")
    adapter: TypeAdapter[E] = TypeAdapter(shape)
    entries: list[E] = []
    faults: list[Fault] = []
    for index, row in enumerate(rows):
        if lines is not None and row is None:
            detail = "the line has more or fewer cells than there are headings"
            faults.append(Fault(index, "", detail, "Số ô của dòng khác số cột của tiêu đề."))
            continue
        try:
            entries.append(adapter.validate_python(row))
        except ValidationError as error:
            faults += (_fault(index, found) for found in error.errors(include_url=False, include_input=False))
    upload = Upload(entries, lines)
    refuse(upload, faults or list(revision.repeated(entries)))
    return upload


def refuse(upload: Upload[E], faults: Collection[Fault]) -> None:
    """Refuse the whole upload where there are faults.

    :raises InvalidReference: naming the first hundred of them.
    """
    if not faults:
        return
    errors: list[dict[str, object]] = [asdict(fault) for fault in islice(faults, _MAX_ERRORS)]
    place = "entry {index}"
    if upload.lines is not None:
        errors = [{"line": upload.lines[fault.index], **error} for fault, error in zip(faults, errors, strict=False)]
        place = "line {line}"
    faulty = len({fault.index for fault in faults})
    count = "1 entry is" if faulty == 1 else f"{faulty} entries are"
    first = (place + "{pointer}: {detail}").format_map(errors[0])
    raise InvalidReference(f"{count} not valid, and nothing of the upload is stored; the first is {first}", errors)


def _json(body: bytes) -> list[Any]:
    try:
        given = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        msg = f"the body is not JSON: {error}"
        raise NotJson(msg) from error
    rows = given.get("items") if isinstance(given, dict) else given
    if not isinstance(rows, list):
        msg = 'the body must be an array of entries, or {"items": […]}'
        raise InvalidReference(msg)
    return rows


def _fault(index: int, found: Any) -> Fault:  # noqa: ANN401 - pydantic's ErrorDetails
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in found["loc"])
    detail = found["msg"].removeprefix("Value error, ")
    told = (text for start, text in _VI.items() if detail == start or found["type"].startswith(start))
    return Fault(index, pointer, detail, next(told, "Giá trị không hợp lệ."))


_VI: Mapping[str, str] = {
    "valid_to lies before valid_from": "Ngày kết thúc đứng trước ngày bắt đầu hiệu lực.",
    "a day is written like 2026-10-05": "Ngày phải theo dạng 2026-10-05.",
    "a time of day is written like 15:00": "Giờ trong ngày phải theo dạng 15:00.",
    "missing": "Thiếu trường bắt buộc.",
    "extra_forbidden": "Trường không được phép.",
    "literal_error": "Giá trị không nằm trong danh mục cho phép.",
    "date": "Ngày phải theo dạng 2026-10-05.",
    "time": "Giờ trong ngày phải theo dạng 15:00.",
    "greater_than_equal": "Giá trị nhỏ hơn mức cho phép.",
    "less_than_equal": "Giá trị lớn hơn mức cho phép.",
    "string": "Chuỗi ký tự không hợp lệ (độ dài hoặc ký tự không được phép).",
    "int": "Phải là số nguyên.",
    "bool": "Phải là true hoặc false.",
    "model": "Mỗi mục phải là một đối tượng.",
}
"""What is said in Vietnamese of a fault, by its own text or by how pydantic's name for it begins."""


# --- CSV --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a kind of CSV, and what makes an entry of a line's cells."""

    required: Sequence[str]
    optional: Sequence[str]
    entry: Callable[[dict[str, str]], dict[str, Any]]


def _csv(body: bytes, columns: _Columns) -> tuple[list[int], list[dict[str, Any] | None]]:
    """Return where each line begins, and what it holds: None where its cells do not fit the headings.

    :raises InvalidReference: it is no CSV of these columns.
    """
    lines: list[int] = []
    rows: list[dict[str, Any] | None] = []
    begins = 1
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        _check(header, columns)
        begins = reader.line_num + 1
        for cells in reader:
            if cells:
                lines.append(begins)
                fits = len(cells) == len(header)
                rows.append(columns.entry(dict(zip(header, cells, strict=True))) if fits else None)
            begins = reader.line_num + 1
    except (UnicodeDecodeError, csv.Error) as error:
        detail = f"the CSV cannot be read from here on: {error}"
        raise _no_csv(begins, detail, "Không đọc được tệp CSV từ dòng này.") from error
    return lines, rows


def _check(header: Sequence[str], columns: _Columns) -> None:
    """Refuse a header that lacks a column, or has one that is not known: it would be left out without a word.

    :raises InvalidReference: naming all such columns.
    """
    missing = [name for name in columns.required if name not in header]
    unknown = sorted(set(header) - {*columns.required, *columns.optional})
    repeated = sorted({name for name in header if header.count(name) > 1})
    found = {"missing": missing, "not known": unknown, "there more than once": repeated}
    if missing or unknown or repeated:
        detail = "; ".join(f"{what}: {', '.join(names)[:200]}" for what, names in found.items() if names)
        raise _no_csv(1, f"the columns do not fit; {detail}", "Các cột của dòng tiêu đề không đúng.")


def _no_csv(line: int, detail: str, detail_vi: str) -> InvalidReference:
    error = {"line": line, "pointer": "", "detail": detail, "detail_vi": detail_vi}
    return InvalidReference(f"line {line}: {detail}; nothing of the upload is stored", [error])


def _unit(row: dict[str, str]) -> dict[str, Any]:
    lists = {name: _listed(row[name]) for name in ("predecessors", "successors")}
    return {**row, "valid_to": row["valid_to"] or None, **lists}


def _procedure(row: dict[str, str]) -> dict[str, Any]:
    plain = ("code", "name", "mountain_extra_days", "fee_required", "online_level", "valid_from", "official")
    amount, unit = row["limit_amount"], row["limit_unit"]
    return {
        **{name: row[name] for name in plain},
        "field": {"code": row["field_code"], "name": row["field_name"]},
        "limit": {"amount": amount, "unit": unit} if amount or unit else None,
        "limits_by_channel": dict(_channel_limit(part) for part in _listed(row["limits_by_channel"])),
        "cut_off": row.get("cut_off") or None,
        "online_payment": row.get("online_payment") or None,
        "restarts_after_supplement": row.get("restarts_after_supplement") or False,
        "valid_to": row["valid_to"] or None,
    }


def _channel_limit(part: str) -> tuple[str, dict[str, str]]:
    channel, _, limit = part.partition("=")
    amount, _, unit = limit.partition(" ")
    return channel, {"amount": amount, "unit": unit}


def _listed(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


_UNIT_COLUMNS = ("code", "name", "kind", "class", "valid_from", "valid_to", "predecessors", "successors")
_PROCEDURE_COLUMNS = (
    *("code", "name", "field_code", "field_name", "limit_amount", "limit_unit", "limits_by_channel"),
    *("mountain_extra_days", "fee_required", "online_level", "valid_from", "valid_to", "official"),
)
_COLUMNS: Mapping[type[Frozen], _Columns] = {
    Unit: _Columns(_UNIT_COLUMNS, (), _unit),
    Procedure: _Columns(_PROCEDURE_COLUMNS, ("cut_off", "restarts_after_supplement", "online_payment"), _procedure),
    CalendarDay: _Columns(("on_day", "working", "name"), ("official",), dict),
}
