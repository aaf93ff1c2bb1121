"""A period is read the way people name it."""

from datetime import date

import pytest

from services.metrics.domain import periods


@pytest.mark.parametrize(
    ("label", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-H1", date(2026, 1, 1), date(2026, 6, 30)),
        ("2026-H2", date(2026, 7, 1), date(2026, 12, 31)),
        ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026-10", date(2026, 10, 1), date(2026, 10, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-10-05", date(2026, 10, 5), date(2026, 10, 5)),
        ("2026-10-01..2026-10-20", date(2026, 10, 1), date(2026, 10, 20)),
        ("2025-12..2026-Q1", date(2025, 12, 1), date(2026, 3, 31)),
    ],
)
def test_a_period_is_its_first_and_last_day(label: str, first: date, last: date) -> None:
    assert periods.parse(label) == periods.Period(label, first, last)


@pytest.mark.parametrize(
    "label",
    ["", "x", "26", "2026-", "2026-13", "2026-00", "2026-Q5", "2026-H3", "2026-02-30", "2026-10-05T00:00", "0000",
     "2026-10-20..2026-10-01", "..2026", "2026..", "2026-10-01..2026-10-02..2026-10-03", "\uff12\uff10\uff12\uff16"],
)  # fmt: skip
def test_anything_else_is_refused(label: str) -> None:
    with pytest.raises(periods.InvalidPeriod):
        periods.parse(label)
