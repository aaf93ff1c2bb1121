"""a dossier is kept as it is counted, counts are kept by day, month and for all time, and reports are frozen.

All counts come from the feed, which the service reads again from its beginning when there is no checkpoint.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("checkpoint", "standing", "cell", "touched", "unit", "procedure", "freshness", "report")

_MEASURES = (
    "received",
    "received_without_due",
    "fee_due",
    "paid_online",
    "fell_due",
    "fell_due_met",
    "due_open",
    "overdue_by_data",
    "overdue_next_day",
    "overdue_at_once",
    "resolved",
    "resolved_early",
    "resolved_on_time",
    "resolved_late",
    "resolved_without_due",
    "late_with_apology",
    "within_extension",
    "withdrawn",
    "stopped",
    "declined",
    "ended_early",
    "ended_on_time",
    "ended_late",
    "ended_without_due",
    "ended_in_time",
    "full_online",
    "offered_full_online",
    "full_online_of_offered",
    "electronic_result",
    "reused_data",
    "digitised",
    "ended_overdue",
    "rated",
    "satisfied",
    "payments",
    "payments_online",
    "awaiting_supplement",
    "awaiting_again",
    "declined_before_receipt",
)


def upgrade() -> None:
    for revision_before in ("0002", "0001"):
        op.get_context().script.get_revision(revision_before).module.downgrade()  # type: ignore[union-attr]
    op.create_table(
        "checkpoint",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reference_version", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("province"),
        schema="metrics",
    )
    op.create_table(
        "standing",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("procedure", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("receiving_unit", sa.Text(), nullable=True),
        sa.Column("receiving_unit_since", sa.Date(), nullable=True),
        sa.Column("resolving_unit", sa.Text(), nullable=True),
        sa.Column("resolving_unit_since", sa.Date(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("receipt_lag", sa.Integer(), nullable=True),
        sa.Column("end_lag", sa.Integer(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("at_receipt", sa.Integer(), nullable=False),
        sa.Column("falls_due_on", sa.Date(), nullable=True),
        sa.Column("at_due", sa.Integer(), nullable=False),
        sa.Column("closes_on", sa.Date(), nullable=True),
        sa.Column("at_end", sa.Integer(), nullable=False),
        sa.Column("rated_on", sa.Date(), nullable=True),
        sa.Column("at_rating", sa.Integer(), nullable=False),
        sa.Column("refused_on", sa.Date(), nullable=True),
        sa.Column("overdue_from", sa.Date(), nullable=True),
        sa.Column("payments", sa.Integer(), nullable=False),
        sa.Column("payments_online", sa.Integer(), nullable=False),
        sa.Column("awaiting", postgresql.DATEMULTIRANGE(), nullable=True),
        sa.Column("awaiting_again", postgresql.DATEMULTIRANGE(), nullable=True),
        sa.PrimaryKeyConstraint("province", "generation", "code", name="standing_pkey"),
        schema="metrics",
    )
    op.create_index("standing_closed", "standing", ["province", "generation", "closes_on"], schema="metrics")
    op.create_index("standing_due", "standing", ["province", "generation", "falls_due_on"], schema="metrics")
    op.create_index(
        "standing_of_unit", "standing", ["province", "generation", "resolving_unit", "received_on"], schema="metrics"
    )
    op.create_index("standing_received", "standing", ["province", "generation", "received_on"], schema="metrics")
    op.create_table(
        "cell",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("unit_since", sa.Date(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        *(sa.Column(measure, sa.Integer(), nullable=False, server_default="0") for measure in _MEASURES),
        sa.PrimaryKeyConstraint(
            "province", "generation", "span", "on_day", "part", "unit", "unit_since", "channel", name="cell_pkey"
        ),
        schema="metrics",
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "touched",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("province", "month", "unit", name="touched_pkey"),
        schema="metrics",
    )
    op.create_index("touched_position", "touched", ["province", "position"], schema="metrics")
    op.create_table(
        "unit",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("province", "code", "valid_from", name="unit_pkey"),
        schema="metrics",
    )
    op.create_table(
        "procedure",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("province", "code", "valid_from", name="procedure_pkey"),
        schema="metrics",
    )
    op.create_table(
        "freshness",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("province", "unit", "source", name="freshness_pkey"),
        schema="metrics",
    )
    op.create_table(
        "report",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("question", postgresql.JSONB(), nullable=False),
        sa.Column("units", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("told_on", sa.Date(), nullable=False),
        sa.Column("reference_version", sa.BigInteger(), nullable=False),
        sa.Column("definitions", sa.Text(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("figures", postgresql.JSONB(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("province", "id", name="report_pkey"),
        schema="metrics",
    )
    op.create_index(
        "report_by_key", "report", ["province", "frozen_by", "idempotency_key"], unique=True, schema="metrics"
    )
    op.execute(
        """
        CREATE FUNCTION metrics.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '%.% only grows: what is frozen is neither changed nor removed',
                TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON metrics.report "
        "FOR EACH STATEMENT EXECUTE FUNCTION metrics.refuse()"
    )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema="metrics")
    op.execute("DROP FUNCTION metrics.refuse()")
    for revision_before in ("0001", "0002"):
        op.get_context().script.get_revision(revision_before).module.upgrade()  # type: ignore[union-attr]
