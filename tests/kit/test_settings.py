"""A process starts only with settings that make sense, and says which one does not."""

import pytest

from services.dossier.settings import DossierSettings
from services.gateway.settings import GatewaySettings
from services.kit import settings
from services.metrics.settings import MetricsSettings

_KEY = "an-internal-key-for-tests"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTCUA_DATABASE_URL", "postgresql://motcua@localhost/motcua")
    monkeypatch.setenv("MOTCUA_INTERNAL_KEY", _KEY)
    monkeypatch.setenv("MOTCUA_DOSSIER_URL", "http://dossier:8001")
    monkeypatch.setenv("MOTCUA_PROVINCES", "20, 19")

    loaded = settings.load(MetricsSettings)

    assert (loaded.provinces, loaded.port, loaded.host) == (("20", "19"), 8002, "127.0.0.1")


def test_every_wrong_setting_is_named_and_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTCUA_DATABASE_URL", "sqlite:///motcua.db")
    monkeypatch.setenv("MOTCUA_INTERNAL_KEY", "short")
    monkeypatch.setenv("MOTCUA_PORT", "70000")

    with pytest.raises(SystemExit) as ended:
        settings.load(GatewaySettings)

    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert {line.partition(":")[0] for line in lines} == {
        "MOTCUA_DATABASE_URL",
        "MOTCUA_INTERNAL_KEY",
        "MOTCUA_PORT",
        "MOTCUA_DOSSIER_URL",
        "MOTCUA_METRICS_URL",
    }


def test_a_wrong_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MOTCUA_DATABASE_URL", "mysql://motcua:hunter2@localhost")
    monkeypatch.setenv("MOTCUA_INTERNAL_KEY", "hunter2")

    with pytest.raises(SystemExit):
        settings.load(DossierSettings)

    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("province", ["1", "123", "LS", "20;19"])
def test_a_province_is_two_digits(monkeypatch: pytest.MonkeyPatch, province: str) -> None:
    monkeypatch.setenv("MOTCUA_DATABASE_URL", "postgresql://motcua@localhost/motcua")
    monkeypatch.setenv("MOTCUA_INTERNAL_KEY", _KEY)
    monkeypatch.setenv("MOTCUA_DOSSIER_URL", "http://dossier:8001")
    monkeypatch.setenv("MOTCUA_PROVINCES", province)

    with pytest.raises(SystemExit):
        settings.load(MetricsSettings)
