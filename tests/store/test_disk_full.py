"""A full disk: commits are refused, not half done, and go on when there is room; what was acknowledged stays."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from contextlib import contextmanager

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App, Filter
from sentinel.store.embedded import open_store
from tests.contract.values import NOW, batch, decision, event, put

TEXT = os.urandom(1500).hex()  # nothing to compress


def lot(number):
    return tuple(event(f"{number}.{n}", NOW + number, properties={"text": f"{number}.{n}{TEXT}"}) for n in range(20))


@contextmanager
def mounted(folder):
    """Mount a small file system; skip where that is not allowed."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    ran = subprocess.run(["mount", *options], capture_output=True, timeout=20, check=False)
    if ran.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], timeout=20, check=True)


def fill(store, first=0):
    """Commit until the disk is full; return the numbers that were acknowledged."""
    done = []
    for number in range(first, first + 2000):
        try:
            put(store, batch(events=lot(number), decisions=(decision(f"d{number}", f"id:{number}"),)))
        except StoreBusy as error:
            assert error.retry_after > 0
            return done
        done.append(number)
        if number % 10 == 0:
            store.project()
    raise AssertionError("the disk did not fill up")


def check(store, done):
    assert store.events.count("shop", Filter()) == 20 * len(done)
    assert {kept.id for kept in store.events.in_order("shop", 0)} == {f"{n}.{m}" for n in done for m in range(20)}
    assert [one.id for one in store.decisions.delta("shop", 0, NOW).added] == [f"d{n}" for n in done]


def test_a_full_disk_loses_nothing_and_commits_go_on_when_there_is_room(tmp_path):
    with mounted(tmp_path / "small") as small:
        ballast = small / "ballast"
        ballast.write_bytes(bytes(2 << 20))
        store = open_store(small / "data")
        store.access.put_app(App("shop"), "test", NOW)
        done = fill(store)
        assert len(done) > 5
        for _ in range(5):
            store.project()
            store.checkpoint()
        with pytest.raises(StoreBusy):
            for number in range(5000, 5100):
                put(store, batch(events=lot(number)))
                done.append(number)
        ballast.unlink()
        for _ in range(100):
            store.project()
        more = next(number for number in range(9000, 9001))
        put(store, batch(events=lot(more), decisions=(decision(f"d{more}", f"id:{more}"),)))
        store.close()
        store = open_store(small / "data")
        ids = {kept.id for kept in store.events.in_order("shop", 0)}
        assert ids == {f"{n}.{m}" for n in [*done, more] for m in range(20)}
        store.close()
