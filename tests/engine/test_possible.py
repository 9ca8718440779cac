"""Comparisons with what a field or a function never is: refused in files, with what to write instead; never others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.event import read
from sentinel.engine import calls, possible
from sentinel.engine.expression import ExpressionError, compile_expression
from sentinel.enrich import network


def refused(source: str) -> list[tuple[str, str, str | None]]:
    """Return (the text pointed at, message, hint) of every problem."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, strict=True)
    return [
        (source[problem.offset : problem.offset + problem.length], problem.message, problem.hint)
        for problem in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("source", "at", "what", "hint"),
    [
        ('ip == "198.51.100.0/24"', '"198.51.100.0/24"', "`ip` is one address", 'write `cidr(ip, "198.51.100.0/24")`'),
        ('ip not in ["::1", "office"]', '"office"', "`ip` is one address", 'such as "203.0.113.9"'),
        ('"2001:DB8:0::1" != ip', '"2001:DB8:0::1"', "`ip` is written in one way", 'write "2001:db8::1"'),
        ('ip == "::ffff:203.0.113.9"', '"::ffff:203.0.113.9"', "`ip` is written in one way", 'write "203.0.113.9"'),
        ('user.email == "Jo@x.com"', '"Jo@x.com"', "`user.email` is in lower case", 'write "jo@x.com"'),
        ('geo.country == "de"', '"de"', "`geo.country` is two capital letters", 'write "DE"'),
        ('geo.country in ["FR", "Spain"]', '"Spain"', "`geo.country` is two capital letters", 'such as "DE"'),
        (
            'trust == "servers"', '"servers"', "`trust` is one of `server`, `browser`, `playbook`",
            "did you mean `server`?",
        ),
        ('lower(user) == "id:A"', '"id:A"', "`lower(user)` is in lower case", 'write "id:a"'),
        ('"a" == upper(user)', '"a"', "`upper(user)` is in upper case", 'write "A"'),
        (
            'domain(user.email) in ["@x.com"]', '"@x.com"', "`domain(user.email)` is a host in lower case",
            'write "x.com"',
        ),
        ('contains(["DE", "fr"], geo.country)', '"fr"', "`geo.country` is two capital letters", 'write "FR"'),
        ("hour(timestamp) == 24", "24", "`hour(timestamp)` is a number from 0 to 23", None),
        ("hour(timestamp) > 23", "23", "`hour(timestamp)` is a number from 0 to 23", None),
        ("0 > hour(timestamp)", "0", "`hour(timestamp)` is a number from 0 to 23", None),
        (
            "weekday(timestamp) in [6, 7]", "7", "`weekday(timestamp)` is a number from 0 to 6",
            "0 is Monday, 6 is Sunday",
        ),
        ("len(user) < 0", "0", "`len(user)` is never below 0", None),
        ('"10.0.0.0/8" in ip', '"10.0.0.0/8"', "`ip` is no network", 'write `cidr(ip, "10.0.0.0/8")`'),
        ('contains(ip, "10.0.0.0/8")', '"10.0.0.0/8"', "`ip` is no network", 'write `cidr(ip, "10.0.0.0/8")`'),
    ],
)  # fmt: skip
def test_what_a_side_never_is_is_refused_with_what_to_write(source: str, at: str, what: str, hint: str | None) -> None:
    assert refused(source) == [(at, f"this can never hold: {what}", hint)]
    compile_expression(source)  # a search may ask for it


@pytest.mark.parametrize(
    ("source", "at", "hint"),
    [
        ('ip in "10.0.0.0/8"', '"10.0.0.0/8"', 'write `cidr(ip, "10.0.0.0/8")`'),
        ('ip not in "10.0.0.0/8, ::1/128"', '"10.0.0.0/8, ::1/128"', 'write `cidr(ip, ["10.0.0.0/8", …])`'),
        ('contains("10.0.0.0/8", ip)', '"10.0.0.0/8"', 'write `cidr(ip, "10.0.0.0/8")`'),
        ('ip in "203.0.113.9"', '"203.0.113.9"', 'write `ip in ["203.0.113.9"]`'),
        ('ip in "203.0.113.9 ::1"', '"203.0.113.9 ::1"', 'write `ip in ["203.0.113.9", …]`'),
        ('ip.network in "203.0.113.0/24"', '"203.0.113.0/24"', 'write `ip.network in ["203.0.113.0/24"]`'),
        ('ip in " "', '" "', None),
    ],
)
def test_an_address_is_no_part_of_a_text(source: str, at: str, hint: str | None) -> None:
    """Letters were compared there: `3.0.113.9` is a part of `203.0.113.9`, and no address one of `10.0.0.0/8`."""
    field = "ip.network" if "ip.network" in source else "ip"
    assert refused(source) == [(at, f"this asks whether `{field}` is a part of a text", hint)]
    compile_expression(source)  # a search may ask for it


def test_a_comparison_of_what_is_written_out_asks_nothing_of_the_event() -> None:
    message = "this compares nothing of the event"
    assert refused('"event" == "auth"') == [('"event"', message, "a field has no quotes: `event`")]
    assert refused("success and 1 > 2") == [("1", message, None)]


@pytest.mark.parametrize(
    "source",
    [
        'ip == "203.0.113.9" or ip in ["2001:db8::1", "::1"]', 'user.email == "jo@x.com"', 'startswith(ip, "203.")',
        'geo.country not in ["DE", "FR"]', "hour(timestamp) < 6 or 22 <= hour(timestamp)", "weekday(timestamp) >= 5",
        'network.kind in ["vpn", "tor"]', 'upper(geo.country) == "DE"', 'domain(request.referer) != "shop.example"',
        'ip in properties.text or "203." in ip or contains(ip, "::")',
        "0 < len(user) < 3", 'properties.ip == "198.51.100.0/24"', "hour(properties.at) != 0", 'trust == "browser"',
    ],
)  # fmt: skip
def test_what_can_be_is_not_refused(source: str) -> None:
    assert compile_expression(source, strict=True).source == source


@given(st.text(max_size=20) | st.sampled_from(["user@[a:b]", "[::1]:80", "A.b.:80", "İ", "ΑΣ", "ŉ"]))
def test_no_result_of_a_function_is_refused(text: str) -> None:
    for name, call in (("lower", calls.lower), ("upper", calls.upper), ("domain", calls.domain)):
        found = call(text)
        assert found is None or possible.OF_CALLS[name](found) is None


@given(st.ip_addresses().map(str), st.emails())
def test_nothing_that_an_event_holds_is_refused(ip: str, email: str) -> None:
    event = read({"id": "1", "event": "a", "timestamp": 0, "ip": ip, "user": {"email": email}})
    assert possible.OF_FIELDS["ip"](event.ip or "") is None
    assert possible.OF_FIELDS["user.email"](event.identifiers["email"]) is None


def test_the_kinds_of_networks_are_those_that_enrichment_knows() -> None:
    assert set(possible.NETWORKS) == {*network._LOCAL, *network.KINDS, "reserved", "public"}
