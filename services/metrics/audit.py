"""Counts are compared again and again with a recount of their dossiers, so that none stays wrong unnoticed.

In the course of a round every month of the whole province is recounted in either role and compared with its own days;
beside each stand a few months of single units and a day, drawn by lot, and some dossiers. What was found to differ is
looked at again every time, until it does not.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Literal, NamedTuple, assert_never, get_args

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Standing, vietnamese_day
from services.kit import clock
from services.metrics import feed
from services.metrics.domain import periods, tally, vectors
from services.metrics.domain.boundaries import Version
from services.metrics.domain.counts import COUNTS
from services.metrics.domain.periods import Period
from services.metrics.domain.tally import Counted, Role, Sum
from services.metrics.domain.vectors import NAMES, Cut, Vector
from services.metrics.state import State
from services.metrics.store import counting, dossiers, figures
from services.metrics.store.counting import Checkpoint
from services.metrics.store.dossiers import Wanted
from services.metrics.store.figures import Book, Key, Procedures

_PAUSE_SECONDS = 30.0
# Whatever a look takes, fifty times as long passes before the next: 2 % of one core at the most.
_PAUSES = 50
_NEXT = 2
_UNITS = 3
_DOSSIERS = 200
# Looked at again in one go; what is wrong altogether would keep a look from ever ending.
_AGAIN = 10
_TOLD_IN_FULL = 20

_DRIFT = Gauge("metrics_drift_cells", "Counts that differed from their dossiers when last looked at.", ("province",))
_TOOK = Gauge("metrics_audit_seconds", "Seconds that the last look at the counts took.", ("province",))
_AT = Gauge("metrics_audit_timestamp_seconds", "When the counts were last looked at, since 1970.", ("province",))

_BOTH: tuple[Literal["dossiers"], Literal["days"]] = ("dossiers", "days")
# What adds up over days.
_FLOWS = frozenset(count.name for count in COUNTS if count.nature == "flow")
_TOLD_AS = {"dossiers": "", "days": ", beside its days", "held": ", as held"}

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """What is compared at once: the counts of a role and a period, of one unit or all, with what they should be.

    That is what the dossiers add up to, or the days of the month, or for figures that are held those that are stored.
    """

    role: Role
    period: Period
    unit: str | None = None
    to: Literal["dossiers", "days", "held"] = "dossiers"


Differences = Mapping[str, str]
"""What is not as it should be, and how it is instead, both in words."""


@dataclass(slots=True)
class Findings:
    """What the looks at a province's counts have found; `left` are the months left of the round.

    `wrong_dossiers` tells by code at which position of the feed a dossier stands otherwise than it is counted.
    """

    wrong: dict[Place, Differences] = field(default_factory=dict)
    wrong_dossiers: dict[str, int] = field(default_factory=dict)
    left: list[Place] = field(default_factory=list)

    def differences(self) -> Differences:
        """Return everything known to differ, each count once in however many places it was seen."""
        found: dict[str, str] = {
            f"dossier {code}": f"not counted as it stands at position {position}"
            for code, position in self.wrong_dossiers.items()
        }
        for differing in self.wrong.values():
            found.update(differing)
        return found


@contextlib.asynccontextmanager
async def audited(
    state: State, provinces: Sequence[str], random: Random, *, pause: float = _PAUSE_SECONDS
) -> AsyncIterator[None]:
    """Compare counts with their dossiers in the background."""
    task = asyncio.create_task(_look_forever(state, provinces, random, pause))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _look_forever(state: State, provinces: Sequence[str], random: Random, pause: float) -> None:
    found = {province: Findings() for province in provinces}
    while True:
        took = 0.0
        for province in provinces:
            began = clock.monotonic()
            try:
                await look(state, province, found[province], random, clock.now())
            except Exception as error:  # noqa: BLE001 - the next look may succeed; its time tells that this one did not
                _log.warning("the counts of province %s are not compared with their dossiers: %r", province, error)
            took += clock.monotonic() - began
        await asyncio.sleep(pause_after(took, pause))


def pause_after(took: float, least: float) -> float:
    """Return how many seconds to wait after looks that took so many: looking takes 2 % of the time at the most."""
    return max(least, _PAUSES * took)


async def look(state: State, province: str, found: Findings, random: Random, now: datetime) -> None:
    """Compare some counts with their dossiers, in one snapshot, and some dossiers with the feed; add to what is found.

    :raises httpx.HTTPError: the feed could not be read; counts were compared.
    """
    began, before = clock.monotonic(), found.differences()
    async with state.database.connect() as transaction:
        await transaction.execution_options(isolation_level="REPEATABLE READ")
        reached = await counting.checkpoint(transaction, province)
        for place in await _places(transaction, state, province, reached, found, random, vietnamese_day(now)):
            differing = await _compared(transaction, state, province, reached, place, vietnamese_day(now))
            known = found.wrong.pop(place, None)
            if differing:
                found.wrong[place] = differing
            if differing and not known and place.to == "days":
                found.left += [Place(place.role, day) for day in periods.split(place.period, "day")]
    _tell(province, before, found)
    before = found.differences()
    await _compare_dossiers(state, province, found, random)
    _tell(province, before, found)
    _TOOK.labels(province).set(clock.monotonic() - began)
    _AT.labels(province).set(now.timestamp())


def _tell(province: str, before: Differences, found: Findings) -> None:
    differing = found.differences()
    _DRIFT.labels(province).set(len(differing))
    if fresh := sorted(differing.keys() - before.keys()):
        told = "; ".join(f"{what}: {differing[what]}" for what in fresh[:_TOLD_IN_FULL])
        more = f"; and {len(fresh) - _TOLD_IN_FULL} more" if len(fresh) > _TOLD_IN_FULL else ""
        _log.warning("province %s: counts are not what their dossiers add up to: %s%s", province, told, more)
    if before and not differing:
        _log.warning("province %s: all counts that were wrong are right again", province)


# --- Counts -----------------------------------------------------------------------------------------------------------


async def _places(  # noqa: PLR0913 - what there is to choose from
    transaction: AsyncConnection,
    state: State,
    province: str,
    reached: Checkpoint,
    found: Findings,
    random: Random,
    today: date,
) -> Sequence[Place]:
    """Return what is to be compared now: what was wrong, what comes next in the round, and what is drawn by lot."""
    months = [_month(first) for first in sorted(await counting.touched(transaction, province))]
    again = list(found.wrong)[:_AGAIN]
    if not months:
        return again
    reference = await state.reference.of(transaction, province, reached.reference_version)
    roles: tuple[Role, ...] = get_args(Role)
    if not found.left:
        found.left = [Place(role, month, to=to) for month in months for role in roles for to in _BOTH]
        random.shuffle(found.left)
    following, found.left = found.left[-_NEXT:], found.left[:-_NEXT]
    month = random.choice(months)
    day = month.first + timedelta(days=random.randrange((month.last - month.first).days + 1))
    codes = sorted({code for code, _ in reference.units})
    return [
        *again,
        *following,
        Place(random.choice(roles), Period(day.isoformat(), day, day)),
        *(Place(random.choice(roles), random.choice(months), random.choice(codes)) for _ in range(_UNITS) if codes),
        Place("resolving", _month(today), to="held"),
    ]


def _month(day: date) -> Period:
    return periods.parse(day.isoformat()[:7])


async def _compared(  # noqa: PLR0913 - what is compared, and as of when
    transaction: AsyncConnection, state: State, province: str, reached: Checkpoint, place: Place, today: date
) -> Differences:
    """Return which counts differ there from what they should be."""
    cut = Cut.of(place.period, today)
    units = None if place.unit is None else frozenset({place.unit})
    book = Book(province, reached.generation, place.role, units=units)
    match place.to:
        case "dossiers":
            stored = await figures.of_period(transaction, book, cut)
            differing = dict(_differing(place, stored, await dossiers.of_period(transaction, book, cut, Wanted())))
            fees = await figures.fee_procedures(transaction, book, cut)
            right = await dossiers.fee_procedures(transaction, book, cut, Wanted())
            return differing | dict(_differing_fees(place, fees, right))
        case "days":
            whole = Cut(place.period.first, place.period.last, running=False)
            halves = await figures.of_pieces(transaction, book, [*_halves(whole)])
            added: dict[Key, Vector] = {}
            for version, vector in (found for half in halves for found in half.items()):
                added[version, None] = vectors.summed([added.get((version, None), vectors.NOTHING), vector])
            return dict(_differing(place, await figures.of_period(transaction, book, whole), added, _FLOWS))
        case "held":
            held = await state.held.of(transaction, book, cut, reached.position)
            return dict(_differing(place, held.figures, await figures.of_period(transaction, book, cut)))
        case _:
            assert_never(place.to)


def _halves(whole: Cut) -> Iterator[Cut]:
    """Yield the two parts of a month, for a whole month is not read from its days."""
    middle = whole.first + timedelta(days=14)
    yield Cut(whole.first, middle, running=False)
    yield Cut(middle + timedelta(days=1), whole.last, running=False)


def _differing(
    place: Place, stored: Mapping[Key, Vector], right: Mapping[Key, Vector], names: Collection[str] = NAMES
) -> Iterator[tuple[str, str]]:
    for key in stored.keys() | right.keys():
        told, recounted = stored.get(key, vectors.NOTHING), right.get(key, vectors.NOTHING)
        for name, a, b in zip(NAMES, told, recounted, strict=True):
            if a != b and name in names:
                yield f"{name} of {_words(place, key[0])}", f"{a} instead of {b}"


def _differing_fees(
    place: Place, stored: Mapping[Version, Procedures], right: Mapping[Version, Procedures]
) -> Iterator[tuple[str, str]]:
    for version in stored.keys() | right.keys():
        told, recounted = stored.get(version, _NONE), right.get(version, _NONE)
        if told != recounted:
            wrong = (told.with_fee ^ recounted.with_fee) | (told.paid_online ^ recounted.paid_online)
            yield f"procedures with a fee of {_words(place, version)}", f"wrong about {', '.join(sorted(wrong))}"


_NONE = Procedures(frozenset(), frozenset())


def _words(place: Place, version: Version) -> str:
    code, since = version
    return f"{place.role} unit {code} (since {since}) in {place.period.label}{_TOLD_AS[place.to]}"


# --- Dossiers ---------------------------------------------------------------------------------------------------------


async def _compare_dossiers(state: State, province: str, found: Findings, random: Random) -> None:
    """Compare a page of the feed, and dossiers that were wrong, with how they are counted.

    :raises httpx.HTTPError: the feed could not be read.
    """
    newest = (await state.progress.of(province)).position
    if newest == 0:
        return
    again = [position - 1 for position in list(found.wrong_dossiers.values())[:_AGAIN]]
    entries: list[Standing] = []
    for after, limit in [(random.randrange(newest), _DOSSIERS), *((after, 1) for after in again)]:
        read = await feed.page_after(state.dossier, state.internal_key, province, after=after, limit=limit)
        entries += read.page.entries
    # What the feed told before the snapshot is counted in it, as it was told or as it changed since.
    async with state.database.connect() as transaction:
        await transaction.execution_options(isolation_level="REPEATABLE READ")
        reached = await counting.checkpoint(transaction, province)
        told = {entry.code: entry for entry in entries if entry.position <= reached.position}
        codes = sorted(told.keys() | found.wrong_dossiers.keys())
        stands = {one.code: one for one in await counting.standings(transaction, province, reached.generation, codes)}
    for code, position in list(found.wrong_dossiers.items()):
        if code in stands and stands[code].position > position:
            del found.wrong_dossiers[code]
    for code, entry in told.items():
        one = stands.get(code)
        if one is None or (one.position <= entry.position and not _is_counted_as(one, tally.counted(entry))):
            found.wrong_dossiers[code] = entry.position
        else:
            found.wrong_dossiers.pop(code, None)


def _is_counted_as(stored: Counted, expected: Counted) -> bool:
    """Tell whether a dossier is counted as it should be; stretches of waiting that follow each other are one."""
    sums = Sum()
    sums.add(expected)
    sums.add(stored, -1)
    return not any(sums.tally().values()) and _plain(stored) == _plain(expected)


def _plain(one: Counted) -> Any:  # noqa: ANN401 - something to compare
    return one._replace(position=0, awaiting=(), awaiting_again=())
