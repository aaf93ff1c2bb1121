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
FEED_EXAMPLE = {"after": "0", "next_after": "0", "head": "0", "entries": []}
DOSSIERS_EXAMPLE = {"items": [{"code": "H37.05977-261005-9001", "status": "pending"}], "next_cursor": None}
_BACKLOG_COUNTS = {
    "pending": 34,
    "pending_within": 30,
    "pending_overdue": 3,
    "pending_without_due": 1,
    "paused": 2,
    "awaiting_supplement": 2,
    "due_soon": 11,
}
BACKLOG_EXAMPLE = {
    "on": "2026-10-05",
    "role": "resolving",
    "within": 3,
    "position": "123456",
    "rows": [
        {"unit": {"code": "05977", "name": "Phường Đông Kinh", "kind": "commune"}, "counts": _BACKLOG_COUNTS},
    ],
    "total": {"counts": _BACKLOG_COUNTS},
}
DOSSIER_EXAMPLE = {"dossier": {"code": "H37.05977-261005-9001", "status": "pending"}, "events": [], "due": []}


def documented(example: object, *statuses: int) -> dict[str, Any]:
    """Return what a read says of its answers: an example, and the problems it may answer."""
    answer = {200: {"content": {JSON: {"schema": {"type": "object"}, "example": example}}}}
    return {"responses": {**answer, **problems.documented(403, 422, 503, *statuses)}}


_COMPRESSED = "As it is, or compressed as `Content-Encoding` says: `gzip` or `zstd`."

_DAY_EXAMPLE = {"on_day": "2027-02-11", "working": False, "name": "Nghỉ Tết", "official": False}
_PUT_EXAMPLE = {
    "received": 1,
    "created": 1,
    "changed": 0,
    "unchanged": 0,
    "affected_dossiers": 0,
    "dry_run": False,
    "changes": [{"key": "2027-02-11", "kind": "created", "before": None, "after": _DAY_EXAMPLE}],
    "warnings": [],
}


def put_documented(shape: type[Frozen]) -> dict[str, Any]:
    """Return what a bulk upload of `shape` says of its body and its answers."""
    schema = {"type": "array", "items": {"$ref": f"#/components/schemas/{shape.__name__}"}}
    return {
        **documented(_PUT_EXAMPLE, 400, 413, 415),
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "description": _COMPRESSED,
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
            "description": _COMPRESSED,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string", "description": "One event a line, answered like an array."}
                },
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
                },
            },
        }
    },
}


_PORTAL_DOSSIER_EXAMPLE = {
    "service": "DongBoHoSoMC",
    "madonvi": "H37.12",
    "isUpdating": "False",
    "data": [
        {
            "MaHoSo": "H37.12-261005-0001",
            "MaTTHC": "2.000815",
            "KenhThucHien": "2",
            "NgayTiepNhan": "20261005083000",
            "NgayHenTra": "20261005170000",
            "TrangThaiHoSo": "2",
            "DonViXuLy": "Phường Đông Kinh",
        }
    ],
}
_PORTAL_PROGRESS_EXAMPLE = {
    "service": "CapNhatTienDoHoSoMC",
    "madonvi": "H37.12",
    "data": [{"MaHoSo": "H37.12-261005-0001", "ThoiDiemXuLy": "20261005100000", "TrangThai": "9"}],
}
_PORTAL_ANSWER_EXAMPLE = {
    "error_code": "0",
    "message": "Đã tiếp nhận.",
    "result": {
        "records": 1,
        "recorded": 1,
        "corrected": 0,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
        "dropped_fields": 0,
        "unmapped": [],
        "errors": [],
        "position": "1",
    },
}


def _portal_documented(example: object) -> dict[str, Any]:
    return {
        "responses": {
            200: {
                "description": "The envelope was read; `error_code` says whether everything in it was recorded",
                "content": {JSON: {"schema": {"type": "object"}, "example": _PORTAL_ANSWER_EXAMPLE}},
            },
            **problems.documented(400, 403, 413, 415, 503),
        },
        "openapi_extra": {
            "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}, "example": example}}}
        },
    }


PORTAL_DOSSIERS_DOC = _portal_documented(_PORTAL_DOSSIER_EXAMPLE)
PORTAL_PROGRESS_DOC = _portal_documented(_PORTAL_PROGRESS_EXAMPLE)


def schemas() -> dict[str, Any]:
    """Return the schemas that the routes read from raw bodies, for the OpenAPI document's components."""
    template = "#/components/schemas/{model}"
    events = EVENTS.json_schema(ref_template=template)
    documented = {"AnyEvent": events["items"], **events["$defs"]}
    for shape in (Unit, Procedure, CalendarDay):
        schema = shape.model_json_schema(ref_template=template)
        documented |= {**schema.pop("$defs", {}), shape.__name__: schema}
    return documented
