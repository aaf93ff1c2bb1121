"""A person reads the rates as a table, in Vietnamese, with what misses its target in red."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

# Nine columns need about this much; a narrower terminal wraps the lines itself.
_NARROWEST = 107

_RATES = {"on_time_of_resolved": "Đúng hạn", "online_payment": "Thanh toán trực tuyến", "full_online": "Toàn trình"}
_COUNTS = {
    "received": "Tiếp nhận",
    "resolved": "Đã giải quyết",
    "resolved_late": "Quá hạn",
    "pending": "Đang giải quyết",
}


def show(answer: Mapping[str, Any]) -> None:
    """Print the rates answer on standard output."""
    Console(width=max(Console().width, _NARROWEST)).print(of_rates(answer))


def of_rates(answer: Mapping[str, Any]) -> Table:
    """Return the rates answer as a table of one line per unit and one for all of them."""
    first, last = (_day(answer["period"][end]) for end in ("from", "to"))
    table = Table(
        title=f"Kết quả giải quyết thủ tục hành chính từ {first} đến {last}",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("Mã", no_wrap=True)
    table.add_column("Đơn vị", no_wrap=True, max_width=28)
    for heading in (*_COUNTS.values(), *_RATES.values()):
        table.add_column(heading, justify="right", width=7 if heading in _COUNTS.values() else 9)
    for row in answer["rows"]:
        table.add_row(row["unit"]["code"], row["unit"]["name"], *_cells(row))
    table.add_section()
    table.add_row("", "Tổng cộng", *_cells(answer["total"]), style="bold")
    return table


def _cells(figures: Mapping[str, Any]) -> list[str]:
    counts = [f"{figures['counts'][name]:,}".replace(",", ".") for name in _COUNTS]
    return counts + [_share(figures["rates"][name]) for name in _RATES]


def _share(rate: Mapping[str, Any]) -> str:
    if rate["percent"] is None:
        return "–"  # noqa: RUF001 - the dash that stands for no value
    text = f"{rate['percent']:.2f}".replace(".", ",") + " %"
    return text if rate["met"] else f"[red]{text}[/red]"


def _day(iso: str) -> str:
    year, month, day = iso.split("-")
    return f"{day}/{month}/{year}"
