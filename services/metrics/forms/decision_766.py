"""What decision 766/QĐ-TTg scores is computed where the events tell it, and named as unknown where they do not.

The result is no published score: the portal takes some indicators from sources that are not ours, and how it turns
shares into points is known from its answers, not from the decision's text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from services.metrics.formats import numbers
from services.metrics.formats.table import Column, Row, Table

NOTICE_VI = "Tính toán từ dữ liệu, không phải điểm công bố"
NOTICE = "computed from the events, not the published score"
_TITLE = "Bộ chỉ số 766: các thành phần tính được từ dữ liệu hồ sơ"

Shares = Mapping[str, tuple[int, int]]
"""By the name of a rate: its numerator and its denominator. A rate that was not computed is left out."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """What is scored: at most `maximum` points, all of them once the share of `rate` reaches `full_at`.

    Without a `rate` no event tells it. `remark_vi` says where the computation is known to differ from the portal's.
    """

    key: str
    name_vi: str
    maximum: int
    rate: str | None = None
    full_at: Fraction = Fraction(1)
    remark_vi: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """A row of the portal's page: indicators whose points are summed."""

    key: str
    name_vi: str
    indicators: tuple[Indicator, ...]


_FOUR_FIFTHS, _NINE_TENTHS, _HALF = Fraction(4, 5), Fraction(9, 10), Fraction(1, 2)

COMPONENTS: tuple[Component, ...] = (
    Component(
        "transparency",
        "Công khai, minh bạch",
        (
            Indicator("published_on_time", "TTHC được công bố đúng hạn", 6),
            Indicator("updated_on_time", "TTHC được cập nhật, công khai đúng hạn", 4),
            Indicator("published_in_full", "TTHC được công khai đầy đủ nội dung", 2),
            Indicator("dossiers_synchronised", "Hồ sơ được đồng bộ với Cổng Dịch vụ công quốc gia", 6),
        ),
    ),
    Component(
        "progress",
        "Tiến độ giải quyết",
        (Indicator("on_time", "Hồ sơ giải quyết đúng hạn, đang giải quyết trong hạn", 20, "on_time_of_all"),),
    ),
    Component(
        "online_services",
        "Dịch vụ công trực tuyến",
        (
            Indicator(
                "provided_online",
                "TTHC cung cấp dịch vụ công trực tuyến",
                2,
                "procedures_provided_online",
                _FOUR_FIFTHS,
            ),
            Indicator("used_online", "Dịch vụ công trực tuyến có phát sinh hồ sơ", 4, "online_services_used"),
            Indicator("submitted_online", "Hồ sơ nộp trực tuyến", 6, "online_submission", _HALF),
        ),
    ),
    Component(
        "online_payment",
        "Thanh toán trực tuyến",
        (
            Indicator(
                "offering_payment",
                "TTHC có nghĩa vụ tài chính được tích hợp thanh toán trực tuyến",
                2,
                "procedures_offering_payment",
                _FOUR_FIFTHS,
            ),
            Indicator(
                "procedures_paid_online",
                "TTHC có giao dịch thanh toán trực tuyến",
                2,
                "procedures_paid_online",
                _FOUR_FIFTHS,
            ),
            Indicator("dossiers_paid_online", "Hồ sơ thanh toán trực tuyến", 6, "online_payment"),
        ),
    ),
    Component(
        "satisfaction",
        "Mức độ hài lòng",
        (
            Indicator("petitions_on_time", "Phản ánh, kiến nghị được xử lý đúng hạn", 6),
            Indicator("petitions_satisfied", "Hài lòng về xử lý phản ánh, kiến nghị", 6),
            Indicator(
                "dossiers_satisfied",
                "Hài lòng về tiếp nhận, giải quyết TTHC",
                6,
                "satisfaction",
                _NINE_TENTHS,
                "tính theo số lượt đánh giá hài lòng; Cổng trừ hồ sơ quá hạn và hồ sơ có phản ánh, kiến nghị",
            ),
        ),
    ),
    Component(
        "digitisation",
        "Số hóa hồ sơ",
        (
            Indicator("electronic_results", "Hồ sơ có kết quả điện tử", 6, "electronic_results"),
            Indicator("digitised", "Số hóa hồ sơ, kết quả giải quyết", 4, "digitised"),
            Indicator("reused_data", "Tái sử dụng thông tin, dữ liệu số hóa", 2, "reused_data", _FOUR_FIFTHS),
            Indicator("synchronised_store", "Đồng bộ kho dữ liệu điện tử của tổ chức, cá nhân", 4),
            Indicator("residents_dossiers", "Hồ sơ khai thác dữ liệu dân cư", 2),
            Indicator("residents_procedures", "TTHC kết nối dữ liệu dân cư", 2),
            Indicator("certified_copies", "Chứng thực bản sao điện tử từ bản chính", 2),
        ),
    ),
)

RATES: frozenset[str] = frozenset(
    indicator.rate for component in COMPONENTS for indicator in component.indicators if indicator.rate is not None
)
"""The names under which shares are taken; two of them, `procedures_provided_online` (procedures provided online over
all of the unit's) and `online_services_used` (online services with online dossiers over all online services), are no
rates of the metrics."""

_NOT_TOLD = "không tính được từ dữ liệu hồ sơ"
_NOTHING = "không có hồ sơ để tính"


