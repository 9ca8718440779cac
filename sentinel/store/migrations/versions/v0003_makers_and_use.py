"""When a key was last used, and an index of what people decided by hand; of keys made before, no use is known."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Let keys say when they were used, and find decisions by who made them."""
    op.add_column("access_key", sa.Column("used", sa.BigInteger(), nullable=True))
    there = sa.text('"by" IS NOT NULL')
    op.create_index("decision_by", "decision", ["app", "made", "id"], sqlite_where=there, postgresql_where=there)
