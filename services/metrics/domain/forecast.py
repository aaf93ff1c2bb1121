"""How a month will end is estimated here from what is open, what the units did lately, and what the month has so far.

The method, for each unit and for all of them together:

1. *How often late.* So little is late that a small unit's own share says little. It is pulled towards the share of
   all, the more so the less the unit resolved and the more alike the units are (empirical Bayes with a beta prior,
   whose strength is estimated from how far the units differ).
2. *How soon.* The days from receipt to due day and from due day to end, as counted lately, say when a dossier ends; to
   a unit's own counts those of all units are added with the weight of `BLENDED` dossiers.
3. *What is open.* A dossier that is still open so many days before its due day is late with the chance that follows
   from 1 and 2 by Bayes' rule: the closer the due day, the more of those in time have ended already. What is overdue
   is late, and the question is only whether it ends within the month.
4. *What is yet to come.* Each weekday brings as many dossiers as it did lately, which end as soon as by 2.
5. *How sure.* The number of late ones among those to end is beta-binomial: chance, and not knowing the unit's share.
   How many will end is uncertain, too. All outcomes are weighed one by one, and nothing is drawn by lot.

What a forecast cannot know: the days off ahead, ends that happened and that nobody has told yet, and new habits.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, partial
from itertools import accumulate
from math import exp, lgamma, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeVar

DAYS_AHEAD = 14
"""For how many days it is told how many dossiers fall due."""

BLENDED = 30
"""As many of all units' dossiers stand beside a unit's own where it is asked how soon they end."""

_WEAKEST, _STRONGEST = 20.0, 2_000.0
"""Between so many dossiers' worth lies what the share of all tells of a unit's own."""

_USUAL_DELAY = 7
"""By how many days one dossier is late that stands beside those that were."""

_VAGUENESS = 0.1
"""By which share the number of dossiers to end is off beyond chance: days off and new habits are not known."""

_CERTAIN = 1e7
"""So much evidence leaves nothing but chance."""

_FAR = 8
"""Outcomes so many standard deviations from what is expected are left out."""

_DEVIATIONS = tuple(NormalDist().inv_cdf((place + 0.5) / 7) for place in range(7))
"""Seven equally likely deviations of a number stand for all of them."""


class Ended(NamedTuple):
    """Dossiers resolved lately: how long they had, and how long after their due day they ended."""

    unit: str
    term: int
    """Days from the receipt to the due day."""
    offset: int
    """Days from the due day to the end, below 0 for what was early."""
    dossiers: int


class Arrived(NamedTuple):
    """Dossiers with a due day that were received lately, by their weekday (0 is Monday)."""

    unit: str
    weekday: int
    dossiers: int


class Open(NamedTuple):
    """Open dossiers with a due day whose clock runs."""

    unit: str
    due_on: date
    dossiers: int


class Done(NamedTuple):
    """What was resolved in the month so far, of what has a due day."""

    unit: str
    in_time: int
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known at the end of `on_day`, the last day that is over, of the month that ends with `last_day`.

    On the first day of a month that is the last day of the month before, and nothing is `done`. `ended` and `arrived`
    are those of the days from `since` through `on_day`. Rows of the same unit add up, so that the unit of each row may
    be replaced by its successor; none is of 0 dossiers.
    """

    since: date
    on_day: date
    last_day: date
    ended: Sequence[Ended]
    arrived: Sequence[Arrived]
    open: Sequence[Open]
    done: Sequence[Done]


class FallingDue(NamedTuple):
    """How many of the open dossiers fall due on a day."""

    on_day: date
    dossiers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The `on_time_of_resolved` that the whole month is expected to have, and the numbers that it is the share of.

    It lies between `low` and `high` with a chance of 80 %, between `lowest` and `highest` with one of 95 %.
    """

    numerator: float
    denominator: float
    percent: float
    low: float
    high: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What lies before a unit, or before all together where `unit` is None; where nothing is expected, why not.

    `overdue_now` counts what was still open at the end of its due day.
    """

    unit: str | None
    due: tuple[FallingDue, ...]
    overdue_now: int
    expected: Expected | None
    reason: Literal["no_history", "nothing_expected"] | None
    history_days: int


def forecasts(known: Known, told: Collection[str] | None = None) -> tuple[Forecast, Mapping[str, Forecast]]:
    """Return the forecast of the units `told` together, and that of each; None are those that any row names.

    What is told of a unit depends on what all of them did, whichever are told.
    """
    waiting = _by_unit(known.open)
    if told is None:
        told = {row.unit for rows in (known.ended, known.arrived, known.open, known.done) for row in rows}
    outlooks = _outlooks(known, told) if known.ended else {}
    each = {unit: _forecast(known, unit, waiting[unit], outlooks.get(unit)) for unit in sorted(told)}
    together = _together(list(outlooks.values())) if known.ended else None
    return _forecast(known, None, (row for unit in each for row in waiting[unit]), together), each


