"""Events are posted in arrays, again and again until the system has answered for each of them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import httpx
import orjson

from services.contract import MAX_BODY_BYTES, MAX_EVENTS

# A restart of any process takes seconds; a sender that gives up sooner would make a person of it.
_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 1.0
_TRY_AGAIN = {408, 429, 500, 502, 503, 504}


class NotPosted(Exception):
    """The system refused a request as a whole, or did not answer for a minute."""


@dataclass(slots=True)
class Outcome:
    """What became of all events posted so far; `problems` holds the first results that need a person."""

    accepted: int = 0
    duplicate: int = 0
    conflict: int = 0
    rejected: int = 0
    position: str = "0"
    problems: list[dict[str, Any]] = field(default_factory=list)


_PROBLEMS_KEPT = 20


def client(url: str, api_key: str) -> httpx.Client:
    """Return a client of the gateway at `url`."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {api_key}"}, timeout=60)


def post(
    gateway: httpx.Client, events: Iterable[bytes], *, batch: int, done: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Post events, each one JSON object, in arrays of at most `batch`; `done` hears how many were answered for.

    :raises NotPosted: the system refused a request as a whole, or did not answer for a minute.
    """
    outcome = Outcome()
    for lines in _batches(events, min(batch, MAX_EVENTS)):
        answer = _answered(gateway, b"[" + b",".join(lines) + b"]")
        outcome.accepted += answer["accepted"]
        outcome.duplicate += answer["duplicate"]
        outcome.conflict += answer["conflict"]
        outcome.rejected += answer["rejected"]
        outcome.position = answer["position"]
        needy = (result for result in answer["results"] if result["status"] in {"conflict", "rejected"})
        outcome.problems.extend(islice(needy, _PROBLEMS_KEPT - len(outcome.problems)))
        done(len(lines))
    return outcome


def _batches(events: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Cut the events into arrays that fit a request by number and by size."""
    lines: list[bytes] = []
    size = 2
    for line in events:
        if lines and (len(lines) == most or size + len(line) + 1 > MAX_BODY_BYTES):
            yield lines
            lines, size = [], 2
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield lines


def _answered(gateway: httpx.Client, body: bytes) -> dict[str, Any]:
    began = time.monotonic()
    while True:
        try:
            response = gateway.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
        except httpx.TransportError as error:
            reason, pause = f"no answer: {error}", _PAUSE_SECONDS
        else:
            if response.status_code == httpx.codes.OK:
                answer: dict[str, Any] = orjson.loads(response.content)
                return answer
            reason = f"{response.status_code}: {response.text[:300]}"
            if response.status_code not in _TRY_AGAIN:
                raise NotPosted(reason)
            pause = float(response.headers.get("Retry-After", _PAUSE_SECONDS))
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise NotPosted(reason)
        time.sleep(pause)
