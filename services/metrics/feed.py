"""The metrics service reads the dossier service's feed and units here, over HTTP, and knows no more of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from pydantic import TypeAdapter

from services.contract import FEED_PAGE, GRANT_HEADER, INTERNAL_KEY_HEADER, FeedPage, Grant, Unit

_UNITS: TypeAdapter[list[Unit]] = TypeAdapter(list[Unit])


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


async def units(dossier: httpx.AsyncClient, internal_key: str, province: str) -> Sequence[Unit]:
    """Return all versions of the province's units.

    :raises httpx.HTTPError: the dossier service did not answer, or not with units.
    """
    response = await dossier.get("/v1/units", params={"versions": "all"}, headers=_on_behalf_of(province, internal_key))
    response.raise_for_status()
    return _UNITS.validate_python(response.json()["items"])
