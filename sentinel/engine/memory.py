"""What responding must remember: how often each target was acted on, who is familiar where, whom nobody may act on.

Plain data with bounds, fed by the caller: the server loads it from its store, tests and backtests begin with none.
"""

from __future__ import annotations

import json
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Generic, TypeVar

from sentinel.core.duration import DAY
from sentinel.core.event import Event
from sentinel.engine.crowd import Crowd
from sentinel.engine.lines import line, parts
from sentinel.engine.playbook import USER_ACTIONS
from sentinel.engine.windows import Hit

LADDER = 30 * DAY  # how far back ladders and guards look
PLACES = 64  # familiar places kept a user
SHARERS = 10_000  # users kept an address: more than a playbook can ask for
KNOWN = 200_000  # users and addresses kept
DEVICE = "device:"  # no address starts like this

V = TypeVar("V")


class Ledger:
    """When each playbook acted on each target: the steps of ladders and the counts of guards.

    Each act is noted once a finding, so that a batch done again after a failed commit climbs no ladder.
    """

    def __init__(self) -> None:
        self._by_target: dict[tuple[str, str, str], dict[str, int]] = {}
        self._by_playbook: dict[str, list[tuple[int, str]]] = {}
        self._looked_over = 0
        self._tripped: dict[str, int] = {}

    def record(self, playbook: str, kind: str, target: str, at: int, finding: str) -> None:
        """Note that a playbook acted on a target because of a finding."""
        self._forget(at)
        times = self._by_target.setdefault((playbook, kind, target), {})
        for old in [one for one, time in times.items() if time <= at - LADDER]:
            del times[old]
        if finding not in times:
            times[finding] = at
            acted = self._by_playbook.setdefault(playbook, [])
            insort(acted, (at, target))
            if acted[0][0] <= at - LADDER:  # no guard looks back as far, and without one nobody asks
                del acted[: bisect_right(acted, (at - LADDER, chr(0x10FFFF)))]

    def _forget(self, now: int) -> None:
        """Let go, once a day, of targets whose ladders have come to their beginning again."""
        if now < self._looked_over + DAY:
            return
        self._looked_over = now
        for key in [key for key, times in self._by_target.items() if max(times.values()) <= now - LADDER]:
            del self._by_target[key]

    def times(self, playbook: str, kind: str, target: str, now: int, finding: str) -> int:
        """Return for how many other findings the playbook did this to the target in the 30 days before `now`."""
        times = self._by_target.get((playbook, kind, target), {})
        return sum(1 for one, at in times.items() if at > now - LADDER and one != finding)

    def targets(self, playbook: str, since: int) -> set[str]:
        """Return the different targets the playbook acted on later than `since`; forgets those before."""
        acted = self._by_playbook.get(playbook, [])
        del acted[: bisect_right(acted, (since, chr(0x10FFFF)))]
        return {target for _, target in acted}

    def rename(self, names: Mapping[str, str], playbooks: Iterable[str]) -> None:
        """Drop the ladders of deleted users, and rename them among the targets that these playbooks' guards count."""
        for key in [key for key in self._by_target if key[1] in USER_ACTIONS and key[2] in names]:
            del self._by_target[key]
        for playbook in playbooks:
            acted = self._by_playbook.get(playbook, [])
            acted[:] = sorted((at, names.get(target, target)) for at, target in acted)

    def trip(self, playbook: str, until: int) -> None:
        """Let a playbook only monitor until then: its guard has held."""
        self._tripped[playbook] = max(until, self._tripped.get(playbook, 0))

    def release(self, playbook: str) -> None:
        """Let a playbook act again: its guard is another one now."""
        self._tripped.pop(playbook, None)

    def held(self, playbook: str) -> int:
        """Return until when a playbook's guard holds, or held last; 0 where it never did."""
        return self._tripped.get(playbook, 0)

    @property
    def holding(self) -> bool:
        """Whether any guard has ever held."""
        return bool(self._tripped)

    def tripped(self, playbook: str, now: int) -> bool:
        """Say whether the playbook's guard holds now."""
        return now < self.held(playbook)

    def monitoring(self, now: int) -> frozenset[str]:
        """Return the playbooks whose guard holds now; from any thread."""
        return frozenset(name for name, until in list(self._tripped.items()) if now < until)


class Recent(Generic[V]):
    """Tables by key, KNOWN at most, in two generations: past that the half touched longest ago goes."""

    def __init__(self) -> None:
        self.young: dict[str, dict[str, V]] = {}
        self.old: dict[str, dict[str, V]] = {}

    def touch(self, key: str) -> dict[str, V]:
        """Return a key's table, made if need be."""
        table = self.young.get(key)
        if table is None:
            table = self.old.pop(key, None)
            if len(self.young) >= KNOWN // 2:
                self.old, self.young = self.young, {}
            if table is None:
                table = {}
            self.young[key] = table
        return table

    def of(self, key: str) -> Mapping[str, V]:
        """Return a key's table without touching it; an empty one where there is none."""
        return self.young.get(key) or self.old.get(key) or {}

    def drop(self, key: str) -> None:
        """Forget a key."""
        self.young.pop(key, None)
        self.old.pop(key, None)

    def parts(self) -> Iterator[dict[str, Mapping[str, V]]]:
        """Give all tables with their keys, the older half first, some at a time; meanwhile any may change."""
        for keys in parts([*self.old, *self.young]):
            yield {key: table for key in keys if (table := self.of(key))}


