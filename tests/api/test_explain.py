"""/v1/explain on a whole server: an event, a group, a decision, each with its reasons."""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import quote

import pytest

from tests.api.whole import whole as run_whole


def test_a_stored_event_is_explained_rule_by_rule_and_clause_by_clause(whole):
    whole.fail("203.0.113.10", user="walter", times=1, id="why-1")
    found = whole.using("read").get("/v1/explain/event/why-1").json
    assert found["event"]["id"] == "why-1"
    by_id = {one["id"]: one for one in found["playbooks"]}
    assert by_id["three-failures"]["counts"] and by_id["three-failures"]["group"] == {"ip": "203.0.113.10"}
    (part,) = by_id["only-watching"]["parts"]
    assert part["clauses"] == [{"source": "not success", "truth": True, "fields": {"success": False}, "operands": {}}]
    assert by_id["sleeping"]["why"] == "the playbook is off"


def test_a_group_is_told_how_near_it_is_and_after_the_finding_what_holds_it_back(whole):
    ask = lambda: whole.using("read").get("/v1/explain/group?group=ip%3D203.0.113.11").json  # noqa: E731
    whole.fail("203.0.113.11", user="x", times=2)
    (near,) = ask()["playbooks"]
    assert (near["tally"], near["threshold"]) == ({"count": 2}, {"count": ">= 3"})
    assert near["fires"] == "1 more matching event, in one window of 10m"
    assert near["empties"] and near["held"] is None and near["opened"] == []
    whole.fail("203.0.113.11", user="x", times=1)
    (near,) = ask()["playbooks"]
    assert near["held"] and [one["acted"] for one in near["opened"]] == [True]


def near(whole, pair):
    """Return what is told of a group of the one playbook that knows it."""
    (found,) = whole.using("read").get(f"/v1/explain/group?group={quote(pair)}").json["playbooks"]
    return found


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1", "169.254.169.254"])
def test_of_a_private_address_it_is_told_that_nobody_acts_on_it(whole, ip):
    assert near(whole, f"ip={ip}")["spared"] == {"ip": "private or local address"}


@pytest.mark.parametrize(
    ("scope", "value", "pair", "other"),
    [
        ("ip", "203.0.113.60", "ip=203.0.113.60", "ip=203.0.113.61"),
        ("network", "198.51.100.0/25", "ip=198.51.100.9", "ip=198.51.100.200"),
        ("user", "email:spared@b.example", "user=s1", "user=s2"),
    ],
)
def test_of_whom_an_allowance_spares_it_is_told_as_soon_as_it_is_made_and_no_longer(whole, scope, value, pair, other):
    known = {"event": "auth", "success": True, "user": {"id": "s1", "email": "spared@b.example"}}
    whole.using("sdk").post("/v1/events", known)
    assert near(whole, pair)["spared"] == {}
    made = whole.using("admin").post("/v1/allow", {"scope": scope, "value": value, "reason": "test"}).json
    assert near(whole, pair)["spared"] == {pair.partition("=")[0]: "allowlisted"}
    assert near(whole, other)["spared"] == {}
    whole.using("admin").ask("DELETE", f"/v1/allow/{made['id']}")
    assert near(whole, pair)["spared"] == {}


def test_of_a_proxy_of_the_apps_own_it_is_told(tmp_path):
    with run_whole(tmp_path, trusted_proxies=(ip_network("203.0.113.64/28"),)) as alone:
        assert near(alone, "ip=203.0.113.70")["spared"] == {"ip": "the app's own proxy"}
        assert near(alone, "ip=203.0.113.80")["spared"] == {}


def test_what_was_counted_is_a_whole_number(whole):
    whole.fail("203.0.113.17", user="w", times=3)
    reader = whole.using("read")
    group = reader.get("/v1/explain/group?group=ip%3D203.0.113.17").body
    finding = reader.get("/v1/findings?ip=203.0.113.17").body
    made = reader.get("/v1/decisions?value=203.0.113.17").json["items"][0]
    assert b'"tally":{"count":3}' in group and b'"tally":{"count":3}' in finding
    assert b'"tally":{"count":3}' in reader.get(f"/v1/explain/decision/{made['id']}").body
    assert b'"for_s":3600,' in finding
    series = reader.get("/v1/events/timeseries?interval=day&metric=count").body
    assert b'"total":' in series and b".0" not in series.partition(b'"series":')[2]


