"""What the OpenAPI document says of the routes beyond their signatures: bodies, examples, problems."""

from typing import Any

from services.contract import EVENTS, CalendarDay, Frozen, Procedure, Unit
from services.dossier.api.edge import JSON
from services.kit import problems

_RECEIVED_EXAMPLE = {
    "specversion": "1.0",
    "id": "05977-2026-000123-received",
    "source": "urn:example:one-stop:05977",
    "type": "vn.motcua.dossier.received",
    "subject": "H37.05977-261005-9001",
    "time": "2026-10-05T08:30:00+07:00",
    "data": {
        "procedure": "2.000815",
        "receiving_unit": "05977",
        "channel": "online",
        "due_at": "2026-10-05T17:00:00+07:00",
        "fee_required": True,
    },
}
_PAID_EXAMPLE = {
    **_RECEIVED_EXAMPLE,
    "id": "05977-2026-000123-paid",
    "type": "vn.motcua.dossier.paid",
    "time": "2026-10-05T08:31:00+07:00",
    "data": {"amount": 20000, "method": "online", "platform": "national"},
}
_RESOLVED_EXAMPLE = {
    **_RECEIVED_EXAMPLE,
    "id": "05977-2026-000123-resolved",
    "type": "vn.motcua.dossier.resolved",
    "time": "2026-10-05T10:00:00+07:00",
    "data": {"outcome": "approved", "result": "electronic", "in_person": False},
}
DOSSIER_EXAMPLE = {"dossier": {"code": "H37.05977-261005-9001", "status": "pending"}, "events": [], "due": []}


def documented(example: object, *statuses: int) -> dict[str, Any]:
    """Return what a read says of its answers: an example, and the problems it may answer."""
    answer = {200: {"content": {JSON: {"schema": {"type": "object"}, "example": example}}}}
    return {"responses": {**answer, **problems.documented(403, 422, 503, *statuses)}}


def put_documented(shape: type[Frozen]) -> dict[str, Any]:
    """Return what a bulk upload of `shape` says of its body and its answers."""
    schema = {"type": "array", "items": {"$ref": f"#/components/schemas/{shape.__name__}"}}
    return {
        **documented({"received": 1, "changed": 1}, 400, 413, 415),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": schema}, "text/csv": {"schema": {"type": "string"}}},
            }
        },
    }


_ACCEPTED_EXAMPLE = {"position": "1", "id": "05977-2026-000123-received", "status": "accepted"}

EVENTS_DOC: dict[str, Any] = {
    "responses": {
        200: {
            "description": "An array was read, or the one event was sent before",
            "content": {JSON: {"schema": {"type": "object"}}},
        },
        201: {
            "description": "The one event was accepted",
            "content": {JSON: {"schema": {"type": "object"}, "example": _ACCEPTED_EXAMPLE}},
        },
        **problems.documented(400, 403, 409, 413, 415, 422, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/AnyEvent"},
                            {
                                "type": "array",
                                "maxItems": 5000,
                                "items": {"$ref": "#/components/schemas/AnyEvent"},
                            },
                        ]
                    },
                    "examples": {
                        "one": {"summary": "A dossier is received", "value": _RECEIVED_EXAMPLE},
                        "life": {
                            "summary": "Received, paid and resolved in one array",
                            "value": [_RECEIVED_EXAMPLE, _PAID_EXAMPLE, _RESOLVED_EXAMPLE],
                        },
                    },
                }
            },
        }
    },
}


def schemas() -> dict[str, Any]:
    """Return the schemas that the routes read from raw bodies, for the OpenAPI document's components."""
    template = "#/components/schemas/{model}"
    events = EVENTS.json_schema(ref_template=template)
    documented = {"AnyEvent": events["items"], **events["$defs"]}
    for shape in (Unit, Procedure, CalendarDay):
        schema = shape.model_json_schema(ref_template=template)
        documented |= {**schema.pop("$defs", {}), shape.__name__: schema}
    return documented
