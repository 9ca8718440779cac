"""The set of decisions against a naive list of them: apply, match, overlap, end, share, bound."""

import gc
import ipaddress
import random
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.core import address, pages
from sentinel.core import decisions as judging
from sentinel.core.decision import ALLOW, FOREVER, STRICTNESS, Decision, Delta, Subject, pair, place, unpair
from sentinel.core.decisions import Decisions
from sentinel.core.prefixes import Bucket
from sentinel.core.shards import Shard, pack_id, unpack_id, weight_of
from tests.core.strategies import DELTAS, IPS, SUBJECTS, USERS


class Naive:
    """The meaning, in a list."""

    def __init__(self):
        self.kept = {}

    def apply(self, delta):
        if delta.reset:
            self.kept = {}
        for one in delta.added:
            self.kept[one.id] = one
        for id in delta.removed:
            self.kept.pop(id, None)

    def match(self, subject, now):
        live = [d for d in self.kept.values() if d.in_force(now) and (subject.login or not d.logins_only)]
        live = [(d, target) for d in live if (target := self.target(d, subject)) is not None]
        personal = {target for d, target in live if d.manual}
        lifted = any(d.manual and d.kind == "allow" for d, _ in live)
        live = [(d, t) for d, t in live if d.manual or not (lifted or t in personal)]
        familiar = {unpair(d.value)[0] for d, _ in live if d.kind == "allow" and "+" in d.scope}
        live = [d for d, _ in live if not self.exempt(d, familiar)]
        if not live:
            return "allow", None
        best = min(live, key=lambda d: (-STRICTNESS[d.kind], -(FOREVER if d.until is None else d.until), d.id))
        return best.kind, best.id

    def exempt(self, d, familiar):
        if not d.logins_only or d.manual or d.kind == "allow" or d.scope in ("ip", "network"):
            return False
        return (d.value if d.scope == "user" else unpair(d.value)[0]) in familiar

    def target(self, d, subject):
        """What of the subject a decision is about: a user by any key, an address, a network of one size."""
        if d.scope == "user":
            return "user" if d.value in subject.users else None
        if d.scope in ("ip", "network"):
            network = ipaddress.ip_network(d.value)
            inside = subject.ip is not None and ipaddress.ip_address(subject.ip) in network
            return network.prefixlen if inside else None
        user, other = unpair(d.value)
        others = (subject.device,) if d.scope == "user+device" else (subject.ip, address.group(subject.ip or ""))
        return d.scope if user in subject.users and other in others else None


@given(st.lists(DELTAS, max_size=6), SUBJECTS, st.integers(0, 21))
def test_the_set_says_what_the_naive_list_says(deltas, subject, now):
    made, naive = Decisions(b"salt"), Naive()
    for delta in deltas:
        made = made.apply(delta)
        naive.apply(delta)
    assert len(made) == len(naive.kept)
    assert made.by_device == any(one.scope == "user+device" for one in naive.kept.values())
    verdict = made.match(subject, now)
    assert (verdict.kind, verdict.decision) == naive.match(subject, now)


ALIKE = st.tuples(st.sampled_from(sorted(STRICTNESS)), st.sampled_from([5, 9, None]), st.booleans(), st.booleans())


@given(
    st.lists(st.tuples(st.sampled_from(["user", "ip", "user+ip"]), st.lists(ALIKE, max_size=4)), max_size=4),
    st.frozensets(st.integers(0, 15), max_size=3),
    st.booleans(),
    st.sampled_from([4, 5, 9]),
)
@example([("user", [("challenge", 5, True, False), ("challenge", None, False, False)])], frozenset(), True, 4)
@example([("user", [("block", 5, False, False), ("block", None, False, True)])], frozenset(), False, 4)
@example([("ip", [("challenge", 5, False, False), ("challenge", 9, False, False)])], frozenset({1}), False, 4)
def test_however_many_are_on_one_target_the_verdict_is_the_same(lists, passed, login, now):
    values = {"user": "id:1", "ip": IPS[0], "user+ip": pair("id:1", IPS[0])}
    subject = Subject(("id:1", "id:2"), IPS[0], login=login)
    met, made, naive, number = subject._replace(passed=frozenset(map(str, passed))), Decisions(), Naive(), 0
    for scope, alike in lists:
        added = []
        for kind, until, by_hand, logins_only in alike:
            to, playbook = "/help" if kind == "redirect" else None, None if by_hand else "p"
            about = {"to": to, "until": until, "playbook": playbook, "logins_only": logins_only}
            added.append(Decision(str(number), kind, scope, values[scope], **about))
            number += 1
        delta = Delta(1, tuple(added))
        naive.apply(delta)
        with pytest.MonkeyPatch.context() as many:
            for module in ("shards", "prefixes"):
                many.setattr(f"sentinel.core.{module}.MANY", 1)
            short = made.apply(delta)
            verdicts = [short.match(one, now) for one in (subject, met, subject)]
        assert (verdicts[0].kind, verdicts[0].decision) == naive.match(subject, now)
        made = made.apply(delta)
        assert verdicts == [made.match(one, now) for one in (subject, met, subject)]


