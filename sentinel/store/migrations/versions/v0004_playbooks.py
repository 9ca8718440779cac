"""An index of what each playbook decided: of a few among many, every decision was looked through."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Find decisions by their playbook."""
    there = sa.text("playbook IS NOT NULL")
    columns = ["app", "playbook", "made", "id"]
    op.create_index("decision_playbook", "decision", columns, sqlite_where=there, postgresql_where=there)
