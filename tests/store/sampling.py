"""Data folders as each released schema made them, kept as text: how such a text is made, and a folder made of it.

    python -m tests.store.sampling        # write the sample of today's schema, once a schema is released

A sample is the dump of the control file of a small store with something of everything, its events in the journal: the
searchable copy is made from that. It is made again for as long as its schema was never released.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sentinel.core.batch import Label, Note, Outgoing, Sighting
from sentinel.core.record import Account, Allowance, App, PlaybookVersion, SavedSearch, Snapshot
from sentinel.store.embedded.backup import CONTROL
from sentinel.store.embedded.store import open_store
from sentinel.store.migrate import HEAD
from tests.contract.values import NOW, batch, decision, event, finding

FOLDER = Path(__file__).parent / "samples"
EVENTS = 30


def make(folder: Path) -> None:
    """Make a small store with something of everything, and leave its events in the journal."""
    store = open_store(folder)
    try:
        _fill(store)
    finally:
        store._control.close()  # as a crash would: nothing is projected, the journal stays
        store._duck.close()
        store._folder.close()


def _fill(store) -> None:
    store.access.add_app(App("shop", "Shop", NOW), "test", NOW)
    store.access.make_key("shop", "sdk", "test", NOW, name="a key")
    store.accounts.invite(Account("a1", "ana", "admin"), NOW + 10**12, "test", NOW)
    store.accounts.begin("a1", None, NOW + 10**12, NOW)
    store.searches.put("shop", SavedSearch("s1", "a search", "not success"), "test", NOW)
    store.playbooks.keep("shop", [PlaybookVersion("p", "1", "playbook: p\n", NOW)])
    store.snapshots.save("shop", Snapshot("w", 1, "shape", b"state", NOW))
    store.settings.put("a.setting", {"on": True}, "test", NOW)
    store.leases.take("jobs", "holder", NOW + 10**12, NOW)
    events = tuple(
        event(f"e{n}", NOW + n, user={"id": str(n % 3)}, ip="203.0.113.9", properties={"n": n, "text": "é\u2028\0"})
        for n in range(EVENTS)
    )
    with store.unit() as unit:
        unit.claim("shop", events)
        unit.resolve("shop", [Sighting(("id:1", "email:u1@x.example"), True, NOW)])
        decided = (decision("d", "id:1", finding="f"), decision("e", "id:2"))
        told = {"outbox": (Outgoing("k", "webhook", "c", {"a": 1}),), "audit": (Note("ana", "tested", "x"),)}
        labels = (Label("user", "id:1", "vip"),)
        unit.commit([batch(events=events, findings=(finding("f"),), decisions=decided, labels=labels, **told)])
    store.allow.add("shop", Allowance("a", "ip", "198.51.100.1", "office", NOW), "test", NOW)
    store.decisions.lift("shop", "e", "ana", "mistake", NOW + 1)
    store.people.cut("shop", "email:u1@x.example", "ana", NOW + 2)


def dump(folder: Path) -> str:
    """Return the control file of a folder as SQL."""
    with closing(sqlite3.connect(folder / CONTROL)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def restored(text: str, folder: Path) -> None:
    """Make the control file of a folder from SQL."""
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / CONTROL)) as connection:
        connection.executescript(text)
        connection.execute("PRAGMA journal_mode=WAL")


def statements(text: str) -> set[str]:
    """Return what a sample's tables and indexes were made with, their layout aside."""
    found = re.findall(r"^CREATE .*?;$", text, re.MULTILINE | re.DOTALL)
    return {"".join(one.replace('"', "").split()) for one in found}


def main() -> None:
    """Write the sample of today's schema."""
    with tempfile.TemporaryDirectory() as home:
        make(Path(home) / "data")
        (FOLDER / f"{HEAD}.sql").write_text(dump(Path(home) / "data"))


if __name__ == "__main__":
    main()
