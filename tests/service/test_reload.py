"""Playbooks change while the server runs: state is kept or rebuilt, a mistake replaces nothing, no event is lost."""

from __future__ import annotations

import os
from functools import partial

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App
from sentinel.engine.playbook import Guard
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.service import reload, restore
from sentinel.service.intake import Sending
from sentinel.service.library import Library
from sentinel.service.pipeline import Listeners, Pipeline
from sentinel.service.reload import Reload
from sentinel.service.tenant import Tenant
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.service import machine as machines
from tests.service.stories import MINUTE, SECOND, START, events, failed, playbook, raw

BLOCK = "[{block_ip: {for: 1h}}]"


class Machine(machines.Machine):
    """One server's engine over files and a store."""

    def __init__(self, store, folder):
        self.store, self.folder, self.now = store, folder, START
        self.told, self.during = [], lambda: None
        self.library = Library([folder], (), ("log",), Guard(1000, 60 * MINUTE))
        self.pipeline = Pipeline(store, self._tenant, lambda app: machines.plain, lambda: self.now, Listeners())
        self.reload = Reload(
            self.pipeline, self.library, store, self._empty, lambda: self.now,
            lambda what, text: self.told.append((what, text)), lambda: False,
        )  # fmt: skip
        self.tenant = self.pipeline.tenant("shop")
        self.reload.look()

    def _empty(self, app, playbooks):
        return Tenant(app, playbooks, partial(MemoryWindows, limits=Limits(lateness=10 * MINUTE)), 10 * MINUTE)

    def _tenant(self, app):
        tenant = self._empty(app, self.library.playbooks)
        restore.restore(self.store, tenant, self.now)
        return tenant

    def write(self, text, name="p.yaml"):
        """Write a file so that it looks changed, and let it be looked at."""
        path = self.folder / name
        path.write_text(text)
        stamp = path.stat().st_mtime_ns + 1_000_000_000
        os.utime(path, ns=(stamp, stamp))
        self.reload.look()

    @property
    def findings(self):
        kept = self.store.findings.since("shop", 0)
        return [(one.finding.playbook, (one.finding.at - START) // SECOND, one.finding.acted) for one in kept]

    def tally(self, ip="203.0.113.9", playbook="p"):
        found = self.tenant.windows.progress(playbook, ip, self.now)
        return found and found.tally


@pytest.fixture
def machine(store, tmp_path):
    folder = tmp_path / "playbooks"
    folder.mkdir()
    (folder / "p.yaml").write_text(playbook(actions=BLOCK, when="{count: 5}"))
    return Machine(store, folder)


def burst(first, count, **fields):
    return [failed(f"e{first + n}", first + n, **fields) for n in range(count)]


def test_a_lower_threshold_counts_what_came_before_it_and_acts_on_the_next(machine):
    machine.send(*burst(0, 3))
    machine.write(playbook(actions=BLOCK, when="{count: 4}"))
    assert machine.tally() == (3,)
    assert machine.findings == []
    machine.send(*burst(3, 1))
    assert machine.findings == [("p", 3, True)]


@pytest.mark.parametrize("mode", ["enforce", "monitor"])
def test_whoever_is_over_a_lower_threshold_already_is_found_with_the_next_event(machine, mode):
    machine.send(*burst(0, 4))
    machine.write(playbook(actions=BLOCK, when="{count: 2}", mode=mode))
    machine.send(*burst(4, 1))
    assert machine.findings == [("p", 4, mode == "enforce")]


@pytest.mark.parametrize(
    "change",
    [{"description": "New"}, {"severity": "low"}, {"actions": "[{notify: {channel: log}}]"}, {"mode": "monitor"},
     {"rollout": "10%"}, {"guard": "{max: 5, per: 1h}"}],
)  # fmt: skip
def test_what_changes_no_finding_keeps_the_very_state(machine, change, monkeypatch):
    machine.send(*burst(0, 3))
    tracker = machine.tenant.windows.trackers["p"]
    monkeypatch.setattr(reload.Reload, "_rebuild", None)
    machine.write(playbook(**({"actions": BLOCK, "when": "{count: 5}"} | change)))
    assert machine.tenant.windows.trackers["p"] is tracker
    assert machine.tenant.engine.judges["p"].playbook.version == machine.library.playbooks[0].version
    assert machine.told[-1][0] == "playbook"


def test_a_playbook_that_begins_to_enforce_acts_though_it_was_found_in_monitor(machine):
    machine.write(playbook(actions=BLOCK, when="{count: 3}", mode="monitor"))
    machine.send(*burst(0, 3))
    machine.write(playbook(actions=BLOCK, when="{count: 3}"))
    machine.send(*burst(3, 2))
    assert machine.findings == [("p", 2, False), ("p", 3, True)]


def test_a_finding_of_the_version_before_still_holds_back(machine):
    """Cooldown belongs to the playbook's id."""
    machine.write(playbook(actions=BLOCK, when="{count: 3}"))
    machine.send(*burst(0, 3))
    machine.write(playbook(actions=BLOCK, when="{count: 2}"))
    machine.send(*burst(3, 1))
    assert machine.findings == [("p", 2, True)]
    machine.send(failed("later", 603), failed("last", 604))
    assert machine.findings == [("p", 2, True), ("p", 604, True)]


def test_whoever_was_seen_before_a_playbook_acted_on_everybody_is_acted_on_too(machine):
    machine.send(*(failed(f"e{n}", n, user=f"u{n}") for n in range(3)))
    machine.write(playbook(actions="[{block_users: {for: 1h}}]", when="{count: 4}"))
    machine.send(failed("e3", 3, user="u3"))
    assert machine.blocked == [f"id:u{n}" for n in range(4)]


def test_a_file_with_a_mistake_replaces_nothing_and_is_told_once(machine):
    machine.send(*burst(0, 3))
    before = machine.tenant.engine
    machine.write(playbook(actions=BLOCK, when="{cuont: 2}"))
    machine.reload.look()
    assert machine.tenant.engine is before
    assert [what for what, _ in machine.told] == ["mistake"]
    assert "did you mean `count`?" in machine.told[0][1]
    (mistake,) = machine.library.mistakes
    assert mistake.place.line == 7
    machine.write(playbook(actions=BLOCK, when="{count: 4}"))
    assert machine.library.mistakes == ()
    assert machine.tenant.engine is not before


def test_a_mistake_in_one_file_does_not_hold_up_another(machine):
    machine.write("playbook: q\nwindw: 5m\n", "q.yaml")
    machine.write(playbook(actions=BLOCK, when="{count: 2}"))
    machine.send(*burst(0, 2))
    assert machine.findings == [("p", 1, True)]
    assert {mistake.place.file for mistake in machine.library.mistakes} == {str(machine.folder / "q.yaml")}


def test_a_file_that_takes_away_what_another_needs_is_not_taken_over(machine):
    rules = machine.folder / "rules"
    rules.mkdir()
    machine.write("rule: login-failed\nevent: auth\nwhere: not success\n", "rules/login-failed.yaml")
    machine.write("rule: bad\nevent: auth\nwhere: not success\n", "rules/bad.yaml")
    machine.write(playbook("q", rule="bad", mode="monitor"), "q.yaml")
    assert {one.id for one in machine.library.playbooks} == {"p", "q"}
    machine.write("rule: other\nevent: auth\n", "rules/bad.yaml")
    assert [one.message for one in machine.library.mistakes] == ["there is no rule `bad`"]
    assert {one.id for one in machine.library.playbooks} == {"p", "q"}
    machine.send(*burst(0, 3))
    assert machine.findings == [("q", 2, False)]


def test_a_list_that_changes_changes_who_counts(machine):
    (machine.folder / "lists").mkdir()
    machine.write("198.51.100.1\n", "lists/office.txt")
    machine.write(playbook(actions=BLOCK, when="{count: 3}", where="'not in_list(ip, \"office\")'"))
    machine.send(*burst(0, 2))
    machine.write("198.51.100.1\n203.0.113.9\n", "lists/office.txt")
    machine.send(*burst(2, 5))
    assert machine.findings == []
    assert machine.tally() is None


def test_a_playbook_that_goes_is_forgotten_and_one_that_comes_counts_the_past(machine):
    machine.send(*burst(0, 2))
    machine.write(playbook("new", actions=BLOCK), "new.yaml")
    (machine.folder / "p.yaml").unlink()
    machine.reload.look()
    assert set(machine.tenant.windows.groups()) == {"new"}
    machine.send(*burst(2, 1))
    assert machine.findings == [("new", 2, True)]
    assert ("playbook", "p: removed") in machine.told


def test_a_playbook_that_another_s_test_runs_with_can_go_all_the_same(machine):
    """What it enforces is over when its file is gone, whatever is tested; a draft that names it is told so."""
    text = playbook("q", tests="[{name: t, with: p, events: [], expect: []}]")
    machine.write(text, "q.yaml")
    (machine.folder / "p.yaml").unlink()
    machine.reload.look()
    assert [one.id for one in machine.library.playbooks] == ["q"]
    assert machine.library.mistakes == ()
    assert machine.library.with_text("r.yaml", playbook("r"))
    with pytest.raises(PlaybookErrors, match="there is no playbook `p`"):
        machine.library.with_text(str(machine.folder / "q.yaml"), text)


def test_off_is_off_at_once_and_back_again_it_knows_the_past(machine):
    machine.send(*burst(0, 3))
    machine.write(playbook(actions=BLOCK, when="{count: 5}", mode="off"))
    machine.send(*burst(3, 2))
    assert machine.findings == []
    machine.write(playbook(actions=BLOCK, when="{count: 5}"))
    assert machine.tally() == (5,)


class Busy:
    """The store's events with something that happens while they are read, or when all of them are followed."""

    def __init__(self, events, during, behind):
        self._events, self._during, self._behind, self._laps = events, during, behind, 0

    def __getattr__(self, name):
        return getattr(self._events, name)

    def in_order(self, app, since, names=None):
        for number, event in enumerate(self._events.in_order(app, since, names)):
            if number == 1:
                self._during()
            yield event

    def after(self, app, position):
        yield from self._events.after(app, position)
        self._laps += 1
        if self._laps == 2:  # the first time it is asked what is late
            self._behind()


def meanwhile(machine, monkeypatch, do, last=False):
    """Let something happen once while a rebuild reads the stored events, or at the `last` moment before the change."""
    left = [do]
    once, never = (lambda: left.pop()() if left else None), lambda: None
    busy = Busy(machine.store.events, *((never, once) if last else (once, never)))
    monkeypatch.setattr(machine.store, "events", busy)


@pytest.mark.parametrize("last", [False, True])
def test_events_that_come_during_a_rebuild_are_judged_as_before_and_counted_once_after_it(machine, monkeypatch, last):
    machine.send(*burst(0, 3))
    seen = []

    def come():
        seen.append(machine.tenant.rebuilding)
        machine.send(*burst(3, 2))

    meanwhile(machine, monkeypatch, come, last)
    machine.write(playbook(actions=BLOCK, when="{count: 9}"))
    assert seen == [frozenset({"p"})]
    assert machine.findings == [("p", 4, True)]
    assert machine.tally() == (5,)
    assert machine.tenant.rebuilding == frozenset()


def test_sums_count_each_event_of_a_rebuild_once(machine, monkeypatch):
    paid = lambda n: raw(f"e{n}", n, "paid", ip="203.0.113.9", properties={"n": 1})  # noqa: E731
    text = "playbook: p\nevent: paid\ngroup_by: ip\nwindow: 10m\nwhen: {{sum: {{properties.n: {}}}}}\n"
    machine.write(text.format(50))
    machine.send(*(paid(n) for n in range(3)))
    meanwhile(machine, monkeypatch, lambda: machine.send(*(paid(n) for n in range(3, 8))))
    machine.write(text.format(9))
    assert machine.tally() == (8_000_000,)
    machine.send(paid(8))
    assert machine.findings == [("p", 8, False)]


def test_until_it_is_rebuilt_it_acts_in_the_milder_of_both_modes(machine, monkeypatch):
    machine.send(*burst(0, 3))
    meanwhile(machine, monkeypatch, lambda: machine.send(*burst(3, 2)))
    machine.write(playbook(actions=BLOCK, when="{count: 9}", mode="monitor"))
    assert machine.findings == [("p", 4, False)]


def test_a_change_during_a_rebuild_begins_it_anew(machine, monkeypatch):
    machine.send(*burst(0, 3))
    monkeypatch.setattr(restore, "LUMP", 1)

    def change():
        path = machine.folder / "p.yaml"
        path.write_text(playbook(actions=BLOCK, when="{count: 7}"))
        os.utime(path, ns=(10**18, 10**18))

    meanwhile(machine, monkeypatch, change)
    machine.write(playbook(actions=BLOCK, when="{count: 9}"))
    assert machine.tenant.engine.judges["p"].playbook.when[0].threshold == 7
    assert machine.tally() == (3,)
    assert machine.tenant.rebuilding == frozenset()


def test_taken_back_during_a_rebuild_the_old_one_simply_goes_on(machine, monkeypatch):
    machine.send(*burst(0, 3))
    monkeypatch.setattr(restore, "LUMP", 1)
    tracker = machine.tenant.windows.trackers["p"]

    def take_back():
        path = machine.folder / "p.yaml"
        path.write_text(playbook(actions=BLOCK, when="{count: 5}"))
        os.utime(path, ns=(10**18, 10**18))

    meanwhile(machine, monkeypatch, take_back)
    machine.write(playbook(actions=BLOCK, when="{count: 9}"))
    assert machine.tenant.windows.trackers["p"] is tracker
    assert machine.tenant.rebuilding == frozenset()


def test_where_events_cannot_be_read_it_goes_on_as_it_was_and_is_rebuilt_later(machine, monkeypatch):
    machine.send(*burst(0, 3))

    def fail(*arguments):
        raise StoreBusy("the explorer is down")

    with monkeypatch.context() as patch:
        patch.setattr(machine.store.events, "in_order", fail)
        machine.write(playbook(actions=BLOCK, when="{count: 4}"))
        machine.reload.look()
        machine.send(*burst(3, 1))
    assert machine.findings == []
    assert machine.told.count(("mistake", "playbooks go on as they were: the explorer is down")) == 1
    assert machine.tenant.rebuilding == {"p"}
    machine.reload.look()
    assert (machine.tally(), machine.tenant.rebuilding) == ((4,), frozenset())


def test_a_wait_goes_on_through_a_rebuild_and_acts_and_one_that_was_over_before_does_not(machine):
    text = "playbook: p\nmode: enforce\nevent: a\ngroup_by: ip\nabsent: {{event: b, within: {}}}\nactions: {}\n"
    machine.write(text.format("20m", "[{block_ip: {for: 1h}}]"))
    machine.send(raw("1", 0, "a", ip="203.0.113.10"), raw("2", 16 * 60, "b", ip="203.0.113.10"))
    machine.send(raw("3", 30 * 60, "a", ip="203.0.113.9"))
    machine.write(text.format("15m", "[{block_ip: {for: 1h}}]"))
    machine.tick(56 * MINUTE)
    assert machine.findings == [("p", 45 * 60, True)]


def test_versions_are_kept_with_whose_file_it_is_and_the_change_is_in_the_audit(machine, store):
    (first,) = store.playbooks.history("shop", "p").items
    machine.write("# a comment\n---\n" + playbook(actions=BLOCK, when="{count: 4}") + "---\n" + playbook("q"))
    newest, oldest = store.playbooks.history("shop", "p").items
    assert oldest == first
    assert newest.source == playbook(actions=BLOCK, when="{count: 4}")
    assert newest.by == (machine.folder / "p.yaml").owner()
    lines = [(one.action, one.target, one.reason) for one in store.audit.list("shop").items]
    assert ("playbook.changed", "p", f"version {newest.version} instead of {oldest.version}") in lines
    assert len(store.playbooks.history("shop", "q").items) == 1


def changes(store):
    return [(one.target, one.reason) for one in store.audit.list("shop").items if one.action == "playbook.changed"]


def test_what_changed_while_the_server_was_down_is_in_the_audit_once_it_looks(machine, store):
    (before,) = store.playbooks.history("shop", "p").items
    (machine.folder / "p.yaml").write_text(playbook(actions=BLOCK, when="{count: 4}") + "---\n" + playbook("q"))
    Machine(store, machine.folder)
    after, _ = store.playbooks.history("shop", "p").items
    (new,) = store.playbooks.history("shop", "q").items
    told = [("q", f"version {new.version}"), ("p", f"version {after.version} instead of {before.version}")]
    assert changes(store) == told
    Machine(store, machine.folder)
    assert changes(store) == told


def test_what_was_removed_while_the_server_was_down_is_in_the_audit_once(machine, store):
    (machine.folder / "p.yaml").write_text(playbook("q"))
    for _ in range(3):
        Machine(store, machine.folder)
    assert [one for one in changes(store) if one[0] == "p"] == [("p", "removed")]
    assert next(one.version for one in store.playbooks.history("shop", "p").items) == ""
    (machine.folder / "p.yaml").write_text(playbook(actions=BLOCK))
    Machine(store, machine.folder)
    assert next(one for one in changes(store) if one[0] == "p")[1].startswith("version ")


def test_of_an_app_made_between_two_looks_the_version_that_a_change_replaced_is_kept(machine, store):
    (before,) = store.playbooks.history("shop", "p").items
    store.access.add_app(App("second", made=START), "test", START)
    machine.write(playbook(actions=BLOCK, when="{count: 4}"))
    newest, oldest = store.playbooks.history("second", "p").items
    assert (oldest.source, oldest.version) == (before.source, before.version) and newest.version != oldest.version
    lines = [one.reason for one in store.audit.list("second").items if one.action == "playbook.changed"]
    assert lines == [f"version {newest.version} instead of {oldest.version}"]


def test_the_very_first_start_changes_nothing(machine, store):
    assert changes(store) == []


def test_a_file_written_anew_with_the_same_text_changes_nothing(machine):
    before = machine.tenant.engine
    machine.write((machine.folder / "p.yaml").read_text())
    assert machine.tenant.engine is before
    assert machine.told == []


def test_an_app_made_later_goes_by_what_is_there_then(machine, store):
    machine.write(playbook(actions=BLOCK, when="{count: 2}"))
    store.access.add_app(App("second", made=START), "test", START)
    machine.pipeline.process([Sending("second", events(burst(0, 2)), "sdk")])
    machine.reload.look()
    assert len(list(store.findings.since("second", 0))) == 1
    assert len(store.playbooks.history("second", "p").items) == 1


def test_a_folder_that_is_gone_leaves_everything_as_it_was(machine):
    machine.folder.rename(machine.folder.with_name("moved"))
    machine.reload.look()
    assert [one.id for one in machine.library.playbooks] == ["p"]
    assert len(machine.library.mistakes) == 1
    machine.folder.with_name("moved").rename(machine.folder)
    machine.reload.look()
    assert machine.library.mistakes == ()
