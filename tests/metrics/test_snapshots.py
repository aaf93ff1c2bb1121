"""Counts and position of an answer belong together, however fast others write."""

import threading

from tests.builders import received
from tests.running import System


def test_an_answer_counts_exactly_what_stands_up_to_its_position(system: System) -> None:
    def write() -> None:
        with system.client(name="writer") as client:
            for number in range(150):
                client.post("/v1/events", json=received(f"H{number}")).raise_for_status()

    writer = threading.Thread(target=write)
    told: list[tuple[int, int]] = []

    writer.start()
    with system.client() as client:
        while writer.is_alive():
            answer = client.get("/v1/rates", params={"period": "2026-10", "by": "none"}).raise_for_status().json()
            told.append((int(answer["position"]), answer["total"]["counts"]["received"]))
    writer.join()

    # Every dossier is one event here, so that the position is the number of dossiers.
    assert told
    assert [position for position, _ in told] == [received for _, received in told]
