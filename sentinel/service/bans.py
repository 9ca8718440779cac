"""Which addresses, networks and users are refused entirely, for clients that know no more: firewalls, proxies, lists.

One table for each app, in memory, updated when it is read. For every address it agrees with what an SDK's decision set
would say of an anonymous request from there: a decision by hand overrules those of playbooks, and what is allowed by
hand is cut out of networks that playbooks block. Who reads it, and in which form, is not known here.
"""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from sentinel.core.decision import FOREVER, STRICTNESS, Decision, Delta, Place, place
from sentinel.core.duration import DAY, SECOND
from sentinel.core.errors import StoreBusy
from sentinel.service.ports.findings import Decisions

MOST_CHANGES = 200_000  # remembered; who asks from before gets the whole table
MOST_GONE = 50_000
REMEMBERED = DAY  # how long what is over is still told to those of whom it is not known what they hold
AGAIN = 10 * SECOND  # after the end that a gate was told first: gates round it up, and their clocks go on from there
_SCOPES = ("ip", "network", "user")

Target = Place | str  # an address or network, or a user key


class Ban(NamedTuple):
    """What holds for a target until a time (microseconds since 1970, or FOREVER), and the decision behind it."""

    kind: Literal["block", "challenge"]
    until: int
    decision: str
    playbook: str | None

    def same(self, other: Ban | None) -> bool:
        """Say whether kind and end are the same, so that a gate need not hear of the change."""
        return other is not None and self[:2] == other[:2]


class Change(NamedTuple):
    """A target with the ban it had and the one it has now, each None for none."""

    target: Target
    was: Ban | None
    now: Ban | None


class _Step(NamedTuple):
    number: int
    target: Target
    was: Ban | None
    again: bool = False


