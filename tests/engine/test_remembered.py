"""What was made once is kept for when it comes again, to a bound."""

from __future__ import annotations

from sentinel.engine.remembered import Remembered


def test_each_is_made_once_while_it_is_asked_for() -> None:
    made: list[str] = []
    known = Remembered(lambda key: made.append(key) or key.upper(), 2)
    assert [known[key] for key in "aabab"] == list("AABAB")
    assert made == ["a", "b"]
    assert [known[key] for key in "ca"] == ["C", "A"]
    assert made == ["a", "b", "c"], "of more than two, one that is asked for again is still known"
    assert [known[key] for key in "dab"] == ["D", "A", "B"]
    assert made == ["a", "b", "c", "d", "b"], "and one that is not is made anew"


def test_there_are_never_more_than_twice_as_many() -> None:
    known = Remembered(str, 10)
    for number in range(1000):
        assert known[number] == str(number)
        assert len(known) <= 10 and len(known._before) <= 10
