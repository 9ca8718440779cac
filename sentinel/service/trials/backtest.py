"""Run playbooks over past events: every finding, what it would have done, and to whom it would have done so wrongly.

The engine is the one that runs live. How a report is printed is up to the command.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from sentinel.core import moment
from sentinel.core.device import fingerprint
from sentinel.core.duration import MINUTE, SECOND
from sentinel.core.event import Event
from sentinel.core.finding import Effect, Finding
from sentinel.engine.emit import emitted, maker
from sentinel.engine.engine import Engine
from sentinel.engine.expression import Expression
from sentinel.engine.memory import Memory
from sentinel.engine.playbook import Playbook, Travel
from sentinel.engine.respond import DECIDES
from sentinel.engine.windows import Watch, Windows
from sentinel.service.eventfiles.reading import Options
from sentinel.service.trials.harm import ADDRESSES, USERS, Coverage, Harm
from sentinel.service.trials.past import Run
from sentinel.service.trials.replay import EVER, Answer, Replay, Retraction

LATENESS = 10 * MINUTE
BUSIEST = 10
ID = 32  # characters of a finding's id
ENRICHED = ("geo", "network", "agent", "device")
KEPT_IN_MEMORY = 16 << 20  # bytes of findings; more are kept on disk


class CountingWindows(Windows, Protocol):
    """Windows that say what they let go."""

    def dropped(self) -> Counter[str]: ...


MakeWindows = Callable[[Iterable[Watch], int], CountingWindows]
_at = attrgetter("at")


def asks_enrichment(playbook: Playbook) -> bool:
    """Say whether a playbook reads what only a server's enrichment knows."""
    fields = any(text.partition(".")[0] in ENRICHED for text in _texts(playbook))
    return fields or isinstance(playbook.detector, Travel)


def _texts(value: object) -> Iterator[str]:
    """Give every text in a playbook that may be a field's path, tests left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Expression):
        yield from value.fields
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)
    elif is_dataclass(value):
        for one in fields(value):
            if one.name != "tests":
                yield from _texts(getattr(value, one.name))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to judge, and how: `lateness` in microseconds; `own_modes` judges each playbook in the mode it has."""

    playbooks: Sequence[Playbook]
    make_windows: MakeWindows
    lateness: int = LATENESS
    arrival_order: bool = False
    own_modes: bool = False
    strict: bool = False
    options: Options = field(default_factory=Options)
    enrich: Callable[[Event], None] | None = None