def test_asking_for_a_group_changes_nothing(whole):
    windows = whole.server.pipeline.tenant("one").windows
    before = [windows.snapshot(watch) for watch in windows.trackers]
    whole.using("read").get("/v1/explain/group?group=user%3Dnobody-yet")
    assert [windows.snapshot(watch) for watch in windows.trackers] == before


def test_a_person_is_found_by_any_identifier(whole):
    who = {"id": "77", "email": "w@b.example"}
    event = {"event": "auth", "success": True, "user": who, "ip": "203.0.113.12"}
    whole.using("sdk").post("/v1/events", event)
    whole.fail("203.0.113.12", user={"email": "w@b.example"}, times=1)
    for name in ("77", "email:w@b.example"):
        (near,) = whole.using("read").get(f"/v1/explain/group?group=user%3D{name}").json["playbooks"]
        assert (near["group"], near["tally"]) == ({"user": "id:77"}, {"count": 1})


def test_a_decision_is_explained_by_its_finding_and_its_events(whole):
    whole.fail("203.0.113.13", user="y")
    (made,) = whole.using("read").get("/v1/decisions?value=203.0.113.13").json["items"]
    found = whole.using("read").get(f"/v1/explain/decision/{made['id']}").json
    assert found["decision"]["playbook"] == "three-failures"
    assert found["finding"]["tally"] == {"count": 3}
    assert [one["ip"] for one in found["events"]] == ["203.0.113.13"] * 3
    assert [one["id"] for one in found["events"]] == found["finding"]["events"]


def test_a_decision_by_hand_has_no_finding(whole):
    new = {"kind": "block", "scope": "user", "value": "by-hand", "reason": "test"}
    made = whole.using("admin").post("/v1/decisions", new).json
    found = whole.using("read").get(f"/v1/explain/decision/{made['id']}").json
    assert (found["finding"], found["events"], found["decision"]["reason"]) == (None, [], "test")


@pytest.mark.parametrize("path", ["event/nothing", "decision/nothing"])
def test_what_is_not_there_is_not_found(whole, path):
    answer = whole.using("read").get(f"/v1/explain/{path}")
    assert (answer.status, answer.error["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("group=ip", "`group`: `ip` is not FIELD=VALUE", "such as `ip=203.0.113.9`"),
        ("group=user%3D", "`group`: `user=` is not FIELD=VALUE", "such as `ip=203.0.113.9`"),
        ("group=usr%3Dx", "`group`: no playbook groups by `usr`", "did you mean `user`?"),
        ("group=geo.country%3Dx", "`group`: no playbook groups by `geo.country`", "they group by `ip`, `user`"),
        ("group=ip%3Dx", "`group`: `x` is not an address", "write `203.0.113.9`"),
    ],
)
def test_a_group_nobody_has_is_refused_in_words(whole, query, message, hint):
    answer = whole.using("read").get(f"/v1/explain/group?{query}")
    assert answer.status == 422
    assert (answer.error["code"], answer.error["message"], answer.error["hint"]) == ("invalid", message, hint)


def test_without_a_group_the_whole_app_is_meant(whole):
    assert whole.using("read").get("/v1/explain/group").json["playbooks"] == []


def test_another_app_has_its_own_groups(whole):
    whole.fail("203.0.113.14", user="z", times=2)
    (near,) = whole.using("read", "two").get("/v1/explain/group?group=ip%3D203.0.113.14").json["playbooks"]
    assert near["tally"] == {"count": 0}


def test_a_group_is_named_as_its_app_groups_addresses_now(whole):
    admin, ask = whole.using("admin", "two"), "/v1/explain/group?group=ip%3D2001:db8:0:ffff::1"
    named = lambda: {near["group"]["ip"] for near in admin.get(ask).json["playbooks"] if "ip" in near["group"]}  # noqa: E731
    assert named() == {"2001:db8:0:ffff::/64"}
    assert admin.ask("PATCH", "/v1/apps/two", {"ipv6": 56}).status == 200
    try:
        assert named() == {"2001:db8:0:ff00::/56"}
    finally:
        admin.ask("PATCH", "/v1/apps/two", {"ipv6": 64})
