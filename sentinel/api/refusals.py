"""How errors become answers: what FastAPI refuses and what was raised, in the one form of `edge.errors`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from sentinel.api.models import ErrorAnswer
from sentinel.core.errors import SentinelError
from sentinel.edge.errors import CODES, ApiError, NotTaken, refusal
from sentinel.edge.mistakes import told

OPENAPI = "/v1/openapi.json"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "The request is malformed, or carries two credentials",
        401: "No key, or one that is not known",
        403: "The key has not the right",
        404: "Not there, or another app's",
        408: "The body did not come within 30 seconds",
        413: "Larger than 8 MiB",
        422: "Something in it cannot be meant",
        429: "Too much is asked with the key; Retry-After says when to come back",
        500: "A fault of ours, which was logged",
        503: "The store cannot do it now; Retry-After says when to come back",
    }.items()
}
_SEE = f"see {OPENAPI}"
_NO_JSON = ApiError("malformed", "the body is not JSON", f"send it plain and in UTF-8, as {OPENAPI} shows")


def answer(error: ApiError) -> Response:
    """Return the answer of a refusal."""
    return Response(error.body(), error.status, dict(error.headers), "application/json")


async def refused(request: Request, error: Exception) -> Response:
    """Answer where the service raised an error of the tree."""
    assert isinstance(error, SentinelError)
    return answer(refusal(error))


async def invalid(request: Request, error: Exception) -> Response:
    """Say where the first mistake is; a body that is no JSON is malformed, not invalid."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return answer(_NO_JSON)
    if first["loc"] == ("body",) and first["type"] != "missing" and not _is_json(request):
        say = "send the header `Content-Type: application/json`"
        return answer(ApiError("invalid", "`body`: the request does not say that it is JSON", say))
    place = ".".join(_place(first["loc"], error.body, first["type"] == "missing")) or "body"
    message, hint = told(first)
    return answer(ApiError("invalid", f"`{place[:80]}`: {message}", hint or _SEE))


async def http(request: Request, error: Exception) -> Response:
    """Answer what has no address, or not with that method, and bodies that nobody could read."""
    assert isinstance(error, HTTPException)
    code = CODES.get(error.status_code, "malformed")
    if code == "malformed":  # bytes of another encoding, packed ones, brackets without end
        return answer(_NO_JSON)
    path, meant = request.scope["path"], request.scope["path"].rstrip("/")
    taken = _methods(request, meant) if path != meant else []
    if taken and (code == "not_found" or request.method in taken):
        return answer(slashed(path, meant))
    if code == "method_not_allowed":
        return answer(NotTaken(request.method, _methods(request, path)))
    messages = {"not_found": "there is nothing at this address"}
    refusing = answer(ApiError(code, messages.get(code, "the request is not taken"), _SEE))
    for name, value in (error.headers or {}).items():
        refusing.headers[name] = value
    return refusing


def _is_json(request: Request) -> bool:
    """Return whether a request says that its body is JSON: else nobody reads it as such."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower().endswith(("/json", "+json"))


def _place(loc: Sequence[int | str], body: Any, missing: bool) -> Iterator[str]:
    """Give the steps to what is wrong, without the names of the types that its value was tried as."""
    for step in loc[1:]:
        if loc[0] == "body":
            if not isinstance(body, dict | list):
                return
            if isinstance(body, list) and isinstance(step, str):
                continue
            if isinstance(body, dict) and step not in body and not missing:
                return
            body = body.get(step) if isinstance(body, dict) else body[int(step)]
        yield str(step)


def slashed(path: str, meant: str) -> ApiError:
    """Return the refusal of an address with a `/` too many: nobody is sent on, for a body or a key would be lost."""
    return ApiError("not_found", f"there is nothing at `{path[:80]}`", f"leave out the `/` at its end: `{meant[:80]}`")


def _methods(request: Request, path: str) -> list[str]:
    """Return every method that an address takes: each has a route of its own."""
    routes: Sequence[BaseRoute] = request.app.state.routes
    scope = {**request.scope, "path": path}
    there = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    return sorted({method for route in there for method in getattr(route, "methods", None) or ()})
