"""An answer's rows as a table: what it is about, every count, every rate's percentage, headed in Vietnamese."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from services.metrics import publication, report
from services.metrics.domain import rates
from services.metrics.domain.counts import COUNTS
from services.metrics.domain.rates import Rate
from services.metrics.domain.suppression import Shown
from services.metrics.domain.vectors import NAMES
from services.metrics.formats import numbers
from services.metrics.formats.table import Column, Row, Table, Value
from services.metrics.publication import Publication
from services.metrics.report import Figures, Question, Report

_TITLE = "Tình hình tiếp nhận, giải quyết thủ tục hành chính"
_COUNTS, _RATES = "Số lượng", "Tỷ lệ (%)"
_HIDDEN = ("Ô trống: số liệu nhỏ không được công bố, hoặc không có gì để chia.",)
_TITLES = {count.name: count.vi for count in COUNTS}
_LABELS = {
    "unit": "Đơn vị",
    "field": "Lĩnh vực",
    "procedure": "Thủ tục hành chính",
    "channel": "Kênh tiếp nhận",
    "day": "Ngày",
    "week": "Tuần",
    "month": "Tháng",
    "none": "Phạm vi",
}


def table(found: Report, title: str = _TITLE) -> Table:
    """Return the answer as a table; percentages have two decimals, and none where there is nothing to divide by."""
    told = [rate for rate in rates.in_force(found.cut.last) if rate.kind != "procedures"]
    rows = [(*_about(row.about), *_figures(row.figures, told)) for row in found.rows]
    return _table(found.question, found.cut.last, NAMES, told, rows, _figures(found.total, told), title=title)


def public(found: Publication) -> Table:
    """Return what everybody may see as a table; hidden figures are empty cells."""

    def figures(counts: Shown) -> Row:
        told = (_decimal(publication.divided(rate, counts)[2]) for rate in found.rates)
        return *(counts[name] for name in publication.COUNTED), *told

    question = found.question
    rows = [(*_about(row.about), *figures(row.counts)) for row in found.rows]
    total, names = figures(found.total), publication.COUNTED
    return _table(question, question.period.last, names, found.rates, rows, total, footnotes=_HIDDEN)


def _table(  # noqa: PLR0913 - all that a table tells
    question: Question,
    last: date,
    names: Sequence[str],
    told: Sequence[Rate],
    rows: Sequence[Row],
    total: Row,
    *,
    title: str = _TITLE,
    footnotes: tuple[str, ...] = (),
) -> Table:
    period, label = question.period, _LABELS[question.by]
    return Table(
        stem=f"rates-{period.label.replace('..', '_')}-{question.by}-{question.role}",
        title=title,
        columns=(
            Column("code", ("Mã",), "text"),
            Column("name", (label,), "text"),
            *(Column(name, (_COUNTS, _TITLES[name]), "integer") for name in names),
            *(Column(f"{rate.name}_percent", (_RATES, rate.title.vi), "percent") for rate in told),
        ),
        rows=tuple(rows),
        total=(None, "Tổng số", *total),
        lines=(f"Kỳ báo cáo: từ ngày {numbers.day(period.first)} đến ngày {numbers.day(last)}",),
        footnotes=footnotes,
    )


def series(found: Report, rate_name: str) -> Table:
    """Return one rate over the pieces of a period as a table."""
    (rate,) = (rate for rate in rates.in_force(found.cut.last) if rate.name == rate_name)
    rows = [(_about(row.about)[0], *_divided(row.figures, rate)) for row in found.rows]
    return _series(found.question, found.cut.last, rate, rows, _divided(found.total, rate))


def public_series(found: Publication, rate_name: str) -> Table:
    """Return what everybody may see of one rate over the months of a period as a table."""

    def figures(counts: Shown) -> Row:
        numerator, denominator, percent = publication.divided(rate, counts)
        return numerator, denominator, _decimal(percent)

    (rate,) = (rate for rate in found.rates if rate.name == rate_name)
    rows = [(_about(row.about)[0], *figures(row.counts)) for row in found.rows]
    return _series(found.question, found.question.period.last, rate, rows, figures(found.total), footnotes=_HIDDEN)


def _series(  # noqa: PLR0913 - all that a table tells
    question: Question,
    last: date,
    rate: Rate,
    rows: Sequence[Row],
    total: Row,
    *,
    footnotes: tuple[str, ...] = (),
) -> Table:
    period = question.period
    return Table(
        stem=f"series-{rate.name}-{period.label.replace('..', '_')}-{question.by}",
        title=rate.title.vi,
        columns=(
            Column("label", (_LABELS[question.by],), "text"),
            Column("numerator", ("Tử số",), "integer"),
            Column("denominator", ("Mẫu số",), "integer"),
            Column("percent", ("Tỷ lệ (%)",), "percent"),
        ),
        rows=tuple(rows),
        total=("Cả kỳ", *total),
        lines=(f"Kỳ báo cáo: từ ngày {numbers.day(period.first)} đến ngày {numbers.day(last)}",),
        footnotes=footnotes,
    )


def _divided(figures: Figures, rate: Rate) -> tuple[Value, ...]:
    numerator, denominator, percent = rate.divided(dict(zip(NAMES, figures.counts, strict=True)))
    return numerator, denominator, _decimal(percent)


def _decimal(percent: float | None) -> Decimal | None:
    return None if percent is None else Decimal(f"{percent:.2f}")


def _about(about: report.About) -> Row:
    (value,) = about.values()
    if isinstance(value, dict):
        return value.get("code", value.get("label")), value.get("name", value.get("label"))
    return value, value


def _figures(figures: Figures, told: Sequence[Rate]) -> tuple[Value, ...]:
    counts = dict(zip(NAMES, figures.counts, strict=True))
    return *figures.counts, *(_decimal(rate.divided(counts)[2]) for rate in told)
