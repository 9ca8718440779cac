"""Labels by hand: who they are put on, that conditions see them, that nobody else's are touched, and the audit."""

from __future__ import annotations

import pytest


@pytest.fixture
def admin(whole):
    return whole.using("admin")


def put(admin, kind, target, name, **more):
    answer = admin.post("/v1/labels", {"kind": kind, "target": target, "name": name, **more})
    assert answer.status == 201, answer.body
    return answer.json


def names(admin, query):
    return [one["name"] for one in admin.get(f"/v1/labels?{query}").json["items"]]


def test_the_next_event_sees_it(whole, admin):
    put(admin, "user", "seen", "vip")
    put(admin, "ip", "203.0.113.150", "office")
    whole.using("sdk").post("/v1/events", {"event": "x", "id": "seen-1", "user": "seen", "ip": "203.0.113.150"})
    shown = admin.get("/v1/events/seen-1").json
    assert (shown["user_labels"], shown["ip_labels"]) == (["vip"], ["office"])


def test_it_is_on_the_person_by_whichever_key_they_are_named(whole, admin):
    who = {"id": "p1", "email": "p1@b.example"}
    whole.using("sdk").post("/v1/events", {"event": "signup", "user": who, "id": "p1-signup"})
    assert put(admin, "user", "email:p1@b.example", "vip")["target"] == "id:p1"
    assert names(admin, "kind=user&target=email:p1@b.example") == ["vip"]
    assert admin.get("/v1/users/id:p1").json["labels"] == ["vip"]


def test_an_address_of_version_six_stands_for_its_network(whole, admin):
    assert put(admin, "ip", "2001:db8:7::1", "office")["target"] == "2001:db8:7::/64"
    assert names(admin, "kind=ip&target=2001:db8:7::2") == ["office"]
    assert names(admin, "kind=ip&target=2001:db8:7::/64") == ["office"]


def test_it_is_put_once_and_ends(admin):
    put(admin, "user", "once", "vip", **{"for": "1h"})
    made = put(admin, "user", "once", "vip", **{"for": "2h"})
    (listed,) = admin.get("/v1/labels?target=once").json["items"]
    assert listed == made
    assert made["by"].startswith("key:") and made["finding"] is None


def test_taking_it_off_is_audited_as_putting_it_on_is(admin):
    put(admin, "user", "audited", "vip")
    assert admin.delete("/v1/labels?kind=user&target=audited&name=vip").status == 204
    assert names(admin, "target=audited") == []
    lines = admin.get("/v1/audit").json["items"][:2]
    assert [(line["action"], line["target"]) for line in lines] == [
        ("label.take", "user id:audited"), ("label.put", "user id:audited")
    ]  # fmt: skip
    assert admin.delete("/v1/labels?kind=user&target=audited&name=vip").status == 404


def test_another_app_has_its_own(whole, admin):
    put(admin, "user", "walled", "vip")
    other = whole.using("admin", "two")
    assert names(other, "target=walled") == []
    assert other.delete("/v1/labels?kind=user&target=walled&name=vip").status == 404
    assert names(admin, "target=walled") == ["vip"]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"kind": "ip", "target": "nowhere"}, "`target`: `nowhere` is not an address"),
        ({"kind": "ip", "target": "203.0.113.0/24"}, "`target`: `203.0.113.0/24` is a network"),
        ({"kind": "ip", "target": "203.0.113.1/x"}, "`target`: `203.0.113.1/x` is not an address"),
        ({"kind": "ip", "target": "203.0.113.1/99"}, "`203.0.113.1/99`"),
        ({"kind": "user", "target": "a", "for": "0s"}, "`for`: `0s` is over at once"),
        ({"kind": "user", "target": "a\u0007"}, "printable"),
        ({"kind": "user", "target": "null"}, "`target`: `id:null` stands for no user"),
    ],
)
def test_what_cannot_be_meant_is_refused(admin, new, message):
    answer = admin.post("/v1/labels", {"name": "x", **new})
    assert (answer.status, answer.error["code"]) == (422, "invalid")
    assert message in answer.error["message"]


class TestWarnings:
    def made(self, admin, **more):
        new = {"kind": "block", "scope": "ip", "reason": "by hand", "for": "1h", **more}
        answer = admin.post("/v1/decisions", new)
        assert answer.status == 201, answer.body
        return answer.json["warnings"]

    @pytest.mark.parametrize(("scope", "value"), [("ip", "10.0.0.7"), ("network", "192.168.0.0/16"), ("ip", "::1")])
    def test_a_block_of_a_private_address_is_made_and_warned_of(self, admin, scope, value):
        (warning,) = self.made(admin, scope=scope, value=value)
        assert "private or local" in warning

    @pytest.mark.parametrize(
        ("scope", "value"), [("user", "null"), ("user", "email:none"), ("user+ip", ["0", "203.0.113.7"])]
    )
    def test_so_is_one_of_what_stands_for_no_user(self, admin, scope, value):
        (warning,) = self.made(admin, scope=scope, value=value)
        assert "stands for no user" in warning
        assert self.made(admin, scope="user", value="username:null") == []

    def test_so_is_a_pair_with_one(self, admin):
        assert self.made(admin, scope="user+ip", value=["u", "10.0.0.8"])

    def test_of_others_and_of_what_lets_in_nothing_is_said(self, admin):
        assert self.made(admin, value="203.0.113.151") == []
        assert self.made(admin, kind="allow", value="10.0.0.9") == []
        assert self.made(admin, scope="user", value="10.0.0.9") == []
        assert self.made(admin, scope="user+device", value=["u", "10.0.0.9"]) == []
