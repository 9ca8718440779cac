"""Several processes over one store and one Valkey come to what a single one comes to, whoever is given an event."""

import random
from functools import partial
from itertools import count

import pytest

from sentinel.core.errors import StoreBusy
from sentinel.core.record import App
from sentinel.service import restore, shared
from sentinel.service.intake import Sending
from sentinel.service.pipeline import Listeners, Pipeline
from sentinel.service.tenant import Tenant
from sentinel.store.embedded.store import open_store
from sentinel.windows import together
from sentinel.windows.groups import Limits
from sentinel.windows.link import Command, open_link
from sentinel.windows.valkey import StateLost, ValkeyWindows
from tests import valkey
from tests.prepared import prepared
from tests.service.machine import plain
from tests.service.stories import DAY, MINUTE, SECOND, START, events, failed, passed, playbook, playbooks, raw, windows

LADDER = playbook(actions="[{block_ip: {for: [15m, 1h, 24h]}}]", cooldown="5m", window="5m")
GUARDED = playbook(id="guarded", group_by="user", when="{count: 2}", guard="{max: 2, per: 1h}",
                   actions="[{challenge_user: {for: 1h}}]")  # fmt: skip
SPARING = playbook(id="sparing", when="{distinct: {user: 3}}", actions="[{block_ip: {for: 1h, unless_shared_by: 2}}]")
OWNERS = playbook(id="owners", group_by="user", actions="[{block_user: {for: 1h}}]")
WAITING = """
playbook: waiting
mode: enforce
event: a
group_by: user
absent: {event: b, within: 20m}
cooldown: 1h
actions: [{block_user: {for: 1d}}]
"""
SEQUENCE = """
playbook: sequence
mode: enforce
group_by: user
window: 10m
sequence: [{rule: login-failed, count: 2}, {rule: login-succeeded}]
actions: [{challenge_user: {for: 1h}}]
"""
CROWD = playbook(id="crowd", when="{distinct: {user: 3}}", actions="[{block_users: {for: 1h}}]")
ALL = LADDER, GUARDED, SPARING, OWNERS, WAITING, SEQUENCE, CROWD
_apps = count()


class Processes:
    """Servers over one store: with a link each on windows they share, else one with windows of its own."""

    def __init__(self, store, texts, *links):
        self.store, self.texts, self.now = store, texts, START
        self.app = f"shop-{next(_apps)}"
        store.access.add_app(App(self.app, made=START), "test", START)
        made = [lambda app, link=link: self._shared(app, link) for link in links] or [self._alone]
        self.pipelines = [Pipeline(store, one, lambda app: plain, lambda: self.now, Listeners()) for one in made]
        self.tenants = [pipeline.tenant(self.app) for pipeline in self.pipelines]
        self._turns = count()

    def _alone(self, app):
        tenant = Tenant(app, playbooks(*self.texts), windows, 10 * MINUTE)
        restore.restore(self.store, tenant, self.now)
        return tenant

    def _shared(self, app, link):
        tenant = self._empty(app, playbooks(*self.texts), link)
        self.mend(tenant)
        return tenant

    def _empty(self, app, going_by, link):
        def memory(windows, protected):
            return together.shared_memory(link, app.id, windows.lasting, protected)

        def make(watches):
            return ValkeyWindows(link, app.id, watches, Limits())

        return shared.SharedTenant(app, going_by, make, memory, 10 * MINUTE)

    def keep_up(self):
        """Do what each process does once a second."""
        for pipeline in self.pipelines:
            tenant = pipeline.tenants[self.app]
            make = partial(self._empty, link=tenant.windows._link)
            shared.keep_up(self.store, tenant, make, self.store.events.decided())

    def add(self, link, *texts):
        """Start one more process, which goes by other playbooks; it is the next to be given events."""
        self.texts = texts
        self.pipelines.append(
            Pipeline(self.store, lambda app: self._shared(app, link), lambda app: plain, lambda: self.now, Listeners())
        )
        self.pipelines[-1].tenant(self.app)
        self._turns = count(len(self.pipelines) - 1)

    def mend(self, tenant):
        shared.begin(self.store, tenant, lambda what, done: None, lambda seconds: None)

    def send(self, *raws):
        """Give events to the next process in turn."""
        given = events(raws)
        self.now = max([self.now, *(event.at for event in given)])
        pipeline = self.pipelines[next(self._turns) % len(self.pipelines)]
        (outcome,) = pipeline.process([Sending(self.app, given, "sdk")])
        return outcome

    def tick(self, after):
        """Do what each process does once a second."""
        self.now = START + after
        for pipeline in self.pipelines:
            pipeline.tick()

    @property
    def findings(self):
        kept = [one.finding for one in self.store.findings.since(self.app, 0)]
        return sorted((one.playbook, one.key, one.at - START, one.acted, _effects(one)) for one in kept)

    @property
    def decisions(self):
        page = self.store.decisions.delta(self.app, 0, self.now)
        return sorted((one.kind, one.scope, one.value, one.until) for one in page.added)


