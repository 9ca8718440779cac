"""Windows in Redis or Valkey, for any number of processes: one key a group, one script a kind of state.

What comes out is what `memory` gives. A call done again after a lost answer answers the same and changes nothing.
Marks that lie beside the state say that it is whole: where one is gone, everything is rebuilt from the store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, suppress
from typing import Any

import msgspec

from sentinel.core.duration import DAY
from sentinel.core.errors import StoreBusy
from sentinel.engine.windows import Absent, FirstSeen, Hit, Opening, Progress, Watch
from sentinel.windows import seen
from sentinel.windows.groups import Limits
from sentinel.windows.link import Command, Link, script
from sentinel.windows.names import BUCKETS, GroupNames, Names, bucket_of, digest
from sentinel.windows.room import Room
from sentinel.windows.scripted import Scripted, Tally, known, read_text, recalled, scripted, text
from sentinel.windows.state import State

AT_ONCE = 1_000  # waits taken in one call
LEASE = 120_000_000  # microseconds for which what is due is one process's own
KEPT = 30.0  # seconds after which what was due is on disk, or was put back
LOST = "windows lost what they held", "it is rebuilt from the stored events: send again"
LONG = 31 * DAY // 1000  # milliseconds


class StateLost(StoreBusy):
    """What windows held is gone, wholly or in part: it has to be rebuilt before an event is judged."""


class _Asked:
    """One watch: what its scripts are asked, and the names of its keys, which are others in each epoch."""

    def __init__(self, watch: Watch, limits: Limits, names: Names) -> None:
        self.watch = watch
        self.scripted: Scripted = scripted(watch, limits)
        self._names = names
        self._version = f"{watch.window} {watch.detector} {watch.shape} {limits.lateness}"
        self.ready = f"{watch.id}:{digest(self._version, size=8)}"
        self.waiting = isinstance(watch.detector, Absent)
        self.call_after(b"")

    def call_after(self, epoch: bytes) -> None:
        """Call keys after an epoch: what an unfinished one left behind is no part of the next."""
        version = f"{self._version} {epoch.hex()}"
        self.keys = GroupNames(self._names, self.watch.id, version)
        self.waits = self._names.of("waits", self.watch.id, version) if self.waiting else ""


class ValkeyWindows:
    """Windows of one app on a link that other processes share; not for several threads at once, but for `progress`.

    They begin quiet: hits are taken in and nothing opens, until `begin`.
    """

    def __init__(self, link: Link, app: str, watches: Iterable[Watch] = (), limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.names = Names(app, link.home)
        self._app = app
        self.lost = False
        self._link = link
        self._asked: dict[str, _Asked] = {}
        self._epoch: bytes | None = None
        self._named: bytes | None = None  # the epoch that keys are called after
        self._runs: frozenset[str] = frozenset()
        self._claimed: list[tuple[float, str, bytes]] = []  # when, the watch's waits, name of the wait
        self._dropped: Counter[str] = Counter()
        self._merged: Counter[str] = Counter()
        self._state = State(link, self.names)
        self._room = Room(link, self.limits.per_source)
        for watch in watches:
            self.watch(watch)

    def watch(self, watch: Watch) -> None:
        """Begin a watch, or go on with it as it is now."""
        asked = self._asked[watch.id] = _Asked(watch, self.limits, self.names)
        if self._named is not None:
            asked.call_after(self._named)

    def forget(self, watch: str) -> None:
        """End a watch; its keys expire."""
        self._asked.pop(watch, None)

    def begin(self, epoch: bytes) -> None:
        """Let findings open from now on, as long as the state is of this epoch."""
        self._epoch, self.lost, self._runs = epoch, False, frozenset(self._link.runs)
        self._name_after(epoch)

    def pause(self, epoch: bytes | None = None) -> None:
        """Be quiet again, for the state to be rebuilt as that of an epoch."""
        self._epoch, self.lost = None, False
        if epoch is not None:
            self._name_after(epoch)

    def _name_after(self, epoch: bytes) -> None:
        if epoch != self._named:
            self._named = epoch
            for asked in self._asked.values():
                asked.call_after(epoch)

    def _name(self) -> None:
        """Call keys after the epoch there is: of windows that fold a watch for others."""
        if self._named is None:
            key = self.names.of_bucket(0, "epoch")
            self._name_after(self._link.one(Command(key, ("GET", key))) or b"")

    def lose(self) -> None:
        """Take nothing in any more: what is kept is not whole."""
        self.lost = True

    def hit(self, hits: Sequence[Hit], newest: int) -> list[Opening]:
        """Record hits in their order of arrival and return what opens; `newest` is not needed here.

        Raises StateLost where the state is not whole, StoreBusy where nobody answers: both may be done again.
        """
        found = self._hit(hits)
        if found is None:  # rebuilt meanwhile, by another process: what was answered may be of before
            found = self._hit(hits)
        return found or []

    def run(self, hits: Sequence[Hit], newest: int, revise: Callable[[Hit], Hit] | None = None) -> Iterator[Opening]:
        """Do as `hit`. With `revise` the hits of a watch behind one of its openings go one by one."""
        if revise is None:
            yield from self.hit(hits, newest)
            return
        opened: set[str] = set()
        for hit in hits:
            found = self.hit([revise(hit) if hit.watch in opened else hit], newest)
            if found:
                opened.add(hit.watch)
                yield from found

    def _hit(self, hits: Sequence[Hit]) -> list[Opening] | None:
        if not hits:
            return []
        if self.lost:
            raise StateLost(*LOST)
        self._name()
        self._room.look()
        groups: dict[tuple[str, str], list[int]] = {}
        for place, hit in enumerate(self._with_room(hits)):
            if hit is not None:
                groups.setdefault((hit.watch, hit.key), []).append(place)
        commands = [
            self._command(name, key, [hits[place] for place in places]) for (name, key), places in groups.items()
        ]
        marks = self._marks(bucket_of(command.key) for command in commands)
        answers = self._link.call([*commands, *marks])  # asked last: what was lost on the way shows too
        if not self._is_whole(answers[len(commands) :]):
            return None
        found: list[list[Opening]] = [[] for _ in hits]
        for ((name, _), places), answer in zip(groups.items(), answers[: len(commands)], strict=True):
            if answer:
                self._read(self._asked[name], [(place, hits[place]) for place in places], answer, found)
        return [opening for openings in found for opening in openings]

    def _command(self, name: str, key: str, hits: Sequence[Hit]) -> Command:
        asked = self._asked[name]
        kind = asked.scripted
        arguments: list[Any] = list(kind.arguments(self._epoch is None, self._room.left(hits[0].source)))
        for hit in hits:
            arguments += hit.at, text(hit.id), int(hit.acting)
            arguments += kind.values(hit)
        return script(kind.script, asked.keys.of(key), *arguments)

    def _read(
        self, asked: _Asked, hits: Sequence[tuple[int, Hit]], answer: Sequence[Any], found: list[list[Opening]]
    ) -> None:
        for one in answer:
            if isinstance(one, list):
                place, hit = hits[one[0]]
                found[place].append(_opening(asked, hit, one))
            elif isinstance(one, int) and isinstance(asked.watch.detector, FirstSeen):
                self._dropped["first_seen values forgotten"] += one
            elif isinstance(one, int):
                self._merged[asked.watch.id] += one
            elif one == b"made":
                self._room.made(hits[0][1].source)
            else:
                self._dropped["source over its quota of groups"] += len(hits)

    def look(self) -> None:
        """Notice what was lost while nothing counted: `lost` says so then. Raises StoreBusy where nobody answers."""
        with suppress(StateLost):
            self._is_whole(self._link.call(self._marks(range(BUCKETS))))

    def _marks(self, buckets: Iterable[int]) -> list[Command]:
        """Return what asks each server of these buckets whether it still has what it had."""
        if self._epoch is None:
            return []
        names = {bucket: self.names.of_bucket(bucket, "epoch") for bucket in sorted(set(buckets))}
        one_each = {self._link.server_of(name): bucket for bucket, name in names.items()}
        return [Command(names[bucket], ("GET", names[bucket])) for bucket in one_each.values()]

    def _is_whole(self, marks: Sequence[bytes | None]) -> bool:
        """Say whether the state is of the epoch known; raises StateLost where it is of none."""
        anew = self._link.forgetful and self._epoch is not None and not self._link.runs <= self._runs
        if not anew and all(mark == self._epoch for mark in marks):
            return True
        if anew or None in marks:
            self.lost = True
            raise StateLost(*LOST)
        self.begin(marks[0] or b"")
        return False

    def _with_room(self, hits: Sequence[Hit]) -> Sequence[Hit | None]:
        """Note the waits that hits may begin; return the hits, None for those there is no room for."""
        begins: dict[str, list[tuple[int, Hit]]] = {}
        for place, hit in enumerate(hits):
            asked = self._asked[hit.watch]
            if asked.waits and hit.values[0]:
                begins.setdefault(asked.waits, []).append((place, hit))
        if not begins:
            return hits
        commands = []
        for key, ones in begins.items():
            for _, hit in ones:
                commands.append(script("waits", key, "add", self.limits.groups, *self._wait(hit)))
        full = self._link.call(commands)
        places = [place for ones in begins.values() for place, _ in ones]
        refused = {place for place, answer in zip(places, full, strict=True) if answer}
        self._dropped["waits over the bound"] += len(refused)
        return [None if place in refused else hit for place, hit in enumerate(hits)] if refused else hits

    def _wait(self, hit: Hit) -> tuple[int, bytes]:
        """Return when a wait is over, and its name."""
        asked = self._asked[hit.watch]
        detector = asked.watch.detector
        assert isinstance(detector, Absent)
        name: bytes = msgspec.msgpack.encode([asked.keys.of(hit.key), hit.at, text(hit.id)])
        return hit.at + detector.within, name

    def due(self, watermark: int) -> list[Opening]:
        """Return what opens because time has passed and nothing came: nothing up to `watermark` comes any more.

        What is returned is this process's own for LEASE; where it ends before, another is given it.
        """
        self._name()
        self._let_go()
        waiting = [asked for asked in self._asked.values() if asked.waits]
        if not waiting:
            return []
        names = self._link.call(
            [script("waits", asked.waits, "claim", watermark, AT_ONCE, LEASE) for asked in waiting]
        )  # fmt: skip
        return [opening for asked, due in zip(waiting, names, strict=True) for opening in self._over(asked, due)]

    def _over(self, asked: _Asked, names: Sequence[bytes]) -> list[Opening]:
        """Return the findings of waits that may be over, oldest first."""
        groups: dict[str, list[tuple[int, bytes, bytes]]] = {}
        for at, id, key, name in sorted(_named(name) for name in names):
            groups.setdefault(key, []).append((at, id, name))
        commands = [
            self._waits(asked, "due", key, [(at, id) for at, id, _ in waits]) for key, waits in groups.items()
        ]  # fmt: skip
        found = []
        for waits, answer in zip(groups.values(), self._link.call(commands) if commands else (), strict=True):
            over = {one[0]: one for one in answer or () if isinstance(one, list)}
            for place, (at, id, name) in enumerate(waits):
                self._claimed.append((time.monotonic() if place in over else -KEPT, asked.waits, name))
                if place in over:
                    hit = recalled(asked.watch.id, at, read_text(id), over[place][6][0])
                    found.append(_opening(asked, hit, over[place])._replace(events=()))
        return sorted(found, key=lambda one: (one.at, one.id, one.hit.key))

    def _waits(self, asked: _Asked, what: str, key: str, waits: Iterable[tuple[int, bytes]]) -> Command:
        arguments = [part for wait in waits for part in wait]
        return script("absent", key, *asked.scripted.arguments(False, ""), what, *arguments)

    def _let_go(self) -> None:
        """Let go of the waits whose findings are on disk by now."""
        edge = time.monotonic() - KEPT
        over = [(key, name) for since, key, name in self._claimed if since <= edge]
        self._claimed = [one for one in self._claimed if one[0] > edge]
        if over:
            self._link.later(script("waits", key, "done", name) for key, name in over)

    def put_back(self, openings: Sequence[Opening]) -> None:
        """Take back what `due` gave, since it could not be kept: it is due again."""
        commands = []
        for opening in openings:
            asked, hit = self._asked[opening.hit.watch], opening.hit
            due, name = self._wait(hit)
            commands.append(self._waits(asked, "back", asked.keys.of(hit.key), [(hit.at, text(hit.id))]))
            commands.append(script("waits", asked.waits, "add", self.limits.groups, due, name))
            self._claimed = [one for one in self._claimed if one[1:] != (asked.waits, name)]
        if commands:
            self._link.call(commands)

    def yielded(self, opening: Opening) -> None:
        """Learn that a finding did not act after all, so that it holds back no action."""
        asked = self._asked[opening.hit.watch]
        self._link.one(self._finding(asked, opening.hit.key, "yield", opening.at, opening.id, False, ()))

    def know(self, watch: str, key: str, at: int, id: str, tally: Tally, acting: bool) -> None:
        """Take in a finding opened before, so that it holds back others."""
        self._link.later([self._finding(self._asked[watch], key, "know", at, id, acting, tally)])

    def _finding(
        self, asked: _Asked, key: str, what: str, at: int, id: str, acting: bool, tally: Tally
    ) -> Command:  # fmt: skip
        self._name()
        constants = asked.scripted.arguments(False, "")[:7]
        return script("finding", asked.keys.of(key), *constants, what, at, text(id), int(acting), known(tally))

    def rename(self, names: Mapping[str, str]) -> None:
        """Drop the groups that are a deleted person's alone; others know them by a hash, or until they expire."""
        gone = [asked.keys.of(name) for asked in self._asked.values() for name in names]
        if gone:
            self._link.call([Command(key, ("DEL", key)) for key in gone])

    def progress(self, watch: str, key: str, now: int) -> Progress | None:
        """Return how near a group is to a finding, changing nothing; None for a watch or a group that is not known."""
        asked = self._asked.get(watch)
        if asked is None:
            return None
        constants = asked.scripted.arguments(False, "")[:7]
        answer = self._link.one(script("peek", asked.keys.of(key), *constants, int(asked.scripted.packs)))
        return seen.progress(asked.scripted, key, answer, now)

    def lasting(self, watch: str) -> int:
        """Return for how many milliseconds a group's hits are kept; long, where the watch is not known."""
        asked = self._asked.get(watch)
        return asked.scripted.lasting if asked else LONG

    def groups(self) -> dict[str, int]:
        """Return nothing: to count the groups of a watch would be to walk over all keys."""
        return {}

    def faults(self) -> Counter[tuple[str, str]]:
        """Return nothing: what goes wrong there fails the call, which is done again."""
        return Counter()

    def dropped(self) -> Counter[str]:
        """Return what this process let go, by reason."""
        found = self._dropped.copy()
        if self._link.unreplicated:
            found["batches no replica had in time"] = self._link.unreplicated
        return found

    def merged(self) -> Counter[str]:
        """Return how many hits this process let stand alone no longer since their groups had too many, by watch."""
        return self._merged.copy()

    def snapshot(self, watch: str) -> bytes | None:
        """Return nothing: the state outlives the process."""
        return None

    def restore(self, watch: str, data: bytes) -> bool:
        """Take no snapshot over."""
        return False

    def unlearn(self) -> None:
        """Forget nothing: while quiet, no finding opened."""

    def hand_over(self, watch: str) -> Watch:
        """Give up a watch, for other windows on the same link."""
        return self._asked.pop(watch).watch

    def take_over(self, watch: str, state: Watch) -> None:
        """Go on with a watch whose state other windows have folded."""
        self.watch(state)
        if self._epoch is not None:
            self._state.note(self._epoch, [self._asked[state.id].ready])

    def ready(self) -> bytes | None:
        """Return the epoch of the state if it is whole, else None."""
        return self._state.ready()

    def lacking(self, epoch: bytes) -> ValkeyWindows | None:
        """Return windows of the watches that a whole state does not have, to be folded quietly; None where it has all.

        Whoever else uses the state goes by other versions of these, or has none of them.
        """
        known = {asked.ready: asked.watch for asked in self._asked.values()}
        names = self._state.missing(epoch, list(known)) if known else []
        if not names:
            return None
        found = ValkeyWindows(self._link, self._app, [known[name] for name in names], self.limits)
        found.pause(epoch)
        return found

    def watched(self) -> Set[str]:
        """Return the ids of the watches."""
        return self._asked.keys()

    def note(self, epoch: bytes) -> None:
        """Note that the state of an epoch has every watch of these windows."""
        self._state.note(epoch, [asked.ready for asked in self._asked.values()])

    def unmark(self) -> None:
        """Note that nothing is whole, so that no process takes anything in."""
        self._state.unmark()

    def mark(self, epoch: bytes) -> None:
        """Note that the state is whole for every watch, and of which epoch."""
        self._state.mark(epoch, [asked.ready for asked in self._asked.values()])
        self._epoch = epoch
        self._name_after(epoch)

    def turn(self, token: str, lasting: int) -> AbstractContextManager[bool]:
        """Say whether it is this process's turn to rebuild, for so many milliseconds or until it is done."""
        return self._state.turn(token, lasting)

    def stay(self, lasting: int) -> None:
        """Go on rebuilding for so many milliseconds more."""
        self._state.stay(lasting)


def _named(name: bytes) -> tuple[int, bytes, str, bytes]:
    """Return time and id of a wait, its group's key, and its name."""
    key, at, id = msgspec.msgpack.decode(name)
    return at, id, key, name


def _opening(asked: _Asked, hit: Hit, one: Sequence[Any]) -> Opening:
    _, at, id, approximate, gone, tally, ids = one
    events = tuple(map(read_text, ids)) or (read_text(id),)
    return Opening(hit, at, read_text(id), asked.scripted.shown(tally), bool(approximate), bool(gone), events)
