"""What a simulation is given stands here: the period, the reference data, the seed, and what goes wrong on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random

from services.cli.reference import Traffic
from services.contract import VIETNAM, CalendarDay, Procedure, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong between the counter and the system, each as a share between 0 and 1."""

    duplicates: float = 0.0
    """Events that are posted a second time, unchanged, within two days."""

    shuffled: float = 0.0
    """Dossiers whose events are held back until the last one happened, and then posted in any order."""

    offline: float = 0.0
    """Counters that post everything three days late."""

    clock_errors: float = 0.0
    """Counters whose clock is wrong by up to six hours, either way."""

    late_ends: float = 0.0
    """Units whose software posts the end of processing, and what follows, one to eight days late with its true time."""

    outages: float = 0.0
    """Counters from which nothing comes for two to six days, and then everything at once."""

    missing_ends: float = 0.0
    """Dossiers whose end, with what follows, is posted two to five weeks late, when somebody finds it missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """What departs from the usual course, each as a share between 0 and 1.

    No province publishes all of these. They are of the size that its reports suggest, and large enough that a month of
    20,000 dossiers shows every one of them.
    """

    supplements: float = 0.08
    """Of the dossiers not done on the same day, those to be completed by the citizen: about 5 % of all."""

    land_pauses: float = 0.4
    """Of the dossiers of land procedures, those that wait for a tax to be assessed or paid, or a notice to hang out."""

    other_pauses: float = 0.005
    """Of the other dossiers not done on the same day, those that wait for a verification or an expert."""

    foreseen: float = 0.6
    """Of the late dossiers, those for which the authority apologises in time; most delays can be seen coming."""

    averted: float = 0.014
    """Of the dossiers in time, those for which it apologised as well; with the late ones they make about 1 %."""

    withdrawn: float = 0.01
    declined: float = 0.007
    stopped: float = 0.003
    voided: float = 0.001
    """Tests and dossiers entered by mistake."""

    refunded: float = 0.004
    """Of the dossiers paid for, those whose citizen gets money back: about 0.2 % of all."""

    rated: float = 0.2
    """Of the dossiers resolved, those that the citizen rates; few take the time."""

    corrected: float = 0.005
    """Dossiers of which one event is told wrongly and corrected."""

    retracted: float = 0.002
    """Dossiers of which something is told that never happened, and taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A province, a period of receipts and their number; the same scenario always gives the same events.

    `units`, `procedures` and `calendar` may hold more versions than are in force on `first_day`. Nothing that happens
    after `until` is told, and dossiers unfinished by then stay pending; without it that is the end of `last_day`.
    """

    seed: int
    province: str
    first_day: date
    last_day: date
    dossiers: int
    units: Sequence[Unit]
    procedures: Sequence[Procedure]
    traffic: Sequence[Traffic]
    calendar: Sequence[CalendarDay] = ()
    until: datetime | None = None
    incidents: Incidents = field(default_factory=Incidents)
    faults: Faults = field(default_factory=Faults)


def told_until(scenario: Scenario) -> datetime:
    """Return the last instant of which the scenario tells."""
    if scenario.until is not None:
        return scenario.until.astimezone(VIETNAM)
    return datetime.combine(scenario.last_day, time(), VIETNAM) + timedelta(days=1, seconds=-1)


def units_in_force(scenario: Scenario) -> list[Unit]:
    """Return the communes and departments in force on the first day, by code."""
    day = scenario.first_day
    in_force = (unit for unit in scenario.units if unit.valid_from <= day and (unit.valid_to or day) >= day)
    return sorted((unit for unit in in_force if unit.kind != "province"), key=lambda unit: unit.code)


def procedures_in_force(scenario: Scenario) -> dict[str, Procedure]:
    """Return the procedures in force on the first day under their codes."""
    day = scenario.first_day
    return {p.code: p for p in scenario.procedures if p.valid_from <= day and (p.valid_to or day) >= day}


def stream(scenario: Scenario, *purpose: str) -> Random:
    """Return the scenario's own source of chance for a purpose, so that a change in one leaves the others as they were.

    A text seeds `Random` by its SHA-512, which is the same in every process, unlike `hash()`.
    """
    return Random(":".join([str(scenario.seed), scenario.province, *purpose]))  # noqa: S311 - imitation, not secrecy
