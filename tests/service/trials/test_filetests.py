"""The runner of in-file tests: what passes, what each fault is told, on a virtual clock."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.loader.assembly import assemble
from sentinel.loader.content import shipped_rules
from sentinel.service.trials.filetests import Runner, _arrivals, _late
from tests.service.stories import MINUTE, START, windows

PLAYBOOK = """playbook: p
title: A test
mode: {mode}
rule: login-failed
group_by: {group}
window: 10m
when: {when}
cooldown: 10m
actions: {actions}
{more}
tests:
  - name: {name}
    events:
{events}
    expect:{expect}
{requests}"""
BURST = "{at: 0s, event: auth, success: false, ip: 203.0.113.9, user: u1, repeat: 3, every: 10s}"
FOUND = "{at: 20s, group: {ip: 203.0.113.9}, block_ip: 203.0.113.9}"


def content(
    events=(BURST,), expect=(FOUND,), requests=(), when="{count: 3}", group="ip", actions="[block_ip: {for: 1h}]",
    mode="enforce", more="", name="a test",
):  # fmt: skip
    """Return the content of a file with one playbook and one test."""

    def listed(entries):
        return "\n".join(f"      - {entry}" for entry in entries)

    text = PLAYBOOK.format(
        mode=mode, group=group, when=when, actions=actions, more=more, name=name, events=listed(events),
        expect="\n" + listed(expect) if expect else " []",
        requests="    requests:\n" + listed(requests) if requests else "",
    )  # fmt: skip
    return assemble({"p.yaml": text.encode()}, base=shipped_rules())


def run(**options):
    """Return the faults of the one test."""
    (outcome,) = Runner(windows).playbook(content(**options).playbooks["p"])
    return list(outcome.faults)


def test_a_test_that_finds_what_it_expects_has_no_faults():
    assert run() == []


def test_a_playbook_that_fails_is_told_even_where_nothing_is_expected():
    def failing(watches, lateness):
        made = windows(watches, lateness)
        made.trackers["p"].few, made.trackers["p"].judge = 0, lambda *_: 1 / 0
        return made

    (outcome,) = Runner(failing).playbook(content(expect=()).playbooks["p"])
    assert outcome.faults == ("the playbook fails: ZeroDivisionError: division by zero",)


def test_an_outcome_says_whose_test_it_is_and_where():
    (outcome,) = Runner(windows).playbook(content().playbooks["p"])
    assert (outcome.owner, outcome.name, str(outcome.place)) == ("p", "a test", "p.yaml:12:5")


@pytest.mark.parametrize("mode", ["monitor", '"off"'])
def test_a_playbook_is_tried_as_if_it_were_enforced(mode):
    """What is off is tried too: its tests tell whether it may be switched on."""
    assert run(mode=mode) == []


@pytest.mark.parametrize(
    ("expect", "lines"),
    [
        ((), ["+ at 20s: ip 203.0.113.9, block_ip 203.0.113.9"]),
        (
            ("{at: 10s, group: {ip: 203.0.113.9}}",),
            ["- at 10s: ip 203.0.113.9 (line 16)", "+ at 20s: ip 203.0.113.9, block_ip 203.0.113.9"],
        ),
        (
            ("{at: 20s, group: {ip: 203.0.113.8}}",),
            ["- at 20s: ip 203.0.113.8 (line 16)", "+ at 20s: ip 203.0.113.9, block_ip 203.0.113.9"],
        ),
        (
            ("{at: 20s, group: {ip: 203.0.113.9}, block_ip: 203.0.113.8}",),
            [
                "- at 20s: ip 203.0.113.9, block_ip 203.0.113.8 (line 16)",
                "+ at 20s: ip 203.0.113.9, block_ip 203.0.113.9",
            ],
        ),
        (
            (FOUND, "{at: 11m, group: {ip: 203.0.113.9}}"),
            ["  at 20s: ip 203.0.113.9, block_ip 203.0.113.9", "- at 11m: ip 203.0.113.9 (line 17)"],
        ),
    ],
)
def test_what_differs_is_told_line_by_line(expect, lines):
    assert run(expect=expect) == ["what was expected (-) is not what was found (+):", *lines]


def test_where_too_little_was_found_it_is_told_why_events_did_not_count():
    """Each reason once, with the first event it kept out and the values behind it; other names only where all are."""
    events = (
        "{at: 0s, event: page.viewed, ip: 203.0.113.9}",
        "{at: 1s, event: auth, ip: 203.0.113.9, repeat: 3, every: 1s}",
        "{at: 5s, event: auth, success: false, user: u1}",
        "{at: 6s, event: auth, success: true, ip: 203.0.113.9}",
    )
    expect = ("{at: 20s, group: {ip: 203.0.113.9}}",)
    assert run(events=events, expect=expect)[2:] == [
        "`auth` at 1s does not count: the condition does not hold (success is missing)",
        "`auth` at 5s does not count: a group field is missing: `ip`",
        "`auth` at 6s does not count: the condition does not hold (success is true)",
    ]
    assert run(events=events[:1], expect=expect)[2:] == [
        "`page.viewed` at 0s does not count: events named `page.viewed` are not looked at"
    ]


def test_where_too_little_was_found_it_is_told_whose_identifier_stands_for_no_user():
    """Ten numbers from 0 on are nine users: nothing else in the difference would tell."""
    events = ["{at: 0s, event: auth, success: false, ip: 203.0.113.9, user: '{n}', repeat: 3, every: 1s}"]
    found = run(events=events, when="{distinct: {user: 3}}")
    assert found[2:] == ["`auth` at 0s is about nobody: `0` as `id` stands for no user"]
    assert len(run(events=[events[0].replace("'{n}'", "u1")], when="{distinct: {user: 3}}")) == 2


def test_actions_that_are_not_named_are_not_looked_at():
    assert run(expect=("{at: 20s, group: {ip: 203.0.113.9}}",)) == []


def test_an_action_that_was_held_back_was_not_done():
    faults = run(
        events=(BURST.replace("203.0.113.9", "10.0.0.1"),),
        expect=("{at: 20s, group: {ip: 10.0.0.1}, block_ip: 10.0.0.1}",),
    )
    assert faults[-1] == "+ at 20s: ip 10.0.0.1, block_ip 10.0.0.1 held back (private or local address)"


def test_a_channel_is_the_target_of_telling():
    expect = "{{at: 20s, group: {{ip: 203.0.113.9}}, notify: {}}}"
    actions = "[notify: {channel: security}]"
    assert run(actions=actions, expect=(expect.format("security"),)) == []
    assert run(actions=actions, expect=(expect.format("sales"),)) != []


def test_a_user_is_named_by_a_short_id():
    assert (
        run(
            group="user", actions="[challenge_user: {for: 1h}]",
            expect=("{at: 20s, group: {user: u1}, challenge_user: u1}",),
        ) == []
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("id:u1", "u1"), ("uid:u1", "id:u1"), ("email:Jane@Example.com", "email:jane@example.com"),
        ("{email: jane@example.com}", "email:jane@example.com"), ("auth0|u1", "auth0|u1"), ("shop:u1", "id:shop:u1"),
    ],
)  # fmt: skip
def test_a_user_is_sent_by_the_key_by_which_a_test_expects_and_asks_for_it(sent, key):
    assert (
        run(
            group="user", actions="[challenge_user: {for: 1h}]", events=(BURST.replace("u1", f"{sent}"),),
            expect=(f'{{at: 20s, group: {{user: "{key}"}}, challenge_user: "{key}"}}',),
            requests=(f'{{at: 30s, user: "{key}", login: true, verdict: challenge}}',),
        ) == []
    )  # fmt: skip


def test_a_rule_is_tested_with_a_user_by_key():
    where = 'user == "email:jane@example.com"'
    sent = ("email:jane@example.com", "id:jane", "x" * 250)
    tests = "".join(f"  - {{event: {{event: a, user: '{one}'}}, matches: {one == sent[0]}}}\n" for one in sent)
    rules = assemble({"r.yaml": f"rule: r\nwhere: '{where}'\ntests:\n{tests}".encode()}).rules
    assert [one.faults for one in Runner(windows).rule(rules["r"])] == [(), (), ()]


def test_a_group_of_several_fields_is_compared_as_a_whole():
    event = (
        '{at: 0s, event: auth, success: false, ip: "2001:db8::7", properties: {n: 5, b: true}, repeat: 3, every: 1s}'
    )
    group = "[properties.n, properties.b, ip]"
    expect = '{at: 2s, group: {ip: "2001:db8::9", properties.n: 5, properties.b: true}}'
    assert run(events=(event,), group=group, expect=(expect,)) == []


def test_copies_are_numbered_in_every_text_of_an_event():
    event = (
        '{at: 0s, event: auth, success: false, ip: "203.0.113.{n}", user: "u{n}", properties: {a: {b: "x{n}"}}, '
        "repeat: 3, every: 1s}"
    )
    expect = ("{at: 2s, group: {}}",)
    when = "{distinct: {user: 3, ip: 3, properties.a.b: 3}}"
    assert run(events=(event,), group="[]", when=when, actions="[]", expect=expect) == []


@pytest.mark.parametrize(
    ("id", "expect"), [("a", []), ("'a{n}'", [FOUND])], ids=["the same", "numbered"],
)  # fmt: skip
def test_what_comes_again_with_its_id_counts_once(id, expect):
    event = f"{{at: 0s, event: auth, success: false, ip: 203.0.113.9, id: {id}, repeat: 3, every: 10s}}"
    assert run(events=[event], expect=expect) == []


def test_the_same_id_on_the_next_day_is_another_event():
    again = "{at: 23h59m, event: auth, success: false, ip: 203.0.113.9, id: a, repeat: 2, every: 1m}"
    third = "{at: 24h1m, event: auth, success: false, ip: 203.0.113.9}"
    assert run(events=[again, third], expect=["{at: 24h1m, group: {ip: 203.0.113.9}}"]) == []


@pytest.mark.parametrize(("first", "second", "found"), [("1", "2", True), ("2", "1", False)])
def test_ids_tell_the_order_of_events_of_one_moment(first, second, found):
    text = f"""playbook: p
