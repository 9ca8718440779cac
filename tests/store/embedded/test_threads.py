"""Many threads at once: senders, readers, people at the console, the projector. Nobody waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sentinel.core.batch import Sighting
from sentinel.core.record import App, Filter
from sentinel.store.embedded.store import open_store
from tests.contract.values import NOW, batch, decision, event, finding

LOTS, EACH, SENDERS = 8, 8, 3


def send(store, who):
    for number in range(LOTS):
        events = [event(f"{who}.{number}.{n}", NOW + number) for n in range(EACH)]
        with store.unit() as unit:
            assert unit.claim("shop", events) == [True] * EACH
            unit.resolve("shop", [Sighting((f"id:{who}", f"email:{number}"), proven=True, at=NOW)])
            made = decision(f"{who}.{number}", f"id:{number}")
            unit.commit([batch(events=tuple(events), findings=(finding(f"{who}.{number}"),), decisions=(made,))])
            store.events.search("shop", Filter(), limit=5)  # as a pipeline that looks something up would


def follow(store, stop):
    held, revision = set(), 0
    while True:
        last = stop.is_set()
        delta = store.decisions.delta("shop", revision, NOW)
        held = (set() if delta.reset else held) | {one.id for one in delta.added}
        held -= set(delta.removed)
        revision = delta.revision
        if last:
            return held


def read(store, stop):
    seen = 0
    while not stop.is_set():
        count = store.events.count("shop", Filter())
        assert count >= seen, "events do not vanish"
        seen = count
        store.findings.list("shop", limit=10)
        store.people.get("shop", "email:3")


def administer(store):
    for number in range(LOTS):
        key, secret = store.access.make_key("shop", "sdk", "jane", NOW)
        assert store.access.key(secret) == key
        store.decisions.add("shop", decision(f"hand{number}", "id:hand"), "jane", NOW)
        store.decisions.lift("shop", f"hand{number}", "jane", "", NOW)
        store.access.revoke("shop", key.id, "jane", NOW)
        assert store.access.key(secret) is None


def project(store, stop):
    while not stop.is_set():
        store.project()
        store.checkpoint()


def test_all_of_them_at_once(tmp_path):
    store = open_store(tmp_path / "data", recent=50)
    store.access.add_app(App("shop"), "test", NOW)
    stop = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        background = [pool.submit(work, store, stop) for work in (read, project, follow)]
        working = [pool.submit(send, store, who) for who in range(SENDERS)] + [pool.submit(administer, store)]
        try:
            for one in working:
                one.result(timeout=60)
        finally:
            stop.set()
        held = [one.result(timeout=60) for one in background][2]
    assert held == {one.id for one in store.decisions.delta("shop", 0, NOW).added}
    assert store.events.count("shop", Filter()) == SENDERS * LOTS * EACH
    assert sum(1 for _ in store.findings.since("shop", 0)) == SENDERS * LOTS
    assert store.health().explorer is None
    store.close()
