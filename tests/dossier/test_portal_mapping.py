"""A portal record states what its fields say and nothing more; names, numbers and contacts in it are invented."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contract import VIETNAM, AnyEvent, Retracted, Unit
from services.dossier.domain.catalogue import Catalogue, catalogue
from services.dossier.domain.history import Occurrence
from services.dossier.portal import dossiers, envelope, known, plan, units
from services.dossier.portal.envelope import Envelope, Fact, Reading, Refused, Service, Unmapped
from services.dossier.wire import NotJson

Json = dict[str, Any]

CODE = "H37.12-261005-0001"
NOW = datetime(2026, 10, 6, 1, tzinfo=UTC)
SENDER = "H37.12"
ALIASES = {"H37.12": "05977", "000.00.00.H37": "20"}


def a_unit(code: str, name: str, kind: str = "commune", since: str = "2025-07-01", until: str | None = None) -> Unit:
    return Unit.model_validate({"code": code, "name": name, "kind": kind, "valid_from": since, "valid_to": until})


PROVINCE: Catalogue = catalogue(
    [
        a_unit("20", "Tỉnh Lạng Sơn", "province"),
        a_unit("05977", "Phường Đông Kinh"),
        a_unit("05977", "Phường Vĩnh Trại", since="2004-01-01", until="2025-06-30"),
        a_unit("06148", "Xã Thụy Hùng"),
        a_unit("06085", "Xã Thiện Hòa"),
        a_unit("09001", "Xã Hai Tên"),
        a_unit("09002", "Xã Hai Tên"),
    ],
    [],
    [],
)


def dossier(**fields: object) -> Json:
    """Return a dossier's record of a dossier received online on 2026-10-05; `fields` go over it."""
    usual = {
        "MaHoSo": CODE,
        "MaTTHC": "2.000815",
        "TenTTHC": "Chứng thực bản sao",
        "KenhThucHien": "2",
        "NgayTiepNhan": "20261005083000",
        "NgayHenTra": "20261005170000",
        "TrangThaiHoSo": "4",
        "NgayTra": "",
        "NgayKetThucXuLy": "",
        "DonViXuLy": "",
    }
    return usual | fields


def step(state: object, at: str, code: str = CODE) -> Json:
    """Return a progress record."""
    return {"MaHoSo": code, "TrangThai": state, "ThoiDiemXuLy": at, "NguoiXuLy": "Người Bịa"}


def planned(
    *records: Json, service: Service = "DongBoHoSoMC", sender: str = SENDER, log: Sequence[Occurrence] = ()
) -> tuple[list[plan.Planned], list[Unmapped]]:
    """Return what is submitted for the records, and what could not be mapped."""
    sent = Envelope(service, sender, updating=False, records=records)
    readings = [
        reading for n, record in enumerate(records) if isinstance(reading := envelope.reading(n, record), Reading)
    ]
    own = {CODE: list(log)}
    plans = plan.planned(sent, readings, own, units.directory(PROVINCE, ALIASES), NOW)
    return plans, [unmapped for reading in readings for unmapped in reading.unmapped]


def events(*records: Json, **more: Any) -> dict[str, AnyEvent]:  # noqa: ANN401 - those of `planned`
    """Return the events made of the records, by the part of their ids that follows the dossier."""
    plans, _ = planned(*records, **more)
    found = [planned.candidate.event for planned in plans]
    return {event.id.removeprefix(f"{CODE}/"): event for event in found if event is not None}


def data(event: AnyEvent) -> Json:
    return event.data.model_dump(exclude_none=True)