group_by: ip
window: 1m
sequence: [{{event: a}}, {{event: b}}]
tests:
  - name: at once
    events:
      - {{at: 0s, event: a, ip: 203.0.113.9, id: "{first}"}}
      - {{at: 0s, event: b, ip: 203.0.113.9, id: "{second}"}}
    expect: {"[{at: 0s, group: {ip: 203.0.113.9}}]" if found else "[]"}
"""
    (outcome,) = Runner(windows).playbook(assemble({"p.yaml": text.encode()}).playbooks["p"])
    assert outcome.faults == ()


@pytest.mark.parametrize("user", ['""', '{id: "", email: ""}'])
def test_an_empty_user_is_nobody_as_on_the_wire(user):
    event = f"{{at: 0s, event: auth, success: false, ip: 203.0.113.9, user: {user}, repeat: 3, every: 10s}}"
    assert run(events=[event]) == []
    assert run(events=[event], group="user", actions="[block_user: {for: 1h}]", expect=[]) == []


def test_findings_are_expected_in_the_order_of_time_not_of_arrival():
    late = "{at: 30s, received: 5m, event: auth, success: false, ip: 203.0.113.7, user: u1, repeat: 3, every: 1s}"
    other = "{at: 1m, event: auth, success: false, ip: 203.0.113.8, user: u1, repeat: 3, every: 1s}"
    expect = ("{at: 32s, group: {ip: 203.0.113.7}}", "{at: 1m2s, group: {ip: 203.0.113.8}}")
    assert run(events=(other, late), expect=expect) == []


VERDICTS = [("19s", "allow"), ("20s", "block"), ("1h19s", "block"), ("1h20s", "allow")]


@pytest.mark.parametrize(("at", "verdict"), VERDICTS)
def test_a_request_gets_the_verdict_of_its_moment(at, verdict):
    """It runs after events of the same time, and a decision's end is exclusive."""
    assert run(requests=(f"{{at: {at}, ip: 203.0.113.9, verdict: {verdict}}}",)) == []


