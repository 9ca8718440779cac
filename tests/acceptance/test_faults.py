"""What goes wrong around a server, and what it does then: it says so, goes on where it can, and harms nothing."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import time

import pytest

from sentinel.app import server
from sentinel.core.errors import StoreError
from sentinel.engine.engine import Engine
from sentinel.engine.respond import respond
from sentinel.store.embedded.backup import CONTROL, EVENTS
from sentinel.store.embedded.store import open_store
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.actions.receiver import Receiver
from tests.api.served import wait_for
from tests.api.whole import whole as run_whole
from tests.contract.values import NOW, App, batch, decision, event, put
from tests.passwords import webhook_secret
from tests.process import Process
from tests.service.stories import START, events, failed, playbook, playbooks
from tests.store.embedded.test_disk_full import mounted

HOUR, DAY = 3_600_000_000, 86_400_000_000
EVERYTHING = """
playbook: everything
title: Whoever is seen
mode: enforce
event: page
group_by: ip
window: 1m
when: {count: 1}
actions:
  - block_ip: {for: 1h}
guard: {max: 5, per: 1h}
"""


def webhook(url):
    return {"security": {"kind": "webhook", "url": url, "secret": webhook_secret()}}


def blocked(whole):
    return {one["value"] for one in whole.using("sdk").get("/v1/feed").json["added"]}


class TestFiles:
    def test_a_read_only_folder_is_told_and_left_as_it_was(self, tmp_path):
        with mounted(tmp_path / "disk") as disk:
            open_store(disk / "data").close()
            before = {file.name: file.read_bytes() for file in (disk / "data").iterdir()}
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, timeout=300)
            with pytest.raises(StoreError, match="cannot be used as data folder: Read-only file system"):
                open_store(disk / "data")
            assert {file.name: file.read_bytes() for file in (disk / "data").iterdir()} == before

    def test_a_log_cut_short_by_a_power_cut_loses_its_end_alone(self, tmp_path):
        """What was synced before the cut is whole; of the rest no commit is there by half."""
        store = open_store(tmp_path / "data")
        store.access.add_app(App("shop"), "test", NOW)
        for number in range(40):
            put(store, batch(events=(event(f"e{number}", NOW + number),), decisions=(decision(f"d{number}"),)))
            if number == 10:
                store.project()
                store.checkpoint()
                synced = (tmp_path / "data" / f"{CONTROL}-wal").stat().st_size
        shutil.copytree(tmp_path / "data", tmp_path / "killed")
        store.close()
        size = (tmp_path / "killed" / f"{CONTROL}-wal").stat().st_size
        chance, most = random.Random(1), 41
        for cut in sorted(chance.randrange(size - synced) for _ in range(6)):
            folder = tmp_path / f"cut{cut}"
            shutil.copytree(tmp_path / "killed", folder)
            with (folder / f"{CONTROL}-wal").open("r+b") as log:
                log.truncate(size - cut)
            if (folder / f"{EVENTS}.wal").exists():
                (folder / f"{EVENTS}.wal").unlink()
            found = open_store(folder)
            events = [one.id for one in found.events.in_order("shop", 0)]
            added = [one.id for one in found.decisions.delta("shop", 0, NOW).added]
            assert events == [f"e{n}" for n in range(len(events))] and 11 <= len(added) == len(events) <= most
            most = len(events)
            found.close()

    def test_a_damaged_events_file_stops_the_search_and_nothing_else(self, tmp_path):
        with run_whole(tmp_path) as whole:
            whole.fail("203.0.113.1")
        file = tmp_path / "data" / EVENTS
        damaged = os.urandom(file.stat().st_size)
        file.write_bytes(damaged)
        with run_whole(tmp_path) as whole:
            ready = whole.using("read").get("/readyz").json
            assert ready["status"] == "degraded" and str(file) in ready["detail"]
            whole.fail("203.0.113.2")
            assert blocked(whole) == {"203.0.113.1", "203.0.113.2"}
            assert whole.using("read").get("/v1/events").status == 503
        assert file.read_bytes() == damaged, "a file that cannot be read is not written to"


class TestClock:
    @pytest.mark.parametrize("jumps", [(DAY,), (-DAY,), (DAY, -DAY), (365 * DAY, -365 * DAY), (-DAY, DAY)])
    def test_attacks_are_stopped_whichever_way_the_clock_jumped(self, tmp_path, monkeypatch, jumps):
        offset = [0]
        monkeypatch.setattr(server, "now", lambda: time.time_ns() // 1000 + offset[0])
        with run_whole(tmp_path) as whole:
            whole.fail("203.0.113.1")
            assert blocked(whole) == {"203.0.113.1"}
            for number, jump in enumerate(jumps):
                offset[0] += jump
                whole.fail(f"203.0.113.{number + 2}")
                assert f"203.0.113.{number + 2}" in blocked(whole), jump
            assert whole.client.get("/readyz").json["status"] == "ok"


class TestReceivers:
    def test_without_names_events_are_judged_and_notifications_wait(self, tmp_path, monkeypatch):
        really = socket.getaddrinfo

        def gone(host, *more, **named):
            if host == "hooks.example":
                raise socket.gaierror(-3, "Temporary failure in name resolution")
            return really(host, *more, **named)

        with run_whole(tmp_path, channels=webhook("http://hooks.example/x")) as whole:
            monkeypatch.setattr(socket, "getaddrinfo", gone)
            whole.fail("203.0.113.1")
            outbox = whole.server.store.outbox
            (delivery,) = wait_for(lambda: [one for one in outbox.list("one").items if one.attempts])
            assert "was not found" in delivery.error and not delivery.dead and delivery.next_at > server.now()
            assert blocked(whole) == {"203.0.113.1"}

    def test_a_receiver_that_hangs_holds_up_no_event_and_no_decision(self, tmp_path):
        def hang(receiver, connection):
            receiver.read(connection)
            receiver.ended.wait(120)

        with (
            Receiver(hang) as receiver,
            run_whole(tmp_path, channels=webhook(receiver.url), allow_private_webhooks=True) as whole,
        ):
            for number in range(8):
                whole.fail(f"203.0.113.{number}")
            wait_for(lambda: receiver.requests)
            whole.fail("203.0.113.200")
            assert len(blocked(whole)) == 9
            receiver.ended.set()


class TestPlaybooks:
    def test_one_that_raises_harms_no_other_and_is_counted(self, tmp_path):
        with run_whole(tmp_path) as whole:
            engine = whole.server.pipeline.tenant("one").engine
            table = engine._look_up("auth")
            engine._by_name["auth"] = [(condition, [_broken(one) for one in ready]) for condition, ready in table]
            whole.fail("203.0.113.1")
            assert blocked(whole) == {"203.0.113.1"}
            text = whole.local.get("/metrics").body.decode()
            assert 'sentinel_playbook_errors_total{app="one",error="ZeroDivisionError' in text

    def test_one_whose_answer_raises_harms_no_other_and_is_counted(self, tmp_path, monkeypatch):
        with run_whole(tmp_path) as whole:
            monkeypatch.setattr("sentinel.engine.engine.respond", _but_of("only-watching"))
            whole.fail("203.0.113.1")
            assert blocked(whole) == {"203.0.113.1"}
            text = whole.local.get("/metrics").body.decode()
            assert 'error="KeyError: \'on purpose\'",playbook="only-watching"' in text

    def test_one_whose_window_fails_harms_no_other_and_is_counted(self, tmp_path):
        with run_whole(tmp_path) as whole:
            tracker = whole.server.pipeline.tenant("one").windows.trackers["only-watching"]
            tracker.few, tracker.judge = 0, _raise
            whole.fail("203.0.113.1")
            assert blocked(whole) == {"203.0.113.1"}
            text = whole.local.get("/metrics").body.decode()
            assert 'error="ZeroDivisionError' in text
            assert 'playbook="only-watching"' in text

    def test_one_that_fires_on_everything_acts_on_few_and_says_so(self, tmp_path):
        (tmp_path / "playbooks").mkdir()
        (tmp_path / "playbooks" / "everything.yaml").write_text(EVERYTHING)
        with run_whole(tmp_path) as whole:
            pages = [{"event": "page", "ip": f"198.51.100.{n}"} for n in range(100)]
            assert whole.using("sdk").post("/v1/events", pages).json["accepted"] == 100
            assert len(blocked(whole)) == 5
            assert (
                'sentinel_guard_holds{app="one",playbook="everything"} 1.0' in whole.local.get("/metrics").body.decode()
            )
            whole.fail("203.0.113.1")
            assert "203.0.113.1" in blocked(whole), "the others act on"

    def test_a_flood_of_names_takes_bounded_memory_and_is_counted(self):
        """The groups that count most stay, and an address that makes many makes no more."""
        (one,) = playbooks(playbook(group_by="user", rule="login-failed"))
        held = MemoryWindows(Engine([one]).watches(), Limits(groups=1000, per_source=100))
        engine = Engine([one])
        known = [failed(f"k{n}", n, user="known") for n in range(2)]
        flood = [failed(f"f{n}", 3, user=f"u{n}", ip=f"198.51.{n % 200}.1") for n in range(20_000)]
        held.hit(engine.match(events(known)).hits, START)
        held.hit(engine.match(events(flood)).hits, START)
        assert sum(held.groups().values()) <= 1000 and sum(held.dropped().values()) >= 19_000
        assert held.hit(engine.match(events([failed("k3", 4, user="known")])).hits, START), "it was not pushed out"

    def test_a_thousand_of_them_find_each_its_own(self, tmp_path):
        (tmp_path / "playbooks").mkdir()
        one = EVERYTHING.replace("actions:\n  - block_ip: {for: 1h}\nguard: {max: 5, per: 1h}\n", "")
        many = [one.replace("everything", f"p{n}").replace("event: page", f"event: page{n}") for n in range(1000)]
        (tmp_path / "playbooks" / "many.yaml").write_text("---".join(many))
        with run_whole(tmp_path) as whole:
            pages = [{"event": f"page{n}", "ip": "198.51.100.1"} for n in (0, 499, 999)]
            whole.using("sdk").post("/v1/events", pages)
            found = whole.using("read").get("/v1/findings").json["items"]
            assert {one["playbook"] for one in found} == {"p0", "p499", "p999"}
            whole.fail("203.0.113.1")
            assert blocked(whole) == {"203.0.113.1"}


def _raise(*_):
    raise ZeroDivisionError


def _but_of(name):
    """Return what answers for playbooks, which raises for one of them."""

    def answered(judge, *rest, **more):
        if judge.playbook.id == name:
            raise KeyError("on purpose")
        return respond(judge, *rest, **more)

    return answered


def _broken(ready):
    """Return a playbook as the engine holds it, its condition replaced where it is the one that is to raise."""
    name, trusting, _, *rest = ready
    return (name, trusting, _raise, *rest) if name == "only-watching" else ready


STREAMS = 10_000


@contextlib.contextmanager
def many_files(count):
    """Let this process have so many files open, or as many as it may; give how many that are."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = count if before[1] == resource.RLIM_INFINITY else min(count, before[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], count), before[1]))
    try:
        yield count
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Listeners:
    """Streams of the feed, read by one thread; each keeps what it was told."""

    def __init__(self, port, secret, count, stack):
        self.selector = stack.enter_context(selectors.DefaultSelector())
        self.said = {}
        head = f"GET /v1/feed/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n".encode()
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            sock.sendall(head)
            self.said[sock] = b""
            self.selector.register(sock, selectors.EVENT_READ)

    def all_hear(self, what):
        """Wait until each was told something: thousands of them take a busy machine a while."""
        left = {sock for sock, text in self.said.items() if what not in text}
        end = time.monotonic() + 300
        while left:
            assert time.monotonic() < end, f"{len(left)} did not hear of {what}"
            for key, _ in self.selector.select(0.05):
                data = key.fileobj.recv(65536)
                assert data, "a stream ended"
                self.said[key.fileobj] += data
                if what in self.said[key.fileobj]:
                    left.discard(key.fileobj)


