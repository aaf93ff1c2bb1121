"""Public aggregates have URLs of their own, so that no cache takes them for an answer to anybody else."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contract import Grant, ProvinceCode, vietnamese_day
from services.kit import clock
from services.metrics import publication, tabulation
from services.metrics.answers import Answer
from services.metrics.api import answering
from services.metrics.api.questions import Asked
from services.metrics.asking import Ask, At, Make
from services.metrics.domain import rates as definitions
from services.metrics.formats.negotiation import Format
from services.metrics.publication import NotPublic
from services.metrics.report import By, Known


@dataclass(frozen=True, slots=True)
class Audience:
    """For whose eyes an answer is, and the province that the request names."""

    name: Literal["public"] | None
    province: str | None


def audience(
    audience: Annotated[
        Literal["public"] | None,
        Query(description="`public`: what everybody may see, of the whole province, without small numbers."),
    ] = None,
    province: Annotated[
        ProvinceCode | None, Query(description="The client's province; with `audience` it must be told.")
    ] = None,
) -> Audience:
    """Return for whose eyes an answer is asked."""
    return Audience(audience, province)


class OtherProvince(Exception):
    """Another province was asked for than the client's."""


class PublicOnly(Exception):
    """The client sees public aggregates alone, and asked for something else."""


def meant(audience: Audience, grant: Grant) -> bool:
    """Tell whether public aggregates are asked for.

    :raises PublicOnly: they are not, and the client may see nothing else.
    :raises OtherProvince: a province is named that is not the client's.
    :raises NotPublic: none is named, so that one URL would have an answer for each province.
    """
    if audience.name is None and grant.public:
        msg = f"the client sees public aggregates alone: audience=public&province={grant.province}"
        raise PublicOnly(msg)
    if audience.province not in {None, grant.province}:
        msg = f"the client is one of province {grant.province}"
        raise OtherProvince(msg)
    if audience.name is not None and audience.province is None:
        msg = f"public aggregates are told under the province's name: province={grant.province}"
        raise NotPublic(msg)
    return audience.name is not None


def ask(  # noqa: PLR0913 - what was asked for
    name: str,
    asked: Asked,
    grant: Grant,
    by: By,
    make: Make,
    wanted: Format,
    *more: str,
    others: tuple[object, ...] = (),
) -> Ask:
    """Return what is asked for everybody's eyes; it is the same for every client of a province.

    :raises NotPublic: `others` were given, parameters of which public aggregates know none, or the question is no
        public one.
    """
    if asked != Asked(asked.period) or any(other is not None for other in others):
        msg = "public aggregates are told of whole provinces in calendar periods: with `audience=public` give no filter"
        raise NotPublic(msg)
    question = asked.question(grant.model_copy(update={"units": None}), by)
    publication.check(question, vietnamese_day(clock.now()))
    return Ask(f"public {name}", question, make, wanted, public=True, more=more)


def told(rate: str) -> str:
    """Return the name of a rate that is told to everybody.

    :raises NotPublic: it is made of stocks, which are not.
    """
    if not any(publication.is_told(one) for one in definitions.RATES if one.name == rate):
        msg = f"{rate} is made of what is open at a period's end, which is not told to everybody"
        raise NotPublic(msg)
    return rate


async def rates(transaction: AsyncConnection, ask: Ask, known: Known, _at: At) -> Answer:
    """Put together what everybody may see of counts and rates."""
    found = await publication.publication(transaction, ask.question, known)
    if ask.format == "json":
        return answering.json(publication.as_json(found))
    return answering.file(tabulation.public(found), ask.format, ask.question.period.last)


async def series(transaction: AsyncConnection, ask: Ask, known: Known, _at: At) -> Answer:
    """Put together what everybody may see of one rate over the months of a period."""
    (rate,) = ask.more
    found = await publication.publication(transaction, ask.question, known)
    if ask.format != "json":
        return answering.file(tabulation.public_series(found, rate), ask.format, ask.question.period.last)
    whole = publication.as_json(found)
    return answering.json(
        {
            **publication.head_json(ask.question),
            "rate": rate,
            "points": [{**row["month"], **row["rates"][rate]} for row in whole["rows"]],
            "total": whole["total"]["rates"][rate],
        }
    )
