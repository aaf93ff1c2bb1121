"""Whatever crosses a service boundary has its one shape here: events, standings, feed pages, reference data, grants.

The module does no I/O and knows no clock. Instants are aware datetimes, Vietnamese calendar days are dates (UTC+7 all
year), money is whole VND. Everything is frozen, and unknown fields are refused: personal data has no field to hide in.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
"""Vietnam keeps one offset and has had no daylight saving since 1975, so a fixed offset is exact for every dossier."""

MAX_EVENTS = 5_000
"""The most events one request may carry."""

MAX_BODY_BYTES = 5 * 1024 * 1024
"""The largest request body as it is sent; 5,000 of the largest common events fit twice over."""

MAX_INFLATED_BYTES = 2 * MAX_BODY_BYTES
"""The largest body of events after decompression: 2 KiB for each of 5,000, which holds every field and a full remark.
Events shrink to a tenth and less, so it is this that limits a compressed body, and with it the time to read one."""

MAX_EVENT_BYTES = 64 * 1024
"""The largest event: twice the longest valid one with every character of it written as `\\uXXXX`."""

DEFINITIONS_VERSION = "1"
"""The version of the rates' definitions; it changes when any rate would answer another figure for the same dossiers."""

# In Vietnamese time, because comparing within one time zone costs a tenth of comparing across two.
_EARLIEST, _LATEST = (datetime(year, 1, 1, tzinfo=UTC).astimezone(VIETNAM) for year in (1990, 2100))


def vietnamese_day(instant: datetime) -> date:
    """Return the calendar day in Vietnam on which the aware `instant` falls."""
    return instant.date() if instant.tzinfo is VIETNAM else instant.astimezone(VIETNAM).date()


def _written_out(value: object) -> object:
    """Refuse the numbers and bare digits that a lax parser would read as seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[10:11] in {"T", "t", " "}):
        return value
    msg = "an instant is RFC 3339 text with an offset, like 2026-10-05T08:30:00+07:00"
    raise ValueError(msg)


def _plausible(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        msg = "the instant has no offset; write it like 2026-10-05T08:30:00+07:00"
        raise ValueError(msg)
    msg = "the instant must lie between 1990 and 2100"
    try:
        local = instant.astimezone(VIETNAM)
    except OverflowError as error:
        raise ValueError(msg) from error
    if not _EARLIEST <= local < _LATEST:
        raise ValueError(msg)
    return local


Instant = Annotated[
    datetime, BeforeValidator(_written_out, json_schema_input_type=datetime), AfterValidator(_plausible)
]
"""An RFC 3339 instant with an offset, between 1990 and 2100; kept and shown in Vietnamese time."""

Moment = Annotated[datetime, PlainSerializer(lambda instant: instant.astimezone(VIETNAM).isoformat(), return_type=str)]
"""An instant the system itself made or stored, shown in Vietnamese time."""

# PostgreSQL cannot store U+0000; control characters have no place in a code or a name either.
Code = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x20\x7f]+$")]
"""An opaque identifier without white space, at most 100 characters."""

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A sender's identifier (event id, source), at most 200 characters."""

FreeText = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
"""A reason or remark, at most 500 characters; never the name, number or contact of a person."""

Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
"""Why something was undone; it must be told."""

ProvinceCode = Annotated[str, StringConstraints(pattern=r"^\d{2}$")]
"""The two digits of the General Statistics Office: 20 is Lạng Sơn, 19 is Thái Nguyên."""

Amount = Annotated[int, Field(strict=True, ge=0, le=10**15)]
"""Whole VND."""

Channel = Literal["counter", "online", "postal"]
OnlineLevel = Literal["full", "partial", "none"]
UnitKind = Literal["commune", "department", "province"]
PauseReason = Literal[
    "financial_obligation", "obligation_assessment", "appraisal", "public_notice", "violation", "verification", "other"
]


class Frozen(BaseModel):
    """A value: immutable, with no field beyond the declared ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- Events -----------------------------------------------------------------------------------------------------------


class Received(Frozen):
    """*Tiếp nhận*: the counter accepted the dossier and gave an appointment."""

    procedure: Code
    receiving_unit: Code
    resolving_unit: Code | None = None
    channel: Channel
    due_at: Instant | None = None
    submitted_at: Instant | None = None
    applicant: Literal["citizen", "business", "organisation", "authority"] | None = None
    online_level: OnlineLevel | None = None
    fee_required: bool | None = None


class Forwarded(Frozen):
    """*Chuyển cơ quan giải quyết*: the resolving unit received the dossier; its clock starts here."""

    to_unit: Code


class SupplementRequested(Frozen):
    """*Yêu cầu bổ sung*: the citizen is to complete the dossier; the clock stands still until `supplemented`."""

    reason: FreeText | None = None


class Supplemented(Frozen):
    """*Đã bổ sung*: the dossier was completed; `due_at` is the new appointment where one was given."""

    due_at: Instant | None = None


class Paused(Frozen):
    """*Tạm dừng*: time that is not the authority's own begins; the clock stands still until `resumed`."""

    reason: PauseReason


