"""The gate remembers which keys were let in, until that is kept."""

from __future__ import annotations

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import Key
from sentinel.edge.access import Gate
from sentinel.edge.errors import ApiError


class Access:
    """Keys by their secrets."""

    def __init__(self, *keys: Key) -> None:
        self.key = {key.id: key for key in keys}.get


@pytest.fixture
def gate():
    gate = Gate(Access(*(Key(id, "shop", "sdk") for id in ("a", "b", "c"))))
    yield gate
    gate.close()


def told(gate):
    found = []
    gate.tell_used(found.extend)
    return found


def test_each_key_that_was_let_in_is_told_once_until_it_is_used_again(gate):
    for secret in ("a", "b", "a"):
        gate.caller(secret)
    assert told(gate) == ["a", "b"]
    gate.caller("b")
    assert (told(gate), told(gate)) == (["b"], [])


def test_a_key_that_was_refused_was_not_used(gate):
    for ask in (("unknown",), ("c", "blog"), ("c", None, "sqreen")):
        with pytest.raises(ApiError):
            gate.caller(*ask)
    assert told(gate) == []


def test_where_nothing_can_be_kept_it_is_told_again_with_what_was_used_meanwhile(gate):
    def busy(_):
        raise StoreBusy("no space left")

    gate.caller("a")
    with pytest.raises(StoreBusy):
        gate.tell_used(busy)
    gate.caller("b")
    assert told(gate) == ["a", "b"]
