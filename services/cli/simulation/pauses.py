"""A dossier's clock stands still while others are to act, and an authority apologises for the delay it foresees."""

from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import Any

from services.cli.simulation.habits import Urn, draw, happens, urn
from services.cli.simulation.life import Course, Kind, counted, day_after_due, limit_of
from services.cli.simulation.officehours import WHOLE_DAY, close, instant, place, pushed
from services.cli.simulation.scenario import Incidents
from services.contract import PauseReason

REPEATED = 0.06
"""Of the supplements, those after which the citizen is asked once more, which the law does not allow."""

REAPPOINTED = 0.5
"""Of the ends of a pause, those at which the new appointment is named; the others leave it to the system to count."""

TOLD_TOO_LATE = 0.1
"""Of the apologies, those told on the due day itself instead of the day before."""

INCOMPLETE = "Thành phần hồ sơ chưa đầy đủ"

LAND = "DD"
"""The field whose dossiers wait for a tax notice to be paid."""

LAND_REASONS: Urn[PauseReason] = urn(
    [("financial_obligation", 0.8), ("public_notice", 0.12), ("obligation_assessment", 0.08)]
)
OTHER_REASONS: Urn[PauseReason] = urn([("verification", 0.6), ("appraisal", 0.2), ("violation", 0.05), ("other", 0.15)])


def interrupt(life: Course, incidents: Incidents, luck: Random) -> None:
    """Let the clock stand still where it does, and let the authority apologise for a delay that it foresees."""
    resolving, field_code = life.receipt.resolving.unit.code, life.receipt.offer.procedure.field.code
    limit = limit_of(life.receipt)
    # What is done on the spot is completed on the spot.
    if limit is None or limit.unit != "same_day":
        if happens(incidents.supplements, luck):
            _supplement(life, luck)
            if happens(REPEATED, luck):
                _supplement(life, luck)
        share, reasons = (
            (incidents.land_pauses, LAND_REASONS) if field_code == LAND else (incidents.other_pauses, OTHER_REASONS)
        )
        if happens(share, luck):
            length = int(WHOLE_DAY * (1 + 8 * luck.random()))
            _stand_still(life, length, ("paused", {"reason": draw(reasons, luck)}), "resumed", luck)
    if life.due_at and happens(incidents.foreseen if life.late else incidents.averted, luck):
        _extend(life, life.due_at, resolving, luck)


def _supplement(life: Course, luck: Random) -> None:
    length = int(WHOLE_DAY * (0.2 + 6 * luck.random() ** 2))
    _stand_still(life, length, ("supplement_requested", {"reason": INCOMPLETE}), "supplemented", luck)


def begin(life: Course, luck: Random) -> int | None:
    """Return where a pause begins, None where the dossier is done before anybody could ask for anything."""
    latest = min(life.finish, place(life.hours, life.due_at)) if life.due_at else life.finish
    span = latest - life.free - 600
    return life.free + 120 + int(0.7 * span * luck.random()) if span > 0 else None


def _stand_still(
    life: Course, length: int, opening: tuple[Kind, Mapping[str, Any]], closing: Kind, luck: Random
) -> None:
    """Let the clock stand still for so much office time; the due date and the end of processing move along."""
    began = begin(life, luck)
    if began is None:
        return
    # The citizen is asked and answers at the counter; why else the clock stands still is for who resolves to say.
    supplement = closing == "supplemented"
    opener = life.receipt.resolving.unit.code
    closer = life.receipt.habits.unit.code if supplement else opener
    was_late_by = life.finish - day_after_due(life)
    went_on = began + length
    content: dict[str, Any] = {}
    if life.due_at:
        due_at = pushed(life.hours, life.due_at, length)
        if happens(REAPPOINTED, luck):
            due_at = close(life.hours, life.hours.index[due_at.date()] + int(2 * luck.random()))
            content["due_at"] = due_at.isoformat()
        elif supplement and life.receipt.offer.procedure.restarts_after_supplement:
            due_at = counted(life.receipt, life.hours, instant(life.hours, went_on)) or due_at
        life.due_at = due_at
    life.happens_at(began, opener, *opening)
    ended = life.happens_at(went_on, closer, closing, content)
    life.dues.append((ended.occurred_at, life.due_at))
    life.free = went_on
    if life.late:
        life.finish = day_after_due(life) + was_late_by
    else:
        latest = place(life.hours, life.due_at) - 60 if life.due_at else life.finish + length
        life.finish = max(min(life.finish + length, latest), went_on + 60)


def _extend(life: Course, due_at: datetime, unit: str, luck: Random) -> None:
    """Apologise and name another day, which a late dossier keeps to: the day before the due day at the latest.

    Some are told on the due day itself, and where the due day is the first day, nobody has the time to apologise.
    """
    due_day = life.hours.index[due_at.date()]
    earliest, latest = life.free + 60, min(due_day * WHOLE_DAY, life.finish) - 60
    if happens(TOLD_TOO_LATE, luck):
        earliest, latest = max(earliest, due_day * WHOLE_DAY), min(due_day * WHOLE_DAY + WHOLE_DAY, life.finish) - 60
    if earliest >= latest:
        return
    where = latest - int((latest - earliest) * luck.random() ** 2)
    promised = close(life.hours, max(due_day + 1, life.finish // WHOLE_DAY) + int(2 * luck.random()))
    content = {"due_at": promised.isoformat(), "reason": "Cần thêm thời gian thẩm định hồ sơ"}
    life.happens_at(where, unit, "extended", content)
    life.extended_due_at = promised
    life.free = where
