"""Sentinel around a WSGI application, of any framework and server.

Place it inside metrics and catch-all middleware and outside whatever identifies users. An answer starts with the first
piece of its body, so that a user identified while the body is being made is refused too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from types import TracebackType
from typing import Any

from sentinel import sdk
from sentinel.core.decision import Verdict
from sentinel.core.proxies import client_address
from sentinel.sdk.client import Client
from sentinel.sdk.context import Holder, current
from sentinel.sdk.events import KEPT_BODY, keeps_body, parameters, without_query
from sentinel.sdk.respond import answering, ends, refusal

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Failure = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_TOLD = (  # of an environ, also once the request is over
    "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "HTTP_HOST", "HTTP_USER_AGENT",
    "HTTP_REFERER", "HTTP_ACCEPT", "HTTP_ACCEPT_LANGUAGE", "sentinel.route",
)  # fmt: skip


class SentinelMiddleware:
    """Enforces on the address as a request starts and on the user at `identify`; answers who is refused.

    `challenge` and `refuse` are WSGI applications that answer in place of the built-in ones; they find the
    verdict in `environ["sentinel.verdict"]`.
    """

    def __init__(self, app: App, *, challenge: App | None = None, refuse: App | None = None) -> None:
        self.app = app
        self._own = {"challenge": challenge, "block": refuse}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if "sentinel.request" in environ:
            return self.app(environ, start_response)  # an inner Sentinel leaves the request to the outer one
        client = sdk.current()
        try:
            holder = self._begin(client, environ)
        except Exception as error:  # noqa: BLE001  what we cannot judge goes on
            client.failed("the request", error)
            return self.app(environ, start_response)
        if holder.verdict is not None:
            return self.answer(client, holder, environ, start_response)
        return _Request(self, client, holder, environ, start_response).run()

    def _begin(self, client: Client, environ: Environ) -> Holder:
        client.ensure_running()
        about = About(environ)
        holder = Holder(address_of(environ, client), _path(environ), about)
        environ["sentinel.request"] = holder
        client.judge_address(holder)
        about.listen()
        return holder

    def answer(
        self, client: Client, holder: Holder, environ: Environ, start_response: StartResponse
    ) -> Iterator[bytes]:
        """Answer in place of the application, by the verdict that is latched."""
        page = self._page(client, holder, environ)
        verdict = holder.verdict
        assert verdict is not None
        if page is None:
            page = _builtin(client, verdict, holder, environ)
        start_response(page.status, page.headers)  # now: some servers look for it before the first piece
        holder.started = True
        holder.complete(_number(page.status))
        client.finished(holder)
        return _reported(client, holder, verdict, page)

    def _page(self, client: Client, holder: Holder, environ: Environ) -> _Page | None:
        """Return what the app's own application answers; None where there is none, or it failed."""
        verdict = holder.verdict
        own = self._own.get(verdict.kind) if verdict is not None else None
        if own is None:
            return None
        environ["sentinel.verdict"] = verdict
        page = None
        with answering(client, holder):
            page = _Page().made_by(own, environ)
        return page if holder.verdict is verdict else None


class _Request:
    """One request: holds the start of the answer back until its first piece."""

    def __init__(
        self,
        middleware: SentinelMiddleware,
        client: Client,
        holder: Holder,
        environ: Environ,
        start_response: StartResponse,
    ) -> None:
        self._middleware = middleware
        self._client = client
        self._holder = holder
        self._environ = environ
        self._start_response = start_response
        self._start: tuple[str, Headers] | None = None
        self._begun = False
        self._write: Write | None = None  # some servers give none
        self._files = _listen_for_files(environ)

    def run(self) -> Iterable[bytes]:
        """Call the application and return the body of the answer, its or ours."""
        try:
            return self._run()
        except BaseException:
            self._client.finished(self._holder)
            raise

    def _run(self) -> Iterable[bytes]:
        token = current.set(self._holder)
        try:
            body = self._middleware.app(self._environ, self._started)
        except BaseException as error:
            if not ends(self._holder, error):
                raise
            return [] if self._begun else self._ours()
        finally:
            current.reset(token)
        whole = isinstance(body, (list, tuple)) or self._is_file(body)
        if (whole or self._holder.verdict is not None) and not self._go():
            _close(body)
            return self._ours()
        return body if whole else self._begin(body)

    def _begin(self, body: Iterable[bytes]) -> _Body:
        """Make the first piece, with which the answer starts: some servers look for that before they ask for one."""
        pieces = self.pieces(body)
        try:
            first = next(pieces, None)
        except BaseException:
            _close(body)
            raise
        return _Body(self, body, pieces if first is None else chain((first,), pieces))

    def _started(self, status: str, headers: Headers, failure: Failure | None = None) -> Write:
        """Stand in for the server's start_response: note the start, send nothing yet."""
        if self._begun:
            return self._start_response(status, headers, failure)  # too late: the server raises
        if self._start is not None and failure is None:
            raise AssertionError("start_response called twice without exc_info")
        self._start = (status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece the old way."""
        if self._go():
            assert self._write is not None
            self._write(data)

    def pieces(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """Give the pieces of the answer, its or ours."""
        turns = iter(body)
        while True:
            token = current.set(self._holder)
            try:
                piece = next(turns)
            except StopIteration:
                break
            except BaseException as error:
                if not ends(self._holder, error):
                    raise
                break
            finally:
                current.reset(token)
            if not piece and not self._begun:
                continue  # nothing to start an answer with
            if not self._go():
                break
            yield piece
        if not self._begun and not self._go():
            yield from self._ours()

    def end(self, body: Iterable[bytes]) -> None:
        """Close the application's body, which may still tell what happened in its request."""
        token = current.set(self._holder)
        try:
            _close(body)
        finally:
            current.reset(token)
            self._client.finished(self._holder)

    def _go(self) -> bool:
        """Start the application's answer; False if ours must take its place."""
        if self._begun:
            return True
        if self._holder.start() is not None:
            return False
        if self._start is None:
            raise AssertionError("a body before start_response")
        status, headers = self._start
        self._holder.complete(_number(status))
        self._client.finished(self._holder)
        self._begun, self._write = True, self._start_response(status, headers)
        return True

    def _ours(self) -> Iterable[bytes]:
        return self._middleware.answer(self._client, self._holder, self._environ, self._start_response)

    def _is_file(self, body: object) -> bool:
        wrapper = self._environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type):
            return isinstance(body, wrapper)
        return any(body is file for file in self._files)


