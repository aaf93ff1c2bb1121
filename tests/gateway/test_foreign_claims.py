"""No client of some units takes a dossier of others over, follows it, spends its room or keeps it from its unit."""

from typing import Any

import httpx
import pytest

from tests.builders import OTHER_UNIT, UNIT, Json, event, forwarded, paid, received
from tests.running import System

THIRD_UNIT = "05986"
EARLIER = "2026-10-01T08:00:00+07:00"
LATER = "2026-10-05T15:00:00+07:00"


def _post(client: httpx.Client, *events: Json) -> None:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer


def _stands(system: System, code: str) -> Json:
    with system.client() as province:
        return dict(province.get(f"/v1/dossiers/{code}").raise_for_status().json()["dossier"])


@pytest.mark.parametrize(
    "planted",
    [
        forwarded("H37-1", event_id="planted"),
        event(
            "corrected", "H37-1", {"event_id": "H37-1-received", "to_unit": OTHER_UNIT}, at=LATER, event_id="planted"
        ),
        event(
            "corrected",
            "H37-1",
            {"event_id": "H37-1-received", "receiving_unit": OTHER_UNIT},
            at=LATER,
            event_id="planted",
        ),
    ],
    ids=["forwarded", "corrected to_unit", "corrected receiving_unit"],
)
def test_who_plants_his_unit_before_the_receipt_neither_follows_the_dossier_nor_writes_to_it(
    system: System, planted: Json
) -> None:
    with (
        system.client(name="planter", units=[OTHER_UNIT]) as planter,
        system.client(name="owner", units=[UNIT]) as owner,
    ):
        _post(planter, planted)
        _post(owner, received("H37-1"))

        feed = planter.get("/v1/feed").json()["entries"]
        answer = planter.post("/v1/events", json=paid("H37-1"))

    assert feed == []
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert _stands(system, "H37-1")["resolving_unit"] == UNIT


def test_a_unit_that_resolves_a_dossier_cannot_say_that_it_received_it_earlier(system: System) -> None:
    with system.client(name="owner", units=[UNIT]) as owner, system.client(name="other", units=[OTHER_UNIT]) as other:
        _post(owner, received("H37-1"), forwarded("H37-1"))
        answer = other.post(
            "/v1/events", json=received("H37-1", at=EARLIER, event_id="pulled", receiving_unit=OTHER_UNIT)
        )
        seen = owner.get("/v1/dossiers/H37-1").status_code

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert seen == 200


def test_a_unit_that_passed_a_dossier_on_cannot_take_it_back_by_a_receipt(system: System) -> None:
    with system.client(name="owner", units=[UNIT]) as owner, system.client(name="former", units=[OTHER_UNIT]) as former:
        _post(owner, received("H37-1"), forwarded("H37-1"))
        _post(former, forwarded("H37-1", at=LATER, event_id="on", to_unit=THIRD_UNIT))
        answer = former.post(
            "/v1/events", json=received("H37-1", at=EARLIER, event_id="pulled", receiving_unit=OTHER_UNIT)
        )

    assert answer.status_code == 403
    assert _stands(system, "H37-1")["receiving_unit"] == UNIT


def test_a_code_mistyped_and_taken_back_is_free_for_the_unit_whose_it_is(system: System) -> None:
    with system.client(name="first", units=[OTHER_UNIT]) as first, system.client(name="owner", units=[UNIT]) as owner:
        _post(
            first,
            received("H37-1", event_id="typo", receiving_unit=OTHER_UNIT),
            event("retracted", "H37-1", {"event_id": "typo", "reason": "nhập nhầm mã"}, at=LATER),
        )
        answer = owner.post("/v1/events", json=received("H37-1"))

    assert (answer.status_code, answer.json().get("errors")) == (201, None)
    assert _stands(system, "H37-1")["receiving_unit"] == UNIT


def test_another_s_dossier_cannot_be_voided_before_or_after_its_receipt(system: System) -> None:
    with system.client(name="other", units=[OTHER_UNIT]) as other, system.client(name="owner", units=[UNIT]) as owner:
        _post(other, event("voided", "H37-1", {"reason": "x"}, at=LATER))
        _post(owner, received("H37-1"))
        again = other.post("/v1/events", json=event("voided", "H37-1", {"reason": "x"}, at=LATER, event_id="v2"))

    assert again.status_code == 403
    assert _stands(system, "H37-1")["status"] == "pending"


def test_nobody_spends_the_room_of_a_dossier_that_is_not_his(system: System) -> None:
    with system.client(name="other", units=[OTHER_UNIT]) as other, system.client(name="owner", units=[UNIT]) as owner:
        other.post("/v1/events", json=[paid("H37-1", event_id=f"e{n}") for n in range(1_200)]).raise_for_status()
        answer = owner.post("/v1/events", json=received("H37-1"))

    assert (answer.status_code, answer.json().get("errors")) == (201, None)


def _portal(client: httpx.Client, unit: str, *, updating: bool = True, **fields: Any) -> Json:  # noqa: ANN401
    record = {
        "MaHoSo": "H37-1",
        "MaTTHC": "2.000815",
        "KenhThucHien": "2",
        "NgayTiepNhan": "20261005083000",
        "NgayHenTra": "20261006170000",
        "TrangThaiHoSo": "2",
        **fields,
    }
    envelope = {"madonvi": unit, "isUpdating": str(updating), "data": [record]}
    return dict(client.post("/v1/national-portal/DongBoHoSoMC", json=envelope).raise_for_status().json())


@pytest.mark.parametrize("limits", [{"units": [OTHER_UNIT]}, {"sources": ["urn:motcua:national-portal:05983"]}])
def test_under_another_s_madonvi_the_portal_does_not_tell_a_right_guess_from_a_wrong_one(
    system: System, limits: Json
) -> None:
    with system.client() as province:
        assert _portal(province, UNIT)["result"]["recorded"] == 1

    with system.client(name="guesser", **limits) as guesser:
        right, wrong = (_portal(guesser, UNIT, NgayHenTra=f"202610{day}170000") for day in ("06", "05"))

    assert right == wrong
    assert right["result"]["rejected"] == 1