def complaints(*records: Json, **more: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - those of `planned`
    _, unmapped = planned(*records, **more)
    return [(one.field, one.reason) for one in unmapped]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


# --- Receipt ----------------------------------------------------------------------------------------------------------


def test_a_received_dossier_becomes_a_receipt_with_all_that_the_record_tells() -> None:
    record = dossier(
        NgayNopHoSo="20261004201500", LoaiDoiTuong="2", DonViXuLy="Xã Thụy Hùng", DanhSachLePhi=[{"Gia": "20000"}]
    )

    receipt = events(record)["received"]

    assert (receipt.type, receipt.subject, receipt.source) == (
        "vn.motcua.dossier.received",
        CODE,
        "urn:motcua:national-portal:H37.12",
    )
    assert receipt.time == at("2026-10-05T08:30:00")
    assert data(receipt) == {
        "procedure": "2.000815",
        "receiving_unit": "05977",
        "resolving_unit": "06148",
        "channel": "online",
        "due_at": at("2026-10-05T17:00:00"),
        "submitted_at": at("2026-10-04T20:15:00"),
        "applicant": "business",
        "fee_required": True,
    }


def test_a_newly_registered_dossier_is_nothing_yet() -> None:
    plans, unmapped = planned(dossier(TrangThaiHoSo="1"))

    assert (plans, unmapped) == ([], [])


@pytest.mark.parametrize(
    ("told", "channel"),
    [("1", "counter"), ("2", "online"), ("3", "postal"), ("", "counter"), (None, "counter"), (2, "online")],
)
def test_the_channel_is_the_portals_and_none_told_is_the_counter(told: object, channel: str) -> None:
    assert data(events(dossier(KenhThucHien=told))["received"])["channel"] == channel


@pytest.mark.parametrize("told", ["2.000815", "2.000815.000.00.00.H37", " 2.000815 "])
def test_a_provinces_suffix_is_no_part_of_the_national_procedure_code(told: str) -> None:
    assert data(events(dossier(MaTTHC=told))["received"])["procedure"] == "2.000815"


@pytest.mark.parametrize(
    "told",
    ["20261005083000", "2026-10-05 08:30:00", "2026-10-05T08:30:00", "2026-10-05T01:30:00Z", "2026-10-05 08:30:00.000"],
)
def test_instants_are_read_in_both_of_the_portals_forms_as_vietnamese_time(told: str) -> None:
    assert events(dossier(NgayTiepNhan=told))["received"].time == at("2026-10-05T08:30:00")


@pytest.mark.parametrize("told", ["20261305083000", "20261005", "05/10/2026 08:30", "00260101000000", "hôm nay"])
def test_what_is_no_instant_is_reported_and_not_guessed(told: str) -> None:
    assert complaints(dossier(NgayTiepNhan=told)) == [("NgayTiepNhan", "no_instant")]
    assert "received" not in events(dossier(NgayTiepNhan=told))


@pytest.mark.parametrize("told", ["", None, "   ", "00010101000000", "0001-01-01 00:00:00"])
def test_an_empty_appointment_is_none(told: object) -> None:
    assert "due_at" not in data(events(dossier(NgayHenTra=told))["received"])
    assert complaints(dossier(NgayHenTra=told)) == []


def test_an_appointment_written_over_after_a_supplement_is_not_taken_for_the_first_one() -> None:
    supplement = {"HoSoBoSungId": "7", "NgayBoSung": "20261006090000", "NgayTiepNhanBoSung": "20261008090000"}
    moved = {"NgayHenTraMoi": "20261012170000"}
    former = {"NgayHenTraTruoc": "20261009170000"}

    unknown = events(dossier(NgayHenTra="20261012170000", DanhSachHoSoBoSung=[supplement | moved]))
    known_ = events(dossier(NgayHenTra="20261012170000", DanhSachHoSoBoSung=[supplement | moved | former]))

    assert "due_at" not in data(unknown["received"])
    assert data(known_["received"])["due_at"] == at("2026-10-09T17:00:00")
    assert data(unknown["supplemented/7"]) == data(known_["supplemented/7"]) == {"due_at": at("2026-10-12T17:00:00")}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("MaTTHC", "", "missing"),
        ("MaTTHC", "chứng thực", "no_code"),
        ("KenhThucHien", "9", "not_listed"),
        ("NgayTiepNhan", "", "missing"),
        ("TrangThaiHoSo", "", "missing"),
        ("TrangThaiHoSo", "11", "not_listed"),
        ("TrangThaiHoSo", "0100", "not_listed"),
        ("LoaiDoiTuong", "0", "left_out"),
        ("DonViXuLy", "Xã Không Có", "unknown_unit"),
        ("DonViXuLy", "Xã Hai Tên", "ambiguous_unit"),
        ("DanhSachLePhi", "x", "no_list"),
        ("DuocThanhToanTrucTuyen", "7", "not_listed"),
    ],
)
def test_what_cannot_be_mapped_is_reported_once_with_its_field(field: str, value: str, reason: str) -> None:
    assert complaints(dossier(**{field: value})) == [(field, reason)]


