"""When a dossier is due, and why: the same steps that reckon the due date also explain it, so they cannot disagree.

The due date is the first appointment plus the working time that was not the authority's own, and nothing else moves it.
An extension with apology names another day beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.contract import VIETNAM, Extended, Limit, PauseReason, Procedure, Received, vietnamese_day
from services.dossier.domain import calendar
from services.dossier.domain.catalogue import Catalogue

# A year of every limit that a province has; more would be dates that nobody meant.
_REMEMBERED = 20_000

Standstill = Literal["supplement"] | PauseReason
"""Why the clock stands still."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A time during which the clock stood still, or still does; `due_at` is the new appointment its end brought."""

    reason: Standstill
    began_at: datetime
    ended_at: datetime | None = None
    due_at: datetime | None = None
    completed: bool = False
    """Whether it ended because the citizen completed the dossier."""


class Case(NamedTuple):
    """All that a due date depends on beside the calendar."""

    received_at: datetime
    receipt: Received
    forwarded_at: datetime | None
    """When another unit than the receiving one got the dossier; its clock starts then."""
    procedure: Procedure | None
    in_mountains: bool
    pauses: Sequence[Pause]
    extensions: Sequence[Extended]


StepCode = Literal[
    "received",
    "forwarded",
    "after_cut_off",
    "unknown_procedure",
    "no_limit",
    "limit",
    "appointed",
    "paused",
    "paused_still",
    "restarted",
    "reappointed",
    "extended",
]


class Step(NamedTuple):
    """One step of how a due date came about; `due_at` is the due date after it."""

    code: StepCode
    since: datetime
    until: datetime | None
    due_at: datetime | None
    limit: Limit | None = None
    extra_days: int = 0
    reason: Standstill | None = None
    excluded: timedelta = timedelta(0)
    """The working time of a pause."""


class Due(NamedTuple):
    """When a dossier is due (None where nothing says so), and the steps that led there."""

    at: datetime | None
    extended_at: datetime | None
    beyond_limit: bool
    """Whether the sender's first appointment lies on a later day than the procedure allows."""
    steps: Sequence[Step]


def due(case: Case, catalogue: Catalogue) -> Due:
    """Return when the dossier is due."""
    steps = [Step("received", case.received_at, None, None)]
    counted = _counted(case, catalogue, steps)
    due_at, start = counted, case.forwarded_at or case.received_at
    beyond_limit = False
    if case.receipt.due_at is not None:
        due_at, start = case.receipt.due_at, case.received_at
        beyond_limit = counted is not None and vietnamese_day(counted) < vietnamese_day(due_at)
        steps.append(Step("appointed", case.received_at, None, due_at))
    for pause in case.pauses:
        due_at = _after(pause, start, due_at, case, catalogue, steps)
    extended_at = None
    for extension in case.extensions:
        extended_at = extension.due_at
        steps.append(Step("extended", case.received_at, extended_at, due_at))
    return Due(due_at, extended_at, beyond_limit, steps)


def _limit(case: Case) -> Limit | None:
    if case.procedure is None:
        return None
    return case.procedure.limits_by_channel.get(case.receipt.channel, case.procedure.limit)


def _extra_days(case: Case) -> int:
    return case.procedure.mountain_extra_days if case.procedure and case.in_mountains else 0


def _counted(case: Case, catalogue: Catalogue, steps: list[Step]) -> datetime | None:
    """Return when the procedure's limit runs out, counted from when the resolving unit got the dossier."""
    start = case.received_at
    if case.forwarded_at is not None:
        start = case.forwarded_at
        steps.append(Step("forwarded", start, None, None))
    limit = _limit(case)
    if case.procedure is None or limit is None:
        steps.append(Step("no_limit" if case.procedure else "unknown_procedure", start, None, None))
        return None
    return _limit_from(start, limit, case.procedure, case, catalogue, steps)


