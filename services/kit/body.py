"""A request's body is read, and decompressed, up to what may be accepted and no further."""

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from fastapi import Request

from services.contract import MAX_BODY_BYTES, MAX_EVENTS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# RFC 9659: whoever sends zstd over HTTP keeps to a window of 8 MB; a larger one would be held in memory.
_ZSTD_OPTIONS: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 23}

# What follows the end of one part is copied to begin the next, so it must be little.
_SLICE_BYTES = 4 * 1024

# To open one more part costs up to 50 microseconds and nine bytes; nobody needs more of them than events.
_MAX_PARTS = MAX_EVENTS


class TooLarge(Exception):
    """The body is larger than a request may be."""

    def __init__(self, most: int = MAX_BODY_BYTES, how: str = "") -> None:
        super().__init__(f"a body holds at most {most} bytes{how}")


class UnknownEncoding(Exception):
    """The body is compressed in a way that is not read."""


class Corrupt(Exception):
    """The body is not compressed as it says, or ends too early."""


class _Stream(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_STREAMS: Mapping[str, Callable[[], _Stream]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstd.ZstdDecompressor(options=_ZSTD_OPTIONS),
}

ENCODINGS = tuple(_STREAMS)
"""The ways of compression that are read, as `Content-Encoding` names them."""


async def received(request: Request) -> bytes:
    """Return the body as it was sent.

    :raises TooLarge: there is more of it than `MAX_BODY_BYTES`.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


async def read(request: Request, *, most: int = MAX_BODY_BYTES) -> bytes:
    """Return the body as it was before it was compressed.

    Nothing is awaited after decompression: who parses the result before awaiting anything knows that the process holds
    no other decompressed body meanwhile, however many requests are under way.

    :raises TooLarge: there is more of it than `MAX_BODY_BYTES` as sent, or `most` when decompressed.
    :raises UnknownEncoding: it is compressed, and neither by gzip nor by zstd.
    :raises Corrupt: it cannot be decompressed.
    """
    encoding = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
    if encoding in {"", "identity"}:
        return await received(request)
    if encoding not in _STREAMS:
        raise UnknownEncoding(f"the body is announced as {encoding[:40]}; it may be {' or '.join(ENCODINGS)}")
    return inflated(await received(request), encoding, most=most)


def inflated(content: bytes, encoding: str, *, most: int) -> bytes:
    """Return what was compressed; of several gzip members or zstd frames, all of them one after another.

    :raises TooLarge: it is more than `most`; no more than that, and one byte, was made of it.
    :raises Corrupt: it cannot be decompressed.
    """
    parts: list[bytes] = []
    left, opened, stream = most, 0, None
    try:
        for start in range(0, len(content), _SLICE_BYTES):
            piece = content[start : start + _SLICE_BYTES]
            while piece:
                if stream is None or stream.eof:
                    opened, stream = opened + 1, _STREAMS[encoding]()
                if opened > _MAX_PARTS:
                    raise Corrupt(f"a body consists of at most {_MAX_PARTS} compressed parts")
                part = stream.decompress(piece, left + 1)
                parts.append(part)
                left -= len(part)
                if left < 0:
                    raise TooLarge(most, " when decompressed")
                piece = stream.unused_data
    except (zlib.error, zstd.ZstdError) as error:
        raise Corrupt(f"the body is no {encoding}: {error}") from error
    if stream is None or not stream.eof:
        raise Corrupt(f"the {encoding} of the body ends too early")
    return b"".join(parts)