# --- Units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    ["06148", "Xã Thụy Hùng", "xã  thụy hùng ", "XÃ THUỴ HÙNG", "Xa\u0303 Thu\u0323y Hu\u0300ng"],
    ids=["code", "name", "case and space", "other tone mark", "decomposed"],
)
def test_a_unit_is_found_by_code_or_by_its_exact_name_however_it_is_spelt(told: str) -> None:
    assert data(events(dossier(DonViXuLy=told))["received"])["resolving_unit"] == "06148"


@pytest.mark.parametrize("told", ["Thụy Hùng", "UBND xã Thụy Hùng", "Xã Thuỳ Hùng", "Xa Thuy Hung"])
def test_a_name_that_is_only_alike_is_no_unit(told: str) -> None:
    assert complaints(dossier(DonViXuLy=told)) == [("DonViXuLy", "unknown_unit")]


def test_a_unit_is_the_one_that_had_the_name_on_the_day_of_receipt() -> None:
    former = dossier(NgayTiepNhan="20250630083000", NgayHenTra="", DonViXuLy="Phường Vĩnh Trại")
    later = dossier(NgayTiepNhan="20250701083000", NgayHenTra="", DonViXuLy="Phường Vĩnh Trại")

    assert data(events(former)["received"])["resolving_unit"] == "05977"
    assert complaints(later) == [("DonViXuLy", "unknown_unit")]


def test_the_operators_table_goes_before_code_and_name() -> None:
    directory = units.directory(PROVINCE, {"06148": "06085", "ubnd xã thuỵ hùng": "06148"})

    found = [
        [unit.code for unit in units.find(directory, told, date(2026, 10, 5))]
        for told in ("06148", "UBND xã Thụy Hùng")
    ]

    assert found == [["06085"], ["06148"]]


def test_a_unit_that_cannot_be_mapped_leaves_the_receipt_out_and_nothing_else() -> None:
    record = dossier(TrangThaiHoSo="9", NgayKetThucXuLy="20261005100000", DonViXuLy="Xã Không Có")

    assert set(events(record)) == {"resolved"}
    assert complaints(dossier(), sender="H99.1") == [("madonvi", "unknown_unit")]


def test_software_shared_by_the_province_receives_where_the_dossier_is_resolved() -> None:
    shared = events(dossier(DonViXuLy="Xã Thụy Hùng"), sender="000.00.00.H37")

    assert data(shared["received"])["receiving_unit"] == data(shared["received"])["resolving_unit"] == "06148"
    assert complaints(dossier(), sender="000.00.00.H37") == [("DonViXuLy", "missing")]


# --- Fees and payment -------------------------------------------------------------------------------------------------


def paying(flag: str, *prices: object) -> Json:
    return dossier(
        DuocThanhToanTrucTuyen=flag, DanhSachLePhi=[{"TenPhiLePhi": "Phí", "Gia": price} for price in prices]
    )


@pytest.mark.parametrize(("flag", "platform"), [("1", "national"), ("2", "provincial")])
def test_an_online_payment_is_the_sum_of_the_fees_at_the_receipt(flag: str, platform: str) -> None:
    paid = events(paying(flag, "20000", "15.000"))["paid"]

    assert paid.time == at("2026-10-05T08:30:00")
    assert data(paid) == {"amount": 35_000, "method": "online", "platform": platform}


