"""What is known of the current request, in a holder that every thread and task of the request shares.

A context variable set inside a view does not reach the middleware; an object that the middleware set, and the view
changed, does. What follows from a verdict is up to the middleware.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from sentinel.core.decision import STRICTNESS, Subject, Verdict
from sentinel.core.device import fingerprint
from sentinel.sdk.buffer import Request

_Unset: Any = object()
_LONGEST_ROUTE = 512


class Described(Protocol):
    """A request as its middleware sees it; asked only when an event or an answer needs it."""

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name."""

    def describe(self) -> dict[str, Any]:
        """Return method, path, host, user agent, referer and parameters, unscrubbed."""

    def route(self) -> object:
        """Return the pattern of the path, a text once it is known."""

    def body(self) -> bytes | None:
        """Return what the application has read of the body, None where nothing was kept."""

    def let_go(self) -> None:
        """Drop the request, which holds the holder and perhaps a body; keep what can still be asked for."""


class Holder:
    """One request: whose it is, what was decided about it, and how far its answer is."""

    __slots__ = (
        "_device",
        "_lock",
        "_over",
        "about",
        "answering",
        "answers",
        "identifiers",
        "ip",
        "passed",
        "path",
        "request",
        "size",
        "started",
        "status",
        "urgent",
        "users",
        "verdict",
    )  # fmt: skip

    def __init__(self, ip: str | None, path: str, about: Described, answers: bool = True) -> None:
        self.ip = ip
        self.path = path
        self.about = about
        self.answers = answers  # a WebSocket gives no answer that events could wait for
        self.users: tuple[str, ...] = ()
        self.passed: frozenset[str] = frozenset()
        self.identifiers: dict[str, str] = {}
        self.verdict: Verdict | None = None
        self.answering = False  # an application of the app's own answers in place of the one that was refused
        self.request: Request | None = None
        self.size = 0  # of `request`, in characters
        self.status: int | None = None
        self.started = False
        self.urgent = False
        self._device: str | None = _Unset
        self._over = False
        self._lock = threading.RLock()  # a signal handler or a finaliser may identify, too

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        """Become None where a request is copied or pickled: a copy is not under way."""
        return _nothing, ()

    @property
    def device(self) -> str | None:
        """The fingerprint of what sent the request."""
        if self._device is _Unset:
            self._device = fingerprint(self.about.header("user-agent"), self.about.header("accept-language"))
        return self._device

    def bind(self, identifiers: dict[str, str], users: tuple[str, ...]) -> None:
        """Note whose request this is."""
        self.identifiers, self.users = identifiers, users

    @property
    def over(self) -> bool:
        """Whether the request has its status, or ended without."""
        return self._over or self.status is not None

    def subject(self, users: tuple[str, ...], by_device: bool, login: bool = False) -> Subject:
        """Return whom a verdict on this request is about."""
        return Subject(users, self.ip, self.device if by_device else None, login, self.passed)

    def latch(self, verdict: Verdict) -> bool:
        """Keep a verdict for the middleware; False once the application's answer is on its way."""
        with self._lock:
            if self.started:
                return False
            self.verdict = verdict
            return True

    def is_answered(self, verdict: Verdict) -> bool:
        """Say whether a verdict at least as strict is being answered already.

        So a page that asks for a second factor may call `identify` itself.
        """
        latched = self.verdict
        return self.answering and latched is not None and STRICTNESS[verdict.kind] <= STRICTNESS[latched.kind]

    def start(self) -> Verdict | None:
        """Note that an answer starts now; return the verdict that must take its place, if there is one."""
        with self._lock:
            if self.verdict is None:
                self.started = True
            return self.verdict

    def leads_here(self, verdict: Verdict) -> bool:
        """Say whether a redirect would lead to where the request already is."""
        if verdict.kind != "redirect" or verdict.to is None:
            return False
        parts = urlsplit(verdict.to)
        if unquote(parts.path).rstrip("/") != self.path.rstrip("/"):  # frameworks lead from the one to the other
            return False
        return not parts.netloc or parts.netloc.lower() == (self.about.header("host") or "").lower()

    def complete(self, status: int) -> None:
        """Note how the request was answered; its events that are not sent yet will say so."""
        self.status = status
        if self.request is not None:
            if self.request.get("route", "") is None:
                self.request["route"] = self.route()
            self.request["status"] = status
            self.request.over = True

    def route(self) -> str | None:
        """Return the pattern of the path, bounded; None where no framework has told it, or not yet."""
        with suppress(Exception):  # a stranger's code
            route = self.about.route()
            return route[:_LONGEST_ROUTE] if isinstance(route, str) and route else None
        return None

    def let_go(self) -> None:
        """Hold the request itself no longer, so that it is freed with the application's last reference to it.

        Code that still runs in its context is refused no more: no answer is left that could say so.
        """
        if not self._over:
            self._over = self.started = True
            self.about.let_go()
            if self.request is not None:
                self.request.over = True


def _nothing() -> None:
    return None


current: ContextVar[Holder | None] = ContextVar("sentinel_request", default=None)


def leave(token: Token[Holder | None]) -> None:
    """Put back what was current before a request."""
    with suppress(ValueError):  # it was abandoned, and is closed in a context that knows nothing of it
        current.reset(token)


def holder_of(request: object) -> Holder | None:
    """Return the holder of a framework's request object (ASGI scope, WSGI environ, or an object with either)."""
    for source in (request, *(_field(request, name) for name in ("scope", "environ", "META"))):
        found = source.get("sentinel.request") if isinstance(source, dict) else None
        if isinstance(found, Holder):
            return found
    return None


def _field(request: object, name: str) -> object:
    try:
        return getattr(request, name, None)
    except Exception:  # noqa: BLE001  a stranger's code: some stand for a request only where it is under way
        return None
