"""The shapes of requests and answers, as OpenAPI shows them. Times are RFC 3339 in UTC.

How a record of the store becomes one of these is in `views`.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from sentinel.core.batch import LabelKind
from sentinel.core.decision import Kind, Scope, Single
from sentinel.core.finding import Severity
from sentinel.core.number import whole
from sentinel.core.record import KeyScope, Role, Status
from sentinel.engine.playbook import Mode
from sentinel.service.overview import State

M = TypeVar("M")
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-20T21:30:00Z"])]


_BESIDE = "\n\t\u200c\u200d"  # joiners and their opposite are part of words in Persian and Hindi, and of emoji


def _clean(text: str) -> str:
    if not all(char.isprintable() or char in _BESIDE for char in text):
        raise ValueError("not a text of printable characters")
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_clean)]
Reason = Annotated[Text, Field(description="Why: it is shown wherever this is shown, and audited.")]
Number = Annotated[int | float, AfterValidator(whole), WithJsonSchema({"type": "number"})]
Length = Annotated[str, StringConstraints(max_length=40), Field(examples=["15m", "forever"])]


class Model(BaseModel):
    """The base of all shapes: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Of what is only answered: fields that may be left out of its making are in every answer, and are described as such.
ANSWERED = ConfigDict(json_schema_serialization_defaults_required=True)


class ProblemView(Model):
    """One mistake in a condition: its place in the text, line and column from 1, and the line with carets below it."""

    offset: int
    length: int
    line: int
    column: int
    message: str
    hint: str | None
    shown: str


class FlawView(Model):
    """One mistake in a draft of a file; `shown` is its line with a caret below the place."""

    file: str
    line: int
    column: int
    width: int
    message: str
    hint: str | None
    shown: str


class ErrorBody(Model):
    """What went wrong: a code for programs, which stays the same, a message for people, and a hint.

    `problems` lists every mistake in a condition, or in a draft of a file.
    """

    code: str
    message: str
    hint: str | None = None
    problems: list[ProblemView] | list[FlawView] | None = None


class ErrorAnswer(Model):
    """Every refusal has this form."""

    error: ErrorBody


CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "What is there already stands against it"}
}


class AccountView(Model):
    """Somebody who may sign in to the console. `apps` holds `*` for every app; `ready`: a password was chosen."""

    id: str
    name: str
    role: Role
    apps: list[str]
    made: Moment
    by: str | None
    seen: Moment | None
    ready: bool


class NewAccountView(AccountView):
    """An account with the code of its one-time link: the console's `/welcome#` and the code. Shown once."""

    code: str


class Listing(Model, Generic[M]):
    """One page of a list, newest first. `cursor` asks for the next page; `behind` counts events not searchable yet.

    `total` is the number on all pages, null where that is over 1,000 or was not counted.
    """

    model_config = ANSWERED

    items: list[M]
    cursor: str | None = None
    behind: int = 0
    total: int | None = None


class Revision(Model):
    """The decision list's revision after a change."""

    revision: int


class Lifted(Revision):
    """The decision list's revision after decisions were lifted, and how many these were."""

    lifted: int


class DecisionView(Model):
    """A decision with its reasons and what became of it. `until` is null for ever.

    `in_force` says that it has neither ended nor been lifted; `overruled` is the id of the decision by hand that holds
    in its place.
    """

    id: str
    kind: Kind
    scope: Scope
    value: str
    to: str | None
    made: Moment
    until: Moment | None
    reason: str
    playbook: str | None
    version: str | None
    finding: str | None
    by: str | None
    logins_only: bool
    in_force: bool
    overruled: str | None
    added: int
    removed: int | None
    lifted: Moment | None
    lifted_by: str | None
    lifted_why: str


class EffectView(Model):
    """One thing that a finding led to; `held` says what held it back, `event` is the name of an event that it made.

    `for_s` is how long it lasts in seconds, null where it has no end or no length. `decisions` are the ids of those it
    made: none where it was held back.
    """

    kind: str
    target: str | None
    for_s: Number | None
    label: str | None
    channel: str | None
    event: str | None
    held: str | None
    decisions: list[str]


