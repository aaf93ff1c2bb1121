"""Each rate is data: a numerator over a denominator of counts, in words, with its source; it is divided when read.

A definition that changes gets a second entry with the next version, beside the old one, whose `valid_to` is then told;
figures of a period are made by the definition in force on its last day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from services.metrics.domain.counts import COUNTS, Day, Kind, Words

_DAY_OF: Mapping[str, Day] = {count.name: count.day for count in COUNTS}
_KIND_OF: Mapping[str, Kind] = {count.name: count.kind for count in COUNTS}


@dataclass(frozen=True, slots=True)
class Rate:
    """A named share: the sum of `hits` over the sum of `of` without the sum of `less`, all names of counts.

    `comparison` says how an end is held against its due date, where it is: by Vietnamese day or by the instant.
    `valid_from` is None for a definition that holds for all the past.
    """

    name: str
    title: Words
    formula: Words
    hits: tuple[str, ...]
    of: tuple[str, ...]
    source: str
    less: tuple[str, ...] = ()
    comparison: Literal["day", "instant", "none"] = "none"
    version: int = 1
    valid_from: date | None = None
    valid_to: date | None = None

    @property
    def kind(self) -> Kind:
        """What is counted; a rate of procedures is of distinct counts, which are not sums over dossiers or days."""
        return _KIND_OF[self.of[0]]

    @property
    def days(self) -> tuple[Day, ...]:
        """The days by which the rate counts, of its denominator."""
        return tuple(dict.fromkeys(_DAY_OF[name] for name in self.of))

    def in_force(self, on: date) -> bool:
        """Tell whether this definition holds on the day."""
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on <= self.valid_to)

    def numerator(self, counts: Mapping[str, int]) -> int:
        """Return how many fulfil the rate's condition."""
        total = 0
        for name in self.hits:
            total += counts[name]
        return total

    def denominator(self, counts: Mapping[str, int]) -> int:
        """Return how many the condition is asked of."""
        total = 0
        for name in self.of:
            total += counts[name]
        for name in self.less:
            total -= counts[name]
        return total

    def divided(self, counts: Mapping[str, int]) -> tuple[int, int, float | None]:
        """Return numerator, denominator and percentage."""
        numerator, denominator = self.numerator(counts), self.denominator(counts)
        return numerator, denominator, percent(numerator, denominator)


def percent(numerator: int, denominator: int) -> float | None:
    """Return the percentage, rounded half up to two decimals from the exact quotient; None where there is none."""
    if denominator == 0:
        return None
    # Of all floats, the one next to the two decimals: it is written with these two and no others.
    return (20_000 * numerator + denominator) // (2 * denominator) / 100


_WITH_DUE = ("resolved_early", "resolved_on_time", "resolved_late")

