"""POST /v1/events and /v1/import, as plain ASGI, because every event of every app comes this way.

Who sends, and whether they may, is checked here. Events are taken in by `edge.door`; the answer waits for the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from sentinel.api.context import only_known
from sentinel.edge import wire
from sentinel.edge.access import Caller, Gate
from sentinel.edge.batch import Parsed, parse
from sentinel.edge.door import EXPECTED, Door, not_written, preflight
from sentinel.edge.errors import ApiError
from sentinel.edge.wire import Gone, Headers, Receive, Scope, Send
from sentinel.service.intake import Receipt, Sending

PATHS = {"/v1/events": False, "/v1/import": True}
_CORS = "authorization, content-type, content-encoding"


@dataclass(slots=True)
class Ingest:
    """The paths for events. `fault` hears of faults of ours, `heard` of what an SDK says of its process."""

    gate: Gate
    door: Door
    fault: Callable[[BaseException], None] = lambda error: None
    heard: Callable[[Caller, Headers], None] = lambda caller, headers: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope["headers"])
        if scope["method"] == "OPTIONS":
            await wire.answer(send, 204, b"", preflight(headers.get(b"origin"), "POST", _CORS))
            return
        cors: list[tuple[str, str]] = []
        extra: list[tuple[str, str]] = []
        try:
            status, data = 200, await self._take(scope, headers, receive, cors)
        except Gone:
            return
        except Exception as error:  # noqa: BLE001  no input may bring the path down; the fault is reported
            status, data, extra = self._refused(error)
        await wire.answer(send, status, data, [*cors, *extra])

    def _refused(self, error: Exception) -> tuple[int, bytes, list[tuple[str, str]]]:
        """Return what a refusal answers. Kept in the frame it came through, it would keep the body it holds alive."""
        if not isinstance(error, EXPECTED):
            self.fault(error)
        refused = not_written(error)
        self.door.meters.refused(refused.code)
        closing = [("connection", "close")] if refused.status in (408, 413) else []  # the rest is not waited for
        return refused.status, refused.body(), [*refused.headers, *closing]

    async def _take(self, scope: Scope, headers: Headers, receive: Receive, cors: list[tuple[str, str]]) -> bytes:
        door = self.door
        started = door.steady()
        door.started()
        caller = await self.gate.admit(headers, scope["query_string"])
        caller.require("sdk", "ingest", "browser")
        historical = PATHS[scope["path"]]
        enforce = _says_enforce(wire.parameters(scope["query_string"]), historical)
        ip = self._admit(caller, scope, headers, cors, historical, enforce)
        self.heard(caller, headers)
        parsed = await door.read(caller, ip, headers, receive, parse)
        sending = Sending(caller.app, parsed.events, caller.scope, historical, enforce)
        receipt = await door.write(sending, parsed, started, self.fault)
        return _accepted(receipt, parsed)

    def _admit(
        self, caller: Caller, scope: Scope, headers: Headers, cors: list[tuple[str, str]], historical: bool,
        enforce: bool,
    ) -> str | None:  # fmt: skip
        """Let a sender in before its body is read; return the connection's address for a browser's key."""
        ip = None
        if caller.scope == "browser":
            ip, allowed = self.door.admit_browser(caller, scope, headers)
            cors += allowed
            if historical:
                raise ApiError("forbidden", "a key of scope `browser` may not do this", "import from a server")
        if enforce and caller.scope == "ingest":
            raise ApiError("forbidden", "a key of scope `ingest` may not enforce an import", "use one of scope `sdk`")
        self.door.ask(caller, ip)
        return ip


def _accepted(receipt: Receipt, parsed: Parsed) -> bytes:
    return msgspec.json.encode(
        {
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "rejected": parsed.rejected,
            "revision": receipt.revision,
        }
    )


def _says_enforce(given: Mapping[str, str], historical: bool) -> bool:
    only_known(given, ("enforce",) if historical else ())
    value = given.get("enforce", "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise ApiError("invalid", f"`enforce`: `{value[:20]}` is neither true nor false")
    return value in ("true", "1")
