"""the log is chained and can only grow; dossiers know their clock's pauses; reference data knows its changes.

Events recorded before are given their hashes, and every dossier is to be folded anew.
"""

import hashlib
from datetime import UTC
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("event", "reference_change")

# Small enough to be held in memory, large enough to cost few round trips.
_CHUNK = 5_000


def _of_dossiers() -> list[sa.Column[Any]]:
    """Return what dossiers did not tell before; old rows hold the defaults only until they are folded anew."""
    return [
        sa.Column("extended_due_at", sa.DateTime(timezone=True)),
        sa.Column("extended_due_on", sa.Date()),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("pauses", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("supplements", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("end_recorded_at", sa.DateTime(timezone=True)),
        sa.Column("reused_data", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("digitised", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("online_level", sa.Text()),
        sa.Column("score", sa.BigInteger()),
        sa.Column("rated_on", sa.Date()),
        sa.Column("former_units", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
    ]


def upgrade() -> None:
    for column in _of_dossiers():
        op.add_column("dossier", column, schema="dossier")
        if column.server_default is not None:
            op.alter_column("dossier", column.name, server_default=None, schema="dossier")
    op.create_index(
        "dossier_pending",
        "dossier",
        ["province", "resolving_unit", "due_on", "code"],
        schema="dossier",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "dossier_flagged",
        "dossier",
        ["flags"],
        schema="dossier",
        postgresql_using="gin",
        postgresql_where=sa.text("flags <> '{}'"),
    )
    op.create_table(
        "reference_change",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("province", "version", "kind", "key", name="reference_change_pkey"),
        schema="dossier",
    )
    op.create_table(
        "refold",
        sa.Column("province", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("procedures", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("units", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("after_code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("province", "version", name="refold_pkey"),
        schema="dossier",
    )
    op.add_column("event", sa.Column("hash", sa.LargeBinary(), nullable=False, server_default=""), schema="dossier")
    op.alter_column("event", "hash", server_default=None, schema="dossier")
    provinces = op.get_bind().scalars(sa.text("SELECT DISTINCT province FROM dossier.dossier ORDER BY 1")).all()
    for province in provinces:
        _chain(province)
        _say_what_was_left(province)
        _fold_all_anew(province)
    op.execute(
        """
        CREATE FUNCTION dossier.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '%.% only grows: what is recorded is neither changed nor removed',
                TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON dossier.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION dossier.refuse()"
        )


def downgrade() -> None:
    op.execute("DROP TRIGGER only_grows ON dossier.event")
    op.drop_column("event", "hash", schema="dossier")
    op.drop_index("dossier_flagged", "dossier", schema="dossier")
    op.drop_index("dossier_pending", "dossier", schema="dossier")
    op.drop_table("refold", schema="dossier")
    op.drop_table("reference_change", schema="dossier")
    op.execute("DROP FUNCTION dossier.refuse()")
    for column in reversed(_of_dossiers()):
        op.drop_column("dossier", column.name, schema="dossier")


_PAGE = sa.text(
    """
    SELECT position, type, subject, occurred_at, data, source, id, client, sender_units, recorded_at
    FROM dossier.event WHERE province = :province AND position > :after ORDER BY position LIMIT :limit
    """
)
_SET = sa.text(
    """
    UPDATE dossier.event SET fingerprint = fresh.fingerprint, hash = fresh.hash
    FROM unnest(:positions, :fingerprints, :hashes) AS fresh (position, fingerprint, hash)
    WHERE event.province = :province AND event.position = fresh.position
    """
).bindparams(
    sa.bindparam("positions", type_=postgresql.ARRAY(sa.BigInteger())),
    sa.bindparam("fingerprints", type_=postgresql.ARRAY(sa.LargeBinary())),
    sa.bindparam("hashes", type_=postgresql.ARRAY(sa.LargeBinary())),
)


def _chain(province: str) -> None:
    """Give the province's events the fingerprint and hash that the service gives to new ones as of this revision."""
    connection = op.get_bind()
    position, previous = 0, bytes(32)
    while rows := connection.execute(_PAGE, {"province": province, "after": position, "limit": _CHUNK}).all():
        hashes, fingerprints = [], []
        for row in rows:
            told = [row.type, row.subject, row.occurred_at.astimezone(UTC), row.data]
            fingerprint = hashlib.blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
            units = None if row.sender_units is None else sorted(row.sender_units)
            sent = [row.position, row.source, row.id, row.client, units, row.recorded_at.astimezone(UTC)]
            previous = hashlib.sha256(previous + fingerprint + orjson.dumps(sent)).digest()
            fingerprints.append(fingerprint)
            hashes.append(previous)
        positions = [row.position for row in rows]
        connection.execute(
            _SET, {"province": province, "positions": positions, "fingerprints": fingerprints, "hashes": hashes}
        )
        position = positions[-1]


def _say_what_was_left(province: str) -> None:
    """Note of each dossier the units that its events name and that have it no more."""
    op.get_bind().execute(
        sa.text(
            """
            UPDATE dossier.dossier SET former_units = former.units
            FROM (
                SELECT event.subject, array_agg(DISTINCT named.unit) AS units
                FROM dossier.event JOIN dossier.dossier AS held
                    ON held.province = event.province AND held.code = event.subject AND held.received_at IS NOT NULL
                CROSS JOIN LATERAL unnest(
                    ARRAY[data ->> 'receiving_unit', data ->> 'resolving_unit', data ->> 'to_unit']
                ) AS named (unit)
                WHERE event.province = :province AND named.unit IS NOT NULL
                    AND named.unit IS DISTINCT FROM held.receiving_unit
                    AND named.unit IS DISTINCT FROM held.resolving_unit
                GROUP BY event.subject
            ) AS former
            WHERE dossier.province = :province AND dossier.code = former.subject
            """
        ),
        {"province": province},
    )


def _fold_all_anew(province: str) -> None:
    """Have every dossier of the province folded anew: those of all the days that reference data can name."""
    op.get_bind().execute(
        sa.text(
            """
            INSERT INTO dossier.refold (province, version, procedures, units, first_day, last_day, after_code)
            SELECT :province, coalesce(max(version), 0), '{}', '{}', date '1900-01-01', date '2200-12-31', ''
            FROM dossier.reference_version WHERE province = :province
            """
        ),
        {"province": province},
    )
