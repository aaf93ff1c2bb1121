"""A dossier's record (`DongBoHoSoMC`) becomes the facts it states; what it states without saying when is reported."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from services.contract import Unit, vietnamese_day
from services.dossier.portal import envelope, known, units
from services.dossier.portal.envelope import Fact, Reading, Record
from services.dossier.portal.known import Known
from services.dossier.portal.units import Directory

FIELDS = frozenset(
    {
        "MaHoSo",
        "MaTTHC",
        "KenhThucHien",
        "LoaiDoiTuong",
        "NgayNopHoSo",
        "NgayTiepNhan",
        "NgayHenTra",
        "TrangThaiHoSo",
        "NgayTuChoi",
        "NgayKetThucXuLy",
        "NgayTra",
        "HinhThuc",
        "DonViXuLy",
        "TaiLieuNop",
        "HoSoCoThanhPhanSoHoa",
        "DanhSachLePhi",
        "DuocThanhToanTrucTuyen",
        "DanhSachHoSoBoSung",
        "DanhSachGiayToKetQua",
    }
)
"""What is read of a record; everything else, and whatever names a person, stays at the door."""

MAX_SUPPLEMENTS = 10
"""The most requests for supplements that a record is read for; the law allows one."""

OUTCOME = frozenset({"outcome"})
"""The portal tells no approval from a refusal. An outcome is presumed, and one that was corrected is left alone."""

NEW, DECLINED, SUPPLEMENT, OBLIGATION, WITHDRAWN, STOPPED, RESOLVED, RETURNED = 1, 3, 5, 6, 7, 8, 9, 10
_OPEN = frozenset({2, 4, SUPPLEMENT, OBLIGATION})

_STATES: Mapping[str, int] = {str(state): state for state in range(NEW, RETURNED + 1)}
_CHANNELS: Mapping[str, str] = {"": "counter", "1": "counter", "2": "online", "3": "postal"}
_APPLICANTS: Mapping[str, str] = {"1": "citizen", "2": "business", "3": "authority", "4": "organisation"}
_PLATFORMS: Mapping[str, str] = {"1": "national", "2": "provincial"}
_HANDOVERS: Mapping[str, str] = {"0": "counter", "1": "postal"}


def facts(reading: Reading, sender: str, directory: Directory, of: Known) -> Iterator[Fact]:
    """Yield what the record states; `sender` is the envelope's unit, `of` what is known of the dossier from it."""
    status = state(reading, "TrangThaiHoSo")
    if status == NEW:
        return
    received_at = envelope.instant(reading, "NgayTiepNhan")
    if received_at is not None:
        yield from _receipt(reading, received_at, sender, directory)
    elif status not in {DECLINED, WITHDRAWN}:
        envelope.report(reading, "NgayTiepNhan", "missing")
    yield from _payment(reading, received_at or envelope.instant(reading, "NgayNopHoSo"), of)
    yield from _supplements(reading, of)
    if status in {SUPPLEMENT, OBLIGATION} and not _is_still(reading, status, of):
        envelope.report(reading, "TrangThaiHoSo", "since_when")
    if status in _OPEN and known.is_ended(of):
        envelope.report(reading, "TrangThaiHoSo", "recorded_as_ended")
    yield from _end(reading, status, of)


def _end(reading: Reading, status: int | None, of: Known) -> Iterator[Fact]:
    ended_at = envelope.instant(reading, "NgayKetThucXuLy")
    if status == DECLINED:
        declined_at = envelope.instant(reading, "NgayTuChoi") or ended_at
        yield from _once(reading, of, "declined", declined_at, "NgayTuChoi")
    elif status == WITHDRAWN:
        yield from _once(reading, of, "withdrawn", ended_at, "NgayKetThucXuLy")
    elif status == STOPPED:
        yield from _once(reading, of, "stopped", ended_at, "NgayKetThucXuLy")
    elif status in {RESOLVED, RETURNED}:
        result = _result(reading)
        data = {"outcome": "approved", "result": result, **_digital(reading)}
        # What was returned says itself when the dossier ended, where nothing else does.
        unless = "NgayKetThucXuLy" if status == RESOLVED else None
        yield from _once(reading, of, "resolved", ended_at, unless, data, presumed=OUTCOME)
    if status == RETURNED:
        handover = _HANDOVERS.get(envelope.text(reading.record, "HinhThuc"))
        # Where nobody said how: a file was fetched, anything else collected.
        channel = handover or ("online" if result == "electronic" else "counter")
        returned_at = envelope.instant(reading, "NgayTra")
        yield from _once(reading, of, "returned", returned_at, "NgayTra", {"channel": channel})


def state(reading: Reading, name: str) -> int | None:
    """Return the portal's state of a dossier, 1 to 10; report any other."""
    told = envelope.text(reading.record, name)
    if told not in _STATES:
        envelope.report(reading, name, "not_listed" if told else "missing")
    return _STATES.get(told)


