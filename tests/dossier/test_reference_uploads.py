"""An upload is read whole or not at all, and whoever sent it learns of everything that is wrong with it."""

import json
from datetime import time

import pytest

from services.contract import CalendarDay, Procedure, Unit
from services.dossier import uploads
from services.dossier.uploads import InvalidReference

UNIT_HEADER = b"code,name,kind,class,valid_from,valid_to,predecessors,successors\r\n"
PROCEDURE_HEADER = (
    b"code,name,field_code,field_name,limit_amount,limit_unit,limits_by_channel,mountain_extra_days,fee_required,"
    b"online_level,valid_from,valid_to,official"
)
DAY_HEADER = b"on_day,working,name,official\n"


def _refused(
    body: bytes, shape: type[Unit | Procedure | CalendarDay], content_type: str = "text/csv"
) -> InvalidReference:
    with pytest.raises(InvalidReference) as refused:
        uploads.read(body, content_type, shape)
    return refused.value


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

    from_csv = uploads.read(b"\xef\xbb\xbf" + csv, "text/csv", Unit)
    from_json = uploads.read(json.dumps(listed).encode(), "application/json", Unit)
    from_page = uploads.read(json.dumps({"items": listed}).encode(), "application/json", Unit)

    assert from_csv.entries == from_json.entries == from_page.entries


def test_a_procedures_limits_stand_in_one_cell() -> None:
    csv = (
        PROCEDURE_HEADER
        + b"\nP-1,A,F,B,2,working_days,online=8 working_hours;postal=3 working_days,0,true,full,2024-01-01,,false\n"
    )

    (procedure,) = uploads.read(csv, "text/csv", Procedure).entries

    assert procedure.limit is not None
    assert (procedure.limit.amount, procedure.limit.unit) == (2, "working_days")
    assert {channel: (limit.amount, limit.unit) for channel, limit in procedure.limits_by_channel.items()} == {
        "online": (8, "working_hours"),
        "postal": (3, "working_days"),
    }
    assert (procedure.cut_off, procedure.restarts_after_supplement) == (None, False)


def test_a_cut_off_and_a_restart_have_columns_of_their_own_that_may_be_missing_or_empty() -> None:
    csv = (
        PROCEDURE_HEADER
        + b",cut_off,restarts_after_supplement\n"
        + b"P-1,A,F,B,2,working_days,,0,true,full,2024-01-01,,false,15:00,true\n"
        + b"P-2,A,F,B,2,working_days,,0,true,full,2024-01-01,,false,,\n"
    )

    first, second = uploads.read(csv, "text/csv", Procedure).entries

    assert (first.cut_off, first.restarts_after_supplement) == (time(15), True)
    assert (second.cut_off, second.restarts_after_supplement) == (None, False)


@pytest.mark.parametrize("cut_off", ["25:00", "3 giờ", "54000", "15:00:30", "15:00+07:00"])
def test_a_cut_off_is_a_time_of_day_in_vietnam_to_the_minute(cut_off: str) -> None:
    csv = PROCEDURE_HEADER + b",cut_off\nP-1,A,F,B,2,working_days,,0,true,full,2024-01-01,,false," + cut_off.encode()

    (error,) = _refused(csv, Procedure).errors

    assert (error["line"], error["pointer"]) == (2, "/cut_off")
    assert error["detail_vi"] == "Giờ trong ngày phải theo dạng 15:00."


def test_a_limit_without_a_unit_is_a_fault_and_not_no_limit() -> None:
    csv = PROCEDURE_HEADER + b"\nP-1,A,F,B,2,,,0,true,full,2024-01-01,,false\n"

    (error,) = _refused(csv, Procedure).errors

    assert error["pointer"] == "/limit/unit"


_CSV_FAULTS = {
    "a cell is missing": UNIT_HEADER + b"05977,X\n",
    "a cell too many": UNIT_HEADER + b"05977,X,commune,other,2025-07-01,,05977,05980,\n",
    "no kind of unit": UNIT_HEADER + b"05977,X,village,other,2025-07-01,,,\n",
    "no day": UNIT_HEADER + b"05977,X,commune,other,01/07/2025,,,\n",
    "a NUL": UNIT_HEADER + b"05977,\x00,commune,other,2025-07-01,,,\n",
    "no UTF-8": UNIT_HEADER + b"05977,\xff,commune,other,2025-07-01,,,\n",
    "an endless cell": UNIT_HEADER + b'05977,"' + b"x" * 200_000 + b'",commune,other,2025-07-01,,,\n',
    "a quote that does not end": UNIT_HEADER + b'05977,"X,commune,other,2025-07-01,,,\n',
    "semicolons": b"code;name\n05977;X\n",
    "a column is missing": b"code\n05977\n",
    "nothing at all": b"",
}


