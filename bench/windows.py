"""What do windows cost: memory a group, time a hit with many groups, one attacker against many, late hits?

Each figure is a ratio against something named and measured in the same run: a dictionary of deques, which keeps the
last n hits a group and is wrong as soon as events come late; fewer groups; many senders.

usage: windows.py [--groups 1000000]
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import resource
import subprocess
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator

from sentinel.engine.windows import Gauge, Hit, Threshold, Watch
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows

MINUTE = 60_000_000
COUNT = Threshold((Gauge("count", 10),))
DISTINCT = Threshold((Gauge("distinct", 10),))
RATIO = Threshold((Gauge("count", 10), Gauge("ratio", 900_000)))
SECOND = 1_000_000


def watched(detector: Threshold, groups: int = 2_000_000) -> MemoryWindows:
    return MemoryWindows([Watch("w", 10 * MINUTE, 10 * MINUTE, detector)], Limits(groups=groups))


def hit(group: int, at: int, number: int, value: object = 1) -> Hit:
    return Hit("w", f"id:{group:06d}", at, str(uuid.UUID(int=number << 64 | 7)), (value,), True, None)


def resident() -> int:
    """Return the memory of this process, in bytes."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def nine_hits(groups: int, wave: int) -> Iterator[Hit]:
    """Give nine hits of each group; `wave` groups at a time get their hits in turn."""
    number = 0
    for first in range(0, groups, wave):
        for _ in range(9):
            for group in range(first, min(first + wave, groups)):
                yield hit(group, number, number)
                number += 1


def fill_windows(groups: int, wave: int) -> object:
    windows = watched(COUNT, groups * 2)
    for one in nine_hits(groups, wave):
        windows.hit((one,), one.at)
    return windows


def fill_deques(groups: int, wave: int) -> object:
    kept: dict[str, deque[tuple[int, str]]] = {}
    for one in nine_hits(groups, wave):
        kept.setdefault(one.key, deque(maxlen=10)).append((one.at, one.id))
    return kept


FILLS: dict[str, Callable[[int, int], object]] = {"windows": fill_windows, "deques": fill_deques}


def grown(name: str, groups: int, wave: int) -> float:
    """Return how many bytes a group the memory of a process of its own grew by."""
    command = [sys.executable, __file__, "--fill", name, "--groups", str(groups), "--wave", str(wave)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)


def fill(name: str, groups: int, wave: int) -> None:
    gc.disable()
    before = resident()
    kept = FILLS[name](groups, wave)
    print((resident() - before) / groups)
    del kept


def cost(hits: list[Hit], detector: Threshold) -> float:
    """Return microseconds of processor a hit, the best of three."""
    best = float("inf")
    for _ in range(3):
        windows = watched(detector)
        began = time.process_time()
        for one in hits:
            windows.hit((one,), one.at)
        best = min(best, time.process_time() - began)
    return best / len(hits) * 1e6


def stream(size: int, groups: int, warm: int = 0) -> list[Hit]:
    """Return hits on groups by chance; values are 50 users."""
    chance = random.Random(1)
    return [hit(chance.randrange(groups), warm + n * 1000, n, f"u{chance.randrange(50)}") for n in range(size)]


def counted(hits: list[Hit]) -> list[Hit]:
    return [one._replace(values=(1,)) for one in hits]


def late(seconds: int) -> list[Hit]:
    """Return hits of 20 groups, 300 of each in a window, that are up to so late; three in ten count for the ratio."""
    chance = random.Random(1)
    return [
        hit(chance.randrange(20), n * SECOND // 10 - chance.randrange(seconds * SECOND + 1), n)
        ._replace(values=(1, (1, SECOND * (chance.random() < 0.3))))
        for n in range(10_000, 50_000)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=1_000_000)
    parser.add_argument("--fill", choices=FILLS)
    parser.add_argument("--wave", type=int, default=10_000)
    asked = parser.parse_args()
    if asked.fill:
        fill(asked.fill, asked.groups, asked.wave)
        return
    print(f"resident memory a group, count of 10 with nine hits, {asked.groups:,} groups")
    for how, wave in ((f"{asked.wave:,} groups at a time", asked.wave), ("all groups in step", asked.groups)):
        ours, naive = grown("windows", asked.groups, wave), grown("deques", asked.groups, wave)
        print(f"  {how}: ours {ours:.0f} bytes, a dictionary of deques {naive:.0f}: {naive / ours:.1f} times as much")
    gc.disable()
    for name, detector, prepare in (("count of 10", COUNT, counted), ("10 different", DISTINCT, list)):
        few, many = (prepare(stream(300_000, groups)) for groups in (1_000, 100_000))
        one = prepare(stream(300_000, 1))
        small, large, attack = cost(few, detector), cost(many, detector), cost(one, detector)
        print(f"{name}: µs a hit with 1,000 groups {small:.2f}, with 100,000 {large:.2f}: ratio {large / small:.2f}")
        print(f"{name}: µs a hit from one sender {attack:.2f}, from 1,000 {small:.2f}: ratio {attack / small:.2f}")
    prompt, minute = cost(late(0), RATIO), cost(late(60), RATIO)
    print(f"ratio: µs a hit in order {prompt:.2f}, up to a minute late {minute:.2f}: ratio {minute / prompt:.2f}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
