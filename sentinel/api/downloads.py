"""A file that is made while the client reads it: few of an app at a time, and ended where the client stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from sentinel.api.context import Here, Reader
from sentinel.api.hub import Seat
from sentinel.api.stream import STALLED
from sentinel.edge.access import credential
from sentinel.edge.wire import Headers

TOPIC = "exports"


def _seat(request: Request, here: Here, caller: Reader) -> AbstractContextManager[Seat]:
    """Return the seat in which the caller's file is made."""
    return here.hub.seat(TOPIC, caller.app, credential(Headers(request.scope["headers"])), caller.by)


Seated = Annotated[AbstractContextManager[Seat], Depends(_seat)]


class Download(StreamingResponse):
    """The answer that gives the pieces of a file of some name, in a seat that is taken while it lasts.

    What `begin` raises is a refusal: the answer has not begun. Whoever takes nothing for a time is let go, for what the
    pieces are made of stays in memory.
    """

    def __init__(
        self, seat: AbstractContextManager[Seat], pieces: AsyncIterable[bytes] | Iterable[bytes], name: str, type: str,
        begin: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        head = {"content-disposition": f'attachment; filename="{name}"'}
        super().__init__(pieces, media_type=type, headers=head)
        self._seat = seat
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(STALLED):
                await send(message)

        with self._seat:
            await asyncio.to_thread(self._begin)
            try:
                await super().__call__(scope, receive, patient)
            except TimeoutError:
                return
