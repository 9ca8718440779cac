"""Whom no playbook acts on: the allowlist as it is at a moment, and the app's own proxies.

What an action would do to others is the engine's. What people decide by hand counts all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sentinel.core import address
from sentinel.core.decision import Place, place
from sentinel.core.record import Allowance

Whose = Callable[[Sequence[str]], Sequence[str | None]]  # the person of each key


class Spared:
    """The allowances in force and networks of the app's own; a user is a person, by whichever key they are known."""

    def __init__(self, never: Sequence[Place], allowances: Iterable[Allowance] = (), whose: Whose = list) -> None:
        allowances = list(allowances)
        users = [one for one in allowances if one.scope == "user"]
        persons = whose([one.value for one in users]) if users else []
        self._never, self._whose = never, whose
        self._users: dict[str, int | None] = {}
        for one, person in zip(users, persons, strict=True):
            key = person or one.value
            known = self._users.get(key, 0)
            self._users[key] = None if known is None or one.until is None else max(known, one.until)
        self._places = [(place(one.value), one.until) for one in allowances if one.scope != "user"]

    def why(self, kind: str, target: str, at: int) -> str | None:
        """Return why a user, or an address or network, is not acted on at a moment; None where it is."""
        if kind == "user":
            return "allowlisted" if self._users and self._lets_be(target, at) else None
        where = place(target)
        if any(_overlap(where, network) for network in self._never):
            return "the app's own proxy"
        if any(_overlap(where, network) and _lasts(until, at) for network, until in self._places):
            return "allowlisted"
        return None

    def among(self, group: Mapping[str, Any], at: int) -> dict[str, str]:
        """Return the fields of a group that name somebody nobody acts on, and why."""
        found = {}
        for kind in ("ip", "user"):
            value = group.get(kind)
            if value is not None and (why := _nobodys(kind, value) or self.why(kind, value, at)):
                found[kind] = why
        return found

    def _lets_be(self, user: str, at: int) -> bool:
        (person,) = self._whose([user])
        key = person or user
        return key in self._users and _lasts(self._users[key], at)


def _nobodys(kind: str, value: str) -> str | None:
    return "private or local address" if kind == "ip" and address.is_untouchable(value) else None


def _lasts(until: int | None, at: int) -> bool:
    return until is None or at < until


def _overlap(one: Place, other: Place) -> bool:
    if one.version != other.version:
        return False
    shorter = min(one.length, other.length)
    return one.bits >> (one.length - shorter) == other.bits >> (other.length - shorter)
