"""A query parameter that a route does not know is refused, and a position is read in one way wherever it is given."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute


class UnknownParameter(Exception):
    """The request has a query parameter that its route does not know."""


class UnknownPosition(Exception):
    """The text is no position that this system gave out."""


async def known_only(request: Request) -> None:
    """Pass requests whose query parameters the route declares; a dependency of every router.

    :raises UnknownParameter: naming those that it does not.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101 - dependencies run on such routes alone
    known = set(_declared(route.dependant))
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        names = ", ".join(name[:40] for name in unknown)
        raise UnknownParameter(f"unknown parameter {names}; the route knows {', '.join(sorted(known)) or 'none'}")


def _declared(dependant: Dependant) -> Iterator[str]:
    """Yield the query parameters of a handler and of all that it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _declared(dependency)


def position(text: str) -> int:
    """Return the position that a client handed back.

    :raises UnknownPosition: this system never gave it out.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - 18 digits fit a bigint
        msg = f"{text[:40]!r} is no position"
        raise UnknownPosition(msg)
    return int(text)
