"""How commands reach a running server: by URL and key, or, on its machine, by the file in its data folder."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import typer

from sentinel import __version__, local, settings
from sentinel.cli.terminal import complain
from sentinel.core.address import is_loopback
from sentinel.core.errors import SentinelError

Url = Annotated[str | None, typer.Option("--url", envvar="SENTINEL_URL", help="The server's URL.", metavar="URL")]
Secret = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="SENTINEL_KEY",
        help="The key; better set as SENTINEL_KEY.",
        show_envvar=True,
    ),
]
AppId = Annotated[
    str | None, typer.Option("--app", envvar="SENTINEL_APP", help="The app to use, if there are several.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="The server's data folder; by default that of the settings.", metavar="FOLDER"),
]
EXAMPLE = "write `http://127.0.0.1:8787`"
TIMEOUT = 60.0
_NO_HEADERS: Mapping[str, str] = {}
Query = Mapping[str, Any] | Sequence[tuple[str, Any]] | None  # pairs, where a name may stand several times


class Refused(SentinelError):
    """The server said no; `status` is its answer's, `retry_after` seconds to wait, None where it does not say."""

    def __init__(self, status: int, message: str, hint: str | None, retry_after: int | None) -> None:
        super().__init__(message, hint)
        self.status = status
        self.retry_after = retry_after


class Unreachable(SentinelError):
    """No server answers."""


