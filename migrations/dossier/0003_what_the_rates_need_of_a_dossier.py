"""dossiers tell who received them, when that was recorded, and for how long citizens were asked to complete them.

Every dossier is to be folded anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _of_dossiers() -> list[sa.Column[Any]]:
    """Return what dossiers did not tell before; old rows hold the default only until they are folded anew."""
    return [
        sa.Column("receipt_recorded_at", sa.DateTime(timezone=True)),
        sa.Column("source", sa.Text()),
        sa.Column("supplement_spans", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
    ]


def upgrade() -> None:
    for column in _of_dossiers():
        op.add_column("dossier", column, schema="dossier")
    op.alter_column("dossier", "supplement_spans", server_default=None, schema="dossier")
    # The days are all that reference data can name, so none is left out; a change that waits already for some
    # dossiers is widened to all of them, and begins again.
    op.execute(
        """
        INSERT INTO dossier.refold (province, version, procedures, units, first_day, last_day, after_code)
        SELECT held.province, coalesce(version, 0), '{}', '{}', date '1900-01-01', date '2200-12-31', ''
        FROM (SELECT DISTINCT province FROM dossier.dossier) AS held
        LEFT JOIN dossier.reference_version USING (province)
        ON CONFLICT (province, version) DO UPDATE SET
            first_day = excluded.first_day, last_day = excluded.last_day, after_code = excluded.after_code
        """
    )


def downgrade() -> None:
    for column in reversed(_of_dossiers()):
        op.drop_column("dossier", column.name, schema="dossier")
