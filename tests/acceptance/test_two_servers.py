"""Two servers over one PostgreSQL and one Valkey do what one server does, whichever of them is asked."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import time
from itertools import count

import pytest

from tests.api.served import wait_for, within
from tests.api.whole import rewrite
from tests.process import Forked
from tests.scaleout import GEO, Site, Turns, everything

DAY = 24 * 3600
DETECTORS = """
playbook: counts
mode: enforce
event: auth
where: not success
group_by: ip
window: 2m
when: {count: 4}
cooldown: 30s
actions: [{block_ip: {for: [10m, 1h, 1d]}}]
---
playbook: distinct
mode: enforce
event: auth
where: not success
group_by: ip
window: 3m
when: {count: 5, distinct: {user: 4}}
actions: [{block_ip: {for: 1h, unless_shared_by: 2}}]
---
playbook: sums
mode: enforce
event: order
group_by: user
window: 3m
when: {sum: {properties.amount: 900}}
actions: [{challenge_user: {for: 1h}}]
guard: {max: 2, per: 1h}
---
playbook: means
event: order
group_by: user
window: 3m
when: {count: 3, avg: {properties.amount: 200}, max: {properties.amount: 250}}
---
playbook: ratios
mode: enforce
event: auth
group_by: user
window: 3m
when: {count: 6, ratio: {where: not success, gte: 0.7}}
actions: [{challenge_user: {for: 1h}}, {label_user: {name: shaky, for: 1d}}]
---
playbook: steps
mode: enforce
group_by: user
window: 3m
sequence: [{event: auth, where: not success, count: 2}, {event: auth, where: success}, {event: order}]
actions: [{block_user: {for: 1h}}]
---
playbook: novel
group_by: user
event: order
first_seen: {field: properties.country, history: 30d, after: 3}
---
playbook: journeys
rule: login-succeeded
group_by: user
travel: {faster_than: 900}
---
playbook: spikes
event: order
group_by: ip
window: 1m
spike: {factor: 3, baseline: 4m, min: 5}
---
playbook: silence
mode: enforce
event: signup
group_by: user
absent: {event: order, within: 10m}
actions: [{block_user: {for: 1h}}]
"""


def history(now):
    """Give logins of the two days before: who is at home where, and which address two people share."""
    for day in (2, 1):
        for n in range(6):
            yield {"event": "auth", "success": True, "user": f"u{n}", "ip": f"192.0.2.{n // 2}", "device": f"d{n}",
                   "timestamp": now - day * DAY + n}  # fmt: skip


def waits(now):
    """Give sign-ups half an hour ago, each of its own batch; of two the order that ends the wait comes first."""
    for n in range(4):
        user = f"new{n}"
        if n < 2:
            yield {"event": "order", "user": user, "properties": {"amount": 1}, "timestamp": now - 1500 + n}
        yield {"event": "signup", "user": user, "timestamp": now - 1800 + n}


def stream(now, seed):
    """Give logins and orders of the last minutes, some a little late: few people, few addresses."""
    chance = random.Random(seed)
    made = []
    for n in range(420):
        at = now - 500 + n
        user, ip = f"u{chance.randrange(6)}", chance.choice(["192.0.2.0", "198.51.100.9", "203.0.113.70", "192.0.2.1"])
        event = {"user": user, "ip": ip, "timestamp": at}
        if chance.random() < 0.6:
            event |= {"event": "auth", "success": chance.random() < 0.35}
        else:
            event |= {
                "event": "order",
                "properties": {"amount": chance.randrange(400), "country": chance.choice("ABCD")},
            }
        made.append((at + chance.choice([0, 0, 0, 15, 40]), n, event))
    return [event for _, _, event in sorted(made, key=lambda one: one[:2])]


def burst(now):
    """Give orders from one address: one a minute, and then a dozen within one."""
    for at in [*range(-480, -60, 60), *range(-50, -38)]:
        yield {
            "event": "order",
            "user": "buyer",
            "ip": "192.0.2.77",
            "properties": {"amount": 1},
            "timestamp": now + at,
        }


def findings(server):
    """Return what was found, with what was done and what was not, and what gathered since."""
    return sorted(
        (row["playbook"], str(row["group"]), row["at"], row["event_id"], row["tally"] and str(row["tally"]),
         str(sorted((one["kind"], str(one["target"]), str(one["for_s"]), str(one["held"])) for one in row["effects"])))
        for row in everything(server, "findings")
    )  # fmt: skip


def agree(look, *servers):
    """See that all servers come to show the same: each is asked at another moment."""
    with contextlib.suppress(AssertionError):
        wait_for(lambda: all(look(one) == look(servers[0]) for one in servers))
    first, *others = [look(one) for one in servers]
    assert others == [first] * len(others)


def in_force(server):
    rows = everything(server, "decisions")
    return sorted((row["kind"], row["scope"], row["value"], row["playbook"]) for row in rows)


def test_the_events_of_one_user_sent_to_both_in_turn_come_to_what_they_come_to_on_one(site, lone):
    """Every detector, ladders, guards, shared addresses, familiar places, labels and waits included."""
    two = site("--geo", GEO[1], playbooks=DETECTORS)
    servers = two.begin("a", "b")
    one = lone(*GEO, playbooks=DETECTORS)
    turns = Turns([server.client.using(two.key) for server in servers])
    alone = Turns([one.client.using(one.first_key)])
    now, numbers = int(time.time()), count()
    for event in (*history(now), *waits(now), *stream(now, 5), *burst(now)):
        batch = [event | {"id": f"e{next(numbers)}"}]
        turns.post(batch)
        alone.post(batch)
    wait_for(lambda: sum(row[0] == "silence" for row in findings(servers[0])) == 2)
    wait_for(lambda: sum(row[0] == "silence" for row in findings(one)) == 2)
    agree(findings, *servers, one)
    agree(in_force, servers[0], one)
    kinds = {row[0] for row in findings(one)}
    assert kinds == {line.split()[1] for line in DETECTORS.splitlines() if line.startswith("playbook:")}
    assert any("guard" in row[-1] for row in findings(one))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two servers that were started at once on an empty database."""
    made = Site(tmp_path_factory.mktemp("pair"))
    try:
        made.begin("a", "b")
        yield made
    finally:
        made.end()