class Familiar:
    """Where each user logged in successfully: what is known to be the owner's place, and which address is shared.

    Of each place of a user the first login and the last are kept, the last to within a day, in microseconds. The table
    is large and every login touches it, so what lies in it is small: a place is an address, or a device behind
    `DEVICE`, and where the first time is all there is, it stands alone. Of too many places of a user those last used
    longest ago go. An address is shared by users who logged in from it on two different days: of each of them is kept
    the time of the first login on a later day than the first.
    """

    FORMAT = "4"

    def __init__(self) -> None:
        self._places: Recent[int | tuple[int, int]] = Recent()
        self._sharers: Recent[int] = Recent()

    def dump(self) -> Iterator[bytes]:
        """Give all of it as lines of JSON, for `load`, some of it at a time.

        What is learnt meanwhile may be in it or not: whoever learns it again after `load` knows the same either way.
        """
        for places in self._places.parts():
            yield line([places, {}])
        for sharers in self._sharers.parts():
            yield line([{}, sharers])

    def load(self, lines: Iterable[bytes]) -> bool:
        """Take over what `dump` gave; False, and nothing is known, where it is damaged."""
        self._places, self._sharers = Recent(), Recent()
        try:
            for one in lines:
                self._take(*json.loads(one))
        except (ValueError, TypeError, AttributeError):
            self._places, self._sharers = Recent(), Recent()
            return False
        return True

    def _take(self, places: dict[str, Any], sharers: dict[str, Any]) -> None:
        for user, known in places.items():
            self._places.touch(user).update((place, _packed(one)) for place, one in known.items())
        for ip, known in sharers.items():
            self._sharers.touch(ip).update(known)

    def rename(self, names: Mapping[str, str]) -> None:
        """Drop the places of deleted users, and rename them among those who share an address."""
        for name in names:
            self._places.drop(name)
        for sharers in chain(self._sharers.old.values(), self._sharers.young.values()):
            for name in names.keys() & sharers.keys():
                sharers[names[name]] = sharers.pop(name)

    def learn(self, event: Event) -> None:
        """Take in one event; only a login that proves its user counts."""
        if event.success is not True or not event.proven or not (user := event.user):
            return
        at, ip, device = event.at, event.network_ip, event.device
        places = self._places.touch(user)
        if ip:
            first = _visit(places, ip, at)
            if first is not None and first // DAY != at // DAY:
                self._share(ip, user, max(first, at))
        if device:
            _visit(places, DEVICE + device, at)

    def places(self, user: str, before: int) -> list[tuple[str, str]]:
        """Return (scope, address or device) of the places where the user had logged in before that time."""
        return [_place(text) for text, first in self._firsts(user).items() if first < before]

    def is_familiar(self, user: str, ip: str | None, device: str | None, before: int) -> bool:
        """Say whether the user had logged in from this address or device before that time.

        `ip` is the event's `network_ip`: the form in which places are learnt.
        """
        known = self._firsts(user)
        texts = [ip] if ip else []
        if device is not None:
            texts.append(DEVICE + device)
        return any(known.get(text, before) < before for text in texts)

    def _firsts(self, user: str) -> Mapping[str, int]:
        """Return the first time at each place of a user, in microseconds."""
        return {place: one[0] if isinstance(one, tuple) else one for place, one in self._places.of(user).items()}

    def sharers(self, ip: str, before: int) -> int:
        """Return how many users had logged in from the address or network on two different days before that time."""
        return sum(1 for later in self._sharers.of(ip).values() if later < before)

    def is_shared(self, ip: str) -> bool:
        """Say whether more than one user ever logged in from the address or network, each on two different days."""
        return len(self._sharers.of(ip)) > 1

    def at_shared(self, events: Iterable[Event]) -> list[Event]:
        """Return the events of users at addresses that `is_shared` knows; most addresses nobody shares."""
        young, old = self._sharers.young, self._sharers.old
        if not young and not old:
            return []
        candidates = [event for event in events if (ip := event.network_ip) in young or ip in old]
        return [event for event in candidates if event.user and self.is_shared(event.network_ip or "")]

    def _share(self, ip: str, user: str, later: int) -> None:
        """Keep that a user logged in from an address on two different days."""
        sharers = self._sharers.touch(ip)
        known = sharers.get(user)
        if later < known if known is not None else len(sharers) < SHARERS:
            sharers[user] = later


def _place(text: str) -> tuple[str, str]:
    return ("user+device", text.removeprefix(DEVICE)) if text.startswith(DEVICE) else ("user+ip", text)


def _packed(one: int | list[int]) -> int | tuple[int, int]:
    first, last = (one, None) if isinstance(one, int) else one
    return first if last is None else (first, last)


def _visit(places: dict[str, int | tuple[int, int]], place: str, at: int) -> int | None:
    """Keep a place's first use and its last; where there are too many, the one unused for longest goes for it.

    Returns the first use known before, None for a new place.
    """
    known = places.get(place)
    if known is None:
        if len(places) < PLACES or _make_room(places, at):
            places[place] = at
        return None
    first, last = known if isinstance(known, tuple) else (known, known)
    if at < first or at >= last + DAY:
        places[place] = min(first, at), max(last, at)
    return first


def _make_room(places: dict[str, int | tuple[int, int]], at: int) -> bool:
    """Drop the place last used longest ago; False where that is later than `at`."""
    last, oldest = min((one[1] if isinstance(one, tuple) else one, place) for place, one in places.items())
    if last < at:
        del places[oldest]
    return last < at


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
    crowd: Crowd = field(default_factory=Crowd)

    def gather(self, hits: Sequence[Hit], events: Iterable[Event], crowded: Mapping[str, bool]) -> None:
        """Remember the users of hits for the playbooks that may act on all of a window: see `Engine.crowded`."""
        if crowded and hits:
            if not any(crowded.values()):
                events = self.familiar.at_shared(events)
            self.crowd.gather(hits, events, crowded)
