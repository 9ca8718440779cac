"""Authentication: from a credential to the app it belongs to and what its scope allows.

A key belongs to one app and sees nothing of another. The local administrator, who can read the server's own folder,
holds a token that lasts as long as the process, and names the app of each request.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from sentinel.core.record import KeyScope
from sentinel.edge.errors import ApiError, not_found
from sentinel.edge.wire import Headers
from sentinel.service.ports.people import Access

LOCAL = "local administrator"
_HINT = "send `Authorization: Bearer <key>`"
_IN_QUERY = {"access_token", "api_key", "key"}
_LONGEST = 512
LOOKUPS = 4  # keys that are looked up at once
MOST_UNKNOWN = 256  # requests that wait for that


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an app, by a key. `by` is how the audit names them; `server` says that it is the server's own admin."""

    app: str
    scope: KeyScope
    key: str
    by: str
    server: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def require(self, *scopes: KeyScope) -> None:
        """Raise the refusal unless the caller's scope is one of these; `admin` is always let through."""
        if self.scope not in scopes and self.scope != "admin":
            wanted = " or ".join(f"`{scope}`" for scope in dict.fromkeys((*scopes, "admin")))
            raise ApiError(
                "forbidden", f"a key of scope `{self.scope}` may not do this", f"use a key of scope {wanted}"
            )


class Gate:
    """Finds out who a caller is by the secret they send.

    `token` is the local administrator's, `metrics_key` that of whoever may see the metrics of the whole server.
    """

    def __init__(self, access: Access, token: str | None = None, metrics_key: str | None = None) -> None:
        self._access = access
        self._token = token.encode() if token else None
        self._metrics_key = metrics_key.encode() if metrics_key else None
        self._pool = ThreadPoolExecutor(LOOKUPS, "sentinel-keys")
        self._unknown = 0
        self._used: dict[str, None] = {}  # ids of keys, since they were told last

    def caller(self, secret: str, app: str | None = None, protocol: str | None = None) -> Caller:
        """Return whose secret it is; raises ApiError where it is nobody's.

        `app` is the one that the local administrator means, or that a key must belong to. With `protocol` only a key
        made for that foreign protocol is good, without it only a key made for none.
        """
        if protocol is None and self._is_token(secret):
            return Caller(self._known(app or "default"), "admin", "", LOCAL, server=True)
        key = self._access.key(secret)
        if key is None:
            raise ApiError("unauthorized", "the key is not known or was revoked", _HINT)
        if key.protocol != protocol:
            raise _other_protocol(key.protocol, protocol)
        if app is not None and app != key.app:
            raise ApiError("forbidden", f"the key does not belong to the app `{app[:80]}`")
        self._used[key.id] = None  # all that each request pays for it
        return Caller(key.app, key.scope, key.id, f"key:{key.id}", settings=key.settings)

    def _known(self, app: str) -> str:
        if self._access.app(app) is None:
            raise not_found("app", app, "`sentinel apps list` shows them")
        return app

    async def admit(self, headers: Headers, query: bytes) -> Caller:
        """Return the caller of a request, as `of` does, without holding up the event loop."""
        return await self.asked(credential(headers, query), partial(self.of, headers, query))

    async def asked(self, secret: str | None, ask: Callable[[], Caller]) -> Caller:
        """Return what `ask` returns. It runs in a thread, for a store may hang, unless the secret is remembered."""
        if secret is not None and (self._is_token(secret) or self._access.remembers(secret)):
            return ask()
        if self._unknown >= MOST_UNKNOWN:
            raise ApiError("unavailable", "too many keys are being looked up", "try again", 1)
        self._unknown += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, ask)
        finally:
            self._unknown -= 1

    def _is_token(self, secret: str) -> bool:
        return _equal(secret, self._token)

    def opens_metrics(self, headers: Headers, query: bytes) -> bool:
        """Say whether a request carries the `metrics_key`; raises the refusal where it carries no single credential."""
        return _equal(credential(headers, query), self._metrics_key)

    def tell_used(self, keep: Callable[[Sequence[str]], object]) -> None:
        """Call `keep` with the ids of keys used since the last time; where it raises, they are told again."""
        used = list(self._used)
        if used:
            keep(used)
        for id in used:
            self._used.pop(id, None)

    def close(self) -> None:
        """End the threads that look keys up; a store that hangs holds nobody up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def of(self, headers: Headers, query: bytes) -> Caller:
        """Return the caller of a request by its head and query string."""
        return self.caller(credential(headers, query), headers.get(b"sentinel-app"))


def _equal(secret: str, wanted: bytes | None) -> bool:
    return wanted is not None and hmac.compare_digest(secret.encode("latin-1", "replace"), wanted)


def _other_protocol(made_for: str | None, wanted: str | None) -> ApiError:
    if wanted is None:
        return ApiError("forbidden", f"the key was made for `{made_for}`", "use a key without a protocol")
    hint = f"make one with `sentinel keys create … --protocol {wanted}`"
    return ApiError("forbidden", f"the key was not made for `{wanted}`", hint)


def credential(headers: Headers, query: bytes = b"") -> str:
    """Return the one secret a request carries; raises the refusal where there is none or more than one."""
    lines = headers.all(b"authorization")
    in_query = _IN_QUERY.intersection(name for name, _ in _pairs(query)) if query else set()
    if len(lines) > 1 or (lines and (in_query or "," in lines[0])):
        raise ApiError("two_credentials", "the request carries more than one credential", "send exactly one key")
    if not lines:
        hint = "a key in the address ends up in logs: send `Authorization: Bearer <key>`" if in_query else _HINT
        raise ApiError("unauthorized", "the request carries no key", hint)
    scheme, _, secret = lines[0].partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not 0 < len(secret) <= _LONGEST or not secret.isascii():
        raise ApiError("unauthorized", "the credential is not a bearer key", _HINT)
    return secret


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise ApiError("malformed", "the query string has more than 100 parts") from None
