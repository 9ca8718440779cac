"""What every request to the console passes first: its path, the site it comes from, and the headers of answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.requests import Request

from sentinel.console.answers import Answers
from sentinel.console.assets import ROOT, Asset
from sentinel.console.forms import sent
from sentinel.core.errors import SentinelError
from sentinel.edge import wire
from sentinel.edge.errors import ApiError, refusal
from sentinel.edge.wire import Asgi, Headers, Message, Receive, Scope, Send

HEAD: Mapping[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
HSTS = (b"strict-transport-security", b"max-age=31536000")
SAFE = ("GET", "HEAD")
FORM = 4 * 1024 * 1024  # bytes: the longest playbook, with every byte of it escaped, and a rest
STRANGERS = 16 * 1024  # of whoever is not signed in: what the door takes
LEFT = 256 * 1024  # of a text in the editor, which is given back when its session is over
EDITOR = "/playbooks/edit"


class Console:
    """The console as the front calls it. `words` are the first words of its paths.

    `account` returns the id of the account of a session's token, None where it is not good.
    """

    def __init__(
        self, pages: Asgi, answers: Answers, words: Collection[str], public_url: str | None,
        account: Callable[[str], str | None],
    ) -> None:  # fmt: skip
        self._pages = pages
        self._account = account
        self._answers = answers
        self._words = frozenset(words)
        self._public = _origin(public_url) if public_url else None

    def answers(self, scope: Scope) -> bool:
        """Say whether a request is for a page."""
        path: str = scope["path"]
        return path == "/" or path.removeprefix("/").partition("/")[0] in self._words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope["headers"])
        if scope["path"].startswith(ROOT) and scope["method"] in SAFE:
            await self._asset(scope, headers, receive, send)
        elif scope["method"] not in SAFE and not self._ours(headers):
            error = ApiError("forbidden", "the request comes from another site", "behind a proxy, set `public_url`")
            await self._wrong(error, scope, headers, receive, send)
        else:
            try:
                await self._pages(scope, receive, self._headed(send))
            finally:
                sent(Request(scope)).forget()

    async def longest(self, scope: Scope) -> tuple[int, str | None]:
        """Return how many bytes of a form are read, and of which account it is: few of a stranger's, who has none.

        Raises ApiError where nobody can say now who it is.
        """
        token = Request(scope).cookies.get(self._answers.cookie, "")
        try:
            account = await to_thread.run_sync(self._account, token) if token else None
        except SentinelError as error:
            raise refusal(error) from None
        return FORM if account else LEFT if scope["path"] == EDITOR else STRANGERS, account

    async def refused(self, scope: Scope, receive: Receive, send: Send, error: ApiError) -> None:
        """Answer a form that was not read with a page."""
        if error.code == "too_large":
            error = ApiError(error.code, error.message.replace("body", "form"), "send less of it at once")
        answer = self._answers.refusal(Request(scope), error)
        answer.headers["connection"] = "close"
        await answer(scope, receive, self._headed(send))

    async def _wrong(self, error: ApiError, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Refuse with a page where a page is asked for."""
        if "text/html" in (headers.get(b"accept") or "").lower():
            await self._answers.refusal(Request(scope), error)(scope, receive, self._headed(send))
        else:
            await wire.answer(self._headed(send), error.status, error.body())

    def _ours(self, headers: Headers) -> bool:
        """Say whether a change is asked for by a page of ours; a browser always says where it comes from."""
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site is not None and site != "same-origin":
            return False
        if origin is None:
            return site == "same-origin"
        said, here = _origin(origin), (headers.get(b"host") or "").lower()
        return said is not None and (said == self._public or said.partition("://")[2] == here)

    async def _asset(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        asset = self._answers.assets.at(scope["path"])
        if asset is None:
            error = ApiError("not_found", "there is nothing at this address", "reload the page")
            await self._wrong(error, scope, headers, receive, send)
            return
        body, extra = _encoded(asset, headers.get(b"accept-encoding") or "")
        head = [(b"content-type", asset.kind.encode()), (b"content-length", str(len(body)).encode()), *extra]
        head.append((b"cache-control", b"public, max-age=31536000, immutable"))
        headed = self._headed(send)
        await headed({"type": "http.response.start", "status": 200, "headers": head})
        await headed({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})

    def _headed(self, send: Send) -> Send:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                more = [pair for pair in HEAD.items() if pair[0] not in known]
                message["headers"] = [*message["headers"], *more, *([HSTS] if self._answers.secure else [])]
            await send(message)

        return headed


def _origin(url: str) -> str | None:
    """Return a URL's scheme and host, None where it names no host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else None


def _encoded(asset: Asset, accepted: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    if "gzip" in accepted:
        return asset.packed, [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    return asset.plain, [(b"vary", b"accept-encoding")]
