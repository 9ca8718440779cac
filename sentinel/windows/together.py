"""What an app's processes share beside windows: its newest event time, what was done to whom, who is familiar where.

Each is in Redis or Valkey, behind the class that otherwise keeps it in one process's memory, so callers need not know
which they have. What is learnt is sent with the next call, so that a batch takes no round trip of its own for it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from sentinel.core.duration import DAY
from sentinel.core.event import Event
from sentinel.engine.crowd import MOST, Crowd
from sentinel.engine.memory import DEVICE, LADDER, PLACES, SHARERS, Familiar, Ledger, Memory
from sentinel.engine.playbook import USER_ACTIONS
from sentinel.engine.windows import Hit
from sentinel.windows.link import Command, Link, script
from sentinel.windows.names import Names
from sentinel.windows.scripted import read_text, text

FAMILIAR_FOR = 400 * DAY // 1000  # milliseconds since the last login
LADDER_FOR = LADDER // 1000
LOT = 500
TRIP = b"trip:"


class Clock:
    """The app's newest event time, and until when each playbook's guard holds: read together, at each batch."""

    def __init__(self, link: Link, names: Names) -> None:
        self._link = link
        self._key = names.of("clock")
        self._held: dict[str, int] = {}

    def read(self) -> int:
        """Return the newest event time of all processes."""
        raw = self._link.one(Command(self._key, ("ZRANGE", self._key, 0, -1, "WITHSCORES")))
        known = {name: int(float(score)) for name, score in zip(raw[::2], raw[1::2], strict=True)}
        self._held = {read_text(name[len(TRIP) :]): at for name, at in known.items() if name.startswith(TRIP)}
        return known.get(b"newest", 0)

    def advance(self, newest: int) -> None:
        """Move the newest event time on to `newest`, never back; sent with the next call."""
        self._link.later([Command(self._key, ("ZADD", self._key, "GT", newest, "newest"))])

    def hold(self, playbook: str, until: int) -> None:
        """Let a playbook's guard hold until then."""
        self._held[playbook] = max(until, self._held.get(playbook, 0))
        self._link.one(Command(self._key, ("ZADD", self._key, "GT", until, TRIP + text(playbook))))

    def release(self, playbook: str) -> None:
        """Let a playbook's guard hold no longer."""
        self._link.one(Command(self._key, ("ZREM", self._key, TRIP + text(playbook))))
        self._held.pop(playbook, None)

    @property
    def held(self) -> Mapping[str, int]:
        """Until when guards hold, as of the last reading."""
        return self._held


class SharedLedger(Ledger):
    """When each playbook acted on each target, whichever process let it."""

    def __init__(self, link: Link, names: Names, clock: Clock) -> None:
        super().__init__()
        self._link, self._names, self._clock = link, names, clock

    def record(self, playbook: str, kind: str, target: str, at: int, finding: str) -> None:
        """Note that a playbook acted on a target because of a finding."""
        ladder, acted = self._names.of("ladder", playbook, kind, target), self._names.of("acted", playbook)
        self._link.call(
            [
                Command(ladder, ("ZREMRANGEBYSCORE", ladder, "-inf", at - LADDER)),
                Command(ladder, ("ZADD", ladder, "NX", at, text(finding))),
                Command(ladder, ("PEXPIRE", ladder, LADDER_FOR)),
                Command(acted, ("ZREMRANGEBYSCORE", acted, "-inf", at - LADDER)),
                Command(acted, ("ZADD", acted, "GT", at, text(target))),
                Command(acted, ("PEXPIRE", acted, LADDER_FOR)),
            ]
        )

    def times(self, playbook: str, kind: str, target: str, now: int, finding: str) -> int:
        """Return for how many other findings the playbook did this to the target in the 30 days before `now`."""
        key = self._names.of("ladder", playbook, kind, target)
        count, own = self._link.call(
            [
                Command(key, ("ZCOUNT", key, now - LADDER + 1, "+inf")),
                Command(key, ("ZSCORE", key, text(finding))),
            ]
        )
        return int(count) - (own is not None and float(own) > now - LADDER)

    def targets(self, playbook: str, since: int) -> set[str]:
        """Return the different targets the playbook acted on later than `since`; forgets those before."""
        key = self._names.of("acted", playbook)
        _, targets = self._link.call(
            [
                Command(key, ("ZREMRANGEBYSCORE", key, "-inf", since)),
                Command(key, ("ZRANGE", key, 0, -1)),
            ]
        )
        return {read_text(target) for target in targets}

    def rename(self, names: Mapping[str, str], playbooks: Iterable[str]) -> None:
        """Drop the ladders of deleted users, and rename them among the targets that guards count."""
        steps = product(playbooks, USER_ACTIONS, names)
        ladders = [self._names.of("ladder", *step) for step in steps]
        if ladders:
            self._link.call([Command(key, ("DEL", key)) for key in ladders])
        _rename_all(self._link, self._names.like("acted"), names)

    def trip(self, playbook: str, until: int) -> None:
        """Let a playbook only monitor until then, in every process: its guard has held."""
        self._clock.hold(playbook, until)

    def release(self, playbook: str) -> None:
        """Let a playbook act again, in every process: its guard is another one now."""
        self._clock.release(playbook)

    def held(self, playbook: str) -> int:
        """Return until when a playbook's guard holds, or held last; 0 where it never did."""
        return self._clock.held.get(playbook, 0)

    @property
    def holding(self) -> bool:
        """Whether any guard has ever held."""
        return bool(self._clock.held)

    def monitoring(self, now: int) -> frozenset[str]:
        """Return the playbooks whose guard holds now, as of the clock's last reading."""
        return frozenset(name for name, until in self._clock.held.items() if now < until)


