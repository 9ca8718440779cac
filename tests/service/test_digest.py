"""A digest tells what the last day or week came to: once, of apps in which anything happened, to a channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from sentinel.actions.message import compose, line, text
from sentinel.app import open_server
from sentinel.app import server as composition
from sentinel.core.duration import DAY, HOUR, MINUTE, SECOND
from sentinel.core.errors import SentinelError
from sentinel.core.record import App, Delivery
from sentinel.service.digest import LATE, LENGTHS, SETTLE, Digests, last
from sentinel.store.embedded.store import open_store
from tests.actions.receiver import Receiver, says, status
from tests.api.served import wait_for
from tests.api.whole import settings as some_settings
from tests.api.whole import whole as run_whole
from tests.contract.values import batch, decision, event, finding, put
from tests.passwords import webhook_secret
from tests.prepared import prepared

MIDNIGHT = 1_795_132_800_000_000  # 2026-11-20
NOON = MIDNIGHT - DAY // 2


@pytest.fixture
def store(tmp_path):
    store = open_store(prepared(tmp_path / "data"))
    for app in ("shop", "quiet"):
        store.access.add_app(App(app), "test", NOON)
    events = tuple(event(f"e{n}", NOON + n, user=f"id:{n % 3}", ip="192.0.2.1") for n in range(10))
    found = finding("f1", NOON)
    put(store, batch(events=events, findings=(found,), decisions=(decision("d1", made=NOON, finding="f1"),)))
    put(store, batch(events=(event("early", MIDNIGHT - DAY - 1),)))
    yield store
    store.close()


def told(store, app="shop"):
    return [one for one in store.outbox.list(app).items if one.kind == "digest"]


@given(st.sampled_from(sorted(LENGTHS)), st.integers(0, 4_000_000_000_000_000))
def test_a_period_is_whole_over_and_followed_by_the_next(every, now):
    since, until = last(every, max(now, 8 * DAY))
    assert until <= max(now, 8 * DAY) < until + LENGTHS[every]
    assert until - since == LENGTHS[every]
    began = datetime.fromtimestamp(since / SECOND, UTC)
    assert (began.hour, began.minute, began.second, began.microsecond) == (0, 0, 0, 0)
    assert every == "daily" or began.weekday() == 0
    assert last(every, until + LENGTHS[every]) == (until, until + LENGTHS[every])


def test_it_counts_what_lies_in_the_day_and_names_the_day_before(store):
    assert Digests(store, "daily", "security").make(MIDNIGHT + SETTLE) == 1
    (row,) = told(store)
    assert row.channel == "security" and row.finding is None
    body = dict(row.body)
    assert (body["since"], body["until"]) == ("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
    assert (body["events"], body["events_before"], body["users"], body["ips"]) == (10, 1, 3, 1)
    assert list(body["findings"].values()) == [1] and list(body["decisions"].values()) == [1]
    assert body["undelivered"] == 0


def test_it_waits_until_late_events_are_in_and_is_made_once_by_whichever_process(store):
    digests = Digests(store, "daily", "security")
    assert [digests.make(MIDNIGHT + after) for after in (0, SETTLE - 1, SETTLE, SETTLE + MINUTE)] == [0, 0, 1, 0]
    Digests(store, "daily", "security").make(MIDNIGHT + HOUR)
    assert len(told(store)) == 1
    assert digests.make(MIDNIGHT + DAY + SETTLE) == 1, "the day before had events: that there are none is news"
    assert digests.make(MIDNIGHT + 2 * DAY + SETTLE) == 0
    assert told(store, "quiet") == []


def test_one_that_is_late_by_a_day_is_left_out(store):
    assert Digests(store, "weekly", "security").make(last("weekly", MIDNIGHT)[1] + LATE) == 0
    assert Digests(store, "weekly", "security").make(MIDNIGHT + 3 * DAY + LATE - 1) == 1
    assert told(store)[0].body["since"] == "2026-11-16T00:00:00Z"


def test_a_store_that_is_busy_is_asked_again_for_the_same_day(store, monkeypatch):
    digests = Digests(store, "daily", "security")
    with monkeypatch.context() as patched:
        patched.setattr(store.explorer, "sums", lambda *_: (_ for _ in ()).throw(SentinelError("busy")))
        with pytest.raises(SentinelError):
            digests.make(MIDNIGHT + SETTLE)
    assert digests.make(MIDNIGHT + HOUR) == 1


def test_one_app_whose_digest_fails_keeps_no_other_back(store, monkeypatch):
    put(store, batch(app="quiet", events=(event("q", NOON),)))
    digests, sums = Digests(store, "daily", "security"), store.explorer.sums

    def failing(app, asked):
        if app == store.access.apps()[0].id:
            raise ValueError("damaged")
        return sums(app, asked)

    with monkeypatch.context() as patched:
        patched.setattr(store.explorer, "sums", failing)
        for _ in range(2):
            with pytest.raises(ValueError, match="damaged"):
                digests.make(MIDNIGHT + SETTLE)
    assert sorted(len(told(store, app)) for app in ("shop", "quiet")) == [0, 1]
    digests.make(MIDNIGHT + HOUR)
    assert [len(told(store, app)) for app in ("shop", "quiet")] == [1, 1]


def test_what_a_colleague_overruled_is_told_apart_from_what_is_in_force(store):
    put(store, batch(decisions=(decision("d2", "id:2", made=NOON), decision("d3", "id:3", made=NOON))))
    mine = replace(decision("mine", "id:2", made=NOON), kind="allow", playbook=None, by="jane")
    store.decisions.add("shop", mine, "jane", NOON)
    Digests(store, "daily", "security").make(MIDNIGHT + SETTLE)
    body = compose(told(store)[0])
    assert (body["data"]["in_force"], body["data"]["overruled"]) == ({"allow": 1, "block": 2}, 1)
    assert "in force now: allow 1, block 2\noverruled by hand: 1" in text(body)


def test_people_read_it_in_words(store):
    Digests(store, "daily", "security").make(MIDNIGHT + SETTLE)
    body = compose(told(store)[0])
    assert body["type"] == "digest" and line(body) == "shop: 2026-11-19"
    assert text(body).splitlines()[1:3] == ["events: 10, the day before 1", "of: 3 users and 1 addresses"]


def test_the_words_in_the_manual_are_those_that_are_sent():
    body = {
        "since": "2026-11-20T00:00:00Z", "events": 18_204, "events_before": 17_911, "users": 1_022, "ips": 841,
        "findings": {"credential-stuffing": 12, "impossible-travel": 1}, "decisions": {"block": 12},
        "in_force": {"block": 3}, "undelivered": 0, "period": "daily",
    }  # fmt: skip
    said = text(compose(Delivery(1, "shop", "k", "digest", "security", body, None, NOON)))
    assert f"```\n{said}\n```" in (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()


def test_its_channel_must_be_there(tmp_path):
    given = {"digest": "daily", "digest_channel": "boss"}
    with pytest.raises(SentinelError, match="`digest_channel`: there is no channel `boss`"):
        open_server(some_settings(tmp_path, **given))
    open_server(some_settings(tmp_path, **given, channels={"boss": {"kind": "log"}})).store.close()


def test_a_receiver_gets_it_signed_and_once(tmp_path, monkeypatch):
    clock = [NOON]
    monkeypatch.setattr(composition, "now", lambda: clock[0])
    secret = webhook_secret()
    with Receiver(says(status(200))) as receiver:
        channels = {"boss": {"kind": "webhook", "url": receiver.url, "secret": secret}}
        more = {"channels": channels, "allow_private_webhooks": True, "digest": "daily", "digest_channel": "boss"}
        with run_whole(tmp_path, **more) as whole:
            whole.fail("203.0.113.9")
            clock[0] = MIDNIGHT + SETTLE
            wait_for(lambda: whole.server.holder.mine())
            for _ in range(2):
                whole.server.jobs.soon("digest")
                wait_for(lambda: receiver.requests)
            wait_for(lambda: [one.done for one in whole.server.store.outbox.list("one").items if one.done])
    (request,) = receiver.requests
    found = request.json()
    assert found["type"] == "digest" and found["data"]["app"] == "one"
    assert found["data"]["events"] == 3 and found["data"]["findings"]["three-failures"] == 1
    head, sent = request.headers, datetime.fromtimestamp(MIDNIGHT // SECOND + 900, UTC)
    signed = Webhook(secret).sign(head["webhook-id"], sent, request.body.decode())
    assert head["webhook-signature"] == signed
