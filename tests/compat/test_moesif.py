"""Moesif's clients are taken at their word: calls, actions, users and companies become events, bans become rules."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sentinel.compat.moesif import rules
from sentinel.compat.moesif.names import MOST, AllTypes, Aside, Types, fitted
from sentinel.compat.moesif.routes import ADAPTER
from sentinel.core.decision import Decision, Delta, place
from sentinel.core.device import fingerprint
from sentinel.core.duration import MINUTE
from sentinel.core.errors import StoreBusy
from sentinel.core.record import App
from sentinel.edge.errors import ApiError
from sentinel.service.bans import Table
from tests.api.whole import whole as run_whole
from tests.compat.captures import recorded, replay

SHOP = "http://127.0.0.1:8080"
KINDS = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}
USER = {"user_id": "alice", "company_id": "acme"}
CALL = {
    "request": {
        "time": "2026-11-20T21:34:18.017Z", "uri": "https://jane:pw@shop.example/a/b?x=1&token=s3cret", "verb": "POST",
        "headers": {
            "User-Agent": "curl/8", "Accept-Language": "de", "referer": "https://shop.example/",
            "Authorization": "Bearer abc",
        },
        "ip_address": "::ffff:203.0.113.9", "body": {"hi": 1, "password": "hunter2"},
    },
    "response": {"time": "2026-11-20T21:34:18.030Z", "status": 200, "headers": {"a": "b"}, "body": {"ok": True}},
    "user_id": "mallory", "company_id": "acme", "session_token": "sess-1", "direction": "Incoming", "weight": 1,
    "metadata": {"so.me": "x"},
}  # fmt: skip


class Site:
    """The clients of one app: a server's key, one that only sends, and a browser's."""

    def __init__(self, whole, app, **settings):
        self.whole, self.app = whole, app
        order = ("id", "user_id", "uid", "email", "username", "login", "anonymous_id")
        access = whole.server.store.access
        access.add_app(App(app, identifiers=order), "test", 1)
        _, self.admin = access.make_key(app, "admin", "test", 1)
        self.keys = {}
        for scope in ("sdk", "ingest", "browser"):
            origins = {"origins": [SHOP]} if scope == "browser" else {}
            given = {**settings, **origins}
            _, self.keys[scope] = access.make_key(app, scope, "test", 1, protocol="moesif", settings=given)

    @property
    def base(self):
        return f"http://127.0.0.1:{self.whole.client.port}/compat/moesif"

    def post(self, path, body, scope="sdk", headers=(), **more):
        origin = [("Origin", SHOP)] if scope == "browser" else []
        headers = [("X-Moesif-Application-Id", self.keys[scope]), *origin, *headers]
        return self.whole.client.post(f"/compat/moesif/v1/{path}", body, headers=headers, **more)

    def get(self, path, scope="sdk", **headers):
        headers = {"X-Moesif-Application-Id": self.keys[scope], "Origin": SHOP, **headers}
        return self.whole.client.get(f"/compat/moesif/v1/{path}", headers=headers)

    def events(self, query=""):
        """Every event of the app, oldest first."""
        found = self.whole.client.using(self.admin).get(f"/v1/events?limit=200&{query}")
        assert found.status == 200, found.body
        return found.json["items"][::-1]

    def last(self, query=""):
        return self.events(query)[-1]

    def block(self, value, scope="user", **more):
        body = {"kind": "block", "scope": scope, "value": value, "reason": "test", "for": "4h", **more}
        answer = self.whole.client.using(self.admin).post("/v1/decisions", body)
        assert answer.status == 201, answer.body
        return answer.json["id"]

    def lift(self, id):
        assert self.whole.client.using(self.admin).delete(f"/v1/decisions/{id}").status == 200

    def tag(self):
        return self.get("config").headers["x-moesif-config-etag"]


@pytest.fixture(autouse=True)
def one_turn(monkeypatch):
    """No minute is over while a test looks at tags."""
    monkeypatch.setattr(rules, "TURN", 1 << 62)


@pytest.fixture
def site(whole, request):
    return Site(whole, re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-"))


def test_an_api_call_is_an_event_without_its_secrets(site):
    answer = site.post("events", CALL)
    assert (answer.status, answer.json) == (201, {"ok": True, "accepted": 1, "rejected": 0})
    event = site.last()
    assert (event["event"], event["user"], event["ip"]) == ("api.call", "id:mallory", "203.0.113.9")
    assert event["identifiers"] == {"id": "mallory", "company": "acme"}
    assert event["timestamp"] == "2026-11-20T21:34:18.017Z"
    assert event["request"] == {
        "method": "POST", "path": "/a/b", "host": "shop.example", "status": 200, "user_agent": "curl/8",
        "referer": "https://shop.example/", "params": {"x": "1", "token": "<redacted>"},
    }  # fmt: skip
    assert event["device"] == fingerprint("curl/8", "de")
    properties = event["properties"]
    assert re.fullmatch("[0-9a-f]{24}", properties.pop("session"))
    assert properties == {
        "direction": "Incoming", "weight": 1, "duration_ms": 13.0, "metadata": {"so_me": "x"},
    }  # fmt: skip


def test_headers_and_bodies_are_kept_where_a_key_asks_for_them_and_their_secrets_never(whole):
    site = Site(whole, "bodies", bodies=True)
    site.post("events", CALL)
    properties = site.last()["properties"]
    assert properties["request"]["body"] == {"hi": 1, "password": "<redacted>"}
    assert properties["request"]["headers"]["Authorization"] == "<redacted>"
    assert properties["response"] == {"headers": {"a": "b"}, "body": {"ok": True}}


def test_what_is_too_large_loses_its_bodies_first_and_says_so(whole):
    site = Site(whole, "large", bodies=True)
    body = {f"k{n}": "ü" * 1000 for n in range(16)}
    call = CALL | {"response": CALL["response"] | {"body": body}, "metadata": {"plan": "x" * 20_000}}
    assert site.post("events", call).json["accepted"] == 1
    properties = site.last()["properties"]
    assert properties["cut"] == ["response.body"]
    assert (len(properties["metadata"]["plan"]), properties["request"]["body"]["hi"]) == (20_000, 1)


def test_a_batch_sent_again_is_known_and_equal_calls_of_one_batch_are_not_one(site):
    batch = [CALL, CALL, CALL | {"transaction_id": "65c3f529-9856-454b-8fc2-3959325f9f52"}]
    assert site.post("events/batch", batch).json["accepted"] == 3
    assert site.post("events/batch", batch).json["accepted"] == 0
    assert site.last("q=id+%3D%3D+%2265c3f529-9856-454b-8fc2-3959325f9f52%22")["event"] == "api.call"


def test_a_header_that_whoever_calls_may_set_makes_no_calls_one(site):
    call = CALL | {"request": CALL["request"] | {"headers": {"x-moesif-transaction-id": "fixed"}}}
    later = call | {"request": call["request"] | {"time": "2026-11-20T21:34:18.018Z"}}
    assert site.post("events/batch", [call]).json["accepted"] == 1
    assert site.post("events/batch", [later]).json["accepted"] == 1


@pytest.mark.parametrize(
    "odd",
    [
        {}, {"request": None, "response": 7}, {"request": {"uri": "http://[::1", "time": "yesterday", "verb": 3}},
        {"request": {"ip_address": "unknown", "headers": [1]}, "response": {"status": "nine"}}, {"user_id": 42},
        {"metadata": "text"}, {"metadata": [1]}, {"session_token": 9, "campaign": "x"}, {"transaction_id": "x" * 65},
        {"blocked_by": {"a": 1}}, {"response": {"status": "200"}},
    ],
)  # fmt: skip
def test_odd_calls_are_taken_as_far_as_they_make_sense(site, odd):
    assert site.post("events", odd).json == {"ok": True, "accepted": 1, "rejected": 0}
    assert site.last()["event"] == "api.call"


@pytest.mark.parametrize("path", ["events", "actions", "users", "companies", "subscriptions"])
@pytest.mark.parametrize("odd", [7, "x", None, [[]]])
def test_what_means_nothing_is_refused_alone(site, path, odd):
    batch = [odd, {"user_id": "1", "action_name": "A", "company_id": "c", "subscription_id": "s"}]
    answer = site.post(f"{path}/batch", batch)
    assert (answer.status, answer.json["accepted"], answer.json["rejected"]) == (201, 1, 1), answer.body


@pytest.mark.parametrize("path", ["actions", "users", "companies", "subscriptions"])
@pytest.mark.parametrize("odd", [{}, {"user_id": True, "company_id": 1.5}, {"user_id": "x" * 300, "action_name": 7}])
def test_what_names_nothing_is_refused_alone(site, path, odd):
    assert site.post(f"{path}/batch", [odd]).json == {"ok": True, "accepted": 0, "rejected": 1}


def nested(levels):
    found = {}
    for _ in range(levels):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    "more",
    [
        {"user_id": [1], "company_id": {"a": 1}}, {"metadata": nested(300)}, {"metadata": {"n": 10**30, "l": [10**30]}},
        {"tags": nested(300), "campaign": {"utm.source": [10**30]}, "weight": 10**30},
        {"request": {"uri": f"http://[::1/a/b?{'&'.join(f'p{n}=ü' for n in range(5000))}"}},
        {"request": {"uri": "http://shop.example/a/b?x=" + "ü" * 50_000, "headers": {"referer": "ü" * 50_000}}},
        {"metadata": {f"name{n}": "ü" * 100 for n in range(1000)}},
        {"session_token": "x" * 100_000, "request": {"verb": "x" * 100_000, "uri": "/" + "a" * 100_000}},
    ],
)  # fmt: skip
def test_no_caller_escapes_by_what_he_sends(whole, site, more):
    """All of these may come from whoever calls the app, so the call is kept whatever they are."""
    asking = Site(whole, f"{site.app[:50]}-bodies", bodies=True)
    for one in (site, asking):
        call = CALL | more | {"request": CALL["request"] | more.get("request", {})}
        assert one.post("events/batch", [call]).json == {"ok": True, "accepted": 1, "rejected": 0}
        event = one.last()
        assert (event["event"], event["ip"]) == ("api.call", "203.0.113.9")
        assert event["request"]["path"].startswith("/a")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 5000])
def test_what_python_writes_as_a_number_and_is_none_costs_nothing(site, number):
    raw = json.dumps([CALL]).replace('"hi": 1', f'"hi": {number}').encode()
    assert site.post("events/batch", None, raw=raw).json["accepted"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "v.w"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", min_size=1, max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("ab.", min_size=1, max_size=3), JSON, max_size=4)


def leaves(value):
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [repr(value)]


def named(value):
    """Every name with its value, at every level."""
    inner = (
        value.items() if isinstance(value, dict) else ((None, one) for one in value) if isinstance(value, list) else ()
    )
    return [pair for name, one in inner for pair in [(name, one), *named(one)]]


@given(st.lists(OBJECTS, max_size=4))
def test_whatever_comes_names_have_no_dots_and_one_type_and_no_value_is_lost(several):
    """A second value of a name within what is set aside is the one thing that goes."""
    types = Types()
    for given_ in several:
        aside = Aside()
        found = fitted(given_, types, True, aside)
        pairs = [pair for pair in named(found) if pair[0] is not None]
        assert not [name for name, _ in pairs if "." in name]
        assert not [name for one in aside.values for name, _ in named(one["value"]) if name and "." in name]
        assert all(value is None or types.of[name] == KINDS[type(value)] for name, value in pairs)
        if not aside.values:
            assert leaves(found) == leaves(given_)
        assert (
            len(leaves(found)) + sum(len(leaves(one["value"])) for one in aside.values)
            <= len(leaves(given_)) + aside.count
        )
        again = Aside()
        assert (fitted(given_, types, True, again), again.values) == (found, aside.values)


def test_an_action_has_its_own_name_and_the_time_of_its_receipt(site):
    action = {**USER, "action_name": "Clicked Sign Up", "request": {"uri": "https://shop.example/"}}
    assert site.post("actions", action | {"metadata": {"button.label": "Go"}}).status == 201
    event = site.last()
    assert (event["event"], event["properties"]) == ("Clicked Sign Up", {"metadata": {"button_label": "Go"}})
    assert event["timestamp"] == event["received"]


def test_dots_become_underscores_at_every_level_and_values_stay(site):
    metadata = {"a.b": {"c.d": ["x.y", {"e.f.": 77.23}], "n": None}, ".": "v.w"}
    site.post("actions", {"action_name": "A", "metadata": metadata})
    expected = {"a_b": {"c_d": ["x.y", {"e_f_": 77.23}], "n": None}, "_": "v.w"}
    assert site.last()["properties"] == {"metadata": expected}


def test_a_names_type_is_the_first_at_any_level_and_another_is_set_aside(site):
    site.post("actions", {"action_name": "A", "metadata": {"some_string": "I am a string"}})
    metadata = {"some_object": {"some_string": 23, "other": True}, "list": [{"other": "no"}]}
    assert site.post("actions", {"action_name": "B", "metadata": metadata}).json["accepted"] == 1
    assert site.last()["properties"] == {
        "metadata": {"some_object": {"other": True}, "list": [{}]},
        "conflicts": [
            {"path": "some_object.some_string", "expected": "string", "value": 23},
            {"path": "list.0.other", "expected": "boolean", "value": "no"},
        ],
    }


def test_names_that_come_to_one_name_keep_the_first_value_and_the_second_aside(site):
    site.post("actions", {"action_name": "A", "metadata": {"so.me": 1, "so_me": 2}})
    assert site.last()["properties"] == {
        "metadata": {"so_me": 1}, "conflicts": [{"path": "so_me", "expected": "one value a name", "value": 2}],
    }  # fmt: skip


def test_dots_go_before_types_are_looked_at(site):
    site.post("actions", {"action_name": "A", "metadata": {"so.me": 1}})
    site.post("actions", {"action_name": "B", "metadata": {"so_me": "text"}})
    assert [one["path"] for one in site.last()["properties"]["conflicts"]] == ["so_me"]


def test_types_are_an_apps_own(whole, site):
    other = Site(whole, "other-types")
    site.post("actions", {"action_name": "A", "metadata": {"plan": 1}})
    other.post("actions", {"action_name": "A", "metadata": {"plan": "pro"}})
    assert other.last()["properties"] == {"metadata": {"plan": "pro"}}


def test_types_are_kept(site):
    site.post("actions", {"action_name": "A", "metadata": {"plan": 1}})
    kept = site.whole.server.store.settings.get("moesif.types", site.app)
    assert kept == {"plan": "number"}


class FakeSettings:
    def __init__(self):
        self.value, self.fails = None, False

    def get(self, name, app=None):
        return self.value

    def change(self, name, how, by, now, app=None):
        if self.fails:
            raise StoreBusy("busy")
        self.value = how(self.value)
        return self.value


def test_what_another_process_kept_first_holds():
    settings, now = FakeSettings(), [0]
    mine, other = (AllTypes(lambda: settings, lambda: now[0]) for _ in range(2))
    assert mine.load("shop").expected("plan", "number", True) == other.load("shop").expected("plan", "number", True)
    assert mine.known("shop").expected("size", "string", True) == "string"
    assert other.known("shop").expected("size", "object", True) == "object"
    mine.keep("shop")
    other.keep("shop")
    assert settings.value == {"plan": "number", "size": "string"}
    assert other.known("shop").of == settings.value
    now[0] += 61_000_000
    assert mine.known("shop") is None


def test_types_that_could_not_be_kept_are_kept_the_next_time():
    settings = FakeSettings()
    types = AllTypes(lambda: settings, lambda: 0)
    types.load("shop").expected("plan", "number", True)
    settings.fails = True
    with pytest.raises(StoreBusy):
        types.keep("shop")
    settings.fails = False
    assert types.known("shop").fresh
    types.keep("shop")
    assert (settings.value, types.known("shop").fresh) == ({"plan": "number"}, False)


def test_names_past_the_bound_fix_nothing():
    types = Types()
    for number in range(MOST + 5):
        types.expected(f"name{number}", "string", True)
    assert (len(types.of), types.expected(f"name{MOST}", "number", True)) == (MOST, "number")


def test_a_browser_fixes_no_types_but_keeps_to_them(site):
    site.post("actions", {"action_name": "A", "metadata": {"plan": 1}}, "browser")
    site.post("actions", {"action_name": "B", "metadata": {"plan": "pro"}})
    assert site.last()["properties"] == {"metadata": {"plan": "pro"}}
    site.post("actions", {"action_name": "C", "metadata": {"plan": 1}}, "browser")
    assert "conflicts" in site.last()["properties"]


def test_what_is_set_aside_is_told_in_the_log(site):
    site.post("actions", {"action_name": "A", "metadata": {"plan": 1}})
    with capture_logs() as logs:
        for _ in range(3):
            site.post("actions", {"action_name": "A", "metadata": {"plan": "x"}})
    told = [one["error"] for one in logs if one.get("where") == "compat moesif"]
    assert told == [f"app `{site.app}`: 1 values did not fit and were set aside"]


def test_a_user_that_a_server_speaks_of_is_known_by_all_names(site):
    site.post("users", {**USER, "anonymous_id": "anon-1", "metadata": {"email": "alice@acme.test"}})
    assert (site.last()["event"], site.last()["user"]) == ("identify", "id:alice")
    site.post("actions", {"action_name": "A", "anonymous_id": "anon-1"})
    assert site.last()["user"] == "id:alice"


def test_a_company_is_a_group_that_playbooks_can_count_by(site):
    site.post("companies", {"company_id": "acme", "company_domain": "acme.test", "metadata": {"plan": "pro"}})
    event = site.last()
    assert (event["event"], event["user"], event["identifiers"]) == ("company.updated", None, {"company": "acme"})
    assert event["properties"] == {"company_domain": "acme.test", "metadata": {"plan": "pro"}}
    site.post("actions/batch", [{"action_name": "A", "company_id": "acme"}, {"action_name": "A", "company_id": "b"}])
    assert len(site.events("q=user.company+%3D%3D+%22acme%22")) == 2
    top = site.whole.client.using(site.admin).get("/v1/events/top?field=user.company").json
    assert [(one["value"], one["events"]) for one in top["items"]] == [("acme", 2), ("b", 1)]


# what a browser says of its user


def visit(site, **who):
    assert site.post("actions", {"action_name": "Visit", **who}, "browser").json["accepted"] == 1
    return site.last()["user"]


def test_a_browser_is_stitched_to_its_user(site):
    assert visit(site, anonymous_id="anon-1") == "anonymous_id:anon-1"
    site.post("users", {"user_id": "alice", "anonymous_id": "anon-1"}, "browser")
    assert visit(site, anonymous_id="anon-1") == "id:alice"
    person = site.whole.client.using(site.admin).get("/v1/users/id:alice").json
    assert sorted(person["identifiers"]) == ["anonymous_id:anon-1", "id:alice"]
    assert person["events"] == 3  # the first visit too


def test_a_shared_browser_ties_nobody_together(site):
    for user in ("alice", "bob"):
        site.post("users", {"user_id": user, "anonymous_id": "anon-1"}, "browser")
    assert visit(site, anonymous_id="anon-1") == "id:alice"
    assert (visit(site, user_id="bob"), visit(site, user_id="bob", anonymous_id="anon-1")) == ("id:bob", "id:bob")
    assert visit(site, user_id="carol", anonymous_id="anon-1") == "id:carol"


def test_a_native_browser_key_stitches_nobody(whole, site):
    _, secret = whole.server.store.access.make_key(site.app, "browser", "test", 1, settings={"origins": [SHOP]})
    event = {"event": "identify", "user": {"id": "alice", "anonymous_id": "anon-1"}}
    whole.client.using(secret).post("/v1/events", event, headers=[("Origin", SHOP)])
    assert visit(site, anonymous_id="anon-1") == "anonymous_id:anon-1"


# whom clients refuse


def test_who_is_refused_stands_in_the_configuration_until_it_is_lifted(site):
    before = site.tag()
    assert site.get("config").json["user_rules"] == {}
    decision = site.block("id:mallory")
    found = site.get("config")
    assert found.json["user_rules"] == {"mallory": [{"rules": "sentinel-user", "values": {"0": decision}}]}
    assert before != found.headers["x-moesif-config-etag"]
    site.lift(decision)
    assert (site.get("config").json["user_rules"], site.tag()) == ({}, before)


def test_enforcement_switched_off_refuses_nobody(site):
    site.block("id:mallory")
    admin = site.whole.client.using(site.admin)
    for on, refused in ((False, []), (True, ["mallory"])):
        assert admin.ask("PUT", "/v1/enforcement", {"on": on, "why": "test"}).status == 200
        assert list(site.get("config").json["user_rules"]) == refused


@pytest.mark.parametrize("more", [{"kind": "challenge"}, {"kind": "redirect", "to": "/slow"}])
def test_only_full_blocks_are_told(site, more):
    site.block("id:mallory", **more)
    assert site.get("config").json["user_rules"] == {}


def test_a_linked_name_is_refused_with_its_person(site):
    native = site.whole.server.store.access.make_key(site.app, "sdk", "test", 1)[1]
    login = {"event": "auth", "success": True, "user": {"id": "7", "email": "jane@example.com"}}
    assert site.whole.client.using(native).post("/v1/events", login).json["accepted"] == 1
    site.block("email:jane@example.com")
    assert list(site.get("config").json["user_rules"]) == ["7"]


def test_a_company_is_refused_by_its_own_rule(site):
    site.block("company:acme")
    assert list(site.get("config").json["company_rules"]) == ["acme"]


def test_every_rule_that_is_named_exists_with_every_field_that_clients_read(whole):
    site = Site(whole, "all-rules", addresses=True)
    site.block("203.0.113.9", "ip")
    found = site.get("rules").json
    assert [one["_id"] for one in found] == ["sentinel-user", "sentinel-company", "sentinel-address"]
    for one in found:
        assert {"_id", "name", "type", "block", "applied_to", "applied_to_unidentified", "regex_config"} <= set(one)
        assert set(one["response"]) == {"status", "headers", "body"}
        assert all(type(value) is str for value in one["response"]["body"].values())


def test_whoever_sends_too_much_is_asked_to_come_again():
    """A browser's client drops a batch that is answered 429, and sends again what is answered 503."""
    told = [ADAPTER.refuse(ApiError(code, "m")).status for code in ("rate_limited", "too_large", "unauthorized")]
    assert told == [503, 413, 401]


