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

        `severity` is the least severity. `since` is inclusive, `until` exclusive. With `counted` the page has a total.
        """

    def tally(self, app: str, since: int, until: int, status: Status | None = None) -> dict[str, int]:
        """Return the number of findings anchored in a period, by playbook; with `status` only those of that status."""

    def steps(self, app: str, playbook: str, since: int, until: int, step: int) -> dict[int, int]:
        """Return a playbook's number of findings in each step of a period, by the step's number, counted from 0.

        A step is `step` microseconds long and counts the findings anchored in it; steps without any are left out.
        """

    def mark(
        self, app: str, id: str, status: Status, by: str, now: int, note: str | None = None, lift: bool = False,
        allow: Sequence[Allowance] = (),
    ) -> int | None:  # fmt: skip
        """Set a finding's status and note, and return the revision of the decision list; None for an unknown id.

        In the same transaction `lift` ends the finding's decisions, and each of `allow` is added to the allowlist and
        ends what playbooks decided about it.
        """

    def since(self, app: str, since: int) -> Iterator[KeptFinding]:
        """Give the findings anchored since a time, oldest first; windows are rebuilt from them."""

    def expire(self, before: int) -> int:
        """Drop findings whose last event is older than a time and that no kept decision rests on; return how many."""

    def acted(self, app: str, since: int) -> Iterator[Acted]:
        """Give the actions carried out since a time, oldest first; ladders and guards are rebuilt from them."""


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

        `users` asks for those on any of these user keys, alone or with an address or a device. `maker` is the actor
        who decided by hand, BY_HAND for any.
        """

    def on(self, app: str, scopes: Collection[str], values: Collection[str], now: int) -> Sequence[KeptDecision]:
        """Return the decisions in force on any of these values in any of these scopes, in no order.

        A decision on a person is repeated for each of their keys.
        """

    def tally(self, app: str, since: int, until: int) -> dict[str, int]:
        """Return how many decisions were made in a period, by kind; one on a person counts once for all their keys."""

    def standing(self, app: str, now: int) -> dict[str, int]:
        """Return how many decisions are in force, by kind; one on a person counts once for all their keys."""

    def by_hand(self, app: str, now: int) -> Sequence[KeptDecision]:
        """Return the newest thousand decisions in force made by people; those on a person once for each key."""

    def makers(self, app: str, now: int) -> Sequence[str]:
        """Return the actors who made the decisions in force by hand, as the audit names them, in alphabetical order."""

    def add(self, app: str, decision: Decision, by: str, now: int) -> int:
        """Add a decision by hand and return the revision."""

    def lift(self, app: str, id: str, by: str, why: str, now: int) -> int | None:
        """End a decision for good: its finding never decides again. Return the revision, None for an unknown id."""

    def lift_these(self, app: str, ids: Sequence[str], by: str, why: str, now: int) -> int:
        """End the decisions of these ids for good, in one transaction; return the revision."""

    def lift_all(
        self, app: str, by: str, why: str, now: int, *, playbook: str | None = None, maker: str | None = None,
        kind: str | None = None,
    ) -> tuple[int, int]:  # fmt: skip
        """End for good all decisions in force of a playbook, a maker and a kind, each where given.

        Return the revision and how many there were.
        """

    def expire(self, now: int, keep: int) -> int:
        """Drop decisions that ended `keep` microseconds ago or earlier; return how many.

        Whoever asks for what changed since a revision before that gets the whole list.
        """


class Allow(Protocol):
    """The allowlist: users, addresses and networks that nobody acts on."""

    def list(self, app: str, now: int | None = None) -> list[Allowance]:
        """Return the allowances, oldest first; with `now` only those in force then."""

    def page(
        self, app: str, *, now: int | None = None, values: Collection[str] | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Allowance]:  # fmt: skip
        """Return allowances, newest first; with `now` those in force then, with `values` those for any of these."""

    def add(self, app: str, allowance: Allowance, by: str, now: int, *, lift: bool = False) -> bool:
        """Add an allowance, or replace the one of its id; with `lift` end what playbooks decided about its target.

        Say whether any decision was ended.
        """

    def remove(self, app: str, id: str, by: str, why: str, now: int) -> bool:
        """Remove an allowance; say whether it was there."""


class Outbox(Protocol):
    """Notifications and webhooks to be delivered after the commit that made them."""

    def due(self, now: int, limit: int = 100, but: Collection[str | None] = ()) -> list[Delivery]:
        """Return the deliveries due by now, longest due first, without those to the channels named in `but`."""

    def lanes(self, now: int) -> Sequence[Lane]:
        """Return the lanes that `settle` has work in: undecided deliveries, or a bundle whose period is over."""

    def settle(self, lane: Lane, bound: Bound | None, now: int) -> Settled:
        """Decide which of a lane's next deliveries go out alone and which are folded into a bundle.

        Without a bound all go out alone. A bundle whose period is over becomes due.
        """

    def growing(self, app: str) -> Sequence[Delivery]:
        """Return the bundles whose periods are not over yet."""

    def done(self, id: int, now: int) -> None:
        """Note that a delivery succeeded."""

    def failed(self, id: int, error: str, next_at: int | None) -> None:
        """Note a failed attempt, and when to try again; with None the delivery is dead: it is not tried again."""

    def list(
        self, app: str, dead: bool | None = None, limit: int = 50, cursor: str | None = None,
        bundle: int | None = None, counted: bool = False,
    ) -> Page[Delivery]:  # fmt: skip
        """Return deliveries, newest first; with `bundle` those that were folded into this one."""

    def revive(self, app: str, id: int, by: str, now: int) -> bool:
        """Make a dead delivery due again; say whether it was dead."""

    def revive_all(self, app: str, by: str, now: int) -> int:
        """Make all dead deliveries of an app due again; return how many there were."""

    def expire(self, before: int) -> int:
        """Drop what was delivered before a time, and what was made before it and is dead; return how many."""