def score(indicator: Indicator, shares: Shares) -> Fraction | None:
    """Return the exact points, or None where they cannot be computed or there is nothing to divide by."""
    told = shares.get(indicator.rate) if indicator.rate is not None else None
    if told is None or told[1] == 0:
        return None
    return min(Fraction(indicator.maximum), indicator.maximum * Fraction(*told) / indicator.full_at)


def answer(unit: str, first: date, last: date, shares: Shares) -> dict[str, Any]:
    """Return the page of a unit as the JSON object of the public contract."""
    return {
        "index": "766/QĐ-TTg",
        "official": False,
        "notice": NOTICE,
        "notice_vi": NOTICE_VI,
        "unit": unit,
        "period": {"from": first.isoformat(), "to": last.isoformat()},
        "components": [
            {
                "key": component.key,
                "name_vi": component.name_vi,
                **_summed(component.indicators, shares),
                "indicators": [_indicator_json(indicator, shares) for indicator in component.indicators],
            }
            for component in COMPONENTS
        ],
        "total": _summed(_all_indicators(), shares),
    }


def table(unit: str, code: str, first: date, last: date, shares: Shares) -> Table:
    """Return the page of a unit as a table, one row for each indicator under a sub-total for its component."""
    rows: list[Row] = []
    subtotals = set()
    for component in COMPONENTS:
        subtotals.add(len(rows))
        rows.append((component.key, None, component.name_vi, None, None, *_points(component.indicators, shares), None))
        for indicator in component.indicators:
            numerator, denominator = _told(indicator, shares)
            points = _points((indicator,), shares)
            rows.append(
                (
                    component.key,
                    indicator.key,
                    indicator.name_vi,
                    numerator,
                    denominator,
                    *points,
                    _why(indicator, shares) or indicator.remark_vi or None,
                )
            )
    return Table(
        stem=f"766-{code}-{first.isoformat()}-{last.isoformat()}",
        title=_TITLE,
        columns=(
            Column("component", ("Mã thành phần",), "text", printed=False),
            Column("indicator", ("Mã chỉ số",), "text", printed=False),
            Column("name_vi", ("Thành phần, chỉ số",), "text"),
            Column("numerator", ("Số liệu", "Tử số"), "integer"),
            Column("denominator", ("Số liệu", "Mẫu số"), "integer"),
            Column("score", ("Điểm", "Tính được"), "percent"),
            Column("computable_maximum", ("Điểm", "Tối đa của phần tính được"), "integer"),
            Column("maximum", ("Điểm", "Tối đa"), "integer"),
            Column("remark_vi", ("Ghi chú",), "text"),
        ),
        rows=tuple(rows),
        total=(None, None, "Tổng số", None, None, *_points(_all_indicators(), shares), None),
        subtotals=frozenset(subtotals),
        lines=(
            f"Đơn vị: {unit}",
            f"Kỳ báo cáo: từ ngày {numbers.day(first)} đến ngày {numbers.day(last)}",
            NOTICE_VI,
        ),
        footnotes=(
            "Chỉ số không tính được không có điểm và không được ước lượng; điểm chỉ so với tối đa của phần tính được.",
        ),
    )


def _all_indicators() -> tuple[Indicator, ...]:
    return tuple(indicator for component in COMPONENTS for indicator in component.indicators)


def _exact(indicators: tuple[Indicator, ...], shares: Shares) -> tuple[Fraction | None, int, int]:
    """Return the points of what could be computed, the most that could be had of it, and the most of all."""
    scored = [
        (indicator.maximum, points) for indicator in indicators if (points := score(indicator, shares)) is not None
    ]
    return (
        sum((points for _, points in scored), Fraction(0)) if scored else None,
        sum(maximum for maximum, _ in scored),
        sum(indicator.maximum for indicator in indicators),
    )


def _points(indicators: tuple[Indicator, ...], shares: Shares) -> Row:
    points, computable, maximum = _exact(indicators, shares)
    return (None if points is None else numbers.half_up(points), computable, maximum)


def _summed(indicators: tuple[Indicator, ...], shares: Shares) -> dict[str, Any]:
    points, computable, maximum = _exact(indicators, shares)
    return {
        "score": None if points is None else float(numbers.half_up(points)),
        "computable_maximum": computable,
        "maximum": maximum,
    }


def _indicator_json(indicator: Indicator, shares: Shares) -> dict[str, Any]:
    numerator, denominator = _told(indicator, shares)
    points = score(indicator, shares)
    return {
        "key": indicator.key,
        "name_vi": indicator.name_vi,
        "rate": indicator.rate,
        "numerator": numerator,
        "denominator": denominator,
        "score": None if points is None else float(numbers.half_up(points)),
        "maximum": indicator.maximum,
        "remark_vi": _why(indicator, shares) or indicator.remark_vi or None,
    }


def _told(indicator: Indicator, shares: Shares) -> tuple[int | None, int | None]:
    told = shares.get(indicator.rate) if indicator.rate is not None else None
    return (None, None) if told is None else told


def _why(indicator: Indicator, shares: Shares) -> str:
    """Return why there is no score, nothing where there is one."""
    match _told(indicator, shares):
        case (None, None):
            return _NOT_TOLD
        case (_, 0):
            return _NOTHING
        case _:
            return ""
