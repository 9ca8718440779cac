"""Playbooks that count events of other playbooks: cycles are mistakes, and claimed users stay claimed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sentinel.engine.emit import DEPTH, TRUST, emits
from sentinel.engine.judge import prepare
from sentinel.engine.playbook import Action, Playbook, Selector
from sentinel.engine.problems import quote
from sentinel.engine.select import counted, may_meet
from sentinel.loader.checks import check_lockout
from sentinel.loader.desk import Desk
from sentinel.loader.shapes import Reading


@dataclass(frozen=True, slots=True)
class Built:
    """A playbook with what was read for it, and where mistakes in it go."""

    playbook: Playbook
    reading: Reading
    desk: Desk


def check_chains(built: Mapping[str, Built]) -> dict[str, Playbook]:
    """Return the playbooks, with `claimed` set where they count events of one whose users are only claimed.

    Reports circles of playbooks that lead to each other, and actions that would lock out the owner of an account.
    """
    playbooks = {id: one.playbook for id, one in built.items()}
    leads = {
        id: [other.id for other in playbooks.values() if _leads(one, other)]
        for id, one in playbooks.items()
        if emits(one)
    }
    claimed = [id for id, nexts in leads.items() if nexts and prepare(playbooks[id]).claimed]
    while claimed:
        for id in leads.get(claimed.pop(), ()):
            if not playbooks[id].claimed:
                playbooks[id] = replace(playbooks[id], claimed=True)
                claimed.append(id)
    for id, one in built.items():
        check_lockout(playbooks[id], one.reading, one.desk)
    _circles(built, leads)
    return playbooks


def _leads(one: Playbook, other: Playbook) -> bool:
    """Say whether what one playbook makes counts for another."""
    made = [action for action in one.actions if action.kind == "emit"]
    return any(_counts(selector, one, action) for action in made for selector in counted(other))


def _counts(selector: Selector, playbook: Playbook, action: Action) -> bool:
    """Say whether a selector means the event that an action makes: by its name, or because it asks for nothing."""
    if selector.wheres and not selector.patterns:
        return False  # a condition alone is about what senders tell: a request, a status
    said = dict(action.properties or {}) | {"playbook": playbook.id, "severity": playbook.severity}
    return may_meet(selector, action.event or "", trust=TRUST, properties=said)


def _circles(built: Mapping[str, Built], leads: Mapping[str, list[str]]) -> None:
    """Report each circle once, at its first playbook."""
    known: set[frozenset[str]] = set()
    for id in leads:
        circle = _circle(id, leads)
        if circle and frozenset(circle) not in known:
            known.add(frozenset(circle))
            one = built[id]
            spot = next(spot for kind, _, spot in one.reading["actions"] if kind == "emit")
            way = " → ".join(map(quote, circle))
            hint = f"let one of them count other events; past {DEPTH} findings in a row nothing more is made"
            one.desk.report(spot, f"what it makes leads back to it: {way}", hint)


def _circle(start: str, leads: Mapping[str, list[str]]) -> list[str] | None:
    """Return the shortest way from a playbook back to it."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for id in leads.get(way[-1], ()):
            if id == start:
                return [*way, start]
            if id not in seen:
                seen.add(id)
                ways.append([*way, id])
    return None
