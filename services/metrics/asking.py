"""Whatever is asked of the counts is asked in one form, and what its answer depends on can be told without a query."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import DEFINITIONS_VERSION, VIETNAM, vietnamese_day
from services.metrics.answers import Answer
from services.metrics.formats.negotiation import Format
from services.metrics.progress import STALE_AFTER, Reached
from services.metrics.report import Known, Question


@dataclass(frozen=True, slots=True)
class At:
    """The moment an answer is about: how far was counted, on which day, and which sources had fallen silent."""

    position: int
    today: date
    stale_units: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """The moment that an answer was last about, and its validator: true of what was reached, in a span of time."""

    reached: Reached
    since: datetime
    until: datetime
    moment: At
    etag: str


Make = Callable[[AsyncConnection, "Ask", Known, At], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, how it is to be answered, and by what; `more` is whatever else the answer depends on.

    `of_all_days` is told where the answer may depend on days after the period, too.
    """

    name: str
    question: Question
    make: Make
    format: Format = "json"
    public: bool = False
    as_of: datetime | None = None
    min_position: int | None = None
    more: tuple[Any, ...] = ()
    of_all_days: bool = False


def at(ask: Ask, reached: Reached, now: datetime) -> At:
    """Return the moment that an answer given now is about."""
    question = ask.question
    if ask.public:
        # Which units are silent is moved by single events, and not for everybody.
        return At(reached.position, vietnamese_day(now))
    silent = (unit for unit, recorded_at in reached.heard().items() if now - recorded_at > STALE_AFTER)
    units = sorted(unit for unit in silent if question.units is None or unit in question.units)
    return At(reached.position, vietnamese_day(now), tuple(units))


def until(reached: Reached, now: datetime) -> datetime:
    """Return until when nothing but counting changes the moment: a day ends, or a source has long been silent."""
    tomorrow = datetime.combine(vietnamese_day(now) + timedelta(days=1), time(), VIETNAM)
    silences = (recorded_at + STALE_AFTER for recorded_at in reached.recorded.values())
    return min([tomorrow, *(silence for silence in silences if silence >= now)])


def etag(ask: Ask, reached: Reached, moment: At) -> str:
    """Return a validator that differs whenever the answer could, but for the position it is true up to."""
    question = ask.question
    period = question.period
    # A set has no order of its own, so it is told sorted.
    sets = [
        None if codes is None else sorted(codes)
        for codes in (question.units, question.asked_for, question.fields, question.procedures)
    ]
    plain = replace(question, units=None, asked_for=None, fields=frozenset(), procedures=frozenset())
    touched = reached.position if ask.of_all_days else reached.touched(period.last)
    # A period that is over is counted whole, whatever day it is.
    today = moment.today if ask.of_all_days or moment.today <= period.last else None
    told = (ask.name, plain, sets, ask.format, ask.public, ask.as_of, ask.more, touched, today)
    depends_on = repr((told, reached.reference_version, reached.generation, moment.stale_units, DEFINITIONS_VERSION))
    return f'"{hashlib.blake2b(depends_on.encode(), digest_size=12).hexdigest()}"'
