"""Whoever is let be is found and not acted on; once nobody lets them be any more, what they do next is acted on."""

import pytest

from sentinel.core.decision import place
from sentinel.core.finding import Effect
from sentinel.core.record import Allowance
from sentinel.engine.windows import Hit
from sentinel.service import sparing
from sentinel.service.sparing import ALLOWLISTED, LetBe, Spared
from tests.contract.values import finding
from tests.service.machine import Machine
from tests.service.stories import MINUTE, START, failed, playbook
from tests.service.test_shared import Processes, links  # noqa: F401

PERSONS = {"id:1": "id:1", "email:ann@example.com": "id:1"}
OVER = START + MINUTE
NEVER = [place("192.0.2.0/28"), place("198.51.100.0/28")]
TEXT = playbook(actions="[{block_ip: {for: 1h}}, {label_ip: {name: odd}}]", window="1h")
PLACE = "203.0.113.9"


def let_be(store, app="shop", until=None, scope="network", value="203.0.113.0/28"):
    store.allow.add(app, Allowance("a", scope, value, "our scanner", START, until), "jane", START)


def knock(machine, first, number):
    """Fail some logins, one a minute; the clock goes with them."""
    for minute in range(first, first + number):
        machine.send(failed(f"f{minute}", minute * 60))


@pytest.mark.parametrize("restart", [None, "killed", "saved"])
@pytest.mark.parametrize("ends", ["removed", "over"])
def test_who_goes_on_is_blocked_once_nobody_lets_them_be(store, ends, restart):
    """And is found once until then, however often they come."""
    let_be(store, until=START + 10 * MINUTE if ends == "over" else None)
    machine = Machine(store, [TEXT])
    knock(machine, 0, 8)
    assert machine.findings == [(PLACE, 2, False)]
    if restart == "saved":
        machine.save()
    if restart:
        machine.boot()
    knock(machine, 8, 2)
    if ends == "removed":
        assert store.allow.remove("shop", "a", "jane", "the scan is over", machine.now)
    knock(machine, 10, 4)
    assert machine.findings == [(PLACE, 2, False), (PLACE, 10, True)]
    assert machine.blocked == [PLACE]


def test_who_is_still_let_be_is_found_once_a_cooldown(store):
    let_be(store)
    machine = Machine(store, [TEXT])
    knock(machine, 0, 70)
    assert machine.findings == [(PLACE, 2, False), (PLACE, 62, False)]


def test_a_finding_that_acted_on_others_holds_back_though_one_was_let_be(store):
    let_be(store, scope="user", value="id:u")
    machine = Machine(
        store, [playbook(group_by="[user, ip]", actions="[{block_user: {for: 1h}}, {block_ip: {for: 1h}}]")]
    )
    knock(machine, 0, 3)
    store.allow.remove("shop", "a", "jane", "a mistake", machine.now)
    knock(machine, 3, 3)
    assert [acted for _, _, acted in machine.findings] == [True]
    assert machine.blocked == [PLACE]


def test_who_would_be_acted_on_beside_somebody_who_is_still_let_be_is_acted_on(store):
    let_be(store)
    store.allow.add("shop", Allowance("b", "user", "id:u", "a tester", START), "jane", START)
    machine = Machine(
        store,
        [playbook(group_by="[user, ip]", actions="[{block_user: {for: 1h}}, {block_ip: {for: 1h}}]", window="1h")],
    )
    knock(machine, 0, 6)
    assert [acted for _, _, acted in machine.findings] == [False]
    store.allow.remove("shop", "b", "jane", "a mistake", machine.now)
    knock(machine, 6, 3)
    assert machine.blocked == ["id:u"]


def test_of_several_processes_each_sees_that_it_is_over(store, links):  # noqa: F811
    two = Processes(store, [TEXT], *links)
    let_be(store, two.app)
    knock(two, 0, 8)
    assert {found[3] for found in two.findings} == {False}
    store.allow.remove(two.app, "a", "jane", "the scan is over", two.now)
    knock(two, 8, 6)
    assert [found[3] for found in two.findings].count(True) == 1


def allowed(scope, value, until=None):
    return Allowance(f"{value} {until}", scope, value, "one of ours", START, until)


ANN, ANNS_MAIL = ("user", "id:1"), ("user", "email:ann@example.com")


