"""What is judged while the commit before is written is recorded as if it had been judged after it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest
import sqlalchemy
from sqlalchemy import ColumnElement, distinct, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import Grant, Unit
from services.dossier import tables, wire
from services.dossier.catalogues import Catalogues
from services.dossier.domain import revision
from services.dossier.intake import EVENTS_AHEAD, EVENTS_REMEMBERED, Intake
from services.dossier.judging import Answer, Draft, Known
from services.dossier.store import log
from services.dossier.store import reference as reference_store
from services.kit import clock, db
from services.kit.bell import Bell
from tests import builders, databases, running
from tests.databases import HeldCommit

_GRANT = Grant(client="tests", province=running.PROVINCE)
_MANY = 600
"""Two requests of so many events are two commits."""

_NO_DOSSIER_AHEAD_OF_THE_LOG = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.position > (SELECT max(position) FROM dossier.event) THEN RAISE 'ahead of the log'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON dossier.dossier DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse();
"""


def _payments(mark: str, events: int = _MANY, dossiers: int = 20) -> Sequence[wire.Candidate]:
    """Return payments, in turn of each of the dossiers; their ids are made of `mark` and numbers."""
    paid = [builders.paid(f"H{n % dossiers}", event_id=f"{mark}-{n}") for n in range(events)]
    return wire.events(orjson.dumps(paid))[0]


@contextlib.asynccontextmanager
async def _intake(url: str, *, remembered_events: int = EVENTS_REMEMBERED) -> AsyncIterator[tuple[Intake, AsyncEngine]]:
    """Give an intake that nobody runs yet, and its database."""
    database = db.engine(url, application="tests", connections=4)
    yield (
        Intake(
            database,
            catalogues=Catalogues(),
            queued_events=50_000,
            recorded=Bell(),
            remembered_events=remembered_events,
        ),
        database,
    )
    await database.dispose()


