"""One-stop software that syncs with the national portal finds here what it knows; all people in it are invented."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest

from services.dossier.portal import dossiers, progress
from services.dossier.settings import DossierSettings
from tests import running
from tests.builders import DUE_AT, OTHER_UNIT, UNIT, event
from tests.running import System

Json = dict[str, Any]

DOSSIERS, PROGRESS = "/v1/national-portal/DongBoHoSoMC", "/v1/national-portal/CapNhatTienDoHoSoMC"
CODE = "H37.12-261005-0001"
SOURCE = f"urn:motcua:national-portal:{UNIT}"
PERSONAL = "Nguyễn Bí Mật 012345678901"


def dossier(code: str = CODE, **fields: object) -> Json:
    """Return a dossier's record as one-stop software sends it, with a person invented for it; `fields` go over it."""
    usual = {
        "MaHoSo": code,
        "MaTTHC": "2.000815",
        "TenTTHC": "Chứng thực bản sao",
        "MaLinhVuc": "G15-TP05",
        "TenLinhVuc": "Chứng thực",
        "KenhThucHien": "2",
        "SoGiayToChuHoSo": PERSONAL,
        "ChuHoSo": PERSONAL,
        "LoaiDoiTuong": "1",
        "MaDoiTuong": PERSONAL,
        "ThongTinKhac": PERSONAL,
        "Email": f"{PERSONAL}@example.org",
        "Fax": PERSONAL,
        "SoDienThoai": PERSONAL,
        "TrichYeuHoSo": PERSONAL,
        "NgayTiepNhan": "20261005083000",
        "NgayHenTra": "20261005170000",
        "TrangThaiHoSo": "4",
        "NgayTra": "",
        "ThongTinTra": PERSONAL,
        "HinhThuc": "",
        "NgayKetThucXuLy": "",
        "DonViXuLy": "Phường Đông Kinh",
        "GhiChu": PERSONAL,
        "TaiLieuNop": [{"TepDinhKemId": "1", "TenTepDinhKem": PERSONAL, "IsDeleted": "False", "DuocSoHoa": "1"}],
        "DanhSachLePhi": [{"TenPhiLePhi": "Phí", "MaPhiLePhi": "P1", "HinhThucThu": "1", "Gia": "20000"}],
        "DanhSachTepDinhKemKhac": [],
        "DanhSachHoSoBoSung": [],
        "DanhSachGiayToKetQua": [],
        "NoiNopHoSo": "2",
        "DuocThanhToanTrucTuyen": "1",
        "NgayTuChoi": "",
        "NgayNopHoSo": "20261005080000",
        "DinhDanhCHS": [{"LoaiDinhDanh": "1", "SoDinhDanh": PERSONAL}],
    }
    return usual | fields


def resolved(**fields: object) -> Json:
    """Return the record of a dossier that was finished at 10:00."""
    return dossier() | {"TrangThaiHoSo": "9", "NgayKetThucXuLy": "20261005100000"} | fields


def step(state: str, at: str, code: str = CODE) -> Json:
    """Return a progress record."""
    return {
        "MaHoSo": code,
        "NguoiXuLy": PERSONAL,
        "ChucDanh": PERSONAL,
        "ThoiDiemXuLy": at,
        "PhongBanXuLy": PERSONAL,
        "NoiDungXuLy": PERSONAL,
        "TrangThai": state,
        "NgayBatDau": at,
        "NgayKetThucTheoQuyDinh": "",
    }


def sent(
    client: httpx.Client, *records: object, path: str = DOSSIERS, updating: str = "False", unit: str = UNIT
) -> Json:
    """Send records in an envelope and return the answer."""
    envelope = {
        "session": PERSONAL,
        "madonvi": unit,
        "service": path.rpartition("/")[2],
        "isUpdating": updating,
        "data": list(records),
    }
    answer = client.post(path, json=envelope)
    assert answer.status_code == 200
    content: Json = answer.json()
    return content


def outcome(answer: Json) -> tuple[str, int, int, int]:
    """Return the error code and how many facts were recorded, corrected and known before."""
    result = answer["result"]
    return answer["error_code"], result["recorded"], result["corrected"], result["duplicate"]


def log(client: httpx.Client) -> list[str]:
    """Return the ids in the log, without the dossier."""
    return [one["id"].removeprefix(f"{CODE}/") for one in client.get("/v1/events").json()["items"]]


