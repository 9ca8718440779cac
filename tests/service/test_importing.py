"""Events of long ago: an import that enforces acts on what they come to, whatever has come meanwhile."""

import pytest

from sentinel.core.duration import DAY
from sentinel.service.intake import Sending
from tests.service.machine import Machine
from tests.service.stories import MINUTE, START, events, failed, playbook, raw

BLOCKS = playbook(actions="[{block_ip: {for: 1h}}]")
WAITS = """
playbook: waits
mode: enforce
event: a
group_by: user
absent: {event: b, within: 2h}
actions: [{block_user: {for: 12h}}]
"""


def bring(machine, *raws, enforce=True):
    """Import events."""
    machine.pipeline.process([Sending("shop", events(raws), machine.now, "sdk", "k", historical=True, enforce=enforce)])


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
