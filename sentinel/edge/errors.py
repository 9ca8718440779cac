"""All that a request can be refused with: one table of codes, one form of answer.

`{"error": {"code": …, "message": …, "hint": …}}`; codes are stable, messages are for people.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from sentinel.core.errors import Conflict, Forbidden, SentinelError, StoreBusy
from sentinel.service.intake import Busy

R = TypeVar("R")
T = TypeVar("T")
STATUS: Mapping[str, int] = {
    "malformed": 400,
    "two_credentials": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "unsupported_encoding": 415,
    "invalid": 422,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
CODES: Mapping[int, str] = {status: code for code, status in STATUS.items() if code != "two_credentials"}


class ApiError(SentinelError):
    """A refusal: `code` is one of STATUS, `retry_after` in seconds says when to come back.

    `problems` are the places in a text that was sent, where it has several mistakes.
    """

    def __init__(
        self, code: str, message: str, hint: str | None = None, retry_after: int | None = None,
        problems: Sequence[Mapping[str, Any]] = (),
    ) -> None:  # fmt: skip
        super().__init__(message, hint)
        self.problems = problems
        self.code = code
        self.status = STATUS[code]
        self.retry_after = retry_after

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the answer's head says beyond its status."""
        found = [] if self.retry_after is None else [("retry-after", str(self.retry_after))]
        if self.status == 401:
            found.append(("www-authenticate", "Bearer"))
        return found

    def body(self) -> bytes:
        """Return the answer's body."""
        said: dict[str, Any] = {"code": self.code, "message": self.message, "hint": self.hint}
        return msgspec.json.encode({"error": said | ({"problems": self.problems} if self.problems else {})})


class NotTaken(ApiError):
    """The refusal of a method at an address that takes others; the head of its answer names those."""

    def __init__(self, method: str, taken: Sequence[str]) -> None:
        self._taken = ", ".join(taken)
        message = f"the method `{method[:20]}` is not taken here"
        super().__init__("method_not_allowed", message, f"it takes {self._taken}")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the answer's head says beyond its status."""
        return [("allow", self._taken)]


def refusal(error: SentinelError) -> ApiError:
    """Return the answer to an error that the service raised."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Busy):
        return ApiError("unavailable", error.message, error.hint, error.after)
    if isinstance(error, StoreBusy):
        return ApiError("unavailable", error.outside, error.outside_hint or "try again", error.retry_after)
    code = "conflict" if isinstance(error, Conflict) else "forbidden" if isinstance(error, Forbidden) else "invalid"
    return ApiError(code, error.message, error.hint)


def let_go(error: BaseException | None) -> None:
    """Drop the frames through which an error that was answered came, and those of the errors before it.

    They hold the request's body, and some name the error: what is in such a circle stays until the collector comes,
    which goes by how many things there are, not by how large they are.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def answering(handler: Callable[[R, Exception], Awaitable[T]]) -> Callable[[R, Exception], Coroutine[Any, Any, T]]:
    """Return a handler of errors that lets go of each when it is answered."""

    async def answer(request: R, error: Exception) -> T:
        try:
            return await handler(request, error)
        finally:
            let_go(error)

    return answer


def not_found(what: str, id: str, hint: str = "is it in the list? what is gone, or another app's, is not") -> ApiError:
    """Return the refusal for something that is not there, or is another app's."""
    return ApiError("not_found", f"there is no {what} `{id[:80]}`", hint)


def require(found: T | None, what: str, id: str) -> T:
    """Return what was found; raises the refusal where it is not there, or is another app's."""
    if found is None:
        raise not_found(what, id)
    return found