class Resumed(Frozen):
    """*Tính tiếp*: every pause ends; `due_at` is the new appointment where one was given."""

    due_at: Instant | None = None


class Paid(Frozen):
    """*Thanh toán*: one payment. An online payment without a platform is taken as the national platform's."""

    amount: Amount
    method: Literal["online", "cash", "transfer"]
    platform: Literal["national", "provincial", "other"] | None = None
    reference: Identifier | None = None


class Refunded(Frozen):
    """*Hoàn phí*: money went back; a payment that was refunded in whole no longer counts."""

    amount: Annotated[Amount, Field(gt=0)]


class Extended(Frozen):
    """*Xin lỗi, gia hạn*: the authority apologised and named another day; the due date itself stays."""

    due_at: Instant
    reason: FreeText | None = None


class Resolved(Frozen):
    """*Đã xử lý xong*: the outcome is reached; this ends processing, whenever the result is collected."""

    outcome: Literal["approved", "refused"]
    result: Literal["electronic", "paper", "both", "none"] | None = None
    in_person: bool | None = None
    reused_data: bool | None = None
    digitised: bool | None = None


class Returned(Frozen):
    """*Đã trả kết quả*: the citizen has the result."""

    channel: Channel


class Declined(Frozen):
    """*Không tiếp nhận*: the authority refused to take the dossier."""

    reason: FreeText | None = None


class Withdrawn(Frozen):
    """*Công dân rút hồ sơ*: the citizen took the dossier back."""

    reason: FreeText | None = None


class Stopped(Frozen):
    """*Dừng giải quyết*: the authority ended processing without an outcome."""

    reason: FreeText | None = None


class Rated(Frozen):
    """*Đánh giá*: the citizen's rating, from 1 to 5; the latest one stands."""

    score: Annotated[int, Field(strict=True, ge=1, le=5)]


class Corrected(Frozen):
    """*Đính chính*: fields of an earlier event of the same sender were wrong; those named here replace them.

    `event_id` names an event of the same source about the same dossier. Any field of that event's data may be given,
    and `time`; null takes an optional field away. What the corrected event could not hold makes the whole correction
    void, with a flag.
    """

    event_id: Identifier
    time: Instant | None = None
    procedure: Code | None = None
    receiving_unit: Code | None = None
    resolving_unit: Code | None = None
    channel: Channel | None = None
    due_at: Instant | None = None
    submitted_at: Instant | None = None
    applicant: Literal["citizen", "business", "organisation", "authority"] | None = None
    online_level: OnlineLevel | None = None
    fee_required: bool | None = None
    to_unit: Code | None = None
    reason: FreeText | None = None
    amount: Amount | None = None
    method: Literal["online", "cash", "transfer"] | None = None
    platform: Literal["national", "provincial", "other"] | None = None
    reference: Identifier | None = None
    outcome: Literal["approved", "refused"] | None = None
    result: Literal["electronic", "paper", "both", "none"] | None = None
    in_person: bool | None = None
    reused_data: bool | None = None
    digitised: bool | None = None
    score: Annotated[int, Field(strict=True, ge=1, le=5)] | None = None


class Retracted(Frozen):
    """*Huỷ một sự kiện*: an event of the same sender about the same dossier never happened."""

    event_id: Identifier
    reason: Reason


class Voided(Frozen):
    """*Huỷ hồ sơ*: the dossier was a test or entered by mistake, and counts nowhere."""

    reason: Reason


Data = (
    Received
    | Forwarded
    | SupplementRequested
    | Supplemented
    | Paused
    | Resumed
    | Paid
    | Refunded
    | Extended
    | Resolved
    | Returned
    | Declined
    | Withdrawn
    | Stopped
    | Rated
    | Corrected
    | Retracted
    | Voided
)
"""What an event says happened; a new kind is a class above, a name here, a line in `AnyEvent`, a branch in the fold."""

T = TypeVar("T", bound=str)
D = TypeVar("D", bound=Frozen)


