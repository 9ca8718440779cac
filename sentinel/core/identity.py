"""Who an event is about: typed, normalised user keys such as `id:42` and `email:jane@example.com`.

Only the spelling of one key is here; linking several keys to one person is done by the store. The cases of
`data/identity-vectors.json` hold for every SDK in every language.
"""

from __future__ import annotations

from collections.abc import Mapping

from sentinel.core.errors import IdentityError
from sentinel.core.scrub import REDACTED

DEFAULT_ORDER = ("id", "user_id", "uid", "email", "username", "login")
LONGEST = 256
_TYPES = {"user_id": "id", "uid": "id"}

ANONYMOUS = "anonymous_id"  # of a browser, not of a person: it ties no two persons together
_ANONYMOUS = f"{ANONYMOUS}:"

_GIVEN = frozenset({"id", "email", ANONYMOUS})  # types of keys that applications give: of others people may choose
_NOTHING = (
    "null", "undefined", "none", "nil", "nan", "(null)", "<null>", "<nil>", "[object object]", "{}", "[]", "true",
    "false", "-1", "n/a", "anonymous", "anonymoususer", "anon", "unknown", "not_authenticated", "[filtered]",
    "[redacted]",
)  # fmt: skip
_PLACEHOLDERS = frozenset(quoted for text in _NOTHING for quoted in (text, f'"{text}"', f"'{text}'"))
_BEGINNINGS = "0-" + "".join({text[0] for word in _PLACEHOLDERS for text in (word, word.upper())})

Identifiers = Mapping[str, str]


def identifiers(user: object) -> dict[str, str]:
    """Return a user's identifiers as texts; a bare string or integer means `{"id": …}`.

    Raises IdentityError for booleans, floats, nested values and texts over 256 characters.
    Empty identifiers are left out, and what an SDK left out as a secret: all who have one would be one person.
    """
    if type(user) is not dict:
        user = dict(user) if isinstance(user, Mapping) else {"id": user}
    found = {}
    for name, value in user.items():
        if type(value) is str and len(value) <= LONGEST and (name != "email" or value.isascii()):  # without a call
            value = value.strip().lower() if name == "email" else value.strip()
        else:
            value = normalise(name, value)
        if value and value != REDACTED:
            found[name] = value
    return found


def normalise(name: str, value: object) -> str:
    """Return one identifier as text: trimmed, e-mail in lower case; empty text for none."""
    if type(value) is str:
        text = value.strip().lower() if name == "email" else value.strip()
        if len(text) > LONGEST:  # a small letter may be two characters
            raise IdentityError(f"user.{name}", f"longer than {LONGEST} characters")
        return "" if text == REDACTED else text
    if value is None:
        return ""
    if type(value) is int:
        return normalise(name, str(value)) if -(10**40) < value < 10**40 else _refuse(name, value)
    return _refuse(name, value)


def _refuse(name: str, value: object) -> str:
    kind = {bool: "a boolean", float: "a number with a fraction", int: "too long", dict: "an object", list: "a list"}
    what = kind.get(type(value), f"a {type(value).__name__}")
    raise IdentityError(f"user.{name}", f"an identifier is text or an integer, this is {what}")


def user_key(found: Identifiers, order: tuple[str, ...] = DEFAULT_ORDER) -> str | None:
    """Return the key of the first identifier in `order` that names somebody, or None."""
    for name in order:
        value = found.get(name)
        if value:
            type_ = _TYPES.get(name, name)
            if not _is_nobody(type_, value):
                return f"{type_}:{value}"
    return None


def key_of(user: object, order: tuple[str, ...] = DEFAULT_ORDER) -> str | None:
    """Return `user_key(identifiers(user), order)`, looking at no more identifiers than need be."""
    if type(user) is not dict:
        return user_key(identifiers(user), order)
    for name in order:
        value = user.get(name)
        if type(value) is str and len(value) <= LONGEST and name != "email":  # the usual case, without a call
            text = value.strip()
        else:
            text = normalise(name, value)
        if text and text != REDACTED:
            type_ = _TYPES.get(name, name)
            if not _is_nobody(type_, text):
                return f"{type_}:{text}"
    return None


