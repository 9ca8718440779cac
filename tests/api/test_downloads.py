"""Files and tails of events: few at a time of a key and of an app, and none for whoever does not read."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

import pytest

from sentinel.api import downloads, hub
from sentinel.api.downloads import Download
from sentinel.api.hub import AT_ONCE, Hub
from sentinel.edge.errors import ApiError


def hub_of(*good: str) -> Hub:
    return Hub(lambda secret: secret in good)


@pytest.mark.parametrize("topic", AT_ONCE)
def test_of_one_key_few_are_open_at_once_and_of_an_app_some_more(topic):
    of_one, of_app = AT_ONCE[topic]

    async def opened() -> None:
        here = hub_of("secret")
        with ExitStack() as stack:

            def open_seats(app: str, by: str, number: int) -> None:
                for _ in range(number):
                    stack.enter_context(here.seat(topic, app, "secret", by))

            open_seats("one", "key:stolen", of_one)
            with pytest.raises(ApiError, match=f"too many streams of {topic}") as caught:
                open_seats("one", "key:stolen", 1)
            assert (caught.value.status, caught.value.retry_after) == (429, 10)
            for number in range(of_app - of_one):
                open_seats("one", f"account:{number}", 1)
            with pytest.raises(ApiError, match=f"too many streams of {topic}"):
                open_seats("one", "account:late", 1)
            open_seats("other", "key:theirs", of_one)
        with here.seat(topic, "one", "secret", "key:stolen"):
            assert here.count() == 1

    asyncio.run(opened())


async def read(here: Hub, ended: list[str], stalls: bool = True, alive: object = None) -> list[bytes]:
    """Ask for a file of three pieces and take the first; return what was taken."""
    taken: list[bytes] = []

    async def pieces():
        try:
            for piece in (b"a", b"b", b"c"):
                yield piece
        finally:
            ended.append("pieces")

    async def send(message):
        if message["type"] == "http.response.body":
            if taken and stalls:
                await asyncio.Event().wait()
            taken.append(message.get("body", b""))

    seat = here.seat(downloads.TOPIC, "one", "secret", "key:one", alive)
    answer = Download(seat, pieces(), "events.ndjson", "application/x-ndjson")
    await answer({"type": "http"}, asyncio.Event().wait, send)
    assert here.count() == 0
    return taken


def test_a_file_that_nobody_reads_on_is_given_up(monkeypatch):
    """What it is made of is kept in memory as long."""
    ended: list[str] = []
    assert asyncio.run(read(hub_of("secret"), ended, stalls=False)) == [b"a", b"b", b"c", b""]
    monkeypatch.setattr(downloads, "STALLED", 0.01)
    assert asyncio.run(read(hub_of("secret"), ended)) == [b"a"]
    assert ended == ["pieces"] * 2


@pytest.mark.parametrize(("good", "alive"), [((), None), (("secret",), lambda: False)], ids=["key", "session"])
def test_a_file_ends_with_the_key_or_the_session_it_was_asked_for_with(monkeypatch, good, alive):
    monkeypatch.setattr(hub, "MERCY", 0)
    ended: list[str] = []

    async def revoked() -> None:
        here = hub_of(*good)
        reading = asyncio.create_task(read(here, ended, alive=alive))
        while not here.count():
            await asyncio.sleep(0)
        await here.sweep()
        with suppress(asyncio.CancelledError):
            await reading
        assert here.count() == 0

    asyncio.run(asyncio.wait_for(revoked(), 60))


def test_what_a_store_refuses_is_refused_before_the_answer_begins():
    said: list[object] = []

    def busy() -> None:
        raise ApiError("unavailable", "the disk is full")

    async def asked() -> None:
        here = hub_of("secret")
        seat = here.seat(downloads.TOPIC, "one", "secret", "key:one")
        answer = Download(seat, iter(()), "events.csv", "text/csv", busy)

        async def send(message):
            said.append(message)

        with pytest.raises(ApiError, match="disk is full"):
            await answer({"type": "http"}, asyncio.Event().wait, send)
        assert here.count() == 0

    asyncio.run(asked())
    assert said == []
