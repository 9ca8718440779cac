"""Events that bring up a fault of ours: each costs no other, and none is blamed for what all have."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.service import intake as module
from sentinel.service.intake import Intake, Receipt, Sending
from sentinel.store.embedded import unit
from tests.service.machine import Machine
from tests.service.stories import MINUTE, START, events, failed, playbook

PLACE = "203.0.113.9"


class Writer:
    """Writes texts that are events, but for those that bring up a fault; `asked` is what it was given, call by call."""

    def __init__(self, *bad, fault=ZeroDivisionError):
        self.bad, self.fault = set(bad), fault
        self.written, self.asked = [], []
        self.empty = True  # whether a sending without events is written

    def process(self, sendings):
        given = [event for one in sendings for event in one.events]
        self.asked.append(given)
        if self.bad.intersection(given) or not (given or self.empty):
            raise self.fault("jane@example.com")
        receipts = []
        for one in sendings:
            fresh = [event for event in one.events if event not in self.written]
            self.written += fresh
            receipts.append(Receipt(len(fresh), len(one.events) - len(fresh), len(self.written)))
        return receipts


@contextmanager
def running(process, **options):
    intake = Intake(process, **options)
    intake.start()
    try:
        yield lambda *given: intake.submit(Sending("shop", given, "sdk")).result(60)
    finally:
        intake.stop()


def names(number):
    return [f"e{n}" for n in range(number)]


@pytest.mark.parametrize("place", [0, 250, 499])
def test_one_of_many_is_left_out_alone_and_found_by_halving(place):
    writer = Writer(f"e{place}")
    with running(writer.process) as send:
        receipt = send(*names(500))
    assert (receipt.accepted, receipt.duplicates, receipt.revision) == (499, 0, 499)
    assert list(receipt.faults) == [place]
    assert writer.written == [name for name in names(500) if name != f"e{place}"]
    assert len(writer.asked) <= 2 * 10 + 1


def test_several_are_left_out_wherever_they_stand():
    writer = Writer("e0", "e3", "e4", "e18")
    with running(writer.process) as send:
        receipt = send(*names(19))
    assert (receipt.accepted, sorted(receipt.faults)) == (15, [0, 3, 4, 18])


def test_what_a_fault_says_is_not_told_but_its_kind_and_place():
    """It may hold what came with the event."""
    with running(Writer("a").process) as send:
        (error,) = send("a", "b").faults.values()
    assert str(error) == "ZeroDivisionError"
    assert error.__traceback__ is not None and error.__cause__ is None


def test_where_nothing_can_be_written_nothing_is_left_out():
    writer = Writer(*names(64))
    writer.empty = False
    with running(writer.process) as send:
        for given in (names(64), names(1)):
            with pytest.raises(Exception, match="ZeroDivisionError"):
                send(*given)
    assert len(writer.asked) <= 10


@pytest.mark.parametrize("fault", [MemoryError, OSError])
def test_no_event_is_blamed_where_the_machine_lacks_something(fault):
    with running(Writer("e1", fault=fault).process) as send:
        with pytest.raises(Exception, match=fault.__name__):
            send(*names(2))
        assert send("e0", "e2").duplicates == 1


def test_where_event_after_event_is_at_fault_it_is_not_they():
    """A few may be lost to a fault that all have; then they stay with their senders until one is written again."""
    writer = Writer(*names(module.MOST_LEFT_OUT + 2))
    with running(writer.process) as send:
        for name in names(module.MOST_LEFT_OUT):
            assert send(name).faults
        with pytest.raises(Exception, match="ZeroDivisionError"):
            send("e10")
        send("good")
        assert send("e10").faults
        send("good")
        assert send("e11").faults
        with pytest.raises(Exception, match="ZeroDivisionError"):
            [send(f"e{n % 12}") for n in range(12)]  # what was known already shows nothing


def test_one_sending_takes_so_many_tries_and_no_more():
    """One that holds much that brings up a fault must not hold up all others."""
    writer = Writer(*(f"e{n}" for n in range(0, 1000, 2)))
    with running(writer.process) as send, pytest.raises(Exception, match="ZeroDivisionError"):
        send(*names(1000))
    assert len(writer.asked) <= 4 * module.MOST_HALVED


def test_a_store_that_is_busy_meanwhile_leaves_all_of_it_with_its_sender():
    writer = Writer("e3")

    def process(sendings):
        receipts = writer.process(sendings)
        if "e2" in writer.asked[-1]:
            raise StoreBusy("the disk is full")
        return receipts

    with running(process) as send:
        with pytest.raises(StoreBusy):
            send(*names(4))
        assert writer.written[:2] == ["e0", "e1"]


@contextmanager
def sending(store, monkeypatch, *bad):
    """Give an engine, and what sends it events of which some cannot be written."""
    machine = Machine(store, [playbook(actions="[{block_ip: {for: 1h}}]")])
    machine.now = START + 10 * MINUTE
    packed = unit.packed

    def packing(app, given, unchecked):
        if any(event.id in bad for event in given):
            raise ZeroDivisionError("by hand")
        return packed(app, given, unchecked)

    monkeypatch.setattr(unit, "packed", packing)
    with running(machine.pipeline.process, left_out=machine.pipeline.left_out) as send:
        yield machine, lambda *raws: send(*events(raws))


def test_what_is_judged_again_counts_once(store, monkeypatch):
    """Two failures and one that is left out are no three; what was passed over is counted once."""
    with sending(store, monkeypatch, "bad") as (machine, send):
        receipt = send(failed("a", 0), failed("b", 1), failed("bad", 2, ip="198.51.100.1"), failed("no ip", 3, ip=None))
        assert (receipt.accepted, list(receipt.faults)) == (3, [2])
        assert (machine.findings, machine.blocked) == ([], [])
        assert dict(machine.pipeline.counts.skipped) == {("shop", "p", "a group field is missing"): 1}
        send(failed("c", 4))
        assert (machine.findings, machine.blocked) == ([(PLACE, 0, True)], [PLACE])


def test_what_is_left_out_holds_back_no_finding(store, monkeypatch):
    """It was the third failure, and there is no finding of it: the fourth makes one."""
    with sending(store, monkeypatch, "bad") as (machine, send):
        send(failed("a", 0), failed("b", 1))
        assert send(failed("bad", 2)).faults
        assert (machine.findings, machine.blocked) == ([], [])
        send(failed("c", 3))
        send(failed("d", 4))
        assert (machine.findings, machine.blocked) == ([(PLACE, 0, True)], [PLACE])


def test_what_was_found_with_those_beside_it_is_found_once(store, monkeypatch):
    with sending(store, monkeypatch, "bad") as (machine, send):
        assert send(failed("a", 0), failed("b", 1), failed("bad", 2)).faults
        send(failed("c", 3))
        send(failed("d", 4))
        assert (machine.findings, machine.blocked) == ([(PLACE, 0, True)], [PLACE])
