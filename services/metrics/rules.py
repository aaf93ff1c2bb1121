"""Prometheus warns about exactly the targets that answers are judged by: its rules are written from `TARGETS`.

A rate without a target has no alert. Targets of single fields and of the catalogue have none either: the gauges hold
units as wholes, and a catalogue changes by decision, not from one hour to the next. Of targets that follow each other
the newest is watched.

`python -m services.metrics.rules > deploy/prometheus/rules.yml` writes them anew.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.metrics.domain import targets
from services.metrics.domain.rates import PROCEDURE_RATES, RATES, Rate
from services.metrics.domain.targets import Target
from services.metrics.progress import STALE_AFTER

FEWEST = 20
"""What a denominator needs before its rate is worth a warning: below it one late dossier is 5 points and more."""

_HEADER = "# Written by `python -m services.metrics.rules`, to be changed there.\n"

# What Prometheus fills in when an alert fires.
_UNIT, _PROVINCE = "{{ $labels.unit }}", "{{ $labels.province }}"
_JOB, _INSTANCE, _SERVICE = "{{ $labels.job }}", "{{ $labels.instance }}", "{{ $labels.service }}"
_PERCENT, _PERCENT_VI = "{{ printf `%.2f` $value }} %", "{{ reReplaceAll `[.]` `,` (printf `%.2f` $value) }} %"
_DURATION, _NUMBER = "{{ humanizeDuration $value }}", "{{ printf `%.0f` $value }}"

_Part = Literal["numerator", "denominator"]

_RECORDS: Mapping[str, str] = {"Unit": "unit:metrics_rate_{}:max", "Province": "province:metrics_rate_{}:sum"}
"""The name of the series that holds a part of a rate, of each unit and of the province."""


_SHORT: Mapping[str, str] = {"on_time_of_resolved": "OnTime"}
"""How alerts name a rate, where it is not the rate's own name."""


@dataclass(frozen=True, slots=True)
class _Text:
    """What an alert says in one language, in short and in full."""

    summary: str
    description: str


def rules() -> dict[str, Any]:
    """Return the content of the rules file: one group for the rates, one for how the system runs."""
    asked = [(rate, target) for rate in RATES if (target := targets.general(rate.name)) is not None]
    rates = [alert for pair in asked for alert in (_unit_below_target(*pair), _province_below_target(*pair))]
    system = [_process_down(), _feed_lagging(), _answers_failing(), _unit_silent(), _counts_drifted()]
    return {"groups": [{"name": "rates", "rules": [*_records(), *rates]}, {"name": "system", "rules": system}]}


def _records() -> Iterator[dict[str, Any]]:
    parts: tuple[_Part, ...] = ("numerator", "denominator")
    for part in parts:
        of_unit, of_province = _RECORDS["Unit"].format(part), _RECORDS["Province"].format(part)
        # Metrics may run twice, and restart elsewhere: the same count from another instance is still one count.
        yield {"record": of_unit, "expr": f"max by (province, unit, rate) (metrics_rate_{part})"}
        # A procedure that two units have would be two in their sum.
        distinct = "|".join(rate.name for rate in PROCEDURE_RATES)
        yield {"record": of_province, "expr": f'sum by (province, rate) ({of_unit}{{rate!~"{distinct}"}})'}


def _unit_below_target(rate: Rate, target: Target) -> dict[str, Any]:
    en, vi = _titles(rate)
    asked, asked_vi = _asked(target)
    return _alert(
        f"Unit{_short(rate)}BelowTarget",
        _missed(target, _RECORDS["Unit"]),
        lasting="30m",
        severity="warning",
        en=_Text(
            f"Unit {_UNIT}: {en} below target",
            f"The {en} of unit {_UNIT} (province {_PROVINCE}) is {_PERCENT} this month; the plan asks for {asked}.",
        ),
        vi=_Text(
            f"Đơn vị {_UNIT}: {vi} chưa đạt chỉ tiêu",
            f"Trong tháng này, {vi} của đơn vị {_UNIT} (tỉnh {_PROVINCE}) là {_PERCENT_VI}; "
            f"chỉ tiêu kế hoạch là {asked_vi}.",
        ),
    )


