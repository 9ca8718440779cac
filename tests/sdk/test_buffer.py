"""The buffer under any order of calls: bounded, and every event accounted for."""

from __future__ import annotations

import threading

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sentinel.sdk.buffer import Buffer, Request


def under_way() -> Request:
    return Request({"status": None})


class BufferMachine(RuleBasedStateMachine):
    """A caller, a sender and a clock; what was put is waiting, under way, sent or dropped, and nothing else."""

    @initialize(size=st.integers(1, 6), bytes_=st.integers(1, 40), count=st.integers(1, 4))
    def begin(self, size, bytes_, count):
        self.size, self.bytes, self.count = size, bytes_, count
        self.buffer = Buffer(size, bytes_, count, 10.0)
        self.now = 0.0
        self.put = 0
        self.sent: list[int] = []
        self.flying: list = []
        self.requests: list[Request] = []

    @rule(size=st.integers(1, 15), urgent=st.booleans(), request=st.booleans())
    def add(self, size, urgent, request):
        about = under_way() if request else None
        if about is not None:
            self.requests.append(about)
        self.buffer.put({"n": self.put}, size, self.now, urgent, about)
        self.put += 1

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def answer(self):
        if self.requests:
            self.requests.pop().over = True

    @rule(most=st.integers(1, 5))
    def take(self, most):
        if not self.flying and self._something_may_go():
            self.flying = self.buffer.take(most, lambda: self.now)
            assert 0 < len(self.flying) <= most
            numbers = [item.event["n"] for item in self.flying]
            assert numbers == sorted(numbers)
            for item in self.flying:
                waited = self.now - item.came >= 10.0
                assert item.request is None or item.request.over or waited

    def _something_may_go(self):
        ready = [
            item for item in self.buffer._items
            if item.request is None or item.request.over or self.now - item.came >= 10.0
        ]  # fmt: skip
        return bool(ready) and self.buffer._due(self.now)

    @rule(part=st.integers(0, 5))
    def settle(self, part):
        gone, self.flying = self.flying[:part], self.flying[part:]
        self.buffer.settle(gone)
        self.sent += [item.event["n"] for item in gone]

    @invariant()
    def everything_is_accounted_for(self):
        if hasattr(self, "buffer"):
            waiting, dropped = len(self.buffer), self.buffer.dropped["full"]
            assert waiting + len(self.flying) + len(self.sent) + dropped == self.put

    @invariant()
    def it_is_bounded(self):
        if hasattr(self, "buffer"):
            assert len(self.buffer) <= self.size
            held = sum(item.size for item in self.buffer._items)
            assert held == self.buffer._held
            assert held <= self.bytes or len(self.buffer) == 1

    @invariant()
    def nothing_is_sent_twice(self):
        if hasattr(self, "buffer"):
            assert len(set(self.sent)) == len(self.sent)


TestBuffer = BufferMachine.TestCase


def test_an_event_of_a_request_under_way_waits_for_its_status_and_not_for_ever():
    buffer, request = Buffer(10, 1000, 2, 10.0), under_way()
    buffer.put({"n": 0}, 1, 0.0, request=request)
    buffer.put({"n": 1}, 1, 1.0)
    assert [item.event["n"] for item in buffer.take(9, lambda: 2.0)] == [1]
    request.over = True
    buffer.hurry()
    assert [item.event["n"] for item in buffer.take(9, lambda: 2.0)] == [0]
    buffer.put({"n": 2}, 1, 3.0, request=under_way())
    assert [item.event["n"] for item in buffer.take(9, lambda: 13.0)] == [2]


def test_what_is_urgent_stays_so_where_a_batch_has_no_room_for_it():
    buffer = Buffer(10, 1000, 9, 10.0)
    for n in range(4):
        buffer.put({"n": n}, 1, 0.0, urgent=n == 3)
    assert [item.event["n"] for item in buffer.take(3, lambda: 0.0)] == [0, 1, 2]
    assert [item.event["n"] for item in buffer.take(3, lambda: 0.0, until=0.0)] == [3]
    buffer.put({"n": 4}, 1, 0.0)
    assert buffer.take(3, lambda: 0.0, until=0.0) == []


def test_waiting_for_everything_ends_when_it_was_sent_or_dropped():
    buffer = Buffer(10, 1000, 100, 10.0)
    buffer.put({}, 1, 0.0)
    taken = buffer.take(9, lambda: 10.0)
    assert not buffer.wait_settled(0.0, lambda: 1.0)
    waiter: list[bool] = []
    thread = threading.Thread(target=lambda: waiter.append(buffer.wait_settled(1e9, lambda: 0.0)))
    thread.start()
    buffer.settle(taken, "refused")
    thread.join(60)
    assert waiter == [True]
    assert buffer.dropped == {"refused": 1}


def test_closing_gives_what_is_left_and_then_nothing():
    buffer = Buffer(10, 1000, 100, 10.0)
    buffer.put({}, 1, 0.0, request=under_way())
    buffer.close()
    assert len(buffer.take(9, lambda: 0.0)) == 1
    assert buffer.take(9, lambda: 0.0) == []
