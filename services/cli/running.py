"""A command finds the system that `motcua up` runs through one private file in its data folder."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running system answers, a key of its operator, and the settings its processes were given."""

    url: str
    api_key: str
    database_url: str
    pids: Mapping[str, int]
    supervisor: int
    """The process of `motcua up` itself, which starts again whichever of the others dies."""
    environment: Mapping[str, str]


class NotRunning(Exception):
    """No system runs on this data folder."""


def _file(data: Path) -> Path:
    return data / "running.json"


def write(data: Path, running: Running) -> None:
    """Tell other commands of the running system; the file holds secrets, so only its owner may read it."""
    beside = _file(data).with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        json.dump(asdict(running), file)
    beside.replace(_file(data))


def remove(data: Path) -> None:
    """Tell other commands that nothing runs any more."""
    _file(data).unlink(missing_ok=True)


def read(data: Path) -> Running:
    """Return the system that runs on this data folder.

    :raises NotRunning: none does, or the file is not ours to read.
    """
    try:
        found = Running(**json.loads(_file(data).read_text()))
        alive = _is_alive(found.supervisor)
    except (OSError, ValueError, TypeError):
        alive = False
    # The file outlives a system that was killed.
    if not alive:
        raise NotRunning(
            f"No running motcua was found in {data}; start one with `motcua up`, or name its folder with --data."
        )
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is somebody else's, and there.
        return True
    return True
