"""What every number means can be asked: counts, rates and targets are told as the data they are made by."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from services.contract import DEFINITIONS_VERSION
from services.metrics.domain import rates
from services.metrics.domain.counts import COUNTS, DAYS, Count, Words
from services.metrics.domain.rates import Rate
from services.metrics.domain.targets import TARGETS, Target


def definitions(on: date) -> dict[str, Any]:
    """Return the counts, and the rates with their targets as they hold on the day, as a JSON object."""
    return {
        "version": DEFINITIONS_VERSION,
        "on": on.isoformat(),
        "days": {day: _words(words) for day, words in DAYS.items()},
        "counts": [_count(count) for count in COUNTS],
        "rates": [_rate(rate, on) for rate in rates.in_force(on)],
    }


def _count(count: Count) -> Mapping[str, Any]:
    return {
        "name": count.name,
        "title": {"en": count.en, "vi": count.vi},
        "day": count.day,
        "kind": count.kind,
        "nature": count.nature,
    }


def _rate(rate: Rate, on: date) -> Mapping[str, Any]:
    return {
        "name": rate.name,
        "version": rate.version,
        "valid_from": _day(rate.valid_from),
        "valid_to": _day(rate.valid_to),
        "title": _words(rate.title),
        "formula": _words(rate.formula),
        "numerator": {"plus": list(rate.hits), "minus": []},
        "denominator": {"plus": list(rate.of), "minus": list(rate.less)},
        "kind": rate.kind,
        "days": list(rate.days),
        "comparison": rate.comparison,
        "source": rate.source,
        "targets": [_target(target) for target in TARGETS if target.rate == rate.name and target.in_force(on)],
    }


def _target(target: Target) -> Mapping[str, Any]:
    return {
        "percent": target.percent,
        "comparison": target.comparison,
        "fields": list(target.fields),
        "unit_kind": target.kind,
        "valid_from": _day(target.valid_from),
        "valid_to": _day(target.valid_to),
        "source": target.source,
    }


def _words(words: Words) -> Mapping[str, str]:
    return words._asdict()


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
