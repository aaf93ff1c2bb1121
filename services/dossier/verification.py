"""Whether the log is as it was written, and every dossier as the log makes it, can be told at any time from outside.

The log is walked once, page by page, while the service goes on recording: what is recorded only ever comes behind.
Verifying holds no more than a page in memory.
"""

import argparse
import asyncio
import importlib.metadata
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.dossier.catalogues import Catalogues
from services.dossier.domain import record
from services.dossier.domain.record import FIRST_HASH, Recorded
from services.dossier.domain.verdict import Checkpoint, Verdict
from services.dossier.store import chain, log
from services.dossier.store.log import Kept
from services.kit import clock, db, settings
from services.kit.settings import Settings

_PAGE = 2_000
"""Entries or dossiers read at once: enough to cost few round trips, and some megabytes at most."""

# Positions begin with 1; what somebody else put in before would still be part of its dossier.
_BEFORE_ALL = -(2**63)

_BROKEN, _NOT_VERIFIED = 1, 2


class VerificationSettings(Settings):
    """The one thing a verification must be told."""

    database_url: str = Field(pattern="^postgres")


async def verify(
    database: AsyncEngine, province: str, known: Checkpoint | None = None, *, page: int = _PAGE
) -> Verdict:
    """Return whether the province's log and dossiers are as they were written, and still hold what `known` saw."""
    verdict = await _walk(database, province, known, page)
    return verdict if verdict.fault is not None else await _compare_dossiers(database, verdict, page)


async def _walk(database: AsyncEngine, province: str, known: Checkpoint | None, size: int) -> Verdict:
    reached = Checkpoint(province, 0, FIRST_HASH, 0)
    after = _BEFORE_ALL
    while True:
        async with database.connect() as transaction:
            page = await chain.page_after(transaction, province, after, size)
        for entry, dossier_position in page:
            broken = _departs_from(known, reached, entry)
            if broken is not None:
                return broken
            if not record.is_told_as_fingerprinted(entry):
                return Verdict(reached, "content_changed", entry.position, "what this event tells was changed")
            if record.linked(reached.hash, entry) != entry.hash:
                return await _broken_chain(database, reached, entry, size)
            if dossier_position is None or dossier_position < entry.position:
                detail = f"dossier {entry.subject} is missing or stands as it did before this event"
                return Verdict(reached, "dossier_missing", entry.position, detail)
            reached = Checkpoint(province, entry.position, entry.hash, reached.events + 1)
        if len(page) < size:
            return _departs_from(known, reached, None) or Verdict(reached)
        after = reached.position


def _departs_from(known: Checkpoint | None, reached: Checkpoint, following: Recorded | None) -> Verdict | None:
    """Return what is wrong where the log passes the known checkpoint, going on from `reached` to `following`."""
    if known is None or reached.position > known.position:
        return None
    if reached.position == known.position:
        if (reached.hash, reached.events) == (known.hash, known.events):
            return None
        detail = f"the first {known.events} events are not those of the checkpoint, though they fit each other"
        return Verdict(reached, "rewritten", reached.position, detail)
    if following is None:
        detail = f"the log ends at {reached.position}; at the time of the checkpoint it reached {known.position}"
        return Verdict(reached, "cut_off", reached.position + 1, detail)
    if following.position > known.position:
        detail = f"the checkpoint's newest event, {known.position}, is no longer there"
        return Verdict(reached, "event_missing", known.position, detail)
    return None


async def _broken_chain(database: AsyncEngine, reached: Checkpoint, entry: Recorded, size: int) -> Verdict:
    """Return why the entry does not follow the event that was reached: the likeliest of the ways that it can happen."""
    place = entry.position
    after = place
    while True:
        async with database.connect() as transaction:
            page = [placed.entry for placed in await chain.page_after(transaction, reached.province, after, size)]
        if after == place and page and record.linked(reached.hash, page[0]) == page[0].hash:
            return Verdict(reached, "event_inserted", place, "this event was put in by somebody else")
        for later in page:
            if record.linked(reached.hash, later, place) == later.hash:
                detail = f"the event that was recorded here stands at {later.position}"
                return Verdict(reached, "order_changed", place, detail)
        if len(page) < size:
            break
        after = page[-1].position
    if place > reached.position + 1:
        detail = f"what was recorded between {reached.position} and {place} is missing"
        return Verdict(reached, "event_missing", reached.position + 1, detail)
    detail = "the record of this event (source, id, client, units, time of recording, hashes) was changed"
    return Verdict(reached, "record_changed", place, detail)


