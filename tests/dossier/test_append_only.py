"""The log only grows: the services' role has no right to anything else, and whoever has it is stopped by a trigger."""

import asyncio
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.cli import migrations
from tests import builders, databases, running

_PASSWORD = 'it\'s a "password" with: odd/characters%@'

ONLY_GROWING = ("dossier.event", "dossier.reference_change")
_CHANGES = ("UPDATE {} SET client = 'somebody'", "DELETE FROM {}", "TRUNCATE {}")

every_change = pytest.mark.parametrize(
    "statement", [change.format(table) for table in ONLY_GROWING for change in _CHANGES]
)


async def _value(url: str, query: str, *values: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query, *values)
    finally:
        await connection.close()


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """Give the name for a role of the test's own; a server's roles are common to all of its databases."""
    name = f"application_{secrets.token_hex(6)}"
    yield name
    if asyncio.run(_value(database_url, "SELECT 1 FROM pg_roles WHERE rolname = $1", name)):
        asyncio.run(databases.execute(database_url, f"DROP OWNED BY {name}", f"DROP ROLE {name}"))


@pytest.fixture
def application_url(database_url: str, role: str) -> str:
    """Return the database's address for the services' role."""
    return migrations.admit(database_url, role, _PASSWORD)


@every_change
def test_the_services_role_has_no_right_to_change_what_is_recorded(application_url: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(databases.execute(application_url, statement))


@every_change
def test_not_even_the_owner_changes_what_is_recorded(database_url: str, statement: str) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
        asyncio.run(databases.execute(database_url, statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "ALTER TABLE dossier.event DISABLE TRIGGER ALL",
        "DROP TRIGGER only_grows ON dossier.event",
        "DROP TABLE dossier.event",
        "CREATE TABLE dossier.other (x int)",
        "CREATE ROLE another",
        "UPDATE dossier.schema_version SET version_num = '0001'",
    ],
)
def test_the_services_role_cannot_get_round_it(application_url: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(databases.execute(application_url, statement))


def test_the_whole_system_works_as_the_services_role(database_url: str, application_url: str) -> None:
    with running.system(application_url) as system:
        system.load_reference()
        with system.client() as client:
            events = [builders.received("H1"), builders.forwarded("H1"), builders.resolved("H1")]
            accepted = client.post("/v1/events", json=events).json()
            again = client.post("/v1/events", json=events).json()
            query = {"period": "2026-10", "by": "none", "min_position": accepted["position"]}
            total = client.get("/v1/rates", params=query).json()["total"]
            dossier = client.get("/v1/dossiers/H1").json()["dossier"]

    user = urlsplit(application_url).username
    assert asyncio.run(_value(application_url, "SELECT current_user")) == user
    assert not asyncio.run(_value(database_url, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", user))
    assert (accepted["accepted"], again["duplicate"]) == (3, 3)
    assert dossier["status"] == "resolved"
    assert total["counts"]["resolved"] == 1


def test_admitting_the_role_again_gives_it_the_new_password_and_the_same_rights(
    database_url: str, application_url: str, role: str
) -> None:
    asyncio.run(databases.execute(database_url, f"GRANT DELETE ON dossier.event TO {role}"))

    renewed = migrations.admit(database_url, role, "another")

    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(_value(application_url, "SELECT 1"))
    assert asyncio.run(_value(renewed, "SELECT count(*) FROM dossier.event")) == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(databases.execute(renewed, "DELETE FROM dossier.event"))


def test_a_role_that_is_there_keeps_its_password_where_none_is_given(
    database_url: str, application_url: str, role: str
) -> None:
    migrations.admit(database_url, role, None)

    assert asyncio.run(_value(application_url, "SELECT current_user")) == role


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("motcua", "a password", "superuser"),
        ("no_such_role", None, "MOTCUA_APPLICATION_PASSWORD"),
        ('x"; DROP TABLE y', "a password", "no name for a role"),
    ],
)
def test_a_role_not_to_run_services_as_is_refused(
    database_url: str, name: str, password: str | None, sentence: str
) -> None:
    with pytest.raises(migrations.NotAdmitted, match=sentence):
        migrations.admit(database_url, name, password)