@pytest.mark.parametrize(("scope", "value"), [("user", "id:1"), ("ip", IPS[0])])
def test_of_a_thousand_decisions_on_one_target_a_request_looks_at_those_that_matter(scope, value):
    several = [block(f"{n:032x}", scope, value, until=n, by="ann", playbook="pq"[n % 2]) for n in range(1, 1001)]
    made, looked = only(*several), []
    with pytest.MonkeyPatch.context() as watched:
        watched.setattr(judging, "judge", lambda found, *_: looked.append(list(found)) or ALLOW)
        made.match(Subject(("id:1",), IPS[0]), 5)
    assert [one.entry.until for one in looked[0]] == [1000]


@given(DELTAS, DELTAS, SUBJECTS)
def test_a_delta_leaves_the_set_it_was_applied_to_as_it_was(first, second, subject):
    base = Decisions().apply(first)
    before = (len(base), base.revision, base.match(subject, 5))
    base.apply(second)
    assert (len(base), base.revision, base.match(subject, 5)) == before


@given(st.lists(DELTAS, max_size=5), st.integers(0, 21))
def test_taking_out_what_is_over_changes_no_verdict(deltas, now):
    full, naive = Decisions(), Naive()
    for delta in deltas:
        full = full.apply(delta)
        naive.apply(delta)
    lean = full
    for ids in full.expired(now):
        lean = lean.apply(Delta(full.revision, removed=ids))
    assert len(lean) == sum(one.in_force(now) for one in naive.kept.values())
    for user in USERS:
        for ip in IPS:
            subject = Subject((user,), ip, "phone", login=True)
            assert lean.match(subject, now) == full.match(subject, now)


@pytest.mark.parametrize("ip", ["not:an:address", "1.2.3", "unknown"])
def test_an_address_that_is_none_is_covered_by_nothing(ip):
    wide = [block(f"d{n}", "network", network) for n, network in enumerate(("0.0.0.0/8", "2000::/19"))]
    kept = only(*wide, block("p", "user+ip", pair("id:1", "203.0.113.9")))
    assert kept.match(Subject(("id:1",), ip), 0).allowed


@pytest.mark.parametrize("where", [("user", "id:1"), ("network", "203.0.113.0/24")])
def test_the_name_of_what_was_taken_out_is_kept_no_longer(where):
    made = Decisions().apply(Delta(1, tuple(block(name, *where) for name in ("a name", "another"))))
    made = made.apply(Delta(2, removed=("a name",)))
    names = [part.names for part in made.parts() if isinstance(part, Shard | Bucket) and part.names]
    assert [list(one.values()) for one in names] == [["another"]]


@given(DELTAS)
def test_the_same_delta_again_changes_nothing(delta):
    once = Decisions().apply(delta)
    twice = once.apply(Delta(delta.revision, delta.added, delta.removed))
    assert len(once) == len(twice)
    assert [once.match(Subject((u,), ip), 1) for u in USERS for ip in IPS] == [
        twice.match(Subject((u,), ip), 1) for u in USERS for ip in IPS
    ]


@given(st.one_of(st.uuids().map(str), st.uuids().map(lambda one: one.hex), st.text(max_size=40)))
def test_only_sixteen_bytes_in_hexadecimal_or_a_uuid_need_no_name(id):
    packed, form = pack_id(id)
    assert len(packed) == 16
    try:
        found = uuid.UUID(id)
        own = id in (str(found), found.hex)
    except ValueError:
        own = False
    assert (form < 2) == own
    assert not own or unpack_id(packed, form) == id


def test_ids_that_differ_in_their_dashes_only_are_two():
    one = uuid.UUID(int=77)
    kept = only(block(str(one)), block(one.hex, value="id:2"), block("n" * 32, value="id:3"))
    assert [kept.match(Subject((f"id:{n}",)), 0).decision for n in (1, 2, 3)] == [str(one), one.hex, "n" * 32]
    less = kept.apply(Delta(2, removed=(one.hex,)))
    assert [less.match(Subject((f"id:{n}",)), 0).decision for n in (1, 2, 3)] == [str(one), None, "n" * 32]


