"""The metrics service reads the dossier service's feed and reference data over HTTP, and knows no more of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx
from pydantic import TypeAdapter

from services.contract import (
    FEED_PAGE,
    GRANT_HEADER,
    INTERNAL_KEY_HEADER,
    FeedPage,
    Grant,
    Position,
    Procedure,
    Standing,
    Unit,
)

_UNITS: TypeAdapter[list[Unit]] = TypeAdapter(list[Unit])
_PROCEDURES: TypeAdapter[list[Procedure]] = TypeAdapter(list[Procedure])


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the feed and the version of the reference data it was folded with."""

    page: FeedPage
    reference_version: int


def client(url: str) -> httpx.AsyncClient:
    """Return a client of the dossier service at `url`; it outwaits a long poll of 30 seconds."""
    return httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(45, connect=5))


def _on_behalf_of(province: str, internal_key: str) -> dict[str, str]:
    grant = Grant(client="metrics", province=province)
    return {GRANT_HEADER: grant.header(), INTERNAL_KEY_HEADER: internal_key}


async def page_after(  # noqa: PLR0913 - each names a part of the request
    dossier: httpx.AsyncClient,
    internal_key: str,
    province: str,
    *,
    after: int,
    limit: int,
    wait: int = 0,
    reference: int = 0,
) -> Page:
    """Return what changed after position `after`, waiting up to `wait` seconds for something.

    It does not wait either where the reference data is of another version than `reference`.

    :raises httpx.HTTPError: the dossier service did not answer, or not with a page.
    """
    response = await dossier.get(
        "/v1/feed",
        params={"province": province, "after": str(after), "limit": limit, "wait": wait, "reference": reference},
        headers=_on_behalf_of(province, internal_key),
    )
    response.raise_for_status()
    return Page(FEED_PAGE.validate_json(response.content), int(response.headers["Motcua-Reference"]))


@dataclass(frozen=True, slots=True)
class PastPage:
    """Dossiers that changed after a position, as they stood there; `next_after` is None on the last page."""

    as_of_position: Position
    entries: tuple[Standing, ...]
    next_after: str | None


_PAST_PAGE: TypeAdapter[PastPage] = TypeAdapter(PastPage)


async def past_page(  # noqa: PLR0913 - each names a part of the request
    dossier: httpx.AsyncClient,
    internal_key: str,
    province: str,
    *,
    as_of: datetime | int,
    after: str = "0",
    limit: int,
) -> PastPage:
    """Return how dossiers that changed after the instant or position `as_of` stood then, a page of them at a time.

    :raises httpx.HTTPError: the dossier service did not answer, or not with a page.
    """
    then = {"as_of_position": str(as_of)} if isinstance(as_of, int) else {"as_of": as_of.isoformat()}
    response = await dossier.get(
        "/v1/feed", params={"after": after, "limit": limit, **then}, headers=_on_behalf_of(province, internal_key)
    )
    response.raise_for_status()
    page = _PAST_PAGE.validate_json(response.content)
    return page if len(page.entries) == limit else replace(page, next_after=None)


@dataclass(frozen=True, slots=True)
class Reference:
    """All versions of a province's units and procedures."""

    units: Sequence[Unit]
    procedures: Sequence[Procedure]


async def reference(dossier: httpx.AsyncClient, internal_key: str, province: str) -> Reference:
    """Return all versions of the province's units and procedures.

    :raises httpx.HTTPError: the dossier service did not answer, or not with reference data.
    """
    headers = _on_behalf_of(province, internal_key)

    async def items(path: str) -> Any:  # noqa: ANN401 - JSON
        response = await dossier.get(path, params={"versions": "all"}, headers=headers)
        response.raise_for_status()
        return response.json()["items"]

    return Reference(
        _UNITS.validate_python(await items("/v1/units")), _PROCEDURES.validate_python(await items("/v1/procedures"))
    )