def is_placeholder(key: str) -> bool:
    """Say whether a user key is one that applications write where there is no user, such as `id:null`.

    Strangers share it, so it ties nobody together and nobody is counted by it. The words are those that PostHog refuses
    to merge by (`isDistinctIdIllegal`), Mixpanel to take as a `distinct_id` ("Server-side events with no logged-in
    user") and Segment advises to block ("Identity Resolution Onboarding": zeros and dashes), what languages print for
    nothing, the names of nobody in Django and Spring Security, and what Rails and Sentry put in place of a secret.
    A user name is never one, for people choose it; nor is `guest`, which is an account on real machines, and attacked:
    see docs/decisions/0031.
    """
    type_, _, value = key.partition(":")
    return _is_nobody(type_, value)


def _is_nobody(type_: str, value: str) -> bool:
    if value[:1] not in _BEGINNINGS or type_ not in _GIVEN:  # the usual case, asked of every identifier of every event
        return False
    return value.lower() in _PLACEHOLDERS or not value.strip("0-")


def placeholders(found: Identifiers) -> list[str]:
    """Return the names of the identifiers that stand for no user, in the order they came."""
    return [name for name, value in found.items() if _is_nobody(_TYPES.get(name, name), value)]


def is_anonymous(key: str) -> bool:
    """Say whether a user key is that of a browser whose user is not known."""
    return key.startswith(_ANONYMOUS)


def named_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that name a person; where there are none, the anonymous ones."""
    return tuple([key for key in keys if not key.startswith(_ANONYMOUS)]) or keys


def key_type(name: str) -> str:
    """Return the type of the key that an identifier of a name makes."""
    return _TYPES.get(name, name)


def names_of(type: str) -> tuple[str, ...]:
    """Return the names of the identifiers that make keys of a type."""
    return (type, *(name for name, of in _TYPES.items() if of == type))


def keys(found: Identifiers, order: tuple[str, ...] = DEFAULT_ORDER) -> tuple[str, ...]:
    """Return the keys of all identifiers present, in `order`, without repeats: those that decisions are looked up by.

    Placeholders are among them: nothing decides about one but a person, by hand, who means whoever bears it.
    """
    typed = []
    for name in order:
        if (value := found.get(name)) and (key := f"{_TYPES.get(name, name)}:{value}") not in typed:
            typed.append(key)
    return tuple(typed)


def naming_keys(found: Identifiers, order: tuple[str, ...] = DEFAULT_ORDER) -> tuple[str, ...]:
    """Return `keys(found, order)` without placeholders: those that tell one user from another."""
    typed = []
    for name in order:
        if value := found.get(name):
            type_ = _TYPES.get(name, name)
            if not _is_nobody(type_, value) and (key := f"{type_}:{value}") not in typed:
                typed.append(key)
    return tuple(typed)


def read_key(text: str) -> str:
    """Return the user key a person meant: `u1` is short for `id:u1`, `id:u1` stays."""
    return _key(*_parts(text))


def read_keys(text: str, order: tuple[str, ...] = DEFAULT_ORDER) -> tuple[str, ...]:
    """Return the user keys a person may mean, the likeliest first: of a bare name one for each name in `order`."""
    first, value = _parts(text)
    names = (first, *order) if value == text else (first,)
    return tuple(dict.fromkeys(_key(name, value) for name in names))


def _key(name: str, value: str) -> str:
    return f"{key_type(name)}:{normalise(name, value)}"


def _parts(text: str) -> tuple[str, str]:
    """Return the name and the value of an identifier as a person writes it; a bare value is an `id`."""
    name, colon, rest = text.partition(":")
    return (name, rest) if colon and rest and name.isidentifier() and name.islower() else ("id", text)
