"""What docker-compose.yml starts is started here without containers: the same commands, the same environment."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
import yaml

from services.cli import embedded
from services.dossier.settings import DossierSettings
from services.gateway.settings import GatewaySettings
from services.kit.serve import ServerSettings
from services.metrics.settings import MetricsSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
SETTINGS: Mapping[str, type[ServerSettings]] = {
    "dossier": DossierSettings,
    "metrics": MetricsSettings,
    "gateway": GatewaySettings,
}
OWN = ("migrate", *SETTINGS)
SECRETS = {
    "POSTGRES_PASSWORD": "a-password-for-tests",
    "MOTCUA_APPLICATION_PASSWORD": "another-password-for-tests",
    "MOTCUA_INTERNAL_KEY": "an-internal-key-for-tests",
}
# Python starts slowly where many tests run at once.
PATIENCE_SECONDS = 60


class Required(Exception):
    """A variable that compose insists on has no value."""


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in as docker compose does, in the forms ${X}, ${X:-default} and ${X:?message}."""

    def value(match: re.Match[str]) -> str:
        name, form, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if form == ":?":
            raise Required(name)
        return rest if form == ":-" else ""

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def environment(name: str, variables: Mapping[str, str] = SECRETS) -> dict[str, str]:
    return {key: substituted(value, variables) for key, value in SERVICES[name].get("environment", {}).items()}


# --- What the files say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_our_own_containers_are_made_of_the_one_image(name: str) -> None:
    build = SERVICES[name]["build"]

    assert ROOT / build["context"] / build["dockerfile"] == ROOT / "deploy" / "Dockerfile"
    assert SERVICES[name]["image"] == "motcua"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_process_is_told_what_its_settings_know_and_all_that_they_require(name: str) -> None:
    fields = SETTINGS[name].model_fields
    known = {f"MOTCUA_{field}".upper() for field in fields}
    required = {f"MOTCUA_{field}".upper() for field, description in fields.items() if description.is_required()}

    told = set(SERVICES[name]["environment"])

    assert required <= told <= known
    assert SETTINGS[name].model_fields["port"].default == int(SERVICES[name]["environment"]["MOTCUA_PORT"])


def test_the_database_is_addressed_as_it_is_made() -> None:
    made = environment("postgres")
    place = f"postgres:5432/{made['POSTGRES_DB']}"
    role, password = SERVICES["migrate"]["command"][-1], environment("migrate")["MOTCUA_APPLICATION_PASSWORD"]

    owner = f"postgresql://{made['POSTGRES_USER']}:{made['POSTGRES_PASSWORD']}@{place}"
    assert environment("migrate")["MOTCUA_DATABASE_URL"] == owner
    for name in SETTINGS:
        assert environment(name)["MOTCUA_DATABASE_URL"] == f"postgresql://{role}:{password}@{place}"


def test_the_services_are_not_the_owner_of_what_they_record() -> None:
    assert SERVICES["migrate"]["command"] == ["motcua", "migrate", "--application-role", "motcua_application"]
    for name in SETTINGS:
        assert "POSTGRES_PASSWORD" not in SERVICES[name]["environment"]["MOTCUA_DATABASE_URL"]


def test_the_database_is_made_with_the_options_of_the_embedded_one() -> None:
    assert SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"] == " ".join(embedded.INITDB_OPTIONS)


@pytest.mark.parametrize("secret", SECRETS)
def test_nothing_starts_without_its_secrets(secret: str) -> None:
    others = {name: value for name, value in SECRETS.items() if name != secret}

    with pytest.raises(Required, match=secret):
        _ = [environment(name, others) for name in SERVICES]


def test_the_example_of_a_dotenv_file_names_every_variable_and_gives_no_secret_away() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used = {
        name
        for service in SERVICES.values()
        for value in service.get("environment", {}).values()
        for name in re.findall(r"\$\{(\w+)", value)
    }

    assert set(example) == used
    assert all(example[secret] == "" for secret in SECRETS)


def test_only_the_gateway_and_prometheus_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"gateway": ["127.0.0.1:8000:8000"], "prometheus": ["127.0.0.1:9090:9090"]}
    assert not any(service.get("network_mode") for service in SERVICES.values())


