"""What the log holds can be recomputed from what the database gives back, by this program and by any other."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.contract import Corrected
from services.dossier.domain import record
from services.dossier.domain.record import DATA_OF_TYPE, FIRST_HASH, Recorded
from tests import builders
from tests.running import System

_AT = datetime(2026, 10, 5, 1, 30, 0, 7, tzinfo=UTC)

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)
_codes = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(0x21))) + "\x7f"),
    min_size=1,
    max_size=40,
)
_TEXTS = {"reason": _texts, "reference": _texts.filter(str.isprintable), "event_id": _texts.filter(str.isprintable)}
_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_instants = st.datetimes(datetime(1990, 1, 2), datetime(2099, 12, 30), timezones=_offsets)  # noqa: DTZ001 - with one


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type hint can be any object
    """Return what a sender may write into the field `name`."""
    if get_origin(hint) in {UnionType, Union}:
        return st.one_of(*(st.none() if part is type(None) else _values(name, part) for part in get_args(hint)))
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(1, 5) if name == "score" else st.integers(1, 10**15)
    if hint is datetime:
        return _instants.map(datetime.isoformat)
    assert hint is str, hint
    return _TEXTS.get(name, _codes)


def _datas(type_: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return what a sender may write as the data of an event of that type."""
    shape = DATA_OF_TYPE[type_]
    hints = get_type_hints(shape)
    fields = {name: _values(name, hints[name]) for name in shape.model_fields}
    required = {name: fields.pop(name) for name, field in shape.model_fields.items() if field.is_required()}
    return st.fixed_dictionaries(required, optional=fields)


def _stored(runner: asyncio.Runner, connection: asyncpg.Connection, data: str) -> str:
    return str(runner.run(connection.fetchval("SELECT $1::text::jsonb::text", data)))


Postgres = tuple[asyncio.Runner, asyncpg.Connection]


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[Postgres]:
    """Return a connection and what runs it."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres_url))
        yield runner, connection
        runner.run(connection.close())


def _entry(type_: str, fingerprint: bytes, data: str) -> Recorded:
    return Recorded("20", 1, "s", "1", type_, "H1", _AT, data, fingerprint, "c", None, _AT, b"")


@pytest.mark.parametrize("type_", DATA_OF_TYPE)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_postgresql_gives_back_has_the_fingerprint_of_what_was_recorded(
    postgres: Postgres, type_: str, data: st.DataObject
) -> None:
    shape = DATA_OF_TYPE[type_]
    written = record.canonical(shape.model_validate(data.draw(_datas(type_))))
    fingerprint = record.fingerprint(type_, "H1", _AT, written)

    stored = _stored(*postgres, written)

    assert record.is_told_as_fingerprinted(_entry(type_, fingerprint, stored))
    assert record.canonical(shape.model_validate(orjson.loads(stored))) == written


def test_of_a_correction_null_is_kept_and_what_was_not_named_is_not() -> None:
    taken_away = Corrected.model_validate({"event_id": "1", "due_at": None})
    named_alone = Corrected.model_validate({"event_id": "1"})

    assert record.canonical(taken_away) == '{"due_at":null,"event_id":"1"}'
    assert record.canonical(named_alone) == '{"event_id":"1"}'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"sender_units": None}, {"sender_units": frozenset()}),
        ({"sender_units": None}, {"sender_units": frozenset({"*"})}),
        ({"sender_units": frozenset({"1", "2"})}, {"sender_units": frozenset({"1,2"})}),
        ({"source": "ab", "id": "c"}, {"source": "a", "id": "bc"}),
        ({"id": "1", "client": '2"'}, {"id": '1","2', "client": ""}),
        ({"position": 1}, {"position": 2}),
    ],
)
def test_no_two_records_share_a_hash(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    entry = _entry("vn.motcua.dossier.paid", b"f", "{}")

    assert record.linked(FIRST_HASH, entry._replace(**one)) != record.linked(FIRST_HASH, entry._replace(**other))


def test_the_log_is_recomputed_with_nothing_but_json_and_two_hashes(system: System) -> None:
    """The recipe of docs/architecture.md, as somebody else would write it."""
    life = [builders.received("Hồ-sơ-1", due_at="2026-10-05T17:00:00.0005+07:00"), builders.paid("Hồ-sơ-1")]
    with system.client() as client, system.client(name="limited", units=[builders.UNIT, "05983"]) as limited:
        client.post("/v1/events", json=life).raise_for_status()
        limited.post("/v1/events", json=builders.resolved("Hồ-sơ-1")).raise_for_status()
        checkpoint = client.get("/v1/checkpoint").json()
    rows = asyncio.run(_log(system.database_url))

    newest = bytes(32)
    for row in rows:
        told = [row["type"], row["subject"], _utc(row["occurred_at"]), json.loads(row["data"])]
        fingerprint = hashlib.blake2b(_json(told), digest_size=16).digest()
        units = None if row["sender_units"] is None else sorted(row["sender_units"])
        sent = [row["position"], row["source"], row["id"], row["client"], units, _utc(row["recorded_at"])]
        newest = hashlib.sha256(newest + fingerprint + _json(sent)).digest()

    assert [row["sender_units"] is None for row in rows] == [True, True, False]
    assert newest.hex() == checkpoint["hash"]


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


async def _log(url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch("SELECT * FROM dossier.event ORDER BY position")
    finally:
        await connection.close()
