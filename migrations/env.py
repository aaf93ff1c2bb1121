"""Each service's schema is migrated by itself, one migration at a time, and never waits long for a lock.

The section of the configuration names the service; its schema, its version table and its revisions go by that name.
"""

import asyncio
import importlib

from alembic import context
from sqlalchemy import Connection, MetaData, text

from services.kit import db
from services.kit.settings import Settings, load

service = context.config.config_ini_section
metadata: MetaData = importlib.import_module(f"services.{service}.tables").metadata


class MigrationSettings(Settings):
    """The one thing a migration must be told."""

    database_url: str


def in_own_schema(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the schemas of the other services out of sight."""
    return kind != "schema" or name == service


def migrate(connection: Connection) -> None:
    """Run the pending steps in one transaction, while no other process migrates the same service."""
    # Of the session, so that it covers the making of the schema as well; it ends with the connection.
    connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), {"name": f"migrate/{service}"})
    # A migration that has to wait for a busy table gives up instead of making everybody else wait behind it.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="schema_version",
        version_table_schema=service,
        include_schemas=True,
        include_name=in_own_schema,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main(url: str) -> None:
    """Connect to the database at `url` and migrate."""
    engine = db.engine(url, application=f"migrate {service}", connections=1)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(main(context.config.attributes.get("database_url") or load(MigrationSettings).database_url))
