"""The courier: everything due is delivered once it can be, tried again with patience, and given up visibly."""

from __future__ import annotations

import threading

import pytest

from sentinel.core.batch import Batch, Outgoing
from sentinel.core.duration import DAY, SECOND
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import App
from sentinel.service.figures import Figures
from sentinel.service.outbox import AT_ONCE, LOT, Courier
from sentinel.store.embedded.store import open_store
from tests.api.served import wait_for
from tests.prepared import prepared


class Failure(SentinelError):
    def __init__(self, message, final=False, after=0):
        super().__init__(message)
        self.final = final
        self.after = after


class Way:
    """Where deliveries go: `fails` holds what the next tries raise, `closed` holds them all up."""

    def __init__(self):
        self.fails = []
        self.delivered = []
        self.waits = {1: 5 * SECOND, 2: 20 * SECOND}
        self.open = threading.Event()
        self.open.set()
        self.hangs = set()  # channels that do not answer before it is open
        self.at_once = self.most = 0
        self.lock = threading.Lock()

    def deliver(self, delivery):
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            assert (self.hangs and delivery.channel not in self.hangs) or self.open.wait(60)
            if self.fails:
                raise self.fails.pop(0)
            self.delivered.append(delivery.key)
        finally:
            with self.lock:
                self.at_once -= 1

    def wait(self, attempts):
        return self.waits.get(attempts)


class Bench:
    def __init__(self, store):
        self.store = store
        self.way = Way()
        self.now = 1000
        self.mine = True
        self.faults = []
        self.figures = Figures()
        self.courier = Courier(
            store.outbox, self.way, lambda: self.now, self.figures, lambda: self.mine, self.faults.append
        )  # fmt: skip

    def send(self, *keys, channel="security"):
        rows = tuple(Outgoing(key, "notify", channel, {"n": 1}) for key in keys)
        with self.store.unit() as unit:
            unit.commit([Batch("one", self.now, outbox=rows)])

    def round(self):
        """Look once, and wait until everything handed out is settled."""
        count = self.courier.round()
        wait_for(lambda: not self.courier._under_way)
        return count

    @property
    def rows(self):
        return {row.key: row for row in self.store.outbox.list("one").items}

    @property
    def counted(self):
        return {sample.labels[0]: sample.value for sample in self.figures.samples()}


@pytest.fixture
def bench(tmp_path):
    store = open_store(prepared(tmp_path / "data"))
    store.access.add_app(App("one"), "test", 1)
    bench = Bench(store)
    yield bench
    bench.way.open.set()
    bench.courier.stop()
    store.close()


def test_what_is_due_is_delivered_once(bench):
    bench.send("a", "b")
    assert bench.round() == 2
    assert sorted(bench.way.delivered) == ["a", "b"]
    assert bench.round() == 0
    assert all(row.done == 1000 and row.attempts == 1 for row in bench.rows.values())
    assert bench.counted == {"delivered": 2}


def test_what_fails_waits_longer_each_time_and_then_is_given_up(bench):
    bench.way.fails = [Failure(f"no {n}") for n in range(3)]
    bench.send("a")
    for attempts, wait in ((1, 5 * SECOND), (2, 20 * SECOND)):
        bench.round()
        row = bench.rows["a"]
        assert (row.attempts, row.next_at, row.error, row.dead) == (
            attempts,
            bench.now + wait,
            f"no {attempts - 1}",
            False,
        )
        bench.now = row.next_at - 1
        assert bench.round() == 0
        bench.now += 1
    bench.round()
    assert (bench.rows["a"].dead, bench.rows["a"].error) == (True, "no 2")
    assert bench.counted == {"failed": 2, "given up": 1}


def test_what_can_never_succeed_is_given_up_at_once_and_may_be_revived(bench):
    bench.way.fails = [Failure("gone", final=True)]
    bench.send("a")
    bench.round()
    assert bench.rows["a"].dead
    bench.store.outbox.revive("one", bench.rows["a"].id, "somebody", bench.now)
    bench.round()
    assert bench.way.delivered == ["a"]


@pytest.mark.parametrize(("asked", "wait"), [(60 * SECOND, 60 * SECOND), (1, 5 * SECOND), (10**18, DAY)])
def test_a_receiver_may_ask_to_be_left_alone_for_a_while_but_not_for_ever(bench, asked, wait):
    bench.way.fails = [Failure("slow down", after=asked)]
    bench.send("a")
    bench.round()
    assert bench.rows["a"].next_at == bench.now + wait


def test_a_channels_fault_is_a_failed_attempt_and_reported(bench):
    bench.way.fails = [ZeroDivisionError("oops")]
    bench.send("a")
    bench.round()
    assert (bench.rows["a"].attempts, bench.rows["a"].error) == (1, "ZeroDivisionError: oops")
    assert isinstance(bench.faults[0], ZeroDivisionError)


