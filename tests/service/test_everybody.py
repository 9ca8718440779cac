"""All users of a window, live: over a restart, over a change of the playbook, and as a replay in any batches says."""

import pytest

from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.service import saving
from sentinel.service.trials.replay import Replay
from tests.service.machine import Machine
from tests.service.stories import DAY, SECOND, START, events, failed, passed, playbooks, windows

EVERYBODY = """
playbook: p
mode: enforce
event: auth
where: not success
group_by: ip
window: 10m
when: {distinct: {user: 3}}
actions: [{block_users: {for: 1h}}]
"""
SPARED = EVERYBODY.replace("block_users: {for: 1h}", "block_ip: {for: 1h, unless_shared_by: 2}")
HOME = [passed(f"{user}{day}", day * 86_400, user=user) for day in (0, 1) for user in ("x", "y")]
ATTACK = [failed(f"f{n}", 3 * 86_400 + n, user=user) for n, user in enumerate(["a", "a", "x", "b", "c"])]


def acted_on(machine):
    page = machine.store.decisions.delta("shop", 0, machine.now)
    return sorted({one.value for one in page.added if one.scope == "user"})


@pytest.mark.parametrize("text", [EVERYBODY, SPARED])
@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("cut", range(1, 4))
def test_whoever_was_seen_before_a_restart_is_acted_on_after_it(store, text, saved, cut):
    machine = Machine(store, [text])
    machine.send(*HOME)
    machine.send(*ATTACK[:cut])
    if saved:
        machine.save()
    machine.boot()
    for one in ATTACK[cut:]:
        machine.send(one)
    assert acted_on(machine) == ["id:a", "id:b", "id:x"]


def test_whoever_was_seen_is_acted_on_though_the_server_died_between_two_pieces_of_what_it_saved(store):
    machine = Machine(store, [EVERYBODY])
    machine.send(*HOME, *ATTACK[:3])
    saving.save(machine.pipeline, machine.pipeline.tenant("shop"), machine.now, {"p"})
    machine.boot()
    machine.send(ATTACK[3])
    assert acted_on(machine) == ["id:a", "id:b", "id:x"]


@pytest.mark.parametrize("text", [EVERYBODY, SPARED])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_replay_acts_on_the_same_however_its_events_are_cut(text, size):
    engine = Engine(playbooks(text))
    run = Replay(engine, windows(engine.watches()), Memory())
    sent = events([*HOME, *ATTACK])
    (found,) = [one for at in range(0, len(sent), size) for one in run.feed(sent[at : at + size])]
    assert [one.target for one in found.effects if one.held is None] == ["id:a", "id:x", "id:b"]
    assert (found.at - START) // DAY == 3 and (found.at - START) % DAY == 3 * SECOND


def test_a_person_is_acted_on_once_by_whichever_key_they_were_named(store):
    machine = Machine(store, [EVERYBODY])
    machine.send(passed("l", 0, user={"id": "1", "email": "a@b.example"}, ip="203.0.113.7"))
    named = [{"id": "1"}, {"email": "a@b.example"}, "b", "c"]
    machine.send(*[failed(f"f{n}", 86_400 + n, user=user) for n, user in enumerate(named)])
    (kept,) = store.findings.since("shop", 0)
    assert [one.target for one in kept.finding.effects] == ["id:1", "id:b", "id:c"]


def test_what_an_sdk_left_out_as_a_secret_makes_nobody_the_same_person(store):
    """Ids of sixteen digits may look like card numbers: one block on one of their users met all of them."""
    machine = Machine(store, [EVERYBODY])
    people = [{"id": "<redacted>", "email": f"{name}@b.example"} for name in "abcd"]
    machine.send(*[passed(f"l{n}", n, user=user, ip=f"203.0.113.{n}") for n, user in enumerate(people)])
    machine.send(*[failed(f"f{n}", 86_400 + n, user=user) for n, user in enumerate(people[:3])])
    machine.send(failed("nobody", 86_400 + 9, user={"id": "<redacted>"}))
    assert acted_on(machine) == [f"email:{name}@b.example" for name in "abc"]
