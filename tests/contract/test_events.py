"""Stored events: nothing acknowledged is invisible, nothing is lost of one, pages neither skip nor repeat."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.record import Filter
from tests.contract.values import NOW, batch, event, fresh_app, put

SHARED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "method": TEXT, "path": TEXT, "status": st.integers(-(10**25), 10**25), "user_agent": TEXT,
        "params": st.dictionaries(TEXT, JSON, max_size=2),
    },
)  # fmt: skip
ENRICHED = st.fixed_dictionaries(
    {},
    optional={
        "geo": st.dictionaries(st.sampled_from(["country", "lat", "asn", "accuracy"]), JSON, max_size=3),
        "network": st.dictionaries(st.sampled_from(["private", "kind", "odd"]), JSON, max_size=3),
        "agent": st.dictionaries(st.sampled_from(["browser", "bot", "odd"]), JSON, max_size=3),
        "user_labels": st.lists(TEXT, max_size=2).map(tuple), "ip_labels": st.lists(TEXT, max_size=2).map(tuple),
        "device": TEXT, "trust": st.sampled_from(["server", "browser"]), "historical": st.booleans(),
        "received": st.integers(0, 2**50), "ipv6": st.sampled_from([48, 64]),
        "user": st.sampled_from(["id:7", "email:é"]),
    },
)  # fmt: skip


def seen(made: Event) -> dict:
    """Return what an event says, without what says nothing: an empty mapping, a null in an object of known keys."""
    said = {**vars(Event), **vars(made)}
    names = [name for name in Event.__annotations__ if name in said]
    shown = {name: said[name] for name in names}
    for part in ("request", "geo", "network", "agent"):
        shown[part] = {key: value for key, value in shown[part].items() if value not in (None, {})}
    return {name: dict(value) if name in ("identifiers", "properties") else value for name, value in shown.items()}


@given(st.lists(st.tuples(REQUEST, st.dictionaries(TEXT, JSON, max_size=4), ENRICHED), min_size=1, max_size=5))
@SHARED
def test_every_field_of_an_event_comes_back(store, made):
    """Searched for, in order of arrival, and in order of time."""
    app, events = fresh_app(store), []
    for number, (request, properties, more) in enumerate(made):
        one = event(f"e{number}", at=NOW + number, name="auth", success=True, user={"id": "1"}, ip="2001:db8::1")
        one.request, one.properties = request, properties
        for name, value in more.items():
            setattr(one, name, value)
        events.append(one)
    wanted = [seen(one) for one in events]
    put(store, batch(app, events=tuple(events)))
    store.project()
    assert [seen(kept.event) for kept in reversed(store.events.search(app, Filter()).items)] == wanted
    assert [seen(kept.event) for kept in store.events.after(app, 0)] == wanted
    assert [seen(one) for one in store.events.in_order(app, 0)] == wanted
    store.checkpoint()
    assert [seen(kept.event) for kept in store.events.after(app, 0)] == wanted


def test_what_the_sender_did_not_say_stays_unsaid(store):
    put(store, batch(events=(event("a", at=None, received=NOW),)))
    (kept,) = store.events.search("shop", Filter()).items
    assert {name: value for name, value in vars(kept.event).items() if value} == {
        "id": "a", "name": "page.view", "at": NOW, "received": NOW,
    }  # fmt: skip


def test_a_clamped_event_keeps_both_its_times(store):
    put(store, batch(events=(event("a", at=NOW + 10**9, received=NOW),)))
    (kept,) = store.events.search("shop", Filter()).items
    assert (kept.event.at, kept.event.sent, kept.event.clamped) == (NOW, NOW + 10**9, True)


NAMES, USERS, IPS = ("login", "view"), ("1", "2"), ("203.0.113.1", "203.0.113.200", "2001:db8::1", "2001:db8:0:1::1")
SENT = st.lists(
    st.tuples(
        st.integers(0, 9), st.sampled_from(NAMES), st.sampled_from([None, *USERS]), st.sampled_from([None, *IPS])
    ),
    max_size=30,
)
FILTERS = st.builds(
    Filter,
    name=st.sampled_from([None, *NAMES]),
    user=st.sampled_from([None, "id:1", "id:2", "id:3"]),
    ip=st.sampled_from(
        [None, *IPS, "203.0.113.0/25", "203.0.113.9/24", "2001:db8::/64", "2001:db8::/47", "::/0", "::ffff:203.0.113.1"]
    ),
    since=st.none() | st.integers(NOW, NOW + 9),
    until=st.none() | st.integers(NOW, NOW + 9),
)


def matches(one: Event, wanted: Filter) -> bool:
    network = None if wanted.ip is None else ipaddress.ip_network(wanted.ip.removeprefix("::ffff:"), strict=False)
    return (
        (wanted.name is None or one.name == wanted.name)
        and (wanted.user is None or one.user == wanted.user)
        and (network is None or (one.ip is not None and ipaddress.ip_address(one.ip) in network))
        and (wanted.since is None or one.at >= wanted.since)
        and (wanted.until is None or one.at < wanted.until)
    )


@given(SENT, FILTERS, st.integers(1, 7), st.randoms())
@SHARED
def test_pages_hold_exactly_what_matches_newest_first(store, sent, wanted, limit, chance):
    """By (time, id), whatever is asked for, while the store goes on."""
    app = fresh_app(store)
    events = []
    for number, (offset, name, user, ip) in enumerate(sent):
        about = {} if user is None else {"user": user}
        events.append(event(f"e{number}", NOW + offset, name=name, **about, **({} if ip is None else {"ip": ip})))
    for start in range(0, len(events), 7):
        put(store, batch(app, events=tuple(events[start : start + 7])))
        if chance.random() < 0.5:
            store.project()
        if chance.random() < 0.2:
            store.checkpoint()
    expected = sorted((one for one in events if matches(one, wanted)), key=lambda e: (e.at, e.id), reverse=True)
    found, cursor = [], None
    while True:
        page = store.events.search(app, wanted, limit, cursor)
        assert page.behind == 0
        assert len(page.items) <= limit
        found += [kept.event.id for kept in page.items]
        if (cursor := page.cursor) is None:
            break
    assert found == [one.id for one in expected]
    assert store.events.count(app, wanted) == len(expected)


def test_a_page_is_not_moved_by_what_comes_in_later(store):
    put(store, batch(events=tuple(event(f"e{n}", NOW + n) for n in range(6))))
    first = store.events.search("shop", Filter(), limit=2)
    put(store, batch(events=(event("new", NOW + 99), event("late", NOW + 2))))
    second = store.events.search("shop", Filter(), limit=10, cursor=first.cursor)
    assert [kept.event.id for kept in second.items] == ["e3", "late", "e2", "e1", "e0"]


def test_one_app_does_not_see_anothers(store):
    put(store, batch(events=(event("a"),)))
    assert store.events.search("blog", Filter()).items == ()
    assert store.events.get("blog", "a") is store.events.get("blog", "a", NOW) is None
    assert list(store.events.in_order("blog", 0)) == list(store.events.after("blog", 0)) == []
    put(store, batch("blog", events=(event("a", name="theirs"),)))
    for app, name in (("shop", "page.view"), ("blog", "theirs")):
        asked = store.events.get(app, "a"), store.events.get(app, "a", NOW), *store.events.some(app, ["a"])
        assert [kept.event.name for kept in asked] == [name] * 3


def test_several_events_are_got_by_their_ids_in_one_question(store):
    app, day = fresh_app(store), 86_400_000_000
    put(store, batch(app, events=(event("a", name="old"), event("b"), event("c"))))
    put(store, batch(app, events=(event("a", NOW + 2 * day, name="new"), event("d"))))
    found = store.events.some(app, ["c", "nothing", "a", "b"])
    names = [(kept.event.id, kept.event.name) for kept in found]
    assert names == [("c", "page.view"), ("a", "new"), ("b", "page.view")]
    assert list(store.events.some(app, [])) == []
    assert list(store.events.some(fresh_app(store), ["a"])) == []


def test_an_event_is_got_by_id_and_time(store):
    put(store, batch(events=(event("a", NOW, name="old"),)))
    put(store, batch(events=(event("a", NOW + 86_400_000_000, name="new"),)))
    assert store.events.get("shop", "a").event.name == "new"
    assert store.events.get("shop", "a", NOW).event.name == "old"
    assert store.events.get("shop", "b") is None


@pytest.mark.parametrize("ip", ["nonsense", "2001:db8::/65", "203.0.113.1/40"])
def test_an_address_that_cannot_be_searched_is_an_error(store, ip):
    with pytest.raises(SentinelError, match="`ip`"):
        store.events.count("shop", Filter(ip=ip))


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_limit_out_of_bounds_is_an_error(store, limit):
    with pytest.raises(SentinelError, match="`limit`"):
        store.events.search("shop", Filter(), limit=limit)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(NAMES)), max_size=25), st.integers(0, 6))
@SHARED
def test_events_in_order_are_sorted_by_time_and_id_across_minutes(store, sent, since):
    app = fresh_app(store)
    events = [event(f"e{n}", NOW + minute * 60_000_000, name=name) for n, (minute, name) in enumerate(sent)]
    for start in range(0, len(events), 5):
        put(store, batch(app, events=tuple(events[start : start + 5])))
    edge = NOW + since * 60_000_000
    expected = [one.id for one in sorted(events, key=lambda one: (one.at, one.id)) if one.at >= edge]
    assert [one.id for one in store.events.in_order(app, edge)] == expected
    logins = [one.id for one in store.events.in_order(app, edge, names={"login"})]
    assert logins == [
        one.id for one in sorted(events, key=lambda e: (e.at, e.id)) if one.at >= edge and one.name == "login"
    ]


@given(st.lists(st.sampled_from(["put", "other", "project", "checkpoint", "mark"]), max_size=14))
@SHARED
def test_events_after_a_position_are_those_committed_since_in_their_order(store, steps):
    app, other = fresh_app(store), fresh_app(store)
    sent, marks = [], [(0, 0)]
    for number, step in enumerate(steps):
        if step in ("put", "other"):
            some = tuple(event(f"{number}.{n}", NOW - number) for n in range(3))
            put(store, batch(app if step == "put" else other, events=some))
            position = store.events.position()
            sent += [one.id for one in some] if step == "put" else []
        elif step == "project":
            store.project()
        elif step == "checkpoint":
            store.checkpoint()
        elif step == "mark" and sent:
            marks.append((position, len(sent)))
    for position, known in marks:
        assert [kept.event.id for kept in store.events.after(app, position)] == sent[known:]


def test_a_position_within_a_batch_can_be_gone_on_from(store):
    put(store, batch(events=tuple(event(f"e{n}", NOW) for n in range(4))))
    kept = list(store.events.after("shop", 0))
    assert [one.event.id for one in store.events.after("shop", kept[1].position)] == ["e2", "e3"]
    store.project()
    store.checkpoint()
    assert [one.event.id for one in store.events.after("shop", kept[1].position)] == ["e2", "e3"]


def test_forgotten_events_are_gone_and_the_others_stay(backend):
    store = backend.store
    put(store, batch(events=tuple(event(f"e{n}", NOW + n) for n in range(4))))
    put(store, batch("blog", events=(event("e0"),)))
    store.events.count("shop", Filter())
    assert store.events.forget("shop", NOW + 2) == 2
    for one in backend.twice():
        assert [kept.event.id for kept in one.events.search("shop", Filter()).items] == ["e3", "e2"]
        assert one.events.count("blog", Filter()) == 1


def test_the_first_type_of_a_property_is_kept_and_others_are_conflicts(backend):
    lots = [{"n": 1, "o": {"s": "x"}}, {"n": "one", "o": {"s": "y", "l": [1]}}, {"n": 2.5, "x": None}]
    for number, properties in enumerate(lots):
        put(backend.store, batch(events=(event(f"e{number}", NOW + number, properties=properties),)))
    put(backend.store, batch("blog", events=(event("theirs", properties={"n": "text"}),)))
    backend.store.project()
    for store in backend.twice():
        found = {one.path: (one.type, one.first, one.last, one.conflicts) for one in store.schema.properties("shop")}
        assert found == {
            "n": ("number", NOW, NOW + 2, 1),
            "o": ("object", NOW, NOW + 1, 0),
            "o.l": ("array", NOW + 1, NOW + 1, 0),
            "o.s": ("string", NOW, NOW + 1, 0),
        }
        theirs = [(one.path, one.type, one.last, one.conflicts) for one in store.schema.properties("blog")]
        assert theirs == [("n", "string", NOW, 0)]


def test_health_tells_what_cannot_be_searched_yet(store):
    put(store, batch(events=(event("a"), event("b"))))
    health = store.health()
    assert (health.pending, health.explorer) == (2, None)
    assert store.project() == 2
    assert store.project() == 0
    assert store.health().pending == 0
