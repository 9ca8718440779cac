"""Events on their way: when they leave, what keeps them, what drops them, and that nothing counts twice."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime

import pytest

from sentinel import sdk
from sentinel.core.decision import Decision
from sentinel.sdk import transport
from tests.sdk.conftest import known
from tests.sdk.server import KEY

ACCEPTED = b'{"accepted": 1, "duplicates": 0, "rejected": [], "revision": 0}'


def test_an_event_arrives_with_id_time_user_and_properties(server, start):
    start()
    sdk.track("invoice.created", {"amount": 12}, {"id": 42}, datetime(2030, 1, 1, tzinfo=UTC))
    (event,) = server.until(lambda: server.events)
    assert event["event"] == "invoice.created"
    assert event["timestamp"] == "2030-01-01T00:00:00Z"
    assert event["user"] == {"id": "42"}
    assert event["properties"] == {"amount": 12}
    assert event["id"][14] == "7"
    (post,) = [headers for method, _, headers in server.requests if method == "POST"]
    assert post["authorization"] == f"Bearer {KEY}"


def test_a_large_batch_travels_compressed(server, start):
    start(flush_interval=60, flush_count=50)
    for n in range(50):
        sdk.track("e", {"n": n, "text": "x" * 100})
    assert [event["properties"]["n"] for event in server.until(lambda: server.events)] == list(range(50))
    assert any(headers.get("content-encoding") == "gzip" for _, _, headers in server.requests)


def test_a_batch_is_written_event_by_event(server, start, monkeypatch):
    """All of it in one step would stop every thread of the application for that long."""
    written, dumps = [], transport._dumps

    def noted(value):
        written.append(value["properties"]["n"])
        return dumps(value)

    monkeypatch.setattr(transport, "_dumps", noted)
    start(flush_interval=60, flush_count=50)
    for n in range(50):
        sdk.track("e", {"n": n})
    assert [event["properties"]["n"] for event in server.until(lambda: server.events)] == list(range(50))
    assert written == list(range(50))


def test_whatever_goes_wrong_as_a_process_tells_how_it_is_events_still_leave(server, start, monkeypatch):
    client = start(report_interval=0.02)
    failed = threading.Event()

    def fails(*_):
        failed.set()
        raise AttributeError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(client.sender._connection, "ask", fails)
        sdk.track("first")
        assert failed.wait(60)
        failed.clear()
        assert failed.wait(60), "it is told again"
    sdk.track("second")
    assert server.until(lambda: server.named("second"))
    assert sdk.flush(60), "what was given up is waited for no longer"


def test_a_full_lot_leaves_before_its_time(server, start):
    start(flush_interval=3600, flush_count=10)
    for _ in range(9):
        sdk.track("e")
    assert server.batches == []
    sdk.track("e")
    assert len(server.until(lambda: server.events)) == 10


def test_a_login_leaves_at_once(server, start):
    start(flush_interval=3600)
    sdk.track("e")
    sdk.auth_track(False, email="Jane@Example.com")
    first, second = server.until(lambda: server.events)
    assert (first["event"], second["event"], second["success"]) == ("e", "auth", False)
    assert second["user"] == {"email": "jane@example.com"}


def test_a_signup_leaves_at_once(server, start):
    start(flush_interval=3600)
    sdk.signup_track(id=42, email="jane@example.com")
    (event,) = server.until(lambda: server.events)
    assert (event["event"], event["user"]) == ("signup", {"id": "42", "email": "jane@example.com"})
    assert "success" not in event


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_server_in_trouble_gets_the_same_ids_again(server, start, status, caplog):
    server.answers.extend([(status, {"Retry-After": "0"}, b"{}"), (status, {}, b"not json")])
    start()
    sdk.track("e")
    server.until(lambda: server.events)
    assert len(server.attempts) == 3
    assert len({event["id"] for batch in server.attempts for event in batch}) == 1
    assert caplog.text.count(f"answers {status}") == 1
    assert sdk.flush(60)
    assert sdk.stats()["sent"] == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_names_a_time_is_asked_again_then(server, start, status):
    server.answers.append((status, {"Retry-After": "0"}, b"{}"))
    start(retry_base=600.0, retry_limit=600.0, refused_wait=600.0)
    sdk.track("e")
    assert server.until(lambda: server.events)


def test_an_answer_that_no_sentinel_server_gives_is_not_taken_for_success(server, start):
    server.answers.extend([(200, {}, b"<html>sign in to the wifi</html>"), (200, {}, b"[]"), (204, {}, b"")])
    start()
    sdk.track("e")
    server.until(lambda: server.events)
    assert len(server.attempts) == 4


@pytest.mark.parametrize("status", [302, 404, 421])
def test_what_a_proxy_answers_while_the_server_is_begun_anew_delays_nothing_for_long(server, start, status):
    server.decide(Decision("d1", "block", "user", "id:1", playbook="p"))
    server.feed_status = status
    server.answers.append((status, {}, b"404 page not found"))
    client = start(refused_wait=3600.0)
    sdk.track("e")
    assert server.until(lambda: server.events)
    server.feed_status = 200
    assert known(client)
    assert sdk.is_blocked({"id": 1})


def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(server, start, caplog):
    server.answers.append((302, {"Location": "/elsewhere"}, b""))
    start()
    sdk.track("e")
    server.until(lambda: server.events)
    assert {path for method, path, _ in server.requests if method == "POST"} == {"/v1/events"}
    assert not any("elsewhere" in path for _, path, _ in server.requests)


def test_a_wrong_key_is_said_once_and_tried_again(server, start, caplog):
    body = json.dumps({"error": {"code": "key", "message": "no such key", "hint": "make one"}}).encode()
    server.answers.extend([(401, {}, body)] * 5)
    start()
    with caplog.at_level(logging.WARNING, "sentinel.sdk"):
        sdk.track("e")
        server.until(lambda: server.events)
    said = [record.message for record in caplog.records if "no such key" in record.message]
    assert len(said) == 1
    assert KEY not in caplog.text


def test_a_batch_that_is_too_large_is_halved_and_only_the_culprit_is_dropped(server, start):
    def picky(handler):
        large = len(server.attempts[-1]) > 1 or server.attempts[-1][0]["event"] == "huge"
        if not large:
            with server.changed:
                server.batches.append(server.attempts[-1])
                server.changed.notify_all()
        handler.reply(413 if large else 200, ACCEPTED)

    server.answers.extend([picky] * 20)
    start(flush_count=4, flush_interval=3600)
    for name in ("a", "huge", "b", "c"):
        sdk.track(name)
    server.until(lambda: len(server.events) == 3)
    assert sdk.flush(60)
    assert [event["event"] for event in server.events[:3]] == ["a", "b", "c"]
    assert sdk.stats()["dropped"] == {"too large": 1}


def test_an_event_the_server_rejects_is_counted_and_not_sent_again(server, start):
    told = {"accepted": 0, "duplicates": 0, "rejected": [{"index": 0, "id": "x", "error": "no"}], "revision": 0}
    server.answers.append((200, {}, json.dumps(told).encode()))
    start()
    sdk.track("e")
    assert sdk.flush(60)
    assert (sdk.stats()["rejected"], len(server.attempts)) == (1, 1)


def test_the_buffer_is_bounded_the_oldest_go_first_and_the_server_hears_of_it(server, start):
    open_again = threading.Event()

    def hold(handler):
        open_again.wait(60)
        handler.reply(503, b"{}", {"Retry-After": "0"})

    server.answers.append(hold)
    start(buffer_size=5, flush_count=1)
    sdk.track("first")
    server.until(lambda: server.attempts)
    for n in range(12):
        sdk.track("e", {"n": n})
    assert sdk.stats()["queued"] == 5
    assert sdk.stats()["dropped"] == {"full": 7}
    open_again.set()
    (report,) = server.until(lambda: server.named("sentinel.dropped"))
    assert report["properties"] == {"full": 7}
    assert [event["properties"]["n"] for event in server.named("e")] == [7, 8, 9, 10, 11]


def test_the_buffer_is_bounded_in_size_too(start):
    client = start(url="http://127.0.0.1:9", buffer_bytes=100_000)
    for _ in range(200):
        sdk.track("e", {"text": "x" * 9_000})
    assert len(client.buffer) < 15
    assert sdk.stats()["dropped"]["full"] > 150


def test_without_a_server_nothing_raises_and_nothing_is_lost_up_to_the_bound(start):
    start(url="http://127.0.0.1:9")
    for _ in range(50):
        sdk.track("e")
    assert sdk.identify({"id": 1}).allowed
    assert not sdk.flush(0.05)
    assert sdk.stats()["dropped"] == {}


def test_events_from_before_start_are_sent_after_it(server, start, idle):
    sdk.track("early")
    start()
    assert sdk.flush(60)
    assert server.until(lambda: server.named("early"))


def test_a_second_start_keeps_what_the_first_had_not_sent(server, start):
    start(url="http://127.0.0.1:9")
    sdk.track("e")
    start()
    assert server.until(lambda: server.named("e"))


def test_what_was_lost_before_start_is_counted_after_it_and_the_server_hears_of_it_once(server, start, idle):
    for n in range(idle.options.buffer_size + 3):
        sdk.track("early", {"n": n})
    sdk.track("sq.mine")
    start()
    assert sdk.flush(60)
    (report,) = server.until(lambda: server.named("sentinel.dropped"))
    assert report["properties"] == {"full": 3, "reserved": 1}
    assert sdk.stats()["dropped"] == {"full": 3, "reserved": 1}
    assert sdk.flush(60), "the report, too, was answered"
    start(key="another")
    sdk.track("sentinel.mine")
    sdk.track("last")
    reports = server.until(lambda: server.named("sentinel.dropped")[1:])
    assert [report["properties"] for report in reports] == [{"reserved": 1}]


def test_a_slow_server_slows_no_caller(server, start):
    hold = threading.Event()
    server.answers.append(lambda handler: (hold.wait(60), handler.reply(200, ACCEPTED)))
    start(flush_count=1)
    sdk.track("e")
    server.until(lambda: server.attempts)
    for _ in range(1000):
        sdk.track("e")
    assert sdk.stats()["queued"] == 1000
    hold.set()
    assert sdk.flush(60)


def test_flush_says_whether_all_has_left(server, start):
    start(flush_interval=3600)
    sdk.track("e")
    assert sdk.flush(60)
    assert len(server.events) == 1
    assert sdk.flush(60)


def test_stop_sends_what_waits(server, start):
    start(flush_interval=3600)
    sdk.track("e")
    sdk.stop(60)
    assert len(server.events) == 1


def test_a_server_that_goes_away_between_two_requests_costs_nothing(server, start):
    start()
    sdk.track("one")
    server.until(lambda: server.named("one"))

    def hang_up(handler):
        handler.close_connection = True
        handler.connection.close()

    server.answers.append(hang_up)
    sdk.track("two")
    server.until(lambda: server.named("two"))
    assert len({event["id"] for event in server.events}) == len(server.events)
    assert sdk.stats()["failures"] == 0


def test_threads_start_with_the_first_call_and_not_before(server, start):
    before = set(threading.enumerate())
    start()
    assert not [thread for thread in begun(before) if thread.name in ("sentinel-sender", "sentinel-follower")]
    sdk.track("e")
    names = {thread.name for thread in begun(before) if thread.name.startswith(("sentinel-s", "sentinel-f"))}
    assert names == {"sentinel-sender", "sentinel-follower"}


def begun(before):
    """Return the threads of now that were not there before, whatever another test's are still at."""
    return set(threading.enumerate()) - before
