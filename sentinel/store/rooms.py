"""The rooms that need only the control tables, and are the same in both stores."""

from __future__ import annotations

from sentinel.store.access import Access
from sentinel.store.accounts import Accounts
from sentinel.store.audit import Audit
from sentinel.store.database import Database
from sentinel.store.decisions import Decisions, Revisions
from sentinel.store.drafts import Drafts
from sentinel.store.findings import Findings
from sentinel.store.keeping import Leases, Playbooks, Settings, Snapshots
from sentinel.store.linking import Known
from sentinel.store.outbox import Outbox
from sentinel.store.people import People
from sentinel.store.searches import Searches
from sentinel.store.standing import Allow, Labels

ROOM = 1 << 20  # bytes that are tried where events could not be written: as much as an SDK sends at once


class Rooms:
    """The rooms over one database; `revisions` and `known` are what they remember in common.

    `snapshots` is their room of that name, where it is of a kind of its own.
    """

    def __init__(self, control: Database, snapshots: Snapshots | None = None) -> None:
        self.revisions, self.known = Revisions(control), Known()
        self.access, self.accounts = Access(control), Accounts(control)
        self.labels, self.allow = Labels(control), Allow(control, self.revisions)
        self.decisions = Decisions(control, self.revisions)
        self.findings = Findings(control, self.revisions, self.allow)
        self.people = People(control, self.revisions, self.known)
        self.outbox, self.audit = Outbox(control), Audit(control)
        self.snapshots, self.leases = snapshots or Snapshots(control), Leases(control)
        self.settings, self.playbooks = Settings(control), Playbooks(control)
        self.searches, self.drafts = Searches(control), Drafts(control)