class Table:
    """The bans of one app, in `bans` by target; `number` counts the changes. Its methods may be called from any thread.

    Methods that change the table hold a lock, and so does `changes`; the others read one ban after another.
    """

    def __init__(self) -> None:
        self.bans: dict[Target, Ban] = {}
        self.number = 0
        self.revision: int | None = None
        self._lock = threading.Lock()
        self._on = True
        self._next = FOREVER  # when the next decision ends
        self._decided: dict[Target, dict[str, Decision]] = {}
        self._targets: dict[str, Target] = {}
        self._ends: list[tuple[int, str]] = []
        self._outlasted: list[tuple[int, int, Target]] = []  # when a shorter ban that was told first is over everywhere
        self._open: dict[str, Place] = {}  # what people allow
        self._held: dict[Target, dict[Target, Ban]] = {}  # by piece, then by the target it is a piece of
        self._pieces: dict[Target, list[Target]] = {}
        self._steps: deque[_Step] = deque()
        self._floor = 0
        self._gone: OrderedDict[Target, tuple[Ban, int]] = OrderedDict()

    def fresh(self, revision: int, on: bool, now: int) -> bool:
        """Say whether the table is up to date: the same revision and switch, and no end of a decision has passed."""
        return (revision, on) == (self.revision, self._on) and now < self._next

    def update(self, delta: Delta, on: bool, now: int) -> None:
        """Take in what changed in the decision list, the switch (`on`), and the decisions that have ended by `now`."""
        with self._lock:
            before = frozenset(self._open.values())
            stale = self._apply(delta)
            stale |= self._over(now)
            allowed = frozenset(self._open.values())
            if on != self._on or allowed != before:
                stale |= self._decided.keys()
            self._on = on
            opened = _Open(allowed)
            for target in stale:
                self._judge(target, opened, now)
            self._tell_again(now)
            self.revision = delta.revision
            ends = [*(end[0] for end in self._ends[:1]), *(end[0] for end in self._outlasted[:1])]
            self._next = min(ends, default=FOREVER)
            while self._gone and next(iter(self._gone.values()))[1] <= now - REMEMBERED:
                self._gone.popitem(last=False)

    def remember(self, gone: Iterable[tuple[Target, Ban, int]]) -> None:
        """Take in (target, ban, end) of bans that were over before the table was made."""
        with self._lock:
            for target, ban, at in sorted(gone, key=lambda one: one[2]):
                if target not in self.bans:
                    self._gone[target] = (ban, at)

    def changes(self, since: int | None) -> tuple[int, list[Change]]:
        """Return the number to ask from next time, and what changed since `since`; everything where that is not known.

        Everything is what holds now, and what has been over for less than a day. A ban that replaced a shorter one is
        told once more, as new, when the shorter one is over: some gates keep the end they were told first.
        """
        with self._lock:
            if since is None or not self._floor <= since <= self.number:
                told = [Change(target, None, ban) for target, ban in self.bans.items()]
                return self.number, told + [Change(target, ban, None) for target, (ban, _) in self._gone.items()]
            first: dict[Target, Ban | None] = {}
            again: set[Target] = set()
            for step in reversed(self._steps):
                if step.number <= since:
                    break
                first[step.target] = step.was
                if step.again:
                    again.add(step.target)
            found = [Change(target, was, self.bans.get(target)) for target, was in first.items()]
            changed = [one for one in found if not _equal(one.was, one.now)]
            same = [one for one in found if one.now is not None and one.target in again and _equal(one.was, one.now)]
            return self.number, changed + [one._replace(was=None) for one in same]

    def covering(self, ip: Place) -> list[tuple[Place, Ban]]:
        """Return the bans that an address or network lies in, the widest first."""
        wider = (ip.wider(length) for length in range(ip.length + 1))
        found = ((one, self.bans.get(one)) for one in wider)  # asked once: another thread may end it
        return [(one, ban) for one, ban in found if ban is not None]

    def _apply(self, delta: Delta) -> set[Target]:
        stale: set[Target] = set()
        if delta.reset:
            stale = set(self._decided)
            for known in (self._decided, self._targets, self._open, self._ends):
                known.clear()
        for id in delta.removed:
            stale |= self._drop(id)
        for decision in delta.added:
            stale |= self._drop(decision.id)
            if decision.scope in _SCOPES and not decision.logins_only:
                stale.add(self._add(decision))
        return stale

    def _add(self, decision: Decision) -> Target:
        target = decision.value if decision.scope == "user" else place(decision.value)
        self._decided.setdefault(target, {})[decision.id] = decision
        self._targets[decision.id] = target
        if decision.until is not None:
            heapq.heappush(self._ends, (decision.until, decision.id))
        if decision.manual and decision.kind == "allow" and isinstance(target, Place):
            self._open[decision.id] = target
        return target

    def _drop(self, id: str) -> set[Target]:
        target = self._targets.pop(id, None)
        if target is None:
            return set()
        self._open.pop(id, None)
        del self._decided[target][id]
        if not self._decided[target]:
            del self._decided[target]
        return {target}

    def _over(self, now: int) -> set[Target]:
        stale: set[Target] = set()
        while self._ends and self._ends[0][0] <= now:
            _, id = heapq.heappop(self._ends)
            target = self._targets.get(id)
            decision = self._decided[target].get(id) if target is not None else None
            if decision is not None and not decision.in_force(now):
                stale |= self._drop(id)
        return stale

    def _judge(self, target: Target, opened: _Open, now: int) -> None:
        """Work out the ban of a target's own decisions again, and the pieces of the target that it holds for."""
        ban, personal = _ban(self._decided.get(target, {}).values(), now) if self._on else (None, False)
        pieces: list[Target] = []
        if ban is not None:
            pieces = [target] if personal or isinstance(target, str) else list(opened.without(target))
        for piece in self._pieces.pop(target, ()):
            if piece not in pieces:
                self._held[piece].pop(target)
                self._settle(piece, now)
        if pieces:
            self._pieces[target] = pieces
        for piece in pieces:
            assert ban is not None
            self._held.setdefault(piece, {})[target] = ban
            self._settle(piece, now)

    def _settle(self, piece: Target, now: int) -> None:
        """Work out the ban of a piece, the strictest of all targets it is a piece of, and note it if it changed."""
        held = self._held.get(piece)
        if not held:
            self._held.pop(piece, None)
        ban = max(held.values(), key=_strictness) if held else None
        was = self.bans.get(piece)
        if ban is None:
            self.bans.pop(piece, None)
        else:
            self.bans[piece] = ban
            self._gone.pop(piece, None)
        if _equal(was, ban):
            return
        self._step(piece, was)
        if was is not None and ban is not None and was.until < ban.until:
            heapq.heappush(self._outlasted, (was.until + AGAIN, self.number, piece))
        if was is not None and ban is None:
            self._gone[piece] = (was, now)
            if len(self._gone) > MOST_GONE:
                self._gone.popitem(last=False)

    def _step(self, piece: Target, was: Ban | None, again: bool = False) -> None:
        self.number += 1
        self._steps.append(_Step(self.number, piece, was, again))
        if len(self._steps) > MOST_CHANGES:
            self._floor = self._steps.popleft().number

    def _tell_again(self, now: int) -> None:
        while self._outlasted and self._outlasted[0][0] <= now:
            _, _, piece = heapq.heappop(self._outlasted)
            if (ban := self.bans.get(piece)) is not None:
                self._step(piece, ban, again=True)


