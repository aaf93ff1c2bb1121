"""One PostgreSQL serves the whole run; every test that needs a database gets a migrated one of its own."""

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from services.cli import embedded, migrations
from tests import databases, running

_URL = "MOTCUA_TEST_POSTGRES_URL"
_TEMPLATE = "motcua_template"
_LOADED = "motcua_template_loaded"
"""The same with Lạng Sơn's reference data, which takes longer to load than most tests take."""
_server = pytest.StashKey[tuple[embedded.Server, Path]]()
_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL once, before the workers, which find it by its address in their environment."""
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.help:
        return
    folder = Path(tempfile.mkdtemp(prefix="motcua-tests-"))
    # The account that PostgreSQL drops to when we are root must be able to pass.
    folder.chmod(0o755)
    bindir = os.environ.get("MOTCUA_PG_BINDIR")
    # Tests kill processes, never the machine, so what the kernel holds is safe without waiting for the disk.
    server = embedded.start(
        folder / "data",
        bindir=embedded.find_bindir(Path(bindir) if bindir else None),
        settings={**embedded.SETTINGS, "fsync": "off", "full_page_writes": "off", "max_connections": "300"},
    )
    config.stash[_server] = server, folder
    os.environ[_URL] = server.url
    asyncio.run(databases.execute(server.url, f"CREATE DATABASE {_TEMPLATE}"))
    migrations.upgrade(databases.named(server.url, _TEMPLATE))
    asyncio.run(databases.execute(server.url, f"CREATE DATABASE {_LOADED} TEMPLATE {_TEMPLATE}"))
    with running.system(databases.named(server.url, _LOADED)) as system:
        system.load_reference()
        system.await_units()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop PostgreSQL and remove its files."""
    if _server in config.stash:
        server, folder = config.stash[_server]
        embedded.stop(server)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    """Let a connection that nobody closed fail the file that opened it; collected as garbage, it fails any other."""
    yield
    assert not [one for one in gc.get_objects() if type(one) is asyncpg.Connection and not one.is_closed()]


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Return the address of a running PostgreSQL in which databases may be made."""
    return os.environ[_URL]


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """Make an empty database of the test's own."""
    yield from _database(postgres_url, "template1")


@pytest.fixture
def database_url(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a migrated database of the test's own, empty but for the reference data where it is that of `system`."""
    yield from _database(postgres_url, _LOADED if "system" in request.fixturenames else _TEMPLATE)


def _database(postgres_url: str, template: str) -> Iterator[str]:
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{next(_numbers)}"
    with databases.cloned(postgres_url, name, template) as url:
        yield url


@pytest.fixture
def system(database_url: str) -> Iterator[running.System]:
    """Dossier, metrics and gateway over real HTTP, with Lạng Sơn's reference data and nothing recorded."""
    with running.system(database_url) as started:
        yield started
