"""One event: what is taken, what each mistake is told, and what holds whatever a sender writes."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.device import fingerprint
from sentinel.core.errors import EventError, SentinelError
from sentinel.core.event import PROPERTIES_DEPTH, Event, read
from sentinel.core.moment import parse

AT = "2026-11-20T21:30:00Z"
NOW = parse(AT)
BARE = {"id": "e1", "event": "auth", "timestamp": AT}
FULL = BARE | {
    "success": False, "user": {"id": 42, "email": "Jane@Example.com"}, "ip": "::ffff:203.0.113.9", "device": "laptop",
    "request": {
        "method": "POST", "path": "/login", "route": "/login", "host": "shop.example", "status": 401,
        "user_agent": "curl/8", "referer": "https://shop.example/", "params": {"next": ["/", "/cart"]},
    },
    "properties": {"mfa": True, "cart": {"total": 99.5, "items": [1, 2, {"sku": "x"}]}},
}  # fmt: skip
ADDED = {
    "geo": {"country": "FR"}, "network": {"private": False}, "agent": {"bot": True}, "user_labels": ["vip"],
    "ip_labels": [], "trust": "browser", "historical": True, "clamped": True,
}  # fmt: skip


def nested(depth, inner=1):
    """Return an object so many levels deep."""
    return {"x": nested(depth - 1, inner)} if depth > 1 else {"x": inner}


def refused(raw, **options):
    with pytest.raises(EventError) as caught:
        read(raw, **options)
    return caught.value


def test_every_field_is_read_and_normalised():
    event = read(FULL)
    assert (event.id, event.name, event.at, event.sent, event.success) == ("e1", "auth", NOW, NOW, False)
    assert event.identifiers == {"id": "42", "email": "jane@example.com"}
    assert (event.user, event.ip, event.device) == ("id:42", "203.0.113.9", "laptop")
    assert event.request == FULL["request"]
    assert event.properties == FULL["properties"]


def test_what_is_absent_is_none_or_empty():
    event = read(BARE)
    assert (event.success, event.user, event.ip, event.device, event.received) == (None,) * 5
    for empty in (event.identifiers, event.request, event.properties, event.geo, event.network, event.agent):
        assert dict(empty) == {}
    assert (event.user_labels, event.ip_labels) == ((), ())
    assert (event.trust, event.clamped, event.historical) == ("server", False, False)


def test_a_null_is_absent_even_where_nobody_knows_the_field():
    nulls = dict.fromkeys([*FULL, *ADDED, "colour"]) | BARE
    assert vars(read(nulls)) == vars(read(BARE))


@pytest.mark.parametrize("language", ["de-DE,de;q=0.9", "x" * 20_000, "\ud800"])
def test_of_both_headers_the_device_is_that_of_the_sdk_and_the_language_is_not_kept(language):
    """However long it is: an attacker's header costs no event."""
    request = {"user_agent": "curl/8", "accept_language": language}
    raw = BARE | {"request": request}
    event = read(raw)
    assert event.device == fingerprint("curl/8", language) != fingerprint("curl/8")
    assert event.request == {"user_agent": "curl/8"}
    assert "accept_language" in raw["request"]


@pytest.mark.parametrize(
    ("more", "request_", "device"),
    [
        ({"device": "laptop"}, {"user_agent": "curl/8", "accept_language": "de"}, "laptop"),
        ({"device": ""}, {"user_agent": "curl/8", "accept_language": "de"}, fingerprint("curl/8", "de")),
        ({}, {"accept_language": "de"}, None),
        ({}, {"user_agent": None, "accept_language": "de"}, None),
        ({}, {"user_agent": "curl/8", "accept_language": ""}, None),  # enrichment makes it, of the user agent alone
        ({}, {"user_agent": "curl/8", "accept_language": None}, None),
    ],
)
def test_a_language_alone_is_no_device_and_a_device_named_stays(more, request_, device):
    event = read(BARE | more | {"request": request_})
    assert (event.device, "accept_language" in event.request) == (device, False)


