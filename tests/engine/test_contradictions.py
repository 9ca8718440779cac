"""Conditions on one value that nothing meets together are refused in files: where that is certain, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.engine.expression import ExpressionError, compile_expression
from tests.engine.expression_events import make


def refused(source: str) -> list[tuple[str, str]]:
    """Return (the text pointed at, message) of every problem of a condition in a file."""
    try:
        compile_expression(source, strict=True)
    except ExpressionError as error:
        return [(source[one.offset : one.offset + one.length], one.message) for one in error.problems]
    return []


@pytest.mark.parametrize(
    ("source", "at", "beside"),
    [
        ("10 < properties.n < 1", "properties.n < 1", "`10 < properties.n`"),
        ("properties.n > 5 and properties.n < 3", "properties.n < 3", "`properties.n > 5`"),
        ("properties.n > 5 and 5 >= properties.n", "5 >= properties.n", "`properties.n > 5`"),
        ("properties.n == 1 and properties.n == 2", "properties.n == 2", "`properties.n == 1`"),
        ('properties.n == 1 and properties.n == "1"', 'properties.n == "1"', "`properties.n == 1`"),
        ("properties.n == 1 and properties.n != 1.0", "properties.n != 1.0", "`properties.n == 1`"),
        ("properties.n in [1, 2] and properties.n in [3]", "properties.n in [3]", "`properties.n in [1, 2]`"),
        ("properties.n in [1, 2] and properties.n not in [2, 1]", "properties.n not in [2, 1]", "`properties.n in [1"),
        ('user == "a" and success and user == "b"', 'user == "b"', '`user == "a"`'),
        ('user > "b" and user < "a"', 'user < "id:a"', None),
        ("success and not success", "not success", "`success`"),
        ("success and success == False", "success == False", "`success`"),
        ('ip == None and ip == "192.0.2.1"', 'ip == "192.0.2.1"', "`ip == None`"),
        ("ip != None and user == None and ip == None", "ip == None", "`ip != None`"),
        ("hour(timestamp) < 6 and hour(timestamp) > 22", "hour(timestamp) > 22", "`hour(timestamp) < 6`"),
        ('startswith(user, "a") and not startswith(user, "a")', 'not startswith(user, "a")', '`startswith(user, "a")`'),
        ("properties.n > 3 and (properties.n < 9 and properties.n in [1, 12])", "properties.n in [1, 12]", "what"),
        ("success or (properties.n > 5 and properties.n < 3)", "properties.n < 3", "`properties.n > 5`"),
        ("not (5 < properties.n < 3) and success", "properties.n < 3", "`5 < properties.n`"),
    ],
)  # fmt: skip
def test_what_never_holds_beside_something_before_it_is_refused_with_that(source, at, beside):
    compile_expression(source)  # a search may ask for it
    if beside is None:
        assert refused(source)
        return
    ((where, message),) = refused(source)
    assert (where, message[: len(beside) + 27]) == (at, f"this can never hold beside {beside}")


@pytest.mark.parametrize(
    "source",
    [
        "1 < properties.n < 10", "5 < properties.n < 6", "properties.n >= 5 and properties.n <= 5",
        "properties.n == 1 and properties.n == 1.0", "properties.n != 1 and properties.n != 2",
        "properties.n > 5 and properties.m < 3", "properties.n > 5 or properties.n < 3", 'user >= "a" and user < "b"',
        "hour(timestamp) < 6 or hour(timestamp) > 22", "success != True and success != False",
        "user != None and ip == None",
        'hour(timestamp, "Asia/Tokyo") < 6 and hour(timestamp, "America/Lima") > 12', "not success and user != None",
        'properties.t > "a" and properties.t < "a\\0"',
        'properties.t > "a" and properties.t != "a\\0" and properties.t < "b"',
    ],
)  # fmt: skip
def test_what_something_meets_is_not_refused(source):
    assert refused(source) == []


LITERALS = st.sampled_from(["0", "1", "1.0", "2", "-1", "0.5", '""', '"a"', '"b"', '"ab"', "True", "False"])
FIELDS = st.sampled_from(["properties.x", "properties.y"])
ORDERS = st.sampled_from(["<", "<=", ">", ">="])
PARTS = st.one_of(
    st.builds("{} {} {}".format, FIELDS, ORDERS | st.sampled_from(["==", "!="]), LITERALS),
    st.builds("{} {} {}".format, LITERALS, ORDERS, FIELDS),
    st.builds("{} {} {} {} {}".format, LITERALS, ORDERS, FIELDS, ORDERS, LITERALS),
    st.builds("{} {} [{}, {}]".format, FIELDS, st.sampled_from(["in", "not in"]), LITERALS, LITERALS),
    st.builds("{} {} None".format, FIELDS, st.sampled_from(["==", "!="])),
    st.builds("{}{}".format, st.sampled_from(["", "not "]), FIELDS),
)
VALUES = st.none() | st.booleans() | st.sampled_from(
    [0, 1, 1.0, 2, -1, 0.5, 0.25, 1.5, -2, 3, "", "a", "b", "ab", "aa", "c", "a\0", [], ["a"], {}]
)  # fmt: skip


def checked(source: str) -> list[str]:
    """Return what is refused as a contradiction and as nothing else."""
    found = [message for _, message in refused(source)]
    return found if all(message.startswith("this can never hold beside") for message in found) else []


@settings(max_examples=300)
@given(st.lists(PARTS, min_size=2, max_size=4).map(" and ".join), st.lists(st.tuples(VALUES, VALUES), max_size=30))
def test_whatever_is_refused_holds_for_no_event(source, values):
    if not checked(source):
        return
    where = compile_expression(source)
    for x, y in values:
        assert not where.matches(make({"properties.x": x, "properties.y": y})), (x, y)


@settings(max_examples=300)
@given(st.lists(PARTS, min_size=2, max_size=4), VALUES, VALUES)
def test_whatever_an_event_meets_is_not_refused(parts, x, y):
    """The parts that an event meets, together."""
    event = make({"properties.x": x, "properties.y": y})
    met = [part for part in parts if not refused(part) and compile_expression(part).matches(event)]
    assert not met or checked(" and ".join(met)) == []


def test_many_parts_are_looked_at_in_bounded_time():
    parts = [f"properties.n != {number} and properties.t != 'a{number}'" for number in range(60)]
    listed = ", ".join(str(number) for number in range(90))
    source = " and ".join([*parts, f"properties.n not in [{listed}]"])
    assert refused(source) == []
