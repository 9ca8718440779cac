"""Small values of every kind that goes into a store, with defaults for all that a test does not speak of."""

from __future__ import annotations

from itertools import count
from typing import Any

from sentinel.core.batch import Batch, Committed, Sighting
from sentinel.core.decision import Decision
from sentinel.core.event import Event, read
from sentinel.core.finding import Effect, Finding
from sentinel.core.record import App
from sentinel.service.ports import Store
from sentinel.store.access import add_link

NOW = 1_795_210_200_000_000  # 2026-11-20T21:30:00Z
_numbers = count()


def fresh_app(store: Store) -> str:
    """Return the id of a new app: a clean slate without another store."""
    app = f"app{next(_numbers)}"
    store.access.add_app(App(app), "test", NOW)
    return app


def event(id: str, at: int | None = NOW, received: int | None = None, name: str = "page.view", **fields: Any) -> Event:
    """Return an event; `at` None sends no timestamp."""
    raw = {"id": id, "event": name, **({} if at is None else {"timestamp": at / 1e6}), **fields}
    made = read(raw, received=received or NOW + 90_000_000_000)
    assert at is None or made.sent == at
    return made


def decision(id: str, value: str = "id:1", until: int | None = None, **fields: Any) -> Decision:
    """Return a block of a user by a playbook."""
    known: dict[str, Any] = {"kind": "block", "scope": "user", "made": NOW, "playbook": "p"}
    return Decision(id=id, value=value, until=until, **known | fields)


def finding(id: str, at: int = NOW, **fields: Any) -> Finding:
    """Return a finding of the playbook `p`."""
    known: dict[str, Any] = {
        "playbook": "p", "version": "1", "severity": "high", "mode": "enforce", "key": id, "group": {"user": "id:1"},
        "event_id": f"e{id}", "tally": {"count": 3, "avg.x": 0.5}, "threshold": {"count": ">= 3"}, "title": "A title",
        "user": "id:1", "ip": "203.0.113.9", "acted": True,
        "effects": (
            Effect("block_user", "id:1", 3_600_000_000, (decision(f"d{id}", finding=id),)),
            Effect("notify", channel="security"),
            Effect("block_ip", "203.0.113.9", held="allowlisted"),
        ),
    }  # fmt: skip
    return Finding(id=id, at=at, **known | fields)


def batch(app: str = "shop", now: int = NOW, **parts: Any) -> Batch:
    """Return a batch."""
    return Batch(app=app, now=now, **parts)


def make_link(store: Any, purpose: str, until: int, now: int = NOW) -> str:
    """Make a one-time link and return its secret."""
    with store.control.write() as connection:
        return add_link(connection, purpose, until, now)


def put(store: Store, one: Batch) -> Committed:
    """Commit one batch, its events claimed before."""
    with store.unit() as unit:
        assert all(unit.claim(one.app, one.events))
        (answer,) = unit.commit([one])
    return answer


def link(store: Store, app: str, *keys: str) -> str | None:
    """Let keys be one person's, and return the key of that person."""
    with store.unit() as unit:
        (person,) = unit.resolve(app, [Sighting(keys, proven=True, at=NOW)])
        unit.commit([batch(app)])
    return person