class FindingView(Model):
    """A finding with its reasons, its effects and what people made of it."""

    id: str
    playbook: str
    version: str
    title: str
    severity: Severity
    mode: Mode
    group: dict[str, Any]
    at: Moment
    event_id: str
    events: list[str]
    tally: dict[str, Number]
    threshold: dict[str, str]
    user: str | None
    ip: str | None
    approximate: bool
    historical: bool
    acted: bool
    effects: list[EffectView]
    opened: Moment
    status: Status
    note: str
    evidence: int
    last: Moment
    closed: Moment | None
    undone: bool
    by: str | None


class EventView(Model):
    """A stored event. What it lacks is null or empty; `position` is its place in the order of arrival."""

    id: str
    event: str
    timestamp: Moment
    received: Moment | None
    success: bool | None
    user: str | None
    identifiers: dict[str, str]
    ip: str | None
    device: str | None
    request: dict[str, Any]
    properties: dict[str, Any]
    geo: dict[str, Any]
    network: dict[str, Any]
    agent: dict[str, Any]
    user_labels: list[str]
    ip_labels: list[str]
    trust: str
    clamped: bool
    historical: bool
    position: int


class OneDecision(DecisionView):
    """One decision. `warnings` say what its maker should know about the target."""

    warnings: list[str]


class LabelView(Model):
    """A label on a user or an address. `until` is null for ever; `finding` is the one that put it on, if one did."""

    kind: LabelKind
    target: str
    name: str
    made: Moment
    until: Moment | None
    finding: str | None
    by: str | None


class AllowanceView(Model):
    """A user, address or network that nobody acts on. `until` is null for ever."""

    id: str
    scope: Single
    value: str
    reason: str
    made: Moment
    until: Moment | None
    by: str | None


class PersonView(Model):
    """A person: the key that never changes, all keys linked to it, and the keys of persons merged into this one."""

    key: str
    identifiers: list[str]
    aliases: list[str]
    made: Moment | None
    labels: list[str]
    decisions: list[DecisionView]


class AppView(Model):
    """An app. `retention` is null where its events are kept as long as the server's setting says."""

    id: str
    name: str
    made: Moment
    identifiers: list[str]
    ipv6: int
    retention: str | None


class KeyView(Model):
    """A key without its secret. `origins` are those of a browser key, `settings` those of a foreign protocol's.

    `used` is when it was last used, to a minute; null where no use is known.
    """

    id: str
    app: str
    scope: KeyScope
    name: str
    made: Moment
    by: str | None
    revoked: Moment | None
    used: Moment | None
    protocol: str | None
    origins: list[str]
    settings: dict[str, Any]


class NewKeyView(KeyView):
    """A new key with its secret, which is shown only here."""

    secret: str


class Revived(Model):
    """How many deliveries that were given up are tried again."""

    revived: int


class DeliveryView(Model):
    """A delivery to a channel, and what became of it so far.

    `bundle` is the id of the delivery that it was folded into with others; then `done` is when that was.
    """

    id: int
    app: str
    key: str
    kind: str
    channel: str | None
    body: dict[str, Any]
    finding: str | None
    made: Moment
    attempts: int
    next_at: Moment
    error: str
    dead: bool
    done: Moment | None
    lane: str | None
    bundle: int | None


class AuditView(Model):
    """Who did what to what, and why. `app` null: it concerns the whole server."""

    id: int
    at: Moment
    app: str | None
    actor: str
    action: str
    target: str
    reason: str
    detail: dict[str, Any]


class PlaybookView(Model):
    """A playbook as the engine has it now; while it is `rebuilding`, its windows are being made from stored events.

    `guard_until` is when it may act again, null while its guard does not hold it back.
    """

    id: str
    title: str
    mode: Mode
    severity: Severity
    version: str
    state: State
    rollout: float | None
    file: str
    groups: int
    skipped: dict[str, int]
    errors: dict[str, int]
    guard_until: Moment | None


class MistakeView(Model):
    """What is wrong with a file of rules or playbooks; what it said before is still in use."""

    file: str
    line: int
    column: int
    message: str
    hint: str | None


class PlaybooksView(Listing[PlaybookView]):
    """The playbooks in use, and what is wrong with files as they are now."""

    mistakes: list[MistakeView]


class VersionView(Model):
    """A playbook's text as it was from a time on; `version` is its content's hash, `by` the owner of the file."""

    playbook: str
    version: str
    source: str
    made: Moment
    by: str | None
