"""Whatever crosses a service boundary has its one shape here: events, standings, feed pages, reference data, grants.

The module does no I/O and knows no clock. Instants are aware datetimes, Vietnamese calendar days are dates (UTC+7 all
year), money is whole VND. Everything is frozen, and unknown fields are refused: personal data has no field to hide in.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
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
"""The largest request body; 5,000 of the largest common events fit twice over."""

DEFINITIONS_VERSION = "1"
"""The version of the rates' definitions; it changes when any rate would answer another figure for the same dossiers."""

_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def vietnamese_day(instant: datetime) -> date:
    """Return the calendar day in Vietnam on which the aware `instant` falls."""
    return instant.astimezone(VIETNAM).date()


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
    if not _EARLIEST <= instant < _LATEST:
        msg = "the instant must lie between 1990 and 2100"
        raise ValueError(msg)
    return instant.astimezone(VIETNAM)


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

ProvinceCode = Annotated[str, StringConstraints(pattern=r"^\d{2}$")]
"""The two digits of the General Statistics Office: 20 is Lạng Sơn, 19 is Thái Nguyên."""

Amount = Annotated[int, Field(strict=True, ge=0, le=10**15)]
"""Whole VND."""

Channel = Literal["counter", "online", "postal"]
OnlineLevel = Literal["full", "partial", "none"]
UnitKind = Literal["commune", "department", "province"]


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


class Paid(Frozen):
    """*Thanh toán*: one payment. An online payment without a platform is taken as the national platform's."""

    amount: Amount
    method: Literal["online", "cash", "transfer"]
    platform: Literal["national", "provincial", "other"] | None = None
    reference: Identifier | None = None


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


class Withdrawn(Frozen):
    """*Công dân rút hồ sơ*: the citizen took the dossier back."""

    reason: FreeText | None = None


Data = Received | Forwarded | Paid | Resolved | Returned | Withdrawn
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
    | Event[Literal["vn.motcua.dossier.paid"], Paid]
    | Event[Literal["vn.motcua.dossier.resolved"], Resolved]
    | Event[Literal["vn.motcua.dossier.returned"], Returned]
    | Event[Literal["vn.motcua.dossier.withdrawn"], Withdrawn],
    Field(discriminator="type"),
]
"""An event of any kind, told apart by its `type`."""

EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
# The first fault is enough to know that the items must be read one by one.
EVENTS: TypeAdapter[list[AnyEvent]] = TypeAdapter(Annotated[list[AnyEvent], FailFast()])


# --- Standings and the feed -------------------------------------------------------------------------------------------

Position = Annotated[int, PlainSerializer(str, return_type=str)]
"""A place in a province's order of recording; an integer inside, an opaque string on the wire."""

Status = Literal["unreceived", "pending", "resolved", "withdrawn"]
"""Where a dossier stands; `unreceived` while only other events than its receipt have arrived."""

Flag = Literal[
    "missing_receipt",
    "repeated_receipt",
    "repeated_resolution",
    "resolved_before_received",
    "due_before_received",
    "due_beyond_limit",
    "event_after_close",
    "foreign_event",
    "future_time",
    "unknown_procedure",
]
"""Something odd that the fold saw and kept; a flag never changes a count by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a dossier (*hồ sơ*) stands now: the few facts that anything downstream may show or count.

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
    due_at: Moment | None = None
    due_on: date | None = None
    ended_at: Moment | None = None
    ended_on: date | None = None
    outcome: Literal["approved", "refused"] | None = None
    result: Literal["electronic", "paper", "both", "none"] | None = None
    in_person: bool = False
    returned_channel: Channel | None = None
    fee_due: bool = False
    payments: int = 0
    payments_online: int = 0
    paid_on_platform: bool = False
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


Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2200, 12, 31))]
"""A calendar day that can be reckoned with; reference data has no use for days beyond."""


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
    fee_required: bool
    online_level: OnlineLevel
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

    def header(self) -> str:
        """Return the grant as a header holds it: JSON in ASCII."""
        return self.model_dump_json(ensure_ascii=True)