def _province_below_target(rate: Rate, target: Target) -> dict[str, Any]:
    en, vi = _titles(rate)
    asked, asked_vi = _asked(target)
    return _alert(
        f"Province{_short(rate)}BelowTarget",
        _missed(target, _RECORDS["Province"]),
        lasting="30m",
        severity="critical",
        en=_Text(
            f"Province {_PROVINCE}: {en} below target",
            f"The {en} of all units of province {_PROVINCE} is {_PERCENT} this month; the plan asks for {asked}.",
        ),
        vi=_Text(
            f"Tỉnh {_PROVINCE}: {vi} chưa đạt chỉ tiêu",
            f"Trong tháng này, {vi} của toàn tỉnh {_PROVINCE} là {_PERCENT_VI}; chỉ tiêu kế hoạch là {asked_vi}.",
        ),
    )


def _short(rate: Rate) -> str:
    return _SHORT.get(rate.name) or rate.name.title().replace("_", "")


def _titles(rate: Rate) -> tuple[str, str]:
    """Return what the rate is called inside a sentence, in English and in Vietnamese."""
    en, vi = (title[0].lower() + title[1:] for title in rate.title)
    return en, vi


def _asked(target: Target) -> tuple[str, str]:
    """Return what the target asks for, in English and in Vietnamese."""
    percent = f"{target.percent:g}"
    percent_vi = percent.replace(".", ",")
    if target.comparison == "above":
        return f"more than {percent} %", f"trên {percent_vi} %"
    return f"at least {percent} %", f"từ {percent_vi} % trở lên"


