"""Searches that are kept, rules made of them, and persons deleted, over HTTP."""

from __future__ import annotations

import pytest
import yaml

from sentinel.engine.expression import compile_expression
from sentinel.loader.assembly import assemble
from tests.api.whole import Whole, whole


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with whole(tmp_path_factory.mktemp("searches")) as found:
        yield found


LARGE = {"name": "Large orders", "q": "properties.total > 9", "filters": {"event": "order", "ip": "203.0.113.0/24"}}


def test_a_search_is_kept_changed_and_removed(server: Whole):
    mine = server.using("read")
    made = mine.post("/v1/searches", LARGE)
    assert made.status == 201
    kept = made.json
    assert (kept["name"], kept["q"]) == (LARGE["name"], LARGE["q"])
    assert kept["filters"] == {"event": "order", "user": None, "ip": "203.0.113.0/24"}
    assert mine.get("/v1/searches").json["items"] == [kept]
    changed = mine.ask("PUT", f"/v1/searches/{kept['id']}", {**LARGE, "name": "Larger"}).json
    assert (changed["name"], changed["owner"], changed["made"]) == ("Larger", kept["owner"], kept["made"])
    assert mine.delete(f"/v1/searches/{kept['id']}").status == 204
    assert mine.get(f"/v1/searches/{kept['id']}").status == 404


def test_a_search_is_its_owners_and_its_apps(server: Whole):
    id = server.using("admin").post("/v1/searches", LARGE).json["id"]
    assert server.using("read").get(f"/v1/searches/{id}").status == 200
    assert server.using("read").delete(f"/v1/searches/{id}").status == 403
    assert server.using("read").ask("PUT", f"/v1/searches/{id}", LARGE).status == 403
    assert server.using("admin", "two").get(f"/v1/searches/{id}").status == 404
    assert server.using("admin", "two").delete(f"/v1/searches/{id}").status == 404
    assert server.using("sdk").get("/v1/searches").status == 403
    assert server.using("admin").delete(f"/v1/searches/{id}").status == 204


@pytest.mark.parametrize(
    "wrong", [{"q": "nonsense ("}, {"filters": {"ip": "nowhere"}}, {"name": ""}, {"filters": {"usr": "x"}}]
)
def test_a_search_that_cannot_be_meant_is_not_kept(server: Whole, wrong):
    assert server.using("read").post("/v1/searches", LARGE | wrong).status == 422


@pytest.mark.parametrize(
    ("q", "event"),
    [
        ('event == "order" and properties.total > 9', None),
        ('matches(request.path, "a: b # c \\\\d")\n  and user != None', None),
        ("", "order: large #1"),
        ('properties.note == "é \' %"', "order"),
        ('properties.note == "\U0001f469\u200d\U0001f680"', "order \U0001f469"),
        ("success == True # not\nand properties.total > 9", None),
        ("properties.total\n  > 9", None),
    ],
)
def test_a_search_becomes_a_rule_that_the_loader_takes(server: Whole, q, event):
    sent = {"name": "large-orders", "title": 'Large: "orders" #1', "q": q, **({"event": event} if event else {})}
    answer = server.using("read").post("/v1/searches/rule", sent)
    assert answer.status == 200, answer.body
    assert answer.json["file"] == "large-orders.yaml"
    document = yaml.safe_load(answer.json["yaml"])
    assert document["title"] == 'Large: "orders" #1'
    rules = assemble({"a.yaml": answer.json["yaml"].encode()}).rules
    assert list(rules) == ["large-orders"]
    made = rules["large-orders"].where
    assert made is None if not q else made is not None and made.code == compile_expression(q).code


@pytest.mark.parametrize(
    "wrong", [{"name": "Large Orders"}, {"name": "../x"}, {"q": "", "event": None}, {"q": "evnt == 1"}]
)
def test_what_cannot_be_a_rule_is_refused(server: Whole, wrong):
    sent = {"name": "large", "q": "properties.total > 9"} | wrong
    assert server.using("read").post("/v1/searches/rule", sent).status == 422


def test_a_deleted_person_stays_deleted_when_the_events_are_sent_again(server: Whole):
    sdk, admin = server.using("sdk"), server.using("admin")
    events = [
        {"id": "in", "event": "auth", "success": True, "user": {"id": "42", "email": "jane@example.com"},
         "timestamp": 1_763_000_000},
        {"id": "view", "event": "view", "user": {"email": "jane@example.com"}, "timestamp": 1_763_000_001},
    ]  # fmt: skip
    assert sdk.post("/v1/events", events).json["accepted"] == 2
    assert server.using("read").delete("/v1/users/42").status == 403
    done = admin.delete("/v1/users/email:jane@example.com?why=asked").json
    assert done["events"] == 2
    assert admin.get("/v1/events?user=42").json["items"] == []
    again = sdk.post("/v1/events", events).json
    assert (again["accepted"], again["duplicates"]) == (0, 2)
    fresh = [{**event, "id": f"other {event['id']}"} for event in events]
    assert server.using("admin").post("/v1/import", fresh).json["accepted"] == 0
    assert admin.get("/v1/events?q=user.email+!%3D+None").json["items"] == []
    assert admin.get("/v1/users/42").json["identifiers"] == ["id:42"]
    assert b"jane" not in admin.get("/v1/audit").body
    assert sdk.post("/v1/events", [{"event": "view", "user": "42"}]).json["accepted"] == 1
