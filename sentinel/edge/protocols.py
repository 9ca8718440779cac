"""Which scopes and settings a key for a foreign protocol may have. Keys are made by the API and used by adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sentinel.core.errors import SentinelError
from sentinel.core.record import KeyScope
from sentinel.edge.errors import ApiError


class KeySetting(NamedTuple):
    """One setting of a key: how its value is read (SentinelError where it cannot be meant) and what it is for.

    A `hidden` one is never shown again.
    """

    read: Callable[[Any], Any]
    help: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The scopes that make sense for keys of a protocol, and the settings they take."""

    scopes: tuple[KeyScope, ...]
    settings: Mapping[str, KeySetting] = field(default_factory=dict)


KeyForms = Mapping[str, KeyForm]


def read_settings(forms: KeyForms, protocol: str | None, scope: KeyScope, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a new key, each read; raises the refusal of what a key of that protocol cannot be."""
    if protocol is None:
        if given:
            hint = "name its `protocol`"
            raise ApiError("invalid", "`settings`: only keys for a foreign protocol have them", hint)
        return {}
    form = forms.get(protocol)
    if form is None:
        raise ApiError("invalid", f"`protocol`: `{protocol[:40]}` is not known", f"one of {', '.join(sorted(forms))}")
    if scope not in form.scopes:
        hint = f"one of {', '.join(form.scopes)}"
        raise ApiError("invalid", f"`scope`: keys for `{protocol}` cannot be `{scope}`", hint)
    found = {}
    for name, value in given.items():
        setting = form.settings.get(name)
        if setting is None:
            hint = f"there are {', '.join(sorted(form.settings))}" if form.settings else "it takes none"
            raise ApiError("invalid", f"`settings.{name[:40]}`: not a setting of keys for `{protocol}`", hint)
        try:
            found[name] = setting.read(value)
        except SentinelError as error:
            raise ApiError("invalid", f"`settings.{name}`: {error.message}", error.hint) from None
    return found


def shown_settings(forms: KeyForms, protocol: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a key's settings may be shown."""
    form = forms.get(protocol or "")
    known = form.settings if form is not None else {}
    return {name: value for name, value in settings.items() if name in known and not known[name].hidden}


def yes_or_no(value: Any) -> bool:
    """Return a switch's value, given as JSON or as a text."""
    found = _WORDS.get(str(value).lower()) if type(value) in (bool, str) else None
    if found is None:
        raise SentinelError(f"`{str(value)[:20]}` is neither yes nor no")
    return found


_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
