"""Windows in Redis or Valkey, for any number of processes: one key a group, one script a kind of state.

The results equal those of `memory`. A call made again after a lost answer gives the same answer and changes nothing.
Marks beside the state say that it is complete: where one is missing, everything is rebuilt from the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, suppress
from typing import Any

from sentinel.core.duration import DAY
from sentinel.core.errors import StoreBusy
from sentinel.engine.windows import FirstSeen, Hit, Opening, Progress, Watch
from sentinel.windows.asked import Asked, opening_of
from sentinel.windows.groups import Limits
from sentinel.windows.link import Command, Link, script
from sentinel.windows.names import BUCKETS, Names, bucket_of
from sentinel.windows.progress import progress_of
from sentinel.windows.room import Room
from sentinel.windows.scripted import Tally, known, text
from sentinel.windows.state import State
from sentinel.windows.waits import Waits

LOST = "windows lost what they held", "it is rebuilt from the stored events: send again"
LONG = 31 * DAY // 1000  # milliseconds


class StateLost(StoreBusy):
    """What windows held is gone, wholly or in part: it has to be rebuilt before an event is judged."""


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
        self._asked: dict[str, Asked] = {}
        self._epoch: bytes | None = None
        self._named: bytes | None = None  # the epoch that keys are called after
        self._runs: frozenset[str] = frozenset()
        self._dropped: Counter[str] = Counter()
        self._merged: Counter[str] = Counter()
        self._state = State(link, self.names)
        self._room = Room(link, self.limits.per_source)
        self._waits = Waits(link, self.limits.groups)
        for watch in watches:
            self.watch(watch)

    def watch(self, watch: Watch) -> None:
        """Begin a watch, or go on with it as it is now."""
        asked = self._asked[watch.id] = Asked(watch, self.limits, self.names)
        if self._named is not None:
            asked.call_after(self._named)

    def forget(self, watch: str) -> None:
        """End a watch; its keys expire."""
        asked = self._asked.pop(watch, None)
        if asked is not None:
            self._state.let_go(asked.ready)

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
        """Name the keys after the epoch that the servers hold, unless they have their names already."""
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
        """Record hits, one script call a group, and return what opens; None where the state was rebuilt meanwhile."""
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
        self, asked: Asked, hits: Sequence[tuple[int, Hit]], answer: Sequence[Any], found: list[list[Opening]]
    ) -> None:
        """Read one group's answer: put its openings into `found`, by their hits' places, and count the rest of it."""
        for one in answer:
            if isinstance(one, list):
                place, hit = hits[one[0]]
                found[place].append(opening_of(asked, hit, one))
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
        """Return one command for each server of these buckets, to read its mark; none while quiet."""
        if self._epoch is None:
            return []
        names = {bucket: self.names.of_bucket(bucket, "epoch") for bucket in sorted(set(buckets))}
        one_each = {self._link.server_of(name): bucket for bucket, name in names.items()}
        return [Command(names[bucket], ("GET", names[bucket])) for bucket in one_each.values()]

    def _is_whole(self, marks: Sequence[bytes | None]) -> bool:
        """Say whether the state is of the epoch known; False where another process has rebuilt it as of a new one.

        Raises StateLost where a mark is missing.
        """
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
        begun = [
            (place, asked, hit)
            for place, hit in enumerate(hits)
            if (asked := self._asked[hit.watch]).waits and hit.values[0]
        ]
        refused = self._waits.note(begun) if begun else set()
        if not refused:
            return hits
        self._dropped["waits over the bound"] += len(refused)
        return [None if place in refused else hit for place, hit in enumerate(hits)]

    def due(self, watermark: int) -> list[Opening]:
        """Return what opens because nothing came in time. Events before `watermark` are not waited for any more."""
        self._name()
        return self._waits.due([asked for asked in self._asked.values() if asked.waits], watermark)

    def put_back(self, openings: Sequence[Opening]) -> None:
        """Take back what `due` gave, since it could not be kept: it is due again."""
        self._waits.put_back([(self._asked[opening.hit.watch], opening.hit) for opening in openings])

    def yielded(self, opening: Opening) -> None:
        """Learn that a finding did not act after all, so that it holds back no action."""
        asked = self._asked[opening.hit.watch]
        self._link.one(self._finding(asked, opening.hit.key, "yield", opening.at, opening.id, False, ()))

    def know(self, watch: str, key: str, at: int, id: str, tally: Tally, acting: bool) -> None:
        """Take in a finding opened before, so that it holds back others."""
        self._link.later([self._finding(self._asked[watch], key, "know", at, id, acting, tally)])

    def _finding(
        self, asked: Asked, key: str, what: str, at: int, id: str, acting: bool, tally: Tally
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
        return progress_of(asked.scripted, key, answer, now)

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
        """Return how many hits this process merged or dropped because their groups had too many, by watch."""
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

        Among them are those that another process lacks or has in another version, since it gives them no hits. From
        here on the others know of this process, and watches that it does not have are whole no longer.
        """
        known = {asked.ready: asked.watch for asked in self._asked.values()}
        apart = self.apart()
        self._state.keep(known)
        missing = self._state.missing(epoch, list(known)) if known else []
        names = [name for name, watch in known.items() if name in missing or watch.id in apart]
        if not names:
            return None
        found = ValkeyWindows(self._link, self._app, [known[name] for name in names], self.limits)
        found.pause(epoch)
        return found

    def apart(self) -> frozenset[str]:
        """Return the watches that another process beside this one does not have, or has in another version.

        Called once a second: that says that this process is there.
        """
        mine = {asked.ready: id for id, asked in self._asked.items()}
        others = self._state.beside(mine)
        return frozenset(id for ready, id in mine.items() if any(ready not in other for other in others))

    def watched(self) -> Set[str]:
        """Return the ids of the watches."""
        return self._asked.keys()

    def note(self, epoch: bytes) -> None:
        """Mark the state of an epoch as whole for every watch of these windows."""
        self._state.note(epoch, [asked.ready for asked in self._asked.values()])

    def unmark(self) -> None:
        """Remove the marks: the state is not whole, and no process takes anything in."""
        self._state.unmark()

    def mark(self, epoch: bytes) -> None:
        """Mark the state as whole for every watch, as of an epoch."""
        self._state.mark(epoch, [asked.ready for asked in self._asked.values()])
        self._epoch = epoch
        self._name_after(epoch)

    def turn(self, token: str, lasting: int) -> AbstractContextManager[bool]:
        """Claim the right to rebuild for `lasting` milliseconds or until the block is left; give whether it was had."""
        return self._state.turn(token, lasting)

    def stay(self, lasting: int) -> None:
        """Go on rebuilding for so many milliseconds more."""
        self._state.stay(lasting)
