"""What the routes share at their edge: reading requests, writing answers, and the errors of both."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi import Request, Response

JSON = "application/json"

POSITION = r"^[0-9]{1,18}$"
"""What a position looks like, for the OpenAPI document; 18 digits fit a bigint."""


class UnsupportedMediaType(Exception):
    """The body is of a type that this route does not read."""


class ProvinceOnly(Exception):
    """Only a client of the whole province may do this."""


def json(content: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return `content` as a JSON response."""
    return Response(orjson.dumps(content), status, headers, media_type=JSON)


def content_type(request: Request) -> str:
    """Return the media type of the request's body, JSON where it is not told."""
    return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
