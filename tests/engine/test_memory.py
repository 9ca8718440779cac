"""What is familiar: what is kept of it, what goes when there is too much, and that it survives a restart."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.duration import DAY
from sentinel.core.event import Event
from sentinel.engine import memory
from sentinel.engine.memory import LADDER, Familiar, Ledger


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


def places_of(familiar: Familiar) -> set[str]:
    return {value for _, value in familiar.places("id:a", 10_000 * DAY)}


def test_of_too_many_places_of_a_user_the_one_last_used_longest_ago_goes() -> None:
    familiar, count = Familiar(), memory.PLACES
    for n in range(count):
        familiar.learn(login("id:a", n * DAY, ip=f"10.0.0.{n}"))
    familiar.learn(login("id:a", count * DAY, ip="10.0.0.0"))
    restarted = Familiar()
    assert restarted.load(familiar.dump())
    for one in (familiar, restarted):
        one.learn(login("id:a", (count + 1) * DAY, ip="10.0.1.1"))
        assert places_of(one) == {"10.0.1.1", *(f"10.0.0.{n}" for n in range(count) if n != 1)}
        assert one.is_familiar("id:a", "10.0.0.0", None, 1), "since its first use, not its last"
    assert [*restarted.dump()] == [*familiar.dump()]


def test_a_place_older_than_all_that_are_kept_displaces_none() -> None:
    familiar = Familiar()
    for n in range(memory.PLACES):
        familiar.learn(login("id:a", (100 + n) * DAY, ip=f"10.0.0.{n}"))
    before = places_of(familiar)
    familiar.learn(login("id:a", DAY, ip="10.0.1.1"))
    assert places_of(familiar) == before


LOGINS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcdef")), unique_by=lambda one: one[0])


@given(LOGINS)
def test_the_newest_places_are_kept_with_their_first_use_in_the_order_of_time(logins: list[tuple[int, str]]) -> None:
    familiar, seen, first = Familiar(), list[str](), dict[str, int]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "PLACES", 3)
        for day, device in sorted(logins):
            familiar.learn(login("id:a", day * DAY, ip=None, device=device))
            seen = [one for one in seen if one != device] + [device]
            for gone in seen[:-3]:
                first.pop(gone, None)
            seen = seen[-3:]
            first.setdefault(device, day * DAY)
    assert places_of(familiar) == set(seen)
    for device, at in first.items():
        assert [familiar.is_familiar("id:a", None, device, when) for when in (at, at + 1)] == [False, True]


@pytest.mark.parametrize("known", [10, 200_000], ids=["touched long ago", "touched of late"])
def test_events_at_shared_addresses_are_those_of_users_where_two_came_back(
    monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    monkeypatch.setattr(memory, "KNOWN", known)
    familiar = Familiar()
    asked = [
        login(user, 9 * DAY, ip=ip) for user in ("id:a", "") for ip in ("10.0.0.1", "10.0.0.2", "2001:db8::1", None)
    ]
    assert familiar.at_shared(asked) == []
    for user, ip in (
        ("id:a", "10.0.0.1"),
        ("id:b", "10.0.0.1"),
        ("id:a", "10.0.0.2"),
        *(2 * [("id:c", "2001:db8::9")]),
    ):
        for day in (0, 1):
            familiar.learn(login(user, day * DAY, ip=ip))
    assert familiar.at_shared(asked) == [asked[0]]
    for day in (0, 1):
        familiar.learn(login("id:d", day * DAY, ip="2001:db8::2"))
        for n in range(5):
            familiar.learn(login("id:e", day * DAY, ip=f"10.0.1.{n}"))
    assert familiar.at_shared(asked) == [asked[0], asked[2]], "one network of IPv6 is one address"


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
    assert [*other.dump()] == [*familiar.dump()]
    assert other.places("id:a", DAY) == [("user+ip", "203.0.113.9"), ("user+device", "device:")]
    assert other.sharers("203.0.113.9", DAY + 1) == 1
    for damaged in (b'[{"id:a": 3}, {}]', b'[{"id:a": [["user+ip", "203.0.113.9", 1]]}, {}]', b"[{}, {}]]"):
        assert not other.load([*familiar.dump(), damaged])
        assert other.places("id:a", DAY) == []


def test_of_a_deleted_person_nothing_is_familiar_and_a_shared_address_stays_shared() -> None:
    familiar = Familiar()
    for user, at in (("id:a", 1), ("id:a", DAY), ("id:b", 2), ("id:b", DAY)):
        familiar.learn(login(user, at))
    familiar.rename({"id:a": "gone:1", "email:a@b.example": "gone:2"})
    assert b"id:a" not in b"".join(familiar.dump())
    assert familiar.places("id:a", 2 * DAY) == familiar.places("gone:1", 2 * DAY) == []
    assert familiar.places("id:b", 2 * DAY) == [("user+ip", "203.0.113.9")]
    assert familiar.sharers("203.0.113.9", 2 * DAY) == 2


@pytest.mark.parametrize("guarded", [True, False], ids=["with a guard", "without"])
def test_targets_whose_ladder_has_come_to_its_beginning_take_no_room(guarded: bool) -> None:
    ledger = Ledger()
    for day in range(300):
        ledger.record("p", "block_ip", f"203.0.113.{day}", day * DAY, f"f{day}")
        if guarded:
            ledger.targets("p", day * DAY)
    newest = 299
    assert ledger.times("p", "block_ip", f"203.0.113.{newest}", 300 * DAY, "another") == 1
    assert ledger.times("p", "block_ip", f"203.0.113.{newest - 28}", 300 * DAY, "another") == 1
    other = Ledger()
    for day in range(newest - LADDER // DAY, 300):
        other.record("p", "block_ip", f"203.0.113.{day}", day * DAY, f"f{day}")
        if guarded:
            other.targets("p", day * DAY)
    assert len(pickle.dumps(ledger)) < 1.1 * len(pickle.dumps(other))


def test_a_guard_of_thirty_days_counts_all_of_them() -> None:
    ledger = Ledger()
    for day in range(40):
        ledger.record("p", "block_user", f"id:{day}", day * DAY, f"f{day}")
    assert ledger.targets("p", 40 * DAY - LADDER) == {f"id:{day}" for day in range(11, 40)}


def test_a_guard_that_trips_while_somebody_asks_which_hold_breaks_off_no_answer() -> None:
    ledger = Ledger()

    class Until(int):
        def __gt__(self, now: int) -> bool:
            ledger.trip("another", 9)
            return int(self) > now

    ledger.trip("p", Until(9))
    assert ledger.monitoring(5) == {"p"}
