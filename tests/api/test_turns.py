"""Questions to the explorer: one key's are asked few at once and for so long, and leave room for the others'."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sentinel.edge import turns
from sentinel.edge.access import Caller
from sentinel.edge.errors import ApiError
from sentinel.edge.turns import Turns
from tests.api.served import wait_for
from tests.api.whole import Whole, whole

ONE, OTHER, THIRD = (Caller("app", "read", key, f"key:{key}") for key in ("one", "other", "third"))
NEIGHBOUR = Caller("neighbours", "read", "theirs", "key:theirs")
LOCAL = Caller("app", "admin", "", "local administrator", server=True)


def turns_of(server: Whole) -> Turns:
    return server.server.front.rest.state.context.turns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def take(line: Turns, caller: Caller, seconds: float) -> None:
    async with line.of(caller):
        line._clock.now += seconds


def test_a_key_that_asked_for_too_many_seconds_is_told_when_to_come_back_and_others_are_not():
    clock = Clock()
    line = Turns(clock)

    async def asked() -> None:
        await take(line, ONE, turns.BURST - 1)
        await take(line, ONE, 11)  # what a question takes is known when it is answered
        with pytest.raises(ApiError, match="too many questions that take long") as caught:
            await take(line, ONE, 1)
        assert (caught.value.status, caught.value.code) == (429, "rate_limited")
        clock.now += caught.value.retry_after
        await take(line, ONE, 1)
        await take(line, OTHER, 1)
        await take(line, LOCAL, 10 * turns.BURST)
        await take(line, LOCAL, 1)

    asyncio.run(asked())


def test_of_one_key_few_are_asked_at_once_the_next_wait_and_too_many_are_refused():
    line = Turns()

    async def asked() -> None:
        at_work, most, go = 0, 0, asyncio.Event()

        async def question(caller: Caller) -> None:
            nonlocal at_work, most
            async with line.of(caller):
                at_work += 1
                most = max(most, at_work)
                await go.wait()
                at_work -= 1

        mine = [asyncio.create_task(question(ONE)) for _ in range(turns.AT_ONCE + turns.WAITING)]
        while at_work < turns.AT_ONCE:
            await asyncio.sleep(0)
        with pytest.raises(ApiError, match="too many questions at once with this key"):
            await question(ONE)
        theirs = asyncio.create_task(question(OTHER))
        while at_work == turns.AT_ONCE:
            await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*mine, theirs)
        assert most == turns.AT_ONCE + 1 and not line._lines

    asyncio.run(asked())


def test_however_many_keys_an_app_has_it_leaves_the_explorer_to_the_other_apps():
    """A key of scope `admin` makes as many as it likes."""
    clock = Clock()
    line = Turns(clock)

    async def asked() -> None:
        async with line.of(ONE), line.of(ONE), line.of(OTHER):
            waiting = asyncio.create_task(take(line, OTHER, 0))
            await asyncio.sleep(0)
            await take(line, NEIGHBOUR, 1)
            assert not waiting.done()
        await waiting
        async with line.of(ONE), line.of(OTHER), line.of(THIRD):
            clock.now += turns.BURST - 1
        with pytest.raises(ApiError, match="too many questions that take long"):
            await take(line, Caller("app", "read", "new", "key:new"), 1)
        await take(line, NEIGHBOUR, 1)
        assert not line._lines

    asyncio.run(asked())


def test_who_waits_too_long_or_leaves_takes_no_place(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.01)
    line = Turns()

    async def asked() -> None:
        async with line.of(ONE), line.of(ONE):
            with pytest.raises(ApiError, match="too many questions at once"):
                await take(line, ONE, 0)
            monkeypatch.setattr(turns, "PATIENCE", 60)
            gone = asyncio.create_task(take(line, ONE, 0))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        assert not line._lines

    asyncio.run(asked())


PATHS = (
    "/v1/events?q=event+!=+%22x%22", "/v1/events/timeseries", "/v1/events/top?field=ip", "/v1/events/names",
    "/v1/funnel?step=a&step=b", "/v1/retention", "/v1/reports/day", "/v1/users", "/v1/users/id:1", "/v1/ips/192.0.2.1",
    "/v1/blocklist.txt", "/v1/blocklist.nginx", "/v1/blocklist.haproxy",
)  # fmt: skip


def test_a_key_that_asks_without_end_leaves_the_explorer_to_others(tmp_path, monkeypatch):
    """It is the one whose questions wait."""
    with whole(tmp_path) as server:
        explorer, go, at_work = server.server.store.explorer, threading.Event(), []
        names, reader = explorer.names, server.using("read")

        def slow(*given):
            at_work.append(given)
            go.wait(30)
            return names(*given)

        monkeypatch.setattr(explorer, "names", slow)
        asking = [threading.Thread(target=reader.get, args=("/v1/events/names",)) for _ in range(turns.AT_ONCE + 3)]
        for one in asking:
            one.start()
        wait_for(lambda: len(at_work) == turns.AT_ONCE and len(turns_of(server)._lines) == 2)
        assert server.using("admin").get("/v1/events/top?field=ip").status == 200
        assert len(at_work) == turns.AT_ONCE
        go.set()
        for one in asking:
            one.join(30)


@pytest.mark.parametrize("path", PATHS)
def test_each_question_that_may_take_long_waits_for_its_turn(asked, path):
    assert asked.using("read").get(path).status == 429
    assert asked.using("admin").get(path).status != 429


def test_drafts_wait_for_their_turn_as_questions_do(asked):
    """Thirty whose tests take long, of one app, held up the events of all."""
    made = asked.using("admin").post("/v1/keys", {"scope": "admin"}).json
    drafting, found = asked.client.using(made["secret"]), turns_of(asked)
    assert drafting.post("/v1/playbooks/check", {"text": ""}).status == 200
    found._of_keys.spend(made["id"], 100 * turns.BURST, found._clock())
    for path, more in (("check", {}), ("test", {}), ("backtest", {"since": "1d"})):
        assert drafting.post(f"/v1/playbooks/{path}", {"text": "", **more}).status == 429


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A server whose key for reading has asked for too much."""
    with whole(tmp_path_factory.mktemp("turns")) as server:
        found = turns_of(server)
        key = server.server.store.access.key(server.secrets["one", "read"])
        found._of_keys.spend(key.id, 100 * turns.BURST, found._clock())
        yield server
