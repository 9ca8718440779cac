"""Bodies as they come: bounded before they are read where they say their size, and while they are read in any case."""

from __future__ import annotations

import asyncio
import json

import pytest

from sentinel.edge import wire
from sentinel.edge.errors import ApiError
from sentinel.edge.wire import Budget, Headers

PIECE = 1 << 20


class Sender:
    """Sends pieces of a body for as long as it is asked."""

    def __init__(self, pieces: int, size: int = PIECE) -> None:
        self.pieces, self.size, self.sent = pieces, size, 0

    async def __call__(self) -> dict[str, object]:
        self.sent += 1
        return {"type": "http.request", "body": b"x" * self.size, "more_body": self.sent < self.pieces}


def read(sender: Sender, budget: Budget, head: list[tuple[bytes, bytes]] = (), most: int = 3 * PIECE) -> bytes:
    return asyncio.run(wire.body(sender, Headers(head), budget.of("one"), most=most))


def test_a_body_that_does_not_say_its_size_is_read_to_the_bound_and_no_further():
    sender, budget = Sender(1000), Budget(10 * PIECE)
    with pytest.raises(ApiError) as caught:
        read(sender, budget)
    assert (caught.value.code, caught.value.message) == ("too_large", "the body is larger than 3 MiB")
    assert sender.sent == 4
    assert len(read(Sender(3), Budget(6 * PIECE))) == 3 * PIECE


@pytest.mark.parametrize("length", [b"3145729", b"9" * 5000])
def test_a_body_that_says_it_is_too_large_is_not_read_at_all(length):
    sender = Sender(1000)
    with pytest.raises(ApiError, match="larger than 3 MiB"):
        read(sender, Budget(), [(b"content-length", length)])
    assert sender.sent == 0


@pytest.mark.parametrize("length", [b"", b"-1", b"x", b"1e9", "²".encode("latin-1")])
def test_a_size_that_is_no_number_is_no_fault(length):
    assert len(read(Sender(1), Budget(), [(b"content-length", length)])) == PIECE


def test_what_was_held_is_let_go_whether_a_body_was_taken_or_not():
    budget = Budget(8 * PIECE)
    for _ in range(3):
        assert len(read(Sender(3), budget)) == 3 * PIECE
        with pytest.raises(ApiError):
            read(Sender(9), budget)
    with pytest.raises(ApiError, match="too many large requests at once"):
        read(Sender(9), budget, most=9 * PIECE)
    budget.take("one", 4 * PIECE)


def test_however_many_hold_all_they_may_whoever_comes_then_finds_room():
    """One sender that never ends its bodies would otherwise have everybody else come back later."""
    budget = Budget(17_000, 16)
    for sender in map(str, range(10)):
        with pytest.raises(ApiError, match="too many large requests at once"):
            for _ in range(2000):
                budget.take(sender, 1)
    with budget.of("another").held(500), pytest.raises(ApiError):
        budget.take("0", 1)
    budget.give("0", 1000)
    with budget.of("another").held(600):
        pass


@pytest.mark.parametrize(("status", "told"), [(200, ["content-type", "content-length"]), (204, []), (304, [])])
def test_an_answer_without_a_body_says_nothing_of_one(status, told):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(wire.answer(send, status, b"", [("etag", "x")]))
    assert [name.decode() for name, _ in sent[0]["headers"]] == [*told, "etag"]
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("length", [0, 1, 499, 500, 501, 1000, 1001])
def test_a_long_list_is_the_same_json_as_a_short_one(length):
    values = [{"n": n, "text": "],["} for n in range(length)]
    assert json.loads(wire.json_list(iter(values))) == values
