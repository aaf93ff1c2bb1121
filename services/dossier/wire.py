"""Bytes from outside become events here, or errors that name the place and the reason."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, NoReturn

import pydantic_core
from pydantic import ValidationError

from services.contract import EVENT, EVENTS, MAX_EVENT_BYTES, MAX_EVENTS, AnyEvent
from services.dossier.domain import record

JSON_TYPES = frozenset({"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"})
"""The media types of one event or an array."""

LINES_TYPES = frozenset({"application/x-ndjson", "application/jsonl"})
"""The media types of one event a line."""

# What one item may name, and what a whole request may name before each further item names its first error alone.
_ERRORS_PER_ITEM = 20
_ERRORS_IN_FULL = 1_000

_LONGEST_POINTER = 300

# To name faults takes longer than to find them, and an event has no more than thirty fields.
_MOST_FAULTS = 100

# A parsed value takes up to forty times its text, so what is larger than this is parsed as a whole only where it
# consists of no more than as many events could: an event has two objects, no array, and up to thirty fields.
_HARMLESS_BYTES = 256 * 1024
_MOST_OF = {b"{": 2 * MAX_EVENTS, b"[": MAX_EVENTS, b",": 40 * MAX_EVENTS}

_SPACE = b" \t\r\n"
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")


class NotJson(Exception):
    """The body is not JSON, or neither an object nor an array."""


class TooManyEvents(Exception):
    """There are more events than one request may carry."""


class EventTooLarge(Exception):
    """An event is larger than any can be."""

    def __init__(self) -> None:
        super().__init__(f"an event takes at most {MAX_EVENT_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why an item was not accepted: a stable code and the place in the item, as a JSON pointer."""

    code: str
    pointer: str
    detail: str
    detail_vi: str


class Candidate(NamedTuple):
    """One item of a request: the event it is, with its canonical data and fingerprint, or what is wrong with it.

    A tuple, because five thousand frozen dataclasses cost as much as a tenth of reading them.
    """

    id: str | None
    event: AnyEvent | None
    data: str
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
    "not_json": "Dòng này không phải JSON hợp lệ.",
    "duplicate_key": "Trường xuất hiện nhiều hơn một lần.",
    "event_too_large": "Một sự kiện chiếm tối đa 64 KiB.",
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
    """Return the error `code` with its Vietnamese text; a sender's own key in the pointer may be cut."""
    return ItemError(code, pointer[:_LONGEST_POINTER], detail, _VI[code])


def events(body: bytes) -> tuple[Sequence[Candidate], bool]:
    """Read one event or an array; the second value tells whether it was an array.

    :raises NotJson: the body is not JSON, or holds neither an object nor an array.
    :raises TooManyEvents: an array of more than `MAX_EVENTS`.
    :raises EventTooLarge: an event of more than `MAX_EVENT_BYTES`.
    """
    content = body.strip(_SPACE)
    match content[:1]:
        case b"[":
            candidates = _all_valid(content)
            return _one_by_one(_elements(_text(content))) if candidates is None else candidates, True
        case b"{":
            return [_candidate(content, _ERRORS_PER_ITEM)], False
        case _:
            msg = "the body must be one event or an array of events, in UTF-8 without a byte order mark"
            raise NotJson(msg)


def lines(body: bytes) -> Sequence[Candidate]:
    """Read one event a line; blank lines are none.

    :raises TooManyEvents: more than `MAX_EVENTS` lines.
    """
    content = body.strip(_SPACE)
    count = content.count(b"\n") + 1
    # No text goes on over the end of a line, and none of the fields takes an array: where every line begins an object,
    # and there are as many events as lines, each line is one.
    if content[:1] == b"{" and content.count(b"\n{") + 1 == count:
        candidates = _all_valid(b"[" + content.replace(b"\n", b"\n,") + b"]")
        if candidates is not None and len(candidates) == count:
            return candidates
    return _one_by_one((line[0].rstrip(_SPACE) for line in _LINE.finditer(content)), lines=True)


def _all_valid(array: bytes) -> Sequence[Candidate] | None:
    """Return the events of a faultless array, read at once, which takes a third of the time; None for any other.

    :raises TooManyEvents: there are more than `MAX_EVENTS`.
    """
    if len(array) > _HARMLESS_BYTES and any(array.count(sign) > most for sign, most in _MOST_OF.items()):
        return None
    try:
        valid = EVENTS.validate_json(array)
    except ValidationError:
        return None
    if len(valid) > MAX_EVENTS:
        raise _too_many()
    if sum(len(event.model_fields_set) + len(event.data.model_fields_set) for event in valid) != _most_keys(array):
        return None
    return [_valid(event) for event in valid]


def _most_keys(text: bytes) -> int:
    """Return how many keys there are in a text of JSON, or more, where a text in it begins with a colon, or quotes one.

    Never fewer: without white space each key ends in a quote and a colon, and what is taken out of texts with it
    brings only more of those together. So where as many different keys were found as this, none was repeated.
    """
    return text.translate(None, _SPACE).count(b'":')


def _one_by_one(items: Iterable[bytes], *, lines: bool = False) -> Sequence[Candidate]:
    """Return what each item is; of an array it must be JSON, of lines each may be broken.

    :raises NotJson: an element of an array is not JSON.
    :raises TooManyEvents: there are more than `MAX_EVENTS`.
    :raises EventTooLarge: an element of an array takes more than `MAX_EVENT_BYTES`.
    """
    candidates: list[Candidate] = []
    named = 0
    for item in items:
        if len(candidates) == MAX_EVENTS:
            raise _too_many()
        most = _ERRORS_PER_ITEM if named < _ERRORS_IN_FULL else 1
        try:
            candidate = _candidate(item, most)
        except (NotJson, EventTooLarge) as error:
            if not lines:
                raise
            code = "not_json" if isinstance(error, NotJson) else "event_too_large"
            candidate = Candidate(None, None, "", b"", (item_error(code, "", str(error)),))
        candidates.append(candidate)
        named += len(candidate.errors)
    return candidates