def _effects(finding):
    return sorted(((one.kind, one.target, one.length, one.held) for one in finding.effects), key=str)


@pytest.fixture
def store(tmp_path):
    made = open_store(prepared(tmp_path / "data"))
    yield made
    made.close()


@pytest.fixture
def links():
    made = [open_link(valkey.shared().url) for _ in range(2)]
    yield made
    for link in made:
        link.close()


def stream(seed):
    """Give the events of two hours: logins of few people from few places, some of them late, and what is awaited."""
    chance = random.Random(seed)
    raws = []
    for n in range(300):
        after, user, ip = n * 24 + chance.randrange(20), f"u{chance.randrange(6)}", f"203.0.113.{chance.randrange(4)}"
        make = chance.choice([failed, failed, passed, None])
        if make is None:
            raws.append((after, raw(f"e{n}", after, event=chance.choice("ab"), user=user)))
        else:
            raws.append((after, make(f"e{n}", after, user=user, ip=ip)))
    return [one for _, one in sorted(raws, key=lambda pair: pair[0] + chance.choice([0, 0, 60, 300]))]


@pytest.mark.parametrize("seed", range(2))
def test_events_given_to_two_processes_in_turn_come_to_what_they_come_to_on_one(store, links, seed):
    """Ladders, guards, familiar places, shared addresses, waits and sequences included."""
    one, two = Processes(store, ALL), Processes(store, ALL, *links)
    for number, event in enumerate(stream(seed)):
        assert one.send(event).accepted == two.send(event).accepted == 1
        if number % 50 == 0:
            after = one.now - START
            one.tick(after)
            two.tick(after)
    for processes in (one, two):
        processes.tick(DAY)
        processes.tick(DAY + MINUTE)
    assert one.findings == two.findings
    assert one.decisions == two.decisions
    kinds = {finding[0] for finding in one.findings}
    assert kinds >= {"p", "guarded", "owners", "waiting", "sequence", "crowd"}


def test_the_third_of_three_failures_is_found_whoever_had_the_first_two(store, links):
    two = Processes(store, [LADDER], *links)
    for n in range(3):
        two.send(failed(f"e{n}", n))
    assert [finding[:4] for finding in two.findings] == [("p", "203.0.113.9", 2 * SECOND, True)]


def test_everybody_in_a_window_is_acted_on_whoever_was_given_their_events(store, links):
    two = Processes(store, [CROWD], *links)
    for n in range(3):
        two.send(failed(f"e{n}", n, user=f"u{n}"))
    assert [value for _, _, value, _ in two.decisions] == ["id:u0", "id:u1", "id:u2"]


def test_a_ladder_is_climbed_by_all_processes_together(store, links):
    two = Processes(store, [LADDER], *links)
    for hour in range(3):
        for n in range(3):
            two.send(failed(f"e{hour}-{n}", hour * 3600 + n))
    assert [finding[4][0][2] for finding in two.findings] == [15 * MINUTE, 60 * MINUTE, DAY]


def test_a_guard_holds_in_every_process(store, links):
    two = Processes(store, [GUARDED], *links)
    for n in range(12):
        two.send(failed(f"e{n}", n, user=f"u{n // 2}"))
    assert [finding[3] for finding in two.findings] == [True, True, False, False, False, False]


def test_a_batch_done_again_by_another_process_is_found_once_and_climbs_no_ladder(store, links):
    """A process that dies between its windows and its commit leaves the batch to whoever is sent it again."""
    two = Processes(store, [LADDER], *links)
    two.send(failed("a", 0), failed("b", 1))
    batch = events([failed("c", 2)])
    tenant = two.tenants[0]
    matched = tenant.engine.match(batch, tenant.newest)
    (opening,) = tenant.windows.hit(matched.hits, matched.newest)
    tenant.engine.respond([opening], batch, tenant.memory, two.now)  # and no commit
    two.send(failed("c", 2))
    assert [finding[4][0][2] for finding in two.findings] == [15 * MINUTE]


