"""A flood of findings: each is told alone or in one message with others, whatever fails and whoever takes over."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.core.batch import Batch, Outgoing
from sentinel.core.bundle import KIND, Bound
from sentinel.core.duration import SECOND
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.finding import Effect
from sentinel.core.record import App
from sentinel.engine.memory import Ledger
from sentinel.service.figures import Figures
from sentinel.service.outbox import Courier
from sentinel.service.pipeline import _outgoing
from sentinel.store.embedded.store import open_store
from tests.api.served import wait_for
from tests.contract.test_bundling import told
from tests.contract.values import finding

BOUND = Bound(3, 10 * SECOND)
APPS = count()
STEPS = st.lists(
    st.tuples(st.just("found"), st.integers(1, 12), st.sampled_from(["usual", "critical"]))
    | st.tuples(st.just("look"), st.integers(0, 3))
    | st.tuples(st.just("wait"), st.sampled_from([SECOND, 4 * SECOND, 11 * SECOND, -SECOND]))
    | st.tuples(st.just("killed")),
    max_size=14,
)


class Way:
    """Takes deliveries, but for the next few, and may be tried again a second later."""

    def __init__(self):
        self.refuses, self.told = 0, []

    def deliver(self, delivery):
        if self.refuses > 0:
            self.refuses -= 1
            raise SentinelError("not now")
        self.told.append(delivery)

    def wait(self, attempts):
        return SECOND


class Desk:
    """A courier over a store, and its successors."""

    def __init__(self, store):
        self.store, self.way, self.faults = store, Way(), []
        self.now, self.numbers, self.figures = 10**15, count(), Figures()
        self.begin()

    def begin(self):
        self.courier = Courier(
            self.store.outbox, self.way, lambda: self.now, self.figures, fault=self.faults.append,
            bounds={"chat": BOUND},
        )  # fmt: skip

    def found(self, number, lane, channel="chat"):
        """Commit so many findings, and return the keys of their deliveries."""
        names = [f"{lane}-{next(self.numbers)}" for _ in range(number)]
        rows = tuple(Outgoing(name, "notify", channel, told(name), name, lane) for name in names)
        with self.store.unit() as unit:
            unit.commit([Batch(self.app, self.now, outbox=rows)])
        return names

    def fresh(self):
        """Go on with an app of which nothing was told."""
        self.app, self.way.told, self.way.refuses = f"app{next(APPS)}", [], 0
        self.store.access.add_app(App(self.app), "test", 1)

    def look(self):
        self.courier.settle()
        self.courier.round()
        wait_for(lambda: not self.courier._under_way)

    def killed(self):
        """Let another process take over."""
        self.courier.stop()
        self.begin()

    @property
    def alone(self):
        return [one.key for one in self.way.told if one.kind != KIND]

    @property
    def bundles(self):
        return [one for one in self.way.told if one.kind == KIND]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    desk = Desk(open_store(tmp_path_factory.mktemp("floods") / "data"))
    yield desk
    desk.courier.stop()
    desk.store.close()


@pytest.fixture
def desk(kept):
    kept.fresh()
    return kept


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_each_is_told_alone_or_in_exactly_one_message_and_the_numbers_add_up(kept, steps):
    kept.fresh()
    sent, periods = [], 1
    for what, *rest in steps:
        if what == "found":
            sent += kept.found(*rest)
        elif what == "look":
            kept.way.refuses = rest[0]
            kept.look()
        elif what == "wait":
            kept.now += rest[0]
            periods += 1
        else:
            kept.killed()
    kept.way.refuses = 0
    for _ in range(3):
        kept.look()
        kept.now += BOUND.per
    members = {
        bundle.id: [one.key for one in kept.store.outbox.list(kept.app, limit=1000, bundle=bundle.id).items]
        for bundle in kept.bundles
    }
    assert Counter([*kept.alone, *(key for keys in members.values() for key in keys)]) == Counter(sent)
    assert all(bundle.body["findings"] == len(members[bundle.id]) for bundle in kept.bundles)
    assert len(kept.alone) + sum(bundle.body["findings"] for bundle in kept.bundles) == len(sent)
    assert len(kept.way.told) <= 2 * periods * (BOUND.most + 1)
    assert kept.faults == []


def test_the_first_are_told_at_once_and_the_others_in_one_message_as_the_period_ends(desk):
    sent = desk.found(3000, "usual")
    desk.look()
    assert sorted(desk.alone) == sorted(sent[: BOUND.most])
    desk.now += BOUND.per - 1
    desk.look()
    assert not desk.bundles
    desk.now += 1
    desk.look()
    (bundle,) = desk.bundles
    assert (bundle.body["findings"], bundle.channel, len(desk.alone)) == (2997, "chat", BOUND.most)
    counted = {sample.name: sample for sample in desk.figures.samples() if sample.labels == ("chat",)}
    assert counted["sentinel_deliveries_bundled"].value >= 2997


def test_a_flood_of_others_keeps_no_critical_finding_waiting(desk):
    desk.found(50, "usual")
    desk.look()
    (critical,) = desk.found(1, "critical")
    desk.look()
    assert critical in desk.alone


def test_on_a_channel_without_a_bound_each_is_told_by_itself(desk):
    sent = desk.found(50, "usual", channel="machine")
    desk.look()
    wait_for(lambda: desk.courier.round() == 0 and len(desk.alone) == 50)
    assert sorted(desk.alone) == sorted(sent)


def test_what_cannot_be_summed_is_told_by_itself(desk, monkeypatch):
    monkeypatch.setattr("sentinel.store.bundling.fold", lambda bundle, found: {}["playbook"])
    sent = desk.found(5, "usual")
    desk.look()
    assert sorted(desk.alone) == sorted(sent)
    assert isinstance(desk.faults.pop(), KeyError)


def test_a_store_that_is_busy_while_it_is_decided_leaves_all_to_the_next_look(desk, monkeypatch):
    sent = desk.found(5, "usual")
    with monkeypatch.context() as patch:
        patch.setattr("sentinel.store.bundling.fold", lambda bundle, found: (_ for _ in ()).throw(StoreBusy("full")))
        with pytest.raises(StoreBusy):
            desk.courier.settle()
    desk.look()
    assert sorted(desk.alone) == sent[: BOUND.most]


def test_the_alarm_of_a_guard_is_never_folded_and_critical_findings_have_a_lane_of_their_own():
    held = Effect("block_ip", "203.0.113.9", held="guard")
    found = [
        finding("a", effects=(Effect("notify", channel="chat"), held)),
        finding("b", severity="critical", effects=(Effect("webhook", channel="chat"),)),
    ]
    assert [(one.channel, one.lane) for one in _outgoing(found, Ledger())] == [
        ("chat", "usual"), (None, None), ("chat", "critical"),
    ]  # fmt: skip
