"""The ports that the plain paths ask, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from sentinel.core.decision import Decision, Delta
from sentinel.core.record import App, Key
from sentinel.edge.access import Gate
from sentinel.service.intake import Intake, Receipt, Sending

NOW = 1_795_210_200_000_000  # 2026-11-20T21:30:00Z


class FakeAccess:
    """Keys whose secret is their id, for the apps `one` and `two`."""

    def __init__(self) -> None:
        self.known = {
            "sdk": Key("sdk", "one", "sdk"),
            "ingest": Key("ingest", "one", "ingest"),
            "read": Key("read", "one", "read"),
            "admin": Key("admin", "one", "admin"),
            "browser": Key(
                "browser", "one", "browser", settings={"origins": ["https://shop.example", "https://*.shop.example"]}
            ),
            "other": Key("other", "two", "sdk"),
            "moesif": Key("moesif", "one", "ingest", protocol="moesif"),
        }
        self.broken: Exception | None = None

    def key(self, secret: str) -> Key | None:
        if self.broken:
            raise self.broken
        return self.known.get(secret)

    def remembers(self, secret: str) -> bool:
        return secret in self.known and not self.broken

    def app(self, id: str) -> App | None:
        return App(id) if id in ("one", "two", "default") else None


class FakeDecisions:
    """A decision list a test writes to. Its last `unheard` revisions are in the store only, as another server's are."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Delta]] = defaultdict(list)
        self.asked: list[tuple[str, int]] = []
        self.unheard = 0

    def revision(self, app: str) -> int:
        return max(0, self._stored(app) - self.unheard)

    def add(self, app: str, *decisions: Decision) -> int:
        revision = self._stored(app) + 1
        self.lists[app].append(Delta(revision, tuple(decisions)))
        return revision

    def delta(self, app: str, since: int, now: int) -> Delta:
        self.asked.append((app, since))
        stored = self._stored(app)
        known = 0 < since <= stored
        later = [one for one in self.lists[app] if one.revision > since or not known]
        added = tuple(decision for one in later for decision in one.added)
        return Delta(stored, added, reset=not known)

    def _stored(self, app: str) -> int:
        return self.lists[app][-1].revision if self.lists[app] else 0


class FakeMeters:
    def __init__(self) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.codes: list[str] = []

    def ingested(self, app: str, receipt: Receipt, rejected: int, seconds: float) -> None:
        self.taken.append((app, receipt, rejected, seconds))

    def refused(self, code: str) -> None:
        self.codes.append(code)


class Written:
    """What the writer got; `fails` is raised, `known` ids are duplicates, an event `bad` brings up a fault."""

    def __init__(self) -> None:
        self.sendings: list[Sending] = []
        self.fails: Exception | None = None
        self.known: set[str] = set()
        self.may_write = threading.Event()
        self.may_write.set()

    def process(self, sendings: Any) -> list[Receipt]:
        self.may_write.wait(60)
        if self.fails:
            raise self.fails
        if any(event.id == "bad" for sending in sendings for event in sending.events):
            raise ZeroDivisionError("jane@example.com")
        receipts = []
        for sending in sendings:
            self.sendings.append(sending)
            fresh = [one for one in sending.events if one.id not in self.known]
            self.known.update(one.id for one in fresh)
            receipts.append(Receipt(len(fresh), len(sending.events) - len(fresh), 7))
        return receipts

    @property
    def events(self) -> list[Any]:
        return [event for sending in self.sendings for event in sending.events]

    def intake(self) -> Intake:
        return Intake(self.process)


def gate(access: FakeAccess, token: str | None = None) -> Gate:
    return Gate(access, token)  # type: ignore[arg-type]
