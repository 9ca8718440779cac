"""Events of long ago: an import that enforces acts on what they come to, whatever has come meanwhile."""

import pytest

from sentinel.core.duration import DAY
from sentinel.service.intake import Sending
from tests.service.machine import Machine
from tests.service.stories import MINUTE, START, events, failed, passed, playbook, raw

LADDER = playbook(when="{distinct: {user: 3}}", actions="[{block_ip: {for: [10m, 20m, 30m]}}]")
BLOCKS = playbook(actions="[{block_ip: {for: 1h}}]")
WAITS = """
playbook: waits
mode: enforce
event: a
group_by: user
absent: {event: b, within: 2h}
actions: [{block_user: {for: 12h}}]
"""

NEW = """
playbook: new
mode: enforce
event: auth
where: success
group_by: user
first_seen: {field: ip, history: 30d, after: 3}
actions: [{challenge_user: {for: 1h}}]
"""
MANY = playbook(id="many", when="{count: 5}", window="30d", group_by="user", actions="[{challenge_user: {for: 30d}}]")


def bring(machine, *raws, enforce=True):
    """Import events."""
    machine.pipeline.process([Sending("shop", events(raws), "sdk", historical=True, enforce=enforce)])


def live(machine, after):
    machine.send(raw(f"now-{after}", after, "x", user="somebody"))


@pytest.mark.parametrize(("enforce", "blocked"), [(True, ["203.0.113.9"]), (False, [])])
def test_an_import_acts_though_newer_events_came_before_it_where_it_is_to_enforce(store, enforce, blocked):
    machine = Machine(store, [BLOCKS])
    live(machine, 86_400)
    bring(machine, *[failed(f"f{n}", n) for n in range(3)], enforce=enforce)
    assert machine.blocked == blocked
    assert [kept.finding.historical for kept in store.findings.since("shop", 0)] == [not enforce]


def test_it_acts_in_whichever_order_its_files_come(store):
    machine = Machine(store, [BLOCKS])
    for day in (2, 1, 0):
        bring(machine, *[failed(f"f{day}{n}", day * 86_400 + n, ip=f"203.0.113.{day}") for n in range(3)])
    assert machine.blocked == ["203.0.113.0", "203.0.113.1", "203.0.113.2"]


def test_what_is_late_by_more_than_the_lateness_acts_on_nobody_still(store):
    machine = Machine(store, [BLOCKS])
    live(machine, 86_400)
    machine.send(*[failed(f"f{n}", n) for n in range(3)])
    assert machine.blocked == []


def test_a_wait_that_such_an_import_began_acts_after_a_crash_too(store):
    machine = Machine(store, [WAITS])
    machine.save()
    live(machine, 3_600)
    bring(machine, raw("a", 600, "a", user="u1"))
    machine.boot()
    machine.tick(3 * 60 * MINUTE)
    assert machine.findings == [("id:u1", 130, True)]
    assert machine.now < START + DAY


def test_what_was_found_in_an_import_and_comes_up_again_live_acts_once_and_says_so(store):
    """A late event brings up the same crossing: the finding that acts is that one, and holds back the next."""
    machine = Machine(store, [LADDER])
    bring(machine, *[failed(f"f{n}", n, user=f"u{n}") for n in (0, 10, 20)], enforce=False)
    for after in (15, 25):
        machine.send(failed(f"l{after}", after, user="u0"))
    (kept,) = store.findings.since("shop", 0)
    assert (kept.finding.acted, kept.finding.historical, kept.finding.effects[0].held) == (True, False, None)
    assert [one.until - one.made for one in store.decisions.delta("shop", 0, machine.now).added] == [10 * MINUTE]
    machine.boot()
    machine.send(failed("l30", 30, user="u1"))
    assert len(list(store.findings.since("shop", 0))) == 1


@pytest.mark.parametrize("before", [None, 0, 9 * 86_400])
def test_what_was_imported_counts_for_what_comes_live(store, before):
    """A new server is given the past month first; its clock begins with the first event that is none of the past."""
    machine = Machine(store, [NEW, MANY])
    if before is not None:
        live(machine, before)
    logins = [passed(f"p{day}", day * 86_400) for day in range(8)]
    bring(machine, *logins, *[failed(f"f{day}", day * 86_400 + 5) for day in range(4)], enforce=False)
    machine.send(passed("elsewhere", 10 * 86_400, ip="198.51.100.4"), failed("fifth", 10 * 86_400 + 9))
    assert sorted(kept.finding.playbook for kept in store.findings.since("shop", 0)) == ["many", "new"]
