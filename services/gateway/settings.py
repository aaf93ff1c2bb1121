"""What the gateway can be told through its environment."""

from pydantic import Field

from services.kit.serve import ServerSettings


class GatewaySettings(ServerSettings):
    """`MOTCUA_…` of the gateway."""

    port: int = Field(8000, ge=1, le=65535)
    database_url: str = Field(pattern="^postgres")
    database_connections: int = Field(5, ge=1, le=100)
    internal_key: str = Field(min_length=16)
    dossier_url: str = Field(pattern="^https?://")
    metrics_url: str = Field(pattern="^https?://")
    requests_per_second: float = Field(2_000, gt=0)
    """What one client may ask on average; a burst of ten seconds' worth is let through at once."""
    requests_at_once: int = Field(500, ge=1)
    """Requests of all clients under way at once; beyond it they are told to come back (503)."""
    body_bytes_at_once: int = Field(256 * 1024 * 1024, ge=8 * 1024 * 1024)
    """Bytes of request bodies held in memory at once."""
    body_seconds: float = Field(30, gt=0)
    """How long a body may take to arrive; one that trickles in slower holds memory and a seat for nothing."""