def stands(client: httpx.Client, code: str = CODE) -> Json:
    standing: Json = client.get(f"/v1/dossiers/{code}").raise_for_status().json()["dossier"]
    return standing


def test_a_dossier_is_recorded_as_the_portal_would_and_sending_it_again_is_harmless(system: System) -> None:
    with system.client() as client:
        first = sent(client, resolved())
        again = sent(client, resolved())
        updating = sent(client, resolved(), updating="True")
        recorded, standing = log(client), stands(client)

    assert first["message"] == "Đã tiếp nhận."
    assert [outcome(answer) for answer in (first, again, updating)] == [("0", 3, 0, 0), ("0", 0, 0, 3), ("0", 0, 0, 3)]
    assert first["result"]["position"] == again["result"]["position"] == "3"
    assert recorded == ["received", "paid", "resolved"]
    assert {name: standing[name] for name in ("status", "procedure", "resolving_unit", "channel", "due_at")} == {
        "status": "resolved",
        "procedure": "2.000815",
        "resolving_unit": UNIT,
        "channel": "online",
        "due_at": "2026-10-05T17:00:00+07:00",
    }
    assert (standing["payments_online"], standing["fee_due"], standing["digitised"]) == (1, True, True)


def test_a_dossier_told_as_it_goes_is_one_with_one_told_at_the_end(system: System) -> None:
    final = resolved(TrangThaiHoSo="10", NgayTra="20261005110000", HinhThuc="1")
    with system.client() as client:
        for record in (dossier(TrangThaiHoSo="1"), dossier(TrangThaiHoSo="2"), dossier(), resolved(), final):
            assert sent(client, record, updating="True")["error_code"] == "0"
        sent(client, {**final, "MaHoSo": "H37.12-261005-0002"})
        went, ended = stands(client), stands(client, "H37.12-261005-0002")

    own = {"code", "position", "recorded_at", "receipt_recorded_at", "end_recorded_at"}
    assert {name: went[name] for name in went if name not in own} == {n: ended[n] for n in ended if n not in own}


def test_changed_content_exists_already_until_it_is_sent_as_an_update(system: System) -> None:
    changed = dossier(KenhThucHien="1", NgayTiepNhan="20261005084500", NgayHenTra="")
    with system.client() as client:
        sent(client, dossier(DuocThanhToanTrucTuyen="0"))
        refused = sent(client, changed | {"DuocThanhToanTrucTuyen": "0"})
        before = stands(client)
        corrected = sent(client, changed | {"DuocThanhToanTrucTuyen": "0"}, updating="True")
        after = stands(client)
        again = sent(client, changed | {"DuocThanhToanTrucTuyen": "0"}, updating="True")
        as_new = sent(client, changed | {"DuocThanhToanTrucTuyen": "0"})

    assert refused["error_code"] == "3"
    assert "đã tồn tại" in refused["message"]
    assert [(one["MaHoSo"], one["id"], one["status"]) for one in refused["result"]["errors"]] == [
        (CODE, f"{CODE}/received", "conflict")
    ]
    assert (before["channel"], before["received_at"]) == ("online", "2026-10-05T08:30:00+07:00")
    assert [outcome(answer) for answer in (corrected, again, as_new)] == [
        ("0", 0, 1, 0),
        ("0", 0, 0, 1),
        ("0", 0, 0, 1),
    ]
    assert (after["channel"], after["received_at"]) == ("counter", "2026-10-05T08:45:00+07:00")
    # Without an appointment of the sender the procedure's own limit counts: the same day.
    assert after["due_at"] == "2026-10-05T17:00:00+07:00"


def test_a_dossier_that_changes_to_and_fro_stands_as_it_was_sent_last(system: System) -> None:
    channels = []
    with system.client() as client:
        for channel in ("2", "1", "2", "1", "3", "2"):
            assert sent(client, dossier(KenhThucHien=channel), updating="True")["error_code"] == "0"
            channels.append(stands(client)["channel"])
        flags = stands(client)["flags"]

    assert channels == ["online", "counter", "online", "counter", "postal", "online"]
    assert "invalid_correction" not in flags


