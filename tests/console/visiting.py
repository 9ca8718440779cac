"""A console with an account of each role, and readers without a browser, who keep cookies and send tokens."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sentinel.core.record import EVERY_APP, Role
from tests.api.served import Answer, Client
from tests.api.whole import Whole
from tests.api.whole import whole as run_whole

PASSWORD = "river anvil seven moss"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Reader:
    """Somebody who runs no scripts. `session` is the cookie's value, empty where nobody is signed in."""

    client: Client
    session: str = ""
    csrf: str = ""
    app: str | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.client.port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a page of the app."""
        return self._kept(self.client.ask("GET", self._of_app(path), headers=self._head(headers)))

    def page(self, path: str) -> str:
        """Return a page's HTML; it must be there."""
        answer = self.get(path)
        assert answer.status == 200, (answer.status, answer.body.decode()[-600:])
        return answer.body.decode()

    def post(
        self, path: str, fields: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, **more: str
    ) -> Answer:
        """Send a form with the session's token, as a page would."""
        if self.session and not self.csrf:
            found = re.search(r'name="csrf" content="(\w+)"', self.page("/account"))
            assert found
            self.csrf = found[1]
        body = urlencode({"csrf": self.csrf, **(fields or {}), **more}, doseq=True).encode()
        head = {"Origin": self.origin, "Content-Type": FORM, **(headers or {})}
        return self._kept(self.client.ask("POST", self._of_app(path), raw=body, headers=self._head(head)))

    def done(self, path: str, fields: Mapping[str, Any] | None = None, **more: str) -> str:
        """Send a form that must be taken, and return where it leads."""
        answer = self.post(path, fields, **more)
        assert answer.status == 303, (answer.status, text(answer)[-300:])
        return answer.headers["location"]

    def _of_app(self, path: str) -> str:
        if self.app is None or "app=" in path:
            return path
        return path + ("&" if "?" in path else "?") + urlencode({"app": self.app})

    def _head(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        cookie = {"Cookie": f"sentinel={self.session}"} if self.session else {}
        return {**cookie, **(headers or {})}

    def _kept(self, answer: Answer) -> Answer:
        found = re.match(r'sentinel=("")?([^;"]*)', answer.headers.get("set-cookie", ""))
        if found and found[2] != self.session:
            self.session, self.csrf = found[2], ""
        return answer


@dataclass
class Console:
    """The server, and readers by role. They look at the app `one`, which they all reach; some reach no other."""

    whole: Whole
    kept: dict[tuple[str, bool], Reader] = field(default_factory=dict)

    @property
    def server(self) -> Any:
        return self.whole.server

    @property
    def store(self) -> Any:
        return self.whole.server.store

    def anybody(self) -> Reader:
        """Return somebody who is not signed in."""
        return Reader(self.whole.client)

    def reader(self, role: Role = "admin", everywhere: bool = True) -> Reader:
        """Return somebody signed in with a role, in every app or in `one` alone."""
        if (role, everywhere) not in self.kept:
            name = f"{role}-{'all' if everywhere else 'one'}"
            reader = self.invited(name, role, (EVERY_APP,) if everywhere else ("one",))
            reader.app = "one" if everywhere else None
            self.kept[role, everywhere] = reader
        return self.kept[role, everywhere]

    def invited(self, name: str, role: Role, apps: tuple[str, ...] = (EVERY_APP,)) -> Reader:
        """Make an account, choose its password, and return its owner, signed in."""
        accounts = self.server.accounts
        invitation = accounts.invite(name, role, apps, "test")
        return Reader(self.whole.client, accounts.accept(invitation.code, "", PASSWORD))


@contextlib.contextmanager
def visited(folder: Path, **more: Any) -> Iterator[Console]:
    """Run a server with its console while the block runs."""
    with run_whole(folder, **more) as whole:
        yield Console(whole)


def text(answer: Answer | str) -> str:
    """Return what a page says, without its markup; code is in backticks."""
    html = answer if isinstance(answer, str) else answer.body.decode()
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"</?code>", "`", html))
    return re.sub(r"\s+", " ", unescape(bare)).strip()
