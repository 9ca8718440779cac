"""A tenant that comes back after a crash goes on as if it had never been away: nothing is found twice or lost."""

from dataclasses import replace

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import Allowance
from sentinel.engine.windows import FirstSeen, Spike, Steps, Travel, Watch
from sentinel.service import restore
from sentinel.service.intake import Sending
from tests.service.machine import Machine
from tests.service.stories import DAY, HOUR, MINUTE, SECOND, START, events, failed, playbook, raw

ABSENT = """
playbook: p
mode: enforce
event: a
group_by: user
absent: {event: b, within: 2h}
cooldown: 1h
actions: [{block_user: {for: 1d}}]
"""
SPIKE = """
playbook: p
mode: enforce
event: a
group_by: user
window: 10m
spike: {factor: 3, baseline: 2h, min: 6}
actions: [{challenge_user: {for: 1h}}]
"""
TRAVEL = """
playbook: p
mode: enforce
event: a
group_by: user
travel: {faster_than: 900}
actions: [{challenge_user: {for: 1h}}]
"""


FAILED = """
playbook: p
mode: enforce
event: auth
where: not success
group_by: user
window: 10m
when: {count: 3}
actions: [{block_user: {for: 1h}}]
"""


@pytest.mark.parametrize(("known_as", "acted"), [("email:a@b.example", False), ("id:1", False), ("id:2", True)])
@pytest.mark.parametrize("linked_before", [True, False])
def test_an_allowlisted_person_is_not_acted_on_by_whichever_key_they_are_known(store, known_as, acted, linked_before):
    """Also where the link is made in the very sending that brings the finding."""
    machine = Machine(store, [FAILED])
    store.allow.add("shop", Allowance("1", "user", known_as, "the boss", START), "jane", START)
    store.allow.add("shop", Allowance("2", "user", known_as, "for a while", START, START + 1), "jane", START)
    link = raw("0", 0, "auth", success=True, user={"id": "1", "email": "a@b.example"})
    if linked_before:
        machine.send(link)
    fails = [raw(f"f{n}", n, "auth", success=False, user={"email": "a@b.example"}) for n in (1, 2, 3)]
    machine.send(*([] if linked_before else [link]), *fails)
    assert [one[2] for one in machine.findings] == [acted]


def a(id, minute, user="u1", **fields):
    return raw(id, minute * 60, "a", user=user, **fields)


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_wait_goes_on_after_a_crash_and_its_finding_acts(store, snapshot):
    """Long begun, so that the event that began it lies behind the watermark when it is folded again."""
    machine = Machine(store, [ABSENT])
    machine.send(a("1", 0))
    if snapshot:
        machine.save()
    machine.send(a("2", 60, "u2"), raw("x", 100 * 60, "x", user="u9"))
    machine.boot()
    machine.tick(130 * MINUTE)
    assert machine.findings == []
    machine.tick(131 * MINUTE)
    assert machine.findings == [("id:u1", 120, True)]
    assert machine.blocked == ["id:u1"]
    machine.boot()
    machine.tick(DAY)
    assert machine.findings == [("id:u1", 120, True), ("id:u2", 180, True)]


def test_what_came_in_time_before_the_crash_still_ends_the_wait(store):
    machine = Machine(store, [ABSENT])
    machine.send(a("1", 0), raw("2", 100 * 60, "b", user="u1"))
    machine.boot()
    machine.tick(DAY)
    assert machine.findings == []


@pytest.mark.parametrize("mailed", [True, False])
def test_what_came_in_time_and_waited_for_the_server_still_ends_the_wait(store, mailed):
    """A server that was away for long is told of the past by and by, the oldest first."""
    machine = Machine(store, [ABSENT])
    machine.send(a("1", 0))
    machine.now = START + 5 * HOUR
    machine.boot()
    machine.tick(5 * HOUR + 30 * SECOND)
    machine.pipeline.process([Sending("shop", events([raw("x", 20 * 60, "x")]), "sdk")])
    machine.tick(5 * HOUR + 60 * SECOND)
    if mailed:
        machine.pipeline.process([Sending("shop", events([raw("2", 100 * 60, "b", user="u1")]), "sdk")])
    assert machine.findings == []
    machine.tick(5 * HOUR + 120 * SECOND)
    assert machine.findings == ([] if mailed else [("id:u1", 120, True)])


def test_what_was_found_still_holds_back_however_long_a_time_is_folded(store):
    """A past that was imported since the last snapshot reaches back further than findings are kept."""
    machine = Machine(store, [playbook(actions="[{block_ip: {for: [10m, 20m]}}]")])
    machine.send(raw("x", 20 * 86_400, "x"))
    machine.save()
    past = [failed(f"p{day}", day * 86_400, ip="203.0.113.7") for day in range(20)]
    machine.pipeline.process([Sending("shop", events(past), "sdk", historical=True)])
    machine.send(*[failed(f"f{n}", 20 * 86_400 + n) for n in range(3)])
    machine.boot()
    machine.send(failed("f3", 20 * 86_400 + 3))
    assert len(machine.findings) == 1


def test_what_was_taken_back_holds_back_nothing_after_a_restart_either(store):
    steps = "group_by: user\nwindow: 1h\nsequence: [{event: a}, {event: b}]\nuntil: {event: c}\n"
    machine = Machine(store, [f"playbook: p\nmode: enforce\n{steps}actions: [{{block_user: {{for: 1h}}}}]\n"])
    machine.send(a("1", 0), raw("2", 300, "b", user="u1"), raw("3", 200, "c", user="u1"))
    assert machine.blocked == []
    machine.boot()
    machine.send(a("4", 6), raw("5", 400, "b", user="u1"))
    assert machine.blocked == ["id:u1"]


