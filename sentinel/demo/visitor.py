"""One visitor of the shop, honest or not: an address, a browser, a cookie, and what the shop answered.

The shop sees the address in X-Forwarded-For, as from the proxy that it trusts.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

REFUSALS = {"blocked", "challenged", "redirected"}  # how the SDK's answers call themselves; the shop's own never do
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request; `sent` and `came` are seconds of one monotonic clock, `status` 0 where nothing came."""

    method: str
    path: str
    ip: str
    who: str
    sent: float
    came: float
    status: int
    code: str
    reference: str

    @property
    def refused(self) -> bool:
        """Whether Sentinel answered in the shop's place."""
        return self.code in REFUSALS

    @property
    def served(self) -> bool:
        """Whether the shop did as it was asked."""
        return 200 <= self.status < 400 and not self.refused


class Visitor:
    """Asks the shop on one connection, one request at a time."""

    def __init__(self, shop: str, ip: str, agent: str, who: str = "") -> None:
        parts = urlsplit(shop)
        self.ip = ip
        self.who = who
        self._agent = agent
        self._cookie: str | None = None
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)

    def get(self, path: str) -> Answer:
        """Look at a page."""
        return self._ask("GET", path, None, self.who)

    def post(self, path: str, **form: str) -> Answer:
        """Send a form."""
        return self._ask("POST", path, urlencode(form).encode(), form.get("email", self.who))

    def forget(self) -> None:
        """Throw the cookie away."""
        self._cookie = None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, who: str) -> Answer:
        sent = time.monotonic()
        try:
            self._connection.request(method, path, body, self._headers(body))
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Answer(method, path, self.ip, who, sent, time.monotonic(), 0, type(error).__name__, "")
        came = time.monotonic()
        self._keep(response)
        code, reference = _error(raw)
        if response.status == 303:
            code = "redirected"  # a program that asks for JSON is never sent elsewhere by the shop itself
        return Answer(method, path, self.ip, who, sent, came, response.status, code, reference)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._agent, "X-Forwarded-For": self.ip}
        headers["Accept-Language"] = "en"
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers if self._cookie is None else headers | {"Cookie": self._cookie}

    def _keep(self, response: http.client.HTTPResponse) -> None:
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self._cookie = f"{name}={morsel.coded_value}"


def _error(raw: bytes) -> tuple[str, str]:
    """Return the code and reference of an error's JSON, empty where there is none."""
    try:
        error: Any = json.loads(raw)["error"]
        return str(error["code"]), str(error.get("reference", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
