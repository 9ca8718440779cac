"""Make streams of events for benchmarks: any size, always the same, as fast as Python writes lines.

    python bench/stream.py --events 1000000 --output /tmp/events.ndjson
    python bench/stream.py                     # how fast, against json.dumps

Four of ten events are logins (three of ten of them fail), one of twenty is a sign-up, the rest is what a product does.
Nothing here knows what a playbook is.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

EVENTS, USERS, ADDRESSES = 1_000_000, 50_000, 20_000
START = 1_767_571_200  # 2026-01-05T00:00:00Z, a Monday
LOT = 10_000
ATTACKER = "198.51.100.1"

# How many of a hundred events are like it, the name, and what follows; `#` is another number in each of the hundred.
SHAPES = (
    (28, "auth", ',"success":true,"request":{"method":"POST","path":"/login","status":200}'),
    (12, "auth", ',"success":false,"request":{"method":"POST","path":"/login","status":401}'),
    (5, "signup", ',"request":{"method":"POST","path":"/signup","status":200}'),
    (40, "page.viewed", ',"request":{"method":"GET","path":"/shoes/#","status":200}'),
    (6, "invoice.created", ',"properties":{"amount":9#,"rows":#}'),
    (5, "payment.succeeded", ',"properties":{"amount":2#,"instrument":"pm_#"}'),
    (2, "payment.failed", ',"properties":{"amount":1,"instrument":"pm_#"}'),
    (2, "invitation.sent", ',"properties":{"email":"friend#@example.org"}'),
)
HUNDRED = tuple((name, rest.replace("#", str(n))) for share, name, rest in SHAPES for n in range(share))


def address(n: int) -> str:
    """Return the n-th address: every third is IPv6 in a network of its own, the others are of 198.18.0.0/15.

    Those IPv4 addresses are reserved for benchmarks; past 131,072 they repeat.
    """
    if n % 3 == 0:
        return f"2001:db8:{n >> 16:x}:{n & 0xFFFF:x}::1"
    return f"198.{18 + n // 65_536 % 2}.{n // 256 % 256}.{n % 256}"


def people(users: int) -> list[str]:
    """Return the JSON of every user, ready to be put into a line."""
    return [f'{{"id":"{n}","email":"user{n}@example.com"}}' for n in range(users)]


def lines(
    events: int = EVENTS,
    *,
    users: int = USERS,
    addresses: int = ADDRESSES,
    rate: int = 500,
    attack: float = 0.0,
    seed: int = 1,
    start: int = START,
) -> Iterator[str]:
    """Give `events` lines of NDJSON in the order of time, `rate` of them a second from `start` (epoch seconds).

    `attack` is the share of events that are failed logins of random users from the one address ATTACKER.
    The same arguments give the same lines.
    """
    dice = random.Random(seed)
    who, where = people(users), [address(n) for n in range(addresses)]
    parts = [(f'","event":"{name}","user":', f'"{rest}}}\n') for name, rest in HUNDRED]
    guess = next(part for part in parts if '"success":false' in part[1])
    for first in range(0, events, LOT):
        size = min(LOT, events - first)
        kinds, places = dice.choices(parts, k=size), dice.choices(where, k=size)
        if attack:
            for n in range(size):
                if dice.random() < attack:
                    kinds[n], places[n] = guess, ATTACKER
        numbers = range(first, first + size)
        for n, (head, tail), user, ip in zip(numbers, kinds, dice.choices(who, k=size), places, strict=True):
            stamp = moment(start, n, rate)
            yield f'{{"id":"{n:08x}-0000-7000-8000-{n:012x}","timestamp":"{stamp}{head}{user},"ip":"{ip}{tail}'


_seconds: dict[int, str] = {}


def moment(start: int, n: int, rate: int) -> str:
    """Return the time of the n-th event in RFC 3339."""
    second, part = divmod(n, rate)
    text = _seconds.get(start + second)
    if text is None:
        _seconds.clear()
        text = _seconds[start + second] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start + second))
    return f"{text}.{part * 1_000_000 // rate:06d}Z"


def write(file: TextIO, events: int = EVENTS, **options: Any) -> None:
    """Write a stream; the options are those of `lines`."""
    file.writelines(lines(events, **options))


def naive(events: int) -> Iterator[str]:
    """Make lines of the same shape as anybody would: a dictionary and json.dumps for each."""
    dice = random.Random(1)
    hundred = [{"event": name, **json.loads("{" + rest[1:] + "}")} for name, rest in HUNDRED]
    for n in range(events):
        number = dice.randrange(USERS)
        user = {"id": str(number), "email": f"user{number}@example.com"}
        event = {"id": f"{n:08x}-0000-7000-8000-{n:012x}", "timestamp": moment(START, n, 500), "user": user}
        event |= dice.choice(hundred) | {"ip": address(dice.randrange(ADDRESSES))}
        yield json.dumps(event) + "\n"


def speed(make: Callable[[int], Iterator[str]], events: int) -> float:
    """Return how many lines a second come out."""
    began = time.perf_counter()
    for _ in make(events):
        pass
    return events / (time.perf_counter() - began)


def main() -> None:
    """Write a stream, or print how fast it is made."""
    parser = argparse.ArgumentParser(description="Make a stream of events for benchmarks.")
    parser.add_argument("--output", "-o", help="the file to write, `-` for standard output; none: measure only")
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--addresses", type=int, default=ADDRESSES)
    parser.add_argument("--rate", type=int, default=500, help="events a second of event time")
    parser.add_argument("--attack", type=float, default=0.0, help=f"share of events from one attacker, {ATTACKER}")
    parser.add_argument("--seed", type=int, default=1)
    options = vars(parser.parse_args())
    output = options.pop("output")
    if output is None:
        fast, slow = speed(lines, 200_000), speed(naive, 50_000)
        print(f"stream.lines {fast:,.0f} lines/s, json.dumps {slow:,.0f} lines/s: {fast / slow:.1f} times as fast")
    elif output == "-":
        write(sys.stdout, **options)
    else:
        with Path(output).open("w", encoding="utf-8") as file:
            write(file, **options)


if __name__ == "__main__":
    main()
