"""An answer is put together once: whoever asks the same while nothing has changed gets the same bytes."""

from collections import OrderedDict

# A province asks for a handful of periods and units at a time; an answer for all its units is about 80 kB.
_KEPT = 256


class Answers:
    """Holds the newest answers under their ETags, which differ whenever the answers could."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, etag: str) -> bytes | None:
        """Return the answer under `etag`, if it is still held."""
        answer = self._kept.get(etag)
        if answer is not None:
            self._kept.move_to_end(etag)
        return answer

    def keep(self, etag: str, answer: bytes) -> None:
        """Hold the answer, in place of the one that was asked for longest ago."""
        self._kept[etag] = answer
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
