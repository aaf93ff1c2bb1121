"""Requests share commits and nothing else: one that fails, waits or comes too many harms no other."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import orjson
import pytest
from sqlalchemy import distinct, func, select

from services.contract import Grant, Standing
from services.dossier import tables, wire
from services.dossier.catalogues import Catalogues
from services.dossier.domain.history import Occurrence
from services.dossier.intake import EVENTS_REMEMBERED, Intake, Overloaded
from services.dossier.judging import Answer
from services.dossier.store import reads
from services.dossier.wire import Candidate
from services.kit import db
from services.kit.bell import Bell
from tests import builders, running

_GRANT = Grant(client="tests", province=running.PROVINCE)
_PATIENCE = 20.0


def _payments(*ids: str, code: str = "H1") -> Sequence[Candidate]:
    return wire.events(orjson.dumps([builders.paid(code, event_id=event_id) for event_id in ids]))[0]


async def _standing(url: str, code: str) -> Standing:
    database = db.engine(url, application="tests", connections=1)
    async with database.connect() as transaction:
        standing = await reads.standing(transaction, _GRANT, code)
    await database.dispose()
    assert standing is not None
    return standing


def _run(
    url: str,
    act: Callable[[Intake], Awaitable[None]],
    *,
    queued_events: int = 50_000,
    remembered_events: int = EVENTS_REMEMBERED,
) -> int:
    """Let `act` use an intake that nobody runs yet; return how many different commits' events the log holds then."""

    async def run() -> int:
        database = db.engine(url, application="tests", connections=3)
        intake = Intake(
            database,
            catalogues=Catalogues(),
            queued_events=queued_events,
            recorded=Bell(),
            remembered_events=remembered_events,
        )
        await act(intake)
        async with database.connect() as transaction:
            commits = await transaction.scalar(select(func.count(distinct(tables.event.c.recorded_at))))
        await database.dispose()
        return int(commits or 0)

    return asyncio.run(run())