def test_what_is_told_again_comes_under_another_tag_a_minute_later(monkeypatch):
    """The middleware for Go passes over the two tags it had last: who was let go would stay refused for ever."""
    monkeypatch.setattr(rules, "TURN", MINUTE)
    table, now = Table(), [10 * MINUTE]
    book = rules.Rulebook(SimpleNamespace(fresh=lambda app: table, table=lambda app: table), lambda: now[0])
    mallory = Decision("d", "block", "user", "id:mallory", until=99 * MINUTE)
    before = book.told("one", "id", False)
    table.update(Delta(1, (mallory,), reset=True), True, now[0])
    blocked = book.told("one", "id", False)
    table.update(Delta(2, removed=("d",)), True, now[0])
    lifted = book.told("one", "id", False)
    assert len({before.config_tag, blocked.config_tag}) == 2 and lifted.config == before.config
    now[0] += MINUTE - 1
    assert book.fresh("one", "id", False) is not None
    assert book.told("one", "id", False) == lifted
    now[0] += 1
    assert book.fresh("one", "id", False) is None
    again = book.told("one", "id", False)
    assert again.config == lifted.config
    assert again.config_tag not in (blocked.config_tag, lifted.config_tag) and again.rules_tag != lifted.rules_tag


def test_an_unchanged_list_is_not_sent_twice_to_who_says_so(site):
    for path in ("config", "rules"):
        tag = site.get(path).headers["etag"]
        assert (site.get(path, **{"If-None-Match": f'"x", {tag}'}).status, site.get(path).status) == (304, 200)


