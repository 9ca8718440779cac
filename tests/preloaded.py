"""All that a server imports, for the process that servers are forked from: see `tests.process.Forked`."""

from __future__ import annotations

import gc
from importlib import import_module

gc.disable()
for name in ("alembic.command", "sentinel.cli.serve", "sentinel.store.postgres.store", "sentinel.windows.link"):
    import_module(name)
import_module("sentinel.enrich.agent").warm()
gc.freeze()  # else each fork looks through it, and copies it by that
gc.enable()
