"""What a finding counts as its evidence: every matching event from its opening on, however events were cut."""

import random

import pytest

from sentinel.core.record import App
from sentinel.service import tenant
from sentinel.store.embedded.store import open_store
from tests.service.machine import Machine
from tests.service.stories import SECOND, START, failed, playbook

TEXTS = (
    playbook("many", when="{count: 10}", window="10m", cooldown="30m"),
    playbook("users", when="{distinct: {user: 3}}", window="10m", cooldown="5m"),
)


def kept(folder, sendings):
    """Return each finding's evidence and newest time after these sendings."""
    store = open_store(folder)
    store.access.add_app(App("shop"), "test", 0)
    server = Machine(store, TEXTS)
    for sending in sendings:
        server.send(*sending)
    found = {one.finding.id: (one.finding.playbook, one.evidence, one.last) for one in store.findings.since("shop", 0)}
    store.close()
    return found


@pytest.mark.parametrize("size", [400, 10, 3])
def test_the_events_of_the_sending_that_opens_a_finding_are_evidence_too(tmp_path, size):
    raws = [failed(f"e{n:03}", n, user="one") for n in range(405)]
    sendings = [raws[at : at + size] for at in range(0, 400, size)] + [raws[400:]]
    found = [(count, last) for _, count, last in kept(tmp_path / "data", sendings).values()]
    assert found == [(405, START + 404 * SECOND)]


@pytest.mark.parametrize("seed", range(4))
def test_how_events_are_cut_changes_no_evidence(tmp_path, seed):
    """Among them are findings that follow each other within one sending, and others of the same moment."""
    dice, at, raws = random.Random(seed), 0, []
    for n in range(300):
        at += dice.choice([0, 1, 40, 400])
        raws.append(failed(f"e{n:03}", at, user=f"u{dice.randrange(4)}", ip=f"203.0.113.{dice.randrange(2)}"))
    by_one = kept(tmp_path / "one", [[one] for one in raws])
    cut = [raws[:1], raws[1:90], raws[90:97], raws[97:]]
    assert len(by_one) > 10
    assert kept(tmp_path / "cut", cut) == by_one


def test_evidence_is_gathered_from_the_moment_of_the_opening_until_that_at_which_the_cooldown_is_over(store):
    server = Machine(store, [playbook(when="{count: 3}", window="5m", cooldown="10m")])
    for id, after in (("a", 0), ("b", 1), ("c", 1), ("d", 1), ("e", 600), ("f", 601)):
        server.send(failed(id, after))
    assert [(one.evidence, one.last) for one in store.findings.since("shop", 0)] == [(5, START + 600 * SECOND)]


def test_of_too_many_findings_those_that_opened_first_gather_no_more(store, monkeypatch):
    monkeypatch.setattr(tenant, "OPEN_FINDINGS", 2)
    server = Machine(store, [playbook(when="{count: 2}", window="10m", cooldown="10m")])
    for after, ip in zip((0, 1, 300, 301, 700, 701, 702, 703, 704, 705), "1122113312", strict=True):
        server.send(failed(f"e{after}", after, ip=f"203.0.113.{ip}"))
    found = [(one.finding.key[-1], one.evidence) for one in store.findings.since("shop", 0)]
    assert sorted(found) == [("1", 2), ("1", 3), ("2", 2), ("3", 2)]
