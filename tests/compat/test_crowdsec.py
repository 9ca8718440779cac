"""Bouncers are told the bans as CrowdSec's Local API tells them: what is new, what is deleted, and every field."""

from __future__ import annotations

import contextlib
import json
import re
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.compat import crowdsec
from sentinel.core.decision import Decision, Delta, place
from sentinel.core.errors import StoreBusy
from sentinel.core.record import App
from sentinel.service.bans import Change, Table
from tests.api.served import PATIENCE
from tests.compat.captures import replay

NOW = 1_000_000_000_000_000
HOUR = 3_600_000_000
FIELDS = ["id", "origin", "type", "scope", "value", "duration", "scenario"]


class Bouncer:
    """A bouncer's words, and the decisions of its app."""

    def __init__(self, whole, app, **settings):
        self.whole, self.app = whole, app
        whole.server.store.access.add_app(App(app), "test", 1)
        _, self.admin = whole.server.store.access.make_key(app, "admin", "test", 1)
        _, self.key = whole.server.store.access.make_key(
            app, "sdk", "test", 1, protocol="crowdsec", settings=settings
        )  # fmt: skip

    def get(self, path, base="/compat/crowdsec", method="GET", **headers):
        headers = {"X-Api-Key": self.key, "User-Agent": "bouncer/1", **headers}
        return self.whole.client.ask(method, base + path, headers=headers)

    def stream(self, query="", **more):
        answer = self.get(f"/v1/decisions/stream?{query}", **more)
        assert answer.status == 200, answer.body
        return answer.json

    def values(self, query="", **more):
        found = self.stream(query, **more)
        return sorted(one["value"] for one in found["new"]), sorted(one["value"] for one in found["deleted"])

    def ban(self, value, scope="ip", **more):
        body = {"kind": "block", "scope": scope, "value": value, "reason": "test", "for": "4h", **more}
        answer = self.whole.client.using(self.admin).post("/v1/decisions", body)
        assert answer.status == 201, answer.body
        return answer.json["id"]

    def lift(self, id):
        assert self.whole.client.using(self.admin).delete(f"/v1/decisions/{id}").status == 200


@pytest.fixture
def bouncer(whole, request):
    return Bouncer(whole, re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-"))


def test_a_start_gets_everything_in_force_with_every_field(bouncer):
    bouncer.ban("192.0.2.1")
    found = bouncer.stream("startup=true")
    (one,) = found["new"]
    assert (list(one), found["deleted"]) == (FIELDS, [])
    assert isinstance(one["id"], int)
    assert re.fullmatch(r"[34]h[0-9]+m[0-9]+s", one["duration"])
    kept = {name: one[name] for name in FIELDS if name not in ("id", "duration")}
    assert kept == {
        "origin": "sentinel", "type": "ban", "scope": "Ip", "value": "192.0.2.1", "scenario": "sentinel/manual"
    }  # fmt: skip


def test_what_a_playbook_decides_reaches_the_bouncer_and_what_is_lifted_leaves_it(whole):
    _, key = whole.server.store.access.make_key("one", "sdk", "test", 1, protocol="crowdsec")
    bouncer = Bouncer.__new__(Bouncer)
    bouncer.whole, bouncer.key = whole, key
    assert bouncer.values("startup=true") == ([], [])
    whole.fail("203.0.113.77")
    (new,) = bouncer.stream()["new"]
    assert (new["value"], new["scenario"]) == ("203.0.113.77", "sentinel/three-failures")
    (decision,) = whole.using("read").get("/v1/decisions?value=203.0.113.77").json["items"]
    whole.using("admin").delete(f"/v1/decisions/{decision['id']}")
    assert bouncer.values() == ([], ["203.0.113.77"])


def test_a_poll_tells_what_changed_and_some_times_more_in_case_the_answer_was_lost(bouncer):
    assert bouncer.values("startup=true") == ([], [])
    bouncer.ban("192.0.2.1")
    for _ in range(crowdsec.UNSURE):
        assert bouncer.values() == (["192.0.2.1"], [])
    assert bouncer.values() == ([], [])


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 2, 5, 9])), min_size=1, max_size=30),
    st.lists(st.sampled_from(["came", "lost", "same connection"]), min_size=30, max_size=30),
)
def test_a_bouncer_that_loses_answers_holds_the_bans_after_the_next_one_that_comes(changes, fates):
    """At most so many answers are lost one after another as `UNSURE` allows; the next connection is another then."""
    table, bouncers, poller = Table(), crowdsec.CrowdSec(None), crowdsec.Poller("key", None, "", ())
    held, lost, connection, revision = {}, 0, 0, 0
    places = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "198.51.100.0/24"}
    table.update(Delta(0, reset=True), True, 0)
    for at, ((name, length), fate) in enumerate(zip(changes, fates, strict=False), 1):
        revision += 1
        until = None if length is None else (at + length)
        added = Decision(f"{name}{at}", "block", "network", places[name], until=until, playbook="p")
        table.update(Delta(revision, (added,)), True, at)
        if fate != "same connection" or lost:
            connection += 1
        since = bouncers._since(poller, connection)
        number, told = crowdsec._told(table, since)
        bouncers._went_out(poller, since, number, connection)
        lost = lost + 1 if fate == "lost" and at > 0 and lost < crowdsec.UNSURE - 1 and since else 0
        if lost:
            continue
        for change in told:
            if change.was is not None:
                held.pop(change.target, None)
        for change in told:
            if change.now is not None:
                held.setdefault(change.target, change.now.until)
        assert held == {target: ban.until for target, ban in table.bans.items()}


