"""Sums over the stored events: every backend answers what a naive reading of the same events answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.core.duration import DAY, HOUR, MINUTE, SECOND
from sentinel.core.errors import SentinelError
from sentinel.core.event import Event
from sentinel.core.explore import (
    INTERVALS,
    METRICS,
    Amount,
    FunnelWanted,
    Metric,
    RetentionWanted,
    SeriesWanted,
    TopWanted,
    UsersWanted,
)
from sentinel.core.record import Filter
from sentinel.store.explorer import funnel
from sentinel.store.rows import hash_of
from tests.contract import naive_explorer as naive
from tests.contract.values import NOW, batch, event, fresh_app, put

SHARED = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
NAMES = ("signup", "search", "pay")
FIELDS = (
    "event", "user", "ip", "user.email", "geo.country", "request.status", "success", "device", "properties.plan",
    "ip.network", "properties.amount", "properties.vip", "properties.cart.total", "request.params.next", "geo.accuracy",
)  # fmt: skip
NUMBERS = ("properties.amount", "properties.plan", "properties.cart.total", "request.status", "geo.accuracy")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Casablanca")
ANY = st.sampled_from(
    ["pro", "free", "5", "", "\x01true", "ä'{}?", 5, 5.0, -0.0, 0, 1e20, 2.5, True, False, None, [1], {}]
)
MADE = st.fixed_dictionaries(
    {
        "gap": st.sampled_from([0, 1, 30 * MINUTE, 7 * HOUR, DAY]),
        "name": st.sampled_from(NAMES),
        "user": st.sampled_from([None, "1", "2", "3"]),
        "ip": st.sampled_from([None, "203.0.113.1", "203.0.113.2", "198.51.100.7", "2001:db8::1", "2001:db8:0:9::"]),
    },
    optional={
        "plan": ANY, "amount": ANY, "vip": ANY, "total": ANY, "next": ANY, "email": st.sampled_from(["a@b.c", "d@e.f"]),
        "country": st.sampled_from(["DE", "US"]), "status": st.sampled_from([200, 404, 10**20]),
        "device": st.sampled_from(["d1", "d2"]), "success": st.booleans(), "accuracy": st.sampled_from([1, 2.5]),
    },
)  # fmt: skip
LISTS = st.lists(MADE, max_size=25)
# Around the end of October clocks are put back, and in a month before it they are not: days have 23 to 25 hours.
START = st.sampled_from([NOW - 30 * DAY, NOW - 26 * DAY, 1_774_656_000_000_000])
ORDINARY = st.sampled_from(["day", "week", "month", "hour"])


def stored(store, made, start) -> tuple[str, list[Event]]:
    """Store events in a random order of arrival, one in three of them by a browser; return the app and them."""
    app, events, at = fresh_app(store), [], start
    for number, one in enumerate(made):
        at += one["gap"]
        properties = {name: one[name] for name in ("plan", "amount", "vip") if name in one}
        properties |= {"cart": {"total": one["total"]}} if "total" in one else {}
        built = event(f"e{number}", at=at, name=one["name"], properties=properties)
        identifiers = {name: one.get(key) for name, key in (("id", "user"), ("email", "email")) if one.get(key)}
        built.identifiers = identifiers
        built.user = None if one["user"] is None else f"id:{one['user']}"
        built.ip, built.device, built.success = one["ip"], one.get("device"), one.get("success")
        built.geo = {key: one[key] for key in ("country", "accuracy") if key in one}
        built.request = {"status": one["status"]} if "status" in one else {}
        if "next" in one:
            built.request = {**built.request, "params": {"next": one["next"]}}
        if number % 3 == 0:
            built.trust = "browser"
        events.append(built)
    put(store, batch(app, events=tuple(events[::2] + events[1::2])))
    return app, events


def period(start: int, days: int) -> Filter:
    return Filter(since=start - DAY // 3, until=start + days * DAY + 1)


def close(one, other) -> bool:
    return one == other or (one is not None and other is not None and one == pytest.approx(other, rel=1e-9))


def same_line(line, wanted) -> bool:
    (points, total), (before, before_total) = wanted
    return (
        all(map(close, line.points, points)) and all(map(close, line.previous, before))
        and close(line.total, total) and close(line.previous_total, before_total)
    )  # fmt: skip


@given(
    LISTS, START, st.sampled_from(INTERVALS), st.sampled_from(ZONES), st.sampled_from(METRICS), st.sampled_from(NUMBERS)
)
@SHARED
def test_a_series_is_the_metric_of_each_bucket_and_of_those_before(store, made, start, interval, zone, kind, of):
    """In days, weeks and months of any zone; empty buckets are there, and hold zero or nothing."""
    app, events = stored(store, made, start)
    field = of if kind in ("sum", "avg", "min", "max", "p95") else None
    days = {"minute": 0, "hour": 2}.get(interval, 9)
    asked = SeriesWanted(period(start, days), interval, Metric(kind, field), zone=zone)
    found, wanted = store.explorer.series(app, asked), naive.series(events, asked)
    assert (list(found.starts), found.until) == (wanted["starts"], wanted["until"])
    assert list(found.previous_starts) == wanted["before"]
    (line,) = found.lines
    assert same_line(line, wanted["lines"][None, False]), (line, wanted["lines"])


@given(
    LISTS,
    START,
    ORDINARY,
    st.sampled_from(["count", "users", "sum", "max"]),
    st.sampled_from(FIELDS),
    st.integers(1, 4),
)
@SHARED
def test_a_series_has_a_line_for_each_of_the_first_values_and_one_for_the_rest(
    store, made, start, interval, kind, path, top
):
    """Of any field or property, promoted or not, of whatever type its values are; what lacks it is a value too."""
    app, events = stored(store, made, start)
    metric = Metric(kind, "properties.amount" if kind in ("sum", "max") else None)
    asked = SeriesWanted(period(start, 5), interval, metric, path, top, "Europe/Berlin")
    found, wanted = store.explorer.series(app, asked), naive.series(events, asked)
    ranked = wanted["ranks"]
    values = [line.value for line in found.lines if not line.rest]
    by_type = {(type(naive.shown(key)) is bool, naive.shown(key)): key for key in ranked}
    keys = [by_type[type(value) is bool, value] for value in values]
    order = sorted(ranked.values(), key=lambda one: (one is None, -(one or 0)))
    assert len(values) == min(top, len(ranked))
    assert all(map(close, [ranked[key] for key in keys], order))
    assert [line.rest for line in found.lines].count(True) == (len(ranked) > top)
    for line in found.lines:
        assert same_line(
            line, wanted["rest"](keys) if line.rest else wanted["line"](by_type[type(line.value) is bool, line.value])
        )


@given(LISTS, START, st.sampled_from(FIELDS), st.sampled_from(["events", "users"]), st.integers(1, 4))
@SHARED
def test_tops_are_the_values_of_most_events_or_users_beside_the_period_before(store, made, start, path, by, limit):
    app, events = stored(store, made, start)
    filter = Filter(since=start + DAY, until=start + 3 * DAY)
    found = store.explorer.top(app, TopWanted(filter, path, by, limit))
    now, before = naive.within(events, filter), naive.within(events, Filter(since=start - DAY, until=start + DAY))
    counted = (lambda amount: amount) if by == "users" else (lambda amount: amount._replace(users=None))
    assert (found.total, found.before, found.approximate) == (naive.amount(now), counted(naive.amount(before)), False)
    ranked = naive.ranks(now, path, Metric())
    amounts = [naive.amount(event for event in now if naive.value(path, event) == key) for key in ranked]
    rank = (lambda amount: (amount.users, amount.events)) if by == "users" else (lambda amount: amount.events)
    assert [rank(one.now) for one in found.items] == sorted(map(rank, amounts), reverse=True)[:limit]
    for one in found.items:
        alike = [key for key in ranked if naive.shown(key) == one.value]
        keys = [key for key in alike if (type(naive.shown(key)) is bool) == (type(one.value) is bool)]
        assert len(keys) == 1
        was, has = ([event for event in some if naive.value(path, event) == keys[0]] for some in (before, now))
        assert (one.now, one.before) == (naive.amount(has), counted(naive.amount(was)))


def test_of_values_with_as_many_users_those_with_more_events_come_first(store):
    app, events = fresh_app(store), []
    for number, plan in enumerate("bbbbddaccc"):
        one = event(f"e{number}", at=NOW - 1, properties={"plan": plan})
        one.user, one.ip = "id:1", f"203.0.113.{ord(plan)}"
        events.append(one)
    put(store, batch(app, events=tuple(events)))
    for path in ("properties.plan", "ip"):
        wanted = TopWanted(Filter(since=NOW - DAY, until=NOW), path, "users")
        assert [one.now for one in store.explorer.top(app, wanted).items] == [Amount(n, 1) for n in (4, 3, 2, 1)]


@pytest.mark.parametrize("previous", [True, False])
@pytest.mark.parametrize("days", [1, 2, 3])
def test_what_lies_on_the_border_of_two_buckets_is_in_the_percentile_of_the_later_one(store, days, previous):
    app, midnight = fresh_app(store), NOW // DAY * DAY
    numbers = range(2 * days if previous else days)
    first = midnight - len(numbers) * DAY
    made = [event(f"e{n}", first + n * DAY, properties={"amount": n + 0.5}) for n in numbers]
    put(store, batch(app, events=tuple(made)))
    asked = SeriesWanted(
        Filter(since=midnight - days * DAY, until=midnight),
        "day",
        Metric("p95", "properties.amount"),
        previous=previous,
    )
    (line,) = store.explorer.series(app, asked).lines
    assert line.previous + line.points == tuple(n + 0.5 for n in numbers)
    assert (line.previous_total, line.total) == (days - 0.5 if previous else None, len(numbers) - 0.5)


@given(LISTS, START, st.sampled_from([None, *FIELDS]), st.sampled_from(["count", "users", "p95"]))
@SHARED
def test_the_period_before_is_left_out_where_nobody_asks_for_it(store, made, start, path, kind):
    """All else is as with it; users that are not the rank are left out alike."""
    app, _ = stored(store, made, start)
    metric = Metric(kind, "properties.amount" if kind == "p95" else None)
    asked = SeriesWanted(period(start, 5), "day", metric, path)
    whole, found = (store.explorer.series(app, replace(asked, previous=both)) for both in (True, False))
    without = tuple(replace(line, previous=(), previous_total=None) for line in whole.lines)
    assert found == replace(whole, previous_starts=(), lines=without)
    tops = TopWanted(Filter(since=start + DAY, until=start + 3 * DAY), path or "event")
    whole, found = (
        store.explorer.top(app, replace(tops, previous=both, users=both)) for both in (True, False)
    )  # fmt: skip
    assert [(one.value, one.now.events) for one in found.items] == [(one.value, one.now.events) for one in whole.items]
    assert {one.now.users for one in found.items} | {found.total.users, found.before.users} == {None}
    assert (found.total.events, found.before.events) == (whole.total.events, 0)


@given(LISTS, START, st.integers(0, 12))
@SHARED
def test_names_tell_many_events_of_one_user_from_those_of_many(store, made, start, days):
    app, events = stored(store, made, start)
    filter = period(start, days)
    found = store.explorer.names(app, filter, exact=True)
    assert list(found.items) == naive.names(events, filter)
    assert found.total == naive.amount(naive.within(events, filter))
    sums = store.explorer.sums(app, filter, exact=True)
    some = naive.within(events, filter)
    assert (sums.events, sums.users) == naive.amount(some)
    assert sums.ips == naive.metric(some, Metric("ips"))


@pytest.mark.parametrize("many", [61, 62, 63])
@pytest.mark.parametrize("by", ["users", "events"])
def test_as_many_names_as_a_number_has_bits_and_more_are_counted_alike(store, many, by):
    app = fresh_app(store)
    made = [(number, user) for number in range(many) for user in range(number % 4)] + [(0, None), (5, 0), (many - 1, 1)]
    events = [event(f"e{place}", NOW + place, name=f"n{name:02}") for place, (name, _) in enumerate(made)]
    for one, (_, user) in zip(events, made, strict=True):
        one.user = None if user is None else f"id:{user}"
    put(store, batch(app, events=tuple(events)))
    filter = Filter(since=NOW, until=NOW + DAY)
    found = store.explorer.names(app, filter, by, limit=60)
    keys = {"users": lambda one: (-one.amount.users, -one.amount.events), "events": lambda one: -one.amount.events}
    wanted = sorted(sorted(naive.names(events, filter), key=lambda one: one.name), key=keys[by])
    assert (list(found.items), found.total) == (wanted[:60], naive.amount(events))


@given(
    LISTS, START, st.lists(st.sampled_from(NAMES), min_size=2, max_size=6), st.sampled_from([1, HOUR, DAY, 20 * DAY]),
    st.sampled_from([None, *FIELDS]), st.integers(1, 3),
)  # fmt: skip
@SHARED
def test_a_funnel_follows_each_user_from_their_first_event(store, made, start, steps, window, path, top):
    """Users and median times of each step, of all and by what a field held in the first event."""
    made = [{**one, "gap": max(one["gap"], 1)} for one in made]  # no two at once: which came first would be open
    app, events = stored(store, made, start)
    asked = FunnelWanted(period(start, 9), tuple(steps), window, path, top)
    all_of_them, *ways = store.explorer.funnel(app, asked).ways
    assert all_of_them.steps == naive.way(events, asked, lambda one: True)
    firsts = {}
    for one in naive.within(events, asked.filter):
        if one.name == steps[0] and one.user is not None:
            firsts.setdefault(one.user, one)
    values = {} if path is None else {naive.value(path, one) for one in firsts.values()}
    assert len(ways) == min(top, len(values))
    for way in ways:
        alike = [
            one
            for one in values
            if (type(naive.shown(one)) is bool, naive.shown(one)) == (type(way.value) is bool, way.value)
        ]
        assert way.steps == naive.way(events, asked, lambda one, of=alike[0]: naive.value(path, one) == of)


def test_a_funnel_goes_by_the_first_event_also_where_that_lacks_the_value(store):
    app = fresh_app(store)
    first, second = event("a", at=NOW - 2, name="signup"), event("b", at=NOW - 1, name="signup")
    second.properties = {"plan": "pro"}
    for one in (first, second):
        one.user = "id:1"
    put(store, batch(app, events=(first, second)))
    asked = FunnelWanted(Filter(since=NOW - DAY, until=NOW), ("signup", "pay"), DAY, "properties.plan")
    everybody, way = store.explorer.funnel(app, asked).ways
    assert (way.value, way.steps) == (None, everybody.steps)


def test_as_many_values_are_told_apart_by_their_users_as_can_be_asked_for(store):
    """More than one number has bits; of a property with a column and of one without."""
    app, events = fresh_app(store), []
    for number in range(100):
        for user in range(1 + number % 3):
            one = event(f"e{number}-{user}", at=NOW - 1, properties={"code": number})
            one.user, one.trust = f"id:{user}", "browser"
            one.geo = {"city": f"c{number:02}"}
            events.append(one)
    put(store, batch(app, events=tuple(events)))
    for path in ("geo.city", "properties.code"):
        found = store.explorer.top(app, TopWanted(Filter(since=NOW - DAY, until=NOW), path, limit=100))
        assert len(found.items) == 100
        assert all(one.now.users == one.now.events for one in found.items)
        assert {one.now.users for one in found.items} == {1, 2, 3}
        assert found.total == Amount(199, 3)


@given(
    LISTS,
    START,
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from([None, *NAMES]),
    st.sampled_from([None, *NAMES]),
)
@SHARED
def test_retention_says_who_of_each_beginning_came_back(store, made, start, interval, begin, back):
    app, events = stored(store, made, start)
    days = 1 if interval == "hour" else 20
    asked = RetentionWanted(period(start, days), interval, begin, back, "America/New_York")
    assert list(store.explorer.retention(app, asked).cohorts) == naive.retention(events, asked)


@given(LISTS, START, st.sampled_from(["last", "events"]), st.integers(1, 2))
@SHARED
def test_pages_of_users_neither_skip_nor_repeat(store, made, start, sort, limit):
    app, events = stored(store, made, start)
    asked = UsersWanted(period(start, 30), sort=sort, limit=limit)
    found, cursor = [], None
    while True:
        page = store.explorer.users(app, replace(asked, cursor=cursor))
        found += page.items
        if (cursor := page.cursor) is None:
            break
    mine = {}
    for one in events:
        if one.user is not None:
            mine.setdefault(one.user, []).append(one.at)
    assert sorted(found) == sorted((key, len(at), min(at), max(at)) for key, at in mine.items())
    ranked = [getattr(one, sort) for one in found]
    assert ranked == sorted(ranked, reverse=True)


@given(LISTS, START)
@SHARED
def test_what_a_user_or_an_address_did_is_counted_by_kind_and_told_newest_first(store, made, start):
    app, events = stored(store, made, start)
    filter = Filter(since=0, until=NOW)
    for found, of, kinds in (
        (store.explorer.user(app, ("id:1", "id:2"), filter), lambda one: one.user in ("id:1", "id:2"), ("ips", "ip")),
        (
            store.explorer.ip(app, replace(filter, ip="203.0.113.0/31")),
            lambda one: one.ip == "203.0.113.1",
            ("users", "user"),
        ),
    ):
        mine = [one for one in events if of(one)]
        times = [one.at for one in mine]
        assert (found.events, found.first, found.last) == (
            len(mine),
            min(times, default=None),
            max(times, default=None),
        )
        for kind, path in (kinds, ("events", "event"), ("countries", "geo.country"), ("devices", "device")):
            counted = {value: count for value, count in naive.ranks(mine, path, Metric()).items() if value is not None}
            assert {one.value: one.events for one in found.shares[kind]} == counted
        newest = sorted(mine, key=lambda one: (one.at, one.id), reverse=True)
        assert [one.id for one in found.newest] == [one.id for one in newest]


def test_of_very_many_events_of_one_time_the_last_by_id_are_told(store):
    app = fresh_app(store)
    events = [event(f"e{(n * 7) % 150:03}", at=NOW - 1) for n in range(150)]
    for one in events:
        one.user, one.ip, one.device = "id:1", "203.0.113.1", "d1"
    put(store, batch(app, events=tuple(events)))
    filter = Filter(since=NOW - DAY, until=NOW)
    for found in (
        store.explorer.user(app, ("id:1",), filter),
        store.explorer.ip(app, replace(filter, ip=events[0].ip)),
    ):
        assert [one.id for one in found.newest] == [f"e{n:03}" for n in range(149, 99, -1)]
        assert {(one.user, one.ip) for one in found.newest} == {("id:1", "203.0.113.1")}
        assert [(one.value, one.events) for one in found.shares["devices"]] == [("d1", 150)]


def test_equal_users_and_addresses_stand_in_the_same_order_in_every_store(store):
    app, keys, ips = fresh_app(store), [f"id:{n}" for n in range(40)], [f"203.0.113.{n}" for n in range(40)]
    events = [event(f"e{n}", at=NOW) for n in range(40)]
    for one, key, ip in zip(events, keys, ips, strict=True):
        one.user, one.ip = key, ip
    put(store, batch(app, events=tuple(events)))
    keys.sort(key=hash_of)
    ips.sort(key=hash_of)
    filter = Filter(since=NOW, until=NOW + 1)
    for path, wanted in (("user", keys), ("ip", ips)):
        found = store.explorer.top(app, TopWanted(filter, path, limit=9))
        assert [one.value for one in found.items] == wanted[:9]
        series = store.explorer.series(app, SeriesWanted(filter, "day", group_by=path, top=9))
        assert [line.value for line in series.lines if not line.rest] == wanted[:9]
        ways = store.explorer.funnel(app, FunnelWanted(filter, ("page.view", "pay"), DAY, path, 9)).ways
        assert [way.value for way in ways[1:10]] == wanted[:9]
    page = store.explorer.users(app, UsersWanted(filter, limit=9))
    rest = store.explorer.users(app, UsersWanted(filter, limit=40, cursor=page.cursor))
    assert [one.key for one in (*page.items, *rest.items)] == keys[::-1]
    network = store.explorer.ip(app, replace(filter, ip="203.0.113.0/24")).shares["users"]
    assert {one.value for one in network} == set(keys[: len(network)]) and len(network) < 40


def test_another_app_sees_nothing(store):
    put(store, batch("shop", events=(event("a", user={"id": "1"}, ip="203.0.113.9"),)))
    filter = Filter(since=NOW - DAY, until=NOW + 1)
    explorer = store.explorer
    assert explorer.sums("shop", filter).events == 1
    assert explorer.sums("blog", filter).events == 0
    assert explorer.names("blog", filter).items == ()
    assert explorer.top("blog", TopWanted(filter, "event")).total == Amount(0, 0)
    assert explorer.users("blog", UsersWanted(filter)).items == ()
    assert explorer.user("blog", ("id:1",), filter).newest == ()
    assert explorer.ip("blog", replace(filter, ip="203.0.113.9")).newest == ()
    assert explorer.series("blog", SeriesWanted(filter, "day", group_by="user")).lines == ()
    assert explorer.funnel("blog", FunnelWanted(filter, ("page.view", "page.view"), DAY)).ways[0].steps[0].users == 0
    assert {one.users for one in explorer.retention("blog", RetentionWanted(filter, "day")).cohorts} == {0}


def test_distinct_users_are_estimated_beyond_a_week_unless_asked_for_exactly(store):
    """An estimate is marked, and near; a backend that cannot estimate counts, and marks nothing."""
    app = fresh_app(store)
    events = [event(f"e{n}", at=NOW - n, user={"id": str(n)}) for n in range(2000)]
    for number, one in enumerate(events):
        one.user = f"id:{number}"
    put(store, batch(app, events=tuple(events)))
    long, week = Filter(since=NOW - 8 * DAY, until=NOW + 1), Filter(since=NOW - 7 * DAY + 1, until=NOW + 1)
    users = Metric("users")
    assert store.explorer.series(app, SeriesWanted(week, "hour", users)).approximate is False
    assert store.explorer.series(app, SeriesWanted(long, "day", users, exact=True)).lines[0].total == 2000
    found = store.explorer.series(app, SeriesWanted(long, "day", users))
    assert found.lines[0].total == (pytest.approx(2000, rel=0.1) if found.approximate else 2000)
    assert store.explorer.series(app, SeriesWanted(long, "day")).approximate is False
    assert store.explorer.sums(app, long, exact=True) == (2000, 2000, 0, False)
    assert store.explorer.top(app, TopWanted(long, "event", exact=True)).total.users == 2000


def test_a_funnel_is_estimated_beyond_a_week_where_enough_users_come_through(store, monkeypatch):
    """Not where it is asked for exactly, or too few come; a backend that cannot estimate counts, and marks nothing."""
    app, events, steps = fresh_app(store), [], ("signup", "search", "pay")
    for number in range(600):
        for place in range(2 + number % 2):
            one = event(f"e{number}-{place}", NOW - DAY + place * SECOND, name=steps[place])
            one.user, one.properties = f"id:{number}", {"plan": "pro" if number % 3 else "free"}
            events.append(one)
    put(store, batch(app, events=tuple(events)))
    asked = FunnelWanted(Filter(since=NOW - 8 * DAY, until=NOW + 1), steps, DAY, "properties.plan")
    exact = store.explorer.funnel(app, replace(asked, exact=True))
    assert [[step.users for step in way.steps] for way in exact.ways] == [
        [600, 600, 300],
        [400, 400, 200],
        [200, 200, 100],
    ]
    assert store.explorer.funnel(app, asked) == exact
    monkeypatch.setattr(funnel, "ENOUGH", 5)
    assert store.explorer.funnel(app, replace(asked, filter=replace(asked.filter, since=NOW - 6 * DAY))) == exact
    found = store.explorer.funnel(app, asked)
    for way, truth in zip(sorted(found.ways, key=str), sorted(exact.ways, key=str), strict=True):
        assert [step.from_start for step in way.steps] == [None, 1 * SECOND, 2 * SECOND]
        spread = 0.5 if found.approximate else 0
        assert [step.users for step in way.steps] == pytest.approx([step.users for step in truth.steps], rel=spread)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda x, f: x.series("shop", SeriesWanted(f, "minute")),
         "`interval`: 4,320 of one minute each are more than 1,500"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", zone="Mars/Olympus")),
         "`zone`: `Mars/Olympus` is not a time zone"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", zone="../../etc/passwd")),
         "`zone`: `../../etc/passwd` is not"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", Metric("sum"))), "`of`: missing: of what is it the sum?"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", Metric("sum", "user"))), "`of`: `user` is not a number"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", Metric("count", "user"))),
         "`of`: `count` is of no field"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", group_by="geo.contry")),
         "`group_by`: `geo.contry` is not a field"),
        (lambda x, f: x.series("shop", SeriesWanted(f, "day", group_by="user.labels")),
         "`group_by`: `user.labels` cannot be"),
        (lambda x, f: x.top("shop", TopWanted(f, "properties.a'b")), "`field`: `properties.a'b` is not a field"),
        (lambda x, f: x.retention("shop", RetentionWanted(f, "hour")),
         "`interval`: 72 of one hour each are more than 62"),
        (lambda x, f: x.users("shop", UsersWanted(f, cursor="x")), "`cursor`: `x` was not given by this list"),
        (lambda x, f: x.sums("shop", replace(f, since=f.until)), "`from`: it does not lie before `to`"),
        (lambda x, f: x.sums("shop", replace(f, since=None)), "`from`: a question has a beginning and an end"),
        (lambda x, f: FunnelWanted(f, ("a",), DAY), "`step`: 1 of them"),
        (lambda x, f: FunnelWanted(f, ("a",) * 7, DAY), "`step`: 7 of them"),
        (lambda x, f: SeriesWanted(f, "day", top=21), "`top`: `21` is not between 1 and 20"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_its_name(store, ask, text):
    midnight = NOW // DAY * DAY
    with pytest.raises(SentinelError) as caught:
        ask(store.explorer, Filter(since=midnight - 3 * DAY, until=midnight))
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("amount", [9.5e307, -1e300, 1e-300])
def test_the_largest_and_the_smallest_numbers_are_what_they_were_sent_as(store, amount):
    made = [{"gap": 1, "name": "pay", "user": "1", "ip": None, "amount": amount, "plan": 1}]
    app, _ = stored(store, made, NOW - DAY)
    wanted = SeriesWanted(Filter(since=NOW - DAY, until=NOW), "hour", Metric("max", "properties.amount"))
    assert [line.total for line in store.explorer.series(app, wanted).lines] == [amount]


@pytest.mark.parametrize("kind", ["sum", "avg"])
@pytest.mark.parametrize("by", [None, "event", "properties.plan"])
def test_a_sum_past_every_number_is_infinite_and_no_fault(store, kind, by):
    made = [{"gap": 1, "name": "pay", "user": "1", "ip": None, "amount": 1.7e308, "plan": n % 2} for n in range(4)]
    app, _ = stored(store, made, NOW - DAY)
    wanted = SeriesWanted(Filter(since=NOW - DAY, until=NOW), "hour", Metric(kind, "properties.amount"), by)
    for line in store.explorer.series(app, wanted).lines:
        assert line.total == float("inf")
