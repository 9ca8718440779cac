"""Channels: the names by which playbooks say whom to tell, and the address, kind and secrets behind each name."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from sentinel.actions.target import TargetError, parse
from sentinel.core.bundle import Bound
from sentinel.core.duration import DAY, MINUTE, SECOND, format_duration, parse_duration
from sentinel.core.errors import InputError, SentinelError

Kind = Literal["log", "webhook", "apprise"]

KINDS: tuple[Kind, ...] = ("log", "webhook", "apprise")
USUAL = ("log", "security")  # exist without being set up
SHORTEST = 24  # bytes of a webhook's secret, as Standard Webhooks asks
FORMATS = ("sentinel", "ocsf", "ecs")
MOST: Mapping[Kind, Bound | None] = {"log": None, "webhook": None, "apprise": Bound(20, 10 * MINUTE)}
LARGEST, SHORTEST_PERIOD, LONGEST_PERIOD = 10_000, SECOND, DAY  # of a bound
_KEYS: Mapping[str, tuple[str, ...]] = {
    "log": ("most",), "webhook": ("url", "secret", "format", "most"), "apprise": ("url", "most"),
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. `url` and `secrets` are never shown: an apprise URL is a secret itself.

    A webhook with several secrets is signed with each, so that one can be replaced without a gap. `format` is one of
    FORMATS: how it is told of findings. What comes above `most` is told in one message; None tells each by itself.
    """

    name: str
    kind: Kind = "log"
    url: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    format: str = "sentinel"
    most: Bound | None = None

    @property
    def described(self) -> str:
        """What it is, in words that anybody may read."""
        if self.most is None:
            return self.kind
        return f"{self.kind}, at most {self.most.most} in {format_duration(self.most.per)} one by one"


def channels(settings: Mapping[str, object] | None = None) -> dict[str, Channel]:
    """Return the channels of the settings, by name, and the usual ones where the settings do not say otherwise.

    Each setting is an object such as `{"kind": "webhook", "url": "https://…", "secret": "whsec_…"}`. Raises
    InputError with all that is wrong, a line each, and without any URL or secret in it.
    """
    found = {name: Channel(name) for name in USUAL}
    wrong: list[str] = []
    for name, raw in (settings or {}).items():
        try:
            found[name] = _channel(name, raw)
        except InputError as error:
            wrong.append(f"channel `{str(name)[:64]}`: {error}")
    if wrong:
        raise InputError("\n".join(wrong))
    return found


def _channel(name: str, raw: object) -> Channel:
    if not _NAME.fullmatch(name):
        raise InputError("not a name", "lower case, digits, `-` and `_`, at most 64 characters")
    if not isinstance(raw, Mapping):
        raise InputError("not a table", 'write {kind = "webhook", url = "…", secret = "…"}')
    kind = _kind(raw.get("kind", "log"))
    for key in raw:
        if key != "kind" and key not in _KEYS[kind]:
            close = difflib.get_close_matches(str(key), _KEYS[kind], 1)
            raise InputError(
                f"`{str(key)[:32]}` is not a setting of a channel of kind `{kind}`",
                f"did you mean `{close[0]}`?" if close else f"known: {', '.join(('kind', *_KEYS[kind]))}",
            )
    return Channel(
        name,
        kind,
        _url(kind, raw.get("url")),
        _secrets(kind, raw.get("secret")),
        form := _format(raw.get("format", "sentinel")),
        _most(kind, form, raw.get("most")),
    )


def _kind(raw: object) -> Kind:
    for kind in KINDS:
        if raw == kind:
            return kind
    raise InputError(f"`{str(raw)[:32]}` is not a kind of channel", f"one of {', '.join(KINDS)}")


def _url(kind: Kind, raw: object) -> str:
    if kind == "log":
        return ""
    if not isinstance(raw, str) or not raw:
        raise InputError("`url` is missing")
    if kind == "webhook":
        try:
            parse(raw)
        except TargetError as error:
            raise InputError(f"`url`: {error.message}", error.hint) from None
    elif find_spec("apprise") is None:
        raise InputError("apprise is not installed", "pip install 'sentinel-playbooks[notify]'")
    return raw


def _format(raw: object) -> str:
    if raw not in FORMATS:
        raise InputError(f"`format`: `{str(raw)[:32]}` is not known", f"one of {', '.join(FORMATS)}")
    return str(raw)


def _most(kind: Kind, form: str, raw: object) -> Bound | None:
    if raw is None:
        return MOST[kind]
    if raw == "none":
        return None
    if form != "sentinel":
        raise InputError(f"`most`: there is no {form} document of many findings", "leave out `most`, or `format`")
    most, _, per = raw.partition("/") if isinstance(raw, str) else ("", "", "")
    try:
        bound = Bound(int(most) if most.isascii() and most.isdigit() and len(most) < 9 else 0, parse_duration(per))
    except SentinelError:
        bound = Bound(0, 0)
    if not (1 <= bound.most <= LARGEST and SHORTEST_PERIOD <= bound.per <= LONGEST_PERIOD):
        hint = f"write `20/10m`: 1 to {LARGEST:,} in 1s to 1d; or `none`"
        raise InputError(f"`most`: `{str(raw)[:32]}` is not a bound", hint)
    return bound


def _secrets(kind: Kind, raw: object) -> tuple[str, ...]:
    if kind != "webhook":
        return ()
    found = [raw] if isinstance(raw, str) else raw
    if not isinstance(found, list | tuple) or not found:
        hint = f"a webhook is always signed: write `{_PREFIX}` and the base64 of 32 random bytes"
        raise InputError("`secret` is missing", hint)
    for secret in found:
        if not isinstance(secret, str) or _length(secret) < SHORTEST:
            raise InputError(f"`secret` is not `{_PREFIX}` and base64 of {SHORTEST} or more bytes")
    return tuple(found)


def _length(secret: str) -> int:
    try:
        return len(base64.b64decode(secret.removeprefix(_PREFIX) + "==", validate=False))
    except (binascii.Error, ValueError):
        return 0