def _limit_from(  # noqa: PLR0913 - a limit, from when it counts, and where to note it
    start: datetime, limit: Limit, procedure: Procedure, case: Case, catalogue: Catalogue, steps: list[Step]
) -> datetime:
    counted_from = calendar.counted_from(start, limit, procedure.cut_off, catalogue.days)
    if counted_from > start:
        steps.append(Step("after_cut_off", start, counted_from, None))
    extra = _extra_days(case)
    due_at = _run_out(counted_from, limit, extra, catalogue)
    steps.append(Step("limit", counted_from, None, due_at, limit, extra))
    return due_at


def _run_out(counted_from: datetime, limit: Limit, extra: int, catalogue: Catalogue) -> datetime:
    """Return when the limit runs out; all that starts on one day with one limit of days is due at one instant."""
    if limit.unit == "working_hours":
        return calendar.due_at(counted_from, limit, extra, catalogue.days)
    key = counted_from.date(), limit.amount, limit.unit, extra
    due_at = catalogue.reckoned.get(key)
    if due_at is None:
        if len(catalogue.reckoned) >= _REMEMBERED:
            catalogue.reckoned.clear()
        due_at = catalogue.reckoned[key] = calendar.due_at(counted_from, limit, extra, catalogue.days)
    return due_at


def _after(  # noqa: PLR0913 - a pause, what was due before it, and where to note it
    pause: Pause, start: datetime, due_at: datetime | None, case: Case, catalogue: Catalogue, steps: list[Step]
) -> datetime | None:
    """Return when the dossier is due after a pause."""
    if pause.ended_at is None:
        steps.append(Step("paused_still", pause.began_at, None, due_at, reason=pause.reason))
        return due_at
    if pause.due_at is not None:
        steps.append(Step("reappointed", pause.began_at, pause.ended_at, pause.due_at, reason=pause.reason))
        return pause.due_at
    limit = _limit(case)
    if pause.completed and case.procedure and case.procedure.restarts_after_supplement and limit is not None:
        steps.append(Step("restarted", pause.began_at, pause.ended_at, None, reason=pause.reason))
        return _limit_from(pause.ended_at, limit, case.procedure, case, catalogue, steps)
    excluded = calendar.working_time(max(pause.began_at, start), pause.ended_at, catalogue.days)
    if due_at is not None:
        due_at = calendar.add_working_time(due_at, excluded, catalogue.days)
    steps.append(Step("paused", pause.began_at, pause.ended_at, due_at, reason=pause.reason, excluded=excluded))
    return due_at


# --- The steps in words -----------------------------------------------------------------------------------------------

_CHANNEL = {
    "counter": ("at the counter", "trực tiếp"),
    "online": ("online", "trực tuyến"),
    "postal": ("by post", "qua bưu chính"),
}
_LIMIT = {
    "working_hours": ("{} working hours", "{} giờ làm việc"),
    "working_days": ("{} working days", "{} ngày làm việc"),
    "calendar_days": ("{} days", "{} ngày"),
    "same_day": ("the same day", "giải quyết trong ngày"),
}
_REASON: dict[Standstill, tuple[str, str]] = {
    "supplement": ("waiting for the citizen to complete the dossier", "chờ bổ sung hồ sơ"),
    "financial_obligation": ("waiting for the citizen's payment", "chờ thực hiện nghĩa vụ tài chính"),
    "obligation_assessment": ("assessment of what is to be paid", "xác định nghĩa vụ tài chính"),
    "appraisal": ("expert appraisal", "trưng cầu giám định"),
    "public_notice": ("public notice", "niêm yết công khai"),
    "violation": ("handling of a violation", "xem xét xử lý vi phạm"),
    "verification": ("verification", "xác minh"),
    "other": ("another reason", "lý do khác"),
}


@dataclass(frozen=True, slots=True)
class DueStep:
    """One step of how a due date came about, in both languages."""

    code: StepCode
    detail: str
    detail_vi: str
    due_at: datetime | None


def explained(due: Due, receipt: Received, catalogue: Catalogue) -> Sequence[DueStep]:
    """Return the steps in words."""
    return [DueStep(step.code, *_words(step, receipt, catalogue), step.due_at) for step in due.steps]