def only(*made):
    return Decisions().apply(Delta(1, made))


def block(id="d1", scope="user", value="id:1", **fields):
    return Decision(id, "block", scope, value, **({"playbook": "p"} | fields))


def test_a_persons_allow_lifts_what_playbooks_decided_about_anything_of_the_request():
    kept = only(block(scope="ip", value="203.0.113.9"), Decision("a", "allow", "user", "id:1", by="jane"))
    assert kept.match(Subject((), "203.0.113.9"), 0).kind == "block"
    assert kept.match(Subject(("id:1",), "203.0.113.9"), 0).kind == "allow"


def test_a_persons_milder_decision_stands_in_place_of_a_playbooks_on_the_same_target_only():
    kept = only(block(), Decision("c", "challenge", "user", "id:1", by="jane"), block("d2", "ip", "203.0.113.9"))
    assert kept.match(Subject(("id:1",)), 0).kind == "challenge"
    assert kept.match(Subject(("id:1",), "203.0.113.9"), 0).decision == "d2"


def test_the_strictest_then_the_longest_of_overlapping_decisions_holds_each_ending_by_itself():
    kept = only(
        Decision("c", "challenge", "user", "id:1", playbook="p", until=100),
        block("short", until=10),
        block("long", "ip", "203.0.113.9", until=20),
    )
    subject = Subject(("id:1",), "203.0.113.9")
    assert [kept.match(subject, now).decision for now in (0, 10, 20, 99, 100)] == ["long", "long", "c", "c", None]


def test_a_login_only_block_leaves_open_sessions_and_familiar_places_alone():
    kept = only(
        block(logins_only=True),
        Decision("a", "allow", "user+ip", pair("id:1", "203.0.113.9"), playbook="p"),
        Decision("b", "allow", "user+device", pair("id:1", "phone"), playbook="p"),
    )
    assert kept.match(Subject(("id:1",), "198.51.100.1"), 0).kind == "allow"
    assert kept.match(Subject(("id:1",), "198.51.100.1", login=True), 0).kind == "block"
    assert kept.match(Subject(("id:1",), "203.0.113.9", login=True), 0).kind == "allow"
    assert kept.match(Subject(("id:1",), "198.51.100.1", "phone", login=True), 0).kind == "allow"


def test_an_address_of_version_six_is_familiar_with_its_whole_network():
    kept = only(block(logins_only=True), Decision("a", "allow", "user+ip", pair("id:1", "2001:db8::/64"), playbook="p"))
    assert kept.match(Subject(("id:1",), "2001:db8::5", login=True), 0).allowed
    assert not kept.match(Subject(("id:1",), "2001:db8:0:1::5", login=True), 0).allowed


def test_a_familiar_place_does_not_lift_a_persons_decision():
    kept = only(
        Decision("m", "block", "user", "id:1", by="jane", logins_only=True),
        Decision("a", "allow", "user+ip", pair("id:1", "203.0.113.9"), playbook="p"),
    )
    assert kept.match(Subject(("id:1",), "203.0.113.9", login=True), 0).decision == "m"


def test_a_familiar_place_of_one_user_lifts_nothing_of_another():
    kept = only(block(logins_only=True), Decision("a", "allow", "user+ip", pair("id:2", "203.0.113.9"), playbook="p"))
    assert kept.match(Subject(("id:1", "id:2"), "203.0.113.9", login=True), 0).kind == "block"


def test_a_familiar_place_lifts_no_block_of_the_address_and_none_that_is_not_for_logins_only():
    place_of = Decision("a", "allow", "user+ip", pair("id:1", "203.0.113.9"), playbook="p")
    subject = Subject(("id:1",), "203.0.113.9", login=True)
    assert only(place_of, block()).match(subject, 0).kind == "block"
    assert only(place_of, block(scope="ip", value="203.0.113.9", logins_only=True)).match(subject, 0).kind == "block"


def test_an_address_of_another_spelling_of_no_address_matches_nothing():
    kept = only(block(scope="network", value="203.0.113.0/24"))
    for text in ("203.0.113.256", "203.0.113", "::ffff:203.0.113.9x", "203.0.113.09", "", "²03.0.113.9"):
        assert kept.match(Subject((), text), 0).allowed
    for text in ("::ffff:203.0.113.9", "64:ff9b::203.0.113.9"):
        assert kept.match(Subject((), text), 0).kind == "block"


