"""What people do by hand: whoever is let be is free of what playbooks decided before."""

from __future__ import annotations

import pytest

from sentinel.core.batch import Batch
from sentinel.core.decision import Decision, Subject, pair
from sentinel.core.decisions import Decisions
from sentinel.core.duration import DAY, HOUR
from sentinel.core.errors import Conflict, SentinelError, StoreBusy
from sentinel.core.finding import Effect
from sentinel.core.record import App, KeptFinding
from sentinel.service import hand
from sentinel.store.embedded.store import open_store
from tests.contract.values import batch, event, finding, put

NOW = 1_800_000_000_000_000
MANY = 10_050  # blocks in force, as while a botnet attacks
NETWORKS = ("8::/64", "9::/56", "a:0:1::/80")  # the app grouped addresses otherwise before


def block(number: int, scope: str, value: str) -> Decision:
    return Decision(
        id=f"d{number}", kind="block", scope=scope, value=value, made=NOW + number, until=NOW * 2, playbook="p"
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("hand") / "data")
    store.access.add_app(App("shop"), "test", 1)
    first = [block(0, "ip", "203.0.113.9"), block(1, "network", "2001:db8:7::/64"), block(2, "ip", "198.51.100.9")]
    others = [block(n, "ip", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(3, MANY)]
    with store.unit() as unit:
        last = [block(MANY + n, "network", f"2001:db8:{value}") for n, value in enumerate(NETWORKS)]
        unit.commit([Batch("shop", NOW, decisions=(*first, *others, *last))])
    yield store
    store.close()


@pytest.mark.parametrize(
    ("scope", "value", "lifted"),
    [
        ("ip", "203.0.113.9", "d0"),
        ("ip", "2001:db8:7::/64", "d1"),
        ("network", "198.51.100.0/24", "d2"),
        ("network", "2001:db8:8::5/128", f"d{MANY}"),
        ("ip", "2001:db8:9:7::/64", f"d{MANY + 1}"),
        ("ip", "2001:db8:a::/64", f"d{MANY + 2}"),
    ],
)
def test_whoever_is_let_be_is_free_however_many_were_blocked_since(store, scope, value, lifted) -> None:
    assert hand.allow(store, "shop", scope, value, None, "a customer", "jane", NOW + MANY)[1]
    assert store.decisions.get("shop", lifted).lifted == NOW + MANY
    assert store.decisions.get("shop", "d3").lifted is None


def test_what_an_allowance_lifts_is_lifted_in_one_transaction(store, monkeypatch) -> None:
    before, writes = store.decisions.revision("shop"), store.control.write
    begun = []
    monkeypatch.setattr(store.control, "write", lambda: begun.append(1) or writes())
    assert hand.allow(store, "shop", "network", "10.0.16.0/23", None, "a university", "jane", NOW + MANY)[1]
    assert len(begun) == 1, "the allowance, and all decisions"
    assert store.decisions.revision("shop") - before == 1
    lifted = [one for one in store.audit.list("shop", limit=1000).items if one.action == "decision.lift"]
    assert len({one.target for one in lifted if one.target.startswith("ip 10.0.")}) == 512
    assert store.decisions.get("shop", "d4100").lifted == NOW + MANY
    assert store.decisions.get("shop", "d10000").lifted is None


def test_only_so_many_allowances_are_in_force_at_a_time(store, monkeypatch) -> None:
    """Each finding, of any app, waits until they are looked at."""
    monkeypatch.setattr(hand, "MOST_ALLOWED", 1)
    store.access.add_app(App("other"), "test", 1)
    hand.allow(store, "other", "user", "id:1", NOW + HOUR, "trusted", "jane", NOW)
    with pytest.raises(Conflict, match="allowances already"):
        hand.allow(store, "other", "user", "id:2", None, "trusted", "jane", NOW)
    hand.allow(store, "other", "user", "id:1", NOW + 2 * HOUR, "trusted for longer", "jane", NOW)
    hand.allow(store, "other", "user", "id:2", None, "trusted", "jane", NOW + 3 * HOUR)


def test_a_finding_that_cannot_be_excepted_from_is_left_as_it_is(store, monkeypatch) -> None:
    """It was a false positive, and what it did was lifted; its users were blocked by the next one all the same."""
    monkeypatch.setattr(hand, "MOST_ALLOWED", 2)
    store.access.add_app(App("full"), "test", 1)
    hand.allow(store, "full", "user", "id:p1", None, "trusted", "jane", NOW)
    made = [block(n, "user", f"id:p{n}") for n in range(3)]
    found = finding("p", effects=tuple(Effect("block_user", one.value, HOUR, (one,)) for one in made))
    put(store, batch("full", NOW, findings=(found,), decisions=tuple(made)))
    before = store.findings.get("full", "p")
    with pytest.raises(Conflict, match="there are 1 allowances already, of at most 2"):
        hand.pardon(store, "full", before, "the office", "1d", "jane", NOW)
    assert store.findings.get("full", "p") == before
    assert len(store.decisions.list("full", now=NOW).items) == 3 and len(store.allow.list("full")) == 1
    monkeypatch.setattr(hand, "MOST_ALLOWED", 3)
    hand.pardon(store, "full", before, "the office", "1d", "jane", NOW)
    assert store.findings.get("full", "p").status == "false-positive"
    assert {one.value: one.until for one in store.allow.list("full")} == {
        "id:p0": NOW + DAY, "id:p1": None, "id:p2": NOW + DAY,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "whom"),
    [
        ({"scope": "user+ip", "value": pair("id:1", "203.0.113.9")}, ("user", "id:1")),
        ({"scope": "network", "value": "2001:db8:7::/64"}, ("network", "2001:db8:7::/64")),
        ({"user": "id:1"}, ("user", "id:1")),
        ({"ip": "203.0.113.9"}, ("ip", "203.0.113.9")),
        ({"ip": "2001:db8:7::/64"}, ("network", "2001:db8:7::/64")),
    ],
)
def test_an_exception_is_for_whom_a_finding_acted_on_else_for_whom_it_is_about(told, whom) -> None:
    effects = [Effect("block", decisions=(Decision("d", "block", playbook="p", **told),))] if "scope" in told else []
    about = {"user": None, "ip": None, **({} if effects else told)}
    assert hand.targets(KeptFinding(finding("f", effects=tuple(effects), **about), NOW)) == [whom]


