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
    """Makes the answers of the console. `nav` is the navigation; with `secure` cookies are sent over HTTPS only."""

    def __init__(self, env: Environment, assets: Assets, nav: Sequence[Link], secure: bool) -> None:
        self._env = env
        self.assets = assets
        self._nav = tuple(nav)
        self.secure = secure
        self.cookie = "__Host-sentinel" if secure else "sentinel"

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page: a template filled with `values`, and with what every page needs."""
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
        """Return a template filled with `values`, as a part of a page that a stream sends."""
        return rendered(self._env, template, {"visit": visit, "url": visit.url, **values})

    def refusal(self, request: Request, error: ApiError, visit: Any = None) -> HTMLResponse:
        """Return the page of an error.

        A form that a script sent gets a part of a page, to be shown beside it. A long text of a form is given back.
        """
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
        """Return a redirect to an address of the console, in the form that scripts understand where one asks."""
        plain = RedirectResponse(url, 303)
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"hx-redirect": plain.headers["location"]})
        return plain

    def to_sign_in(self, request: Request) -> Response:
        """Return a redirect to the sign-in page and from there back; a long text of a form is given back instead."""
        if sent(request).raw("text") and "hx-request" not in request.headers:
            return self.refusal(request, ApiError("unauthorized", "your session is over", "nothing was done"))
        wanted = _asked(request) if request.method == "GET" else _came_from(request)
        back = f"?next={quote(wanted, safe='')}" if wanted not in ("", "/overview") else ""
        return self.lead(request, f"/sign-in{back}")

    def keep(self, answer: Response, token: str) -> Response:
        """Set the cookie of a session, which scripts cannot read and other sites cannot send, and return the answer."""
        answer.set_cookie(self.cookie, token, path="/", secure=self.secure, httponly=True, samesite="lax")
        return answer

    def forget(self, answer: Response) -> Response:
        """Delete the cookie of the session, and return the answer."""
        answer.delete_cookie(self.cookie, path="/", secure=self.secure, httponly=True, samesite="lax")
        return answer

    def head(self, nonce: str) -> dict[str, str]:
        """Return the headers of a page: only our own scripts, no other host, no frames, no caching."""
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
            "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return {"content-security-policy": policy, "cache-control": "no-store"}


def _came_from(request: Request) -> str:
    """Return the address of the page whose form was sent, empty where the browser does not say or it is not ours."""
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    ours = request.method == "POST" and came.netloc == request.headers.get("host")
    if not ours or came.path.startswith("//") or "\\" in came.path:
        return ""
    return came.path + (f"?{came.query}" if came.query else "")


def _asked(request: Request) -> str:
    """Return the path and the query that were asked for."""
    query = request.scope["query_string"].decode("latin-1")
    return str(request.scope["path"]) + (f"?{query}" if query else "")


def _plain_url(path: str, **query: object) -> str:
    return path