def test_the_answer_to_events_tells_servers_that_somebody_is_refused(site):
    tag = site.post("events", CALL).headers["x-moesif-config-etag"]
    assert tag == site.tag()
    site.block("id:mallory")
    assert site.post("events/batch", [CALL]).headers["x-moesif-config-etag"] == site.tag() != tag
    for scope in ("ingest", "browser"):
        assert "x-moesif-config-etag" not in site.post("events", CALL, scope).headers


def test_addresses_are_told_where_a_key_asks_for_them(whole, site):
    asking = Site(whole, "asking", addresses=True)
    for one in (site, asking):
        one.block("203.0.113.9", "ip")
    assert len(site.get("rules").json) == 2
    before = asking.tag()
    (rule,) = [one for one in asking.get("rules").json if one["type"] == "regex"]
    value = rule["regex_config"][0]["conditions"][0]["value"]
    assert re.search(value, "203.0.113.9") and re.search(value, "::ffff:203.0.113.9")
    assert not re.search(value, "203.0.113.90") and not re.search(value, "203x0.113.9")
    asking.block("198.51.100.0/25", "network")
    assert asking.tag() != before


@pytest.mark.parametrize(
    "network", ["203.0.113.9/32", "198.51.100.0/25", "198.51.96.0/20", "10.0.0.0/8", "10.2.0.0/15"]
)
def test_a_networks_expression_matches_its_addresses_and_no_others(network):
    there = place(network)
    pattern = re.compile(rf"^(?:{rules._pattern(there)})$")
    width = 32 - there.length
    for bits in (there.bits << width, ((there.bits + 1) << width) - 1, (there.bits << width) + (1 << width) // 3):
        assert pattern.match(".".join(map(str, bits.to_bytes(4, "big"))))
    for bits in ((there.bits << width) - 1, (there.bits + 1) << width):
        assert not pattern.match(".".join(map(str, (bits % 2**32).to_bytes(4, "big"))))


def test_more_than_there_is_room_for_leaves_out_who_is_refused_shortest(monkeypatch):
    monkeypatch.setattr(rules, "MOST", 2)
    table = Table()
    added = tuple(Decision(f"d{n}", "block", "user", f"id:{n}", until=100 - n, playbook="p") for n in range(4))
    table.update(Delta(1, added, reset=True), True, 0)
    told = rules._told(table, "id", False, 0)
    assert (told.left_out, b'"0":' in told.config, b'"1":[' in told.config, b'"2":[' in told.config) == (
        2,
        True,
        True,
        False,
    )


def test_whose_refusals_there_was_no_room_for_is_said_with_their_own_app(whole, site, monkeypatch):
    monkeypatch.setattr(rules, "MOST", 1)
    for name in ("id:1", "id:2", "id:3"):
        site.block(name)
    with capture_logs() as said:
        assert len(site.get("config").json["user_rules"]) == 1
    (line,) = [one["error"] for one in said if one["event"] == "trouble"]
    assert line == f"app `{site.app}`: 2 of those refused are more than clients are told"


def test_a_refused_call_comes_back_as_evidence_of_its_decision(site):
    decision = site.block("id:mallory")
    refused = CALL | {"blocked_by": "sentinel-user", "response": CALL["response"] | {"status": 403}}
    site.post("events/batch", [refused])
    event = site.last()
    assert (event["event"], event["user"]) == ("sentinel.enforced", "id:mallory")
    found = event["properties"]
    assert (found["decision"], found["scope"], found["kind"], found["status"]) == (decision, "user", "block", 403)


def test_a_call_that_others_refused_is_a_call(site):
    site.post("events", CALL | {"blocked_by": "their-rule"})
    assert (site.last()["event"], site.last()["properties"]["blocked_by"]) == ("api.call", "their-rule")
    site.post("events", CALL | {"blocked_by": "sentinel-user", "transaction_id": "t"}, "ingest")
    assert site.last()["event"] == "api.call"


def test_users_may_go_by_another_identifier(whole):
    site = Site(whole, "by-mail", identifier="email")
    site.post("events", CALL | {"user_id": "jane@example.com"})
    assert site.last()["user"] == "email:jane@example.com"
    decision = site.block("email:jane@example.com")
    site.block("id:7")
    assert list(site.get("config").json["user_rules"]) == ["jane@example.com"]
    site.post("events", CALL | {"user_id": "jane@example.com", "blocked_by": "sentinel-user", "transaction_id": "t"})
    assert site.last()["properties"]["decision"] == decision


# keys and walls


@pytest.mark.parametrize("path", ["config", "rules"])
@pytest.mark.parametrize("scope", ["ingest", "browser"])
def test_only_servers_are_told_whom_we_refuse(site, path, scope):
    assert site.get(path, scope).status == 403


def test_apps_see_nothing_of_each_other(whole, site):
    other = Site(whole, "walls")
    other.block("id:mallory")
    other.post("actions", {"action_name": "Theirs"})
    assert (site.get("config").json["user_rules"], site.events()) == ({}, [])


def test_without_a_key_made_for_it_the_protocol_is_off(whole, site):
    for secret in (whole.secrets["one", "sdk"], "", "x" * 60):
        headers = {"X-Moesif-Application-Id": secret}
        assert whole.client.get("/compat/moesif/v1/config", headers=headers).status in (401, 403)
    answer = whole.client.using(site.keys["sdk"]).post("/v1/events", {"event": "x"})
    assert answer.status == 403


def test_keys_are_as_long_as_clients_want_them(site):
    assert all(len(secret) >= 50 for secret in site.keys.values())


def test_settings_of_keys_are_read(whole, site):
    def make(settings):
        body = {"scope": "sdk", "protocol": "moesif", "settings": settings}
        return whole.client.using(site.admin).post("/v1/keys", body)

    assert make({"identifier": "email", "bodies": "yes", "addresses": "no"}).status == 201
    for wrong in (
        {"identifier": "E Mail"},
        {"identifier": "company"},
        {"identifier": 7},
        {"bodies": "perhaps"},
        {"other": 1},
    ):
        assert make(wrong).status == 422


# what the real clients were seen to send


@pytest.mark.parametrize("name", ["moesif_nodejs", "moesif_wsgi", "moesif_browser", "moesif_browser_batch"])
def test_what_clients_send_is_taken_whole(whole, name):
    site = Site(whole, f"replay-{name.replace('_', '-')}")
    scope = "browser" if "browser" in name else "sdk"
    sent = 0
    for one, answer in replay(whole.client, name, "/compat/moesif", {"MOESIF-KEY": site.keys[scope]}):
        if one.method == "POST":
            sent += len(one.body) if isinstance(one.body, list) else 1
            assert (answer.status, answer.json["rejected"]) == (201, 0), answer.body
        else:
            assert answer.status == (204 if one.method == "OPTIONS" else 200)
        if scope == "browser":
            assert answer.headers["access-control-allow-origin"] == SHOP
        elif one.method == "POST":
            assert answer.headers["x-moesif-config-etag"]
    assert len(site.events()) == sent


def test_a_preflight_allows_the_headers_that_the_browsers_script_sends(whole):
    (asked, *_) = [one for one in recorded("moesif_browser") if one.method == "OPTIONS"]
    wanted = dict(asked.headers)["Access-Control-Request-Headers"].lower().split(", ")
    answer = whole.client.ask("OPTIONS", f"/compat/moesif{asked.target}", headers=list(asked.headers))
    assert set(wanted) <= set(answer.headers["access-control-allow-headers"].split(", "))


def test_the_naive_times_of_python_are_utc(whole):
    site = Site(whole, "naive-times")
    list(replay(whole.client, "moesif_wsgi", "/compat/moesif", {"MOESIF-KEY": site.keys["sdk"]}))
    calls = [one for one in site.events() if one["event"] == "api.call"]
    assert calls[0]["timestamp"].startswith("2026-11-20T21:37:49.736")


COMPANIES = """
playbook: busy-company
title: A company calls too much
mode: enforce
event: api.call
group_by: user.company
window: 10m
when: {count: 3}
actions:
  - block_user: {target: user.company, for: 1h}
tests:
  - name: three
    events:
      - {at: 0s, event: api.call, user: {id: "u{n}", company: acme}, repeat: 3, every: 1s}
    expect:
      - {at: 2s, group: {user.company: acme}, block_user: "company:acme"}
"""


def test_a_playbook_counts_by_company_and_the_very_answer_tells_that_it_is_refused(tmp_path):
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "companies.yaml").write_text(COMPANIES)
    with run_whole(tmp_path) as whole:
        site = Site(whole, "companies")
        before = site.tag()
        calls = [{"user_id": f"u{n}", "company_id": "acme"} for n in range(3)]
        answer = site.post("events/batch", calls)
        assert answer.headers["x-moesif-config-etag"] == site.tag() != before
        assert list(site.get("config").json["company_rules"]) == ["acme"]
        decision = site.get("config").json["company_rules"]["acme"][0]["values"]["0"]
        site.post("events", {"user_id": "u9", "company_id": "acme", "blocked_by": "sentinel-company"})
        assert site.last()["properties"]["decision"] == decision
