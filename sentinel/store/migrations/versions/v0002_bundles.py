"""Deliveries that are told in one message with others; what was in the outbox before is told by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Let deliveries wait in lanes and be folded into bundles, and make the table of periods."""
    op.add_column("outbox", sa.Column("lane", sa.String(), nullable=True))
    op.add_column("outbox", sa.Column("bundle", sa.BigInteger(), nullable=True))
    op.drop_index("outbox_due", "outbox")
    op.create_index("outbox_due", "outbox", ["done", "dead", "lane", "next_at"])
    _where_set("outbox_lane", "app", "channel", "lane")
    _where_set("outbox_bundle", "app", "bundle")
    op.create_table(
        "outbox_period",
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("bundle", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("app", "channel", "lane"),
    )


def _where_set(name: str, *columns: str) -> None:
    """Make an index of the deliveries whose last column is not NULL."""
    there = sa.text(f"{columns[-1]} IS NOT NULL")
    op.create_index(name, "outbox", list(columns), sqlite_where=there, postgresql_where=there)
