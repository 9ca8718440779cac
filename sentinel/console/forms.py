"""The fields of a submitted form, each read as what it is for. The CSRF token is checked in `visit`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated
from urllib.parse import parse_qsl

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from sentinel.core.errors import SentinelError

LONGEST = 2_000
MOST_FIELDS = 200
AT_ONCE = 64 * 1024  # bytes that are read on the loop; more in a thread, for anybody may send them
SECRET = frozenset({"csrf", "code", "password", "again", "old", "new"})

_few = CapacityLimiter(2)  # long forms that are read at once: four megabytes become three hundred


class Form:
    """The fields of a submitted form; every reader raises SentinelError naming the field."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = list(pairs)

    def all(self, name: str) -> list[str]:
        """Return every value of a field, in order."""
        return [value for key, value in self._pairs if key == name]

    def raw(self, name: str) -> str:
        """Return a field as it was sent, empty where it was not."""
        return next(iter(self.all(name)), "")

    def text(self, name: str, *, most: int = LONGEST, empty: bool = False) -> str:
        """Return a field without the space around it; with `empty` it may be left out."""
        value = self.raw(name).strip()
        if not value and not empty:
            raise SentinelError(f"`{name}`: missing", "fill it in")
        if len(value) > most:
            raise SentinelError(f"`{name}`: longer than {most} characters")
        return value

    def choice(self, name: str, among: Iterable[str]) -> str:
        """Return a field that is one of a few."""
        value, known = self.raw(name), list(among)
        if value not in known:
            raise SentinelError(f"`{name}`: `{value[:40]}` is none of {', '.join(known)}")
        return value

    def written(self) -> list[tuple[str, str]]:
        """Return the fields that were filled in, without those that are nobody's to read again."""
        return [(name, value) for name, value in self._pairs if value and name not in SECRET]

    def flag(self, name: str) -> bool:
        """Say whether a box was ticked."""
        return bool(self.raw(name))

    def forget(self) -> None:
        """Let go of all fields, whoever holds the form still: filled-in templates do, in circles."""
        self._pairs.clear()


async def form(request: Request) -> Form:
    """Return the form of a request, an empty one where its body is none; whoever refuses the request finds it again."""
    request.state.form = found = await _form(request)
    return found


def sent(request: Request) -> Form:
    """Return the form of a request as far as it was read."""
    found = getattr(request.state, "form", None)
    return found if isinstance(found, Form) else Form()


async def _form(request: Request) -> Form:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return Form()
    data = b"".join([part async for part in request.stream()])  # which keeps nothing, as `body` does
    try:
        return _read(data) if len(data) <= AT_ONCE else await to_thread.run_sync(_read, data, limiter=_few)
    except ValueError:
        raise SentinelError("the form cannot be read", f"UTF-8, and at most {MOST_FIELDS} fields") from None


def _read(data: bytes) -> Form:
    return Form(parse_qsl(data.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS))


Filled = Annotated[Form, Depends(form)]
