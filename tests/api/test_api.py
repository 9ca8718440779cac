"""What the API answers, over real HTTP and a real store."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import threading
import time
from datetime import datetime
from urllib.parse import quote

import pytest

from sentinel.app.server import now
from sentinel.core import moment
from sentinel.core.decision import Decision
from sentinel.core.duration import DAY, HOUR
from sentinel.core.errors import SentinelError, StoreBusy
from sentinel.core.record import Delivery, Health
from sentinel.service import upkeep
from tests.api.served import wait_for, within
from tests.api.whole import METRICS_KEY
from tests.api.whole import whole as run_whole

FRESH = itertools.count(10)


@pytest.fixture
def admin(whole):
    return whole.using("admin")


@pytest.fixture
def ip():
    """Return an address no other test uses."""
    return f"203.0.113.{next(FRESH)}"


@pytest.fixture
def user():
    return f"user{next(FRESH)}"


def days(moment):
    return round((datetime.fromisoformat(moment).timestamp() - time.time()) / 86400)


def decided(admin, **new):
    answer = admin.post("/v1/decisions", {"kind": "block", "scope": "ip", "reason": "abuse", "for": "1h", **new})
    assert answer.status == 201, answer.body
    return answer.json


class TestDecisions:
    def test_a_decision_by_hand_says_who_why_and_how_long(self, admin, ip):
        made = decided(admin, value=ip)
        assert (made["kind"], made["scope"], made["value"], made["reason"]) == ("block", "ip", ip, "abuse")
        assert made["by"].startswith("key:")
        assert made["in_force"] is True
        assert made["until"] > made["made"]
        assert admin.get(f"/v1/decisions/{made['id']}").json == made

    def test_a_reason_is_written_in_any_script(self, admin, ip):
        why = "می\u200cخواهد \U0001f469\u200d\U0001f467"
        new = {"kind": "block", "scope": "ip", "value": ip, "reason": why}
        assert admin.post("/v1/decisions", new).json["reason"] == why
        assert admin.post("/v1/decisions", {**new, "reason": "x\u202ecod.exe"}).status == 422

    def test_a_mistake_is_told_by_its_field_alone(self, admin):
        answer = admin.post("/v1/decisions", {"kind": "block", "scope": "user", "value": "", "reason": "x"})
        assert (answer.status, answer.json["error"]["message"]) == (
            422,
            "`value`: empty",
        )
        answer = admin.ask("PATCH", "/v1/apps/one", {"identifiers": ["id", 7]})
        assert (answer.status, answer.json["error"]["message"]) == (
            422,
            "`identifiers.1`: not a text",
        )

    def test_every_sdk_knows_at_once(self, whole, admin, ip):
        stream = whole.using("sdk").stream("/v1/feed/stream")
        since = whole.using("sdk").get("/v1/feed").json["revision"]
        try:
            made = decided(admin, value=ip)
            while (event := stream.event())["data"]["revision"] <= since:
                pass
            assert [one["id"] for one in event["data"]["added"]] == [made["id"]]
        finally:
            stream.close()

    def test_lifting_ends_it_says_why_and_takes_it_from_the_list(self, whole, admin, ip):
        made = decided(admin, value=ip)
        answer = admin.delete(f"/v1/decisions/{made['id']}?why=a+mistake")
        assert answer.json["revision"] > made["added"]
        shown = admin.get(f"/v1/decisions/{made['id']}").json
        assert (shown["in_force"], shown["lifted_why"]) == (False, "a mistake")
        assert ip not in {one["value"] for one in whole.using("sdk").get("/v1/feed").json["added"]}
        assert ip not in {one["value"] for one in admin.get("/v1/decisions?limit=1000").json["items"]}
        assert ip in {one["value"] for one in admin.get("/v1/decisions?all=true&limit=1000").json["items"]}

    def test_all_of_a_playbook_are_lifted_at_once_and_their_findings_never_decide_again(self, whole, admin, ip):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        assert admin.delete("/v1/decisions").status == 422, "nothing is lifted where nobody says what"
        answer = admin.delete(f"/v1/decisions?playbook={finding['playbook']}&why=a+mistake").json
        assert answer["lifted"] >= 1
        assert ip not in {one["value"] for one in whole.using("sdk").get("/v1/feed").json["added"]}
        assert admin.get(f"/v1/findings/{finding['id']}").json["undone"]
        again = admin.delete(f"/v1/decisions?playbook={finding['playbook']}").json
        assert again == {"revision": answer["revision"], "lifted": 0}

    def test_what_people_decided_is_listed_by_who_did_and_lifted_at_once(self, whole, admin):
        key = admin.post("/v1/keys", {"scope": "admin", "name": "the desk's"}).json
        desk, by = whole.client.using(key["secret"]), f"key:{key['id']}"
        blocked, let = (
            desk.post("/v1/decisions", {"kind": kind, "scope": "user", "value": f"desk-{kind}", "reason": "r"}).json
            for kind in ("block", "allow")
        )
        listed = admin.get(f"/v1/decisions?by={by}").json["items"]
        assert {one["id"] for one in listed} == {blocked["id"], let["id"]} and listed[0]["by"] == by
        assert all(one["by"] for one in admin.get("/v1/decisions?by=hand").json["items"])
        assert admin.delete("/v1/decisions?kind=block").status == 422, "nobody says whose"
        assert admin.delete(f"/v1/decisions?by={by}&kind=block&why=a+mistake").json["lifted"] == 1
        assert [one["id"] for one in admin.get(f"/v1/decisions?by={by}").json["items"]] == [let["id"]]
        assert admin.delete(f"/v1/decisions?by={by}").json["lifted"] == 1

    @pytest.mark.parametrize(
        ("new", "value"),
        [
            ({"scope": "user", "value": "42"}, "id:42"),
            ({"scope": "user", "value": "email:Jane@Example.com"}, "email:jane@example.com"),
            ({"scope": "ip", "value": "::ffff:198.51.100.7"}, "198.51.100.7"),
            ({"scope": "ip", "value": "2001:db8::1"}, "2001:db8::/64"),
            ({"scope": "network", "value": "198.51.100.77/24"}, "198.51.100.0/24"),
            ({"scope": "user+ip", "value": ["42", "198.51.100.8"]}, '["id:42","198.51.100.8"]'),
            ({"scope": "user+device", "value": ["42", "phone"]}, '["id:42","phone"]'),
        ],
    )
    def test_targets_are_kept_in_one_spelling(self, admin, new, value):
        assert decided(admin, **new)["value"] == value

    @pytest.mark.parametrize(("ipv6", "value"), [(56, "2001:db8:0:ff00::/56"), (128, "2001:db8:0:ffff::1/128")])
    def test_by_hand_an_address_is_the_network_that_playbooks_block(self, whole, ipv6, value):
        """Else a person's word would not be on the same target, and would not go before theirs."""
        admin = whole.using("admin", "two")
        assert admin.ask("PATCH", "/v1/apps/two", {"ipv6": ipv6}).status == 200
        try:
            assert decided(admin, scope="ip", value="2001:db8:0:ffff::1")["value"] == value
            pair = decided(admin, scope="user+ip", value=["42", "2001:db8:0:ffff::1"])["value"]
            assert pair == f'["id:42","{value}"]'
            allowed = admin.post("/v1/allow", {"scope": "ip", "value": "2001:db8:0:ffff::1", "reason": "x"}).json
            assert allowed["value"] == value
            found = admin.get("/v1/ips/2001:db8:0:ffff::1").json["decisions"]
            assert value in {one["value"] for one in found}
        finally:
            admin.ask("PATCH", "/v1/apps/two", {"ipv6": 64})

    def test_a_pair_given_as_a_text_is_kept_in_the_one_spelling_too(self, admin):
        made = decided(admin, scope="user+ip", value='["42","::ffff:198.51.100.8"]')
        assert made["value"] == '["id:42","198.51.100.8"]'

    @pytest.mark.parametrize(
        ("scope", "value"),
        [("user", " "), ("user", "email: "), ("user+ip", [" ", "198.51.100.8"]), ("user+device", ["id: ", "phone"])],
    )
    def test_an_empty_identifier_is_nobody_to_decide_about(self, admin, scope, value):
        answer = admin.post("/v1/decisions", {"kind": "block", "scope": scope, "value": value, "reason": "x"})
        assert (answer.status, answer.error["code"]) == (422, "invalid")
        assert answer.error["message"].endswith("names nobody")

    @pytest.mark.parametrize(
        ("made", "query"),
        [
            ({"scope": "user", "value": "spelt"}, "value=spelt"),
            ({"scope": "user", "value": "spelt"}, "value=uid:spelt&scope=user"),
            ({"scope": "ip", "value": "2001:db8:5:e::7"}, "value=2001:DB8:5:e::9"),
            ({"scope": "network", "value": "198.18.7.0/24"}, "value=198.18.7.77/24"),
            (
                {"scope": "user+ip", "value": ["spelt", "198.18.7.1"]},
                "scope=user%2Bip&value=%5B%22spelt%22,%22198.18.7.1%22%5D",
            ),
        ],
    )
    def test_a_decision_is_found_by_any_spelling_of_its_target(self, admin, made, query):
        id = decided(admin, **made)["id"]
        assert id in {one["id"] for one in admin.get(f"/v1/decisions?{query}").json["items"]}
        assert admin.get("/v1/decisions?value=spelt&scope=network").json["items"] == []

    @pytest.mark.parametrize("length", [{"for": "forever"}, {"for": None}])
    def test_a_decision_may_hold_for_ever(self, admin, ip, length):
        assert decided(admin, value=ip, **length)["until"] is None

    @pytest.mark.parametrize(
        ("new", "place"),
        [
            ({"kind": "ban"}, "`kind`"),
            ({"scope": "planet"}, "`scope`"),
            ({"value": "nobody"}, "`value`: `nobody` is not an address"),
            ({"scope": "network", "value": "10.0.0.0/2"}, "`value`: `10.0.0.0/2` is wider than /8"),
            ({"scope": "ip", "value": ["a", "b"]}, "`value`: a pair, and the scope is `ip`"),
            ({"scope": "user+ip", "value": "x"}, "`value`: `x` is not a pair"),
            ({"scope": "user", "value": {"id": 42}}, "`value`: not a text"),
            ({"scope": "user", "value": "x" * 300}, "`user.id`: longer than 256 characters"),
            ({"reason": ""}, "`reason`"),
            ({"reason": "\x1b[2J"}, "`reason`: not a text of printable characters"),
            ({"reason": None}, "`reason`"),
            ({"for": "10"}, "`for`: `10` is not a duration"),
            ({"for": "0s"}, "`for`: `0s` is over at once"),
            ({"for": "1h", "until": "2030-01-01"}, "`for`: there is an `until` already"),
            ({"for": None, "until": "2020-01-01"}, "`until`: `2020-01-01` is over"),
            ({"for": None, "until": "soon"}, "`until`: `soon` is not a time"),
            ({"kind": "redirect"}, "`to`: missing"),
            ({"kind": "redirect", "to": "javascript:alert(1)"}, "`to`: `javascript:alert(1)` is no URL"),
            ({"colour": "red"}, "`colour`"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_by_its_name(self, admin, ip, new, place):
        body = {"kind": "block", "scope": "ip", "value": ip, "reason": "abuse", "for": "1h", **new}
        answer = admin.post("/v1/decisions", {name: one for name, one in body.items() if one is not None})
        assert (answer.status, answer.error["code"]) == (422, "invalid")
        assert answer.error["message"].startswith(place), answer.body

    def test_lists_are_filtered_and_paged_without_gap_or_repeat(self, admin, user):
        made = [decided(admin, scope="user", value=user)["id"] for _ in range(5)]
        found, cursor = [], ""
        while cursor is not None:
            page = admin.get(f"/v1/decisions?value=id:{user}&limit=2{cursor and '&cursor=' + cursor}").json
            found += [one["id"] for one in page["items"]]
            cursor = page["cursor"]
        assert sorted(found) == sorted(made)


class TestPlaybooksAct:
    def test_events_lead_to_a_finding_a_decision_a_delivery_and_an_audit_line(self, whole, admin, ip):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        assert (finding["tally"], finding["acted"], finding["status"]) == ({"count": 3}, True, "new")
        (decision,) = admin.get(f"/v1/decisions?value={ip}").json["items"]
        assert (decision["finding"], decision["playbook"]) == (finding["id"], "three-failures")
        assert finding["effects"][0]["decisions"] == [decision["id"]]
        deliveries = admin.get("/v1/outbox?limit=1000").json["items"]
        assert finding["id"] in {one["finding"] for one in deliveries}
        lines = admin.get("/v1/audit?limit=1000").json["items"]
        assert ("playbook:three-failures", "block_ip", ip) in {(o["actor"], o["action"], o["target"]) for o in lines}

    def test_a_false_positive_can_lift_what_it_did_and_it_stays_lifted(self, whole, admin, ip):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        judged = admin.ask(
            "PATCH", f"/v1/findings/{finding['id']}", {"status": "false-positive", "note": "the office", "lift": True}
        )
        assert (judged.json["status"], judged.json["note"], judged.json["undone"]) == (
            "false-positive",
            "the office",
            True,
        )
        assert admin.get(f"/v1/decisions?value={ip}").json["items"] == []
        whole.fail(ip, times=1)
        assert admin.get(f"/v1/decisions?value={ip}").json["items"] == []

    @pytest.mark.parametrize("length", ["30d", "forever"])
    def test_a_false_positive_can_make_an_exception(self, whole, admin, ip, length):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        path = f"/v1/findings/{finding['id']}"
        judged = admin.ask("PATCH", path, {"status": "false-positive", "note": "the office", "allow": length}).json
        assert (judged["status"], judged["note"], judged["undone"]) == ("false-positive", "the office", True)
        assert admin.get(f"/v1/decisions?value={ip}").json["items"] == []
        (allowed,) = [one for one in admin.get("/v1/allow").json["items"] if one["value"] == ip]
        assert (allowed["scope"], allowed["reason"], allowed["until"] is None) == (
            "ip",
            "the office",
            length == "forever",
        )
        assert admin.delete(f"/v1/allow/{allowed['id']}").status == 204

    @pytest.mark.parametrize(
        ("judgement", "message"),
        [
            ({"status": "confirmed", "allow": "30d"}, "`allow`: only a false positive"),
            ({"status": "false-positive", "allow": "soon"}, "`allow`: `soon` is not a duration"),
        ],
    )
    def test_an_exception_that_cannot_be_meant_is_refused(self, whole, admin, ip, judgement, message):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        answer = admin.ask("PATCH", f"/v1/findings/{finding['id']}", judgement)
        assert answer.error["message"].startswith(message)
        assert admin.get(f"/v1/findings/{finding['id']}").json["status"] == "new"
        nobodys = admin.ask("PATCH", "/v1/findings/none", {"status": "false-positive", "allow": "30d"})
        assert nobodys.status == 404

    def test_a_status_that_is_none_is_refused(self, whole, admin, ip):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        answer = admin.ask("PATCH", f"/v1/findings/{finding['id']}", {"status": "retracted"})
        assert (answer.status, answer.error["code"]) == (422, "invalid")

    def test_whom_nobody_acts_on_is_not_acted_on(self, whole, admin, ip):
        made = admin.post("/v1/allow", {"scope": "ip", "value": ip, "reason": "the office"})
        assert (made.status, made.json["value"]) == (201, ip)
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        assert (finding["acted"], finding["effects"][0]["held"]) == (False, "allowlisted")
        assert finding["effects"][0]["decisions"] == []  # one that was never made could not be looked up
        asked = admin.get(f"/v1/allow?value={made.json['value']}&limit=1").json
        assert (asked["items"], asked["cursor"], asked["total"]) == ([made.json], None, 1)
        assert admin.delete(f"/v1/allow/{made.json['id']}").status == 204
        assert made.json["id"] not in {one["id"] for one in admin.get("/v1/allow").json["items"]}

    def test_who_is_allowed_again_is_so_once_with_the_new_end_and_reason(self, admin, ip):
        new = {"scope": "ip", "value": ip, "reason": "the office"}
        first = admin.post("/v1/allow", new).json
        again = admin.post("/v1/allow", {**new, "reason": "a test", "for": "7d"}).json
        assert (again["id"], again["made"], again["reason"]) == (first["id"], first["made"], "a test")
        assert (first["until"], again["until"] is None) == (None, False)
        assert [one for one in admin.get("/v1/allow").json["items"] if one["value"] == ip] == [again]
        assert [line["reason"] for line in admin.get("/v1/audit?limit=2").json["items"]] == ["a test", "the office"]

    @pytest.mark.parametrize(("held", "length", "until"), [(None, "9d", None), ("7d", "9d", "9d"), ("9d", "7d", "9d")])
    def test_a_false_positive_makes_no_allowance_shorter(self, whole, admin, ip, held, length, until):
        whole.fail(ip)
        (finding,) = admin.get(f"/v1/findings?ip={ip}&playbook=three-failures").json["items"]
        admin.post("/v1/allow", {"scope": "ip", "value": ip, "reason": "the office", **({"for": held} if held else {})})
        admin.ask("PATCH", f"/v1/findings/{finding['id']}", {"status": "false-positive", "allow": length})
        (left,) = [one for one in admin.get("/v1/allow").json["items"] if one["value"] == ip]
        assert (left["until"] and days(left["until"])) == (until and int(until.removesuffix("d")))

    @pytest.mark.parametrize("lift", [True, False])
    def test_an_allowance_lifts_what_playbooks_decided_before_unless_told_not_to(self, whole, admin, ip, lift):
        whole.fail(ip)
        by_hand = decided(admin, value=ip)
        network = ip.rpartition(".")[0] + f".{int(ip.rpartition('.')[2])}/32"
        admin.post("/v1/allow", {"scope": "network", "value": network, "reason": "ours", "for": "1h", "lift": lift})
        left = admin.get(f"/v1/decisions?value={ip}").json["items"]
        assert by_hand["id"] in {one["id"] for one in left}
        assert len(left) == (1 if lift else 2)

    def test_an_allowance_lifts_what_was_decided_on_any_key_of_the_person(self, whole, admin, user):
        event = {"event": "auth", "success": True, "user": {"id": user, "email": f"{user}@b.example"}}
        assert whole.using("sdk").post("/v1/events", event).json["accepted"] == 1
        block = Decision(f"d-{user}", "block", "user", f"id:{user}", playbook="three-failures", made=1)
        whole.server.store.decisions.add("one", block, "test", 1)
        assert admin.get(f"/v1/decisions/{block.id}").json["in_force"]
        answer = admin.post("/v1/allow", {"scope": "user", "value": f"email:{user}@b.example", "reason": "the boss"})
        assert answer.status == 201
        assert not admin.get(f"/v1/decisions/{block.id}").json["in_force"]

    def test_playbooks_are_shown_as_the_engine_has_them(self, whole, admin, user):
        whole.fail("203.0.113.1", user=user, times=1)
        answer = whole.using("sdk").post("/v1/events", {"event": "auth", "success": False, "user": user})
        assert answer.json["accepted"] == 1
        found = {one["id"]: one for one in admin.get("/v1/playbooks").json["items"]}
        assert {id: (one["mode"], one["state"]) for id, one in found.items()} == {
            "three-failures": ("enforce", "ready"),
            "only-watching": ("monitor", "ready"),
            "sleeping": ("off", "off"),
        }
        assert found["only-watching"]["groups"] >= 1
        assert found["three-failures"]["skipped"]["a group field is missing"] >= 1
        assert len(found["three-failures"]["version"]) == 12

    def test_findings_are_listed_from_a_severity_on(self, whole, admin, ip):
        whole.fail(ip)
        asked = {least: admin.get(f"/v1/findings?ip={ip}&severity={least}") for least in ("medium", "high", "bad")}
        assert {one["severity"] for one in asked["medium"].json["items"]} == {"medium"}
        assert asked["high"].json["items"] == []
        assert asked["bad"].status == 422


class TestEvents:
    def test_search_finds_what_was_acknowledged_newest_first(self, whole, admin, user, ip):
        whole.fail(ip, user=user, times=1, timestamp=time.time() - 5)
        whole.fail(ip, user=user, times=1)
        page = admin.get(f"/v1/events?user={user}").json
        assert [one["user"] for one in page["items"]] == [f"id:{user}"] * 2
        assert page["items"][0]["timestamp"] > page["items"][1]["timestamp"]
        assert page["items"][0]["network"] == {"private": False, "kind": "public"}

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("event=auth", True), ("event=other", False), ("user=id:{user}", True), ("user=x", False),
            ("ip={ip}", True), ("ip=203.0.113.0/24", True), ("ip=198.51.100.0/24", False), ("from=2020-01-01", True),
            ("from=2100-01-01", False), ("to=2020-01-01", False), ("to=2100-01-01T00:00:00Z", True), ("from=0", True),
            ("from=1h30m", True), ("to=1h30m", False), ("from=2d&to=1d", False),
        ],
    )  # fmt: skip
    def test_every_filter_filters(self, whole, admin, user, ip, query, found):
        whole.fail(ip, user=user, times=1)
        items = admin.get(f"/v1/events?limit=1000&{query.format(user=user, ip=ip)}").json["items"]
        assert (f"id:{user}" in {one["user"] for one in items}) is found

    def test_pages_neither_skip_nor_repeat(self, whole, admin, user, ip):
        whole.fail(ip, user=user, times=7)
        seen, cursor = [], ""
        while cursor is not None:
            page = admin.get(f"/v1/events?user={user}&limit=3{cursor and '&cursor=' + cursor}").json
            seen += [one["id"] for one in page["items"]]
            cursor = page["cursor"]
        assert len(seen) == len(set(seen)) == 7

    def test_one_event_is_found_by_its_id_and_time(self, whole, admin, user):
        for when in (1_700_000_000, 1_700_000_000 + 86_400):
            event = {"event": "x", "id": f"id-{user}", "timestamp": when}
            assert whole.using("sdk").post("/v1/import", event).json["accepted"] == 1
        newest = admin.get(f"/v1/events/id-{user}").json
        assert newest["timestamp"] == "2023-11-15T22:13:20Z"
        assert newest["historical"] is True
        older = admin.get(f"/v1/events/id-{user}?at=2023-11-14T22:13:20Z").json
        assert older["timestamp"] == "2023-11-14T22:13:20Z"

    @pytest.mark.parametrize("id", ["a/b", "a/b?c#d", "/", "100%", "a b", "..", "é"])
    def test_an_event_is_found_by_any_id_that_is_taken(self, whole, admin, user, id):
        assert whole.using("sdk").post("/v1/events", {"event": "x", "id": id, "user": user}).json["accepted"] == 1
        assert admin.get(f"/v1/events/{quote(id, safe='')}").json["user"] == f"id:{user}"
        assert admin.get(f"/v1/explain/event/{quote(id, safe='')}").json["event"]["user"] == f"id:{user}"

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("usr=1", "`usr`: not a parameter of this address"),
            ("from=soon", "`from`: `soon` is not a time"),
            ("from=9999d", "`from`: `9999d` is longer than ten years"),
            ("from=1d&to=2d", "`from`: it does not lie before `to`"),
            ("ip=nowhere", "`ip`: `nowhere` is not an address"),
            ("ip=1.2.3.4/99", "`ip`: `1.2.3.4/99` is neither an address nor a network"),
            ("limit=0", "`limit`"),
            ("limit=1001", "`limit`"),
            ("cursor=nonsense", "`cursor`: `nonsense` was not given by this list"),
            ("user=" + "x" * 300, "`user.id`: longer than"),
            ("user=", "`user`: `` names nobody"),
            ("ip=1.0.0.0/2", "`ip`: `1.0.0.0/2` is wider than /8"),
            ("event=%00", "`event`: not a text of printable"),
        ],
    )
    def test_a_question_that_cannot_be_meant_is_refused(self, admin, query, message):
        answer = admin.get(f"/v1/events?{query}")
        assert (answer.status, answer.error["code"]) == (422, "invalid")
        assert answer.error["message"].startswith(message)

    def test_a_slip_in_a_parameter_gets_a_suggestion(self, admin):
        assert admin.get("/v1/events?usr=1").error["hint"] == "did you mean `user`?"

    def test_the_tail_tells_events_as_they_come_and_only_those_asked_for(self, whole, admin, user, ip):
        stream = admin.stream(f"/v1/events/tail?user={user}&ip=203.0.113.0/24")
        try:
            assert stream.block() == [":"]
            whole.fail(ip, user="somebody-else", times=1)
            whole.fail("198.51.100.1", user=user, times=1)
            whole.fail(ip, user=user, times=1)
            told = stream.event()
            assert (told["event"], told["data"]["user"], told["data"]["ip"]) == ("event", f"id:{user}", ip)
        finally:
            stream.close()


