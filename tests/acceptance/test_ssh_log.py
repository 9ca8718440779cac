"""A real attack on a real machine: what simple playbooks find in the public log of an SSH server of 2017.

The log is not part of the project. Where it does not lie beside it these tests are skipped, and say so.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from sentinel.core import moment
from sentinel.service.eventfiles.streams import Stream
from sentinel.service.trials.backtest import Backtest, Plan
from tests.service.stories import MINUTE, playbook, playbooks, windows

LOG = Path(__file__).parents[2] / ".." / "shared" / "data" / "ssh-auth-2017.ndjson"
pytestmark = pytest.mark.skipif(not LOG.is_file(), reason="the SSH log of 2017 does not lie beside the project")

PLAYBOOKS = {
    "address in a minute": playbook(group_by="ip", when="{count: 5}", window="60s"),
    "address in ten minutes": playbook(group_by="ip", when="{count: 10}", window="10m"),
    "user in ten minutes": playbook(group_by="user", when="{count: 5}", window="10m"),
}


def judge(name, path=LOG, arrival_order=False):
    """Return the findings of one playbook, counted by group, and the run."""
    plan = Plan(playbooks(PLAYBOOKS[name]), windows, arrival_order=arrival_order)
    with closing(Backtest(plan)) as run, closing(Stream(str(path))) as stream:
        run.run([stream])
        return Counter(json.dumps(json.loads(line)["group"]) for line in run.findings.lines()), run


@pytest.mark.parametrize(
    ("name", "groups", "findings"),
    [("address in a minute", 101, 121), ("address in ten minutes", 10, 11), ("user in ten minutes", 20, 106)],
)
def test_the_attack_is_found(name, groups, findings):
    """With the cooldown equal to the window, as it is unless said otherwise."""
    found, run = judge(name)
    assert (len(found), found.total()) == (groups, findings)
    assert (run.account.events, run.account.bad.total()) == (1268, 0)


def test_tries_that_name_nobody_are_skipped_and_counted():
    _, run = judge("user in ten minutes")
    assert run.replay.skipped == {("p", "a group field is missing"): 43}


@cache
def late(seed):
    """Return the log's lines, each late by up to the lateness, and some of them twice."""
    dice = random.Random(seed)
    lines = LOG.read_text().splitlines()
    rows = [(json.loads(line)["timestamp"], line) for line in lines]
    arrivals = [(moment.parse(at) + dice.randrange(10 * MINUTE), line) for at, line in rows]
    arrivals += dice.sample(arrivals, 100)
    return "".join(line + "\n" for _, line in sorted(arrivals))


@pytest.mark.parametrize("name", PLAYBOOKS)
@pytest.mark.parametrize("seed", range(5))
def test_late_and_repeated_the_same_groups_are_found(tmp_path, name, seed):
    file = tmp_path / "late.ndjson"
    file.write_text(late(seed))
    in_order, run = judge(name)
    found, _ = judge(name, file, arrival_order=True)
    assert found.keys() == in_order.keys()
    assert in_order.total() / 2 <= found.total() <= in_order.total()
    assert run.findings.historical == 0


def test_put_in_order_again_nothing_differs(tmp_path):
    file = tmp_path / "late.ndjson"
    file.write_text(late(0))
    for name in PLAYBOOKS:
        again, run = judge(name, file)
        assert (again, run.sorting.repeats) == (judge(name)[0], 100)