def test_what_exceeds_the_limit_is_refused_and_counted_and_room_is_used_again():
    small = Decisions(limit=2).apply(Delta(1, (block("a"), block("b", value="id:2"), block("c", value="id:3"))))
    assert (len(small), small.refused) == (2, 1)
    again = small.apply(Delta(2, (block("d", value="id:4"),), ()))
    assert (len(again), again.refused) == (2, 2)
    room = again.apply(Delta(3, removed=("a",))).apply(Delta(4, (block("e", value="id:5"),)))
    assert room.match(Subject(("id:5",)), 0).decision == "e"


@given(st.lists(DELTAS, max_size=6))
@example([Delta(1, tuple(Decision(id, "block", "ip", "203.0.113.9") for id in "abc")), Delta(2, (), ("a",))])
def test_the_texts_that_a_set_holds_are_weighed(deltas):
    made = Decisions()
    for delta in deltas:
        made = made.apply(delta)
    for one in (made, pages.read(pages.write(made))):
        parts = [part for part in one.parts() if isinstance(part, Shard | Bucket)]
        weights = [weight_of(part.terms, part.names.values()) for part in parts]
        assert [part.weight for part in parts] == weights
        assert one.weight == sum(weights)
    assert made.apply(Delta(0, reset=True)).weight == 0


@pytest.mark.parametrize(("scope", "places"), [("user", ["id:1", "id:2"]), ("ip", ["203.0.113.9", "2001:db8::1"])])
def test_texts_that_take_too_much_room_are_refused_and_counted_and_room_is_used_again(monkeypatch, scope, places):
    """A server that sends a million redirects to different places does not fill an application's memory."""
    monkeypatch.setattr("sentinel.core.decisions.ROOM", 2000)
    several = [Decision(f"{n:032x}", "redirect", scope, places[n], to="/" + 2000 * str(n)) for n in (0, 1)]
    made = only(*several)
    assert (len(made), made.refused) == (1, 1)
    made = made.apply(Delta(2, several[1:], (several[0].id,)))
    assert (len(made), made.refused) == (0, 2), "what is added comes before what is removed"
    made = made.apply(Delta(3, several[1:]))
    assert (len(made), made.refused) == (1, 2)


@pytest.mark.parametrize(("scope", "value"), [("user", "id:1"), ("ip", IPS[0])])
def test_of_what_was_lifted_no_text_takes_the_room_of_others(monkeypatch, scope, value):
    several = [block(f"{n:032x}", scope, value, reason=f"{n}" * 60) for n in range(200)]
    made = only(*several)
    monkeypatch.setattr("sentinel.core.decisions.ROOM", made.weight)
    made = made.apply(Delta(2, removed=tuple(one.id for one in several[1:])))
    made = made.apply(Delta(3, tuple(several[1:100])))
    assert (len(made), made.refused) == (100, 0)


def test_a_user_key_with_a_lone_surrogate_is_a_key_like_any_other():
    assert only(block(value="id:\ud800")).match(Subject(("id:\ud800",)), 0).kind == "block"


def test_a_delta_touches_its_own_shard_only():
    base = Decisions().apply(Delta(1, tuple(block(f"d{n}", value=f"id:{n}") for n in range(3000))))
    after = base.apply(Delta(2, (block("new", value="id:new"),)))
    assert sum(a is not b for a, b in zip(base.shards, after.shards, strict=True)) == 1


def test_a_delta_on_a_network_touches_its_own_bucket_only():
    base = networks(3000)
    after = base.apply(Delta(2, (block("new", "network", "203.0.113.0/24"),)))
    pairs = list(zip(base.parts(), after.parts(), strict=True))
    assert sum(a is not b for a, b in pairs) == 2, "the bucket, and the shard that tells where the id is"
    assert len(base) + 1 == len(after) and len(base.networks.find("203.0.113.1")) == 0


def networks(many, length=24):
    made = (ipaddress.ip_network(((n + 1) << 12, length), strict=False) for n in range(many))
    return Decisions().apply(Delta(1, tuple(block(f"{n:032x}", "network", str(one)) for n, one in enumerate(made))))


