"""No client and no burst can take more of the gateway than it has: rates, requests and bytes are bounded."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from services.kit import clock

_BURST_SECONDS = 10


class TooManyRequests(Exception):
    """The client has used up its allowance for the moment."""


class Overloaded(Exception):
    """The gateway holds as many requests as it may."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Limits:
    """Counts what is under way and what each client has used of its allowance."""

    def __init__(self, *, requests_per_second: float, requests_at_once: int, body_bytes_at_once: int) -> None:
        """Allow each client `requests_per_second` on average, and all together what is said to be at once."""
        self._rate = requests_per_second
        self._requests_left = requests_at_once
        self._bytes_left = body_bytes_at_once
        # Only known clients have a bucket, so there are never more than there are clients.
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def spend(self, province: str, client: str) -> None:
        """Take one request from the client's allowance.

        :raises TooManyRequests: there is none left.
        """
        now, full = clock.monotonic(), self._rate * _BURST_SECONDS
        bucket = self._buckets.setdefault((province, client), _Bucket(full, now))
        bucket.tokens = min(full, bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        if bucket.tokens < 1:
            msg = f"more than {self._rate:g} requests a second"
            raise TooManyRequests(msg)
        bucket.tokens -= 1

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Hold one of the seats for requests under way.

        :raises Overloaded: all are taken.
        """
        if self._requests_left < 1:
            msg = "too many requests are under way"
            raise Overloaded(msg)
        self._requests_left -= 1
        try:
            yield
        finally:
            self._requests_left += 1

    @contextlib.contextmanager
    def memory(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the memory for bodies.

        :raises Overloaded: there are not that many left.
        """
        if self._bytes_left < size:
            msg = "too many bytes are under way"
            raise Overloaded(msg)
        self._bytes_left -= size
        try:
            yield
        finally:
            self._bytes_left += size
