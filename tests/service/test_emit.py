"""Events that findings make: other playbooks count them, live as in replays, each once, and not for ever."""

import pytest

from sentinel.engine.emit import DEPTH, TOO_DEEP
from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.loader.assembly import assemble
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.service.intake import Sending
from sentinel.service.trials.filetests import Runner
from sentinel.service.trials.replay import EVER, Replay
from tests.service.machine import Machine
from tests.service.stories import DAY, MINUTE, START, events, failed, playbooks, raw, windows

GUESSED = """
playbook: guessed
mode: enforce
event: auth
where: not success
group_by: user
window: 10m
when: {count: 3}
actions: [{emit: {event: account.guessed, properties: {weight: 2}}}]
"""
MANY = """
playbook: many
mode: enforce
event: account.guessed
where: trust == "playbook" and properties.weight == 2
group_by: ip
window: 1h
when: {distinct: {user: 2}}
actions: [{block_ip: {for: 2h}}, {block_users: {for: 1h}}]
"""
TAKEN = """
playbook: taken
mode: enforce
group_by: user
window: 1h
sequence: [{event: account.guessed}, {event: payout}]
actions: [{block_user: {for: 1h}}]
"""
UNPAID = """
playbook: unpaid
mode: enforce
event: order
group_by: user
absent: {event: paid, within: 1h}
cooldown: 1m
actions: [{emit: {event: order.unpaid}}]
"""
OWES = """
playbook: owes
mode: enforce
event: order.unpaid
group_by: user
window: 1d
when: {count: 2}
actions: [{label_user: {name: owes}}]
"""


ELSEWHERE = """
playbook: elsewhere
mode: enforce
event: api.called
group_by: properties.key.id
first_seen: {field: geo.asn, history: 1d, after: 3}
actions: [{emit: {event: key.elsewhere, properties: {what: network}}}]
"""
READS = """
playbook: reads
mode: enforce
group_by: properties.key.id
window: 1h
sequence: [{event: key.elsewhere}, {event: api.called, distinct: {properties.item: 5}}]
actions: [{label_user: {name: reader, target: user}}]
"""


def guesses(user, after, ip="203.0.113.9"):
    return [failed(f"{user}{after + n}", after + n, user=user, ip=ip) for n in range(3)]


ATTACK = [*guesses("a", 0), *guesses("b", 60)]


def replayed(texts, raws, size=1, mode="enforce"):
    """Return the findings of a replay in batches of a size, by playbook, minute and group."""
    engine = Engine(playbooks(*texts), mode=mode)
    run = Replay(engine, windows(engine.watches()), Memory(app="shop"))
    sent = events(raws)
    found = [one for at in range(0, len(sent), size) for one in run.feed(sent[at : at + size])]
    return [*found, *run.wait(EVER)]


