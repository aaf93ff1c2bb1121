"""The metrics service's schema: dossiers as they are counted, the counts, and how far the feed has been read.

All of it but the frozen reports can be rebuilt from the feed at any time. A rebuild writes a new generation beside the
one that answers; the checkpoint says which one that is.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DATEMULTIRANGE, JSONB

from services.metrics.domain.tally import MEASURES

metadata = MetaData(schema="metrics")

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("province", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("reference_version", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
)

standing = Table(
    "standing",
    metadata,
    Column("province", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("procedure", Text),
    Column("field", Text),
    Column("channel", Text),
    Column("receiving_unit", Text),
    Column("receiving_unit_since", Date),
    Column("resolving_unit", Text),
    Column("resolving_unit_since", Date),
    Column("source", Text),
    Column("receipt_lag", Integer),
    Column("end_lag", Integer),
    Column("received_on", Date),
    Column("at_receipt", Integer, nullable=False),
    Column("falls_due_on", Date),
    Column("at_due", Integer, nullable=False),
    Column("closes_on", Date),
    Column("at_end", Integer, nullable=False),
    Column("rated_on", Date),
    Column("at_rating", Integer, nullable=False),
    Column("refused_on", Date),
    Column("overdue_from", Date),
    Column("payments", Integer, nullable=False),
    Column("payments_online", Integer, nullable=False),
    # Few dossiers were ever sent back to the citizen: null for all others.
    Column("awaiting", DATEMULTIRANGE),
    Column("awaiting_again", DATEMULTIRANGE),
    PrimaryKeyConstraint("province", "generation", "code", name="standing_pkey"),
    # Serve the dossiers behind a figure, and the figures that no cell holds: those of procedures and fields.
    Index("standing_received", "province", "generation", "received_on"),
    Index("standing_closed", "province", "generation", "closes_on"),
    Index("standing_due", "province", "generation", "falls_due_on"),
    Index("standing_of_unit", "province", "generation", "resolving_unit", "received_on"),
)


def _place() -> list[Column[Any]]:
    """Return the columns that say where something is counted."""
    return [
        Column("province", Text, nullable=False),
        Column("generation", Integer, nullable=False),
        # A `day`, the `month` that begins on it, or `all` time: what is asked of long periods is read from few rows.
        Column("span", Text, nullable=False),
        Column("on_day", Date, nullable=False),
        # What the unit decided, what it took in, or what it did both with, which counts in either role.
        Column("part", Text, nullable=False),
        Column("unit", Text, nullable=False),
        Column("unit_since", Date, nullable=False),
        Column("channel", Text, nullable=False),
    ]


cell = Table(
    "cell",
    metadata,
    *_place(),
    *(Column(measure, Integer, nullable=False, server_default="0") for measure in MEASURES),
    PrimaryKeyConstraint(
        "province", "generation", "span", "on_day", "part", "unit", "unit_since", "channel", name="cell_pkey"
    ),
    # The same few rows are added to again and again; room beside them spares the index.
    postgresql_with={"fillfactor": 70},
)

fee_procedure = Table(
    "fee_procedure",
    metadata,
    # Of days and months; how many procedures there were in all time nobody asks.
    *_place(),
    Column("procedure", Text, nullable=False),
    # Those received on it that had a fee, and those of them of which somebody paid it online.
    Column("dossiers", Integer, nullable=False),
    Column("paid_online", Integer, nullable=False),
    PrimaryKeyConstraint(
        *("province", "generation", "span", "on_day", "unit", "procedure", "part", "unit_since", "channel"),
        name="fee_procedure_pkey",
    ),
)

touched = Table(
    "touched",
    metadata,
    Column("province", Text, nullable=False),
    Column("month", Date, nullable=False),
    Column("unit", Text, nullable=False),
    # The newest position that changed a count of the unit's month.
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("province", "month", "unit", name="touched_pkey"),
    Index("touched_position", "province", "position"),
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

freshness = Table(
    "freshness",
    metadata,
    Column("province", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("province", "unit", "source", name="freshness_pkey"),
)

report = Table(
    "report",
    metadata,
    Column("province", Text, nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    # What was asked, as its parameters; with the position it can be asked again.
    Column("question", JSONB, nullable=False),
    # The units it speaks of; null for the whole province.
    Column("units", ARRAY(Text)),
    Column("position", BigInteger, nullable=False),
    # The day it was given on, which decides what of a running period is counted.
    Column("told_on", Date, nullable=False),
    Column("reference_version", BigInteger, nullable=False),
    Column("definitions", Text, nullable=False),
    Column("frozen_at", DateTime(timezone=True), nullable=False),
    Column("frozen_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("idempotency_key", Text),
    # The counts of its rows, which a form tells in columns of its own.
    Column("figures", JSONB, nullable=False),
    # The answer as it was, byte for byte, and its hash: a report is read unchanged for ever.
    Column("content", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    PrimaryKeyConstraint("province", "id", name="report_pkey"),
    Index("report_by_key", "province", "frozen_by", "idempotency_key", unique=True),
)
