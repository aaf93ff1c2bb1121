"""Rows reach PostgreSQL as arrays and come out as they were, one writer waits for another, an outage is told apart."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import asyncpg
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import Moment, Position
from services.kit import clock, db


@dataclass(frozen=True)
class Shape:
    """One field of every kind that a column can hold."""

    code: str
    amount: int
    position: Position
    open: bool
    on_day: date | None
    stored_at: Moment | None
    kind: Literal["a", "b"] | None
    flags: tuple[str, ...] = ()


def _engine(url: str) -> AsyncEngine:
    return db.engine(url, application="tests", connections=2)


def test_a_shape_has_one_column_for_each_field() -> None:
    columns = {column.name: (str(column.type), column.nullable) for column in db.columns_of(Shape)}

    assert columns == {
        "code": ("TEXT", False),
        "amount": ("BIGINT", False),
        "position": ("BIGINT", False),
        "open": ("BOOLEAN", False),
        "on_day": ("DATE", True),
        "stored_at": ("DATETIME", True),
        "kind": ("TEXT", True),
        "flags": ("ARRAY", False),
    }


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [
            ("a", 1, 2**62, True, date(2026, 10, 5), datetime(2026, 10, 5, 1, 30, tzinfo=UTC), "a", "one two"),
            ("Ấ', \"{}\\", -1, 0, False, None, None, None, ""),
        ],
    ],
    ids=["no row", "two rows"],
)
def test_rows_come_out_of_the_arrays_as_they_went_in(postgres_url: str, rows: Sequence[tuple[Any, ...]]) -> None:
    table = Table("shape", MetaData(), *db.columns_of(Shape))
    names = [column.name for column in table.columns]

    async def read() -> list[tuple[Any, ...]]:
        database = _engine(postgres_url)
        async with database.connect() as connection:
            found = [tuple(row) for row in await connection.execute(db.unnested(table, names), db.arrays(rows, names))]
        await database.dispose()
        return found

    # An array of texts travels as text joined by spaces.
    assert asyncio.run(read()) == [(*row[:-1], row[-1].split()) for row in rows]


def test_json_travels_as_text_and_is_json_again(postgres_url: str) -> None:
    table = Table("one", MetaData(), Column("content", JSONB), Column("tags", ARRAY(Text)), Column("n", BigInteger))

    async def read() -> Any:  # noqa: ANN401 - JSON
        database = _engine(postgres_url)
        async with database.connect() as connection:
            row = (
                await connection.execute(
                    db.unnested(table, ["content"]), db.arrays([('{"a": [1, "Ấ"]}',)], ["content"])
                )
            ).one()
        await database.dispose()
        return row.content

    assert asyncio.run(read()) == {"a": [1, "Ấ"]}


def test_a_second_writer_waits_until_the_first_ones_transaction_ends(postgres_url: str) -> None:
    async def order() -> list[str]:
        database, seen = _engine(postgres_url), list[str]()

        async def second() -> None:
            async with database.begin() as transaction:
                await db.lock(transaction, "tests", "20")
                seen.append("second")

        async with database.begin() as transaction:
            await db.lock(transaction, "tests", "20")
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.3)
            seen.append("first")
        await waiting
        await database.dispose()
        return seen

    assert asyncio.run(order()) == ["first", "second"]


_TRY = db.Prepared(text("INSERT INTO tried VALUES (:n) RETURNING n"))


def test_what_is_done_on_a_line_is_committed_where_it_ends_well_and_undone_where_it_does_not(postgres_url: str) -> None:
    async def kept() -> list[int]:
        database = _engine(postgres_url)
        line = db.Line(database)
        async with database.begin() as transaction:
            await transaction.execute(text("CREATE TABLE tried (n int PRIMARY KEY)"))

        async def put(*numbers: int) -> None:
            async with line.holding("tests") as transaction:
                for number in numbers:
                    await _TRY.fetch(transaction, n=number)
                await transaction.execute(text("INSERT INTO tried VALUES (0 - CAST(:n AS int))"), {"n": numbers[0]})

        await put(1)
        with pytest.raises(asyncpg.UniqueViolationError):
            await put(2, 1)
        await put(3)
        await line.release()
        async with database.begin() as transaction:
            found = (await transaction.scalars(text("SELECT n FROM tried ORDER BY n"))).all()
            await transaction.execute(text("DROP TABLE tried"))
        await database.dispose()
        return list(found)

    assert asyncio.run(kept()) == [-3, -1, 1, 3]


def test_a_line_and_a_writer_without_one_wait_for_each_other(postgres_url: str) -> None:
    async def order() -> list[str]:
        database, seen = _engine(postgres_url), list[str]()
        line = db.Line(database)

        async def second() -> None:
            async with database.begin() as transaction:
                await db.lock(transaction, "tests", "20")
                seen.append("second")

        async with line.holding("tests", "20"):
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.3)
            seen.append("first")
        await waiting
        await line.release()
        await database.dispose()
        return seen

    assert asyncio.run(order()) == ["first", "second"]


async def _asked(line: db.Line, query: str, lock: str = "tests") -> int:
    """Return the one value that the query finds in a transaction that holds the lock."""
    async with line.holding(lock) as transaction:
        [row] = await db.Prepared(text(query)).fetch(transaction)
    return int(row[0])


def test_a_line_that_was_cut_fails_once_and_is_laid_anew(postgres_url: str) -> None:
    async def again() -> bool:
        database = _engine(postgres_url)
        line = db.Line(database)

        with pytest.raises(asyncpg.PostgresError) as failure:
            await _asked(line, "SELECT pg_terminate_backend(pg_backend_pid())")
        assert db.is_outage(failure.value)
        found = bool(await _asked(line, "SELECT true"))
        await line.release()
        await database.dispose()
        return found

    assert asyncio.run(again())


def test_a_line_that_was_cut_before_another_lock_is_taken_is_laid_anew(postgres_url: str) -> None:
    async def pids() -> tuple[int, int]:
        database = _engine(postgres_url)
        line = db.Line(database)

        first = await _asked(line, "SELECT pg_backend_pid()", lock="one")
        async with database.connect() as beside:
            await beside.execute(text(f"SELECT pg_terminate_backend({first})"))
        with pytest.raises(db.FAILURES) as failure:
            await _asked(line, "SELECT pg_backend_pid()", lock="two")
        assert db.is_outage(failure.value)
        second = await _asked(line, "SELECT pg_backend_pid()", lock="two")
        await line.release()
        await database.dispose()
        return first, second

    first, second = asyncio.run(pids())

    assert first != second


def test_who_gives_up_waiting_for_a_lock_leaves_no_transaction_behind(postgres_url: str) -> None:
    async def left() -> Sequence[object]:
        database = db.engine(postgres_url, application="given up", connections=2)
        line = db.Line(database)

        async def hold() -> None:
            async with line.holding("tests", "given up"):
                pass

        async with database.begin() as beside:
            await db.lock(beside, "tests", "given up")
            waiting = asyncio.create_task(hold())
            await asyncio.sleep(0.3)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await line.release()
        query = "SELECT state FROM pg_stat_activity WHERE application_name = 'given up' AND state LIKE 'idle in %'"
        deadline = clock.monotonic() + 10
        rows: Sequence[object] = [...]
        while rows and clock.monotonic() < deadline:
            # PostgreSQL takes its time to notice that somebody has gone.
            await asyncio.sleep(0.05)
            async with database.connect() as connection:
                rows = (await connection.execute(text(query))).all()
        await database.dispose()
        return rows

    assert asyncio.run(left()) == []


def test_writers_of_two_provinces_do_not_wait_for_each_other(postgres_url: str) -> None:
    async def both() -> None:
        database = _engine(postgres_url)
        async with database.begin() as one, database.begin() as other, asyncio.timeout(5):
            await db.lock(one, "tests", "19")
            await db.lock(other, "tests", "20")
        await database.dispose()

    asyncio.run(both())


def test_only_postgresql_is_spoken_to() -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        db.engine("sqlite:///motcua.db", application="tests", connections=1)


def test_a_database_out_of_reach_is_an_outage_and_a_refused_statement_is_none(postgres_url: str) -> None:
    async def fail(url: str, statement: str) -> Exception:
        database = _engine(url)
        try:
            async with database.connect() as connection:
                await connection.execute(text(statement))
        except (DBAPIError, OSError) as error:
            return error
        finally:
            await database.dispose()
        msg = "nothing failed"
        raise AssertionError(msg)

    unreachable = asyncio.run(fail("postgresql://nobody@127.0.0.1:1/none", "SELECT 1"))
    refused = asyncio.run(fail(postgres_url, "SELECT 1/0"))
    ended = asyncio.run(fail(postgres_url, "SELECT pg_terminate_backend(pg_backend_pid())"))

    assert [db.is_outage(error) for error in (unreachable, refused, ended)] == [True, False, True]


def test_an_engine_answers_for_the_database_it_reaches(postgres_url: str) -> None:
    async def answer() -> tuple[bool, str]:
        database = _engine(postgres_url)
        async with database.connect() as connection:
            zone = await connection.scalar(select(text("current_setting('timezone')")))
        found = await db.answers(database), str(zone)
        await database.dispose()
        return found

    assert asyncio.run(answer()) == (True, "UTC")