def test_a_wrong_verdict_is_told_with_its_place():
    (fault,) = run(requests=("{at: 19s, ip: 203.0.113.9, user: u1, device: d, verdict: block}",))
    assert fault == ("p.yaml:18:9: at 19s the request of id:u1, 203.0.113.9, d gets `allow`, not `block`")


def test_requests_stand_in_any_order():
    asked = [("1h20s", "allow"), ("20s", "block"), ("19s", "allow"), ("1h19s", "block")]
    assert run(requests=[f"{{at: {at}, ip: 203.0.113.9, verdict: {verdict}}}" for at, verdict in asked]) == []


def test_a_block_that_holds_at_logins_alone_is_told_to_whoever_expects_one_of_every_request():
    blocked = {
        "group": "user", "actions": "[block_user: {for: 1h}]",
        "expect": ("{at: 20s, group: {user: u1}, block_user: u1}",),
    }  # fmt: skip
    (fault,) = run(**blocked, requests=("{at: 1m, user: u1, verdict: block}",))
    assert fault == (
        "p.yaml:18:9: at 1m the request of id:u1 gets `allow`, not `block`, which only a login gets: "
        "failed logins may count, and their users are only claimed"
    )


def test_an_event_that_arrives_late_acts_late():
    event = "{at: 0s, received: 2m, event: auth, success: false, ip: 203.0.113.9, user: u1, repeat: 3, every: 10s}"
    requests = (
        "{at: 2m19s, ip: 203.0.113.9, verdict: allow}", "{at: 2m20s, ip: 203.0.113.9, verdict: block}",
        "{at: 1h2m19s, ip: 203.0.113.9, verdict: block}", "{at: 1h2m20s, ip: 203.0.113.9, verdict: allow}",
    )  # fmt: skip
    assert run(events=(event,), requests=requests) == []