class _Body:
    """An answer's body that the server iterates and closes."""

    def __init__(self, request: _Request, body: Iterable[bytes], pieces: Iterator[bytes]) -> None:
        self._request = request
        self._body = body
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._request.end(self._body)


class _Page:
    """An answer in place of the application's, whole before any of it is sent: it may fail in the making."""

    def __init__(self, status: str = "", headers: Headers | None = None, *pieces: bytes) -> None:
        self.status = status
        self.headers = headers or []
        self.pieces = list(pieces)

    def made_by(self, app: App, environ: Environ) -> _Page:
        """Return it as an application makes it."""
        body = app(environ, self._start)
        try:
            self.pieces += body
        finally:
            _close(body)
        if not self.status:
            raise AssertionError("a body before start_response")
        return self

    def _start(self, status: str, headers: Headers, *failure: Any) -> Write:
        self.status, self.headers = status, headers
        return self.pieces.append


class About:
    """A request described from its environ, once an event needs it."""

    __slots__ = ("_environ", "_kept")

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self._kept: bytearray | None = None

    def header(self, name: str) -> str | None:
        key = name.upper().replace("-", "_")
        found = self._environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return found if isinstance(found, str) else None

    def body(self) -> bytes | None:
        return bytes(self._kept) if self._kept is not None else None

    def describe(self) -> dict[str, Any]:
        environ = self._environ
        return {
            "method": environ.get("REQUEST_METHOD", "GET"),
            "path": _path(environ),
            "host": self.header("host"),
            "user_agent": self.header("user-agent"),
            "referer": without_query(self.header("referer")),
            "params": parameters(environ.get("QUERY_STRING", ""), self.body(), self.header("content-type") or ""),
        }

    def route(self) -> object:
        return self._environ.get("sentinel.route")

    def let_go(self) -> None:
        self._environ = {name: self._environ[name] for name in _TOLD if name in self._environ}

    def listen(self) -> None:
        """Keep the start of a form or JSON body as the application reads it."""
        method, kind = self._environ.get("REQUEST_METHOD"), self.header("content-type") or ""
        if "wsgi.input" in self._environ and keeps_body(method, kind):
            self._kept = bytearray()
            self._environ["wsgi.input"] = _Input(self._environ["wsgi.input"], self._kept)


class _Input:
    """A request's body that keeps what is read first."""

    def __init__(self, real: Any, kept: bytearray) -> None:
        self._real = real
        self._kept = kept

    def read(self, *size: int) -> bytes:
        return self._keep(self._real.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._keep(self._real.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._keep(line) for line in self._real.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._real:
            yield self._keep(line)

    def __next__(self) -> bytes:
        return self._keep(next(self._real))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _keep(self, data: bytes) -> bytes:
        if data and len(self._kept) < KEPT_BODY:
            self._kept.extend(data[: KEPT_BODY - len(self._kept)])
        return data


def _reported(client: Client, holder: Holder, verdict: Verdict, page: _Page) -> Iterator[bytes]:
    """Give the pieces of an answer of ours; report it once it was taken."""
    yield from filter(None, page.pieces)  # where an answer has no body, no second piece is asked for everywhere
    client.enforced(holder, verdict, _number(page.status))


def _listen_for_files(environ: Environ) -> list[object]:
    """Return a list that will hold what the server's file wrapper makes of files, where it is a plain function."""
    files: list[object] = []
    wrapper = environ.get("wsgi.file_wrapper")
    if callable(wrapper) and not isinstance(wrapper, type):

        def wrap(*about: Any) -> Any:
            files.append(wrapper(*about))
            return files[-1]

        environ["wsgi.file_wrapper"] = wrap
    return files


def _builtin(client: Client, verdict: Verdict, holder: Holder, environ: Environ) -> _Page:
    answer = refusal(verdict, holder.about.header("accept"), client.options)
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Refused"
    body = b"" if environ.get("REQUEST_METHOD") == "HEAD" else answer.body
    return _Page(f"{answer.status} {phrase}", answer.headers, body)


def _path(environ: Environ) -> str:
    raw = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return str(raw.encode("latin-1", "replace").decode("utf-8", "replace"))


def address_of(environ: Environ, client: Client) -> str | None:
    """Return the address a request comes from, by the proxies the application trusts."""
    forwarded = environ.get("HTTP_FORWARDED")
    x_forwarded_for = environ.get("HTTP_X_FORWARDED_FOR")
    return client_address(
        environ.get("REMOTE_ADDR"),
        [forwarded] if forwarded else [],
        [x_forwarded_for] if x_forwarded_for else [],
        client.options,
    )


def _number(status: str) -> int:
    return int(status[:3]) if status[:3].isdigit() else 0


def _close(body: object) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
