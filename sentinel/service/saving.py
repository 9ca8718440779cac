"""How a tenant's state is kept for the next start: piece by piece, while events go on coming in.

Each piece is as of a journal position of its own, from which `restore` folds on. Events wait while a piece is taken,
never while it is written: all of it at once would hold them up for seconds, every few minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import blake2b

from sentinel.core.record import Snapshot
from sentinel.engine.crowd import Crowd
from sentinel.engine.memory import Familiar
from sentinel.engine.windows import Watch
from sentinel.service.pipeline import Pipeline
from sentinel.service.tenant import Tenant

CLOCK = "sentinel.clock"
FAMILIAR = "sentinel.familiar"
CROWD = "sentinel.crowd"
_TURN = 0.001  # seconds: a lock that is asked for again at once leaves those who wait for it no turn


def save(pipeline: Pipeline, tenant: Tenant, now: int) -> None:
    """Keep the tenant's state; the caller must not hold the pipeline's lock."""
    for watch in tenant.engine.watches():
        with pipeline.saving:
            with pipeline.lock:
                known = tenant.watch_of(watch.id)
                state = tenant.windows.snapshot(watch.id)
                position = pipeline.store.events.position()
            if known is not None and state is not None:
                _keep(pipeline, tenant, Snapshot(watch.id, position, shape(known), state, now))
    for name, form, dump in (
        (FAMILIAR, Familiar.FORMAT, tenant.memory.familiar.dump), (CROWD, Crowd.FORMAT, tenant.memory.crowd.dump),
    ):  # fmt: skip
        with pipeline.saving:
            with pipeline.lock:
                position, lines = pipeline.store.events.position(), dump()
            _keep(pipeline, tenant, Snapshot(name, position, form, b"\n".join(_in_turns(pipeline, lines)), now))
    with pipeline.saving:
        position, newest = pipeline.store.events.position(), str(tenant.newest).encode()
        _keep(pipeline, tenant, Snapshot(CLOCK, position, "1", newest, now))


def shape(watch: Watch) -> str:
    """Return what a snapshot of a watch is told apart by."""
    return blake2b(str(watch).encode(), digest_size=16).hexdigest()


def _keep(pipeline: Pipeline, tenant: Tenant, snapshot: Snapshot) -> None:
    pipeline.store.snapshots.save(tenant.app.id, [snapshot])


def _in_turns(pipeline: Pipeline, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Give lines, each taken while nothing is processed, events between them: what is learnt twice is known once."""
    while True:
        with pipeline.lock:
            line = next(lines, None)
        if line is None:
            return
        yield line
        time.sleep(_TURN)
