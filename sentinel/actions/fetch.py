"""The one way out to other hosts: it connects to the very address that was checked, and bounds time and size.

No redirect is followed, no proxy used, no cookie kept, nothing decompressed. What an answer means is up to the caller.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import h11

from sentinel import __version__
from sentinel.actions.bounded import within
from sentinel.actions.target import Address, Reach, Target, TargetError, parse
from sentinel.core.errors import SentinelError

TIMEOUT = 10.0  # seconds, from the first question to the resolver to the last byte
MOST = 64 << 10  # bytes of an answer's body
HEAD = 32 << 10  # bytes of an answer's head
TRIED = 4  # addresses of one host
_PIECE = 64 << 10

Resolve = Callable[[str], list[str]]


class FetchError(SentinelError):
    """No answer was had; with `permanent` asking again cannot help. Messages hold the host and never the path."""

    def __init__(self, message: str, hint: str | None = None, *, permanent: bool = False) -> None:
        super().__init__(message, hint)
        self.permanent = permanent


class Response(NamedTuple):
    """An answer: its status, its headers by lower-case name, its body; `whole` is false where the body was cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool


class Deadline:
    """A moment after which nobody waits any more."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left; raises TimeoutError where none are."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError
        return left

    def __str__(self) -> str:
        return f"{self._seconds:g} s"


def resolve(host: str) -> list[str]:
    """Return the addresses of a host as the system's resolver gives them."""
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Asks hosts that `reach` lets it ask. `resolver`, `tls` and `clock` are for tests and unusual networks."""

    def __init__(
        self,
        reach: Reach | None = None,
        *,
        timeout: float = TIMEOUT,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reach = reach or Reach()
        self._timeout = timeout
        self._resolver = resolver
        self._tls = tls or ssl.create_default_context()
        self._clock = clock

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        most: int = MOST,
        timeout: float | None = None,
        headed: bool = False,
    ) -> Response:
        """Ask for a URL and return the answer, at most `most` bytes of its body; raises FetchError.

        With `headed`, an answer whose head came is returned with as much of its body as came, even where the time was
        over or the connection broke off.
        """
        target, deadline = _target(url), Deadline(timeout or self._timeout, self._clock)
        with _explained(target.host, deadline):
            request = _request(target, method, headers or {}, body)
            with self._connected(target, deadline) as connection:
                return _converse(connection, request, body, most, deadline, headed)

    def knock(self, url: str, timeout: float | None = None) -> None:
        """Connect to where a URL leads and ask for nothing; raises FetchError where `fetch` could not connect."""
        target, deadline = _target(url), Deadline(timeout or self._timeout, self._clock)
        with _explained(target.host, deadline):
            self._connected(target, deadline).close()

    def _connected(self, target: Target, deadline: Deadline) -> socket.socket:
        """Return a connection to the first of the host's addresses that takes one, all of them checked."""
        addresses = self._addresses(target, deadline)[:TRIED]
        failure: OSError | None = None
        for tried, address in enumerate(addresses):
            patience = deadline.left() / (len(addresses) - tried)
            try:
                plain = _connect(address, target.port, patience)
            except OSError as error:
                failure = error
            else:
                return plain if target.scheme == "http" else self._secured(plain, target, deadline)
        raise failure or FetchError(f"`{target.host}` has no address")

    def _addresses(self, target: Target, deadline: Deadline) -> list[Address]:
        """Return where a host may be reached; one address that is refused refuses them all."""
        found: list[Address] = [target.literal] if target.literal else []
        if not found:
            names = within(deadline.left(), lambda: self._resolver(target.host), f"host {target.host}")
            found = [ipaddress.ip_address(name) for name in names]
        for address in found:
            if why := self._reach.refusal(address):
                raise FetchError(
                    f"`{target.host}` is not asked: its address {address} is refused ({why})",
                    "only public addresses are asked; `allow_private_webhooks` lets private ones be, too",
                    permanent=target.literal is not None,
                )
        return found

    def _secured(self, plain: socket.socket, target: Target, deadline: Deadline) -> socket.socket:
        try:
            plain.settimeout(deadline.left())
            return self._tls.wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise


def _target(url: str) -> Target:
    try:
        return parse(url)
    except TargetError as error:
        raise FetchError(error.message, error.hint, permanent=True) from None


def _connect(address: Address, port: int, timeout: float) -> socket.socket:
    found = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        found.settimeout(timeout)
        found.connect((str(address), port))
    except BaseException:
        found.close()
        raise
    return found


def _request(target: Target, method: str, headers: Mapping[str, str], body: bytes) -> h11.Request:
    usual = {
        "Host": target.authority, "User-Agent": f"sentinel/{__version__}", "Accept": "*/*",
        "Accept-Encoding": "identity", "Connection": "close",
    }  # fmt: skip
    length = {"Content-Length": str(len(body))} if body or method == "POST" else {}
    return h11.Request(method=method, target=target.path, headers=list({**usual, **headers, **length}.items()))


def _converse(
    connection: socket.socket, request: h11.Request, body: bytes, most: int, deadline: Deadline, headed: bool
) -> Response:
    """Send a request and read its answer."""
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD)
    parts = [protocol.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an answer may come before all is sent
        _send(connection, b"".join(part or b"" for part in parts), deadline)
    answer: h11.Response | None = None
    found = bytearray()
    try:
        for event in _events(connection, protocol, most + 2 * HEAD, deadline):
            if isinstance(event, h11.Response):
                answer = event
            elif isinstance(event, h11.Data):
                found += event.data
                if len(found) > most:
                    break
    except (OSError, h11.RemoteProtocolError):
        if answer is None or not headed:
            raise
    if answer is None:
        raise h11.RemoteProtocolError("no answer")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    whole = len(found) <= most and protocol.their_state not in (h11.SEND_BODY, h11.ERROR)
    return Response(answer.status_code, headers, bytes(found[:most]), whole)


def _send(connection: socket.socket, data: bytes, deadline: Deadline) -> None:
    rest = memoryview(data)
    while rest:
        connection.settimeout(deadline.left())
        rest = rest[connection.send(rest) :]


def _events(connection: socket.socket, protocol: h11.Connection, most: int, deadline: Deadline) -> Iterator[h11.Event]:
    """Give what the other side says until it has said all, or so many bytes of it."""
    read = 0
    while True:  # what was read is given to its end, however much came at once
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            if read > most:
                return
            connection.settimeout(deadline.left())
            data = connection.recv(_PIECE)
            read += len(data)
            protocol.receive_data(data)
        elif isinstance(event, h11.Event) and not isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            yield event
        else:
            return


@contextlib.contextmanager
def _explained(host: str, deadline: Deadline) -> Iterator[None]:
    """Turn whatever goes wrong on the way into a FetchError that names the host."""
    try:
        yield
    except TimeoutError:
        raise FetchError(f"`{host}` did not answer within {deadline}") from None
    except ssl.SSLCertVerificationError as error:
        raise FetchError(f"`{host}`: its certificate is not accepted: {error.verify_message}") from None
    except socket.gaierror as error:
        raise FetchError(f"`{host}` was not found: {error.strerror}") from None
    except h11.RemoteProtocolError:
        raise FetchError(f"`{host}` does not answer in HTTP") from None
    except (OSError, ValueError, h11.LocalProtocolError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise FetchError(f"`{host}` cannot be asked: {reason}") from None
