"""The clock and its lease: every job runs, one process alone runs what is shared, and no fault stops the rest."""

from __future__ import annotations

import threading

import pytest

from sentinel.core.duration import SECOND
from sentinel.core.errors import StoreBusy
from sentinel.service.figures import Figures
from sentinel.service.jobs import HOLD, Holder, Job, Jobs
from sentinel.store.embedded import open_store


@pytest.fixture
def leases(tmp_path):
    store = open_store(tmp_path / "data")
    yield store.leases
    store.close()


class Clock:
    def __init__(self):
        self.now = 1000

    def __call__(self):
        return self.now


def test_one_holder_at_a_time_has_the_shared_jobs(leases):
    clock = Clock()
    one, other = Holder(leases, clock), Holder(leases, clock)
    one.renew()
    other.renew()
    assert (one.mine(), other.mine()) == (True, False)


def test_a_holder_that_dies_is_followed_when_its_lease_is_over(leases):
    clock = Clock()
    one, other = Holder(leases, clock), Holder(leases, clock)
    one.renew()
    clock.now += HOLD - 1
    other.renew()
    assert not other.mine()
    clock.now += 1
    other.renew()
    assert (one.mine(), other.mine()) == (False, True)
    one.renew()
    assert not one.mine()


def test_a_holder_that_renews_keeps_them(leases):
    clock = Clock()
    one, other = Holder(leases, clock), Holder(leases, clock)
    for _ in range(5):
        one.renew()
        other.renew()
        clock.now += HOLD - SECOND
        assert (one.mine(), other.mine()) == (True, False)


def test_a_holder_that_stops_lets_the_next_begin_at_once(leases):
    clock = Clock()
    one, other = Holder(leases, clock), Holder(leases, clock)
    one.renew()
    one.release()
    one.release()
    other.renew()
    assert (one.mine(), other.mine()) == (False, True)


class Bench:
    def __init__(self, leases, jobs=()):
        self.clock = Clock()
        self.holder = Holder(leases, self.clock)
        self.figures = Figures()
        self.faults = []
        self.jobs = Jobs(jobs, self.holder, self.figures, lambda where, error: self.faults.append((where, error)))

    @property
    def counted(self):
        return {sample.labels: sample.value for sample in self.figures.samples() if sample.labels[0] != "lease"}


def test_shared_jobs_run_only_under_the_lease_and_the_others_always(leases):
    ran = []
    bench = Bench(leases)
    jobs = [Job("shared", 1, lambda: ran.append("shared")), Job("own", 1, lambda: ran.append("own"), shared=False)]
    for job in jobs:
        bench.jobs.run(job)
    assert ran == ["own"]
    bench.holder.renew()
    for job in jobs:
        bench.jobs.run(job)
    assert ran == ["own", "shared", "own"]
    assert bench.counted == {("own", "done"): 2, ("shared", "done"): 1}


@pytest.mark.parametrize(("error", "outcome"), [(StoreBusy("full"), "failed"), (ZeroDivisionError(), "fault")])
def test_a_job_that_fails_is_counted_and_reported_and_ends_nothing(leases, error, outcome):
    def fail():
        raise error

    bench = Bench(leases)
    bench.jobs.run(Job("job", 1, fail, shared=False))
    assert bench.counted == {("job", outcome): 1}
    assert bench.faults == [("job", error)]


def test_the_clock_calls_jobs_again_and_again_until_it_is_stopped(leases):
    seen = threading.Semaphore(0)
    bench = Bench(leases, [Job("job", 0.01, seen.release)])
    bench.jobs.start()
    for _ in range(3):
        assert seen.acquire(timeout=10)
    bench.jobs.stop()
    assert not bench.holder.mine()
    bench.jobs.stop()


def test_a_job_can_be_wanted_at_once(leases):
    seen = threading.Semaphore(0)
    bench = Bench(leases, [Job("hourly", 3600, seen.release)])
    bench.jobs.start()
    bench.jobs.soon("hourly")
    assert seen.acquire(timeout=10)
    bench.jobs.stop()