@pytest.mark.parametrize("flag", ["0", "3", ""])
def test_what_was_not_paid_online_is_no_payment(flag: str) -> None:
    assert set(events(paying(flag, "20000"))) == {"received"}


@pytest.mark.parametrize(
    ("record", "required"),
    [
        (paying("0", "0", "20000"), True),
        (paying("3"), True),
        (paying("1", "0", "0"), False),
        (paying("0"), None),
        (paying("0", ""), None),
    ],
)
def test_a_fee_is_required_where_any_price_or_the_payment_says_so(record: Json, required: bool | None) -> None:  # noqa: FBT001 - a parameter of the table
    assert data(events(record)["received"]).get("fee_required") is required


def test_a_payment_of_unknown_amount_is_reported_and_not_invented() -> None:
    assert complaints(paying("1")) == complaints(paying("1", "")) == [("DanhSachLePhi", "no_amount")]
    assert "paid" not in events(paying("1"))


def test_what_costs_nothing_is_not_paid() -> None:
    assert set(events(paying("1", "0"))) == {"received"}
    assert complaints(paying("1", "0")) == []


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        ("20000", 20_000),
        (20000, 20_000),
        (20000.0, 20_000),
        ("20.000", 20_000),
        ("1,250,000", 1_250_000),
        ("20000.00", 20_000),
    ],
)
def test_a_price_is_read_however_it_is_grouped(told: object, amount: int) -> None:
    assert data(events(paying("1", told))["paid"])["amount"] == amount


@pytest.mark.parametrize("told", ["hai mươi nghìn", "-5000", "20 000", "1.25.000", "0,5"])
def test_what_is_no_price_is_reported(told: str) -> None:
    assert ("Gia", "no_number") in complaints(paying("1", told))
    assert "paid" not in events(paying("1", told))


# --- Supplements and pauses -------------------------------------------------------------------------------------------


def test_a_supplement_goes_by_the_portals_id() -> None:
    asked = {"HoSoBoSungId": "17", "NgayBoSung": "20261006090000", "NguoiYeuCauBoSung": "Người Bịa"}
    made = events(dossier(TrangThaiHoSo="5", DanhSachHoSoBoSung=[asked]))
    completed = events(dossier(DanhSachHoSoBoSung=[asked | {"NgayTiepNhanBoSung": "20261008140000"}]))

    assert set(made) == {"received", "supplement_requested/17"}
    assert made["supplement_requested/17"].time == at("2026-10-06T09:00:00")
    assert data(made["supplement_requested/17"]) == {}
    assert completed["supplemented/17"].time == at("2026-10-08T14:00:00")


@pytest.mark.parametrize("given_id", ["", "Nguyễn Văn Bịa 0912345678", "x" * 41])
def test_a_supplement_whose_id_is_no_plain_key_never_shows_it(given_id: str) -> None:
    asked = {"HoSoBoSungId": given_id, "NgayBoSung": "20261006090000"}

    (key,) = set(events(dossier(DanhSachHoSoBoSung=[asked]))) - {"received"}

    assert key.startswith("supplement_requested/")
    assert not given_id or given_id not in key


def test_a_record_holds_ten_supplements_and_the_rest_is_reported() -> None:
    asked = [{"HoSoBoSungId": str(n), "NgayBoSung": f"202610{n + 6:02}090000"} for n in range(11)]

    assert len(events(dossier(DanhSachHoSoBoSung=asked))) == 1 + 10
    assert complaints(dossier(DanhSachHoSoBoSung=asked)) == [("DanhSachHoSoBoSung", "too_many")]


@pytest.mark.parametrize("state", ["5", "6"])
def test_a_standstill_without_its_beginning_is_reported_and_no_loss(state: str) -> None:
    _, (unmapped,) = planned(dossier(TrangThaiHoSo=state))

    assert (unmapped.field, unmapped.reason, unmapped.is_loss) == ("TrangThaiHoSo", "since_when", False)


# --- Ends -------------------------------------------------------------------------------------------------------------


def ended(state: str, **fields: object) -> Json:
    return dossier(TrangThaiHoSo=state, **{"NgayKetThucXuLy": "20261005100000", **fields})


