"""Labels live: what comes after a finding sees what it put on, in whatever sendings it comes, as in a replay."""

import pytest

from sentinel.service.intake import Sending
from tests.service.machine import Machine
from tests.service.stories import START, events, raw

PUTS = """
playbook: puts
mode: {mode}
event: odd
group_by: user
window: 1m
when: {{count: 1}}
actions: [{{label_{of}: {{name: odd, for: 10m{target}}}}}]
"""
ASKS = """
playbook: asks
mode: enforce
event: pay
where: '"odd" in {of}.labels'
group_by: user
window: 1m
when: {{count: 1}}
actions: [{{block_user: {{for: 1h}}}}]
"""
MAKES = """
playbook: makes
mode: enforce
event: odd
group_by: user
window: 1m
when: {count: 1}
actions: [{emit: {event: pay}}]
"""
PLACE = "203.0.113.9"
ODD, PAY = raw("o", 0, "odd", user="a", ip=PLACE), raw("p", 1, "pay", user="a", ip=PLACE)


def found(machine):
    return sorted(kept.finding.playbook for kept in machine.store.findings.since("shop", 0))


@pytest.mark.parametrize("of", ["user", "ip"])
@pytest.mark.parametrize("together", ["one sending", "one commit"])
def test_what_comes_in_the_same_commit_sees_a_label_that_was_put_on_before_it(store, of, together):
    """An SDK that had to wait sends the login and what follows it at once."""
    by = "" if of == "user" else ", target: ip"
    machine = Machine(store, [PUTS.format(mode="enforce", of=of, target=by), ASKS.format(of=of)])
    lots = [[ODD, PAY]] if together == "one sending" else [[ODD], [PAY]]
    machine.pipeline.process([Sending("shop", events(some), "sdk") for some in lots])
    assert found(machine) == ["asks", "puts"]
    assert machine.blocked == ["id:a"]


def test_whoever_comes_before_it_or_is_somebody_else_does_not(store):
    machine = Machine(store, [PUTS.format(mode="enforce", of="user", target=""), ASKS.format(of="user")])
    machine.send(PAY, raw("other", 0, "pay", user="b", ip=PLACE), ODD, raw("later", 2, "pay", user="b", ip=PLACE))
    assert found(machine) == ["puts"]


def test_a_playbook_that_only_monitors_puts_none_on(store):
    machine = Machine(store, [PUTS.format(mode="monitor", of="user", target=""), ASKS.format(of="user")])
    machine.send(ODD, PAY)
    assert found(machine) == ["puts"]


def test_a_label_on_somebody_whom_the_event_names_elsewhere_is_seen_too(store):
    puts = PUTS.format(mode="enforce", of="user", target=", target: properties.friend")
    machine = Machine(store, [puts, ASKS.format(of="user")])
    machine.send(raw("o", 0, "odd", user="b", properties={"friend": "a"}), PAY)
    assert found(machine) == ["asks", "puts"]


def test_a_label_that_follows_from_an_event_that_a_finding_makes_is_seen_too(store):
    makes = MAKES.replace("event: odd", "event: hint").replace("{event: pay}", "{event: odd}")
    machine = Machine(store, [makes, PUTS.format(mode="enforce", of="user", target=""), ASKS.format(of="user")])
    machine.send(raw("h", 0, "hint", user="a", ip=PLACE), PAY)
    assert found(machine) == ["asks", "makes", "puts"]


def test_events_that_findings_make_see_them_too(store):
    machine = Machine(store, [PUTS.format(mode="enforce", of="user", target=""), ASKS.format(of="user"), MAKES])
    machine.send(ODD)
    assert found(machine) == ["asks", "makes", "puts"]


@pytest.mark.parametrize("together", ["one sending", "one commit"])
def test_a_label_on_somebody_by_another_of_their_names_is_theirs(store, together):
    """Events are known by a person's own key alone; decisions by any of them."""
    puts = PUTS.format(mode="enforce", of="user", target=", target: properties.friend")
    machine = Machine(store, [puts, ASKS.format(of="user")])
    known = raw("s", 0, "signup", user={"id": "a", "email": "a@example.com"})
    odd = raw("o", 0, "odd", user="b", properties={"friend": "email:a@example.com"})
    lots = [[known, odd, PAY]] if together == "one sending" else [[known], [odd], [PAY]]
    machine.pipeline.process([Sending("shop", events(some), "sdk") for some in lots])
    assert found(machine) == ["asks", "puts"]
    assert machine.blocked == ["email:a@example.com", "id:a"]
    assert store.labels.of("shop", "user", "id:a", START) == ("odd",)
    assert store.labels.of("shop", "user", "email:a@example.com", START) == ()
