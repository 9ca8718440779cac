"""The console put together: the table of its pages, and how refusals are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple, cast
from urllib.parse import quote, urlencode

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sentinel.console.answers import Answers, Link
from sentinel.console.assets import Assets
from sentinel.console.context import Context
from sentinel.console.guard import Console
from sentinel.console.pages import (
    access,
    addresses,
    decisions,
    editor,
    entry,
    explorer,
    findings,
    hands,
    overview,
    people,
    playbooks,
    reports,
    searches,
    series,
    settings,
)
from sentinel.console.render import environment
from sentinel.console.throttle import Throttle
from sentinel.console.visit import SignInFirst, reader
from sentinel.core.errors import SentinelError
from sentinel.core.record import Role
from sentinel.edge.errors import CODES, ApiError, answering, refusal
from sentinel.edge.mistakes import told


class Page(NamedTuple):
    """A page, or several under one path, and its place in the navigation; one without a label is not listed."""

    path: str
    label: str
    router: APIRouter


# The order is that of the navigation; the icon of `/findings` is called `findings` in `ui.html`.
PAGES = (
    Page("/overview", "Overview", overview.router),
    Page("/explorer", "Explorer", explorer.router),
    Page("", "", searches.router),
    Page("/playbooks", "Playbooks", playbooks.router),
    Page("", "", editor.router),
    Page("/findings", "Findings", findings.router),
    Page("/decisions", "Decisions", decisions.router),
    Page("/people", "People", people.router),
    Page("", "", hands.router),
    Page("/addresses", "Addresses", addresses.router),
    Page("/reports", "Reports", reports.router),
    Page("", "", series.router),
    Page("/settings", "Settings", settings.router),
    Page("", "", access.router),
    Page("", "", entry.router),
)


def build(context: Context, assets: Assets | None = None) -> Console:
    """Return the console as the front calls it."""
    nav = [Link(page.label, page.path, page.path.strip("/")) for page in PAGES if page.label]
    answers = Answers(environment(), assets or Assets(), nav, context.secure)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context, app.state.answers = context, answers
    app.state.door = entry.Door(context, answers, Throttle(time.monotonic))
    app.router.routes += _together().routes
    app.add_exception_handler(SignInFirst, answering(_door))
    app.add_exception_handler(SentinelError, answering(_refused))
    app.add_exception_handler(RequestValidationError, answering(_invalid))
    app.add_exception_handler(HTTPException, answering(_http))
    app.add_exception_handler(Exception, _fault)
    words = {route.path.split("/")[1] for route in routes()} | {"static"}
    return Console(app, answers, words - {""}, context.public_url, partial(_account, context))


@cache
def _together() -> APIRouter:
    """Return the pages as one router, whose routes FastAPI works out once a process."""
    router = APIRouter()
    for page in PAGES:
        router.include_router(page.router)
    return router


def _account(context: Context, token: str) -> str | None:
    session = context.accounts.session(token, busy=False)
    return None if session is None else session.account.id


def finding_page(public_url: str | None) -> Callable[[str, str], str] | None:
    """Return what gives the address of a finding's page for messages; None where nobody said how people come here."""
    if public_url is None:
        return None
    base = public_url.rstrip("/")
    return lambda app, finding: f"{base}/findings/{quote(finding, safe='')}?app={quote(app, safe='')}"


def bundle_page(public_url: str | None) -> Callable[[str, int], str] | None:
    """Return what gives the address of the list of those findings that one delivery tells of."""
    if public_url is None:
        return None
    base = public_url.rstrip("/")
    return lambda app, bundle: f"{base}/findings?{urlencode({'app': app, 'bundle': bundle})}"


class Route(NamedTuple):
    """One method of one path; `role` is who may, None for anybody, and `server` whether of every app alone."""

    method: str
    path: str
    role: Role | None
    server: bool


def routes() -> Iterator[Route]:
    """Give every route of every page."""
    for page in PAGES:
        for route in page.router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield Route(method, route.path, *_role(route))


def _role(route: APIRoute) -> tuple[Role | None, bool]:
    for dependency in route.dependant.dependencies:
        found: tuple[Role, bool] | None = getattr(dependency.call, "role", None)
        if found is not None:
            return found
    return None, False


async def _door(request: Request, error: Exception) -> Response:
    return _answers(request).to_sign_in(request)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, SentinelError)
    return await _answer(request, refusal(error))


async def _invalid(request: Request, error: Exception) -> Response:
    """Say what of the address cannot be meant."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "address"
    message, hint = told(first)
    return await _answer(request, ApiError("invalid", f"`{place[:80]}`: {message}", hint))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _answer(request, ApiError("not_found", "there is nothing at this address"))
    return await _answer(request, ApiError(CODES.get(error.status_code, "malformed"), "the request cannot be read"))


async def _fault(request: Request, error: Exception) -> Response:
    cast(Context, request.app.state.context).fault(error)
    return await _answer(request, ApiError("internal", "a fault of ours, which was logged", "try again"))


def _answers(request: Request) -> Answers:
    return cast(Answers, request.app.state.answers)


async def _answer(request: Request, error: ApiError) -> Response:
    return _answers(request).refusal(request, error, await to_thread.run_sync(reader, request))