class TestPeople:
    def test_a_person_is_shown_by_any_identifier_with_decisions_in_force(self, whole, admin, user):
        event = {"event": "signup", "user": {"id": user, "email": f"{user}@example.com"}}
        whole.using("sdk").post("/v1/events", event)
        made = decided(admin, scope="user", value=f"email:{user}@example.com")
        person = admin.get(f"/v1/users/email:{user}@example.com").json
        assert (person["key"], set(person["identifiers"])) == (
            f"id:{user}",
            {f"id:{user}", f"email:{user}@example.com"},
        )
        assert [one["id"] for one in person["decisions"]] == [made["id"]]

    def test_decisions_in_force_are_those_at_one_address_or_on_one_device_too(self, admin, user):
        made = [
            decided(admin, scope=scope, value=value)["id"]
            for scope, value in (("user+ip", [user, "198.18.8.1"]), ("user+device", [user, "phone"]), ("user", user))
        ]
        admin.delete(f"/v1/decisions/{made.pop(0)}")
        shown = admin.get(f"/v1/users/{user}").json["decisions"]
        assert {one["id"] for one in shown} == set(made)

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    @pytest.mark.parametrize("key", ["", "%20", "email:%20"])
    def test_an_empty_key_is_nobodys(self, admin, method, key):
        answer = admin.ask(method, f"/v1/users/{key}")
        assert (answer.status, answer.error["message"].endswith("names nobody")) == (422, True), answer.body

    def test_a_link_can_be_cut(self, whole, admin, user):
        whole.using("sdk").post("/v1/events", {"event": "signup", "user": {"id": user, "username": user}})
        assert admin.delete(f"/v1/links?identifier=username:{user}").status == 200
        assert admin.get(f"/v1/users/id:{user}").json["identifiers"] == [f"id:{user}"]
        assert admin.delete(f"/v1/links?identifier=username:{user}").status == 404

    def test_somebody_nobody_knows_has_the_one_key(self, admin):
        person = admin.get("/v1/users/nobody/at/all").json
        assert (person["key"], person["identifiers"], person["made"]) == (
            "id:nobody/at/all",
            ["id:nobody/at/all"],
            None,
        )