def shown(findings):
    return sorted((one.playbook, (one.at - START) // MINUTE, *one.group.values()) for one in findings)


class TestReplay:
    @pytest.mark.parametrize("size", [1, 2, 100])
    def test_another_playbook_counts_what_one_makes(self, size):
        found = replayed([GUESSED, MANY], ATTACK, size)
        assert shown(found) == [("guessed", 0, "id:a"), ("guessed", 1, "id:b"), ("many", 1, "203.0.113.9")]
        (many,) = [one for one in found if one.playbook == "many"]
        assert [one.target for one in many.effects] == ["203.0.113.9", "id:a", "id:b"]

    def test_it_is_about_whom_the_completing_event_is_about_and_says_where_it_comes_from(self):
        guessed = replayed([GUESSED], guesses("a", 0))[0]
        (effect,) = guessed.effects
        assert (effect.kind, effect.target, effect.held) == ("emit", None, None)
        made = dict(effect.event)
        assert len(made.pop("id")) == 32
        assert made == {
            "event": "account.guessed", "timestamp": "2026-01-05T00:00:02.000001Z", "user": {"id": "a"},
            "ip": "203.0.113.9", "trust": "playbook",
            "properties": {
                "weight": 2, "playbook": "guessed", "severity": "medium", "group": {"user": "id:a"},
                "finding": guessed.id, "depth": 1,
            },
        }  # fmt: skip
        assert not guessed.acted

    @pytest.mark.parametrize("size", [1, 100])
    def test_it_lies_in_the_group_it_comes_from(self, size):
        """A key is used from a new network, then it reads much: both are counted by the key."""
        calls = [
            raw(f"c{n}", n, "api.called", geo={"asn": 1 if n < 3 else 2}, properties={"key": {"id": "k1"}, "item": n})
            for n in range(9)
        ]
        other = [one | {"id": f"o{one['id']}", "geo": {"asn": 1}, "properties": {"key": {"id": "k2"}}} for one in calls]
        found = replayed([ELSEWHERE, READS], [*calls, *other], size)
        assert [(one.playbook, dict(one.group)) for one in found] == [
            ("elsewhere", {"properties.key.id": "k1"}), ("reads", {"properties.key.id": "k1"})
        ]  # fmt: skip
        made = found[0].effects[0].event["properties"]
        assert (made["key"], made["what"]) == ({"id": "k1"}, "network")
        assert made["group"] == {"properties.key.id": "k1"}

    def test_what_the_author_writes_stands_before_the_group_s_own(self):
        written = GUESSED.replace("group_by: user", "group_by: [user, properties.weight]")
        guessed = [one | {"properties": {"weight": 7}} for one in guesses("a", 0)]
        (found,) = replayed([written], guessed)
        made = found.effects[0].event["properties"]
        assert (made["weight"], made["group"]) == (2, {"user": "id:a", "properties.weight": 7})

    def test_whose_users_are_only_claimed_stays_so_along_the_chain(self):
        """Three wrong passwords, then a payout: the account's own sessions go on."""
        found = replayed([GUESSED, TAKEN], [*guesses("a", 0), raw("p", 60, "payout", user="a")])
        (block,) = found[-1].effects[0].decisions
        assert (found[-1].playbook, block.logins_only) == ("taken", True)
        alone = replayed([TAKEN], [raw("g", 0, "account.guessed", user="a"), raw("p", 60, "payout", user="a")])
        assert not alone[0].effects[0].decisions[0].logins_only

    def test_in_monitor_nothing_is_made(self):
        found = replayed([GUESSED, MANY], ATTACK, mode="monitor")
        assert shown(found) == [("guessed", 0, "id:a"), ("guessed", 1, "id:b")]
        assert {effect.held for one in found for effect in one.effects} == {"monitor"}

    def test_what_is_too_old_to_act_makes_nothing(self):
        found = replayed([GUESSED, MANY], [raw("new", 2 * 3600, "x"), *ATTACK])
        assert shown(found) == [("guessed", 0, "id:a"), ("guessed", 1, "id:b")]
        assert {effect.held for one in found for effect in one.effects} == {"historical"}

    @pytest.mark.parametrize("size", [1, 100])
    def test_a_wait_that_is_over_makes_its_event_too(self, size):
        orders = [raw("o1", 0, "order", user="a"), raw("o2", 600, "order", user="a")]
        assert shown(replayed([UNPAID, OWES], orders, size)) == [
            ("owes", 70, "id:a"), ("unpaid", 60, "id:a"), ("unpaid", 70, "id:a")
        ]  # fmt: skip

    def test_a_label_put_on_before_is_seen(self):
        labelled = GUESSED.replace("actions: [", "actions: [{label_user: {name: tried}}, ")
        asks = MANY.replace("properties.weight == 2", '"tried" in user.labels')
        assert "many" in {one.playbook for one in replayed([labelled, asks], ATTACK)}

    def test_a_chain_ends_at_its_depth(self):
        links = [
            f"playbook: p{n}\nmode: enforce\nevent: e{n}\ngroup_by: user\nwindow: 1m\nwhen: {{count: 1}}\n"
            f"actions: [{{emit: {{event: e{n + 1}}}}}]\n"
            for n in range(DEPTH + 3)
        ]
        found = replayed(links, [raw("x", 0, "e0", user="a")])
        assert [one.playbook for one in found] == [f"p{n}" for n in range(DEPTH + 1)]
        assert found[-1].effects[0].held == TOO_DEEP

    def test_a_circle_that_the_loader_cannot_see_ends_too(self):
        loop = replace_event(playbooks(GUESSED)[0], "auth")
        run = Replay(engine := Engine([loop]), windows(engine.watches()), Memory())
        assert len(list(run.feed(events(guesses("a", 0))))) <= DEPTH + 1

    def test_a_sender_cannot_pretend_to_be_deep_already(self):
        pretended = [one | {"properties": {"depth": 99, "playbook": "guessed"}} for one in guesses("a", 0)]
        assert replayed([GUESSED], pretended)[0].effects[0].held is None


def replace_event(playbook, name):
    """Return a playbook that makes events of another name."""
    from dataclasses import replace

    return replace(playbook, where=None, actions=tuple(replace(one, event=name) for one in playbook.actions))


class TestLive:
    def test_they_are_stored_counted_and_acted_upon_in_the_same_commit(self, store):
        machine = Machine(store, [GUESSED, MANY])
        machine.send(*ATTACK)
        assert machine.blocked == ["203.0.113.9", "id:a", "id:b"]
        (made,) = [one.event for one in store.events.after("shop", 0) if one.event.trust == "playbook"][:1]
        assert (made.name, made.user, made.ip, made.at) == ("account.guessed", "id:a", "203.0.113.9", START + 2_000_001)
        assert made.properties["depth"] == 1

    def test_the_sender_hears_of_their_own_events_alone(self, store):
        machine = Machine(store, [GUESSED, MANY])
        (receipt,) = machine.pipeline.process([Sending("shop", events(ATTACK), "sdk")])
        assert (receipt.accepted, receipt.duplicates) == (6, 0)

    def test_sending_again_makes_nothing_again(self, store):
        machine = Machine(store, [GUESSED, MANY])
        for _ in range(3):
            machine.send(*ATTACK)
        assert len(list(store.events.after("shop", 0))) == 8

    def test_a_commit_that_fails_is_healed_by_sending_again(self, store, monkeypatch):
        machine = Machine(store, [GUESSED, MANY])
        unit = type(store).unit

        class Failing:
            def __init__(self, unit):
                self.unit = unit

            def __getattr__(self, name):
                return getattr(self.unit, name)

            def commit(self, batches):
                raise OSError("disk full")

        from contextlib import contextmanager

        @contextmanager
        def failing(self):
            with unit(self) as one:
                yield Failing(one)

        with monkeypatch.context() as patch:
            patch.setattr(type(store), "unit", failing)
            with pytest.raises(OSError, match="disk full"):
                machine.send(*ATTACK)
        machine.send(*ATTACK)
        assert machine.blocked == ["203.0.113.9", "id:a", "id:b"]
        assert len(list(store.events.after("shop", 0))) == 8

    @pytest.mark.parametrize("saved", [False, True])
    def test_after_a_restart_what_was_made_before_still_counts(self, store, saved):
        machine = Machine(store, [GUESSED, MANY])
        machine.send(*ATTACK[:3])
        if saved:
            machine.save()
        machine.boot()
        machine.send(*ATTACK[3:])
        assert machine.blocked == ["203.0.113.9", "id:a", "id:b"]

    def test_time_that_passes_makes_them_too(self, store):
        machine = Machine(store, [UNPAID, OWES])
        machine.send(raw("o1", 0, "order", user="a"), raw("o2", 600, "order", user="a"))
        machine.tick(DAY)
        assert store.labels.of("shop", "user", "id:a", START + DAY) == ("owes",)

    def test_an_import_that_acts_finds_the_same_however_long_its_batch(self, store):
        """A batch may span more than the lateness; what is made must be counted between its events."""
        days = [one for day in range(3) for one in [*guesses("a", day * 86_400), *guesses("b", day * 86_400 + 60)]]
        machine = Machine(store, [GUESSED, MANY])
        machine.pipeline.process([Sending("shop", events(days), "sdk", True, True)])
        live = [one.finding for one in store.findings.since("shop", 0)]
        assert shown(live) == shown(replayed([GUESSED, MANY], days, 100))

    def test_a_person_is_known_by_whichever_key_comes(self, store):
        machine = Machine(store, [GUESSED, MANY])
        login = raw("l", 0, "auth", success=True, user={"id": "1", "email": "a@b.example"}, ip="203.0.113.7")
        machine.send(login, *guesses({"email": "a@b.example"}, 60), *guesses("b", 120))
        made = [one.event.user for one in store.events.after("shop", 0) if one.event.trust == "playbook"]
        assert made == ["id:1", "id:b"]


def test_an_in_file_test_says_which_event_is_made_and_who_is_refused():
    told = """
tests:
  - name: t
    events: [{at: 0s, event: auth, success: false, user: u1, repeat: 3, every: 1s}]
    expect: [{at: 2s, group: {user: u1}, emit: account.guessed}]
"""
    content = assemble({"p.yaml": (GUESSED + told).encode(), "m.yaml": (MANY + MADE).encode()})
    for name in ("guessed", "many"):
        (outcome,) = Runner(windows).playbook(content.playbooks[name])
        assert outcome.faults == ()
    wrong = assemble({"p.yaml": (GUESSED + told).replace("emit: account.guessed}]", "emit: other}]").encode()})
    (outcome,) = Runner(windows).playbook(wrong.playbooks["guessed"])
    assert any("emit account.guessed" in one for one in outcome.faults)


MADE = """
tests:
  - name: t
    events:
      - {at: 0s, event: account.guessed, trust: playbook, user: "u{n}", ip: 203.0.113.9, properties: {weight: 2},
         repeat: 2, every: 1s}
    expect: [{at: 1s, group: {ip: 203.0.113.9}, block_ip: 203.0.113.9, block_user: [u0, u1]}]
"""


def test_circles_are_refused_through_any_number_of_files():
    back = MANY.replace("actions: [", "actions: [{emit: {event: auth.again}}, ")
    guessed = GUESSED.replace("event: auth\n", 'event: "auth*"\n')
    with pytest.raises(PlaybookErrors, match="`guessed` → `many` → `guessed`"):
        assemble({"a.yaml": guessed.encode(), "b.yaml": back.encode()})
    assemble({"a.yaml": guessed.encode(), "b.yaml": MANY.encode()})


def test_a_condition_that_excludes_what_is_made_breaks_a_circle():
    back = MANY.replace("actions: [", "actions: [{emit: {event: auth.again}}, ")
    guessed = GUESSED.replace(
        "event: auth\nwhere: not success", 'event: "auth*"\nwhere: trust == "server" and not success'
    )
    assert len(assemble({"a.yaml": guessed.encode(), "b.yaml": back.encode()}).playbooks) == 2
