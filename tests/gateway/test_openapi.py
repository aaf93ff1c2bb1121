"""The published document tells exactly what the gateway does, and its pages need nothing from elsewhere."""

import json
import re
from typing import Any

import httpx

from services.gateway.domain.access import ROUTES
from tests.running import System


def _document(system: System) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{system.gateway_url}/openapi.json").raise_for_status().json()
    return document


def test_the_document_and_the_gateway_name_the_same_operations_and_scopes(system: System) -> None:
    paths = _document(system)["paths"]

    documented = {
        (method.upper(), path): operation["security"]
        for path, item in paths.items()
        for method, operation in item.items()
    }
    assert documented == {(route.method, route.path): [{"key": [scope]} for scope in route.scopes] for route in ROUTES}


def test_every_reference_in_the_document_leads_to_a_schema_and_every_schema_is_referred_to(system: System) -> None:
    document = _document(system)

    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references == set(document["components"]["schemas"])


def test_the_document_tells_nothing_of_what_stands_between_gateway_and_services(system: System) -> None:
    told = json.dumps(_document(system)).lower()

    assert [word for word in ("motcua-grant", "internal-key", "internal_key") if word in told] == []


def test_every_example_of_the_document_is_accepted_as_it_stands(system: System) -> None:
    body = _document(system)["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]

    with system.client() as client:
        answers = {
            name: client.post("/v1/events?dry_run=true", json=example["value"]).json()
            for name, example in body["examples"].items()
        }

    assert answers["one"]["status"] == "accepted"
    assert (answers["life"]["accepted"], answers["life"]["results"]) == (3, [])
    assert answers.keys() == {"one", "life"}


def test_an_example_means_the_same_unit_and_procedure_as_the_reference_data(system: System) -> None:
    body = _document(system)["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    life = body["examples"]["life"]["value"]

    with system.client() as client:
        client.post("/v1/events", json=life).raise_for_status()
        dossier = client.get(f"/v1/dossiers/{life[0]['subject']}").json()["dossier"]

    assert dossier["status"] == "resolved"
    assert dossier["field"] is not None
    # An example of long ago is recorded late, whenever somebody tries it out.
    assert set(dossier["flags"]) <= {"late_recording"}


def test_the_pages_need_nothing_from_another_host(system: System) -> None:
    page = httpx.get(f"{system.gateway_url}/docs")

    assert page.status_code == 200
    assert re.findall(r"https?://[^\s\"']+", page.text) == []
    linked = set(re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)) | {"/openapi.json"}
    assert {path: httpx.get(system.gateway_url + path).status_code for path in linked} == dict.fromkeys(linked, 200)
    assert any(path.endswith(".js") for path in linked)


def test_the_root_leads_to_the_pages(system: System) -> None:
    answer = httpx.get(system.gateway_url)

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
