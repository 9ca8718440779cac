"""A server killed at random moments while events come in: nothing acknowledged is lost, nothing is found twice."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.api.served import wait_for
from tests.process import Forked
from tests.reference import Reference

SECOND = 1_000_000
ALL_SENT = 900  # seconds for sending as many as a test sends
KILLS = int(os.environ.get("TEST_KILLS", "5"))
BATCH = 20
USERS, ADDRESSES = 60, 25
PLAYBOOKS = """
playbook: by-address
mode: enforce
event: auth
where: not success
group_by: ip
window: 2m
when: {count: 6, distinct: {user: 4}}
cooldown: 1m
actions: [{block_ip: {for: 1h}}]
---
playbook: by-user
mode: enforce
event: auth
where: not success
group_by: user
window: 5m
when: {count: 5}
actions: [{challenge_user: {for: 1h}}]
"""
RULES = {
    "by-address": {
        "where": lambda e: not e["success"], "group_by": ["ip"], "window": 120 * SECOND, "cooldown": 60 * SECOND,
        "when": {("count", None): ("gte", 6), ("distinct", "user"): ("gte", 4)},
    },
    "by-user": {
        "where": lambda e: not e["success"], "group_by": ["user"], "window": 300 * SECOND,
        "cooldown": 300 * SECOND, "when": {("count", None): ("gte", 5)},
    },
}  # fmt: skip


class Sender(threading.Thread):
    """Sends batches one after the other for as long as told; one that was not acknowledged is sent again, as it was.

    `pace` is how many events happen in a second of theirs: more than are sent in one, for none may be of the future.
    """

    pace = 20

    def __init__(self, server, chance):
        super().__init__(daemon=True)
        self.sent = []
        self.chance = chance
        self.start_at = int(time.time()) - 600
        self.done = threading.Event()
        self.up = threading.Event()
        self.errors = []
        self.use(server)

    def use(self, server):
        self.client = server.client.using(server.first_key)
        self.up.set()

    def run(self):
        while not self.done.is_set():
            batch = [self.event(len(self.sent) + place) for place in range(BATCH)]
            while not self.deliver(batch):
                self.up.wait(1)  # not for long: it may have come up before it was missed
            self.sent += batch

    def deliver(self, batch):
        try:
            answer = self.client.post("/v1/events", batch)
        except OSError:
            self.up.clear() if self.up.is_set() and self.client_is_dead() else None
            return False
        if answer.status != 200 or answer.json["rejected"]:
            self.errors += [answer.status] if answer.status != 503 else []
            return False
        return True

    def client_is_dead(self):
        try:
            return self.client.get("/healthz").status != 200
        except OSError:
            return True

    def event(self, number):
        return {
            "id": f"e{number:06}", "event": "auth", "success": self.chance.random() < 0.2,
            "user": f"u{self.chance.randrange(USERS)}", "ip": f"203.0.113.{self.chance.randrange(ADDRESSES)}",
            "timestamp": self.start_at + number / self.pace,
        }  # fmt: skip


def fail(user, ip="203.0.113.200"):
    return {"event": "auth", "success": False, "user": user, "ip": ip}


def damage(data: Path, chance: random.Random) -> None:
    """Do to DuckDB's log what a power cut may: cut it, or zero its end."""
    for log in data.glob("*.wal"):
        size = log.stat().st_size
        if size:
            with log.open("r+b") as file:
                file.seek(chance.randrange(size))
                if chance.random() < 0.5:
                    file.truncate()
                else:
                    file.write(b"\0" * (size - file.tell()))


def expected(sent):
    """Return the findings of the reference over what was sent, as (playbook, anchor id)."""
    found = Counter()
    for name, playbook in RULES.items():
        reference = Reference(playbook)
        for raw in sent:
            at = round(raw["timestamp"] * SECOND)
            reference.deliver(raw | {"at": at})
        found.update((name, id) for anchors in reference.findings.values() for _, id in anchors)
    return found


def everything(server, what):
    """Return all rows of one of the API's lists."""
    client, rows, cursor = server.client.using(server.local["token"]), [], ""
    while cursor is not None:
        page = client.get(f"/v1/{what}?limit=200{cursor and '&cursor=' + cursor}").json
        rows += page["items"]
        cursor = page["cursor"]
    return rows


def assert_settled(server, sender):
    """Everything sent is there once, found once, and in force."""
    sender.done.set()
    sender.join(120)
    assert not sender.is_alive()
    assert sender.errors == []
    sent = sender.sent
    assert Counter(event["id"] for event in everything(server, "events")) == Counter(event["id"] for event in sent)
    rows = everything(server, "findings")
    assert Counter((row["playbook"], row["event_id"]) for row in rows) == expected(sent)
    assert {row["playbook"] for row in rows} == set(RULES)
    told = server.client.using(server.first_key).get("/v1/feed").json["added"]
    acted = {target["target"] for row in rows for target in row["effects"] if target["target"]}
    assert {one["value"] for one in told} == acted != set()


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.process.PLAYBOOKS", PLAYBOOKS)
    started = []

    def run():
        started.append(Forked(tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.end(signal.SIGKILL)


def test_kills_lose_nothing_double_nothing_and_windows_go_on(start):
    chance = random.Random(7)
    server = start()
    sender = Sender(server, chance)
    sender.start()
    for kill in range(KILLS):
        least = len(sender.sent) + chance.randrange(40, 200)
        wait_for(lambda least=least: len(sender.sent) >= least)
        server.end(signal.SIGKILL)
        if kill % 2:
            damage(server.data, chance)
        server = start()
        sender.use(server)
    wait_for(lambda: len(sender.sent) >= 1500, ALL_SENT)
    assert_settled(server, sender)


def test_events_that_cannot_be_searched_stop_neither_ingest_nor_blocking(start):
    """The columnar file is damaged beyond opening: the server starts, counts on from its snapshots, and blocks."""
    server = start()
    client = server.client.using(server.first_key)
    assert client.post("/v1/events", [fail(f"u{n}") for n in range(4)]).status == 200
    assert server.end(signal.SIGTERM) == 0
    file = server.data / "events.duckdb"
    before = bytes(reversed(file.read_bytes()))
    file.write_bytes(before)
    server = start()
    client = server.client.using(server.first_key)
    assert client.post("/v1/events", [fail("u4"), fail("u5")]).json["accepted"] == 2
    assert [one["value"] for one in client.get("/v1/feed").json["added"]] == ["203.0.113.200"]
    assert server.client.using(server.local["token"]).get("/v1/events").status == 503
    assert file.read_bytes() == before