def _forecast(known: Known, unit: str | None, waiting: Iterable[Open], outlook: "_Outlook | None") -> Forecast:
    due: dict[date, int] = defaultdict(int)
    for row in waiting:
        due[row.due_on] += row.dossiers
    expected = _expected(outlook) if outlook else None
    return Forecast(
        unit=unit,
        due=tuple(
            FallingDue(on_day, dossiers)
            for on_day, dossiers in sorted(due.items())
            if 0 < (on_day - known.on_day).days <= DAYS_AHEAD
        ),
        overdue_now=sum(dossiers for on_day, dossiers in due.items() if on_day <= known.on_day),
        expected=expected,
        reason=None if expected else "nothing_expected" if outlook else "no_history",
        history_days=(known.on_day - known.since).days + 1,
    )


_Row = TypeVar("_Row", Ended, Arrived, Open, Done)


def _by_unit(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        found[row.unit].append(row)
    return found


# --- How often late ---------------------------------------------------------------------------------------------------


class _Share(NamedTuple):
    """Which share of a unit's dossiers is late, and how many dossiers' evidence there is for it."""

    of_late: float
    evidence: float


def _late_and_all(rows: Iterable[Ended]) -> tuple[int, int]:
    late = everything = 0
    for row in rows:
        everything += row.dossiers
        late += row.dossiers * (row.offset > 0)
    return late, everything


def _alike(units: Sequence[tuple[int, int]]) -> _Share:
    """Return what is known of any unit: the share of all, and the less surely the more units differ than by chance."""
    late, everything = (sum(unit[place] for unit in units) for place in (0, 1))
    # Half a dossier of each kind is added, so that none late so far does not mean none ever.
    share = (late + 0.5) / (everything + 1)
    by_chance = len(units) - 1
    room = everything - sum(n * n for _, n in units) / everything - by_chance
    spread = sum((k - n * share) ** 2 / n for k, n in units) / (share * (1 - share))
    evidence = room / (spread - by_chance) - 1 if spread > by_chance else _STRONGEST
    return _Share(share, min(max(evidence, _WEAKEST), _STRONGEST))


def _own_share(alike: _Share, late: int, everything: int) -> _Share:
    """Return what is known of a unit once its own dossiers were looked at."""
    evidence = alike.evidence + everything
    return _Share((alike.of_late * alike.evidence + late) / evidence, evidence)


# --- How soon ---------------------------------------------------------------------------------------------------------


class _Habits(NamedTuple):
    """How soon dossiers ended: rows of term, offset and dossiers, those in time apart from the late ones."""

    in_time: Sequence[tuple[int, int, int]]
    late: Sequence[tuple[int, int, int]]


def _habits(rows: Iterable[Ended]) -> _Habits:
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for row in rows:
        counts[row.term, row.offset] += row.dossiers
    entries = [(*key, dossiers) for key, dossiers in counts.items()]
    return _Habits([entry for entry in entries if entry[1] <= 0], [entry for entry in entries if entry[1] > 0])


class _Seen(NamedTuple):
    """Of dossiers that ended in time, seen on a day: how many had come by then, were open, and ended soon."""

    came: int
    open: int
    soon: int


def _seen(habits: _Habits, reach: int, lag: int) -> _Seen:
    """Look at the day `lag` days after their due day (before it, if negative); soon is within `reach` more days."""
    came = still_open = soon = 0
    for term, offset, dossiers in habits.in_time:
        if term >= -lag:
            came += dossiers
            if offset > lag:
                still_open += dossiers
                soon += dossiers * (offset <= lag + reach)
    return _Seen(came, still_open, soon)


def _late_soon(habits: _Habits, reach: int, lag: int) -> float:
    """Return the chance that a late dossier, open `lag` days after its due day, ends within `reach` more days."""
    past = max(lag, 0)
    longer = sum(dossiers for _, offset, dossiers in habits.late if offset > past)
    soon = sum(dossiers for _, offset, dossiers in habits.late if past < offset <= lag + reach)
    # One dossier more, which ends on any day with the same chance, stands in where there are few or none.
    daily = (1 + sum(d for *_, d in habits.late)) / (_USUAL_DELAY + sum(offset * d for _, offset, d in habits.late))
    return (soon + 1 - (1 - daily) ** max(lag + reach - past, 0)) / (longer + 1)


def _ended_within(rows: Iterable[tuple[int, int, int]], reach: int) -> list[int]:
    """Return how many ended within 0, 1, ... `reach` days of their receipt, and last how many there were."""
    counts = [0] * (reach + 2)
    for term, offset, dossiers in rows:
        counts[min(max(term + offset, 0), reach + 1)] += dossiers
    return list(accumulate(counts))


# --- What lies ahead --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlook:
    """What the month has so far, and what the rest of it is expected to bring."""

    in_time: int
    late: int
    overdue: int
    """Dossiers overdue now."""
    overdue_ending: float
    """How many of these end within the month; they are late for certain."""
    ending: float
    """How many others end within the month."""
    ending_varies: float
    """The variance of that."""
    ending_late: float
    """How many of these are late."""
    evidence: float
    """How many dossiers' evidence there is for that share."""


class _Everyone(NamedTuple):
    """What all units do, which stands beside what one does."""

    alike: _Share
    blend: float
    """With which weight dossiers of all units are added to a unit's own."""
    reach: int
    """Days left in the month."""
    seen: Callable[[int], _Seen]
    late_soon: Callable[[int], float]
    in_time_within: Sequence[int]
    late_within: Sequence[int]


def _outlooks(known: Known, units: Collection[str]) -> dict[str, _Outlook]:
    ended, arrived, waiting, done = (
        _by_unit(known.ended),
        _by_unit(known.arrived),
        _by_unit(known.open),
        _by_unit(known.done),
    )
    habits, reach = _habits(known.ended), (known.last_day - known.on_day).days
    everyone = _Everyone(
        alike=_alike([_late_and_all(rows) for rows in ended.values()]),
        blend=BLENDED / sum(row.dossiers for row in known.ended),
        reach=reach,
        # Many units have dossiers that fall due on the same day.
        seen=cache(partial(_seen, habits, reach)),
        late_soon=cache(partial(_late_soon, habits, reach)),
        in_time_within=_ended_within(habits.in_time, reach),
        late_within=_ended_within(habits.late, reach),
    )
    return {
        unit: _outlook(
            everyone,
            ended[unit],
            [((known.on_day - row.due_on).days, row.dossiers) for row in waiting[unit]],
            list(_coming(known, arrived[unit])),
            done[unit],
        )
        for unit in sorted(units)
    }


def _coming(known: Known, arrived: Iterable[Arrived]) -> Iterator[tuple[int, float]]:
    """Yield for each day ahead how many days are left after it, and how many dossiers it brings."""
    days = (known.on_day - known.since).days + 1
    for left in range((known.last_day - known.on_day).days):
        weekday = (known.last_day - timedelta(days=left)).weekday()
        seen = sum((known.since + timedelta(days=n)).weekday() == weekday for n in range(days))
        if seen:
            yield left, sum(row.dossiers for row in arrived if row.weekday == weekday) / seen


def _outlook(
    everyone: _Everyone,
    ended: Sequence[Ended],
    waiting: Iterable[tuple[int, int]],
    coming: Iterable[tuple[int, float]],
    done: Iterable[Done],
) -> _Outlook:
    """Return a unit's outlook; `waiting` are numbers by lag, `coming` by days left."""
    habits = _habits(ended)
    share, evidence = _own_share(everyone.alike, *_late_and_all(ended))
    overdue = 0
    overdue_ending, ending, varies, ending_late = 0.0, 0.0, 0.0, 0.0
    for lag, dossiers in waiting:
        if lag >= 0:
            overdue += dossiers
            overdue_ending += dossiers * everyone.late_soon(lag)
        else:
            in_time, late = _chances(everyone, habits, share, lag)
            ending += dossiers * (in_time + late)
            varies += dossiers * (in_time + late) * (1 - in_time - late)
            ending_late += dossiers * late
    in_time_within, blend = _ended_within(habits.in_time, everyone.reach), everyone.blend
    in_time_ever = in_time_within[-1] + blend * everyone.in_time_within[-1]
    for left, brought in coming:
        soon = in_time_within[left] + blend * everyone.in_time_within[left]
        in_time = (1 - share) * soon / (in_time_ever or 1)
        late = share * everyone.late_within[left] / (everyone.late_within[-1] or 1)
        ending += brought * (in_time + late)
        varies += brought * (in_time + late)
        ending_late += brought * late
    of_late = ending_late / ending if ending else share
    return _Outlook(
        in_time=sum(row.in_time for row in done),
        late=sum(row.late for row in done),
        overdue=overdue,
        overdue_ending=overdue_ending,
        ending=ending,
        ending_varies=varies + (_VAGUENESS * ending) ** 2,
        ending_late=ending_late,
        # The share of the late among those ending is as uncertain, in proportion, as the share that it follows from.
        evidence=evidence * share * (1 - of_late) / (of_late * (1 - share)) if of_late else _CERTAIN,
    )


def _chances(everyone: _Everyone, own: _Habits, share: float, lag: int) -> tuple[float, float]:
    """Return the chances that a dossier open so many days before its due day ends within the month in time, or late."""
    reach, blend = everyone.reach, everyone.blend
    mine, all_ = _seen(own, reach, lag), everyone.seen(lag)
    came, still_open, soon = (mine[place] + blend * all_[place] for place in range(3))
    if not came:
        # Nobody had so long a term lately: it is late as often as any, and else ends on its due day.
        return (1 - share) * (lag + reach >= 0), share * everyone.late_soon(lag)
    late = share * came / (share * came + (1 - share) * still_open)
    return (1 - late) * soon / (still_open or 1), late * everyone.late_soon(lag)


def _together(outlooks: Sequence[_Outlook]) -> _Outlook:
    """Return the outlook of all units, whose shares differ and are not known independently of one another."""
    ending, late = sum(one.ending for one in outlooks), sum(one.ending_late for one in outlooks)
    varies = sum(_variance(one.ending, one.ending_late, one.evidence) for one in outlooks)
    by_chance = late * (1 - late / ending) if ending else 0.0
    excess = varies / by_chance if by_chance else 0.0
    return _Outlook(
        in_time=sum(one.in_time for one in outlooks),
        late=sum(one.late for one in outlooks),
        overdue=sum(one.overdue for one in outlooks),
        overdue_ending=sum(one.overdue_ending for one in outlooks),
        ending=ending,
        ending_varies=sum(one.ending_varies for one in outlooks) + (_VAGUENESS * ending) ** 2,
        ending_late=late,
        evidence=(ending - excess) / (excess - 1) if 1 < excess < ending else _CERTAIN,
    )


# --- How sure ---------------------------------------------------------------------------------------------------------


def _variance(number: float, hits: float, evidence: float) -> float:
    """Return the variance of a beta-binomial number of `hits`."""
    return hits * (1 - hits / number) * (number + evidence) / (1 + evidence) if number else 0.0


def _beta_binomial(number: int, share: float, evidence: float) -> Iterator[tuple[int, float]]:
    """Yield the likely numbers of hits with their chances."""
    if not number or not share or share >= 1:
        yield round(number * share), 1.0
        return
    mean, a, b = number * share, share * evidence, (1 - share) * evidence
    far = _FAR * sqrt(_variance(number, mean, evidence)) + _FAR
    constant = lgamma(number + 1) + lgamma(a + b) - lgamma(a) - lgamma(b) - lgamma(number + a + b)
    for hits in range(max(int(mean - far), 0), min(int(mean + far), number) + 1):
        rest = number - hits
        yield (
            hits,
            exp(constant + lgamma(hits + a) + lgamma(rest + b) - lgamma(hits + 1) - lgamma(rest + 1)),
        )


def _expected(outlook: _Outlook) -> Expected | None:
    """Return what the month is expected to end with; None where nothing will have been resolved."""
    on_time = outlook.in_time + outlook.ending - outlook.ending_late
    resolved = outlook.in_time + outlook.late + outlook.overdue_ending + outlook.ending
    outcomes = sorted(_outcomes(outlook))
    if not outcomes:
        return None
    shares, chances = [share for share, _ in outcomes], list(accumulate(chance for _, chance in outcomes))
    low, high, lowest, highest = (
        round(100 * shares[min(bisect(chances, place * chances[-1]), len(shares) - 1)], 2)
        for place in (0.1, 0.9, 0.025, 0.975)
    )
    return Expected(
        numerator=round(on_time, 1),
        denominator=round(resolved, 1),
        percent=round(100 * on_time / resolved, 2),
        low=low,
        high=high,
        lowest=lowest,
        highest=highest,
    )


def _outcomes(outlook: _Outlook) -> Iterator[tuple[float, float]]:
    """Yield the shares on time that the month may end with, with weights in proportion to their chances."""
    of_late = outlook.ending_late / outlook.ending if outlook.ending else 0.0
    ending_of_overdue = outlook.overdue_ending / outlook.overdue if outlook.overdue else 0.0
    overdue = list(_beta_binomial(outlook.overdue, ending_of_overdue, _CERTAIN))
    for deviation in _DEVIATIONS:
        ending = max(round(outlook.ending + deviation * sqrt(outlook.ending_varies)), 0)
        for late, chance in _beta_binomial(ending, of_late, outlook.evidence):
            for of_overdue, likely in overdue:
                resolved = outlook.in_time + outlook.late + ending + of_overdue
                if resolved:
                    yield (outlook.in_time + ending - late) / resolved, chance * likely
