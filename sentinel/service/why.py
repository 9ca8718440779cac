"""Why: what rules and playbooks make of an event, how near a group is to a finding, what a decision rests on.

Plain values with their reasons; asking changes nothing. The API and the command show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sentinel.core.event import Event
from sentinel.core.scrub import REDACTED
from sentinel.engine import playbook as written
from sentinel.engine.expression import Expression
from sentinel.engine.judge import Judge, prepare
from sentinel.engine.keys import key_of, key_text
from sentinel.engine.metrics import Skipped
from sentinel.engine.playbook import Playbook, Rule, Selector
from sentinel.engine.select import names
from sentinel.engine.windows import Progress
from sentinel.service.fires import fires, nothing
from sentinel.service.tenant import LocalWindows

MISSING = "a group field is missing"
Acts = Callable[[str, str], bool]  # whether a playbook acts on the group of a key


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition judged on an event: true, false or None for unknown, and the values it was made from, by text."""

    source: str
    truth: bool | None
    fields: Mapping[str, Any]
    operands: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One selection of events: a rule, a playbook's own, a step. `named` says whether it takes events of that name."""

    name: str
    rule: str | None
    named: bool
    matches: bool
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a playbook makes of an event. `why` says why it does not count; `group` is the one it counts for."""

    id: str
    title: str
    mode: str
    counts: bool
    why: str | None
    group: Mapping[str, Any] | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a group is to a playbook's finding; times in microseconds, None where there is none.

    `tally` and `threshold` are by metric. `fires` says in words what would open a finding. `held` is until when an
    earlier finding holds back the next, `opened` the anchors of those kept and whether each acted. `spared` has the
    fields of the group that name somebody nobody acts on, and why.
    """

    id: str
    title: str
    mode: str
    group: Mapping[str, Any]
    tally: Mapping[str, int | float | None]
    threshold: Mapping[str, str]
    fires: str
    empties: int | None = None
    held: int | None = None
    approximate: bool = False
    opened: tuple[tuple[int, bool], ...] = ()
    spared: Mapping[str, str] = field(default_factory=dict)


def rule(one: Rule, event: Event) -> Part:
    """Return what a rule makes of an event."""
    return _part(one.id, Selector(one), event)


def judged(playbook: Playbook, event: Event) -> Judged:
    """Return what a playbook makes of an event, whatever its mode."""
    judge = prepare(playbook)
    parts = tuple(_part(name, selector, event) for name, selector in _selections(playbook))
    why = _why_not(judge, parts, event)
    group = None if why else {name: plain(value) for name, value in judge.group(event).items()}
    return Judged(playbook.id, playbook.title, playbook.mode, why is None, why, group, parts)


def _selections(playbook: Playbook) -> Iterator[tuple[str, Selector]]:
    own = playbook.selector
    match playbook.detector:
        case written.Sequence(steps=steps, until=until):
            yield from ((f"step {number}", step.selector) for number, step in enumerate(steps, 1))
            if until is not None:
                yield "until", until
        case written.Absent(selector=selector):
            yield from (("event", own), ("absent", selector))
        case _:
            yield "event", own


def _part(name: str, selector: Selector, event: Event) -> Part:
    named = names(selector, event.name)
    matches = named and all(where.matches(event) for where in selector.wheres)
    clauses = tuple(clause for where in selector.wheres for clause in _clauses(where, event))
    return Part(name, selector.rule.id if selector.rule else None, named, matches, clauses)


def _clauses(where: Expression, event: Event) -> Iterator[Clause]:
    for one in where.explain(event):
        fields, operands = ({text: plain(value) for text, value in pairs} for pairs in (one.fields, one.operands))
        yield Clause(one.source, one.truth, fields, operands)


def _why_not(judge: Judge, parts: Sequence[Part], event: Event) -> str | None:
    """Return why an event does not count, asked in the engine's order; None where it does."""
    playbook = judge.playbook
    if playbook.mode == "off":
        return "the playbook is off"
    if event.trust == "browser" and playbook.trust != "any":
        return "a browser sent it, and the playbook trusts servers alone"
    if not any(part.named for part in parts):
        return f"events named `{event.name}` are not looked at"
    if not any(part.matches for part in parts):
        return "no condition holds" if len(parts) > 1 else "the condition does not hold"
    for one in playbook.exceptions:
        if (one.until is None or event.at < one.until) and one.where.matches(event):
            return f"an exception takes it out: {one.reason}"
    if judge.key(event) is None:
        return f"{MISSING}: {_lacking(judge.group(event))}"
    skipped: Skipped = Counter()
    if judge.values(event, skipped) is None:
        return next((reason for _, reason in skipped), "it says nothing to the playbook")
    return None


def _lacking(group: Mapping[str, object]) -> str:
    """Return the group fields that name no group, and of which the sender left the value out as a secret."""
    lacking = {field: value for field, value in group.items() if key_text(value) is None}
    return ", ".join(f"`{field}`" + " (redacted)" * (value == REDACTED) for field, value in lacking.items())


def nearness(
    judges: Iterable[Judge], windows: LocalWindows, given: Mapping[str, Sequence[Any]], acts: Acts, now: int
) -> list[Nearness]:
    """Return how near a group is to the findings of the playbooks that group by nothing but what is `given`.

    Each field has the values that may be meant, the likeliest first. Playbooks over the whole app are told where
    nothing is given. Windows must not change meanwhile.
    """
    found = []
    for judge in judges:
        fields = judge.playbook.group_by
        if given.keys() >= set(fields) and bool(fields) == bool(given):
            found.append(_near(judge, windows, _groups(fields, given), acts, now))
    return found


def _groups(fields: Sequence[str], given: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(fields, values, strict=True)) for values in product(*(given[field] for field in fields))]


def _near(judge: Judge, windows: LocalWindows, groups: list[dict[str, Any]], acts: Acts, now: int) -> Nearness:
    playbook, group, known = judge.playbook, groups[0], nothing(judge.watch)
    for candidate in groups:
        key = key_of(playbook.group_by, candidate)
        found = windows.progress(playbook.id, key, now) if key is not None else None
        if found is not None:
            group, known = candidate, found
            break
    acting = acts(playbook.id, key_of(playbook.group_by, group) or "")
    held = [at + playbook.cooldown for at, acted in known.opened if acted or not acting]
    until = max((end for end in held if end > now), default=None)
    return Nearness(
        playbook.id, playbook.title, playbook.mode, {name: plain(value) for name, value in group.items()},
        _tally(judge, known), judge.prepared.threshold, fires(judge, known, now), known.empties, until,
        known.approximate, known.opened,
    )  # fmt: skip


def _tally(judge: Judge, known: Progress) -> dict[str, int | float | None]:
    """Return the tally by metric, what cannot be said left None."""
    shown = judge.prepared.tally(tuple(0 if value is None else value for value in known.tally))
    return {name: None if raw is None else value for (name, value), raw in zip(shown.items(), known.tally, strict=True)}


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
