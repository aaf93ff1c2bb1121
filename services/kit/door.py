"""A service answers only the gateway and its fellow services, and knows on whose behalf each request is made."""

import hmac
from collections.abc import Awaitable, Callable
from functools import lru_cache

from fastapi import Request

from services.contract import GRANT_HEADER, INTERNAL_KEY_HEADER, Grant


class NotInternal(Exception):
    """The request did not come through the gateway."""


@lru_cache(maxsize=4096)
def _parse(header: str) -> Grant:
    return Grant.model_validate_json(header)


def grant_reader(internal_key: str) -> Callable[[Request], Awaitable[Grant]]:
    """Return a dependency that answers the request's grant, or raises `NotInternal`."""
    expected = internal_key.encode()

    async def granted(request: Request) -> Grant:
        given = request.headers.get(INTERNAL_KEY_HEADER, "")
        header = request.headers.get(GRANT_HEADER)
        if header is None or not hmac.compare_digest(given.encode(), expected):
            msg = "this service answers through the gateway only"
            raise NotInternal(msg)
        return _parse(header)

    return granted
