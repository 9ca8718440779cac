"""The order of arrival: which positions events get, and up to which position nothing can come in between any more.

A position is a block's number and an event's index in it, as in the embedded journal. Blocks are handed out before
their commit, so a later one may be committed first. Each writer therefore locks, while it writes, the number of the
last block before its own: below the least of these all is decided.
"""

from __future__ import annotations

import threading
import time
from hashlib import blake2b

from sqlalchemy import Connection

from sentinel.core.errors import StoreBusy
from sentinel.store.arrival import BITS, END
from sentinel.store.postgres.control import Control

SIZE = END + 1  # events in one block
PATIENCE, PAUSE = 20.0, 0.02  # seconds: for those who write to be done; between two looks
_NUMBER = (1 << 48) - 1
_LAST = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_position"
_WRITING = (  # each by its process and its transaction
    "SELECT pid || ' ' || backend_xid FROM pg_stat_activity "
    "WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
)
_TAKE = (  # locked first: what is made for the query is whole before a row of it goes on
    f"WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%s | ({_LAST}))) "  # noqa: S608
    "SELECT nextval('event_position') FROM held, generate_series(1, %s)"
)
_LEAST = (
    "SELECT min(((classid::bigint << 32) | objid::bigint) & %s) FROM pg_locks WHERE locktype = 'advisory' "
    "AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (((classid::bigint << 32) | objid::bigint) & ~%s::bigint) = %s"
)


class Place:
    """Where the store is in the order of arrival, as far as this process knows."""

    def __init__(self, control: Control) -> None:
        self._room = int.from_bytes(blake2b(control.schema.encode(), digest_size=2).digest(), "big", signed=True) << 48
        self._lock = threading.Lock()
        self.last = 0
        with control.read() as connection:
            self.learn(connection.exec_driver_sql(_LAST).scalar_one())

    @property
    def position(self) -> int:
        """The position after the newest block known, 0 before the first."""
        return self.last << BITS | END if self.last else 0

    def learn(self, block: int) -> None:
        """Learn that a block was committed."""
        with self._lock:
            self.last = max(self.last, block)

    def hear(self, position: int) -> None:
        """Learn up to where everything was committed, by whichever process."""
        self.learn(position >> BITS)

    def take(self, connection: Connection, blocks: int) -> list[int]:
        """Return the numbers of new blocks for the transaction under way."""
        return list(connection.exec_driver_sql(_TAKE, (self._room, blocks)).scalars())

    def settle(self, control: Control) -> None:
        """Wait until all who write now are done, and know all that they wrote; raises StoreBusy after PATIENCE."""
        with control.read() as connection:
            writing = set(connection.exec_driver_sql(_WRITING).scalars())
        end = time.monotonic() + PATIENCE
        while writing:
            if time.monotonic() > end:
                raise StoreBusy("somebody has been writing to the database for long", retry_after=5)
            time.sleep(PAUSE)
            with control.read() as connection:
                writing &= set(connection.exec_driver_sql(_WRITING).scalars())
        with control.read() as connection:
            self.learn(connection.exec_driver_sql(_LAST).scalar_one())

    def decided(self, connection: Connection) -> int:
        """Return the last position before which nothing will come in; what is there is seen by the next statement."""
        last: int = connection.exec_driver_sql(_LAST).scalar_one()
        least = connection.exec_driver_sql(_LEAST, (_NUMBER, _NUMBER, self._room)).scalar_one()
        last = last if least is None else min(last, least)
        return last << BITS | END if last else 0