@pytest.mark.parametrize(
    ("allowances", "target", "why"),
    [
        ([allowed(*ANN)], ANNS_MAIL, ALLOWLISTED),
        ([allowed(*ANNS_MAIL)], ANN, ALLOWLISTED),
        ([allowed("user", "id:9")], ("user", "id:9"), ALLOWLISTED),
        ([allowed("user", "id:9")], ("user", "id:8"), None),
        ([allowed("user", "id:9")], ANN, None),
        ([], ANN, None),
        ([allowed(*ANN, OVER)], ANN, None),
        ([allowed(*ANN, OVER + 1)], ANN, ALLOWLISTED),
        ([allowed(*ANN, OVER), allowed(*ANNS_MAIL, OVER + 1)], ANN, ALLOWLISTED),
        ([allowed(*ANN, OVER + 1), allowed(*ANNS_MAIL, OVER)], ANN, ALLOWLISTED),
        ([allowed(*ANN), allowed(*ANNS_MAIL, OVER)], ANN, ALLOWLISTED),
        ([allowed(*ANN, OVER), allowed(*ANNS_MAIL)], ANN, ALLOWLISTED),
        ([allowed(*ANN, OVER), allowed(*ANNS_MAIL, OVER)], ANN, None),
        ([allowed("ip", "203.0.113.9")], ("ip", "203.0.113.9"), ALLOWLISTED),
        ([allowed("ip", "203.0.113.1"), allowed("ip", "203.0.113.9")], ("ip", "203.0.113.9"), ALLOWLISTED),
        ([allowed("ip", "203.0.113.9")], ("ip", "203.0.113.8"), None),
        ([allowed("ip", "203.0.113.9", OVER)], ("ip", "203.0.113.9"), None),
        ([allowed("network", "203.0.113.0/24", OVER + 1)], ("ip", "203.0.113.9"), ALLOWLISTED),
        ([allowed("ip", "2001:db8::9")], ("ip", "2001:db8::/64"), ALLOWLISTED),
        ([allowed("network", "cb00:7000::/20")], ("ip", "203.0.113.9"), None),
        ([], ("ip", "198.51.100.7"), "the app's own proxy"),
        ([allowed("network", "198.51.100.0/24")], ("ip", "198.51.100.7"), "the app's own proxy"),
    ],
)
def test_a_person_is_let_be_by_any_key_until_the_last_of_their_allowances_ends(allowances, target, why):
    spared = Spared(NEVER, allowances, lambda keys: [PERSONS.get(key) for key in keys])
    assert spared.why(*target, OVER) == why


def test_allowances_and_links_that_change_are_gone_by_and_places_are_read_only_where_they_did(monkeypatch):
    read, nobody = [], dict[str, str]().get
    monkeypatch.setattr(sparing, "place", lambda value: read.append(value) or place(value))
    spared, kept = Spared(NEVER), [allowed("ip", PLACE), allowed(*ANNS_MAIL)]
    answers = []
    for allowances, person in ((kept, nobody), (list(kept), PERSONS.get), (kept[1:], PERSONS.get), ([], nobody)):
        spared.take(allowances, lambda keys, of=person: [of(key) for key in keys])
        answers.append((spared.why("ip", PLACE, START), spared.why(*ANN, START)))
    assert answers == [(ALLOWLISTED, None), (ALLOWLISTED, ALLOWLISTED), (None, ALLOWLISTED), (None, None)]
    assert read == [PLACE] * 5  # once as it was allowed, and as it was asked for each time


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ({"ip": "10.0.0.1", "user": "id:8", "country": "DE"}, {"ip": "private or local address"}),
        ({"ip": PLACE, "user": "id:1"}, {"ip": ALLOWLISTED, "user": ALLOWLISTED}),
        ({"ip": "198.51.100.7", "user": None}, {"ip": "the app's own proxy"}),
        ({"user": "127.0.0.1"}, {}),
    ],
)
def test_of_a_group_it_is_told_who_in_it_is_let_be(group, why):
    spared = Spared(NEVER, [allowed("ip", PLACE), allowed(*ANN)])
    assert spared.among(group, START) == why


def test_of_too_many_groups_that_are_let_be_those_found_first_are_forgotten(monkeypatch):
    monkeypatch.setattr(sparing, "MOST_LET_BE", 2)
    groups, held = LetBe(), (Effect("block_ip", PLACE, held=ALLOWLISTED),)
    for key in ("a", "b", "a", "c"):
        groups.note(finding(f"f{key}", key=key, effects=held, acted=False))
    hits = [Hit("p", key, START, key, (), True, None) for key in "abc"]
    assert [groups.concerns([hit]) for hit in hits] == [True, False, True]
    assert groups.concerns(hits)
    assert [hit.acting for hit in groups.revised(hits, lambda kind, target, at: ALLOWLISTED)] == [False, True, False]
