"""Server-sent events: one stream from its head to its end. What it sends comes from a `Source`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from sentinel.api.hub import Seat
from sentinel.core.errors import SentinelError
from sentinel.edge.wire import PIECE, Receive, Send

HEARTBEAT = 10.0
STALLED = 20.0  # seconds after which a client that reads nothing is let go
HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
BEAT = b":\n\n"

Source = Callable[[], Awaitable[bytes | None]]  # the next thing to say, None while there is nothing


async def run(seat: Seat, source: Source, receive: Receive, send: Send, heartbeat: float = HEARTBEAT) -> None:
    """Send what the source has until the client leaves or the seat is ended; a heartbeat where it is quiet."""
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await _send(send, BEAT)
    listening = asyncio.ensure_future(_until_gone(receive, seat))
    loop = asyncio.get_running_loop()
    quiet_at = loop.time() + heartbeat
    try:
        while not seat.ended:
            data = await source()
            if data is None and loop.time() >= quiet_at:
                data = BEAT
            if data is None:
                await seat.wait(quiet_at - loop.time())
            else:
                await _send(send, data)
                quiet_at = loop.time() + heartbeat
        await _send(send, b"", last=True)
    except TimeoutError:
        return
    except SentinelError:  # the source dried up: the client comes back and hears why
        await _send(send, b"", last=True)
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


def event(name: str, data: bytes, id: str | None = None) -> bytes:
    """Return one server-sent event; the data is one line."""
    head = f"event: {name}\n" + (f"id: {id}\n" if id is not None else "")
    return b"%bdata: %b\n\n" % (head.encode(), data)


async def _send(send: Send, data: bytes, last: bool = False) -> None:
    """Send in pieces: a slow client holds up nobody, and one that stalls is let go."""
    for start in range(0, max(1, len(data)), PIECE):
        async with asyncio.timeout(STALLED):
            piece = data[start : start + PIECE]
            await send({"type": "http.response.body", "body": piece, "more_body": not last})


async def _until_gone(receive: Receive, seat: Seat) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    seat.ended = True
    seat.wake()
