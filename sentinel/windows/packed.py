"""The hits of a plain `count`, as bytes: 24 a hit, in time order.

A record is 8 bytes of time (shifted left by one; the lowest bit says whether the id is a UUID) and 16 of id. Hits of
equal time are in any order. In each cell of one window's length at most the first n and the last n are kept: a hit
between them has n before it in its cell, so it was examined when it became a crossing, and no window's count of up to n
changes without it. Keeping the newest n alone is wrong once events come late.
"""

from __future__ import annotations

from collections.abc import Iterator

RECORD = 24
MOST = 32


def record(id: str, at: int) -> bytes | None:
    """Return the record of a hit, None where the id does not fit one: it is kept otherwise."""
    packed = pack_id(id)
    return None if packed is None else (at << 1 | packed[0]).to_bytes(8, "big") + packed[1]


def pack_id(text: str) -> tuple[int, bytes] | None:
    """Return the lowest bit and the 16 bytes of an id, or None for one that does not fit: it is kept otherwise."""
    if len(text) == 36 and text[8:24:5] == "----" and text == text.lower():
        try:
            raw = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            return None
        return (1, raw) if len(raw) == 16 else None  # it passes over spaces
    raw = text.encode("utf-8", "surrogatepass")
    return (0, raw.ljust(16, b"\0")) if len(raw) <= 16 else None


def unpack(state: bytes, index: int) -> tuple[int, str]:
    """Return time and id of the record at `index`."""
    record = state[index * RECORD : (index + 1) * RECORD]
    head = int.from_bytes(record[:8], "big")
    if not head & 1:
        return head >> 1, record[8:].rstrip(b"\0").decode("utf-8", "surrogatepass")
    text = record[8:].hex()
    return head >> 1, f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_at(state: bytes, index: int) -> int:
    """Return the time of the record at `index`, which may count from the end."""
    start = index * RECORD
    if start < 0:
        start += len(state)
    return int.from_bytes(state[start : start + 8], "big") >> 1


def append(state: bytes, record: bytes, at: int, n: int, window: int, keep: int) -> bytes:
    """Add a record no older than the newest; forget what lies `keep` microseconds back, and the cell's middle."""
    size = len(state)
    if size >= n * RECORD:
        if size >= 2 * n * RECORD and time_at(state, -2 * n) // window == at // window:
            state = state[: size - n * RECORD] + state[size - (n - 1) * RECORD :]
        stale = 0
        while stale < len(state) and int.from_bytes(state[stale : stale + 8], "big") >> 1 <= at - keep:
            stale += RECORD
        if stale:
            state = state[stale:]
    return state + record


def place(state: bytes, at: int) -> int:
    """Return the index a record of time `at` goes to: behind all that are not newer."""
    index = len(state) // RECORD
    while index and time_at(state, index - 1) > at:
        index -= 1
    return index


def insert(state: bytes, record: bytes, at: int, n: int, window: int) -> bytes:
    """Add a record older than the newest, keeping the bound of its cell."""
    offset = place(state, at) * RECORD
    state = state[:offset] + record + state[offset:]
    cell = at // window
    first = last = offset // RECORD
    while first and time_at(state, first - 1) // window == cell:
        first -= 1
    while last + 1 < len(state) // RECORD and time_at(state, last + 1) // window == cell:
        last += 1
    if last - first + 1 <= 2 * n:
        return state
    return state[: (first + n) * RECORD] + state[(last + 1 - n) * RECORD :]


def holds(state: bytes, record: bytes) -> bool:
    """Say whether this very record (time and id) is kept."""
    offset = state.find(record)
    while offset >= 0 and offset % RECORD:
        offset = state.find(record, offset + 1)
    return offset >= 0


def reaches(state: bytes, at: int, n: int, window: int) -> bool:
    """Say whether the window that ends at `at` holds n hits."""
    behind = place(state, at)
    return behind >= n and time_at(state, behind - n) > at - window


def crossings(state: bytes, at: int, n: int, window: int) -> Iterator[tuple[int, str]]:
    """Yield (time, id) of the kept crossings in [at, at + window), ascending."""
    total = len(state) // RECORD
    index = place(state, at - 1)
    while index < total:
        time = time_at(state, index)
        if time >= at + window:
            return
        behind = index + 1
        while behind < total and time_at(state, behind) == time:
            behind += 1
        if behind >= n and time_at(state, behind - n) > time - window:
            yield from sorted(unpack(state, i) for i in range(index, behind))
        index = behind
