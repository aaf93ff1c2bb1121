"""What the services count is what a second, plain and independent reckoning from the raw events counts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import httpx
import orjson
import polars as pl
import pytest

from services.cli import reference
from services.contract import EVENT, Procedure, Standing, vietnamese_day
from services.dossier.domain import lifecycle
from services.dossier.domain.catalogue import catalogue
from services.dossier.domain.history import Occurrence
from services.dossier.domain.record import DATA_OF_TYPE
from services.kit import clock
from services.metrics.domain import tally, vectors
from services.metrics.domain.periods import Period
from services.metrics.domain.vectors import Cut
from tests import oracle
from tests.builders import SOURCE, Json
from tests.oracle import drawn, lives
from tests.running import PROVINCE, System

_DAY = timedelta(days=1)
_UNITS = [unit.model_dump(mode="json") for unit in reference.units(PROVINCE)]
_PROCEDURES = [procedure.model_dump(mode="json") for procedure in reference.procedures()]
_CALENDAR = [day.model_dump(mode="json") for day in reference.calendar()]


def _known(procedures: Sequence[Json], last: date) -> oracle.Known:
    return oracle.known(_UNITS, procedures, _CALENDAR, date(2025, 1, 1), last + timedelta(days=400))


# --- The oracle itself ------------------------------------------------------------------------------------------------

_OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))
_TODAY = date(2026, 11, 22)
_BY_HAND = _known(drawn.procedures(date(2026, 10, 15)), _TODAY)


def _told(kind: str, at: str, **data: Any) -> Json:  # noqa: ANN401 - any field
    """Return an event of October 2026, told like `05 09:00`, that was recorded when it happened."""
    units, recorded, number = data.pop("sender_units", None), data.pop("recorded", at), data.pop("number", kind)
    of = {name: _at(value) if name in {"due_at", "time"} else value for name, value in data.items()}
    return {
        "specversion": "1.0", "id": number, "source": SOURCE, "type": f"vn.motcua.dossier.{kind}", "subject": "H37-1",
        "time": _at(at), "data": of, "recorded_at": _at(recorded), "position": 1, "sender_units": units,
    }  # fmt: skip


def _at(told: str) -> str:
    day, _, hour = told.rpartition(" ")
    return f"{day if '-' in day else f'2026-10-{day}'}T{hour}:00+07:00"


def _receipt(at: str = "05 09:00", due_at: str | None = "07 17:00", **data: Any) -> Json:  # noqa: ANN401 - any field
    usual: Json = {"procedure": "limitless", "receiving_unit": "05977", "channel": "counter"}
    return _told("received", at, **usual | ({"due_at": due_at} if due_at else {}) | data)


_SORRY = _told("extended", "06 09:00", due_at="09 17:00")
_RECEIVED = {"received": 1, "received_counter": 1}
_EARLY = {"resolved": 1, "resolved_early": 1, "ended_early": 1, "ended_in_time": 1, "within_extension": 1}
_MET = {"fell_due": 1, "fell_due_met": 1}
_LATE = {"resolved": 1, "resolved_late": 1, "ended_late": 1, "fell_due": 1, "overdue_by_fact": 1}
_WITHIN = {"pending": 1, "pending_within": 1, "pending_in_time": 1}
_OVERDUE = {"pending": 1, "pending_overdue": 1, "fell_due": 1, "overdue_by_fact": 1}
_WITHOUT_DUE = {"resolved": 1, "resolved_without_due": 1, "ended_without_due": 1}

_LIVES: Mapping[str, tuple[Sequence[Json], Mapping[str, int]]] = {
    "resolved the day before": (
        [_receipt(), _told("resolved", "06 10:00", outcome="approved")],
        {**_RECEIVED, **_EARLY, **_MET},
    ),
    "resolved on the due day, after the hour": (
        [_receipt(due_at="07 11:00"), _told("resolved", "07 16:00", outcome="refused")],
        {**_RECEIVED, "resolved": 1, "resolved_on_time": 1, "ended_on_time": 1, "within_extension": 1, **_MET},
    ),
    "late, with an apology that was kept": (
        [_receipt(), _SORRY, _told("resolved", "08 09:00", outcome="approved")],
        {**_RECEIVED, **_LATE, "late_with_apology": 1, "within_extension": 1},
    ),
    "late, with an apology that was not": (
        [_receipt(), _SORRY, _told("resolved", "12 09:00", outcome="approved")],
        {**_RECEIVED, **_LATE, "late_with_apology": 1},
    ),
    "in time, and recorded two days after the due day": (
        [_receipt(), _told("resolved", "06 10:00", recorded="09 08:00", outcome="approved")],
        {**_RECEIVED, **_EARLY, **_MET, "overdue_by_data": 1},
    ),
    "all recorded at once, afterwards": (
        [_receipt(recorded="09 08:00"), _told("resolved", "06 10:00", recorded="09 08:00", outcome="approved")],
        {**_RECEIVED, **_EARLY, **_MET},
    ),
    "withdrawn before it was due": (
        [_receipt(), _told("withdrawn", "06 10:00")],
        {**_RECEIVED, "withdrawn": 1, "ended_early": 1, "ended_in_time": 1},
    ),
    "stopped when it was overdue": (
        [_receipt(), _told("stopped", "08 10:00")],
        {**_RECEIVED, "stopped": 1, "ended_late": 1, "fell_due": 1, "overdue_by_fact": 1},
    ),
    "declined in the hour before its receipt": (
        [_told("declined", "05 08:00"), _receipt(), _told("rated", "06 09:00", score=5)],
        {"declined_before_receipt": 1},
    ),
    "declined after its receipt": (
        [_receipt(), _told("declined", "05 10:00")],
        {**_RECEIVED, "declined": 1, "ended_early": 1, "ended_in_time": 1},
    ),
    "resolved before its receipt": (
        [_told("resolved", "2026-09-30 10:00", outcome="approved"), _receipt()],
        {**_RECEIVED, **_EARLY, **_MET},
    ),
    "carried over and overdue": (
        [_receipt("2026-09-20 09:00", "10 17:00")],
        {"carried_over": 1, **_OVERDUE},
    ),
    "not due in the period": (
        [_receipt(due_at="2026-11-03 17:00")],
        {**_RECEIVED, **_WITHIN},
    ),
    "paused before it fell due": (
        [_receipt(due_at="08 17:00"), _told("paused", "08 10:00", reason="verification")],
        {**_RECEIVED, **_WITHIN},
    ),
    "paused when it was overdue": (
        [_receipt(), _told("paused", "08 10:00", reason="verification")],
        {**_RECEIVED, **_OVERDUE},
    ),
    "paused over two working hours of a day of rest and work": (
        # A Saturday and the Monday until 09:00: due on Monday at 17:00, and so on Tuesday at 09:00.
        [
            _receipt(due_at="12 17:00"),
            _told("paused", "10 08:00", reason="verification"),
            _told("resumed", "12 09:00"),
            _told("resolved", "13 08:45", outcome="approved"),
        ],
        {**_RECEIVED, "resolved": 1, "resolved_on_time": 1, "ended_on_time": 1, "ended_in_time": 1,
         "within_extension": 1, **_MET},
    ),
    "asked for the second time, the first time for an hour": (
        [
            _receipt(due_at="2026-11-27 17:00"),
            _told("supplement_requested", "06 09:00", number="first"),
            _told("supplemented", "06 10:00"),
            _told("supplement_requested", "08 09:00", number="second"),
        ],
        {**_RECEIVED, "pending": 1, "pending_within": 1, "awaiting_supplement": 1},
    ),
    "asked for the second time, without a due date": (
        [
            _receipt(due_at=None),
            _told("supplement_requested", "06 09:00", number="first"),
            _told("supplement_requested", "08 09:00", number="second"),
        ],
        {**_RECEIVED, "pending": 1, "pending_without_due": 1, "awaiting_supplement": 1},
    ),
    "resolved without a due date": (
        [_receipt(due_at=None), _told("returned", "06 09:00", channel="counter")],
        {**_RECEIVED, **_WITHOUT_DUE},
    ),
    "five working days and two for the mountains": (
        # Received in a mountain commune on a Monday, due on the Wednesday of the week after.
        [
            _receipt(due_at=None, procedure="days", receiving_unit="06001"),
            _told("resolved", "14 16:59", outcome="approved"),
        ],
        {**_RECEIVED, "fee_due": 1, "resolved": 1, "offered_full_online": 1, "resolved_on_time": 1, "ended_on_time": 1,
         "ended_in_time": 1, "within_extension": 1, **_MET},
    ),
    "paid thrice, once of which was given back": (
        [
            _receipt(due_at=None, channel="online"),
            _told("paid", "05 10:00", number="1", amount=20, method="online"),
            _told("paid", "05 11:00", number="2", amount=20, method="online"),
            _told("paid", "05 12:00", number="3", amount=50, method="cash"),
            _told("refunded", "05 13:00", amount=20),
        ],
        {"received": 1, "received_online": 1, "fee_due": 1, "paid_online": 1, "payments": 2, "payments_online": 1,
         "pending": 1, "pending_without_due": 1},
    ),
    "online from end to end": (
        [
            _receipt(due_at=None, channel="online", online_level="full"),
            _told("resolved", "06 09:00", outcome="approved", result="both", reused_data=True, digitised=True),
            _told("returned", "2026-11-02 09:00", channel="postal"),
            _told("rated", "2026-10-31 10:00", score=4),
        ],
        {"received": 1, "received_online": 1, **_WITHOUT_DUE, "full_online": 1, "offered_full_online": 1,
         "full_online_of_offered": 1, "electronic_result": 1, "reused_data": 1, "digitised": 1, "rated": 1,
         "satisfied": 1},
    ),
    "received by post, as a correction says, and open again, as a retraction says": (
        [
            _receipt(due_at="2026-11-03 17:00"),
            _told("corrected", "06 09:00", event_id="received", channel="postal"),
            _told("resolved", "06 10:00", outcome="approved"),
            _told("retracted", "07 10:00", event_id="resolved", reason="a mistake"),
        ],
        {"received": 1, "received_postal": 1, **_WITHIN},
    ),
    "voided": ([_receipt(), _told("voided", "06 09:00", reason="a test")], {}),
    "never received": ([_told("resolved", "06 10:00", outcome="approved")], {}),
    "ended by a unit that has no part in it": (
        [_receipt(due_at="2026-11-03 17:00"), _told("stopped", "06 10:00", sender_units=["05983"])],
        {**_RECEIVED, **_WITHIN},
    ),
}  # fmt: skip


def test_the_oracle_shares_no_code_with_the_services() -> None:
    modules = list(Path(oracle.__file__).parent.glob("*.py"))

    assert len(modules) > 1
    assert not any(
        "services" in line for module in modules for line in module.read_text().splitlines() if "import" in line
    )


@pytest.mark.parametrize("life", _LIVES)
def test_the_oracle_counts_what_was_counted_by_hand(life: str) -> None:
    events, expected = _LIVES[life]

    counted = oracle.counts(
        oracle.frame(events, _BY_HAND), _BY_HAND, period=_OCTOBER, today=_TODAY, role="receiving", by="none"
    )

    assert {name: counted[None][name] for name in oracle.COUNTS if counted[None][name]} == expected


def test_of_a_running_period_the_oracle_takes_what_was_until_today() -> None:
    due_today = oracle.frame([_receipt(due_at="22 17:00")], _BY_HAND)

    def fallen_due(today: date, last: date = _OCTOBER[1]) -> tuple[int, int]:
        period = (_OCTOBER[0], last)
        counted = oracle.counts(due_today, _BY_HAND, period=period, today=today, by="none")[None]
        return counted["fell_due"], counted["pending_overdue"]

    assert fallen_due(date(2026, 10, 4)) == (0, 0)
    assert fallen_due(date(2026, 10, 22)) == (0, 0)
    assert fallen_due(date(2026, 10, 22), last=date(2026, 10, 22)) == (0, 0)
    assert fallen_due(date(2026, 10, 23)) == (1, 1)
    # What has not begun is taken at its word.
    assert fallen_due(date(2026, 9, 30)) == (1, 1)


def test_the_oracle_counts_former_units_as_they_were_or_for_those_that_stand_for_them_today() -> None:
    former = oracle.frame([_receipt("2025-06-30 09:00", "2026-10-07 17:00", receiving_unit="05980")], _BY_HAND)

    def rows(role: oracle.Role, boundaries: oracle.Boundaries) -> set[Any]:
        return set(
            oracle.counts(former, _BY_HAND, period=_OCTOBER, today=_TODAY, role=role, by="unit", boundaries=boundaries)
        )

    assert rows("receiving", "historical") == rows("resolving", "historical") == {("05980", "2004-01-01")}
    assert rows("receiving", "current") == rows("resolving", "current") == {("05977", "2025-07-01")}


def test_the_oracle_tells_each_row_apart() -> None:
    known = oracle.frame(
        [_receipt("05 09:00", procedure="days"), _told("resolved", "09 10:00", outcome="approved")], _BY_HAND
    )

    def received(by: oracle.By) -> dict[Any, int]:
        counted = oracle.counts(known, _BY_HAND, period=(date(2026, 9, 29), date(2026, 10, 6)), today=_TODAY, by=by)
        return {key: row["received"] for key, row in counted.items() if row["received"]}

    assert received("field") == {"land": 1}
    assert received("procedure") == {"days": 1}
    assert received("channel") == {"counter": 1}
    assert received("day") == {date(2026, 10, 5): 1}
    assert received("month") == {date(2026, 10, 1): 1}


# --- Dossier by dossier -----------------------------------------------------------------------------------------------

_LIVES_FOLDED = 1_500
_PERIODS_COUNTED = 25


def _some_period(random: Random, around: date) -> tuple[date, date]:
    first = around + timedelta(days=random.randrange(-45, 75))
    return first, first + timedelta(days=random.choice([0, 1, 6, 20, 30, 91]))


def _recorded(random: Random, code: str) -> list[Json]:
    """Draw a life and when it was recorded: each event at once, a while later or long afterwards, or all together."""
    lags = [timedelta(), timedelta(minutes=30), timedelta(hours=5), _DAY, 3 * _DAY, 40 * _DAY]
    life = drawn.life(random, code, drawn.MERGER - 15 * _DAY, 30)
    recorded = [datetime.fromisoformat(sent.event["time"]) + random.choice(lags) for sent in life]
    if random.random() < 0.3:
        recorded = [max(recorded)] * len(life)
    return [
        sent.event | {"position": position, "recorded_at": at.isoformat(), "sender_units": drawn.SENDERS[sent.sender]}
        for position, (sent, at) in enumerate(zip(life, recorded, strict=True))
    ]


_DRAWN = drawn.procedures(date(2025, 7, 10))
_KNOWN = _known(_DRAWN, drawn.MERGER)
_CATALOGUE = catalogue(
    reference.units(PROVINCE), [Procedure.model_validate(entry) for entry in _DRAWN], reference.calendar()
)
_SAME_NAMES = (
    "procedure", "field", "channel", "receiving_unit", "resolving_unit", "received_at", "received_on",
    "receipt_recorded_at", "due_at", "due_on", "extended_due_on", "paused_at", "status", "ended_at", "ended_on",
    "end_recorded_at", "fee_due", "payments", "payments_online", "online_level", "result", "reused_data", "digitised",
    "rated_on", "score",
)  # fmt: skip


def _folded(code: str, events: Iterable[Json]) -> Standing:
    """Return how the dossier service says that the dossier stands."""
    occurrences = []
    for told in events:
        event = EVENT.validate_json(orjson.dumps({name: told[name] for name in _SENT}))
        units, recorded_at = told["sender_units"], datetime.fromisoformat(told["recorded_at"])
        limited = None if units is None else frozenset(units)
        occurrences.append(
            Occurrence(told["position"], recorded_at, event.source, event.id, event.time, event.data, limited)
        )
    return lifecycle.fold(code, occurrences, _CATALOGUE)


_SENT = ("specversion", "id", "source", "type", "subject", "time", "data")


def test_every_kind_of_event_is_drawn_for_the_oracle() -> None:
    assert {f"vn.motcua.dossier.{kind}" for kind in lives.KINDS} == set(DATA_OF_TYPE) == drawn.TYPES


def test_each_dossier_stands_and_counts_as_the_oracle_says() -> None:
    random = Random(1)
    events = {code: _recorded(random, code) for code in (f"H37-{n}" for n in range(_LIVES_FOLDED))}
    periods = [_some_period(random, drawn.MERGER) for _ in range(_PERIODS_COUNTED)]

    standings = {code: _folded(code, life) for code, life in events.items()}

    for code, standing in standings.items():
        assert _told_by(standing) == _expected(code, events[code]), events[code]
    frame = oracle.frame((event for life in events.values() for event in life), _KNOWN)
    for period in periods:
        today = random.choice([date(2026, 7, 1), *period, period[0] + 3 * _DAY, period[0] - _DAY])
        expected = oracle.dossiers(frame, _KNOWN, period=period, today=today, role="receiving")
        for name, counted in _counted(standings, Cut.of(Period("some", *period), today)).items():
            wrong = sorted(counted.items() ^ expected[name].items())
            assert not wrong, (name, period, today, wrong[:4], events[wrong[0][0]])


def _told_by(standing: Standing) -> Json | None:
    """Return of a standing what the oracle tells too."""
    if standing.received_on is None or standing.status == "voided":
        return None
    versions = {"receiving_since": standing.receiving_unit_since, "resolving_since": standing.resolving_unit_since}
    days = {name: day and day.isoformat() for name, day in versions.items()}
    return {name: getattr(standing, name) for name in _SAME_NAMES} | days


def _expected(code: str, events: Sequence[Json]) -> Json | None:
    life = lives.life(code, events, _KNOWN)
    return life and {name: life[name] for name in (*_SAME_NAMES, "receiving_since", "resolving_since")}


def _counted(standings: Mapping[str, Standing], cut: Cut) -> Mapping[str, Mapping[str, int]]:
    """Return for each count the dossiers that the metrics service counts in it for the units that received them."""
    found: dict[str, dict[str, int]] = {name: {} for name in vectors.NAMES}
    for code, standing in standings.items():
        if standing.receiving_unit_since is not None:
            for name, number in zip(vectors.NAMES, vectors.of_dossier(tally.counted(standing), cut), strict=True):
                if number:
                    found[name][code] = number
    return found


# --- The whole system -------------------------------------------------------------------------------------------------

_LIVES_SERVED = 360
_QUESTIONS_A_ROUND = 20
_ONLY = ({"field": "land"}, {"procedure": "calendar"}, {"channel": "online"}, {"channel": "counter"})
_BYS: Sequence[oracle.By] = ("unit", "unit", "unit", "field", "procedure", "channel", "day", "week", "month", "none")


class _Recording:
    """Posts drawn lives as their senders would, and remembers who sent what of that was accepted."""

    def __init__(self, system: System) -> None:
        self._clients = {name: system.client(name=name, units=units) for name, units in drawn.SENDERS.items()}
        self._senders: dict[str, str] = {}
        self.position = "0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    def post(self, random: Random, sent: Sequence[drawn.Sent]) -> None:
        """Post in any order and in portions of any size, some of it twice."""
        arriving = random.sample([*sent, *random.sample(sent, len(sent) // 10)], k=len(sent) + len(sent) // 10)
        while arriving:
            size = random.choice([1, 10, 100, 400])
            portion, arriving = arriving[:size], arriving[size:]
            for name, client in self._clients.items():
                events = [one.event for one in portion if one.sender == name]
                if not events:
                    continue
                answer = client.post("/v1/events", params={"results": "all"}, json=events).raise_for_status().json()
                assert answer["conflict"] == 0
                accepted = [result["id"] for result in answer["results"] if result["status"] == "accepted"]
                self._senders |= dict.fromkeys(accepted, name)
                self.position = max(self.position, answer["position"], key=int)

    def recorded(self) -> Iterator[Json]:
        """Yield what the log holds, as it says itself when it was recorded, with the limits of who sent it."""
        after = "0"
        while True:
            params: dict[str, Any] = {"after": after, "limit": 1000}
            items = self._clients["province"].get("/v1/events", params=params).raise_for_status().json()["items"]
            yield from (item | {"sender_units": drawn.SENDERS[self._senders[item["id"]]]} for item in items)
            if not items:
                return
            after = items[-1]["position"]


def test_what_is_served_is_what_the_oracle_counts(system: System) -> None:
    random, around = Random(1), vietnamese_day(clock.now())
    procedures = drawn.procedures(around - timedelta(days=20))
    known = _known([*procedures, *_PROCEDURES], around)
    # Around the merger, and before and around today, when some of these are due.
    spans: Sequence[Any] = [(drawn.MERGER - 45 * _DAY, 80), (around - 70 * _DAY, 80), (around - 10 * _DAY, 12, around)]
    happened = [sent for n in range(_LIVES_SERVED) for sent in drawn.life(random, f"H37-{n}", *random.choice(spans))]
    random.shuffle(happened)
    questions: list[_Question] = []
    with _Recording(system) as recording, system.client(name="asking") as client:
        client.put("/v1/procedures", json=procedures).raise_for_status()
        # The second time lives go on, whose first half was counted and asked about.
        for arriving in (happened[: len(happened) // 2], happened[len(happened) // 2 :]):
            recording.post(random, arriving)

            dossiers = oracle.frame(recording.recorded(), known)
            asked_before = random.sample(questions, len(questions) // 2)
            questions = [_question(random, around) for _ in range(_QUESTIONS_A_ROUND)]
            for question in (*asked_before, *questions):
                _compare(client, recording.position, question, question.of(dossiers), known)
                _follow(client, random, question, question.of(dossiers), known)


@dataclass(frozen=True, slots=True)
class _Question:
    period: tuple[date, date]
    role: oracle.Role
    by: oracle.By
    boundaries: oracle.Boundaries
    only: Mapping[str, str]
    """The field, procedure or channel of the dossiers that are asked about, if they are not all."""

    def params(self) -> dict[str, str]:
        label = "..".join(day.isoformat() for day in self.period)
        return {"period": label, "role": self.role, "boundaries": self.boundaries, **self.only}

    def of(self, dossiers: pl.DataFrame) -> pl.DataFrame:
        return dossiers.filter(**self.only)

    def asked(self, today: date) -> Any:  # noqa: ANN401 - arguments of the oracle
        return {"period": self.period, "today": today, "role": self.role, "boundaries": self.boundaries}


def _question(random: Random, around: date) -> _Question:
    """Draw a question about the merger of units, about days before or after today, or about a period that runs."""
    running = around - random.randrange(40) * _DAY, around + random.choice([0, 1, 30]) * _DAY
    period = random.choice([_some_period(random, drawn.MERGER), _some_period(random, around - 15 * _DAY), running])
    boundaries: Sequence[oracle.Boundaries] = ("current", "historical")
    roles: Sequence[oracle.Role] = ("resolving", "receiving")
    only = random.choice(_ONLY) if random.random() < 0.3 else {}
    return _Question(period, random.choice(roles), random.choice(_BYS), random.choice(boundaries), only)


def _compare(
    client: httpx.Client, position: str, question: _Question, dossiers: pl.DataFrame, known: oracle.Known
) -> None:
    """Hold the rows and the total of an answer against the oracle."""
    params = question.params() | {"by": question.by, "min_position": position}
    answer, today = _answer(client, "/v1/rates", params)
    expected = oracle.counts(dossiers, known, **question.asked(today), by=question.by)
    (total,) = oracle.counts(dossiers, known, **question.asked(today), by="none").values()
    rows = {_key(row, question.by): row for row in answer["rows"]}
    if question.by != "none":
        assert expected.keys() <= rows.keys(), question
    nothing = dict.fromkeys((*oracle.COUNTS, *oracle.PROCEDURES), 0)
    for key, row in rows.items():
        assert _differences(row, expected.get(key, nothing)) == {}, (question, key)
    assert _differences(answer["total"], total | oracle.catalogue(known, question.period, today)) == {}, question


def _differences(figures: Mapping[str, Any], expected: Mapping[str, int]) -> Mapping[str, tuple[Any, Any]]:
    """Return what is told otherwise than the oracle tells it, and hold the identities of what is told."""
    counts, rates = figures["counts"], figures["rates"]
    fractions = {name: (rate["numerator"], rate["denominator"]) for name, rate in rates.items()}
    told = {**counts, **{f"rate {name}": fraction for name, fraction in fractions.items()}}
    right = {**expected, **{f"rate {name}": fraction for name, fraction in oracle.rates(expected).items()}}
    assert {*oracle.COUNTS, *(f"rate {name}" for name in oracle.RATES)} <= told.keys()
    _hold_identities(counts)
    return {name: (told[name], right[name]) for name in told.keys() & right.keys() if told[name] != right[name]}


def _answer(client: httpx.Client, path: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], date]:
    """Return the answer and the day on which it was given, which was none on its way to the next."""
    while True:
        today = vietnamese_day(clock.now())
        answered = client.get(path, params=params)
        if today == vietnamese_day(clock.now()):
            return answered.raise_for_status().json(), today


def _key(row: Mapping[str, Any], by: oracle.By) -> Any:  # noqa: ANN401 - whatever the oracle calls a row
    match by:
        case "unit":
            return row["unit"]["code"], row["unit"]["valid_from"]
        case "day" | "week" | "month":
            return date.fromisoformat(row[by]["from"])
        case _:
            told = row[by]
            return told["code"] if isinstance(told, dict) else told


def _hold_identities(counts: Mapping[str, int]) -> None:
    def sum_of(*names: str) -> int:
        return sum(counts[name] for name in names)

    ended = ("resolved", "withdrawn", "stopped", "declined")
    timings = ("early", "on_time", "late", "without_due")
    assert sum_of("received", "carried_over") == sum_of(*ended, "pending")
    assert sum_of("received") == sum_of("received_counter", "received_online", "received_postal")
    assert sum_of("resolved") == sum_of(*(f"resolved_{timing}" for timing in timings))
    assert sum_of(*ended) == sum_of(*(f"ended_{timing}" for timing in timings))
    assert sum_of("pending") == sum_of("pending_within", "pending_overdue", "pending_without_due")
    assert sum_of("fell_due") == sum_of("fell_due_met", "overdue_by_fact")
    assert min(counts.values()) >= 0


_FIGURES = [(f"rates/{rate}", side, names) for rate, sides in oracle.RATES.items() for side, names in zip(
    ("numerator", "denominator"), sides, strict=True
)] + [(f"counts/{name}", None, (name,)) for name in oracle.COUNTS]  # fmt: skip


def _follow(
    client: httpx.Client, random: Random, question: _Question, dossiers: pl.DataFrame, known: oracle.Known
) -> None:
    """Hold the dossiers behind some figures of a unit, named by its code alone, against those the oracle counted."""
    counted = oracle.counts(dossiers, known, **question.asked(vietnamese_day(clock.now())))
    if not counted:
        return
    unit = random.choice(sorted({code for code, _ in counted}))
    behind_on: dict[date, Mapping[str, Mapping[str, int]]] = {}
    for path, side, names in random.sample(_FIGURES, 4):
        limit = {"limit": random.choice(["5", "100", "100"])}
        params = question.params() | {"unit": unit} | limit | ({} if side is None else {"side": side})
        items: list[Json] = []
        while True:
            page, today = _answer(client, f"/v1/{path}/dossiers", params)
            items += page["items"]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        if today not in behind_on:
            behind_on[today] = oracle.dossiers(dossiers, known, **question.asked(today), unit=unit)
        behind = behind_on[today]
        times: Counter[str] = Counter()
        for name in names:
            if name.startswith("-"):
                times.subtract(behind[name[1:]])
            else:
                times.update(behind[name])
        expected = {code: number for code, number in times.items() if number}
        assert {item["code"]: item["times"] for item in items} == expected, (question, unit, path, side)
        assert [item["code"] for item in items] == sorted(expected)
        assert page["total"] == sum(expected.values())
