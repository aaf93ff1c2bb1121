"""A request's body is read up to what may be accepted, and no further."""

from fastapi import Request

from services.contract import MAX_BODY_BYTES


class TooLarge(Exception):
    """The body is larger than a request may be."""

    def __init__(self) -> None:
        super().__init__(f"a body holds at most {MAX_BODY_BYTES} bytes")


async def read(request: Request) -> bytes:
    """Return the body.

    :raises TooLarge: there is more of it than `MAX_BODY_BYTES`.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)
