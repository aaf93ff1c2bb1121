"""An event in a test is one short call that names only what the test is about; the rest has a sensible value.

Unless told otherwise a dossier is received online in Phường Đông Kinh on Monday 2026-10-05 at 08:30, due the same day,
forwarded at 08:45, paid at 09:00, resolved at 10:00, returned at 11:00 or withdrawn at 10:30.
"""

from typing import Any

Json = dict[str, Any]
"""A JSON object as a sender would write it."""

UNIT = "05977"
"""Phường Đông Kinh, in force since 2025-07-01; before it the code meant Phường Vĩnh Trại."""

OTHER_UNIT = "05983"
"""Phường Lương Văn Tri, another unit of the same province."""

FORMER_UNIT = "05980"
"""A code that named a unit through 2025-06-30 and names none since."""

SOURCE = "urn:example:one-stop"
PROCEDURE = "2.000815"
DUE_AT = "2026-10-05T17:00:00+07:00"


def event(  # noqa: PLR0913 - the parts of an event
    kind: str, subject: str, data: Json, *, at: str, event_id: str | None = None, source: str = SOURCE
) -> Json:
    """Return an event of any kind; its id is made of subject and kind unless it is told."""
    return {
        "specversion": "1.0",
        "id": event_id or f"{subject}-{kind}",
        "source": source,
        "type": f"vn.motcua.dossier.{kind}",
        "subject": subject,
        "time": at,
        "data": data,
    }


def received(
    subject: str,
    *,
    at: str = "2026-10-05T08:30:00+07:00",
    event_id: str | None = None,
    source: str = SOURCE,
    **data: object,
) -> Json:
    """Return a receipt; `data` goes over the usual procedure, unit, channel and due date."""
    usual = {"procedure": PROCEDURE, "receiving_unit": UNIT, "channel": "online", "due_at": DUE_AT}
    return event("received", subject, usual | data, at=at, event_id=event_id, source=source)


def forwarded(
    subject: str,
    *,
    at: str = "2026-10-05T08:45:00+07:00",
    event_id: str | None = None,
    source: str = SOURCE,
    to_unit: str = OTHER_UNIT,
) -> Json:
    """Return the passing of a dossier to its resolving unit."""
    return event("forwarded", subject, {"to_unit": to_unit}, at=at, event_id=event_id, source=source)


def paid(
    subject: str,
    *,
    at: str = "2026-10-05T09:00:00+07:00",
    event_id: str | None = None,
    source: str = SOURCE,
    **data: object,
) -> Json:
    """Return a payment; `data` goes over 20,000 VND paid online on the national platform."""
    usual: Json = {"amount": 20_000, "method": "online", "platform": "national"}
    return event("paid", subject, usual | data, at=at, event_id=event_id, source=source)


def resolved(
    subject: str,
    *,
    at: str = "2026-10-05T10:00:00+07:00",
    event_id: str | None = None,
    source: str = SOURCE,
    **data: object,
) -> Json:
    """Return the end of processing; `data` goes over an approval with an electronic result."""
    usual = {"outcome": "approved", "result": "electronic"}
    return event("resolved", subject, usual | data, at=at, event_id=event_id, source=source)


def returned(
    subject: str,
    *,
    at: str = "2026-10-05T11:00:00+07:00",
    event_id: str | None = None,
    source: str = SOURCE,
    channel: str = "online",
) -> Json:
    """Return the handing over of the result."""
    return event("returned", subject, {"channel": channel}, at=at, event_id=event_id, source=source)


def withdrawn(
    subject: str,
    *,
    at: str = "2026-10-05T10:30:00+07:00",
    event_id: str | None = None,
    source: str = SOURCE,
    **data: object,
) -> Json:
    """Return the withdrawal of a dossier."""
    return event("withdrawn", subject, dict(data), at=at, event_id=event_id, source=source)
