"""Every process reaches PostgreSQL in one way: SQLAlchemy Core over asyncpg, rows in bulk as parallel arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import asyncpg
import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.types import TypeEngine

_COLUMN_TYPES: Mapping[type, TypeEngine[Any]] = {
    bool: Boolean(),
    int: BigInteger(),
    str: Text(),
    date: Date(),
    datetime: DateTime(timezone=True),
    tuple: ARRAY(Text()),
}


class AlreadyThere(Exception):
    """A row with the same key is in the table."""


def engine(url: str, *, application: str, connections: int) -> AsyncEngine:
    """Return an engine on the PostgreSQL at `url` (any `postgresql…://` form) with at most `connections` open."""
    scheme, rest = url.split("://", 1)
    if not scheme.startswith("postgres"):
        msg = "the database URL must begin with postgresql://"
        raise ValueError(msg)
    return create_async_engine(
        f"postgresql+asyncpg://{rest}",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        # What was bound to a statement may be thousands of rows, and belongs in no log.
        hide_parameters=True,
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": 5,
            "command_timeout": 60,
            # The planner's JIT costs more than it saves on queries that last milliseconds.
            "server_settings": {
                "application_name": application,
                "timezone": "UTC",
                "jit": "off",
                # A plan kept from when a table was nearly empty would read all of it for ever after.
                "plan_cache_mode": "force_custom_plan",
                # Nobody waits for ever for a lock, and nobody who has gone away holds one.
                "lock_timeout": "30s",
                "idle_in_transaction_session_timeout": "60s",
            },
        },
    )


def columns_of(shape: type) -> list[Column[Any]]:
    """Return one column for each field of the dataclass `shape`, of the same name; optional fields are nullable."""
    hints = get_type_hints(shape)
    columns = []
    for field in fields(shape):
        python_type, nullable = _plain(hints[field.name])
        columns.append(Column(field.name, _COLUMN_TYPES[python_type], nullable=nullable))
    return columns


def _plain(hint: Any) -> tuple[type, bool]:  # noqa: ANN401 - a type hint can be any object
    """Return the plain type behind a hint, and whether the hint admits None."""
    if get_origin(hint) in {UnionType, Union}:
        members = [member for member in get_args(hint) if member is not NoneType]
        return _plain(members[0])[0], len(members) < len(get_args(hint))
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0]), False
    return get_origin(hint) or hint, False


def unnested(table: Table, names: Sequence[str]) -> Select[Any]:
    """Return a query whose rows are the arrays bound under `names`, one array for each column of `table`.

    PostgreSQL takes one statement and one plan for any number of rows this way. Text arrays travel as text joined by
    spaces, because an array of arrays would be flattened, and JSON travels as text.
    """
    by_name = [table.c[name] for name in names]
    fresh = (
        func.unnest(*(bindparam(column.name, type_=ARRAY(_wire(column), dimensions=1)) for column in by_name))
        .table_valued(*(Column(column.name, _wire(column)) for column in by_name))
        .render_derived(name="fresh")
    )
    return select(*(_stored(fresh.c[column.name], column) for column in by_name))


def _wire(column: Column[Any]) -> TypeEngine[Any]:
    return Text() if isinstance(column.type, ARRAY | JSONB) else column.type


def _stored(fresh: Any, column: Column[Any]) -> Any:  # noqa: ANN401 - any column expression
    if isinstance(column.type, ARRAY):
        return func.string_to_array(fresh, " ").label(column.name)
    if isinstance(column.type, JSONB):
        return cast(fresh, JSONB).label(column.name)
    return fresh


def arrays(rows: Iterable[Sequence[Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """Turn rows into the parallel arrays that `unnested` binds."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: list(values) for name, values in zip(names, by_column, strict=True)}


async def copy(transaction: AsyncConnection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Add rows with a value for each column of `table`, in its order, by COPY: the fastest way PostgreSQL has.

    The transaction must have begun, that is, have executed something. JSON is given as text, arrays as lists.

    :raises AlreadyThere: a row with one of the unique keys is there; the transaction has failed.
    """
    raw = await transaction.get_raw_connection()
    connection = raw.driver_connection
    if connection is None:
        msg = "the connection has been closed"
        raise InterfaceError(msg, None, ConnectionError(msg))
    try:
        await connection.copy_records_to_table(
            table.name, schema_name=table.schema, columns=[column.name for column in table.columns], records=rows
        )
    except asyncpg.UniqueViolationError as error:
        raise AlreadyThere(table.name) from error


async def lock(transaction: AsyncConnection, *keys: str) -> None:
    """Hold the advisory lock named by `keys` until the transaction ends; the wait is bounded by `lock_timeout`."""
    await transaction.execute(_LOCK, {"name": "/".join(keys)})


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


# SQLSTATEs of failures that pass: connection, rolled back for another's sake, resources, locks, shutting or starting.
_PASSING_STATES = ("08", "25P03", "40", "53", "55P03", "57")


def is_outage(error: Exception) -> bool:
    """Tell whether the database could not be reached or went away, rather than refused what it was asked."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return (
            error.connection_invalidated
            or isinstance(error, OperationalError | InterfaceError)
            or state.startswith(_PASSING_STATES)
        )
    # An OSError about a file has nothing to do with the network.
    return isinstance(error, PoolTimeoutError) or (isinstance(error, OSError) and error.filename is None)


async def answers(database: AsyncEngine) -> bool:
    """Tell whether the database answers a trivial query."""
    async with database.connect() as connection:
        return bool(await connection.scalar(text("SELECT true")))