def test_a_finished_dossier_is_resolved_at_the_end_of_processing() -> None:
    made = events(ended("9", NgayTra="20261005170000"))

    assert set(made) == {"received", "resolved"}
    assert made["resolved"].time == at("2026-10-05T10:00:00")
    assert data(made["resolved"]) == {"outcome": "approved"}


@pytest.mark.parametrize(
    ("fields", "channel"),
    [
        ({"HinhThuc": "0"}, "counter"),
        ({"HinhThuc": "1"}, "postal"),
        ({}, "counter"),
        ({"DanhSachGiayToKetQua": [{"DuongDanTepTinKetQua": "https://example.org/1"}]}, "online"),
    ],
)
def test_a_returned_dossier_is_resolved_and_returned(fields: Json, channel: str) -> None:
    made = events(ended("10", NgayTra="20261006090000", **fields))

    assert set(made) == {"received", "resolved", "returned"}
    assert made["returned"].time == at("2026-10-06T09:00:00")
    assert data(made["returned"]) == {"channel": channel}


@pytest.mark.parametrize(
    ("state", "fields", "kind", "time"),
    [
        ("3", {"NgayTuChoi": "20261005090000"}, "declined", "2026-10-05T09:00:00"),
        ("3", {}, "declined", "2026-10-05T10:00:00"),
        ("7", {}, "withdrawn", "2026-10-05T10:00:00"),
        ("8", {}, "stopped", "2026-10-05T10:00:00"),
    ],
)
def test_a_dossier_that_ended_otherwise_says_so(state: str, fields: Json, kind: str, time: str) -> None:
    made = events(ended(state, **fields))

    assert set(made) == {"received", kind}
    assert made[kind].time == at(time)


def test_a_refused_dossier_needs_no_receipt() -> None:
    record = dossier(TrangThaiHoSo="3", NgayTiepNhan="", NgayTuChoi="20261005090000")

    assert set(events(record)) == {"declined"}
    assert complaints(record) == []


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ("3", "NgayTuChoi"),
        ("7", "NgayKetThucXuLy"),
        ("8", "NgayKetThucXuLy"),
        ("9", "NgayKetThucXuLy"),
        ("10", "NgayTra"),
    ],
)
def test_an_end_without_its_time_is_reported(state: str, field: str) -> None:
    assert complaints(dossier(TrangThaiHoSo=state)) == [(field, "missing")]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"DanhSachGiayToKetQua": [{"TenGiayTo": "Giấy"}]}, {"result": "paper"}),
        ({"DanhSachGiayToKetQua": [{}, {"DuongDanTepTinKetQua": "https://example.org/1"}]}, {"result": "electronic"}),
        ({"HoSoCoThanhPhanSoHoa": "1"}, {"digitised": True}),
        ({"TaiLieuNop": [{"DuocSoHoa": "0"}, {"DuocSoHoa": "1"}]}, {"digitised": True}),
        ({"TaiLieuNop": [{"DuocSoHoa": "1", "IsDeleted": "True"}]}, {}),
        ({"TaiLieuNop": [{"DuocTaiSuDung": "2"}]}, {"reused_data": True}),
        ({"TaiLieuNop": [{"DuocLayTuKhoDMQG": "1"}]}, {"reused_data": True}),
        ({"TaiLieuNop": [{"DuocTaiSuDung": "0", "DuocLayTuKhoDMQG": "0"}]}, {"reused_data": False}),
    ],
)
def test_the_result_says_what_kind_it_is_and_what_was_digital(fields: Json, told: Json) -> None:
    assert data(events(ended("9", **fields))["resolved"]) == {"outcome": "approved"} | told


# --- Progress ---------------------------------------------------------------------------------------------------------


def progress(*steps: tuple[object, str]) -> dict[str, AnyEvent]:
    return events(*(step(state, at) for state, at in steps), service="CapNhatTienDoHoSoMC")


