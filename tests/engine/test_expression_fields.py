"""The fields that can be named, how each is read, and what an expression tells of itself."""

from __future__ import annotations

import pytest

from sentinel.core.event import read
from sentinel.engine.expression import ExpressionError, Kind, compile_expression, compile_field, field_kind, parse_list
from sentinel.engine.fields import FIELDS
from tests.engine.expression_events import make

RAW = {
    "id": "e1",
    "event": "auth",
    "timestamp": "2026-01-05T00:00:01.5Z",
    "success": False,
    "user": {"id": 42, "email": "Jane@Example.com"},
    "ip": "203.0.113.9",
    "device": "d1",
    "trust": "server",
    "request": {
        "method": "POST",
        "path": "/login",
        "route": "/login",
        "host": "shop.example",
        "status": 401,
        "user_agent": "ua",
        "referer": "r",
        "params": {"next": {"to": "/"}},
    },
    "properties": {"mfa": True, "cart": {"total": 99.5}, "from": "here"},
    "geo": {
        "country": "FR",
        "city": "Paris",
        "lat": 48.85,
        "lon": 2.35,
        "accuracy": 20,
        "asn": 64500,
        "org": "Example",
    },
    "network": {"private": False, "kind": "hosting", "hosting": True, "anonymous": False},
    "agent": {"browser": "Firefox", "os": "Linux", "device": "desktop", "bot": False},
    "user_labels": ["vip"],
    "ip_labels": ["office"],
}
EXPECTED = {
    "event": "auth",
    "id": "e1",
    "timestamp": 1_767_571_201.5,
    "success": False,
    "trust": "server",
    "user": "id:42",
    "user.labels": ("vip",),
    "ip": "203.0.113.9",
    "ip.labels": ("office",),
    "ip.network": "203.0.113.0/24",
    "device": "d1",
    "request.method": "POST",
    "request.path": "/login",
    "request.route": "/login",
    "request.host": "shop.example",
    "request.status": 401,
    "request.user_agent": "ua",
    "request.referer": "r",
    "geo.country": "FR",
    "geo.city": "Paris",
    "geo.lat": 48.85,
    "geo.lon": 2.35,
    "geo.accuracy": 20,
    "geo.asn": 64500,
    "geo.org": "Example",
    "network.private": False,
    "network.kind": "hosting",
    "network.hosting": True,
    "network.anonymous": False,
    "agent.browser": "Firefox",
    "agent.os": "Linux",
    "agent.device": "desktop",
    "agent.bot": False,
}
OPEN = {
    "user.id": "42",
    "user.email": "jane@example.com",
    "properties.mfa": True,
    "properties.cart.total": 99.5,
    "properties.from": "here",
    "request.params.next.to": "/",
}


def test_every_field_of_the_table_is_looked_at_here():
    assert set(EXPECTED) == set(FIELDS)


@pytest.mark.parametrize(("path", "value"), [*EXPECTED.items(), *OPEN.items()])
def test_a_field_is_read_from_a_real_event_in_both_ways(path, value):
    event = read(RAW, enriched=True)
    assert compile_field(path)(event) == value
    assert compile_expression(path, condition=False).value(event) == value


@pytest.mark.parametrize(
    "path", [path for path in EXPECTED if path not in ("event", "id", "timestamp", "trust")] + list(OPEN)
)
def test_a_field_an_event_lacks_is_missing_in_both_ways(path):
    event = read({"id": "e1", "event": "x", "timestamp": 0})
    assert compile_field(path)(event) is None
    assert compile_expression(path, condition=False).value(event) is None


def test_someone_without_labels_has_none_of_them_and_labels_of_nobody_are_unknown():
    source = '"vip" not in user.labels'
    assert compile_expression(source).truth(make({"user": "id:1"})) is True
    assert compile_expression(source).truth(make({})) is None
    assert compile_expression('"office" in ip.labels').truth(make({"ip": "192.0.2.1"})) is False
    assert compile_field("user.labels")(make({"user": "id:1"})) == ()


@pytest.mark.parametrize("inner", [None, 5, "text", ["total"], True])
def test_a_path_through_what_is_no_object_is_missing(inner):
    event = make({"properties.cart": inner})
    assert compile_field("properties.cart.total")(event) is None
    assert compile_expression("properties.cart.total == None").matches(event)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("user", Kind.TEXT),
        ("user.anything", Kind.TEXT),
        ("timestamp", Kind.NUMBER),
        ("success", Kind.BOOL),
        ("ip.labels", Kind.LIST),
        ("properties.a.b", Kind.ANY),
        ("request.params.q", Kind.ANY),
    ],
)
def test_the_kind_of_a_field_is_known_beforehand(path, kind):
    assert field_kind(path) is kind


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "usr",
        "geo",
        "geo.country.x",
        "properties",
        "user.",
        "user..id",
        "properties.a b",
        "properties." + "a" * 200,
        "a\0",
        "timestamp.x",
        "ip.x",
        "__class__",
        "user.a.b",
    ],
)
def test_a_path_that_names_no_field_is_refused(path):
    with pytest.raises(ExpressionError) as caught:
        compile_field(path)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].hint


def test_a_group_may_be_a_property_whose_name_is_no_word():
    assert compile_field("properties.card-type")(make({"properties.card-type": "debit"})) == "debit"


def test_an_expression_tells_what_it_reads():
    source = 'in_list(ip, "office") and (user != None or ip == "::1") and not in_list(geo.asn, "hosting")'
    lists = {"office": parse_list(""), "hosting": parse_list("64500")}
    expression = compile_expression(source, lists=lists)
    assert expression.source == source
    assert expression.fields == ("ip", "user", "geo.asn")
    assert expression.lists == ("office", "hosting")


def test_expressions_of_one_text_are_equal_and_frozen():
    one, other = compile_expression("success"), compile_expression("success")
    assert one == other and hash(one) == hash(other) and one != compile_expression("not success")
    with pytest.raises(AttributeError):
        one.source = "x"  # type: ignore[misc]