def test_an_end_is_a_moment_to_come_or_so_long_from_now() -> None:
    moment = "2027-01-15T09:00:00Z"
    assert hand.until(None, moment, NOW) == hand.until("1h", None, NOW) == NOW + HOUR
    assert hand.until(None, None, NOW) is hand.until("forever", None, NOW) is None
    with pytest.raises(SentinelError, match="is over"):
        hand.until(None, moment, NOW + HOUR)


def test_whoever_blocks_the_apps_own_proxy_is_told_so() -> None:
    def told(scope, value, kind="block"):
        return [one for one in hand.warnings(Decision("d", kind, scope, value), ["198.51.100.0/24"]) if "proxy" in one]

    assert told("ip", "198.51.100.7") and told("network", "198.51.0.0/16")
    assert told("user+ip", pair("id:1", "198.51.100.7"))
    assert not told("ip", "203.0.113.9") and not told("ip", "198.51.100.7", "allow")


def test_a_bare_name_is_an_id_while_events_cannot_be_searched(store, monkeypatch) -> None:
    """A page of a user is shown, and what is decided is decided, also while a large question is answered."""
    store.access.add_app(App("named", identifiers=("id", "username")), "test", 1)
    put(store, batch("named", events=(event("e", user={"username": "alice"}),)))
    assert hand.known_user(store, "named", "user", "alice") == "username:alice"

    def busy(*_):
        raise StoreBusy("a large question")

    monkeypatch.setattr(store.events, "search", busy)
    assert hand.known_user(store, "named", "user", "alice") == "id:alice"


HOME, AWAY = "203.0.113.20", "203.0.113.21"


@pytest.mark.parametrize("claimed", [True, False])
def test_what_is_decided_for_longer_is_decided_as_it_was(store, claimed) -> None:
    """An owner whom a guesser had blocked at logins elsewhere was blocked at home, once somebody made it longer."""
    user, more = f"id:{claimed}", {"playbook": "p", "version": "v", "made": NOW, "until": NOW + HOUR}
    made = [Decision(f"block {claimed}", "block", "user", user, logins_only=claimed, finding=user, **more)]
    if claimed:
        made.append(Decision("home", "allow", "user+ip", pair(user, HOME), finding=user, **more))
    found = finding(user, effects=(Effect("block_user", user, HOUR, tuple(made)),))
    busy = Decision(f"busy {claimed}", "block", "ip", HOME, playbook="other")
    put(store, batch(now=NOW, findings=(found,), decisions=(*made, busy)))

    def told(now):
        held = Decisions().apply(store.decisions.delta("shop", 0, now))
        requests = [(ip, login) for ip in (HOME, AWAY) for login in (True, False)]
        return {one: held.match(Subject((user,), one[0], login=one[1]), now).kind for one in requests}

    before = told(NOW + 1)
    kept = store.findings.get("shop", user)
    hand.prolong(store, "shop", kept, "again and again", "1d", "jane", NOW + 1)
    assert told(NOW + 2) == told(NOW + DAY) == before
    longer = store.decisions.list("shop", now=NOW + DAY, users=[user]).items
    assert len(longer) == len(made)
    for one in longer:
        assert (one.decision.by, one.decision.reason) == ("jane", "again and again")
        assert one.decision.manual != claimed