def test_a_question_on_the_same_connection_shows_that_the_answer_came():
    bouncers, poller = crowdsec.CrowdSec(None), crowdsec.Poller("key", "::1", "", ())
    bouncers._went_out(poller, (3,), 7, ("::1", 1000))
    assert bouncers._since(poller, ("::1", 1000)) == (7,)
    assert bouncers._since(poller, ("::1", 1001)) == (7, 3)


def test_where_a_proxy_may_stand_between_no_connection_shows_that_an_answer_came():
    bouncers, poller = crowdsec.CrowdSec(None), crowdsec.Poller("key", "::1", "", ())
    bouncers._went_out(poller, (3,), 7, None)
    assert bouncers._since(poller, None) == (7, 3)


@pytest.mark.parametrize(
    ("passed_on", "again"), [({"X-Forwarded-For": "192.0.2.77"}, True), ({}, False)], ids=["proxy", "direct"]
)
def test_an_answer_lost_behind_a_proxy_is_told_again(bouncer, passed_on, again):
    """The proxy had the answer, and its leg to the bouncer broke: the next poll comes by the proxy's same socket."""
    connection = HTTPConnection("127.0.0.1", bouncer.whole.client.port, timeout=PATIENCE)
    headers = {"X-Api-Key": bouncer.key, "User-Agent": "bouncer/1", **passed_on}

    def polled(query=""):
        connection.request("GET", f"/compat/crowdsec/v1/decisions/stream?{query}", headers=headers)
        return [one["value"] for one in json.loads(connection.getresponse().read())["new"]]

    with contextlib.closing(connection):
        assert polled("startup=true") == []
        bouncer.ban("192.0.2.1")
        assert polled() == ["192.0.2.1"]  # and was lost
        assert polled() == (["192.0.2.1"] if again else [])


@pytest.mark.parametrize(
    ("agent", "deleted"),
    [("crowdsec-firewall-bouncer/v0.0.25", ["192.0.2.1"]), ("Crowdsec-Bouncer-Traefik-Plugin/1.X.X", [])],
)
def test_a_longer_ban_comes_with_the_end_of_the_shorter_one_only_to_who_deletes_first(bouncer, agent, deleted):
    """Firewalls keep an element's end; who adds first and then deletes by value would let go of the address."""
    who = {"User-Agent": agent}
    bouncer.ban("192.0.2.1", **{"for": "1h"})
    bouncer.stream("startup=true", **who)
    bouncer.ban("192.0.2.1")
    found = bouncer.stream("", **who)
    assert [one["value"] for one in found["deleted"]] == deleted
    assert [one["duration"][:2] for one in found["new"]] in (["4h"], ["3h"])


def test_a_ban_that_becomes_a_challenge_is_deleted_as_the_ban_it_was(whole):
    bouncer = Bouncer(whole, "of-another-type", captcha=True)
    ban = bouncer.ban("192.0.2.1")
    bouncer.ban("192.0.2.1", kind="challenge")
    bouncer.stream("startup=true")
    bouncer.lift(ban)
    found = bouncer.stream()
    assert [[one["type"] for one in found[name]] for name in ("new", "deleted")] == [["captcha"], ["ban"]]


