"""Small helpers for plain ASGI: headers, bodies, answers. No route is known here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from sentinel.edge.errors import ApiError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST = 8 * 1024 * 1024
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
    """Return what a query string says; raises the refusal of a name that it says twice."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    once(name for name, _ in pairs)
    return dict(pairs)


def once(names: Iterable[str], but: Collection[str] = ()) -> None:
    """Raise the refusal of the first name that is there twice: one of the two would be passed over."""
    seen: set[str] = set()
    for name in names:
        if name in seen and name not in but:
            raise ApiError("invalid", f"`{name[:64]}`: there twice", "give it once")
        seen.add(name)


class Budget:
    """How many bytes of unfinished bodies may be held at once, over all requests."""

    def __init__(self, most: int = 128 * 1024 * 1024) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Hold so many more, or raise the refusal that asks to come back."""
        if size > self._left:
            raise ApiError("unavailable", "too many large requests at once", "try again in 1 s", 1)
        self._left -= size

    def give(self, size: int) -> None:
        """Let go of so many."""
        self._left += size


async def body(
    receive: Receive, headers: Headers, budget: Budget, patience: float = PATIENCE, most: int = LARGEST
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
                budget.take(len(part))
                size += len(part)
                if size > most:
                    raise too_large(most)
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise ApiError("timeout", f"the body did not come within {patience:g} s", "send it faster, or less") from None
    finally:
        budget.give(size)
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
