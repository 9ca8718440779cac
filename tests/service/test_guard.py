"""A guard that holds: people are told once, and whoever gives the playbook another guard lets it go."""

from __future__ import annotations

import pytest

from sentinel.core.duration import HOUR
from sentinel.service.tenant import Tenant
from tests.service.machine import Machine
from tests.service.stories import SECOND, failed, playbook, playbooks
from tests.service.test_shared import Processes, links  # noqa: F401


def text(**more: str) -> str:
    usual = {"group_by": "user", "when": "{count: 2}", "guard": "{max: 2, per: 1h}"}
    return playbook(**(usual | {"actions": "[{block_user: {for: 1h}}, {notify: {channel: log}}]"} | more))


def burst(first: int, users: int, at: int = 0) -> list[dict]:
    """Return two failed logins of each of some users."""
    return [failed(f"e{first + n}-{twice}", at + n, user=f"u{first + n}") for n in range(users) for twice in range(2)]


def alarms(machine: Machine) -> list[str]:
    rows = machine.store.outbox.list("shop", limit=100).items
    return [row.key for row in rows if row.body.get("guard")]


def test_that_a_guard_holds_is_told_once_and_not_with_every_finding(store):
    """A thousand addresses in an hour were a thousand alarms, and a pager for each."""
    machine = Machine(store, [text()])
    for first in range(0, 30, 3):
        machine.send(*burst(first, 3, first))
    assert len(machine.findings) == 30
    assert len([row for row in store.outbox.list("shop", limit=100).items if row.channel == "log"]) == 30
    assert len(alarms(machine)) == 1


def test_a_guard_that_holds_again_later_is_told_again(store):
    machine = Machine(store, [text()])
    machine.send(*burst(0, 5))
    machine.now += 2 * HOUR
    machine.send(*burst(10, 5, 2 * 3600))
    assert [acted for _, _, acted in machine.findings] == [True, True, False, False, False] * 2
    assert len(alarms(machine)) == 2


@pytest.mark.parametrize(
    ("change", "acts"),
    [({"guard": "{max: 9, per: 1h}"}, True), ({"guard": "{max: 1, per: 1h}"}, False), ({"severity": "low"}, False)],
)
def test_a_guard_holds_no_longer_where_it_is_a_wider_one_now(store, change, acts):
    """Whoever sees that the attack is real lets the playbook go on, and waits for no hour to be over."""
    machine = Machine(store, [text()])
    machine.send(*burst(0, 5))
    tenant = machine.pipeline.tenant("shop")
    assert tenant.memory.ledger.tripped("p", machine.now)
    tenant.take(playbooks(text(**change)))
    machine.send(*burst(10, 2, 60))
    assert [acted for _, _, acted in machine.findings][-2:] == [acts, acts]


@pytest.mark.parametrize("saved", [False, True])
def test_a_guard_that_holds_holds_after_a_restart_for_as_long_and_is_not_told_again(store, saved):
    machine = Machine(store, [text()])
    machine.send(*burst(0, 3))
    machine.send(*burst(3, 2, 60))  # whom it passes over then does not prolong it
    if saved:
        machine.save()
    machine.now += HOUR // 2
    until = machine.pipeline.tenant("shop").memory.ledger.held("p")
    machine.boot()
    assert machine.pipeline.tenant("shop").memory.ledger.held("p") == until
    again = [failed(f"again-{n}", 1200 + n, user=f"u{n // 2}") for n in range(4)]
    machine.send(*again)  # whom it acted on before: they are no more than it may act on
    machine.now = until
    machine.send(*burst(20, 2, 1300))
    assert [acted for _, _, acted in machine.findings] == [True, True, *[False] * 5, True, True]
    assert len(alarms(machine)) == 1


@pytest.mark.parametrize(("most", "acts"), [(9, [True, True]), (3, [True, False])])
def test_a_guard_that_is_wider_when_a_server_starts_again_holds_no_longer(store, most, acts):
    machine = Machine(store, [text()])
    machine.send(*burst(0, 2))
    machine.send(*burst(5, 5, 2 * 3600))
    machine.texts = [text(guard=f"{{max: {most}, per: 1h}}")]
    machine.boot()
    machine.send(*burst(10, 2, 2 * 3600 + 60))
    assert [acted for _, _, acted in machine.findings][-2:] == acts


@pytest.mark.parametrize("saved", [False, True])
def test_what_a_wider_guard_let_act_does_not_make_it_hold_after_the_next_start(store, saved):
    """What was acted on since then counted for the moment at which the narrower one held."""
    machine = Machine(store, [text()])
    machine.send(*burst(0, 3))
    machine.texts = [text(guard="{max: 4, per: 1h}")]
    machine.pipeline.tenant("shop").take(playbooks(*machine.texts))
    machine.send(*burst(10, 2, 60))
    if saved:
        machine.save()
    ledger = machine.boot().memory.ledger
    assert not ledger.tripped("p", machine.now)
    assert len(ledger.targets("p", machine.now - HOUR)) == 4
    machine.send(*(failed(f"again-{n}", 1200 + n, user="u10") for n in range(2)))  # whom it acted on before
    machine.send(*burst(20, 1, 1300))
    assert [acted for _, _, acted in machine.findings] == [True, True, False, True, True, True, False]


def test_two_steps_of_a_ladder_climbed_at_one_moment_are_two_after_a_restart(store):
    """One address met for two of its groups in one batch."""
    machine = Machine(store, [text(group_by="[user, ip]", actions="[{block_ip: {for: [10m, 20m, 30m]}}]")])
    machine.send(*burst(0, 2))
    machine.boot()
    machine.send(*burst(5, 1, 60))
    kept = [kept.finding for kept in store.findings.since("shop", 0)]
    assert [one.effects[0].length // 60_000_000 for one in kept] == [10, 20, 30]


def test_a_guard_that_is_let_go_is_let_go_in_every_process(store, links):  # noqa: F811
    two = Processes(store, [text()], *links)
    two.send(*burst(0, 5))
    one, other = two.tenants
    two.send(*burst(5, 1, 10))
    assert one.memory.ledger.tripped("p", two.now) and other.memory.ledger.tripped("p", two.now)
    for tenant in (one, other):
        Tenant.take(tenant, playbooks(text(guard="{max: 9, per: 1h}")))
    for n in (10, 11):
        two.send(*burst(n, 1, 60 + n))
    acted = {key: acted for _, key, at, acted, _ in two.findings if at >= 60 * SECOND}
    assert acted == {"id:u10": True, "id:u11": True}