def test_of_several_that_hold_for_an_address_the_strictest_comes_first(whole):
    """Bouncers that ask about each address go by the first."""
    bouncer = Bouncer(whole, "strictest-first", captcha=True)
    bouncer.ban("198.51.100.0/24", "network", kind="challenge")
    bouncer.ban("198.51.100.9", **{"for": "1h"})
    assert [one["type"] for one in bouncer.get("/v1/decisions?ip=198.51.100.9").json] == ["ban", "captcha"]


def test_nothing_is_deleted_while_something_longer_holds(bouncer):
    short = bouncer.ban("192.0.2.1", **{"for": "1h"})
    bouncer.ban("192.0.2.1")
    bouncer.stream("startup=true")
    bouncer.lift(short)
    assert bouncer.values() == ([], [])


def test_two_bouncers_with_one_key_are_told_apart_by_their_name(bouncer):
    bouncer.values("startup=true")
    bouncer.values("startup=true", **{"User-Agent": "other/1"})
    bouncer.ban("192.0.2.1")
    assert bouncer.values()[0] == bouncer.values("", **{"User-Agent": "other/1"})[0] == ["192.0.2.1"]


def test_a_bouncer_nobody_knows_any_more_gets_everything_and_what_ended_lately(bouncer):
    lifted = bouncer.ban("192.0.2.9")
    bouncer.ban("192.0.2.1")
    bouncer.lift(lifted)
    assert bouncer.values() == (["192.0.2.1"], ["192.0.2.9"])


def test_users_are_told_only_to_who_asks_for_them(bouncer):
    bouncer.ban("id:42", "user")
    bouncer.ban("192.0.2.1")
    assert bouncer.values("startup=true")[0] == ["192.0.2.1"]
    (one,) = bouncer.stream("startup=true&scopes=User")["new"]
    assert (one["scope"], one["value"]) == ("User", "id:42")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("scopes=ip", ["192.0.2.1"]),
        ("scopes=range", ["198.51.100.0/24"]),
        ("scopes=ip%2Crange", ["192.0.2.1", "198.51.100.0/24"]),
        ("scopes=as", []),
        ("origins=sentinel", ["192.0.2.1", "198.51.100.0/24"]),
        ("origins=CAPI,cscli", []),
        ("scenarios_containing=manual", ["192.0.2.1", "198.51.100.0/24"]),
        ("scenarios_containing=ssh,http", []),
        ("scenarios_not_containing=manual", []),
        ("scenarios_not_containing=ssh", ["192.0.2.1", "198.51.100.0/24"]),
        ("type=captcha", []),
        ("dedup=false", ["192.0.2.1", "198.51.100.0/24"]),
    ],
)
def test_the_words_of_a_query_choose(bouncer, query, found):
    bouncer.ban("192.0.2.1")
    bouncer.ban("198.51.100.0/24", "network")
    assert bouncer.values(f"startup=true&{query}")[0] == found
    assert sorted(one["value"] for one in bouncer.get(f"/v1/decisions?{query}").json or []) == found


@pytest.mark.parametrize("name", ["scopes", "type", "origins", "scenarios_containing", "scenarios_not_containing"])
@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/decisions/stream"])
def test_more_words_than_anybody_means_are_refused(bouncer, path, name):
    """Every ban is looked at by each of them: tens of thousands would take minutes."""
    assert bouncer.get(f"{path}?{name}={'x,' * 100}").status == 200
    assert bouncer.get(f"{path}?{name}={'x,' * 101}").status == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ip=192.0.2.1", ["192.0.2.1"]),
        ("ip=198.51.100.9", ["198.51.100.0/24"]),
        ("ip=203.0.113.1", None),
        ("ip=::ffff:192.0.2.1", ["192.0.2.1"]),
        ("ip=64:ff9b::192.0.2.1", ["192.0.2.1"]),
        ("range=198.51.100.0/25", ["198.51.100.0/24"]),
        ("range=192.0.0.0/8&contains=false", ["192.0.2.1"]),
        ("value=192.0.2.1", ["192.0.2.1"]),
        ("value=nobody", None),
        ("limit=1&scopes=ip", ["192.0.2.1"]),
        ("offset=2", None),
    ],
)
def test_one_address_is_asked_for(bouncer, query, found):
    bouncer.ban("192.0.2.1")
    bouncer.ban("198.51.100.0/24", "network")
    answer = bouncer.get(f"/v1/decisions?{query}")
    assert answer.status == 200
    assert (answer.json and [one["value"] for one in answer.json]) == found
    if found is None:
        assert answer.body == b"null"


