"""The gateway's schema: the clients of the system, what each may do, and the hashes of their keys."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

metadata = MetaData(schema="gateway")

client = Table(
    "client",
    metadata,
    Column("province", Text, nullable=False),
    Column("name", Text, nullable=False),
    # Null means: not limited.
    Column("units", ARRAY(Text)),
    Column("sources", ARRAY(Text)),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("province", "name", name="client_pkey"),
)

api_key = Table(
    "api_key",
    metadata,
    # A key is 32 random bytes, so one round of a plain hash is as strong as the key.
    Column("hash", LargeBinary, nullable=False),
    Column("province", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("revoked", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("hash", name="api_key_pkey"),
    ForeignKeyConstraint(
        ["province", "client"], ["gateway.client.province", "gateway.client.name"], name="api_key_client"
    ),
)