async def _waiting(*requests: Awaitable[Answer]) -> Sequence[asyncio.Task[Answer]]:
    """Return the requests as tasks that stand in the queue."""
    tasks = [asyncio.ensure_future(request) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def _statuses(tasks: Sequence[asyncio.Task[Answer]]) -> list[str]:
    answers = await asyncio.wait_for(asyncio.gather(*tasks), _PATIENCE)
    return [result.status for answer in answers for result in answer.results]


def test_a_full_queue_refuses_a_request_and_has_room_again_after_the_commit(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        waiting = await _waiting(intake.submit(_GRANT, _payments("e1", "e2")))

        with pytest.raises(Overloaded):
            await asyncio.wait_for(intake.submit(_GRANT, _payments("e3")), 1)
        async with intake.running():
            assert await _statuses(waiting) == ["accepted", "accepted"]
            assert await _statuses(await _waiting(intake.submit(_GRANT, _payments("e3", "e4")))) == 2 * ["accepted"]

    _run(database_url, act, queued_events=2)


def test_a_request_that_cannot_be_recorded_fails_alone(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        (good,), (other,) = _payments("good"), _payments("other")
        assert good.event is not None
        # The edge lets nothing of the kind pass; what PostgreSQL would refuse all the same stands for the unforeseen.
        poisoned = good._replace(event=good.event.model_copy(update={"id": "poi\0soned"}), fingerprint=b"x")
        waiting = await _waiting(*(intake.submit(_GRANT, [one]) for one in (good, poisoned, other)))

        async with intake.running():
            first, failed, last = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), _PATIENCE)

        assert isinstance(first, Answer)
        assert isinstance(failed, Exception)
        assert isinstance(last, Answer)
        assert {first.results[0].status, last.results[0].status} == {"accepted"}

    _run(database_url, act)


_NO_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused at the commit'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON dossier.event DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.id = 'e2') EXECUTE FUNCTION refuse();
"""


def test_what_a_failed_commit_took_with_it_is_recorded_once_when_it_is_sent_again(database_url: str) -> None:
    """An id claimed before the write made OpenMeter count such an event never; a write in parts left Backdrop half."""

    async def act(intake: Intake) -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(_NO_COMMIT)
        async with intake.running():
            with pytest.raises(asyncpg.PostgresError, match="refused at the commit"):
                await intake.submit(_GRANT, _payments("e1", "e2", "e3"))
            left = await connection.fetchval("SELECT count(*) FROM dossier.event")
            await connection.execute("DROP TRIGGER refuse ON dossier.event")
            again = [await intake.submit(_GRANT, _payments("e1", "e2", "e3")) for _ in range(2)]
        await connection.close()

        assert left == 0
        assert [[result.status for result in answer.results] for answer in again] == [
            ["accepted"] * 3,
            ["duplicate"] * 3,
        ]
        assert again[0].position == again[1].position == 3

    _run(database_url, act)


def test_what_a_failed_commit_took_with_it_is_not_remembered(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        connection = await asyncpg.connect(database_url)
        async with intake.running():
            await intake.submit(_GRANT, _payments("e1"))
            await connection.execute(_NO_COMMIT)
            with pytest.raises(asyncpg.PostgresError, match="refused at the commit"):
                await intake.submit(_GRANT, _payments("e2", "e3"))
            await connection.execute("DROP TRIGGER refuse ON dossier.event")
            again = await intake.submit(_GRANT, _payments("e1", "e3"))
        await connection.close()

        assert [result.status for result in again.results] == ["duplicate", "accepted"]
        assert (await _standing(database_url, "H1")).payments == 2

    _run(database_url, act)


def test_what_another_process_recorded_in_between_is_known(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        async def beside(other: Intake) -> None:
            async with intake.running(), other.running():
                for writer, event_id in ((intake, "e1"), (other, "e2"), (intake, "e3")):
                    await writer.submit(_GRANT, _payments(event_id))

            assert (await _standing(database_url, "H1")).payments == 3

        await _beside(database_url, beside)

    _run(database_url, act)


async def _beside(url: str, act: Callable[[Intake], Awaitable[None]]) -> None:
    """Let `act` use a second intake on the same database."""
    database = db.engine(url, application="tests", connections=3)
    await act(Intake(database, catalogues=Catalogues(), queued_events=50_000, recorded=Bell()))
    await database.dispose()


def test_no_more_events_are_remembered_than_may_be_and_what_was_forgotten_is_read_again(database_url: str) -> None:
    codes = [f"H{n}" for n in range(10)]

    async def act(intake: Intake) -> None:
        before = _occurrences()
        async with intake.running():
            for code in codes:
                await intake.submit(_GRANT, _payments(f"{code}-1", code=code))
            # An answer is told before what is too much is forgotten.
            await asyncio.sleep(0.1)
            remembered = _occurrences() - before
            for code in codes:
                await intake.submit(_GRANT, _payments(f"{code}-2", code=code))

        assert remembered == 3
        assert [(await _standing(database_url, code)).payments for code in codes] == [2] * len(codes)

    _run(database_url, act, remembered_events=3)


def _occurrences() -> int:
    gc.collect()
    return sum(type(thing) is Occurrence for thing in gc.get_objects())


def test_what_waits_when_the_process_stops_is_recorded_first(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        async with intake.running():
            waiting = await _waiting(intake.submit(_GRANT, _payments("e1")), intake.submit(_GRANT, _payments("e2")))

        assert await _statuses(waiting) == ["accepted", "accepted"]

    _run(database_url, act)


def test_requests_share_a_commit_up_to_a_thousand_events(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        sizes = (300, 300, 600)
        requests = [_payments(*(f"{r}-{n}" for n in range(size))) for r, size in enumerate(sizes)]
        # A dossier holds three hundred events, so the requests are about one or two of their own.
        apart = [
            [
                c._replace(event=c.event and c.event.model_copy(update={"subject": f"H{r}-{n // 300}"}))
                for n, c in enumerate(one)
            ]
            for r, one in enumerate(requests)
        ]
        waiting = await _waiting(*(intake.submit(_GRANT, request) for request in apart))

        async with intake.running():
            assert set(await _statuses(waiting)) == {"accepted"}

    assert _run(database_url, act) == 2


def test_a_request_of_more_than_a_thousand_events_is_several_commits_and_one_answer(database_url: str) -> None:
    twice = [builders.paid(f"H{n}", event_id=f"e{n}") for n in range(1_200)] * 2
    body = orjson.dumps(twice)

    async def act(intake: Intake) -> None:
        waiting = await _waiting(intake.submit(_GRANT, wire.events(body)[0]))

        async with intake.running():
            answer = await waiting[0]

        assert [result.index for result in answer.results] == list(range(2_400))
        assert [result.status for result in answer.results] == ["accepted"] * 1_200 + ["duplicate"] * 1_200
        assert answer.position == 1_200

    assert _run(database_url, act) == 2


def test_dry_runs_wait_in_the_same_bounded_queue_and_leave_it_again(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        trying = await _waiting(*(intake.dry_run(_GRANT, _payments(f"e{n}", f"f{n}")) for n in range(2)))

        for refused in (intake.dry_run, intake.submit):
            with pytest.raises(Overloaded):
                await refused(_GRANT, _payments("e3"))
        assert await _statuses(trying) == ["accepted"] * 4
        # Nothing was recorded, and there is room again.
        async with intake.running():
            assert (
                await _statuses(await _waiting(intake.submit(_GRANT, _payments("e1", "f1", "g1")))) == ["accepted"] * 3
            )

    _run(database_url, act, queued_events=4)


def test_dry_runs_however_many_never_keep_the_writer_from_committing(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        async with intake.running():
            trying = await _waiting(*(intake.dry_run(_GRANT, _payments(f"e{n}")) for n in range(50)))
            recorded = await _waiting(intake.submit(_GRANT, _payments("e1")))

            assert await _statuses(recorded) == ["accepted"]
            assert any(not task.done() for task in trying)
            assert len(await _statuses(trying)) == 50

    _run(database_url, act)


def test_a_dry_run_that_was_given_up_leaves_its_place(database_url: str) -> None:
    async def act(intake: Intake) -> None:
        given_up, waiting = await _waiting(*(intake.dry_run(_GRANT, _payments(f"e{n}")) for n in range(2)))

        given_up.cancel()
        waiting.cancel()
        await asyncio.gather(given_up, waiting, return_exceptions=True)

        assert await _statuses(await _waiting(intake.dry_run(_GRANT, _payments("e1", "e2")))) == ["accepted"] * 2

    _run(database_url, act, queued_events=2)
