"""What the OpenAPI document says of answers that are tables: JSON, or the same as a file."""

from typing import Any

from services.metrics.formats.negotiation import MEDIA_TYPES

_FILE = {"schema": {"type": "string", "format": "binary"}}


def table(example: dict[str, Any]) -> dict[str, Any]:
    """Return the content of an answer in any of the formats."""
    files = {media.partition(";")[0]: _FILE for name, media in MEDIA_TYPES.items() if name != "json"}
    return {MEDIA_TYPES["json"]: {"schema": {"type": "object"}, "example": example}, **files}