class TestKeysAndApps:
    def test_a_key_is_shown_once_works_at_once_and_ends_when_revoked(self, whole, admin):
        made = admin.post("/v1/keys", {"scope": "read", "name": "dashboard"}).json
        assert len(made["secret"]) >= 50
        assert whole.client.using(made["secret"]).get("/v1/findings").status == 200
        listed = {one["id"]: one for one in admin.get("/v1/keys").json["items"]}
        assert "secret" not in listed[made["id"]]
        assert [one["id"] for one in admin.get("/v1/keys?limit=1").json["items"]] == [made["id"]], "the newest"
        assert listed[made["id"]]["used"] is None and made["used"] is None
        whole.server._mark_keys()
        shown = admin.get("/v1/keys?limit=1").json["items"][0]["used"]
        assert shown is not None and shown >= made["made"]
        assert admin.delete(f"/v1/keys/{made['id']}").status == 204
        assert whole.client.using(made["secret"]).get("/v1/findings").status == 401
        assert admin.delete(f"/v1/keys/{made['id']}").status == 404

    def test_a_revoked_keys_stream_ends_within_five_seconds(self, whole, admin):
        def took():
            made = admin.post("/v1/keys", {"scope": "sdk"}).json
            stream = whole.client.using(made["secret"]).stream("/v1/feed/stream")
            began = time.monotonic()
            admin.delete(f"/v1/keys/{made['id']}")
            while stream.block():
                pass
            stream.close()
            return time.monotonic() - began

        assert within(5, took)

    @pytest.mark.parametrize(
        "new",
        [{"scope": "browser"}, {"scope": "sdk", "origins": ["https://a.example"]}, {"scope": "root"},
         {"scope": "browser", "origins": ["shop.example"]}, {"scope": "browser", "origins": ["*"]}],
    )  # fmt: skip
    def test_a_key_that_cannot_be_meant_is_refused(self, admin, new):
        assert admin.post("/v1/keys", new).error["code"] == "invalid"

    def test_browser_keys_name_their_origins(self, admin):
        made = admin.post("/v1/keys", {"scope": "browser", "origins": ["https://*.shop.example"]})
        assert made.json["origins"] == ["https://*.shop.example"]

    def test_an_apps_administrator_sees_and_changes_that_app_alone(self, admin):
        assert [one["id"] for one in admin.get("/v1/apps").json["items"]] == ["one"]
        changed = admin.ask(
            "PATCH", "/v1/apps/one", {"name": "First", "retention": "90d", "identifiers": ["email", "id"]}
        )
        assert (changed.json["name"], changed.json["retention"]) == ("First", "90d")
        assert changed.json["identifiers"] == ["email", "id"]
        back = {"retention": "none", "identifiers": ["id", "user_id", "uid", "email", "username", "login"]}
        assert admin.ask("PATCH", "/v1/apps/one", back).json["retention"] is None
        assert admin.ask("PATCH", "/v1/apps/two", {"name": "x"}).status == 404
        assert admin.post("/v1/apps", {"id": "three"}).error["code"] == "forbidden"

    def test_a_changed_app_is_judged_by_as_it_is_now(self, whole, user):
        admin, sdk = whole.using("admin", "two"), whole.using("sdk", "two")
        event = {"event": "x", "user": {"id": user, "email": f"{user}@example.com"}}
        sdk.post("/v1/events", event)
        admin.ask("PATCH", "/v1/apps/two", {"identifiers": ["email", "id"]})
        sdk.post("/v1/events", event)
        found = {one["user"] for one in admin.get("/v1/events?limit=1000").json["items"]}
        assert {f"id:{user}", f"email:{user}@example.com"} <= found

    def test_the_local_administrator_has_every_app_and_names_the_one_meant(self, whole):
        assert {one["id"] for one in whole.local.get("/v1/apps").json["items"]} >= {"default", "one", "two"}
        assert whole.local.post("/v1/apps", {"id": f"app-{next(FRESH)}"}).status == 201
        assert whole.local.post("/v1/apps", {"id": "one"}).error["code"] == "conflict"
        assert whole.local.post("/v1/accounts", {"name": "twice"}).status == 201
        assert whole.local.post("/v1/accounts", {"name": "Twice"}).error["code"] == "conflict"
        keys = whole.local.get("/v1/keys", headers={"Sentinel-App": "two"}).json["items"]
        assert {key["app"] for key in keys} == {"two"}
        assert whole.local.get("/v1/keys", headers={"Sentinel-App": "none"}).status == 404

    @pytest.mark.parametrize("change", [{"retention": "1s"}, {"ipv6": 8}, {"identifiers": []}, {"id": "x"}])
    def test_a_change_that_cannot_be_meant_is_refused(self, admin, change):
        assert admin.ask("PATCH", "/v1/apps/one", change).error["code"] == "invalid"


