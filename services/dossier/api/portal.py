"""Software that syncs with the national portal is taken in here: a vendor changes a URL and a key, and nothing else."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.contract import Grant
from services.dossier import judging, wire
from services.dossier.api import documents, edge
from services.dossier.domain.history import Occurrence
from services.dossier.judging import Result
from services.dossier.portal import dossiers, envelope, plan, progress, units
from services.dossier.portal.envelope import Envelope, Reading, Refused, Service, Unmapped
from services.dossier.portal.plan import Planned
from services.dossier.state import State
from services.dossier.store import log
from services.kit import body, clock, door

# With about five facts a record this is half of one commit: long enough to share its cost, short enough that reading
# the records keeps nobody else waiting.
_RECORDS_AT_ONCE = 100

# Two requests may bring the same new fact at once; the loser looks again and finds it recorded.
_ATTEMPTS = 3

_OK, _INCOMPLETE, _EXISTS = "0", "1", "3"
_MESSAGES: Mapping[str, str] = {
    _OK: "Đã tiếp nhận.",
    _INCOMPLETE: "Có nội dung chưa ghi nhận được; xem result.unmapped và result.errors.",
    _EXISTS: "Hồ sơ đã tồn tại với nội dung khác; hãy gửi lại với isUpdating=True.",
}

_Unit = Annotated[str | None, Query(alias="MaDinhDanhDV", description="Goes over `madonvi` of the envelope.")]
_Updating = Annotated[str | None, Query(alias="isUpdating", description="Goes over `isUpdating` of the envelope.")]


@dataclass(slots=True)
class _Outcome:
    """What became of a request so far."""

    records: int
    dropped_fields: int = 0
    recorded: int = 0
    corrected: int = 0
    duplicate: int = 0
    position: int = 0
    unmapped: list[Unmapped] = field(default_factory=list)
    existing: list[dict[str, object]] = field(default_factory=list)
    rejected: list[dict[str, object]] = field(default_factory=list)
    refused_records: set[int] = field(default_factory=set)


def router(state: State) -> APIRouter:
    """Return the two routes of the national portal's sync service."""
    # A query parameter that is not known is passed over: the portal's own address has some that mean nothing here.
    routes = APIRouter()
    granted = Annotated[Grant, Depends(door.grant_reader(state.internal_key))]

    @routes.post("/v1/national-portal/DongBoHoSoMC", **documents.PORTAL_DOSSIERS_DOC)
    async def sync_dossiers(
        request: Request, grant: granted, unit: _Unit = None, updating: _Updating = None
    ) -> Response:
        """Record what dossiers' records of the national portal's sync service state; safe to send again."""
        return await _answer(state, grant, request, "DongBoHoSoMC", unit, updating)

    @routes.post("/v1/national-portal/CapNhatTienDoHoSoMC", **documents.PORTAL_PROGRESS_DOC)
    async def sync_progress(
        request: Request, grant: granted, unit: _Unit = None, updating: _Updating = None
    ) -> Response:
        """Record what progress records of the national portal's sync service state; safe to send again."""
        return await _answer(state, grant, request, "CapNhatTienDoHoSoMC", unit, updating)

    return routes


async def _answer(  # noqa: PLR0913 - the parts of a request
    state: State, grant: Grant, request: Request, service: Service, unit: str | None, updating: str | None
) -> Response:
    edge.content_type(request)
    try:
        sent = envelope.read(await body.read(request), service, unit, updating)
    except Refused as refused:
        result = {"detail": str(refused)}
        return edge.json({"error_code": _INCOMPLETE, "message": refused.detail_vi, "result": result})
    outcome = _Outcome(len(sent.records))
    readings = _readings(sent, outcome)
    # An empty envelope is answered as well, with the position at which everything before it is counted.
    for first in range(0, len(readings) or 1, _RECORDS_AT_ONCE):
        await _take(state, grant, sent, readings[first : first + _RECORDS_AT_ONCE], outcome)
    outcome.unmapped += [unmapped for reading in readings for unmapped in reading.unmapped]
    return _portal_answer(outcome)