def test_every_state_of_progress_becomes_what_it_means() -> None:
    singles = {
        state: sorted(progress((state, "20261005090000")))
        for state in ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
    }

    assert singles == {
        "1": [],
        "2": [],
        "3": ["declined"],
        "4": [],
        "5": ["supplement_requested/20261005"],
        "6": ["paused/20261005090000"],
        "7": ["withdrawn"],
        "8": ["stopped"],
        "9": ["resolved"],
        "10": ["returned"],
    }


def test_work_that_goes_on_ends_what_stood_still_last_and_only_once() -> None:
    made = progress(
        ("4", "20261005080000"),
        ("5", "20261005090000"),
        ("4", "20261006090000"),
        ("4", "20261006100000"),
        ("6", "20261007090000"),
        ("4", "20261008090000"),
        ("4", "20261008100000"),
    )

    assert {key: event.time for key, event in made.items()} == {
        "supplement_requested/20261005": at("2026-10-05T09:00:00"),
        "supplemented/20261005": at("2026-10-06T09:00:00"),
        "paused/20261007090000": at("2026-10-07T09:00:00"),
        "resumed/20261007090000": at("2026-10-08T09:00:00"),
    }
    assert data(made["paused/20261007090000"]) == {"reason": "financial_obligation"}


def test_a_second_request_of_one_day_is_the_first_told_again() -> None:
    made = progress(("5", "20261005090000"), ("5", "20261005093000"))

    assert list(made) == ["supplement_requested/20261005"]
    assert made["supplement_requested/20261005"].time == at("2026-10-05T09:00:00")


def test_progress_without_a_time_or_state_is_reported() -> None:
    records = [step("9", ""), step("11", "20261005090000"), step("", "20261005090000")]

    assert complaints(*records, service="CapNhatTienDoHoSoMC") == [
        ("ThoiDiemXuLy", "missing"),
        ("TrangThai", "not_listed"),
        ("TrangThai", "missing"),
    ]


# --- The log so far ---------------------------------------------------------------------------------------------------


def logged(*records: Json, **more: Any) -> list[Occurrence]:  # noqa: ANN401 - those of `planned`
    """Return what the log holds after the records."""
    found = [one.candidate.event for one in planned(*records, **more)[0]]
    return [
        Occurrence(n, NOW, event.source, event.id, event.time, event.data)
        for n, event in enumerate(found, 1)
        if event is not None
    ]


def test_a_supplement_told_by_both_services_is_one() -> None:
    asked = {"HoSoBoSungId": "17", "NgayBoSung": "20261005090003", "NgayTiepNhanBoSung": "20261006090002"}
    record = dossier(DanhSachHoSoBoSung=[asked])
    steps = [step("5", "20261005090000"), step("4", "20261006090000")]

    progress_first = events(record, log=logged(*steps, service="CapNhatTienDoHoSoMC"))
    dossier_first = events(*steps, service="CapNhatTienDoHoSoMC", log=logged(record))

    assert set(progress_first) == {"received", "supplement_requested/20261005", "supplemented/20261005"}
    assert set(dossier_first) == {"supplement_requested/17", "supplemented/17"}


def test_a_retracted_fact_stays_retracted_and_told_otherwise_is_another_event() -> None:
    log = logged(ended("9"))
    source = log[0].source
    undone = Occurrence(9, NOW, source, "undo", NOW, Retracted(event_id=f"{CODE}/resolved", reason="nhập nhầm"))

    again, _ = planned(ended("9"), log=[*log, undone])
    later, _ = planned(ended("9", NgayKetThucXuLy="20261007100000"), log=[*log, undone])

    assert [(one.candidate.id, one.as_) for one in again] == [
        (f"{CODE}/received", "known"),
        (f"{CODE}/resolved", "known"),
    ]
    assert [(one.candidate.id, one.as_) for one in later][1] == (f"{CODE}/resolved/2", "new")


def test_a_record_that_is_open_again_takes_nothing_back_and_says_so() -> None:
    plans, (unmapped,) = planned(dossier(TrangThaiHoSo="4"), log=logged(ended("9")))

    assert [one.as_ for one in plans] == ["known"]
    assert (unmapped.reason, unmapped.is_loss) == ("recorded_as_ended", False)


