"""Properties by path, and which of them are of another type than is known."""

import pytest

from sentinel.core.properties import conflicting, walk
from sentinel.core.record import Property

N = {"n": "number"}


def test_every_path_is_given_outer_ones_first_and_lists_are_values():
    given = {"a": {"b": {"c": 1}}, "d.e": [{"f": 2}], 'g"h': None, "": {"": 0}}
    assert list(walk(given)) == [
        ("a", {"b": {"c": 1}}), ("a.b", {"c": 1}), ("a.b.c", 1), ('"d.e"', [{"f": 2}]), ('"g\\"h"', None),
        ("", {"": 0}), (".", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "conflicts"),
    [
        (1, {}), (1.5, {}), (None, {}), (True, N), ("1", N), ([1], N), ({}, N),
        ({"deep": "x"}, {**N, "n.deep": "boolean"}), ({"unknown": "x"}, N),
    ],
)  # fmt: skip
def test_a_value_of_another_type_than_is_known_conflicts_and_null_and_the_unknown_do_not(value, conflicts):
    known = [Property("n", "number", 0, 0), Property("n.deep", "boolean", 0, 0)]
    assert conflicting(known, {"n": value}) == conflicts