class Event(Frozen, Generic[T, D]):
    """A CloudEvents 1.0 event about one dossier: `subject` is its code, `time` is when it happened."""

    specversion: Literal["1.0"] = "1.0"
    id: Identifier
    source: Identifier
    type: T
    subject: Code
    time: Instant
    datacontenttype: Literal["application/json"] | None = None
    data: D

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Name each kind of event in the OpenAPI document after its data: `ReceivedEvent`."""
        return f"{params[-1].__name__}Event"


AnyEvent = Annotated[
    Event[Literal["vn.motcua.dossier.received"], Received]
    | Event[Literal["vn.motcua.dossier.forwarded"], Forwarded]
    | Event[Literal["vn.motcua.dossier.supplement_requested"], SupplementRequested]
    | Event[Literal["vn.motcua.dossier.supplemented"], Supplemented]
    | Event[Literal["vn.motcua.dossier.paused"], Paused]
    | Event[Literal["vn.motcua.dossier.resumed"], Resumed]
    | Event[Literal["vn.motcua.dossier.paid"], Paid]
    | Event[Literal["vn.motcua.dossier.refunded"], Refunded]
    | Event[Literal["vn.motcua.dossier.extended"], Extended]
    | Event[Literal["vn.motcua.dossier.resolved"], Resolved]
    | Event[Literal["vn.motcua.dossier.returned"], Returned]
    | Event[Literal["vn.motcua.dossier.declined"], Declined]
    | Event[Literal["vn.motcua.dossier.withdrawn"], Withdrawn]
    | Event[Literal["vn.motcua.dossier.stopped"], Stopped]
    | Event[Literal["vn.motcua.dossier.rated"], Rated]
    | Event[Literal["vn.motcua.dossier.corrected"], Corrected]
    | Event[Literal["vn.motcua.dossier.retracted"], Retracted]
    | Event[Literal["vn.motcua.dossier.voided"], Voided],
    Field(discriminator="type"),
]
"""An event of any kind, told apart by its `type`."""

EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
# The first fault is enough to know that the items must be read one by one.
EVENTS: TypeAdapter[list[AnyEvent]] = TypeAdapter(Annotated[list[AnyEvent], FailFast()])


# --- Standings and the feed -------------------------------------------------------------------------------------------

Position = Annotated[int, PlainSerializer(str, return_type=str)]
"""A place in a province's order of recording; an integer inside, an opaque string on the wire."""

Status = Literal["unreceived", "pending", "resolved", "declined", "withdrawn", "stopped", "voided", "elsewhere"]
"""Where a dossier stands.

`unreceived` while only other events than its receipt have arrived; `voided` is a tombstone: the dossier counts nowhere;
`elsewhere` is one for the readers of a unit that a dossier has left: its new place is not theirs to see.
"""

Flag = Literal[
    "missing_receipt",
    "repeated_receipt",
    "repeated_resolution",
    "repeated_supplement",
    "repeated_extension",
    "late_extension",
    "resolved_before_received",
    "ended_while_paused",
    "unmatched_resumption",
    "due_before_received",
    "due_beyond_limit",
    "event_after_close",
    "foreign_event",
    "future_time",
    "late_recording",
    "refund_beyond_payment",
    "unknown_event",
    "invalid_correction",
    "unknown_procedure",
    "unknown_unit",
]
"""Something odd that the fold saw and kept; a flag never changes a count by itself."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """How a dossier (*hồ sơ*) stands now: the few facts that anything downstream may show or count.

    Nobody changes one, but it is not frozen: past that lock its forty fields take three times as long to set, and one
    is made for every dossier that is folded or read.

    Instants end in `_at`, Vietnamese calendar days in `_on`. A unit is a code together with the first day of the
    version that was in force when it got the dossier (`_since`), because codes were reused on 2025-07-01.
    """

    code: str
    status: Status
    procedure: str | None = None
    field: str | None = None
    receiving_unit: str | None = None
    receiving_unit_since: date | None = None
    resolving_unit: str | None = None
    resolving_unit_since: date | None = None
    channel: Channel | None = None
    received_at: Moment | None = None
    received_on: date | None = None
    receipt_recorded_at: Moment | None = None
    source: str | None = None
    """Who sent the receipt."""
    due_at: Moment | None = None
    due_on: date | None = None
    extended_due_at: Moment | None = None
    extended_due_on: date | None = None
    paused_at: Moment | None = None
    """Since when the clock of an open dossier stands still, None while it runs."""
    pause_reason: Literal["supplement"] | PauseReason | None = None
    pauses: int = 0
    supplements: int = 0
    """How often the citizen was asked to complete the dossier."""
    supplement_spans: tuple[str, ...] = ()
    """From which day to which he was asked to complete it: `2026-10-05/2026-10-08`, or `2026-10-12/` so far."""
    ended_at: Moment | None = None
    ended_on: date | None = None
    end_recorded_at: Moment | None = None
    outcome: Literal["approved", "refused"] | None = None
    result: Literal["electronic", "paper", "both", "none"] | None = None
    in_person: bool = False
    reused_data: bool = False
    digitised: bool = False
    online_level: OnlineLevel | None = None
    """What was offered for the procedure at the receipt."""
    returned_channel: Channel | None = None
    fee_due: bool = False
    payments: int = 0
    payments_online: int = 0
    paid_on_platform: bool = False
    score: int | None = None
    rated_on: date | None = None
    flags: tuple[Flag, ...] = ()
    position: Position = 0
    recorded_at: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """The standings that changed after `after`, in the order of their latest change; `head` is the newest position."""

    after: Position
    next_after: Position
    head: Position
    entries: tuple[Standing, ...]


FEED_PAGE: TypeAdapter[FeedPage] = TypeAdapter(FeedPage)
STANDING: TypeAdapter[Standing] = TypeAdapter(Standing)


# --- Reference data ---------------------------------------------------------------------------------------------------


def _day_written_out(value: object) -> object:
    """Refuse what a lax parser would read as seconds since 1970; `0` would be a day of that year."""
    if isinstance(value, date) or (isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-"):
        return value
    msg = "a day is written like 2026-10-05"
    raise ValueError(msg)


Day = Annotated[
    date,
    BeforeValidator(_day_written_out, json_schema_input_type=date),
    Field(ge=date(1900, 1, 1), le=date(2200, 12, 31)),
]
"""A calendar day that can be reckoned with; reference data has no use for days beyond."""


def _time_written_out(value: object) -> object:
    """Refuse what a lax parser would read as seconds since midnight."""
    if isinstance(value, time) or (isinstance(value, str) and value[2:3] == ":"):
        return value
    msg = "a time of day is written like 15:00"
    raise ValueError(msg)


def _whole_minute(value: time) -> time:
    if value.tzinfo is not None or value.second or value.microsecond:
        msg = "a time of day is written like 15:00"
        raise ValueError(msg)
    return value


LocalTime = Annotated[
    time,
    BeforeValidator(_time_written_out, json_schema_input_type=time),
    AfterValidator(_whole_minute),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str),
]
"""A time of day in Vietnam, to the minute."""


class Version(Frozen):
    """Something in force from `valid_from` through `valid_to`, or until further notice."""

    valid_from: Day
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            msg = "valid_to lies before valid_from"
            raise ValueError(msg)
        return self


class Unit(Version):
    """A commune, department or province in one of its versions, in force from `valid_from` through `valid_to`.

    `predecessors` are codes as they stood on the day before `valid_from`, `successors` as they stand on the day after
    `valid_to`: a code alone does not name a unit, because codes were reused.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    code: Code
    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    kind: UnitKind
    class_: Literal["mountain", "other"] = Field(default="other", alias="class")
    predecessors: tuple[Code, ...] = ()
    successors: tuple[Code, ...] = ()


