"""`sentinel version`."""

from __future__ import annotations

import sentinel
from sentinel.cli.terminal import say


def version() -> None:
    """Print the version."""
    say(f"sentinel {sentinel.__version__}")
