"""Which stored events a playbook needs: leaving out the others does not change what is found.

- An event that no selector takes, or that has no group, is no hit.
- A crossing of `when` or of a sequence lies in one window with at least so many hits. Where a period as long as the
  window and its neighbours hold fewer, no hit of that group in it is part of a crossing.
- A spike, a new value and a journey look further back: they need all of a group, but only of groups that can have one.

Conditions that ask for labels are left out, because a replay puts labels on anew. Events that playbooks make are made
anew too, so where one does, no number of stored events rules a group out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sentinel.core.candidates import Candidates, Fewest, Selection
from sentinel.engine.emit import emits
from sentinel.engine.expression import Expression
from sentinel.engine.judge import prepare
from sentinel.engine.playbook import Playbook, Selector
from sentinel.engine.respond import DECIDES, crowded
from sentinel.engine.select import names
from sentinel.engine.windows import Absent, FirstSeen, Spike, Steps, Threshold, Travel, Watch
from sentinel.service.marks import FIELDS

LOGIN = Selection(lambda name: name == "auth")


def needs(playbooks: Sequence[Playbook], since: int, until: int, *, every: bool = False) -> list[Candidates]:
    """Return the events that each playbook can need to find all it would; with `every` all events that it matches."""
    made = any(map(emits, playbooks))
    return [_needs(playbook, since, until, sparing=not (every or made), grouped=not every) for playbook in playbooks]


def asks_familiarity(playbook: Playbook) -> bool:
    """Say whether it matters to a playbook's findings, or to the harm they would do, who logged in from where."""
    return crowded(playbook) or any(action.kind in DECIDES for action in playbook.actions)


def logins(since: int, until: int, users: frozenset[str] | None, ips: frozenset[str]) -> Candidates:
    """Return the logins of these users and those from these addresses; with None for users, all logins."""
    return Candidates(since, until, (LOGIN,), users=users, ips=ips)


def _needs(playbook: Playbook, since: int, until: int, *, sparing: bool, grouped: bool) -> Candidates:
    judge = prepare(playbook)
    asides = {id(one) for one in judge.prepared.selectors}
    return Candidates(
        since, until,
        tuple(_selection(one, counts=id(one) not in asides) for one in judge.selectors),
        group=playbook.group_by if grouped else None,
        trusted=playbook.trust != "any",
        fewest=_fewest(playbook, judge.watch) if sparing else Fewest(),
    )  # fmt: skip


def _selection(selector: Selector, *, counts: bool) -> Selection:
    return Selection(partial(names, selector), tuple(where for where in selector.wheres if _lasts(where)), counts)


def _lasts(where: Expression) -> bool:
    """Say whether a condition is as true in a replay as it was live."""
    return not FIELDS & set(where.fields)


def _fewest(playbook: Playbook, watch: Watch) -> Fewest:
    match watch.detector:
        case Threshold(gauges=gauges):
            distinct = tuple(
                (metric.field, int(gauge.reach))
                for metric, gauge in zip(playbook.when, gauges, strict=True)
                if metric.kind == "distinct" and metric.field is not None
            )
            return Fewest(watch.detector.fewest, distinct, watch.window)
        case Steps(steps=steps):
            return Fewest(sum(max(step.count, step.distinct, 1) for step in steps), window=watch.window)
        case Spike(fewest=fewest):
            return Fewest(fewest, window=watch.window, whole=True)
        case FirstSeen(after=after):
            return Fewest(after + 1)
        case Travel():
            return Fewest(2, (("geo", 2),))
        case Absent():
            return Fewest()
