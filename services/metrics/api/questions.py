"""Every route that asks about counts reads its question from the same query parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from fastapi import Query, Request

from services.contract import Channel, Code, Day, Grant, Instant
from services.kit import parameters
from services.metrics.domain import periods
from services.metrics.domain.tally import Role
from services.metrics.domain.targets import UnitKind
from services.metrics.formats import negotiation
from services.metrics.formats.negotiation import Format
from services.metrics.report import By, Question


class ForbiddenUnit(Exception):
    """A unit was asked for that is not the client's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters that all questions share, as they were given."""

    period: str
    role: Role = "resolving"
    kind: UnitKind | None = None
    unit: Sequence[str] | None = None
    field: Sequence[str] = ()
    procedure: Sequence[str] = ()
    channel: Channel | None = None
    boundaries: Literal["current", "historical"] = "current"
    cutoff: Literal["calendar", "statutory"] = "calendar"
    unit_since: date | None = None

    def question(self, grant: Grant, by: By) -> Question:
        """Return what is asked on behalf of the client.

        :raises InvalidPeriod: the period is none.
        :raises ForbiddenUnit: a unit is not the client's.
        """
        return Question(
            province=grant.province,
            period=periods.parse(self.period, statutory=self.cutoff == "statutory"),
            by=by,
            role=self.role,
            kind=self.kind,
            units=_units(grant, self.unit),
            asked_for=None if self.unit is None else frozenset(self.unit),
            fields=frozenset(self.field),
            procedures=frozenset(self.procedure),
            channel=self.channel,
            boundaries=self.boundaries,
            unit_since=self.unit_since,
        )


Period = Annotated[
    str,
    Query(
        max_length=40,
        examples=["2026-10"],
        description="`2026`, `2026-H1`, `2026-9M`, `2026-Q4`, `2026-10`, `2026-10-05` or `2026-10-01..2026-10-20`.",
        json_schema_extra={"pattern": periods.PATTERN},
    ),
]


def asked(  # noqa: PLR0913 - one argument a query parameter
    period: Period,
    role: Annotated[
        Role, Query(description="Count a dossier for the unit that decides it, or for the counter that took it in.")
    ] = "resolving",
    kind: Annotated[UnitKind | None, Query(description="Communes or departments alone.")] = None,
    unit: Annotated[
        list[Code] | None, Query(max_length=200, description="Codes of units; repeat the parameter for several.")
    ] = None,
    field: Annotated[list[Code] | None, Query(max_length=100, description="Codes of fields, repeatable.")] = None,
    procedure: Annotated[
        list[Code] | None, Query(max_length=200, description="Codes of procedures, repeatable.")
    ] = None,
    channel: Annotated[Channel | None, Query(description="Dossiers received in one way alone.")] = None,
    boundaries: Annotated[
        Literal["current", "historical"],
        Query(description="Count former units for their successors of today, or as they were."),
    ] = "current",
    cutoff: Annotated[
        Literal["calendar", "statutory"],
        Query(description="Calendar periods, or statutory ones, whose months run from the 15th to the 14th."),
    ] = "calendar",
    unit_since: Annotated[
        Day | None,
        Query(description="Of units whose code was used again, those that bear it since this day, as rows tell it."),
    ] = None,
) -> Asked:
    """Return the parameters that all questions share."""
    return Asked(period, role, kind, unit, field or (), procedure or (), channel, boundaries, cutoff, unit_since)


AsOf = Annotated[
    Instant | None, Query(description="Answer with what was known at this instant, as it was judged then.")
]
MinPosition = Annotated[
    str | None,
    Query(
        max_length=18,
        description="Wait up to ten seconds until this position is counted.",
        json_schema_extra={"pattern": "^[0-9]+$"},
    ),
]
FormatName = Annotated[
    Literal["json", "csv", "xlsx", "arrow", "parquet"] | None,
    Query(alias="format", description="JSON, or the table as a file; `Accept` says the same."),
]


def min_position(text: str | None) -> int | None:
    """Return the position to wait for.

    :raises UnknownPosition: this system never gave it out.
    """
    return None if text is None else parameters.position(text)


def chosen_format(request: Request, named: str | None) -> Format:
    """Return the format to answer in.

    :raises NotOffered: what was asked for is not offered.
    """
    return negotiation.chosen(named, request.headers.get("accept"))


def _units(grant: Grant, named: Sequence[str] | None) -> frozenset[str] | None:
    """Return the units to answer about: those asked for, and never others than the client's."""
    if named is None:
        return grant.units
    if grant.units is not None and not grant.units.issuperset(named):
        msg = "one of the units asked for is not the client's"
        raise ForbiddenUnit(msg)
    return frozenset(named)
