"""What the API's routes are given: the store, the caller, the time, and the state of the engine."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Annotated, cast, get_origin

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from sentinel.api.hub import Hub
from sentinel.core.record import KeyScope
from sentinel.edge.access import Caller, Gate
from sentinel.edge.errors import ApiError
from sentinel.edge.protocols import KeyForms
from sentinel.edge.turns import Turns
from sentinel.edge.wire import Headers, once
from sentinel.service.accounts import Accounts
from sentinel.service.bans import Bans
from sentinel.service.deleting import Deleter
from sentinel.service.explainer import Explainer
from sentinel.service.overview import Overview
from sentinel.service.ports import Store
from sentinel.service.processes import Processes
from sentinel.service.search import Searches
from sentinel.service.switch import Switch
from sentinel.service.trials.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Context:
    """What routes need, made by the composition root. `metrics` gives the text of an app's metrics, of all for None."""

    store: Store
    gate: Gate
    hub: Hub
    overview: Overview
    enforcement: Switch
    clock: Callable[[], int]
    metrics: Callable[[str | None], bytes]
    told: Callable[[str], None]  # the decision list of an app has changed
    explainer: Explainer
    processes: Processes  # of the apps, as their SDKs tell
    bans: Bans
    key_forms: KeyForms  # what keys for foreign protocols may be
    searches: Searches
    deleter: Deleter
    accounts: Accounts  # of those who sign in to the console
    workbench: Workbench
    turns: Turns = field(default_factory=Turns)  # of those who ask the explorer
    never: tuple[str, ...] = ()  # networks that are the app's own: its proxies


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


_reading = allowed("read")


def measured(request: Request, here: Here, _: Annotated[object, Depends(bearer)]) -> str | None:
    """Return the app whose metrics a caller may see, None for all: the server's administrator, or its `metrics_key`."""
    if here.gate.opens_metrics(Headers(request.scope["headers"]), request.scope["query_string"]):
        _only_known(request)
        return None
    caller = _reading(request, here, _)
    return None if caller.server else caller.app


Reader = Annotated[Caller, Depends(_reading)]
Listener = Annotated[Caller, Depends(allowed("read", "sdk"))]
Admin = Annotated[Caller, Depends(allowed())]


async def in_turn(here: Here, caller: Reader) -> AsyncIterator[None]:
    """Let a question that may take long wait for its key's turn."""
    async with here.turns.of(caller):
        yield


async def listed_in_turn(here: Here, caller: Listener) -> AsyncIterator[None]:
    """Let the making of a whole list wait for its key's turn, for callers that only listen."""
    async with here.turns.of(caller):
        yield


ASKED_IN_TURN, LISTED_IN_TURN = [Depends(in_turn)], [Depends(listed_in_turn)]


def server_only(caller: Caller) -> None:
    """Raise the refusal unless the caller administers the whole server."""
    if not caller.server:
        raise ApiError(
            "forbidden", "a key may not do this: it belongs to one app", "run `sentinel` beside the server's data"
        )


def _only_known(request: Request) -> None:
    """Refuse query parameters that the route does not take, and any that is given twice but is no list.

    A slip there would answer another question.
    """
    taken = request.scope["route"].dependant.query_params
    only_known(request.query_params, {one.alias for one in taken})
    lists = {one.alias for one in taken if get_origin(one.field_info.annotation) is list}
    once((name for name, _ in request.query_params.multi_items()), lists)


def only_known(given: Iterable[str], known: Collection[str]) -> None:
    """Raise ApiError for the first parameter that is not among those known."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name[:64], known, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"it takes {', '.join(sorted(known)) or 'none'}"
            raise ApiError("invalid", f"`{name[:64]}`: not a parameter of this address", hint)
