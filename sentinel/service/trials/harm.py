"""What acting on findings would have cost: how long each target is acted on, and which of them looked like owners.

It must be asked in the order of time. Where findings come from is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.core import address
from sentinel.core.decision import PAIRS, unpair
from sentinel.core.event import Event
from sentinel.core.finding import Effect, Finding
from sentinel.engine.memory import Familiar

USERS, ADDRESSES = "users", "addresses"


class Coverage:
    """The time for which targets are acted on; what overlaps counts once. Times in microseconds."""

    def __init__(self) -> None:
        self._ends: dict[str, int | None] = {}
        self.covered = 0

    def add(self, target: str, start: int, length: int | None) -> None:
        """Cover a target from `start` for `length`, None for ever; `start` is never earlier than in the call before."""
        end = self._ends.get(target, start)
        if end is None:
            return
        if length is None:
            self._ends[target] = None
        elif start + length > end:
            self.covered += start + length - max(start, end)
            self._ends[target] = start + length

    @property
    def targets(self) -> int:
        """How many different targets there are."""
        return len(self._ends)

    def names(self) -> set[str]:
        """Return the different targets."""
        return set(self._ends)

    @property
    def forever(self) -> int:
        """How many of them are covered without an end."""
        return sum(1 for end in self._ends.values() if end is None)


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its finding and when that was found, its end (None: for ever), and the places it spares."""

    finding: str
    found: int
    until: int | None
    spared: frozenset[tuple[str, str]]


class Harm:
    """Blocked users and addresses, and which of them later looked like owners.

    That is a successful login, while blocked, from a device or an address that was familiar before the finding.
    `refused` are those whose login would not have been let in: a block of a user who is only claimed spares
    familiar places.
    """

    def __init__(self, familiar: Familiar) -> None:
        self._familiar = familiar
        self._blocks: dict[str, dict[str, list[Block]]] = {USERS: {}, ADDRESSES: {}}
        self.blocked: dict[str, set[str]] = {USERS: set(), ADDRESSES: set()}
        self.owners: dict[str, set[str]] = {USERS: set(), ADDRESSES: set()}
        self.refused: set[str] = set()
        self._any = False

    def note(self, finding: Finding, now: int) -> None:
        """Take in what a finding leads to."""
        for effect in finding.effects:
            if effect.held is None and effect.target is not None and effect.kind in ("block_user", "block_ip"):
                what = USERS if effect.kind == "block_user" else ADDRESSES
                until = None if effect.length is None else now + effect.length
                block = Block(finding.id, finding.at, until, _spared(effect))
                self._blocks[what].setdefault(effect.target, []).append(block)
                self.blocked[what].add(effect.target)
                self._any = True

    def retract(self, finding: str) -> None:
        """Let go of what a finding led to."""
        for blocks in self._blocks.values():
            for target in blocks:
                blocks[target] = [one for one in blocks[target] if one.finding != finding]

    def login(self, event: Event) -> None:
        """Take in a successful login, before it makes its place familiar."""
        if event.user is None or not self._any:
            return
        user, ip = event.user, event.network_ip
        for block in self._in_force(USERS, user, event.at):
            if self._familiar.is_familiar(user, ip, event.device, block.found):
                self.owners[USERS].add(user)
                places = {("user+ip", where) for where in address.around(event.ip or "")}
                if not block.spared & {*places, ("user+device", event.device or "")}:
                    self.refused.add(user)
        for block in self._in_force(ADDRESSES, ip, event.at):
            if ip is not None and self._familiar.is_familiar(user, ip, event.device, block.found):
                self.owners[ADDRESSES].add(ip)
                self.refused.add(user)

    def _in_force(self, what: str, target: str | None, at: int) -> list[Block]:
        blocks = self._blocks[what]
        if target is None or target not in blocks:
            return []
        live = blocks[target] = [one for one in blocks[target] if one.until is None or at < one.until]
        return live


def _spared(effect: Effect) -> frozenset[tuple[str, str]]:
    """Return the familiar places that a block leaves alone."""
    return frozenset(
        (one.scope, unpair(one.value)[1]) for one in effect.decisions if one.kind == "allow" and one.scope in PAIRS
    )
