"""standings tell more; what was counted of them before is counted anew from the feed.

All of this schema comes from the feed, which the service reads again from its beginning when there is no checkpoint.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _of_standings() -> list[sa.Column[Any]]:
    return [
        sa.Column("extended_due_at", sa.DateTime(timezone=True)),
        sa.Column("extended_due_on", sa.Date()),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("pauses", sa.BigInteger(), nullable=False),
        sa.Column("supplements", sa.BigInteger(), nullable=False),
        sa.Column("end_recorded_at", sa.DateTime(timezone=True)),
        sa.Column("reused_data", sa.Boolean(), nullable=False),
        sa.Column("digitised", sa.Boolean(), nullable=False),
        sa.Column("online_level", sa.Text()),
        sa.Column("score", sa.BigInteger()),
        sa.Column("rated_on", sa.Date()),
    ]


def upgrade() -> None:
    _forget()
    for column in _of_standings():
        op.add_column("standing", column, schema="metrics")
    for measure in ("declined", "stopped"):
        op.add_column("cell", sa.Column(measure, sa.BigInteger(), nullable=False), schema="metrics")


def downgrade() -> None:
    _forget()
    for measure in ("declined", "stopped"):
        op.drop_column("cell", measure, schema="metrics")
    for column in reversed(_of_standings()):
        op.drop_column("standing", column.name, schema="metrics")


def _forget() -> None:
    op.execute("TRUNCATE metrics.standing, metrics.cell, metrics.checkpoint, metrics.freshness, metrics.unit")
