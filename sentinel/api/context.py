"""What the pages of the API are given: the store, who asks, the time, and what the engine is doing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from sentinel.api.access import Caller, Gate
from sentinel.api.errors import ApiError
from sentinel.api.hub import Hub
from sentinel.api.wire import Headers
from sentinel.core.record import KeyScope
from sentinel.service.ports import Store

State = Literal["ready", "rebuilding", "off"]


@dataclass(frozen=True, slots=True)
class PlaybookState:
    """One playbook of an app as the engine has it; `groups` is how many groups its windows hold.

    `skipped` counts events passed over, `errors` faults of the playbook itself, both by reason.
    """

    id: str
    title: str
    mode: str
    severity: str
    version: str
    state: State
    file: str = ""
    groups: int = 0
    skipped: Mapping[str, int] | None = None
    errors: Mapping[str, int] | None = None


class Overview(Protocol):
    """What the engine is doing."""

    def playbooks(self, app: str) -> Sequence[PlaybookState]:
        """Return the playbooks of an app, by id."""

    def starting(self) -> str | None:
        """Say what has to be done before events are taken; None when all is done."""


class Enforcement(Protocol):
    """Whether decisions are carried out: one switch for the server, one for each app."""

    def on(self, app: str) -> bool: ...

    def state(self, app: str | None) -> bool: ...

    def turn(self, app: str | None, on: bool, by: str, why: str, now: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """All of it, made by the composition root. `metrics` gives the text of an app's metrics, of all for None."""

    store: Store
    gate: Gate
    hub: Hub
    overview: Overview
    enforcement: Enforcement
    clock: Callable[[], int]
    metrics: Callable[[str | None], bytes]
    told: Callable[[str], None]  # the decision list of an app has changed


def context(request: Request) -> Context:
    """Return the context of the application a request came to."""
    return cast(Context, request.app.state.context)


Here = Annotated[Context, Depends(context)]
bearer = HTTPBearer(auto_error=False, description="A key of the app; its scope says what it may do.")


def allowed(*scopes: KeyScope) -> Callable[..., Caller]:
    """Return a dependency that lets callers of these scopes in, and administrators."""

    def dependency(request: Request, here: Here, _: Annotated[object, Depends(bearer)]) -> Caller:
        caller = here.gate.of(Headers(request.scope["headers"]), request.scope["query_string"])
        caller.require(*scopes)
        _only_known(request)
        return caller

    dependency.scopes = (*scopes, "admin")  # type: ignore[attr-defined]
    return dependency


Reader = Annotated[Caller, Depends(allowed("read"))]
Listener = Annotated[Caller, Depends(allowed("read", "sdk"))]
Admin = Annotated[Caller, Depends(allowed())]


def server_only(caller: Caller) -> None:
    """Raise the refusal unless the caller administers the whole server."""
    if not caller.server:
        raise ApiError(
            "forbidden", "a key may not do this: it belongs to one app", "run `sentinel` beside the server's data"
        )


def _only_known(request: Request) -> None:
    """Refuse a query parameter nobody reads: a slip there would answer another question."""
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            close = difflib.get_close_matches(name[:64], known, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"it takes {', '.join(sorted(known)) or 'none'}"
            raise ApiError("invalid", f"`{name[:64]}`: not a parameter of this address", hint)
