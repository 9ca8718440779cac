"""A process that commits for ever and says what was acknowledged; `test_recovery` kills it.

    python -m tests.store.embedded.committer FOLDER FIRST

Lot n has the events n.0 … n.9, a finding, a decision and a notification, and repeats an event of the lot before.
"""

from __future__ import annotations

import sys
import threading
from itertools import count
from pathlib import Path

from sentinel.core.batch import Batch, Outgoing, Sighting
from sentinel.core.record import App
from sentinel.store.embedded.store import Embedded, open_store
from tests.contract.values import NOW, decision, event, finding

EACH = 10


def lot(number: int) -> list:
    """Return the events of a lot; half of them are older than all before."""
    return [
        event(f"{number}.{n}", NOW + (number if n % 2 else -number) * 1_000_000, properties={"lot": number})
        for n in range(EACH)
    ]


def commit(store: Embedded, number: int) -> None:
    """Commit one lot as the pipeline does."""
    events = lot(number) + lot(max(number - 1, 0))[:1]
    with store.unit() as unit:
        fresh = unit.claim("shop", events)
        unit.resolve("shop", [Sighting((f"id:{number}", f"email:{number}"), proven=True, at=NOW)])
        kept = tuple(one for one, new in zip(events, fresh, strict=True) if new)
        unit.commit(
            [
                Batch(
                    "shop", NOW, kept, (finding(f"f{number}"),), (decision(f"d{number}", f"id:{number}"),),
                    outbox=(Outgoing(f"o{number}", "notify", None, {}),),
                )
            ]
        )  # fmt: skip


def project(store: Embedded) -> None:
    """Project and check-point without rest, as the server's threads do now and then."""
    for turn in count():
        store.project()
        if turn % 7 == 6:
            store.checkpoint()


def main() -> None:
    """Open the store, say so, and commit until killed."""
    store = open_store(Path(sys.argv[1]), recent=100)
    store.access.add_app(App("shop"), "test", NOW)
    print("open", *store.health().warnings, flush=True)
    threading.Thread(target=project, args=(store,), daemon=True).start()
    for number in count(int(sys.argv[2])):
        commit(store, number)
        print(number, flush=True)


if __name__ == "__main__":
    main()