class SharedFamiliar(Familiar):
    """Where each user logged in, whichever process heard of it."""

    def __init__(self, link: Link, names: Names) -> None:
        super().__init__()
        self._link, self._names = link, names
        self._heard: list[tuple[str, str | None, str | None, int]] = []

    def learn(self, event: Event) -> None:
        """Take in one event; only a login that proves its user counts. It is sent with others."""
        if event.user and event.proven and (event.network_ip or event.device):
            self._heard.append((event.user, event.network_ip, event.device, event.at))
            if len(self._heard) >= LOT:
                self.tell()

    def tell(self) -> None:
        """Send what was learnt."""
        heard, self._heard = self._heard, []
        if not heard:
            return
        firsts = self._link.call([self._visit(*login) for login in heard])
        for (user, ip, _, at), known in zip(heard, firsts, strict=True):
            if ip and known[0] >= 0 and known[0] // DAY != at // DAY:
                key = self._names.of("sharers", ip)
                self._link.later(
                    [
                        Command(key, ("ZADD", key, "LT", max(known[0], at), text(user))),
                        Command(key, ("ZREMRANGEBYRANK", key, SHARERS, -1)),
                        Command(key, ("PEXPIRE", key, FAMILIAR_FOR)),
                    ]
                )

    def _visit(self, user: str, ip: str | None, device: str | None, at: int) -> Command:
        places = [text(ip)] if ip else []
        if device:
            places.append(text(DEVICE + device))
        return script("places", self._names.of("places", user), at, PLACES, DAY, FAMILIAR_FOR, *places)

    def _firsts(self, user: str) -> Mapping[str, int]:
        self.tell()
        key = self._names.of("places", user)
        raw = self._link.one(Command(key, ("HGETALL", key)))
        return {read_text(place): int(span.split()[0]) for place, span in zip(raw[::2], raw[1::2], strict=True)}

    def sharers(self, ip: str, before: int) -> int:
        """Return how many users had logged in from the address or network on two different days before that time."""
        self.tell()
        key = self._names.of("sharers", ip)
        return int(self._link.one(Command(key, ("ZCOUNT", key, "-inf", before - 1))))

    def rename(self, names: Mapping[str, str]) -> None:
        """Drop the places of deleted users, and rename them among those who share an address."""
        for name, other in names.items():
            ips = [place for place in self._firsts(name) if not place.startswith(DEVICE)]
            _rename(self._link, [self._names.of("sharers", ip) for ip in ips], name, other)
            key = self._names.of("places", name)
            self._link.one(Command(key, ("DEL", key)))

    def is_shared(self, ip: str) -> bool:
        """Say whether more than one user ever logged in from the address or network, each on two different days."""
        return ip in self._shared({ip})

    def at_shared(self, events: Iterable[Event]) -> list[Event]:
        """Return the events of users at addresses that `is_shared` knows: all of them asked for in one call."""
        named = [(event, ip) for event in events if event.user and (ip := event.network_ip)]
        shared = self._shared({ip for _, ip in named})
        return [event for event, ip in named if ip in shared]

    def _shared(self, ips: Iterable[str]) -> set[str]:
        self.tell()
        wanted = sorted(ips)
        keys = [self._names.of("sharers", ip) for ip in wanted]
        counts = self._link.call([Command(key, ("ZCARD", key)) for key in keys]) if keys else []
        return {ip for ip, count in zip(wanted, counts, strict=True) if count > 1}

    def dump(self) -> Iterator[bytes]:
        """Give nothing: what is known outlives the process."""
        return iter(())

    def load(self, lines: Iterable[bytes]) -> bool:
        """Take nothing over."""
        return False


