"""The feed over real HTTP: what changed, as soon as it changed, to everybody who may know, until they may not."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from sentinel.api import feed as feed_module
from sentinel.api import hub as hub_module
from sentinel.api.feed import Feed, encode
from sentinel.api.hub import Hub
from sentinel.core.decision import Decision, Delta
from sentinel.core.errors import StoreBusy
from sentinel.core.wire import read_decision
from tests.api.fakes import NOW, FakeAccess, FakeDecisions, gate
from tests.api.served import served, wait_for, within


def block(n):
    return Decision(f"d{n}", "block", "ip", f"203.0.113.{n}", until=NOW + 1, reason="é", playbook="p", finding="f")


class Source:
    def __init__(self):
        self.access = FakeAccess()
        self.decisions = FakeDecisions()
        self.enforcing = True
        self.hub = Hub(lambda secret: secret in self.access.known)
        self.feed = Feed(
            gate(self.access), self.hub, self.decisions, lambda: NOW, lambda app: self.enforcing, heartbeat=0.3
        )  # fmt: skip

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            self.hub.open()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await self.feed(scope, receive, send)

    def change(self, *decisions, app="one"):
        """Do as the writer thread does: the list first, the word after it."""
        self.decisions.add(app, *decisions)
        self.hub.tell(feed_module.TOPIC, app)


@pytest.fixture
def source():
    source = Source()
    with served(source, lifespan="on") as client:
        source.client = client.using("sdk")
        source.streams = []
        yield source
        for stream in source.streams:
            stream.close()


@pytest.fixture
def follow(source):
    def open_stream(since=0, key="sdk"):
        before = source.hub.count()
        stream = source.client.using(key).stream("/v1/feed/stream", {"Last-Event-ID": str(since)})
        source.streams.append(stream)
        if stream.status == 200:
            assert stream.block() == [":"]
            wait_for(lambda: source.hub.count() > before)
        return stream

    return open_stream


def test_a_poll_says_what_changed_since(source):
    source.decisions.add("one", block(1))
    source.decisions.add("one", block(2))
    told = source.client.get("/v1/feed?since=1").json
    assert (told["revision"], told["reset"], told["removed"]) == (2, False, [])
    assert [one["id"] for one in told["added"]] == ["d2"]
    assert told["now"] == "2026-11-20T21:30:00Z"


def test_a_poll_from_nothing_or_from_what_is_not_known_gets_everything(source):
    source.decisions.add("one", block(1))
    for since in ("", "?since=0", "?since=99"):
        told = source.client.get(f"/v1/feed{since}").json
        assert (told["reset"], [one["id"] for one in told["added"]]) == (True, ["d1"])


def test_whole_lists_of_an_app_are_made_one_after_another_and_hold_up_no_small_delta(source, monkeypatch):
    """Else one key that asks from ever other revisions keeps all processors busy."""
    source.change(block(1))
    source.change(block(2))
    delta, go, at_work = source.decisions.delta, threading.Event(), []

    def slow(app, since, now):
        if since != 1:
            at_work.append(since)
            assert go.wait(60)
        return delta(app, since, now)

    monkeypatch.setattr(source.decisions, "delta", slow)
    answers = []
    asking = [
        threading.Thread(target=lambda since=since: answers.append(source.client.get(f"/v1/feed?since={since}")))
        for since in (0, 77, 88)
    ]
    for one in asking:
        one.start()
    wait_for(lambda: len(source.feed._made) == 3)
    assert [one["id"] for one in source.client.get("/v1/feed?since=1").json["added"]] == ["d2"]
    wait_for(lambda: at_work)
    assert len(at_work) == 1
    go.set()
    for one in asking:
        one.join(60)
    assert [answer.json["reset"] for answer in answers] == [True] * 3
    assert sorted(at_work) == [0, 77, 88]


def test_what_is_sent_reads_back_as_what_was_meant():
    delta = Delta(7, tuple(block(n % 250) for n in range(1203)), ("a", "b"), reset=True)
    sent = json.loads(b"{" + encode(delta).tail)
    assert (sent["revision"], sent["removed"], sent["reset"]) == (7, ["a", "b"], True)
    assert tuple(map(read_decision, sent["added"])) == delta.added


@pytest.mark.parametrize("since", ["x", "-1", "1.0", "9" * 19, "%31%FF"])
def test_a_revision_that_is_none_is_refused_by_a_poll(source, since):
    answer = source.client.get(f"/v1/feed?since={since}")
    assert (answer.status, answer.error["code"]) == (422, "invalid")


@pytest.mark.parametrize("path", ["/v1/feed", "/v1/feed/stream"])
@pytest.mark.parametrize(
    ("key", "status"), [("sdk", 200), ("read", 200), ("admin", 200), ("ingest", 403), ("browser", 403), ("no", 401)]
)
def test_who_may_read_decisions(source, path, key, status):
    client = source.client.using(key)
    if path == "/v1/feed":
        assert client.get(path).status == status
    else:
        stream = client.stream(path)
        assert stream.status == status
        stream.close()


def test_a_store_that_is_busy_says_so(source, monkeypatch):
    def busy(app, since, now):
        raise StoreBusy("the disk is full", retry_after=3)

    monkeypatch.setattr(source.decisions, "delta", busy)
    answer = source.client.get("/v1/feed")
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")


class TestStream:
    def test_it_begins_with_what_changed_since_the_last_event_seen(self, source, follow):
        source.decisions.add("one", block(1))
        source.decisions.add("one", block(2))
        event = follow(since=1).event()
        assert (event["event"], event["id"]) == ("delta", "2")
        assert [one["id"] for one in event["data"]["added"]] == ["d2"]

    def test_it_tells_each_change_as_it_happens(self, source, follow):
        stream = follow()
        for n in (1, 2, 3):
            source.change(block(n))
            assert [one["id"] for one in stream.event()["data"]["added"]] == [f"d{n}"]

    def test_changes_that_come_together_are_told_together_and_none_twice(self, source, follow):
        stream = follow()
        for n in range(1, 100):
            source.change(block(n))
        seen, revision = [], 0
        while revision < 99:
            event = stream.event()
            assert int(event["id"]) == event["data"]["revision"] > revision
            revision = event["data"]["revision"]
            seen += [one["id"] for one in event["data"]["added"]]
        assert seen == [f"d{n}" for n in range(1, 100)]

    def test_it_says_nothing_of_another_app(self, source, follow):
        stream = follow()
        source.change(block(9), app="two")
        source.change(block(1))
        assert [one["id"] for one in stream.event()["data"]["added"]] == ["d1"]

    def test_it_shows_that_it_lives_while_nothing_changes(self, follow):
        stream = follow()
        assert stream.block() == [":"]
        assert stream.block() == [":"]

    def test_a_last_event_that_makes_no_sense_means_everything(self, source, follow):
        source.decisions.add("one", block(1))
        assert follow(since="nonsense").event()["data"]["reset"] is True

    def test_it_ends_soon_after_its_key_is_revoked_and_others_go_on(self, source, follow):
        other, key = follow(key="admin"), source.access.known["sdk"]

        def took():
            source.access.known["sdk"] = key
            wait_for(lambda: source.hub.count() == 1)
            revoked = follow()
            del source.access.known["sdk"]
            began = time.monotonic()
            while revoked.block():
                pass
            return time.monotonic() - began

        assert within(5, took)
        source.change(block(1))
        assert other.event()["data"]["revision"] == 1

    def test_one_that_reads_nothing_is_cut_off_when_its_key_is_revoked(self, source, follow):
        stream = follow()
        source.change(*[block(n % 250) for n in range(60_000)])  # far more than any socket takes
        del source.access.known["sdk"]
        wait_for(lambda: source.hub.count() == 0)
        assert stream.status == 200

    def test_a_client_that_leaves_gives_its_seat_up(self, source, follow):
        follow().close()
        assert wait_for(lambda: source.hub.count() == 0)

    def test_who_comes_when_all_seats_are_taken_is_told_to_poll_or_come_back(self, source, follow, monkeypatch):
        monkeypatch.setattr(hub_module, "MOST_SEATS", 2)
        first, second, third = (follow() for _ in range(3))
        assert (first.status, second.status, third.status) == (200, 200, 503)
        assert source.client.get("/v1/feed").status == 200
        first.close()
        wait_for(lambda: source.hub.count() == 1)
        assert follow().status == 200

    def test_a_delta_is_made_once_for_all_who_wait_for_it(self, source, follow):
        streams = [follow() for _ in range(20)]
        source.decisions.asked.clear()
        source.change(block(1))
        assert {stream.event()["id"] for stream in streams} == {"1"}
        assert source.decisions.asked == [("one", 0)]

    def test_it_ends_where_the_list_cannot_be_read_and_the_server_goes_on(self, source, follow, monkeypatch):
        stream = follow()

        def busy(app, since, now):
            raise StoreBusy("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(source.decisions, "delta", busy)
            source.change(block(1))
            while stream.block():
                pass
        assert source.client.get("/v1/feed").status == 200

    def test_when_the_server_stops_all_streams_end_at_once(self, source, follow):
        streams = [follow() for _ in range(3)]
        source.hub._loop.call_soon_threadsafe(source.hub.close)
        for stream in streams:
            while stream.block():
                pass
        late = source.client.stream("/v1/feed/stream")
        source.streams.append(late)
        assert late.status == 503


class TestStoreAheadOfMemory:
    """Another server's changes are in the store a moment before this process hears of them."""

    @pytest.mark.parametrize("heard", [0, 1])
    def test_a_stream_that_was_told_of_them_is_quiet_until_there_is_more(self, source, follow, heard):
        source.decisions.add("one", block(1))
        source.decisions.add("one", block(2))
        source.decisions.unheard = 2 - heard
        stream = follow(since=0 if heard else 1)
        assert stream.event()["id"] == "2"
        assert stream.block() == [":"]
        source.change(block(3))
        source.decisions.unheard = 0
        source.hub.tell(feed_module.TOPIC, "one")
        event = stream.event()
        assert (event["id"], [one["id"] for one in event["data"]["added"]]) == ("3", ["d3"])

    def test_a_stream_that_comes_from_a_server_that_was_ahead_is_answered_once(self, source, follow):
        source.decisions.add("one", block(1))
        source.decisions.add("one", block(2))
        source.decisions.unheard = 1
        stream = follow(since=2)
        event = stream.event()
        assert (event["id"], event["data"]["reset"], event["data"]["added"]) == ("2", False, [])
        for _ in range(3):
            source.hub.tell(feed_module.TOPIC, "one")
        assert stream.block() == [":"]
        assert source.decisions.asked == [("one", 2)]

    def test_a_stream_of_a_revision_there_never_was_gets_everything(self, source, follow):
        source.decisions.add("one", block(1))
        event = follow(since=9).event()
        assert (event["id"], event["data"]["reset"]) == ("1", True)

    def test_a_delta_is_still_made_once_for_all_who_wait_for_it(self, source, follow):
        source.decisions.add("one", block(1))
        streams = [follow(since=1) for _ in range(20)]
        source.decisions.asked.clear()

        async def change():  # on the loop: no stream looks between these
            source.decisions.add("one", block(2))
            source.decisions.unheard = 1
            source.change(block(3))

        asyncio.run_coroutine_threadsafe(change(), source.hub._loop).result(60)
        assert {stream.event()["id"] for stream in streams} == {"3"}
        assert source.decisions.asked == [("one", 1)]

    def test_the_switch_is_still_heard_of(self, source, follow):
        source.decisions.add("one", block(1))
        source.decisions.unheard = 1
        source.decisions.add("one", block(2))
        stream = follow(since=0)
        assert stream.event()["id"] == "2"
        for enforcing, revision in ((False, "0"), (True, "2")):
            source.enforcing = enforcing
            source.hub.tell_all()
            event = stream.event()
            assert (event["id"], event["data"]["reset"]) == (revision, True)


