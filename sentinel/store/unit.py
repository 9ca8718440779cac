"""What a transaction writes of a batch beside its events, in either store."""

from __future__ import annotations

from sqlalchemy import Connection

from sentinel.core.batch import Batch
from sentinel.store import changes, findings, outbox
from sentinel.store.audit import note
from sentinel.store.standing import write_labels


def write(connection: Connection, change: changes.Change, batch: Batch) -> tuple[str, ...]:
    """Write everything of a batch but its events, and return the findings that were new."""
    opened = findings.open_new(change, batch.findings) if batch.findings else ()
    if batch.decisions:
        changes.add(change, batch.decisions)
    write_labels(change, batch.labels)
    outbox.send(change, batch.outbox)
    findings.add_evidence(change, batch.evidence)
    findings.retract(change, batch.retracted)
    for line in batch.audit:
        note(connection, batch.app, batch.now, line.actor, line.action, line.target, line.reason, line.detail)
    return opened
