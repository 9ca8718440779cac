"""Many senders before one writer: who shares a commit, who is told to come back, and whose fault costs whom what."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.service import intake as module
from sentinel.service.intake import Busy, Intake, Receipt, Sending
from tests.api.served import wait_for

RECEIPT = Receipt(1, 0, 7)


def sending(app, events=1):
    return Sending(app, [None] * events, "sdk")


class Writer:
    """What is written, group by group, while it may; `poison` is the app whose sendings bring up a fault."""

    def __init__(self):
        self.groups = []
        self.poison = None
        self.fails = None
        self.at_work, self.go_on = threading.Event(), threading.Event()

    def process(self, sendings):
        self.at_work.set()
        assert self.go_on.wait(60)
        self.groups.append([one.app for one in sendings])
        if self.fails:
            raise self.fails
        if self.poison in self.groups[-1]:
            raise ZeroDivisionError("by hand")
        return [RECEIPT] * len(sendings)


@contextmanager
def running(writer, **options):
    intake = Intake(writer.process, **options)
    intake.start()
    try:
        yield intake
    finally:
        writer.go_on.set()
        intake.stop()


@pytest.fixture
def writer():
    return Writer()


def together(intake, writer, *sendings):
    """Let all but the first wait for its commit, and share the next; return their futures."""
    futures = [intake.submit(sendings[0])]
    assert writer.at_work.wait(60)
    futures += map(intake.submit, sendings[1:])
    writer.go_on.set()
    return futures


def test_who_waits_for_a_commit_shares_the_next(writer):
    with running(writer) as intake:
        futures = together(intake, writer, *map(sending, "abc"))
        assert [future.result(60) for future in futures] == [RECEIPT] * 3
    assert writer.groups == [["a"], ["b", "c"]]


def test_a_commit_takes_so_many_events_and_no_sending_in_part(writer, monkeypatch):
    monkeypatch.setattr(module, "MOST_EVENTS", 10)
    with running(writer) as intake:
        sizes = {"a": 1, "b": 6, "c": 4, "d": 1, "e": 50, "f": 1}
        for future in together(intake, writer, *(sending(app, size) for app, size in sizes.items())):
            future.result(60)
    assert writer.groups == [["a"], ["b", "c"], ["d"], ["e"], ["f"]]


def test_a_fault_that_one_sending_brings_up_costs_no_other(writer):
    """A neighbour who sends such events again and again would else keep everybody out."""
    writer.poison = "b"
    with running(writer) as intake:
        first, *futures = together(intake, writer, *map(sending, "xabc"))
        assert [future.exception(60) is None for future in (first, *futures)] == [True, True, False, True]
        with pytest.raises(Exception, match=r"^ZeroDivisionError$"):
            futures[1].result(60)


def test_a_store_that_takes_nothing_is_asked_once_for_all_and_told_of_once(writer):
    writer.fails, told = StoreBusy("the disk is full"), []
    with running(writer, fault=told.append) as intake:
        futures = together(intake, writer, *map(sending, "xabc"))
        assert [future.exception(60) for future in futures] == [writer.fails] * 4
        assert intake.trouble() == "the disk is full"
        writer.fails = None
        intake.submit(sending("d")).result(60)
        assert intake.trouble() is None
    assert writer.groups == [["x"], ["a", "b", "c"], ["d"]]
    assert [str(one) for one in told] == ["the disk is full"]


def test_what_could_not_be_written_is_told_until_something_could_be(writer):
    """However little comes: a proxy that goes by it would else send more at once."""
    writer.go_on.set()
    writer.fails, now, told = StoreBusy("the disk is full"), [0.0], []

    def full():
        raise StoreBusy("it is still full")

    with running(writer, fault=told.append, steady=lambda: now[0]) as intake:
        assert intake.submit(sending("a")).exception(60) is writer.fails
        now[0] = module.RECENT - 1
        intake.look_again(lambda: pytest.fail("it is too early to look"))
        assert intake.trouble() == "the disk is full"
        now[0] = 3600.0
        assert intake.trouble() == "the disk is full"
        intake.look_again(full)
        assert intake.trouble() == "it is still full"
        now[0] += module.RECENT
        intake.look_again(lambda: None)
        assert intake.trouble() is None
        intake.look_again(lambda: pytest.fail("there is nothing to look for"))
    assert [str(one) for one in told] == ["the disk is full"]


def test_only_so_many_wait_and_the_others_are_told_to_come_back(writer):
    with running(writer, most_waiting=2) as intake:
        intake.submit(sending("a"))
        assert writer.at_work.wait(60)
        waiting = [intake.submit(sending(app)) for app in "bc"]
        with pytest.raises(Busy, match="too many requests wait"):
            intake.submit(sending("d"))
        writer.go_on.set()
        assert [future.result(60) for future in waiting] == [RECEIPT] * 2


def test_who_gave_up_waiting_is_not_written(writer):
    """It was told to send again, and will."""
    with running(writer) as intake:
        intake.submit(sending("a"))
        assert writer.at_work.wait(60)
        gone, here = intake.submit(sending("b")), intake.submit(sending("c"))
        assert gone.cancel()
        writer.go_on.set()
        here.result(60)
    assert writer.groups == [["a"], ["c"]]


def test_where_all_who_waited_gave_up_those_who_come_after_are_written(writer):
    """The writer's thread took that for its end: the server took no event any more."""
    with running(writer) as intake:
        first = intake.submit(sending("a"))
        assert writer.at_work.wait(60)
        assert intake.submit(sending("b")).cancel()
        writer.go_on.set()
        first.result(60)
        wait_for(lambda: not intake.waiting())
        assert intake.submit(sending("c")).result(60) == RECEIPT
    assert writer.groups == [["a"], ["c"]]


def test_a_stop_writes_what_waits_and_takes_nothing_more(writer):
    with running(writer) as intake:
        intake.submit(sending("a"))
        assert writer.at_work.wait(60)
        waits = intake.submit(sending("b"))
        intake.stop(0)
        with pytest.raises(Busy, match="stopping"):
            intake.submit(sending("c"))
        writer.go_on.set()
        assert waits.result(60) == RECEIPT
