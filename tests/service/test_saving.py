"""State is kept while events come in: none waits for what is written, and each counts once after the restart."""

from __future__ import annotations

import pytest

from sentinel.engine import lines
from sentinel.service.saving import CLOCK, CROWD, FAMILIAR
from tests.service.machine import Machine
from tests.service.stories import failed, passed
from tests.service.test_everybody import ATTACK, EVERYBODY, HOME, SPARED, acted_on
from tests.service.test_restore import FAILED


def eight(playbook):
    return FAILED.replace("playbook: p", f"playbook: {playbook}").replace("count: 3", "count: 8")


@pytest.fixture
def meanwhile(store, monkeypatch):
    """Have events come in, one before each write; give the names of what was written, in its order."""

    def begin(machine, raws):
        keep, written, left = store.snapshots.save, [], list(raws)

        def between(app, state):
            assert not machine.pipeline.lock.locked(), "events wait for what is written"
            assert machine.pipeline.saving.locked(), "another could keep what is newer, and this take its place"
            if left:
                machine.send(left.pop(0))
            keep(app, state)
            written.append(state.watch)

        monkeypatch.setattr(store.snapshots, "save", between)
        return written

    return begin


def test_what_comes_between_two_pieces_counts_once_in_each(store, meanwhile):
    machine = Machine(store, [eight("a"), eight("b"), eight("c")])
    written = meanwhile(machine, [failed(f"f{n}", n) for n in range(6)])
    machine.save()
    assert written == ["a", "b", "c", FAMILIAR, CROWD, CLOCK]
    machine.boot()
    machine.send(failed("f6", 6))
    assert machine.findings == []
    machine.send(failed("f7", 7))
    assert [key for key, _, _ in machine.findings] == ["id:u"] * 3


@pytest.mark.parametrize("text", [EVERYBODY, SPARED])
def test_whoever_is_seen_meanwhile_is_acted_on_after_it(store, meanwhile, text):
    machine = Machine(store, [text])
    machine.send(*HOME)
    meanwhile(machine, ATTACK[:4])
    machine.save()
    machine.boot()
    machine.send(*ATTACK[4:])
    assert acted_on(machine) == ["id:a", "id:b", "id:x"]


def test_where_users_log_in_meanwhile_is_familiar_after_it(store, monkeypatch):
    """Each is written down by itself; one who is already, and one who is not yet, logs in again a day later."""
    monkeypatch.setattr(lines, "PART", 1)
    machine = Machine(store, [FAILED])
    users = [f"id:u{n}" for n in range(5)]
    machine.send(*(passed(f"u{n}", n, user=f"u{n}") for n in range(5)))
    turns = iter(range(86_400, 2 * 86_400))

    def another(_):
        turn = next(turns)
        machine.send(*(passed(f"{user}-{turn}", turn, user=user, device=f"phone-{turn % 4}") for user in ("u0", "u4")))

    monkeypatch.setattr("sentinel.service.saving.time.sleep", another)
    machine.save()
    assert next(turns) > 86_400 + len(users)
    known, again = machine.pipeline.tenant("shop").memory.familiar, machine.boot().memory.familiar
    for user in users:
        assert again.places(user, machine.now + 1) == known.places(user, machine.now + 1)
    assert len(known.places("id:u0", machine.now + 1)) == len(known.places("id:u4", machine.now + 1)) == 5
    assert [one.sharers("203.0.113.9", machine.now + 1) for one in (again, known)] == [2, 2]


def test_a_playbook_that_ends_meanwhile_is_passed_over(store, meanwhile):
    machine = Machine(store, [eight("a"), eight("b")])
    tenant = machine.pipeline.tenant("shop")
    written = meanwhile(machine, [])
    watches = tenant.engine.watches()
    tenant.engine.watches = lambda: watches  # they were told before it ended
    tenant.windows.forget("b")
    machine.save()
    assert "a" in written and "b" not in written
