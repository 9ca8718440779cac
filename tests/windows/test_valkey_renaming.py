"""A deleted person in what servers share: no key and no member names them, and counts of others go on."""

from __future__ import annotations

import pytest

from sentinel.engine.windows import Gauge, Hit, Threshold, Watch
from sentinel.windows import together
from sentinel.windows.link import open_link
from sentinel.windows.valkey import ValkeyWindows
from tests import valkey
from tests.service.stories import DAY, MINUTE, START, events, passed

NAMES = {"id:jane": "gone:1"}


@pytest.fixture(params=["one server", "a cluster"])
def site(request):
    server = valkey.shared() if request.param == "one server" else valkey.Cluster()
    servers = [server] if request.param == "one server" else server.servers
    for one in servers:
        one.client().flushall()
    link = open_link(server.url)
    yield link, servers
    link.close()
    if request.param != "one server":
        server.end()


def everything(servers):
    """Return every key with its value, as bytes."""
    return b"".join(key + one.client().dump(key) for one in servers for key in one.client().scan_iter())


def test_no_room_names_a_deleted_person_and_the_others_stay(site):
    link, servers = site
    _, memory = together.shared_memory(link, "shop", lambda watch: 60_000, lambda *of: None)
    for day in (0, 1):
        for user in ("jane", "john"):
            (event,) = events([passed(f"{user}{day}", day * 86_400, user=user)])
            event.user = f"id:{user}"
            memory.familiar.learn(event)
    memory.crowd.learn("w", "203.0.113.9", "id:jane", START)
    memory.crowd.learn("w", "203.0.113.9", "id:john", START)
    memory.ledger.record("p", "block_user", "id:jane", START, "f")
    memory.familiar.tell()
    assert b"jane" in everything(servers)
    memory.familiar.rename(NAMES)
    memory.crowd.rename(NAMES)
    memory.ledger.rename(NAMES, ["p"])
    assert b"jane" not in everything(servers)
    assert sorted(memory.crowd.of("w", "203.0.113.9", 0)[0]) == ["gone:1", "id:john"]
    assert memory.familiar.sharers("203.0.113.9", START + 9 * DAY) == 2
    assert memory.familiar.places("id:jane", START + 9 * DAY) == []
    assert memory.familiar.places("id:john", START + 9 * DAY) != []
    assert memory.ledger.targets("p", 0) == {"gone:1"}
    assert memory.ledger.times("p", "block_user", "id:jane", START + 1, "g") == 0, "whoever comes back is somebody new"


def test_a_persons_own_windows_begin_anew_and_others_go_on(site):
    link, _ = site
    windows = ValkeyWindows(link, "shop", [Watch("w", MINUTE, MINUTE, Threshold((Gauge("count", 3),)))])
    windows.mark(b"1")
    windows.begin(b"1")
    for user in ("id:jane", "id:john"):
        windows.hit([Hit("w", user, START + n, f"{user}{n}", (1,), True, None) for n in range(2)], START)
    windows.rename(NAMES)
    last = [Hit("w", user, START + 2, f"{user}2", (1,), True, None) for user in ("id:jane", "id:john")]
    assert [opening.hit.key for opening in windows.hit(last, START)] == ["id:john"]
