"""A dossier is written anew with each of its events, and no reader ever misses it or meets it twice meanwhile."""

import asyncio
from datetime import date

import orjson

from services.contract import Grant
from services.dossier import wire
from services.dossier.catalogues import Catalogues
from services.dossier.intake import Intake
from services.dossier.store import reads
from services.dossier.store.reads import Wanted
from services.kit import db
from services.kit.bell import Bell
from tests.builders import UNIT, paid, received
from tests.running import PROVINCE, System

_GRANT = Grant(client="tests", province=PROVINCE)
_CODES = [f"H37-{n}" for n in range(20)]
_DAY = date(2026, 10, 5)
_ROUNDS = 40


def test_a_list_read_while_its_dossiers_are_written_anew_holds_each_of_them_once(system: System) -> None:
    async def run() -> tuple[list[list[str]], list[int]]:
        database = db.engine(system.database_url, application="tests", connections=3)
        intake = Intake(database, catalogues=Catalogues(), queued_events=10_000, recorded=Bell())
        lists: list[list[str]] = []
        backlogs: list[int] = []
        written = asyncio.Event()

        async def read() -> None:
            wanted = Wanted(units=[UNIT])
            while not written.is_set():
                async with database.connect() as transaction:
                    found = await reads.dossiers(
                        transaction, _GRANT, wanted, on=_DAY, sort="code", after=None, limit=1_000
                    )
                    rows = await reads.backlog(transaction, _GRANT, units=None, role="resolving", on=_DAY, within=3)
                lists.append([standing.code for standing in found])
                backlogs.append(sum(row["pending"] for row in rows.values()))

        async def write() -> None:
            for number in range(_ROUNDS):
                events = [paid(code, event_id=f"{code}-{number}") for code in _CODES]
                answer = await intake.submit(_GRANT, wire.events(orjson.dumps(events))[0])
                assert {result.status for result in answer.results} == {"accepted"}
            written.set()

        async with intake.running():
            await intake.submit(_GRANT, wire.events(orjson.dumps([received(code) for code in _CODES]))[0])
            await asyncio.gather(write(), read(), read())
        await database.dispose()
        return lists, backlogs

    lists, backlogs = asyncio.run(run())

    assert len(lists) > _ROUNDS // 2
    assert all(codes == sorted(_CODES) for codes in lists)
    assert set(backlogs) == {len(_CODES)}
