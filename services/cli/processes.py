"""The services run as processes of their own, are started again when they die, and end when they are told to."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

_PATIENCE_SECONDS = 60.0
_STOP_SECONDS = 15.0
# A service that keeps dying is started again, but not in a busy loop.
_LONGEST_PAUSE_SECONDS = 5.0
_LIVED_LONG_ENOUGH_SECONDS = 30.0


class NotStarted(Exception):
    """A service ended before it was ready, or was not ready in time."""


@dataclass(slots=True)
class Service:
    """One service: how to start it, where it answers, and the process it is at the moment."""

    name: str
    url: str
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    started_at: float
    pause: float = 0.0


def start(name: str, port: int, environment: Mapping[str, str], log: Path) -> Service:
    """Start the service `name` on 127.0.0.1 at `port`; its log is appended to the file `log`."""
    own = {**environment, "MOTCUA_PORT": str(port), "MOTCUA_HOST": "127.0.0.1", "MOTCUA_STOP_WITH_STDIN": "true"}
    return Service(name, f"http://127.0.0.1:{port}", own, log, _process(name, own, log), time.monotonic())


def _process(name: str, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"],
            env={**os.environ, **environment},
            # The service ends when this pipe is closed, which the kernel does even if we are killed.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Ctrl-C at the terminal reaches us alone; we end the services in order.
            start_new_session=True,
        )


def wait_until_ready(services: list[Service]) -> None:
    """Return once every service can do its work.

    :raises NotStarted: one ended or is not ready after a minute; the message quotes the end of its log.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with httpx.Client(timeout=2) as client:
        for service in services:
            while not _is_ready(client, service):
                if service.process.poll() is not None or time.monotonic() > deadline:
                    lines = service.log.read_text(errors="replace").splitlines()[-3:]
                    msg = (
                        f"The {service.name} service did not start; the end of {service.log} says: {' | '.join(lines)}"
                    )
                    raise NotStarted(msg)
                time.sleep(0.03)


def _is_ready(client: httpx.Client, service: Service) -> bool:
    try:
        return client.get(f"{service.url}/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def start_again_if_dead(service: Service) -> str | None:
    """Start the service again if it has ended and its pause is over; return a sentence if it has been."""
    status = service.process.poll()
    if status is None or time.monotonic() < service.started_at + service.pause:
        return None
    lived = time.monotonic() - service.started_at
    service.pause = 0.0 if lived > _LIVED_LONG_ENOUGH_SECONDS else min(service.pause + 0.5, _LONGEST_PAUSE_SECONDS)
    _close(service)
    service.process = _process(service.name, service.environment, service.log)
    service.started_at = time.monotonic()
    return (
        f"the {service.name} service ended ({_in_words(status)}) and was started again as process {service.process.pid}"
    )


def _in_words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _close(service: Service) -> None:
    if service.process.stdin is not None:
        service.process.stdin.close()


def stop(services: list[Service]) -> None:
    """End the services one after the other, each with time to finish what is under way."""
    for service in services:
        service.process.terminate()
        try:
            service.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            service.process.kill()
            service.process.wait()
        _close(service)
