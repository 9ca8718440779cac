"""Calls shaped like those of Sqreen's SDK: change the import, and they stay as they are.

    from sentinel.sdk import sqreen
    sqreen.track("invoice.created", {"properties": {"amount": 12}})

Only arguments are translated here; the calls do what those of `sentinel.sdk` do. The middleware is always ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentinel import sdk
from sentinel.core.decision import Verdict
from sentinel.core.scrub import name_of

__all__ = ["start", "track", "auth_track", "signup_track", "identify"]

_OPTIONS = ("properties", "user_identifiers", "timestamp", "collect_body")


start = sdk.start


def track(event: str, options: Mapping[str, Any] | None = None) -> None:
    """Queue an event; `options` may hold `properties`, `user_identifiers`, `timestamp` and `collect_body`.

    Another option is left out, counted and said once: data of the application's may have chosen its name.
    """
    given = _read(options)
    strange = sorted(name for name in given if name not in _OPTIONS)
    if strange:
        notes = sdk.current().notes
        notes.count("options left out", len(strange))
        notes.warn("options", f"`{strange[0][:64]}` is no option of `track` ({', '.join(_OPTIONS)})")
    sdk.track(event, **{name: given[name] for name in _OPTIONS if name in given})


def _read(options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    try:
        return {name_of(name): value for name, value in options.items()}
    except Exception as error:  # noqa: BLE001  they are no mapping, or a stranger's: the event counts without them
        sdk.current().failed("track", error)
        return {}


def auth_track(success: bool, **user_identifiers: Any) -> Verdict:
    """Queue the outcome of a login attempt by whatever identifiers are given, then enforce."""
    return sdk.auth_track(success, user_identifiers)


def signup_track(**user_identifiers: Any) -> Verdict:
    """Queue a sign-up by whatever identifiers are given, then enforce."""
    return sdk.signup_track(user_identifiers)


def identify(auth_keys: Mapping[str, Any], traits: Mapping[str, Any] | None = None) -> Verdict:
    """Say whose request this is, and enforce."""
    return sdk.identify(auth_keys, traits)
