"""Every route of the system and the scope that opens it; what is not listed here does not exist outside."""

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal[
    "events:write",
    "events:read",
    "dossiers:read",
    "feed:read",
    "rates:read",
    "rates:public",
    "reports:write",
    "reference:read",
    "reference:write",
]

SCOPES: tuple[Scope, ...] = get_args(Scope)

Service = Literal["dossier", "metrics"]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the public contract: who answers it and what a client needs for it.

    A `public` one is open to `rates:public` too, and then tells what everybody may see.
    """

    method: Literal["GET", "POST", "PUT"]
    path: str
    service: Service
    scope: Scope
    public: bool = False

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes that open the route; one of them is enough."""
        return (self.scope, "rates:public") if self.public else (self.scope,)


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
    Route("GET", "/v1/rates", "metrics", "rates:read", public=True),
    Route("GET", "/v1/rates/definitions", "metrics", "rates:read", public=True),
    Route("GET", "/v1/rates/{rate}/dossiers", "metrics", "rates:read"),
    Route("GET", "/v1/counts/{count}/dossiers", "metrics", "rates:read"),
    Route("GET", "/v1/series", "metrics", "rates:read", public=True),
    Route("GET", "/v1/forms/{form}", "metrics", "rates:read", public=True),
    Route("GET", "/v1/forecast", "metrics", "rates:read"),
    Route("GET", "/v1/sync", "metrics", "rates:read"),
    Route("POST", "/v1/reports", "metrics", "reports:write"),
    Route("GET", "/v1/reports", "metrics", "rates:read"),
    Route("GET", "/v1/reports/{id}", "metrics", "rates:read"),
    Route("GET", "/v1/reports/{id}/content", "metrics", "rates:read"),
    Route("GET", "/v1/reports/{id}/diff", "metrics", "rates:read"),
)