def test_nulls_inside_a_request_are_let_through():
    assert read(BARE | {"request": {"method": None, "status": None, "params": None}}).request.get("status") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event": None}, "`event`: missing (every event has a name)"),
        ({"event": 7}, "`event`: not a text (every event has a name)"),
        ({"event": ["auth"]}, "`event`: not a text (every event has a name)"),
        ({"event": ""}, "`event`: not 1 to 128 printable characters"),
        ({"event": "a" * 129}, "`event`: not 1 to 128 printable characters"),
        ({"event": "a\nb"}, "`event`: not 1 to 128 printable characters"),
        ({"event": "a\u202eb"}, "`event`: not 1 to 128 printable characters"),
        ({"event": "sentinel.x"}, "`event`: `sentinel.x` is reserved (names that start with `sentinel.` or `sq.`"),
        ({"event": "sq.agent"}, "`event`: `sq.agent` is reserved"),
        ({"id": None}, "`id`: missing"),
        ({"id": ""}, "`id`: not a text of 1 to 64 printable characters"),
        ({"id": "x" * 65}, "`id`: not a text of 1 to 64 printable characters"),
        ({"id": "a\0b"}, "`id`: not a text of 1 to 64 printable characters"),
        ({"id": True}, "`id`: not a text of 1 to 64 printable characters"),
        ({"id": 1.5}, "`id`: not a text of 1 to 64 printable characters"),
        ({"id": 10**60}, "`id`: not a text of 1 to 64 printable characters"),
        ({"timestamp": None}, "`timestamp`: missing (write `2026-11-20T21:30:00Z` or seconds since 1970)"),
        ({"timestamp": "now-ish, I think"}, "`timestamp`: `now-ish, I think` is not a time"),
        ({"success": "yes"}, "`success`: neither true nor false"),
        ({"success": 1}, "`success`: neither true nor false"),
        ({"event": "signup", "success": True}, "`success`: only events named `auth` have it (use `properties`"),
        ({"user": True}, "`user.id`: an identifier is text or an integer, this is a boolean"),
        ({"user": {"email": 1.5}}, "`user.email`: an identifier is text or an integer, this is a number"),
        ({"ip": "localhost"}, "`ip`: `localhost` is not an address (write `203.0.113.9` or `2001:db8::1`)"),
        ({"ip": "203.0.113.9:80"}, "`ip`: `203.0.113.9:80` is not an address"),
        ({"ip": 3405803785}, "`ip`: `3405803785` is not an address"),
        ({"ip": "x" * 500}, "`ip`: `" + "x" * 64 + "` is not an address"),
        ({"device": 7}, "`device`: not a text of at most 256 characters"),
        ({"device": "d" * 257}, "`device`: not a text of at most 256 characters"),
        ({"request": "GET /"}, "`request`: not an object"),
        ({"request": {"method": 7}}, "`request.method`: not a text"),
        ({"request": {"accept_language": ["de"]}}, "`request.accept_language`: not a text"),
        ({"request": {"status": "401"}}, "`request.status`: not an integer"),
        ({"request": {"status": True}}, "`request.status`: not an integer"),
        ({"request": {"status": 401.0}}, "`request.status`: not an integer"),
        ({"request": {"params": []}}, "`request.params`: not an object"),
        ({"request": {"params": nested(17)}}, "`request.params`: nested more than 16 levels deep"),
        ({"request": {"useragent": "x"}}, "`request.useragent`: not a field of an event (did you mean `request.u"),
        ({"request": {"zzz": "x"}}, "`request.zzz`: not a field of an event (own values belong in `properties`)"),
        ({"properties": [1]}, "`properties`: not an object"),
        ({"properties": nested(17)}, "`properties`: nested more than 16 levels deep"),
        ({"properties": {"a": [[nested(14)]]}}, "`properties`: nested more than 16 levels deep"),
        ({"propertys": {}}, "`propertys`: not a field of an event (did you mean `properties`?)"),
        ({"amount": 5}, "`amount`: not a field of an event (own values belong in `properties`)"),
        ({"x" * 500: 5}, "`" + "x" * 64 + "`: not a field of an event"),
        ({"geo": {"country": "FR"}}, "`geo`: not a field of an event"),
        ({"trust": "browser"}, "`trust`: not a field of an event"),
    ],
)  # fmt: skip
def test_each_mistake_names_its_field_and_what_is_wrong(changes, message):
    error = refused(BARE | changes)
    assert str(error).startswith(message)
    assert error.message.startswith(f"`{error.field}`: ")


