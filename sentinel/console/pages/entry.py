"""Signing in and out, one-time links, changing one's own password, and the theme."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from sentinel.console.answers import THEME_COOKIE, THEMES, Answers
from sentinel.console.context import Context
from sentinel.console.forms import Filled, Form
from sentinel.console.throttle import Throttle
from sentinel.console.visit import Viewer
from sentinel.core.errors import SentinelError
from sentinel.core.proxies import client_address
from sentinel.edge.errors import ApiError
from sentinel.edge.wire import Headers
from sentinel.service import passwords
from sentinel.service.accounts import folded

router = APIRouter()
HASHING = 2  # passwords looked at at once: each takes a tenth of a second of a processor, and tens of megabytes
WAITING = 20
_YEAR = 365 * 24 * 3600
Next = Annotated[str, Query(max_length=2000)]


@dataclass(slots=True)
class Door:
    """What signing in needs beyond the context: limits of how often somebody tries, and of how many try at once."""

    here: Context
    answers: Answers
    throttle: Throttle
    hashing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(HASHING))
    trying: int = 0

    def address(self, request: Request) -> str | None:
        """Return the client's address, as far as proxies are trusted."""
        headers = Headers(request.scope["headers"])
        peer = request.client.host if request.client else None
        return client_address(
            peer, headers.all(b"forwarded"), headers.all(b"x-forwarded-for"), self.here.proxies
        )  # fmt: skip

    async def try_it(self, request: Request, account: str, what: Callable[[], str | None]) -> str | None:
        """Return the session's token that `what` gives in a thread, None where it gives none.

        Raises ApiError for too many tries of an address or account, or at once.
        """
        ip = self.address(request)
        wait = self.throttle.ask(ip, account)
        if wait is not None:
            self.here.tried("slowed")
            raise ApiError("rate_limited", "too many tries", f"try again in {wait} s", wait)
        if self.trying >= HASHING + WAITING:
            raise ApiError("unavailable", "too many are signing in at once", "try again in 5 s", 5)
        self.trying += 1  # the limiter counts only who came to it, and many may come at once
        try:
            token = await to_thread.run_sync(what, limiter=self.hashing)
        except SentinelError:  # a link that is not good, an old password that is not the one
            self.here.tried("wrong")
            raise
        finally:
            self.trying -= 1
        self.here.tried("wrong" if token is None else "in")
        if token is not None:
            self.throttle.forgive(ip, account)
        return token

    def entered(self, request: Request, token: str, url: str) -> Response:
        """Return a redirect to `url` that sets the cookie of a new session."""
        return self.answers.keep(self.answers.lead(request, url), token)


def _door(request: Request) -> Door:
    return cast(Door, request.app.state.door)


@router.get("/")
def first() -> Response:
    """Lead to the first page."""
    return RedirectResponse("/overview", 303)


@router.get("/sign-in")
def show_sign_in(request: Request, next: Next = "") -> Response:
    """Show the door."""
    door = _door(request)
    token = request.cookies.get(door.answers.cookie, "")
    if token and door.here.accounts.session(token) is not None:
        return RedirectResponse(_own(next), 303)
    return _sign_in(door, request, next)


@router.post("/sign-in")
async def sign_in(request: Request, form: Filled) -> Response:
    """Let somebody in who knows a name and its password."""
    door, name, password = _door(request), folded(form.raw("name")), form.raw("password")
    try:
        token = await door.try_it(request, name, lambda: door.here.accounts.sign_in(name, password))
    except ApiError as error:
        return await to_thread.run_sync(_sign_in, door, request, form.raw("next"), name, error)
    if token is None:
        wrong = ApiError("unauthorized", "the name or the password is wrong")
        return await to_thread.run_sync(_sign_in, door, request, form.raw("next"), name, wrong)
    await _leave(door, request)
    return door.entered(request, token, _own(form.raw("next")))


@router.post("/sign-out")
def sign_out(visit: Viewer) -> Response:
    """End the session."""
    visit.here.accounts.sign_out(visit.token, visit.by)
    return visit.answers.forget(visit.answers.lead(visit.request, "/sign-in"))


@router.get("/welcome")
def show_welcome(request: Request) -> Response:
    """Show where a one-time link leads; its code never leaves the browser until the form is sent."""
    return _welcome(_door(request), request)


@router.post("/welcome")
async def welcome(request: Request, form: Filled) -> Response:
    """Use a one-time link: a password is chosen, and the session begins."""
    door = _door(request)
    try:
        _twice(form, "password")
        code, password = form.text("code", most=200), form.raw("password")
        name = form.text("name", empty=True, most=100)
        token = await door.try_it(
            request, f"link:{code[:12]}", lambda: door.here.accounts.accept(code, name, password)
        )  # fmt: skip
    except SentinelError as error:
        return _welcome(door, request, form.raw("code"), form.raw("name"), error)
    await _leave(door, request)
    return door.entered(request, cast(str, token), "/overview")


@router.get("/account")
def show_account(visit: Viewer) -> Response:
    """Show the reader's own account."""
    return visit.page("account.html")


@router.post("/account")
async def change_password(visit: Viewer, request: Request, form: Filled) -> Response:
    """Choose another password."""
    door = _door(request)
    _twice(form, "new")
    old, new = form.raw("old"), form.raw("new")
    token = await door.try_it(
        request, visit.account.name, lambda: door.here.accounts.change_password(visit.account, old, new)
    )  # fmt: skip
    return door.answers.keep(visit.done(visit.url("/account"), "password-changed"), cast(str, token))


@router.post("/theme")
def choose_theme(request: Request, form: Filled) -> Response:
    """Show pages light, dark, or as the system has it; kept by the browser alone."""
    answers = _door(request).answers
    answer = RedirectResponse(_own(form.raw("back")), 303)
    theme = form.choice("theme", THEMES)
    answer.set_cookie(THEME_COOKIE, theme, max_age=_YEAR, secure=answers.secure, httponly=True, samesite="lax")
    return answer


async def _leave(door: Door, request: Request) -> None:
    """End the session somebody came with, who has a new one now."""
    old = request.cookies.get(door.answers.cookie, "")
    session = await to_thread.run_sync(door.here.accounts.session, old) if old else None
    if session is not None:
        await to_thread.run_sync(door.here.accounts.sign_out, old, session.account.actor)


def _sign_in(
    door: Door, request: Request, next: str, name: str = "", error: SentinelError | None = None
) -> Response:  # fmt: skip
    nobody = not any(account.ready for account in door.here.store.accounts.list())
    return _shown(door, request, "sign_in.html", error, next=_own(next), name=name, nobody=nobody)


def _welcome(
    door: Door, request: Request, code: str = "", name: str = "", error: SentinelError | None = None
) -> Response:  # fmt: skip
    return _shown(door, request, "welcome.html", error, code=code, name=name, shortest=passwords.SHORTEST)


def _shown(door: Door, request: Request, template: str, error: SentinelError | None, **values: object) -> Response:
    status = 200 if error is None else error.status if isinstance(error, ApiError) else 422
    return door.answers.page(request, template, status, error=error, **values)


def _twice(form: Form, name: str) -> None:
    if form.raw(name) != form.raw("again"):
        raise SentinelError("`again`: not the same password", "type it once more")


def _own(path: str) -> str:
    """Return a path of the console as it is, and the first page for anything that might lead elsewhere."""
    good = path.startswith("/") and not path.startswith(("//", "/\\", "/sign-in", "/welcome")) and path.isprintable()
    return path if good and "\\" not in path else "/overview"
