"""Apps and their keys, as people make and change them: what an id, a retention and an origin may be.

Who may do so is checked by the API and the console.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sentinel.core.duration import HOUR, parse_duration
from sentinel.core.errors import Conflict, DurationError, SentinelError
from sentinel.core.record import App, KeyScope
from sentinel.service.ports import Store

ID = r"^[a-z0-9][a-z0-9-]{0,62}$"
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


def add(store: Store, id: str, name: str, by: str, now: int) -> App:
    """Add an app, apart from all others; raises Conflict where there is one of that id."""
    if not re.fullmatch(ID, id):
        raise SentinelError(
            f"`id`: `{id[:64]}` cannot be an app's", "lower case, digits and `-`, such as `shop-staging`"
        )
    made = App(id, name, made=now)
    if not store.access.add_app(made, by, now):
        raise Conflict(f"`id`: there is an app `{id}` already", "choose another")
    return made


def retention(text: str) -> int | None:
    """Return for how many microseconds events are kept, None for `none`: as long as the server's settings say."""
    if text == "none":
        return None
    try:
        micros = parse_duration(text)
    except DurationError as error:
        raise SentinelError(f"`retention`: {error.message}", error.hint or "write `90d`, or `none`") from None
    if micros < HOUR:
        raise SentinelError(f"`retention`: `{text}` is shorter than an hour", "write `90d`, or `none`")
    return micros


def origins(scope: KeyScope, given: Sequence[str]) -> dict[str, list[str]]:
    """Return what a new key's settings say of where it may be used from: browser keys say it, others do not."""
    if (scope == "browser") != bool(given):
        hint = "such as `https://shop.example`" if scope == "browser" else "leave them out"
        raise SentinelError("`origins`: browser keys have some, other keys have none", hint)
    for origin in given:
        if not _ORIGIN.fullmatch(origin):
            raise SentinelError(f"`origins`: `{origin[:80]}` is not an origin", "write `https://shop.example`")
    return {"origins": list(given)} if given else {}
