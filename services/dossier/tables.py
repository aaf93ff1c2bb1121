"""The dossier service's schema: the log of events, how each dossier stands, and the reference data it is judged by.

Every key begins with the province: it is the partition, and no order holds across provinces.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.contract import Standing
from services.kit import db

metadata = MetaData(schema="dossier", naming_convention={"ix": "%(table_name)s_%(column_0_N_name)s"})

event = Table(
    "event",
    metadata,
    Column("province", Text, nullable=False),
    Column("position", BigInteger, nullable=False, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("data", JSONB, nullable=False),
    # What a later delivery under the same id is compared with: a hash of the content, blind to its formatting.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("client", Text, nullable=False),
    # The units that the client was limited to when it sent the event; null where it was not.
    Column("sender_units", ARRAY(Text)),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    # Chains each event to the one recorded before it in the province: nothing can be changed or left out unnoticed.
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("province", "position", name="event_pkey"),
    UniqueConstraint("province", "source", "id", name="event_once"),
    Index("event_of_dossier", "province", "subject"),
)

dossier = Table(
    "dossier",
    metadata,
    Column("province", Text, nullable=False),
    *db.columns_of(Standing),
    # Units that the dossier once belonged to or was said to; their readers are told that it has left.
    Column("former_units", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("province", "code", name="dossier_pkey"),
    Index("dossier_feed", "province", "position", unique=True),
    # Serves the backlog and every list of open dossiers: they cost what is open, however much was ever closed.
    Index(
        "dossier_pending",
        "province",
        "resolving_unit",
        "due_on",
        "code",
        postgresql_where=text("status = 'pending'"),
    ),
    # Serves lists of dossiers with a flag that few have.
    Index("dossier_flagged", "flags", postgresql_using="gin", postgresql_where=text("flags <> '{}'")),
)

unit = Table(
    "unit",
    metadata,
    Column("province", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("content", JSONB, nullable=False),
    PrimaryKeyConstraint("province", "code", "valid_from", name="unit_pkey"),
)

procedure = Table(
    "procedure",
    metadata,
    Column("province", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("content", JSONB, nullable=False),
    PrimaryKeyConstraint("province", "code", "valid_from", name="procedure_pkey"),
)

calendar_day = Table(
    "calendar_day",
    metadata,
    Column("province", Text, nullable=False),
    Column("on_day", Date, nullable=False),
    Column("working", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("official", Boolean, nullable=False),
    PrimaryKeyConstraint("province", "on_day", name="calendar_day_pkey"),
)

reference_version = Table(
    "reference_version",
    metadata,
    Column("province", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

reference_change = Table(
    "reference_change",
    metadata,
    Column("province", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("before", JSONB),
    Column("after", JSONB, nullable=False),
    PrimaryKeyConstraint("province", "version", "kind", "key", name="reference_change_pkey"),
)

# Dossiers that a change of reference data may affect and that are still to be folded anew, in the order of their codes.
refold = Table(
    "refold",
    metadata,
    Column("province", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("procedures", ARRAY(Text), nullable=False),
    Column("units", ARRAY(Text), nullable=False),
    Column("first_day", Date),
    Column("last_day", Date),
    Column("after_code", Text, nullable=False),
    PrimaryKeyConstraint("province", "version", name="refold_pkey"),
)
