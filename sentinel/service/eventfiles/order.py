"""Events in the order of (time, id), each once: streamed where files are in order of time, else sorted on disk.

Repeats (the same time and id) are dropped here and counted; in the files' own order, what a server takes for a repeat.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import IO

import msgspec

from sentinel.core import identity, repeats
from sentinel.core.errors import InputError
from sentinel.core.event import Event
from sentinel.service.eventfiles.exported import event_of
from sentinel.service.eventfiles.reading import Batch

HELD = 100_000  # events of one time that are held back to be put in order
LOT = 500
PIECE = 200_000  # events sorted in memory at once, or fewer that come to as many bytes:
PIECE_BYTES = 64 << 20
FAN = 64  # files merged at once
KNOWN = 200_000  # so many of the newest identities are remembered at least, at most twice as many

_key = attrgetter("at", "id")


class Disorder(Exception):
    """An event is older than the one before it: nothing that came of the stream so far may be used."""


@dataclass(slots=True)
class Sorting:
    """What putting events in order came to: repeats dropped, and sorted pieces written to disk."""

    repeats: int = 0
    pieces: int = 0


def as_they_came(batches: Iterable[Batch], sorting: Sorting) -> Iterator[list[Event]]:
    """Give events in the order of their files without repeats: the same id on the same day (UTC), as sent."""
    young: set[repeats.Identity] = set()
    old: set[repeats.Identity] = set()
    for batch in batches:
        kept = []
        for event in batch.events:
            key = repeats.identity(event.sent, event.id)
            if key in young or key in old:
                continue
            if len(young) >= KNOWN:
                young, old = set(), young
            young.add(key)
            kept.append(event)
        sorting.repeats += len(batch.events) - len(kept)
        yield kept


def in_order(batches: Iterable[Batch], sorting: Sorting) -> Iterator[list[Event]]:
    """Give the events of a stream that keeps the order of time, those of one time by id; raises Disorder."""
    held: list[Event] = []  # those of the newest time: more of them may come
    newest = -1
    for batch in batches:
        ties = len(held) > 1
        for event in batch.events:
            at = event.at
            if at > newest:
                newest = at
            elif at == newest:
                ties = True
            else:
                raise Disorder
        ready = held + batch.events
        cut = len(ready)
        while cut and ready[cut - 1].at == newest:
            cut -= 1
        held = ready[cut:]
        if len(held) > HELD:
            raise Disorder
        yield _each_once(ready[:cut], sorting) if ties else ready[:cut]
    yield _each_once(held, sorting)


def _each_once(events: list[Event], sorting: Sorting) -> list[Event]:
    """Return events in order without repeats."""
    events.sort(key=_key)
    kept = events[:1]
    for event in events[1:]:
        if event.id != kept[-1].id or event.at != kept[-1].at:
            kept.append(event)
    sorting.repeats += len(events) - len(kept)
    return kept


def sort(
    batches: Iterable[Batch], sorting: Sorting, order: tuple[str, ...] = identity.DEFAULT_ORDER
) -> Iterator[list[Event]]:
    """Give the events of any stream in order, in bounded memory: sorted pieces are written to disk and merged.

    The files have no name, and are gone when all is given or the giving is ended. `order` says which identifiers
    name a user.
    """
    with ExitStack() as files:
        written: list[IO[bytes]] = []
        last: list[bytes] = []
        for piece in _pieces(batches):
            if last:
                written.append(_write(last, files, sorting))
            last = piece
            if len(written) == FAN:
                together = _write(heapq.merge(*map(_lines, written)), files, sorting)
                for file in written:
                    file.close()
                written = [together]
        found = _events(heapq.merge(*map(_lines, written), last), sorting, order)
        while lot := list(islice(found, LOT)):
            yield lot


def _pieces(batches: Iterable[Batch]) -> Iterator[list[bytes]]:
    """Give a stream in sorted pieces: events as lines that sort as the events do."""
    lines: list[bytes] = []
    size = 0
    for batch in batches:
        for json, event in zip(batch.lines(), batch.events, strict=True):
            line = b"%020d%s\0%s\n" % (event.at, event.id.encode(), json)
            lines.append(line)
            size += len(line)
        if len(lines) >= PIECE or size >= PIECE_BYTES:
            yield sorted(lines)
            lines, size = [], 0
    yield sorted(lines)


def _write(lines: Iterable[bytes], files: ExitStack, sorting: Sorting) -> IO[bytes]:
    try:
        file = files.enter_context(tempfile.TemporaryFile(prefix="sentinel-sort-"))  # noqa: SIM115 - `sort` closes it
        file.writelines(lines)
        file.flush()
    except OSError as error:
        problem = f"the events could not be sorted on disk: {error.strerror or error}"
        raise InputError(problem, "TMPDIR names a folder with more room") from None
    sorting.pieces += 1
    return file


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    return iter(file)


def _events(lines: Iterable[bytes], sorting: Sorting, order: tuple[str, ...]) -> Iterator[Event]:
    """Give the events of sorted lines, each once."""
    decode = msgspec.json.Decoder().decode
    last = b""
    for line in lines:
        key, _, json = line.partition(b"\0")
        if key == last:
            sorting.repeats += 1
            continue
        last = key
        yield event_of(decode(json), order)
