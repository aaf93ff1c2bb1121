"""Which dossiers come in, when, where and by which channel is drawn here, day by day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from services.cli.simulation.habits import (
    Habits,
    Offer,
    Urn,
    draw,
    habits,
    happens,
    offers,
    urn,
)
from services.cli.simulation.officehours import OfficeHours, is_working, office_hours
from services.cli.simulation.scenario import Scenario, units_in_force
from services.contract import Channel

WEEKDAYS = (1.3, 1.1, 1.0, 0.95, 0.9, 0.5, 0.5)
"""How busy a day is, from Monday on; the last two count only where a weekend day is worked in exchange."""

FORWARDED = 0.06
"""Of the dossiers received in communes, those that a department resolves."""

EARLY_RISERS = 0.08
"""Of the dossiers submitted out of hours, those submitted before the offices open."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A dossier comes in at the unit with these `habits`; `submitted_at` is known of online dossiers only."""

    received_at: datetime
    submitted_at: datetime | None
    habits: Habits
    offer: Offer
    resolving: Habits
    channel: Channel


@dataclass(frozen=True, slots=True)
class Province:
    """What the scenario's units and procedures come to, ready to draw from."""

    hours: OfficeHours
    by_code: dict[str, Habits]
    units: Urn[Habits]
    commune_offers: Urn[Offer]
    department_offers: Urn[Offer]
    offers_of: dict[str, Urn[Offer]]


def province_of(scenario: Scenario) -> Province:
    """Return the scenario's province; a ValueError says what the scenario lacks."""
    units = units_in_force(scenario)
    for_communes, for_departments = offers(scenario, units, "commune"), offers(scenario, units, "department")
    everyone = habits(scenario, for_departments)
    offers_of = {
        unit.code: urn((offer, weight) for offer, weight in for_departments if unit.code in offer.departments)
        for unit in units
        if unit.kind == "department"
    }
    busy = [(one, one.weight) for one in everyone if offers_of.get(one.unit.code, for_communes)]
    if not busy or (not for_communes and any(one.unit.kind == "commune" for one in everyone)):
        msg = "the scenario has no unit in force with traffic of its level"
        raise ValueError(msg)
    # The line of office hours reaches past the longest limit, which may be counted anew twice, the longest pauses, the
    # latest delay and the last collection.
    limits = [
        max([limit.amount for limit in [procedure.limit, *procedure.limits_by_channel.values()] if limit], default=0)
        + procedure.mountain_extra_days
        for procedure in (offer.procedure for offer, _ in for_communes + for_departments)
    ]
    ahead = timedelta(days=4 * max(limits, default=0) + 240)
    return Province(
        hours=office_hours(scenario.first_day - timedelta(days=30), scenario.last_day + ahead, scenario.calendar),
        by_code={one.unit.code: one for one in everyone},
        units=urn(busy),
        commune_offers=urn(for_communes),
        department_offers=urn((offer, weight) for offer, weight in for_departments if offer.departments),
        offers_of=offers_of,
    )


def counts_by_day(scenario: Scenario, hours: OfficeHours, rng: Random) -> list[tuple[date, int]]:
    """Share the dossiers out among the working days, exactly, by largest remainder."""
    span = range(scenario.first_day.toordinal(), scenario.last_day.toordinal() + 1)
    days = [day for day in map(date.fromordinal, span) if is_working(hours, day)]
    if not days:
        msg = "the scenario has no working day on which a dossier could be received"
        raise ValueError(msg)
    weights = [WEEKDAYS[day.weekday()] * rng.uniform(0.94, 1.06) for day in days]
    shares = [scenario.dossiers * weight / sum(weights) for weight in weights]
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(days)), key=lambda i: (counts[i] - shares[i], i))
    for i in by_remainder[: scenario.dossiers - sum(counts)]:
        counts[i] += 1
    return list(zip(days, counts, strict=True))


def received_on(day: date, province: Province, rng: Random) -> Receipt:
    """Draw one dossier that is received on a working day."""
    receiving = resolving = draw(province.units, rng)
    if receiving.unit.kind == "department":
        offer = draw(province.offers_of[receiving.unit.code], rng)
    elif province.department_offers.things and happens(FORWARDED, rng):
        offer = draw(province.department_offers, rng)
        resolving = province.by_code[offer.departments[int(rng.random() * len(offer.departments))]]
    else:
        offer = draw(province.commune_offers, rng)
    channel = _channel(receiving, offer, rng)
    midnight = province.hours.midnights[province.hours.index[day]]
    if channel != "online":
        return Receipt(midnight + _at_the_counter(rng), None, receiving, offer, resolving, channel)
    received_at, submitted_at = _accepted_online(midnight, province.hours, rng)
    return Receipt(received_at, submitted_at, receiving, offer, resolving, channel)


def _channel(receiving: Habits, offer: Offer, rng: Random) -> Channel:
    chance = rng.random()
    if chance < receiving.postal:
        return "postal"
    if offer.procedure.online_level != "none" and chance < receiving.postal + receiving.online * (1 - receiving.postal):
        return "online"
    return "counter"


def _at_the_counter(rng: Random) -> timedelta:
    """Return a time of day when the counter is open, 07:30-11:00 or 14:00-16:30, mostly about 08:30 and 14:30."""
    in_the_morning = happens(0.64, rng)
    if in_the_morning:
        return timedelta(minutes=450, seconds=int(12_600 * _early(rng)))
    return timedelta(minutes=840, seconds=int(9_000 * _early(rng)))


def _early(rng: Random) -> float:
    """Return a share of a span that is likeliest near its first third."""
    return (rng.random() + rng.random() * rng.random()) / 2


def _accepted_online(midnight: datetime, hours: OfficeHours, rng: Random) -> tuple[datetime, datetime]:
    """Return when an online dossier is accepted and when it was submitted, at any hour of any day before."""
    during_the_day = happens(0.62, rng)
    if during_the_day:
        received_at = midnight + _at_the_counter(rng)
        return received_at, received_at - timedelta(seconds=120 + int(6_600 * rng.random()))
    received_at = midnight + timedelta(minutes=455, seconds=int(7_200 * rng.random() * rng.random()))
    if happens(EARLY_RISERS, rng):
        return received_at, midnight + timedelta(minutes=300, seconds=int(8_700 * rng.random()))
    before = hours.midnights[hours.index[midnight.date()] - 1]
    evening = before + timedelta(days=int(rng.random() * (midnight - before).days))
    if evening == before:
        # After the day's work, with a bump about half past eight.
        return received_at, evening + timedelta(minutes=1_020, seconds=int(25_000 * (rng.random() + rng.random()) / 2))
    return received_at, evening + timedelta(minutes=480, seconds=int(54_000 * max(rng.random(), rng.random())))