def _too_many() -> TooManyEvents:
    return TooManyEvents(f"a request holds at most {MAX_EVENTS} events")


def _not_json(why: object) -> NotJson:
    return NotJson(f"the body is not JSON: {why}")


def _valid(event: AnyEvent) -> Candidate:
    data = record.canonical(event.data)
    return Candidate(event.id, event, data, record.fingerprint(event.type, event.subject, event.time, data))


def _candidate(item: bytes, most: int) -> Candidate:
    """Return the event, or up to `most` errors.

    :raises NotJson: it is not JSON.
    :raises EventTooLarge: it takes more than `MAX_EVENT_BYTES`.
    """
    if len(item) > MAX_EVENT_BYTES:
        raise EventTooLarge
    errors: Sequence[ItemError] = ()
    event: AnyEvent | None = None
    try:
        event = EVENT.validate_json(item)
        if len(event.model_fields_set) + len(event.data.model_fields_set) == _most_keys(item):
            return _valid(event)
    except ValidationError as error:
        errors = _item_errors(error, most)
    given, twice = _written(item)
    if twice:
        places = islice(_repeated(given), most)
        errors = [item_error("duplicate_key", place, "the key stands there more than once") for place in places]
    if event is not None and not errors:
        return _valid(event)
    given_id = dict(given.members).get("id") if isinstance(given, _Object) else None
    return Candidate(given_id[:200] if isinstance(given_id, str) else None, None, "", b"", tuple(errors))


class _KeyTwice(Exception):
    """A key stands more than once in its object."""


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object as it is written, with every key as often as it stands there."""

    members: Sequence[tuple[str, Any]]


def _once(members: Sequence[tuple[str, Any]]) -> _Object:
    if len(dict(members)) < len(members):
        raise _KeyTwice
    return _Object(members)


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_ONCE = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refused)
_AS_WRITTEN = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=_refused)
_PLACES = json.JSONDecoder(parse_constant=_refused)
_BLANK = re.compile(r"[ \t\r\n]*")


def _written(item: bytes) -> tuple[object, bool]:
    """Return the item as it is written, and whether a key stands in it twice.

    :raises NotJson: it holds what JSON does not know, like NaN.
    """
    text = item.decode()
    try:
        with contextlib.suppress(_KeyTwice):
            return _ONCE.decode(text), False
        return _AS_WRITTEN.decode(text), True
    except ValueError as error:
        raise _not_json(error) from error


def _members(value: object) -> Iterable[tuple[str, Any]]:
    match value:
        case _Object():
            return value.members
        case list():
            return ((str(index), member) for index, member in enumerate(value))
        case _:
            return ()


def _repeated(written: object) -> Iterator[str]:
    """Yield the place of each key that stands more than once in its object, the outermost first."""
    waiting: list[tuple[object, tuple[str, ...]]] = [(written, ())]
    for value, path in waiting:
        seen: set[str] = set()
        for key, member in _members(value):
            if key in seen:
                yield _pointer((*path, key))
            seen.add(key)
            if isinstance(member, _Object | list):
                waiting.append((member, (*path, key)))


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _not_json(error) from error


def _elements(text: str) -> Iterator[bytes]:
    """Yield the elements of an array, which begins the text, each as it is written and none longer than an event.

    Only one of them is ever held parsed: a body of nothing but braces would take forty times its size.

    :raises NotJson: the array is broken, or something follows it.
    :raises EventTooLarge: an element is longer than `MAX_EVENT_BYTES`.
    """
    place = _past_space(text, 1)
    more = text[place : place + 1] != "]"
    while more:
        end = _end(text, place)
        yield text[place:end].encode()
        place = _past_space(text, end)
        more = text[place : place + 1] == ","
        if more:
            place = _past_space(text, place + 1)
    if text[place:] != "]":
        raise _not_json(f"expected `,` or the end of the array at character {place}")


def _past_space(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    return place if found is None else found.end()


def _end(text: str, place: int) -> int:
    """Return where the element ends that begins at `place`; most are short, so little is looked at first."""
    for size in (MAX_EVENT_BYTES // 16, MAX_EVENT_BYTES):
        window = text[place : place + size]
        cut = place + size < len(text)
        with contextlib.suppress(ValueError, RecursionError):
            end = _PLACES.raw_decode(window)[1]
            # A number may go on behind the window.
            if end < len(window) or not cut:
                return place + end
    try:
        pydantic_core.from_json(window, allow_inf_nan=False, allow_partial="trailing-strings" if cut else False)
    except ValueError as error:
        raise _not_json(error) from error
    raise EventTooLarge


def _item_errors(error: ValidationError, most: int) -> Sequence[ItemError]:
    """Return up to `most` of what is wrong with an item.

    :raises NotJson: it is not JSON.
    """
    if error.error_count() > _MOST_FAULTS:
        return [item_error("invalid_value", "", f"more than {_MOST_FAULTS} faults")]
    faults = error.errors(include_url=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        raise _not_json(faults[0]["ctx"]["error"]) from error
    return [_item_error(fault) for fault in faults[:most]]


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
    return item_error(code, _pointer(place), fault["msg"].removeprefix("Value error, "))


def _pointer(path: Iterable[str]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def error_json(error: ItemError) -> dict[str, str]:
    """Return the error as it appears in an answer."""
    return asdict(error)
