"""Judging on few of the stored events: what is found equals what all of them come to, whatever the playbook."""

from __future__ import annotations

import itertools
import json
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sentinel.cli import past
from sentinel.core.batch import Batch
from sentinel.core.candidates import Candidates
from sentinel.core.event import read
from sentinel.core.record import App
from sentinel.service.trials.backtest import Backtest, Plan
from sentinel.service.trials.needs import needs
from sentinel.service.trials.summary import summary
from sentinel.service.trials.swift import Swift
from sentinel.store.embedded.store import open_store
from sentinel.store.postgres.store import open_postgres
from sentinel.store.sql import Sql
from tests import postgres
from tests.service.stories import DAY, HOUR, MINUTE, SECOND, START, failed, passed, playbook, playbooks, raw, windows

SAME = ("findings", "retracted", "approximate", "historical", "users", "addresses", "actions", "held_back", "harm")
UNTIL = START + 30 * DAY
ALL = {
    "count": playbook(actions="[block_ip: {for: [1h, 2h]}]"),
    "distinct": playbook(when="{distinct: {user: 3}}", actions="[block_ip: {for: 1h, unless_shared_by: 2}]"),
    "both": playbook(when="{count: 4, distinct: {device: 2}}", window="2m"),
    "two fields": playbook(group_by="[user, ip]", when="{count: 2}"),
    "neighbours": playbook(group_by="ip.network", when="{count: 3, distinct: {user: 2, ip: 2}}", window="5m")
    + "---\n" + playbook("q", group_by="[user]", when="{distinct: {ip.network: 2}}", window="5m"),
    "everybody": playbook(group_by="[]", when="{count: 5}", window="1m"),
    "property": playbook(rule="login-failed", group_by="properties.plan", when="{count: 2}"),
    "name": playbook(group_by="event", when="{count: 3}", window="3m"),
    "sum": "playbook: p\ntitle: A test\nmode: enforce\nevent: [paid, auth]\ngroup_by: user\nwindow: 10m\n"
    "when: {sum: {properties.total: 9}}\n",
    "ratio": playbook(
        rule="login-failed", when="{count: 2, ratio: {where: 'properties.plan == \"a\"', gte: 0.5}}", window="5m"
    ),
    "max": "playbook: p\ntitle: A test\nevent: paid\nwhere: properties.total > 2\ngroup_by: user\nwindow: 5m\n"
    "when: {max: {properties.total: 7}}\n",
    "user": playbook(
        group_by="user", accept_lockout="true", actions="[block_user: {for: 1h}, challenge_user: {for: 1h}]"
    ),
    "claimed": playbook(group_by="user", actions="[block_user: {for: 1h}]", cooldown="20m"),
    "users": playbook(when="{distinct: {user: 2}}", accept_lockout="true", actions="[block_users: all]"),
    "guard": playbook(actions="[block_ip: {for: 1h}]", guard="{max: 1, per: 1h}"),
    "labels": playbook(group_by="user", when="{count: 2}", actions="[label_user: {name: odd}]")
    + "---\n"
    + "playbook: q\ntitle: A test\nmode: enforce\nevent: auth\nwhere: '\"odd\" in user.labels'\ngroup_by: user\n"
    + "window: 10m\nwhen: {count: 2}\nactions: [challenge_user: {for: 1h}]\n",
    "emit": playbook(group_by="user", when="{count: 2}", actions="[emit: {event: odd.user}]")
    + "---\n"
    + "playbook: q\ntitle: A test\nmode: enforce\nevent: [odd.user]\ngroup_by: user\nwindow: 1h\nwhen: {count: 2}\n"
    + "accept_lockout: true\nactions: [block_user: {for: 1h}]\n",
    "sequence": "playbook: p\ntitle: A test\nmode: enforce\ngroup_by: user\nwindow: 10m\n"
    "sequence: [{rule: login-failed, count: 2}, {event: auth, where: success}, {event: paid}]\n"
    "accept_lockout: true\nactions: [block_user: {for: 1h}]\n",
    "until": "playbook: p\ntitle: A test\nmode: enforce\ngroup_by: user\nwindow: 10m\n"
    "sequence: [{event: paid}, {rule: login-failed}]\nuntil: {event: view}\n",
    "first seen": "playbook: p\ntitle: A test\nmode: enforce\nevent: auth\ngroup_by: user\n"
    "first_seen: {field: ip, history: 30d, after: 3}\nactions: [challenge_user: {for: 1h}]\n",
    "spike": "playbook: p\ntitle: A test\nevent: [auth, paid]\ngroup_by: user\nwindow: 5m\n"
    "spike: {factor: 2, baseline: 30m, min: 3}\n",
    "travel": "playbook: p\ntitle: A test\nmode: enforce\nevent: auth\ngroup_by: user\ntravel: {faster_than: 900}\n"
    "actions: [challenge_user: {for: 1h}]\n",
    "absent": "playbook: p\ntitle: A test\nmode: enforce\nevent: paid\ngroup_by: user\n"
    "absent: {event: view, within: 5m}\naccept_lockout: true\nactions: [block_user: {for: 1h}]\n",
    "except": playbook(exceptions="[{where: 'user == \"id:v\"', reason: known}]"),
}  # fmt: skip
_USERS, _IPS = (
    st.sampled_from("uvw"),
    st.sampled_from(
        ["203.0.113.1", "203.0.113.2", "198.51.100.9", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:1::1"]
    ),
)
_PLACES = st.sampled_from([{"lat": 52.5, "lon": 13.4}, {"lat": -33.9, "lon": 151.2}, {}])


@st.composite
def histories(draw):
    """Events in clusters, some days apart, with what is left out now and then."""
    found, after = [], 0
    for number in range(draw(st.integers(1, 40))):
        after += draw(st.sampled_from([0, 1, 1, 20, 60, 200, 590, 600, 90_000]))
        user, ip, name = draw(_USERS), draw(_IPS), draw(st.sampled_from(["fail", "fail", "pass", "paid", "view"]))
        more = {
            "properties": {"plan": draw(st.sampled_from(["a", "b", 1, None])), "total": draw(st.integers(0, 9))},
            "geo": draw(_PLACES), "device": draw(st.sampled_from(["d1", "d2"])),
        }  # fmt: skip
        who = {} if draw(st.integers(0, 9)) == 0 else {"user": user}
        where = {} if draw(st.integers(0, 9)) == 0 else {"ip": ip}
        success = {"fail": {"success": False}, "pass": {"success": True}}.get(name, {})
        found.append(raw(f"e{number:03}", after, "auth" if success else name, **success, **who, **where, **more))
    return found


_apps = itertools.count()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    found = open_store(tmp_path_factory.mktemp("swift"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def database():
    server = postgres.shared()
    name = server.make()
    found = open_postgres(server.url(name))
    yield found
    found.close()
    server.drop(name)


def kept(store, raws):
    """Store events for an app of their own; return its name."""
    app = f"app{next(_apps)}"
    store.access.add_app(App(app), "test", 1)
    with store.unit() as unit:
        unit.commit([Batch(app, UNTIL, tuple(read(one, enriched=True) for one in raws))])
    return app


def come_to(run):
    total = summary(run)
    return [json.loads(line) for line in run.findings.lines()], {name: total[name] for name in SAME}, total["busiest"]


MANY_USERS = [failed(f"a{n}", n, user="uvw"[n % 3], device=f"d{n % 2}") for n in range(9)]
AFTER_A_DAY = [passed("h", 0), *[failed(f"a{n}", 90_000 + n) for n in range(5)], passed("i", 90_010)]


def both(store, app, *texts):
    """Return what all events come to, what few come to, and how many these were."""
    plan = Plan(playbooks(*texts), windows)
    with closing(Backtest(plan)) as full, closing(Backtest(plan)) as swift:
        full.run_stored([[one] for one in store.events.in_order(app, START - DAY)])
        reading = Swift(store.events, app, START - DAY, UNTIL).judge(swift)
        assert not reading.partial
        return come_to(full), come_to(swift), reading.events


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raws=histories())
@example(raws=MANY_USERS)
@example(raws=AFTER_A_DAY)
def test_few_events_come_to_what_all_come_to(store, name, raws):
    full, swift, _ = both(store, kept(store, raws), ALL[name])
    assert swift == full


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raws=histories())
@example(raws=MANY_USERS)
@example(raws=AFTER_A_DAY)
def test_few_events_of_a_database_come_to_what_all_come_to(database, name, raws):
    full, swift, _ = both(database, kept(database, raws), ALL[name])
    assert swift == full


def test_groups_that_cannot_be_found_are_not_read_from_a_database(database):
    quiet = [failed(f"q{n}", n * 7_000, ip=f"198.51.100.{n % 9}") for n in range(90)]
    loud = [failed(f"l{n}", 50_000 + n, ip="203.0.113.7") for n in range(3)]
    full, swift, read = both(database, kept(database, quiet + loud), ALL["count"])
    assert (swift, len(full[0]), read) == (full, 1, 3)


def test_a_database_is_not_asked_on_for_nobody(database, monkeypatch):
    """A question that takes long ends once nobody waits for the answer; and the next one is answered."""
    app = kept(database, [failed(f"l{n}", 50_000 + n, ip="203.0.113.7") for n in range(3)])
    endless = Sql("SELECT ts, id, seq FROM events, generate_series(1, 100000000000) AS n WHERE n % 2 = 3")
    asked = itertools.count()
    with monkeypatch.context() as slow, closing(Backtest(Plan(playbooks(ALL["count"]), windows))) as run:
        slow.setattr("sentinel.store.postgres.events.places", lambda *_: endless)
        reading = Swift(database.events, app, START, UNTIL, lambda: next(asked) >= 0).judge(run)
        assert (reading.partial, run.findings.count.total()) == (True, 0)
    assert both(database, app, ALL["count"])[2] == 3


def test_groups_that_cannot_be_found_are_not_read(store):
    quiet = [failed(f"q{n}", n * 7_000, ip=f"198.51.100.{n % 9}") for n in range(90)]
    loud = [failed(f"l{n}", 50_000 + n, ip="203.0.113.7") for n in range(3)]
    views = [raw(f"v{n}", n * 60, "view", user="u") for n in range(200)]
    full, swift, read = both(store, kept(store, quiet + loud + views), ALL["count"])
    assert (swift, len(full[0]), read) == (full, 1, 3)


def test_of_a_sequence_only_what_lies_near_enough_is_read(store):
    raws = [raw(f"p{n}", n * 10_000, "paid", user="u") for n in range(50)] + [failed("f", 490_010, user="u")]
    _, _, read = both(store, kept(store, raws), ALL["until"])
    assert read == 2


def test_a_window_that_lies_across_two_pieces_of_time_is_seen(store):
    """START is a multiple of the window: two failures before such a border and one behind it are one window."""
    full, swift, read = both(store, kept(store, [failed(str(n), 599 + n) for n in range(3)]), ALL["count"])
    assert (len(full[0]), swift, read) == (1, full, 3)


@pytest.mark.parametrize("most", [0, 1])
def test_an_answer_without_the_time_for_all_says_how_far_it_goes(store, most):
    app = kept(store, [failed(f"a{n}", n * 60) for n in range(9)])
    asked = itertools.count()
    with closing(Backtest(Plan(playbooks(ALL["count"]), windows))) as run:
        reading = Swift(store.events, app, START, UNTIL, lambda: next(asked) >= most).judge(run)
    assert reading.partial
    assert reading.judged_until is not None
    assert reading.judged_until < UNTIL


def test_nobody_is_missed_for_an_answer_that_was_cut(store, monkeypatch):
    """What would have come behind the cut is not taken for something that never came."""
    monkeypatch.setattr("sentinel.service.trials.swift.MOST", 1)
    app = kept(store, [raw("a", 0, "paid", user="u"), raw("b", 60, "view", user="u")])
    with closing(Backtest(Plan(playbooks(ALL["absent"]), windows))) as run:
        reading = Swift(store.events, app, START, UNTIL).judge(run)
        assert (reading.partial, reading.events, run.findings.count.total()) == (True, 1, 0)


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"emit"}))
@pytest.mark.parametrize("at_once", [0, past.AT_ONCE])
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raws=histories())
@example(raws=[*[failed(f"a{n}", n, user="uvw"[n % 3]) for n in range(9)], raw("z", 90_000, "other")])
def test_the_whole_report_on_stored_events_is_the_same(store, at_once, name, raws):
    """Whether those that matter are found at once or name by name."""
    app = kept(store, raws)
    plan = Plan(playbooks(ALL[name]), windows)
    source = past.Stored("1d", None, None, app, Path("nowhere"))
    source._since, source._until = START - DAY, UNTIL
    with closing(Backtest(plan)) as full, closing(Backtest(plan)) as few, mock.patch.object(past, "AT_ONCE", at_once):
        full.run_stored([[one] for one in store.events.in_order(app, START - DAY)])
        source._judge_opened(few, store, app)
        assert list(few.findings.lines()) == list(full.findings.lines())
        assert summary(few) == summary(full)


def test_what_asks_for_labels_is_not_left_to_the_database():
    first, second = needs(playbooks(ALL["labels"]), 0, 1)
    assert isinstance(first, Candidates)
    assert (len(first.selections[0].wheres), second.selections[0].wheres) == (1, ())


def test_times_are_those_asked_for(store):
    app = kept(store, [failed(f"a{n}", n) for n in range(3)])
    assert MINUTE > SECOND
    with closing(Backtest(Plan(playbooks(ALL["count"]), windows))) as run:
        assert Swift(store.events, app, START + SECOND, START + HOUR).judge(run).events == 0