def test_a_finding_that_was_made_is_not_made_again(store):
    machine = Machine(store, [ABSENT])
    machine.send(a("1", 0))
    machine.tick(131 * MINUTE)
    before = machine.findings, store.decisions.revision("shop")
    for _ in range(2):
        machine.boot()
        machine.tick(DAY)
    assert (machine.findings, store.decisions.revision("shop")) == before


def test_a_new_playbook_does_not_act_on_waits_that_were_over_before_it_came(store):
    """But on those that are still open: they end in its own time."""
    machine = Machine(store, [])
    machine.send(a("1", 0), a("2", 120, "u2"), raw("x", 135 * 60, "x", user="u9"))
    machine.texts = [ABSENT]
    machine.boot()
    machine.tick(DAY)
    assert machine.findings == [("id:u2", 240, True)]


def test_a_wait_that_was_over_and_acted_on_nobody_holds_back_none_that_is_open(store):
    """The first of one user ends ten minutes before the watermark, the second within its cooldown."""
    machine = Machine(store, [])
    machine.send(a("1", 0), a("2", 30), raw("x", 140 * 60, "x", user="u9"))
    machine.texts = [ABSENT]
    machine.boot()
    machine.tick(DAY)
    assert machine.findings == [("id:u1", 150, True)]


def test_a_baseline_comes_back_whole(store):
    """A spike after the crash is measured against the hours before it."""
    machine = Machine(store, [SPIKE])
    machine.send(*(a(f"b{n}", n * 5) for n in range(30)))
    machine.boot()
    machine.send(*(a(f"s{n}", 150 + n / 60) for n in range(12)))
    assert [acted for _, _, acted in machine.findings] == [True]


@pytest.mark.parametrize("restart", ["none", "from events", "from a snapshot"])
@pytest.mark.parametrize(
    ("times", "found"), [(range(0, 900, 100), 1), ([0, 140, 290], 1), ([60], 1), ([45], 0), ([0, 790], 0)]
)
def test_whether_a_group_is_new_is_the_same_after_a_restart(store, times, found, restart):
    """Few events, or one and a long silence, then a burst at 15:00; a baseline is two hours, six of them are known."""
    machine = Machine(store, [SPIKE])
    for minute, user in sorted([*((at, "u1") for at in times), *((at, "u2") for at in range(1, 900, 150))]):
        machine.send(a(f"{user}-{minute}", minute, user))
    machine.send(raw("x", 899 * 60, "x", user="u9"))
    if restart == "from a snapshot":
        machine.save()
    if restart != "none":
        machine.boot()
    machine.send(*(a(f"s{n}", 900 + n / 60) for n in range(6)))
    assert [key for key, _, _ in machine.findings] == ["id:u1"] * found


def test_a_journey_that_began_before_the_crash_is_found(store):
    machine = Machine(store, [TRAVEL])
    tokyo, paris = {"lat": 35.68, "lon": 139.69}, {"lat": 48.86, "lon": 2.35}
    machine.send(a("1", 0, geo=paris), raw("x", 8 * 3600, "x", user="u9"))
    machine.boot()
    machine.send(a("2", 9 * 60, geo=tokyo))
    assert machine.findings == [("id:u1", 540, True)]


@pytest.mark.parametrize(
    ("detector", "hours"),
    [(Steps(()), 1), (FirstSeen(HOUR, 1), 1), (Spike(2, 6 * HOUR, 1), 43), (Travel(20_038), 1), (Travel(2003.8), 10)],
)
def test_as_much_is_folded_as_an_answer_can_reach_back(detector, hours):
    watch = Watch("w", HOUR, 2 * HOUR, detector)
    assert restore.reach([watch], HOUR) - (1 if isinstance(detector, Travel) else 0) == (hours + 3) * HOUR
    assert restore.reach([replace(watch, cooldown=HOUR)], HOUR) < restore.reach([watch], HOUR)


def test_what_was_due_when_the_commit_failed_is_found_once_there_is_room(store, monkeypatch):
    """No event comes a second time to bring it up."""
    machine = Machine(store, [ABSENT])
    machine.send(a("1", 0))
    with monkeypatch.context() as full:
        full.setattr(type(machine.pipeline), "_judge", lambda *_: (_ for _ in ()).throw(StoreBusy("the disk is full")))
        with pytest.raises(StoreBusy):
            machine.tick(131 * MINUTE)
    machine.tick(132 * MINUTE)
    assert machine.findings == [("id:u1", 120, True)]


def test_what_was_due_when_the_commit_failed_is_found_after_a_restart(store, monkeypatch):
    machine = Machine(store, [ABSENT])
    machine.send(a("1", 0))
    machine.save()
    with monkeypatch.context() as full:
        full.setattr(type(machine.pipeline), "_judge", lambda *_: (_ for _ in ()).throw(StoreBusy("the disk is full")))
        with pytest.raises(StoreBusy):
            machine.tick(131 * MINUTE)
    machine.send(raw("x", 140 * 60, "x", user="u9"))
    machine.boot()
    machine.tick(141 * MINUTE)
    assert machine.findings == [("id:u1", 120, True)]


def test_a_wait_that_a_browser_began_may_have_an_id_longer_than_senders_may_choose(store):
    machine = Machine(store, [ABSENT])
    (begun,) = events([a("1", 0)])
    begun.id = "k" * 77
    machine.pipeline.process([Sending("shop", [begun], "sdk")])
    machine.tick(131 * MINUTE)
    assert machine.findings == [("id:u1", 120, True)]