class TestSwitch:
    def test_while_enforcement_is_off_the_list_is_empty(self, source):
        source.decisions.add("one", block(1))
        source.enforcing = False
        told = source.client.get("/v1/feed?since=1").json
        assert (told["revision"], told["reset"], told["added"]) == (0, True, [])

    def test_a_list_that_was_made_before_the_switch_is_told_to_nobody_after_it(self, source):
        source.change(block(1))
        told = []
        for source.enforcing in (True, False, True):
            told.append([one["id"] for one in source.client.get("/v1/feed?since=0").json["added"]])
        assert told == [["d1"], [], ["d1"]]

    def test_streams_hear_of_the_switch_and_get_everything_back(self, source, follow):
        source.decisions.add("one", block(1))
        stream = follow(since=1)
        source.enforcing = False
        source.hub.tell_all()
        event = stream.event()
        assert (event["id"], event["data"]["reset"], event["data"]["added"]) == ("0", True, [])
        source.enforcing = True
        source.hub.tell_all()
        assert [one["id"] for one in stream.event()["data"]["added"]] == ["d1"]


def test_the_hub_may_be_told_from_any_thread_before_it_opens_and_after_it_closed():
    hub = Hub(lambda secret: True)

    async def run():
        hub.open()
        threads = [threading.Thread(target=hub.tell, args=("decisions", "one")) for _ in range(4)]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        hub.close()

    hub.tell("decisions", "one")
    asyncio.run(run())
    hub.tell("decisions", "one")
    hub.tell_all()
    assert hub.count() == 0


def test_while_it_is_looked_who_may_still_listen_the_loop_goes_on():
    """A database that hangs must not keep the server from everything else."""
    go = threading.Event()
    hub = Hub(lambda secret: go.wait(60) and secret == "good")

    async def run():
        with hub.seat("decisions", "one", "good") as good, hub.seat("decisions", "one", "revoked") as revoked:
            sweeping = asyncio.ensure_future(hub.sweep())
            await asyncio.sleep(0)
            go.set()
            await sweeping
            return good.ended, revoked.ended

    assert asyncio.run(run()) == (False, True)
