"""The id of a request: in its answer, and in every line that it causes in the log."""

from __future__ import annotations

import re
import secrets

from structlog.contextvars import bind_contextvars, get_contextvars

from sentinel.edge.wire import Message, Scope, Send

HEADER = b"x-request-id"
_FORM = re.compile(rb"[A-Za-z0-9._:+/=-]{1,64}")


def named(scope: Scope, send: Send) -> Send:
    """Name a request by its `X-Request-Id`, or a new id where that is unfit for a log; return a `send` that tells it.

    The name is bound in the context of this request's task alone, and of the threads it waits for.
    """
    name = next((value for key, value in scope["headers"] if key == HEADER), b"")
    if not _FORM.fullmatch(name):
        name = secrets.token_hex(8).encode()
    bind_contextvars(request=name.decode())

    async def answering(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (HEADER, name)]
        await send(message)

    return answering


def current() -> str:
    """Return the id of the request that this task or thread works for, an empty text outside of any."""
    return str(get_contextvars().get("request", ""))
