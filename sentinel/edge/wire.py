"""Small helpers for plain ASGI: headers, bodies, answers. No route is known here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from sentinel.edge.errors import ApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST = 8 * 1024 * 1024
MOST_HELD = 128 * 1024 * 1024  # bytes of bodies that are not read yet
PIECE = 64 * 1024
PATIENCE = 30.0  # seconds in which a body must have come
_LUMP = 500  # values encoded in one go, so that no other thread waits long for its turn
_BODILESS = (204, 304)  # a length here would be a mistake, or be taken for that of the answer a cache holds
_TOO_LARGE = "send fewer events at a time"


_encode = msgspec.json.Encoder().encode


class Gone(Exception):
    """The client left before its request was whole."""


class Headers:
    """A request's head, asked by lower-case name."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = list(raw)

    def all(self, name: bytes) -> list[str]:
        """Return the values of every line of that name, in order."""
        return [value.decode("latin-1").strip() for key, value in self._raw if key == name]

    def get(self, name: bytes) -> str | None:
        """Return the value of the last line of that name."""
        found = self.all(name)
        return found[-1] if found else None


def parameters(query: bytes) -> dict[str, str]:
    """Return the parameters of a query string; raises ApiError for a name that is there twice."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    once(name for name, _ in pairs)
    return dict(pairs)


def once(names: Iterable[str], but: Collection[str] = ()) -> None:
    """Raise ApiError for the first name that is there twice, `but` for these: one of the two would be passed over."""
    seen: set[str] = set()
    for name in names:
        if name in seen and name not in but:
            raise ApiError("invalid", f"`{name[:64]}`: there twice", "give it once")
        seen.add(name)


class Budget:
    """How many bytes of unfinished bodies may be held at once, over all requests.

    `parts` times as much as one sender holds is left free, so that whoever comes then finds room (Choudhury and Hahne,
    "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998).
    """

    def __init__(self, most: int = MOST_HELD, parts: int = 1) -> None:
        self._left = most
        self._parts = parts
        self._held: dict[str, int] = {}

    def of(self, whose: str) -> Room:
        """Return the room of one sender, by name."""
        return Room(self, whose)

    def take(self, whose: str, size: int) -> None:
        """Count `size` more bytes as held by a sender, or raise the ApiError that asks to come back."""
        held, left = self._held.get(whose, 0) + size, self._left - size
        if held * self._parts > left:
            raise ApiError("unavailable", "too many large requests at once", "try again in 1 s", 1)
        self._held[whose], self._left = held, left

    def give(self, whose: str, size: int) -> None:
        """Count `size` bytes of a sender as held no longer."""
        self._left += size
        held = self._held.pop(whose, 0) - size
        if held:
            self._held[whose] = held


class Room(NamedTuple):
    """What one sender, app or reader holds of a budget."""

    budget: Budget
    whose: str

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold so many bytes while the block runs."""
        self.budget.take(self.whose, size)
        try:
            yield
        finally:
            self.budget.give(self.whose, size)


async def body(
    receive: Receive, headers: Headers, room: Room, patience: float = PATIENCE, most: int = LARGEST
) -> bytes:
    """Return a request's body as it came, at most `most` bytes of it within `patience` seconds."""
    declared = headers.get(b"content-length") or ""
    if declared.isdecimal() and int(declared[:20]) > most:
        raise too_large(most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(patience):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                part = message.get("body", b"")
                room.budget.take(room.whose, len(part))
                size += len(part)
                if size > most:
                    raise too_large(most)
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise ApiError("timeout", f"the body did not come within {patience:g} s", "send it faster, or less") from None
    finally:
        room.budget.give(room.whose, size)
    return b"".join(parts)


def too_large(most: int) -> ApiError:
    """Return the refusal of a body of more than so many bytes."""
    size = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
    return ApiError("too_large", f"the body is larger than {size}", _TOO_LARGE)


def json_list(values: Iterable[Any]) -> bytes:
    """Return a list as JSON, however long: made beside the loop, it leaves that its turns."""
    source = iter(values)
    pieces = [_encode(list(islice(source, _LUMP)))[:-1]]
    while lump := _encode(list(islice(source, _LUMP)))[1:-1]:
        pieces += b",", lump
    return b"".join((*pieces, b"]"))


async def answer(
    send: Send, status: int, data: bytes, headers: Iterable[tuple[str, str]] = (), kind: str = "application/json"
) -> None:
    """Send a whole answer, of JSON unless `kind` says otherwise."""
    about = [(b"content-type", kind.encode("latin-1")), (b"content-length", str(len(data)).encode())]
    head = [] if status in _BODILESS else about
    head += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    for start in range(0, max(1, len(data)), PIECE):
        last = start + PIECE >= len(data)
        await send({"type": "http.response.body", "body": data[start : start + PIECE], "more_body": not last})
