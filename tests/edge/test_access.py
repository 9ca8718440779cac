"""The gate remembers which keys were let in, until that is kept."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App, Key
from sentinel.edge.access import LOCAL, Gate, credential
from sentinel.edge.errors import ApiError
from sentinel.edge.wire import Headers


class Access:
    """Keys by their secrets."""

    def __init__(self, *keys: Key) -> None:
        self.key = {key.id: key for key in keys}.get
        self.app = {"default": App("default"), "shop": App("shop")}.get
        self.remembers = set[str]().__contains__


@pytest.fixture
def gate():
    gate = Gate(Access(*(Key(id, "shop", "sdk") for id in ("a", "b", "c"))), "token")
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


def test_a_key_may_name_its_own_app_and_no_other(gate):
    assert gate.caller("a", "shop").app == "shop"
    with pytest.raises(ApiError, match="does not belong to the app `blog`"):
        gate.caller("a", "blog")


def test_the_local_administrator_names_the_app_and_speaks_no_foreign_protocol(gate):
    assert [(one.app, one.by, one.server) for one in map(partial(gate.caller, "token"), (None, "shop"))] == [
        ("default", LOCAL, True), ("shop", LOCAL, True),
    ]  # fmt: skip
    with pytest.raises(ApiError, match="there is no app `blog`"):
        gate.caller("token", "blog")
    with pytest.raises(ApiError, match="not known"):
        gate.caller("token", None, "sqreen")


def test_keys_are_looked_up_beside_the_loop_and_make_room_for_others_when_that_is_over(gate, monkeypatch):
    """Also those that are not known: else whoever tries some hundred of them has locked out everybody."""
    monkeypatch.setattr("sentinel.edge.access.MOST_UNKNOWN", 1)

    async def ask():
        for _ in range(3):
            with pytest.raises(ApiError, match="not known"):
                await gate.asked("unknown", partial(gate.caller, "unknown"))
        return [await gate.asked(secret, threading.get_ident) for secret in ("a", "token")]

    beside, on_the_loop = asyncio.run(ask())
    assert beside != on_the_loop == threading.get_ident()


def test_a_query_string_without_end_is_refused():
    headers = Headers([(b"authorization", b"Bearer a")])
    assert credential(headers, b"&".join([b"a=1"] * 100)) == "a"
    with pytest.raises(ApiError, match="more than 100 parts"):
        credential(headers, b"&".join([b"a=1"] * 101))


def test_where_nothing_can_be_kept_it_is_told_again_with_what_was_used_meanwhile(gate):
    def busy(_):
        raise StoreBusy("no space left")

    gate.caller("a")
    with pytest.raises(StoreBusy):
        gate.tell_used(busy)
    gate.caller("b")
    assert told(gate) == ["a", "b"]