class Client:
    """Asks one server, each time on a connection of its own; `exposed` is the host where the key goes unencrypted."""

    def __init__(self, url: str, key: str, app: str | None = None) -> None:
        self.url = url
        self.key = key
        self.timeout = TIMEOUT  # seconds without a byte
        self._parts = _parts(url)
        self._headers = {"Authorization": f"Bearer {_sendable('key', key)}", "User-Agent": f"sentinel/{__version__}"}
        host = self._parts.hostname or ""
        self.exposed = host if self._parts.scheme == "http" and not is_loopback(host) else None
        if app is not None:
            self._headers["Sentinel-App"] = _sendable("app", app)

    def ask(self, method: str, path: str, body: Any = None, query: Query = None) -> Any:
        """Return the answer's JSON, None where it has none; raises Refused and Unreachable."""
        data = None if body is None else json.dumps(body).encode()
        return self.send(method, path + _query(query), data, {"Content-Type": "application/json"} if data else {})

    def items(self, path: str, query: Mapping[str, Any], limit: int) -> Iterator[Any]:
        """Give at most `limit` items of as many pages as it takes."""
        cursor = None
        while limit > 0:
            page = self.ask("GET", path, query={**query, "limit": min(limit, 1000), "cursor": cursor})
            yield from page["items"]
            limit -= len(page["items"])
            cursor = page["cursor"]
            if cursor is None:
                return

    def send(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Any:
        """Send bytes as they are and return the answer's JSON."""
        connection, response = self._open(method, path, data, headers)
        try:
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        answer = self._read(raw)
        if response.status >= 400:
            raise _refused(response, answer)
        return answer

    def events(self, path: str, query: Query = None) -> Iterator[Any]:
        """Give the data of a server-sent stream as it comes; ends when the server ends it."""
        return self.lines(path, query, {"Accept": "text/event-stream"}, begin=b"data:")

    def lines(
        self, path: str, query: Query = None, headers: Mapping[str, str] = _NO_HEADERS, begin: bytes = b""
    ) -> Iterator[Any]:
        """Give the JSON of each line of an answer that begins so, behind that; raises Refused and Unreachable."""
        connection, response = self._open("GET", path + _query(query), None, headers)
        try:
            if response.status >= 400:
                raise _refused(response, self._read(response.read()))
            while line := response.readline():
                if line.startswith(begin):
                    yield json.loads(line[len(begin) :])
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _open(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        try:
            connection = kind(self._parts.hostname or "", self._parts.port, timeout=self.timeout)
        except (http.client.HTTPException, ValueError):
            raise SentinelError(f"`{self.url}` is not a web address", EXAMPLE) from None
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, data, {**self._headers, **headers})
            response = connection.getresponse()
            self._recognize(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise self._unreachable(error) from None
        except SentinelError:
            connection.close()
            raise
        return connection, response

    def _recognize(self, response: http.client.HTTPResponse) -> None:
        """Raise SentinelError for what no Sentinel server answers: nothing was done then, whatever it says."""
        if 300 <= response.status < 400:
            to = _origin(response.getheader("Location"))
            raise SentinelError(f"what answers at `{self.url}` sends on to {to}", "give the server's own address")
        if response.status < 300 and response.getheader("X-Request-Id") is None:  # which every answer of ours has
            raise self._stranger()

    def _read(self, raw: bytes) -> Any:
        try:
            return json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            raise self._stranger() from None

    def _stranger(self) -> Unreachable:
        return Unreachable(f"what answers at `{self.url}` is no Sentinel server", "is the address right?")

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return Unreachable(f"no server answers at `{self.url}`: {reason}", "is `sentinel serve` running?")


def connect(url: str | None, key: str | None, app: str | None, data: Path | None) -> Client:
    """Return a client of the server that is meant: by address and key, else the one whose data folder is at hand."""
    if url is None and key is None:
        return _beside(data or settings.read().data, app)
    if key is None:
        raise SentinelError("no key", "give `--key`, or set SENTINEL_KEY")
    client = Client(url or settings.read().address, key, app)
    if client.exposed:
        _warn_of(client.exposed)
    return client


@cache  # an import connects again and again
def _warn_of(host: str) -> None:
    complain(f"the key goes unencrypted to `{host}` (use `https://`)")


def path_of(room: str, name: str) -> str:
    """Return where one of a room is, whatever its name holds."""
    return f"{room}/{quote(name, safe='')}"


def _beside(folder: Path, app: str | None) -> Client:
    """Return a client of the server that uses a data folder, with the rights of whoever may read it."""
    found = local.find(folder)
    if found is None:
        raise Unreachable(
            f"no server is running with the data folder `{folder}`",
            "start `sentinel serve`, name its folder with `--data`, or give `--url` and `--key`",
        )
    return Client(found.url, found.token, app)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.hostname and parts.port != 0 and not any(char in "@ " for char in url)
        if parts.scheme in ("http", "https") and sound:
            return parts
    except ValueError:
        pass
    what = f"`{url}`" if "@" not in url else "the URL"  # before an `@` stands a password
    raise SentinelError(f"{what} is not a web address", EXAMPLE)


def _origin(location: str | None) -> str:
    """Return the scheme and host of an address in backticks: behind them may stand what is nobody's business."""
    try:
        parts = urlsplit(location or "")
    except ValueError:
        parts = urlsplit("")
    return f"`{parts.scheme}://{parts.netloc.rpartition('@')[2]}`" if parts.netloc else "another address"


def _sendable(what: str, text: str) -> str:
    """Return a text that a header can hold; raises SentinelError, without the text: it may be a secret."""
    if all("!" <= char <= "~" for char in text):
        return text
    raise SentinelError(f"`--{what}`: there is a character in it that no {what} has", "was it copied whole, and alone?")


def _query(query: Query) -> str:
    pairs = query.items() if isinstance(query, Mapping) else query or ()
    given = [(name, value) for name, value in pairs if value is not None]
    return "?" + urlencode(given) if given else ""


def _refused(response: http.client.HTTPResponse, answer: Any) -> Refused:
    said = answer if isinstance(answer, dict) else {}
    error = said.get("error")
    found = error if isinstance(error, dict) else {"message": said.get("detail")}  # as /readyz tells it
    problems = found.get("problems")
    if isinstance(problems, list) and problems:  # each with its line, carets and hint
        found = {"message": "\n".join(str(one.get("shown")) for one in problems if isinstance(one, dict))}
    wait = response.getheader("Retry-After") or ""
    message, hint = str(found.get("message") or f"the server answers {response.status}"), found.get("hint")
    if response.status == 403 and message.startswith("a key of scope") and hint:  # an application's is in the shell
        hint = f"{hint}; beside the server's data folder, unset SENTINEL_KEY and SENTINEL_URL"
    return Refused(response.status, message, hint, int(wait) if wait.isdecimal() else None)