class ProcedureField(Frozen):
    """*Lĩnh vực*: the field a procedure belongs to."""

    code: Code
    name: Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Limit(Frozen):
    """The time a procedure may take. For `same_day` the amount is 0 and 15:00 is the cut-off."""

    amount: Annotated[int, Field(ge=0, le=1000)]
    unit: Literal["working_hours", "working_days", "calendar_days", "same_day"]


class Procedure(Version):
    """*Thủ tục hành chính* in one of its versions; `official` is false for demonstration entries."""

    code: Code
    name: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
    field: ProcedureField
    limit: Limit | None = None
    limits_by_channel: dict[Channel, Limit] = Field(default_factory=dict)
    mountain_extra_days: Annotated[int, Field(ge=0, le=365)] = 0
    cut_off: LocalTime | None = None
    """Received later in the day than this, a dossier counts as received on the next working day; a same-day procedure
    always has a cut-off, 15:00 unless another is named here."""
    restarts_after_supplement: bool = False
    """Whether the whole limit is counted anew from the day the dossier was completed (Decree 297/2025, 6.4a)."""
    fee_required: bool
    online_level: OnlineLevel
    online_payment: bool | None = None
    """Whether its fee can be paid online; where that is not told, it can if the procedure is offered online."""
    official: bool = False


class CalendarDay(Frozen):
    """A day that departs from Monday-to-Friday: a weekday off, or a weekend day that is worked in exchange."""

    on_day: Day
    working: bool
    name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    official: bool = False


# --- Grants -----------------------------------------------------------------------------------------------------------

GRANT_HEADER = "motcua-grant"
"""The header in which the gateway tells a service, as JSON, on whose behalf it asks."""

INTERNAL_KEY_HEADER = "motcua-internal-key"
"""The header that proves a request to a service came from the gateway or from another service."""


class Grant(Frozen):
    """What an API client may do. `units` and `sources` are None where they are not limited."""

    client: Identifier
    province: ProvinceCode
    units: frozenset[Code] | None = None
    sources: frozenset[Identifier] | None = None
    public: bool = False
    """Whether the client sees public aggregates alone, from which no single dossier can be told."""

    def header(self) -> str:
        """Return the grant as a header holds it: JSON in ASCII."""
        return self.model_dump_json(ensure_ascii=True)
