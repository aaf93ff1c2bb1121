"""Bytes become events or errors that name the place; nothing in between, and no byte takes the process down."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contract import MAX_EVENT_BYTES, MAX_EVENTS, MAX_INFLATED_BYTES, Received
from services.dossier import wire
from services.dossier.wire import Candidate, EventTooLarge, NotJson, TooManyEvents
from tests.builders import Json, forwarded, paid, received, resolved, returned, withdrawn


def _read(event: object) -> Candidate:
    candidates, _ = wire.events(json.dumps(event).encode())
    return candidates[0]


def _found(event: object) -> list[tuple[str, str]]:
    """Return code and place of everything that is wrong with the event."""
    return [(error.code, error.pointer) for error in _read(event).errors]


def _with(event: Json, **data: Any) -> Json:  # noqa: ANN401 - any JSON value
    return {**event, "data": {**event["data"], **data}}


RECEIVED = received("H37-1")


@pytest.mark.parametrize("build", [received, forwarded, paid, resolved, returned, withdrawn])
def test_each_kind_of_event_is_read_alone_and_in_an_array(build: Any) -> None:  # noqa: ANN401 - a builder
    event = build("H37-1")

    alone, is_array = wire.events(json.dumps(event).encode())
    among, are_array = wire.events(json.dumps([event]).encode())

    assert (is_array, are_array) == (False, True)
    assert alone[0].errors == ()
    assert alone == among


def test_an_event_means_the_same_beside_a_faulty_one() -> None:
    clean, _ = wire.events(json.dumps([RECEIVED]).encode())
    beside, _ = wire.events(json.dumps([RECEIVED, {}]).encode())

    assert beside[0] == clean[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[",
        b"[1,]",
        b"{}{}",
        b"null",
        b"true",
        b"1",
        b'"text"',
        b"\xff\xfe",
        b'{"id": "\xff"}',
        b"NaN",
        b'[{"amount": NaN}]',
        b'{"amount": -Infinity}',
        b'{"id": "\\ud800"}',
        b'{"id": "\\udc00"}',
        b"\xef\xbb\xbf{}",
        b'{"id": "a\x00b"}',
        b"[" * 100_000,
        b'{"a":' * 10_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 5_000,
        b"[" + b"9" * 5_000 + b"]",
        b"[1 2]",
        b"[1]]",
        b"[1],",
        b"[" + b"1" * 70_000,
        b'[{"id": "' + b"x" * 1_000,
        b'[{"id": "\xff"}, 1]',
        b'[{"id": "\\ud800"}, 1]',
        b'[{"id": NaN}, "' + b"x" * 70_000 + b'"]',
        '[{"id": 1}]'.encode("utf-16"),
        '{"id": 1}'.encode("utf-16-le"),
        b"\xef\xbb\xbf[]",
        b"id=1&source=x",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_not_json_or_no_object_and_no_array_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(NotJson):
        wire.events(body)


def test_an_empty_array_holds_nothing() -> None:
    assert wire.events(b" [] ") == ([], True)


@pytest.mark.parametrize("item", [None, 1, "text", [], [[]], True, 1e300, {}], ids=repr)
def test_an_item_that_is_no_event_is_an_error_of_its_own(item: object) -> None:
    candidates, _ = wire.events(json.dumps([item, RECEIVED]).encode())

    assert candidates[0].event is None
    assert candidates[0].errors
    assert candidates[1].event is not None


@pytest.mark.parametrize("count", [5_001, 6_000])
def test_more_than_five_thousand_items_are_too_many_even_where_none_is_an_event(count: int) -> None:
    with pytest.raises(TooManyEvents):
        wire.events(json.dumps([0] * count).encode())


@pytest.mark.parametrize(
    ("event", "code", "pointer"),
    [
        ({**RECEIVED, "type": "vn.motcua.dossier.eaten"}, "unknown_type", "/type"),
        ({name: RECEIVED[name] for name in RECEIVED if name != "type"}, "field_required", "/type"),
        ({name: RECEIVED[name] for name in RECEIVED if name != "id"}, "field_required", "/id"),
        ({name: RECEIVED[name] for name in RECEIVED if name != "time"}, "field_required", "/time"),
        ({**RECEIVED, "citizen_name": "Nguyễn Văn A"}, "unknown_field", "/citizen_name"),
        (_with(RECEIVED, phone="0900000000"), "unknown_field", "/data/phone"),
        (_with(RECEIVED, **{"a/b~c": 1}), "unknown_field", "/data/a~1b~0c"),
        (_with(RECEIVED, channel="fax"), "value_not_allowed", "/data/channel"),
        (_with(RECEIVED, receiving_unit=None), "invalid_text", "/data/receiving_unit"),
        (_with(RECEIVED, receiving_unit="a b"), "invalid_text", "/data/receiving_unit"),
        (_with(RECEIVED, procedure="x" * 101), "invalid_text", "/data/procedure"),
        (_with(RECEIVED, due_at="2026-10-05"), "invalid_instant", "/data/due_at"),
        ({**RECEIVED, "id": ""}, "invalid_text", "/id"),
        ({**RECEIVED, "id": 7}, "invalid_text", "/id"),
        ({**RECEIVED, "id": "a\x00b"}, "invalid_text", "/id"),
        ({**RECEIVED, "source": "a\x00b"}, "invalid_text", "/source"),
        ({**RECEIVED, "subject": "a\x00b"}, "invalid_text", "/subject"),
        ({**RECEIVED, "subject": "x" * 101}, "invalid_text", "/subject"),
        ({**RECEIVED, "specversion": "0.3"}, "value_not_allowed", "/specversion"),
        ({**RECEIVED, "data": None}, "invalid_value", "/data"),
        ({**RECEIVED, "data": []}, "invalid_value", "/data"),
        (withdrawn("H37-1", reason="a\x00b"), "invalid_text", "/data/reason"),
        (withdrawn("H37-1", reason="x" * 501), "invalid_text", "/data/reason"),
        (paid("H37-1", amount=-1), "invalid_number", "/data/amount"),
        (paid("H37-1", amount=10**15 + 1), "invalid_number", "/data/amount"),
        (paid("H37-1", amount=10**400), "invalid_number", "/data/amount"),
        (paid("H37-1", amount=1.5), "invalid_number", "/data/amount"),
        (paid("H37-1", amount=1e300), "invalid_number", "/data/amount"),
        (paid("H37-1", amount="20000"), "invalid_number", "/data/amount"),
        (paid("H37-1", amount=True), "invalid_number", "/data/amount"),
        (paid("H37-1", amount=None), "invalid_number", "/data/amount"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(event: Json, code: str, pointer: str) -> None:
    assert _found(event) == [(code, pointer)]


@pytest.mark.parametrize(
    "time",
    [
        "2026-10-05T08:30:00",
        "2026-10-05",
        "08:30:00+07:00",
        1_790_000_000,
        1_790_000_000.5,
        "1790000000",
        "0001-01-01T00:00:00+07:00",
        "0001-01-01T00:00:00+14:00",
        "1989-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "2100-01-01T00:00:00Z",
        "2026-02-30T08:30:00+07:00",
        "2026-10-05T25:00:00+07:00",
        "yesterday",
        "",
        None,
        True,
        [],
        {},
    ],
    ids=repr,
)
def test_an_instant_is_text_with_an_offset_between_1990_and_2100(time: object) -> None:
    assert _found({**RECEIVED, "time": time}) == [("invalid_instant", "/time")]


def test_every_error_speaks_both_languages() -> None:
    errors = _read({"type": RECEIVED["type"], "x": 1, "data": {"channel": "fax"}}).errors

    assert len(errors) >= 5
    assert all(error.detail and error.detail_vi for error in errors)


def test_no_error_repeats_what_was_sent() -> None:
    secret = "Nguyễn Văn A 0900000000"

    errors = _read(_with({**RECEIVED, "id": secret + "\x01"}, channel=secret, procedure=secret)).errors

    assert len(errors) == 3
    assert secret not in str(errors)


def test_an_item_names_only_so_many_errors() -> None:
    few, many = (_read(_with(RECEIVED, **{f"x{number}": 1 for number in range(count)})) for count in (100, 101))

    assert [error.code for error in few.errors] == ["unknown_field"] * 20
    assert [(error.code, error.pointer) for error in many.errors] == [("invalid_value", "")]
    assert few.id == many.id == RECEIVED["id"]


def test_ids_are_kept_as_they_were_sent() -> None:
    kept = _read({**RECEIVED, "id": "  Ấ-1 ", "source": " nguồn gửi "})

    assert kept.event is not None
    assert (kept.event.id, kept.event.source) == ("  Ấ-1 ", " nguồn gửi ")
    assert isinstance(kept.event.data, Received)


def test_a_number_of_any_size_is_a_value_like_another() -> None:
    body = b'[{"amount": %s}, 1e999, -1e999, %s]' % (b"9" * 400, b"9" * 4_200)

    candidates, _ = wire.events(body)

    assert [candidate.event for candidate in candidates] == [None] * 4


# --- Lines ------------------------------------------------------------------------------------------------------------


def _lines(*events: object) -> bytes:
    return b"\n".join(json.dumps(event).encode() for event in events)


MANY = [build(f"H37-{number}") for number in range(4) for build in (received, paid, resolved)]


@pytest.mark.parametrize(
    "written",
    [
        lambda lines: lines,
        lambda lines: lines + b"\n",
        lambda lines: lines.replace(b"\n", b"\r\n"),
        lambda lines: b"\n \t\r\n" + lines.replace(b"\n", b"\n\n\r\n  \n") + b"\n\n",
        lambda lines: lines.replace(b"\n", b" \n "),
    ],
    ids=["plain", "ended", "CRLF", "blank lines", "spaces"],
)
def test_lines_mean_what_an_array_means(written: Callable[[bytes], bytes]) -> None:
    array, _ = wire.events(json.dumps(MANY).encode())

    assert list(wire.lines(written(_lines(*MANY)))) == list(array)


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"], ids=repr)
def test_no_lines_hold_nothing(body: bytes) -> None:
    assert wire.lines(body) == []


BROKEN_LINES = {
    "half": b'{"id": "a"',
    "no JSON": b"received",
    "two events": _lines(MANY[0]) + b", " + _lines(MANY[1]),
    "two events without a comma": _lines(MANY[0]) + _lines(MANY[1]),
    "a comma behind": _lines(MANY[0]) + b",",
    "a byte order mark": b"\xef\xbb\xbf" + _lines(MANY[0]),
    "no UTF-8": b'{"id": "\xff"}',
    "a lone surrogate": b'{"id": "\\ud800"}',
    "a NUL": b'{"id": "a\x00"}',
    "NaN": b'{"id": NaN}',
    "NaN behind a repeated key": b'{"id": "1", "x": {"y": 1, "y": 1}, "z": NaN}',
    "deep": b"[" * 10_000,
}


@pytest.mark.parametrize("line", BROKEN_LINES.values(), ids=BROKEN_LINES.keys())
def test_a_broken_line_is_rejected_and_harms_no_other(line: bytes) -> None:
    first, broken, last = wire.lines(_lines(MANY[0]) + b"\n" + line + b"\n" + _lines(MANY[1]))

    assert [(error.code, error.pointer) for error in broken.errors] == [("not_json", "")]
    assert [kept.id for kept in (first, last)] == [MANY[0]["id"], MANY[1]["id"]]
    assert first.event is not None
    assert last.event is not None


def test_a_line_that_is_no_event_is_told_what_it_lacks() -> None:
    (faulty,) = wire.lines(b'{"type": "vn.motcua.dossier.eaten"}')

    assert [(error.code, error.pointer) for error in faulty.errors] == [("unknown_type", "/type")]


@pytest.mark.parametrize(
    ("part", "parted"),
    [(b"before, after", b"before\n after"), (b"before, after", b"before\n{after"), (b', "data"', b'\n "data"')],
    ids=["in a text", "in a text before a brace", "between keys"],
)
def test_halves_of_an_event_in_two_lines_are_no_event_and_two_in_one_line_are_none(part: bytes, parted: bytes) -> None:
    whole = _lines(withdrawn("H37-1", reason="before, after"))
    # As many lines as there would be events.
    body = b",".join([whole, whole]) + b"\n" + whole.replace(part, parted)

    candidates = wire.lines(body)

    assert [error.code for candidate in candidates for error in candidate.errors] == ["not_json"] * 3


def test_more_than_five_thousand_lines_are_too_many_blank_ones_not_counted() -> None:
    lines = b"{}\n\n" * MAX_EVENTS

    assert len(wire.lines(lines)) == MAX_EVENTS
    with pytest.raises(TooManyEvents):
        wire.lines(lines + b"{}")


# --- Repeated keys ----------------------------------------------------------------------------------------------------

REPEATED = {
    "id": (b'"id":', b'"id": "first", "id":', "/id"),
    "the same value": (b'"specversion": "1.0",', b'"specversion": "1.0", "specversion": "1.0",', "/specversion"),
    "in the data": (b'"channel":', b'"channel": "postal", "channel":', "/data/channel"),
    "an object": (b'"data":', b'"data": {}, "data":', "/data"),
    "escaped": (b'"channel":', b'"ch\\u0061nnel": "postal", "channel":', "/data/channel"),
    "white space": (b'"channel":', b'"channel" : "postal", "channel"\r\n\t :', "/data/channel"),
    "an unknown one": (b'"channel":', b'"x/y": 1, "x/y": 2, "channel":', "/data/x~1y"),
    "null": (b'"channel":', b'"applicant": null, "applicant": null, "channel":', "/data/applicant"),
}


@pytest.mark.parametrize(("key", "twice", "pointer"), REPEATED.values(), ids=REPEATED.keys())
def test_a_key_that_stands_twice_is_refused_with_its_place(key: bytes, twice: bytes, pointer: str) -> None:
    event = json.dumps(RECEIVED).encode()
    repeated = event.replace(key, twice, 1)

    alone, _ = wire.events(repeated)
    among, _ = wire.events(b"[" + event + b"," + repeated + b"," + event + b"]")
    line = wire.lines(event + b"\n" + repeated.replace(b"\r\n", b"") + b"\n" + event)

    for one in (alone[0], among[1], line[1]):
        assert [(error.code, error.pointer) for error in one.errors] == [("duplicate_key", pointer)]
        assert one.event is None
    assert [among[0], among[2], line[0], line[2]] == [_read(RECEIVED)] * 4


_SPACES = st.text(" \t\r\n", max_size=2)
_REASONS = st.text(st.sampled_from('":\\ {}[],éa'), max_size=6)


@st.composite
def _written(draw: st.DrawFn) -> tuple[str, bool]:
    """Draw an event as some sender might write it, and whether a key stands in it twice."""

    def text(value: str) -> str:
        if draw(st.booleans()):
            return "".join(f"\\u{ord(letter):04x}" for letter in value).join('""')
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    def written(value: object) -> str:
        if not isinstance(value, dict):
            return text(value) if isinstance(value, str) else json.dumps(value)
        pairs = list(value.items())
        for pair in draw(st.lists(st.sampled_from(pairs), max_size=2)) if draw(repeat) and pairs else ():
            repeated.append(pair)
            pairs.insert(draw(st.integers(0, len(pairs))), pair)
        return "{" + ",".join(draw(_SPACES) + text(key) + draw(_SPACES) + ":" + written(v) for key, v in pairs) + "}"

    repeat, repeated = st.sampled_from([False, False, True]), list[object]()
    event = draw(
        st.sampled_from([RECEIVED, paid("H37-1"), resolved("H37-1", in_person=True), withdrawn("H37-1", reason=None)])
        | _REASONS.map(lambda reason: withdrawn(":H37", event_id=":7", reason=reason))
        | _REASONS.map(lambda reason: {**withdrawn("H37-1", reason=reason), "datacontenttype": None})
    )
    return written(event), bool(repeated)


@given(st.lists(_written(), min_size=1, max_size=3))
def test_no_key_that_stands_twice_is_ever_missed(events: list[tuple[str, bool]]) -> None:
    candidates, _ = wire.events(f"[{','.join(text for text, _ in events)}]".encode())
    alone = [wire.events(text.encode())[0][0] for text, _ in events]

    assert [candidate.event is None for candidate in candidates] == [repeated for _, repeated in events]
    assert list(candidates) == alone


# --- Bounds -----------------------------------------------------------------------------------------------------------


def _filled(item: bytes, size: int = MAX_INFLATED_BYTES) -> bytes:
    """Return an array of an item as often as it fits."""
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


_MEASURE = """
import contextlib, re, sys
from services.dossier import wire
size = int(sys.argv[1])
for item in (b"{}", b"[]", b"0", b'""', b'{"a":0}', b'{"a":' * 5 + b"0" + b"}" * 5):
    many = b"[" + (item + b",") * (size // (len(item) + 1)) + item + b"]"
    for body in (many, b'[{"x":' + many + b"}]", b'{"x":' + many + b"}", many.replace(b",", b"\\n")):
        for read in (wire.events, wire.lines):
            with contextlib.suppress(wire.TooManyEvents, wire.EventTooLarge, wire.NotJson):
                read(body)
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read as Linux tells it")
def test_no_body_takes_many_times_its_size_in_memory() -> None:
    least, most = (
        int(subprocess.run([sys.executable, "-c", _MEASURE, str(size)], capture_output=True, check=True).stdout)
        for size in (1_000, MAX_INFLATED_BYTES)
    )

    # All four bodies of an item stand beside each other here, and a copy of one of them.
    assert most - least < 12 * MAX_INFLATED_BYTES // 1024**2


@pytest.mark.parametrize("padding", [b'"%s"', b"[%s]", b'{"x":"%s"}'], ids=repr)
def test_an_item_larger_than_an_event_can_be_is_refused(padding: bytes) -> None:
    fits, too_large = (padding % (b"1," * (size // 2) + b"1") for size in (60_000, MAX_EVENT_BYTES))

    assert len(wire.events(b"[" + fits + b", 1]")[0]) == 2
    for body in (b"[" + too_large + b", 1]", b"[1, " + too_large + b"]"):
        with pytest.raises(EventTooLarge):
            wire.events(body)


def test_an_event_that_is_too_large_is_refused_alone_and_rejected_as_a_line() -> None:
    body = json.dumps(_with(RECEIVED, note="x" * MAX_EVENT_BYTES)).encode()

    with pytest.raises(EventTooLarge):
        wire.events(body)
    large, good = wire.lines(body + b"\n" + _lines(RECEIVED))

    assert [error.code for error in large.errors] == ["event_too_large"]
    assert good.event is not None


def test_the_largest_valid_event_is_small_enough() -> None:
    reason, code = "😀" * 500, "😀" * 100
    event = {
        **RECEIVED,
        "type": "vn.motcua.dossier.corrected",
        "id": "😀" * 200,
        "source": "😀" * 200,
        "subject": code,
        "data": {
            "event_id": "😀" * 200,
            "reference": "😀" * 200,
            "reason": reason,
            **dict.fromkeys(("procedure", "receiving_unit", "resolving_unit", "to_unit"), code),
        },
    }
    body = json.dumps(event, ensure_ascii=True, indent=4).encode()

    assert MAX_EVENT_BYTES / 4 < len(body) < MAX_EVENT_BYTES
    assert wire.events(body)[0][0].event is not None


def test_the_errors_of_many_faulty_items_are_cut_to_the_first_of_each() -> None:
    faulty = {**RECEIVED, **{f"x{number}": 1 for number in range(30)}}

    candidates, _ = wire.events(json.dumps([faulty] * MAX_EVENTS).encode())

    told = [len(candidate.errors) for candidate in candidates]
    assert told == [20] * 50 + [1] * (MAX_EVENTS - 50)


def test_the_place_of_an_error_is_never_longer_than_a_line() -> None:
    (error,) = _read(_with(RECEIVED, **{"x" * 60_000: 1})).errors

    assert error.pointer == "/data/" + "x" * 294
