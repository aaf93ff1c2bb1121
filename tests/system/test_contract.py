"""Whatever is sent to a public operation, the answer is one that the OpenAPI document tells of, and never a failure."""

import re
from collections import Counter
from typing import Any
from zlib import crc32

import httpx
import orjson
import pytest
import schemathesis
from schemathesis import Case, HookContext, Response, SerializationContext, engine
from schemathesis.engine import events
from schemathesis.generation.meta import TestPhase

from services.gateway.domain.access import ROUTES
from tests import builders
from tests.running import System

_SUBJECTS = ["H37.05977-261005-0001", "H37.05977-261005-0002"]
_UNITS = [builders.UNIT, builders.OTHER_UNIT]

# By the names of their fields, the codes that the system knows: made-up ones would never get beyond validation.
_KNOWN = {
    "subject": _SUBJECTS,
    "code": _SUBJECTS,
    "event_id": [f"{_SUBJECTS[0]}-received", f"{_SUBJECTS[0]}-paid"],
    "source": [builders.SOURCE],
    "procedure": [builders.PROCEDURE],
    "unit": _UNITS,
    "receiving_unit": _UNITS,
    "resolving_unit": _UNITS,
    "to_unit": _UNITS,
    "rate": ["on_time_of_resolved", "full_online"],
    "count": ["received", "pending"],
}
_REPORT = "1"
"""The first report that is frozen."""

_CODE = re.compile(r"[^\x00-\x20\x7f]{1,100}")


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: SerializationContext, value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else orjson.dumps(value)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize(("method", "path"), [(route.method, route.path) for route in ROUTES])
def test_no_request_is_answered_with_a_failure_or_with_what_is_not_documented(
    system: System, method: str, path: str
) -> None:
    with system.client(name="contract") as client:
        life = [builders.received(_SUBJECTS[0]), builders.paid(_SUBJECTS[0])]
        client.post("/v1/events", json=life).raise_for_status()
        client.post("/v1/reports", json={"kind": "rates", "period": "2026-10"}).raise_for_status()
        configuration = _configuration(system, client.headers["Authorization"], method, path)
    document = httpx.get(f"{system.gateway_url}/openapi.json").raise_for_status().json()
    schema = schemathesis.openapi.from_dict(document, config=configuration)
    schema.hook(map_case)
    schema.hook(filter_case)
    answered: Counter[int] = Counter()

    @schema.hook
    def after_call(_context: HookContext, _case: Case[Any], response: Response) -> None:
        answered[response.status_code] += 1

    found = [
        text
        for event in engine.from_schema(schema.include(method=method, path=path)).execute()
        for text in _faults(event)
    ]

    assert found == []
    assert any(200 <= status < 300 for status in answered)


def test_every_route_refuses_a_parameter_that_it_does_not_know(system: System) -> None:
    # The national portal's own addresses have parameters that mean nothing here.
    routes = [route for route in ROUTES if not route.path.startswith("/v1/national-portal/")]

    with system.client() as client:
        answers = {route: client.request(route.method, f"{route.path}?period=2026&limt=1", json=[]) for route in routes}

    assert {(answer.status_code, answer.json()["code"]) for answer in answers.values()} == {(422, "unknown_parameter")}
    assert [route for route, answer in answers.items() if "limt" not in answer.json()["detail"]] == []


def _configuration(system: System, authorization: str, method: str, path: str) -> schemathesis.Config:
    """Say what is tried on one operation; the same is tried in every run, whatever ran before."""
    nothing_learnt = {"extra-data-sources": {"responses": False}}
    # A fault at every place of every kind of event would be thousands of requests.
    coverage = "positive" if (method, path) == ("POST", "/v1/events") else "all"
    return schemathesis.Config.from_dict(
        {
            "base-url": system.gateway_url,
            "headers": {"Authorization": authorization},
            "seed": 20261005,
            "workers": 1,
            "continue-on-failure": True,
            "warnings": False,
            "suppress-health-check": ["all"],
            "analysis": {"constants": {"enabled": False}},
            "generation": {"deterministic": True, "max-examples": 20, "with-security-parameters": False},
            "phases": {
                "examples": nothing_learnt,
                "coverage": {**nothing_learnt, "generation": {"mode": coverage}},
                "fuzzing": {**nothing_learnt, "error-feedback": {"enabled": False}},
                "stateful": {"enabled": False},
            },
            "checks": {
                # A well-formed request may still ask for what is not there.
                "positive_data_acceptance": {"enabled": False},
                # Of many events or records the faulty ones are named in an answer of 200.
                "negative_data_rejection": {"enabled": method == "GET"},
            },
        }
    )


def map_case(_context: HookContext, case: Case[Any]) -> Case[Any]:
    """Let about half of the codes be known ones, and nothing be waited for."""
    case.path_parameters, case.query, case.body = _known(case.path_parameters), _known(case.query), _known(case.body)
    if case.path_parameters and crc32(str(case.path_parameters.get("id")).encode("utf-8", "surrogatepass")) % 2:
        case.path_parameters.update({"id": _REPORT} if "id" in case.path_parameters else {})
    if isinstance(case.query, dict):
        if re.fullmatch(r"[0-9.e-]+", str(case.query.get("wait"))) and 0 <= float(case.query["wait"]) <= 30:
            case.query["wait"] = 0.01
        if re.fullmatch("[0-9]{1,18}", str(case.query.get("min_position"))):
            case.query["min_position"] = "1"
    return case


def filter_case(_context: HookContext, case: Case[Any]) -> bool:
    """Leave out what is tried by itself as well, and what is no fault on the wire.

    Of the thousand well-formed bodies of events, those are the arrays of one; an object in a query is written as a list
    of its names.
    """
    is_coverage = case.meta is not None and case.meta.phase.name == TestPhase.COVERAGE
    if is_coverage and case.operation.label == "POST /v1/events" and isinstance(case.body, list):
        return False
    return not any(isinstance(value, dict) for value in dict(case.query).values())


def _known(value: Any, name: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Return `value` with about half of its codes replaced by known ones; what is no code stays as it is."""
    match value:
        case dict():
            return {key: _known(part, key) for key, part in value.items()}
        case list():
            return [_known(part, name) for part in value]
        case str() if name in _KNOWN and _CODE.fullmatch(value):
            chosen, is_kept = divmod(crc32(value.encode("utf-8", "surrogatepass")), 2)
            return value if is_kept else _KNOWN[name][chosen % len(_KNOWN[name])]
        case _:
            return value


def _faults(event: events.EngineEvent) -> list[str]:
    """Return what went wrong according to an event of the run, with the requests that show it."""
    match event:
        case events.NonFatalError() | events.FatalError():
            return [str(event)]
        case events.ScenarioFinished():
            checks = [check for of_case in event.recorder.checks.values() for check in of_case]
            return [f"{c.failure_info.failure}\n{c.failure_info.code_sample}" for c in checks if c.failure_info]
        case _:
            return []