def _once(  # noqa: PLR0913 - the parts of a fact
    reading: Reading,
    of: Known,
    kind: str,
    at: datetime | None,
    needed: str | None,
    data: Mapping[str, object] = MappingProxyType({}),
    presumed: frozenset[str] = frozenset(),
) -> Iterator[Fact]:
    """Yield a fact that can happen once; without a time report the field `needed`, unless the fact is recorded."""
    if at is not None:
        yield Fact(reading.index, reading.code, kind, "", at, data, presumed)
    elif needed is not None and f"{reading.code}/{kind}" not in of.recorded:
        envelope.report(reading, needed, "missing")


# --- Receipt and payment ----------------------------------------------------------------------------------------------

# The national code, and after it what a province may have added: 2.000815.000.00.00.H37.
_NATIONAL_CODE = re.compile(r"\d\.\d{6}(?=\.|$)", re.ASCII)


def _receipt(reading: Reading, received_at: datetime, sender: str, directory: Directory) -> Iterator[Fact]:
    record = reading.record
    told = envelope.text(record, "MaTTHC")
    national = _NATIONAL_CODE.match(told)
    procedure = national[0] if national else told
    if not envelope.is_code(procedure):
        envelope.report(reading, "MaTTHC", "no_code" if told else "missing")
    channel = _CHANNELS.get(envelope.text(record, "KenhThucHien"))
    if channel is None:
        envelope.report(reading, "KenhThucHien", "not_listed")
    receiving, resolving = _units(reading, received_at, sender, directory)
    data = {
        "procedure": procedure,
        "receiving_unit": receiving,
        "resolving_unit": resolving,
        "channel": channel,
        "submitted_at": envelope.instant(reading, "NgayNopHoSo"),
        "applicant": _applicant(reading),
        "fee_required": _fee_required(reading),
        **_appointment(reading),
    }
    if channel is not None and receiving is not None and envelope.is_code(procedure):
        yield Fact(reading.index, reading.code, "received", "", received_at, data)


def _units(reading: Reading, received_at: datetime, sender: str, directory: Directory) -> tuple[str | None, str | None]:
    """Return the receiving unit and, where it is told, the resolving one; no receiving unit where either is unclear.

    A sender that the operator's table makes the province itself is software shared by all its counters and says
    nothing of the counter: the resolving unit is taken for both.
    """
    sending = _unit(reading, "madonvi", sender, received_at, directory)
    told = envelope.text(reading.record, "DonViXuLy")
    resolving = _unit(reading, "DonViXuLy", told, received_at, directory) if told else None
    if sending is None or (told and resolving is None):
        return None, None
    if sending.kind != "province":
        return sending.code, None if resolving is None else resolving.code
    if resolving is None:
        envelope.report(reading, "DonViXuLy", "missing")
        return None, None
    return resolving.code, resolving.code


def _unit(reading: Reading, name: str, told: str, received_at: datetime, directory: Directory) -> Unit | None:
    found = units.find(directory, told, vietnamese_day(received_at))
    if len(found) == 1:
        return found[0]
    envelope.report(reading, name, "ambiguous_unit" if found else "unknown_unit")
    return None


def _applicant(reading: Reading) -> str | None:
    told = envelope.text(reading.record, "LoaiDoiTuong")
    if told and told not in _APPLICANTS:
        envelope.report(reading, "LoaiDoiTuong", "left_out")
    return _APPLICANTS.get(told)


def _appointment(reading: Reading) -> Mapping[str, datetime | None]:
    """Return the first appointment, or nothing where the record no longer tells it.

    After a supplement some software writes the new appointment over the old one; the new one belongs to the supplement.
    """
    told = envelope.instant(reading, "NgayHenTra")
    supplements = [
        (envelope.instant(reading, "NgayHenTraTruoc", entry), envelope.instant(reading, "NgayHenTraMoi", entry))
        for entry in envelope.entries(reading, "DanhSachHoSoBoSung")[:MAX_SUPPLEMENTS]
    ]
    former = [before for before, _ in supplements if before is not None]
    if former:
        return {"due_at": min(former)}
    if told is not None and told in {after for _, after in supplements}:
        return {}
    return {"due_at": told}


def _fees(reading: Reading) -> tuple[list[int], bool]:
    """Return the amounts of the fees, and whether the amount of every fee is known."""
    listed = envelope.entries(reading, "DanhSachLePhi")
    amounts = [envelope.amount(reading, "Gia", entry) for entry in listed]
    return [amount for amount in amounts if amount is not None], bool(listed) and None not in amounts


def _fee_required(reading: Reading) -> bool | None:
    amounts, are_complete = _fees(reading)
    if any(amounts):
        return True
    if are_complete:
        return False
    return True if envelope.text(reading.record, "DuocThanhToanTrucTuyen") in {"1", "2", "3"} else None