@pytest.mark.parametrize("raw", [None, [], "auth", 7, True])
def test_an_event_is_an_object(raw):
    assert refused(raw).field == "event"


def test_every_refusal_is_one_that_the_sender_can_put_right():
    assert isinstance(refused({}), SentinelError)


@pytest.mark.parametrize("depth", [1, PROPERTIES_DEPTH])
def test_nesting_up_to_the_bound_is_taken(depth):
    assert read(BARE | {"properties": nested(depth)}).properties == nested(depth)


def test_nesting_past_any_bound_costs_no_stack():
    deep = nested(sys.getrecursionlimit() // 2)
    assert refused(BARE | {"properties": deep}).field == "properties"


@pytest.mark.parametrize(("id", "kept"), [(7, "7"), (-7, "-7"), (0, "0"), ("x" * 64, "x" * 64), ("ü", "ü")])
def test_an_id_is_a_short_text_or_a_number(id, kept):
    assert read(BARE | {"id": id}).id == kept


def test_an_id_is_made_only_where_there_is_none():
    assert read(BARE | {"id": None}, new_id=lambda: "made").id == "made"
    assert read(BARE, new_id=lambda: pytest.fail("it has one")).id == "e1"
    assert refused(BARE | {"id": ""}, new_id=lambda: "made").field == "id"


def test_reserved_names_are_let_in_on_request():
    assert read(BARE | {"event": "sentinel.finding"}, reserved=True).name == "sentinel.finding"


def test_a_name_refused_once_is_refused_again_and_a_good_one_stays_good():
    """What is remembered of names must not depend on who asked first."""
    for _ in range(2):
        assert refused(BARE | {"event": "sq.x"}).field == "event"
        assert read(BARE | {"event": "sq.x"}, reserved=True).name == "sq.x"


def test_an_empty_address_is_none():
    assert read(BARE | {"ip": ""}).ip is None


def test_without_a_timestamp_it_is_the_time_of_receipt():
    event = read({"id": "e1", "event": "x"}, received=NOW)
    assert (event.at, event.received, event.sent, event.clamped) == (NOW, NOW, None, False)


@pytest.mark.parametrize(
    ("ahead", "at", "clamped"),
    [(-(10**15), NOW - 10**15, False), (0, NOW, False), (60_000_000, NOW + 60_000_000, False), (60_000_001, NOW, True)],
)
def test_a_time_more_than_a_minute_after_receipt_is_clamped_and_marked(ahead, at, clamped):
    sent = (NOW + ahead) / 1_000_000
    event = read(BARE | {"timestamp": sent}, received=NOW)
    assert (event.at, event.clamped, event.sent) == (at, clamped, parse(sent))


def test_without_a_receipt_nothing_is_clamped():
    assert not read(BARE | {"timestamp": "9999-12-31T23:59:59Z"}).clamped


def test_what_a_server_adds_is_read_from_what_it_stored():
    event = read(BARE | ADDED, enriched=True)
    assert (event.geo, event.network, event.agent) == ({"country": "FR"}, {"private": False}, {"bot": True})
    assert (event.user_labels, event.ip_labels) == (("vip",), ())
    assert (event.trust, event.historical, event.clamped) == ("browser", True, True)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("geo", "FR", "an object"), ("network", [], "an object"), ("agent", 1, "an object"), ("trust", 1, "a text"),
        ("historical", 1, "a boolean"), ("clamped", "no", "a boolean"), ("user_labels", "vip", "a list of texts"),
        ("user_labels", ["vip", 7], "a list of texts"), ("ip_labels", {"a": 1}, "a list of texts"),
    ],
)  # fmt: skip
def test_what_a_server_adds_has_its_kind(field, value, kind):
    assert str(refused(BARE | {field: value}, enriched=True)) == f"`{field}`: not {kind}"


