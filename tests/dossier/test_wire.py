"""Bytes become events or errors that name the place; nothing in between, and no byte takes the process down."""

import json
from typing import Any

import pytest

from services.contract import CalendarDay, Procedure, Received, Unit
from services.dossier import wire
from services.dossier.wire import Candidate, InvalidReference, NotJson, TooManyEvents
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
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
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
    errors = _read(_with(RECEIVED, **{f"field{number}": 1 for number in range(1_000)})).errors

    assert len(errors) == 20


def test_formatting_does_not_change_the_fingerprint() -> None:
    same = [
        RECEIVED,
        dict(reversed(RECEIVED.items())),
        {**RECEIVED, "data": dict(reversed(RECEIVED["data"].items()))},
        {**RECEIVED, "time": "2026-10-05T01:30:00Z"},
        {**RECEIVED, "time": "2026-10-05t01:30:00.000000+00:00"},
        _with(RECEIVED, due_at="2026-10-05T10:00:00Z"),
        _with(RECEIVED, applicant=None),
        {**RECEIVED, "datacontenttype": "application/json"},
        {name: RECEIVED[name] for name in RECEIVED if name != "specversion"},
    ]

    fingerprints = {_read(event).fingerprint for event in same}
    spaced, _ = wire.events(json.dumps(RECEIVED, indent=4, ensure_ascii=True).encode())

    assert fingerprints == {spaced[0].fingerprint}


def test_every_part_of_the_content_changes_the_fingerprint() -> None:
    different = [
        RECEIVED,
        {**RECEIVED, "subject": "H37-2"},
        {**RECEIVED, "time": "2026-10-05T08:30:00.000001+07:00"},
        _with(RECEIVED, channel="counter"),
        _with(RECEIVED, due_at=None),
        _with(RECEIVED, fee_required=False),
        _with(RECEIVED, fee_required=True),
        _with(RECEIVED, resolving_unit="05977"),
    ]

    assert len({_read(event).fingerprint for event in different}) == len(different)


def test_ids_are_kept_as_they_were_sent() -> None:
    kept = _read({**RECEIVED, "id": "  Ấ-1 ", "source": " nguồn gửi "})

    assert kept.event is not None
    assert (kept.event.id, kept.event.source) == ("  Ấ-1 ", " nguồn gửi ")
    assert isinstance(kept.event.data, Received)


UNIT_HEADER = b"code,name,kind,class,valid_from,valid_to,predecessors,successors\r\n"


def test_a_csv_and_the_json_it_stands_for_are_the_same_units() -> None:
    csv = UNIT_HEADER + "05977,Phường Đông Kinh,commune,other,2025-07-01,,05977; 05980,\r\n".encode()
    listed = [
        {
            "code": "05977",
            "name": "Phường Đông Kinh",
            "kind": "commune",
            "class": "other",
            "valid_from": "2025-07-01",
            "predecessors": ["05977", "05980"],
        }
    ]

    from_csv = wire.references(b"\xef\xbb\xbf" + csv, "text/csv", Unit)
    from_json = wire.references(json.dumps(listed).encode(), "application/json", Unit)
    from_page = wire.references(json.dumps({"items": listed}).encode(), "application/json", Unit)

    assert from_csv == from_json == from_page


def test_a_procedures_limits_stand_in_one_cell() -> None:
    csv = (
        b"code,name,field_code,field_name,limit_amount,limit_unit,limits_by_channel,mountain_extra_days,fee_required,"
        b"online_level,valid_from,valid_to,official\n"
        b"P-1,A,F,B,2,working_days,online=8 working_hours;postal=3 working_days,0,true,full,2024-01-01,,false\n"
    )

    (procedure,) = wire.references(csv, "text/csv", Procedure)

    assert procedure.limit is not None
    assert (procedure.limit.amount, procedure.limit.unit) == (2, "working_days")
    assert {channel: (limit.amount, limit.unit) for channel, limit in procedure.limits_by_channel.items()} == {
        "online": (8, "working_hours"),
        "postal": (3, "working_days"),
    }


_CSV_FAULTS = {
    "a cell is missing": UNIT_HEADER + b"05977,X\n",
    "a cell too many": UNIT_HEADER + b"05977,X,commune,other,2025-07-01,,05977,05980,\n",
    "no kind of unit": UNIT_HEADER + b"05977,X,village,other,2025-07-01,,,\n",
    "no day": UNIT_HEADER + b"05977,X,commune,other,01/07/2025,,,\n",
    "a NUL": UNIT_HEADER + b"05977,\x00,commune,other,2025-07-01,,,\n",
    "no UTF-8": UNIT_HEADER + b"05977,\xff,commune,other,2025-07-01,,,\n",
    "an endless cell": UNIT_HEADER + b'05977,"' + b"x" * 200_000 + b'",commune,other,2025-07-01,,,\n',
    "semicolons": b"code;name\n05977;X\n",
    "a column is missing": b"code\n05977\n",
}


@pytest.mark.parametrize("csv", _CSV_FAULTS.values(), ids=_CSV_FAULTS.keys())
def test_a_csv_that_does_not_say_what_it_should_is_refused(csv: bytes) -> None:
    with pytest.raises(InvalidReference):
        wire.references(csv, "text/csv", Unit)


@pytest.mark.parametrize(
    "body", [b"{}", b"1", b"null", b'{"items": 1}', b'[{"on_day": "2026-01-01"}]', b"[1]"], ids=repr
)
def test_json_that_holds_no_days_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReference):
        wire.references(body, "application/json", CalendarDay)


def test_the_faulty_entry_is_named() -> None:
    csv = b"on_day,working,name,official\n2026-01-01,false,A,true\n2026-01-02,maybe,B,true\n"

    with pytest.raises(InvalidReference, match="entry 1/working"):
        wire.references(csv, "text/csv", CalendarDay)