def test_a_payment_that_is_denied_later_stands_and_is_reported() -> None:
    assert complaints(paying("3", "20000"), log=logged(paying("1", "20000"))) == [
        ("DuocThanhToanTrucTuyen", "recorded_as_paid")
    ]


def test_ids_fit_in_an_event_even_for_the_longest_code() -> None:
    longest = Fact(0, "x" * 100, "supplement_requested", "y" * 40, NOW, {})

    assert len(f"{longest.id}/corrected/999-{'f' * 16}") <= 200


def test_of_an_empty_log_nothing_is_known() -> None:
    of = known.known(CODE, [])

    assert (known.is_ended(of), known.is_paid(of), known.is_still(of)) == (False, False, False)


# --- The envelope -----------------------------------------------------------------------------------------------------


def opened(sent: object, unit: str | None = None, updating: str | None = None) -> Envelope:
    return envelope.read(json.dumps(sent).encode(), "DongBoHoSoMC", unit, updating)


def test_the_envelope_names_service_unit_and_updating_and_the_address_goes_over_it() -> None:
    sent = {"session": "s", "madonvi": "H37.12", "service": "CapNhatTienDoHoSoMC", "isUpdating": "True", "data": [{}]}

    assert opened(sent) == Envelope("CapNhatTienDoHoSoMC", "H37.12", updating=True, records=[{}])
    assert opened(sent, "000.00.01.H22", "False") == Envelope(
        "CapNhatTienDoHoSoMC", "000.00.01.H22", updating=False, records=[{}]
    )
    assert opened([{}], "000.00.01.H22", "True") == Envelope(
        "DongBoHoSoMC", "000.00.01.H22", updating=True, records=[{}]
    )
    assert opened({"MaDonVi": "H37.12", "data": {"MaHoSo": "x"}}) == Envelope(
        "DongBoHoSoMC", "H37.12", updating=False, records=[{"MaHoSo": "x"}]
    )


@pytest.mark.parametrize(
    "sent",
    [
        {"data": []},
        {"madonvi": "Nguyễn Văn Bịa", "data": []},
        {"madonvi": "H37.12"},
        {"madonvi": "H37.12", "data": "x"},
        {"madonvi": "H37.12", "service": "LayThuTuc", "data": []},
        {"madonvi": "H37.12", "data": [{}] * 1_001},
    ],
)
def test_an_envelope_that_cannot_be_worked_with_is_refused_in_both_languages(sent: Json) -> None:
    with pytest.raises(Refused) as refused:
        opened(sent)

    assert str(refused.value)
    assert refused.value.detail_vi
    assert "Bịa" not in str(refused.value) + refused.value.detail_vi


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'"x"', b'{"a": "\\ud800"}', b"[" * 100_000])
def test_what_is_not_json_is_no_envelope(body: bytes) -> None:
    with pytest.raises(NotJson):
        envelope.read(body, "DongBoHoSoMC", None, None)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["20261005083000", "0", "1", "9", "10", "2.000815", "H37.12", "05977", "20.000"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Gia", "NgayBoSung", "NgayTiepNhanBoSung", "HoSoBoSungId", "DuocSoHoa"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)
_RECORDS = st.dictionaries(st.sampled_from(sorted(dossiers.FIELDS | {"TrangThai", "ThoiDiemXuLy", "x"})), _VALUES)


@settings(max_examples=300, deadline=None)
@given(st.lists(_RECORDS.map(lambda record: {"MaHoSo": CODE, "TrangThaiHoSo": "9"} | record), max_size=3))
def test_no_record_whatever_it_holds_brings_the_reading_down(records: list[Json]) -> None:
    for service in ("DongBoHoSoMC", "CapNhatTienDoHoSoMC"):
        plans, _ = planned(*records, service=service)

        ids = [one.candidate.id for one in plans if one.as_ in {"new", "corrected"}]
        assert len(ids) == len(set(ids))
