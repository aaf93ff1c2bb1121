"""Two intake processes on one database take turns, and a reader of the feed beside them misses nothing."""

import asyncio

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import STANDING, Grant, Standing
from services.dossier import wire
from services.dossier.catalogues import Catalogues
from services.dossier.intake import Intake
from services.dossier.judging import Answer
from services.dossier.store import reads
from services.kit import db
from services.kit.bell import Bell
from tests import builders, running

_GRANT = Grant(client="tests", province=running.PROVINCE)
_SENDERS, _DOSSIERS = 6, 25


def test_two_writers_draw_every_position_once_and_a_reader_sees_all_of_them(system: running.System) -> None:
    answers, seen = asyncio.run(_write_and_read(system.database_url))

    positions = sorted(result.position or 0 for answer in answers for result in answer.results)
    assert positions == list(range(1, 2 * 2 * _SENDERS * _DOSSIERS + 1))
    assert [standing.position for standing in seen] == sorted(standing.position for standing in seen)
    # A dossier is seen again whenever it changes, and last as it stands.
    last_seen = {standing.code: standing.status for standing in seen}
    assert len(last_seen) == 2 * _SENDERS * _DOSSIERS
    assert set(last_seen.values()) == {"resolved"}


async def _write_and_read(url: str) -> tuple[list[Answer], list[Standing]]:
    databases = [db.engine(url, application="tests", connections=3) for _ in range(3)]
    writing = asyncio.Event()
    reader = asyncio.create_task(_read(databases[2], writing))
    answers = [answer for part in await asyncio.gather(*(_write(databases[n], n) for n in range(2))) for answer in part]
    writing.set()
    seen = await reader
    for database in databases:
        await database.dispose()
    return answers, seen


async def _write(database: AsyncEngine, writer: int) -> list[Answer]:
    """Record dossiers, event by event, from several senders at once."""
    intake = Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell())

    async def send(sender: int) -> list[Answer]:
        answers: list[Answer] = []
        for number in range(_DOSSIERS):
            code = f"H37.{writer}-{sender}-{number}"
            answers += [
                await intake.submit(_GRANT, wire.events(orjson.dumps([event]))[0])
                for event in (builders.received(code), builders.resolved(code))
            ]
        return answers

    async with intake.running():
        return [answer for part in await asyncio.gather(*(send(n) for n in range(_SENDERS))) for answer in part]


async def _read(database: AsyncEngine, written: asyncio.Event) -> list[Standing]:
    """Follow the feed in small pages until everything that was written has been seen."""
    seen: list[Standing] = []
    while True:
        last_round = written.is_set()
        async with database.connect() as transaction:
            page = await reads.feed_after(transaction, _GRANT, seen[-1].position if seen else 0, 7)
        seen.extend(STANDING.validate_json(entry.json) for entry in page)
        if last_round and not page:
            return seen
