"""The one sentence a customer is sent: true, in plain words, and made of nothing an attacker wrote."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from sentinel.core.decision import STRICTNESS, Decision, Delta, Subject, pair
from sentinel.core.decisions import Decisions
from sentinel.core.record import KeptDecision
from sentinel.service.answer import answer

HOUR = 3_600_000_000
NOW = 1_795_233_600_000_000  # 2026-11-21 04:00 UTC
TITLES = {"guessing": "Many wrong passwords for one account"}
STEERING = st.text(st.characters() | st.sampled_from("<>&\"'`\u202e\u2066\x1b\x07\n\ud800"), min_size=1, max_size=200)


def made(kind="block", by="guessing", until=NOW + HOUR, at=NOW - HOUR, **more):
    kept = {name: more.pop(name) for name in ("lifted", "removed") if name in more}
    scope, value = more.pop("scope", "user"), more.pop("value", "id:42")
    decision = Decision(
        "d1", kind, scope, value, made=at, until=until, playbook=by, reason="secret <b>words</b>",
        to="/help" if kind == "redirect" else None, **more,
    )  # fmt: skip
    return KeptDecision(decision, 1, **kept)


def test_a_block_is_told_with_its_cause_its_times_and_its_reference():
    assert answer([made()], TITLES, NOW) == (
        "Your account was blocked on 21 November 2026 at 03:00 UTC because activity on it looked like what our "
        "protection calls “Many wrong passwords for one account”, and the block ends by itself on 21 November 2026 at "
        "05:00 UTC (reference d1)."
    )


def test_what_colleagues_wrote_is_not_told():
    said = answer([made(by=None)], TITLES, NOW)
    assert "a member of our team decided so" in said
    assert "secret" not in said


def test_of_several_the_strictest_that_lasts_longest_is_told():
    some = [made("challenge", until=None), made(until=NOW + 2), made(until=NOW + 2 * HOUR), made(until=NOW + 1)]
    assert "ends by itself on 21 November 2026 at 06:00 UTC" in answer(some, TITLES, NOW)
    assert "lasts until our team lifts it" in answer([*some, made(until=None)], TITLES, NOW)


def test_what_holds_at_one_address_or_on_one_device_says_so_and_comes_after_what_holds_everywhere():
    some = [made(until=None, scope=scope, value=pair("id:42", there)) for scope, there in
            (("user+ip", "203.0.113.9"), ("user+device", "laptop"))]  # fmt: skip
    assert "Your account was blocked at one address on 21 November" in answer(some[:1], TITLES, NOW)
    assert "Your account was blocked on one device on 21 November" in answer(some[1:], TITLES, NOW)
    assert "laptop" not in answer(some[1:], TITLES, NOW)
    assert "Your account was blocked on 21 November" in answer([*some, made(until=NOW + 1)], TITLES, NOW)


def named(id, *given, **more):
    kept = made(*given, **more)
    return replace(kept, decision=replace(kept.decision, id=id))


def test_what_a_person_decided_stands_in_place_of_what_playbooks_did():
    block = named("d1", until=None)
    asked = named("d2", "challenge", by=None, value="email:jane@example.com", until=NOW + HOUR)
    assert "was asked for a further proof" in answer([block, asked], TITLES, NOW)
    let_be = named("d3", "allow", by=None, until=NOW + HOUR, at=NOW)
    assert answer([block, let_be], TITLES, NOW) == (
        "Your account was blocked on 21 November 2026 at 03:00 UTC because activity on it looked like what our "
        "protection calls “Many wrong passwords for one account”, which our team lifted on 21 November 2026 at 04:00 "
        "UTC (reference d1)."
    )
    assert "lasts until our team lifts it" in answer([block, let_be], TITLES, NOW + HOUR)


KEPT = st.tuples(
    st.sampled_from(["block", "redirect", "challenge", "allow"]), st.sampled_from(["guessing", None]),
    st.sampled_from([NOW - 1, NOW + HOUR, None]), st.sampled_from(["user", "user+ip"]), st.booleans(),
)  # fmt: skip


@given(st.lists(KEPT, max_size=5))
def test_whoever_is_told_that_it_lasts_is_refused_somewhere_and_whoever_is_refused_anywhere_is_told(some):
    some = [
        named(f"d{n}", kind, by=by, until=until, scope=scope, logins_only=logins and kind != "allow",
              value="id:42" if scope == "user" else pair("id:42", "203.0.113.9"))
        for n, (kind, by, until, scope, logins) in enumerate(some)
    ]  # fmt: skip
    familiar = [one for one in some if one.decision.kind == "allow" and one.decision.scope == "user+ip"]
    assume(all(one.decision.manual for one in familiar))
    decisions = Decisions().apply(Delta(1, tuple(one.decision for one in some), reset=True))
    subjects = [Subject(("id:42",), ip, login=at) for ip in ("203.0.113.9", "198.51.100.1") for at in (True, False)]
    refusing = [one for one in (decisions.match(subject, NOW) for subject in subjects) if not one.allowed]
    said = answer(some, TITLES, NOW)
    assert ("lasts until" in said or "ends by itself" in said) == bool(refusing)
    if refusing:
        strictest = max((one.kind for one in refusing), key=STRICTNESS.__getitem__)
        assert {"block": "blocked", "redirect": "led", "challenge": "asked"}[strictest] in said


def test_a_persons_decision_at_logins_alone_stands_in_place_of_none_that_holds_at_every_request():
    block, there = named("d1"), named("d2", scope="user+ip", value=pair("id:42", "203.0.113.9"))
    milder = named("d3", "challenge", by=None, logins_only=True)
    assert "Your account was blocked on 21 November" in answer([block, milder], TITLES, NOW)
    other_key = named("d4", "challenge", by=None, scope="user+ip", value=pair("email:jane@example.com", "203.0.113.9"))
    assert "was asked for a further proof at one address" in answer([there, other_key], TITLES, NOW)
    elsewhere = replace(other_key, decision=replace(other_key.decision, value=pair("id:42", "203.0.113.10")))
    assert "was blocked at one address" in answer([there, elsewhere], TITLES, NOW)


def test_what_holds_at_logins_alone_says_so_and_comes_after_what_holds_everywhere():
    only = made(until=None, logins_only=True)
    assert "Your account was blocked from logging in on 21 November" in answer([only], TITLES, NOW)
    asked = made("challenge", logins_only=True, scope="user+device", value=pair("id:42", "laptop"))
    assert "was asked for a further proof at logins on one device on 21" in answer([asked], TITLES, NOW)
    led = made("redirect", logins_only=True, until=NOW)
    assert "was led to another page at logins on 21" in answer([led], TITLES, NOW)
    assert "Your account was blocked on 21 November" in answer([only, made(until=NOW + 1)], TITLES, NOW)
    assert "Your account was blocked from" in answer([only, made("challenge")], TITLES, NOW)


def test_what_is_over_is_told_as_over():
    assert "which ended on 21 November 2026 at 04:00 UTC" in answer([made(until=NOW)], TITLES, NOW)
    assert "which our team lifted on 21 November 2026 at 04:00 UTC" in answer([made(lifted=NOW)], TITLES, NOW)
    assert "blocked on" in answer([made(until=NOW)], TITLES, NOW)


def test_nothing_is_told_of_who_was_never_blocked_or_was_only_let_through():
    assert answer([], TITLES, NOW) == "Your account is not blocked, and we have no record that it was."
    assert answer([], TITLES, NOW, "network") == (
        "Your network as a whole is not blocked, and we have no record that it was; single addresses in it may be."
    )
    assert "address is not blocked" in answer([made("allow")], TITLES, NOW, "address")


@given(STEERING, st.sampled_from(["block", "challenge", "redirect"]), st.sampled_from([None, NOW, NOW + 1]))
def test_whatever_a_title_is_it_is_one_sentence_of_harmless_characters(title, kind, until):
    said = answer([made(kind, until=until)], {"guessing": title}, NOW)
    assert said.isprintable()
    assert not re.search('[<>`"]', said)
    assert said.count("“") == said.count("”") == 1
    assert said.endswith("(reference d1).")
    assert len(said) < 500
