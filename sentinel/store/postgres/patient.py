"""A connection that is given up when the database has fallen silent: its processes stopped, its disk hanging.

TCP sees nothing wrong with such a host, and PostgreSQL's own timeouts do not run there. How connections are made and
what their failures mean is in `control`.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

SILENT = 10.0  # seconds in which no connection of this process heard a word, from the first that asked
TAKING = 30.0  # seconds for one statement of those who take events in: a disk may hang while what is read is at hand
READING = 30.0  # seconds for one that reads what is listed: some hold up those, and a job that waits is not run again
WRITING = 300.0  # seconds for one of all others who write, and hold up those, or look through the events of years
_LEAST = 0.5  # seconds for which any answer is waited for: this process may have been stopped itself

_INTERRUPT = 5.0  # seconds to reach the database over a connection of its own

Result = TypeVar("Result")


class Pulse:
    """Since when the database owes all connections of this process a word."""

    def __init__(self) -> None:
        self.taken = False  # whether somebody asks it little all the time: else one long answer looks like silence
        self.over = False  # whether nobody is to wait any more, however well the database is
        self._asked: float | None = None  # when it was asked first after it was heard last

    def take(self) -> None:
        """Begin to count: from here on somebody asks all the time."""
        self._asked = None
        self.taken = True

    def ask(self) -> None:
        """Note that something is asked."""
        if self._asked is None:
            self._asked = time.monotonic()

    def hear(self) -> None:
        """Note that something was heard."""
        self._asked = None

    def silent(self) -> bool:
        """Say whether the database has fallen silent, or is not waited for any more."""
        asked = self._asked
        return self.over or (self.taken and asked is not None and time.monotonic() - asked > SILENT)


class Patient(psycopg.Connection[Any]):
    """A connection that waits for no answer while the database is silent, nor longer than `longest` seconds."""

    pulse: Pulse | None = None
    longest: float | None = None
    since: float | None = None  # when it began to wait for what it waits for
    _listens = False  # whether it waits for what nobody asked for

    def wait(self, gen: PQGen[Result], *rest: Any, **more: Any) -> Result:
        """Return what comes of an exchange with the database; raises OperationalError where it is given up."""
        try:
            return super().wait(self._watched(gen), *rest, **more)
        finally:
            self.since = None

    def listen(self, seconds: float) -> None:
        """Return once it is notified of something, or after so many seconds."""
        self._listens = True
        try:
            for _ in self.notifies(timeout=seconds, stop_after=1):
                pass
        finally:
            self._listens = False

    def interrupt(self) -> None:
        """Break off what it waits for, from another thread, as far as the database can be reached."""
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=_INTERRUPT)

    def waited(self) -> float:
        """Return for how many seconds it has waited for what it waits for."""
        return 0.0 if (since := self.since) is None else time.monotonic() - since

    def _watched(self, gen: PQGen[Result]) -> Generator[Wait, Ready | int, Result]:
        self.since = time.monotonic()
        try:
            wanted = next(gen)
            if self.pulse is not None and not self._listens:
                self.pulse.ask()
            ready = yield wanted
            while True:
                if ready & Ready.R:
                    if self.pulse is not None:
                        self.pulse.hear()
                elif self._in_vain():
                    self.pgconn.finish()  # an answer that still comes belongs to nobody
                    raise psycopg.OperationalError(f"no answer for {self.waited():.0f} s")
                ready = yield gen.send(ready)
        except StopIteration as over:
            result: Result = over.value
            return result

    def _in_vain(self) -> bool:
        waited = self.waited()
        silent = self.pulse is not None and self.pulse.silent()
        return waited > _LEAST and (silent or (self.longest is not None and waited > self.longest))
