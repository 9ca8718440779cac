"""How the console answers: full pages, redirects and refusals, with the same words whether scripts run or not."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sentinel.console.assets import Assets
from sentinel.console.forms import sent
from sentinel.console.notices import NOTICES
from sentinel.console.render import rendered
from sentinel.edge.errors import ApiError

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "sentinel_theme"


class Link(NamedTuple):
    """One line of the navigation."""

    label: str
    path: str
    icon: str


class Answers:
    """Everything that is sent; `nav` is the navigation, `secure` says that cookies go by HTTPS alone."""

    def __init__(self, env: Environment, assets: Assets, nav: Sequence[Link], secure: bool) -> None:
        self._env = env
        self.assets = assets
        self._nav = tuple(nav)
        self.secure = secure
        self.cookie = "__Host-sentinel" if secure else "sentinel"

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Answer with a page."""
        nonce = secrets.token_urlsafe(16)
        theme = request.cookies.get(THEME_COOKIE, "auto")
        shown: Mapping[str, Any] = {
            "visit": None, "nav": self._nav, "path": request.scope["path"], "asset": self.assets.url, "nonce": nonce,
            "theme": theme if theme in THEMES else "auto", "themes": THEMES,
            "notice": NOTICES.get(request.query_params.get("done", "")),
        }  # fmt: skip
        visit = values.get("visit")
        shown = {**shown, "url": visit.url if visit is not None else _plain_url, **values}
        return HTMLResponse(rendered(self._env, template, shown), status, self.head(nonce))

    def piece(self, template: str, visit: Any, **values: Any) -> str:
        """Return a part of a page, for a stream."""
        return rendered(self._env, template, {"visit": visit, "url": visit.url, **values})

    def refusal(self, request: Request, error: ApiError, visit: Any = None) -> HTMLResponse:
        """Answer with what is wrong: beside the form where a script sent it, else as a page that keeps a long text."""
        form = sent(request)
        template = "kept.html" if form.raw("text") else "refused.html"
        if "hx-request" in request.headers:
            template = "problem.html"
        answer = self.page(
            request, template, error.status, visit=visit, error=error, form=form, here=_asked(request),
            back=_came_from(request),
        )  # fmt: skip
        if error.retry_after is not None:
            answer.headers["retry-after"] = str(error.retry_after)
        return answer

    def lead(self, request: Request, url: str) -> Response:
        """Lead the reader to an address of ours."""
        plain = RedirectResponse(url, 303)
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"hx-redirect": plain.headers["location"]})
        return plain

    def to_sign_in(self, request: Request) -> Response:
        """Lead whoever is not signed in to the door, and from there back to the page; a long text is given back."""
        if sent(request).raw("text") and "hx-request" not in request.headers:
            return self.refusal(request, ApiError("unauthorized", "your session is over", "nothing was done"))
        wanted = _asked(request) if request.method == "GET" else _came_from(request)
        back = f"?next={quote(wanted, safe='')}" if wanted not in ("", "/overview") else ""
        return self.lead(request, f"/sign-in{back}")

    def keep(self, answer: Response, token: str) -> Response:
        """Let the browser keep a session's token, out of reach of scripts and other sites."""
        answer.set_cookie(self.cookie, token, path="/", secure=self.secure, httponly=True, samesite="lax")
        return answer

    def forget(self, answer: Response) -> Response:
        """Let the browser forget its session."""
        answer.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="lax")
        return answer

    def head(self, nonce: str) -> dict[str, str]:
        """Return what every page's head says: scripts of ours alone, no other host, no frame, nothing kept."""
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
            "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return {"content-security-policy": policy, "cache-control": "no-store"}


def _came_from(request: Request) -> str:
    """Return the page of ours whose form was sent, nothing where the browser does not say."""
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    ours = request.method == "POST" and came.netloc == request.headers.get("host")
    if not ours or came.path.startswith("//") or "\\" in came.path:
        return ""
    return came.path + (f"?{came.query}" if came.query else "")


def _asked(request: Request) -> str:
    """Return what of an address came after the host."""
    query = request.scope["query_string"].decode("latin-1")
    return str(request.scope["path"]) + (f"?{query}" if query else "")


def _plain_url(path: str, **query: object) -> str:
    return path