@pytest.mark.parametrize("name", OWN)
def test_our_own_containers_may_do_nothing_they_need_not(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_limited_and_its_log_ends_somewhere(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert set(limits) == {"cpus", "memory"}
    assert SERVICES[name]["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "migrate"])
def test_what_runs_on_comes_back_after_a_crash(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_processes_wait_for_the_migrations_and_those_for_the_database() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in SETTINGS:
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_data_outlives_its_container() -> None:
    kept = {
        name: [volume.split(":") for volume in service["volumes"] if not volume.startswith(".")]
        for name, service in SERVICES.items()
        if "volumes" in service
    }

    # PostgreSQL's image keeps its files in a folder below this one since version 18.
    assert kept == {"postgres": [["postgres", "/var/lib/postgresql"]], "prometheus": [["prometheus", "/prometheus"]]}
    assert set(COMPOSE["volumes"]) == {"postgres", "prometheus"}


def test_the_image_does_not_run_as_root() -> None:
    final_stage = DOCKERFILE.split("\nFROM ")[-1]
    users = re.findall(r"^USER (.+)$", final_stage, re.MULTILINE)

    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_the_image_is_made_of_is_there_and_reaches_the_build() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }

    assert {"services", "migrations", "alembic.ini", "pyproject.toml"} <= {source.rstrip("/") for source in copied()}
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source.rstrip("/") in let_through, source


def test_no_file_names_the_host_of_a_registry() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert not [image for image in images if "." in image.split("/")[0] and "/" in image]
    assert "://" not in DOCKERFILE


# --- What runs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Running:
    """The three processes as they were started, and the environment of each."""

    processes: Mapping[str, subprocess.Popen[bytes]]
    environments: Mapping[str, dict[str, str]]

    def url(self, name: str) -> str:
        """Return where the process `name` listens."""
        return f"http://127.0.0.1:{self.environments[name]['MOTCUA_PORT']}"


def here(name: str, ports: Mapping[str, int], database_url: str) -> dict[str, str]:
    """Return the environment of a container with nothing changed but addresses."""
    there = environment(name)
    for key, value in there.items():
        if key == "MOTCUA_DATABASE_URL":
            login, place = urlsplit(value).netloc.rpartition("@")[0], urlsplit(database_url).netloc.rpartition("@")[2]
            mine = urlunsplit(urlsplit(database_url)._replace(netloc=f"{login}@{place}"))
            # The owner of the tests' PostgreSQL has a password of its own.
            there[key] = database_url if name == "migrate" else mine
        elif key == "MOTCUA_PORT":
            there[key] = str(ports[name])
        elif key == "MOTCUA_HOST":
            assert value == "0.0.0.0"  # noqa: S104 - in a container, or no other container reaches it
            there[key] = "127.0.0.1"
        elif key.endswith("_URL"):
            host, port = value.removeprefix("http://").split(":")
            assert SERVICES[host]["environment"]["MOTCUA_PORT"] == port
            there[key] = f"http://127.0.0.1:{ports[host]}"
    return {**there, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def fresh_database_url(postgres_url: str) -> Iterator[str]:
    """Give the test an empty database, as PostgreSQL's image makes it."""
    name = f"compose_{os.getpid()}"
    asyncio.run(_execute(postgres_url, f"CREATE DATABASE {name}"))
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    asyncio.run(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def running(fresh_database_url: str, tmp_path: Path) -> Iterator[Running]:
    """Everything of our own that the compose file starts, in its order."""
    ports = {name: embedded.free_port() for name in SETTINGS}
    environments = {name: here(name, ports, fresh_database_url) for name in OWN}
    subprocess.run(
        SERVICES["migrate"]["command"], cwd=ROOT, env=environments["migrate"], check=True, timeout=PATIENCE_SECONDS
    )
    with contextlib.ExitStack() as stack:
        processes = {}
        for name in SETTINGS:
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            command = SERVICES[name]["command"]
            process = subprocess.Popen(command, cwd=ROOT, env=environments[name], stdout=log, stderr=log)
            stack.callback(_end, process)
            processes[name] = process
        for name, process in processes.items():
            _wait_until_ready(process, f"http://127.0.0.1:{ports[name]}/readyz", tmp_path / f"{name}.log")
        yield Running(processes, environments)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    pytest.fail(f"{url} was never ready; its log:\n{log.read_text(encoding='utf-8')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def health_check() -> list[str]:
    """Return the command by which the image looks whether its process is well."""
    found = re.search(r"^HEALTHCHECK .*\\\n\s+CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command


def alert_metrics() -> set[str]:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    expressions = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    # A name with a colon is recorded by the rules themselves.
    return set(re.findall(r"(?<![\w:])(?:http|metrics)_\w+", expressions))


def test_the_compose_file_starts_a_system_that_works_is_watched_and_stops(running: Running) -> None:
    for name in SETTINGS:
        probe = subprocess.run(health_check(), env=running.environments[name], check=False, timeout=PATIENCE_SECONDS)
        assert probe.returncode == 0, name
        assert httpx.get(f"{running.url(name)}/healthz").status_code == httpx.codes.OK

    answer = httpx.get(f"{running.url('gateway')}/v1/rates", params={"period": "2026-10"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert answer.headers["Content-Type"] == "application/problem+json"

    logins = {urlsplit(running.environments[name]["MOTCUA_DATABASE_URL"]).username for name in SETTINGS}
    assert logins == {"motcua_application"}

    exposed = {name: httpx.get(f"{running.url(name)}/metrics").text for name in SETTINGS}
    told = {name for text in exposed.values() for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)}
    assert alert_metrics() <= told
    assert 'metrics_feed_lag_seconds{province="20"}' in exposed["metrics"]
    for name, text in exposed.items():
        # What the alert on failing answers leaves out must go by these names.
        for route in ("/healthz", "/readyz"):
            assert f'http_requests_total{{method="GET",route="{route}",service="{name}",status="200"}}' in text

    for process in running.processes.values():
        process.send_signal(signal.SIGTERM)
    for name, process in running.processes.items():
        # A server that was asked to stop may end by the very signal, having finished its work.
        assert process.wait(20) in {0, -signal.SIGTERM}, name

    probe = subprocess.run(
        health_check(), env=running.environments["gateway"], check=False, stderr=subprocess.DEVNULL, timeout=20
    )
    assert probe.returncode == 1
