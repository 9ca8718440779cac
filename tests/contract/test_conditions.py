"""Conditions of the rules' language searched for: exactly the events that the compiled expression holds for."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sentinel.core.address import site
from sentinel.core.event import Event
from sentinel.core.record import Filter
from sentinel.engine.expression import Expression, ExpressionError, compile_expression
from tests.contract.values import batch, fresh_app, put
from tests.engine import naive_expression as naive
from tests.engine.expression_events import make
from tests.property.expression_language import COMPLETE, JSON, TEXTS, Options, reduced, text

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
SOURCES = text(Options())["bool"]
PARTS = {"geo": ("country", "lat", "accuracy"), "agent": ("bot", "os"), "request": ("path", "status")}


def compiled(source: str) -> Expression:
    try:
        return compile_expression(source, lists=naive.LISTS)
    except ExpressionError:
        assume(False)
        raise


def storable(value: Any) -> bool:
    """Say whether a value is JSON that could have come in."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, UnicodeEncodeError):
        return False
    return True


@st.composite
def odd(draw: st.DrawFn) -> dict[str, Any]:
    """Return fields of any JSON value under the names that expressions read."""
    fields: dict[str, Any] = {"event": draw(TEXTS.filter(bool))}
    for path in ("user", "ip", "success", "user.email", "user.labels"):
        if draw(st.booleans()):
            fields[path] = draw(COMPLETE)[path]
    for key in "tnblo":
        if draw(st.booleans()):
            fields[f"properties.{key}"] = draw(JSON.filter(storable))
    for part, keys in PARTS.items():
        for key in keys:
            if draw(st.booleans()):
                fields[f"{part}.{key}"] = draw(JSON.filter(storable))
    if draw(st.booleans()):
        fields["request.params.q"] = draw(JSON.filter(storable))
    return fields


EVENTS = st.lists(COMPLETE | COMPLETE.flatmap(reduced) | odd(), min_size=1, max_size=6)


def stored(store: Any, app: str, made: list[dict[str, Any]]) -> list[Event]:
    """Put events into an app as they are, and return them as they are kept."""
    events = []
    for number, fields in enumerate(made):
        one = make({"event": "test", **fields})
        one.id, one.sent, one.received = f"e{number}", one.at, one.at
        events.append(one)
    put(store, batch(app, events=tuple(events)))
    return [kept.event for kept in store.events.search(app, Filter()).items]


@SHARED
@given(st.lists(SOURCES, min_size=1, max_size=4), EVENTS)
def test_a_condition_finds_the_events_it_holds_for(store, sources, made):
    """In search and in a count, whatever the events hold and whatever of it has a column."""
    app = fresh_app(store)
    kept = stored(store, app, made)
    for source in sources:
        q = compiled(source)
        expected = [one.id for one in kept if q.matches(one)]
        found = store.events.search(app, Filter(q=q))
        assert [one.event.id for one in found.items] == expected, source
        assert found.cursor is None
        assert store.events.count(app, Filter(q=q)) == len(expected), source


NEIGHBOURS = ["203.0.113.0", "203.0.113.255", "203.0.114.0", "203.0.112.255", "2001:db8:1::", "2001:db8:1:ffff::1",
              "2001:db8:2::", "2001:db8::9", "2001:0:1::1", "::1:0:0:1", "0:0:7::1", "8000::1", None]  # fmt: skip


def test_networks_of_neighbours_are_found(store):
    """Each by its own text, alone, among others and by its beginning, to the last address and no further."""
    app = fresh_app(store)
    kept = stored(store, app, [{} if ip is None else {"ip": ip} for ip in NEIGHBOURS])
    networks = {site(ip) for ip in NEIGHBOURS if ip} | {"203.0.115.0/24", "203.0.113.0/25", "office"}
    sources = [f'ip.network {sign} "{one}"' for one in networks for sign in ("==", "!=")]
    sources += [
        "ip.network == None", "ip.network != None", 'ip.network in ["203.0.113.0/24", "2001:db8:1::/48"]',
        'ip.network not in ["203.0.113.0/24", "::/48"]', 'startswith(ip.network, "203.0.")',
        '"203.0.113.0/24" == ip.network or ip.network > "8"', "ip.network == ip", "len(ip.network) > 12",
    ]  # fmt: skip
    for source in sources:
        q = compiled(source)
        expected = [one.id for one in kept if q.matches(one)]
        assert [one.event.id for one in store.events.search(app, Filter(q=q)).items] == expected, source
        assert store.events.count(app, Filter(q=q)) == len(expected), source


SPELLED = st.text('"\\/:,{}[]ta1 \x00\x1f\n\x7fé\u2028😀', max_size=6)
NAMED = st.sampled_from(("t", "T", "at", 'a"t', "t\\", 't":"a', "o"))
SCALAR = st.none() | st.booleans() | st.integers(-2, 12) | SPELLED
DOCUMENTS = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMED, inner, max_size=3))
ASKED = ("{} == {}", "{} != {}", "{} in [{}, 'a']", "{} not in [{}, '\"']", "contains({}, {})", "not contains({}, {})",
         "startswith({}, {})", "not startswith({}, {})", "endswith({}, {})", "not endswith({}, {})")  # fmt: skip


@SHARED
@given(
    st.tuples(SPELLED, SPELLED, SPELLED),
    st.lists(st.dictionaries(NAMED, DOCUMENTS, max_size=3), max_size=3),
    st.lists(st.tuples(st.sampled_from(ASKED), st.sampled_from(("t", "o.t"))), min_size=4, max_size=4),
)
def test_a_text_is_found_however_it_is_spelled_in_json(store, parts, others, asked):
    """Quotation marks, backslashes, control characters, names like others and values that look like names.

    What a browser sends has no column of its own.
    """
    app, sent, (before, text, after) = fresh_app(store), {"trust": "browser"}, parts
    made = [{"t": text}, {"t": before + text + after}, {"T": text, "o": {"t": text}}, {"t": [after, text]}, *others]
    kept = stored(store, app, [sent | {f"properties.{name}": of[name] for name in of} for of in made])
    for form, path in asked:
        q = compiled(form.format(f"properties.{path}", repr(text)))
        expected = [one.id for one in kept if q.matches(one)]
        assert [one.event.id for one in store.events.search(app, Filter(q=q)).items] == expected, form
