"""One request to a page: the account, the app it looks at, what it may do, and how it is answered.

A route says who may use it by a parameter's type: `Viewer`, `Analyst`, `Admin`, `ServerAdmin`. What a page shows is not
known here.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, cast
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from sentinel.console.answers import Answers
from sentinel.console.context import Context
from sentinel.console.forms import Filled, Form
from sentinel.core.errors import SentinelError
from sentinel.core.record import Account, App, Role
from sentinel.edge.errors import ApiError
from sentinel.service.ports import Store

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


class SignInFirst(Exception):
    """Nobody is signed in; the reader is led to the door."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody signed in. `apps` are those the account reaches, `app` the one it looks at.

    `now` is when it came, in microseconds since 1970: all of a page is of one moment.
    """

    here: Context
    answers: Answers
    request: Request
    account: Account
    apps: tuple[App, ...]
    app: App
    csrf: str
    token: str
    now: int

    @property
    def store(self) -> Store:
        """The store; what is asked of it names `app.id`."""
        return self.here.store

    @property
    def by(self) -> str:
        """How the audit calls the reader."""
        return self.account.actor

    @property
    def path(self) -> str:
        """Which page it is."""
        return str(self.request.scope["path"])

    @property
    def back(self) -> str:
        """The address of the page itself, without the notice."""
        kept = [(name, value) for name, value in self.request.query_params.multi_items() if name != "done"]
        return f"{self.path}?{urlencode(kept)}" if kept else self.path

    @property
    def partial(self) -> bool:
        """Whether a script asks for a part of a page only."""
        return "hx-request" in self.request.headers

    def may(self, role: Role) -> bool:
        """Say whether the reader may do what a role may."""
        return self.account.may(role)

    def lasts(self) -> bool:
        """Say whether the session goes on and still reaches the app; a store that cannot say now ends nothing."""
        try:
            session = self.here.accounts.session(self.token, busy=False)
        except SentinelError:
            return True
        return session is not None and session.account.reaches(self.app.id)

    def url(self, path: str, *parts: str, **query: object) -> Markup:
        """Return a page's address with the app and what is asked of it; None and empty values are left out.

        `parts` are steps below `path` that came from outside, such as a user key. Names with a `_` at the end lose
        it: `from_` becomes `from`.
        """
        given = {name.rstrip("_"): value for name, value in query.items() if value is not None and value != ""}
        if len(self.apps) > 1:
            given = {"app": self.app.id} | given
        address = "/".join([quote(path, safe="/:@-._~"), *(quote(part, safe="") for part in parts)])
        return escape(f"{address}?{urlencode(given, doseq=True)}" if given else address)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Answer with a page."""
        return self.answers.page(self.request, template, status, visit=self, **values)

    def done(self, url: str, notice: str = "") -> Response:
        """Answer a change: lead the reader to an address, where the notice of that name is shown."""
        plain = url.unescape() if isinstance(url, Markup) else url
        if notice:
            plain += ("&" if "?" in plain else "?") + urlencode({"done": notice})
        return self.answers.lead(self.request, plain)


def csrf_of(token: str) -> str:
    """Return the CSRF token of a session, which only its own pages know."""
    return hmac.new(token.encode(), b"csrf", sha256).hexdigest()


def _at_least(role: Role, server: bool = False) -> Callable[..., Visit]:
    """Return a dependency that admits accounts of at least a role; with `server` only those that reach every app."""

    def dependency(request: Request, form: Filled) -> Visit:
        visit = _visit(request, request.query_params.get("app"), named=request.method in UNSAFE)
        _meant(request, form, visit)
        if not visit.may(role) or (server and not visit.account.everywhere):
            wanted = "administrators of the whole server" if server else f"the role `{role}`"
            raise ApiError("forbidden", "your account may not do this", f"it takes {wanted}")
        return visit

    dependency.role = (role, server)  # type: ignore[attr-defined]
    return dependency


def _visit(request: Request, wanted: str | None, named: bool = False) -> Visit:
    here, answers = cast(Context, request.app.state.context), cast(Answers, request.app.state.answers)
    token = request.cookies.get(answers.cookie, "")
    session = here.accounts.session(token, busy="sentinel-poll" not in request.headers) if token else None
    if session is None:
        raise SignInFirst
    account = session.account
    apps = tuple(app for app in here.store.access.apps() if account.reaches(app.id))
    return Visit(
        here, answers, request, account, apps, _chosen(apps, wanted, named), csrf_of(token), token, here.clock()
    )


def _chosen(apps: tuple[App, ...], wanted: str | None, named: bool) -> App:
    """Return the app asked for, the default one where none is; raises ApiError if it must be `named` and is not."""
    if not apps:
        raise ApiError("forbidden", "your account reaches no app", "ask an administrator of the server")
    if wanted is None:
        if len(apps) > 1 and named:
            raise ApiError("invalid", "`app`: missing", "there are several, and this changes something")
        return next((app for app in apps if app.id == "default"), apps[0])
    for app in apps:
        if app.id == wanted:
            return app
    raise ApiError("not_found", f"there is no app `{wanted[:80]}`", "or your account does not reach it")


def _meant(request: Request, form: Form, visit: Visit) -> None:
    """Raise ApiError for a change without the CSRF token of the session."""
    if request.method not in UNSAFE:
        return
    sent = request.headers.get("x-csrf-token") or form.raw("csrf")
    if not hmac.compare_digest(sent.encode(), visit.csrf.encode()):
        raise ApiError("forbidden", "the form does not belong to this session", "open the page again and send it again")


def reader(request: Request) -> Visit | None:
    """Return the visit for an error page, in an app the account reaches; None where nobody is signed in."""
    for wanted in (request.query_params.get("app"), None):
        try:
            return _visit(request, wanted)
        except SignInFirst:
            return None
        except SentinelError:
            continue
    return None


Viewer = Annotated[Visit, Depends(_at_least("viewer"))]
Analyst = Annotated[Visit, Depends(_at_least("analyst"))]
Admin = Annotated[Visit, Depends(_at_least("admin"))]
ServerAdmin = Annotated[Visit, Depends(_at_least("admin", server=True))]
