"""One server, a replica set that fails over, a cluster of three masters: calls are answered, and none counts twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.sentinel import MasterNotFoundError

from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.engine.windows import Absent, Gauge, Hit, Opening, Spike, Step, Steps, Threshold, Watch
from sentinel.windows import servers
from sentinel.windows.groups import Limits
from sentinel.windows.link import Command, Link, _why, open_link
from sentinel.windows.memory import MemoryWindows
from sentinel.windows.names import BUCKETS, GroupNames, Names, bucket_of
from sentinel.windows.valkey import StateLost, ValkeyWindows
from tests import valkey
from tests.passwords import SPELLINGS, passwords, pieces
from tests.windows.twins import shared, unnamed

MINUTE = 60_000_000
START = 1_767_571_200_000_000
COUNT = Watch("w", 10 * MINUTE, 10 * MINUTE, Threshold((Gauge("count", 5),)))
WAIT = Watch("absent", MINUTE, MINUTE, Absent(MINUTE))


def hit(n: int, key: str = "g", watch: str = "w", values: tuple[Any, ...] = (1,), **more: Any) -> Hit:
    return Hit(watch, key, START + n, f"e{n}", values, True, more.get("source"))


def lots(groups: int, size: int, rounds: int) -> list[list[Hit]]:
    """Return batches of hits on many groups, each group hit again and again."""
    return [[hit(first + n, f"g{n % groups}") for n in range(size)] for first in range(0, size * rounds, size)]


@pytest.fixture(scope="module")
def replicated() -> Iterator[valkey.Replicated]:
    made = valkey.Replicated()
    yield made
    made.end()


@pytest.fixture(scope="module")
def cluster() -> Iterator[valkey.Cluster]:
    made = valkey.Cluster()
    yield made
    made.end()


@pytest.fixture
def link() -> Iterator[Link]:
    made = open_link(valkey.shared().url)
    yield made
    made.close()


def test_a_batch_after_a_failover_is_judged_as_if_there_had_been_none(replicated: valkey.Replicated) -> None:
    """The master is killed between two batches; each hit was on the replica before it was answered."""
    link = open_link(replicated.url + "?replicas=1", patience=30)
    windows, memory = shared([COUNT], on=[link])[0], MemoryWindows([COUNT])
    for number, lot in enumerate(lots(40, 100, 6)):
        if number == 3:
            replicated.first.kill()
        assert unnamed(windows.hit(lot, 0)) == unnamed(memory.hit(lot, 0))
    assert replicated.second.client().info("replication")["role"] == "master"
    link.close()


def test_groups_of_a_cluster_lie_on_all_masters_and_a_batch_reaches_them_all(cluster: valkey.Cluster) -> None:
    link = open_link(cluster.url)
    windows, memory = shared([COUNT, WAIT], on=[link])[0], MemoryWindows([COUNT, WAIT])
    for lot in lots(200, 500, 4):
        assert unnamed(windows.hit(lot, 0)) == unnamed(memory.hit(lot, 0))
    begins = [hit(n, f"u{n}", "absent", (True, False, [{}, None])) for n in range(100)]
    assert windows.hit(begins, 0) == []
    memory.hit(begins, 0)
    wanted = sorted(memory.due(START + MINUTE + 50), key=lambda one: (one.at, one.id))
    assert windows.due(START + MINUTE + 50) == wanted != []
    assert all(one.client().dbsize() > 50 for one in cluster.servers)
    link.close()


def test_a_cluster_whose_slots_move_is_followed(cluster: valkey.Cluster) -> None:
    """An answer that names another master is taken as one, and the call is done again there."""
    link = open_link(cluster.url)
    windows = shared([COUNT], on=[link])[0]
    windows.hit([hit(n) for n in range(4)], 0)
    key = windows._asked["w"].keys.of("g")
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.servers[0].port)
    slot = client.keyslot(key)
    names = {one.port: one.client().cluster("MYID") for one in cluster.servers}
    source = next(one for one in cluster.servers if str(one.port) in client.get_node_from_key(key).name)
    target = next(one for one in cluster.servers if one is not source)
    mine, other = names[source.port], names[target.port]
    target.client().cluster("SETSLOT", slot, "IMPORTING", mine)
    source.client().cluster("SETSLOT", slot, "MIGRATING", other)
    while keys := source.client().cluster("GETKEYSINSLOT", slot, 100):
        source.client().execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for one in (target, source):
        one.client().cluster("SETSLOT", slot, "NODE", other)
    assert [one.id for one in windows.hit([hit(4)], 0)] == ["e4"]
    link.close()


def test_what_one_master_of_a_cluster_lost_is_noticed(cluster: valkey.Cluster) -> None:
    link = open_link(cluster.url)
    windows = shared([COUNT], on=[link])[0]
    cluster.servers[1].client().flushall()
    with pytest.raises(StateLost):
        windows.hit([hit(n, f"g{n}") for n in range(50)], 0)
    assert windows.ready() is None
    link.close()


def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_counts_twice(link: Link, monkeypatch: Any) -> None:
    """The connection breaks after the server has done its work, at every other call."""
    windows, memory = shared([COUNT], on=[link])[0], MemoryWindows([COUNT])
    exchange, calls = Link._exchange, []

    def breaking(self: Link, name: str, commands: list[Any]) -> list[Any]:
        answers = exchange(self, name, commands)
        calls.append(name)
        if len(calls) % 2:
            raise redis.ConnectionError("the answer is lost")
        return answers

    monkeypatch.setattr(Link, "_exchange", breaking)
    for n in range(12):
        assert unnamed(windows.hit([hit(n)], 0)) == unnamed(memory.hit([hit(n)], 0))


def test_a_server_that_forgot_its_scripts_is_given_them_again(link: Link) -> None:
    windows = shared([COUNT], on=[link])[0]
    windows.hit([hit(0)], 0)
    valkey.shared().client().script_flush()
    assert len(windows.hit([hit(n) for n in range(1, 5)], 0)) == 1


def test_state_lost_while_it_runs_is_noticed_at_the_next_batch(link: Link) -> None:
    windows = shared([COUNT], on=[link])[0]
    valkey.shared().client().flushall()
    for _ in range(2):
        with pytest.raises(StateLost, match="windows lost what they held"):
            windows.hit([hit(0)], 0)


def test_a_state_rebuilt_by_another_process_is_gone_on_with(link: Link) -> None:
    one, other = shared([COUNT], on=[link, link])
    valkey.shared().client().flushall()
    other.mark(b"2")
    other.begin(b"2")
    other.hit([hit(n) for n in range(4)], 0)
    assert [found.id for found in one.hit([hit(4)], 0)] == ["e4"]


def test_keys_expire_by_themselves_but_not_while_something_is_awaited(link: Link) -> None:
    windows = shared([COUNT, WAIT], on=[link])[0]
    windows.hit([hit(0), hit(0, "u", "absent", (True, False, [{}, None]))], 0)
    client = valkey.shared().client()
    counted, waited = windows._asked["w"].keys.of("g"), windows._asked["absent"].keys.of("u")
    assert 60 * 60_000 < client.pttl(counted) < 80 * 60_000
    assert client.pttl(waited) == -1
    assert windows.due(START + 2 * MINUTE)
    assert 0 < client.pttl(waited) < 70 * 60_000


def test_no_character_of_a_group_or_an_app_is_part_of_a_name() -> None:
    """Whatever a sender calls itself, it moves to no slot of its choice and meets no other group."""
    names = {
        GroupNames(Names(app), "w", "1").of(key) for app in ("a", "a:b", "{x}") for key in ("", "}{", "a\0b", "\ud800")
    }
    assert len(names) == 12
    assert all(name.isascii() and name.isprintable() and name.count("{") == 1 for name in names)
    assert {bucket_of(GroupNames(Names("a"), "w", "1").of(str(n))) for n in range(2000)} == set(range(BUCKETS))


def test_groups_of_one_app_are_no_other_s(link: Link) -> None:
    one, other = shared([COUNT], on=[link])[0], shared([COUNT], on=[link])[0]
    one.hit([hit(n) for n in range(4)], 0)
    assert other.hit([hit(4)], 0) == []
    assert other.progress("w", "g", START + 4) is not None
    assert one.progress("w", "g", START + 4).tally == (4,)  # type: ignore[union-attr]


def test_where_there_is_hardly_room_one_address_makes_few_groups_and_none_where_there_is_no_room(link: Link) -> None:
    windows = shared([COUNT], Limits(per_source=3), on=[link])[0]
    client = valkey.shared().client()
    try:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.5))
        windows.hit([hit(n, f"a{n}", source="203.0.113.9") for n in range(3)], 0)
        windows.hit([hit(n, f"b{n}", source="203.0.113.9") for n in range(3)], 0)
        assert windows.progress("w", "b0", START) is None
        assert windows.dropped()["source over its quota of groups"] == 3
        windows.hit([hit(n, "a0", source="203.0.113.9") for n in range(10, 14)], 0)
        assert windows.progress("w", "a0", START + 20).tally == (5,)  # type: ignore[union-attr]
    finally:
        client.config_set("maxmemory", 0)


def test_a_server_without_room_is_one_clear_error(link: Link) -> None:
    windows = shared([COUNT], on=[link])[0]
    client = valkey.shared().client()
    try:
        client.config_set("maxmemory", 1000)
        with pytest.raises(StoreBusy, match="at its `maxmemory`"):
            windows._link.call([windows._command("w", "g", [hit(0)])])
    finally:
        client.config_set("maxmemory", 0)


class Answers:
    """Lets a link's next exchanges come to nothing, or to a server's error for every command."""

    def __init__(self, monkeypatch: Any, *errors: redis.RedisError) -> None:
        self._exchange, self._errors = Link._exchange, list(errors)
        monkeypatch.setattr(Link, "_exchange", lambda link, name, commands: self.exchange(link, name, commands))

    def exchange(self, link: Link, name: str, commands: list[Any]) -> list[Any]:
        if not self._errors:
            return self._exchange(link, name, commands)
        error = self._errors.pop(0)
        if isinstance(error, redis.ResponseError):
            return [error] * len(commands)
        raise error


PASSING = ["BUSY Valkey is busy running a script.", "MISCONF Errors writing to the AOF file", "NOREPLICAS Not enough"]


@pytest.mark.parametrize("said", PASSING)
def test_what_a_server_cannot_do_for_a_moment_is_asked_again(link: Link, monkeypatch: Any, said: str) -> None:
    windows = shared([COUNT], on=[link])[0]
    windows.hit([hit(n) for n in range(4)], 0)
    Answers(monkeypatch, redis.ResponseError(said), redis.ResponseError(said))
    assert [one.id for one in windows.hit([hit(4)], 0)] == ["e4"]


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (redis.ResponseError("BUSY Valkey is busy running a script."), "`SCRIPT KILL`"),
        (redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "make room"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), "start its replicas"),
        (redis.AuthenticationError("WRONGPASS"), "the user and the password"),
        (redis.ConnectionError("Connection refused"), "runs at the address"),
    ],
)
def test_what_lasts_is_told_with_its_own_remedy_and_may_be_asked_again(
    link: Link, monkeypatch: Any, error: redis.RedisError, hint: str
) -> None:
    windows = shared([COUNT], on=[link])[0]
    windows.hit([hit(0)], 0)
    monkeypatch.setattr(link, "_patience", 0)
    Answers(monkeypatch, error)
    with pytest.raises(StoreBusy) as caught:
        windows.hit([hit(1)], 0)
    assert str(error) in caught.value.message and hint in (caught.value.hint or "")


def test_a_script_that_runs_for_long_is_told_whatever_connection_it_is_met_on() -> None:
    """Also on a new one, on which it is first asked who answers."""
    server = valkey.Server()
    link = open_link(server.url, patience=0.1)
    try:
        server.client().config_set("busy-reply-threshold", 1)
        hanging = server.client().connection_pool.get_connection()
        hanging.send_command("EVAL", "while true do end", 0)
        valkey.eventually(lambda: _is_busy(server))
        link._servers.pool("").disconnect()
        with pytest.raises(StoreBusy, match="busy running a script"):
            link.one(Command("k", ("GET", "k")))
        with pytest.raises(SentinelError, match="`SCRIPT KILL`"):
            open_link(server.url, patience=0.1)
        hanging.disconnect()
    finally:
        link.close()
        server.end()


def _is_busy(server: valkey.Server) -> bool:
    try:
        return not server.client().ping()
    except redis.ResponseError:
        return True


@pytest.mark.parametrize("error", [redis.ConnectionError("gone"), redis.exceptions.OutOfMemoryError("no room")])
def test_what_was_left_for_the_next_call_is_sent_with_the_one_after_where_that_fails(
    link: Link, monkeypatch: Any, error: redis.RedisError
) -> None:
    client = valkey.shared().client()
    client.delete("left")
    link.later([Command("left", ("ZADD", "left", 1, "x"))])
    monkeypatch.setattr(link, "_patience", 0)
    Answers(monkeypatch, error)
    with pytest.raises(StoreBusy):
        link.one(Command("k", ("GET", "k")))
    valkey.eventually(lambda: _answers(link))
    assert client.zrange("left", 0, -1) == [b"x"]


def test_what_one_waited_for_in_vain_nobody_waits_for_until_the_server_answers(monkeypatch: Any) -> None:
    """A server that stands still takes connections and says nothing: those who queue would wait one after the other."""
    monkeypatch.setitem(servers._ALWAYS, "socket_timeout", 0.3)
    link, process = open_link(valkey.shared().url, patience=0.1), valkey.shared().process
    asked = Command("k", ("GET", "k"))
    assert process is not None
    try:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreBusy):
            link.one(asked)
        monkeypatch.setattr(link, "_try", lambda *sent: pytest.fail("it is waited for again"))
        with pytest.raises(StoreBusy, match="windows cannot be reached: Timeout"):
            link.one(asked)
        monkeypatch.undo()
    finally:
        process.send_signal(signal.SIGCONT)
    valkey.eventually(lambda: _answers(link))
    link.close()


def test_a_watch_that_only_one_of_several_processes_lacks_is_told(link: Link, monkeypatch: Any) -> None:
    monkeypatch.setattr("sentinel.windows.state.THERE", 600_000)  # however long a busy machine takes
    with closing(open_link(valkey.shared().url)) as second, closing(open_link(valkey.shared().url)) as third:
        ValkeyWindows(second, "several", [COUNT]).apart()
        ValkeyWindows(third, "several", [WAIT]).apart()
        assert ValkeyWindows(link, "several", [COUNT]).apart() == {"w"}


def test_what_is_lost_while_nothing_counts_is_noticed(link: Link) -> None:
    windows = shared([COUNT], on=[link])[0]
    windows.look()
    assert not windows.lost
    valkey.shared().client().flushall()
    windows.look()
    assert windows.lost


def _answers(link: Link) -> bool:
    try:
        link.one(Command("k", ("GET", "k")))
    except StoreBusy:
        return False
    return True


def test_a_server_that_would_forget_is_refused() -> None:
    client = valkey.shared().client()
    try:
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(SentinelError, match="`allkeys-lru`: it would forget attacks under way"):
            open_link(valkey.shared().url)
    finally:
        client.config_set("maxmemory-policy", "noeviction")


def test_a_server_is_believed_after_a_restart_only_where_it_writes_down_what_it_answers() -> None:
    def forgets(server: valkey.Server) -> bool:
        link = open_link(server.url)
        link.close()
        return link.forgetful

    server, plain = valkey.Server("--appendonly", "yes", "--appendfsync", "always"), valkey.shared()
    try:
        assert not forgets(server)
        server.client().config_set("appendfsync", "everysec")
        assert forgets(server)
        plain.client().config_set("appendfsync", "always")  # of a log that it does not write
        assert forgets(plain)
    finally:
        plain.client().config_set("appendfsync", "everysec")
        server.end()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("memcached://127.0.0.1", "`memcached://` is no Redis or Valkey URL"),
        ("redis+sentinel://127.0.0.1:1", "the URL names no replica set"),
        ("redis://127.0.0.1:1/0", "Redis or Valkey cannot be used"),
        ("redis://127.0.0.1:1/0?decode=yes", "the URL has an option that is not known"),
        ("redis://127.0.0.1:1/0?replicas=many", "the URL has an option that is not known"),
        ("redis://127.0.0.1:1/shop", "the URL names a database that is no number"),
        ("redis://127.0.0.1:1,127.0.0.1:2", "the URL names several servers"),
        ("unix://127.0.0.1/run/valkey.sock", "the URL names no socket"),
        ("unix:///run/no-valkey.sock", "Redis or Valkey cannot be used"),
        ("redis+cluster://127.0.0.1:1", "Redis or Valkey cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_clear_error(url: str, told: str) -> None:
    with pytest.raises(SentinelError, match=told):
        open_link(url)


SCHEMES = ["redis", "rediss", "unix", "redis+cluster", "hidden"]


@settings(max_examples=100, deadline=None)
@given(passwords(), st.sampled_from(SPELLINGS), st.sampled_from(SCHEMES))
def test_a_password_is_in_no_error(password: str, spelling: str, scheme: str) -> None:
    with pytest.raises(SentinelError) as caught:
        open_link(spelling.format(scheme=scheme, password=password))
    assert not any(piece in f"{caught.value} {caught.value.__cause__!r}" for piece in pieces(password))


def test_watchers_that_cannot_be_reached_are_told_without_how_they_were_asked() -> None:
    error = MasterNotFoundError("No master found for 'main' : <redis.client.Redis(db=0,username=None)> - refused")
    assert _why(error) == "No master found for 'main'"


def test_a_password_is_sent_as_it_was_meant() -> None:
    server, password = valkey.Server(), "p%2Fs%3Fs%40%25[#"
    server.client().config_set("requirepass", "p/s?s@%[#")
    try:
        open_link(f"redis://:{password}@127.0.0.1:{server.port}/3").close()
        with pytest.raises(SentinelError, match="cannot be used"):
            open_link(f"redis://:wrong@127.0.0.1:{server.port}/3")
    finally:
        server.end()


def test_quiet_windows_take_hits_in_and_open_nothing(link: Link) -> None:
    loud = shared([COUNT], on=[link])[0]
    quiet = ValkeyWindows(link, "quiet", [COUNT])
    hits = [hit(n) for n in range(6)]
    assert quiet.hit(hits, 0) == []
    quiet.mark(b"")
    quiet.begin(b"")
    assert [one.id for one in quiet.hit([hit(6)], 0)] == ["e6"]
    assert [one.id for one in loud.hit(hits, 0)] == ["e4"]


def test_a_finding_given_back_holds_back_no_action(link: Link) -> None:
    windows = shared([COUNT], on=[link])[0]
    (opening,) = windows.hit([hit(n) for n in range(5)], 0)
    windows.yielded(opening)
    watched = hit(5)._replace(acting=False)
    assert windows.hit([watched], 0) == []
    found: list[Opening] = windows.hit([hit(6)], 0)
    assert [one.id for one in found] == ["e6"]


def test_a_finding_known_from_before_holds_back_others(link: Link) -> None:
    windows = shared([COUNT], on=[link])[0]
    windows.know("w", "g", START + 2, "e2", (5,), True)
    assert windows.hit([hit(n) for n in range(8)], 0) == []
    assert [one.tally for one in windows.hit([hit(2)], 0)] == [(5,)]


def test_a_busy_group_keeps_no_more_than_decides(link: Link) -> None:
    """Ten thousand hits of one sender on one group, out of order here and there."""
    gauges = {"count": (1,), "distinct": ("a",), "max": (1,)}
    for kind, values in gauges.items():
        watch = Watch("w", 1000, 1000, Threshold((Gauge(kind, 10),)))  # type: ignore[arg-type]
        windows = shared([watch], Limits(lateness=1000), on=[link])[0]
        hits = [hit(n - 40 * (n % 7 == 0), values=values) for n in range(10_000)]
        for first in range(0, len(hits), 500):
            windows.hit(hits[first : first + 500], 0)
        assert valkey.shared().client().zcard(windows._asked["w"].keys.of("g")) < 400


@pytest.mark.parametrize("kind", ["sum", "ratio"])
def test_past_the_bound_of_hits_a_group_is_approximate_as_in_memory(link: Link, kind: Any) -> None:
    watch = Watch("w", 2000, 2000, Threshold((Gauge("count", 900), Gauge(kind, 900_000))))
    limits = Limits(lateness=1000, hits=50)
    windows, memory = shared([watch], limits, on=[link])[0], MemoryWindows([watch], limits)
    value = (1, 1_000_000) if kind == "ratio" else 1_000_000
    hits = [hit(n, values=(1, value)) for n in range(1200)]
    found, wanted = windows.hit(hits, 0), memory.hit(hits, 0)
    assert found[0].approximate and [(one.at, one.tally) for one in found] == [(one.at, one.tally) for one in wanted]
    assert valkey.shared().client().zcard(windows._asked["w"].keys.of("g")) <= 53


STEP = (1, False, (None, None))


@pytest.mark.parametrize(
    ("detector", "values"),
    [
        (Threshold((Gauge("sum", 10**12),)), (1,)),
        (Spike(2, 4000, 10), ()),
        (Steps((Step(5), Step(1))), STEP),
    ],
    ids=lambda one: type(one).__name__,
)
def test_hits_past_the_bound_are_counted_as_in_memory(link: Link, detector: Any, values: Any) -> None:
    watch, limits = Watch("w", 2000, 2000, detector), Limits(lateness=1000, hits=50)
    windows, memory = shared([watch], limits, on=[link])[0], MemoryWindows([watch], limits)
    for first in range(0, 400, 7):
        hits = [hit(n, values=values) for n in range(first, min(first + 7, 400))]
        assert windows.hit(hits, 0) == memory.hit(hits, 0)
    assert windows.merged() == memory.merged() and 340 <= memory.merged()["w"] <= 360
    assert not windows.dropped() and not memory.dropped()
