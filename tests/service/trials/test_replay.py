"""Replay: the live engine on a clock that events drive, whatever the batches, each finding once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.service.trials.replay import Replay
from tests.service.stories import DAY, HOUR, MINUTE, START, events, failed, passed, playbook, playbooks, raw, windows

BLOCK = {"actions": "[block_ip: {for: 1h}]"}


def replay(texts, raws, size=1, lateness=10 * MINUTE, mode="enforce", login=None):
    """Feed events in batches of a size; return the replay and its findings."""
    engine = Engine(playbooks(*texts), lateness, mode=mode)
    options = {"login": login} if login else {}
    run = Replay(engine, windows(engine.watches(), lateness), Memory(), **options)
    found = []
    for at in range(0, len(raws), size):
        found += run.feed(events(raws[at : at + size]))
    return run, found


def shown(found):
    """Return findings as seconds, group and what became of the first action."""
    return [((one.at - START) // 1_000_000, one.key, one.effects[0].held if one.effects else None) for one in found]


def test_a_finding_opens_at_its_crossing_and_a_burst_gives_one():
    run, found = replay([playbook(**BLOCK)], [failed(str(n), n) for n in range(10)])
    assert shown(found) == [(2, "203.0.113.9", None)]
    assert found[0].event_id == "2"
    assert run.matched == {"p": 10}


def test_decisions_are_made_at_the_time_of_the_events():
    _, (finding,) = replay([playbook(**BLOCK)], [failed(str(n), n) for n in range(3)])
    (decision,) = finding.effects[0].decisions
    assert (decision.made, decision.until) == (START + 2_000_000, START + 2_000_000 + HOUR)


def test_a_repeat_adds_nothing_wherever_it_comes():
    raws = [failed(str(n), n) for n in range(3)]
    _, once = replay([playbook(**BLOCK)], raws)
    run, twice = replay([playbook(**BLOCK)], raws + raws + raws[:1])
    assert shown(once) == shown(twice)
    assert run.memory.ledger.times("p", "block_ip", "203.0.113.9", START + HOUR, "another") == 1


def test_an_event_later_than_the_lateness_counts_and_acts_on_nobody():
    raws = [failed("a", 0), failed("b", 1), raw("now", 1000, "page.viewed"), failed("c", 2)]
    _, (finding,) = replay([playbook(**BLOCK)], raws, lateness=HOUR)
    assert (finding.historical, finding.acted) == (False, True)
    _, (finding,) = replay([playbook(**BLOCK)], raws, lateness=10 * MINUTE)
    assert (finding.historical, finding.acted, finding.effects[0].held) == (True, False, "historical")


def test_in_order_of_arrival_the_clock_never_goes_back():
    raws = [failed("a", 0), failed("b", 1), raw("now", 300, "page.viewed"), failed("c", 2)]
    _, (finding,) = replay([playbook(**BLOCK)], raws)
    assert finding.at == START + 2_000_000
    assert finding.effects[0].decisions[0].made == START + 300_000_000


def test_the_clock_can_be_told():
    engine = Engine(playbooks(playbook(**BLOCK)))
    run = Replay(engine, windows(engine.watches()), Memory())
    found = [one for n in range(3) for one in run.feed(events([failed(str(n), n)]), START + DAY)]
    assert found[0].effects[0].decisions[0].made == START + DAY


def test_monitored_playbooks_find_and_act_on_nobody():
    _, (finding,) = replay([playbook(mode="monitor", **BLOCK)], [failed(str(n), n) for n in range(3)], mode=None)
    assert (finding.mode, finding.acted, finding.effects[0].held) == ("monitor", False, "monitor")


GUARDED = playbook(when="{count: 2}", window="1m", cooldown="1m", guard="{max: 2, per: 10m}", **BLOCK)


def attack(addresses, after=0, every=1):
    return [
        failed(f"{after}-{n}-{k}", after + n * every, ip=f"203.0.113.{n + 1}") for n in range(addresses) for k in "ab"
    ]


def test_a_guard_holds_back_what_would_go_past_it_and_lets_go_after_its_period():
    _, found = replay([GUARDED], attack(4) + attack(1, after=900))
    assert [held for _, _, held in shown(found)] == [None, None, "guard", "guard", None]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_a_guard_held_back_holds_back_nothing_once_it_lets_go(size):
    """Address 3 is found while the guard holds; after it, within the cooldown of that finding, it is blocked."""
    text = GUARDED.replace("cooldown: 1m", "cooldown: 1h").replace("window: 1m", "window: 1h")
    raws = attack(3) + [failed(f"later-{n}", 700 + n, ip="203.0.113.3") for n in range(3)]
    _, found = replay([text], raws, size)
    assert [held for _, key, held in shown(found) if key == "203.0.113.3"] == ["guard", None]


def test_successful_logins_are_told_before_they_are_learnt():
    heard = []

    def login(event):
        heard.append((event.id, run.memory.familiar.is_familiar("id:u", event.ip, None, event.at + 1)))

    engine = Engine(playbooks(playbook()))
    run = Replay(engine, windows(engine.watches()), Memory(), login)
    list(run.feed(events([passed("a", 0), failed("b", 1), passed("c", 2), raw("d", 3, "signup", user="u")])))
    assert heard == [("a", False), ("c", True)]


def test_a_shared_address_is_spared_because_of_logins_seen_before():
    spared = playbook(when="{distinct: {user: 3}}", actions="[block_ip: {for: 1h, unless_shared_by: 2}]")
    office = [passed(f"{day}{user}", day * 86_400, user=user) for day in (0, 1) for user in "xy"]
    tries = [failed(f"t{n}", 3 * 86_400 + n, user=f"u{n}") for n in range(3)]
    _, found = replay([spared], office + tries)
    assert shown(found)[0][2] == "shared address"
    _, found = replay([spared], office[:3] + tries)
    assert shown(found)[0][2] is None


def test_a_group_that_is_not_named_is_skipped_and_counted():
    run, found = replay([playbook()], [raw(str(n), n, success=False, user="u") for n in range(5)])
    assert (found, run.skipped) == ([], {("p", "a group field is missing"): 5})


def test_a_playbook_that_fails_is_counted_and_the_others_go_on(monkeypatch):
    texts = playbook("bad"), playbook("good")
    engine = Engine(playbooks(*texts), mode="enforce")
    run = Replay(engine, windows(engine.watches()), Memory())

    def fail(event):
        raise ZeroDivisionError("by hand")

    engine.judges["bad"] = engine.judges["bad"].__class__(**{
        name: fail if name == "key" else getattr(engine.judges["bad"], name)
        for name in engine.judges["bad"].__dataclass_fields__
    })  # fmt: skip
    found = list(run.feed(events([failed(str(n), n) for n in range(3)])))
    assert [one.playbook for one in found] == ["good"]
    assert run.errors == {("bad", "ZeroDivisionError: by hand"): 3}


PLAYBOOKS = [
    playbook("count", **BLOCK),
    playbook("guarded", group_by="user", when="{count: 2}", window="1m", cooldown="5m", guard="{max: 1, per: 2m}",
             actions="[challenge_user: {for: 1h}, label_user: {name: seen, for: [1h, 2h]}]"),
    playbook("ratio", rule="login-attempted", when="{count: 3, ratio: {where: not success, gte: 0.6}}", window="2m"),
    playbook("all", group_by="[]", when="{distinct: {ip: 3}}", window="5m",
             actions="[block_ip: {for: 1h, target: ip}]"),
]  # fmt: skip
STREAM = st.lists(
    st.tuples(st.integers(0, 1500), st.sampled_from("abc"), st.integers(1, 4), st.booleans()), min_size=1, max_size=60
)


@given(STREAM, st.integers(1, 70), st.booleans())
def test_how_events_are_cut_into_batches_changes_nothing(stream, size, ordered):
    """Not even what a guard, a cooldown, or long silences within one batch decide."""
    rows = sorted(stream, key=lambda row: row[0]) if ordered else stream
    raws = [
        (passed if good else failed)(f"{n:04}", after * (1 + n % 3 // 2 * 40), user, f"203.0.113.{ip}")
        for n, (after, user, ip, good) in enumerate(rows)
    ]
    if ordered:
        raws.sort(key=lambda one: one["timestamp"])
    one_by_one, each = replay(PLAYBOOKS, raws, 1)
    together, batched = replay(PLAYBOOKS, raws, size)
    assert each == batched
    assert (one_by_one.matched, one_by_one.skipped) == (together.matched, together.skipped)


@given(STREAM, st.randoms(use_true_random=False))
def test_repeats_anywhere_add_nothing(stream, chance):
    raws = [failed(f"{n:04}", after, user, f"203.0.113.{ip}") for n, (after, user, ip, _) in enumerate(sorted(stream))]
    again = list(raws)
    for one in chance.sample(raws, len(raws) // 2):
        again.insert(chance.randrange(again.index(one) + 1, len(again) + 1), one)
    text = playbook("count", **BLOCK)
    assert [one.id for one in replay([text], raws, 5)[1]] == [one.id for one in replay([text], again, 3)[1]]


def test_chance_is_no_part_of_it():
    dice = random.Random(1)
    raws = [failed(str(n), n, ip=f"203.0.113.{dice.randrange(9)}") for n in range(200)]
    assert replay(PLAYBOOKS, raws, 10)[1] == replay(PLAYBOOKS, raws, 10)[1]
