"""The answer to a refused request, sent by a middleware: a page or JSON, a redirect, a challenge, or the app's own."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sentinel.core.decision import Verdict
from sentinel.sdk.context import Holder, current, leave
from sentinel.sdk.options import Options
from sentinel.sdk.signals import refused

if TYPE_CHECKING:
    from sentinel.sdk.client import Client

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Access denied</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem}
code{user-select:all}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}
</style></head><body><h1>Access denied</h1>
<p>This request was refused for security reasons. If you think this is a mistake, contact support and quote:</p>
<p><code>{reference}</code></p></body></html>
"""
_MESSAGES = {
    "block": ("blocked", "this request was refused"),
    "redirect": ("redirected", "go on at the address in `location`"),
    "challenge": ("challenged", "show a second factor to go on"),
}
_LONGEST_ACCEPT = 1024  # no browser's is half as long, and who is refused may send one of 64 KiB again and again
# What still passes when a request is refused: these end a task or the process, and must.
PASSING = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)


class Refusal(NamedTuple):
    """Status, headers and body of an answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def refusal(verdict: Verdict, accept: str | None, options: Options) -> Refusal:
    """Return the answer to a request that was refused."""
    if verdict.kind == "redirect":
        return _finish(303, [("Location", verdict.to or "/")], "text/plain; charset=utf-8", b"")
    if verdict.kind == "challenge":
        return _finish(401, [], "application/json", _json(verdict))
    headers = list(options.block_headers)
    if wants_page(accept):
        page = (options.block_page or _PAGE).replace("{reference}", html.escape(verdict.reference))
        return _finish(options.block_status, headers, "text/html; charset=utf-8", page.encode("utf-8", "replace"))
    return _finish(options.block_status, headers, "application/json", _json(verdict))


def ends(holder: Holder, error: BaseException) -> bool:
    """Say whether an application's exception ends here: its request is refused already, or it is a signal itself."""
    verdict = refused(error)  # also one the application raised itself
    if verdict is not None:
        holder.latch(verdict)
        return True
    return holder.verdict is not None and not isinstance(error, PASSING)


@contextmanager
def answering(client: Client, holder: Holder) -> Iterator[None]:
    """Run the app's own code that answers in place of ours; a fault in it is reported, and lifts no refusal."""
    holder.answering = True
    token = current.set(holder)
    try:
        yield
    except PASSING:
        raise
    except BaseException as error:  # noqa: BLE001  whatever it was
        verdict = refused(error)
        if verdict is None:
            client.failed("the answer", error)
        else:  # whoever was to show a second factor is refused altogether
            holder.latch(verdict)
    finally:
        leave(token)


def wants_page(accept: str | None) -> bool:
    """Say whether an Accept header asks for HTML at least as much as for JSON; without one, JSON will do."""
    best = {"html": 0.0, "json": 0.0}
    for part in (accept or "")[:_LONGEST_ACCEPT].lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        quality = _quality(parameters)
        if kind in ("text/html", "application/xhtml+xml", "text/*"):
            best["html"] = max(best["html"], quality)
        elif kind == "application/json" or kind.endswith("+json") or kind == "application/*":
            best["json"] = max(best["json"], quality)
    return best["html"] > 0 and best["html"] >= best["json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _json(verdict: Verdict) -> bytes:
    code, message = _MESSAGES[verdict.kind]
    return json.dumps({"error": {"code": code, "message": message, "reference": verdict.reference}}).encode()


def _finish(status: int, headers: list[tuple[str, str]], kind: str, body: bytes) -> Refusal:
    given = {name.lower() for name, _ in headers}
    ours = [("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    kept = [(name, value) for name, value in ours if name.lower() not in given]
    return Refusal(status, [*headers, *kept, ("Content-Length", str(len(body)))], body)
