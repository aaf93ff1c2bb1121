"""A failure that passes is told from one that will not: senders come back after the one, operators see the other."""

import pytest
from asyncpg import exceptions
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.kit import db


@pytest.mark.parametrize(
    "refusal",
    [
        exceptions.CannotConnectNowError,  # starting up
        exceptions.AdminShutdownError,
        exceptions.QueryCanceledError,
        exceptions.TooManyConnectionsError,
        exceptions.DiskFullError,
        exceptions.DeadlockDetectedError,
        exceptions.SerializationError,
        exceptions.LockNotAvailableError,
        exceptions.IdleInTransactionSessionTimeoutError,
    ],
)
def test_what_postgresql_refuses_for_the_moment_is_an_outage(refusal: type[exceptions.PostgresError]) -> None:
    assert db.is_outage(refusal("for now"))
    assert db.is_outage(DBAPIError("SELECT true", {}, refusal("for now")))


@pytest.mark.parametrize(
    "refusal",
    [exceptions.UniqueViolationError, exceptions.CharacterNotInRepertoireError, exceptions.UndefinedTableError],
)
def test_what_postgresql_would_refuse_again_is_none(refusal: type[exceptions.PostgresError]) -> None:
    assert not db.is_outage(refusal("for good"))
    assert not db.is_outage(DBAPIError("SELECT true", {}, refusal("for good")))


def test_a_connection_that_the_driver_lost_is_an_outage() -> None:
    assert db.is_outage(exceptions.InterfaceError("connection is closed"))
    assert db.is_outage(exceptions.InternalClientError("another operation is in progress"))


def test_a_pool_without_a_free_connection_is_an_outage() -> None:
    assert db.is_outage(PoolTimeoutError("all are in use"))