def test_an_event_later_than_the_lateness_is_historical_and_acts_on_nobody():
    events = (
        "{at: 0s, event: auth, success: false, ip: 203.0.113.9, user: u1, repeat: 2, every: 10s}",
        "{at: 11m, event: page.viewed}",
        "{at: 20s, received: 12m, event: auth, success: false, ip: 203.0.113.9, user: u1}",
    )
    expect = ("{at: 20s, group: {ip: 203.0.113.9}}",)
    assert run(events=events, expect=expect, requests=("{at: 13m, ip: 203.0.113.9, verdict: allow}",)) == []


def test_sessions_stay_open_and_familiar_places_are_let_in_where_a_user_is_only_claimed():
    events = (
        "{at: 0s, event: auth, success: true, ip: 192.0.2.1, user: u1, device: laptop}",
        BURST.replace("0s", "1h", 1),
    )
    requests = (
        "{at: 1h1m, user: u1, ip: 198.51.100.1, login: true, verdict: block}",
        "{at: 1h1m, user: u1, ip: 198.51.100.1, verdict: allow}",
        "{at: 1h1m, user: u1, ip: 192.0.2.1, login: true, verdict: allow}",
        "{at: 1h1m, user: u1, ip: 198.51.100.1, device: laptop, login: true, verdict: allow}",
    )
    expect = ("{at: 1h20s, group: {user: u1}, block_user: u1}",)
    assert run(events=events, group="user", actions="[block_user: {for: 1h}]", expect=expect, requests=requests) == []


RULE = """rule: r
title: A rule
event: payment.*
where: properties.amount > 5
tests:
  - {{event: {event}, matches: {matches}}}
"""


@pytest.mark.parametrize(
    ("event", "matches"),
    [
        ("{event: payment.failed, properties: {amount: 6}}", True),
        ("{event: payment.failed, properties: {amount: 5}}", False),
        ("{event: payment.failed}", False),
        ("{event: auth, properties: {amount: 6}}", False),
    ],
)
def test_a_rule_s_test_asks_names_and_condition(event, matches):
    for claim in (True, False):
        rule = assemble({"r.yaml": RULE.format(event=event, matches=str(claim).lower()).encode()}).rules["r"]
        (outcome,) = Runner(windows).rule(rule)
        assert (outcome.name, bool(outcome.faults)) == ("event 1", claim is not matches)


@pytest.mark.parametrize("timestamp", ["2030-06-01T08:15:00Z", "1906532100", "1906532100.5", "1999-01-01T08:00:00Z"])
def test_an_event_of_a_rule_s_test_happens_when_it_says(timestamp):
    """Later than the tests' own Monday, too: an hour asks for it."""
    text = "rule: r\nevent: a\nwhere: hour(timestamp) == 8\ntests:\n"
    text += f"  - {{event: {{event: a, timestamp: {timestamp}}}, matches: true}}\n"
    (outcome,) = Runner(windows).rule(assemble({"r.yaml": text.encode()}).rules["r"])
    assert outcome.faults == ()


def test_of_actions_that_are_there_more_than_once_each_can_be_expected():
    actions = "[notify: {channel: a}, notify: {channel: b}, emit: {event: x}, emit: {event: y}]"
    named = "{{at: 20s, group: {{ip: 203.0.113.9}}, notify: {}, emit: [x, y]}}".format
    assert run(actions=actions, expect=(named("[a, b]"),)) == []
    assert run(actions=actions, expect=(named("[a, c]"),)) != []


def test_a_group_of_an_empty_text_can_be_expected():
    events = ["{at: 0s, event: auth, success: false, properties: {code: ''}, repeat: 3, every: 1s}"]
    expect = ["{at: 2s, group: {properties.code: ''}}"]
    assert run(events=events, group="properties.code", actions="[]", expect=expect) == []


