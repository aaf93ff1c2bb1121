"""How far the forecast of a month's rate is off, and how often the rate lies where the forecast says it will.

Months are simulated, each is forecast from what was known at the end of its 10th, 15th and 20th day, for every unit and
for the province, and what it truly ended with is compared with the forecast and with what anybody would guess without
one: the rate of the month before, and the rate of the month so far.
"""

import argparse
from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from statistics import fmean

from services.cli import demo, simulation
from services.cli.simulation import Dossier, Scenario
from services.contract import VIETNAM
from services.metrics.domain import forecast
from services.metrics.domain.forecast import Arrived, Done, Ended, Known, Open

HISTORY_DAYS = 90
DAYS = (10, 15, 20)
EVERYONE = "all"

MONTHS_BEFORE = 4
"""So many simulated months come before the one that is forecast; few dossiers take longer."""

MANY = 200

Resolved = tuple[int, int]
"""In time, and late."""

_DAY = timedelta(days=1)
_ROUNDED = 0.005
"""A forecast is told in hundredths of a percent."""
_PAUSING = {"supplement_requested": True, "paused": True, "supplemented": False, "resumed": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A month's rate of a unit in percent: as it was, as it was forecast, and as it was guessed, where anything was."""

    unit: str
    on_day: date
    resolved: int
    truth: float
    forecast: float
    within_80: bool
    within_95: bool
    month_before: float | None
    month_so_far: float | None


def attempts(scenario: Scenario, months: Iterable[date], days: Sequence[int] = DAYS) -> Iterator[Attempt]:
    """Yield an attempt for each unit, month (its first day) and day of it; the scenario begins months before."""
    for first in months:
        last = first.replace(day=monthrange(first.year, first.month)[1])
        truth = _resolved(_as_of(scenario, last), first, last)
        before = first - _DAY
        for day in days:
            on_day = first.replace(day=day)
            dossiers = _as_of(scenario, on_day)
            month_before = _resolved(dossiers, before.replace(day=1), before)
            so_far = _resolved(dossiers, first, on_day)
            everything, units = forecast.forecasts(known(dossiers, scenario.first_day, on_day, last))
            for unit, found in [(EVERYONE, everything), *units.items()]:
                rate, expected = _rate(truth, unit), found.expected
                if rate is not None and expected is not None:
                    yield Attempt(
                        unit=unit,
                        on_day=on_day,
                        resolved=sum(truth[unit]),
                        truth=rate,
                        forecast=expected.percent,
                        within_80=expected.low - _ROUNDED <= rate <= expected.high + _ROUNDED,
                        within_95=expected.lowest - _ROUNDED <= rate <= expected.highest + _ROUNDED,
                        month_before=_rate(month_before, unit),
                        month_so_far=_rate(so_far, unit),
                    )


def known(dossiers: Sequence[Dossier], since: date, on_day: date, last_day: date) -> Known:
    """Return what the forecast is made from, of dossiers as they stand at the end of `on_day`."""
    since = max(since, on_day - (HISTORY_DAYS - 1) * _DAY)
    ended: Counter[tuple[str, int, int]] = Counter()
    arrived: Counter[tuple[str, int]] = Counter()
    waiting: Counter[tuple[str, date]] = Counter()
    for dossier in dossiers:
        if dossier.received_at is None or dossier.due_at is None or dossier.status == "voided":
            continue
        unit, received_on, due_on = dossier.resolving_unit, dossier.received_at.date(), dossier.due_at.date()
        if received_on >= since:
            arrived[unit, received_on.weekday()] += 1
        if dossier.ended_at is None:
            if not _stands_still(dossier, due_on):
                waiting[unit, due_on] += 1
        elif dossier.status == "resolved" and dossier.ended_at.date() >= since:
            ended[unit, (due_on - received_on).days, (dossier.ended_at.date() - due_on).days] += 1
    done = _resolved(dossiers, on_day.replace(day=1), on_day)
    return Known(
        since=since,
        on_day=on_day,
        last_day=last_day,
        ended=[Ended(*key, count) for key, count in ended.items()],
        arrived=[Arrived(*key, count) for key, count in arrived.items()],
        open=[Open(*key, count) for key, count in waiting.items()],
        done=[Done(unit, *counts) for unit, counts in done.items() if unit != EVERYONE],
    )


def _as_of(scenario: Scenario, on_day: date) -> Sequence[Dossier]:
    until = datetime.combine(on_day, time(23, 59, 59), VIETNAM)
    return list(simulation.dossiers(replace(scenario, until=until)))


def _stands_still(dossier: Dossier, due_on: date) -> bool:
    pausing = [step for step in dossier.steps if step.kind in _PAUSING]
    return bool(pausing) and _PAUSING[pausing[-1].kind] and due_on >= pausing[-1].occurred_at.date()


def _resolved(dossiers: Iterable[Dossier], first: date, last: date) -> Mapping[str, Resolved]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for dossier in dossiers:
        if dossier.status != "resolved" or dossier.ended_at is None or dossier.due_at is None:
            continue
        if first <= dossier.ended_at.date() <= last:
            for unit in (EVERYONE, dossier.resolving_unit):
                counts[unit][dossier.late] += 1
    return {unit: (in_time, late) for unit, (in_time, late) in counts.items()}


def _rate(resolved: Mapping[str, Resolved], unit: str) -> float | None:
    in_time, late = resolved.get(unit, (0, 0))
    return 100 * in_time / (in_time + late) if in_time + late else None


# --- Figures ----------------------------------------------------------------------------------------------------------


def figures(found: Sequence[Attempt]) -> Mapping[str, float]:
    """Return the mean absolute errors, in points, over the attempts that anything was guessed for; and the coverage."""
    guessed = [one for one in found if one.month_before is not None and one.month_so_far is not None]
    return {
        "months": len(found),
        "forecast": fmean(abs(one.forecast - one.truth) for one in guessed),
        "month before": fmean(abs((one.month_before or 0.0) - one.truth) for one in guessed),
        "month so far": fmean(abs((one.month_so_far or 0.0) - one.truth) for one in guessed),
        "bias": fmean(one.forecast - one.truth for one in found),
        "in 80 %": fmean(one.within_80 for one in found),
        "in 95 %": fmean(one.within_95 for one in found),
    }


def of_many(seeds: Iterable[int], dossiers: int, days: Sequence[int] = DAYS) -> Iterator[Attempt]:
    """Yield the attempts at a month of each of several simulated provinces, which receive so many dossiers a month."""
    for seed in seeds:
        first = date(2026, 5 + seed % 6, 1)
        began = date(2026, first.month - MONTHS_BEFORE, 1)
        last = first.replace(day=monthrange(first.year, first.month)[1])
        scenario = replace(
            demo.scenario(), seed=seed, first_day=began, last_day=last, dossiers=(MONTHS_BEFORE + 1) * dossiers
        )
        yield from attempts(scenario, [first], days)


def main() -> None:
    """Forecast, compare, and print the figures by day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, the figures mean little")
    parser.add_argument("--provinces", type=int, help="how many are simulated, a month of each")
    parser.add_argument("--dossiers", type=int, help="how many each receives in a month")
    asked = parser.parse_args()
    provinces, dossiers = (
        asked.provinces or (1 if asked.quick else 6),
        asked.dossiers or (500 if asked.quick else 20_000),
    )
    found = list(of_many(range(provinces), dossiers))
    groups: Mapping[str, Callable[[Attempt], bool]] = {
        "all together": lambda one: one.unit == EVERYONE,
        "each unit": lambda one: one.unit != EVERYONE,
        f"each unit with {MANY} resolved": lambda one: one.unit != EVERYONE and one.resolved >= MANY,
    }
    for name, belongs in groups.items():
        for day in DAYS:
            chosen = [one for one in found if belongs(one) and one.on_day.day == day]
            if chosen:
                told = "  ".join(f"{what} {figure:.3g}" for what, figure in figures(chosen).items())
                print(f"{name}, from day {day}:  {told}")


if __name__ == "__main__":
    main()