class SharedCrowd(Crowd):
    """Who was seen in each group's window, whichever process heard of it.

    `lasting(watch)` gives for how many milliseconds the users of a watch's group are kept.
    """

    def __init__(self, link: Link, names: Names, lasting: Callable[[str], int]) -> None:
        super().__init__()
        self._link, self._names, self._lasting = link, names, lasting

    def gather(self, hits: Iterable[Hit], events: Iterable[Event], wanted: Container[str]) -> None:
        """Take in the users of the hits of some watches; `events` are those of the hits that matter."""
        users = {(event.id, event.at): event.user for event in events if event.user}
        for hit in hits if users else ():
            if hit.watch in wanted and (user := users.get((hit.id, hit.at))):
                self.learn(hit.watch, hit.key, user, hit.at)

    def learn(self, watch: str, key: str, user: str, at: int) -> None:
        """Take in that a user was seen in a group."""
        name = self._names.of("crowd", watch, key)
        self._link.later(
            [
                Command(name, ("ZADD", name, "GT", at, text(user))),
                Command(name, ("ZREMRANGEBYRANK", name, 0, -MOST - 2)),
                Command(name, ("PEXPIRE", name, self._lasting(watch))),
            ]
        )

    def of(self, watch: str, key: str, since: int) -> tuple[list[str], bool]:
        """Return the users seen in a group later than `since`, the latest MOST by when, and whether there were more."""
        name = self._names.of("crowd", watch, key)
        found = self._link.one(Command(name, ("ZRANGE", name, since + 1, "+inf", "BYSCORE")))
        return [read_text(user) for user in found[-MOST:]], len(found) > MOST

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename users in every group."""
        _rename_all(self._link, self._names.like("crowd"), names)

    def take_over(self, other: Crowd) -> None:
        """Take nothing over: the other's is the same."""

    def dump(self) -> Iterator[bytes]:
        """Give nothing: what is known outlives the process."""
        return iter(())

    def load(self, lines: Iterable[bytes]) -> bool:
        """Take nothing over."""
        return False


def _rename_all(link: Link, like: str, names: Mapping[str, str]) -> None:
    """Rename members in every sorted set whose key matches a pattern."""
    keys = list(link.names(like))
    for name, other in names.items():
        _rename(link, keys, name, other)


def _rename(link: Link, keys: Sequence[str], name: str, other: str) -> None:
    """Rename a member in those of these sorted sets that have it."""
    scores = link.call([Command(key, ("ZSCORE", key, text(name))) for key in keys]) if keys else []
    for key, score in zip(keys, scores, strict=True):
        if score is not None:
            link.call([Command(key, ("ZADD", key, score, text(other))), Command(key, ("ZREM", key, text(name)))])


def shared_memory(
    link: Link, app: str, lasting: Callable[[str], int], protected: Callable[[str, str, int], str | None]
) -> tuple[Clock, Memory]:
    """Return the clock and the memory that all processes of an app share."""
    names = Names(app, link.home)
    clock = Clock(link, names)
    parts: dict[str, Any] = {
        "ledger": SharedLedger(link, names, clock), "familiar": SharedFamiliar(link, names),
        "crowd": SharedCrowd(link, names, lasting),
    }  # fmt: skip
    return clock, Memory(app=app, protected=protected, **parts)
