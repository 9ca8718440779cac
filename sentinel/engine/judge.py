"""One playbook made ready: does it look at this event, for which group, and what does the event count for.

Everything that can be prepared is prepared here once, so that judging an event is a few calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sentinel.core.event import Event
from sentinel.engine import detectors
from sentinel.engine import playbook as written
from sentinel.engine.detectors import Prepared
from sentinel.engine.keys import group_key, group_value
from sentinel.engine.metrics import Skipped
from sentinel.engine.playbook import Playbook, Selector
from sentinel.engine.select import conditions, may_be_claimed, names
from sentinel.engine.windows import Watch


@dataclass(frozen=True, slots=True)
class Judge:
    """A playbook with the functions that read events for it.

    `admits` says whether an event counts at all; `key` names its group, None where a group field is missing;
    `values` is what it counts for, None for nothing. What is passed over is counted by (playbook, reason).
    `claimed` says that the users its events name may be only claimed: by a failed login, or by a browser.
    """

    playbook: Playbook
    watch: Watch
    admits: Callable[[Event], bool]
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
    own = Selector(playbook.rule, playbook.events, playbook.where)
    alone = isinstance(playbook.detector, written.Sequence)  # its steps say which events count, nothing else does
    return Judge(
        playbook=playbook,
        watch=Watch(playbook.id, prepared.window, playbook.cooldown, prepared.detector, playbook.detection),
        admits=_admits(playbook, () if prepared.selectors else conditions(own)),
        key=group_key(playbook.group_by),
        values=prepared.values,
        prepared=prepared,
        selectors=prepared.selectors if alone else (own, *prepared.selectors),
        claimed=playbook.trust == "any" or any(map(may_be_claimed, prepared.selectors if alone else (own,))),
    )


def _admits(playbook: Playbook, wheres: Sequence[Callable[[Event], bool]]) -> Callable[[Event], bool]:
    """Return whether an event counts: of a trusted sender, meeting the conditions, and not excepted."""
    exemptions = [(one.where.matches, one.until) for one in playbook.exceptions]
    any_trust = playbook.trust == "any"

    def admits(event: Event) -> bool:
        if event.trust == "browser" and not any_trust:
            return False
        for where in wheres:
            if not where(event):
                return False
        return not any((until is None or event.at < until) and exempt(event) for exempt, until in exemptions)

    return admits
