"""Each count is data: its name, its words, the day it counts on, what is counted and how far it may be added up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Words(NamedTuple):
    """The same text in English and in Vietnamese."""

    en: str
    vi: str


Day = Literal["receipt", "end", "refusal", "due", "rating", "period_start", "period_end"]

Kind = Literal["dossiers", "payments", "procedures"]
"""What is counted."""

Nature = Literal["flow", "stock", "distinct"]
"""How far a count adds up: a flow over days and units, a stock over units alone, a distinct count over neither."""

DAYS: Mapping[Day, Words] = {
    "receipt": Words("the day of receipt", "ngày tiếp nhận"),
    "end": Words(
        "the day processing ended, not before the receipt", "ngày kết thúc xử lý, không sớm hơn ngày tiếp nhận"
    ),
    "refusal": Words("the day of the refusal", "ngày từ chối"),
    "due": Words("the due day, not before the receipt", "ngày đến hạn, không sớm hơn ngày tiếp nhận"),
    "rating": Words("the day of the rating", "ngày đánh giá"),
    "period_start": Words("the day before the period", "ngày trước kỳ báo cáo"),
    "period_end": Words(
        "the last day of the period, or today while it runs", "ngày cuối kỳ, hoặc hôm nay nếu kỳ chưa hết"
    ),
}


@dataclass(frozen=True, slots=True)
class Count:
    """A number that answers and forms show; `en` and `vi` say what it is, and head its column."""

    name: str
    day: Day
    en: str
    vi: str
    kind: Kind = "dossiers"
    nature: Nature = "flow"


COUNTS: tuple[Count, ...] = (
    Count("received", "receipt", "received", "Hồ sơ tiếp nhận"),
    Count("received_counter", "receipt", "received at the counter", "Tiếp nhận trực tiếp"),
    Count("received_online", "receipt", "received online", "Tiếp nhận trực tuyến"),
    Count("received_postal", "receipt", "received by post", "Tiếp nhận qua bưu chính"),
    Count("fee_due", "receipt", "received with a fee to pay", "Hồ sơ phải nộp phí, lệ phí"),
    Count(
        "paid_online",
        "receipt",
        "received with a fee, and paid online at least once",
        "Hồ sơ phải nộp phí, lệ phí có thanh toán trực tuyến",
    ),
    Count("payments", "receipt", "payments of the dossiers received", "Lượt thanh toán", kind="payments"),
    Count(
        "payments_online",
        "receipt",
        "online payments of the dossiers received",
        "Lượt thanh toán trực tuyến",
        kind="payments",
    ),
    Count("resolved", "end", "resolved", "Hồ sơ đã giải quyết xong"),
    Count("resolved_early", "end", "resolved before the due day", "Giải quyết trước hạn"),
    Count("resolved_on_time", "end", "resolved on the due day", "Giải quyết đúng hạn"),
    Count("resolved_late", "end", "resolved after the due day", "Giải quyết quá hạn"),
    Count("resolved_without_due", "end", "resolved without a due date", "Giải quyết xong, không có hạn trả"),
    Count(
        "late_with_apology",
        "end",
        "resolved after the due day, with an extension and apology",
        "Giải quyết quá hạn, đã xin lỗi và gia hạn",
    ),
    Count(
        "within_extension",
        "end",
        "resolved by the due day or by the day it was extended to",
        "Giải quyết xong trong hạn trả hoặc trong thời gian gia hạn",
    ),
    Count("full_online", "end", "resolved full-online", "Hồ sơ giải quyết trực tuyến toàn trình"),
    Count(
        "offered_full_online",
        "end",
        "resolved, of procedures offered full-online",
        "Hồ sơ đã giải quyết của thủ tục cung cấp toàn trình",
    ),
    Count(
        "full_online_of_offered",
        "end",
        "resolved full-online, of procedures offered full-online",
        "Hồ sơ giải quyết toàn trình của thủ tục cung cấp toàn trình",
    ),
    Count("electronic_result", "end", "resolved with an electronic result", "Hồ sơ trả kết quả điện tử"),
    Count("reused_data", "end", "resolved with data reused", "Hồ sơ tái sử dụng dữ liệu số hoá"),
    Count("digitised", "end", "resolved and digitised", "Hồ sơ được số hoá"),
    Count("withdrawn", "end", "withdrawn by the citizen", "Công dân rút hồ sơ"),
    Count("stopped", "end", "stopped", "Dừng giải quyết"),
    Count("declined", "end", "declined after the receipt", "Từ chối sau khi tiếp nhận"),
    Count("ended_early", "end", "ended in any way before the due day", "Kết thúc trước hạn"),
    Count("ended_on_time", "end", "ended in any way on the due day", "Kết thúc đúng hạn"),
    Count("ended_late", "end", "ended in any way after the due day", "Kết thúc quá hạn"),
    Count("ended_without_due", "end", "ended in any way without a due date", "Kết thúc, không có hạn trả"),
    Count(
        "ended_in_time",
        "end",
        "ended in any way by the due instant",
        "Kết thúc không muộn hơn giờ hẹn trả",
    ),
    Count(
        "declined_before_receipt",
        "refusal",
        "declined and never received; counted nowhere else",
        "Từ chối khi chưa tiếp nhận",
    ),
    Count("fell_due", "due", "fell due", "Hồ sơ đến hạn"),
    Count("fell_due_met", "due", "fell due and resolved by the due day", "Hồ sơ đến hạn đã giải quyết trong hạn"),
    Count("overdue_by_fact", "due", "fell due and not resolved by the due day", "Quá hạn thực tế"),
    Count(
        "overdue_by_data",
        "due",
        "fell due and resolved by the due day, but recorded after it",
        "Quá hạn do cập nhật chậm",
    ),
    Count("rated", "rating", "rated by the citizen", "Hồ sơ được đánh giá"),
    Count("satisfied", "rating", "rated 4 or 5 of 5", "Hồ sơ được đánh giá hài lòng (4, 5 điểm)"),
    Count("carried_over", "period_start", "open when the period began", "Tồn từ kỳ trước", nature="stock"),
    Count("pending", "period_end", "open when the period ended", "Đang giải quyết", nature="stock"),
    Count("pending_within", "period_end", "open and not overdue", "Đang giải quyết, trong hạn", nature="stock"),
    Count("pending_overdue", "period_end", "open and overdue", "Đang giải quyết, quá hạn", nature="stock"),
    Count(
        "pending_without_due",
        "period_end",
        "open, without a due date",
        "Đang giải quyết, không có hạn trả",
        nature="stock",
    ),
    Count(
        "awaiting_supplement",
        "period_end",
        "open, waiting for the citizen to complete them",
        "Đang chờ bổ sung",
        nature="stock",
    ),
    Count(
        "pending_in_time",
        "period_end",
        "open and not overdue, without those the citizen is asked to complete once more",
        "Đang giải quyết trong hạn, không kể hồ sơ đang chờ bổ sung từ lần thứ hai",
        nature="stock",
    ),
    Count(
        "fee_procedures",
        "receipt",
        "procedures of which dossiers with a fee were received",
        "Thủ tục có hồ sơ phải nộp phí, lệ phí",
        kind="procedures",
        nature="distinct",
    ),
    Count(
        "fee_procedures_paid_online",
        "receipt",
        "of these, procedures with an online payment",
        "Trong đó: thủ tục có thanh toán trực tuyến",
        kind="procedures",
        nature="distinct",
    ),
    Count(
        "catalogue_fee_procedures",
        "period_end",
        "procedures in force with a fee",
        "Thủ tục hiện hành có phí, lệ phí",
        kind="procedures",
        nature="distinct",
    ),
    Count(
        "catalogue_fee_procedures_offering_payment",
        "period_end",
        "of these, procedures offered with online payment",
        "Trong đó: thủ tục cho phép thanh toán trực tuyến",
        kind="procedures",
        nature="distinct",
    ),
    Count(
        "catalogue_online_procedures",
        "period_end",
        "procedures in force that are offered online, full or partial",
        "Thủ tục hiện hành cung cấp trực tuyến (toàn trình hoặc một phần)",
        kind="procedures",
        nature="distinct",
    ),
    Count(
        "catalogue_full_online_procedures",
        "period_end",
        "of these, procedures offered full-online",
        "Trong đó: thủ tục cung cấp toàn trình",
        kind="procedures",
        nature="distinct",
    ),
)
"""Every count, in the order in which answers and forms show them."""
