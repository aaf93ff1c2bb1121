"""Random lives of dossiers: mostly what really happens, with whatever else may arrive in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from tests.oracle.reference import VIETNAM, Json

SOURCES = ("urn:example:one-stop", "urn:example:portal")
SENDERS: dict[str, Sequence[str] | None] = {"province": None, "north": ("05977", "05980"), "south": ("05983", "LS-STP")}
"""The clients that send, and the units that each is limited to."""

MERGER = date(2025, 7, 1)
"""When communes were merged, and their codes given anew."""

_FORMER, _UNITS = ("05980", "05989"), ("05977", "05983", "05986", "LS-STP")

_CHANNELS = ("counter", "online", "postal")
_NAMES = ("land", "civil")


def _procedure(code: str, amount: int | None, unit: str, **more: Any) -> Json:  # noqa: ANN401 - any field of a procedure
    limit = None if amount is None else {"amount": amount, "unit": unit}
    usual: Json = {
        "code": code, "name": code, "field": {"code": "civil", "name": "civil"}, "limit": limit,
        "limits_by_channel": {}, "mountain_extra_days": 0, "cut_off": None, "restarts_after_supplement": False,
        "fee_required": False, "online_level": "full", "valid_from": "2025-01-01", "valid_to": None, "official": False,
    }  # fmt: skip
    return usual | more


def procedures(changes_on: date) -> list[Json]:
    """Return procedures with every kind of limit, one of which is another from `changes_on` on."""
    online: Json = {"online": {"amount": 2, "unit": "working_days"}}
    land: Json = {"field": {"code": "land", "name": "land"}}
    until = (changes_on - timedelta(days=1)).isoformat()
    return [
        _procedure("days", 5, "working_days", **land, fee_required=True, mountain_extra_days=2, valid_to=until),
        _procedure("days", 3, "working_days", online_level="partial", valid_from=changes_on.isoformat()),
        _procedure("calendar", 12, "calendar_days", restarts_after_supplement=True, fee_required=True),
        _procedure("same-day", 0, "same_day", **land, mountain_extra_days=1),
        _procedure("hours", 8, "working_hours", cut_off="16:00", limits_by_channel=online),
        _procedure("limitless", None, "", online_level="none"),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """An event and which of `SENDERS` sends it."""

    sender: str
    event: Json


def life(random: Random, code: str, first: date, days: int, favoured: date | None = None) -> list[Sent]:
    """Draw the life of a dossier that is received within `days` from `first` on, in the order in which it happened.

    Appointments are often for the day `favoured`.
    """
    return _Teller(random, code, favoured).told(first + timedelta(days=random.randrange(days)))


class _Teller:
    """Tells one life; it remembers what it told, since corrections and retractions name that."""

    def __init__(self, random: Random, code: str, favoured: date | None) -> None:
        self.random, self._code, self._favoured = random, code, favoured
        self._sent: list[Sent] = []
        self._source = random.choice(SOURCES)
        self._units: Sequence[str] = _UNITS
        self._now = datetime.combine(date(2025, 1, 1), time(), VIETNAM)
        self._due_at: datetime | None = None

    def told(self, received_on: date) -> list[Sent]:
        random = self.random
        self._now = self._clock(received_on)
        if received_on < MERGER:
            self._units = (*_FORMER, *_FORMER, *_UNITS)
        kinds = ["received", *self._middle(), *self._end()]
        # Most lives are in order; some are not.
        for _ in range(random.choice([0, 0, 0, 1, 3])):
            kinds.insert(random.randrange(len(kinds) + 1), random.choice([kind for kind in _DATA if kind != "voided"]))
        for kind in kinds:
            if kind == "end":
                self._go_to_the_end()
            else:
                self._tell(kind)
                self._go_on()
        for _ in range(random.choice([0, 0, 0, 1, 2, 4])):
            self._tell(random.choice(["corrected"] * 4 + ["retracted"] * 3 + ["voided", "received"]))
        return self._sent

    def _middle(self) -> list[str]:
        random, kinds = self.random, list[str]()
        if random.random() < 0.3:
            kinds.append("forwarded")
        if random.random() < 0.4:
            kinds.append("paid")
        for _ in range(random.choice([0, 0, 1, 1, 2])):
            kinds += random.choice(
                [["supplement_requested", "supplemented"], ["supplement_requested", "supplemented"] * 2,
                 ["supplement_requested"], ["paused", "resumed"], ["paused"], ["extended"],
                 ["paid", "refunded"], ["paid", "paid", "refunded", "refunded"],
                 ["paused", "supplement_requested", "supplemented", "resumed"]]
            )  # fmt: skip
        return kinds

    def _end(self) -> list[str]:
        random = self.random
        if random.random() < 0.3:
            return []
        last = random.choice(["resolved"] * 6 + ["returned", "withdrawn", "stopped", "declined"])
        after = random.choice([[], ["returned"], ["returned", "rated"], ["rated"], ["paid"], ["extended"]])
        return ["end", last, *after]

    def _clock(self, on_day: date) -> datetime:
        hour, minute = self.random.choice([7, 8, 9, 11, 12, 14, 15, 16, 17, 20]), self.random.choice([0, 0, 20, 45])
        return datetime.combine(on_day, time(hour, minute), VIETNAM)

    def _go_on(self) -> None:
        days = self.random.choice([0, 0, 0, 1, 1, 2, 5, 9, 20])
        later = self._clock(self._now.date() + timedelta(days=days))
        # Sometimes two things happen at one instant, seldom one before the other.
        self._now = self.random.choice([later, max(later, self._now), max(later, self._now), self._now])

    def _go_to_the_end(self) -> None:
        if self._due_at is not None and self.random.random() < 0.6:
            around = self._clock(self._due_at.date() + timedelta(days=self.random.choice([-2, -1, 0, 0, 1, 3])))
            self._now = self.random.choice([around, max(around, self._now), self._due_at])

    def _tell(self, kind: str) -> None:
        random, data = self.random, _DATA[kind](self)
        if kind == "received" and "due_at" in data:
            self._due_at = datetime.fromisoformat(data["due_at"])
        source = random.choice([self._source] * 9 + [*SOURCES])
        at = self._text(self._now - timedelta(days=random.choice([0] * 19 + [8])))
        event = {
            "specversion": "1.0", "id": f"{self._code}/{len(self._sent)}", "source": source,
            "type": f"vn.motcua.dossier.{kind}", "subject": self._code, "time": at, "data": data,
        }  # fmt: skip
        self._sent.append(Sent(random.choice(["province"] * 8 + ["north", "south"]), event))

    def _text(self, at: datetime) -> str:
        return (at.astimezone(UTC) if self.random.random() < 0.2 else at).isoformat()

    # --- What each kind tells ---------------------------------------------------------------------------------------

    def later(self) -> str:
        days = self.random.choice([0, 1, 2, 4, 4, 8, 15])
        day = self._now.date() + timedelta(days=days)
        if self._favoured is not None and self.random.random() < 0.3:
            day = self._favoured
        return self._text(datetime.combine(day, time(17), VIETNAM))

    def _sometimes(self, **told: Any) -> Json:  # noqa: ANN401 - any field
        return {name: value for name, value in told.items() if self.random.random() < 0.4}

    def unit(self) -> str:
        # Seldom a code that meant another unit, or none, on that day.
        return self.random.choice(self._units if self.random.random() < 0.97 else _FORMER)

    def received(self) -> Json:
        choice = self.random.choice
        return {
            "procedure": choice(["days", "days", "calendar", "same-day", "hours", "limitless", "unknown"]),
            "receiving_unit": self.unit(), "channel": choice(_CHANNELS),
        } | self._sometimes(
            due_at=self.later(), resolving_unit=self.unit(), fee_required=choice([True, False]),
            online_level=choice(["full", "partial"]),
        )  # fmt: skip

    def appointment(self) -> Json:
        return self._sometimes(due_at=self.later())

    def pause(self) -> Json:
        return {"reason": self.random.choice(["financial_obligation", "verification"])}

    def payment(self) -> Json:
        choice = self.random.choice
        paid = {"amount": choice([0, 20, 20, 50]), "method": choice(["online", "online", "cash", "transfer"])}
        return paid | self._sometimes(platform=choice(["national", "provincial"]))

    def outcome(self) -> Json:
        choice = self.random.choice
        told: Json = {"outcome": choice(["approved", "refused"])}
        if self.random.random() < 0.8:
            told["result"] = choice(["electronic", "electronic", "both", "none", "paper"])
        return told | self._sometimes(in_person=choice([True, False]), reused_data=True, digitised=True)

    def named(self) -> str:
        events: list[str] = [sent.event["id"] for sent in self._sent] or ["none"]
        return self.random.choice([*events, events[0], events[-1], f"{self._code}/{self.random.randrange(12)}"])

    def correction(self) -> Json:
        choice, random = self.random.choice, self.random
        if random.random() < 0.5:
            fields: Json = choice(
                [{"time": self.later()}, {"due_at": self.later()}, {"due_at": None}, {"channel": choice(_CHANNELS)},
                 {"receiving_unit": self.unit()}, {"resolving_unit": None}, {"amount": 0}, {"amount": 50},
                 {"fee_required": None}, {"procedure": "calendar"}, {"time": None}, {"reason": None}]
            )  # fmt: skip
        else:
            fields = {name: value for name, value in _DATA[choice(sorted(_DATA))](self).items() if name != "event_id"}
        return {"event_id": self.named(), **fields}


_DATA: dict[str, Any] = {
    "received": _Teller.received,
    "forwarded": lambda teller: {"to_unit": teller.unit()},
    "supplement_requested": lambda _teller: {},
    "supplemented": _Teller.appointment,
    "paused": _Teller.pause,
    "resumed": _Teller.appointment,
    "paid": _Teller.payment,
    "refunded": lambda teller: {"amount": teller.random.choice([10, 20, 20, 30, 50])},
    "extended": lambda teller: {"due_at": teller.later()},
    "resolved": _Teller.outcome,
    "returned": lambda teller: {"channel": teller.random.choice(_CHANNELS)},
    "declined": lambda _teller: {},
    "withdrawn": lambda _teller: {},
    "stopped": lambda _teller: {},
    "rated": lambda teller: {"score": teller.random.randrange(1, 6)},
    "corrected": _Teller.correction,
    "retracted": lambda teller: {"event_id": teller.named(), "reason": "a mistake"},
    "voided": lambda _teller: {"reason": "a test"},
}

TYPES = {f"vn.motcua.dossier.{kind}" for kind in _DATA}
"""Every type of event that is drawn."""