@pytest.mark.parametrize("query", ["ip=nobody", "range=1.2.3.4/99", "contains=perhaps&ip=::1", "limit=-1", "offset=x"])
def test_a_question_that_cannot_be_meant_is_refused(bouncer, query):
    answer = bouncer.get(f"/v1/decisions?{query}")
    assert (answer.status, list(answer.json)) == (400, ["message"])


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/decisions/stream?startup=true"])
def test_the_same_is_answered_at_the_root_to_who_sends_a_bouncers_key(bouncer, path):
    bouncer.ban("192.0.2.1")
    assert bouncer.get(path, base="").json == bouncer.get(path).json


def test_our_own_decisions_are_still_there_for_who_sends_none(whole):
    assert "items" in whole.using("read").get("/v1/decisions").json


def test_head_is_answered_without_a_body(bouncer):
    answer = bouncer.get("/v1/decisions", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_a_head_takes_nothing_away_from_who_asks_afterwards(bouncer):
    bouncer.stream("startup=true")
    bouncer.ban("192.0.2.1")
    for _ in range(3):
        assert bouncer.get("/v1/decisions/stream", method="HEAD").status == 200
    assert bouncer.values()[0] == ["192.0.2.1"]


@pytest.mark.parametrize("key", ["", "nobody", None])
def test_a_key_that_is_not_good_is_forbidden_as_the_local_api_says_it(bouncer, whole, key):
    bouncer.key = whole.secrets["one", "sdk"] if key is None else key
    answer = bouncer.get("/v1/decisions/stream?startup=true")
    assert (answer.status, answer.json) == (403, {"message": "access forbidden"})


def test_no_key_sees_another_apps_bans(whole, bouncer):
    other = Bouncer(whole, "someone-else")
    other.ban("192.0.2.1")
    assert bouncer.values("startup=true") == ([], [])
    assert bouncer.get("/v1/decisions").body == b"null"


def test_metrics_are_thanked_for(bouncer):
    answer = bouncer.whole.client.post(
        "/compat/crowdsec/v1/usage-metrics", {"remediation_components": []}, headers=[("X-Api-Key", bouncer.key)]
    )
    assert answer.status == 201


def test_enforcement_switched_off_deletes_every_ban(whole, bouncer):
    bouncer.ban("192.0.2.1")
    bouncer.stream("startup=true")
    admin = whole.client.using(bouncer.admin)
    assert admin.ask("PUT", "/v1/enforcement", {"on": False, "why": "test"}).status == 200
    assert bouncer.values() == ([], ["192.0.2.1"])
    admin.ask("PUT", "/v1/enforcement", {"on": True, "why": "test"})
    assert bouncer.values()[0] == ["192.0.2.1"]


def test_a_challenge_is_no_ban_unless_the_key_says_captcha(whole):
    for captcha, found in ((False, []), (True, ["captcha"])):
        bouncer = Bouncer(whole, f"captcha-{captcha}".lower(), captcha=captcha)
        bouncer.ban("192.0.2.1", kind="challenge")
        assert [one["type"] for one in bouncer.stream("startup=true")["new"]] == found


def test_a_small_network_is_told_address_by_address_where_the_key_says_so(whole):
    bouncer = Bouncer(whole, "expanding", expand=True)
    bouncer.ban("198.51.100.0/30", "network")
    wide = bouncer.ban("198.51.0.0/16", "network")
    assert bouncer.values("startup=true")[0] == ["198.51.0.0/16", *(f"198.51.100.{last}" for last in range(4))]
    short = bouncer.ban("198.51.100.1", **{"for": "1h"})
    assert bouncer.values()[0] == ["198.51.100.1"]
    bouncer.lift(wide)
    bouncer.lift(short)
    new, deleted = bouncer.values()
    assert new == ["198.51.100.1"] and deleted == ["198.51.0.0/16"]


def test_while_the_store_is_busy_a_start_is_answered_all_the_same(bouncer, monkeypatch):
    def busy(app):
        raise StoreBusy("busy")

    bouncer.ban("192.0.2.1")
    with monkeypatch.context() as patch:
        patch.setattr(bouncer.whole.server.bans, "table", busy)
        assert bouncer.stream("startup=true") == {"new": None, "deleted": None}
    assert bouncer.values()[0] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("micros", "text"),
    [(1, "0h0m1s"), (-5, "0h0m1s"), (4 * HOUR, "4h0m0s"), (HOUR - 1, "1h0m0s"), (90_000_000, "0h1m30s")],
)
def test_durations_are_gos_and_never_nothing(micros, text):
    assert crowdsec._duration(micros) == text


