"""One try at one delivery: signed webhooks to real receivers, log lines, other services, and when to try again."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from sentinel.actions import notify
from sentinel.actions import webhook as webhooks
from sentinel.actions.channel import KINDS, Channel, channels
from sentinel.actions.deliver import SENDERS, Channels, message_id
from sentinel.actions.fetch import Fetcher
from sentinel.actions.message import compose
from sentinel.actions.outcome import LONGEST, TRIES, DeliveryError, backoff
from sentinel.actions.target import Reach
from sentinel.core import ecs, moment, ocsf
from sentinel.core.duration import HOUR, SECOND
from sentinel.core.errors import InputError
from sentinel.core.finding import guarded
from tests.actions.receiver import Receiver, status
from tests.actions.telling import OTHER_SECRET, SECRET, bundle, delivery, webhook

# The library imports a module that Python means to remove.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


NEARLY = 59.8  # seconds: of a minute's patience little is left, by a clock that a receiver turns


def present() -> int:
    """Return the real moment: the verifier compares with it."""
    return moment.from_datetime(datetime.now(UTC))


def desk(
    channel: Channel | None = None, now: int | None = None, timeout: float = 60,
    clock: Callable[[], float] = time.monotonic, **options: object,
) -> Channels:  # fmt: skip
    known = channels() | ({channel.name: channel} if channel else {})
    fetcher = Fetcher(Reach(["127.0.0.1/32"]), timeout=timeout, clock=clock)
    return Channels(known, fetcher, lambda: present() if now is None else now, **options)  # type: ignore[arg-type]


def test_every_kind_of_channel_has_its_sender() -> None:
    assert set(SENDERS) == set(KINDS)


# Webhooks


def test_a_webhook_is_verified_by_the_standard_s_own_verifier() -> None:
    with Receiver(status(204)) as receiver:
        desk(webhook(receiver.url), page=lambda app, finding: f"https://s.example/{app}/{finding}").deliver(delivery())
    (request,) = receiver.requests
    found = Webhook(SECRET).verify(request.body, request.headers)
    assert found == compose(delivery(), f"https://s.example/shop/{'f' * 32}")
    assert (request.line, request.headers["content-type"]) == ("POST /hook HTTP/1.1", "application/json")
    assert request.headers["webhook-id"] == message_id(delivery())


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_a_webhook_that_somebody_changed_is_not_verified(part: str) -> None:
    with Receiver(status(204)) as receiver:
        desk(webhook(receiver.url)).deliver(delivery())
    (request,) = receiver.requests
    body = request.body.replace(b"203.0.113.9", b"203.0.113.8") if part == "body" else request.body
    headers = dict(request.headers)
    if part in headers:
        headers[part] = "msg_other" if part == "webhook-id" else str(int(headers[part]) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET if part == "secret" else SECRET).verify(body, headers)


@pytest.mark.parametrize(("format", "form"), [("ocsf", ocsf.detection), ("ecs", ecs.alert)])
@pytest.mark.parametrize("guard", [False, True])
def test_a_webhook_may_ask_for_findings_in_the_form_of_a_schema(format, form, guard) -> None:
    setting = {"kind": "webhook", "secret": SECRET, "format": format}
    with Receiver(status(204)) as receiver:
        channel = channels({"security": {**setting, "url": receiver.url}})["security"]
        desk(channel).deliver(delivery(body={"guard": True} if guard else {}))
    (request,) = receiver.requests
    found = Webhook(SECRET).verify(request.body, request.headers)
    told = compose(delivery())["data"]
    assert found == form(guarded(told) if guard else told)


def test_what_is_no_finding_is_told_as_it_is_whatever_form_a_webhook_asks_for() -> None:
    body = {"type": "message", "data": {"a": 1}}
    assert webhooks._formed("ocsf", body) is body


def test_a_form_that_is_not_known_is_refused() -> None:
    setting = {"kind": "webhook", "url": "https://a.example/", "secret": SECRET, "format": "xml"}
    with pytest.raises(InputError, match="`format`: `xml` is not known"):
        channels({"security": setting})


def test_a_webhook_with_two_secrets_is_verified_by_either() -> None:
    with Receiver(status(204)) as receiver:
        desk(webhook(receiver.url, SECRET, OTHER_SECRET)).deliver(delivery())
    (request,) = receiver.requests
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(request.body, request.headers)


def test_every_try_has_the_same_id_and_body_and_its_own_time() -> None:
    with Receiver(status(204)) as receiver:
        for now, attempts in ((SECOND, 0), (61 * SECOND, 1)):
            desk(webhook(receiver.url), now).deliver(delivery(attempts=attempts))
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("1", "61")


def test_every_message_has_an_id_of_its_own() -> None:
    ids = {
        message_id(delivery(app=app, key=key)) for app, key in (("a", "b:c"), ("a:b", "c"), ("a", "b:d"), ("b", "b:c"))
    }
    assert len(ids) == 4


def test_no_secret_is_sent_or_told() -> None:
    with Receiver(status(500)) as receiver, pytest.raises(DeliveryError) as caught:
        desk(webhook(f"{receiver.url}/hunter2")).deliver(delivery())
    (request,) = receiver.requests
    sent = request.body + json.dumps(request.headers).encode()
    assert SECRET.encode() not in sent
    assert SECRET.removeprefix("whsec_").encode() not in sent
    assert "hunter2" not in str(caught.value)


def test_attackers_text_travels_as_ascii_json() -> None:
    evil = "\u202e\x1b]0;x\x07\u2028</script>"
    with Receiver(status(204)) as receiver:
        desk(webhook(receiver.url)).deliver(delivery(body={"user": evil}))
    (request,) = receiver.requests
    assert request.body.isascii()
    assert b"\x1b" not in request.body
    assert request.json()["data"]["user"] == evil


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery_whatever_else_it_says(code: int) -> None:
    with Receiver(status(code, "Set-Cookie: a=b\r\n", b"<html>garbage" if code != 204 else b"")) as receiver:
        desk(webhook(receiver.url)).deliver(delivery())
        assert receiver.connections == 1


@pytest.mark.parametrize("code", [199, 400, 401, 404, 408, 429, 500, 503])
def test_any_other_answer_is_tried_again(code: int) -> None:
    raw = status(code) if code >= 200 else b"HTTP/1.1 199 Odd\r\n\r\n"
    with Receiver(raw) as receiver, pytest.raises(DeliveryError) as caught:
        desk(webhook(receiver.url)).deliver(delivery())
    assert not caught.value.final


def test_gone_is_final() -> None:
    with Receiver(status(410)) as receiver, pytest.raises(DeliveryError, match="wants no more") as caught:
        desk(webhook(receiver.url)).deliver(delivery())
    assert caught.value.final


def test_a_redirect_is_not_followed_and_says_what_to_set() -> None:
    with Receiver(status(200)) as inside, Receiver(status(307, f"Location: {inside.url}\r\n")) as outside:
        with pytest.raises(DeliveryError, match="answered 307 \\(redirects are not followed") as caught:
            desk(webhook(outside.url)).deliver(delivery())
        assert inside.connections == 0
    assert not caught.value.final


def test_a_hanging_receiver_is_given_up_and_tried_again() -> None:
    def hang(receiver: Receiver, connection: socket.socket) -> None:
        receiver.ended.wait()

    with Receiver(hang) as receiver, pytest.raises(DeliveryError, match="did not answer within") as caught:
        desk(webhook(receiver.url), timeout=0.1).deliver(delivery())
    assert not caught.value.final


def test_a_receiver_that_answers_endlessly_has_taken_it() -> None:
    def pour(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not receiver.ended.is_set():
            connection.sendall(b"x" * 65536)

    with Receiver(pour) as receiver:
        desk(webhook(receiver.url)).deliver(delivery())
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("began", "hangs"),
    [
        (b"Content-Length: 9\r\n\r\nok", True),
        (b"Content-Length: 9\r\n\r\n", False),
        (b"Content-Length: 9\r\n\r\nok", False),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", False),
    ],
    ids=["half-and-hangs", "nothing", "half", "garbage"],
)
def test_a_receiver_that_has_said_2xx_has_taken_it_whatever_becomes_of_the_rest(began: bytes, hangs: bool) -> None:
    """It was tried again and again, and given up: the receiver had it twelve times over."""
    now = [0.0]

    def begin(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        now[0] = NEARLY
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + began)
        if hangs:
            receiver.ended.wait()

    with Receiver(begin) as receiver:
        desk(webhook(receiver.url), clock=lambda: now[0]).deliver(delivery())
    assert len(receiver.requests) == 1


def test_a_receiver_that_has_said_no_is_tried_again_whatever_becomes_of_the_rest() -> None:
    now = [0.0]

    def begin(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read(connection)
        now[0] = NEARLY
        connection.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 9\r\n\r\n")
        receiver.ended.wait()

    with Receiver(begin) as receiver, pytest.raises(DeliveryError, match="answered 503") as caught:
        desk(webhook(receiver.url), clock=lambda: now[0]).deliver(delivery())
    assert caught.value.after == 60 * SECOND


def test_garbage_is_tried_again() -> None:
    with (
        Receiver(b"SSH-2.0-x\r\n") as receiver,
        pytest.raises(DeliveryError, match="does not answer in HTTP") as caught,
    ):
        desk(webhook(receiver.url)).deliver(delivery())
    assert not caught.value.final


def test_a_receiver_inside_is_refused_for_good_unless_allowed() -> None:
    with Receiver(status(204)) as receiver:
        closed = Channels({"security": webhook(receiver.url)}, Fetcher(), present)
        with pytest.raises(DeliveryError, match="is refused") as caught:
            closed.deliver(delivery())
        assert receiver.connections == 0
    assert caught.value.final


def test_a_body_that_is_no_json_is_refused_for_good() -> None:
    with pytest.raises(DeliveryError, match="no JSON") as caught:
        desk(webhook("http://127.0.0.1:9/")).deliver(delivery(body={"tally": {"x": float("nan")}}))
    assert caught.value.final


@pytest.mark.parametrize(
    ("asked", "after"),
    [
        ("30", 30 * SECOND), ("0", 0), ("999999999999999999", LONGEST), ("-5", 0), ("soon", 0), ("", 0), ("1.5", 0),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50 * SECOND), ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST), ("Thu, 99 Foo 1970 00:01:00 GMT", 0), ("²", 0),
    ],
)  # fmt: skip
def test_how_long_a_receiver_asks_to_wait_is_passed_on_within_bounds(asked: str, after: int) -> None:
    raw = status(503, f"Retry-After: {asked}\r\n")
    with Receiver(raw) as receiver, pytest.raises(DeliveryError) as caught:
        desk(webhook(receiver.url), now=10 * SECOND).deliver(delivery())
    assert caught.value.after == after


# Log


def test_a_finding_is_one_line_of_the_log_at_its_severity() -> None:
    with structlog.testing.capture_logs() as lines:
        desk().deliver(delivery(channel="log"))
    assert lines == [
        {
            "event": "[high] shop: One address tries many accounts – ip 203.0.113.9", "log_level": "error",
            "channel": "log", "app": "shop", "id": "f" * 32, "playbook": "credential-stuffing", "severity": "high",
            "mode": "enforce", "user": "id:42", "ip": "203.0.113.9", "acted": True,
        }
    ]  # fmt: skip


def test_many_findings_are_one_line_of_the_log_with_where_they_are_listed() -> None:
    with structlog.testing.capture_logs() as lines:
        where = lambda app, bundle: f"https://s.example/{app}?bundle={bundle}"  # noqa: E731
        desk(bundled=where).deliver(bundle({}, {"playbook": "scraping"}, channel="log"))
    assert [(one["event"], one["log_level"], one["url"]) for one in lines] == [
        (
            "[high] shop: 2 more findings – credential-stuffing, scraping", "error",
            "https://s.example/shop?bundle=7",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("info", "info"),
        ("low", "info"),
        ("medium", "warning"),
        ("critical", "critical"),
        ("?", "warning"),
        ([], "warning"),
    ],
)
def test_severities_have_levels(severity: object, level: str) -> None:
    with structlog.testing.capture_logs() as lines:
        desk().deliver(delivery(channel="log", body={"severity": severity}))
    assert lines[0]["log_level"] == level


def test_an_attacker_s_text_steers_no_log() -> None:
    evil = "x\n2026-01-05 [info] all is well\x1b[2K\u202e"
    with structlog.testing.capture_logs() as lines:
        desk().deliver(delivery(channel="log", body={"group": {"user": evil}, "user": evil, "ip": evil}))
    assert all(value.isprintable() for value in lines[0].values() if isinstance(value, str))


def test_without_a_channel_it_goes_to_security_which_is_a_log_unless_set_up() -> None:
    with structlog.testing.capture_logs() as lines:
        desk().deliver(delivery(channel=None))
    assert lines[0]["channel"] == "security"


def test_a_channel_that_is_gone_is_final() -> None:
    with pytest.raises(DeliveryError, match="there is no channel `old`") as caught:
        desk().deliver(delivery(channel="old"))
    assert caught.value.final


# Other services


@pytest.fixture
def mail() -> Channel:
    return channels({"security": {"kind": "apprise", "url": "json://localhost/hunter2"}})["security"]


def apprise_to(receiver: Receiver, form: str = "") -> Channel:
    return channels({"security": {"kind": "apprise", "url": f"json://127.0.0.1:{receiver.port}/{form}"}})["security"]


def test_a_service_is_told_in_words() -> None:
    with Receiver(status(200)) as receiver:
        desk(apprise_to(receiver)).deliver(delivery())
    told = receiver.requests[0].json()
    assert told["title"] == "Sentinel"
    assert "One address tries many accounts" in told["message"]
    assert "blocked 203.0.113.9 for 15m" in told["message"].replace("\\", "")


def test_a_service_that_refuses_is_tried_again() -> None:
    with Receiver(status(500)) as receiver, pytest.raises(DeliveryError, match="did not take the message") as caught:
        desk(apprise_to(receiver)).deliver(delivery())
    assert not caught.value.final


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("form", "followed"), [("", 0), ("?redirect=yes", 1)])
def test_a_service_leads_nowhere_else_unless_its_url_says_so(code: int, form: str, followed: int) -> None:
    with Receiver(status(200)) as inside:
        answer = b"HTTP/1.1 %d Elsewhere\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (code, inside.url.encode())
        with Receiver(answer) as receiver:
            try:
                desk(apprise_to(receiver, form)).deliver(delivery())
            except DeliveryError as error:
                assert not followed and not error.final
        assert (len(receiver.requests), inside.connections) == (1, followed)


def test_a_service_that_hangs_is_given_up(mail: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(notify, "_notify", lambda url, id, body: release.wait(60))
    with pytest.raises(DeliveryError, match=r"within 0\.05 s") as caught:
        notify.send(mail, "msg_1", compose(delivery()), timeout=0.05)
    release.set()
    assert not caught.value.final


@pytest.mark.parametrize("url", ["nonsense://hunter2", "discord://hunter2/", "json://"])
def test_a_url_that_apprise_does_not_understand_is_final_and_not_logged(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Channel("security", "apprise", url)
    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryError, match="does not understand") as caught:
        desk(channel).deliver(delivery())
    assert caught.value.final
    assert "hunter2" not in caplog.text + str(caught.value)


def test_a_good_url_passes_the_check_without_asking_anybody() -> None:
    notify.check(Channel("x", "apprise", "discord://1234567890/abcdefghijklmnop"))


@pytest.mark.parametrize(
    "service",
    ["discord://1234567890/abcdefghijklmnop?footer=yes", "slack://TOKENAAAA/TOKENBBBB/TOKENCCCCCCCCCCCCCCCCCCCC"],
)
def test_an_attacker_s_text_calls_nobody_in_a_chat(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library would post, looked at before it leaves."""
    posted = []

    class Answer:
        status_code, content, text, headers = 204, b"ok", "ok", {}

    def post(url: str, **options: object) -> Answer:
        posted.append(options.get("data") or json.dumps(options.get("json")))
        return Answer()

    import requests

    monkeypatch.setattr(requests, "post", post)
    monkeypatch.setattr(requests, "request", lambda method, url, **options: post(url, **options))
    monkeypatch.setattr(requests.Session, "request", lambda self, method, url, **options: post(url, **options))
    evil = "@everyone <!channel> <@U123> <@&99> @here [click](http://evil.example/) <http://evil.example|x>"
    notify._notify(service, "msg_1", compose(delivery(body={"group": {"user": evil}, "title": evil})))
    assert posted
    for raw in posted:
        text = raw if isinstance(raw, str) else bytes(raw).decode()
        for call in ("<!channel>", "<@U123>", "<@&99>", "allow_mentions", "👉", "](http:", "://evil"):
            assert call not in text


