"""Sentinel inside an application: report events, and refuse whom the server decided to refuse.

    from sentinel import sdk
    sdk.start(url="https://sentinel.example", key="…")

Every call works before `start`, without a server, and in any process; none waits for the network. None raises, except
TypeError for arguments that no program should pass, and the signals `Blocked`, `Redirected` and `Challenged` inside a
request, which a middleware answers. docs/sdk.md describes all of it.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Unpack

from sentinel.core.decision import Verdict
from sentinel.sdk import client as _client
from sentinel.sdk import options as _options
from sentinel.sdk import unstarted as _unstarted
from sentinel.sdk.clock import Notes as _Notes
from sentinel.sdk.events import Identifier as _Identifier
from sentinel.sdk.events import User as _User
from sentinel.sdk.events import check_call as _check_call
from sentinel.sdk.signals import Blocked, Challenged, Redirected

__all__ = [
    "start", "track", "auth_track", "signup_track", "identify", "passed", "is_blocked", "verdict", "ready", "flush",
    "stop", "stats", "Blocked", "Redirected", "Challenged", "Verdict",
]  # fmt: skip

_Address = IPv4Address | IPv6Address

_now: _client.Client = _unstarted.Unstarted(_options.Options())


def start(url: str | None = None, key: str | None = None, **settings: Unpack[_options.Settings]) -> None:
    """Say where the server is, and return at once; docs/sdk.md lists the settings.

    What is not given is read from SENTINEL_* in the environment. A second call replaces the first, whose list stays
    in force until the first of its own where the `url` is the same.
    """
    unknown = sorted(settings.keys() - _options.Settings.__optional_keys__)
    if unknown:
        raise TypeError(f"start() got an unexpected setting `{unknown[0]}`")
    notes = _Notes()
    read = _options.read({"url": url, "key": key, **settings}, lambda message: notes.warn(message, message))
    _begin(_client.Client(read, notes))


def track(
    event: str,
    properties: Mapping[str, Any] | None = None,
    user_identifiers: _User | None = None,
    timestamp: datetime | None = None,
    collect_body: bool = False,
    request: object = None,
) -> None:
    """Queue an event: what happened, to whom, when. The request and user under way are added by themselves.

    `request` is a framework's request object, where the call is made outside its context.
    """
    _check_call(event, timestamp)
    event = str.__str__(event)  # a subclass may answer whatever it likes
    if current().named(event):
        current().track(event, properties, user_identifiers, timestamp, collect_body, request)


def auth_track(
    success: bool,
    user_identifiers: _User | None = None,
    *,
    id: _Identifier | None = None,
    user_id: _Identifier | None = None,
    uid: _Identifier | None = None,
    email: str | None = None,
    username: str | None = None,
    login: str | None = None,
    properties: Mapping[str, Any] | None = None,
    timestamp: datetime | None = None,
    request: object = None,
) -> Verdict:
    """Queue the outcome of a login attempt, then enforce what was decided about that user's logins."""
    _check_call("auth", timestamp)
    named = {"id": id, "user_id": user_id, "uid": uid, "email": email, "username": username, "login": login}
    user = _one_user(user_identifiers, named)
    return current().login("auth", user, properties, success=_is_true(success), timestamp=timestamp, request=request)


def signup_track(
    user_identifiers: _User | None = None,
    *,
    id: _Identifier | None = None,
    user_id: _Identifier | None = None,
    uid: _Identifier | None = None,
    email: str | None = None,
    username: str | None = None,
    login: str | None = None,
    properties: Mapping[str, Any] | None = None,
    timestamp: datetime | None = None,
    request: object = None,
) -> Verdict:
    """Queue a sign-up, then enforce what was decided about that user."""
    _check_call("signup", timestamp)
    named = {"id": id, "user_id": user_id, "uid": uid, "email": email, "username": username, "login": login}
    user = _one_user(user_identifiers, named)
    return current().login("signup", user, properties, timestamp=timestamp, request=request)


def identify(user: _User, traits: Mapping[str, Any] | None = None) -> Verdict:
    """Say whose request this is, and enforce: raises Blocked, Redirected or Challenged where the user is refused.

    Outside any middleware it returns the verdict instead.
    """
    return current().identify(user, traits)


def passed(decisions: Iterable[str] | str | None, *, request: object = None) -> None:
    """Say which challenges the session of this request has met, by their `verdict.decision`; call it before `identify`.

    They challenge it no more, so they must be kept where no visitor can make them up. `request` is a framework's
    request object, where the call is made outside its context.
    """
    current().passed(decisions, request)


def verdict(user: _User | None = None, ip: str | _Address | None = None) -> Verdict:
    """Return what was decided about a user, an address or both, for code that wants to act on it itself."""
    return current().verdict(user, ip)


def is_blocked(user: _User | None = None, ip: str | _Address | None = None) -> bool:
    """Say whether a user, an address or both are blocked."""
    return current().verdict(user, ip).kind == "block"


def ready(timeout: float = 1.0) -> bool:
    """Wait for the first list of decisions; say whether there is one. For workers: requests never wait."""
    return current().wait_ready(timeout)


def flush(timeout: float = 5.0) -> bool:
    """Send what waits now; say whether it has left within `timeout` seconds."""
    return current().flush(timeout)


def stop(timeout: float | None = None) -> None:
    """Send what waits and end the threads; `start` begins anew."""
    current().stop(timeout)


def stats() -> dict[str, Any]:
    """Return what was sent, dropped (by reason), enforced, and how things stand with the server."""
    return current().stats()


def current() -> _client.Client:
    """Return the client in use, for middlewares."""
    return _now


def swap(client: _client.Client) -> _client.Client:
    """Put a client in place of the one in use, and return that, untouched: for tests."""
    global _now
    before, _now = _now, client
    return before


def _use(client: _client.Client) -> None:
    """Put a client in place of the one in use, stop that, and take over its waiting events and its counts of lost ones.

    Where the server is the same, its decisions stay in force until the new client has its own.
    """
    before = current()
    was_running = before.stats()["running"]
    if was_running and client.options.url == before.options.url:  # with another key, say: nobody gets off meanwhile
        client.follower.begin_with(before.held)
        client.clock.offset = before.clock.offset
    before = swap(client)  # perhaps another: two threads may start at once
    for item in before.buffer.empty():
        client.buffer.put(item.event, item.size, item.came)
    client.buffer.dropped.update(before.buffer.untold())
    before.stop(0)
    if was_running:
        client.ensure_running()


_begin: Callable[[_client.Client], None] = _use  # `testing` puts another in its place


def _one_user(given: Any, named: Mapping[str, Any]) -> Any:
    present = {name: value for name, value in named.items() if value is not None}
    if given is None or not present:
        return present if given is None else given
    try:
        return {**(given if isinstance(given, Mapping) else {"id": given}), **present}
    except Exception as error:  # noqa: BLE001  a stranger's code
        current().failed("identifiers", error)
        return present


def _is_true(success: object) -> bool:
    try:
        return bool(success)
    except Exception as error:  # noqa: BLE001  a stranger's code; what is not known to have succeeded failed
        current().failed("auth_track", error)
        return False


atexit.register(_client.stop_all)
