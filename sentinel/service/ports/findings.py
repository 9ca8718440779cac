"""What the service asks of the store about findings, decisions, the allowlist, and the outbox."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from sentinel.core.bundle import Bound, Lane, Settled
from sentinel.core.decision import Decision, Delta
from sentinel.core.finding import Severity
from sentinel.core.record import (
    Acted,
    Allowance,
    Delivery,
    KeptDecision,
    KeptFinding,
    Page,
    Status,
)


class Findings(Protocol):
    """Findings and what people made of them."""

    def get(self, app: str, id: str) -> KeptFinding | None:
        """Return one finding."""

    def list(
        self, app: str, *, playbook: str | None = None, status: Status | None = None, user: str | None = None,
        ip: str | None = None, since: int | None = None, until: int | None = None, bundle: int | None = None,
        severity: Severity | None = None, limit: int = 50, cursor: str | None = None, counted: bool = False,
    ) -> Page[KeptFinding]:  # fmt: skip
        """Return findings by their anchor's time, newest first; with `bundle` those that this delivery tells of.

        `severity` is the least that is meant, `until` the first moment that is not meant. Where `counted` is asked
        for, the page has its total.
        """

    def tally(self, app: str, since: int, until: int, status: Status | None = None) -> dict[str, int]:
        """Return how many findings of each playbook are anchored in a period; with `status` those of that status."""

    def steps(self, app: str, playbook: str, since: int, until: int, step: int) -> dict[int, int]:
        """Return how many findings of a playbook are anchored in each `step` microseconds of a period, by its number.

        Steps without any are left out.
        """

    def mark(
        self, app: str, id: str, status: Status, by: str, now: int, note: str | None = None, lift: bool = False,
        allow: Sequence[Allowance] = (),
    ) -> int | None:  # fmt: skip
        """Set a finding's status and note; with `lift` end its decisions too. Return the revision, None if unknown.

        With it come allowances, which end what playbooks decided about these: all of it or nothing.
        """

    def since(self, app: str, since: int) -> Iterator[KeptFinding]:
        """Give the findings anchored since a time, oldest first: what rebuilding windows begins with."""

    def expire(self, before: int) -> int:
        """Drop findings whose last event lies before a time and that no kept decision rests on; return how many."""

    def acted(self, app: str, since: int) -> Iterator[Acted]:
        """Give each action that was carried out since a time, oldest first: what ladders and guards begin with."""


class Decisions(Protocol):
    """The decision list of each app and its revisions."""

    def revision(self, app: str) -> int:
        """Return the revision of the list; from memory."""

    def delta(self, app: str, since: int, now: int) -> Delta:
        """Return what changed since a revision; everything in force, with `reset`, where that is not known.

        A decision on a person comes once for each linked key, the further ones under ids of their own.
        """

    def get(self, app: str, id: str) -> KeptDecision | None:
        """Return one decision with what became of it."""

    def list(
        self, app: str, *, now: int | None = None, kind: str | None = None, scope: str | None = None,
        value: str | None = None, values: Collection[str] | None = None, playbook: str | None = None,
        maker: str | None = None, finding: str | None = None, users: Collection[str] | None = None, limit: int = 50,
        cursor: str | None = None, counted: bool = False,
    ) -> Page[KeptDecision]:  # fmt: skip
        """Return decisions, newest first; with `now` only those in force then, with `values` those on any of these.

        With `users` those on any of these user keys, alone or with an address or a device. `maker` is who made them by
        hand, BY_HAND whoever did.
        """

    def on(self, app: str, scopes: Collection[str], values: Collection[str], now: int) -> Sequence[KeptDecision]:
        """Return the decisions in force on these users, addresses or networks, in no order.

        A person's decision is on each of their keys.
        """

    def tally(self, app: str, since: int, until: int) -> dict[str, int]:
        """Return how many decisions of each kind were made in a period, each once for all of a person's keys."""

    def standing(self, app: str, now: int) -> dict[str, int]:
        """Return how many decisions of each kind are in force, each once for all of a person's keys."""

    def by_hand(self, app: str, now: int) -> Sequence[KeptDecision]:
        """Return what people decided and is in force, the newest thousand, for each key of a person by itself."""

    def makers(self, app: str, now: int) -> Sequence[str]:
        """Return who made by hand what is in force, in alphabetical order, each as the audit calls them."""

    def add(self, app: str, decision: Decision, by: str, now: int) -> int:
        """Add a decision by hand and return the revision."""

    def lift(self, app: str, id: str, by: str, why: str, now: int) -> int | None:
        """End a decision by hand, for good: its finding never decides again. Return the revision, None if unknown."""

    def lift_these(self, app: str, ids: Sequence[str], by: str, why: str, now: int) -> int:
        """End decisions of these ids in one transaction, for good; return the revision."""

    def lift_all(
        self, app: str, by: str, why: str, now: int, *, playbook: str | None = None, maker: str | None = None,
        kind: str | None = None,
    ) -> tuple[int, int]:  # fmt: skip
        """End all in force that are of a playbook, a maker and a kind, for good; return the revision and how many."""

    def expire(self, now: int, keep: int) -> int:
        """Drop the rows of decisions over for `keep` microseconds; return how many. Older revisions get a reset."""


class Allow(Protocol):
    """Whom nobody acts on."""

    def list(self, app: str, now: int | None = None) -> list[Allowance]:
        """Return the allowances, oldest first; with `now` only those in force then."""

    def page(
        self, app: str, *, now: int | None = None, values: Collection[str] | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Allowance]:  # fmt: skip
        """Return allowances, newest first; with `now` only those in force then, with `values` those of any of these."""

    def add(self, app: str, allowance: Allowance, by: str, now: int, *, lift: bool = False) -> bool:
        """Add one, or replace the one of the same id; with `lift` end, at once, what playbooks decided about them.

        Say whether there was anything to end.
        """

    def remove(self, app: str, id: str, by: str, why: str, now: int) -> bool:
        """Remove one; say whether it was there."""


class Outbox(Protocol):
    """What is to be delivered after commits."""

    def due(self, now: int, limit: int = 100, but: Collection[str | None] = ()) -> list[Delivery]:
        """Return what is to be delivered now, longest due first, and nothing to channels of these names."""

    def lanes(self, now: int) -> Sequence[Lane]:
        """Return the lanes in which something waits to be decided, or a bundle's period is over."""

    def settle(self, lane: Lane, bound: Bound | None, now: int) -> Settled:
        """Decide of the next lot of a lane which are told by themselves and which in a bundle; without a bound all are.

        A bundle whose period is over is let go.
        """

    def growing(self, app: str) -> Sequence[Delivery]:
        """Return the bundles that are told when their periods end."""

    def done(self, id: int, now: int) -> None:
        """Note a delivery."""

    def failed(self, id: int, error: str, next_at: int | None) -> None:
        """Note a failed attempt and when to try again; None gives it up as dead."""

    def list(
        self, app: str, dead: bool | None = None, limit: int = 50, cursor: str | None = None,
        bundle: int | None = None, counted: bool = False,
    ) -> Page[Delivery]:  # fmt: skip
        """Return deliveries, newest first; with `bundle` those that are told in this one."""

    def revive(self, app: str, id: int, by: str, now: int) -> bool:
        """Try a dead one again; say whether it was dead."""

    def revive_all(self, app: str, by: str, now: int) -> int:
        """Try all dead ones of an app again; return how many there were."""

    def expire(self, before: int) -> int:
        """Drop what was delivered before a time, or given up and made before it; return how many."""
