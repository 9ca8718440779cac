"""Why an expression holds or does not: each clause, its truth, the values behind it."""

from __future__ import annotations

import pytest

from sentinel.engine.expression import ClauseValue, compile_expression, parse_list
from tests.engine.expression_events import make

EVENT = {"event": "auth", "success": False, "user.email": "Jane@Example.com", "properties.amount": 21, "user": "id:1"}


def explain(source: str, fields: dict[str, object] | None = None) -> tuple[ClauseValue, ...]:
    expression = compile_expression(source, lists={"staff": parse_list("1")})
    return expression.explain(make(EVENT if fields is None else fields))


def test_each_clause_is_shown_with_its_truth_and_its_fields():
    found = explain('event == "auth" and (success or geo.country not in ["FR"]) and not agent.bot')
    assert [(clause.source, clause.truth, clause.fields) for clause in found] == [
        ('event == "auth"', True, (("event", "auth"),)),
        ("success", False, (("success", False),)),
        ('geo.country not in ["FR"]', None, (("geo.country", None),)),
        ("not agent.bot", None, (("agent.bot", None),)),
    ]


def test_calls_and_calculations_are_shown_with_their_values():
    (clause,) = explain('domain(lower(user.email)) != "shop.example" if properties.amount * 2 > 40 else success')
    assert clause.truth is True
    assert dict(clause.operands) == {
        "domain(lower(user.email))": "example.com",
        "lower(user.email)": "jane@example.com",
        "properties.amount * 2": 42,
    }


@pytest.mark.parametrize(
    ("operand", "value"),
    [
        ("coalesce(success and agent.bot, 1)", False),
        ("coalesce(agent.bot or not success, 1)", True),
        ("coalesce(agent.bot and not success, 1)", 1),
        ("coalesce('then' if agent.bot else 'else', 'unknown')", "unknown"),
        ("coalesce(1 < properties.amount < 5, 'x')", False),
        ("coalesce(geo.country == None, 'x')", True),
        ("coalesce(geo.country != None, 'x')", False),
        ("coalesce(in_list(user, 'staff'), 'x')", True),
        ("coalesce(-properties.amount, 'x')", -21),
        ("len([user, geo.country, [1]])", 3),
        ("coalesce(properties.amount % geo.lat, 'x')", "x"),
    ],
)
def test_an_operand_has_the_value_the_language_gives_it(operand, value):
    (clause,) = explain(f"{operand} == properties.other")
    assert dict(clause.operands)[operand] == value


def test_a_condition_without_and_or_or_is_one_clause():
    assert [clause.source for clause in explain("not (success and agent.bot)")] == ["not (success and agent.bot)"]


@pytest.mark.parametrize("hostile", ["%1000000000d", 10**300, ["a"] * 1000, {"a": {"b": [None]}}, "\ud800"])
def test_nothing_an_event_holds_stalls_an_explanation(hostile):
    source = "properties.x % 5 * properties.x > 1 and len(lower(properties.x)) > properties.x * 1000"
    assert len(explain(source, {"properties.x": hostile})) == 2


def test_what_simpleeval_refuses_is_still_explained():
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    (clause,) = explain("contains(coalesce(properties.x, 1), 7)", {"properties.x": deep})
    assert clause.truth is False
    assert [text for text, _ in clause.operands] == ["coalesce(properties.x, 1)"]


def test_clauses_are_known_without_an_event():
    clauses = compile_expression('event == "a" or success and ip != None').clauses
    assert [(clause.source, clause.fields) for clause in clauses] == [
        ('event == "a"', ("event",)),
        ("success", ("success",)),
        ("ip != None", ("ip",)),
    ]
