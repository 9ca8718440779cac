"""A full disk: commits are refused, not half done, and go on when there is room; what was acknowledged stays."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import contextmanager

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App
from sentinel.store.embedded.store import open_store
from tests.contract.values import NOW, batch, decision, event, put

TEXT = os.urandom(1500).hex()  # nothing to compress


def lot(number):
    return tuple(event(f"{number}.{n}", NOW + number, properties={"text": f"{number}.{n}{TEXT}"}) for n in range(20))


@contextmanager
def mounted(folder):
    """Mount a small file system; skip where that is not allowed."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    ran = subprocess.run(["mount", *options], capture_output=True, timeout=300, check=False)
    if ran.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], timeout=300, check=True)


@contextmanager
def limited(size):
    """Let no file of this process grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def check(store, done):
    """Everything acknowledged is there once, and nothing else."""
    found = [kept.id for kept in store.events.in_order("shop", 0)]
    assert sorted(found) == sorted(f"{n}.{m}" for n in done for m in range(20))
    assert [one.id for one in store.decisions.delta("shop", 0, NOW).added] == [f"d{n}" for n in done]


def fill(store, numbers):
    """Commit until the disk is full; return the numbers that were acknowledged."""
    done = []
    for number in numbers:
        try:
            put(store, batch(events=lot(number), decisions=(decision(f"d{number}", f"id:{number}"),)))
        except StoreBusy as error:
            assert error.retry_after > 0
            return done
        done.append(number)
        if number % 10 == 0:
            store.project()
    raise AssertionError("the disk did not fill up")


def test_a_full_disk_loses_nothing_and_commits_go_on_when_there_is_room(tmp_path):
    with mounted(tmp_path / "small") as small:
        ballast = small / "ballast"
        ballast.write_bytes(bytes(25 << 20))
        store = open_store(small / "data")
        store.access.add_app(App("shop"), "test", NOW)
        numbers = iter(range(10_000))
        done = fill(store, numbers)
        assert len(done) > 5
        for _ in range(3):
            store.project()
            store.checkpoint()
            done += fill(store, numbers)
        ballast.unlink()
        for _ in range(200):
            store.project()
        assert store.health().explorer is None
        last = next(numbers)
        put(store, batch(events=lot(last), decisions=(decision(f"d{last}", f"id:{last}"),)))
        done.append(last)
        check(store, done)
        store.close()
        store = open_store(small / "data")
        check(store, done)
        store.close()


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path):
    store = open_store(tmp_path / "data")
    store.access.add_app(App("shop"), "test", NOW)
    numbers = iter(range(10_000))
    with limited(2 << 20):
        done = fill(store, numbers)
        for _ in range(3):
            store.project()
            store.checkpoint()
    assert len(done) > 5
    for _ in range(200):
        store.project()
    last = next(numbers)
    put(store, batch(events=lot(last), decisions=(decision(f"d{last}", f"id:{last}"),)))
    check(store, [*done, last])
    store.close()
    store = open_store(tmp_path / "data")
    check(store, [*done, last])
    store.close()


def test_where_a_batch_has_no_room_that_is_told(tmp_path):
    store = open_store(tmp_path / "data")
    before = sorted(tmp_path.rglob("*"))
    with limited(1 << 19), pytest.raises(StoreBusy, match="has no room: File too large"):
        store.room()
    store.room()
    assert sorted(tmp_path.rglob("*")) == before
    store.close()
