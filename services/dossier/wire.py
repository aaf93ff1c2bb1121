"""Bytes from outside become events and reference data here, or errors that name the place and the reason."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from services.contract import EVENT, EVENTS, MAX_EVENTS, AnyEvent, CalendarDay, Frozen, Procedure, Unit

JSON_TYPES = frozenset({"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"})

MAX_ENTRIES = 20_000
"""The most entries of reference data that one upload may hold: ten times what the largest province has."""

R = TypeVar("R", Unit, Procedure, CalendarDay)


class NotJson(Exception):
    """The body is not JSON, or neither an object nor an array."""


class TooManyEvents(Exception):
    """The array is longer than one request may be."""


class InvalidReference(Exception):
    """An entry of a bulk upload is not valid; the message names its place."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why an item was not accepted: a stable code and the place in the item, as a JSON pointer."""

    code: str
    pointer: str
    detail: str
    detail_vi: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One item of a request: the event it is, with the fingerprint of its content, or what is wrong with it."""

    id: str | None
    event: AnyEvent | None
    fingerprint: bytes
    errors: tuple[ItemError, ...] = ()


_VI: Mapping[str, str] = {
    "field_required": "Thiếu trường bắt buộc.",
    "unknown_field": "Trường không được phép; hệ thống không nhận dữ liệu cá nhân.",
    "unknown_type": "Loại sự kiện không được hỗ trợ.",
    "value_not_allowed": "Giá trị không nằm trong danh mục cho phép.",
    "invalid_instant": "Thời điểm phải theo RFC 3339, có múi giờ, ví dụ 2026-10-05T08:30:00+07:00.",
    "invalid_text": "Chuỗi ký tự không hợp lệ (độ dài hoặc ký tự điều khiển).",
    "invalid_number": "Số không hợp lệ.",
    "invalid_value": "Giá trị không hợp lệ.",
    "unknown_unit": "Đơn vị không có trong danh mục vào ngày đó.",
    "unit_forbidden": "Đơn vị không thuộc phạm vi của khoá truy cập.",
    "source_forbidden": "Nguồn gửi không thuộc phạm vi của khoá truy cập.",
    "too_many_events_of_dossier": "Hồ sơ đã có quá nhiều sự kiện.",
    "conflict": "Mã sự kiện này đã được gửi với nội dung khác.",
}

_CODES: Mapping[str, str] = {
    "missing": "field_required",
    "extra_forbidden": "unknown_field",
    "union_tag_invalid": "unknown_type",
    "union_tag_not_found": "field_required",
    "literal_error": "value_not_allowed",
    "value_error": "invalid_instant",
}


def item_error(code: str, pointer: str, detail: str) -> ItemError:
    """Return the error `code` with its Vietnamese text."""
    return ItemError(code, pointer, detail, _VI[code])


def events(body: bytes) -> tuple[Sequence[Candidate], bool]:
    """Read the body of a request; the second value tells whether it held an array.

    :raises NotJson: the body is not JSON, or holds neither an object nor an array.
    :raises TooManyEvents: an array of more than `MAX_EVENTS`.
    """
    if body.lstrip()[:1] == b"[":
        try:
            # The whole array at once is three times faster, and nearly all arrays are faultless.
            valid = EVENTS.validate_json(body)
        except ValidationError:
            return [_candidate(item) for item in _array(body)], True
        if len(valid) > MAX_EVENTS:
            raise TooManyEvents(_too_many(len(valid)))
        return [_valid(event) for event in valid], True
    item = _json(body)
    if not isinstance(item, dict):
        msg = "the body must be one event or an array of events"
        raise NotJson(msg)
    return [_candidate(item)], False


def _array(body: bytes) -> list[Any]:
    items = _json(body)
    if len(items) > MAX_EVENTS:
        raise TooManyEvents(_too_many(len(items)))
    return list(items)


def _too_many(count: int) -> str:
    return f"a request holds at most {MAX_EVENTS} events, this one {count}"


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        msg = f"the body is not JSON: {error}"
        raise NotJson(msg) from error


def _valid(event: AnyEvent) -> Candidate:
    content = (
        f"{event.type}\0{event.subject}\0{event.time.timestamp()!r}\0{event.data.model_dump_json(exclude_none=True)}"
    )
    return Candidate(event.id, event, hashlib.blake2b(content.encode(), digest_size=16).digest())


def _candidate(item: object) -> Candidate:
    try:
        return _valid(EVENT.validate_python(item))
    except ValidationError as error:
        found = tuple(_item_error(fault) for fault in error.errors(include_url=False, include_input=False)[:20])
        given = item.get("id") if isinstance(item, dict) else None
        return Candidate(given[:200] if isinstance(given, str) else None, None, b"", found)


def _item_error(fault: Any) -> ItemError:  # noqa: ANN401 - pydantic's ErrorDetails
    kind: str = fault["type"]
    code = _CODES.get(kind)
    if code is None:
        code = (
            "invalid_instant"
            if kind.startswith(("datetime", "timezone"))
            else "invalid_text"
            if kind.startswith("string")
            else "invalid_number"
            if kind.startswith(("int", "greater", "less", "finite"))
            else "invalid_value"
        )
    if kind.startswith("union_tag"):
        told = fault["ctx"].get("tag")
        return item_error(code, "/type", "the type is missing" if told is None else f"there is no type {told[:100]}")
    # pydantic names the branch of the union in the place; the sender knows only its own event.
    place = [str(part) for part in fault["loc"] if not str(part).startswith("vn.motcua.")]
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place)
    return item_error(code, pointer, fault["msg"].removeprefix("Value error, "))


def error_json(error: ItemError) -> dict[str, str]:
    """Return the error as it appears in an answer."""
    return asdict(error)


# --- Reference data ---------------------------------------------------------------------------------------------------


def references(body: bytes, content_type: str, shape: type[R]) -> list[R]:
    """Read a bulk upload of reference data: a JSON array, `{"items": […]}`, or CSV with a header line.

    :raises InvalidReference: naming the first entry that is not valid.
    :raises NotJson: a body that is not announced as CSV and is not JSON.
    """
    rows: Any
    if content_type == "text/csv":
        try:
            rows = [_READ_ROW[shape](row) for row in _rows(body)]
        except (UnicodeDecodeError, ValueError, KeyError, AttributeError, csv.Error) as error:
            msg = f"the CSV cannot be read: {error}"
            raise InvalidReference(msg) from error
    else:
        given = _json(body)
        rows = given.get("items") if isinstance(given, dict) else given
    if isinstance(rows, list) and len(rows) > MAX_ENTRIES:
        raise InvalidReference(f"an upload holds at most {MAX_ENTRIES} entries, this one {len(rows)}")
    try:
        entries: list[R] = TypeAdapter(list[shape]).validate_python(rows)  # type: ignore[valid-type]
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = "/".join(str(part) for part in fault["loc"])
        msg = f"entry {place}: {fault['msg']}"
        raise InvalidReference(msg) from error
    keys = Counter(_key(entry) for entry in entries)
    if len(keys) < len(entries):
        msg = f"{keys.most_common(1)[0][0]} stands there more than once"
        raise InvalidReference(msg)
    return entries


def _key(entry: Unit | Procedure | CalendarDay) -> str:
    """Return what an entry is stored under, as a person would write it."""
    if isinstance(entry, CalendarDay):
        return entry.on_day.isoformat()
    return f"{entry.code} from {entry.valid_from}"


def _rows(body: bytes) -> Iterator[dict[str, str]]:
    """Yield the lines of a CSV by their headings.

    :raises ValueError: a line has more or fewer cells than there are headings.
    """
    reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig")), strict=True)
    for row in reader:
        if None in row or None in row.values():
            msg = f"line {reader.line_num} has more or fewer cells than there are headings"
            raise ValueError(msg)
        yield row


def _unit_row(row: dict[str, str]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("code", "name", "kind", "class", "valid_from")},
        "valid_to": row["valid_to"] or None,
        "predecessors": _listed(row["predecessors"]),
        "successors": _listed(row["successors"]),
    }


def _procedure_row(row: dict[str, str]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("code", "name", "mountain_extra_days", "fee_required", "online_level")},
        "field": {"code": row["field_code"], "name": row["field_name"]},
        "limit": {"amount": row["limit_amount"], "unit": row["limit_unit"]} if row["limit_unit"] else None,
        "limits_by_channel": dict(_channel_limit(part) for part in _listed(row["limits_by_channel"])),
        "valid_from": row["valid_from"],
        "valid_to": row["valid_to"] or None,
        "official": row["official"],
    }


def _channel_limit(part: str) -> tuple[str, dict[str, str]]:
    channel, _, limit = part.partition("=")
    amount, _, unit = limit.partition(" ")
    return channel, {"amount": amount, "unit": unit}


def _listed(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


_READ_ROW: Mapping[type[Frozen], Callable[[dict[str, str]], dict[str, Any]]] = {
    Unit: _unit_row,
    Procedure: _procedure_row,
    CalendarDay: dict,
}
