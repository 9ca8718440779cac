"""Properties by path, and which of them are of another type than is known."""

import pytest

from sentinel.core.properties import conflicting, walk


def test_every_path_is_given_outer_ones_first_and_lists_are_values():
    given = {"a": {"b": {"c": 1}}, "d.e": [{"f": 2}], 'g"h': None, "": {"": 0}}
    assert list(walk(given)) == [
        ("a", {"b": {"c": 1}}), ("a.b", {"c": 1}), ("a.b.c", 1), ('"d.e"', [{"f": 2}]), ('"g\\"h"', None),
        ("", {"": 0}), (".", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "conflicts"),
    [
        (1, []), (1.5, []), (None, []), (True, ["n"]), ("1", ["n"]), ([1], ["n"]), ({}, ["n"]),
        ({"deep": "x"}, ["n", "n.deep"]), ({"unknown": "x"}, ["n"]),
    ],
)  # fmt: skip
def test_a_value_of_another_type_than_is_known_conflicts_and_null_and_the_unknown_do_not(value, conflicts):
    assert conflicting({"n": "number", "n.deep": "boolean"}, {"n": value}) == conflicts