def local(server):
    return server.client.using(server.local["token"])


def fails(ip, *users):
    return [{"event": "auth", "success": False, "user": user, "ip": ip} for user in users]


def test_two_servers_that_start_at_once_on_an_empty_database_make_one_first_key(pair):
    assert sum((server.data / "first-start.txt").exists() for server in pair.servers.values()) == 1
    for server in pair.servers.values():
        assert [key["name"] for key in local(server).get("/v1/keys").json["items"]] == ["first"]
        assert server.client.using(pair.key).post("/v1/events", {"event": "x"}).status == 200


def test_a_key_made_or_revoked_by_one_is_known_to_the_other(pair):
    a, b = pair.servers["a"], pair.servers["b"]

    def took():
        made = local(a).post("/v1/keys", {"scope": "sdk"}).json
        client = b.client.using(made["secret"])
        assert client.post("/v1/events", {"event": "x"}).status == 200
        assert local(a).delete(f"/v1/keys/{made['id']}").status == 204
        began = time.monotonic()
        wait_for(lambda: client.post("/v1/events", {"event": "x"}).status == 401)
        return time.monotonic() - began

    assert within(5, took)


def test_by_what_an_app_knows_its_users_is_taken_over_by_the_other(pair):
    a, b = (local(server) for server in pair.servers.values())
    app, numbers = [("Sentinel-App", "known-anew")], count()

    def known_as():
        event = {"id": f"k{next(numbers)}", "event": "x", "user": {"id": "1", "email": "jane@example.com"}}
        taken = b.post("/v1/events", event, headers=app).status == 200
        return taken and b.get(f"/v1/events/{event['id']}", headers=app).json["user"]

    assert a.post("/v1/apps", {"id": "known-anew", "name": "Known anew"}).status == 201
    wait_for(lambda: known_as() == "id:1")
    assert a.ask("PATCH", "/v1/apps/known-anew", {"identifiers": ["email", "id"]}).status == 200
    wait_for(lambda: known_as() == "email:jane@example.com")