def test_one_dossier_twice_in_an_envelope_stands_as_the_later_record_says(system: System) -> None:
    records = [dossier(NgayHenTra=f"202610{day:02}170000") for day in range(6, 18)]
    with system.client() as client:
        answer = sent(client, *records, updating="True")
        standing = stands(client)

    assert outcome(answer)[0] == "0"
    assert standing["due_at"] == "2026-10-06T17:00:00+07:00"
    assert standing["extended_due_at"] == "2026-10-17T17:00:00+07:00"


def test_an_appointment_written_over_with_a_later_one_is_an_extension_and_the_first_stands(system: System) -> None:
    with system.client() as client:
        sent(client, dossier(NgayHenTra="20261009170000"))
        moved = dossier(NgayHenTra="20261012170000")
        refused = sent(client, moved)
        answers = [sent(client, moved, updating="True") for _ in range(2)]
        extended = stands(client)
        sent(client, dossier(NgayHenTra="20261008170000"), updating="True")
        corrected = stands(client)

    assert refused["error_code"] == "3"
    assert [outcome(answer) for answer in answers] == [("0", 1, 0, 2), ("0", 0, 0, 3)]
    assert (extended["due_on"], extended["extended_due_on"]) == ("2026-10-09", "2026-10-12")
    # An earlier day can only have been a mistake before.
    assert corrected["due_on"] == "2026-10-08"


def test_what_both_services_tell_counts_once_though_their_clocks_differ_by_seconds(system: System) -> None:
    steps = [step("9", "20261005100004"), step("10", "20261005110003")]
    record = resolved(TrangThaiHoSo="10", NgayTra="20261005110000")
    for number, (first, then) in enumerate([("dossier", "progress"), ("progress", "dossier")]):
        code = f"H37.12-261005-{number:04}"
        with system.client() as client:
            for service in (first, then, first):
                records = [{**one, "MaHoSo": code} for one in ([record] if service == "dossier" else steps)]
                answer = sent(client, *records, path=DOSSIERS if service == "dossier" else PROGRESS)
                assert answer["error_code"] == "0"
            ids = [one["id"] for one in client.get(f"/v1/dossiers/{code}").json()["events"]]
            standing = stands(client, code)

        assert ids.count(f"{code}/resolved") == ids.count(f"{code}/returned") == 1
        assert "repeated_resolution" not in standing["flags"]
        assert standing["ended_at"] == f"2026-10-05T10:00:0{0 if first == 'dossier' else 4}+07:00"
        # What progress does not tell was added from the dossier's record.
        assert standing["digitised"] is True


def test_progress_that_contradicts_what_stands_is_no_error_and_changes_it_only_as_an_update(system: System) -> None:
    with system.client() as client:
        sent(client, resolved())
        later = sent(client, step("9", "20261005150000"), path=PROGRESS)
        stood = stands(client)["ended_at"]
        update = sent(client, step("9", "20261005150000"), path=PROGRESS, updating="True")
        standing = stands(client)

    assert outcome(later) == ("0", 0, 0, 1)
    assert stood == "2026-10-05T10:00:00+07:00"
    assert outcome(update) == ("0", 0, 1, 0)
    assert (standing["ended_at"], standing["digitised"]) == ("2026-10-05T15:00:00+07:00", True)


def test_a_pause_that_progress_tells_in_two_requests_begins_and_ends(system: System) -> None:
    with system.client() as client:
        sent(client, dossier(NgayHenTra="20261015170000"))
        sent(client, step("5", "20261006090000"), path=PROGRESS)
        waiting = stands(client)
        answers = [sent(client, step("4", "20261008090000"), path=PROGRESS) for _ in range(2)]
        sent(client, step("6", "20261009090000"), path=PROGRESS)
        paying = stands(client)
        sent(client, step("4", "20261012090000"), path=PROGRESS)
        goes_on = stands(client)

    assert (waiting["pause_reason"], waiting["supplements"]) == ("supplement", 1)
    assert [outcome(answer) for answer in answers] == [("0", 1, 0, 0), ("0", 0, 0, 1)]
    assert (paying["pause_reason"], goes_on["pause_reason"]) == ("financial_obligation", None)
    assert (goes_on["pauses"], goes_on["supplements"]) == (2, 1)


