"""All three schemas are brought to the newest revision, or back, from here."""

from pathlib import Path

from alembic import command
from alembic.config import Config

SERVICES = ("dossier", "metrics", "gateway")

_ROOT = Path(__file__).resolve().parents[2]


def config(service: str, database_url: str) -> Config:
    """Return Alembic's configuration for one service's schema."""
    configuration = Config(_ROOT / "alembic.ini", ini_section=service)
    configuration.set_main_option("script_location", str(_ROOT / "migrations"))
    configuration.set_section_option(service, "script_location", str(_ROOT / "migrations"))
    configuration.set_section_option(service, "version_locations", str(_ROOT / "migrations" / service))
    configuration.attributes["database_url"] = database_url
    return configuration


def upgrade(database_url: str) -> None:
    """Bring every schema to its newest revision."""
    for service in SERVICES:
        command.upgrade(config(service, database_url), "head")


def downgrade(database_url: str) -> None:
    """Take every schema back to nothing."""
    for service in reversed(SERVICES):
        command.downgrade(config(service, database_url), "base")