def test_what_one_decides_is_heard_by_the_streams_of_the_other(pair):
    """A block by a playbook, one by hand, and the end of it."""
    a, b = pair.servers["a"], pair.servers["b"]
    stream = b.client.using(pair.key).stream("/v1/feed/stream")
    assert stream.block() == [":"]
    assert a.client.using(pair.key).post("/v1/events", fails("203.0.113.9", "u", "u", "u")).status == 200
    assert [one["value"] for one in stream.event()["data"]["added"]] == ["203.0.113.9"]
    hand = {"kind": "block", "scope": "user", "value": "id:u7", "for": "1h", "reason": "by hand"}
    made = local(a).post("/v1/decisions", hand)
    assert made.status == 201, made.body
    (heard,) = stream.event()["data"]["added"]
    assert heard["value"] == "id:u7"
    assert local(a).delete(f"/v1/decisions/{heard['id']}?why=mistake").status == 200
    assert stream.event()["data"]["removed"] == [heard["id"]]
    stream.close()


def test_enforcement_switched_off_by_one_is_off_at_the_other(pair):
    a, b = pair.servers["a"], pair.servers["b"]
    assert a.client.using(pair.key).post("/v1/events", fails("203.0.113.10", "u", "u", "u")).status == 200
    feed = b.client.using(pair.key)
    wait_for(lambda: feed.get("/v1/feed").json["added"])
    for on in (False, True):
        order = {"on": on, "why": "a test", "server": True}
        assert local(a).ask("PUT", "/v1/enforcement", order).status == 200
        wait_for(lambda on=on: bool(feed.get("/v1/feed").json["added"]) == on)


def test_playbooks_that_change_are_taken_over_by_both_and_what_came_before_counts(pair):
    turns = Turns([server.client.using(pair.key) for server in pair.servers.values()])
    turns.post(fails("203.0.113.11", "u1"))
    turns.post(fails("203.0.113.11", "u2"))
    for server in pair.servers.values():
        file = server.data.parent / "all.yaml"
        rewrite(file, file.read_text().replace("when: {count: 3}", "when: {count: 4}"))
    for server in pair.servers.values():
        with contextlib.suppress(AssertionError):
            wait_for(lambda server=server: _asks_for(server) == ("ready", ["{count: 4}", "{count: 3}"]))
        assert _asks_for(server) == ("ready", ["{count: 4}", "{count: 3}"])
    turns.post(fails("203.0.113.11", "u3"))
    assert _of(pair, "203.0.113.11") == []
    turns.post(fails("203.0.113.11", "u4"))
    assert _of(pair, "203.0.113.11") == [{"count": 4}]


def _asks_for(server):
    """Return how a playbook is, once its newest version is in force, and what each of its versions asked for."""
    (found,) = (one for one in local(server).get("/v1/playbooks").json["items"] if one["id"] == "three-failures")
    versions = local(server).get("/v1/playbooks/three-failures/versions").json.get("items", [])
    state = found["state"] if versions and versions[0]["version"] == found["version"] else "another version"
    return state, [re.search("when: (.*)", one["source"])[1] for one in versions]


def _of(pair, ip):
    rows = everything(pair.servers["a"], "findings")
    return [row["tally"] for row in rows if row["playbook"] == "three-failures" and row["ip"] == ip]


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = []

    def make(*flags, playbooks=None):
        if playbooks is not None:
            monkeypatch.setattr("tests.process.PLAYBOOKS", playbooks)
        made.append(Site(tmp_path, *flags))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def lone(tmp_path, monkeypatch):
    made = []

    def make(*flags, playbooks):
        monkeypatch.setattr("tests.process.PLAYBOOKS", playbooks)
        place = tmp_path / "lone"
        place.mkdir()
        made.append(Forked(place, *flags))
        return made[-1]

    yield make
    for one in made:
        one.end(signal.SIGKILL)
