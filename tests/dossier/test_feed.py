"""A copy kept by following the feed is what a list answers, for every client and whatever happened in between."""

import contextlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.builders import OTHER_UNIT, SOURCE, UNIT, Json, event, forwarded, paid, received, resolved
from tests.running import System

_THIRD_UNIT = "05986"
_CODES = [f"H37-{number}" for number in range(5)]


@dataclass
class _Copy:
    """What a follower keeps: each dossier as the feed last told, and nothing of those that are elsewhere."""

    client: httpx.Client
    page: int
    after: str = "0"
    kept: dict[str, Json] = field(default_factory=dict)

    def catch_up(self) -> None:
        """Follow the feed until there is nothing more."""
        while True:
            page = _feed(self.client, after=self.after, limit=self.page)
            for entry in page["entries"]:
                self.kept.pop(entry["code"], None)
                if entry["status"] != "elsewhere":
                    self.kept[entry["code"]] = entry
            self.after = page["next_after"]
            if not page["entries"]:
                return


def _feed(client: httpx.Client, **params: str | int) -> Json:
    page: Json = client.get("/v1/feed", params=params).raise_for_status().json()
    return page


def _post(client: httpx.Client, *events: Json) -> str:
    answer = client.post("/v1/events", json=list(events)).raise_for_status().json()
    assert answer["accepted"] == len(events), answer
    return str(answer["position"])


def _listed(client: httpx.Client) -> dict[str, Json]:
    items, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/dossiers", params=params).raise_for_status().json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return {item["code"]: item for item in items}


