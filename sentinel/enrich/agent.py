"""The browser, system and device that a user agent names. It is the sender's claim: good for statistics, no proof."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from ua_parser import Domain, Resolver, load_lazy_builtins
from ua_parser.regex import Resolver as Expressions

from sentinel.core.device import fingerprint
from sentinel.core.event import Event

LONGEST = 1024  # characters that are looked at, and up to which a user agent is remembered
REMEMBERED = 1 << 13

# Programs that are no browser and that ua-parser does not call spiders. okhttp, CFNetwork and Dalvik are not here:
# apps on people's telephones say so.
_PROGRAM = re.compile(
    r"(?:aiohttp|apache-httpclient|axios|curl|go-http-client|got|guzzlehttp|httpie|insomnia|java|libwww-perl"
    r"|node-fetch|node|php|postmanruntime|python(?:-[a-z]+)?|reqwest|ruby|sqlmap|undici|wget|zgrab)\b"
    r"|.*\b(?:headlesschrome|phantomjs|slimerjs)\b",
    re.IGNORECASE,
)


def read(user_agent: str) -> Mapping[str, Any]:
    """Return browser, os and device where it names them, and whether it is a bot (a spider or another program)."""
    return _read(user_agent if len(user_agent) <= LONGEST else user_agent[:LONGEST])


def device(user_agent: str) -> str | None:
    """Return the fingerprint that stands for the device (see sentinel.core.device), remembering it."""
    return _fingerprint(user_agent) if len(user_agent) <= LONGEST else fingerprint(user_agent)


def add(event: Event) -> None:
    """Give an event its agent, and the device that its user agent stands for, where it has none of its own."""
    if user_agent := event.request.get("user_agent"):
        if not event.agent:
            event.agent = read(user_agent)
        if not event.device:
            event.device = device(user_agent)  # with an accept-language it was found as the event was read


def warm() -> None:
    """Compile the expressions now (a third of a second) and not at the first event."""
    _parser()("Mozilla/5.0", Domain.ALL)


_fingerprint = lru_cache(maxsize=REMEMBERED)(fingerprint)


@cache
def _parser() -> Resolver:
    return Expressions(load_lazy_builtins())


@lru_cache(maxsize=REMEMBERED)
def _read(user_agent: str) -> Mapping[str, Any]:
    if not user_agent:
        return {}
    found = _parser()(user_agent, Domain.ALL)
    family = found.device.family if found.device else None
    bot = family == "Spider" or _PROGRAM.match(user_agent) is not None
    named = {
        "browser": found.user_agent.family if found.user_agent else None,
        "os": found.os.family if found.os else None,
        "device": None if bot else family,
    }
    return {name: value for name, value in named.items() if value and value != "Other"} | {"bot": bot}
