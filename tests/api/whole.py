"""A whole server on loopback over a store of its own, with two apps and a key of every scope in each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sentinel.app import Server, open_server
from sentinel.core.record import KEY_SCOPES, App
from sentinel.settings import Settings
from tests.api.served import Client, served, wait_for
from tests.prepared import prepared

METRICS_KEY = "for-prometheus-alone-0123456789"
PLAYBOOKS = """
playbook: three-failures
title: Three failed logins from one address
mode: enforce
event: auth
where: not success
group_by: ip
window: 10m
when: {count: 3}
actions:
  - block_ip: {for: 1h}
  - notify: {channel: security}
tests:
  - name: three
    events:
      - {at: 0s, event: auth, success: false, ip: 203.0.113.9, user: "u{n}", repeat: 3, every: 1s}
    expect:
      - {at: 2s, group: {ip: 203.0.113.9}, block_ip: 203.0.113.9}
---
playbook: only-watching
title: One failed login
event: auth
where: not success
group_by: user
window: 10m
when: {count: 1}
---
playbook: sleeping
title: Off
mode: off
event: auth
group_by: user
window: 10m
when: {count: 1}
"""


@dataclass
class Whole:
    """The server, and clients by app and scope."""

    server: Server
    client: Client
    secrets: dict[tuple[str, str], str] = field(default_factory=dict)

    def using(self, scope: str, app: str = "one") -> Client:
        return self.client.using(self.secrets[app, scope])

    @property
    def local(self) -> Client:
        """The local administrator."""
        return self.client.using(self.server.token)

    def fail(self, ip: str, user: str = "u1", times: int = 3, app: str = "one", **more: Any) -> None:
        """Send failed logins, as the SDK of an app would."""
        event = {"event": "auth", "success": False, "ip": ip, "user": user, **more}
        answer = self.using("sdk", app).post("/v1/events", [event] * times)
        assert answer.json["accepted"] == times, answer.body


def settings(folder: Path, **more: Any) -> Settings:
    playbooks = folder / "playbooks"
    playbooks.mkdir(exist_ok=True)
    (playbooks / "all.yaml").write_text(PLAYBOOKS)
    own = {"data": folder / "data", "port": 0, "playbooks": (playbooks,), "rate": 1_000_000, "metrics_key": METRICS_KEY}
    return Settings(**{**own, **more})


def rewrite(file: Path, text: str) -> None:
    """Put another text into a file in one step: a server that looks at it meanwhile finds the one or the other."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


@contextlib.contextmanager
def whole(folder: Path, **more: Any) -> Iterator[Whole]:
    """Run a server while the block runs."""
    if not (folder / "data").exists() and not more.keys() & {"data", "database"}:
        prepared(folder / "data")
    server = open_server(settings(folder, **more))
    server.first()
    with served(server.front, lifespan="on") as client:
        found = Whole(server, client)
        for app in ("one", "two"):
            server.store.access.add_app(App(app, app.title()), "test", 1)
            for scope in KEY_SCOPES:
                origins = {"origins": ["https://shop.example"]} if scope == "browser" else {}
                _, secret = server.store.access.make_key(app, scope, "test", 1, name=f"{app} {scope}", settings=origins)
                found.secrets[app, scope] = secret
        wait_for(lambda: client.get("/readyz").status == 200)
        yield found
