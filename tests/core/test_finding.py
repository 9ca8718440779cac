"""What a finding counted is told as what it is: at least so many, where windows count no further than they must."""

from __future__ import annotations

from typing import Any

import pytest

from sentinel.core.finding import tally_texts


@pytest.mark.parametrize(
    ("tally", "threshold", "texts"),
    [
        ({"count": 10}, {"count": ">= 10"}, [">= 10"]),
        ({"count": 11}, {"count": "> 10"}, [">= 11"]),
        ({"distinct.user": 10, "ratio": 0.9}, {"distinct.user": ">= 10", "ratio": ">= 0.8"}, [">= 10", "0.9"]),
        ({"sum.properties.count": 12}, {"sum.properties.count": ">= 10"}, ["12"]),
        ({"max.properties.amount": 500}, {"max.properties.amount": ">= 500"}, ["500"]),
        ({"step.1": 3, "step.2": 1}, {"step.1": ">= 3", "step.2": ">= 1"}, [">= 3", ">= 1"]),
        ({"count": 20, "mean": 1.5}, {"count": ">= 20", "mean": "count >= 5 x mean"}, ["20", "1.5"]),  # a spike
        ({"count": 0}, {"count": ">= 1 within 1h"}, ["0"]),  # what was absent
        ({"count": 2}, {"count": ">= 1 within 1h"}, ["2"]),
        ({"km": 9000.5, "seconds": 60}, {"km": "> 900 km/h"}, ["9000.5", "60"]),
        ({"count": "10"}, {"count": ">= 10"}, ["10"]),
        ({"count": 10}, {"count": [">= 1"]}, ["10"]),
    ],
)
def test_what_was_reached_is_told_as_at_least(tally: Any, threshold: Any, texts: list[str]) -> None:
    assert list(tally_texts(tally, str, threshold).values()) == texts


@pytest.mark.parametrize(("value", "told"), [(9, "9"), (10, ">= 10"), (15, ">= 15"), (None, "None"), (0, "0")])
def test_of_a_group_on_its_way_only_what_reaches_the_threshold(value: Any, told: str) -> None:
    assert tally_texts({"count": value}, str, {"count": ">= 10"}) == {"count": told}


def test_without_a_threshold_it_was_reached() -> None:
    assert tally_texts({"count": 10, "ratio": 1}, str) == {"count": ">= 10", "ratio": "1"}
    assert tally_texts({"count": 10, "mean": 0.5}, str) == {"count": "10", "mean": "0.5"}
