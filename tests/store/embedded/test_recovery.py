"""kill -9 at any moment, DuckDB's log damaged in between: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sentinel.core.record import Filter
from sentinel.store.embedded.store import EVENTS, open_store
from tests.store.embedded.committer import EACH

ROOT = Path(__file__).parents[3]


def run(folder: Path, first: int, lots: int) -> tuple[int, list[str]]:
    """Let a process commit so many lots, kill it, and return the last acknowledged one and all it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.embedded.committer", str(folder), str(first)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        said = [child.stdout.readline().strip() for _ in range(lots + 1)]
        child.kill()
        said += child.stdout.read().split("\n")  # what it had said by then
        errors = child.stderr.read()
    assert said[0].startswith("open"), errors
    acknowledged = [int(line) for line in said[1:] if line.isdecimal()]
    return acknowledged[-1], said


def damage(log: Path, chance: random.Random) -> None:
    """Harm a log at its end or in its midst, if there is one."""
    if not log.exists() or log.stat().st_size < 1000:
        return
    data = log.read_bytes()
    at = chance.choice([len(data) - 200, len(data) // 2])
    log.write_bytes(chance.choice([data[:at] + bytes(len(data) - at), data[:at], data[:at] + b"\xff" + data[at + 1 :]]))


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_is_there_once_after_kills_and_damaged_logs(tmp_path, seed):
    chance, data = random.Random(seed), tmp_path / "data"
    last = -1
    for _ in range(4):
        last, _ = run(data, last + 1, chance.randint(5, 60))
        if chance.random() < 0.7:
            damage(data / f"{EVENTS}.wal", chance)
    store = open_store(data)
    assert store.health().explorer is None
    found = Counter(one.id for one in store.events.in_order("shop", 0))
    wanted = [f"{number}.{n}" for number in range(last + 1) for n in range(EACH)]
    assert [id for id in wanted if found[id] != 1] == []
    more = set(found) - set(wanted)
    assert more in (set(), {f"{last + 1}.{n}" for n in range(EACH)}), "one lot may be on disk and not acknowledged"
    total = last + 1 + bool(more)
    assert store.events.count("shop", Filter()) == total * EACH
    assert sum(1 for _ in store.findings.since("shop", 0)) == total
    assert len(store.outbox.due(2**60, limit=10_000)) == total
    assert store.decisions.revision("shop") == total
    added = [one.value for one in store.decisions.delta("shop", 0, 0).added]
    assert sorted(added) == sorted(f"{kind}:{n}" for n in range(total) for kind in ("id", "email"))
    assert [store.people.keys("shop", f"email:{n}")[0] for n in (0, last)] == ["id:0", f"id:{last}"]
    store.close()


def test_the_order_of_arrival_outlives_a_crash(tmp_path):
    """Windows follow the journal from a position on, across kills: it must not turn."""
    data, last = tmp_path / "data", -1
    for lots in (20, 25):
        last, _ = run(data, last + 1, lots)
    store = open_store(data)
    arrived = [kept.event.id for kept in store.events.after("shop", 0)]
    numbers = [int(id.partition(".")[0]) for id in arrived]
    assert numbers == sorted(numbers)
    positions = [kept.position for kept in store.events.after("shop", 0)]
    assert positions == sorted(set(positions))
    store.close()
