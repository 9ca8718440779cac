"""Playbooks and events for the engine's tests, short to write."""

from __future__ import annotations

from typing import Any

from sentinel.core.event import Event, read
from sentinel.core.finding import Finding
from sentinel.engine.engine import Engine
from sentinel.engine.expression import compile_expression
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Metric, Place, Playbook
from sentinel.windows.memory import MemoryWindows

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 1_767_571_200 * SECOND  # Monday 2026-01-05
HERE = Place("test.yaml", 1, 1)


def playbook(where: str | None = "not success", **changes: Any) -> Playbook:
    """Return a playbook of failed logins by ip, three in ten minutes, changed as told."""
    basic: dict[str, Any] = {
        "id": "p", "title": "Too many", "mode": "enforce", "severity": "high", "rule": None, "events": ("auth",),
        "where": compile_expression(where) if where else None, "group_by": ("ip",), "window": 10 * MINUTE,
        "when": (Metric("count", 3),), "cooldown": 10 * MINUTE, "place": HERE, "version": "v1",
    }  # fmt: skip
    return Playbook(**(basic | changes))


def event(at: int, **fields: Any) -> Event:
    """Return an event `at` seconds after the start: a failed login of u1 unless told otherwise."""
    raw = {"event": "auth", "success": False, "user": "u1", "ip": "203.0.113.9", "id": f"e{at}"} | fields
    raw["timestamp"] = START // SECOND + at
    return read({name: value for name, value in raw.items() if value is not None}, enriched=True)


class Desk:
    """One engine over its own windows and memory, fed event by event."""

    def __init__(self, *playbooks: Playbook, memory: Memory | None = None) -> None:
        self.engine = Engine(playbooks)
        self.windows = MemoryWindows(self.engine.watches())
        self.memory = memory or Memory()
        self.newest = 0

    def feed(self, *events: Event) -> list[Finding]:
        """Return the findings that the events open, each event a batch of its own, `now` its time."""
        findings: list[Finding] = []
        for one in events:
            matched = self.engine.match([one], self.newest, self.memory.ledger.monitoring(one.at))
            self.newest = matched.newest
            self.memory.familiar.learn(one)
            self.memory.gather(matched.hits, [one], self.engine.crowded)
            openings = self.windows.hit(matched.hits, self.newest)
            responded = self.engine.respond(openings, [one], self.memory, max(one.at, self.newest))
            assert not responded.errors
            for opening, finding in responded.found:
                if any(effect.held == "guard" for effect in finding.effects):
                    self.windows.yielded(opening)
            findings += responded.findings
        return findings