def _missed(target: Target, record: str) -> str:
    """Return the expression that holds the percentage while the target is missed.

    Both sides of the comparison are whole numbers, so that a rate at its very target is judged exactly, as in answers.
    """
    numerator, denominator = (f'{record.format(part)}{{rate="{target.rate}"}}' for part in ("numerator", "denominator"))
    scale, asked = (100, target.hundredths) if target.hundredths % 100 else (1, target.hundredths // 100)
    missed = "<=" if target.comparison == "above" else "<"
    return (
        f"100 * {numerator} / {denominator}\n"
        f"and {denominator} >= {FEWEST}\n"
        f"and {100 * scale} * {numerator} {missed} {asked} * {denominator}"
    )


def _process_down() -> dict[str, Any]:
    return _alert(
        "ProcessDown",
        'up{job=~"gateway|dossier|metrics"} == 0',
        lasting="1m",
        severity="critical",
        en=_Text(
            f"{_JOB} does not answer",
            f"Prometheus has not reached {_JOB} at {_INSTANCE} for more than a minute.",
        ),
        vi=_Text(
            f"{_JOB} không phản hồi",
            f"Prometheus không kết nối được tới {_JOB} ({_INSTANCE}) đã hơn một phút.",
        ),
    )


def _feed_lagging() -> dict[str, Any]:
    return _alert(
        "FeedLagging",
        "max by (province) (metrics_feed_lag_seconds) > 60",
        lasting="2m",
        severity="critical",
        en=_Text(
            f"Province {_PROVINCE}: rates are out of date",
            f"For {_DURATION} metrics has not counted everything recorded in province {_PROVINCE}. "
            "Nothing is lost, but the rates shown are older than the dossiers.",
        ),
        vi=_Text(
            f"Tỉnh {_PROVINCE}: tỷ lệ chưa được cập nhật",
            f"Đã {_DURATION} hệ thống chưa tính hết các hồ sơ đã ghi nhận của tỉnh {_PROVINCE}. "
            "Không mất dữ liệu, nhưng tỷ lệ đang hiển thị chậm hơn thực tế.",
        ),
    )


def _answers_failing() -> dict[str, Any]:
    # Probes and scrapes are most of the traffic at night; they would hide failures, and a process not ready is none.
    answered = 'http_requests_total{route!~"/healthz|/readyz|/metrics"}'
    failed = 'http_requests_total{route!~"/healthz|/readyz|/metrics",status=~"5.."}'
    return _alert(
        "AnswersFailing",
        f"100 * sum by (service) (rate({failed}[10m])) / sum by (service) (rate({answered}[10m])) > 5\n"
        # A single failure in a quiet hour wakes nobody.
        f"and sum by (service) (increase({failed}[10m])) > 5",
        lasting="5m",
        severity="critical",
        en=_Text(
            f"{_SERVICE} fails to answer requests",
            f"{_PERCENT} of the requests to {_SERVICE} in the last ten minutes were answered with a server error.",
        ),
        vi=_Text(
            f"{_SERVICE} trả lời lỗi nhiều yêu cầu",
            f"{_PERCENT_VI} yêu cầu tới {_SERVICE} trong mười phút qua nhận lỗi máy chủ.",
        ),
    )


def _unit_silent() -> dict[str, Any]:
    return _alert(
        "UnitSilent",
        f"max by (province, unit) (metrics_unit_silent_seconds) > {STALE_AFTER.total_seconds():.0f}",
        lasting="30m",
        severity="warning",
        en=_Text(
            f"Unit {_UNIT} has sent nothing for more than {STALE_AFTER.days} days",
            f"The last event from the one-stop counter of unit {_UNIT} (province {_PROVINCE}) was recorded "
            f"{_DURATION} ago, and its rates are stale. "
            "Long public holidays look the same: silence this alert for their days.",
        ),
        vi=_Text(
            f"Đơn vị {_UNIT} không gửi dữ liệu đã hơn {STALE_AFTER.days} ngày",
            f"Sự kiện gần nhất từ bộ phận một cửa của đơn vị {_UNIT} (tỉnh {_PROVINCE}) được ghi nhận cách đây "
            f"{_DURATION}; số liệu của đơn vị này không còn mới. "
            "Các kỳ nghỉ lễ dài cũng gây cảnh báo này: hãy tạm tắt cảnh báo trong những ngày đó.",
        ),
    )


def _counts_drifted() -> dict[str, Any]:
    return _alert(
        "CountsDrifted",
        "max by (province) (metrics_drift_cells) > 0",
        # Once the audit has found a difference, waiting makes it no smaller.
        lasting="0m",
        severity="critical",
        en=_Text(
            f"Province {_PROVINCE}: counts differ from their dossiers",
            f"{_NUMBER} counts of province {_PROVINCE} are not what a recount of the dossiers gives. "
            "The dossiers are right; rates made of these counts may be wrong until they are counted anew.",
        ),
        vi=_Text(
            f"Tỉnh {_PROVINCE}: số liệu tổng hợp không khớp với hồ sơ",
            f"{_NUMBER} số đếm của tỉnh {_PROVINCE} không khớp với kết quả đếm lại từ hồ sơ. "
            "Dữ liệu hồ sơ vẫn đúng; các tỷ lệ tính từ những số đếm này có thể sai cho đến khi được đếm lại.",
        ),
    )


def _alert(  # noqa: PLR0913 - each is a part of the rule
    name: str, expression: str, *, lasting: str, severity: Literal["warning", "critical"], en: _Text, vi: _Text
) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {
            "summary": en.summary,
            "summary_vi": vi.summary,
            "description": en.description,
            "description_vi": vi.description,
            "runbook": f"deploy/runbooks/{name}.md",
        },
    }


def _lines(content: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield `content` as lines of YAML; what is more than a word is quoted, or stands as it is under its key."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif not isinstance(value, str):
            yield f"{indent}{key}:"
            for member in value:
                first, *others = _lines(member, indent + "    ")
                yield f"{indent}  - {first.lstrip()}"
                yield from others
        elif key == "expr":
            yield f"{indent}{key}: |-"
            yield from (f"{indent}  {line}" for line in value.split("\n"))
        else:
            plain = re.fullmatch(r"[\w/.:]+", value)
            yield f"{indent}{key}: {value if plain else json.dumps(value, ensure_ascii=False)}"


def main() -> None:
    """Write the rules file to standard output."""
    sys.stdout.write(_HEADER + "".join(f"{line}\n" for line in _lines(rules())))


if __name__ == "__main__":
    main()