def _readings(sent: Envelope, outcome: _Outcome) -> list[Reading]:
    """Begin to read every record, in the order in which the records are to be understood."""
    fields = dossiers.FIELDS if sent.service == "DongBoHoSoMC" else progress.FIELDS
    readings = []
    for index, record in enumerate(sent.records):
        reading = envelope.reading(index, record)
        if isinstance(reading, Unmapped):
            outcome.unmapped.append(reading)
        else:
            readings.append(reading)
            outcome.dropped_fields += envelope.dropped(reading.record, fields)
    # Dossiers' records are snapshots, and the one sent last is the newest. Progress records have a time of their own.
    return readings if sent.service == "DongBoHoSoMC" else progress.in_order(readings)


async def _take(state: State, grant: Grant, sent: Envelope, readings: Sequence[Reading], outcome: _Outcome) -> None:
    """Record what a part of the envelope states."""
    for attempt in range(_ATTEMPTS):
        plans = await _planned(state, grant, sent, readings)
        answer = await state.intake.submit(grant, [planned.candidate for planned in plans])
        outcome.position = max(outcome.position, answer.position)
        results = list(zip(plans, answer.results, strict=True))
        is_last = attempt == _ATTEMPTS - 1
        raced = set() if is_last else {p.fact.code for p, result in results if _is_raced(p, result)}
        for planned, result in results:
            if planned.fact.code not in raced:
                _add(outcome, planned, result)
        readings = [reading for reading in readings if reading.code in raced]
        if not readings:
            return


def _is_raced(planned: Planned, result: Result) -> bool:
    return planned.as_ == "new" and result.status == "conflict"


async def _planned(state: State, grant: Grant, sent: Envelope, readings: Sequence[Reading]) -> list[Planned]:
    async with state.database.connect() as transaction:
        head = await log.head(transaction, grant.province)
        catalogue = await state.catalogues.of(transaction, grant.province, head.reference_version)
        histories = await log.histories(transaction, grant.province, {reading.code for reading in readings})
    own: dict[str, list[Occurrence]] = defaultdict(list)
    is_own_source = grant.sources is None or sent.source in grant.sources
    for code, events in histories.items():
        # Whoever may not write to a dossier is refused as if nothing were known of it.
        if is_own_source and not judging.is_of_others(grant, events):
            own[code] = sorted((e for e in events if e.source == sent.source), key=attrgetter("position"))
    return plan.planned(sent, readings, own, units.directory(catalogue, state.portal_units), clock.now())


def _add(outcome: _Outcome, planned: Planned, result: Result) -> None:
    """Count what became of a fact."""
    if result.status == "rejected":
        outcome.refused_records.add(planned.fact.index)
        outcome.rejected.append(_error(planned, result, [wire.error_json(error) for error in result.errors]))
    elif planned.as_ == "existing" or _is_raced(planned, result):
        detail = "recorded with other content; send it with isUpdating=True to correct it"
        error = wire.item_error("conflict", "/id", detail)
        outcome.existing.append(_error(planned, result, [wire.error_json(error)]))
    elif result.status == "accepted" and planned.as_ == "corrected":
        outcome.corrected += 1
    elif result.status == "accepted":
        outcome.recorded += 1
    else:
        # A correction in conflict is this very one, which another request brought a moment before.
        outcome.duplicate += 1


def _error(planned: Planned, result: Result, errors: Sequence[Mapping[str, str]]) -> dict[str, object]:
    status = "rejected" if result.status == "rejected" else "conflict"
    fact = planned.fact
    return {"index": fact.index, "MaHoSo": fact.code, "id": result.id, "status": status, "errors": errors}


def _portal_answer(outcome: _Outcome) -> Response:
    # What a dossier was recorded as is told to nobody who may not write to it.
    told = [one for one in outcome.unmapped if one.is_loss or one.index not in outcome.refused_records]
    is_complete = not outcome.rejected and not any(one.is_loss for one in told)
    code = _EXISTS if outcome.existing else _OK if is_complete else _INCOMPLETE
    result = {
        "records": outcome.records,
        "recorded": outcome.recorded,
        "corrected": outcome.corrected,
        "duplicate": outcome.duplicate,
        "conflict": len(outcome.existing),
        "rejected": len(outcome.rejected),
        "dropped_fields": outcome.dropped_fields,
        "unmapped": [one.json() for one in sorted(told, key=attrgetter("index"))],
        "errors": outcome.existing + outcome.rejected,
        "position": str(outcome.position),
    }
    content = {"error_code": code, "message": _MESSAGES[code], "result": result}
    return edge.json(content, headers={"Motcua-Position": str(outcome.position)})
