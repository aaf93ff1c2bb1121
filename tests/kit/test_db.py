"""Rows reach PostgreSQL as arrays and come out as they were, one writer waits for another, an outage is told apart."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contract import Moment, Position
from services.kit import db


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
