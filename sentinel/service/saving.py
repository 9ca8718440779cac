"""Save a tenant's state for the next start, piece by piece, while events go on coming in.

Each piece has a journal position of its own, from which `restore` goes on. Events wait while a piece is copied, never
while it is written: copying all at once would hold them up for seconds, every few minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator
from functools import partial
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
Piece = tuple[int, str, bytes]  # the position it is as of, the shape by which it is told apart, the state
_TURN = 0.001  # seconds: a lock that is asked for again at once leaves those who wait for it no turn


def save(pipeline: Pipeline, tenant: Tenant, now: int, only: Container[str] | None = None) -> None:
    """Keep the tenant's state, or `only` the pieces of these names; the caller must not hold the pipeline's lock."""
    for name, take in _pieces(tenant):
        if only is None or name in only:
            with pipeline.saving:
                piece = take(pipeline)
                if piece is not None:
                    position, form, state = piece
                    pipeline.store.snapshots.save(tenant.app.id, Snapshot(name, position, form, state, now))


def _pieces(tenant: Tenant) -> Iterator[tuple[str, Callable[[Pipeline], Piece | None]]]:
    for watch in tenant.engine.watches():
        yield watch.id, partial(_windows, tenant, watch.id)
    yield FAMILIAR, partial(_room, Familiar.FORMAT, tenant.memory.familiar)
    yield CROWD, partial(_room, Crowd.FORMAT, tenant.memory.crowd)
    yield CLOCK, partial(_clock, tenant)


def _windows(tenant: Tenant, name: str, pipeline: Pipeline) -> Piece | None:
    with pipeline.lock:
        watch, state = tenant.watch_of(name), tenant.windows.snapshot(name)
        position = pipeline.store.events.position()
    return None if watch is None or state is None else (position, shape(watch), state)


def _room(form: str, room: Familiar | Crowd, pipeline: Pipeline) -> Piece:
    with pipeline.lock:
        position, lines = pipeline.store.events.position(), room.dump()
    return position, form, b"\n".join(_in_turns(pipeline, lines))


def _clock(tenant: Tenant, pipeline: Pipeline) -> Piece:
    return pipeline.store.events.position(), "1", str(tenant.newest).encode()


def shape(watch: Watch) -> str:
    """Return what a snapshot of a watch is told apart by."""
    return blake2b(str(watch).encode(), digest_size=16).hexdigest()


def _in_turns(pipeline: Pipeline, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Give lines, each taken while nothing is processed, events between them: what is learnt twice is known once."""
    while True:
        with pipeline.lock:
            line = next(lines, None)
        if line is None:
            return
        yield line
        time.sleep(_TURN)
