"""Searching stored events: with the rules' own language, page by page, live, and as files."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import quote, urlencode

import duckdb
import pytest

from tests.api.served import wait_for
from tests.api.whole import Whole, whole

AT = 1_763_760_600


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with whole(tmp_path_factory.mktemp("searching")) as found:
        yield found


@pytest.fixture
def sent(server: Whole) -> list[dict[str, Any]]:
    """Events of the app `one`, once."""
    events = [
        {
            "id": f"e{number}", "event": "order" if number % 2 else "view", "timestamp": AT + number,
            "user": {"id": str(number % 3), "email": f"u{number % 3}@Example.com"}, "ip": "203.0.113.9",
            "properties": {"total": number, "note": "=1+1" if number == 3 else "plain"},
        }
        for number in range(10)
    ]  # fmt: skip
    server.using("sdk").post("/v1/events", events)
    return events


def found(server: Whole, **asked: Any) -> list[str]:
    answer = server.using("read").get("/v1/events?" + urlencode(asked))
    assert answer.status == 200, answer.body
    return [one["id"] for one in answer.json["items"]]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("properties.total >= 8", ["e9", "e8"]),
        ('event == "order" and properties.total % 3 == 0', ["e9", "e3"]),
        ('matches(properties.note, "^=")', ["e3"]),
        ('user in ["id:1"] and not (properties.total < 7)', ["e7"]),
        ('domain(user.email) == "example.com" and properties.total == 0', ["e0"]),
        ('cidr(ip, "203.0.113.0/24") and properties.total in [1, 2]', ["e2", "e1"]),
        ("properties.missing != 3", []),
        ("  ", [f"e{number}" for number in range(9, -1, -1)]),
    ],
)
def test_events_are_found_by_a_condition_of_the_rules_language(server, sent, q, expected):
    assert found(server, q=q) == expected


def test_a_condition_and_fields_hold_together(server, sent):
    assert found(server, q="properties.total > 3", event="order", user="1") == ["e7"]
    assert found(server, q="properties.total > 3", **{"from": AT + 5, "to": AT + 7}) == ["e6", "e5"]


def test_another_app_finds_nothing_of_it(server, sent):
    answer = server.using("read", "two").get("/v1/events?q=" + quote("properties.total >= 0"))
    assert answer.json["items"] == []


def test_a_mistake_is_shown_with_its_place_and_what_may_be_meant(server):
    answer = server.using("read").get("/v1/events?q=" + quote('evnt == "x" and lenn(ip) > 1'))
    assert answer.status == 422
    error = answer.json["error"]
    assert error["code"] == "invalid"
    assert error["message"] == "`q`, column 1: `evnt` is not a field"
    assert error["hint"] == "did you mean `event`?"
    first, second = error["problems"]
    assert (first["offset"], first["length"], first["line"], first["column"]) == (0, 4, 1, 1)
    assert first["shown"].splitlines()[1:3] == ['    evnt == "x" and lenn(ip) > 1', "    ^^^^"]
    assert (second["offset"], second["column"]) == (16, 17)
    assert "`len`" in second["hint"]


def test_a_condition_that_is_too_long_is_refused(server):
    answer = server.using("read").get("/v1/events?q=" + quote("not " * 1500 + "success"))
    assert answer.status == 422
    assert answer.error["message"].startswith("`q`")


@pytest.mark.parametrize("q", ["", 'domain(user.email) == "example.com"'])
def test_pages_neither_skip_nor_repeat_while_events_arrive(server, q):
    """With a condition SQL can say, and with one that is asked event by event."""
    name = f"paged-{len(q)}"
    send = server.using("sdk").post
    event = {"event": name, "user": {"email": "a@example.com"}}
    send("/v1/events", [{**event, "id": f"{name}{number}", "timestamp": AT + number} for number in range(25)])
    seen, cursor = [], None
    while True:
        asked = {"event": name, "q": q, "limit": 4, **({"cursor": cursor} if cursor else {})}
        answer = server.using("read").get("/v1/events?" + urlencode(asked)).json
        seen += [one["id"] for one in answer["items"]]
        send("/v1/events", [{**event, "id": f"late{len(seen)}", "timestamp": AT + 100}])
        if (cursor := answer["cursor"]) is None:
            break
    assert seen == [f"{name}{number}" for number in range(24, -1, -1)]


def test_the_tail_tells_what_a_condition_holds_for(server):
    stream = server.using("read").stream("/v1/events/tail?q=" + quote("properties.total > 1"))
    try:
        assert stream.block() == [":"]
        for total in (1, 2):
            server.using("sdk").post("/v1/events", [{"event": "tailed", "properties": {"total": total}}])
        assert stream.event()["data"]["properties"] == {"total": 2}
    finally:
        stream.close()


def exported(server: Whole, format: str, **asked: Any) -> Any:
    answer = server.using("read").get("/v1/events/export?" + urlencode({"format": format, **asked}))
    assert answer.status == 200, answer.body
    assert f"events.{format}" in answer.headers["content-disposition"]
    return answer


def test_lines_of_json_hold_what_was_asked_for_oldest_first(server, sent):
    answer = exported(server, "ndjson", q="properties.total >= 8", event="order")
    assert [json.loads(line)["id"] for line in answer.body.splitlines()] == ["e9"]
    both = exported(server, "ndjson", q='domain(user.email) == "example.com" and properties.total > 7')
    assert [json.loads(line)["id"] for line in both.body.splitlines()] == ["e8", "e9"]


def test_csv_calculates_nothing(server, sent):
    rogue = {"event": "=cmd|calc!A0", "id": "+1", "timestamp": AT, "properties": {"a": 1}}
    server.using("sdk").post("/v1/events", [rogue])
    answer = exported(server, "csv", q='event in ["order", "=cmd|calc!A0"]', to=AT + 4)
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["id"] for row in rows] == ["'+1", "e1", "e3"]
    assert rows[0]["event"] == "'=cmd|calc!A0"
    assert json.loads(rows[2]["properties"]) == {"total": 3, "note": "=1+1"}
    assert rows[1]["user"] == "id:1"
    assert rows[1]["request.path"] == ""
    assert all(cell[:1] not in "=+-@" or not cell for row in rows for cell in row.values())


def test_csv_calculates_nothing_however_a_formula_begins(server):
    starts = ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "  @", "＝", "＋", "－", "＠"]
    agents = [f"{start}1+cmd|'/C calc'!A0" for start in starts]
    rogues = [
        {"event": "rogue", "id": f"r{n}", "timestamp": AT + n, "request": {"user_agent": agent, "path": "/=1"}}
        for n, agent in enumerate(agents)
    ]
    assert server.using("sdk").post("/v1/events", rogues).json["accepted"] == len(rogues)
    rows = list(csv.DictReader(io.StringIO(exported(server, "csv", event="rogue").body.decode(), newline="")))
    assert [row["request.user_agent"].replace("'", "") for row in rows] == [one.replace("'", "") for one in agents]
    assert all(row["request.user_agent"].startswith("'") for row in rows)
    assert {row["request.path"] for row in rows} == {"/=1"}


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_csv_calculates_nothing_where_another_separator_is_usual(server, separator):
    """There the quotes of a cell in the middle are no quotes, and what stands behind a separator begins a cell."""
    name = f"cut{ord(separator)}"
    agent = f"x{separator}=1+1 y{separator} @a\n=2+2\r+3{separator}b=c"
    event = {"event": name, "timestamp": AT, "request": {"user_agent": agent}, "properties": {"note": agent}}
    assert server.using("sdk").post("/v1/events", [event]).json["accepted"] == 1
    text = exported(server, "csv", event=name).body.decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    assert len(rows) > 2
    assert [cell for row in rows for cell in row if cell.lstrip(" ")[:1] in tuple("=+-@")] == []
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["request.user_agent"].replace("'", "") == agent


def test_a_parquet_file_holds_what_was_asked_for(server, sent, tmp_path):
    for q, expected in (("properties.total > 7", [8, 9]), ('domain(user.email) == "example.com"', list(range(10)))):
        file = tmp_path / "events.parquet"
        file.write_bytes(exported(server, "parquet", q=f"{q} and id != None", **{"from": AT, "to": AT + 60}).body)
        query = f"SELECT CAST(properties->>'total' AS INT), \"user\" FROM '{file}' WHERE id LIKE 'e%' ORDER BY 1"
        assert [row[0] for row in duckdb.execute(query).fetchall()] == expected


def test_an_export_in_no_known_format_is_refused(server):
    assert server.using("read").get("/v1/events/export?format=xls").status == 422


def test_the_schema_tells_names_properties_and_conflicts_and_what_is_promoted(server):
    server.using("sdk", "two").post("/v1/events", [
        {"event": "order", "id": "o1", "timestamp": AT, "user": "1", "properties": {"total": 3, "cart": {"id": "a"}}},
        {"event": "order", "id": "o2", "timestamp": AT + 5, "user": "2", "properties": {"total": "three", "x": 1}},
        {"event": "view", "timestamp": AT + 9},
    ])  # fmt: skip
    read, admin = server.using("read", "two"), server.using("admin", "two")
    schema = read.get("/v1/schema").json
    order, view = schema["events"]
    assert (order["name"], order["events"], order["users"], order["last"]) == ("order", 2, 2, "2025-11-21T21:30:05Z")
    assert view["name"] == "view"
    total = next(one for one in schema["properties"] if one["path"] == "total")
    assert (total["type"], total["conflicts"], total["promoted"], total["pinned"]) == ("number", 1, True, False)
    assert [read.get(f"/v1/events/{id}").json["conflicts"] for id in ("o1", "o2")] == [[], ["total"]]
    assert read.ask("PUT", "/v1/schema/total", {"promoted": True}).status == 403
    assert admin.ask("PUT", "/v1/schema/cart.id", {"promoted": True}).json["pinned"] is True
    assert admin.ask("PUT", "/v1/schema/cart.id", {"promoted": False}).json["pinned"] is False
    assert admin.ask("PUT", "/v1/schema/nothing", {"promoted": True}).status == 404
    written = admin.ask("PUT", "/v1/schema/properties.total", {"promoted": True})
    assert written.error["hint"] == "the schema names it without `properties.`: `total`"
    assert admin.ask("PUT", "/v1/schema/cart", {"promoted": True}).status == 422


@pytest.mark.parametrize("name", ["and/or", "a b", "50%", "é"])
def test_a_property_of_any_name_can_be_promoted(server, name):
    server.using("sdk").post("/v1/events", {"event": "named", "properties": {name: "x"}})
    path = f"/v1/schema/{quote(name, safe='')}"
    found = wait_for(lambda: server.using("admin").ask("PUT", path, {"promoted": True}).json.get("path"))
    assert found == name
    assert server.using("admin").ask("PUT", path, {"promoted": False}).json["pinned"] is False


def test_a_bare_name_is_the_user_of_whichever_identifier_the_app_knows_by_it(tmp_path):
    named = [{"username": "alice"}, {"username": "both"}, {"email": "Ana@Example.com"}, {"email": "both"}, {"id": "id"},
             {"username": "id"}]  # fmt: skip
    events = [{"id": f"n{number}", "event": "auth", "timestamp": AT, "user": user} for number, user in enumerate(named)]
    with whole(tmp_path) as server:
        server.using("sdk").post("/v1/events", events)
        reader = server.using("read")
        asked = {"alice": "n0", "username:alice": "n0", "Ana@example.com": "n2", "id": "n4", "username:id": "n5"}
        for user, id in asked.items():
            found = reader.get("/v1/events?user=" + quote(user)).json["items"]
            assert [one["id"] for one in found] == [id], user
            assert reader.get("/v1/users/" + quote(user)).json["events"] == 1, user
        assert reader.get("/v1/events?user=nobody").json["items"] == []
        assert reader.get("/v1/findings?user=alice").json["items"] == []
        error = reader.get("/v1/events?user=both").error
        assert error["message"] == "`user`: `both` may be several users"
        assert error["hint"] == "write `email:both` or `username:both`"
