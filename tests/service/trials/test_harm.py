"""Coverage and harm: how long targets are covered, and which of the blocked later looked like their owners."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.decision import Decision, pair
from sentinel.core.event import read
from sentinel.core.finding import Effect, Finding
from sentinel.engine.memory import Familiar
from sentinel.service.trials.harm import ADDRESSES, USERS, Coverage, Harm
from tests.service.stories import HOUR, MINUTE, SECOND, START, passed, raw

SPANS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.one_of(st.none(), st.integers(1, 20))))


@given(SPANS)
def test_coverage_is_the_union_of_the_spans_of_each_target(spans):
    spans = sorted(spans, key=lambda span: span[1])
    coverage = Coverage()
    for target, start, length in spans:
        coverage.add(target, start, length)
    endless = {target for target, _, length in spans if length is None}
    moments = set()
    for target in {target for target, _, _ in spans}:
        for _, start, length in (span for span in spans if span[0] == target):
            if length is None:
                break
            moments |= {(target, moment) for moment in range(start, start + length)}
    assert (coverage.targets, coverage.forever) == (len({target for target, _, _ in spans}), len(endless))
    assert coverage.covered == len(moments)


def finding(at=0, kind="block_user", target="id:u", length=HOUR, spared=(), held=None):
    allows = tuple(
        Decision(f"d{n}", "allow", scope, pair(target, value), playbook="p") for n, (scope, value) in enumerate(spared)
    )
    effect = Effect(kind, target, length, (Decision("b", "block", "user", target, playbook="p"), *allows), held=held)
    return Finding(
        id=f"f{at}", playbook="p", version="1", severity="high", mode="enforce", key="k", group={}, at=START + at,
        event_id="e", tally={}, threshold={}, effects=(effect,), acted=held is None,
    )  # fmt: skip


def login(after, user="u", ip="203.0.113.9", device=None):
    return read(passed(f"l{after}", after, user, ip, device=device))


@pytest.fixture
def harm():
    """Return the harm of a user who was known at home and with a laptop before the start."""
    familiar = Familiar()
    familiar.learn(login(-100, ip="203.0.113.9", device="laptop"))
    return Harm(familiar)


def test_a_login_from_a_familiar_place_while_blocked_looks_like_the_owner(harm):
    harm.note(finding(), START)
    harm.login(login(60))
    assert (harm.blocked[USERS], harm.owners[USERS], harm.refused) == ({"id:u"}, {"id:u"}, {"id:u"})


def test_a_familiar_device_elsewhere_looks_like_the_owner(harm):
    harm.note(finding(), START)
    harm.login(login(60, ip="198.51.100.1", device="laptop"))
    assert harm.owners[USERS] == {"id:u"}


@pytest.mark.parametrize(
    "event",
    [
        login(60, ip="198.51.100.1", device="phone"),
        login(60, user="other"),
        login(3600),
        read(raw("x", 60, success=True, ip="203.0.113.9")),
    ],
    ids=["from a strange place", "of another user", "after the block", "of nobody"],
)
def test_other_logins_do_not(harm, event):
    harm.note(finding(), START)
    harm.login(event)
    assert (harm.blocked[USERS], harm.owners[USERS], harm.refused) == ({"id:u"}, set(), set())


def test_a_place_made_familiar_after_the_finding_proves_nothing(harm):
    harm.note(finding(), START)
    thief = login(30, ip="198.51.100.1")
    harm._familiar.learn(thief)
    harm.login(login(60, ip="198.51.100.1"))
    assert harm.owners[USERS] == set()


def test_a_block_without_an_end_lasts(harm):
    harm.note(finding(length=None), START)
    harm.login(login(86_400 * 365))
    assert harm.owners[USERS] == {"id:u"}


def test_a_block_counts_from_when_it_is_made_for_its_length(harm):
    """Decided late: the finding's own time plus an hour is past, the decision's is not."""
    harm.note(finding(), START + 50 * MINUTE)
    harm.login(login(100 * 60))
    assert harm.owners[USERS] == {"id:u"}


def test_an_owner_whose_place_is_spared_is_counted_and_not_refused(harm):
    harm.note(finding(spared=[("user+ip", "203.0.113.9")]), START)
    harm.login(login(60))
    assert (harm.owners[USERS], harm.refused) == ({"id:u"}, set())
    harm.login(login(61, ip="198.51.100.1", device="laptop"))
    assert harm.refused == {"id:u"}, "the laptop was not spared"


@pytest.mark.parametrize("ipv6", [48, 64, 128])
def test_an_owner_is_known_by_the_network_the_app_groups_addresses_by(ipv6):
    home, again = (login(after, ip="2001:db8:aaaa:bbbb::7") for after in (-100, 60))
    home.ipv6 = again.ipv6 = ipv6
    familiar = Familiar()
    familiar.learn(home)
    for spared, refused in (((), {"id:u"}), ([("user+ip", home.network_ip)], set())):
        harm = Harm(familiar)
        harm.note(finding(spared=spared), START)
        harm.login(again)
        assert (harm.owners[USERS], harm.refused) == ({"id:u"}, refused)


@pytest.mark.parametrize(
    "change", [{"held": "guard"}, {"kind": "challenge_user"}, {"kind": "label_user"}, {"target": None}]
)
def test_only_blocks_that_act_are_counted(harm, change):
    one = finding()
    harm.note(replace(one, effects=(replace(one.effects[0], **change),)), START)
    harm.login(login(60))
    assert (harm.blocked[USERS], harm.owners[USERS]) == (set(), set())


def test_an_address_from_which_a_familiar_user_logs_in_is_an_owner_s(harm):
    harm.note(finding(kind="block_ip", target="203.0.113.9"), START)
    harm.login(login(60, user="stranger"))
    assert (harm.blocked[ADDRESSES], harm.owners[ADDRESSES]) == ({"203.0.113.9"}, set())
    harm.login(login(61))
    assert (harm.owners[ADDRESSES], harm.owners[USERS], harm.refused) == ({"203.0.113.9"}, set(), {"id:u"})


def test_a_finding_taken_back_blocks_no_more(harm):
    harm.note(finding(), START)
    harm.retract("f0")
    harm.login(login(60))
    assert harm.owners[USERS] == set()


def test_the_end_is_exclusive(harm):
    harm.note(finding(length=60 * SECOND), START)
    harm.login(login(60))
    assert harm.owners[USERS] == set()
