"""Labels in replays and in-file tests are seen as they are live: by later events, until they end."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.service.marks import matter
from sentinel.service.trials.filetests import Runner
from sentinel.service.trials.replay import EVER, Replay
from tests.service.stories import MINUTE, START, events, playbooks, raw, windows

PUTS = """
playbook: puts
mode: {mode}
event: odd
group_by: {by}
window: 1m
when: {{count: 1}}
actions: [{{label_{by}: {{name: odd, for: 10m}}}}]
"""
ASKS = """
playbook: asks
event: pay
where: '"odd" in {by}.labels'
group_by: {by}
window: 1m
when: {{count: 1}}
cooldown: 1s
"""
ABSENT = """
playbook: late
event: odd
group_by: user
absent: {event: even, within: 10m}
actions: [{label_user: {name: odd, for: 30m}}]
"""


def found(texts, raws, size=1, mode="enforce"):
    engine = Engine(playbooks(*texts), mode=mode)
    run = Replay(engine, windows(engine.watches()), Memory())
    sent = events(raws)
    answers = [one for at in range(0, len(sent), size) for one in run.feed(sent[at : at + size])]
    return [(one.playbook, (one.at - START) // MINUTE) for one in [*answers, *run.wait(EVER)]]


def pair(by="user", mode="enforce"):
    return PUTS.format(by=by, mode=mode), ASKS.format(by=by)


def pay(minute, **more):
    return raw(f"p{minute}", minute * 60, "pay", **({"user": "u1", "ip": "203.0.113.9"} | more))


ODD = raw("o", 60, "odd", user="u1", ip="203.0.113.9")


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("by", ["user", "ip"])
def test_a_label_is_seen_by_later_events_until_it_ends(size, by):
    raws = [pay(0), ODD, pay(2), pay(10), pay(11), pay(12)]
    assert found(pair(by), raws, size) == [("puts", 1), ("asks", 2), ("asks", 10)]


def test_only_who_has_the_label_is_met():
    raws = [ODD, pay(2, user="u2", ip="203.0.113.10")]
    assert found(pair("user"), raws) == found(pair("ip"), raws) == [("puts", 1)]


def test_a_label_on_a_network_is_seen_by_its_addresses():
    raws = [ODD | {"ip": "2001:db8::1"}, pay(2, ip="2001:db8::2"), pay(3, ip="2001:db8:1::2")]
    assert found(pair("ip"), raws) == [("puts", 1), ("asks", 2)]


def test_what_only_monitors_puts_nothing_on():
    assert found(pair(mode="monitor"), [ODD, pay(2)], mode=None) == [("puts", 1)]


def test_a_label_put_on_once_more_lasts_longer():
    again = raw("o2", 8 * 60, "odd", user="u1", ip="203.0.113.9")
    assert found(pair(), [ODD, again, pay(12), pay(18)]) == [("puts", 1), ("puts", 8), ("asks", 12)]


def test_a_wait_that_is_over_labels_before_the_next_event_comes():
    raws = [ODD, pay(15), pay(22), pay(60)]
    assert found((ABSENT, pair()[1]), raws, 10) == [("late", 11), ("asks", 22)]


def test_labels_that_an_event_brings_along_stay():
    text = ASKS.format(by="user")
    raws = [pay(1) | {"user_labels": ["odd"]}]
    assert found((text, PUTS.format(by="ip", mode="enforce")), raws) == [("asks", 1)]


def test_in_file_tests_see_what_their_own_playbook_puts_on():
    text = """
playbook: p
event: pay
where: 'coalesce(not ("seen" in user.labels), True)'
group_by: user
window: 1m
when: {count: 1}
cooldown: 1s
actions: [{label_user: {name: seen, for: 1h}}]
tests:
  - name: once an hour
    events: [{at: 0s, event: pay, user: u1, repeat: 7, every: 20m}]
    expect:
      - {at: 0s, group: {user: u1}}
      - {at: 1h, group: {user: u1}}
      - {at: 2h, group: {user: u1}}
"""
    (outcome,) = Runner(windows).playbook(playbooks(text)[0])
    assert not outcome.faults


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["odd", "even", "pay"])), max_size=30), st.integers(2, 9))
def test_the_outcome_is_the_same_however_events_are_cut_into_batches(steps, size):
    """Labels put on, ended and put on anew, by hits and by waits; what was passed over is counted alike, too."""
    minutes = list(accumulate(minute for minute, _ in steps))
    raws = [
        raw(str(n), minute * 60, name, **({"user": "u1"} if n % 5 else {}))
        for n, (minute, (_, name)) in enumerate(zip(minutes, steps, strict=True))
    ]
    texts = (ABSENT, *pair())

    def run(size):
        engine = Engine(playbooks(*texts), mode="enforce")
        replay = Replay(engine, windows(engine.watches()), Memory())
        sent = events(raws)
        answers = [one for at in range(0, len(sent), size) for one in replay.feed(sent[at : at + size])]
        found = [(one.playbook, one.at, one.event_id) for one in [*answers, *replay.wait(EVER)]]
        return found, replay.matched, replay.skipped

    assert run(1) == run(size)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [(pair(), True), (pair()[:1], False), (pair()[1:], False), ((PUTS.format(by="ip", mode="off"), pair()[1]), True)],
)
def test_labels_matter_where_one_puts_on_and_one_asks(texts, wanted):
    assert matter(playbooks(*texts)) == wanted


def test_a_condition_anywhere_may_ask():
    asks = [
        "event: a\nwindow: 1m\nwhen: {count: 1, ratio: {where: '\"x\" in ip.labels', gte: 1}}",
        "event: a\nabsent: {event: b, where: '\"x\" in user.labels', within: 1m}",
        "window: 1m\nsequence: [{event: a}, {event: b, where: '\"x\" in user.labels'}]",
        "event: a\nwindow: 1m\nwhen: {count: 1}\nexceptions: [{where: '\"x\" in user.labels', reason: y}]",
    ]
    for text in asks:
        assert matter(playbooks(f"playbook: q\ngroup_by: user\n{text}\n", pair()[0])), text
