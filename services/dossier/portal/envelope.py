"""The national portal's envelope is opened here, leniently: nearly all of it is text, and much of it is empty."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from services.contract import VIETNAM, Code, Instant
from services.dossier.wire import NotJson

MAX_RECORDS = 1_000
"""The most records one envelope may hold. A dossier's record tells about five facts, so this is what an array of
events may hold as well, and the answer stays within what a sender waits for."""

Service = Literal["DongBoHoSoMC", "CapNhatTienDoHoSoMC"]

Record = Mapping[str, Any]
"""One record of the envelope as it came."""


class Refused(Exception):
    """The envelope as a whole cannot be worked with; the message is English, `detail_vi` Vietnamese."""

    def __init__(self, detail: str, detail_vi: str) -> None:
        super().__init__(detail)
        self.detail_vi = detail_vi


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was sent: the service that is meant, the sending unit's code at the portal, and the records."""

    service: Service
    unit: str
    updating: bool
    records: Sequence[object]

    @property
    def source(self) -> str:
        """The source of every event made of it."""
        return f"urn:motcua:national-portal:{self.unit}"


# Of each reason: whether a fact was lost by it, and its texts. None of them repeats what was sent: any field may hold
# somebody's name.
_REASONS: Mapping[str, tuple[bool, str, str]] = {
    "no_record": (True, "the record is no JSON object", "Bản ghi không phải là đối tượng JSON."),
    "missing": (True, "the field is empty", "Trường này không có giá trị."),
    "no_code": (
        True,
        "not a code of 1 to 100 characters without white space",
        "Mã phải dài từ 1 đến 100 ký tự và không có khoảng trắng.",
    ),
    "no_instant": (
        True,
        "not an instant between 1990 and 2100 as yyyyMMddHHmmss or yyyy-MM-dd HH:mm:ss",
        "Thời điểm phải theo dạng yyyyMMddHHmmss hoặc yyyy-MM-dd HH:mm:ss, từ năm 1990 đến năm 2100.",
    ),
    "no_number": (True, "not a whole amount in VND", "Số tiền phải là số nguyên, đơn vị đồng."),
    "no_list": (True, "not a list of objects", "Trường này phải là danh sách."),
    "not_listed": (True, "not one of the portal's codes", "Giá trị không nằm trong danh mục của Cổng."),
    "left_out": (
        False,
        "not one of the portal's codes; the dossier is recorded without it",
        "Giá trị không nằm trong danh mục của Cổng; hồ sơ được ghi nhận mà không có trường này.",
    ),
    "unknown_unit": (
        True,
        "names no unit of the province on the day of receipt, by code or by name",
        "Không tìm thấy đơn vị theo mã hoặc tên trong danh mục của tỉnh vào ngày tiếp nhận.",
    ),
    "ambiguous_unit": (
        True,
        "names more than one unit of the province on the day of receipt",
        "Tên này ứng với nhiều đơn vị của tỉnh vào ngày tiếp nhận.",
    ),
    "no_amount": (
        True,
        "paid online, but no Gia says how much",
        "Đã thanh toán trực tuyến nhưng không có Gia cho biết số tiền.",
    ),
    "too_many": (True, "more entries than a dossier may have", "Quá nhiều mục cho một hồ sơ."),
    "since_when": (
        False,
        "the clock stands still, but the record does not say since when; the progress record does",
        "Hồ sơ đang tạm dừng nhưng bản ghi không cho biết từ khi nào; hãy gửi CapNhatTienDoHoSoMC.",
    ),
    "recorded_as_ended": (
        False,
        "the dossier was recorded as ended before; that stands until its event is retracted",
        "Hồ sơ đã được ghi nhận là kết thúc; ghi nhận đó giữ nguyên cho đến khi sự kiện bị huỷ.",
    ),
    "recorded_as_paid": (
        False,
        "an online payment was recorded before; that stands until its event is retracted",
        "Đã ghi nhận thanh toán trực tuyến; ghi nhận đó giữ nguyên cho đến khi sự kiện bị huỷ.",
    ),
}


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A field of a record that became nothing, and why."""

    index: int
    code: str | None
    field: str
    reason: str

    @property
    def is_loss(self) -> bool:
        """Whether a fact was lost by it."""
        return _REASONS[self.reason][0]

    def json(self) -> dict[str, object]:
        """Return it as it appears in the answer."""
        _, reason, reason_vi = _REASONS[self.reason]
        return {
            "index": self.index,
            "MaHoSo": self.code,
            "field": self.field,
            "reason": reason,
            "reason_vi": reason_vi,
        }


@dataclass(slots=True)
class Reading:
    """One record while it is read: its place in the envelope, its dossier, and what could not be mapped so far."""

    index: int
    code: str
    record: Record
    unmapped: list[Unmapped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fact:
    """What a record says happened. Its data names what the record speaks of, None where it says there is none."""

    index: int
    code: str
    kind: str
    key: str
    """Tells the fact from others of its kind and dossier; empty where it can happen only once."""
    at: datetime
    data: Mapping[str, object]
    presumed: frozenset[str] = frozenset()
    """What of the data the record does not speak of: it is needed to record the fact, and never corrects one."""

    @property
    def id(self) -> str:
        """The id of its event."""
        return "/".join(part for part in (self.code, self.kind, self.key) if part)


_CODE: TypeAdapter[str] = TypeAdapter(Code)
_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def is_code(text: str) -> bool:
    """Tell whether the text can be a code in an event."""
    try:
        _CODE.validate_python(text)
    except ValidationError:
        return False
    return True


def read(body: bytes, service: Service, unit: str | None, updating: str | None) -> Envelope:
    """Open what was sent to the address of `service`; what the address says of unit and updating goes over the body.

    Some software sends both services to one address, so the service that the envelope names is the one meant.

    :raises NotJson: the body is not JSON, or neither an object nor an array.
    :raises Refused: there is nothing in it to work with, or too much.
    """
    try:
        sent = pydantic_core.from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise NotJson(f"the body is not JSON: {error}") from error
    if isinstance(sent, list):
        sent = {"data": sent}
    if not isinstance(sent, dict):
        raise NotJson("the body must be an envelope or an array of records")
    named = {name.lower(): value for name, value in sent.items()}
    sender = unit.strip() if unit else text(named, "madonvi")
    if not is_code(sender):
        raise Refused("madonvi is missing or is no code", "Thiếu madonvi hoặc madonvi không hợp lệ.")
    records = named.get("data")
    if isinstance(records, dict):
        records = [records]
    if not isinstance(records, list):
        raise Refused("data is missing or is no list", "Thiếu data hoặc data không phải là danh sách.")
    if len(records) > MAX_RECORDS:
        raise Refused(
            f"an envelope holds at most {MAX_RECORDS} records, this one {len(records)}",
            "Mỗi lần gửi tối đa 1.000 bản ghi; hãy chia nhỏ và gửi lại.",
        )
    return Envelope(
        _meant(text(named, "service"), service),
        sender,
        _is_true(updating if updating is not None else text(named, "isupdating")),
        records,
    )


def _meant(named: str, addressed: Service) -> Service:
    match named:
        case "":
            return addressed
        case "DongBoHoSoMC" | "CapNhatTienDoHoSoMC":
            return named
        case _:
            raise Refused(
                "only DongBoHoSoMC and CapNhatTienDoHoSoMC are taken in here",
                "Địa chỉ này chỉ nhận DongBoHoSoMC và CapNhatTienDoHoSoMC.",
            )


def _is_true(told: str) -> bool:
    return told.strip().lower() in {"true", "1"}


def reading(index: int, record: object) -> Reading | Unmapped:
    """Begin to read a record, or say why there is no dossier to speak of."""
    if not isinstance(record, dict):
        return Unmapped(index, None, "", "no_record")
    code = text(record, "MaHoSo")
    if not is_code(code):
        return Unmapped(index, None, "MaHoSo", "no_code" if code else "missing")
    return Reading(index, code, record)


def dropped(record: Record, read_fields: frozenset[str]) -> int:
    """Return how many fields of the record hold something that nobody reads."""
    return sum(name not in read_fields and value not in (None, "", [], {}) for name, value in record.items())


def report(reading: Reading, name: str, reason: str) -> None:
    """Keep that the field could not be mapped; the first reason is enough."""
    if all(unmapped.field != name for unmapped in reading.unmapped):
        reading.unmapped.append(Unmapped(reading.index, reading.code, name, reason))


def text(record: Record, name: str) -> str:
    """Return the field as text, empty where it is absent or no text at all."""
    value = record.get(name)
    if isinstance(value, str):
        return value.strip()
    # A longer number is none of the portal's, and Python refuses to write out the longest.
    if isinstance(value, int | float) and abs(value) < 10**18:
        return str(value)
    return ""


# What .NET writes for a date that was never set.
_NEVER = re.compile(r"0001-?01-?01")
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", re.ASCII)


def instant(reading: Reading, name: str, record: Record | None = None) -> datetime | None:
    """Return the instant in a field of the record (or of an entry in it), None where there is none; report a bad one.

    Without an offset it is Vietnamese time. A date alone is refused: it does not say which end of the day is meant.
    """
    told = text(reading.record if record is None else record, name)
    if not told or _NEVER.match(told):
        return None
    if digits := _DIGITS.fullmatch(told):
        told = "{}-{}-{}T{}:{}:{}".format(*digits.groups())
    try:
        found = datetime.fromisoformat(told) if told[10:11] in {"T", " "} else None
    except ValueError:
        found = None
    try:
        return _INSTANT.validate_python(found and (found if found.tzinfo else found.replace(tzinfo=VIETNAM)))
    except ValidationError:
        report(reading, name, "no_instant")
        return None


_WHOLE = re.compile(r"(\d{1,15}|\d{1,3}(?:([.,])\d{3})(?:\2\d{3})*)(?:[.,]0{1,2})?", re.ASCII)


def amount(reading: Reading, name: str, record: Record) -> int | None:
    """Return the VND in a field of an entry, None where there are none; `20.000` means twenty thousand."""
    told = text(record, name)
    if not told:
        return None
    whole = _WHOLE.fullmatch(told)
    if whole is None:
        report(reading, name, "no_number")
        return None
    return int(whole[1].replace(".", "").replace(",", ""))


def entries(reading: Reading, name: str) -> list[Record]:
    """Return the entries of a list in the record; report one that is no list of objects."""
    value = reading.record.get(name)
    if value in (None, ""):
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        report(reading, name, "no_list")
        return []
    return value
