"""What responding must remember: how often each target was acted on, who is familiar where, whom nobody may touch.

Plain data with bounds, fed by the caller: the server loads it from its store, tests and backtest begin empty.
"""

from __future__ import annotations

import json
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sentinel.core import address
from sentinel.core.duration import DAY
from sentinel.core.event import Event

LADDER = 30 * DAY
PLACES = 64  # familiar places kept a user, users kept an address
KNOWN = 200_000  # users and addresses kept

K = TypeVar("K")
V = TypeVar("V")


class Ledger:
    """When each playbook acted on each target: the steps of ladders and the counts of guards.

    Each act is noted once a finding, so that a batch done again after a failed commit climbs no ladder.
    """

    def __init__(self) -> None:
        self._by_target: dict[tuple[str, str, str], dict[str, int]] = {}
        self._by_playbook: dict[str, list[tuple[int, str]]] = {}
        self._tripped: dict[str, int] = {}

    def record(self, playbook: str, kind: str, target: str, at: int, finding: str) -> None:
        """Note that a playbook acted on a target because of a finding."""
        times = self._by_target.setdefault((playbook, kind, target), {})
        for old in [one for one, time in times.items() if time <= at - LADDER]:
            del times[old]
        if finding not in times:
            times[finding] = at
            insort(self._by_playbook.setdefault(playbook, []), (at, target))

    def times(self, playbook: str, kind: str, target: str, now: int, finding: str) -> int:
        """Return for how many other findings the playbook did this to the target in the 30 days before `now`."""
        times = self._by_target.get((playbook, kind, target), {})
        return sum(1 for one, at in times.items() if at > now - LADDER and one != finding)

    def targets(self, playbook: str, since: int) -> set[str]:
        """Return the different targets the playbook acted on later than `since`; forgets those before."""
        acted = self._by_playbook.get(playbook, [])
        del acted[: bisect_right(acted, (since, chr(0x10FFFF)))]
        return {target for _, target in acted}

    def trip(self, playbook: str, until: int) -> None:
        """Let a playbook only monitor until then: its guard has held."""
        self._tripped[playbook] = max(until, self._tripped.get(playbook, 0))

    @property
    def holding(self) -> bool:
        """Whether any guard has ever held."""
        return bool(self._tripped)

    def tripped(self, playbook: str, now: int) -> bool:
        """Say whether the playbook's guard holds now."""
        return now < self._tripped.get(playbook, 0)

    def monitoring(self, now: int) -> frozenset[str]:
        """Return the playbooks whose guard holds now."""
        return frozenset(name for name, until in self._tripped.items() if now < until)


class Familiar:
    """Where each user logged in successfully: what is known to be the owner's place, and which address is shared.

    For each pair the first login and the first on a later day are kept, in microseconds.
    """

    def __init__(self) -> None:
        self._places: OrderedDict[str, dict[tuple[str, str], int]] = OrderedDict()
        self._users: OrderedDict[str, dict[str, tuple[int, int | None]]] = OrderedDict()

    FORMAT = "1"

    def dump(self) -> bytes:
        """Return all of it as JSON bytes, for `load`."""
        places = {user: [[*place, at] for place, at in known.items()] for user, known in self._places.items()}
        users = {ip: [[user, *times] for user, times in known.items()] for ip, known in self._users.items()}
        return json.dumps([places, users], separators=(",", ":")).encode()

    def load(self, data: bytes) -> bool:
        """Take over what `dump` returned; False, and nothing changed, where it is damaged."""
        try:
            places, users = json.loads(data)
            self._places = OrderedDict(
                (user, {(scope, value): at for scope, value, at in known}) for user, known in places.items()
            )
            self._users = OrderedDict(
                (ip, {user: (at, later) for user, at, later in known}) for ip, known in users.items()
            )
        except (ValueError, TypeError, AttributeError):
            self._places, self._users = OrderedDict(), OrderedDict()
            return False
        return True

    def learn(self, event: Event) -> None:
        """Take in one event; only a login that proves its user counts."""
        if not event.user or not event.proven:
            return
        places = _entry(self._places, event.user)
        ip = event.network_ip
        if ip:
            _earliest(places, ("user+ip", ip), event.at)
            _share(_entry(self._users, ip), event.user, event.at)
        if event.device:
            _earliest(places, ("user+device", event.device), event.at)

    def places(self, user: str, before: int) -> list[tuple[str, str]]:
        """Return (scope, address or device) of the places where the user had logged in before that time."""
        known = self._places.get(user, {})
        return [place for place, first in known.items() if first < before]

    def is_familiar(self, user: str, ip: str | None, device: str | None, before: int) -> bool:
        """Say whether the user had logged in from this address or device before that time."""
        known = set(self.places(user, before))
        group = address.group(ip) if ip else None
        return ("user+ip", group) in known or ("user+device", device) in known

    def sharers(self, ip: str, before: int) -> int:
        """Return how many users had logged in from the address or network on two different days before that time."""
        users = self._users.get(ip, {})
        return sum(1 for _, later in users.values() if later is not None and later < before)


def _entry(table: OrderedDict[str, dict[K, V]], key: str) -> dict[K, V]:
    """Return the key's entry, made if need be; past the bound the one untouched longest goes."""
    entry = table.get(key)
    if entry is not None:
        if len(table) > KNOWN // 2:  # before that nobody is near to going
            table.move_to_end(key)
        return entry
    if len(table) >= KNOWN:
        table.popitem(last=False)
    entry = table[key] = {}
    return entry


def _earliest(places: dict[tuple[str, str], int], place: tuple[str, str], at: int) -> None:
    first = places.get(place)
    if at < first if first is not None else len(places) < PLACES:
        places[place] = at


def _share(users: dict[str, tuple[int, int | None]], user: str, at: int) -> None:
    """Keep a user's first login at an address, and the first on a later day."""
    known = users.get(user)
    if known is None:
        if len(users) < PLACES:
            users[user] = (at, None)
        return
    first, later = known
    if at >= first and (at // DAY == first // DAY if later is None else at >= later):
        return
    days = sorted({at, first} | ({later} if later is not None else set()))
    second = next((one for one in days if one // DAY != days[0] // DAY), None)
    users[user] = (days[0], second)


def nobody(kind: str, target: str, at: int) -> str | None:
    """Protect nobody beyond what the engine always protects."""
    return None


@dataclass(slots=True)
class Memory:
    """All that responding may ask. `app` names whose findings these are.

    `protected(kind, target, at)` returns why a user (`kind` is "user") or address or network ("ip") may not be
    acted on, or None.
    """

    app: str = "default"
    ledger: Ledger = field(default_factory=Ledger)
    familiar: Familiar = field(default_factory=Familiar)
    protected: Callable[[str, str, int], str | None] = nobody
