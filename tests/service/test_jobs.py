"""The clock and its lease: every job runs, one process alone runs what is shared, and no fault stops the rest."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from apscheduler.events import EVENT_JOB_MAX_INSTANCES

from sentinel.core.duration import SECOND
from sentinel.core.errors import StoreBusy
from sentinel.service.figures import Figures
from sentinel.service.jobs import AGAIN, HOLD, LATE, Holder, Job, Jobs
from sentinel.store.embedded.store import open_store
from tests.api.served import wait_for

JOBS = "sentinel.service.jobs"


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


def test_a_store_that_takes_no_writes_is_told_of_until_it_does(leases, monkeypatch):
    holder = Holder(leases, Clock())
    with monkeypatch.context() as patched, pytest.raises(StoreBusy):
        patched.setattr(leases, "take", lambda *_: (_ for _ in ()).throw(StoreBusy("full")))
        holder.renew()
    assert holder.trouble() == "full"
    holder.renew()
    assert holder.trouble() is None


class Bench:
    def __init__(self, leases, jobs=()):
        self.clock = Clock()
        self.holder = Holder(leases, self.clock)
        self.figures = Figures()
        self.faults = []
        self.seconds = 0.0
        self.jobs = Jobs(
            jobs, self.holder, self.figures, lambda where, error: self.faults.append((where, error)),
            lambda: self.seconds,
        )  # fmt: skip

    @property
    def counted(self):
        ran = (sample for sample in self.figures.samples() if sample.name == "sentinel_jobs")
        return {sample.labels: sample.value for sample in ran if sample.labels[0] != "lease"}

    @property
    def late(self):
        return next(sample.value for sample in self.figures.samples() if sample.name == "sentinel_jobs_late")


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


def test_a_store_that_is_busy_when_jobs_begin_keeps_none_of_them_from_running(leases, monkeypatch):
    ran = threading.Event()
    bench = Bench(leases, [Job("own", 0.05, ran.set, shared=False)])
    with monkeypatch.context() as patched:
        patched.setattr(leases, "take", lambda *_: (_ for _ in ()).throw(StoreBusy("full")))
        bench.jobs.start()
    assert bench.holder.trouble() in ("full", None)
    assert ran.wait(60)
    bench.jobs.stop()


@pytest.mark.parametrize(("error", "outcome"), [(StoreBusy("full"), "failed"), (ZeroDivisionError(), "fault")])
def test_a_job_that_fails_is_counted_and_reported_and_ends_nothing(leases, error, outcome):
    def fail():
        raise error

    bench = Bench(leases)
    bench.jobs.run(Job("job", 1, fail, shared=False))
    assert bench.counted == {("job", outcome): 1}
    assert bench.faults == [("job", error)]


def test_a_job_that_goes_on_failing_is_counted_each_time_and_told_now_and_then(leases):
    """Told at once, when it fails otherwise, after some minutes, and when it fails anew after it had worked."""
    errors = []

    def fail():
        if errors:
            raise errors[-1]

    bench, job = Bench(leases), Job("job", 1, fail, shared=False)

    def told(error, seconds):
        errors[:] = [error] if error else []
        bench.seconds = seconds
        bench.jobs.run(job)
        found, bench.faults[:] = [str(one) for _, one in bench.faults], []
        return found

    assert told(StoreBusy("gone"), 0) == ["gone"]
    assert told(StoreBusy("gone"), 1) == told(StoreBusy("gone"), AGAIN - 1) == []
    assert told(StoreBusy("full"), AGAIN - 1) == ["full"]
    assert told(StoreBusy("full"), 2 * AGAIN) == ["full"]
    assert told(None, 2 * AGAIN) == []
    assert told(StoreBusy("full"), 2 * AGAIN) == ["full"]
    assert bench.counted == {("job", "failed"): 6, ("job", "done"): 1}


def test_the_clock_calls_jobs_again_and_again_until_it_is_stopped(leases):
    seen = threading.Semaphore(0)
    bench = Bench(leases, [Job("job", 0.01, seen.release)])
    bench.jobs.start()
    for _ in range(3):
        assert seen.acquire(timeout=60)
    bench.jobs.stop()
    assert not bench.holder.mine()
    bench.jobs.stop()


@pytest.mark.parametrize("shift", [timedelta(days=-1), timedelta(days=1), timedelta(days=57 * 365)])
def test_the_clock_goes_on_where_that_of_the_machine_is_set(leases, monkeypatch, shift):
    """No job ran until the time was as late again; ahead, each was reckoned through all the turns between."""
    shifted = [timedelta()]

    class Set(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + shifted[0]

    for module in (JOBS, "apscheduler.schedulers.base", "apscheduler.triggers.interval"):
        monkeypatch.setattr(f"{module}.datetime", Set)
    seen = threading.Semaphore(0)
    bench = Bench(leases, [Job("job", 0.01, seen.release, shared=False)])
    bench.jobs.start()
    assert seen.acquire(timeout=60)
    shifted[0] = shift
    for _ in range(20):
        assert seen.acquire(timeout=60)
    bench.jobs.stop()


def test_a_job_can_be_wanted_at_once(leases):
    seen = threading.Semaphore(0)
    bench = Bench(leases, [Job("hourly", 3600, seen.release)])
    bench.jobs.start()
    bench.jobs.soon("hourly")
    assert seen.acquire(timeout=60)
    bench.jobs.stop()


class Stuck:
    """A job that waits to be let go."""

    def __init__(self):
        self.go = threading.Event()

    def __call__(self):
        assert self.go.wait(60)


def skipped(bench, times):
    """Return a wait for the clock to find a job at work so many times."""
    left = threading.Semaphore(0)
    bench.jobs._scheduler.add_listener(lambda event: left.release(), EVENT_JOB_MAX_INSTANCES)
    return lambda: [left.acquire(timeout=60) for _ in range(times)]


def test_a_job_that_is_at_work_when_its_time_comes_is_no_news(leases, caplog):
    caplog.set_level("INFO")
    work = Stuck()
    bench = Bench(leases, [Job("project", 0.01, work)])
    wait = skipped(bench, 5)
    bench.jobs.start()
    assert all(wait())
    work.go.set()
    bench.jobs.stop()
    assert [line for line in caplog.records if "instances" in line.message] == []
    assert (bench.faults, bench.late) == ([], 0)


def test_a_job_that_hangs_is_told_of_once_and_counted_until_it_is_done(leases):
    work = Stuck()
    bench = Bench(leases, [Job("project", 0.01, work)])
    wait = skipped(bench, 1)
    bench.jobs.start()
    assert all(wait())  # the clock says that a job began only after it did: by now it has said so
    bench.seconds = LATE + 1
    assert all(skipped(bench, 20)())
    ((where, error),) = bench.faults
    assert (where, error.message, bench.late) == ("project", "the job has been at work for 121 s", 1)
    work.go.set()
    wait_for(lambda: bench.late == 0)
    bench.jobs.stop()
