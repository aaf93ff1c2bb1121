"""An answer is put together once: whoever asks the same while nothing it depends on has changed gets the same bytes."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

# A province asks for a handful of periods and units at a time.
_KEPT = 256

# Answers for all units of a province are about 200 kB each, and with every event the one before is done with.
_KEPT_BYTES = 16_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's bytes, around the place where the newest position stands in them, if it stands anywhere."""

    head: bytes
    tail: bytes | None
    media_type: str
    disposition: str | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.head) + len(self.tail or b"")

    def content(self, position: int) -> bytes:
        """Return the bytes of an answer that is true up to `position`."""
        return self.head if self.tail is None else b"%b%d%b" % (self.head, position, self.tail)


class Newest(Generic[T]):
    """Holds what was asked for most recently, each under its key, and lets go of what nobody asks for."""

    def __init__(
        self, most: int = _KEPT, size: Callable[[T], int] = lambda _: 0, most_bytes: int = _KEPT_BYTES
    ) -> None:
        """Hold at most so many, and no more than so many bytes of what has a size."""
        self._most, self._most_bytes, self._size = most, most_bytes, size
        self._bytes = 0
        self._kept: OrderedDict[object, T] = OrderedDict()

    def get(self, key: object) -> T | None:
        """Return what is held under the key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: object, value: T) -> None:
        """Hold the value, in place of those that were asked for longest ago."""
        if key in self._kept:
            self._bytes -= self._size(self._kept.pop(key))
        if self._size(value) > self._most_bytes:
            return
        self._kept[key] = value
        self._bytes += self._size(value)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._size(self._kept.popitem(last=False)[1])