def _words(step: Step, receipt: Received, catalogue: Catalogue) -> tuple[str, str]:  # noqa: C901, PLR0911 - one branch a step
    since, until, due_at = _at(step.since), _at(step.until), _at(step.due_at)
    why, why_vi = _REASON[step.reason] if step.reason else ("", "")
    match step.code:
        case "received":
            channel, channel_vi = _CHANNEL[receipt.channel]
            return f"received {channel} {since}", f"tiếp nhận {channel_vi} lúc {since}"
        case "forwarded":
            return (
                f"the resolving unit received it {since}; its clock starts then",
                f"cơ quan giải quyết nhận hồ sơ lúc {since}; thời hạn tính từ lúc này",
            )
        case "after_cut_off":
            return (
                f"that is after the cut-off, so it is counted from {until}",
                f"sau giờ nhận trong ngày, tính từ {until}",
            )
        case "unknown_procedure":
            return f"the procedure {receipt.procedure} is not known", f"chưa biết thủ tục {receipt.procedure}"
        case "no_limit":
            return "the procedure sets no time limit", "thủ tục không quy định thời hạn"
        case "limit":
            limit, limit_vi = _limit_words(step)
            days, days_vi = _departures(step, catalogue)
            return f"{limit}{days}; due {due_at}", f"{limit_vi}{days_vi}; hạn {due_at}"
        case "appointed":
            return f"appointed by the sender: {due_at}", f"đơn vị gửi hẹn trả: {due_at}"
        case "paused":
            taken, taken_vi = _taken(step.excluded)
            return (
                f"{why}, {since} to {until}: {taken} not counted; due {due_at or 'not set'}",
                f"{why_vi}, {since} đến {until}: không tính {taken_vi}; hạn {due_at or 'chưa có'}",
            )
        case "paused_still":
            return f"{why} since {since}; the clock stands still", f"{why_vi} từ {since}; tạm dừng tính thời hạn"
        case "restarted":
            return (
                f"{why}, {since} to {until}; the limit is counted anew",
                f"{why_vi}, {since} đến {until}; thời hạn tính lại từ đầu",
            )
        case "reappointed":
            return f"{why}, {since} to {until}; new appointment {due_at}", (
                f"{why_vi}, {since} đến {until}; hẹn lại {due_at}"
            )
        case "extended":
            return (
                f"extended with an apology to {until}; the due date stays",
                f"xin lỗi và gia hạn đến {until}; hạn trả giữ nguyên",
            )


def _at(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant.astimezone(VIETNAM):%H:%M %d/%m/%Y}"


def _limit_words(step: Step) -> tuple[str, str]:
    if step.limit is None:
        return "", ""
    words, words_vi = (text.format(step.limit.amount) for text in _LIMIT[step.limit.unit])
    if step.extra_days:
        words += f", and {step.extra_days} working days more for a mountain commune"
        words_vi += f", cộng {step.extra_days} ngày làm việc cho xã miền núi"
    return words, words_vi


def _departures(step: Step, catalogue: Catalogue) -> tuple[str, str]:
    """Return the days off and the weekend days worked that a limit went past."""
    if step.due_at is None:
        return "", ""
    words = words_vi = ""
    first = step.since.astimezone(VIETNAM).date()
    for day in calendar.departures(first, step.due_at.astimezone(VIETNAM).date(), catalogue.days):
        worked, name = catalogue.days[day], catalogue.day_names[day]
        words += f"; {'worked' if worked else 'off'} {day:%d/%m} ({name})"
        words_vi += f"; {'làm việc' if worked else 'nghỉ'} {day:%d/%m} ({name})"
    return words, words_vi


def _taken(excluded: timedelta) -> tuple[str, str]:
    """Return working time in words: `2 d 3 h of working time`."""
    units = (("d", "ngày"), ("h", "giờ"), ("min", "phút"))
    parts = [(n, unit) for n, unit in zip(calendar.describe(excluded), units, strict=True) if n]
    if not parts:
        return "no working time", "0 giờ làm việc"
    words, words_vi = (" ".join(f"{n} {unit[language]}" for n, unit in parts) for language in (0, 1))
    return f"{words} of working time", f"{words_vi} làm việc"
