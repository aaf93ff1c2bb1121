"""What the dossier service can be told through its environment."""

from pydantic import Field

from services.contract import Code, Identifier
from services.kit.serve import ServerSettings


class DossierSettings(ServerSettings):
    """`MOTCUA_…` of the dossier service."""

    port: int = Field(8001, ge=1, le=65535)
    database_url: str = Field(pattern="^postgres")
    database_connections: int = Field(10, ge=3, le=100)
    internal_key: str = Field(min_length=16)
    queued_events: int = Field(50_000, ge=5_000)
    """Events that may wait for the next commit; beyond it senders are told to come back (503)."""
    long_polls: int = Field(200, ge=1)
    """Feed requests that may wait at once; further ones are answered at once."""
    portal_units: dict[Identifier, Code] = Field({})
    """From the national portal's codes (or names) of units to ours, as a JSON object."""
