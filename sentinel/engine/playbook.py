"""A rule and a playbook, read and checked. How a file becomes one is in the loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sentinel.core.finding import Severity

if TYPE_CHECKING:
    from sentinel.engine.expression import Expression

Mode = Literal["off", "monitor", "enforce"]
MetricKind = Literal["count", "distinct", "max", "sum", "avg", "ratio"]
ActionKind = Literal[
    "block_user", "block_ip", "redirect_user", "redirect_ip", "challenge_user",
    "label_user", "label_ip", "notify", "webhook", "block_users", "emit",
]  # fmt: skip

USER_ACTIONS: tuple[ActionKind, ...] = ("block_user", "redirect_user", "challenge_user", "label_user")
IP_ACTIONS: tuple[ActionKind, ...] = ("block_ip", "redirect_ip", "label_ip")
MODES: tuple[Mode, ...] = ("off", "monitor", "enforce")
JUDGED_ON_ARRIVAL: frozenset[MetricKind] = frozenset({"avg", "ratio"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file something is written; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A named condition on one event. No `events` means any; names may be globs such as `payment.*`."""

    id: str
    title: str
    events: tuple[str, ...]
    where: Expression | None
    place: Place
    description: str = ""
    tests: tuple[RuleTest, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One event of a rule's file, as plain JSON, and whether the rule matches it."""

    event: Mapping[str, Any]
    matches: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing `when` asks of a window: it reaches `threshold`, or with `strict` exceeds it."""

    kind: MetricKind
    threshold: int | float
    field: str | None = None
    where: Expression | None = None
    strict: bool = False

    @property
    def name(self) -> str:
        """The key under which a tally shows it: `count`, `distinct.user`, `ratio`."""
        return f"{self.kind}.{self.field}" if self.field else self.kind


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events: a rule's, or those of some names, or those that meet a condition; all that is given must hold."""

    rule: Rule | None = None
    events: tuple[str, ...] = ()
    where: Expression | None = None

    @property
    def patterns(self) -> tuple[tuple[str, ...], ...]:
        """The lists of names that there are, its own first: of each one must fit."""
        return tuple(some for some in (self.events, self.rule.events if self.rule else ()) if some)

    @property
    def wheres(self) -> tuple[Expression, ...]:
        """The conditions that there are, the rule's first: all must hold."""
        both = (self.rule.where if self.rule else None, self.where)
        return tuple(where for where in both if where is not None)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence: filled by `count` events, and where `field` is given by `distinct` values of it."""

    selector: Selector
    count: int = 1
    field: str | None = None
    distinct: int = 0


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps one after the other within the window; an `until` strictly between first and last prevents it."""

    steps: tuple[Step, ...]
    until: Selector | None = None


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """A value of `field` new to the group within `history` (microseconds), once it has had `after` events."""

    field: str
    history: int
    after: int


@dataclass(frozen=True, slots=True)
class Travel:
    """Two places further apart than `faster_than` km/h allows; from anonymising networks only with `anonymous`."""

    faster_than: float
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """A matching event that no event of `selector` follows `within` so many microseconds."""

    selector: Selector
    within: int


@dataclass(frozen=True, slots=True)
class Spike:
    """A window's count of at least `min` that is `factor` times the mean of the windows of the `baseline` before."""

    factor: float
    baseline: int
    min: int


Detector = Sequence | FirstSeen | Travel | Absent | Spike


@dataclass(frozen=True, slots=True)
class Action:
    """What to do about a finding; which attributes count depends on `kind`.

    `durations` is the escalation ladder in microseconds, None meaning for ever.
    `target` names the field that holds whom to act on, where it is not the group's own user or ip. `event` and
    `properties` are what emit makes; block_users without `durations` lasts for one cooldown.
    """

    kind: ActionKind
    durations: tuple[int | None, ...] = ()
    target: str | None = None
    to: str | None = None
    label: str | None = None
    channel: str | None = None
    unless_shared_by: int | None = None
    event: str | None = None
    properties: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """At most `max` targets acted on in any `per` microseconds; past it the playbook only monitors."""

    max: int
    per: int


@dataclass(frozen=True, slots=True)
class Exemption:
    """Events taken out before anything is counted; `until` (exclusive, microseconds) is against event time."""

    where: Expression
    reason: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event of an in-file test: `event` without id and timestamp, at microseconds from the test's start."""

    event: Mapping[str, Any]
    at: int
    received: int | None = None
    repeat: int = 1
    every: int = 0
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """One finding a test expects; `actions` maps an action's name to the targets it must act on.

    `playbook` is whose it is, None for that of the test.
    """

    at: int
    group: Mapping[str, str]
    actions: Mapping[str, tuple[str, ...]]
    place: Place
    playbook: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request the app gets during a test, and the verdict the SDK must give."""

    at: int
    user: str | None
    ip: str | None
    device: str | None
    login: bool
    verdict: str
    place: Place


@dataclass(frozen=True, slots=True)
class PlaybookTest:
    """One in-file test: events delivered, all findings expected in order, requests judged.

    `beside` names the other playbooks that run in it.
    """

    name: str
    events: tuple[Delivery, ...]
    expect: tuple[Expectation, ...]
    requests: tuple[Request, ...]
    place: Place
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Playbook:
    """Which events, grouped by what, over which window, reaching which threshold, lead to which actions.

    What opens a finding is either `when`, metrics over a window, or the `detector`. `window` and `cooldown` are
    microseconds; a detector without a window of its own has one of 0. `version` is a hash of all that the file says,
    `detection` one of what decides findings alone: state kept under another `detection` has to be rebuilt.
    `claimed` says that its events may name users whom their senders only claim to be.
    `rollout` is the share of groups, in percent, on which `mode: enforce` acts; None for all of them.
    """

    id: str
    title: str
    mode: Mode
    severity: Severity
    rule: Rule | None
    events: tuple[str, ...]
    where: Expression | None
    group_by: tuple[str, ...]
    window: int
    when: tuple[Metric, ...]
    cooldown: int
    place: Place
    version: str
    detector: Detector | None = None
    detection: str = ""
    description: str = ""
    actions: tuple[Action, ...] = ()
    guard: Guard | None = None
    exceptions: tuple[Exemption, ...] = ()
    trust: Literal["server", "any"] = "server"
    accept_lockout: bool = False
    claimed: bool = False
    rollout: int | float | None = None
    tests: tuple[PlaybookTest, ...] = field(default=(), repr=False)

    @property
    def selector(self) -> Selector:
        """Which events it means by itself, whatever its detector looks at besides."""
        return Selector(self.rule, self.events, self.where)
