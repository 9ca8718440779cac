"""The connection to Redis or Valkey, on one server or many; how an installation is found is in `servers`.

Commands go out in pipelines, one for each server that holds their keys. Those that a failover or a lost connection took
are sent again, so whatever is sent here must be idempotent. What the keys hold is not known here.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import redis

from sentinel.core import dsn
from sentinel.core.errors import SentinelError, StoreBusy, StoreError
from sentinel.windows.scripts import NAMES, sha, source
from sentinel.windows.servers import Servers, servers

PATIENCE = 10.0  # seconds in which a command is tried again
PAUSE = 0.05
LOT = 1_000  # commands in one pipeline
REPLICAS_WAIT = 200  # milliseconds
HINT = "see that Redis or Valkey runs at the address that `windows` names, with TLS exactly where it says `rediss`"
LATER = 10_000  # commands that wait for the next call, at most

_pack = import_module("hiredis").pack_command if find_spec("hiredis") else None  # redis-py takes several times as long

_AGAIN = (
    redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, redis.BusyLoadingError,
    redis.exceptions.ClusterDownError, redis.exceptions.MovedError, redis.exceptions.AskError,
    redis.exceptions.TryAgainError, redis.exceptions.MasterDownError, redis.exceptions.NoScriptError,
    redis.exceptions.RedisClusterException,
)  # fmt: skip
_PASSING = {  # what a server says that may do it a moment later; what to do where it goes on saying so
    "BUSY": "a script that is not Sentinel's runs there for long: `SCRIPT KILL` ends it",
    "MISCONF": "make room on the disk of Redis or Valkey, and see its log",
    "NOREPLICAS": "start its replicas, or lower its `min-replicas-to-write`",
}


class Command(NamedTuple):
    """One command on one key; `parts` are its name and arguments, the key among them."""

    key: str
    parts: tuple[Any, ...]


def script(name: str, key: str, *arguments: Any) -> Command:
    """Return the call of a script on a key."""
    return Command(key, ("EVALSHA", sha(name), 1, key, *arguments))


class Link:
    """Sends commands and returns their answers, for any number of threads."""

    def __init__(self, servers: Servers, patience: float = PATIENCE, replicas: int = 0) -> None:
        """Commands are tried for `patience` seconds; each pipeline waits a moment for so many `replicas` to have it."""
        self._servers = servers
        self._patience = patience
        self._replicas = replicas
        self._later: list[Command] = []
        self._lock = threading.Lock()
        self._away: object = None  # why no server answered in time, for as long as none does
        self._closed = threading.Event()
        self.home = ""  # the installation whose keys are meant
        self.own = secrets.token_hex(8)  # what tells this process from others
        self.unreplicated = 0
        self.runs: set[str] = set()  # of servers: each start is another run
        self.forgetful = False  # whether a run may have lost what the one before it answered

    def later(self, commands: Iterable[Command]) -> None:
        """Queue commands whose answers nobody needs: they are sent with the next call, before its own."""
        with self._lock:
            self._later += commands

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answer to each command.

        Raises StoreBusy where a server does not answer in time; at once while one is known to be away.
        """
        with self._lock:
            if self._away is not None:
                raise _busy(self._away)
            before, self._later = self._later, []
        wanted = [*before, *commands]
        answers: list[Any] = [None] * len(wanted)
        try:
            self._ask(wanted, answers)
        except StoreBusy:  # whoever left these is not there to send them again
            self._put_back(command for command, answer in zip(before, answers, strict=False) if not _done(answer))
            raise
        return answers[len(before) :]

    def _ask(self, wanted: Sequence[Command], answers: list[Any]) -> None:
        """Fill `answers` with the answer to each command. Raises StoreBusy where one is not had in time."""
        left: list[int] = list(range(len(wanted)))
        end = time.monotonic() + self._patience
        while left := self._try(wanted, left, answers):
            if self._away is not None or time.monotonic() > end:
                raise self._given_up(answers[left[0]])
            if not all(isinstance(answers[place], redis.exceptions.NoScriptError) for place in left):
                time.sleep(PAUSE)
                self._look()

    def _given_up(self, error: object) -> StoreBusy:
        """Note that the servers are away, so that calls fail at once until they answer; return the error to raise."""
        with self._lock:
            if self._away is None:
                self._away = error
                threading.Thread(target=self._watch, name="sentinel-windows", daemon=True).start()
        return _busy(error)

    def _watch(self) -> None:
        """Ask until every server answers; then calls are sent again."""
        answered = False
        while not answered and not self._closed.wait(PAUSE):
            self._look()
            with suppress(StoreError):
                self.everywhere("PING")
                answered = True
        self._away = None

    def _put_back(self, commands: Iterable[Command]) -> None:
        with self._lock:
            self._later = [*commands, *self._later][:LATER]

    def one(self, command: Command) -> Any:
        """Return the answer to a command."""
        return self.call([command])[0]

    def server_of(self, key: str) -> str:
        """Return a name of the server that holds a key: equal for keys that share one."""
        return self._servers.of(key)

    def everywhere(self, *parts: Any) -> list[Any]:
        """Return each server's answer to a command without a key."""
        answers = []
        for name in self._servers.all():
            with self._errors(), _connection(self._servers.pool(name)) as connection:
                self._meet(connection)
                connection.send_command(*parts)
                answers.append(connection.read_response())
        return answers

    def problems(self) -> Iterator[SentinelError]:
        """Give an error for each server that is set to evict keys."""
        for answer in self.everywhere("INFO", "memory"):
            policy = fields(answer).get("maxmemory_policy", "noeviction")
            if policy != "noeviction":
                would = f"the server's `maxmemory-policy` is `{policy}`: it would forget attacks under way"
                yield SentinelError(f"`windows`: {would}", "set it to `noeviction`")

    def names(self, pattern: str) -> Iterator[str]:
        """Give the names of all keys like a pattern; keys that come or go meanwhile may be among them or not."""
        for name in self._servers.all():
            cursor = b"0"
            while True:
                with self._errors(), _connection(self._servers.pool(name)) as connection:
                    connection.send_command("SCAN", cursor, "MATCH", pattern, "COUNT", LOT)
                    cursor, found = connection.read_response()
                yield from (key.decode() for key in found)
                if cursor == b"0":
                    break

    def close(self) -> None:
        """Let go of every connection."""
        self._closed.set()
        self._servers.close()

    def _try(self, wanted: Sequence[Command], left: Sequence[int], answers: list[Any]) -> list[int]:
        """Send what is left; return what has to be sent again, with the reason as its answer."""
        failed: list[int] = []
        for name, places in self._by_server(wanted, left, answers, failed).items():
            for first in range(0, len(places), LOT):
                lot = places[first : first + LOT]
                try:
                    found = self._exchange(name, [wanted[place].parts for place in lot])
                except (*_AGAIN, redis.RedisError) as error:
                    found = [error] * len(lot)
                for place, answer in zip(lot, found, strict=True):
                    answers[place] = answer
                    if _passes(answer):
                        failed.append(place)
                    elif isinstance(answer, Exception):
                        raise _told(answer) from answer
        return sorted(failed)

    def _by_server(
        self, wanted: Sequence[Command], left: Sequence[int], answers: list[Any], failed: list[int]
    ) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place in left:
            try:
                found.setdefault(self._servers.of(wanted[place].key), []).append(place)
            except _AGAIN as error:  # nobody serves its slot at the moment
                answers[place] = error
                failed.append(place)
        return found

    def _exchange(self, name: str, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Return one server's answers, errors among them; loads the scripts it does not know."""
        with _connection(self._servers.pool(name)) as connection:
            self._meet(connection)
            answers = _pipelined(connection, commands)
            if any(isinstance(answer, redis.exceptions.NoScriptError) for answer in answers):
                _pipelined(connection, [("SCRIPT", "LOAD", source(name)) for name in NAMES])
            if self._replicas:
                connection.send_command("WAIT", self._replicas, REPLICAS_WAIT)
                if connection.read_response() < self._replicas:
                    self.unreplicated += 1
            return answers

    def _meet(self, connection: Any) -> None:
        """Note which run of the server answers. Once a connection is enough: a restart cuts them all."""
        if connection._sock is None or getattr(connection, "met", None) is not connection._sock:
            connection.send_command("INFO", "server")
            self.runs.add(fields(connection.read_response())["run_id"])
            connection.met = connection._sock

    def _look(self) -> None:
        try:
            self._servers.look()
        except (redis.RedisError, redis.exceptions.RedisClusterException):
            return  # nobody knows yet: the next try asks again

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (*_AGAIN, redis.RedisError) as error:
            raise (_busy(error) if _passes(error) else _told(error)) from error


def _pipelined(connection: Any, commands: list[tuple[Any, ...]]) -> list[Any]:
    packed = map(_pack, commands) if _pack is not None else connection.pack_commands(commands)
    connection.send_packed_command([b"".join(packed)])
    answers = []
    for _ in commands:
        try:
            answers.append(connection.read_response())
        except redis.ResponseError as error:
            answers.append(error)
        except (redis.exceptions.ClusterError, redis.exceptions.MovedError) as error:
            answers.append(error)
    return answers


@contextmanager
def _connection(pool: Any) -> Iterator[Any]:
    connection = pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()  # what it still holds belongs to nobody
        raise
    finally:
        pool.release(connection)


def _why(error: object) -> str:
    """Return an error's text, cut off before the connections that redis-py lists with all their settings."""
    text = error.message if isinstance(error, SentinelError) else str(error)
    return text.partition(" : <redis.")[0]


def _passes(answer: object) -> bool:
    """Say whether an answer is an error that may be gone a moment later."""
    return isinstance(answer, _AGAIN) or (isinstance(answer, redis.ResponseError) and _word(answer) in _PASSING)


def _done(answer: object) -> bool:
    return answer is not None and not _passes(answer) and not isinstance(answer, redis.exceptions.OutOfMemoryError)


def _word(error: object) -> str:
    """Return the first word of what a server says, by which it tells kinds of errors apart."""
    return str(error).partition(" ")[0]


def _busy(error: object) -> StoreBusy:
    away = "windows cannot be reached"
    return StoreBusy(f"{away}: {_why(error)}", _hint(error), outside=away)


def _hint(error: object) -> str:
    if isinstance(error, redis.AuthenticationError):
        return "see the user and the password in `windows`"
    return _PASSING.get(_word(error), HINT)


def _told(error: Exception) -> SentinelError:
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return StoreBusy("windows have no room: Redis or Valkey is at its `maxmemory`", "give it more", retry_after=10)
    return StoreError(f"windows: Redis or Valkey refused a command: {error}")


def open_link(url: str, patience: float = PATIENCE) -> Link:
    """Return a link to what a URL names, which is asked once. Raises SentinelError where that cannot be used."""
    found = dsn.read(url, "windows")
    try:
        reached = servers(found)
        replicas = _replicas(found.query)
        link = Link(reached, patience, replicas)
        _check(link)
        link.forgetful = not replicas and not _keeps(link)
    except (*_AGAIN, redis.RedisError, StoreBusy, OSError, ValueError) as error:
        hint = error.hint if isinstance(error, StoreBusy) else _hint(error)
        raise SentinelError(f"`windows`: Redis or Valkey cannot be used: {_why(error)}", hint) from error
    return link


def _replicas(query: str) -> int:
    name, _, value = query.partition("=")
    if query and (name != "replicas" or not value.isdecimal()):
        raise SentinelError("`windows`: the URL has an option that is not known", "there is `replicas`, a number")
    return int(value or 0)


def _check(link: Link) -> None:
    """Raise SentinelError where a server is set to evict keys."""
    for problem in link.problems():
        raise problem


def _keeps(link: Link) -> bool:
    """Say whether each server has every command on disk before it answers (`appendfsync always`)."""
    try:
        return all(answer[1] == b"always" for answer in link.everywhere("CONFIG", "GET", "appendfsync")) and all(
            fields(answer).get("aof_enabled") == "1" for answer in link.everywhere("INFO", "persistence")
        )
    except SentinelError:  # it tells nobody
        return False


def fields(answer: Any) -> dict[str, str]:
    """Return the fields of an INFO answer."""
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