def test_without_apprise_everything_else_works_and_its_channels_say_what_to_install() -> None:
    code = """if True:
        import sys
        sys.modules["apprise"] = None
        from sentinel.actions import notify
        from sentinel.actions.channel import Channel
        from sentinel.actions.outcome import DeliveryError
        try:
            notify.send(Channel("x", "apprise", "json://a"), "msg_1", {"type": "message", "data": {}})
        except DeliveryError as error:
            print(error.final, error)
    """
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300, check=True
    )
    assert ran.stdout.strip() == "True apprise is not installed (pip install 'sentinel-playbooks[notify]')"


def test_telling_does_not_load_apprise_before_it_is_needed() -> None:
    code = "import sys, sentinel.actions.deliver; print('apprise' in sys.modules)"
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300, check=True
    )
    assert ran.stdout.strip() == "False"


# When to try again


def test_the_waits_grow_to_their_longest_and_end() -> None:
    waits = [backoff(tried, 0) for tried in range(1, TRIES + 1)]
    assert waits[:4] == [5 * SECOND, 20 * SECOND, 80 * SECOND, 320 * SECOND]
    assert waits[-1] is None
    assert waits[-2] == LONGEST
    assert 24 * HOUR < sum(wait for wait in waits if wait is not None) < 48 * HOUR


@given(st.integers(1, TRIES - 1), st.floats(0, 1, exclude_max=True))
def test_chance_takes_up_to_half_of_a_wait_away(tried: int, chance: float) -> None:
    whole, found = backoff(tried, 0), backoff(tried, chance)
    assert whole is not None and found is not None
    assert whole / 2 <= found <= whole


@given(st.integers(TRIES, 10**9))
def test_after_enough_tries_it_is_given_up(tried: int) -> None:
    assert backoff(tried, 0.5) is None


def test_the_desk_waits_by_its_own_chance() -> None:
    assert desk(chance=lambda: 0.5).wait(1) == backoff(1, 0.5)
