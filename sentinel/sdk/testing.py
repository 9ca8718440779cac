"""A stand-in for an application's own tests: no server, no thread; look at events, and order verdicts.

from sentinel.sdk import testing
with testing.capture() as sentinel:
    sentinel.decide("block", user={"id": 42})
    assert client.get("/orders").status_code == 403
    assert sentinel.named("auth") == []
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Unpack

from sentinel import sdk
from sentinel.core.decision import Decision, Delta, Kind, Scope
from sentinel.sdk.client import Client
from sentinel.sdk.events import Events, User
from sentinel.sdk.options import Options, Settings, read


class Captured:
    """What the SDK would have sent, and what the server would have decided."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._made = 0
        ours, plain = client.options, Options()
        self._own = {
            name: value for name in Options.__slots__ if (value := getattr(ours, name)) != getattr(plain, name)
        }

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event so far, as it would travel."""
        return self._client.buffer.events()

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the events of one name."""
        return [event for event in self.events if event["event"] == name]

    def clear(self) -> None:
        """Forget the events; the decisions stay."""
        self._client.buffer.empty()

    def decide(
        self,
        kind: Kind,
        *,
        user: User | None = None,
        ip: str | None = None,
        network: str | None = None,
        to: str | None = None,
        until: int | None = None,
        logins_only: bool = False,
    ) -> str:
        """Put a decision on exactly one target in force; return its id. `until` is in microseconds since 1970."""
        targets: list[tuple[Scope, str]] = [
            *(("user", key) for key in self._client.events.keys(self._client.events.identifiers(user))[:1]),
            *((("ip", ip),) if ip is not None else ()),
            *((("network", network),) if network is not None else ()),
        ]
        if len(targets) != 1:
            raise TypeError("decide() takes one of `user`, `ip` and `network`")
        self._made += 1
        (scope, value), id = targets[0], f"decision-{self._made}"
        self._apply(Decision(id, kind, scope, value, to, until=until, playbook="testing", logins_only=logins_only))
        return id

    def undo(self, id: str) -> None:
        """Take a decision back."""
        self._apply(removed=(id,))

    def _begin(self, started: Client) -> None:
        """Take over how a call of `start` wants it, but for the server: what is tested may well start the SDK."""
        self._client.options = replace(started.options, url=None, key=None, **self._own)
        self._client.events = Events(self._client.options)

    def _apply(self, *added: Decision, removed: tuple[str, ...] = ()) -> None:
        held = self._client.held
        held.decisions = held.decisions.apply(Delta(held.decisions.revision + 1, added, removed))


@contextmanager
def capture(**settings: Unpack[Settings]) -> Iterator[Captured]:
    """Put a stand-in in place of the SDK's client; `settings` are those of `start`, the address aside.

    It stays there where `start` is called: that changes the settings not given here, and no server is asked.
    """
    options = read({**settings, "url": None, "key": None}, _silent, {}) if settings else Options()
    client = Client(options)
    captured = Captured(client)
    before, begin = sdk.swap(client), sdk._begin
    sdk._begin = captured._begin
    try:
        yield captured
    finally:
        sdk._begin = begin
        sdk.swap(before)


def _silent(message: str) -> None:
    """Say nothing: that there is no server is meant."""