def test_a_ban_for_ever_is_told_as_a_year():
    table = Table()
    table.update(Delta(1, (Decision("a", "block", "ip", "192.0.2.1"),), reset=True), True, NOW)
    _, told = crowdsec._stream(table, (), crowdsec._wanted({}), {}, NOW, False)
    assert [one["duration"] for one in json.loads(told)["new"]] == ["8760h0m0s"]
    assert table.changes(None)[1] == [Change(place("192.0.2.1"), None, table.bans[place("192.0.2.1")])]


def test_a_key_is_made_over_the_api_with_its_settings(whole):
    admin = whole.using("admin")
    made = admin.post("/v1/keys", {"scope": "sdk", "protocol": "crowdsec", "settings": {"expand": "yes"}}).json
    assert (made["protocol"], made["settings"]) == ("crowdsec", {"expand": True})
    assert len(made["secret"]) >= 50
    assert whole.client.get("/compat/crowdsec/v1/decisions", headers={"X-Api-Key": made["secret"]}).status == 200
    listed = [one for one in admin.get("/v1/keys").json["items"] if one["id"] == made["id"]]
    assert listed[0]["settings"] == {"expand": True}


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"scope": "sdk", "protocol": "none"}, "`protocol`: `none` is not known"),
        ({"scope": "browser", "protocol": "crowdsec", "origins": ["https://a.b"]}, "`scope`: keys for `crowdsec`"),
        ({"scope": "sdk", "protocol": "crowdsec", "settings": {"x": 1}}, "`settings.x`: not a setting"),
        ({"scope": "sdk", "protocol": "crowdsec", "settings": {"expand": 7}}, "`settings.expand`: `7` is neither"),
        ({"scope": "sdk", "settings": {"expand": True}}, "`settings`: only keys for a foreign protocol"),
    ],
)
def test_a_key_that_cannot_be_is_not_made(whole, new, message):
    answer = whole.using("admin").post("/v1/keys", new)
    assert answer.status == 422
    assert answer.error["message"].startswith(message)


@pytest.mark.parametrize("name", ["crowdsec_pycrowdsec", "crowdsec_custom_bouncer"])
@pytest.mark.parametrize("base", ["", "/compat/crowdsec"])
def test_what_real_bouncers_were_seen_to_ask_is_answered(bouncer, name, base):
    bouncer.ban("192.0.2.1")
    answers = list(replay(bouncer.whole.client, name, base, {"CROWDSEC-KEY": bouncer.key}))
    assert [answer.status for _, answer in answers] == [200] * 3
    first, second, third = (answer.json for _, answer in answers)
    assert ([one["value"] for one in first["new"]], second) == (["192.0.2.1"], {"new": [], "deleted": []})
    assert third == second or [one["value"] for one in third] == ["192.0.2.1"]


WORDS = st.sampled_from(["startup", "scopes", "scope", "ip", "range", "contains", "value", "type", "origins", "limit"])
VALUES = st.text(max_size=20) | st.sampled_from(["true", "0.0.0.0/8", "::/0", "1.2.3.4/33", "fe80::1%eth0", "9" * 12])


@pytest.fixture(scope="module")
def asker(whole):
    return Bouncer(whole, "asker")


@given(query=st.dictionaries(WORDS, VALUES, max_size=4), path=st.sampled_from(["", "/stream"]))
def test_no_question_is_a_fault(asker, query, path):
    answer = asker.get(f"/v1/decisions{path}?{urlencode(query)}")
    assert answer.status in (200, 400), answer.body