class Broken:
    """Channels that take nothing, and to which nothing is tried again."""

    def deliver(self, delivery):
        raise SentinelError("nobody there")

    def wait(self, attempts):
        return None


class TestOperations:
    def test_what_was_given_up_can_be_tried_again(self, whole, admin, ip, monkeypatch):
        monkeypatch.setattr(whole.server.courier, "_channels", Broken())
        whole.fail(ip)
        dead = wait_for(lambda: admin.get("/v1/outbox?dead=true").json["items"])
        assert admin.post(f"/v1/outbox/{dead[0]['id']}/revive").status == 204
        assert admin.post("/v1/outbox/999999/revive").status == 404

    def test_all_that_was_given_up_can_be_tried_again_at_once(self, whole, admin, ip, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(whole.server.courier, "_channels", Broken())
            whole.fail(ip)
            dead = wait_for(lambda: admin.get("/v1/outbox?dead=true&limit=1000").json["items"])
        assert admin.post("/v1/outbox/revive").json["revived"] >= len(dead)
        wanted = {one["id"] for one in dead}
        assert wait_for(
            lambda: wanted <= {one["id"] for one in admin.get("/v1/outbox?limit=1000").json["items"] if one["done"]}
        )
        assert admin.post("/v1/outbox/revive").json == {"revived": 0}

    def test_the_audit_says_who_did_what_and_why(self, admin, ip):
        made = decided(admin, value=ip, reason="a reason of its own")
        lines = [one for one in admin.get("/v1/audit").json["items"] if made["id"] in str(one)]
        assert lines[0]["actor"] == made["by"]

    def test_the_audit_is_asked_who_what_on_whom_and_when(self, admin, ip):
        made = decided(admin, value=ip)
        ask = f"/v1/audit?by={made['by']}&action=decision&target=ip%20{ip}"
        assert [line["action"] for line in admin.get(f"{ask}&from=1h").json["items"]] == ["decision.add"]
        assert admin.get(f"{ask}&to=1h").json["items"] == []
        assert admin.get("/v1/audit?by=hand&limit=1").json["items"] != []
        assert admin.get("/v1/audit?from=1h&to=2h").status == 422

    def test_the_servers_own_audit_is_for_its_own_administrator(self, whole, admin):
        assert admin.get("/v1/audit?server=true").status == 403
        assert whole.local.get("/v1/audit?server=true").status == 200

    def test_enforcement_can_be_stopped_in_one_app_and_begun_again(self, whole, admin, ip):
        decided(admin, value=ip)
        sdk = whole.using("sdk")
        assert ip in {one["value"] for one in sdk.get("/v1/feed").json["added"]}
        answer = admin.ask("PUT", "/v1/enforcement", {"on": False, "why": "a fire drill"})
        assert answer.json == {"app": False, "server": True}
        assert (sdk.get("/v1/feed").json["added"], sdk.get("/v1/feed").json["revision"]) == ([], 0)
        assert whole.using("sdk", "two").get("/v1/feed").status == 200
        assert admin.ask("PUT", "/v1/enforcement", {"on": True, "why": "over"}).json["app"] is True
        assert ip in {one["value"] for one in sdk.get("/v1/feed").json["added"]}

    def test_only_the_servers_own_administrator_stops_the_whole_server(self, whole, admin):
        turn = {"on": False, "why": "a fire drill", "server": True}
        assert admin.ask("PUT", "/v1/enforcement", turn).status == 403
        assert whole.local.ask("PUT", "/v1/enforcement", turn).json["server"] is False
        try:
            assert whole.using("sdk", "two").get("/v1/feed").json["reset"] is True
        finally:
            whole.local.ask("PUT", "/v1/enforcement", {**turn, "on": True})

    def test_metrics_are_prometheus_and_an_apps_key_sees_its_app_alone(self, whole, admin, ip):
        whole.fail(ip, times=1)
        whole.fail(ip, times=1, app="two")
        everything = whole.local.get("/metrics")
        assert everything.headers["content-type"].startswith("text/plain")
        for name in (
            "sentinel_events_total",
            "sentinel_ingest_seconds_bucket",
            "sentinel_groups",
            "sentinel_jobs_total",
        ):
            assert name.encode() in everything.body
        assert b'sentinel_events_total{app="two",outcome="accepted"}' in everything.body
        assert b'app="two"' not in admin.get("/metrics").body
        assert b'app="one"' in admin.get("/metrics").body

    def test_the_servers_key_for_metrics_shows_them_all_and_nothing_else(self, whole):
        holder = whole.client.using(METRICS_KEY)
        shown, all_of_it = (client.get("/metrics") for client in (holder, whole.local))
        names = [{line.split()[2] for line in one.body.splitlines() if line[:1] == b"#"} for one in (shown, all_of_it)]
        assert (shown.status, names[0]) == (200, names[1])
        assert holder.get("/metrics?app=one").status == 422
        closed = [path for path, does in whole.local.get("/v1/openapi.json").json["paths"].items() if "get" in does]
        assert len(closed) > 40
        answers = {path: holder.get(path).status for path in closed if path not in ("/metrics", "/healthz", "/readyz")}
        assert set(answers.values()) == {401}, answers
        assert holder.post("/v1/events", {"event": "x"}).status == 401

    def test_what_is_wrong_with_the_store_is_told_to_those_who_may_know(self, whole, monkeypatch):
        health = Health(0, "`/var/lib/x` is damaged", ("its log was set aside",))
        monkeypatch.setattr(whole.server.store, "health", lambda: health)
        detail = "events cannot be searched"
        for client in (whole.client, whole.using("ingest")):
            assert client.get("/readyz").json == {"status": "degraded", "detail": detail, "warnings": []}
        said = whole.using("read").get("/readyz")
        assert (said.status, said.json["detail"]) == (200, f"{detail}: `/var/lib/x` is damaged")
        assert said.json["warnings"] == ["its log was set aside"]

    def test_while_events_cannot_be_written_it_is_not_ready_and_that_is_logged_once(self, whole, monkeypatch):
        """As where the database lets everything be read: its disk is full, it is a standby, a right was taken."""
        server, why, told, now = whole.server, "the disk is full", [], [0.0]
        monkeypatch.setattr(server.intake, "_fault", told.append)
        monkeypatch.setattr(server.intake, "_steady", lambda: now[0])
        with monkeypatch.context() as broken:
            broken.setattr(server.store, "unit", lambda: (_ for _ in ()).throw(StoreBusy(why)))
            for _ in range(2):
                assert whole.using("sdk").post("/v1/events", {"event": "x"}).status == 503
        assert [str(error) for error in told] == [why]
        said = whole.using("read").get("/readyz")
        assert (said.status, said.json["detail"]) == (503, f"events cannot be taken: {why}")
        now[0] = 9.0
        server.intake.look_again(lambda: None)
        assert whole.client.get("/readyz").status == 503
        now[0] = 11.0
        server.intake.look_again(server.store.room)
        assert whole.client.get("/readyz").status == 200, "where none come it is seen whether they could be written"

    def test_while_the_store_takes_no_writes_it_is_not_ready_though_no_events_come(self, whole, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setattr(whole.server.store.leases, "take", lambda *_: (_ for _ in ()).throw(StoreBusy("read only")))
            wait_for(lambda: whole.client.get("/readyz").status == 503)
            assert whole.using("read").get("/readyz").json["detail"] == "events cannot be taken: read only"
        wait_for(lambda: whole.client.get("/readyz").status == 200)

    def test_while_the_store_is_down_it_is_not_ready_and_figures_are_told_all_the_same(self, whole, monkeypatch):
        why = "the database `x` at `db` cannot be used now"
        monkeypatch.setattr(whole.server.store, "health", lambda: Health(0, why, (), why))
        said = whole.client.get("/readyz")
        assert (said.status, said.json) == (
            503, {"status": "unavailable", "detail": "events cannot be taken", "warnings": []},
        )  # fmt: skip
        assert whole.using("read").get("/readyz").json["detail"] == f"events cannot be taken: {why}"

        def broken(*_):
            raise StoreBusy(why)

        for room in ("outbox", "settings", "decisions"):
            for name in ("due", "list", "get", "delta"):
                monkeypatch.setattr(getattr(whole.server.store, room), name, broken, raising=False)
        figures = whole.local.get("/metrics")
        assert figures.status == 200
        assert b"\nsentinel_ready 0.0" in figures.body and b"\nsentinel_explorer_up 0.0" in figures.body

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/v1/events"), ("GET", "/v1/feed"), ("GET", "/readyz"), ("POST", "/compat/moesif/v1/events")],
    )
    def test_a_key_that_takes_long_to_look_up_keeps_nobody_else_waiting(self, whole, monkeypatch, method, path):
        """A database that hangs, and somebody who makes keys up."""
        asked, go = threading.Semaphore(0), threading.Event()
        access, made_up = whole.server.store.access, "x" * 40
        key = access.key

        def slow(secret):
            if secret != made_up:
                return key(secret)
            asked.release()
            assert go.wait(60)
            return None

        sender = whole.using("sdk")
        assert sender.get("/v1/feed").status == 200  # the key is remembered
        monkeypatch.setattr(access, "key", slow)
        headers = {"X-Moesif-Application-Id": made_up} if "moesif" in path else {}
        client = whole.client if headers else whole.client.using(made_up)
        thread = threading.Thread(target=lambda: client.ask(method, path, [{"event": "x"}], headers))
        thread.start()
        try:
            assert asked.acquire(timeout=60)
            assert whole.client.get("/healthz").status == 200
            assert sender.post("/v1/events", [{"event": "x"}]).status == 200
        finally:
            go.set()
            thread.join(60)

    def test_shared_jobs_are_held_by_the_clock_that_all_servers_share(self, whole, monkeypatch):
        """Else of two servers the one that is five minutes ahead holds them for five minutes after its end."""
        taken = []
        monkeypatch.setattr(whole.server.store, "skew", lambda: -300_000_000)
        monkeypatch.setattr(whole.server.store.leases, "take", lambda *of: taken.append(of))
        whole.server.holder.renew()
        assert abs(now() - 300_000_000 - taken[0][3]) < 5_000_000

    def test_deliveries_are_tried_again_by_the_clock_that_all_servers_share(self, whole, monkeypatch):
        """Else the server that takes the deliveries over, and whose clock is behind, tries them so much later."""
        failed, server = [], whole.server
        monkeypatch.setattr(server.store, "skew", lambda: -300_000_000)
        monkeypatch.setattr(server.store.outbox, "failed", lambda *of: failed.append(of))
        server.courier._failed(Delivery(7, "one", "k", "notify", None, {}, None, now()), "refused", 0)
        assert abs(now() - 300_000_000 - failed[0][2]) < 5_000_000

    def test_events_and_decisions_are_of_the_clock_that_all_servers_share(self, whole, monkeypatch, ip):
        """Else what a server an hour ahead is given lasts an hour longer, and all that is in time is old to it."""
        monkeypatch.setattr(whole.server.store, "skew", lambda: -300_000_000)
        whole.fail(ip, app="two")
        told = whole.using("read", "two").get("/v1/feed").json
        (event, *_) = whole.using("read", "two").get(f"/v1/events?ip={ip}").json["items"]
        (made,) = (one for one in told["added"] if one["value"] == ip)
        times = moment.parse(told["now"]), moment.parse(event["timestamp"]), moment.parse(made["until"]) - HOUR
        assert all(abs(one - now() + 300_000_000) < 60_000_000 for one in times)

    def test_of_keys_that_are_looked_up_only_so_many_wait(self, whole, monkeypatch):
        sender = whole.using("sdk")
        assert sender.get("/v1/feed").status == 200
        monkeypatch.setattr("sentinel.edge.access.MOST_UNKNOWN", 0)
        refused = whole.client.using("x" * 40).post("/v1/events", [{"event": "x"}])
        assert (refused.status, refused.error["code"]) == (503, "unavailable")
        assert sender.post("/v1/events", [{"event": "x"}]).status == 200

    def test_health_and_readiness_need_no_key(self, whole):
        assert whole.client.get("/healthz").json == {"status": "ok"}
        assert whole.client.get("/readyz").json == {"status": "ok", "detail": None, "warnings": []}


class TestForm:
    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/v1/nothing", 404, "not_found"),
            ("GET", "/nothing", 404, "not_found"),
            ("PUT", "/v1/decisions", 405, "method_not_allowed"),
            ("DELETE", "/v1/events", 405, "method_not_allowed"),
            ("POST", "/v1/feed", 405, "method_not_allowed"),
            ("GET", "/v1/decisions/none", 404, "not_found"),
            ("GET", "/v1/findings/none", 404, "not_found"),
            ("GET", "/v1/events/none", 404, "not_found"),
            ("DELETE", "/v1/allow/none", 404, "not_found"),
            ("GET", "/v1/findings/" + "x" * 200, 422, "invalid"),
        ],
    )
    def test_every_refusal_has_the_one_form(self, admin, method, path, status, code):
        answer = admin.ask(method, path)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/json"
        assert answer.error["hint"]

    @pytest.mark.parametrize(
        ("path", "taken"),
        [
            ("/v1/decisions", "DELETE, GET, POST"), ("/v1/searches/any", "DELETE, GET, PUT"),
            ("/v1/events", "GET, POST, OPTIONS"), ("/healthz", "GET"),
        ],
    )  # fmt: skip
    def test_a_method_that_is_not_taken_is_answered_with_all_that_are(self, admin, path, taken):
        answer = admin.ask("PATCH", path, {})
        assert (answer.status, answer.headers["allow"], answer.error["hint"]) == (405, taken, f"it takes {taken}")

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/blocklist.txt", "/v1/events", "/v1/feed"])
    def test_a_head_is_that_of_the_whole_answer(self, admin, path):
        head, whole = admin.ask("HEAD", path), admin.get(path)
        assert (head.status, head.headers["content-type"]) == (200, whole.headers["content-type"])
        assert not head.body

    @pytest.mark.parametrize("path", ["/v1/feed/stream", "/v1/events/tail", "/v1/events/export"])
    def test_a_head_of_what_is_streamed_is_not_waited_for(self, admin, path):
        assert admin.ask("HEAD", path).status == 405

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/events/", "/v1/import/", "/v1/feed/", "/v1/decisions/", "/v1/decisions/none/", "/v1/decisions//",
            "/metrics/",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_nobody_is_sent_elsewhere_with_a_key_but_told_of_a_slash_too_many(self, admin, method, path):
        answer = admin.ask(method, path, headers={"Host": "evil.example"})
        assert (answer.status, answer.error["message"]) == (404, f"there is nothing at `{path}`")
        assert answer.error["hint"] == f"leave out the `/` at its end: `{path.rstrip('/')}`"
        assert "location" not in answer.headers

    @pytest.mark.parametrize(
        ("method", "path", "hint"),
        [
            ("POST", "/v1/events?enforce=true", "it takes none"),
            ("POST", "/v1/import?enfroce=true", "did you mean `enforce`?"),
            ("GET", "/v1/feed?sinse=5", "did you mean `since`?"),
            ("GET", "/v1/feed/stream?sinse=5", "did you mean `since`?"),
        ],
    )
    def test_a_slip_in_a_parameter_is_told_at_the_plain_paths_too(self, whole, method, path, hint):
        answer = whole.using("sdk").ask(method, path, [] if method == "POST" else None)
        assert (answer.status, answer.error["hint"]) == (422, hint)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"name": ""}, "`name`: empty"),
            ({"name": "x" * 65}, "`name`: more than 64 characters"),
            ({"nmae": "x"}, "`nmae`: not a field of what is taken here"),
            ({"target": 7}, "`target`: not a text"),
            ({"name": None}, "`name`: not a text"),
        ],
    )
    def test_a_mistake_in_a_body_is_told_in_its_own_words(self, admin, body, message):
        answer = admin.post("/v1/labels", {"kind": "user", "target": "42", "name": "x", **body})
        assert (answer.status, answer.error["message"]) == (422, message)
        assert answer.error["hint"] == "see /v1/openapi.json"

    @pytest.mark.parametrize(
        ("question", "message", "hint"),
        [
            ("decisions?kind={x}", "`kind`: `{x}` is not known", "one of block, redirect, challenge, allow"),
            (
                "events?from=2026-11-20T21:30:00+01:00",
                "`from`: `2026-11-20T21:30:00 01:00` is not a time",
                "in an address a `+` is written `%2B`",
            ),
            (
                "findings?from=yesterday",
                "`from`: `yesterday` is not a time",
                "write `2026-11-20T21:30:00Z` or seconds since 1970, or how long ago, such as `24h`",
            ),
            ("decisions?kind=block&kind=allow", "`kind`: there twice", "give it once"),
            ("feed?since=1&since=2", "`since`: there twice", "give it once"),
            ("decisions?limit=0", "`limit`: less than 1", "see /v1/openapi.json"),
            ("decisions?limit=ten", "`limit`: not a whole number", "see /v1/openapi.json"),
            ("decisions?all=maybe", "`all`: neither `true` nor `false`", "see /v1/openapi.json"),
            ("events/top", "`field`: missing", "see /v1/openapi.json"),
            ("reports/year", "`period`: `year` is not known", "one of hour, day, week, month, period"),
        ],
    )
    def test_a_mistake_in_a_question_is_told_in_its_own_words_and_with_what_is_known(
        self, admin, question, message, hint
    ):
        answer = admin.get(f"/v1/{question}")
        assert (answer.status, answer.error["message"], answer.error["hint"]) == (422, message, hint)

    def test_openapi_says_what_can_be_answered(self, whole):
        paths = whole.client.get("/v1/openapi.json").json["paths"]
        for operation, status in (
            ("post /v1/accounts", "409"), ("post /v1/apps", "409"), ("post /v1/searches", "409"),
            ("post /v1/playbooks/backtest", "409"), ("get /v1/blocklist.txt", "304"), ("post /v1/events", "404"),
            ("get /v1/feed", "404"), ("get /metrics", "401"), ("post /v1/decisions", "408"),
        ):  # fmt: skip
            method, path = operation.split()
            assert status in paths[path][method]["responses"], operation
        assert [path for path, methods in paths.items() if "413" in methods.get("get", {}).get("responses", {})] == []

    def test_clients_that_are_generated_have_plain_names_and_sure_fields(self, whole):
        described = whole.client.get("/v1/openapi.json").json
        operations = [one for methods in described["paths"].values() for one in methods.values()]
        names = [one["operationId"] for one in operations]
        assert len({*names}) == len(names)
        assert [
            one for one in (*names, *described["components"]["schemas"]) if not re.fullmatch("[A-Za-z_]*[a-z]", one)
        ] == []
        assert '"null"' not in json.dumps([one.get("parameters") for one in operations])
        listed = [described["components"]["schemas"][f"{one}List"] for one in ("Decision", "Finding", "Event")]
        assert {tuple(one["required"]) for one in listed} == {("items", "cursor", "behind", "total")}

    def test_a_body_that_is_no_json_is_malformed(self, admin):
        for raw in (b"{", b'{"kind": "\xff"}', b"[" * 5000, gzip.compress(b"{}"), b'{"for": ' + b"9" * 5000 + b"}"):
            answer = admin.post("/v1/decisions", raw=raw, headers={"Content-Type": "application/json"})
            assert (answer.status, answer.error["code"]) == (400, "malformed")
            assert (answer.error["message"], "UTF-8" in answer.error["hint"]) == ("the body is not JSON", True), raw[:9]

    @pytest.mark.parametrize("said", ["application/x-www-form-urlencoded", "text/plain", ""])
    def test_a_body_that_is_not_said_to_be_json_is_told_to_say_so(self, admin, said):
        answer = admin.ask("PUT", "/v1/enforcement", raw=b'{"on": true}', headers={"Content-Type": said})
        assert (answer.status, answer.error["code"]) == (422, "invalid")
        assert answer.error["hint"] == "send the header `Content-Type: application/json`"

    def test_a_body_that_is_too_large_is_refused_before_it_is_read(self, admin):
        answer = admin.post("/v1/decisions", raw=b"", headers={"Content-Length": "9000000"})
        assert (answer.status, answer.error["code"]) == (413, "too_large")

    def test_answers_are_not_kept_or_guessed_at(self, admin):
        headers = admin.get("/v1/decisions").headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path):
    with run_whole(tmp_path) as first:
        first.fail("203.0.113.9", times=2)
        secret = first.secrets["one", "admin"]
    with run_whole(tmp_path) as again:
        again.fail("203.0.113.9", times=1)  # the third in the window, two of which came before
        admin = again.client.using(secret)
        assert len(admin.get("/v1/events?ip=203.0.113.9").json["items"]) == 3
        assert len(admin.get("/v1/decisions?value=203.0.113.9").json["items"]) == 1


def test_old_events_are_deleted_when_the_app_says_so(tmp_path):
    with run_whole(tmp_path) as whole:
        whole.using("sdk").post("/v1/import", [{"event": "x", "timestamp": 1_700_000_000}, {"event": "y"}])
        whole.using("admin").ask("PATCH", "/v1/apps/one", {"retention": "30d"})
        wait_for(lambda: whole.server.store.health().pending == 0)
        upkeep.retain(whole.server.store, time.time_ns() // 1000, 3650 * DAY)
        assert [one["event"] for one in whole.using("admin").get("/v1/events").json["items"]] == ["y"]
