"""A key is looked up once for all who come with it at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event

from services.cli import clients
from services.gateway.auth import Keyring, UnknownKey
from services.kit import db
from tests import running

_SCOPES = ("rates:read",)


@asynccontextmanager
async def _keyring(url: str, looks: list[None]) -> AsyncIterator[Keyring]:
    """Give a keyring; `looks` grows whenever it asks the database."""
    database = db.engine(url, application="tests", connections=5)
    event.listen(database.sync_engine, "checkout", lambda *_: looks.append(None))
    yield Keyring(database)
    await database.dispose()


async def _bearer(url: str) -> str:
    key = await clients.add(url, "one-stop", province=running.PROVINCE, units=None, sources=None, scopes=_SCOPES)
    return f"Bearer {key}"


def test_many_who_come_with_one_key_ask_the_database_once(database_url: str) -> None:
    async def asked() -> tuple[set[str], int]:
        bearer = await _bearer(database_url)
        looks = list[None]()
        async with _keyring(database_url, looks) as keyring:
            found = await asyncio.gather(*(keyring.client(bearer, _SCOPES) for _ in range(50)))
        return {client.grant.client for client in found}, len(looks)

    assert asyncio.run(asked()) == ({"one-stop"}, 1)


def test_a_key_is_remembered_for_those_who_come_after(database_url: str) -> None:
    async def asked() -> int:
        bearer = await _bearer(database_url)
        looks = list[None]()
        async with _keyring(database_url, looks) as keyring:
            for _ in range(3):
                await keyring.client(bearer, _SCOPES)
        return len(looks)

    assert asyncio.run(asked()) == 1


def test_who_goes_away_while_a_key_is_looked_up_takes_the_answer_from_nobody(database_url: str) -> None:
    async def answered() -> str:
        bearer = await _bearer(database_url)
        async with _keyring(database_url, []) as keyring:
            leaving, staying = [asyncio.create_task(keyring.client(bearer, _SCOPES)) for _ in range(2)]
            await asyncio.sleep(0)
            leaving.cancel()
            return (await staying).grant.client

    assert asyncio.run(answered()) == "one-stop"


def test_a_failed_look_is_everybodys_failure_and_the_next_one_looks_again(database_url: str) -> None:
    class Outages(list[None]):
        """Refuses the first look."""

        def append(self, _: None) -> None:
            super().append(None)
            if len(self) == 1:
                raise OSError("no way to the database")

    async def after() -> str:
        bearer = await _bearer(database_url)
        async with _keyring(database_url, Outages()) as keyring:
            failed = await asyncio.gather(*(keyring.client(bearer, _SCOPES) for _ in range(3)), return_exceptions=True)
            assert [type(error) for error in failed] == [OSError] * 3
            return (await keyring.client(bearer, _SCOPES)).grant.client

    assert asyncio.run(after()) == "one-stop"


def test_an_unknown_key_is_unknown_to_all_who_come_with_it(database_url: str) -> None:
    async def refused() -> int:
        looks = list[None]()
        async with _keyring(database_url, looks) as keyring:
            for found in await asyncio.gather(
                *(keyring.client("Bearer nobody", _SCOPES) for _ in range(10)), return_exceptions=True
            ):
                assert isinstance(found, UnknownKey)
        return len(looks)

    assert asyncio.run(refused()) == 1
