"""Sentinel for Flask: `Sentinel(app)` wraps `wsgi_app`, so that it is outside everything Flask does."""

from __future__ import annotations

from typing import Any

import flask

from sentinel.sdk.wsgi import App, SentinelMiddleware


class Sentinel:
    """An extension; `challenge` and `refuse` are WSGI applications that answer in place of the built-in ones."""

    def __init__(
        self, app: flask.Flask | None = None, *, challenge: App | None = None, refuse: App | None = None
    ) -> None:
        self._answers = {"challenge": challenge, "refuse": refuse}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Protect an application."""
        inner: Any = app.wsgi_app
        app.wsgi_app = SentinelMiddleware(inner, **self._answers)  # type: ignore[method-assign]
        app.url_value_preprocessor(_note_route)  # before any `before_request`, which may identify


def _note_route(*about: Any) -> None:
    rule = flask.request.url_rule
    if rule is not None:
        flask.request.environ["sentinel.route"] = rule.rule