def test_progress_records_of_one_envelope_are_read_in_the_order_of_their_times(system: System) -> None:
    steps = [step("4", "2026-10-08 09:00:00"), step("5", "20261006090000"), step("9", "20261009090000")]
    with system.client() as client:
        sent(client, dossier())
        sent(client, *steps, path=PROGRESS)
        later = sent(client, step("4", "20261008150000"), *steps, path=PROGRESS, updating="True")
        standing, recorded = stands(client), log(client)

    # Work that goes on after it has gone on ends nothing once more.
    assert outcome(later) == ("0", 0, 0, 3)
    assert recorded[2:] == ["supplement_requested/20261006", "supplemented/20261006", "resolved"]
    assert "ended_while_paused" not in standing["flags"]


def test_an_update_leaves_alone_what_a_person_corrected_and_the_portal_does_not_tell(system: System) -> None:
    correction = event(
        "corrected", CODE, {"event_id": f"{CODE}/resolved", "outcome": "refused"}, at=DUE_AT, source=SOURCE
    )
    with system.client() as client:
        sent(client, resolved())
        client.post("/v1/events", json=correction).raise_for_status()
        answer = sent(client, resolved(), updating="True")
        standing = stands(client)

    assert outcome(answer) == ("0", 0, 0, 3)
    assert standing["outcome"] == "refused"


def test_the_same_dossier_from_another_sender_is_told_by_events_of_its_own(system: System) -> None:
    with system.client() as client:
        sent(client, dossier())
        answer = sent(client, dossier(), unit=OTHER_UNIT)
        sources = [one["source"] for one in client.get("/v1/events").json()["items"]]
        flags = stands(client)["flags"]

    assert outcome(answer) == ("0", 2, 0, 0)
    assert sources == [SOURCE] * 2 + [f"urn:motcua:national-portal:{OTHER_UNIT}"] * 2
    assert "repeated_receipt" in flags


