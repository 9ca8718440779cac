"""One app as the pipeline sees it: its playbooks made ready, its windows, and what responding remembers.

How a tenant comes back after a restart is in `restore`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from sentinel.core.batch import Evidence
from sentinel.core.decision import place
from sentinel.core.finding import Finding
from sentinel.core.record import Allowance, App
from sentinel.engine.engine import Engine
from sentinel.engine.keys import renamed
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Playbook
from sentinel.engine.windows import Hit, Watch, Windows
from sentinel.service.marks import Turns
from sentinel.service.sparing import LetBe, Spared, Whose

OPEN_FINDINGS = 100_000


class Open(NamedTuple):
    """A finding that gathers evidence from its anchor (`at`) until its cooldown is over (`until`).

    `counted` are the ids of the events it was opened with: they are not counted again.
    """

    id: str
    at: int
    until: int
    counted: tuple[str, ...]


class LocalWindows(Windows, Protocol):
    """Windows in this process, whose state is kept by snapshots."""

    def watch(self, watch: Watch) -> None: ...
    def forget(self, watch: str) -> None: ...
    def unlearn(self) -> None: ...
    def hand_over(self, watch: str) -> Any: ...
    def take_over(self, watch: str, state: Any) -> None: ...
    def rename(self, names: Mapping[str, str]) -> None: ...
    def snapshot(self, watch: str) -> bytes | None: ...
    def restore(self, watch: str, data: bytes) -> bool: ...
    def know(self, watch: str, key: str, at: int, id: str, tally: tuple[int | float, ...], acting: bool) -> None: ...
    def groups(self) -> dict[str, int]: ...
    def dropped(self) -> Counter[str]: ...
    def merged(self) -> Counter[str]: ...


MakeWindows = Callable[[Iterable[Watch]], LocalWindows]


class Tenant:
    """The state of one app; it is changed under the pipeline's lock only.

    `never` are networks nobody may act on: the app's own proxies. `rebuilding` names the playbooks whose windows are
    being rebuilt: until that is done they go on as they were, or do not run yet.
    """

    def __init__(
        self,
        app: App,
        playbooks: Iterable[Playbook],
        make_windows: MakeWindows,
        lateness: int,
        never: Iterable[str] = (),
    ) -> None:
        self.app = app
        playbooks = list(playbooks)
        self.engine = Engine(playbooks, lateness)
        self.turns = Turns(self.engine)
        self.windows = make_windows(self.engine.watches())
        self.memory = Memory(app=app.id, protected=self._protected)
        self.newest = 0
        self.rebuilding: frozenset[str] = frozenset()
        self._playbooks = playbooks
        self.never = [place(network) for network in never]
        self._spared = Spared(self.never)
        self.let_be = LetBe()
        self._open: OrderedDict[tuple[str, str], Open] = OrderedDict()
        self._gathering: set[str] = set()  # playbooks that have open findings, or had

    def goes_by(self, playbooks: Sequence[Playbook]) -> bool:
        """Say whether these are the playbooks in use, in the same order."""
        return self._playbooks == list(playbooks)

    def watch_of(self, playbook: str) -> Watch | None:
        """Return the watch of a playbook, None for one that is off or unknown."""
        judge = self.engine.judges.get(playbook)
        return judge.watch if judge else None

    def take(self, playbooks: Sequence[Playbook]) -> frozenset[str]:
        """Use these playbooks from now on; return the names of watches that ended. Unchanged watches keep their state.

        A guard that was changed no longer holds its playbook back.
        """
        for one in playbooks:
            known = self.engine.judges.get(one.id)
            if known is not None and known.playbook.guard != one.guard:
                self.memory.ledger.release(one.id)
        self._playbooks = list(playbooks)
        before = self.engine.judges.keys()
        self.engine = Engine(playbooks, self.engine.lateness)
        self.turns = Turns(self.engine)
        gone = frozenset(before - self.engine.judges.keys())
        for name in gone:
            self.windows.forget(name)
        for watch in self.engine.watches():
            self.windows.watch(watch)
        return gone

    def rename(self, names: Mapping[str, str]) -> None:
        """Put pseudonyms for the names of deleted persons in windows and memory; whoever comes back is somebody new."""
        for room in (self.windows, self.memory.familiar, self.memory.crowd):
            room.rename(names)
        self.memory.ledger.rename(names, self.engine.judges)
        self.let_be.rename(names)
        self._open = OrderedDict(((of[0], renamed(of[1], names)), known) for of, known in self._open.items())

    def allow(self, allowances: Iterable[Allowance], whose: Whose) -> None:
        """Take over the allowlist as it is now."""
        self._spared.take(allowances, whose)

    def _protected(self, kind: str, target: str, at: int) -> str | None:
        return self._spared.why(kind, target, at)

    def opened(self, findings: Iterable[Finding]) -> None:
        """Remember findings whose further events are their evidence."""
        for finding in findings:
            if finding.playbook in self.engine.judges:
                self.let_be.note(finding)
                self._gathering.add(finding.playbook)
                of = finding.playbook, finding.key
                self._open[of] = self._as_open(finding)._replace(counted=())
                self._open.move_to_end(of)
        while len(self._open) > OPEN_FINDINGS:
            self._open.popitem(last=False)

    def evidence(self, hits: Iterable[Hit], new: Iterable[Finding]) -> tuple[Evidence, ...]:
        """Return what hits add to the evidence of findings, old and `new`, without events that a finding rests on."""
        fresh: dict[tuple[str, str], list[Finding]] = {}
        for finding in new:
            fresh.setdefault((finding.playbook, finding.key), []).append(finding)
        found: dict[str, tuple[int, int]] = {}
        gathering = self._gathering.union(playbook for playbook, _ in fresh)
        if gathering:
            for hit in hits:
                if hit[0] not in gathering:  # the usual case
                    continue
                of = hit.watch, hit.key
                known = self._fresh(fresh[of], hit) if of in fresh else self._open.get(of)
                if known and known.at <= hit.at < known.until and hit.id not in known.counted:
                    count, last = found.get(known.id, (0, 0))
                    found[known.id] = count + 1, max(last, hit.at)
        return tuple(Evidence(id, count, last) for id, (count, last) in found.items())

    def _fresh(self, findings: Sequence[Finding], hit: Hit) -> Open | None:
        """Return the finding a hit belongs to: the newest not after it, of those opened now, or the one before."""
        before = [finding for finding in findings if finding.at <= hit.at]
        return self._as_open(max(before, key=attrgetter("at"))) if before else self._open.get((hit.watch, hit.key))

    def _as_open(self, finding: Finding) -> Open:
        cooldown = self.engine.judges[finding.playbook].playbook.cooldown
        return Open(finding.id, finding.at, finding.at + cooldown, finding.events)
