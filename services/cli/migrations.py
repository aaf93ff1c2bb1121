"""All three schemas are brought to the newest revision, or back, from here, and the services' role gets its rights."""

import asyncio
import re
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import db

SERVICES = ("dossier", "metrics", "gateway")

APPEND_ONLY = ("dossier.event", "dossier.reference_change", "metrics.report")
"""Tables that only grow; a trigger says so to every role, and the services' role has no right to do otherwise."""

_ROOT = Path(__file__).resolve().parents[2]


class NotAdmitted(Exception):
    """The application's role cannot be given its rights; the message is a sentence for the operator."""


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


def admit(database_url: str, role: str, password: str | None) -> str:
    """Let `role` do what the services do and nothing else, and return the database's URL for it.

    The role is made if it is not there, and gets the password if there is one; then its rights are given anew.

    :raises NotAdmitted: the role is not one to run services as, or the database refuses.
    """
    if re.fullmatch("[a-z_][a-z0-9_]{0,62}", role) is None:
        raise NotAdmitted(f"{role} is no name for a role; use small letters, digits and underscores.")
    try:
        asyncio.run(_admit(database_url, role, password))
    except DBAPIError as error:
        if db.is_outage(error):
            raise
        raise NotAdmitted(f"The role {role} was not given its rights: {error.orig}") from error
    parts = urlsplit(database_url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password or '', safe='')}@{place}"))


async def _admit(database_url: str, role: str, password: str | None) -> None:
    database = db.engine(database_url, application="motcua migrate", connections=1)
    try:
        async with database.begin() as transaction:
            await db.lock(transaction, "migrate", "role", role)
            await _make(transaction, role, password)
            await _grant(transaction, role)
    finally:
        await database.dispose()


async def _make(transaction: AsyncConnection, role: str, password: str | None) -> None:
    found = await transaction.execute(
        text(
            "SELECT rolsuper OR pg_has_role(role.oid, relowner, 'USAGE') FROM pg_roles AS role, pg_class "
            "WHERE rolname = :role AND pg_class.oid = 'dossier.event'::regclass"
        ),
        {"role": role},
    )
    powerful = found.scalar_one_or_none()
    if powerful:
        raise NotAdmitted(f"{role} owns the log or is a superuser; give the services a role of their own.")
    if powerful is None and password is None:
        raise NotAdmitted(f"There is no role {role}; set MOTCUA_APPLICATION_PASSWORD, and it is made.")
    if password is not None:
        verb = "CREATE" if powerful is None else "ALTER"
        # Such statements take no parameters; the server itself quotes what goes into them.
        quoted = text(
            f"SELECT format('{verb} ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:password AS text))"
        )
        await transaction.exec_driver_sql(await transaction.scalar(quoted, {"role": role, "password": password}))


async def _grant(transaction: AsyncConnection, role: str) -> None:
    schemas, only_growing = ", ".join(SERVICES), ", ".join(APPEND_ONLY)
    versions = ", ".join(f"{schema}.schema_version" for schema in SERVICES)
    for statement in (
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schemas} FROM {role}",
        f"GRANT USAGE ON SCHEMA {schemas} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schemas} TO {role}",
        f"REVOKE UPDATE, DELETE ON {only_growing} FROM {role}",
        f"REVOKE ALL ON {versions} FROM {role}",
    ):
        await transaction.execute(text(statement))
