"""An answer is put together once: whoever asks the same while nothing it depends on has changed gets the same bytes."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

# A province asks for a handful of periods and units at a time; an answer for all its units is about 200 kB.
_KEPT = 256

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's bytes, around the place where the newest position stands in them, if it stands anywhere."""

    head: bytes
    tail: bytes | None
    media_type: str
    disposition: str | None = None

    def content(self, position: int) -> bytes:
        """Return the bytes of an answer that is true up to `position`."""
        return self.head if self.tail is None else b"%b%d%b" % (self.head, position, self.tail)


class Newest(Generic[T]):
    """Holds what was asked for most recently, each under its key, and lets go of what nobody asks for."""

    def __init__(self, most: int = _KEPT) -> None:
        """Hold at most so many."""
        self._most = most
        self._kept: OrderedDict[object, T] = OrderedDict()

    def get(self, key: object) -> T | None:
        """Return what is held under the key."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: object, value: T) -> None:
        """Hold the value, in place of the one that was asked for longest ago."""
        self._kept[key] = value
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
