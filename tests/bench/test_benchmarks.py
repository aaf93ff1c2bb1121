"""Each benchmark runs to its end with tiny sizes, finds what it acknowledged, and prints its ratios."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RATIOS = {
    "bench.events": {
        "gateway single / baseline single, 8 connections",
        "service single / baseline single, 8 connections",
        "gateway batches / COPY, one stream",
        "gateway batches / COPY, 4 streams",
    },
    "bench.rates": {
        "gateway, plain / SQL, all counts",
        "gateway, plain / SQL, the month",
        "gateway, gzip / gateway, plain",
        "gateway, events arriving / SQL, all counts",
        "gateway, just after an event / SQL, all counts",
        "gateway, 304 / SQL, all counts",
        "gateway, 304 / memory, same answer behind gateway",
        "gateway, 304 / memory, hello behind gateway",
        "freshness p50 / plain read p50 at 4 connections",
    },
    "bench.growth": {
        "batches of 500, old ones of the last month, 5000 / 1000 dossiers",
        "batches of 500, old ones of any time, 5000 / 1000 dossiers",
        "single, 32 connections, old ones of any time, 5000 / 1000 dossiers",
        "p50 of a dossier, 5000 / 1000 dossiers",
        "p50 of the backlog, 5000 / 1000 dossiers",
        "p50 of the rates of a month, 5000 / 1000 dossiers",
        "p50 of the same, just after an event of that month, 5000 / 1000 dossiers",
    },
    "bench.rebuild": {"rebuild / SQL, standings and cells", "rebuild / SQL, cells alone"},
    "bench.restate": {"restated / recorded, events a second"},
    "bench.steady": {
        "gateway p99 / p50 at half",
        "service p99 / p50 at half",
        "freshness p99 / p50 at half",
        "memory of gateway, last third / first third",
        "memory of dossier, last third / first third",
        "memory of metrics, last third / first third",
    },
}


@pytest.mark.parametrize("benchmark", RATIOS)
def test_a_benchmark_prints_its_ratios(benchmark: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", benchmark, "--quick"], cwd=ROOT, check=False, capture_output=True, text=True
    )

    ratios = {name: float(value) for name, value in re.findall(r"^ratio (.+): ([\d.]+)", ran.stdout, re.MULTILINE)}
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ratios.keys() >= RATIOS[benchmark]
    assert all(value > 0 for value in ratios.values())


def test_the_benchmark_of_forecasts_says_how_far_they_are_off() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.forecast", "--quick"], cwd=ROOT, check=False, capture_output=True, text=True
    )

    lines = [line for line in ran.stdout.splitlines() if re.search(r"forecast [\d.]+  month before [\d.]+", line)]
    assert ran.returncode == 0, ran.stderr
    assert [line.partition(",")[0] for line in lines][::3] == ["all together", "each unit"]