def test_no_personal_data_reaches_the_log_the_answers_or_the_log_lines(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked = {
        "HoSoBoSungId": PERSONAL,
        "NguoiYeuCauBoSung": PERSONAL,
        "NoiDungBoSung": PERSONAL,
        "NgayBoSung": "20261005090000",
    }
    whole = [dossier(DanhSachHoSoBoSung=[asked]), resolved(DanhSachHoSoBoSung=[asked])]
    # Software that mixes up its columns must do no harm either.
    mixed_up = [
        dossier(f"H37.12-261005-1{number:03}", **{name: value})
        for value in (PERSONAL, [PERSONAL], {"x": PERSONAL}, [{"Gia": PERSONAL, "NgayBoSung": PERSONAL}])
        for number, name in enumerate(sorted(dossiers.FIELDS - {"MaHoSo"}))
    ]
    steps = [
        step("9", "20261005100000"),
        *({**step("9", "20261005100000"), name: PERSONAL} for name in progress.FIELDS),
    ]

    with system.client() as client:
        answers = [
            sent(client, *whole, *mixed_up, dossier(PERSONAL), PERSONAL),
            sent(client, *whole, *mixed_up, updating="True"),
            sent(client, *whole, *mixed_up),
            sent(client, *steps, path=PROGRESS),
            sent(client, whole[0], unit="no.such.unit"),
            client.post(DOSSIERS, json={"madonvi": PERSONAL, "data": whole}).json(),
            client.post(DOSSIERS, json={"madonvi": UNIT, "service": PERSONAL, "data": whole}).json(),
            client.post(DOSSIERS, json={"madonvi": UNIT, "data": PERSONAL}).json(),
            client.post(DOSSIERS, content=f'{{"data": ["{PERSONAL}"'.encode()).json(),
            client.post(DOSSIERS, content=f'"{PERSONAL}"'.encode()).json(),
        ]
    everything = asyncio.run(_dump(system.database_url))

    told = json.dumps(answers, ensure_ascii=False) + everything + caplog.text
    assert "Phường Đông Kinh" in everything
    assert f"{CODE}/resolved" in everything
    for part in ("Nguyễn", "Bí Mật", "012345678901", "example.org"):
        assert part not in told
        assert json.dumps(part).strip('"') not in told
    assert answers[0]["result"]["dropped_fields"] > 15 * len(mixed_up)


async def _dump(database_url: str) -> str:
    """Return every row of the dossier service's tables as text."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'dossier'")
        rows = [
            await connection.fetch(f'SELECT t::text AS row FROM dossier."{table["tablename"]}" t')  # noqa: S608 - names from the catalogue
            for table in tables
        ]
    finally:
        await connection.close()
    return "\n".join(row["row"] for table in rows for row in table)


def test_one_bad_record_harms_no_other_and_is_told_in_both_languages(system: System) -> None:
    with system.client() as client:
        answer = sent(client, dossier(DonViXuLy="Xã Không Có"), "x", dossier("a b"), dossier("H37.12-261005-0002"))
        recorded = log(client)

    assert answer["error_code"] == "1"
    assert answer["result"]["unmapped"] == [
        {
            "index": 0,
            "MaHoSo": CODE,
            "field": "DonViXuLy",
            "reason": "names no unit of the province on the day of receipt, by code or by name",
            "reason_vi": "Không tìm thấy đơn vị theo mã hoặc tên trong danh mục của tỉnh vào ngày tiếp nhận.",
        },
        {
            "index": 1,
            "MaHoSo": None,
            "field": "",
            "reason": "the record is no JSON object",
            "reason_vi": "Bản ghi không phải là đối tượng JSON.",
        },
        {
            "index": 2,
            "MaHoSo": None,
            "field": "MaHoSo",
            "reason": "not a code of 1 to 100 characters without white space",
            "reason_vi": "Mã phải dài từ 1 đến 100 ký tự và không có khoảng trắng.",
        },
    ]
    assert recorded == ["paid", "H37.12-261005-0002/received", "H37.12-261005-0002/paid"]


def test_what_is_reported_without_loss_is_no_error(system: System) -> None:
    with system.client() as client:
        answer = sent(client, dossier(TrangThaiHoSo="6", LoaiDoiTuong="0"))

    assert answer["error_code"] == "0"
    assert [one["field"] for one in answer["result"]["unmapped"]] == ["LoaiDoiTuong", "TrangThaiHoSo"]


def test_the_operator_says_which_unit_a_code_of_the_portal_means(database_url: str) -> None:
    table = {"H37.12": UNIT, "000.00.00.H37": "20", "Bộ phận một cửa Lương Văn Tri": OTHER_UNIT}
    with running.system(database_url, portal_units=table) as system, system.client() as client:
        system.load_reference()
        sent(client, dossier("A"), unit="H37.12")
        sent(client, dossier("B", DonViXuLy="bộ phận một cửa Lương Văn Tri"), unit="000.00.00.H37")
        units = [(one["receiving_unit"], one["resolving_unit"]) for one in (stands(client, "A"), stands(client, "B"))]

    assert units == [(UNIT, UNIT), (OTHER_UNIT, OTHER_UNIT)]


def test_the_operators_table_is_a_json_object_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTCUA_PORTAL_UNITS", '{"H37.12": "05977"}')

    read = DossierSettings(database_url="postgresql://x", internal_key="x" * 16)

    assert read.portal_units == {"H37.12": "05977"}


def test_the_variant_with_its_parameters_in_the_address_is_understood(system: System) -> None:
    with system.client() as client:
        path = f"{DOSSIERS}?MaDinhDanhDV={UNIT}&isUpdating=False&dstcode=VN:GOV:000.00.00.G22"
        bare = client.post(path, json=[dossier()]).json()
        wrapped = client.post(
            f"{DOSSIERS}?MaDinhDanhDV={UNIT}&isUpdating=True", json={"data": [dossier(KenhThucHien="1")]}
        ).json()
        source = client.get("/v1/events").json()["items"][0]["source"]

    assert (outcome(bare), outcome(wrapped)) == (("0", 2, 0, 0), ("0", 0, 1, 1))
    assert source == SOURCE


def test_both_services_may_be_sent_to_one_address(system: System) -> None:
    envelope = {"madonvi": UNIT, "service": "CapNhatTienDoHoSoMC", "data": [step("9", "20261005100000")]}
    with system.client() as client:
        answer = client.post(DOSSIERS, json=envelope).json()
        recorded = log(client)

    assert (answer["error_code"], recorded) == ("0", ["resolved"])


def test_the_content_type_of_the_vendor_makes_no_difference(system: System) -> None:
    body = json.dumps({"madonvi": UNIT, "data": [dossier()]})
    with system.client() as client:
        codes = [
            client.post(DOSSIERS, content=body, headers={"Content-Type": name}).json()["error_code"]
            for name in ("application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded")
        ]

    assert codes == ["0", "0", "0"]


def test_what_is_not_json_is_a_problem_and_a_senseless_envelope_an_error_of_the_portals_shape(system: System) -> None:
    with system.client() as client:
        broken = client.post(DOSSIERS, content=b"{")
        senseless = client.post(DOSSIERS, json={"madonvi": UNIT})
        too_many = client.post(DOSSIERS, json={"madonvi": UNIT, "data": [{}] * 1_001})
        empty = sent(client)

    assert (broken.status_code, broken.json()["code"]) == (400, "not_json")
    assert senseless.json() == {
        "error_code": "1",
        "message": "Thiếu data hoặc data không phải là danh sách.",
        "result": {"detail": "data is missing or is no list"},
    }
    assert (too_many.status_code, too_many.json()["error_code"]) == (200, "1")
    assert outcome(empty) == ("0", 0, 0, 0)


def test_an_envelope_holds_a_thousand_records(system: System) -> None:
    records = [dossier(f"H37.12-261005-{number:04}", TrangThaiHoSo="2") for number in range(1_000)]
    with system.client() as client:
        answer = sent(client, *records)

    assert outcome(answer) == ("0", 2_000, 0, 0)
    assert answer["result"]["position"] == "2000"


def test_a_client_limited_to_sources_needs_its_source_at_the_portal(system: System) -> None:
    with system.client(name="listed", sources=[SOURCE]) as client:
        allowed = sent(client, dossier())
        elsewhere = sent(client, dossier("H37.12-261005-0002"), unit="H37.99")
    with system.client(name="other", sources=["urn:example:other"]) as client:
        refused = sent(client, resolved(TrangThaiHoSo="4", NgayKetThucXuLy=""))

    assert allowed["error_code"] == "0"
    assert (elsewhere["error_code"], refused["error_code"]) == ("1", "1")
    assert {error["errors"][0]["code"] for error in refused["result"]["errors"]} == {"source_forbidden"}
    assert refused["result"]["position"] == "2"


def test_a_client_limited_to_units_neither_writes_nor_learns_of_anothers_dossiers(system: System) -> None:
    with system.client() as client:
        sent(client, resolved())
    with system.client(name="other", units=[OTHER_UNIT]) as client:
        same = sent(client, resolved())
        changed = sent(client, resolved(KenhThucHien="1"))
        update = sent(client, resolved(KenhThucHien="1"), updating="True")
        still_open = sent(client, dossier())
        own = sent(client, dossier("B", DonViXuLy="Phường Lương Văn Tri"), unit=OTHER_UNIT)
    with system.client() as client:
        channel = stands(client)["channel"]

    for answer in (same, changed, update):
        assert (outcome(answer), answer["result"]["rejected"]) == (("1", 0, 0, 0), 3)
        assert {error["errors"][0]["code"] for error in answer["result"]["errors"]} == {"unit_forbidden"}
    assert still_open["result"]["unmapped"] == []
    assert outcome(own) == ("0", 2, 0, 0)
    assert channel == "online"


def test_the_same_dossier_sent_many_times_at_once_is_recorded_once(system: System) -> None:
    with system.client() as client, ThreadPoolExecutor(8) as senders:
        first = list(senders.map(lambda _: sent(client, resolved()), range(16)))
        update = resolved(KenhThucHien="1")
        then = list(senders.map(lambda _: sent(client, update, updating="True"), range(16)))
        recorded = log(client)

    assert {answer["error_code"] for answer in first + then} == {"0"}
    assert sorted(recorded[:3]) == ["paid", "received", "resolved"]
    assert [event_id.rpartition("-")[0] for event_id in recorded[3:]] == ["received/corrected/1"]


def test_different_updates_of_a_new_dossier_at_once_find_each_other(system: System) -> None:
    records = [dossier(NgayHenTra=f"202610{day:02}170000") for day in range(6, 22)]
    with system.client() as client, ThreadPoolExecutor(16) as senders:
        answers = list(senders.map(lambda record: sent(client, record, updating="True"), records))
        recorded = log(client)

    assert {answer["error_code"] for answer in answers} == {"0"}
    assert (recorded.count("received"), recorded.count("paid")) == (1, 1)
