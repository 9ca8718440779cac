"""Whether the state of windows in Redis or Valkey is complete: marks beside it, and which process may rebuild it.

There is a mark in every bucket, so that each server of a cluster has one. It holds the epoch of the last rebuilding.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sentinel.windows.link import Command, Link, fields, script
from sentinel.windows.names import BUCKETS, Names

THERE = 15_000  # milliseconds for which a process that said nothing more is taken to be there


class State:
    """The marks of one app. A watch is named by what tells its version too."""

    def __init__(self, link: Link, names: Names) -> None:
        self._link = link
        self._names = names
        self._ready = names.of_bucket(0, "ready")
        self._rebuilding = names.of_bucket(0, "rebuilding")
        self._beside = names.of_bucket(0, "beside")

    def ready(self) -> bytes | None:
        """Return the epoch of the state if it is whole, else None."""
        marks = [Command(name, ("GET", name)) for name in self._epochs()]
        *epochs, ready = self._link.call([*marks, Command(self._ready, ("HMGET", self._ready, "runs", "epoch"))])
        epoch: bytes | None = epochs[0]
        runs, noted = ready
        if self._link.forgetful and runs != self._runs():
            return None
        return epoch if epoch is not None and {*epochs, noted} == {epoch} else None

    def missing(self, epoch: bytes, watches: Sequence[str]) -> list[str]:
        """Return which of these watches the state of an epoch does not have. One watch at least must be given."""
        states = self._link.one(Command(self._ready, ("HMGET", self._ready, *watches)))
        return [watch for watch, state in zip(watches, states, strict=True) if state != epoch]

    def unmark(self) -> None:
        """Remove the marks: the state is not whole, and no process takes anything in."""
        self._link.call([Command(name, ("DEL", name)) for name in self._epochs()])

    def mark(self, epoch: bytes, watches: Iterable[str]) -> None:
        """Mark the state of watches as whole, and every bucket with the epoch."""
        self._link.call([Command(name, ("SET", name, epoch)) for name in self._epochs()])
        self._link.one(Command(self._ready, ("HSET", self._ready, "runs", self._runs())))
        self.note(epoch, watches)

    def note(self, epoch: bytes, watches: Iterable[str]) -> None:
        """Mark the state of watches as whole, that of their other versions no longer: those get no more hits."""
        names = list(watches)
        named = [part for name in names for part in (name, epoch)]
        known = self._link.one(Command(self._ready, ("HKEYS", self._ready)))
        ids = {name.rpartition(":")[0] for name in names}
        over = [field for field in map(bytes.decode, known) if field.rpartition(":")[0] in ids and field not in names]
        commands = [Command(self._ready, ("HSET", self._ready, "epoch", epoch, *named))]
        if over:
            commands.append(Command(self._ready, ("HDEL", self._ready, *over)))
        self._link.call(commands)

    def let_go(self, watch: str) -> None:
        """Remove the mark of a watch, with the next call: this process gives it no more hits."""
        self._link.later([Command(self._ready, ("HDEL", self._ready, watch))])

    def keep(self, watches: Container[str]) -> None:
        """Remove the marks of all other watches."""
        known = map(bytes.decode, self._link.one(Command(self._ready, ("HKEYS", self._ready))))
        over = [name for name in known if name not in ("runs", "epoch") and name not in watches]
        if over:
            self._link.one(Command(self._ready, ("HDEL", self._ready, *over)))

    def beside(self, watches: Iterable[str]) -> list[set[str]]:
        """Announce this process and its watches; return the watches of each other process that did so lately."""
        told = script("beside", self._beside, self._link.own, THERE, " ".join(watches))
        return [set(one.decode().split()) for one in self._link.one(told)]

    def _runs(self) -> bytes:
        """Return the ids of the servers' runs, sorted and joined by commas: a server started anew has another."""
        runs = sorted(fields(answer)["run_id"] for answer in self._link.everywhere("INFO", "server"))
        return ",".join(runs).encode()

    def _epochs(self) -> Iterator[str]:
        return (self._names.of_bucket(bucket, "epoch") for bucket in range(BUCKETS))

    @contextmanager
    def turn(self, token: str, lasting: int) -> Iterator[bool]:
        """Claim the right to rebuild for `lasting` milliseconds or until the block is left; give whether it was had."""
        key = self._rebuilding
        mine = self._link.one(Command(key, ("SET", key, token, "NX", "PX", lasting))) is not None
        mine = mine or self._link.one(Command(key, ("GET", key))) == token.encode()  # the answer was lost
        try:
            yield mine
        finally:
            if mine:
                self._link.one(Command(key, ("DEL", key)))

    def stay(self, lasting: int) -> None:
        """Go on rebuilding for so many milliseconds more."""
        self._link.one(Command(self._rebuilding, ("PEXPIRE", self._rebuilding, lasting)))
