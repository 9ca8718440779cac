"""The decision list: pushed, polled, resumed, kept while the server is away, corrected for its clock, saved."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from sentinel import sdk
from sentinel.core import moment, pages
from sentinel.core.decision import Decision, Delta
from sentinel.core.decisions import Decisions
from sentinel.sdk import snapshot, sync
from sentinel.sdk.asgi import SentinelMiddleware
from sentinel.sdk.clock import Clock, Notes
from sentinel.sdk.deltas import DeltaReader
from sentinel.sdk.options import Options
from sentinel.sdk.sync import Follower, Held
from tests.sdk.conftest import known
from tests.sdk.server import KEY, PATIENCE

FAR = 4_000_000_000_000_000


def block(id="d1", value="id:1", **fields):
    return Decision(id, "block", "user", value, **({"playbook": "p", "until": FAR} | fields))


def wait_for(what):
    """Wait for the follower's own thread to get there; the tests' patience is the only clock."""
    deadline = threading.Event()
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not come about"
        deadline.wait(0.005)


def test_a_decision_reaches_the_process_while_the_stream_is_open(server, start):
    client = start()
    assert known(client)
    server.until(lambda: server.streams)
    assert not sdk.is_blocked({"id": 1})
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    server.decide(removed=("d1",))
    wait_for(lambda: not sdk.is_blocked({"id": 1}))
    assert server.streams == 1


def test_no_cache_between_is_to_answer_for_the_server(server, start):
    """An old list would come with an old time, by which ends of decisions are judged."""
    assert known(start())
    server.until(lambda: server.streams)
    asked = {path: headers["cache-control"] for method, path, headers in server.requests if method == "GET"}
    assert asked == {"/v1/feed?since=0": "no-cache", "/v1/feed/stream": "no-cache"}


def test_a_stream_that_breaks_is_resumed_from_its_revision(server, start):
    server.decide(block())
    client = start()
    assert known(client)
    server.until(lambda: server.streams == 1)
    client.follower._connection.end()
    client.follower._connection._ended = False
    server.until(lambda: server.streams == 2)
    resumed = [headers["last-event-id"] for _, path, headers in server.requests if path == "/v1/feed/stream"]
    assert resumed == ["1", "1"]
    assert sdk.is_blocked({"id": 1})


def test_a_list_is_read_in_small_pieces_however_much_the_server_sends_at_once(server, start, monkeypatch):
    """Between them the application goes on: a greenlet would wait for all of it, a thread long for the interpreter."""
    sizes, naps, feed = [], [], DeltaReader.feed

    def noted(reader, text):
        sizes.append(len(text))
        feed(reader, text)

    monkeypatch.setattr(DeltaReader, "feed", noted)
    monkeypatch.setattr(sync, "nap", lambda: naps.append(len(sizes)))
    server.decide(*(block(f"d{n}", f"id:{n}", reason="x" * 200) for n in range(3000)))
    client = start()
    assert known(client)
    assert len(client.held.decisions) == 3000
    assert sum(sizes) > 600_000 and max(sizes) <= 8192
    assert len(naps) > sum(sizes) / 8192 / 2


@pytest.mark.parametrize(
    ("pieces", "naps"), [([b"x"] * 8, 0), ([b"x"] * 80, 9), ([b"x" * 4096] * 8, 3), ([b"x" * 65536], 7)]
)
def test_naps_are_taken_in_whatever_pieces_a_list_comes(monkeypatch, pieces, naps):
    """A proxy may send a long one in short pieces."""
    taken = []
    monkeypatch.setattr(sync, "nap", lambda: taken.append(True))
    assert b"".join(sync._gently(iter(pieces))) == b"".join(pieces)
    assert len(taken) == naps


@pytest.mark.parametrize(("many", "naps"), [(10, 0), (3000, 6)])
def test_a_large_snapshot_is_written_and_read_with_naps_and_a_small_one_without(tmp_path, monkeypatch, many, naps):
    """A small one is read in the call of `start`."""
    path, taken = str(tmp_path / "list"), []
    monkeypatch.setattr(snapshot, "nap", lambda: taken.append(True))
    networks = tuple(Decision(f"n{n}", "block", "network", f"10.{n >> 8}.{n & 255}.0/24") for n in range(many))
    snapshot.write(path, "here", Decisions(b"salt").apply(Delta(1, networks)))
    assert len(taken) == naps
    assert len(snapshot.read(path, "here")) == many
    assert len(taken) == 2 * naps


def test_a_clock_that_is_set_while_the_stream_is_open_is_learnt_anew(server, start, monkeypatch):
    client = start()
    assert known(client)
    server.until(lambda: server.streams)
    told = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: told() + 3_600_000_000_000)
    server.decide(block(until=int(time.time() + 60) * 1_000_000))
    wait_for(lambda: abs(client.stats()["clock_offset"] + 3600) < 5)
    wait_for(lambda: sdk.is_blocked({"id": 1}))  # the decision's end is by the server's clock


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_while_the_server_is_away_moves_no_end_and_no_event(server, start, monkeypatch, hours):
    client = start(flush_interval=3600.0)
    server.decide(block(until=int(time.time() + 600) * 1_000_000), block("d2", "id:2", until=1))
    assert known(client)
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    server.close()
    told, before = time.time_ns, time.time()
    monkeypatch.setattr(time, "time_ns", lambda: told() + hours * 3_600_000_000_000)
    assert (sdk.is_blocked({"id": 1}), sdk.is_blocked({"id": 2})) == (True, False)
    sdk.track("e")
    (event,) = client.buffer.events()
    assert abs(moment.parse(event["timestamp"]) / 1e6 - before) < 60


def test_a_clock_that_is_put_right_before_any_contact_is_believed(monkeypatch):
    clock, told = Clock(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: told() + 3_600_000_000_000)
    assert abs(clock.now() - told() // 1000 - 3_600_000_000) < 60_000_000
    assert not clock.was_set()


def test_a_snapshot_that_cannot_be_written_for_any_reason_ends_no_enforcement(server, start, monkeypatch, tmp_path):
    tried = []

    def fails(*_):
        tried.append(1)
        raise ValueError("on purpose")

    monkeypatch.setattr(snapshot, "write", fails)
    client = start(snapshot=str(tmp_path / "list"))
    assert known(client)
    server.until(lambda: server.streams)
    client.follower._connection.end()  # as the round ends the list is saved
    client.follower._connection._ended = False
    wait_for(lambda: tried)
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))


def test_the_application_goes_on_between_the_deltas_of_a_burst(monkeypatch):
    naps = []
    monkeypatch.setattr(sync, "nap", lambda: naps.append(True))
    held = Held(Decisions(b"salt"))
    follower = Follower(Options(url="http://127.0.0.1:9", key="k"), held, Clock(), Notes())
    deltas = (f'event: delta\ndata: {{"revision": {n}, "reset": false, "added": []}}\n\n' for n in range(1, 21))
    assert follower._read_stream(iter(["".join(deltas).encode()]))
    assert held.decisions.revision == len(naps) == 20


def test_a_list_that_is_replaced_is_let_go_of_in_small_parts():
    """Freed at once, a large one would stop every thread of the application."""
    options, old = Options(url="http://127.0.0.1:9", key="k"), Decisions().apply(Delta(1, (block(),)))
    held = Held(old)
    follower = Follower(options, held, Clock(), Notes())
    reader = DeltaReader(old, whole=True)
    reader.feed('{"revision": 2, "added": []}')
    follower._take(reader)
    assert len(held.decisions) == 0
    shards = [shard for shard in old.shards if shard is not None]
    assert shards and all(any(part is shard for part in follower._old) for shard in shards)
    follower._tidy()
    assert follower._old == []


def test_where_no_stream_passes_the_list_is_polled(server, start):
    for server.stream in ("none", "page"):
        client = start()
        assert known(client)
        server.decide(block(f"d-{server.stream}", f"id:{server.stream}"))
        wait_for(lambda: sdk.is_blocked(server.stream))
        wait_for(lambda client=client: client.stats()["counts"].get("stream given up") == 1)


@pytest.mark.parametrize("stream", ["403", "429", "502", "503", "held", "garbage"])
def test_whatever_becomes_of_the_stream_the_list_is_polled_meanwhile(server, start, stream):
    """Who may have the list must not wait for it because something between us takes no stream."""
    server.stream = stream
    client = start(silence=0.05, refused_wait=600.0)
    assert known(client)
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    server.decide(removed=("d1",))
    wait_for(lambda: not sdk.is_blocked({"id": 1}))
    if stream in ("403", "held"):
        wait_for(lambda: client.stats()["counts"].get("stream given up"))


def test_a_stream_that_makes_no_sense_is_said_once_and_tried_ever_less_often(server, start, caplog):
    server.stream = "garbage"
    began = time.monotonic()
    client = start(retry_base=0.01, retry_limit=30.0, poll_interval=0.3)
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        assert known(client)
        server.until(lambda: server.streams >= 8)
    assert time.monotonic() - began > 0.3, "waits grow"
    assert len(caplog.records) == 1


def test_a_time_that_is_none_keeps_no_stream_out(server, start):
    server.feed_extra = {"now": "rubbish"}
    client = start()
    assert known(client)
    assert server.until(lambda: server.streams)
    assert client.stats()["clock_offset"] == 0


def test_a_stream_that_stays_silent_is_given_up_for_polling(server, start):
    server.stream = "mute"
    client = start(silence=0.05)
    assert known(client)
    server.until(lambda: server.streams == 2)
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    assert server.streams == 2


def test_a_stream_that_falls_silent_is_opened_again(server, start):
    server.heartbeat = 60
    client = start(silence=0.1)
    server.decide(block())
    assert known(client)
    server.until(lambda: server.streams >= 1)
    server.decide(block("d2", "id:2"))
    wait_for(lambda: sdk.is_blocked({"id": 2}))
    server.until(lambda: server.streams >= 2)


def test_the_last_list_stays_in_force_while_the_server_is_away_each_decision_to_its_own_end(server, start):
    client = start()
    now = client.clock.now()
    server.decide(block(until=now + 3_600_000_000), block("d2", "id:2", until=now + 60_000_000))
    assert known(client)
    server.close()
    wait_for(lambda: client.stats()["counts"].get("feed failures", 0) >= 2)
    assert sdk.is_blocked({"id": 1})
    assert sdk.is_blocked({"id": 2})
    client.clock.offset += 61_000_000
    assert not sdk.is_blocked({"id": 2})
    assert sdk.is_blocked({"id": 1})


@pytest.mark.parametrize("way", ["body", "header"])
def test_ends_are_judged_by_the_servers_clock(server, start, way):
    ahead = 3_600
    there = int(time.time()) + ahead
    server.decide(block(until=(there + 600) * 1_000_000), block("d2", "id:2", until=(there - 600) * 1_000_000))
    if way == "body":
        server.feed_extra = {"now": moment.to_text(there * 1_000_000)}
    else:
        server.date = float(there)
    client = start()
    assert known(client)
    assert abs(client.stats()["clock_offset"] - ahead) < 60
    assert sdk.is_blocked({"id": 1})
    assert not sdk.is_blocked({"id": 2})


def test_a_clock_that_is_right_is_left_alone_by_whole_seconds(server, start):
    client = start()
    assert known(client)
    server.until(lambda: server.streams)
    assert client.clock.offset == 0


def test_one_malformed_decision_never_discards_the_others(server, start, caplog):
    server.feed_body = (
        b'{"revision": 4, "reset": true, "added": [{"id": 7}, "x", {"id": "w", "kind": "block", "scope": "network",'
        b' "value": "0.0.0.0/0"}, {"id": "a", "kind": "block", "scope": "user", "value": "id:1"}], "removed": [3]}'
    )
    server.stream = "none"
    client = start()
    assert known(client)
    assert sdk.is_blocked({"id": 1})
    assert not sdk.is_blocked(ip="203.0.113.9")
    wait_for(lambda: client.stats()["counts"].get("malformed decisions", 0) >= 4)
    wait_for(lambda: "the server sent decisions that cannot be read; the others hold" in caplog.text)


@pytest.mark.parametrize("bound", ["limit", "ROOM"])
def test_decisions_past_the_bound_are_left_out_and_told(server, start, caplog, monkeypatch, bound):
    server.feed_body = (
        b'{"revision": 4, "reset": true, "added": [{"id": "a", "kind": "block", "scope": "user", "value": "id:1"},'
        b' {"id": "b", "kind": "block", "scope": "user", "value": "id:2"}], "removed": []}'
    )
    server.stream = "none"
    client = start()
    if bound == "limit":  # no thread has begun yet: the first call starts it
        client.held.decisions = Decisions(client.held.decisions.salt, limit=1)
    else:
        monkeypatch.setattr("sentinel.core.decisions.ROOM", 1)
    assert known(client)
    assert sdk.is_blocked({"id": 1})
    assert not sdk.is_blocked({"id": 2})
    wait_for(lambda: client.stats()["counts"].get("decisions past the bound", 0) >= 1)
    most = "1 decisions" if bound == "limit" else "4,000,000 decisions, or than 512 MiB of texts in them"
    assert f"the server sent more than {most}" in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"revision": 1', b"<html>", b'{"added": [{}]}', b"{}}" * 9])
def test_what_is_no_list_leaves_the_last_one_in_force(server, start, body):
    server.decide(block())
    server.stream = "none"
    client = start()
    assert known(client)
    server.feed_body = body
    before = client.stats()["counts"].get("feed failures", 0)
    wait_for(lambda: client.stats()["counts"].get("feed failures", 0) > before + 1)
    assert sdk.is_blocked({"id": 1})


@pytest.mark.parametrize(("status", "hint"), [
    (401, "is the key right and of scope `sdk`?"), (403, "is the key right and of scope `sdk`?"),
    (404, "is the address right?"),
    *((status, "asked for again until it is there") for status in (429, 500, 502, 503)),
])  # fmt: skip
def test_a_feed_that_is_refused_is_asked_for_again(server, start, status, hint, caplog):
    server.feed_status = status
    client = start(refused_wait=0.02)
    client.ensure_running()
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        wait_for(lambda: client.stats()["counts"].get("feed failures", 0) >= 3)
    said = [f"no decision list: {server.url} answers {status} ({hint})"]
    assert [record.message for record in caplog.records if record.name == "sentinel.sdk"] == said
    server.decide(block())
    server.feed_status = 200
    wait_for(lambda: sdk.is_blocked({"id": 1}))


def test_a_server_restored_from_an_older_backup_is_asked_for_its_whole_list(server, start):
    server.decide(block())
    server.decide(block("d2", "id:2"))
    client = start()
    assert known(client)
    assert client.held.decisions.revision == 2
    server.stream = "none"
    with server.changed:
        server.deltas = server.deltas[:1]
    client.follower._connection.end()
    client.follower._connection._ended = False
    wait_for(lambda: client.held.decisions.revision == 1)
    assert sdk.is_blocked({"id": 1})
    assert not sdk.is_blocked({"id": 2})


def test_stopping_ends_an_open_stream_at_once(server, start):
    server.heartbeat = 600
    client = start(silence=600.0)
    assert known(client)
    server.until(lambda: server.streams)
    thread = client._threads[1]
    client.stop(60)
    assert not thread.is_alive()


def test_enforcement_can_be_ended_for_the_process(server, start, monkeypatch):
    monkeypatch.setenv("SENTINEL_ENFORCE", "off")
    server.decide(block())
    client = start()
    assert known(client)
    assert len(client.held.decisions) == 1
    assert not sdk.is_blocked({"id": 1})
    assert sdk.stats()["enforcing"] is False


def test_another_start_lets_nobody_off_until_it_has_a_list_of_its_own(server, start):
    server.decide(block())
    assert known(start())
    server.feed_status = 503
    start(key="another")
    assert sdk.ready(0)
    assert sdk.is_blocked({"id": 1})
    server.decide(block("d2", "id:2"), removed=("d1",))
    server.feed_status = 200
    wait_for(lambda: sdk.is_blocked({"id": 2}) and not sdk.is_blocked({"id": 1}))
    first, *_ = (path for _, path, headers in server.requests if headers["authorization"] == "Bearer another")
    assert first == "/v1/feed?since=0"


def test_of_two_threads_that_start_at_once_one_leaves_nothing_behind(server, start):
    """Its threads would go on, and its events wait for nobody."""
    first, other = start(), []
    stats = first.stats

    def as_another_starts():
        del first.stats
        other.append(start())
        sdk.track("between")
        return stats()

    first.stats = as_another_starts
    last = start()
    assert sdk.flush(PATIENCE)
    assert (other[0]._running, last._running) == (False, True)
    assert len(server.named("between")) == 1


def test_another_server_s_list_is_not_taken_over(server, start):
    server.decide(block())
    assert known(start())
    start(url="http://127.0.0.1:9")
    assert not sdk.is_blocked({"id": 1})


def test_a_snapshot_lets_a_restarted_process_enforce_before_any_contact(server, start, tmp_path):
    path = tmp_path / "decisions.ndjson"
    server.decide(block(), Decision("n", "block", "network", "203.0.113.0/24", playbook="p"))
    client = start(snapshot=path)
    assert known(client)
    sdk.stop(60)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "id:1" not in path.read_text()
    server.close()
    start(snapshot=path)
    assert sdk.is_blocked({"id": 1})
    assert sdk.is_blocked(ip="203.0.113.77")
    assert [p for p in tmp_path.iterdir() if p != path] == []


def ended_application():
    """Have an application end, as its server tells it: some servers end the process then, past any handler."""

    async def silent(message):
        pass

    async def app(scope, receive, send):
        await send({"type": "lifespan.shutdown.complete"})

    asyncio.run(SentinelMiddleware(app)({"type": "lifespan"}, silent, silent))


@pytest.fixture
def on_disk(server, start, tmp_path):
    """Say how many decisions the snapshot has, which was written before somebody was blocked."""
    path = tmp_path / "list"
    assert known(start(snapshot=path))
    wait_for(path.exists)
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    return lambda: len(snapshot.read(str(path), snapshot.source(server.url, KEY)))


def test_an_application_that_ends_leaves_its_newest_list_behind(on_disk):
    ended_application()
    assert on_disk() == 1


def test_a_server_that_goes_away_leaves_its_newest_list_on_disk(server, on_disk):
    server.close()
    wait_for(lambda: on_disk() == 1)


@pytest.mark.parametrize(("revision", "blocked"), [(2, True), (1, False), (0, False)])
def test_a_child_begins_with_the_list_on_disk_where_that_is_newer(server, start, tmp_path, revision, blocked):
    path = tmp_path / "list"
    assert known(start(snapshot=path))
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    sdk.stop(60)
    server.close()
    os.utime(path, (time.time() - 3600,) * 2)
    master = start(snapshot=path)
    others = master.held.decisions.apply(Delta(revision, (block("d2", "id:2"),)))
    snapshot.write(str(path), snapshot.source(server.url, KEY), others)
    master._pid = 0
    master.after_fork()
    assert (sdk.is_blocked({"id": 1}), sdk.is_blocked({"id": 2})) == (True, blocked)


def test_a_snapshot_of_another_server_or_app_is_left_aside(server, start, tmp_path, caplog):
    path = tmp_path / "decisions.ndjson"
    server.decide(block())
    assert known(start(snapshot=path))
    sdk.stop(60)
    for other in ({"url": "http://127.0.0.1:9"}, {"key": "another", "url": server.url}):
        with caplog.at_level(logging.WARNING, "sentinel.sdk"):
            client = start(snapshot=path, **other)
        assert len(client.held.decisions) == 0
        assert "another server" in caplog.text
        caplog.clear()


def test_a_restarted_process_asks_only_for_what_changed(server, start, tmp_path):
    path = tmp_path / "decisions.ndjson"
    server.decide(block())
    assert known(start(snapshot=path))
    sdk.stop(60)
    server.decide(block("d2", "id:2"))
    start(snapshot=path)
    wait_for(lambda: sdk.is_blocked({"id": 2}))
    assert sdk.is_blocked({"id": 1})
    assert "/v1/feed?since=1" in [path for _, path, _ in server.requests]


@pytest.mark.parametrize(
    "content", ["", "{}", "nonsense\n", '{"sentinel": 1, "revision": 1, "salt": ""}\n{"shard": 1}\n']
)
def test_a_snapshot_that_is_none_is_left_aside(server, start, tmp_path, content):
    path = tmp_path / "decisions.ndjson"
    path.write_text(content)
    path.chmod(0o600)
    server.decide(block())
    assert known(start(snapshot=path))
    wait_for(lambda: sdk.is_blocked({"id": 1}))


def test_a_snapshot_others_could_have_written_is_left_aside(server, start, tmp_path, caplog):
    path = tmp_path / "decisions.ndjson"
    server.decide(block())
    assert known(start(snapshot=path))
    sdk.stop(60)
    path.chmod(0o666)
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        client = start(snapshot=path)
    assert len(client.held.decisions) == 0
    assert "0600" in caplog.text


def test_a_snapshot_of_another_user_or_behind_a_link_is_left_aside(server, start, tmp_path, monkeypatch):
    path, link = tmp_path / "list", tmp_path / "link"
    server.decide(block())
    assert known(start(snapshot=path))
    sdk.stop(60)
    link.symlink_to(path)
    assert len(start(snapshot=link).held.decisions) == 0
    assert len(start(snapshot=path).held.decisions) == 1
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert len(start(snapshot=path).held.decisions) == 0


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs a folder nobody can write to")
def test_an_exit_without_time_for_a_snapshot_leaves_the_older_one_and_nothing_else(
    server, start, tmp_path, monkeypatch
):
    path = tmp_path / "list"
    client = start(snapshot=str(path))
    assert known(client)
    wait_for(path.exists)
    before, write, over = path.read_bytes(), pages.write, threading.Event()

    def slowly(decisions):
        assert over.wait(60)
        yield from write(decisions)

    monkeypatch.setattr(pages, "write", slowly)
    server.decide(block())
    wait_for(lambda: sdk.is_blocked({"id": 1}))
    follower = client._threads[1]
    sdk.stop(0.2)
    over.set()
    follower.join(60)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_what_killed_processes_had_begun_to_write_is_taken_away(tmp_path, monkeypatch):
    """Else each end of a process that holds a large list would leave some megabytes on the disk."""

    def killed(*_):
        raise OSError("as if by a signal")

    path, other = tmp_path / "list", tmp_path / "list2"
    decisions = Decisions().apply(Delta(1, (block(),)))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", killed)
        for at in (path, path, other):
            with pytest.raises(OSError, match="signal"):
                snapshot.write(str(at), "source", decisions)
    begun = sorted(tmp_path.iterdir())
    assert len(begun) == 3
    snapshot.write(str(path), "source", decisions)
    assert sorted(tmp_path.iterdir()) == sorted([*begun, path]), "another process may be at it"
    for one in begun:
        os.utime(one, (1, 1))
    snapshot.write(str(path), "source", decisions)
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left in begun, "what is of another snapshot stays"


def test_a_snapshot_that_cannot_be_written_costs_nothing(server, start):
    server.decide(block())
    assert known(start(snapshot="/proc/nowhere/decisions.ndjson"))
    wait_for(lambda: sdk.is_blocked({"id": 1}))


def test_what_is_no_file_is_replaced_by_no_snapshot(tmp_path):
    """Who names `/dev/null` as root would have that no more, and nobody else on the machine either."""
    path = tmp_path / "null"
    os.mkfifo(path)
    with pytest.raises(OSError, match="no file"):
        snapshot.write(str(path), "here", Decisions(b"salt"))
    assert [stat.S_ISFIFO(file.stat().st_mode) for file in tmp_path.iterdir()] == [True]


def test_ended_decisions_are_taken_out_of_memory(server, start):
    client = start()
    server.decide(block(until=client.clock.now() + 60_000_000), block("d2", "id:2"))
    assert known(client)
    client.clock.offset += 61_000_000
    client.follower._next_upkeep = 0.0
    server.decide(block("d3", "id:3"))
    wait_for(lambda: len(client.held.decisions) == 2)