def test_a_rule_that_matches_and_should_not_is_told_so():
    text = RULE.format(event="{event: payment.failed, properties: {amount: 6}}", matches="false")
    (outcome,) = Runner(windows).rule(assemble({"r.yaml": text.encode()}).rules["r"])
    assert outcome.faults == ("the rule matches this event and should not",)
    text = RULE.format(event="{event: auth}", matches="true")
    (outcome,) = Runner(windows).rule(assemble({"r.yaml": text.encode()}).rules["r"])
    assert outcome.faults == ("the rule does not match this event",)


@pytest.mark.parametrize(("wanted", "found"), [("", 1), ("A TEST", 1), ("p: a", 1), ("p", 1), ("zzz", 0)])
def test_only_what_is_wanted_is_run(wanted, found):
    assert len(list(Runner(windows).playbook(content().playbooks["p"], wanted))) == found


def test_shuffled_the_same_groups_have_findings():
    (outcome,) = Runner(windows).shuffled(content().playbooks["p"], range(5))
    assert (outcome.name, outcome.faults) == ("a test (shuffled 5 times)", ())


def test_what_is_judged_on_arrival_promises_nothing_when_shuffled():
    ratio = content(when="{count: 3, ratio: {where: properties.x > 1, gte: 0.5}}")
    assert list(Runner(windows).shuffled(ratio.playbooks["p"], range(5))) == []


def test_where_a_playbook_asks_for_its_own_label_order_decides_and_nothing_is_shuffled():
    """Of two users at one address whoever comes first is found, and the other is not."""
    more = "exceptions: [{where: '\"seen\" in ip.labels', reason: found already}]"
    events = [BURST, BURST.replace("0s", "1m", 1).replace("u1", "u2")]
    expect = ["{at: 20s, group: {user: u1}}"]
    label = "[label_ip: {name: seen, target: ip, for: 1h}]"
    given = {"events": events, "expect": expect, "group": "user", "actions": label, "more": more}
    assert run(**given) == []
    assert list(Runner(windows).shuffled(content(**given).playbooks["p"], range(5))) == []


def test_a_seed_that_changes_the_groups_is_told(monkeypatch):
    """Windows that forget what comes late, as keeping only the newest would."""

    def forgetful(watches, lateness):
        kept = windows(watches, lateness)
        newest = {}

        class Forgetful:
            def hit(self, hits, now):
                fresh = [one for one in hits if one.at >= newest.get(one.key, 0)]
                newest.update({one.key: one.at for one in fresh})
                return kept.hit(fresh, now)

            def run(self, hits, now, revise=None):
                return iter(self.hit(hits, now))

            def __getattr__(self, name):
                return getattr(kept, name)

        return Forgetful()

    (outcome,) = Runner(forgetful).shuffled(content().playbooks["p"], range(3))
    assert len(outcome.faults) >= 1
    assert outcome.faults[0].startswith("seed ")
    assert outcome.faults[0].endswith("no finding for ip 203.0.113.9")


@given(st.integers(0, 10**6))
def test_a_shuffle_keeps_within_the_lateness_and_repeats_some(seed):
    test = content(events=(BURST.replace("repeat: 3", "repeat: 50"),)).playbooks["p"].tests[0]
    arrivals = list(_arrivals(test))
    late = _late(arrivals, 10 * MINUTE, random.Random(seed))
    newest = 0
    for one in late:
        newest = max(newest, one.event.at)
        assert one.event.at > newest - 10 * MINUTE
    assert {one.event.id for one in late} == {one.event.id for one in arrivals}
    assert len(late) >= len(arrivals)


