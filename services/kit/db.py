"""Every process reaches PostgreSQL in one way: SQLAlchemy Core over asyncpg, rows in bulk as parallel arrays."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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
    ColumnElement,
    Date,
    DateTime,
    Executable,
    Row,
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
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
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
    try:
        await _driver(transaction).copy_records_to_table(
            table.name, schema_name=table.schema, columns=[column.name for column in table.columns], records=rows
        )
    except asyncpg.UniqueViolationError as error:
        raise AlreadyThere(table.name) from error


def _driver(transaction: AsyncConnection) -> asyncpg.Connection:
    """Return the driver's connection below SQLAlchemy's."""
    connection: asyncpg.Connection | None = transaction.sync_connection.connection.driver_connection  # type: ignore[union-attr]
    if connection is None:
        msg = "the connection has been closed"
        raise InterfaceError(msg, None, ConnectionError(msg))
    return connection


class Prepared:
    """A query that is put into words once: building and recognising one costs more than running it."""

    def __init__(self, query: Executable) -> None:
        """Take a query whose bound parameters all have names and types."""
        compiled = query.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        self._words = str(compiled)
        self._names: Sequence[str] = compiled.positiontup or ()
        # Numbers and texts that the query itself names travel as parameters, too.
        self._own = {name: value for name, value in compiled.params.items() if value is not None}

    async def __call__(self, transaction: AsyncConnection, **values: object) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the rows that the query finds with these values."""
        return (await transaction.exec_driver_sql(self._words, self._given(values))).all()

    async def fetch(self, transaction: AsyncConnection, **values: object) -> Sequence[asyncpg.Record]:
        """Return the same rows, found by the driver alone, which takes a fifth of the time of SQLAlchemy.

        It is part of a transaction that has begun, that is, has executed something.
        """
        rows: Sequence[asyncpg.Record] = await _driver(transaction).fetch(self._words, *self._given(values))
        return rows

    def _given(self, values: Mapping[str, object]) -> tuple[object, ...]:
        return tuple(map({**self._own, **values}.__getitem__, self._names))


_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]


async def commit_lazily(transaction: AsyncConnection) -> None:
    """Let the commit not wait for the disk: a crash may take it back, whole, with all that was committed after it."""
    await transaction.execute(_LAZILY)


_LAZILY = text("SET LOCAL synchronous_commit = off")


class Line:
    """A connection that one task keeps for its transactions while it has any.

    To borrow a connection for each, and to begin and end by SQLAlchemy, takes ten times as long as the transaction's
    own three statements. It is the driver's transaction, within which SQLAlchemy executes what it is asked to.
    """

    def __init__(self, database: AsyncEngine) -> None:
        """Connect to `database` when there is something to do."""
        self._database = database
        self._connection: AsyncConnection | None = None
        self._locks: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def holding(self, *keys: str) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that holds the advisory lock named by `keys`; it commits where the block ends well."""
        connection = await self._connected()
        driver, is_confused = _driver(connection), False
        try:
            lock_number = await self._lock_number(connection, "/".join(keys))
            # A statement sees what was committed before it began: whatever is to be read comes after the lock.
            await driver.execute(f"BEGIN; SELECT pg_advisory_xact_lock({lock_number})")
            yield connection
            await driver.execute("COMMIT")
        except BaseException as error:
            # Where an answer was cut off or not awaited, nobody knows what has become of the transaction.
            is_confused = isinstance(error, asyncpg.InternalClientError | TimeoutError | asyncio.CancelledError)
            if driver.is_in_transaction() and not (is_confused or driver.is_closed()):
                await driver.execute("ROLLBACK")
            raise
        finally:
            if is_confused or driver.is_closed() or driver.is_in_transaction():
                # Nobody may be given a connection that was lost, or whose transaction goes on.
                await connection.invalidate()
                await self.release()

    async def _lock_number(self, connection: AsyncConnection, name: str) -> int:
        """Return the number of the lock `name`, by which one statement can begin a transaction and take it."""
        if name not in self._locks:
            self._locks[name] = (await connection.execute(select(_number_of(name)))).scalar_one()
        return self._locks[name]

    async def release(self) -> None:
        """Give the connection back; the next transaction borrows one that is known to answer."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            connection = await self._database.connect()
            self._connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        return self._connection


async def lock(transaction: AsyncConnection, *keys: str) -> None:
    """Hold the advisory lock named by `keys` until the transaction ends; the wait is bounded by `lock_timeout`."""
    await transaction.execute(_lock, {"name": "/".join(keys)})


def _number_of(name: str | ColumnElement[str]) -> ColumnElement[int]:
    return func.hashtextextended(name, 0)


_lock = select(func.pg_advisory_xact_lock(_number_of(bindparam("name", type_=Text))))


# SQLSTATEs of failures that pass: connection, rolled back for another's sake, resources, locks, shutting or starting.
_PASSING_STATES = ("08", "25P03", "40", "53", "55P03", "57")


_OF_CONNECTION = (asyncpg.InterfaceError, asyncpg.InternalClientError)

FAILURES = (DBAPIError, PoolTimeoutError, asyncpg.PostgresError, *_OF_CONNECTION, OSError)
"""The kinds of errors, SQLAlchemy's and the driver's own, with which a statement fails."""


def is_outage(error: Exception) -> bool:
    """Tell whether the database could not be reached or went away, rather than refused what it was asked."""
    if isinstance(error, _OF_CONNECTION):
        # The driver's own errors tell of the connection, which is closed, in use or cut off in the middle of an answer.
        return True
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_PASSING_STATES)
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
