"""A gateway can be had alone, to see what it does before and without the services behind it."""

from collections.abc import Iterator

import pytest

from services.cli import embedded
from services.gateway import app as gateway
from services.gateway.settings import GatewaySettings
from tests.running import INTERNAL_KEY, System, port_of_its_own, served


@pytest.fixture
def lone_gateway(database_url: str) -> Iterator[System]:
    """Run a gateway whose services do not answer."""
    listening, port = port_of_its_own()
    nowhere = f"http://127.0.0.1:{embedded.free_port()}"
    application = gateway.application(
        GatewaySettings(
            port=port, database_url=database_url, internal_key=INTERNAL_KEY, dossier_url=nowhere, metrics_url=nowhere
        )
    )
    with served((application, listening)):
        yield System(f"http://127.0.0.1:{port}", nowhere, nowhere, database_url)