@pytest.mark.parametrize("told", range(2))
def test_what_is_awaited_may_come_as_long_as_any_process_is_told_of_what_was(store, links, told):
    """Whoever waited for the servers to be back sends the oldest first, and may send all of it to one of them."""
    two = Processes(store, [WAITING], *links)
    two.tick(0)
    for at, event in ((0, "a"), (5, "x"), (15, "b")):
        two.now = START + DAY + at * 6 * SECOND
        sent = events([raw(event, at * 60, event=event, user="u")])
        two.pipelines[told].process([Sending(two.app, sent, "sdk")])
        two.tick(two.now - START)
    two.tick(2 * DAY)
    assert two.findings == []


def test_a_wait_that_was_due_and_could_not_be_kept_is_due_again(store, links):
    two = Processes(store, [WAITING], *links)
    two.send(raw("begin", 0, event="a", user="u"))
    openings = two.tenants[0].windows.due(START + DAY)
    assert [one.at - START for one in openings] == [20 * MINUTE]
    assert two.tenants[1].windows.due(START + DAY) == []  # it is the first one's own
    two.tenants[0].windows.put_back(openings)
    two.tick(DAY)
    assert [finding[0] for finding in two.findings] == ["waiting"]


def test_a_wait_that_a_process_took_with_it_is_due_again_after_its_lease(store, links, monkeypatch):
    two = Processes(store, [WAITING], *links)
    two.send(raw("begin", 0, event="a", user="u"))
    monkeypatch.setattr("sentinel.windows.waits.LEASE", 0)
    assert two.tenants[0].windows.due(START + DAY)  # and it dies before it commits
    two.tick(DAY)
    two.tick(DAY)
    assert [finding[0] for finding in two.findings] == ["waiting"]


def test_what_was_lost_is_rebuilt_from_the_store_and_nothing_is_taken_meanwhile(store):
    """Counts, findings that hold back others, ladders, guards, waits: the next event is judged as if nothing was."""
    server = valkey.Server()
    try:
        links = [open_link(server.url, patience=2) for _ in range(2)]
        one, two = Processes(store, ALL), Processes(store, ALL, *links)
        given = stream(7)
        for event in given[:150]:
            one.send(event)
            two.send(event)
        server.client().flushall()
        for _ in range(2):
            with pytest.raises(StateLost, match="windows lost what they held"):
                two.send(given[150])
        assert all(tenant.windows.lost for tenant in two.tenants)
        for tenant in two.tenants:
            two.mend(tenant)
        for event in given[150:]:
            one.send(event)
            two.send(event)
        for processes in (one, two):
            processes.tick(DAY)
            processes.tick(DAY + MINUTE)
        assert [finding[:4] for finding in one.findings] == [finding[:4] for finding in two.findings]
        for link in links:
            link.close()
    finally:
        server.end()


