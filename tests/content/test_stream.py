"""Streams for benchmarks are what they claim: the same every time, in order, of the mix that the figures are about."""

import io
import json
from collections import Counter
from typing import Any

from bench import stream
from sentinel.core import event as events


def _made(count: int, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.lines(count, **options)]


def test_as_many_lines_come_out_as_were_asked_for_whatever_the_lots() -> None:
    assert len(list(stream.lines(stream.LOT + 1))) == stream.LOT + 1
    assert list(stream.lines(0)) == []


def test_the_same_arguments_give_the_same_lines() -> None:
    assert list(stream.lines(2_500, seed=3)) == list(stream.lines(2_500, seed=3))
    assert list(stream.lines(2_500, seed=3)) != list(stream.lines(2_500, seed=4))


def test_every_line_is_an_event_that_the_server_takes() -> None:
    read = [events.read(raw) for raw in _made(3_000)]
    assert all(one.user and one.ip for one in read)


def test_events_come_in_the_order_of_time_at_the_given_rate_and_no_id_comes_twice() -> None:
    made = _made(3_000, rate=1_000)
    stamps = [one["timestamp"] for one in made]
    assert stamps == sorted(set(stamps))
    assert stamps[1_000] == "2026-01-05T00:00:01.000000Z"
    assert len({one["id"] for one in made}) == 3_000
    assert {len(one["id"]) for one in made} == {36}


def test_four_of_ten_are_logins_of_which_three_of_ten_fail_and_one_of_twenty_is_a_signup() -> None:
    made = _made(40_000)
    names = Counter(one["event"] for one in made)
    failed = sum(one.get("success") is False for one in made)
    assert abs(names["auth"] / 40_000 - 0.40) < 0.01
    assert abs(failed / names["auth"] - 0.30) < 0.02
    assert abs(names["signup"] / 40_000 - 0.05) < 0.01


def test_no_more_users_and_addresses_than_asked_for() -> None:
    made = _made(5_000, users=20, addresses=30)
    assert len({one["user"]["id"] for one in made}) == 20
    assert len({one["ip"] for one in made}) == 30


def test_addresses_differ_as_far_as_the_reserved_range_allows() -> None:
    assert len({stream.address(n) for n in range(100_000)}) == 100_000


def test_an_attack_is_failed_logins_of_many_users_from_one_address() -> None:
    made = [one for one in _made(20_000, attack=0.1) if one["ip"] == stream.ATTACKER]
    assert abs(len(made) / 20_000 - 0.1) < 0.01
    assert {(one["event"], one["success"]) for one in made} == {("auth", False)}
    assert len({one["user"]["id"] for one in made}) > len(made) / 2


def test_what_is_written_are_the_lines() -> None:
    file = io.StringIO()
    stream.write(file, 100, seed=9)
    assert file.getvalue() == "".join(stream.lines(100, seed=9))
