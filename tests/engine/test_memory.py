"""What is familiar: what is kept of it, what goes when there is too much, and that it survives a restart."""

from __future__ import annotations

import pytest

from sentinel.core.duration import DAY
from sentinel.core.event import Event
from sentinel.engine import memory
from sentinel.engine.memory import Familiar


def login(user: str, at: int, ip: str | None = "203.0.113.9", device: str | None = None) -> Event:
    event = Event()
    event.id, event.name, event.at, event.success = "e", "auth", at, True
    event.user, event.ip, event.device = user, ip, device
    return event


def test_of_too_many_users_those_untouched_longest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KNOWN", 10)
    familiar = Familiar()
    for n in range(100):
        familiar.learn(login("id:regular", n))
        familiar.learn(login(f"id:{n}", n))
    known = [user for user in ("id:regular", *(f"id:{n}" for n in range(100))) if familiar.places(user, 1000)]
    assert known[0] == "id:regular"
    assert 5 <= len(known) <= 10
    assert known[1:] == [f"id:{n}" for n in range(100)][1 - len(known) :]


def test_an_address_is_shared_by_those_who_came_back_on_another_day() -> None:
    familiar = Familiar()
    for user, at in (("id:a", 0), ("id:a", DAY - 1), ("id:b", DAY), ("id:b", 2 * DAY), ("id:c", 3 * DAY), ("id:c", 5)):
        familiar.learn(login(user, at))
    assert [familiar.sharers("203.0.113.9", at) for at in (2 * DAY, 2 * DAY + 1, 3 * DAY + 1)] == [0, 1, 2]


def test_a_device_is_no_address_whatever_it_is_called() -> None:
    familiar = Familiar()
    familiar.learn(login("id:a", 1, ip=None, device="203.0.113.9"))
    assert familiar.places("id:a", 2) == [("user+device", "203.0.113.9")]
    assert not familiar.is_familiar("id:a", "203.0.113.9", None, 2)
    assert familiar.is_familiar("id:a", None, "203.0.113.9", 2)


def test_what_is_familiar_survives_a_restart() -> None:
    familiar, other = Familiar(), Familiar()
    for user, at, device in (("id:a", 1, "device:"), ("id:a", DAY, None), ("id:b", 2, "phone")):
        familiar.learn(login(user, at, device=device))
    assert other.load(familiar.dump())
    assert other.dump() == familiar.dump()
    assert other.places("id:a", DAY) == [("user+ip", "203.0.113.9"), ("user+device", "device:")]
    assert other.sharers("203.0.113.9", DAY + 1) == 1
    assert not other.load(b'[{"id:a": 3}, {}]')
    assert other.places("id:a", DAY) == []
