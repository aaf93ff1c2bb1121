"""Every route of the system and the scope that opens it; what is not listed here does not exist outside."""

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal[
    "events:write",
    "events:read",
    "dossiers:read",
    "feed:read",
    "rates:read",
    "reference:read",
    "reference:write",
]

SCOPES: tuple[Scope, ...] = get_args(Scope)

Service = Literal["dossier", "metrics"]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the public contract: who answers it and what a client needs for it."""

    method: Literal["GET", "POST", "PUT"]
    path: str
    service: Service
    scope: Scope


ROUTES = (
    Route("POST", "/v1/events", "dossier", "events:write"),
    Route("GET", "/v1/events", "dossier", "events:read"),
    Route("POST", "/v1/national-portal/DongBoHoSoMC", "dossier", "events:write"),
    Route("POST", "/v1/national-portal/CapNhatTienDoHoSoMC", "dossier", "events:write"),
    Route("GET", "/v1/checkpoint", "dossier", "events:read"),
    Route("GET", "/v1/dossiers", "dossier", "dossiers:read"),
    Route("GET", "/v1/backlog", "dossier", "dossiers:read"),
    Route("GET", "/v1/dossiers/{code}", "dossier", "dossiers:read"),
    Route("GET", "/v1/feed", "dossier", "feed:read"),
    Route("GET", "/v1/units", "dossier", "reference:read"),
    Route("PUT", "/v1/units", "dossier", "reference:write"),
    Route("GET", "/v1/procedures", "dossier", "reference:read"),
    Route("PUT", "/v1/procedures", "dossier", "reference:write"),
    Route("GET", "/v1/calendar", "dossier", "reference:read"),
    Route("PUT", "/v1/calendar", "dossier", "reference:write"),
    Route("GET", "/v1/reference/changes", "dossier", "reference:read"),
    Route("GET", "/v1/rates", "metrics", "rates:read"),
)
