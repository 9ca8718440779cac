"""How an installation of Redis or Valkey is reached: one server, a replica set with Redis Sentinel, or a cluster.

Sending commands, and what happens when that fails, is in `link`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

from sentinel.core.dsn import Dsn
from sentinel.core.errors import SentinelError

CONNECT, ANSWER = 2.0, 5.0  # seconds for a connection, for an answer
_SPELLINGS = (
    "write `redis://HOST:PORT/0`, `rediss://…`, `unix://PATH`, `redis+sentinel://HOST:PORT,HOST:PORT/NAME` "
    "or `redis+cluster://HOST:PORT,HOST:PORT`"
)
_ALWAYS: dict[str, Any] = {"socket_connect_timeout": CONNECT, "socket_timeout": ANSWER, "protocol": 2}


class Servers(NamedTuple):
    """How one kind of installation is reached.

    `of` names the server that holds a key, `pool` gives its connections, `look` finds out anew who serves what.
    """

    of: Callable[[str], str]
    pool: Callable[[str], Any]
    look: Callable[[], None]
    all: Callable[[], Iterable[str]]
    close: Callable[[], None]


def servers(url: Dsn) -> Servers:
    """Return how what a URL names is reached. Raises SentinelError where it names none, and what redis-py raises."""
    kind = _KINDS.get(url.scheme)
    if kind is None:
        raise SentinelError(f"`windows`: `{url.scheme}://` is no Redis or Valkey URL", _SPELLINGS)
    return kind(url)


def _single(url: Dsn) -> Servers:
    where: dict[str, Any]
    if url.scheme == "unix":
        if url.places or not url.path.strip("/"):
            raise SentinelError("`windows`: the URL names no socket", _SPELLINGS)
        where = {"path": url.path, "connection_class": redis.UnixDomainSocketConnection}
    else:
        host, port = _places(url, 6_379)[0]
        where = {"host": host, "port": port, "db": _database(url.path.strip("/"))}
        where |= {"connection_class": redis.SSLConnection} if url.scheme == "rediss" else {}
        if len(url.places) > 1:
            raise SentinelError("`windows`: the URL names several servers", _SPELLINGS)
    pool = redis.ConnectionPool(**where, **_user(url), **_ALWAYS)
    return Servers(lambda key: "", lambda name: pool, lambda: None, lambda: [""], pool.disconnect)


def _replicated(url: Dsn) -> Servers:
    """Reach the master of a replica set, as the watchers know it."""
    name, _, database = url.path.strip("/").partition("/")
    if not name:
        raise SentinelError("`windows`: the URL names no replica set", _SPELLINGS)
    make: Any = Sentinel
    watchers = make(_places(url, 26_379), sentinel_kwargs=_ALWAYS | _tls(url), **_ALWAYS)
    pool = watchers.master_for(name, db=_database(database), **_user(url), **_tls(url)).connection_pool
    return Servers(lambda key: "", lambda name: pool, pool.disconnect, lambda: [""], pool.disconnect)


def _clustered(url: Dsn) -> Servers:
    make: Any = ClusterNode
    nodes = [make(host, port) for host, port in _places(url, 6_379)]
    own: dict[str, Any] = _ALWAYS | _user(url) | _tls(url)
    cluster: Any = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **own)
    manager = cluster.nodes_manager

    def of(key: str) -> str:
        return str(manager.get_node_from_slot(cluster.keyslot(key)).name)

    def pool(name: str) -> Any:
        node = manager.get_node(node_name=name)
        if node is None:
            raise redis.ConnectionError(f"`{name}` is no part of the cluster any more")
        return cluster.get_redis_connection(node).connection_pool

    return Servers(of, pool, manager.initialize, lambda: [one.name for one in cluster.get_primaries()], cluster.close)


def _user(url: Dsn) -> dict[str, Any]:
    return {name: value for name, value in (("username", url.user), ("password", url.password)) if value}


def _tls(url: Dsn) -> dict[str, bool]:
    return {"ssl": True} if url.scheme.startswith("rediss") else {}


def _places(url: Dsn, default: int) -> list[tuple[str, int]]:
    return [(host, port or default) for host, port in url.places] or [("127.0.0.1", default)]


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise SentinelError("`windows`: the URL names a database that is no number", _SPELLINGS)
    return int(text or 0)


_KINDS: dict[str, Callable[[Dsn], Servers]] = {
    "redis": _single, "rediss": _single, "unix": _single,
    "redis+sentinel": _replicated, "rediss+sentinel": _replicated,
    "redis+cluster": _clustered, "rediss+cluster": _clustered,
}  # fmt: skip
