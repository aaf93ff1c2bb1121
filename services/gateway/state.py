"""What the routes of the gateway share while the process runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.gateway.auth import Keyring
from services.gateway.domain.access import Service
from services.gateway.limits import Limits
from services.gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class State:
    """The database, the keys, the limits, how long a body may take to arrive, and the services behind."""

    database: AsyncEngine
    keyring: Keyring
    limits: Limits
    body_seconds: float
    upstreams: Mapping[Service, Upstream]