def test_a_slow_delivery_is_not_begun_twice_and_holds_up_no_other(bench):
    bench.way.open.clear()
    bench.send("a")
    assert bench.courier.round() == 1
    assert bench.courier.round() == 0
    bench.way.open.set()
    wait_for(lambda: bench.rows["a"].done)
    assert bench.way.delivered == ["a"]


def test_few_are_under_way_at_once(bench):
    bench.way.open.clear()
    bench.send(*[str(n) for n in range(20)])
    bench.courier.round()
    wait_for(lambda: bench.way.at_once == AT_ONCE)
    bench.way.open.set()
    assert wait_for(lambda: not bench.courier._under_way)
    assert bench.way.most == AT_ONCE
    assert len(bench.way.delivered) == 20


@pytest.mark.parametrize("slow", ["dead", None])
def test_a_channel_that_does_not_answer_holds_up_no_other(bench, slow):
    """A receiver that takes ten seconds for each of thousands held up every channel of every app for hours."""
    bench.way.hangs = {slow}
    bench.way.open.clear()
    bench.send(*[f"slow {n}" for n in range(2 * LOT)], channel=slow)
    bench.send(*[f"{n}" for n in range(3)])
    bench.courier.round()
    assert wait_for(lambda: sorted(bench.way.delivered) == ["0", "1", "2"])
    bench.send("later")
    bench.courier.round()
    assert wait_for(lambda: "later" in bench.way.delivered)
    bench.way.open.set()


def test_many_channels_that_do_not_answer_hold_up_none_that_does(bench):
    bench.way.hangs = {f"dead {n}" for n in range(LOT // AT_ONCE)}
    bench.way.open.clear()
    for name in sorted(bench.way.hangs):
        bench.send(*[f"{name} {n}" for n in range(AT_ONCE + 1)], channel=name)
    bench.courier.round()
    bench.send("a")
    bench.courier.round()
    assert wait_for(lambda: bench.way.delivered == ["a"])
    bench.way.open.set()


def test_what_is_over_while_it_is_asked_what_is_due_is_not_delivered_again(bench, monkeypatch):
    bench.way.open.clear()
    bench.send("a")
    bench.courier.round()
    due = bench.store.outbox.due

    def slow(now, *rest):
        found = due(now, *rest)
        bench.way.open.set()
        wait_for(lambda: not bench.courier._under_way)
        return found

    monkeypatch.setattr(bench.store.outbox, "due", slow)
    assert bench.courier.round() == 0
    assert bench.way.delivered == ["a"]


def test_what_was_handed_out_is_another_process_s_once_that_has_taken_over(bench):
    """As after a machine was suspended: what was begun is finished, the rest is not made a second time."""
    bench.send(*map(str, range(20)))
    bench.way.open.clear()
    bench.courier.round()
    wait_for(lambda: bench.way.at_once == AT_ONCE)
    bench.mine = False
    bench.way.open.set()
    wait_for(lambda: not bench.courier._under_way)
    assert len(bench.way.delivered) == AT_ONCE
    bench.mine = True
    bench.round()
    assert sorted(bench.way.delivered, key=int) == [*map(str, range(20))]


def test_a_delivery_that_cannot_be_noted_is_made_again(bench, monkeypatch):
    bench.send("a")
    with monkeypatch.context() as patch:
        patch.setattr(bench.store.outbox, "done", lambda id, now: (_ for _ in ()).throw(StoreBusy("the disk is full")))
        bench.round()
    assert "the disk is full" in str(bench.faults[0])
    bench.round()
    assert bench.way.delivered == ["a", "a"]
    assert bench.rows["a"].done


class TestThread:
    def test_it_delivers_as_soon_as_it_is_told(self, bench):
        bench.courier.start()
        bench.send("a")
        bench.courier.hurry()
        assert wait_for(lambda: bench.rows["a"].done)

    def test_it_leaves_alone_what_is_another_processs_to_deliver(self, bench):
        bench.mine = False
        bench.courier.start()
        bench.send("a")
        bench.courier.hurry()
        bench.courier.stop()
        assert not bench.courier._thread.is_alive()
        assert bench.way.delivered == []

    def test_a_store_that_is_busy_does_not_end_it(self, bench, monkeypatch):
        monkeypatch.setattr("sentinel.service.outbox._BUSY", 0.01)
        due, calls = bench.store.outbox.due, []

        def busy(now, *rest):
            calls.append(now)
            if len(calls) == 1:
                raise StoreBusy("the disk is full")
            return due(now, *rest)

        monkeypatch.setattr(bench.store.outbox, "due", busy)
        bench.send("a")
        bench.courier.start()
        wait_for(lambda: bench.rows["a"].done)
