"""How bad each finding is, beside its body: for a few of a rare severity all bodies were read.

The database computes it, also of what a server of the version before writes meanwhile, so nothing is filled in here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the rank of a finding's severity, and let the indexes that lists are read by end with it."""
    severity = sa.column("body", sa.JSON())["severity"].as_string()
    names = ("info", "low", "medium", "high", "critical")
    rank = sa.case(*((severity == name, rank) for rank, name in enumerate(names)))
    stored = True if op.get_bind().dialect.name == "postgresql" else None  # SQLite adds none that is, and needs none
    op.add_column("finding", sa.Column("rank", sa.Integer(), sa.Computed(rank, persisted=stored), nullable=True))
    _longer("finding_time", "app", "at", "id")
    _longer("finding_status", "app", "status", "at", "id")


def _longer(name: str, *columns: str) -> None:
    op.drop_index(name, "finding")
    op.create_index(name, "finding", [*columns, "rank"])
