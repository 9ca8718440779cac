"""Why events of a test did not count, in a line or two. Whether the test found too little is not decided here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from sentinel.core import identity
from sentinel.core.duration import format_duration
from sentinel.core.event import Event
from sentinel.engine.playbook import Playbook
from sentinel.engine.problems import quote
from sentinel.service.why import Judged, judged

ASKED = 1000  # events
TOLD = 3  # reasons


def uncounted(playbook: Playbook, events: Sequence[Event], start: int, *, alone: bool = True) -> Iterator[str]:
    """Give each reason for which events did not count, with the first that it kept out; times from `start` on.

    Events whose names the playbook does not look at are passed over, unless there are no others and it is `alone`: else
    it may wait for what others make.
    """
    asked = [(event, judged(playbook, event)) for event in events[:ASKED]]
    looked_at = [one for one in asked if any(part.named for part in one[1].parts)]
    looked_at = looked_at or (asked if alone else [])
    first: dict[str, Event] = {}
    for event, found in looked_at:
        if found.why is not None:
            first.setdefault(_reason(found), event)
    for reason, event in list(first.items())[:TOLD]:
        yield f"`{event.name}` at {format_duration(event.at - start)} does not count: {reason}"
    yield from _nobody((event for event, _ in looked_at), start)


def _nobody(events: Iterable[Event], start: int) -> Iterator[str]:
    """Tell the first event whose user is nobody for what the identifier says: it may count, and its user does not."""
    for event in events:
        names = identity.placeholders(event.identifiers)
        if names and event.user is None:
            value = event.identifiers[names[0]]
            at = format_duration(event.at - start)
            yield f"`{event.name}` at {at} is about nobody: {quote(value)} as `{names[0]}` stands for no user"
            return


def _reason(found: Judged) -> str:
    """Return why an event does not count, with the values that clauses which do not hold were made from."""
    clauses = [clause for part in found.parts if part.named for clause in part.clauses if clause.truth is not True]
    values = {name: value for clause in clauses for name, value in (*clause.fields.items(), *clause.operands.items())}
    told = ", ".join(f"{name} is {_value(value)}" for name, value in values.items())
    return f"{found.why} ({told})" if told else str(found.why)


def _value(value: object) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)
