"""Whom playbooks may not act on: the allowlist as it is at a moment, and the app's own proxies.

The harm an action would do to others is considered by the engine. Decisions by hand are not bound by this.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sentinel.core import address
from sentinel.core.decision import Place, place
from sentinel.core.finding import Finding
from sentinel.core.record import Allowance
from sentinel.engine.keys import renamed
from sentinel.engine.windows import Hit

ALLOWLISTED = "allowlisted"
MOST_LET_BE = 10_000  # groups
Whose = Callable[[Sequence[str]], Sequence[str | None]]  # the person of each key


class Spared:
    """Whom playbooks may not act on: an app's allowances, and the networks of its own proxies.

    A user on the allowlist is meant as a person, by any key; `whose` returns the person of each key.
    """

    def __init__(self, never: Sequence[Place], allowances: Iterable[Allowance] = (), whose: Whose = list) -> None:
        self._never = never
        self._allowances: list[Allowance] = []
        self._places: list[tuple[Place, int | None]] = []
        self.take(allowances, whose)

    def take(self, allowances: Iterable[Allowance], whose: Whose) -> None:
        """Take over the allowlist; it is read anew only if it changed, for it may hold thousands."""
        found = list(allowances)
        if found != self._allowances:
            self._allowances = found
            self._places = [(place(one.value), one.until) for one in found if one.scope != "user"]
        self._whose = whose
        self._users: dict[str, int | None] | None = None  # by person, which links may change: when they are asked for

    def why(self, kind: str, target: str, at: int) -> str | None:
        """Return why a target (`kind` user or ip) may not be acted on at a moment, None where it may."""
        if kind == "user":
            return ALLOWLISTED if self._lets_be(target, at) else None
        where = place(target)
        if any(where.meets(network) for network in self._never):
            return "the app's own proxy"
        if any(where.meets(network) and _lasts(until, at) for network, until in self._places):
            return ALLOWLISTED
        return None

    def among(self, group: Mapping[str, Any], at: int) -> dict[str, str]:
        """Return why nobody acts on a group's `ip` and `user`, by field; fields that may be acted on are left out."""
        found = {}
        for kind in ("ip", "user"):
            value = group.get(kind)
            if value is not None and (why := _nobodys(kind, value) or self.why(kind, value, at)):
                found[kind] = why
        return found

    def _lets_be(self, user: str, at: int) -> bool:
        if self._users is None:
            self._users = self._persons()
        if not self._users:
            return False
        (person,) = self._whose([user])
        key = person or user
        return key in self._users and _lasts(self._users[key], at)

    def _persons(self) -> dict[str, int | None]:
        """Return the end of each allowed person's allowances, by the person's key; None for ever."""
        users = [one for one in self._allowances if one.scope == "user"]
        found: dict[str, int | None] = {}
        for one, person in zip(users, self._whose([one.value for one in users]) if users else (), strict=True):
            key = person or one.value
            known = found.get(key, 0)
            found[key] = None if known is None or one.until is None else max(known, one.until)
        return found


class LetBe:
    """The groups whose last finding would have acted, but for the allowlist.

    Such a finding's cooldown holds back no action; while its targets stay allowed, hits of the group do not act either.
    `looked` is when the allowlist was last read for them.
    """

    def __init__(self) -> None:
        self.looked = 0
        self._groups: OrderedDict[tuple[str, str], tuple[tuple[str, str], ...]] = OrderedDict()

    def note(self, finding: Finding) -> None:
        """Take in the newest finding of a group."""
        of = finding.playbook, finding.key
        self._groups.pop(of, None)
        if was_let_be(finding):
            self._groups[of] = tuple(_let_be(finding))
            if len(self._groups) > MOST_LET_BE:
                self._groups.popitem(last=False)

    def rename(self, names: Mapping[str, str]) -> None:
        """Drop the groups that name deleted persons."""
        for of, whom in list(self._groups.items()):
            if renamed(of[1], names) != of[1] or any(target in names for _, target in whom):
                del self._groups[of]

    def concerns(self, hits: Iterable[Hit]) -> bool:
        """Say whether any of these hits is of such a group."""
        return bool(self._groups) and any((hit.watch, hit.key) in self._groups for hit in hits)

    def revised(self, hits: Iterable[Hit], why: Callable[[str, str, int], str | None]) -> list[Hit]:
        """Return the hits; those of groups whose targets are all still allowed do not act. `why` is `Spared.why`."""
        return [hit._replace(acting=False) if self._still(hit, why) else hit for hit in hits]

    def _still(self, hit: Hit, why: Callable[[str, str, int], str | None]) -> bool:
        whom = self._groups.get((hit.watch, hit.key), ())
        return bool(whom) and all(why(kind, target, hit.at) for kind, target in whom)


def was_let_be(finding: Finding) -> bool:
    """Say whether a finding acted on nobody because of the allowlist."""
    return finding.mode == "enforce" and not finding.acted and any(_let_be(finding))


def _let_be(finding: Finding) -> Iterable[tuple[str, str]]:
    for effect in finding.effects:
        if effect.held == ALLOWLISTED and effect.target is not None:
            yield "user" if effect.kind.endswith("_user") else "ip", effect.target


def _nobodys(kind: str, value: str) -> str | None:
    return "private or local address" if kind == "ip" and address.is_untouchable(value) else None


def _lasts(until: int | None, at: int) -> bool:
    return until is None or at < until
