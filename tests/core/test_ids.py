"""Ids are UUIDs of version 7: told by their time and by the chance that is brought along."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.ids import CHANCE, new_id

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=CHANCE, max_size=CHANCE)


@given(TIMES, RANDOM)
def test_an_id_is_a_uuid_of_version_seven_and_of_its_time(milliseconds, random):
    made = uuid.UUID(new_id(milliseconds, random))
    assert str(made) == new_id(milliseconds, random)
    assert (made.variant, made.int >> 76 & 0xF) == (uuid.RFC_4122, 7)
    assert made.int >> 80 == milliseconds


@given(TIMES, TIMES, RANDOM, RANDOM)
def test_ids_of_another_time_come_in_its_order(one, other, first, second):
    if one < other:
        assert new_id(one, first) < new_id(other, second)


def told(random):
    """Return the 74 bits of the chance that are in an id."""
    return random[0], random[1] & 0xF3, random[2:9], random[9] >> 4


@given(TIMES, st.lists(RANDOM, unique_by=told, max_size=20))
def test_other_chance_makes_another_id(milliseconds, brought):
    assert len({new_id(milliseconds, random) for random in brought}) == len(brought)