class _Open:
    """The addresses and networks that are allowed by hand."""

    def __init__(self, places: frozenset[Place]) -> None:
        self._places = places
        self._lengths = {(one.version, one.length) for one in places}

    def without(self, wanted: Place) -> Iterator[Place]:
        """Give what is left of a network without these, in as few networks as possible."""
        wider = (wanted.wider(length) for version, length in self._lengths if _in(wanted, version, length))
        if not any(one in self._places for one in wider):
            longer = any(version == wanted.version and length > wanted.length for version, length in self._lengths)
            inside = [one for one in self._places if one.within(wanted)] if longer else []
            yield from _split(wanted, inside)


def _split(wanted: Place, inside: list[Place]) -> Iterator[Place]:
    if not inside:
        yield wanted
    elif wanted not in inside:
        for half in (0, 1):
            part = Place(wanted.version, wanted.length + 1, wanted.bits * 2 + half)
            yield from _split(part, [one for one in inside if one.within(part)])


def _in(wanted: Place, version: int, length: int) -> bool:
    return version == wanted.version and length <= wanted.length


class Bans:
    """The tables of all apps. `on` says whether an app's decisions are carried out, `clock` gives microseconds."""

    def __init__(self, decisions: Decisions, on: Callable[[str], bool], clock: Callable[[], int]) -> None:
        self._decisions = decisions
        self._on = on
        self._clock = clock
        self._tables: dict[str, Table] = {}
        self._locks: dict[str, threading.Lock] = {}

    def fresh(self, app: str) -> Table | None:
        """Return an app's table if it is up to date, else None; this asks no store and never waits."""
        table = self._tables.get(app)
        if table is None or not table.fresh(self._decisions.revision(app), self._on(app), self._clock()):
            return None
        return table

    def table(self, app: str) -> Table:
        """Return an app's table, up to date, or as it was while the store is busy; raises StoreBusy where it is new."""
        with self._locks.setdefault(app, threading.Lock()):
            found = self.fresh(app)
            if found is not None:
                return found
            table = self._tables.get(app) or Table()
            now = self._clock()
            try:
                table.update(self._decisions.delta(app, table.revision or 0, now), self._on(app), now)
                if app not in self._tables:
                    table.remember(self._ended(app, now))
            except StoreBusy:
                if app not in self._tables:
                    raise
            self._tables[app] = table
            return table

    def _ended(self, app: str, now: int) -> Iterator[tuple[Target, Ban, int]]:
        """Give the bans that ended within a day, of the newest decisions: gates may hold them still."""
        for scope in _SCOPES:
            page = self._decisions.list(app, scope=scope, limit=1000)
            for kept in page.items:
                one = kept.decision
                ended = kept.lifted if kept.lifted is not None else one.until
                if one.kind in ("block", "challenge") and ended is not None and now - REMEMBERED < ended <= now:
                    target = one.value if scope == "user" else place(one.value)
                    yield target, Ban(one.kind, one.until or FOREVER, one.id, one.playbook), ended


def _ban(decisions: Iterable[Decision], now: int) -> tuple[Ban | None, bool]:
    """Return the ban of the decisions on one target, None for none, and whether any of these was made by hand."""
    live = [one for one in decisions if one.in_force(now)]
    personal = [one for one in live if one.manual]
    strictest = max(personal or live, key=lambda one: (STRICTNESS[one.kind], one.until or FOREVER), default=None)
    if strictest is None or strictest.kind not in ("block", "challenge"):
        return None, bool(personal)
    until = FOREVER if strictest.until is None else strictest.until
    return Ban(strictest.kind, until, strictest.id, strictest.playbook), bool(personal)


def _strictness(ban: Ban) -> tuple[int, int]:
    return STRICTNESS[ban.kind], ban.until


def _equal(one: Ban | None, other: Ban | None) -> bool:
    return other is None if one is None else one.same(other)