def test_the_clock_starts_on_a_monday():
    test = content(events=("{at: 0s, event: auth}",), expect=()).playbooks["p"].tests[0]
    (arrival,) = _arrivals(test)
    assert (arrival.event.at, arrival.received, START // 86_400_000_000 % 7) == (START, START, 4)


FIRST = """playbook: first
event: auth
where: not success
group_by: user
window: 10m
when: {count: 2}
actions: [emit: {event: account.guessed}, label_user: {name: guessed, for: 1h}]
"""
SECOND = """playbook: second
event: [{event}]
{where}group_by: ip
window: 1d
when: {{distinct: {{user: 2}}}}
actions: [block_ip: {{for: 1d}}]
tests:
  - name: together
    with: [first]
    events:
      - {{at: 0s, event: auth, success: false, ip: 203.0.113.9, user: u1, repeat: 2, every: 1s}}
      - {{at: 1m, event: auth, success: false, ip: 203.0.113.9, user: u2, repeat: 2, every: 1s}}
      - {{at: 2m, event: paid, ip: 203.0.113.9, user: "u{{n}}", repeat: 3, every: 1s}}
    expect:
      - {{at: 1s, playbook: first, group: {{user: u1}}, emit: account.guessed, label_user: u1}}
      - {{at: 1m1s, playbook: first, group: {{user: u2}}}}
      - {{at: {at}, group: {{ip: 203.0.113.9}}, block_ip: 203.0.113.9}}
    requests:
      - {{at: 1m, ip: 203.0.113.9, verdict: allow}}
      - {{at: 3m, ip: 203.0.113.9, verdict: block}}
"""
MADE = {"event": "account.guessed", "where": "", "at": "1m1s"}
MARKED = {"event": "paid", "where": "where: '\"guessed\" in user.labels'\n", "at": "2m2s"}
OTHER = {"event": "auth", "where": "", "at": "1m1s"}  # shuffled, nothing is held to when it is


def company(**second):
    """Return the content of two files: what the first finds, the second may live on."""
    text = SECOND.format(**second)
    return assemble({"a.yaml": FIRST.encode(), "b.yaml": text.encode()})


def beside(content):
    return Runner(windows, playbooks=content.playbooks)


def together(found, **more):
    (outcome,) = beside(found).playbook(found.playbooks["second"], **more)
    return list(outcome.faults)


@pytest.mark.parametrize("second", [MADE, MARKED], ids=["made", "marked"])
def test_a_test_runs_with_the_playbooks_it_names(second):
    """They monitor as they are written, and enforce in it: what one makes is counted, its label is seen."""
    assert together(company(**second)) == []


def test_what_others_find_is_told_with_whose_it_is_and_nothing_of_it_may_be_missing():
    assert together(company(**MADE | {"at": "1m2s"})) == [
        "what was expected (-) is not what was found (+):",
        "  at 1s: first: user id:u1, label_user id:u1, emit account.guessed",
        "  at 1m1s: first: user id:u2",
        "- at 1m2s: ip 203.0.113.9, block_ip 203.0.113.9 (line 17)",
        "+ at 1m1s: ip 203.0.113.9, block_ip 203.0.113.9",
    ]
    text = SECOND.format(**MADE).replace("      - {at: 1s, playbook: first", "      # ")
    found = assemble({"a.yaml": FIRST.encode(), "b.yaml": text.encode()})
    told = "+ at 1s: first: user id:u1, emit account.guessed, label_user id:u1"
    assert told in together(found)


def test_of_a_playbook_that_waits_for_what_others_make_no_event_is_said_not_to_count():
    faults = together(company(**MADE | {"event": "account.other"}))
    assert faults[1].startswith("what was expected")
    assert not any("does not count" in one for one in faults)


def test_which_of_the_playbooks_fails_is_told():
    def failing(watches, lateness):
        made = windows(watches, lateness)
        made.trackers["first"].few, made.trackers["first"].judge = 0, lambda *_: 1 / 0
        return made

    found = company(**MADE)
    (outcome,) = Runner(failing, playbooks=found.playbooks).playbook(found.playbooks["second"])
    assert "`first` fails: ZeroDivisionError: division by zero" in outcome.faults


def test_a_test_whose_others_are_not_there_fails_and_says_so():
    found = company(**MADE)
    (outcome,) = Runner(windows).playbook(found.playbooks["second"])
    assert outcome.faults == ("it runs with `first`, which these paths do not hold: name its file, too",)


@pytest.mark.parametrize(("second", "shuffled"), [(MADE, 0), (MARKED, 0), (OTHER, 1)], ids=["made", "marked", "other"])
def test_shuffled_are_tests_in_which_nothing_of_the_others_is_counted(second, shuffled):
    found = company(**second)
    if second is OTHER:  # order decides nothing where the other makes what nobody looks at and marks nobody
        first = FIRST.replace(", label_user: {name: guessed, for: 1h}", "")
        text = SECOND.format(**second).replace(", label_user: u1", "")
        found = assemble({"a.yaml": first.encode(), "b.yaml": text.encode()})
    outcomes = list(beside(found).shuffled(found.playbooks["second"], range(5)))
    assert [outcome.faults for outcome in outcomes] == [()] * shuffled


def test_a_playbook_s_version_is_that_of_before_unless_a_test_names_others():
    """The hash was written down before tests could."""
    assert content().playbooks["p"].version == "94f9b26179ea"
