"""Send events from the buffer to the server, in one daemon thread: no event is lost silently, none counts twice.

A batch keeps its ids through every attempt. What an event holds is not looked at here.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sentinel.core.errors import fault
from sentinel.sdk.buffer import Buffer, Item
from sentinel.sdk.clock import Backoff, Notes, retry_after
from sentinel.sdk.connection import FAILURES, REFUSED, Answer, Connection
from sentinel.sdk.options import Options

_MOST = 500  # events a request
_COMPRESS = 1024
_LARGEST = 1024 * 1024  # characters a request, roughly
_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Sender:
    """Sends until it is stopped; `reporter` makes an event of what had to be dropped meanwhile."""

    def __init__(
        self,
        options: Options,
        buffer: Buffer,
        notes: Notes,
        reporter: Callable[[dict[str, int]], dict[str, Any]],
        about: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._options = options
        self._buffer = buffer
        self._notes = notes
        self._reporter = reporter
        self._connection = Connection(options, about)
        self._backoff = Backoff(options.retry_base, options.retry_limit)
        self._wake = threading.Event()
        self._stopping = False
        self._tell_at = time.monotonic() + options.report_interval

    def run(self) -> None:
        """Send what is due until `stop`; then what is left, once."""
        while True:
            items = self._buffer.take(_MOST, time.monotonic, self._tell_at)
            if not items:
                if self._stopping:
                    break
                self._tell()
            for part in _parts(items) if items else ():
                try:
                    self._deliver(part)
                except Exception as error:  # noqa: BLE001  whatever it was, it must not end all sending
                    self._notes.warn("sender", f"events dropped: {fault(error)}")
                    self._buffer.settle(part, "error")
        self._connection.close()

    def stop(self) -> None:
        """Have it make one last attempt and end."""
        self._stopping = True
        self._wake.set()
        self._buffer.close()

    def hurry(self) -> None:
        """End a wait between two attempts."""
        self._wake.set()

    def abandon(self) -> None:
        """End what is under way at once."""
        self._connection.end()

    def drop(self) -> None:
        """Forget the connection: it is the parent's."""
        self._connection.drop()

    def _tell(self) -> None:
        """Tell the server that this process lives and how it is, where no events have done so."""
        self._tell_at = time.monotonic() + self._options.report_interval
        try:
            self._connection.ask("POST", "/v1/events", b'{"events":[]}', {"Content-Type": "application/json"})
        except FAILURES:  # the next events will say so
            pass
        except Exception as error:  # noqa: BLE001  whatever it was, it must not end all sending
            self._notes.warn("sender", f"how this process is was not told: {fault(error)}")

    def _deliver(self, items: list[Item]) -> None:
        """Send a batch until the server took or refused it, or the sender stops."""
        try:
            body, headers = _encode([item.event for item in items])
        except (TypeError, ValueError, RecursionError) as error:
            self._notes.warn("sender", f"an event is dropped that cannot be written: {type(error).__name__}")
            self._halve(items, "error")
            return
        while True:
            wait = self._attempt(items, body, headers)
            if wait is None:
                return
            if self._stopping:
                self._buffer.settle(items, "exit")
                return
            self._wake.wait(wait)
            if not self._stopping:
                self._wake.clear()

    def _attempt(self, items: list[Item], body: bytes, headers: dict[str, str]) -> float | None:
        """Send once; return how long to wait before the next attempt, None when none is needed."""
        try:
            answer = self._connection.ask("POST", "/v1/events", body, headers)
            self._tell_at = time.monotonic() + self._options.report_interval
        except FAILURES as error:
            self._notes.count("failures")
            self._notes.warn(
                "unreachable", f"events wait: no contact with {self._options.url} ({type(error).__name__})"
            )
            self._buffer.failed()
            return self._backoff.next()
        return self._judge(answer, items)

    def _judge(self, answer: Answer, items: list[Item]) -> float | None:
        """Return the seconds to wait before another attempt, None where none is needed."""
        status = answer.status
        if status == 200:
            return self._accepted(answer, items)
        self._notes.count("failures")
        if status in (400, 413, 415, 422):
            self._refused(items, answer)
            return None
        self._notes.warn("refused", f"events wait: {self._options.url} answers {_said(answer)}")
        if status in (429, 503):
            return retry_after(answer.headers.get("retry-after"), self._backoff.next())
        return self._options.refused_wait if status in REFUSED else self._backoff.next()

    def _accepted(self, answer: Answer, items: list[Item]) -> float | None:
        told = _receipt(answer)
        if told is None:
            self._notes.count("failures")
            self._notes.warn("garbage", f"events wait: {self._options.url} answers nothing a Sentinel server would")
            return self._backoff.next()
        self._backoff.reset()
        for topic in ("unreachable", "refused", "garbage"):
            self._notes.forget(topic)
        taken, rejected = told
        self._notes.count("sent", taken)
        if rejected:
            self._notes.count("rejected", len(rejected))
            self._notes.warn("rejected", f"the server rejected an event: {str(rejected[0])[:300]}")
        self._buffer.settle(items)
        self._report()
        return None

    def _refused(self, items: list[Item], answer: Answer) -> None:
        if len(items) == 1:
            self._notes.warn(f"status {answer.status}", f"the server takes an event for none: {_said(answer)}")
        self._halve(items, "too large" if answer.status == 413 else "refused")

    def _halve(self, items: list[Item], reason: str) -> None:
        """Send the halves, so that one event costs no other; drop a single one."""
        if len(items) > 1:
            half = len(items) // 2
            self._deliver(items[:half])
            self._deliver(items[half:])
        else:
            self._buffer.settle(items, reason)

    def _report(self) -> None:
        if self._buffer.has_room() and (news := self._buffer.untold()):
            self._buffer.put(self._reporter(news), 200, time.monotonic())


def _parts(items: list[Item]) -> list[list[Item]]:
    """Cut a batch where it would be too large for one request."""
    parts: list[list[Item]] = [[]]
    size = 0
    for item in items:
        if parts[-1] and size + item.size > _LARGEST:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += item.size
    return parts


def _encode(events: list[dict[str, Any]]) -> tuple[bytes, dict[str, str]]:
    body = f'{{"events":[{",".join(map(_dumps, events))}]}}'.encode()  # one by one: each holds up other threads
    headers = {"Content-Type": "application/json"}
    if len(body) > _COMPRESS:
        body = gzip.compress(body, 5)
        headers["Content-Encoding"] = "gzip"
    return body, headers


def _receipt(answer: Answer) -> tuple[int, list[Any]] | None:
    """Return how many events the server has, and which it rejected; None for what no Sentinel server answers."""
    told = _object(answer.body)
    accepted, duplicates, rejected = told.get("accepted"), told.get("duplicates", 0), told.get("rejected") or []
    if type(accepted) is not int or type(duplicates) is not int or not isinstance(rejected, list):
        return None
    return (accepted + duplicates, rejected) if accepted >= 0 and duplicates >= 0 else None


def _object(body: bytes) -> dict[str, Any]:
    """Return the object a body holds, an empty one for anything else: it may be anybody who answers."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: Answer) -> str:
    """Return the server's own words for an error, bounded: they go to a log."""
    error = _object(answer.body).get("error")
    if not isinstance(error, dict):
        return str(answer.status)
    message, hint = str(error.get("message"))[:200], str(error.get("hint") or "")[:200]
    return (f"{answer.status}: {message}" + f" ({hint})" * bool(hint)).encode("unicode_escape").decode()
