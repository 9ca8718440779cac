"""Who is who: keys that came together are one person's, whose key never changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.batch import Label, Sighting
from sentinel.core.errors import SentinelError
from sentinel.store.linking import MOST, MOST_ANONYMOUS
from tests.contract.values import NOW, batch, fresh_app


def see(store, *sightings, app="shop"):
    """Resolve (keys, proven, at) in one unit and commit."""
    with store.unit() as unit:
        found = unit.resolve(app, [Sighting(tuple(keys), proven, at) for keys, proven, at in sightings])
        unit.commit([batch(app)])
    return found


def test_who_is_not_known_goes_by_the_first_key(store):
    assert see(store, (["id:1", "email:a"], False, NOW), ([], False, NOW), ([], True, NOW)) == ["id:1", None, None]
    assert store.people.get("shop", "id:1") is None
    assert store.people.keys("shop", "id:1") == ("id:1",)


def test_proven_keys_are_linked_and_claimed_ones_only_looked_up(store):
    assert see(store, (["id:1", "email:a"], True, NOW)) == ["id:1"]
    assert see(store, (["email:a"], False, NOW)) == ["id:1"]
    assert see(store, (["email:a", "username:mallory"], False, NOW)) == ["id:1"]
    assert see(store, (["username:mallory"], False, NOW)) == ["username:mallory"]
    person = store.people.get("shop", "email:a")
    assert (person.key, person.identifiers, person.made) == ("id:1", ("id:1", "email:a"), NOW)


def test_a_link_is_seen_by_what_follows_it_in_the_same_unit(store):
    found = see(store, (["email:a"], False, NOW), (["id:1", "email:a"], True, NOW), (["email:a"], False, NOW))
    assert found == ["email:a", "id:1", "id:1"]


def test_a_key_once_given_stays(store):
    assert see(store, (["email:a"], True, NOW)) == ["email:a"]
    assert see(store, (["id:1", "email:a"], True, NOW + 1)) == ["email:a"]
    assert see(store, (["id:1"], False, NOW + 2)) == ["email:a"]


@pytest.mark.parametrize("at_once", [False, True])
def test_of_two_that_turn_out_to_be_one_the_older_keeps_its_key(store, at_once):
    sightings = [(["id:1"], True, NOW + 1), (["email:a"], True, NOW), (["id:1", "email:a"], True, NOW + 2)]
    if at_once:
        assert see(store, *sightings)[2] == "email:a"
    else:
        assert [see(store, one)[0] for one in sightings][2] == "email:a"
    person = store.people.get("shop", "id:1")
    assert (person.key, person.identifiers, person.aliases) == ("email:a", ("email:a", "id:1"), ("id:1",))


@pytest.mark.parametrize("at_once", [False, True])
def test_every_key_of_the_younger_follows(store, at_once):
    sightings = [
        (["id:1", "email:a"], True, NOW), (["id:2", "email:b"], True, NOW + 1), (["id:1", "id:2"], True, NOW + 2),
        (["email:b"], False, NOW + 3),
    ]  # fmt: skip
    found = see(store, *sightings) if at_once else [see(store, one)[0] for one in sightings]
    assert found == ["id:1", "id:2", "id:1", "id:1"]
    assert store.people.keys("shop", "email:b") == ("id:1", "email:a", "email:b", "id:2")
    see(store, (["username:o"], True, NOW - 1), (["username:o", "id:1"], True, NOW + 4))
    assert store.people.get("shop", "email:b").aliases == ("id:1", "id:2")


def test_whoever_turns_out_to_be_an_older_one_is_so_for_all_that_follows_in_the_unit(store):
    """Also where it was known before whose their keys were."""
    see(store, (["id:1", "email:a"], True, NOW), (["id:2", "email:b"], True, NOW + 1))
    merging = (["id:1", "id:2"], True, NOW + 2)
    assert see(store, merging, (["id:2"], False, NOW + 3), (["id:2", "email:b"], True, NOW + 3)) == ["id:1"] * 3


def test_labels_of_a_key_go_over_to_the_person_it_joins(backend):
    """Events name a person by one key, so labels on any other would never be seen."""
    store = backend.store
    see(store, (["id:1"], True, NOW), (["email:a"], True, NOW + 1))
    store.labels.put("shop", Label("user", "email:a", "vip", NOW + 9), "jane", NOW)
    store.labels.put("shop", Label("user", "email:a", "odd"), "jane", NOW)
    store.labels.put("shop", Label("user", "id:1", "vip", NOW + 99), "jane", NOW)
    store.labels.put("shop", Label("user", "username:x", "new", NOW + 9), "jane", NOW)
    store.labels.put("blog", Label("user", "email:a", "theirs"), "jane", NOW)
    see(store, (["id:1", "email:a", "username:x"], True, NOW + 2))
    for again in backend.twice():
        assert again.labels.of("shop", "user", "id:1", NOW) == ("new", "odd", "vip")
        assert again.labels.of("shop", "user", "id:1", NOW + 50) == ("odd", "vip")
        assert (
            again.labels.of("shop", "user", "email:a", NOW) == again.labels.of("shop", "user", "username:x", NOW) == ()
        )
        assert again.labels.of("blog", "user", "email:a", NOW) == ("theirs",)


def test_a_label_put_on_in_the_unit_that_joins_its_key_goes_over_too(store):
    with store.unit() as unit:
        unit.resolve(
            "shop", [Sighting(("id:1",), proven=True, at=NOW), Sighting(("email:a",), proven=True, at=NOW + 1)]
        )
        unit.resolve("shop", [Sighting(("id:1", "email:a"), proven=True, at=NOW + 2)])
        unit.commit([batch(labels=(Label("user", "email:a", "vip"),))])
    assert store.labels.of("shop", "user", "id:1", NOW) == ("vip",)
    assert store.labels.of("shop", "user", "email:a", NOW) == ()


def test_a_unit_that_is_left_links_nothing(store):
    with store.unit() as unit:
        unit.resolve("shop", [Sighting(("id:1", "email:a"), proven=True, at=NOW)])
    assert see(store, (["email:a"], False, NOW)) == ["email:a"]


def test_apps_do_not_share_people(store):
    see(store, (["id:1", "email:a"], True, NOW))
    assert see(store, (["email:a"], False, NOW), app="blog") == ["email:a"]
    assert store.people.get("blog", "id:1") is None
    see(store, (["id:1", "email:a", "phone:7"], True, NOW - 20), (["username:x"], True, NOW - 9), app="blog")
    see(store, (["id:1", "username:x"], True, NOW), app="blog")
    store.people.cut("blog", "email:a", "jane", NOW)
    theirs = store.people.get("blog", "username:x")
    assert (theirs.identifiers, theirs.aliases) == (("id:1", "phone:7", "username:x"), ("username:x",))
    mine = store.people.get("shop", "email:a")
    assert (mine.identifiers, mine.aliases) == (("id:1", "email:a"), ())
    assert store.people.get("shop", "username:x") is None
    see(store, (["username:x"], True, NOW - 9))
    see(store, (["username:x", "id:1"], True, NOW))
    assert store.people.keys("shop", "email:a") == ("username:x", "email:a", "id:1")
    assert see(store, (["phone:7"], False, NOW)) == ["phone:7"]
    assert store.people.get("blog", "id:1") == theirs


def test_a_cut_parts_a_key_for_good(store):
    see(store, (["id:1", "email:a", "username:x"], True, NOW))
    assert store.people.cut("shop", "email:a", "jane", NOW + 5) is not None
    assert see(store, (["email:a"], False, NOW)) == ["email:a"]
    assert see(store, (["id:1", "email:a"], True, NOW + 9)) == ["id:1"]
    assert store.people.keys("shop", "id:1") == ("id:1", "username:x")
    assert store.people.keys("shop", "email:a") == ("email:a",)
    assert store.audit.list("shop").items[0].action == "person.cut"


def test_a_cut_holds_when_the_person_turns_out_to_be_an_older_one(store):
    see(store, (["username:old"], True, NOW - 9), (["id:1", "email:a"], True, NOW))
    store.people.cut("shop", "email:a", "jane", NOW + 5)
    see(store, (["id:1", "username:old"], True, NOW + 6), (["username:old", "email:a"], True, NOW + 7))
    assert store.people.keys("shop", "id:1") == ("username:old", "id:1")
    assert store.people.keys("shop", "email:a") == ("email:a",)


def test_a_persons_own_key_cannot_be_cut_and_an_unlinked_one_is_none(store):
    see(store, (["id:1", "email:a"], True, NOW))
    with pytest.raises(SentinelError, match="`id:1` is the person's own key"):
        store.people.cut("shop", "id:1", "jane", NOW)
    assert store.people.cut("shop", "id:9", "jane", NOW) is None
    see(store, (["id:2"], True, NOW))
    assert store.people.cut("shop", "id:2", "jane", NOW) is None


def test_a_person_has_a_bounded_number_of_keys(store):
    see(store, *((["email:shared", f"id:{n}"], True, NOW + n) for n in range(3 * MOST)))
    assert len(store.people.keys("shop", "email:shared")) == MOST
    assert see(store, (["id:150"], False, NOW)) == ["id:150"]


def test_links_are_there_after_the_store_was_opened_again(backend):
    see(backend.store, (["id:1", "email:a"], True, NOW))
    assert see(backend.reopen(), (["email:a"], False, NOW)) == ["id:1"]


KEYS = st.lists(st.sampled_from([f"{kind}:{n}" for kind in ("id", "email") for n in range(4)]), max_size=3, unique=True)


@given(st.lists(st.lists(st.tuples(KEYS, st.booleans()), max_size=4), max_size=6))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_people_are_as_if_every_key_ever_seen_were_looked_through(store, units):
    """Against a naive list of persons, in units of any size."""
    app, persons, at = fresh_app(store), [], NOW
    for unit in units:
        sightings, expected = [], []
        for keys, proven in unit:
            at += 1
            sightings.append((keys, proven, at))
            expected.append(naive(persons, keys, proven, at))
        assert see(store, *sightings, app=app) == expected
    for person in persons:
        assert set(store.people.keys(app, person["key"])) == person["keys"]


def naive(persons, keys, proven, at):
    mine = [person for key in keys for person in persons if key in person["keys"]]
    if not keys:
        return None
    if not proven:
        return mine[0]["key"] if mine else keys[0]
    if not mine:
        mine = [{"key": keys[0], "keys": set(), "made": at}]
        persons.append(mine[0])
    oldest = min(mine, key=lambda person: person["made"])
    for person in mine:
        oldest["keys"] |= person["keys"]
        if person is not oldest and person in persons:
            persons.remove(person)
    oldest["keys"] |= set(keys)
    return oldest["key"]


def stitch(store, *keys):
    with store.unit() as unit:
        found = unit.resolve("shop", [Sighting(keys, proven=False, at=NOW, stitches=True)])
        unit.commit([batch("shop")])
    return found[0]


def test_an_anonymous_key_joins_the_first_person_named_with_it(store):
    assert stitch(store, "anonymous_id:x") == "anonymous_id:x"
    assert store.people.get("shop", "anonymous_id:x") is None
    assert stitch(store, "id:1", "email:a", "anonymous_id:x") == "id:1"
    assert store.people.keys("shop", "anonymous_id:x") == ("id:1", "anonymous_id:x")  # the e-mail is not proven
    assert see(store, (["anonymous_id:x"], False, NOW)) == ["id:1"]


@pytest.mark.parametrize("proven", [False, True])
def test_an_anonymous_key_ties_no_two_persons_together(store, proven):
    stitch(store, "id:1", "anonymous_id:x")
    assert see(store, (["id:2", "anonymous_id:x"], proven, NOW)) == ["id:2"]
    assert see(store, (["anonymous_id:x", "id:2"], proven, NOW)) == ["id:2"]  # in whichever order an app has them
    assert stitch(store, "id:3", "anonymous_id:x") == "id:3"
    assert see(store, (["anonymous_id:x"], proven, NOW)) == ["id:1"]
    assert store.people.keys("shop", "id:1") == ("id:1", "anonymous_id:x")


def test_anonymous_keys_leave_room_for_those_that_name_somebody(store):
    for number in range(2 * MOST):
        stitch(store, "id:1", f"anonymous_id:{number}")
    assert len(store.people.keys("shop", "id:1")) == MOST_ANONYMOUS
    see(store, (["id:1", "email:a"], True, NOW))
    assert "email:a" in store.people.keys("shop", "id:1")


def test_a_cut_anonymous_key_does_not_come_back(store):
    stitch(store, "id:1", "anonymous_id:x")
    store.people.cut("shop", "anonymous_id:x", "jane", NOW)
    stitch(store, "id:1", "anonymous_id:x")
    assert store.people.keys("shop", "id:1") == ("id:1",)


def test_whose_a_key_was_is_forgotten_before_anybody_links_again(store, monkeypatch):
    see(store, (["id:1", "email:a"], True, NOW))
    forget, lock, free = store.known.forget, store.control._lock, []

    def is_free():
        return lock.acquire(blocking=False) and (lock.release() or True)

    def asked(app):
        with ThreadPoolExecutor(1) as another:
            free.append(another.submit(is_free).result())
        forget(app)

    monkeypatch.setattr(store.known, "forget", asked)
    assert store.people.cut("shop", "email:a", "jane", NOW) is not None
    assert free
    assert not any(free)
