"""What the log holds of an event is written in one canonical form, so that its hashes can be recomputed by anybody.

The form is JSON in UTF-8 without white space, the keys of objects sorted, instants in UTC. The fingerprint of what an
event tells is blind to formatting. The chain hash ties every event, with all that is known of its sending, to the one
recorded before it: nothing can be changed, left out, put in or moved unnoticed.
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, get_args

import orjson

from services.contract import AnyEvent, Corrected, Data
from services.dossier.domain.history import Occurrence

DATA_OF_TYPE: Mapping[str, type[Data]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind.model_fields["data"].annotation
    for kind in get_args(get_args(AnyEvent)[0])
}
"""The class of an event's data, by the event's type."""

FIRST_HASH = bytes(32)
"""What the first event of a province is chained to."""


def canonical(data: Data) -> str:
    """Return the data as JSON with sorted keys and without what was not told.

    Of a correction every given field is kept, also null: it takes the corrected event's value away.
    """
    # Data has no parts of its own that would have to be taken apart; by pydantic the same takes three times as long.
    given = vars(data)
    if type(data) is Corrected:
        told = {name: given[name] for name in data.model_fields_set}
    else:
        told = {name: value for name, value in given.items() if value is not None}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()


def fingerprint(type_: str, subject: str, occurred_at: datetime, data: str) -> bytes:
    """Return 16 bytes that two deliveries share exactly when they tell the same; `data` is canonical."""
    content = orjson.dumps([type_, subject, occurred_at.astimezone(UTC), orjson.Fragment(data)])
    return hashlib.blake2b(content, digest_size=16).digest()


def chained(previous: bytes, occurrence: Occurrence, fingerprint: bytes, client: str) -> bytes:
    """Return the hash of an event that was recorded after the one whose hash is `previous`."""
    return _linked(
        previous,
        fingerprint,
        occurrence.position,
        occurrence.source,
        occurrence.id,
        client,
        occurrence.sender_units,
        occurrence.recorded_at,
    )


class Recorded(NamedTuple):
    """An event as the log holds it: what its columns hold, in their order, `data` as JSON in any formatting."""

    province: str
    position: int
    source: str
    id: str
    type: str
    subject: str
    occurred_at: datetime
    data: str
    fingerprint: bytes
    client: str
    sender_units: Collection[str] | None
    recorded_at: datetime
    hash: bytes


def is_told_as_fingerprinted(entry: Recorded) -> bool:
    """Tell whether the entry still tells what it told when it was recorded."""
    try:
        data = orjson.dumps(orjson.loads(entry.data), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONDecodeError:
        # A number that no event may hold, put there by somebody else.
        return False
    return fingerprint(entry.type, entry.subject, entry.occurred_at, data) == entry.fingerprint


def linked(previous: bytes, entry: Recorded, position: int | None = None) -> bytes:
    """Return the hash of the entry if it follows the event whose hash is `previous`, at `position` if that is given."""
    return _linked(
        previous,
        entry.fingerprint,
        entry.position if position is None else position,
        entry.source,
        entry.id,
        entry.client,
        entry.sender_units,
        entry.recorded_at,
    )


def _linked(  # noqa: PLR0913 - what the hash is made of
    previous: bytes,
    fingerprint: bytes,
    position: int,
    source: str,
    id_: str,
    client: str,
    sender_units: Collection[str] | None,
    recorded_at: datetime,
) -> bytes:
    units = None if sender_units is None else sorted(sender_units)
    content = orjson.dumps([position, source, id_, client, units, recorded_at.astimezone(UTC)])
    return hashlib.sha256(previous + fingerprint + content).digest()
