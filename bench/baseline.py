"""The yardstick is the service a team would usually write: FastAPI, SQLAlchemy's ORM, one commit a request.

It keeps the same two tables with the same indexes and answers as the dossier service does (201, or 200 for an event
sent before), but does less: no keys, no units or limits checked, due dates only as sent, no feed to be followed.
"""

import argparse
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Response
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import BigInteger, Identity, Index, MetaData, Text, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PROVINCE = "20"
_VIETNAM = timezone(timedelta(hours=7))


class EventIn(BaseModel):
    """The event as it is posted."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: AwareDatetime
    data: dict[str, Any]


class EventOut(BaseModel):
    """What the sender learns."""

    id: str
    position: str
    status: str


class Base(DeclarativeBase):
    """The declarative base; aware instants, long integers and plain text as in the system's own tables."""

    metadata = MetaData(schema="dossier")
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's way
        datetime: TIMESTAMP(timezone=True),
        int: BigInteger,
        str: Text,
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
    }


class Event(Base):
    """A row of the log."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("province", "source", "id", name="event_once"),
        Index("event_of_dossier", "province", "subject"),
    )

    province: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(Identity(), primary_key=True)
    source: Mapped[str]
    id: Mapped[str]
    type: Mapped[str]
    subject: Mapped[str]
    occurred_at: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    fingerprint: Mapped[bytes]
    client: Mapped[str]
    recorded_at: Mapped[datetime]


class Dossier(Base):
    """A dossier as it stands."""

    __tablename__ = "dossier"
    __table_args__ = (Index("dossier_feed", "province", "position", unique=True),)

    province: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="unreceived")
    procedure: Mapped[str | None]
    field: Mapped[str | None]
    receiving_unit: Mapped[str | None]
    receiving_unit_since: Mapped[date | None]
    resolving_unit: Mapped[str | None]
    resolving_unit_since: Mapped[date | None]
    channel: Mapped[str | None]
    received_at: Mapped[datetime | None]
    received_on: Mapped[date | None]
    due_at: Mapped[datetime | None]
    due_on: Mapped[date | None]
    ended_at: Mapped[datetime | None]
    ended_on: Mapped[date | None]
    outcome: Mapped[str | None]
    result: Mapped[str | None]
    in_person: Mapped[bool] = mapped_column(default=False)
    returned_channel: Mapped[str | None]
    fee_due: Mapped[bool] = mapped_column(default=False)
    payments: Mapped[int] = mapped_column(default=0)
    payments_online: Mapped[int] = mapped_column(default=0)
    paid_on_platform: Mapped[bool] = mapped_column(default=False)
    flags: Mapped[list[str]] = mapped_column(default=list)
    position: Mapped[int]
    recorded_at: Mapped[datetime | None]


def change(dossier: Dossier, event: EventIn) -> None:
    """Let the dossier stand as it does after the event."""
    data = event.data
    match event.type.removeprefix("vn.motcua.dossier."):
        case "received":
            dossier.status = "pending"
            dossier.procedure = data["procedure"]
            dossier.receiving_unit = data["receiving_unit"]
            dossier.resolving_unit = data.get("resolving_unit") or data["receiving_unit"]
            dossier.channel = data["channel"]
            dossier.received_at, dossier.received_on = event.time, _day(event.time)
            if data.get("due_at"):
                dossier.due_at = datetime.fromisoformat(data["due_at"])
                dossier.due_on = _day(dossier.due_at)
            dossier.fee_due = bool(data.get("fee_required"))
        case "forwarded":
            dossier.resolving_unit = data["to_unit"]
        case "paid":
            dossier.payments += 1
            if data["method"] == "online":
                dossier.payments_online += 1
                dossier.paid_on_platform = data.get("platform") in {None, "national"}
        case "resolved":
            dossier.status, dossier.outcome, dossier.result = "resolved", data["outcome"], data.get("result")
            dossier.in_person = bool(data.get("in_person"))
            dossier.ended_at, dossier.ended_on = event.time, _day(event.time)
        case "returned":
            dossier.returned_channel = data["channel"]
        case "declined" | "withdrawn" | "stopped" as ended:
            dossier.status = ended
            dossier.ended_at, dossier.ended_on = event.time, _day(event.time)
        case _:
            # A usual service of this size leaves pauses, corrections and the rest in the log.
            pass


def _day(instant: datetime) -> date:
    return instant.astimezone(_VIETNAM).date()


async def record(session: AsyncSession, event: EventIn) -> EventOut:
    """Add the event to the log, once, and let its dossier stand as it does after it; commit."""
    now = datetime.now(UTC)
    position = await session.scalar(
        insert(Event)
        .values(
            province=PROVINCE,
            source=event.source,
            id=event.id,
            type=event.type,
            subject=event.subject,
            occurred_at=event.time,
            data=event.data,
            fingerprint=b"",
            client="bench",
            recorded_at=now,
        )
        .on_conflict_do_nothing(constraint="event_once")
        .returning(Event.position)
    )
    if position is None:
        before = await session.scalar(
            select(Event.position).where(Event.province == PROVINCE, Event.source == event.source, Event.id == event.id)
        )
        return EventOut(id=event.id, position=str(before), status="duplicate")
    dossier = await session.get(Dossier, (PROVINCE, event.subject), with_for_update=True)
    if dossier is None:
        dossier = Dossier(province=PROVINCE, code=event.subject, position=position, payments=0, payments_online=0)
        session.add(dossier)
    change(dossier, event)
    dossier.position, dossier.recorded_at = max(dossier.position, position), now
    await session.commit()
    return EventOut(id=event.id, position=str(position), status="accepted")


def application(database_url: str, connections: int) -> FastAPI:
    """Return the service; it makes its tables when it starts."""
    engine = create_async_engine(
        database_url.replace("postgresql://", "postgresql+asyncpg://"),
        pool_size=connections,
        max_overflow=0,
        connect_args={"server_settings": {"jit": "off"}},
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS dossier")
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    app = FastAPI(title="baseline", lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> str:
        return "ready"

    @app.post("/v1/events", status_code=201)
    async def record_event(
        event: EventIn, session: Annotated[AsyncSession, Depends(session)], response: Response
    ) -> EventOut:
        try:
            answer = await record(session, event)
        except IntegrityError:
            # Two first events of one dossier met; the second finds it made.
            await session.rollback()
            answer = await record(session, event)
        if answer.status == "duplicate":
            response.status_code = 200
        return answer

    return app


def main() -> None:
    """Serve with uvicorn as the system's own services are served."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--connections", type=int, default=32)
    asked = arguments.parse_args()
    app = application(os.environ["DATABASE_URL"], asked.connections)
    # The same gift to both sides: collections of start-up objects would be the baseline's 99th percentile.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvicorn.run(
        app, host="127.0.0.1", port=asked.port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
