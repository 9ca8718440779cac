"""Why an event counts or not, and what would open a finding: in the words a person reads."""

from __future__ import annotations

import pytest

from sentinel.core.errors import SentinelError
from sentinel.core.event import read
from sentinel.engine.engine import Engine
from sentinel.engine.keys import group_key, key_of, key_text, shown_key
from sentinel.loader.assembly import Content
from sentinel.service.explainer import Explainer
from sentinel.service.why import judged, nearness, rule
from tests.service.machine import Machine
from tests.service.stories import MINUTE, SECOND, START, failed, passed, playbook, playbooks, raw, windows

EXCEPT = "[{where: 'cidr(ip, \"198.51.100.0/24\")', reason: office}]"


def one(text):
    (found,) = playbooks(text)
    return found


def asked(text, event):
    return judged(one(text), read(event, enriched=True))


def test_an_event_that_counts_says_for_which_group_and_each_clause_its_value():
    found = asked(playbook(group_by="[ip, user]", where='\'ip != "::1" and upper(user) == "ID:U"\''), failed("1", 0))
    assert (found.counts, found.why) == (True, None)
    assert found.group == {"ip": "203.0.113.9", "user": "id:u"}
    (part,) = found.parts
    assert (part.rule, part.named, part.matches) == ("login-failed", True, True)
    assert [(clause.source, clause.truth, clause.fields) for clause in part.clauses] == [
        ("not success", True, {"success": False}),
        ('ip != "::1"', True, {"ip": "203.0.113.9"}),
        ('upper(user) == "ID:U"', True, {"user": "id:u"}),
    ]
    assert part.clauses[2].operands == {"upper(user)": "ID:U"}


@pytest.mark.parametrize(
    ("more", "event", "why"),
    [
        ({}, raw("1", 0, "signup"), "events named `signup` are not looked at"),
        ({}, passed("1", 0), "the condition does not hold"),
        ({}, raw("1", 0), "the condition does not hold"),
        ({}, failed("1", 0, trust="browser"), "a browser sent it, and the playbook trusts servers alone"),
        ({"trust": "any", "group_by": "user"}, failed("1", 0, trust="browser"), None),
        ({"exceptions": EXCEPT}, failed("1", 0, ip="198.51.100.7"), "an exception takes it out: office"),
        ({"exceptions": EXCEPT}, failed("1", 0), None),
        ({"mode": "off"}, failed("1", 0), "the playbook is off"),
        ({"mode": "monitor"}, failed("1", 0), None),
        ({"group_by": "[user, properties.card]"}, failed("1", 0), "a group field is missing: `properties.card`"),
        (
            {"group_by": "[user, properties.card]"},
            failed("1", 0, properties={"card": "<redacted>"}),
            "a group field is missing: `properties.card` (redacted)",
        ),
    ],
)
def test_an_event_that_does_not_count_says_why_and_the_engine_agrees(more, event, why):
    found = asked(playbook(**more), event)
    assert (found.counts, found.why) == (why is None, why)
    assert bool(Engine([one(playbook(**more))]).match([read(event, enriched=True)]).hits) == found.counts


def test_an_unknown_clause_is_neither_true_nor_false():
    found = asked(playbook(where="'properties.amount > 5'"), failed("1", 0))
    assert [clause.truth for clause in found.parts[0].clauses] == [True, None]
    assert found.parts[0].clauses[1].fields == {"properties.amount": None}


SEQUENCE = """
playbook: p
group_by: user
window: 10m
sequence: [{event: a, count: 2}, {event: b}]
until: {event: c}
"""
ABSENT = "playbook: p\nevent: a\ngroup_by: user\nabsent: {event: b, within: 10m}\n"
TRAVEL = "playbook: p\nevent: a\ngroup_by: user\ntravel: {faster_than: 900}\n"
FIRST = "playbook: p\nevent: a\ngroup_by: user\nfirst_seen: {field: geo.country, history: 1d, after: 2}\n"
SPIKE = "playbook: p\nevent: a\ngroup_by: user\nwindow: 10m\nspike: {factor: 2, baseline: 20m, min: 3}\n"


