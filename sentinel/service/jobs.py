"""When upkeep runs: a scheduler that calls plain functions, and the lease by which only one process runs them.

APScheduler's own job store cannot be shared between processes, so jobs are in memory and a row in the database says
which process runs them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from sentinel.core.duration import SECOND
from sentinel.core.errors import SentinelError, StoreBusy, fault
from sentinel.core.record import Lease
from sentinel.service.figures import Figures, Sample
from sentinel.service.ports import Leases

LEASE = "jobs"
RENEW = 1.0
HOLD = 7 * SECOND // 2  # a leader that was killed is followed within five seconds
THREADS = 4
AGAIN = 300.0  # seconds after which a job that fails and fails in the same way is told of again
LEAPT = timedelta(minutes=1)  # by which a job may be behind its turn, where its own interval is less
LATE = 120.0  # seconds after which a job that is still at work, or waits for a thread, is told of


class Job(NamedTuple):
    """What is called every so many seconds; `shared` jobs run in one process alone, the others in each."""

    name: str
    every: float
    run: Callable[[], object]
    shared: bool = True


class Holder:
    """This process's claim to the shared jobs."""

    def __init__(self, leases: Leases, clock: Callable[[], int]) -> None:
        self._leases = leases
        self._clock = clock
        self._name = secrets.token_hex(8)
        self._lease: Lease | None = None
        self._failed: str | None = None

    def renew(self) -> None:
        """Take the lease, or hold on to it."""
        now = self._clock()
        try:
            self._lease = self._leases.take(LEASE, self._name, now + HOLD, now)
        except SentinelError as error:
            self._failed = str(error)
            raise
        self._failed = None

    def trouble(self) -> str | None:
        """Return why the lease could not be written last time, None where it could."""
        return self._failed

    def mine(self) -> bool:
        """Say whether the jobs are this process's."""
        return self._lease is not None and self._leases.holds(self._lease, self._clock())

    def release(self) -> None:
        """Let another process have them at once."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(StoreBusy):  # then it ends by itself
                self._leases.release(lease)


class _Clock(BackgroundScheduler):  # type: ignore[misc]
    """A scheduler that runs every job at once after the machine's clock was set.

    APScheduler would wait until the clock shows the old time again, or go through every run that was passed over.
    """

    def _process_jobs(self) -> float | None:
        now = datetime.now(UTC)
        for job in self.get_jobs():
            every = job.trigger.interval
            if not now - max(every, LEAPT) < job.next_run_time <= now + every:
                job.modify(next_run_time=now)
        wait: float | None = super()._process_jobs()
        return None if wait is None else min(wait, RENEW)  # the clock may be set within this very turn


class Jobs:
    """Runs jobs at their times. One that fails is counted and reported, and runs again when its time comes.

    One that keeps failing in the same way is counted each time, and reported again after AGAIN. One that is still
    running when its time comes is not run twice; if it runs for LATE, that is reported once. `steady` gives seconds
    that never jump.
    """

    def __init__(
        self, jobs: Iterable[Job], holder: Holder, figures: Figures, fault: Callable[[str, BaseException], None],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._holder = holder
        self._figures = figures
        self._fault = fault
        self._steady = steady
        self._since: dict[str, float] = {}
        self._late: set[str] = set()
        self._told: dict[str, tuple[float, str]] = {}  # when each job's failure was told last, and what it was
        figures.sources.append(self._samples)
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # what it warns of is told below
        self._scheduler = _Clock(
            executors={"default": ThreadPoolExecutor(THREADS), LEASE: ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        self._scheduler.add_listener(self.heard, EVENT_JOB_SUBMITTED | EVENT_JOB_EXECUTED | EVENT_JOB_MAX_INSTANCES)
        self._lease = Job("lease", RENEW, holder.renew, shared=False)
        self._add(self._lease, LEASE)  # which waits for no other job
        for job in jobs:
            self._add(job)

    def _add(self, job: Job, executor: str = "default") -> None:
        self._scheduler.add_job(self.run, "interval", seconds=job.every, args=[job], id=job.name, executor=executor)

    def start(self) -> None:
        """Begin, with the lease."""
        self.run(self._lease)
        self._scheduler.start()

    def soon(self, name: str) -> None:
        """Let a job run at once, and then as often as it does."""
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """End, after the jobs that run now."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        self._holder.release()

    def heard(self, event: JobEvent) -> None:
        """Note an event of the scheduler: a job was handed to a thread, is done, or was due while still running."""
        name, now = event.job_id, self._steady()
        if event.code == EVENT_JOB_SUBMITTED:
            self._since[name] = now
        elif event.code == EVENT_JOB_EXECUTED:
            self._late.discard(name)
        elif name not in self._late and now - self._since.get(name, now) >= LATE:
            self._late.add(name)
            hint = "it hangs, or has too much to do: this is not said again before it is done"
            self._fault(name, SentinelError(f"the job has been at work for {now - self._since[name]:.0f} s", hint))

    def _samples(self) -> Iterator[Sample]:
        yield Sample("sentinel_jobs_late", (), len(self._late))

    def run(self, job: Job) -> None:
        """Run a job now, if it is this process's to run."""
        try:
            if job.shared and not self._holder.mine():
                return
            job.run()
        except SentinelError as error:
            self._failed(job.name, "failed", error)
        except Exception as error:  # noqa: BLE001  one job's fault must not end the others
            self._failed(job.name, "fault", error)
        else:
            self._told.pop(job.name, None)
            self._figures.count("sentinel_jobs", job.name, "done")

    def _failed(self, name: str, outcome: str, error: Exception) -> None:
        self._figures.count("sentinel_jobs", name, outcome)
        now, what = self._steady(), fault(error)
        since, before = self._told.get(name, (now, ""))
        if what != before or now >= since + AGAIN:
            self._told[name] = now, what
            self._fault(name, error)