def _payment(reading: Reading, at: datetime | None, of: Known) -> Iterator[Fact]:
    """Yield the online payment. The record does not say when it was made; fees are counted by the day of receipt.

    An amount is never invented. Where every fee is 0 there was nothing to pay.
    """
    told = envelope.text(reading.record, "DuocThanhToanTrucTuyen")
    if told not in {"", "0", "1", "2", "3"}:
        envelope.report(reading, "DuocThanhToanTrucTuyen", "not_listed")
    if told not in _PLATFORMS:
        if told and known.is_paid(of):
            envelope.report(reading, "DuocThanhToanTrucTuyen", "recorded_as_paid")
        return
    amounts, are_complete = _fees(reading)
    if not any(amounts) and not are_complete:
        envelope.report(reading, "DanhSachLePhi", "no_amount")
    if any(amounts) and at is not None:
        data = {"amount": sum(amounts), "method": "online", "platform": _PLATFORMS[told]}
        yield Fact(reading.index, reading.code, "paid", "", at, data)


# --- Supplements ------------------------------------------------------------------------------------------------------

_PLAIN_KEY = re.compile(r"[\w-]{1,40}", re.ASCII)


def day_key(at: datetime) -> str:
    """Return the key of a request for supplements that has no id of its own: its day."""
    return f"{vietnamese_day(at):%Y%m%d}"


def _supplements(reading: Reading, of: Known) -> Iterator[Fact]:
    """Yield requests for supplements and their fulfilment.

    The progress records tell of the same requests without the portal's id. One recorded from them on the same day is
    this one, so it goes by the key it has.
    """
    listed = envelope.entries(reading, "DanhSachHoSoBoSung")
    if len(listed) > MAX_SUPPLEMENTS:
        envelope.report(reading, "DanhSachHoSoBoSung", "too_many")
    asked = [(envelope.instant(reading, "NgayBoSung", entry), entry) for entry in listed[:MAX_SUPPLEMENTS]]
    given = {_key(entry) for _, entry in asked}
    begun, _ = known.standstills(of)
    recorded = {key: at for (kind, key), at in begun.items() if kind == "supplement_requested"}
    used: set[str] = set()
    for requested_at, entry in asked:
        if requested_at is None:
            envelope.report(reading, "NgayBoSung", "missing")
            continue
        key = _key(entry)
        if not key or (key not in recorded) or key in used:
            same_day = (
                other
                for other, at in recorded.items()
                if other not in given | used and vietnamese_day(at) == vietnamese_day(requested_at)
            )
            key = next(same_day, day_key(requested_at) if not key or key in used else key)
        if key in used:
            continue
        used.add(key)
        yield Fact(reading.index, reading.code, "supplement_requested", key, requested_at, {})
        completed_at = envelope.instant(reading, "NgayTiepNhanBoSung", entry)
        if completed_at is not None:
            due_at = envelope.instant(reading, "NgayHenTraMoi", entry)
            yield Fact(reading.index, reading.code, "supplemented", key, completed_at, {"due_at": due_at})


def _key(entry: Record) -> str:
    told = envelope.text(entry, "HoSoBoSungId")
    return told if not told or _PLAIN_KEY.fullmatch(told) else hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _is_still(reading: Reading, status: int, of: Known) -> bool:
    """Tell whether it is known since when the clock of this dossier stands still."""
    if known.is_still(of):
        return True
    return status == SUPPLEMENT and any(
        envelope.text(entry, "NgayBoSung") and not envelope.text(entry, "NgayTiepNhanBoSung")
        for entry in envelope.entries(reading, "DanhSachHoSoBoSung")
    )


# --- The result -------------------------------------------------------------------------------------------------------


def _result(reading: Reading) -> str | None:
    papers = envelope.entries(reading, "DanhSachGiayToKetQua")
    if any(envelope.text(paper, "DuongDanTepTinKetQua") for paper in papers):
        return "electronic"
    return "paper" if papers else None


def _digital(reading: Reading) -> Mapping[str, bool | None]:
    """Return whether papers were taken from what the state has already, and whether any was digitised."""
    papers = [
        paper
        for paper in envelope.entries(reading, "TaiLieuNop")
        if envelope.text(paper, "IsDeleted").lower() not in {"true", "1"}
    ]
    return {
        "reused_data": _any_told(paper for paper in _flags(papers, "DuocTaiSuDung", "DuocLayTuKhoDMQG")),
        "digitised": _any_told([envelope.text(reading.record, "HoSoCoThanhPhanSoHoa"), *_flags(papers, "DuocSoHoa")]),
    }


def _flags(papers: list[Record], *names: str) -> Iterator[str]:
    return (envelope.text(paper, name) for paper in papers for name in names)


def _any_told(flags: Iterator[str] | list[str]) -> bool | None:
    """Return whether any flag is set, None where none was told."""
    told = [flag for flag in flags if flag]
    return any(flag not in {"0", "False", "false"} for flag in told) if told else None
