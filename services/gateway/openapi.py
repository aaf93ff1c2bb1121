"""The public OpenAPI document is made from the services' own, so it never says what the system does not do."""

import json
from collections.abc import Mapping
from typing import Any

from services.gateway.domain.access import ROUTES, Route, Service
from services.kit import problems

DESCRIPTION = """
What happens to citizens' dossiers at Vietnam's one-stop counters, and the rates counted from it.

Send `Authorization: Bearer <API key>`. Instants are RFC 3339 with an offset, days are Vietnamese calendar days,
positions are opaque. Errors are `application/problem+json` with a stable `code`, in English (`detail`) and Vietnamese
(`detail_vi`).
"""

_REFUSALS = {
    str(status): said
    for status, said in problems.documented(
        401,
        403,
        429,
        503,
        s401="No API key, or one that is not known",
        s403="The API key lacks the scope, or the unit or source is not the client's",
        s429="More requests than the client is allowed; come back after `Retry-After` seconds",
        s503="A service or the database does not answer; come back after `Retry-After` seconds",
    ).items()
}


def merged(documents: Mapping[Service, Mapping[str, Any]]) -> dict[str, Any]:
    """Return one document of every public route, with the scope that opens it."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for route in ROUTES:
        operation = documents[route.service]["paths"][route.path][route.method.lower()]
        paths.setdefault(route.path, {})[route.method.lower()] = {
            **operation,
            "tags": [route.path.split("/")[2]],
            "description": f"{operation.get('description', '')}\n\nScope: {_named(route)}.".strip(),
            "security": [{"key": [scope]} for scope in route.scopes],
            "responses": {**operation["responses"], **_REFUSALS},
        }
    for document in documents.values():
        schemas |= document.get("components", {}).get("schemas", {})
    return {
        "openapi": "3.1.0",
        "info": {"title": "motcua", "version": "1", "description": DESCRIPTION.strip()},
        "paths": paths,
        "components": {
            "schemas": _used(paths, schemas),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key"}},
        },
    }


def _named(route: Route) -> str:
    return " or ".join(f"`{scope}`" for scope in route.scopes)


def _used(paths: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas that something in `paths` refers to, directly or through another."""
    used: dict[str, Any] = {}
    pending = json.dumps(paths)
    while found := [name for name in schemas if name not in used and f'"#/components/schemas/{name}"' in pending]:
        used |= {name: schemas[name] for name in found}
        pending = json.dumps([schemas[name] for name in found])
    return dict(sorted(used.items()))
