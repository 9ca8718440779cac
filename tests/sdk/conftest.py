"""The SDK against a real HTTP server on loopback, begun anew for each test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sentinel import sdk
from sentinel.core.decision import Decision, Delta
from sentinel.sdk.client import Client
from sentinel.sdk.options import Options
from tests.sdk.server import KEY, PATIENCE, FakeServer

QUICK: dict[str, Any] = {
    "flush_interval": 0.02, "poll_interval": 0.02, "retry_base": 0.02, "retry_limit": 0.05, "refused_wait": 0.05,
    "timeout": 60.0, "exit_wait": 60.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "ENFORCE", "SNAPSHOT", "TRUSTED_PROXIES"):
        monkeypatch.delenv(f"SENTINEL_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "FORWARDED_ALLOW_IPS"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    made = FakeServer()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.close()
    thread.join(60)


@pytest.fixture
def start(server: FakeServer) -> Iterator[Callable[..., Client]]:
    """Start the SDK on the test's server; stopped and forgotten afterwards."""

    def starting(**settings: Any) -> Client:
        sdk.start(**{"url": server.url, "key": KEY, **QUICK, **settings})
        return sdk.current()

    yield starting
    sdk.stop(1)
    forget()


@pytest.fixture
def idle() -> Iterator[Client]:
    """Put a client without a server in place."""
    forget()
    yield sdk.current()
    forget()


def forget() -> None:
    sdk.swap(Client(Options())).stop(0)


def known(client: Client) -> bool:
    """Wait until the client has its first list."""
    return client.wait_ready(PATIENCE)


def decide(client: Client, *decisions: Decision) -> None:
    """Let the client hold these decisions too, without a server."""
    client.held.decisions = client.held.decisions.apply(Delta(1, decisions))