DEFINITIONS: tuple[Rate, ...] = (
    Rate(
        "on_time_of_resolved",
        Words("On-time rate", "Tỷ lệ giải quyết đúng hạn"),
        Words(
            "dossiers resolved before or on the due day, over all that were resolved and have a due date",
            "hồ sơ giải quyết trước hạn và đúng hạn trên hồ sơ đã giải quyết xong có hạn trả",
        ),
        hits=("resolved_early", "resolved_on_time"),
        of=_WITH_DUE,
        comparison="day",
        source="Plan 316/KH-UBND, II.2.2; form II.06a, columns 8 and 9 over 7",
    ),
    Rate(
        "on_time_with_extension",
        Words("On-time rate with extensions", "Tỷ lệ giải quyết đúng hạn, kể cả gia hạn"),
        Words(
            "dossiers resolved by the due day or by the day it was extended to with an apology, over all that were "
            "resolved and have a due date",
            "hồ sơ giải quyết xong trong hạn trả hoặc trong thời gian xin lỗi, gia hạn trên hồ sơ đã giải quyết xong "
            "có hạn trả",
        ),
        hits=("within_extension",),
        of=("resolved",),
        less=("resolved_without_due",),
        comparison="day",
        source="None: the other view of an extension, which by no source makes a dossier on time",
    ),
    Rate(
        "on_time_of_all",
        Words("On-time rate of all dossiers", "Tỷ lệ hồ sơ xử lý đúng hạn"),
        Words(
            "dossiers ended in any way by the due instant and open ones still in time, over all that ended or are open "
            "and have a due date",
            "hồ sơ đã kết thúc không muộn hơn giờ hẹn trả và hồ sơ đang giải quyết còn trong hạn trên toàn bộ hồ sơ đã "
            "kết thúc và đang giải quyết có hạn trả",
        ),
        hits=("ended_in_time", "pending_in_time"),
        of=("resolved", "withdrawn", "stopped", "declined", "pending"),
        less=("ended_without_due", "pending_without_due"),
        comparison="instant",
        source="Decision 766/QĐ-TTg, 2.1",
    ),
    Rate(
        "on_time_of_due",
        Words("On-time rate of dossiers fallen due", "Tỷ lệ giải quyết đúng hạn trên hồ sơ đến hạn"),
        Words(
            "dossiers resolved by the due day, over all that fell due, also those still open",
            "hồ sơ đến hạn đã giải quyết trong hạn trên toàn bộ hồ sơ đến hạn, kể cả hồ sơ chưa giải quyết xong",
        ),
        hits=("fell_due_met",),
        of=("fell_due",),
        comparison="day",
        source="Practice of provinces (Vĩnh Phúc, September 2021)",
    ),
    Rate(
        "online_submission",
        Words("Online submission rate", "Tỷ lệ hồ sơ nộp trực tuyến"),
        Words(
            "dossiers received online, over all received",
            "hồ sơ tiếp nhận trực tuyến trên hồ sơ tiếp nhận",
        ),
        hits=("received_online",),
        of=("received",),
        source="Decision 766/QĐ-TTg, 3.3",
    ),
    Rate(
        "full_online",
        Words("Full-online rate", "Tỷ lệ hồ sơ trực tuyến toàn trình"),
        Words(
            "dossiers resolved full-online, over all resolved",
            "hồ sơ giải quyết trực tuyến toàn trình trên hồ sơ đã giải quyết xong",
        ),
        hits=("full_online",),
        of=("resolved",),
        source="Plan 316/KH-UBND; Decree 307/2025/NĐ-CP, appendix item 12",
    ),
    Rate(
        "full_online_of_eligible",
        Words("Full-online rate of procedures offered so", "Tỷ lệ toàn trình trên hồ sơ đủ điều kiện"),
        Words(
            "dossiers resolved full-online, over the resolved of procedures offered full-online at the receipt",
            "hồ sơ giải quyết toàn trình trên hồ sơ đã giải quyết xong của thủ tục cung cấp toàn trình khi tiếp nhận",
        ),
        hits=("full_online_of_offered",),
        of=("offered_full_online",),
        source="Resolution 71/NQ-CP; the national portal's row for decision 766/QĐ-TTg",
    ),
    Rate(
        "online_payment",
        Words("Online payment rate", "Tỷ lệ thanh toán trực tuyến"),
        Words(
            "dossiers with a fee that were paid online at least once, over all received with a fee",
            "hồ sơ phải nộp phí, lệ phí có thanh toán trực tuyến trên hồ sơ phải nộp phí, lệ phí",
        ),
        hits=("paid_online",),
        of=("fee_due",),
        source="Decision 766/QĐ-TTg, 3.6; plan 316/KH-UBND",
    ),
    Rate(
        "online_payment_transactions",
        Words("Online payment rate of transactions", "Tỷ lệ giao dịch thanh toán trực tuyến"),
        Words(
            "online payments, over all payments of the dossiers received",
            "lượt thanh toán trực tuyến trên tổng số lượt thanh toán của hồ sơ tiếp nhận",
        ),
        hits=("payments_online",),
        of=("payments",),
        source='Plan 316/KH-UBND ("tỷ lệ giao dịch")',
    ),
    Rate(
        "electronic_results",
        Words("Electronic result rate", "Tỷ lệ trả kết quả điện tử"),
        Words(
            "dossiers resolved with an electronic result, over all resolved",
            "hồ sơ có kết quả điện tử trên hồ sơ đã giải quyết xong",
        ),
        hits=("electronic_result",),
        of=("resolved",),
        source="Decision 766/QĐ-TTg, 4.1",
    ),
    Rate(
        "reused_data",
        Words("Data reuse rate", "Tỷ lệ tái sử dụng dữ liệu số hoá"),
        Words(
            "dossiers resolved with data reused, over all resolved",
            "hồ sơ tái sử dụng dữ liệu số hoá trên hồ sơ đã giải quyết xong",
        ),
        hits=("reused_data",),
        of=("resolved",),
        source="Decision 766/QĐ-TTg, 4.3",
    ),
    Rate(
        "digitised",
        Words("Digitisation rate", "Tỷ lệ số hoá hồ sơ"),
        Words("dossiers resolved and digitised, over all resolved", "hồ sơ được số hoá trên hồ sơ đã giải quyết xong"),
        hits=("digitised",),
        of=("resolved",),
        source="Decision 766/QĐ-TTg, 4.2",
    ),
    Rate(
        "satisfaction",
        Words("Satisfaction rate", "Tỷ lệ hài lòng"),
        Words(
            "dossiers rated 4 or 5 of 5, over all rated",
            "hồ sơ được đánh giá 4 hoặc 5 điểm trên hồ sơ được đánh giá",
        ),
        hits=("satisfied",),
        of=("rated",),
        source="Plan 316/KH-UBND",
    ),
    Rate(
        "procedures_paid_online",
        Words("Share of procedures paid online", "Tỷ lệ thủ tục có giao dịch thanh toán trực tuyến"),
        Words(
            "procedures with an online payment, over the procedures of which dossiers with a fee were received",
            "thủ tục có ít nhất một giao dịch thanh toán trực tuyến trên thủ tục có hồ sơ phải nộp phí, lệ phí",
        ),
        hits=("fee_procedures_paid_online",),
        of=("fee_procedures",),
        source="Decision 766/QĐ-TTg, 3.5",
    ),
    Rate(
        "procedures_offering_payment",
        Words("Share of procedures offering online payment", "Tỷ lệ thủ tục triển khai thanh toán trực tuyến"),
        Words(
            "procedures that offer online payment, over the procedures in force with a fee, by the catalogue",
            "thủ tục cho phép thanh toán trực tuyến trên thủ tục hiện hành có phí, lệ phí, theo danh mục",
        ),
        hits=("catalogue_fee_procedures_offering_payment",),
        of=("catalogue_fee_procedures",),
        source="Plan 316/KH-UBND; decision 766/QĐ-TTg, 3.5",
    ),
    Rate(
        "procedures_full_online",
        Words("Share of procedures offered full-online", "Tỷ lệ thủ tục cung cấp toàn trình"),
        Words(
            "procedures offered full-online, over the procedures in force that are offered online, by the catalogue",
            "thủ tục cung cấp toàn trình trên thủ tục hiện hành cung cấp trực tuyến, theo danh mục",
        ),
        hits=("catalogue_full_online_procedures",),
        of=("catalogue_online_procedures",),
        source="Plan 316/KH-UBND; decision 766/QĐ-TTg, 3.1",
    ),
)
"""Every version of every rate, in the order in which answers show them."""


# An answer asks once a row; the days it is asked about are few.
@lru_cache(maxsize=64)
def in_force(on: date) -> tuple[Rate, ...]:
    """Return the definitions that hold on the day, one of each rate."""
    return tuple(rate for rate in DEFINITIONS if rate.in_force(on))


_NEWEST = tuple(rate for rate in DEFINITIONS if rate.valid_to is None)

RATES: tuple[Rate, ...] = tuple(rate for rate in _NEWEST if rate.kind != "procedures")
"""The rates that are quotients of added-up counts, as they are defined now."""

PROCEDURE_RATES: tuple[Rate, ...] = tuple(rate for rate in _NEWEST if rate.kind == "procedures")
"""The rates of distinct counts, of which each answer needs its own."""
