"""How long it took from what happened to its recording is told in a few steps, each with its bound and its words."""

from collections.abc import Mapping

_HOUR = 3_600

BOUNDS: Mapping[str, int | None] = {
    "clock_ahead": -1,
    "within_1_hour": _HOUR,
    "within_8_hours": 8 * _HOUR,
    "within_24_hours": 24 * _HOUR,
    "within_72_hours": 72 * _HOUR,
    "within_7_days": 7 * 24 * _HOUR,
    "later": None,
}
"""The most seconds of each step; what took less belongs to one before. Less than none means a clock ahead."""

TITLES: Mapping[str, str] = {
    "clock_ahead": "Đồng hồ bên gửi chạy nhanh",
    "within_1_hour": "Trong 1 giờ",
    "within_8_hours": "Trong 8 giờ",
    "within_24_hours": "Trong 24 giờ",
    "within_72_hours": "Trong 72 giờ",
    "within_7_days": "Trong 7 ngày",
    "later": "Sau 7 ngày",
}
"""What each step is called in Vietnamese."""