def test_each_step_says_whether_it_takes_the_event():
    found = asked(SEQUENCE, raw("1", 0, "b", user="u"))
    assert [(part.name, part.matches) for part in found.parts] == [
        ("step 1", False),
        ("step 2", True),
        ("until", False),
    ]
    assert found.counts
    assert [part.name for part in asked(ABSENT, raw("1", 0, "b", user="u")).parts] == ["event", "absent"]
    assert asked(TRAVEL, raw("1", 0, "a", user="u")).why == "the event has no location"


def test_a_rule_is_judged_by_itself():
    (rules,) = [one(playbook()).rule]
    assert rule(rules, read(failed("1", 0))).matches and not rule(rules, read(passed("1", 0))).matches


def near(text, raws, given, now=0):
    """Return how near a group is after events."""
    engine = Engine(playbooks(text))
    made = windows(engine.watches())
    matched = engine.match([read(event, enriched=True) for event in raws])
    made.hit(matched.hits, matched.newest)
    at = START + now * SECOND
    return nearness(engine.judges.values(), made, given, engine.acts, at)


def test_a_group_is_told_with_its_tally_what_would_fire_and_when_it_empties():
    (found,) = near(playbook(), [failed("1", 0), failed("2", 60)], {"ip": ["203.0.113.9"]}, 61)
    assert (found.tally, found.threshold) == ({"count": 2}, {"count": ">= 3"})
    assert found.fires == "1 more matching event, in one window of 10m"
    assert found.empties == START + 11 * MINUTE
    assert (found.held, found.opened) == (None, ())


def test_a_group_that_was_found_is_held_back_only_by_what_acted():
    burst = [failed(str(n), n) for n in range(3)]
    (found,) = near(playbook(), burst, {"ip": ["203.0.113.9"]}, 60)
    assert (found.held, found.opened) == (START + 2 * SECOND + 10 * MINUTE, ((START + 2 * SECOND, True),))
    assert found.fires == "the next matching event"
    (found,) = near(playbook(mode="monitor"), burst, {"ip": ["203.0.113.9"]}, 60)
    assert found.held == START + 2 * SECOND + 10 * MINUTE
    (found,) = near(playbook(), burst, {"ip": ["203.0.113.9"]}, 3600)
    assert found.held is None


def test_of_a_group_nobody_saw_everything_is_lacking():
    (found,) = near(playbook(), [], {"ip": ["192.0.2.1"]})
    assert (found.tally, found.fires) == ({"count": 0}, "3 more matching events, in one window of 10m")


@pytest.mark.parametrize(
    ("when", "fires"),
    [
        ("{distinct: {user: 3}}", "2 more different `user`"),
        ("{sum: {properties.n: 10}}", "at least 5 more of `properties.n`"),
        ("{max: {properties.n: 10}}", "`properties.n` of at least 10"),
        ("{avg: {properties.n: {gt: 10}}}", "a mean `properties.n` of more than 10"),
        ("{count: 1, ratio: {where: properties.n > 5, gte: 0.5}}", "a share of at least 0.5 where `properties.n > 5`"),
        ("{count: {gt: 3}, distinct: {user: 2}}", "2 more matching events and 1 more different `user`"),
    ],
)
def test_every_metric_says_what_it_lacks(when, fires):
    raws = [failed("1", 0, properties={"n": 2}), failed("2", 1, properties={"n": 3})]
    (found,) = near(playbook(when=when), raws, {"ip": ["203.0.113.9"]}, 2)
    assert found.fires == f"{fires}, in one window of 10m"


