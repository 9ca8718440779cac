"""Events that findings make, for other playbooks: what such an event says, and how many may follow from one another.

It is like a sender's event but for its `trust`, which no sender can set, so conditions can tell it apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from sentinel.core import moment
from sentinel.core.event import Event, read
from sentinel.core.finding import Effect, Finding
from sentinel.engine.judge import Judge
from sentinel.engine.playbook import Action, Playbook

DEPTH = 4  # findings one behind the other, each found because of what the one before made
TRUST = "playbook"
TOO_DEEP = f"{DEPTH} findings led to it already"


def emits(playbook: Playbook) -> bool:
    """Say whether a playbook makes events."""
    return any(action.kind == "emit" for action in playbook.actions)


def depth(event: Event) -> int:
    """Return how many findings lie between an event and what senders sent."""
    found = event.properties.get("depth") if event.trust == TRUST else 0
    return found if type(found) is int else 0


def maker(event: Event) -> str | None:
    """Return the playbook that made an event, None for a sender's."""
    found = event.properties.get("playbook") if event.trust == TRUST else None
    return found if type(found) is str else None


def emitted(effect: Effect) -> str | None:
    """Return the name of the event that an effect makes, None where it makes none."""
    return None if effect.event is None else str(effect.event["event"])


def emission(judge: Judge, action: Action, event: Event, at: int, finding: str, held: str | None) -> Effect:
    """Return the effect that makes an event a microsecond after the finding's own time `at`.

    It is about the user, the address and the device of `event`, which brought the finding up.
    """
    deep = depth(event) + 1
    name = f"{finding}:emit:{action.event}".encode("utf-8", "surrogatepass")
    plain: dict[str, Any] = {
        "id": blake2b(name, digest_size=16).hexdigest(), "event": action.event, "timestamp": moment.to_text(at + 1),
        "trust": TRUST, "properties": _said(judge, action, event) | {"finding": finding, "depth": deep},
    }  # fmt: skip
    if event.user:
        kind, _, value = event.user.partition(":")
        plain["user"] = {kind: value}
    plain |= {field: value for field in ("ip", "device") if (value := getattr(event, field)) is not None}
    return Effect("emit", event=plain, held=held or (TOO_DEEP if deep > DEPTH else None))


def _said(judge: Judge, action: Action, event: Event) -> dict[str, Any]:
    playbook = judge.playbook
    own = {"playbook": playbook.id, "severity": playbook.severity, "group": judge.group(event)}
    return _shared(judge, event) | dict(action.properties or {}) | own


def _shared(judge: Judge, event: Event) -> dict[str, Any]:
    """Return the properties that make the group, so that what is made lies in the same group as what led to it."""
    shared: dict[str, Any] = {}
    for field, value in judge.group(event).items():
        first, *path = field.split(".")
        if first == "properties" and path and value is not None:
            inner = shared
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = value
    return shared


def made(findings: Iterable[Finding], like: Event | None = None) -> Iterator[Event]:
    """Give the events that findings make, but for those held back.

    `like` is an event that came from where they did: its location, network and agent are theirs.
    """
    for finding in findings:
        for effect in finding.effects:
            if effect.event is not None and effect.held is None:
                yield _event(effect.event, finding.user, like)


def _event(plain: Any, user: str | None, like: Event | None) -> Event:
    event = read(plain, enriched=True)
    event.user = user
    if like is not None:
        event.geo, event.network, event.agent, event.ipv6 = like.geo, like.network, like.agent, like.ipv6
    return event
