"""A roll-out: enforce for a stable share of the groups, monitor for the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine.engine import Engine
from sentinel.engine.playbook import Action
from sentinel.engine.rollout import Share
from tests.engine.playbooks import HOUR, Desk, event, playbook

BLOCK = (Action("block_ip", (HOUR,)),)
ADDRESSES = [f"203.0.113.{n}" for n in range(1, 200)]


def found(**changes):
    """Return the findings of a burst from each address, by address."""
    desk = Desk(playbook(actions=BLOCK, **changes))
    bursts = [event(n * 5 + k, ip=ip, id=f"{ip}-{k}") for n, ip in enumerate(ADDRESSES) for k in range(3)]
    return {finding.ip: finding for finding in desk.feed(*bursts)}


@given(st.text(max_size=300), st.floats(0.001, 100), st.floats(0.001, 100))
def test_a_larger_share_holds_every_group_of_a_smaller_one(key, one, other):
    small, large = sorted([one, other])
    assert not Share("p", small).holds(key) or Share("p", large).holds(key)
    assert Share("p", 100).holds(key)


@pytest.mark.parametrize("percent", [1, 25, 50, 99])
def test_the_share_is_about_as_large_as_is_said(percent):
    share = Share("p", percent)
    held = sum(share.holds(f"id:{n}") for n in range(20_000))
    assert abs(held / 200 - percent) < 1.5


def test_two_playbooks_begin_with_different_groups():
    one, other = Share("a", 50), Share("b", 50)
    assert 300 < sum(one.holds(str(n)) != other.holds(str(n)) for n in range(1000)) < 700


def test_groups_within_the_share_are_acted_on_and_the_others_only_found():
    findings = found(rollout=25)
    assert findings.keys() == set(ADDRESSES)
    acted = {ip for ip, finding in findings.items() if finding.acted}
    assert acted == {ip for ip in ADDRESSES if Share("p", 25).holds(ip)}
    assert 20 < len(acted) < 80
    for ip, finding in findings.items():
        assert finding.mode == ("enforce" if ip in acted else "monitor")
        assert [effect.held for effect in finding.effects] == [None if ip in acted else "rollout"]


def test_all_of_them_without_a_roll_out_or_with_the_whole():
    assert all(finding.acted for finding in found().values())
    assert all(finding.acted for finding in found(rollout=100).values())


def test_monitor_acts_on_nobody_whatever_the_share():
    findings = found(mode="monitor", rollout=25)
    assert {effect.held for finding in findings.values() for effect in finding.effects} == {"monitor"}


def test_who_judges_a_playbook_as_if_it_enforced_means_every_group():
    engine = Engine([playbook(rollout=1)], mode="enforce")
    assert all(engine.acts("p", ip) for ip in ADDRESSES)
    matched = engine.match([event(n, ip=ip) for n, ip in enumerate(ADDRESSES)])
    assert all(hit.acting for hit in matched.hits)