def test_no_part_of_a_large_set_is_large():
    """Each part is copied, freed or looked through in one step, for which every thread of the application waits."""
    many = 20_000
    users = tuple(block(f"{n + many:032x}", value=f"id:{n}") for n in range(many))
    made = networks(many).apply(Delta(2, users))
    assert max(len(shard.keys) for shard in made.shards) < 60
    assert max(len(keys) for keys, _ in made._places._shards) < 100
    assert max(len(bucket.held) for line in made.networks._lines.values() for bucket in line) < 250
    assert max(map(len, made.expired(FOREVER))) < 250
    assert len(made.parts()) == 1024 + 1024 + 255


def test_however_many_networks_there_are_the_garbage_collector_has_as_little_to_look_at():
    counts = []
    for many in (2_000, 8_000):
        gc.collect()
        before = len(gc.get_objects())
        kept = networks(many)
        gc.collect()
        counts.append(len(gc.get_objects()) - before)
        assert len(kept) == many
    assert counts[1] < counts[0] + 500


def test_terms_of_networks_are_kept_once_and_unused_ones_are_forgotten():
    two = tuple(block(reason, "network", "10.1.0.0/16", reason=reason) for reason in ("goes", "stays"))
    kept = Decisions().apply(Delta(1, two)).apply(Delta(2, removed=("goes",)))
    for n in range(400):
        kept = kept.apply(Delta(n, (block("d", "network", "10.1.0.0/16", reason=f"reason {n}", until=1000 + n),)))
    (bucket,) = [bucket for line in kept.networks._lines.values() for bucket in line if bucket.held]
    assert len(bucket.terms) < 200
    told = {(entry.id, entry.terms.reason, entry.until) for _, entry in kept.networks.find("10.1.2.3")}
    assert told == {("stays", "stays", FOREVER), ("d", "reason 399", 1399)}


@pytest.mark.parametrize("id", ["a name", "0" * 32, "0193e3a1-7b1e-7c3a-8f00-123456789012", "ü" * 40, "A" * 32])
def test_a_network_keeps_the_text_of_its_ids_and_is_taken_out_by_it(id):
    other = block("0" * 31 + "1", "network", "192.0.2.0/24", until=7)
    kept = Decisions().apply(Delta(1, (other, block(id, "network", "192.0.2.0/24"))))
    assert kept.match(Subject((), "192.0.2.1"), 8).decision == id
    assert sorted(entry.id for _, entry in kept.networks.items()) == sorted([id, other.id])
    bare = kept.apply(Delta(2, removed=(id,)))
    assert [entry.id for _, entry in bare.networks.items()] == [other.id]
    assert kept.match(Subject((), "192.0.2.1"), 8).decision == id, "the set before is as it was"
    (bucket,) = [bucket for line in bare.networks._lines.values() for bucket in line if bucket.held]
    assert bucket.names == {}


def test_equal_terms_are_kept_once_and_unused_ones_are_forgotten():
    two = tuple(block(reason, value="id:1", reason=reason) for reason in ("goes", "stays"))
    kept = Decisions().apply(Delta(1, two)).apply(Delta(2, removed=("goes",)))
    for n in range(400):
        kept = kept.apply(Delta(n, (block("d", value="id:1", reason=f"reason {n}"),)))
    (shard,) = [shard for shard in kept.shards if shard is not None]
    assert len(shard.terms) < 200
    assert kept.apply(Delta(400, removed=("stays",))).match(Subject(("id:1",)), 0).reason == "reason 399"
    assert kept.apply(Delta(400, removed=("d",))).match(Subject(("id:1",)), 0).reason == "stays"


def test_a_long_reason_is_cut():
    assert len(only(block(reason="x" * 5000)).match(Subject(("id:1",)), 0).reason) == 200


@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_networks_are_found_and_taken_out_like_a_scan_would(seed):
    rng = random.Random(seed)
    made = {}
    for n in range(2000):
        length = rng.choice([8, 16, 20, 24, 24, 32])
        made[f"n{n}"] = block(
            f"n{n}", "network", str(ipaddress.ip_network((rng.getrandbits(32), length), strict=False))
        )
    kept = Decisions().apply(Delta(1, tuple(made.values())))
    gone = rng.sample(sorted(made), 1500)
    kept = kept.apply(Delta(2, removed=tuple(gone)))
    left = [place(made[id].value) for id in made if id not in gone]
    for _ in range(300):
        number = rng.getrandbits(32)
        covered = any(number >> (32 - where.length) == where.bits for where in left)
        assert kept.match(Subject((), str(ipaddress.ip_address(number))), 0).allowed != covered
    assert len(kept) == 500
    bare = kept.apply(Delta(3, removed=tuple(made)))
    assert list(bare.networks.items()) == []
    assert bare.networks._four == (), "a prefix length without networks costs no look-up"
