"""Conditions of the rules' language searched for: exactly the events that the compiled expression holds for."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

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
