"""The users seen in each group's window, for playbooks that act on all of them. Bounded, and fed by the caller.

Which hits a playbook has is decided by `engine.match`; whom to act on is decided by `respond`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from sentinel.core.event import Event
from sentinel.engine.keys import renamed
from sentinel.engine.lines import line, parts
from sentinel.engine.windows import Hit

MOST = 500  # users kept a group, those seen last
KEPT = 400_000  # users kept of all groups
Of = tuple[str, str]  # a watch and a group's key


@dataclass(slots=True)
class Group:
    """When each user was last seen, microseconds, by the events' own times; `lost` is the newest time let go."""

    users: dict[str, int] = field(default_factory=dict)
    lost: int = -1


class Crowd:
    """The users of groups, in two generations: past a bound the groups touched longest ago go."""

    FORMAT = "2"

    def __init__(self) -> None:
        self._young: dict[Of, Group] = {}
        self._old: dict[Of, Group] = {}
        self._size = 0  # users of the young groups

    def gather(self, hits: Iterable[Hit], events: Iterable[Event], wanted: Container[str]) -> None:
        """Take in the users of the hits of some watches; `events` are those of the hits that matter."""
        users = {(event.id, event.at): event.user for event in events if event.user}
        if users:
            for hit in hits:
                if hit.watch in wanted and (user := users.get((hit.id, hit.at))):
                    self.learn(hit.watch, hit.key, user, hit.at)

    def learn(self, watch: str, key: str, user: str, at: int) -> None:
        """Take in that a user was seen in a group."""
        group = self._touch((watch, key))
        before = group.users.get(user)
        group.users[user] = at if before is None else max(at, before)
        self._size += before is None
        if len(group.users) > 2 * MOST:  # now and then: an attack brings somebody new with each event
            gone = sorted(group.users, key=lambda one: (group.users[one], one))[:-MOST]
            group.lost = max(group.lost, *(group.users.pop(one) for one in gone))
            self._size -= len(gone)

    def of(self, watch: str, key: str, since: int) -> tuple[list[str], bool]:
        """Return the users seen in a group later than `since`, the latest MOST by when, and whether there were more."""
        group = self._young.get((watch, key)) or self._old.get((watch, key)) or Group()
        seen = sorted((at, user) for user, at in group.users.items() if at > since)
        return [user for _, user in seen[-MOST:]], len(seen) > MOST or group.lost > since

    def take_over(self, other: Crowd) -> None:
        """Take in all that another one knows."""
        for (watch, key), group in chain(other._old.items(), other._young.items()):
            self._take(watch, key, group.lost, group.users)

    def _take(self, watch: str, key: str, lost: int, users: dict[str, int]) -> None:
        for user, at in users.items():
            self.learn(watch, key, user, at)
        group = self._touch((watch, key))
        group.lost = max(group.lost, lost)

    def dump(self) -> Iterator[bytes]:
        """Give all of it as lines of JSON, for `load`, some of it at a time.

        What is learnt meanwhile may be in it or not: whoever learns it again after `load` knows the same either way.
        """
        for some in parts([*self._old, *self._young]):
            found = [(of, group) for of in some if (group := self._young.get(of) or self._old.get(of))]
            yield line([[watch, key, group.lost, group.users] for (watch, key), group in found])

    def load(self, lines: Iterable[bytes]) -> bool:
        """Take over what `dump` gave; False, and nobody is known, where it is damaged."""
        self._young, self._old, self._size = {}, {}, 0
        try:
            for one in lines:
                for watch, key, lost, users in json.loads(one):
                    self._take(watch, key, lost, users)
        except (ValueError, TypeError, AttributeError):
            self._young, self._old, self._size = {}, {}, 0
            return False
        return True

    def rename(self, names: Mapping[str, str]) -> None:
        """Call users otherwise, in groups and in their keys. Of two groups that get one key the latter stays."""
        for groups in (self._young, self._old):
            for of, group in list(groups.items()):
                if not names.keys().isdisjoint(group.users):
                    group.users = {names.get(user, user): at for user, at in group.users.items()}
                watch, key = of
                if (other := renamed(key, names)) != key:
                    groups[watch, other] = groups.pop(of)

    def _touch(self, of: Of) -> Group:
        group = self._young.get(of)
        if group is None:
            group = self._old.pop(of, None) or Group()
            if self._size >= KEPT // 2:
                self._old, self._young, self._size = self._young, {}, 0
            self._young[of] = group
            self._size += len(group.users)
        return group