class Backtest(Run):
    """One run over past events. What it came to is complete when it has returned; `close` lets go of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.findings = Findings()
        super().__init__(plan)

    def begin(self) -> None:
        """Be as if nothing had been judged."""
        plan = self.plan
        self.engine = Engine(plan.playbooks, plan.lateness, mode=None if plan.own_modes else "enforce")
        self.windows = plan.make_windows(self.engine.watches(), plan.lateness)
        memory = Memory()
        self.harm = Harm(memory.familiar)
        self.replay = Replay(self.engine, self.windows, memory, partial(_login, self.harm))
        self.findings.close()
        self.findings = Findings()
        self.oldest: int | None = None

    def close(self) -> None:
        """Let go of the findings."""
        self.findings.close()

    def judge(self, batches: Iterable[list[Event]]) -> None:
        """Judge all events there are, and then let time pass until nothing waits."""
        enrich = self.plan.enrich
        for batch in filter(None, map(self._sent, batches)):
            if enrich is not None:
                for event in batch:
                    enrich(event)
            oldest = min(map(_at, batch))
            self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)
            self._note(self.replay.feed(batch))
        self._note(self.replay.wait(EVER))

    def among(self, events: int, oldest: int, newest: int) -> None:
        """Say among how many events, and of which time, were those that were judged: no other could matter."""
        super().among(events, oldest, newest)
        self.oldest, self.replay.newest = oldest, newest

    def _sent(self, batch: list[Event]) -> list[Event]:
        """Return a batch without what these playbooks made when the events were new: it is made anew."""
        emits = self.engine.emits
        return [event for event in batch if maker(event) not in emits] if emits else batch

    def _note(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, Retraction):
                self.findings.retract(answer)
                self.harm.retract(answer.finding)
            else:
                self.harm.note(answer, self.replay.now)
                self.findings.add(answer, self.replay.now)


def _login(harm: Harm, event: Event) -> None:
    """Take notice of a successful login, with the device a live server would give it."""
    if event.device is None:
        event.device = fingerprint(event.of_request("user_agent"))
    harm.login(event)


class Findings:
    """What was found, as the lines of the report, and what it comes to."""

    def __init__(self) -> None:
        self._lines = tempfile.SpooledTemporaryFile(max_size=KEPT_IN_MEMORY, prefix="sentinel-")  # noqa: SIM115
        self._retracted: Counter[bytes] = Counter()  # how often: what was taken back may be found again
        self.count: Counter[str] = Counter()
        self.historical = 0
        self.approximate = 0
        self.groups: Counter[tuple[str, str]] = Counter()
        self.shown: dict[tuple[str, str], Mapping[str, object]] = {}
        self.done: Counter[str] = Counter()
        self.held: Counter[tuple[str, str]] = Counter()
        self.coverage = {USERS: Coverage(), ADDRESSES: Coverage()}
        self.by_kind: dict[str, Coverage] = {}

    def add(self, finding: Finding, now: int) -> None:
        """Take in one finding."""
        self.count[finding.playbook] += 1
        self.historical += finding.historical
        self.approximate += finding.approximate
        self.groups[finding.playbook, finding.key] += 1
        self.shown.setdefault((finding.playbook, finding.key), finding.group)
        for effect in finding.effects:
            self._add_effect(effect, now)
        self._lines.write(b"%s%s\n" % (finding.id.encode(), msgspec.json.encode(as_json(finding))))

    def retract(self, retraction: Retraction) -> None:
        """Take a finding back; what was done until then stays counted."""
        self._retracted[retraction.finding.encode()] += 1
        self.count[retraction.playbook] -= 1
        self.groups[retraction.playbook, retraction.key] -= 1

    def _add_effect(self, effect: Effect, now: int) -> None:
        if effect.held is not None:
            self.held[effect.kind, effect.held] += 1
            return
        self.done[effect.kind] += 1
        if effect.target is not None:
            self.by_kind.setdefault(effect.kind, Coverage()).add(effect.target, now, effect.length)
            if effect.kind in DECIDES:
                what = USERS if effect.kind.endswith("_user") else ADDRESSES
                self.coverage[what].add(effect.target, now, effect.length)

    def close(self) -> None:
        """Let go of the lines."""
        self._lines.close()

    def lines(self, left_out: Container[bytes] = ()) -> Iterator[bytes]:
        """Give each finding as a line of JSON, but those of some ids."""
        for id, line in self._each():
            if id not in left_out:
                yield line

    def ids(self) -> set[bytes]:
        """Return the ids of all findings."""
        return {id for id, _ in self._each()}

    def _each(self) -> Iterator[tuple[bytes, bytes]]:
        gone = self._retracted.copy()
        self._lines.seek(0)
        for line in self._lines:
            id = line[:ID]
            if gone[id]:
                gone[id] -= 1
            else:
                yield id, line[ID:]

    @property
    def retracted(self) -> int:
        """How many times a finding was taken back."""
        return self._retracted.total()


def as_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as the report has it: what would have been done, without what was held back."""
    return {
        "playbook": finding.playbook,
        "version": finding.version,
        "group": finding.group,
        "at": moment.to_text(finding.at),
        "event_id": finding.event_id,
        "tally": finding.tally,
        "actions": [_action(effect) for effect in finding.effects if effect.held is None],
    }


def _action(effect: Effect) -> dict[str, Any]:
    for_s = None if effect.length is None else effect.length // SECOND
    return {"kind": effect.kind, "target": effect.target or effect.channel or emitted(effect), "for_s": for_s}
