"""What goes into one commit and what comes back: the events of a batch and everything they led to.

Values only. Who makes a batch and where it is written is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sentinel.core.decision import Decision
from sentinel.core.event import Event
from sentinel.core.finding import Finding

LabelKind = Literal["user", "ip"]
LINKING = ("signup", "identify", "sentinel.identify")


class Sighting(NamedTuple):
    """The user keys one event carried, in the app's order (see `identity.naming_keys`).

    `proven` says that they belong together: see `proves`, and the sender's key must be of scope sdk or admin.
    `stitches` says only that an anonymous one among them is of the same browser as the first.
    """

    keys: tuple[str, ...]
    proven: bool
    at: int
    stitches: bool = False


def proves(event: Event) -> bool:
    """Say whether an event by its kind proves that its identifiers belong to one person."""
    return event.proven or (event.name in LINKING and event.trust != "browser" and not event.blocked)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How many more matching events a finding has, and the newest one's time."""

    finding: str
    count: int
    last: int


@dataclass(frozen=True, slots=True)
class Label:
    """A name put on a user key (`kind` user) or on an address or network (ip) until a time, None for ever."""

    kind: LabelKind
    target: str
    name: str
    until: int | None = None
    finding: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notification or webhook to deliver after the commit. The same `key` is never delivered as two.

    `lane` is what it is counted with where its channel has a bound (see `bundle`); with None it is told by itself.
    """

    key: str
    kind: str
    channel: str | None
    body: Mapping[str, Any]
    finding: str | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the audit: who did what to what, and why. `actor` is a person, a key or a playbook."""

    actor: str
    action: str
    target: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything of one app that must be kept together or not at all; `now` is the moment of the commit.

    `events` are enriched and fresh: repeats were taken out by `claim`. `decisions` are those that act.
    `retracted` are ids of findings that a late event took back: their decisions are lifted.
    """

    app: str
    now: int
    events: tuple[Event, ...] = ()
    findings: tuple[Finding, ...] = ()
    decisions: tuple[Decision, ...] = ()
    labels: tuple[Label, ...] = ()
    outbox: tuple[Outgoing, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    retracted: tuple[str, ...] = ()
    audit: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit came to for one batch.

    `revision` is the app's decision list's afterwards, `changed` says whether this commit moved it.
    `opened` are the ids of findings that were new; the others were known and are as they were.
    """

    revision: int
    changed: bool
    opened: tuple[str, ...] = ()
