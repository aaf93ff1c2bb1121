"""What the OpenAPI document says of an answer about the counts: its example and formats, 304, and its problems."""

from typing import Any

from services.kit import problems
from services.metrics.formats.negotiation import MEDIA_TYPES

_FILE = {"schema": {"type": "string", "format": "binary"}}

Responses = dict[int | str, dict[str, Any]]


def answer(example: dict[str, Any], *statuses: int) -> Responses:
    """Return the responses of a route that answers JSON; `statuses` are of problems besides those of every question."""
    return _responses({MEDIA_TYPES["json"]: {"schema": {"type": "object"}, "example": example}}, *statuses)


def table(example: dict[str, Any]) -> Responses:
    """Return the responses of a route that answers a table: JSON, or the same as a file."""
    files = {media.partition(";")[0]: _FILE for name, media in MEDIA_TYPES.items() if name != "json"}
    return _responses({MEDIA_TYPES["json"]: {"schema": {"type": "object"}, "example": example}, **files}, 406)


def _responses(content: dict[str, Any], *statuses: int) -> Responses:
    return {
        200: {"content": content},
        304: {"description": "Nothing the answer depends on has changed since the ETag given in If-None-Match"},
        **problems.documented(
            *sorted({403, 422, 503, *statuses}),
            s403="A unit that is not the client's",
            s503="The position is not counted yet, or an outage",
        ),
    }
