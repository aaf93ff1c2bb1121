"""An answer has the format that was named, else the one the client likes best, else JSON; and is gzipped if it may."""

import re
from typing import Literal, get_args

Format = Literal["json", "csv", "xlsx", "arrow", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
FORMATS: tuple[Format, ...] = get_args(Format)

# RFC 9110, 12.4.2: from 0 through 1 with at most three decimals. What is none of these names no preference.
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


class NotOffered(Exception):
    """An answer was asked for in a format that is none of `FORMATS`."""


def chosen(named: str | None, accept: str | None) -> Format:
    """Return the format to answer in; `named` is the parameter `format`, `accept` the header of that name.

    Among formats the client likes equally, one it names goes before one it only tolerates by a wildcard, and then JSON
    before all others.

    :raises NotOffered: what was asked for is not offered.
    """
    if named is not None:
        for offered in FORMATS:
            if named == offered:
                return offered
        raise NotOffered(f"{named[:40]!r} is no format; ask for one of {', '.join(FORMATS)}")
    if accept is None or not accept.strip():
        return "json"
    wanted = _ranges(accept)
    # `max` keeps the first of equals, and JSON stands first.
    best = max(FORMATS, key=lambda offered: _liking(offered, wanted))
    if _liking(best, wanted)[0] == 0:
        raise NotOffered(f"none of {', '.join(media.partition(';')[0] for media in MEDIA_TYPES.values())} is accepted")
    return best


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether the client takes a body that is compressed by gzip; who says nothing takes it as it is."""
    wanted = _ranges(accept_encoding)
    return wanted.get("gzip", wanted.get("*", 0)) > 0


def _ranges(accept: str) -> dict[str, float]:
    wanted = {}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        qualities = [value.strip() for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "q"]
        quality = qualities[0] if qualities else "1"
        if _QUALITY.fullmatch(quality):
            wanted[media] = float(quality)
    return wanted


def _liking(offered: Format, wanted: dict[str, float]) -> tuple[float, int]:
    """Return the quality and how narrow the range was that gave it; the narrowest range decides (RFC 9110, 12.5.1)."""
    media = MEDIA_TYPES[offered].partition(";")[0]
    for narrowness, candidate in ((2, media), (1, f"{media.partition('/')[0]}/*"), (0, "*/*")):
        if candidate in wanted:
            return wanted[candidate], narrowness
    return 0.0, 0