@pytest.mark.parametrize(
    ("text", "raws", "tally", "fires"),
    [
        (SEQUENCE, [("1", 0, "a")], {"step.1": 1, "step.2": 0}, "1 more event for step 1 of 2, then 1 more step"),
        (SEQUENCE, [("1", 0, "a"), ("2", 1, "a")], {"step.1": 2, "step.2": 0}, "1 more event for step 2 of 2"),
        (FIRST, [("1", 0, "a")], {"earlier": 1}, "1 more event to learn from, then any `geo.country`"),
        (TRAVEL, [], {"km": None, "seconds": None}, "two events from places too far apart"),
        (ABSENT, [], {"count": 0}, "an event that begins a wait, and then nothing for 10m"),
        (ABSENT, [("1", 0, "a")], {"count": 1}, "nothing of what is awaited until 2026-01-05T00:10:00Z"),
        (
            SPIKE, [("1", 0, "a")], {"count": 1, "mean": 0},
            "2 more events in one window of 10m, from 2026-01-05T00:30:00Z on, when the baseline is full",
        ),
    ],
)  # fmt: skip
def test_every_detector_says_what_would_fire_it(text, raws, tally, fires):
    (found,) = near(text, [raw(*one, user="u") for one in raws], {"user": ["id:u"]}, 9)
    assert (found.tally, found.fires) == (tally, fires)


def test_first_seen_and_travel_name_what_they_know():
    place = {"geo": {"country": "AT", "lat": 48.2, "lon": 16.4}}
    raws = [raw(str(n), n, "a", user="u", **place) for n in range(2)]
    assert near(FIRST, raws, {"user": ["id:u"]}, 9)[0].fires == "a `geo.country` that is none of `AT`"
    assert near(TRAVEL, raws, {"user": ["id:u"]}, 9)[0].fires == (
        "an event from where nobody gets at 900 km/h from 48.2, 16.4 at 2026-01-05T00:00:01Z"
    )


def test_playbooks_that_need_more_fields_than_are_given_are_left_out():
    text = "---\n".join([playbook("a"), playbook("b", group_by="[ip, user]"), playbook("c", group_by="[]")])
    ask = lambda **given: [found.id for found in near(text, [], given)]  # noqa: E731
    assert ask(ip=["192.0.2.1"]) == ["a"]
    assert ask(ip=["192.0.2.1"], user=["id:u"]) == ["a", "b"]
    assert ask() == ["c"]


def test_of_several_meanings_of_a_value_the_one_that_is_known_is_told():
    raws = [failed("1", 0, properties={"n": 5})]
    (found,) = near(playbook(group_by="properties.n"), raws, {"properties.n": ["5", 5]})
    assert (found.group, found.tally) == ({"properties.n": 5}, {"count": 1})


def test_a_network_of_neighbours_is_asked_for_as_a_group(store):
    """By its own text, or by an address in it; another size is none."""
    text = playbook(group_by="ip.network")
    machine = Machine(store, [text])
    machine.send(failed("1", 0, ip="203.0.113.9"), failed("2", 1, ip="203.0.113.200"), failed("3", 2, ip="2001:db8::1"))
    content = Content(playbooks={one.id: one for one in playbooks(text)})
    explainer = Explainer(machine.pipeline, store, lambda: content)

    def tally(ip):
        (found,) = explainer.group("shop", [f"ip.network={ip}"], START + 9 * SECOND)
        return found.group["ip.network"], found.tally["count"]

    assert tally("203.0.113.0/24") == tally("203.0.113.77") == ("203.0.113.0/24", 2)
    assert tally("2001:db8::/48") == tally("2001:0db8:0:ff::") == ("2001:db8::/48", 1)
    for other in ("203.0.113.0/25", "203.0.113.9/24", "2001:db8::/32", "office", "/24"):
        with pytest.raises(SentinelError, match=r"is no network of `ip\.network`"):
            tally(other)


@pytest.mark.parametrize(
    "fields", [(), ("user",), ("ip",), ("ip.network",), ("success",), ("ip", "user"), ("user", "properties.n")]
)
def test_a_group_by_its_values_has_the_key_its_events_have(fields):
    event = read(failed("1", 0, ip="2001:db8::1", properties={"n": 5}))
    values = {"user": "id:u", "ip": "2001:db8::/64", "ip.network": "2001:db8::/48", "success": False, "properties.n": 5}
    assert key_of(fields, values) == group_key(fields)(event)


@pytest.mark.parametrize("value", ["x", "", "\0odd", 5, -5, 2.5, True, False])
def test_a_value_comes_back_from_its_key(value):
    text = key_text(value)
    assert text is not None
    assert shown_key(text) == value
