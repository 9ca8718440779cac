"""Every detector through in-file tests, replay and mutants: time passes, late events take back, orders are tried."""

import pytest

from sentinel.core.event import read
from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.loader.assembly import assemble
from sentinel.loader.content import shipped_rules
from sentinel.service.trials.backtest import asks_enrichment
from sentinel.service.trials.filetests import Runner
from sentinel.service.trials.mutants import mutants
from sentinel.service.trials.replay import EVER, Replay, Retraction
from tests.service.stories import HOUR, MINUTE, START, events, failed, playbooks, raw, windows

SEQUENCE = """
playbook: p
group_by: user
window: 1h
sequence: [{event: a, count: 2}, {event: b}]
until: {event: c}
actions: [{block_user: {for: 1h}}]
"""
ABSENT = """
playbook: p
event: a
group_by: user
absent: {event: b, within: 10m}
actions: [{block_user: {for: 1h}}]
"""


def faults(playbook, given, expect, requests=()):
    """Return what is wrong with one test of a playbook."""
    lines = ["tests:", "  - name: t", "    events:", *(f"      - {one}" for one in given)]
    lines += ["    expect:" if expect else "    expect: []", *(f"      - {one}" for one in expect)]
    lines += ["    requests:" if requests else "", *(f"      - {one}" for one in requests)]
    content = assemble({"p.yaml": (playbook + "\n".join(lines) + "\n").encode()}, base=shipped_rules())
    (outcome,) = Runner(windows).playbook(content.playbooks["p"])
    return list(outcome.faults)


AAB = ("{at: 0s, event: a, user: u1, repeat: 2, every: 1m}", "{at: 5m, event: b, user: u1}")
FOUND = ("{at: 5m, group: {user: u1}, block_user: u1}",)


def test_a_sequence_fires_at_its_last_step_at_once():
    assert faults(SEQUENCE, AAB, FOUND, ["{at: 5m, user: u1, verdict: block}"]) == []


def test_a_finding_that_is_taken_back_is_not_expected_and_its_block_is_lifted():
    late = "{at: 2m, received: 8m, event: c, user: u1}"
    requests = ["{at: 7m, user: u1, verdict: block}", "{at: 8m, user: u1, verdict: allow}"]
    assert faults(SEQUENCE, [*AAB, late], (), requests) == []
    assert faults(SEQUENCE, [*AAB, late], FOUND)


def test_an_end_before_the_first_step_or_after_the_last_prevents_nothing():
    ends = ["{at: 6m, event: c, user: u1}", "{at: 1s, event: c, user: u2}"]
    assert faults(SEQUENCE, [*AAB, *ends], FOUND) == []


