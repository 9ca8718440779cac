"""Sentinel for FastAPI: `protect(app)`, and a dependency that identifies the user another dependency found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware

from sentinel import sdk
from sentinel.sdk.asgi import App, SentinelMiddleware


def protect(app: FastAPI, *, challenge: App | None = None, refuse: App | None = None) -> None:
    """Add the middleware inside all others, whatever is added before or after.

    An application whose own middleware identifies adds `SentinelMiddleware` itself, after that one.
    """
    if app.middleware_stack is not None:
        raise RuntimeError("protect() comes before the application starts")
    app.user_middleware.append(Middleware(SentinelMiddleware, challenge=challenge, refuse=refuse))


def identified(find_user: Callable[..., Any], identifiers: Callable[[Any], Any] = lambda user: user) -> Any:
    """Return a dependency: what `find_user` found, identified by `identifiers(user)`; None stays anonymous.

    `identifiers` is called in the event loop, for a thread would cost more than all the rest: it should ask nobody.
    """

    async def dependency(user: Any = Depends(find_user)) -> Any:  # noqa: B008  FastAPI's way
        if user is not None:
            try:
                found = identifiers(user)
            except Exception as error:  # noqa: BLE001  the endpoint may do without us
                sdk.current().failed("identified", error)
                return user
            sdk.identify(found)
        return user

    return dependency