@pytest.mark.parametrize("csv", _CSV_FAULTS.values(), ids=_CSV_FAULTS.keys())
def test_a_csv_that_does_not_say_what_it_should_is_refused(csv: bytes) -> None:
    errors = _refused(csv, Unit).errors

    assert [error for error in errors if not (error["line"] and error["detail"] and error["detail_vi"])] == []
    assert errors


def test_a_column_that_is_not_known_is_refused_and_never_left_out() -> None:
    refused = _refused(PROCEDURE_HEADER + b",cutoff\n", Procedure)

    assert "not known: cutoff" in str(refused)


def test_a_column_that_is_missing_or_repeated_is_named() -> None:
    refused = _refused(b"on_day,on_day,working\n", CalendarDay)

    assert "missing: name" in str(refused)
    assert "more than once: on_day" in str(refused)


@pytest.mark.parametrize(
    "body", [b"{}", b"1", b"null", b'{"items": 1}', b'[{"on_day": "2026-01-01"}]', b"[1]", b"[null]"], ids=repr
)
def test_json_that_holds_no_days_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReference):
        uploads.read(body, "application/json", CalendarDay)


@pytest.mark.parametrize("on_day", [0, "0", 1798675200, "0.0e-9"])
def test_a_number_is_no_day_of_the_year_1970(on_day: object) -> None:
    body = json.dumps([{"on_day": on_day, "working": False, "name": "Nghỉ bù"}]).encode()

    (error,) = _refused(body, CalendarDay, "application/json").errors

    assert (error["pointer"], error["detail_vi"]) == ("/on_day", "Ngày phải theo dạng 2026-10-05.")


def test_every_faulty_entry_of_a_json_upload_is_named() -> None:
    good = {"on_day": "2026-12-31", "working": False, "name": "Nghỉ bù"}
    body = [good, {**good, "on_day": "31/12/2026", "official": "có"}, good | {"on_day": "2027-01-01"}, {"on_day": None}]

    refused = _refused(json.dumps(body).encode(), CalendarDay, "application/json")

    assert "2 entries are not valid" in str(refused)
    assert "nothing of the upload is stored" in str(refused)
    assert "entry 1/on_day" in str(refused)
    assert [(error["index"], error["pointer"]) for error in refused.errors] == [
        (1, "/on_day"),
        (1, "/official"),
        (3, "/on_day"),
        (3, "/working"),
        (3, "/name"),
    ]
    assert refused.errors[0]["detail_vi"] == "Ngày phải theo dạng 2026-10-05."


def test_every_faulty_line_of_a_csv_is_named_where_it_begins() -> None:
    csv = DAY_HEADER + b'2026-01-01,false,"A\nB",true\n\n2026-01-02,maybe,B,true\n2026-01-05,false\n,false,C,true\n'

    refused = _refused(csv, CalendarDay)

    assert [(error["line"], error["pointer"]) for error in refused.errors] == [
        (2, "/name"),
        (5, "/working"),
        (6, ""),
        (7, "/on_day"),
    ]
    assert "4 entries are not valid" in str(refused)
    assert "line 2/name" in str(refused)


def test_a_hundred_faults_are_named_and_all_are_counted() -> None:
    csv = DAY_HEADER + b"x,false,A,true\n" * 250

    refused = _refused(csv, CalendarDay)

    assert len(refused.errors) == 100
    assert "250 entries are not valid" in str(refused)


def test_an_entry_that_stands_there_twice_is_named_with_the_first() -> None:
    csv = DAY_HEADER + b"2026-01-01,false,A,true\n2026-01-02,false,B,true\n2026-01-01,true,A,true\n"

    (error,) = _refused(csv, CalendarDay).errors

    assert (error["line"], error["index"]) == (4, 2)
    assert error["detail"] == "2026-01-01 stands in the upload before, as entry 0"


def test_what_a_pointer_names_is_escaped() -> None:
    body = json.dumps([{"on_day": "2026-01-01", "working": False, "name": "A", "a/b~c": 1}]).encode()

    (error,) = _refused(body, CalendarDay, "application/json").errors

    assert error["pointer"] == "/a~1b~0c"


def test_twenty_thousand_entries_are_read_and_one_more_is_not() -> None:
    line = "{:05d},X,commune,other,2025-07-01,,,\n"

    upload = uploads.read(UNIT_HEADER + "".join(map(line.format, range(20_000))).encode(), "text/csv", Unit)

    assert len(upload.entries) == 20_000
    assert "at most 20000 entries" in str(_refused(UNIT_HEADER + b"1,X,commune,other,2025-07-01,,,\n" * 20_001, Unit))