class Lives:
    """Makes up events of a few dossiers that are received, passed on, corrected, retracted, ended and voided."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sent: list[tuple[str, str, str]] = []

    def next(self, number: int) -> Json:
        """Return one more event, whose id is made of `number`."""
        pick = self._random.choice
        kinds = ["received", "forwarded", "forwarded", "corrected", "corrected", "retracted", "paid"]
        # A dossier that has ended goes nowhere any more.
        ends = [*(["resolved"] if number % 5 == 0 else []), *(["voided"] if number % 9 == 0 else [])]
        code, kind = pick(_CODES), pick([*kinds, *ends])
        unit = pick([UNIT, OTHER_UNIT, _THIRD_UNIT])
        at = f"2026-10-{5 + number // 24:02d}T{number % 24:02d}:00:00+07:00"
        mine = [(earlier, id_) for earlier, subject, id_ in self._sent if subject == code]
        if kind in {"corrected", "retracted"} and not mine:
            kind = "received"
        match kind:
            case "received":
                resolving = pick([None, UNIT, OTHER_UNIT])
                made = received(code, at=at, event_id=f"e{number}", receiving_unit=unit, resolving_unit=resolving)
            case "forwarded":
                made = forwarded(code, at=at, event_id=f"e{number}", to_unit=unit)
            case "corrected":
                earlier, id_ = pick(mine)
                wrong = {"received": pick(["receiving_unit", "resolving_unit"]), "forwarded": "to_unit"}.get(earlier)
                data = {"event_id": id_, **({wrong: unit} if wrong else {"time": at})}
                made = event("corrected", code, data, at=at, event_id=f"e{number}")
            case "retracted":
                made = event(
                    "retracted",
                    code,
                    {"event_id": pick([id_ for _, id_ in mine]), "reason": "x"},
                    at=at,
                    event_id=f"e{number}",
                )
            case "paid":
                made = paid(code, at=at, event_id=f"e{number}")
            case "resolved":
                made = resolved(code, at=at, event_id=f"e{number}")
            case _:
                made = event("voided", code, {"reason": "x"}, at=at, event_id=f"e{number}")
        self._sent.append((kind, code, made["id"]))
        return made


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_that_follows_the_feed_is_always_what_the_list_answers(system: System, seed: int) -> None:
    lives, left = Lives(seed), 0
    followers = [(None, 3), ([UNIT], 1), ([OTHER_UNIT], 2), ([UNIT, _THIRD_UNIT], 5), ([], 1)]
    with contextlib.ExitStack() as clients:
        copies = [
            _Copy(clients.enter_context(system.client(name=f"follower-{number}", units=units)), page)
            for number, (units, page) in enumerate(followers)
        ]
        for number in range(60):
            _post(copies[0].client, lives.next(number))
            for copy in copies:
                if number % (copy.page + 1) == 0:
                    before = set(copy.kept)
                    copy.catch_up()
                    left += len(before - set(copy.kept))
                    assert copy.kept == _listed(copy.client)

    assert left > 0


def test_of_a_dossier_that_left_a_unit_its_reader_learns_that_alone(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[OTHER_UNIT]) as limited:
        _post(province, received("H37-1"), forwarded("H37-1", event_id="there", to_unit=OTHER_UNIT))
        seen = _feed(limited)
        _post(province, forwarded("H37-1", event_id="on", to_unit=_THIRD_UNIT, at="2026-10-05T09:45:00+07:00"))
        page = _feed(limited, after=seen["next_after"])
        single, listed = limited.get("/v1/dossiers/H37-1").status_code, _listed(limited)

    (entry,) = page["entries"]
    told = {name: value for name, value in entry.items() if value not in (None, 0, False, [])}
    assert told.keys() == {"code", "status", "position", "recorded_at"}
    assert (told["code"], told["status"], told["position"]) == ("H37-1", "elsewhere", "3")
    assert (single, listed) == (404, {})


def test_a_dossier_whose_receipt_was_retracted_has_left_its_unit(system: System) -> None:
    retraction = {"event_id": "H37-1-received", "reason": "nhập nhầm"}
    with system.client() as province, system.client(name="limited", units=[UNIT]) as limited:
        _post(province, received("H37-1"))
        seen = _feed(limited)["next_after"]
        _post(province, event("retracted", "H37-1", retraction, at="2026-10-06T08:00:00+07:00"))
        entries = _feed(limited, after=seen)["entries"]

    assert [(entry["code"], entry["status"]) for entry in entries] == [("H37-1", "elsewhere")]


def test_a_dossier_that_was_never_a_readers_is_not_in_its_feed(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[_THIRD_UNIT]) as limited:
        _post(province, received("H37-1"), forwarded("H37-1"), resolved("H37-2"))

        assert _feed(limited)["entries"] == []


def test_a_voided_dossier_stays_in_the_feed_and_says_so(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[UNIT]) as limited:
        _post(province, received("H37-1"))
        seen = _feed(limited)["next_after"]
        _post(province, event("voided", "H37-1", {"reason": "nhập nhầm"}, at="2026-10-06T08:00:00+07:00"))
        after = [_feed(client, after=seen)["entries"] for client in (province, limited)]
        replayed = [_feed(client)["entries"] for client in (province, limited)]

    assert [[(entry["code"], entry["status"]) for entry in entries] for entries in after] == [[("H37-1", "voided")]] * 2
    assert replayed == after


def test_a_limited_reader_has_read_what_others_recorded_and_does_not_read_it_again(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[UNIT]) as limited:
        _post(province, received("H37-mine"), *(received(f"H37-{n}", receiving_unit=OTHER_UNIT) for n in range(5)))
        page = _feed(limited, limit=2)
        log = limited.get("/v1/events", params={"limit": 2})

    assert ([entry["code"] for entry in page["entries"]], page["next_after"], page["head"]) == (["H37-mine"], "6", "6")
    assert ([item["id"] for item in log.json()["items"]], log.json()["next_cursor"]) == (["H37-mine-received"], None)
    assert log.headers["motcua-position"] == "6"


def test_a_full_page_is_gone_on_after_its_last_entry(system: System) -> None:
    with system.client() as province, system.client(name="limited", units=[UNIT]) as limited:
        _post(province, received("H37-1"), received("H37-x", receiving_unit=OTHER_UNIT), received("H37-2"))
        first = _feed(limited, limit=1)
        second = _feed(limited, limit=1, after=first["next_after"])
        log = limited.get("/v1/events", params={"limit": 1})

    assert [page["next_after"] for page in (first, second)] == ["1", "3"]
    assert (log.json()["next_cursor"], log.headers["motcua-position"]) == ("1", "1")


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/events"])
@pytest.mark.parametrize("wait", [0, 20])
def test_a_position_that_is_not_recorded_is_a_conflict_and_never_waited_for(
    system: System, path: str, wait: float
) -> None:
    with system.client() as province, system.client(name="limited", units=[OTHER_UNIT]) as limited:
        head = int(_post(province, received("H37-1"), paid("H37-1")))
        for client in (province, limited):
            at_head = client.get(path, params={"after": head})
            beyond = client.get(path, params={"after": head + 1, "wait": wait}, timeout=5)

            assert at_head.status_code == 200
            assert (beyond.status_code, beyond.json()["code"]) == (409, "position_ahead")


def test_an_empty_province_is_followed_from_nought(system: System) -> None:
    with system.client(name="neighbour", province="19") as client:
        page, log = _feed(client), client.get("/v1/events")

    assert page == {"after": "0", "next_after": "0", "head": "0", "entries": []}
    assert (log.json(), log.headers["motcua-position"]) == ({"items": [], "next_cursor": None}, "0")


# --- The log ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"subject": "H37-1"}, ["H37-1-received", "H37-1-paid", "H37-1-resolved"]),
        ({"subject": "H37-nobody"}, []),
        ({"source": SOURCE}, ["H37-1-received", "H37-1-paid", "H37-1-resolved"]),
        ({"source": "urn:example:another"}, ["H37-2-received", "H37-2-paid"]),
        ({"type": "paid"}, ["H37-1-paid", "H37-2-paid"]),
        ({"type": ["paid", "resolved"]}, ["H37-1-paid", "H37-2-paid", "H37-1-resolved"]),
        ({"type": ["paid", "resolved"], "subject": "H37-1"}, ["H37-1-paid", "H37-1-resolved"]),
        ({"type": "voided"}, []),
    ],
)
def test_the_log_is_read_by_subject_source_and_kind_in_pages_of_any_size(
    system: System, query: dict[str, Any], ids: list[str]
) -> None:
    other = "urn:example:another"
    with system.client() as client:
        _post(client, received("H37-1"), paid("H37-1"), received("H37-2", source=other), paid("H37-2", source=other))
        _post(client, resolved("H37-1"))
        for limit in (1, 2, 9):
            assert [item["id"] for item in _log(client, query, limit)] == ids


def _log(client: httpx.Client, query: dict[str, Any], limit: int) -> Iterator[Json]:
    cursor: str | None = None
    while True:
        params = {**query, "limit": limit, **({"cursor": cursor} if cursor else {})}
        page = client.get("/v1/events", params=params).raise_for_status().json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


@pytest.mark.parametrize("query", ["type=vn.motcua.dossier.paid", "type=eaten", "subject=", "source=%00", "client=x"])
def test_what_the_log_cannot_be_asked_is_a_problem(system: System, query: str) -> None:
    with system.client() as client:
        assert client.get(f"/v1/events?{query}").status_code == 422


def test_a_correction_that_takes_a_value_away_stands_in_the_log_as_it_was_sent(system: System) -> None:
    data = {"event_id": "H37-1-received", "due_at": None}
    with system.client() as client:
        _post(client, received("H37-1"), event("corrected", "H37-1", data, at="2026-10-06T08:00:00+07:00"))

        assert [item["data"] for item in _log(client, {"type": "corrected"}, 9)] == [data]


def test_a_waiting_log_is_answered_by_the_event_it_asked_for_and_by_no_other(system: System) -> None:
    with system.client(name="follower") as follower, system.client() as sender, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: follower.get("/v1/events", params={"type": "resolved", "wait": 20}))
        time.sleep(0.3)
        _post(sender, received("H37-1"))
        time.sleep(0.5)
        still_waiting = not waiting.done()
        _post(sender, resolved("H37-1"))
        posted_at = time.monotonic()
        answer = waiting.result(10)
        lasted = time.monotonic() - posted_at

    assert still_waiting
    assert [item["id"] for item in answer.json()["items"]] == ["H37-1-resolved"]
    assert lasted < 2
