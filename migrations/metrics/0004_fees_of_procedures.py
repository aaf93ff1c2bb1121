"""procedures with a fee that had dossiers are counted by day and month, as what else is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The third and fourth bit of what counts on the day of the receipt: a fee was due, and somebody paid it online.
_FILL = """
INSERT INTO metrics.fee_procedure
SELECT province, generation, CASE WHEN grouping(received_on) = 0 THEN 'day' ELSE 'month' END AS span,
       coalesce(received_on, month) AS on_day, part, unit, unit_since, channel, procedure,
       count(*), count(*) FILTER (WHERE at_receipt & 8 <> 0)
FROM (
    SELECT *, date_trunc('month', received_on)::date AS month,
           coalesce((resolving_unit, resolving_unit_since) = (receiving_unit, receiving_unit_since), false) AS same
    FROM metrics.standing
    WHERE at_receipt & 4 <> 0 AND received_on IS NOT NULL AND channel IS NOT NULL AND procedure IS NOT NULL
) AS dossier
CROSS JOIN LATERAL (VALUES
    (CASE WHEN same THEN 'both' ELSE 'resolving' END, resolving_unit, resolving_unit_since),
    (CASE WHEN NOT same THEN 'receiving' END, receiving_unit, receiving_unit_since)
) AS place (part, unit, unit_since)
WHERE part IS NOT NULL AND unit IS NOT NULL AND unit_since IS NOT NULL
GROUP BY province, generation, part, unit, unit_since, channel, procedure, ROLLUP (month, received_on)
HAVING grouping(month) = 0
"""


def upgrade() -> None:
    op.create_table(
        "fee_procedure",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("unit_since", sa.Date(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("procedure", sa.Text(), nullable=False),
        sa.Column("dossiers", sa.Integer(), nullable=False),
        sa.Column("paid_online", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "province",
            "generation",
            "span",
            "on_day",
            "unit",
            "procedure",
            "part",
            "unit_since",
            "channel",
            name="fee_procedure_pkey",
        ),
        schema="metrics",
    )
    op.execute(_FILL)


def downgrade() -> None:
    op.drop_table("fee_procedure", schema="metrics")
