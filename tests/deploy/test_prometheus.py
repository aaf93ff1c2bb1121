"""The alerts that an operator lives by are those of the targets, and each fires and stays silent where it should."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from services.metrics import rules
from services.metrics.domain.rates import RATES
from services.metrics.domain.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "deploy" / "runbooks"
SCRAPED = ("prometheus.yml", "prometheus-local.yml")
VIETNAMESE = re.compile("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.IGNORECASE)


def alerts() -> list[dict[str, Any]]:
    content = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"] if "alert" in rule]


ALERTS = {alert["alert"]: alert for alert in alerts()}


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    if program is None and "CI" not in os.environ:
        pytest.skip("promtool is not installed; it comes with Debian's package prometheus")
    assert program is not None, "promtool is not installed, and in CI it must be"
    ran = subprocess.run([program, *arguments], cwd=PROMETHEUS, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", SCRAPED)
def test_prometheus_understands_its_configuration(name: str) -> None:
    promtool("check", "config", name)


def test_prometheus_understands_the_rules() -> None:
    promtool("check", "rules", "rules.yml")


def test_every_alert_fires_when_it_should_and_is_silent_at_its_boundary() -> None:
    promtool("test", "rules", "rules_test.yml")


def test_every_alert_is_tested_to_fire_and_its_texts_are_read() -> None:
    groups = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {
        match[1]
        for group in groups
        for check in group.get("promql_expr_test", ())
        for sample in check["exp_samples"]
        for match in re.finditer('alertname="([A-Za-z]+)"', sample["labels"])
    }
    read = {check["alertname"] for group in groups for check in group.get("alert_rule_test", ())}

    assert fired == read == set(ALERTS)


def test_the_rules_are_those_written_from_the_targets() -> None:
    command = [sys.executable, "-m", "services.metrics.rules"]
    written = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8").stdout

    assert (PROMETHEUS / "rules.yml").read_text(encoding="utf-8") == written
    assert yaml.safe_load(written) == rules.rules()


def test_every_target_asked_of_a_whole_unit_is_watched_for_each_unit_and_for_the_province_and_nothing_else_is() -> None:
    watched = [name for name in ALERTS if name.endswith("BelowTarget")]
    counted = {rate.name for rate in RATES}
    asked = {target.rate for target in TARGETS if not target.fields and target.kind is None} & counted

    for rate in asked:
        about = [name for name in watched if f'rate="{rate}"' in ALERTS[name]["expr"]]
        assert sorted(re.sub("(Unit|Province).*", r"\1", name) for name in about) == ["Province", "Unit"]
    assert len(watched) == 2 * len(asked)
    assert len(asked) == 5


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_speaks_both_languages_and_names_a_page_that_says_what_to_do(name: str) -> None:
    texts = ALERTS[name]["annotations"]

    page = (ROOT / texts["runbook"]).read_text(encoding="utf-8")

    assert set(texts) == {"summary", "summary_vi", "description", "description_vi", "runbook"}
    assert ALERTS[name]["labels"]["severity"] in {"warning", "critical"}
    for key, text in texts.items():
        assert bool(VIETNAMESE.search(text)) == key.endswith("_vi"), f"{key}: {text}"
    assert page.startswith(f"# {name}\n\n")
    assert VIETNAMESE.search(page.splitlines()[2])
    for heading in ("## What it means", "## How to look", "## What to do"):
        assert heading in page


def test_no_runbook_is_left_without_its_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {*ALERTS, "README"}


def test_links_between_runbooks_lead_somewhere() -> None:
    for page in RUNBOOKS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (RUNBOOKS / target).exists(), f"{page.name}: {target}"


async def _run_in_order(url: str, statements: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.fetch(statement)
    finally:
        await connection.close()


def test_the_queries_of_the_runbooks_run_on_the_schema_as_it_is(database_url: str) -> None:
    pages = [page.read_text(encoding="utf-8") for page in RUNBOOKS.glob("*.md")]
    queries = [query for page in pages for query in re.findall(r"```sql\n(.*?)```", page, re.DOTALL)]

    asyncio.run(_run_in_order(database_url, queries))

    assert queries


def test_the_processes_are_scraped_where_the_compose_file_has_them() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    ports = {
        name: service["environment"]["MOTCUA_PORT"]
        for name, service in services.items()
        if "MOTCUA_PORT" in service.get("environment", {})
    }
    targets = {name: _targets(name) for name in SCRAPED}

    assert targets["prometheus.yml"] == {name: f"{name}:{port}" for name, port in ports.items()}
    assert targets["prometheus-local.yml"] == {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    assert f'job=~"{"|".join(targets["prometheus.yml"])}"' in ALERTS["ProcessDown"]["expr"]


def _targets(name: str) -> dict[str, str]:
    content = yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))
    return {job["job_name"]: job["static_configs"][0]["targets"][0] for job in content["scrape_configs"]}


def test_the_two_configurations_differ_in_the_addresses_alone() -> None:
    compose, local = (yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8")) for name in SCRAPED)
    for configuration in (compose, local):
        for job in configuration["scrape_configs"]:
            del job["static_configs"]

    assert json.dumps(compose) == json.dumps(local)
