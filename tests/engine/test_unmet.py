"""Selections that no event can meet: told at load, and never of one that some event meets."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.event import Event, read
from sentinel.engine.expression import compile_expression
from sentinel.engine.playbook import Rule, Selector
from sentinel.engine.possible import TRUSTS
from sentinel.engine.select import meets
from sentinel.engine.unmet import asks_success, is_unmet, settled
from tests.engine.playbooks import HERE

NAMES = ("auth", "signup", "sign", "other")
PATTERNS = st.lists(st.sampled_from([*NAMES, "a*", "sign*", "*"]), max_size=2, unique=True).map(tuple)
LEAVES = st.sampled_from([
    "success", "not success", "success == None", "success != None", 'event == "auth"', 'event != "signup"',
    'event in ["sign", "other"]', 'startswith(event, "s")', 'trust == "browser"', 'trust != "browser"',
    "coalesce(success, False)", "True", "False",
])  # fmt: skip
WHERES = st.none() | st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})")
        | inner.map(lambda part: f"(not {part})")
    ),
    max_leaves=4,
).map(compile_expression)


def one(name: str, success: bool | None, trust: str) -> Event:
    plain = {"id": "1", "event": name, "timestamp": 0, "trust": trust, "properties": {"x": 1}}
    return read(plain | ({} if success is None else {"success": success}), enriched=True)


def everything(trusts: tuple[str, ...]) -> list[Event]:
    """Return an event of every kind there is."""
    return [
        one(name, success, trust)
        for name, trust in product(NAMES, trusts)
        for success in ((True, False, None) if name == "auth" else (None,))
    ]


@given(PATTERNS, WHERES, PATTERNS, WHERES, st.sampled_from([TRUSTS, ("server", "playbook")]))
def test_what_is_called_unmet_no_event_meets(events, where, ruled, rule_where, trusts):
    rule = Rule("r", "r", ruled, rule_where, HERE) if ruled or rule_where else None
    selector = Selector(rule, events, where)
    met = any(map(meets(selector), everything(trusts)))
    assert not (met and is_unmet(selector, trusts))


@given(PATTERNS, WHERES, WHERES.filter(bool), st.sampled_from([TRUSTS, ("server", "playbook")]))
def test_what_is_called_settled_is_so_for_each_event_that_counts(events, where, asked, trusts):
    selector = Selector(None, events, where)
    answers = {asked.truth(event) for event in everything(trusts) if meets(selector)(event)}
    settles = settled(asked, selector, trusts)
    assert settles is None or answers <= {settles}


@pytest.mark.parametrize(
    ("events", "where", "asked", "answer"),
    [
        (("auth",), "not success", "not success", True), (("auth",), "not success", "success", False),
        (("auth",), None, "not success", None), (("auth",), "properties.x > 1 and success", "success", True),
        (("auth",), "not success", "properties.x > 1", None), (("pay", "back"), None, 'event == "pay"', None),
        (("pay",), None, 'event == "pay"', True), (("pay.*",), None, 'event == "pay.out"', None),
        (("pay",), None, "success", None),
    ],
)  # fmt: skip
def test_what_is_the_same_for_each_event_that_counts_is_told(events, where, asked, answer):
    written = None if where is None else compile_expression(where)
    assert settled(compile_expression(asked), Selector(None, events, written)) is answer


@given(st.sampled_from(NAMES), st.lists(LEAVES, min_size=1, max_size=3))
def test_of_one_name_and_conditions_on_what_is_known_it_is_told_whenever_it_is_so(name, leaves):
    selector = Selector(None, (name,), compile_expression(" and ".join(leaves)))
    assert is_unmet(selector) is not any(map(meets(selector), everything(TRUSTS)))


@pytest.mark.parametrize(
    ("events", "where", "asks"),
    [(("signup",), "not success", True), (("signup", "auth"), "not success", False), ((), "success", False)],
)
def test_a_login_s_outcome_is_missed_where_no_event_is_a_login(events, where, asks):
    assert asks_success(Selector(None, events, compile_expression(where))) is asks


def test_what_else_is_asked_may_be():
    assert not is_unmet(Selector(None, ("signup",), compile_expression("properties.x == 1 and not properties.y")))
    assert is_unmet(Selector(None, ("signup",), compile_expression("properties.x == 1 and not success")))