async def _waiting(
    intake: Intake, *requests: Sequence[wire.Candidate], grant: Grant = _GRANT
) -> list[asyncio.Task[Answer]]:
    """Return the requests as tasks that stand in the queue."""
    tasks = [asyncio.create_task(intake.submit(grant, request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


def _held_back(url: str) -> contextlib.AbstractAsyncContextManager[HeldCommit]:
    """Hold back the commit of the requests marked "slow"."""
    return databases.held_commit(url, of="slow-0")


def _judged(database: AsyncEngine) -> asyncio.Event:
    """Return an event that is set once waiting requests are judged ahead: what that took a connection for is known."""
    judged = asyncio.Event()

    @sqlalchemy.event.listens_for(database.sync_engine, "checkin")
    def note(*_: object) -> None:
        judged.set()

    return judged


async def _reached(held: HeldCommit, judged: asyncio.Event) -> None:
    """Return once the commit is held and what waits behind it is judged ahead."""
    await held.reached()
    async with asyncio.timeout(60):
        await judged.wait()


async def _rows(database: AsyncEngine, *columns: Any) -> Sequence[Any]:  # noqa: ANN401 - columns of any type
    async with database.connect() as transaction:
        return (await transaction.execute(select(*columns))).all()


async def _recorded_at(database: AsyncEngine) -> dict[str, datetime]:
    """Return when each event was recorded, by its id."""
    return {row[0]: row[1] for row in await _rows(database, tables.event.c.id, tables.event.c.recorded_at)}


async def _known(url: str) -> Known:
    """Return what is known of an empty log."""
    async with _intake(url) as (_, database), database.connect() as transaction:
        head = await log.head(transaction, running.PROVINCE)
        return Known(await Catalogues().of(transaction, running.PROVINCE, head.reference_version), head)


def _statuses(answer: Answer) -> set[str]:
    return {result.status for result in answer.results}


@pytest.mark.parametrize(("events", "is_ahead"), [(EVENTS_AHEAD, True), (EVENTS_AHEAD - 1, False)])
def test_many_that_wait_are_judged_while_those_before_them_are_written_and_few_are_not(
    database_url: str, monkeypatch: pytest.MonkeyPatch, events: int, *, is_ahead: bool
) -> None:
    # However slow the machine is, no draft is too old.
    monkeypatch.setattr("services.dossier.intake._STALE_AFTER", timedelta(minutes=1))

    async def run() -> None:
        async with _held_back(database_url) as held, _intake(database_url) as (intake, database):
            judged = _judged(database)
            slow, others = await _waiting(intake, _payments("slow", 1_000, 40), _payments("b", events, 40))
            async with intake.running():
                await (_reached(held, judged) if is_ahead else held.reached())
                await held.let_go()
                await slow
                answered_at = clock.now()
                answer = await others
            recorded_at = await _recorded_at(database)

        assert (recorded_at["b-0"] < answered_at) == is_ahead
        assert answer.position == 1_000 + events

    asyncio.run(run())


def test_nothing_is_judged_ahead_after_another_process_has_recorded(database_url: str) -> None:
    async def run() -> None:
        async with (
            _held_back(database_url) as held,
            _intake(database_url) as (intake, database),
            _intake(database_url) as (beside, _),
        ):
            async with intake.running(), beside.running():
                for writer, mark in ((intake, "first"), (beside, "between")):
                    await writer.submit(_GRANT, _payments(mark, 1))
                slow, others = await _waiting(intake, _payments("slow", 1_000, 40), _payments("b", EVENTS_AHEAD, 40))
                await held.reached()
                await asyncio.sleep(0.1)
                await held.let_go()
                await slow
                answered_at = clock.now()
                await others
            recorded_at = await _recorded_at(database)

        assert recorded_at["b-0"] > answered_at

    asyncio.run(run())


@pytest.mark.parametrize("remembered_events", [3, EVENTS_REMEMBERED])
def test_dossiers_of_requests_judged_ahead_stand_as_their_events_up_to_each_commit_make_them(
    database_url: str, remembered_events: int
) -> None:
    async def run() -> None:
        await databases.execute(database_url, _NO_DOSSIER_AHEAD_OF_THE_LOG)
        async with (
            _held_back(database_url) as held,
            _intake(database_url, remembered_events=remembered_events) as (intake, database),
        ):
            judged = _judged(database)
            requests = [_payments(mark, dossiers=200) for mark in ("slow", "b", "c", "d")]
            tasks = await _waiting(intake, *requests)
            async with intake.running():
                await _reached(held, judged)
                await held.let_go()
                answers = await asyncio.gather(*tasks)
            dossiers = await _rows(database, tables.dossier.c.position, tables.dossier.c.payments)

        assert [answer.position for answer in answers] == [_MANY * n for n in (1, 2, 3, 4)]
        assert sorted(row.position for row in dossiers) == list(range(4 * _MANY - 199, 4 * _MANY + 1))
        assert {row.payments for row in dossiers} == {4 * _MANY // 200}

    asyncio.run(run())


def test_a_draft_tells_how_dossiers_stand_before_the_one_that_follows_it(database_url: str) -> None:
    first, now = Draft(asyncio.run(_known(database_url))), clock.now()
    first.judge(_GRANT, _payments("a"), now)
    following = first.following()
    following.judge(_GRANT, _payments("b"), now)
    first.fold(_MANY)
    following.fold(_MANY)

    for draft, payments in ((first, _MANY // 20), (following, 2 * _MANY // 20)):
        assert {kept.standing.payments for kept in draft.dossiers.values()} == {payments}


def test_what_was_judged_ahead_of_a_failed_commit_is_judged_again(database_url: str) -> None:
    async def run() -> None:
        refused = databases.held_commit(database_url, of="slow-0", then="RAISE 'refused at the commit'")
        async with refused as held, _intake(database_url) as (intake, database):
            judged = _judged(database)
            # The same ids again: taken for duplicates as long as the first request seems to be in the log.
            again = [*_payments("slow")[1:], *_payments("more", 2)]
            failed, repeated = await _waiting(intake, _payments("slow"), again)
            async with intake.running():
                await _reached(held, judged)
                await held.let_go()
                with pytest.raises(asyncpg.PostgresError, match="refused at the commit"):
                    await failed
                answer = await repeated
            dossiers = await _rows(database, tables.dossier.c.payments)

        assert _statuses(answer) == {"accepted"}
        assert [result.position for result in answer.results] == list(range(1, _MANY + 2))
        assert sum(row.payments for row in dossiers) == _MANY + 1

    asyncio.run(run())


def test_reference_data_put_meanwhile_holds_for_what_was_judged_ahead(database_url: str) -> None:
    unit = Unit(code="NEW-1", name="Xã Mới", kind="commune", valid_from=date(2026, 1, 1))
    forwarded = [builders.forwarded(f"F{n}", to_unit="NEW-1") for n in range(_MANY)]

    async def run() -> None:
        async with _held_back(database_url) as held, _intake(database_url) as (intake, database):

            async def put() -> int:
                """Put the unit, and return the newest position then."""
                async with database.begin() as transaction:
                    await log.hold(transaction, running.PROVINCE)
                    changes = revision.changes([], [unit])
                    await reference_store.put(transaction, running.PROVINCE, changes, client="tests", at=clock.now())
                    return (await log.head(transaction, running.PROVINCE)).position

            judged = _judged(database)
            slow, others = await _waiting(intake, _payments("slow"), wire.events(orjson.dumps(forwarded))[0])
            async with intake.running():
                await _reached(held, judged)
                putting = asyncio.create_task(put())
                # It gets the province once the first commit is done, before the second one asks for it.
                await held.reached(waiting=2)
                await held.let_go()
                put_after = await putting
                await slow
                answer = await others

        assert put_after == _MANY
        assert _statuses(answer) == {"accepted"}

    asyncio.run(run())


def test_what_another_process_records_meanwhile_is_known_to_what_was_judged_ahead(database_url: str) -> None:
    async def run() -> None:
        async with (
            _held_back(database_url) as held,
            _intake(database_url) as (intake, database),
            _intake(database_url) as (beside, _),
        ):
            judged = _judged(database)
            slow, others = await _waiting(intake, _payments("slow"), _payments("b"))
            async with intake.running(), beside.running():
                await _reached(held, judged)
                [between] = await _waiting(beside, _payments("between", 20))
                await held.reached(waiting=2)
                await held.let_go()
                answers = [await slow, await between, await others]
            dossiers = await _rows(database, tables.dossier.c.payments)

        assert [answer.position for answer in answers] == [_MANY, _MANY + 20, 2 * _MANY + 20]
        assert {row.payments for row in dossiers} == {(2 * _MANY + 20) // 20}

    asyncio.run(run())


def test_requests_whose_judging_ahead_fails_are_recorded_all_the_same(database_url: str) -> None:
    async def run() -> None:
        async with _held_back(database_url) as held, _intake(database_url) as (intake, database):
            refused = asyncio.Event()

            @sqlalchemy.event.listens_for(database.sync_engine, "checkout")
            def refuse(*_: object) -> None:
                if database.pool.checkedout() > 1:  # type: ignore[attr-defined]
                    refused.set()
                    msg = "no room for a second connection"
                    raise OSError(msg)

            tasks = await _waiting(intake, *(_payments(mark) for mark in ("slow", "b", "c")))
            async with intake.running():
                await _reached(held, refused)
                await held.let_go()
                answers = await asyncio.gather(*tasks)
            dossiers = await _rows(database, tables.dossier.c.payments)

        assert [answer.position for answer in answers] == [_MANY, 2 * _MANY, 3 * _MANY]
        assert {row.payments for row in dossiers} == {3 * _MANY // 20}

    asyncio.run(run())


def test_a_request_that_cannot_be_judged_fails_alone_though_it_was_judged_ahead(database_url: str) -> None:
    async def run() -> None:
        async with _held_back(database_url) as held, _intake(database_url) as (intake, database):
            judged = _judged(database)
            whole, broken = list(_payments("whole")), list(_payments("broken", 300))
            # The edge makes no such fingerprint; what cannot be hashed stands for the unforeseen.
            broken[150] = broken[150]._replace(fingerprint="no bytes")  # type: ignore[arg-type]
            tasks = await _waiting(intake, _payments("slow"), whole, broken)
            async with intake.running():
                await _reached(held, judged)
                await held.let_go()
                first, second, failed = await asyncio.gather(*tasks, return_exceptions=True)
            dossiers = await _rows(database, tables.dossier.c.payments)

        assert isinstance(failed, TypeError)
        assert isinstance(first, Answer)
        assert isinstance(second, Answer)
        assert second.position == 2 * _MANY
        assert _statuses(second) == {"accepted"}
        assert sum(row.payments for row in dossiers) == 2 * _MANY

    asyncio.run(run())


def test_parts_of_a_request_are_recorded_in_their_order_though_the_commit_before_failed(database_url: str) -> None:
    async def run() -> None:
        async with _intake(database_url) as (before, _), before.running():
            elsewhere = builders.paid("elsewhere", event_id="taken-0")
            await before.submit(_GRANT, wire.events(orjson.dumps([elsewhere]))[0])
        async with _intake(database_url) as (intake, database), intake.running():
            # An id that stands under another dossier lets the first commit of the hundred fail.
            taken = wire.events(orjson.dumps([builders.paid("H9", event_id="taken-0")]))[0]
            first, second = _payments("a", 1_000, 40), _payments("b", 400, 40)
            twice = [*first, *second, second[0]._replace(fingerprint=b"another content.")]
            few, many = await _waiting(intake, [*_payments("few", 99), *taken], twice)
            answers = [await few, await many]
            recorded_at = await _recorded_at(database)

        assert [answer.results[-1].status for answer in answers] == ["conflict", "conflict"]
        assert recorded_at["few-0"] < recorded_at["a-0"] < recorded_at["b-0"]

    asyncio.run(run())


def test_what_was_judged_ahead_long_ago_is_judged_again(database_url: str) -> None:
    async def run() -> None:
        async with _held_back(database_url) as held, _intake(database_url) as (intake, database):
            judged = _judged(database)
            tasks = await _waiting(intake, _payments("slow"), _payments("b"))
            async with intake.running():
                await _reached(held, judged)
                await asyncio.sleep(0.6)
                free_at = clock.now()
                await held.let_go()
                await asyncio.gather(*tasks)
            recorded_at = await _recorded_at(database)

        # Whoever asks how things stood a second ago may rely on all of that being there.
        assert recorded_at["b-0"] > free_at

    asyncio.run(run())


def test_what_is_needed_or_was_learned_last_is_remembered_and_nothing_else(database_url: str) -> None:
    draft = Draft(asyncio.run(_known(database_url)))
    draft.judge(_GRANT, _payments("a", 100, 10), clock.now())

    draft.known.forget_all_but(35, ["H0", "H4"])

    assert list(draft.known.histories) == ["H9", "H0", "H4"]
    assert len(draft.known.recorded) == 30


def test_who_comes_too_late_to_be_judged_ahead_joins_the_commit_all_the_same(database_url: str) -> None:
    async def run() -> None:
        async with _held_back(database_url) as held, _intake(database_url) as (intake, database):
            judged = _judged(database)
            early = await _waiting(intake, _payments("slow", 1_000, 40), _payments("b", 100, 40))
            async with intake.running():
                await _reached(held, judged)
                late = await _waiting(intake, _payments("c", 50, 40))
                await held.let_go()
                await asyncio.gather(*early, *late)
            xmin: ColumnElement[str] = literal_column("event.xmin::text")
            [commits] = await _rows(database, func.count(distinct(xmin)), func.max(tables.event.c.position))

        assert tuple(commits) == (2, 1_150)

    asyncio.run(run())


def test_who_comes_while_the_province_is_awaited_joins_the_commit(database_url: str) -> None:
    async def run() -> None:
        async with _intake(database_url) as (intake, database), intake.running():
            async with database.begin() as transaction:
                await log.hold(transaction, running.PROVINCE)
                early = await _waiting(intake, _payments("early", 1))
                await asyncio.sleep(0.1)
                late = await _waiting(intake, _payments("late", 1))
            await asyncio.gather(*early, *late)

            assert len(set((await _recorded_at(database)).values())) == 1

    asyncio.run(run())


def test_another_province_has_its_turn_before_what_is_left_of_the_first(database_url: str) -> None:
    elsewhere = Grant(client="tests", province="19")

    async def run() -> None:
        async with _intake(database_url) as (intake, database):
            first, left = await _waiting(intake, _payments("a"), _payments("b"))
            [other] = await _waiting(intake, _payments("c"), grant=elsewhere)
            async with intake.running():
                await asyncio.gather(first, left, other)
            recorded_at = await _recorded_at(database)

        assert recorded_at["a-0"] < recorded_at["c-0"] < recorded_at["b-0"]

    asyncio.run(run())
