"""One playbook, prepared: does it look at this event, for which group, and what does the event count for?

All that can be prepared is prepared once, so that judging an event takes a few calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sentinel.core.event import Event
from sentinel.engine import detectors
from sentinel.engine.detectors import Prepared
from sentinel.engine.keys import group_key, group_value
from sentinel.engine.metrics import Skipped
from sentinel.engine.playbook import Playbook, Selector
from sentinel.engine.select import conditions, counted, may_be_claimed, names
from sentinel.engine.windows import Watch

Condition = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Judge:
    """A playbook with the functions that read events for it.

    `condition` is what its events must meet first, None if nothing; it is the same object for playbooks that share a
    rule, so that it is asked once for all of them. `admits` says whether an event counts then, None if it always
    does; `key` names its group, None where a group field is missing;
    `values` is what it counts for, None for nothing. What is passed over is counted by (playbook, reason).
    `claimed` says that the users its events name may be only claimed: by a failed login, a browser, or whoever asks for
    a new password.
    """

    playbook: Playbook
    watch: Watch
    condition: Condition | None
    admits: Condition | None
    key: Callable[[Event], str | None]
    values: Callable[[Event, Skipped], tuple[Any, ...] | None]
    prepared: Prepared
    selectors: tuple[Selector, ...]
    claimed: bool

    def group(self, event: Event) -> dict[str, object]:
        """Return the event's group as shown: each field of `group_by` with its value."""
        return {field: group_value(field)(event) for field in self.playbook.group_by}

    def names(self, name: str) -> bool:
        """Say whether events of this name can count."""
        return any(names(selector, name) for selector in self.selectors)


def prepare(playbook: Playbook) -> Judge:
    """Return the judge of a playbook."""
    prepared = detectors.prepare(playbook)
    selectors = counted(playbook)
    wheres = [] if prepared.selectors else conditions(playbook.selector)
    return Judge(
        playbook=playbook,
        watch=Watch(playbook.id, prepared.window, playbook.cooldown, prepared.detector, playbook.detection),
        condition=next(iter(wheres), None),
        admits=_admits(playbook, wheres[1:]),
        key=group_key(playbook.group_by),
        values=prepared.values,
        prepared=prepared,
        selectors=(*selectors, *prepared.selectors),
        claimed=playbook.claimed or playbook.trust == "any" or any(map(may_be_claimed, selectors)),
    )


def _admits(playbook: Playbook, wheres: Sequence[Condition]) -> Condition | None:
    """Return the check of an event that met the first condition: all others, and no exception; None if there is none.

    Whether its sender is trusted is asked before, by the engine.
    """
    exemptions = [(one.where.matches, one.until) for one in playbook.exceptions]
    if not exemptions and len(wheres) <= 1:
        return next(iter(wheres), None)

    def admits(event: Event) -> bool:
        for where in wheres:
            if not where(event):
                return False
        return not any((until is None or event.at < until) and exempt(event) for exempt, until in exemptions)

    return admits
