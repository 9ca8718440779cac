"""What was made once is kept for when it comes again, to a bound."""

from __future__ import annotations

from sentinel.engine.remembered import Remembered


def test_each_is_made_once_until_there_are_too_many() -> None:
    made: list[str] = []
    known = Remembered(lambda key: made.append(key) or key.upper(), 2)
    assert [known[key] for key in "aabab"] == list("AABAB")
    assert made == ["a", "b"]
    assert known["c"] == "C"
    assert list(known) == ["c"], "a third begins anew"
    assert known["a"] == "A"
    assert made == ["a", "b", "c", "a"]
