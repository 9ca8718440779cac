"""Messages: what programs are sent, and the same in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.actions.message import ROWS, compose, line, marked, subject, text
from tests.actions.telling import FINDING, bundle, delivery

URL = "https://sentinel.example/findings/1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)


def body(**fields: Any) -> dict[str, Any]:
    return compose(delivery(body=fields), URL)


def test_a_program_is_sent_the_finding_its_app_and_its_page() -> None:
    assert body() == {
        "type": "finding.opened",
        "timestamp": "2026-01-05T00:00:00Z",
        "data": {"app": "shop", **FINDING, "url": URL},
    }


def test_a_guard_that_holds_and_anything_else_are_told_apart_by_type() -> None:
    assert body(guard=True)["type"] == "guard.tripped"
    assert "guard" not in body(guard=True)["data"]
    assert compose(delivery(finding=None))["type"] == "message"


def test_a_finding_in_one_line() -> None:
    assert line(body()) == "[high] shop: One address tries many accounts – ip 203.0.113.9"


def test_a_finding_in_words() -> None:
    assert text(body()).splitlines() == [
        "[high] shop: One address tries many accounts – ip 203.0.113.9",
        "playbook: credential-stuffing",
        "time: 2026-01-05T00:00:45Z",
        "who: ip 203.0.113.9",
        "tally: distinct.user >= 10 (needs >= 10)",
        "done: blocked 203.0.113.9 for 15m",
        f"finding: {'f' * 32}",
        URL,
    ]


def test_a_finding_in_markdown() -> None:
    assert marked(body()).splitlines()[0] == r"**\[high\] shop\: One address tries many accounts – ip 203\.0\.113\.9**"
    assert marked(body()).splitlines()[-1] == f"<{URL}>"
    assert r"- done: blocked 203\.0\.113\.9 for 15m" in marked(body()).splitlines()


@pytest.mark.parametrize(
    ("effect", "row"),
    [
        ({"kind": "block_user", "target": "id:42", "for_s": None}, "done: blocked id:42 for ever"),
        ({"kind": "block_ip", "target": "2001:db8::/64", "for_s": 3600}, "done: blocked 2001:db8::/64 for 1h"),
        ({"kind": "redirect_user", "target": "id:42", "for_s": 60.5}, "done: redirected id:42 for 1m0.5s"),
        ({"kind": "challenge_user", "target": "id:42", "held": "monitor"}, "not done: challenged id:42: monitor"),
        ({"kind": "label_ip", "target": "198.51.100.1", "label": "scanner"}, "done: labelled 198.51.100.1 as scanner"),
        ({"kind": "emit", "event": "account.guessed"}, "done: emitted account[.]guessed"),
        ({"kind": "launch", "target": "x"}, "done: launch x"),
    ],
)
def test_what_was_done_is_said_and_what_was_not_with_the_reason(effect: dict[str, Any], row: str) -> None:
    assert row in text(body(effects=[effect])).splitlines()


def test_telling_is_not_told() -> None:
    assert "notify" not in text(body()).lower()


def test_a_guard_that_holds_says_so() -> None:
    shown = text(body(guard=True))
    assert "held back by its guard" in shown.splitlines()[0]
    assert "it only monitors now" in shown


def test_a_finding_of_the_past_says_so() -> None:
    assert "note: of past events: nobody is acted on" in text(body(historical=True)).splitlines()


def test_an_approximate_tally_says_so() -> None:
    assert "tally: sum.amount about 12.5 (needs > 12)" in text(
        body(tally={"sum.amount": 12.5}, threshold={"sum.amount": "> 12"}, approximate=True)
    )


def test_a_finding_of_the_whole_app_has_no_group() -> None:
    assert line(body(group={})) == "[high] shop: One address tries many accounts"
    assert "who: the whole app" in text(body(group={})).splitlines()


def test_an_attacker_s_text_stays_text_in_every_form() -> None:
    evil = "x\n\x1b[2J\u202e@everyone [click](http://evil.example/) <!channel> `*bold*`"
    shown = body(group={"properties.code": evil}, user=evil, effects=[{"kind": "block_user", "target": evil}])
    for form in (line(shown), text(shown), marked(shown)):
        assert not [c for c in form if not c.isprintable() and c != "\n"]
        assert evil not in form
    for form in (text(shown), marked(shown)):
        assert "@everyone" not in form
        assert form.count("://") == 1, "our own page's"
    assert "[click](" not in marked(shown)
    assert len(text(shown).splitlines()) == len(text(body()).splitlines())


def test_many_effects_are_counted_rather_than_listed() -> None:
    effects = [{"kind": "block_user", "target": f"id:{n}", "for_s": 60} for n in range(500)]
    lines = text(body(effects=effects)).splitlines()
    assert "and: 490 more" in lines
    assert len(lines) < ROWS


def bundled(*found: dict[str, Any]) -> dict[str, Any]:
    return compose(bundle(*found), URL)


def test_many_findings_in_words() -> None:
    found = [{"id": f"{n:032}", "group": {"ip": f"203.0.113.{n}"}, "ip": f"203.0.113.{n}"} for n in range(100)]
    other = {"playbook": "scraping", "severity": "medium", "acted": False, "group": {}, "user": None, "ip": None}
    shown = bundled(*found, other | {"at": "2026-01-05T00:09:00Z"})
    assert text(shown).splitlines() == [
        "[high] shop: 101 more findings – credential-stuffing, scraping",
        "time: 2026-01-05T00:00:45Z to 2026-01-05T00:09:00Z",
        "acted: 100 of 101",
        "credential-stuffing: 100, 100 of them acted",
        "first: ip 203.0.113.0; ip 203.0.113.1; ip 203.0.113.2",
        "often: user id:42 >= 99",
        "scraping: 1, 0 of them acted",
        "first: the whole app",
        URL,
    ]
    assert subject(shown) == "[high] shop: 101 more findings"
    assert subject(bundled({})) == "[high] shop: 1 more finding"


def test_a_program_is_sent_the_sum_of_many_findings() -> None:
    shown = bundled({}, {"id": "e" * 32, "severity": "critical"})
    assert shown["type"] == "findings.bundled"
    named = [{"id": letter * 32, "at": FINDING["at"], "group": FINDING["group"]} for letter in "ef"]
    times = {"since": FINDING["at"], "until": FINDING["at"]}
    assert shown["data"] == {
        "app": "shop", "severity": "critical", "findings": 2, "acted": 2, **times, "url": URL,
        "playbooks": [
            {
                "playbook": "credential-stuffing", "title": FINDING["title"], "severity": "critical", "findings": 2,
                "acted": 2, **times, "first": named,
                "busiest": [
                    {"field": "ip", "value": "203.0.113.9", "findings": 2},
                    {"field": "user", "value": "id:42", "findings": 2},
                ],
            }
        ],
    }  # fmt: skip


def test_many_playbooks_are_counted_rather_than_listed() -> None:
    lines = text(bundled(*({"playbook": f"p{n:02}"} for n in range(50)))).splitlines()
    assert "and: 40 more playbooks" in lines
    assert len(lines) <= ROWS + 2


def test_another_message_is_shown_as_names_and_values() -> None:
    shown = compose(delivery(finding=None), None)
    assert text(shown).splitlines()[0] == "message"
    assert "playbook: credential-stuffing" in text(shown).splitlines()


@given(
    st.dictionaries(st.sampled_from([*FINDING, "guard", "x", "playbooks", "findings"]), JSON, max_size=8),
    st.sampled_from(["f", None]),
    st.sampled_from(["notify", "bundle"]),
)
def test_no_body_is_too_strange_to_be_told(fields: dict[str, Any], finding: str | None, kind: str) -> None:
    told = compose(delivery(body=fields, finding=finding, kind=kind))
    json.dumps(told)
    for form in (line(told), text(told), marked(told)):
        assert len(form) < 100_000
        assert form.replace("\n", "").isprintable()
    assert "\n" not in line(told)
