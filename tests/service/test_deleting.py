"""A deleted person in what the engine remembers: windows count on under a pseudonym, and no snapshot names them."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from sentinel.app import open_server
from sentinel.app.server import now
from sentinel.core.batch import Label
from sentinel.core.record import Allowance, Snapshot
from sentinel.engine.keys import renamed
from sentinel.service.deleting import Deleter
from sentinel.service.saving import FAMILIAR
from sentinel.store.embedded.store import open_store
from sentinel.store.tables import tombstones
from tests.api.served import served, wait_for
from tests.api.whole import settings, whole
from tests.service.machine import Machine
from tests.service.stories import MINUTE, failed, passed
from tests.service.test_restore import FAILED


def test_a_name_is_replaced_alone_and_in_keys_of_groups():
    names = {"id:1": "gone:abc"}
    assert renamed("id:1", names) == "gone:abc"
    assert renamed("4:id:111:203.0.113.9", names) == "8:gone:abc11:203.0.113.9"
    assert renamed("id:11", names) == "id:11"
    assert renamed("5:id:11", names) == "5:id:11"
    for other in ("14:id:1abcdefghij1:x", "8:a4:id:1b1:x", "4:id:1 and what follows"):
        assert renamed(other, names) == other, "another's, though the name stands in it"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with whole(tmp_path_factory.mktemp("deleting")) as found:
        yield found


def told(windows):
    return b"".join(windows.snapshot(watch) for watch in windows.trackers)


def test_no_window_and_no_snapshot_names_a_deleted_person(server):
    server.fail("203.0.113.77", user="jane-doe", times=2)
    store, pipeline = server.server.store, server.server.pipeline
    with pipeline.lock:
        before = told(pipeline.tenants["one"].windows)
    assert b"jane-doe" in before
    server.using("admin").delete("/v1/users/jane-doe")
    with pipeline.lock:
        tenant = pipeline.tenants["one"]
        assert b"jane-doe" not in told(tenant.windows)
        assert b"jane-doe" not in b"".join([*tenant.memory.familiar.dump(), *tenant.memory.crowd.dump()])
    assert all(b"jane-doe" not in one.state for one in store.snapshots.load("one").values())
    server.fail("203.0.113.77", user="other", times=1)
    assert any(
        one["ip"] == "203.0.113.77"
        for one in server.using("admin").get("/v1/findings?playbook=three-failures").json["items"]
    )


def test_what_stands_for_no_user_is_no_person_to_delete(server):
    """It would take with it what strangers did who came with it."""
    server.using("sdk").post("/v1/events", {"event": "x", "id": "stranger", "user": {"id": "null", "email": "s@x.y"}})
    refused = server.using("admin").delete("/v1/users/null")
    assert (refused.status, refused.error["message"][:36]) == (422, "`key`: `id:null` stands for no user:")
    kept = server.using("read").get("/v1/events/stranger").json
    assert (kept["user"], kept["placeholders"]) == ("email:s@x.y", ["id"])


def test_only_the_states_that_name_a_deleted_person_are_kept_anew(store):
    """Also that of a playbook which is there no more, in whose place nothing comes."""
    by_ip = FAILED.replace(": p\n", ": by-ip\n").replace("by: user", "by: ip").replace("block_user", "block_ip")
    machine = Machine(store, [FAILED, by_ip])
    machine.send(failed("1", 0, user="jane-doe"), failed("2", 1, user="other"), passed("3", 2, user="jané-doe"))
    machine.save()
    store.snapshots.save("shop", Snapshot("ended", 1, "1", b"\x00jane-doe\x00", machine.now))
    before, deleter = store.snapshots.load("shop"), Deleter(machine.pipeline, store)
    deleter.delete("shop", "id:jane-doe", "ana", "she asked for it", machine.now + MINUTE)
    kept = store.snapshots.load("shop")
    assert {name for name, one in before.items() if kept.get(name) != one} == {"p", "ended"}
    assert "ended" not in kept and kept["p"].made == machine.now + MINUTE
    deleter.delete("shop", "id:jané-doe", "ana", "so did she", machine.now + 2 * MINUTE)
    assert store.snapshots.load("shop")[FAMILIAR].made == machine.now + 2 * MINUTE
    assert machine.boot().memory.familiar.places("id:jané-doe", machine.now + 1) == []


def test_whoever_comes_back_is_somebody_new_to_ladders_findings_and_guards(store):
    """As after the next start: until then the deleted person's ladder went on, and their finding gathered evidence."""
    steps = FAILED.replace("for: 1h", "for: [10m, 20m]").replace("window: 10m", "window: 1m")
    machine = Machine(store, [steps + "guard: {max: 2, per: 1d}\n"])
    machine.send(*(failed(f"a{n}", n, user="jane") for n in range(5)))
    (first,) = store.findings.since("shop", 0)
    Deleter(machine.pipeline, store).delete("shop", "id:jane", "ana", "she asked for it", machine.now + 1)
    machine.send(*(failed(f"b{n}", 10 + n, user="jane") for n in range(2)))
    (kept,) = store.findings.since("shop", 0)
    assert (kept.evidence, kept.last) == (first.evidence, first.last)
    machine.send(*(failed(f"c{n}", 3600 + n, user="jane") for n in range(3)))
    machine.send(*(failed(f"d{n}", 3700 + n, user="another") for n in range(3)))
    effects = [kept.finding.effects[0] for kept in store.findings.since("shop", 0)]
    assert [(one.length // MINUTE, one.held) for one in effects] == [(10, None), (10, None), (10, "guard")]


def test_nobody_is_called_what_windows_count_addresses_by(store):
    """Whoever named an account after their address, and deleted it, began that address's windows and cooldowns anew."""
    by_ip = FAILED.replace("by: user", "by: ip").replace("block_user", "block_ip")
    machine, ips = Machine(store, [by_ip]), ("203.0.113.9", "2001:db8:7::/64")
    for ip in ("203.0.113.9", "2001:db8:7::5"):
        machine.send(*(failed(f"a{n}-{ip}", n, user=f"u{n}", ip=ip) for n in range(4)))
    for name in ips:
        Deleter(machine.pipeline, store).delete("shop", f"username:{name}", "ana", "asked for it", machine.now + 1)
    for booted in (False, True):
        if booted:
            machine.boot()
        for ip in ("203.0.113.9", "2001:db8:7::5"):
            machine.send(failed(f"b{booted}-{ip}", 10, user="u9", ip=ip))
    found = {kept.finding.key: (kept.finding.group["ip"], kept.evidence) for kept in store.findings.since("shop", 0)}
    assert found == {ip: (ip, 6) for ip in ips}


def test_what_is_known_of_whoever_came_back_stays_theirs_where_a_deletion_is_done_again(store):
    """Another server does so within ten minutes: whoever had come back by then was deleted a second time."""
    machine = Machine(store, [FAILED])
    machine.send(*(failed(f"a{n}", n, user="jane-doe") for n in range(3)))
    store.labels.put("shop", Label("user", "id:jane-doe", "old"), "ana", machine.now)
    done = store.deletions.delete("shop", "id:jane-doe", "ana", "she asked for it", machine.now + 1)
    with store.control.write() as connection:  # as a crash, or a store that was busy, leaves it
        connection.execute(update(tombstones).values(erased=False))
    machine.now += MINUTE
    machine.boot()
    machine.send(
        *(failed(f"b{n}", 1800 + n, user="jane-doe") for n in range(3)),
        passed("c", 1803, user={"id": "jane-doe", "email": "j@x.y"}),
    )
    store.labels.put("shop", Label("user", "id:jane-doe", "new"), "ana", machine.now)
    store.allow.add("shop", Allowance("a", "user", "id:jane-doe", "known", machine.now), "ana", machine.now)
    assert store.deletions.finish() == 0
    assert [kept.finding.user for kept in store.findings.since("shop", 0)] == [done.pseudonym, "id:jane-doe"]
    assert store.labels.of("shop", "user", "id:jane-doe", machine.now) == ("new",)
    assert [one.value for one in store.allow.list("shop")] == ["id:jane-doe"]
    assert set(store.people.keys("shop", "id:jane-doe")) == {"id:jane-doe", "email:j@x.y"}
    told = [line.target for line in store.audit.list("shop").items if line.action in ("label.put", "allow.add")]
    assert told == ["user id:jane-doe"] * 2 + [f"user {done.pseudonym}"]


def saved(store, app="shop"):
    return b"".join(one.state for one in store.snapshots.load(app).values())


def test_a_crash_within_a_deletion_leaves_no_name_in_windows_after_the_next_start(store):
    """Of all that is stored only windows and their states named her: they did so until they were over."""
    machine = Machine(store, [FAILED])
    machine.send(failed("1", 0, user="jane-doe"), failed("2", 1, user="other"), passed("3", 2, user="jane-doe"))
    machine.save()
    store.deletions.delete("shop", "id:jane-doe", "ana", "she asked for it", machine.now + 1)
    tenant = machine.boot()
    assert b"jane-doe" in told(tenant.windows) and b"jane-doe" in saved(store)
    Deleter(machine.pipeline, store).rename(machine.now + 2)
    assert b"jane-doe" not in told(tenant.windows) + b"".join(tenant.memory.familiar.dump()) + saved(store)
    assert b"id:other" in told(tenant.windows)
    assert store.deletions.owed("shop") == {}
    assert b"jane-doe" not in told(machine.boot().windows)


def test_a_start_lets_windows_name_nobody_whose_deletion_a_crash_broke_off(tmp_path):
    with whole(tmp_path) as server:
        server.fail("203.0.113.77", user="jane-doe", times=1)
        server.fail("203.0.113.77", user="other", times=1)
    kept = open_store(tmp_path / "data")
    kept.deletions.delete("one", "id:jane-doe", "ana", "she asked for it", now())
    assert b"jane-doe" in saved(kept, "one")
    kept.close()
    server = open_server(settings(tmp_path))
    with served(server.front, lifespan="on") as client:
        wait_for(lambda: client.get("/readyz").status == 200)
        assert b"jane-doe" not in saved(server.store, "one") + told(server.pipeline.tenants["one"].windows)
        assert b"id:other" in saved(server.store, "one")
