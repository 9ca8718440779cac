"""What is asked of JSON: by its text first, and in SQL as long as it goes. That it is right is for tests/contract."""

from __future__ import annotations

import pytest

from sentinel.engine.expression import compile_expression
from sentinel.store.condition import translate
from sentinel.store.embedded.words import DUCKDB
from sentinel.store.sql import Sql
from sentinel.store.values import Slot, of_field


def asked(source: str, slots: dict[str, Slot] | None = None) -> Sql:
    pair = translate(compile_expression(source).tree, DUCKDB, slots or {})
    assert pair.exact
    return pair.may


@pytest.mark.parametrize(
    ("source", "sought"),
    [
        ("properties.plan == 'a\"b'", 'plan":"a\\"b"'),
        ("properties.cart.plan in ['x']", 'plan":"x"'),
        ("user.email == 'é@x.y'", 'email":"é@x.y"'),
        ("request.params.next == ''", 'next":""'),
        ("startswith(properties.plan, 'a')", 'plan":"a'),
        ("endswith(properties.plan, 'z\\n')", 'z\\n"'),
        ("contains(properties.plan, 'tab\\t')", "tab\\t"),
        ("properties.plan > 5", 'plan":'),
        ("properties.plan != 'x'", 'plan":'),
        ("properties.plan != None", 'plan":'),
    ],
)
def test_a_text_is_looked_for_as_it_is_spelled_before_json_is_parsed(source, sought):
    found = asked(source)
    assert found.text.index("contains(") < found.text.index("json_")
    assert found.values[0] == sought


def test_what_has_a_column_is_not_looked_for_in_json():
    found = asked("properties.plan == 'pro'", {"plan": Slot("s01", "string", 0)})
    assert "contains(" not in found.text.partition("s01")[0]
    assert of_field("properties.plan", DUCKDB, {"plan": Slot("s01", "string", 0)}).document is None


def test_many_texts_are_looked_for_together():
    """One after the other they would take longer than to parse once."""
    assert 'plan":"t0"' not in asked(f"properties.plan in {[f't{number}' for number in range(20)]}").values


@pytest.mark.parametrize("form", ["properties.plan == 'v{}'", "properties.n{} > 5"])
def test_a_condition_of_a_hundred_parts_is_asked_in_sql(form):
    """It would else be asked of event after event."""
    assert asked(" or ".join(form.format(number) for number in range(100))).values
