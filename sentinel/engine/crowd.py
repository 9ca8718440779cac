"""Who was seen in each group's window, for playbooks that act on all of them. Bounded, and fed by the caller.

Which hits a playbook has is `match`'s; whom to act on is `respond`'s.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from sentinel.core.event import Event
from sentinel.engine.windows import Hit

MOST = 500  # users kept a group, those seen last
KEPT = 400_000  # users kept of all groups
Of = tuple[str, str]  # a watch and a group's key


@dataclass(slots=True)
class Group:
    """When each user was last seen, microseconds, in the order of their coming; `lost` is the newest time let go."""

    users: dict[str, int] = field(default_factory=dict)
    lost: int = -1


class Crowd:
    """The users of groups, in two generations: past a bound the groups touched longest ago go."""

    FORMAT = "1"

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
        before = group.users.pop(user, None)
        group.users[user] = at if before is None else max(at, before)
        self._size += before is None
        if len(group.users) > MOST:
            group.lost = max(group.lost, group.users.pop(next(iter(group.users))))
            self._size -= 1

    def of(self, watch: str, key: str, since: int) -> tuple[list[str], bool]:
        """Return the users seen in a group later than `since`, and whether there were more than are kept."""
        group = self._young.get((watch, key)) or self._old.get((watch, key)) or Group()
        return [user for user, at in group.users.items() if at > since], group.lost > since

    def take_over(self, other: Crowd) -> None:
        """Take in all that another one knows."""
        for (watch, key), group in other._items():
            for user, at in group.users.items():
                self.learn(watch, key, user, at)
            mine = self._touch((watch, key))
            mine.lost = max(mine.lost, group.lost)

    def dump(self) -> bytes:
        """Return all of it as JSON bytes, for `load`."""
        found = [[watch, key, group.lost, group.users] for (watch, key), group in self._items()]
        return json.dumps(found, separators=(",", ":")).encode()

    def load(self, data: bytes) -> bool:
        """Take over what `dump` returned; False, and nobody is known, where it is damaged."""
        self._young, self._old, self._size = {}, {}, 0
        try:
            for watch, key, lost, users in json.loads(data):
                for user, at in users.items():
                    self.learn(watch, key, user, at)
                self._touch((watch, key)).lost = lost
        except (ValueError, TypeError, AttributeError):
            self._young, self._old, self._size = {}, {}, 0
            return False
        return True

    def _touch(self, of: Of) -> Group:
        group = self._young.get(of)
        if group is None:
            group = self._old.pop(of, None) or Group()
            if self._size >= KEPT // 2:
                self._old, self._young, self._size = self._young, {}, 0
            self._young[of] = group
            self._size += len(group.users)
        return group

    def _items(self) -> Iterator[tuple[Of, Group]]:
        return chain(self._old.items(), self._young.items())
