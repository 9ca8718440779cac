"""What stands in until `start`: events wait in it, and it refuses nobody."""

from __future__ import annotations

import sys
from typing import Any

from sentinel.core.decision import Subject, Verdict
from sentinel.sdk.client import Client

_ANEW = (
    "`start` was not called in this worker of multiprocessing: events wait in memory and nothing is enforced "
    '(call it outside `if __name__ == "__main__"`, or as the `initializer` of the pool)'
)


class Unstarted(Client):
    """Warns where a worker of multiprocessing lacks the `start` of its parent: forkserver and spawn begin it anew.

    Linux begins workers by forkserver since Python 3.14; forked ones had all that the parent had.
    """

    def track(self, *given: Any, **more: Any) -> None:
        """Queue an event for the client that `start` makes."""
        self._say_in_a_worker()
        super().track(*given, **more)

    def match(self, subject: Subject) -> Verdict:
        """Return what a subject is told without a list."""
        self._say_in_a_worker()
        return super().match(subject)

    def _say_in_a_worker(self) -> None:
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            self.notes.warn("unstarted", _ANEW)
