"""Hostile sources: whatever is written, it compiles soon or is refused, and nothing else happens."""

from __future__ import annotations

import itertools

import pytest

from sentinel.engine.expression import ExpressionError, compile_expression
from tests.engine.expression_events import make


def messages(source: str) -> list[str]:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("success or " * 400 + "success", "longer than 4,096 characters"),
        ("(" * 51 + "success" + ")" * 51, "nested more than 50 levels deep"),
        ("[" * 2000, "nested more than 50 levels deep"),
        ("not " * 60 + "success", "nested more than 50 levels deep"),
        ("properties.a" + " + 1" * 60 + " > 1", "nested more than 50 levels deep"),
        ("success if success else " * 60 + "success", "nested more than 50 levels deep"),
        ("properties" + ".a" * 16 + " == 1", f"`{('properties' + '.a' * 16)}` is nested too deeply"),
        ("properties.a == " + "9" * 30, "this number is too large"),
        ("properties.a == " + "9" * 4000, "this number is too large"),
        ("properties.a == 1e999", "this number is too large"),
        ("user == '" + "a" * 1025 + "'", "a text longer than 1,024 characters"),
        ("properties.a in [" + "1," * 1001 + "]", "a list of more than 1,000 items"),
        ("user == 'a\0'", "the character U+0000 cannot stand in an expression"),
        ("user == '\ud800'", "the character U+D800 cannot stand in an expression"),
        (r"user == '\ud800'", "half a surrogate pair is no character"),
        ("user == '" + "a" * 300 + "'", "no user has a name longer than 256 characters"),
        (r"matches(user, '\pL{500}')", "not an RE2 pattern: `pattern too large - compile failed`"),
        ("matches(user, '((a{100}){100}){100}')", "not an RE2 pattern: `invalid repetition size: {100}`"),
    ],
)
def test_what_is_out_of_bounds_is_refused(source, message):
    assert messages(source) == [message]


@pytest.mark.parametrize(
    "source",
    [
        "-" * 4000 + "1",
        "not " * 1000 + "success",
        "a." * 2000 + "a",
        "a+" * 2000 + "a",
        "a if a else " * 300 + "a",
        "a<" * 2000 + "a",
        "lambda:" * 500 + "1",
        "f(" * 50 + ")" * 50,
        "[" * 50 + "]" * 50,
        "x=" * 2000 + "1",
        '"' * 4096,
        "'" * 4095,
        "\\" * 4096,
        "#" * 4096,
        "\n" * 4096,
        "a\r\nb",
        "\ufeffsuccess",
        "𝕒 == 1",
        "ﬁ == 1",
        "² == 1",
        "success\x0c",
        "{**a}",
        "*a",
        "yield",
        "await a",
        "a: int",
        "a; b",
        "import os",
        "__import__('os')",
        "().__class__",
        "a @ b",
        "%",
        "0x1f",
        "1__0",
        "1e",
        "'\\N{DASH}'x",
        "b'a' in b'b'",
        "...",
        "True.real",
        "1 .real",
        "'a' 'b' == user",
        "r'\\' == user",
        "print(1, file=2)",
        "len(*user)",
    ],
)
def test_hostile_text_is_refused_and_nothing_else(source):
    assert messages(source)


def test_the_largest_of_everything_compiles_and_answers():
    deep = "success"
    for _ in range(48):
        deep = f"({deep})"
    wide = " or ".join(["success"] * 370)
    assert compile_expression(deep).matches(make({"success": True}))
    assert compile_expression(wide).matches(make({"success": True}))
    assert compile_expression("not " * 48 + "success").matches(make({"success": True}))
    assert compile_expression(f"properties.n in [{','.join(['7'] * 1000)}]").matches(make({"properties.n": 7}))
    assert compile_expression("properties" + ".a" * 15 + " == 1").matches(make({"properties" + ".a" * 15: 1}))


@pytest.mark.parametrize(
    "nest",
    [
        lambda inner: f"({inner} == properties.b)",
        lambda inner: f"(success if {inner} else properties.b)",
        lambda inner: f"(True if {inner} else False)",
        lambda inner: f"({inner} == properties.b == {inner.count('(') > 99})",
        lambda inner: f"(0 <= len([{inner}]) <= 1)",
        lambda inner: f"(not ({inner} and success))",
        lambda inner: f"({inner} in [success, properties.b])",
    ],
)
def test_code_grows_with_the_expression_and_no_faster(nest):
    """Doubling at each level would be two to the fifteenth."""
    source, sizes = "properties.a", []
    for _ in range(15):
        source = nest(source)
        sizes.append(len(compile_expression(source, condition=False).code))
    steps = [later - earlier for earlier, later in itertools.pairwise(sizes)]
    assert max(steps) < 1500


def test_each_bound_is_where_it_is_said_to_be():
    def fits(source: str) -> bool:
        try:
            compile_expression(source)
        except ExpressionError:
            return False
        return True

    assert fits("success".ljust(4096)) and not fits("success".ljust(4097))
    assert fits("(" * 50 + "success" + ")" * 50) and not fits("(" * 51 + "success" + ")" * 51)
    assert fits("not " * 50 + "success") and not fits("not " * 51 + "success")
    assert fits(f"ip == '{'a' * 1024}'") and not fits(f"ip == '{'a' * 1025}'")
    assert fits(f"properties.n in [{','.join('1' * 1000)}]") and not fits(f"properties.n in [{','.join('1' * 1001)}]")
    assert fits(f"properties.n == {2**63 - 1}") and not fits(f"properties.n == {2**63}")
    assert fits("properties.n == 1.7e308") and not fits("properties.n == 1.8e308")


def test_newlines_comments_and_words_of_python_behind_a_dot_are_allowed():
    source = 'event == "test"  # which events\n  and properties.from == "a"\r\n\tand properties.class.None == 1'
    event = make({"properties.from": "a", "properties.class.None": 1})
    assert compile_expression(source).matches(event)
    assert compile_expression(source).fields == ("event", "properties.from", "properties.class.None")


def test_names_beyond_ascii_are_read_as_written():
    assert compile_expression('properties.été == "é"').matches(make({"properties.été": "é"}))
    assert compile_expression("properties.ﬁ == 1").matches(make({"properties.ﬁ": 1}))


def test_escapes_python_would_warn_of_mean_themselves():
    assert compile_expression(r'matches(ip, "^\d+\.")').matches(make({"ip": "10.0.0.1"}))
    assert compile_expression(r'matches(ip, r"^\d+\.")').matches(make({"ip": "10.0.0.1"}))
