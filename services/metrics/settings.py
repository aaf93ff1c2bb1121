"""What the metrics service can be told through its environment."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from services.contract import ProvinceCode
from services.kit.serve import ServerSettings


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class MetricsSettings(ServerSettings):
    """`MOTCUA_…` of the metrics service."""

    port: int = Field(8002, ge=1, le=65535)
    database_url: str = Field(pattern="^postgres")
    database_connections: int = Field(10, ge=3, le=100)
    internal_key: str = Field(min_length=16)
    dossier_url: str = Field(pattern="^https?://")
    provinces: Annotated[tuple[ProvinceCode, ...], NoDecode, BeforeValidator(_listed)] = ("20",)
    """The provinces whose feeds this process follows, written 20,19."""
    page: int = Field(2_000, ge=1, le=5_000)
    """Standings read and counted in one transaction."""
