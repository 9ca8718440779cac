"""Two servers, their PostgreSQL and their Valkey killed in turn while events come in: nothing is lost or doubled.

Each of five is done to once; SENTINEL_TEST_KILLS asks for more kills, and is taken away before a server sees it.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle, islice

import pytest

from tests.acceptance.test_kills import ALL_SENT, KILLS, PLAYBOOKS, Sender, expected
from tests.actions.receiver import Receiver, status
from tests.api.served import wait_for, within
from tests.scaleout import Site, everything

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TELLING = PLAYBOOKS.replace("[{block_ip: {for: 1h}}]", "[{block_ip: {for: 1h}}, {webhook: {channel: hook}}]")


class Both(Sender):
    """Sends each batch to the next server; one that was not acknowledged goes to the other."""

    pace = 80

    def __init__(self, site, chance):
        self.site = site
        self.turns = cycle(("a", "b"))
        self.key = site.key
        super().__init__(site.servers["a"], chance)

    def use(self, server):
        """Take whichever server is there at each batch, without waiting for one."""
        self.up.set()

    def deliver(self, batch):
        client = self.site.servers[next(self.turns)].client.using(self.key)
        try:
            answer = client.post("/v1/events", batch)
        except OSError:
            answer = None
        if answer is None or answer.status == 503:
            self.done.wait(0.02)
            return False
        if answer.status != 200 or answer.json["rejected"]:
            self.errors.append(answer.body)
            return False
        return True


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.process.PLAYBOOKS", PLAYBOOKS)
    made = Site(tmp_path)
    made.database.stop(signal.SIGINT)
    made.database._settings["fsync"] = "on"
    made.database.start()
    yield made
    made.end()


def kill_server(name):
    def kill(site):
        site.kill(name)
        site.begin(name)

    return kill


def kill_valkey(site):
    site.state.kill()
    site.state.start()


def flush_valkey(site):
    site.state.client().flushall()


def stop_postgres(site):
    site.database.stop()
    site.database.start()


WHAT = {
    "a server": kill_server("a"), "Valkey": kill_valkey, "PostgreSQL": stop_postgres,
    "what Valkey holds": flush_valkey, "the other server": kill_server("b"),
}  # fmt: skip


def test_whatever_is_killed_nothing_acknowledged_is_lost_and_nothing_is_doubled(site):
    chance = random.Random(31)
    site.begin("a", "b")
    sender = Both(site, chance)
    sender.start()
    began = time.monotonic()
    for name, kill in islice(cycle(WHAT.items()), KILLS):
        least = len(sender.sent) + chance.randrange(60, 160)
        wait_for(lambda least=least: len(sender.sent) >= least)
        kill(site)
        after = len(sender.sent)
        wait_for(lambda after=after: len(sender.sent) > after)
        print(name, len(sender.sent), round(time.monotonic() - began, 1))  # shown where it fails
    wait_for(lambda: len(sender.sent) >= 1200, ALL_SENT)
    sender.done.set()
    sender.join(120)
    assert not sender.is_alive()
    assert sender.errors == []
    for server in site.servers.values():
        holds(server, sender.sent, site.key)


def holds(server, sent, key):
    """See that a server shows each event once, each finding once, and has them in force."""
    assert Counter(event["id"] for event in everything(server, "events")) == Counter(event["id"] for event in sent)
    rows = everything(server, "findings")
    assert Counter((row["playbook"], row["event_id"]) for row in rows) == expected(sent)
    told = server.client.using(key).get("/v1/feed").json["added"]
    acted = {target["target"] for row in rows for target in row["effects"] if target["target"]}
    assert {one["value"] for one in told if one["kind"] != "allow"} == acted != set()  # but for familiar places


def test_the_jobs_of_a_killed_leader_are_anothers_within_five_seconds_and_nothing_is_told_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.process.PLAYBOOKS", TELLING)
    with Receiver(status(200)) as receiver, ThreadPoolExecutor(1) as pool:
        hook = {"hook": {"kind": "webhook", "url": receiver.url, "secret": SECRET}}
        site = Site(tmp_path, "--channels", json.dumps(hook), "--allow-private-webhooks", "yes")
        try:
            site.begin("a")  # which leads
            site.begin("b")
            order, ips = deque("ab"), count()

            def ten_told():
                client, before = site.servers[order[1]].client.using(site.key), len(receiver.requests)
                for ip in islice(ips, 10):
                    send(client, f"198.51.100.{ip}")
                return lambda: len(receiver.requests) == delivered(site) == before + 10

            def took():
                if len(receiver.requests) > 10:  # once more: what took long may have been the machine
                    order.rotate()
                    site.begin(order[1])
                (fence,) = fences(site)
                site.kill(order[0])
                killed = time.monotonic()
                followed = pool.submit(wait_for, lambda: fences(site) == [fence + 1] and time.monotonic())
                wait_for(ten_told())
                return followed.result() - killed

            wait_for(ten_told())  # else what is not noted is told again
            assert within(5, took)
            ids = Counter(one.headers["webhook-id"] for one in receiver.requests)
            assert len(ids) == len(receiver.requests) >= 20
        finally:
            site.end()


def send(client, ip):
    batch = [{"event": "auth", "success": False, "ip": ip, "user": f"{ip}-{n}"} for n in range(6)]
    assert client.post("/v1/events", batch).json["accepted"] == 6


def delivered(site):
    return site.database.run("SELECT count(*) FROM outbox WHERE done IS NOT NULL")[0][0]


def fences(site):
    return [row[0] for row in site.database.run("SELECT fence FROM lease WHERE name = 'jobs'")]