class TestConnections:
    def test_ten_thousand_streams_all_hear_of_a_block(self, tmp_path):
        """The server is a process of its own, so that each side has as many files as one may."""
        with many_files(STREAMS + 200) as files, contextlib.ExitStack() as open_ones:
            process = Process(tmp_path)
            open_ones.callback(process.end, signal.SIGKILL)  # which waits for none of them
            client, count = process.client.using(process.first_key), files - 200
            crowd = Listeners(client.port, client.key, count, open_ones)
            crowd.all_hear(b"text/event-stream")
            local = process.client.using(process.local["token"])
            figure = f'sentinel_streams{{app="default",topic="decisions"}} {float(count)}'
            assert figure in local.get("/metrics").body.decode()
            event = {"event": "auth", "success": False, "ip": "203.0.113.1", "user": "u1"}
            assert client.post("/v1/events", [event] * 3).json["accepted"] == 3
            crowd.all_hear(b'"203.0.113.1"')
            assert process.run.poll() is None
        if count < STREAMS:
            pytest.skip(f"all {count:,} streams heard: {STREAMS:,} need more open files than {files:,}")

    def test_senders_that_drip_hold_up_nobody(self, tmp_path):
        with run_whole(tmp_path) as whole, contextlib.ExitStack() as open_ones:
            secret = whole.secrets["one", "sdk"]
            post = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
            heads = (
                f"{post}Content-Length: 9999\r\n\r\n[",
                "POST /v1/events HTTP/1.1\r\nHost: x\r\nA",
                "G",
            )
            for number in range(300):
                sock = open_ones.enter_context(socket.create_connection(("127.0.0.1", whole.client.port), timeout=60))
                sock.sendall(heads[number % 3].encode())
            whole.fail("203.0.113.1")
            assert blocked(whole) == {"203.0.113.1"}
            assert json.loads(whole.client.get("/readyz").body)["status"] == "ok"
