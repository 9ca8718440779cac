"""What other services are told: no more than each takes, as urgently as it is, and in a form that it shows as it is."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.actions import notify
from sentinel.actions.channel import Channel
from sentinel.actions.message import compose, marked, subject, text
from sentinel.actions.text import size
from tests.actions.receiver import Receiver
from tests.actions.telling import bundle, delivery

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

URL = "https://sentinel.example/findings/1"
EVIL = "@everyone <!channel> *bold* _x_ `c` <b>h</b> \u202e\u200b\r\nBcc: x \N{SNAKE}żółć " * 9
LONG = compose(
    delivery(
        body={
            "group": {f"field{n}": EVIL for n in range(10)},
            "effects": [{"kind": "block_user", "target": EVIL, "for_s": 60} for _ in range(10)],
        }
    ),
    URL,
)
PAGER = "pagerduty://ABCDEFABCDEF1234@APIKEY0123456789"
DUTY = "opsgenie://12345678-1234-1234-1234-123456789012"
ON_CALL = "splunk://routing@12345678-1234-1234-1234-123456789012"
DESK = "jira://12345678-1234-1234-1234-123456789012"


class Posts(list[dict[str, Any]]):
    """What the library would post, as the service would read it."""

    def post(self, url: str, **options: Any) -> Any:
        raw = options.get("data") or options.get("json")
        self.append(raw if isinstance(raw, dict) else json.loads(raw))
        return Taken()


class Taken:
    status_code, content, text, headers = 200, b'{"requestId":"1"}', "ok", {}


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Posts]:
    import requests

    posts = Posts()
    monkeypatch.setattr(requests, "post", posts.post)
    monkeypatch.setattr(requests, "request", lambda method, url, **options: posts.post(url, **options))
    monkeypatch.setattr(requests.Session, "request", lambda self, method, url, **options: posts.post(url, **options))
    yield posts


def tell(url: str, **fields: Any) -> bool:
    return notify._notify(url, "msg_1", compose(delivery(body=fields), URL))


# How much


@pytest.mark.parametrize(
    ("url", "most", "where"),
    [
        ("discord://1234567890/abcdefghijklmnop", 2000, lambda post: post["content"]),
        (PAGER, 1024, lambda post: post["payload"]["summary"]),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", 4096, lambda post: post["text"]),
        (f"twilio://AC{'a' * 32}:{'b' * 32}@12345678901/12345678902", 160, lambda post: post["Body"]),
        (ON_CALL, 400, lambda post: post["state_message"]),
    ],
    ids=["discord", "pagerduty", "telegram", "sms", "splunk"],
)
def test_no_service_is_told_more_than_it_takes_so_that_long_names_silence_nobody(posts, url, most, where) -> None:
    assert notify._notify(url, "msg_1", LONG)
    told = where(posts[0])
    assert size(told) <= most
    assert told.replace("\\", "").endswith(URL) or told.endswith(f"<{URL}>")
    assert "[high] shop: One address" in told.replace("\\", "")


@given(st.integers(0, 3000), st.text(max_size=300), st.text(max_size=300))
def test_a_message_is_as_long_as_it_may_be_and_keeps_its_link(most: int, title: str, who: str) -> None:
    told = compose(delivery(body={"title": title, "group": {"user": who}}), URL)
    for form in (text(told, most=most), marked(told, most)):
        assert size(form) <= max(most, len("**…**"))
        assert URL in form or most < 2 * len(URL) + 10
    assert size(subject(told, most)) <= max(most, 1)


@given(st.integers(0, 500), st.text("*_[]()<>`\\", max_size=60))
def test_what_is_cut_is_never_cut_between_a_sign_and_what_escapes_it(most: int, title: str) -> None:
    line = marked(compose(delivery(body={"title": title, "group": {}})), most).splitlines()[0]
    inside = line.removeprefix("**").removesuffix("**").replace("\\\\", "")
    for sign in "*_[]()<>`":
        assert inside.count(sign) == inside.count(f"\\{sign}")
    assert not inside.endswith("\\")


def test_of_a_message_that_fits_nothing_is_left_out() -> None:
    told = compose(delivery(), URL)
    assert text(told, most=len(text(told))) == text(told)
    assert text(told, most=len(text(told)) - 1).splitlines()[-2:] == ["done: blocked 203.0.113.9 for 15m", URL]


# How urgently


@pytest.mark.parametrize(
    ("severity", "told"),
    [("info", "info"), ("low", "info"), ("medium", "warning"), ("high", "critical"), ("critical", "critical")],
)
def test_a_pager_goes_by_the_severity_of_the_finding(posts, severity: str, told: str) -> None:
    assert tell(PAGER, severity=severity)
    assert posts[0]["payload"]["severity"] == told


@pytest.mark.parametrize("url", [DUTY, DESK], ids=["opsgenie", "jira"])
def test_a_desk_on_duty_opens_an_alert_from_medium_on_and_below_where_its_url_says_so(posts, url: str) -> None:
    assert tell(url, severity="medium")
    assert posts[0]["message"] == "[medium] shop: One address tries many accounts"
    assert tell(url, severity="low")
    assert len(posts) == 1, "a note, and there is no alert to add it to"
    assert tell(f"{url}?:info=new", severity="low")
    assert len(posts) == 2


@pytest.mark.parametrize(("severity", "told"), [("low", "info"), ("medium", "warning"), ("critical", "critical")])
def test_a_pager_goes_by_the_worst_of_many_findings(posts, severity: str, told: str) -> None:
    shown = compose(bundle({"severity": "info"}, {"severity": severity}), URL)
    assert notify._notify(PAGER, "msg_1", shown)
    assert posts[0]["payload"]["severity"] == told
    assert "2 more findings" in posts[0]["payload"]["summary"]


def test_a_guard_that_holds_is_never_less_than_a_warning_and_a_digest_never_more_than_news() -> None:
    assert notify.urgency(compose(delivery(body={"guard": True, "severity": "info"}))) == "warning"
    assert notify.urgency(compose(delivery(kind="digest", finding=None, body={"severity": "high"}))) == "info"
    assert notify.urgency(compose(delivery(body={"severity": []}))) == "warning"


@pytest.mark.parametrize(
    ("url", "name", "own"),
    [
        (PAGER, "dedup_key", "dedup"), (DUTY, "alias", "alias"), (DESK, "alias", "alias"),
        (ON_CALL, "entity_id", "entity_id"), ("squadcast://abcdef0123456789", "event_id", "dedup"),
        ("goalerts://goalert.example/12345678-1234-1234-1234-123456789012", "dedup", "dedup"),
        ("ilert://il1api0123", "alertKey", "dedup"),
        ("incidentio://01ABC/0123456789abcdef", "deduplication_key", "dedup"),
        ("firehydrant://0123456789abcdef", "idempotency_key", "dedup"),
        ("signl4://0123456789abcdef", "X-S4-ExternalID", "dedup"), ("pagertree://int_0123456789", "id", "dedup"),
    ],
    ids=[
        "pagerduty", "opsgenie", "jira", "splunk", "squadcast", "goalert", "ilert", "incidentio", "firehydrant",
        "signl4", "pagertree",
    ],
)  # fmt: skip
def test_a_pager_knows_a_message_that_comes_again(posts, url: str, name: str, own: str) -> None:
    assert tell(url)
    assert posts[0][name] == "msg_1"
    assert tell(f"{url}?{own}=theirs")
    assert posts[1][name] == "theirs"


# In which form


@pytest.mark.parametrize(
    "url",
    [
        "slack://TOKENAAAA/TOKENBBBB/TOKENCCCCCCCCCCCCCCCCCCCC",
        "https://hooks.slack.com/services/TAAAAAAAA/BAAAAAAAA/AAAAAAAAAAAAAAAAAAAAAAAA",
    ],
    ids=["short", "native"],
)
def test_slack_which_knows_no_backslash_is_shown_none(posts, url: str) -> None:
    tell(url, group={"user": "a*b_c <!channel> & x"})
    (told,) = posts[0]["attachments"]
    assert posts[0]["mrkdwn"] is False
    assert "who: user a*b_c &lt;!channel&gt; &amp; x" in told["text"].splitlines()
    assert "\\" not in told["text"]


def smtp(mails: list[bytes]) -> Any:
    """Return a mail server that keeps what it is given."""

    def answer(receiver: Receiver, connection: socket.socket) -> None:
        file = connection.makefile("rb")
        connection.sendall(b"220 mail.example\r\n")
        while line := file.readline():
            verb = line[:4].upper()
            connection.sendall({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                mails.append(b"".join(iter(file.readline, b".\r\n")))
                connection.sendall(b"250 ok\r\n")
            elif verb == b"QUIT":
                return

    return answer


@pytest.mark.parametrize(
    ("title", "begins"),
    [
        ("One address tries many accounts", "[high] shop: One address tries many accounts"),
        ("\N{SNAKE}" * 500, "[high] shop: " + "\N{SNAKE}" * 20),
        ("x\r\nBcc: everybody@example.com", "[high] shop: x\\r\\nBcc: everybody[@]example[.]com"),
    ],
    ids=["plain", "long", "hostile"],
)
def test_a_mail_has_the_finding_for_its_subject_and_no_line_too_long_for_mail(title: str, begins: str) -> None:
    mails: list[bytes] = []
    told = compose(delivery(body={**LONG["data"], "title": title}), URL)
    with Receiver(smtp(mails)) as receiver:
        url = f"mailto://127.0.0.1:{receiver.port}?from=s@example.com&to=a@example.com&mode=insecure"
        notify.send(Channel("mail", "apprise", url), "msg_1", told)
    (raw,) = mails
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Subject"].startswith(begins)
    assert mail["Bcc"] is None
    plain, html = (part.get_content() for part in mail.iter_parts())
    assert "@everyone" not in plain and URL in plain
    assert "<b>" not in html and f'<a href="{URL}">' in html
