"""The metrics service's schema: standings as they were counted, the counts, and how far the feed has been read.

All of it can be rebuilt from the feed at any time.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.contract import Standing
from services.kit import db
from services.metrics.domain.tally import MEASURES

metadata = MetaData(schema="metrics")

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("province", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("reference_version", BigInteger, nullable=False),
)

standing = Table(
    "standing",
    metadata,
    Column("province", Text, nullable=False),
    *db.columns_of(Standing),
    PrimaryKeyConstraint("province", "code", name="standing_pkey"),
)

cell = Table(
    "cell",
    metadata,
    Column("province", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("on_day", Date, nullable=False),
    Column("unit", Text, nullable=False),
    Column("unit_since", Date, nullable=False),
    Column("channel", Text, nullable=False),
    *(Column(measure, BigInteger, nullable=False) for measure in MEASURES),
    PrimaryKeyConstraint("province", "role", "on_day", "unit", "unit_since", "channel", name="cell_pkey"),
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

freshness = Table(
    "freshness",
    metadata,
    Column("province", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("province", "unit", name="freshness_pkey"),
)