def test_a_process_of_another_version_counts_what_is_stored_and_leaves_others_what_they_counted(store, links):
    """As while servers are started anew, one by one, with a playbook that was changed: the old ones forgot it all."""
    both = Processes(store, [playbook(when="{count: 3}")], links[0])
    for n, ip in enumerate(["203.0.113.1"] * 2 + ["203.0.113.2"] * 2 + ["203.0.113.3"]):
        both.send(failed(f"e{n}", n, ip=ip))
    both.add(links[1], playbook(when="{count: 2}", cooldown="3h"))
    both._turns = count()
    both.send(failed("to the old one", 10, ip="203.0.113.1"))
    both.send(failed("to the new one", 11, ip="203.0.113.3"))
    assert [(key, at // SECOND) for _, key, at, *_ in both.findings] == [("203.0.113.1", 10), ("203.0.113.3", 11)]


def test_of_two_versions_each_counts_what_processes_of_the_other_are_given(store, links):
    """As while servers are started anew, one by one, with a playbook that was changed."""
    both = Processes(store, [playbook(when="{count: 3}")], links[0])
    both.add(links[1], playbook(when="{count: 4}"))
    for n in range(6):
        both.keep_up()
        both.send(failed(f"e{n}", n))
    assert [at // SECOND for _, _, at, *_ in both.findings] == [3, 4]
    both.keep_up()
    assert len(both.findings) == 2


def test_a_process_that_starts_beside_one_of_another_version_counts_what_that_was_given(store, links):
    """The last that is started anew, and the one before it has died: none has counted what the old one was given."""
    both = Processes(store, [playbook(when="{count: 9}")], links[0])
    both.add(links[1], playbook(when="{count: 3}"))
    gone = both.pipelines.pop()
    both._turns = count()
    both.send(failed("e1", 1), failed("e2", 2))
    gone.tenants.clear()
    both.add(links[1], playbook(when="{count: 3}"))
    both.send(failed("e3", 3))
    assert [at // SECOND for _, _, at, *_ in both.findings] == [3]


def test_what_a_process_that_has_ended_was_given_last_is_counted_too(store, links):
    both = Processes(store, [playbook(when="{count: 9}")], links[0])
    both.add(links[1], playbook(when="{count: 3}"))
    both.keep_up()
    both._turns = count()
    both.send(failed("e1", 1), failed("e2", 2))
    links[1].one(Command("k", ("DEL", both.pipelines.pop(0).tenants[both.app].windows._state._beside)))
    both.keep_up()
    both.send(failed("e3", 3))
    assert [at // SECOND for _, _, at, *_ in both.findings] == [3]


def test_a_playbook_that_was_taken_out_and_is_back_counts_what_came_meanwhile(store, links):
    """Taken out by a start without it, and by a change of its file."""
    texts, other = [playbook(when="{count: 3}")], [playbook(id="other", when="{count: 99}")]
    for way in ("a start", "a file"):
        server = Processes(store, texts, links[0])
        app = App(server.app, made=START)
        server.send(failed("e1", 1))
        if way == "a start":
            server.texts = other
            server.pipelines[0].tenants[server.app] = server._shared(app, links[0])
        else:
            server.pipelines[0].tenants[server.app].take(playbooks(*other))
        server.send(failed("e2", 2))
        server.texts = texts
        server.pipelines[0].tenants[server.app] = server._shared(app, links[0])
        server.send(failed("e3", 3))
        assert [at // SECOND for _, _, at, *_ in server.findings] == [3], way


def test_a_version_that_comes_back_counts_what_came_meanwhile(store, links):
    """A changed playbook, given up for what it was: nothing was counted by that since."""
    old, new = [playbook(when="{count: 3}")], [playbook(when="{count: 9}")]
    server = Processes(store, old, links[0])
    app = App(server.app, made=START)
    server.send(failed("e1", 1))
    for texts, sent in ((new, "e2"), (old, "e3")):
        server.texts = texts
        server.pipelines[0].tenants[server.app] = server._shared(app, links[0])
        server.send(failed(sent, int(sent[1])))
    assert [at // SECOND for _, _, at, *_ in server.findings] == [3]


def test_a_server_killed_and_started_again_with_its_log_goes_on(store):
    """Ten times, now between two batches and now right behind the hits of one that is not committed."""
    server = valkey.Server("--appendonly", "yes", "--appendfsync", "always")
    try:
        links = [open_link(server.url) for _ in range(2)]
        two = Processes(store, [LADDER], *links)
        for number in range(10):
            ip = f"198.51.100.{number}"
            two.send(failed(f"a{number}", 0, ip=ip), failed(f"b{number}", 1, ip=ip))
            if number % 2:
                batch = events([failed(f"c{number}", 2, ip=ip)])
                tenant = two.tenants[0]
                assert tenant.windows.hit(tenant.engine.match(batch, tenant.newest).hits, 0)
            server.kill()
            server.start()
            two.send(failed(f"c{number}", 2, ip=ip))
        assert [finding[:4] for finding in two.findings] == [
            ("p", f"198.51.100.{number}", 2 * SECOND, True) for number in range(10)
        ]
        for link in links:
            link.close()
    finally:
        server.end()


def test_a_server_that_may_have_forgotten_the_last_moments_is_not_believed(store):
    """It starts with a snapshot of a while ago, marks and all: what was counted since is folded from the store."""
    server = valkey.Server()
    try:
        link = open_link(server.url)
        one = Processes(store, [LADDER], link)
        server.client().save()
        one.send(failed("a", 0), failed("b", 1))
        server.kill()
        server.start()
        with pytest.raises(StateLost):
            one.send(failed("c", 2))
        one.mend(one.tenants[0])
        one.send(failed("c", 2))
        assert [finding[:4] for finding in one.findings] == [("p", "203.0.113.9", 2 * SECOND, True)]
        link.close()
    finally:
        server.end()


def test_while_nobody_answers_nothing_is_taken(store):
    server = valkey.Server()
    try:
        link = open_link(server.url, patience=0.2)
        one = Processes(store, [LADDER], link)
        server.kill()
        with pytest.raises(StoreBusy, match="windows cannot be reached"):
            one.send(failed("a", 0))
        assert store.events.position() == 0
        link.close()
    finally:
        server.end()