async def _compare_dossiers(database: AsyncEngine, verdict: Verdict, size: int) -> Verdict:
    """Fold every dossier anew from its events, and compare."""
    province, code, compared = verdict.reached.province, "", 0
    catalogues = Catalogues()
    # Dossiers and events of a page must be of one instant, or an event recorded meanwhile would look like a forgery.
    snapshots = database.execution_options(isolation_level="REPEATABLE READ")
    while True:
        async with snapshots.connect() as transaction:
            if await chain.is_refolding(transaction, province):
                return verdict
            page = await chain.dossiers_after(transaction, province, code, size)
            histories = await log.histories(transaction, province, [kept.standing.code for kept in page])
            head = await log.head(transaction, province)
            catalogue = await catalogues.of(transaction, province, head.reference_version)
        for kept in page:
            code, position = kept.standing.code, kept.standing.position
            history = histories.get(code, [])
            if history and _at(position, log.folded(code, history, catalogue)) == kept:
                compared += 1
            elif any(occurrence.position == position for occurrence in history):
                detail = f"dossier {code} does not stand as its events make it"
                return replace(verdict, fault="dossier_changed", position=position, detail=detail)
            else:
                detail = f"dossier {code} stands as an event made it that is missing, or was changed"
                return replace(verdict, fault="event_missing", position=position, detail=detail)
        if len(page) < size:
            return replace(verdict, dossiers=compared)


def _at(position: int, kept: Kept) -> Kept:
    """Return the dossier moved to `position`; folding it anew after a change of reference data moves it, too."""
    return replace(kept, standing=replace(kept.standing, position=position))


class Known(BaseModel):
    """A checkpoint as it is written down: a line of `--export`, or what `GET /v1/checkpoint` answered."""

    model_config = ConfigDict(frozen=True)

    province: str
    position: int
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    events: int

    def checkpoint(self) -> Checkpoint:
        """Return it as the log knows it."""
        return Checkpoint(self.province, self.position, bytes.fromhex(self.hash), self.events)


def told(checkpoint: Checkpoint) -> Mapping[str, str | int]:
    """Return a checkpoint as it is shown and written down."""
    return {
        "province": checkpoint.province,
        "position": str(checkpoint.position),
        "hash": checkpoint.hash.hex(),
        "events": checkpoint.events,
    }


def main(arguments: Sequence[str]) -> int:
    """Verify the log of the database that the environment names, print what was found, and return the exit status.

    0: all is as it was written; 1: something is not; 2: it could not be told.
    """
    parser = argparse.ArgumentParser(prog="python -m services.dossier verify")
    parser.add_argument("--province")
    parser.add_argument("--export", type=Path)
    parser.add_argument("--against", type=Path)
    asked = parser.parse_args(arguments)
    configuration = settings.load(VerificationSettings)
    try:
        known = {} if asked.against is None else _read(asked.against)
        verdicts = asyncio.run(_verify_all(configuration.database_url, asked.province, known))
        if any(verdict.fault for verdict in verdicts):
            return _BROKEN
        if asked.export is not None:
            asked.export.write_bytes(b"".join(_lines(verdict.reached for verdict in verdicts)))
    except (SQLAlchemyError, OSError, ValueError) as error:
        sys.stderr.write(f"It could not be told whether the log is as it was written: {error}\n")
        return _NOT_VERIFIED
    return 0


def _read(file: Path) -> Mapping[str, Checkpoint]:
    """Return the checkpoints of a file by province.

    :raises ValueError: the file holds something else.
    """
    try:
        lines = [Known.model_validate_json(line) for line in file.read_bytes().splitlines() if line.strip()]
    except ValidationError as error:
        msg = f"{file} is no file of checkpoints: {error.errors()[0]['msg']}"
        raise ValueError(msg) from error
    if not lines:
        msg = f"{file} holds no checkpoint"
        raise ValueError(msg)
    return {line.province: line.checkpoint() for line in lines}


async def _verify_all(url: str, province: str | None, known: Mapping[str, Checkpoint]) -> Sequence[Verdict]:
    """Verify one province or all of them, and print each verdict as it is reached.

    :raises ValueError: there is no checkpoint of the one province.
    """
    database = db.engine(url, application="dossier verify", connections=1)
    try:
        async with database.connect() as transaction:
            recorded = await chain.provinces(transaction)
        # A province whose whole log has vanished is one that only the checkpoints still name.
        provinces = [province] if province else sorted({*recorded, *known})
        if province and known and province not in known:
            msg = f"the file of checkpoints has none of province {province}"
            raise ValueError(msg)
        verdicts = []
        for one in provinces:
            began = time.perf_counter()
            verdicts.append(await verify(database, one, known.get(one)))
            sys.stdout.write(_sentence(verdicts[-1], time.perf_counter() - began) + "\n")
            sys.stdout.flush()
        if not provinces:
            sys.stdout.write("nothing is recorded\n")
    finally:
        await database.dispose()
    return verdicts


def _lines(checkpoints: Iterable[Checkpoint]) -> Iterable[bytes]:
    made = {"made_at": clock.now(), "version": importlib.metadata.version("motcua")}
    for checkpoint in checkpoints:
        yield orjson.dumps({**told(checkpoint), **made}, option=orjson.OPT_APPEND_NEWLINE)


def _sentence(verdict: Verdict, seconds: float) -> str:
    reached = verdict.reached
    if verdict.fault is not None:
        return f"province {reached.province}: BROKEN at position {verdict.position}: {verdict.fault}: {verdict.detail}"
    dossiers = (
        "dossiers were not compared, since changed reference data is still being applied to them"
        if verdict.dossiers is None
        else f"{verdict.dossiers} dossiers stand as they make them"
    )
    return (
        f"province {reached.province}: {reached.events} events up to position {reached.position} "
        f"are as they were written, {dossiers} ({seconds:.1f} s)"
    )
