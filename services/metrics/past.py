"""What was known at an earlier moment is what is counted now, less every dossier that has changed since."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Standing, vietnamese_day
from services.metrics import feed
from services.metrics.domain import tally
from services.metrics.domain.tally import Counted
from services.metrics.follower import Source
from services.metrics.report import Change, Known
from services.metrics.store import counting

MOST_CHANGES = 200_000
"""More dossiers are not put back for one answer: it would take minutes, and hundreds of megabytes."""

_FIRST_POSITION = 0
# Generations are numbered from 1, so that nothing is counted in this one.
_NOTHING_COUNTED = 0


class InFuture(Exception):
    """What will be known then cannot be told yet."""


class TooFar(Exception):
    """More dossiers have changed since than can be put back."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the past: what was recorded up to `position` was known, on the day `today`.

    `instant` is when it was, None where it is that of the position.
    """

    position: int
    today: date
    instant: datetime | None = None


async def moment(source: Source, province: str, instant: datetime, now: datetime) -> Moment:
    """Return the moment that the instant was in the province.

    :raises InFuture: the instant is not over.
    :raises httpx.HTTPError: the dossier service did not answer.
    """
    if instant > now:
        msg = f"{instant.isoformat()} lies in the future"
        raise InFuture(msg)
    read = await feed.past_page(source.dossier, source.internal_key, province, as_of=instant, limit=1)
    return Moment(read.as_of_position, vietnamese_day(instant), instant)


async def known(transaction: AsyncConnection, source: Source, province: str, present: Known, then: Moment) -> Known:
    """Return what was known then, where `present` is what is counted in the transaction's snapshot, judged on that day.

    :raises TooFar: more than `MOST_CHANGES` dossiers have changed since.
    :raises httpx.HTTPError: the dossier service did not answer.
    """
    if then.position == _FIRST_POSITION:
        return replace(present, generation=_NOTHING_COUNTED, changes=())
    found = await changes(transaction, source, province, present.generation, then)
    return replace(present, changes=found)


async def changes(
    transaction: AsyncConnection, source: Source, province: str, generation: int, then: Moment
) -> Sequence[Change]:
    """Return every dossier that is counted otherwise in the transaction's snapshot than it was at the moment.

    The snapshot must have been taken: what changes after it is put back in vain, what changed before it is not missed.

    :raises TooFar: more than `MOST_CHANGES` dossiers have changed since.
    :raises httpx.HTTPError: the dossier service did not answer.
    """
    changed = await counting.changed_after(transaction, province, generation, then.position)
    if changed > MOST_CHANGES:
        msg = f"{changed} dossiers have changed since, {MOST_CHANGES} at most are put back; ask for a later moment"
        raise TooFar(msg)
    as_of = then.position if then.instant is None else then.instant
    found: dict[str, Change] = {}
    after: str | None = "0"
    while after is not None:
        read = await feed.past_page(
            source.dossier, source.internal_key, province, as_of=as_of, after=after, limit=source.page
        )
        present = await counting.standings(transaction, province, generation, [entry.code for entry in read.entries])
        found.update(_changed(read.entries, {one.code: one for one in present}))
        after = read.next_after
    return list(found.values())


def _changed(then: Sequence[Standing], now: Mapping[str, Counted]) -> Iterator[tuple[str, Change]]:
    for standing in then:
        was = tally.counted(standing) if standing.position else None
        present = now.get(standing.code)
        # A dossier counts the same at whatever position it came to stand so.
        if was is not None and present is not None:
            was = was._replace(position=present.position)
        if was != present:
            yield standing.code, Change(was, present)
