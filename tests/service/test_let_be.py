"""Whoever is let be is found and not acted on; once nobody lets them be any more, what they do next is acted on."""

import pytest

from sentinel.core.record import Allowance
from tests.service.machine import Machine
from tests.service.stories import MINUTE, START, failed, playbook
from tests.service.test_shared import Processes, links  # noqa: F401

TEXT = playbook(actions="[{block_ip: {for: 1h}}, {label_ip: {name: odd}}]", window="1h")
PLACE = "203.0.113.9"


def let_be(store, app="shop", until=None, scope="network", value="203.0.113.0/28"):
    store.allow.add(app, Allowance("a", scope, value, "our scanner", START, until), "jane", START)


def knock(machine, first, number):
    """Fail some logins, one a minute; the clock goes with them."""
    for minute in range(first, first + number):
        machine.send(failed(f"f{minute}", minute * 60))


@pytest.mark.parametrize("restart", [None, "killed", "saved"])
@pytest.mark.parametrize("ends", ["removed", "over"])
def test_who_goes_on_is_blocked_once_nobody_lets_them_be(store, ends, restart):
    """And is found once until then, however often they come."""
    let_be(store, until=START + 10 * MINUTE if ends == "over" else None)
    machine = Machine(store, [TEXT])
    knock(machine, 0, 8)
    assert machine.findings == [(PLACE, 2, False)]
    if restart == "saved":
        machine.save()
    if restart:
        machine.boot()
    knock(machine, 8, 2)
    if ends == "removed":
        assert store.allow.remove("shop", "a", "jane", "the scan is over", machine.now)
    knock(machine, 10, 4)
    assert machine.findings == [(PLACE, 2, False), (PLACE, 10, True)]
    assert machine.blocked == [PLACE]


def test_who_is_still_let_be_is_found_once_a_cooldown(store):
    let_be(store)
    machine = Machine(store, [TEXT])
    knock(machine, 0, 70)
    assert machine.findings == [(PLACE, 2, False), (PLACE, 62, False)]


def test_a_finding_that_acted_on_others_holds_back_though_one_was_let_be(store):
    let_be(store, scope="user", value="id:u")
    machine = Machine(
        store, [playbook(group_by="[user, ip]", actions="[{block_user: {for: 1h}}, {block_ip: {for: 1h}}]")]
    )
    knock(machine, 0, 3)
    store.allow.remove("shop", "a", "jane", "a mistake", machine.now)
    knock(machine, 3, 3)
    assert [acted for _, _, acted in machine.findings] == [True]
    assert machine.blocked == [PLACE]


def test_of_several_processes_each_sees_that_it_is_over(store, links):  # noqa: F811
    two = Processes(store, [TEXT], *links)
    let_be(store, two.app)
    knock(two, 0, 8)
    assert {found[3] for found in two.findings} == {False}
    store.allow.remove(two.app, "a", "jane", "the scan is over", two.now)
    knock(two, 8, 6)
    assert [found[3] for found in two.findings].count(True) == 1