def test_a_typo_in_an_added_field_is_still_a_mistake():
    error = refused(BARE | {"user_label": ["vip"]}, enriched=True)
    assert error.hint == "did you mean `user_labels`?"


def test_an_app_s_own_identifiers_name_its_users():
    assert read(FULL, order=("email",)).user == "email:jane@example.com"
    assert read(FULL, order=("phone",)).user is None


def test_ipv6_is_grouped_by_its_network_and_ipv4_by_itself():
    assert read(BARE | {"ip": "2001:db8::7"}).network_ip == "2001:db8::/64"
    assert read(BARE | {"ip": "203.0.113.9"}).network_ip == "203.0.113.9"
    assert read(BARE).network_ip is None


@pytest.mark.parametrize(
    ("changes", "proven"),
    [
        ({"event": "auth", "success": True}, True),
        ({"event": "auth", "success": True, "properties": {"blocked": False}}, True),
        ({"event": "auth", "success": True, "properties": {"blocked": True}}, False),
        ({"event": "auth", "success": True, "trust": "browser"}, False),
        ({"event": "auth", "success": False}, False),
        ({"event": "auth"}, False),
        ({"event": "signup"}, False),
    ],
)
def test_only_a_login_that_was_let_in_proves_its_user(changes, proven):
    assert read(BARE | changes, enriched=True).proven is proven


def test_an_event_shows_what_it_is():
    assert repr(read(FULL)) == "<Event e1 auth 2026-11-20T21:30:00Z id:42 203.0.113.9>"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*FULL, *ADDED])
ALMOST = st.dictionaries(FIELDS | st.text(max_size=8), JSON, max_size=6).map(lambda changes: FULL | changes)


@given(JSON | ALMOST, st.booleans(), st.sampled_from([None, NOW]))
def test_whatever_is_sent_is_an_event_or_a_mistake(raw, enriched, received):
    """Nothing else is raised, and what is taken can be grouped, shown and asked."""
    try:
        event = read(raw, enriched=enriched, received=received)
    except EventError as error:
        assert str(error).startswith("`")
        return
    assert isinstance(event, Event)
    assert 0 < len(event.id) <= 64
    assert 0 < len(event.name) <= 128
    assert 0 <= event.at < 253_402_300_800_000_000
    assert event.network_ip is None or event.ip
    assert repr(event)


@given(ALMOST)
def test_reading_changes_nothing_that_was_sent(raw):
    """The same JSON is read by a second playbook, a retry, a sort."""
    before = repr(raw)
    try:
        first = vars(read(raw, enriched=True, new_id=lambda: "x", received=NOW))
    except EventError:
        pass
    else:
        again = vars(read(raw, enriched=True, new_id=lambda: "x", received=NOW))
        assert repr(first) == repr(again)
    assert repr(raw) == before


@given(st.integers(0, 2**31), st.integers(-(2**31), 2**31))
def test_no_event_lies_more_than_a_minute_after_its_receipt(received, ahead):
    received *= 1_000_000
    at = max(0, received + ahead)
    event = read(BARE | {"timestamp": at / 1_000_000}, received=received)
    assert event.at <= received + 60_000_000
    assert event.clamped == (math.floor(event.sent) > received + 60_000_000)