def test_what_is_no_place_on_earth_is_left_out_and_counted_wherever_it_comes_from():
    """Files of events may hold anything as a location; the journey between the places that are some is still found."""
    text = "playbook: p\nevent: a\ngroup_by: user\ntravel: {faster_than: 900}\n"
    geos = [
        {"lat": 48.86, "lon": 2.35, "accuracy": "near"}, {"lat": "48.86", "lon": 2.35}, {"lat": 35.0, "lon": [139]},
        {"lat": True, "lon": 2.35}, {"lat": 91, "lon": 2.35}, {"lat": 35.0, "lon": 1e308}, {"lat": 35.0, "lon": None},
        {"lat": 35.68, "lon": 139.69, "accuracy": -20000},
    ]  # fmt: skip
    content = assemble({"p.yaml": text.encode()})
    engine = Engine(content.playbooks.values(), 10 * MINUTE)
    replay = Replay(engine, windows(engine.watches(), 10 * MINUTE), Memory())
    given = [read(raw(f"e{n}", n, event="a", user="u1", geo=geo), enriched=True) for n, geo in enumerate(geos)]
    assert [(one.at - START) // 1_000_000 for one in replay.feed(given)] == [7]
    assert replay.skipped == {("p", "the event has no location"): 6}


def test_time_passes_until_a_wait_is_decided_one_lateness_after_its_end():
    given = ["{at: 0s, event: a, user: u1}"]
    requests = ["{at: 20m, user: u1, verdict: allow}", "{at: 20m1s, user: u1, verdict: block}"]
    assert faults(ABSENT, given, ["{at: 10m, group: {user: u1}, block_user: u1}"], requests) == []


def test_what_is_awaited_ends_the_wait_up_to_its_last_moment_even_if_it_arrives_late():
    given = ["{at: 0s, event: a, user: u1}", "{at: 10m, received: 19m, event: b, user: u1}"]
    assert faults(ABSENT, given, ()) == []
    assert faults(ABSENT, [given[0], "{at: 10m1s, event: b, user: u1}"], ["{at: 10m, group: {user: u1}}"]) == []


def test_at_the_end_the_clock_runs_on_until_nothing_waits():
    given = ["{at: 0s, event: a, user: u2}", "{at: 1m, event: a, user: u1}", "{at: 3d, event: a, user: u1}"]
    expect = ["{at: 10m, group: {user: u2}}", "{at: 11m, group: {user: u1}}", "{at: 3d10m, group: {user: u1}}"]
    assert faults(ABSENT, given, expect) == []


def replayed(texts, raws):
    engine = Engine(playbooks(*texts), mode="enforce")
    run = Replay(engine, windows(engine.watches()), Memory())
    found = [*run.feed(events(raws)), *run.wait(EVER)]
    return [("retracted", one.key) if isinstance(one, Retraction) else (one.playbook, one.at) for one in found]


def test_waits_of_several_playbooks_end_in_the_order_of_time():
    first = ABSENT.replace("playbook: p", "playbook: long").replace("10m", "50m")
    second = ABSENT.replace("playbook: p", "playbook: short")
    found = replayed([first, second], [raw("1", 0, "a", user="u1"), raw("2", 6_000, "a", user="u2")])
    assert [name for name, _ in found] == ["short", "long", "short", "long"]
    assert [at for _, at in found] == sorted(at for _, at in found)


def test_what_is_due_is_found_before_the_event_that_comes_after():
    """The wait ends at 10 m and is decided at 20 m; a login at 30 m finds its decision made."""
    count = "playbook: n\nevent: later\ngroup_by: user\nwindow: 1h\nwhen: {count: 1}\n"
    found = replayed([count, ABSENT], [raw("1", 0, "a", user="u1"), raw("2", 1_800, "later", user="u1")])
    assert found == [("p", START + 10 * MINUTE), ("n", START + 30 * MINUTE)]


@pytest.mark.parametrize(
    ("detector", "shuffled"),
    [
        ("event: a\nwindow: 1h\nwhen: {count: 2}", True),
        ("event: a\nwindow: 1h\nwhen: {count: 2, avg: {properties.x: 1}}", False),
        ("window: 1h\nsequence: [{event: a}, {event: b}]", True),
        ("window: 1h\nsequence: [{event: a}, {event: b}]\nuntil: {event: c}", False),
        ("event: a\nfirst_seen: {field: ip, history: 1d, after: 1}", False),
        ("event: a\ntravel: {faster_than: 900}", False),
        ("event: a\nabsent: {event: b, within: 1h}", False),
        ("event: a\nwindow: 1h\nspike: {factor: 2, baseline: 2h, min: 1}", False),
    ],
)
def test_only_what_order_cannot_change_is_shuffled(detector, shuffled):
    text = f"playbook: p\ngroup_by: user\n{detector}\n"
    text += "tests: [{name: t, events: [{at: 0s, event: a, user: u1}], expect: []}]\n"
    (playbook,) = playbooks(text)
    assert bool(list(Runner(windows).shuffled(playbook, range(3)))) == shuffled


def test_a_shuffled_sequence_has_findings_for_the_same_groups():
    given = "[{at: 0s, event: a, user: u1}, {at: 1m, event: b, user: u1}, {at: 0s, event: b, user: u2}]"
    text = "playbook: p\ngroup_by: user\nwindow: 1h\nsequence: [{event: a}, {event: b}]\n"
    (playbook,) = playbooks(text + f"tests: [{{name: t, events: {given}, expect: []}}]\n")
    (outcome,) = Runner(windows).shuffled(playbook, range(20))
    assert not outcome.faults


@pytest.mark.parametrize(
    ("detector", "changes"),
    [
        (
            "window: 1h\nsequence: [{event: a, count: 2}, {event: b, distinct: {ip: 2}}]\nuntil: {event: c}\n",
            [
                "sequence: without step 1", "sequence: step 2 before step 1", "step 1: count: 1", "step 1: count: 3",
                "step 1: event: any", "sequence: without step 2", "step 2: distinct ip: 1", "step 2: distinct ip: 3",
                "step 2: event: any", "until: none", "until: event: any",
            ],
        ),
        (
            "event: a\nfirst_seen: {field: ip, history: 1d, after: 3}\n",
            ["history: 23h59m59s", "history: 1d1s", "after: 2", "after: 4"],
        ),
        (
            "event: a\ntravel: {faster_than: 900}\n",
            ["faster_than: 810", "faster_than: 990", "anonymous: true"],
        ),
        (
            "event: a\nabsent: {event: b, where: ip != None, within: 10m}\n",
            ["within: 9m59s", "within: 10m1s", "absent: event: any", "absent: where: not (ip != None)",
             "absent: where: none"],
        ),
        (
            "event: a\nwindow: 1h\nspike: {factor: 2, baseline: 2h, min: 1}\n",
            ["factor: 1.8", "factor: 2.2", "baseline: 1h59m59s", "baseline: 2h1s", "min: 2"],
        ),
    ],
)  # fmt: skip
def test_mutants_nudge_every_key_of_a_detector(detector, changes):
    (playbook,) = playbooks(f"playbook: p\ngroup_by: user\n{detector}")
    found = [mutant.change for mutant in mutants(playbook, {})]
    others = ("window:", "group_by:", "event:")
    assert [one for one in found if not one.startswith(others)] == changes


def test_as_many_events_as_values_are_needed_anyway():
    """A count below the number of values says nothing, so a nudge that stays below is no change."""
    step = "{event: a, count: 2, distinct: {ip: 4}}"
    (playbook,) = playbooks(f"playbook: p\ngroup_by: user\nwindow: 1h\nsequence: [{step}, {{event: b}}]\n")
    assert not [one.change for one in mutants(playbook, {}) if one.change.startswith("step 1: count")]


def test_journeys_and_places_ask_for_enrichment():
    texts = [
        "event: a\ntravel: {faster_than: 900}",
        "event: a\nfirst_seen: {field: geo.country, history: 1d, after: 3}",
        "window: 1h\nsequence: [{event: a, where: agent.bot}, {event: b}]",
        "event: a\nfirst_seen: {field: ip, history: 1d, after: 3}",
    ]
    asked = [asks_enrichment(playbooks(f"playbook: p\ngroup_by: user\n{text}\n")[0]) for text in texts]
    assert asked == [True, True, True, False]


def test_historical_waits_act_on_nobody():
    engine = Engine(playbooks(ABSENT), mode="enforce")
    run = Replay(engine, windows(engine.watches()), Memory())
    given = events([raw("now", 7_200, "x", user="u9"), raw("1", 0, "a", user="u1")])
    (finding,) = [*run.feed(given), *run.wait(EVER)]
    assert (finding.historical, finding.acted) == (True, False)


def test_a_claimed_user_of_a_sequence_is_only_kept_from_logging_in():
    text = SEQUENCE.replace("{event: a, count: 2}", "{rule: login-failed}")
    engine = Engine(playbooks(text), mode="enforce")
    run = Replay(engine, windows(engine.watches()), Memory())
    (finding,) = run.feed(events([failed("1", 0), raw("2", 1, "b", user="u")]))
    (decision,) = finding.effects[0].decisions
    assert decision.logins_only and decision.until == START + 1_000_000 + HOUR
