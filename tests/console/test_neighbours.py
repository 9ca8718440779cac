"""Whoever is kept to one app: the console shows and changes nothing of another's, whatever ids are known."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from itertools import count
from urllib.parse import unquote

import pytest

from sentinel.console import site
from sentinel.core.duration import HOUR
from sentinel.core.wire import SDK_HEADER
from tests.api.served import Stream, wait_for
from tests.api.test_walls import Nobody
from tests.console.visiting import PASSWORD, Reader, text
from tests.contract.values import batch, finding, put

MARKER = "neighbour"  # stands in everything app `two` holds
ADDRESS = "203.0.113.66"
NAMED = sorted(f"{route.method} {route.path}" for route in site.routes() if "{" in route.path and not route.server)
STREAMS = ("/explorer/tail",)
SHOWN = (
    "decisions", "allow", "labels", "keys", "findings", "searches", "audit", "schema", "events", "enforcement",
    f"users/id:{MARKER}", "outbox?dead=true",
)  # fmt: skip
# Pages of lists as they are asked in other ways.
ASKED = [
    "/addresses?sort=users", "/addresses?sort=findings", "/people?sort=events", "/people?sort=findings",
    "/explorer/export?format=csv", "/findings/export?format=ocsf", "/reports/series?group_by=user",
    "/reports?period=week", "/reports/series?group_by=properties.note", "/playbooks/of/three-failures",
]  # fmt: skip
# What is done without an id in the address, to things of app `two`.
DONE = {
    "/people/delete": {"key": f"id:{MARKER}", "again": f"id:{MARKER}"},
    "/people/part": {"key": f"username:{MARKER}"},
    "/people/decide": {"kind": "block", "scope": "user", "value": f"id:{MARKER}", "reason": "walls", "for": "1d"},
    "/people/free": {"scope": "user", "value": f"id:{MARKER}", "why": "walls", "for": "1d"},
    "/people/lift": {"scope": "user", "value": f"id:{MARKER}", "id": "decisions", "why": "walls"},
    "/people/label": {"scope": "user", "value": f"id:{MARKER}", "name": "walls", "for": "1d"},
    "/people/unlabel": {"scope": "user", "value": f"id:{MARKER}", "name": f"{MARKER}-label"},
    "/decisions/new": {"kind": "block", "scope": "user", "value": f"id:{MARKER}", "reason": "walls", "for": "1d"},
    "/decisions/lift": {"playbook": "three-failures", "why": "walls"},
    "/decisions/allowed/add": {"scope": "user", "value": f"id:{MARKER}", "reason": "walls", "for": "1d"},
    "/explorer/searches": {"name": "walls"},
    "/settings/app": {"name": "walls"},
    "/settings/deliveries/revive": {},
    "/settings/enforcement": {"turn": "off", "why": "walls"},
    "/settings/keys": {"scope": "read"},
    "/settings/properties": {"path": "note", "turn": "on"},
}
# Pages with figures that name nobody.
COUNTED = [
    "/explorer?q=event+%3D%3D+%22only-two%22", "/reports/funnel?step=only-two&step=only-two",
    "/reports/retention?start=only-two", "/playbooks/of/three-failures?group=ip%3D203.0.113.91",
    "/overview", "/reports", "/reports/series", "/playbooks", "/playbooks/of/three-failures", "/settings",
]  # fmt: skip
FRESH = count(1)
NOT_THERE = {"/people/part", "/people/lift", "/people/unlabel", "/settings/properties"}


@pytest.fixture(scope="module")
def ids(console):
    """Put one of each thing into app `two` and return their ids by the word that their pages begin with."""
    whole, admin = console.whole, console.whole.using("admin", "two")
    courier = whole.server.courier
    kept, courier._channels = courier._channels, Nobody()
    whole.fail(ADDRESS, user=MARKER, times=1, app="two", properties={"note": MARKER}, id=f"{MARKER}-event")
    whole.fail(ADDRESS, user=MARKER, app="two", properties={"note": MARKER})
    known = {"event": MARKER, "user": {"id": MARKER, "username": MARKER}, "properties": {f"{MARKER}-property": 1}}
    whole.using("sdk", "two").post("/v1/events", known)
    admin.post("/v1/labels", {"kind": "user", "target": MARKER, "name": f"{MARKER}-label"})
    dead = wait_for(lambda: admin.get("/v1/outbox?dead=true").json["items"])
    courier._channels = kept
    why = {"reason": MARKER}
    decision = admin.post("/v1/decisions", {"kind": "block", "scope": "user", "value": MARKER, **why}).json["id"]
    allowance = admin.post("/v1/allow", {"scope": "user", "value": f"{MARKER}-2", **why}).json["id"]
    return {
        "decisions": decision, "allowed": allowance,
        "keys": admin.post("/v1/keys", {"scope": "read", "name": MARKER}).json["id"],
        "findings": admin.get("/v1/findings?playbook=three-failures").json["items"][0]["id"],
        "deliveries": str(dead[0]["id"]),
        "searches": admin.post("/v1/searches", {"name": MARKER}).json["id"], "events": f"{MARKER}-event",
        "people": f"id:{MARKER}", "addresses": ADDRESS,
    }  # fmt: skip


def filled(name, ids):
    """Return the method and the path of a route, with the id of app `two` that belongs there."""
    method, path = name.split(" ")
    words = [word for word in path.split("/") if word in ids]
    return method, re.sub(r"\{[^}]+\}", ids[words[-1]] if words else f"{MARKER}-other", path)


def picture(console):
    shown = (console.whole.using("admin", "two").get(f"/v1/{one}").body for one in SHOWN)
    return [re.sub(rb'"used":[^,]*', b"", body) for body in shown]  # when a key was used is noted once a minute


@pytest.mark.parametrize("name", NAMED)
def test_an_id_of_another_app_leads_to_nothing_of_it_and_changes_nothing(console, ids, name):
    before, (method, path) = picture(console), filled(name, ids)
    reader = console.reader("admin", everywhere=False)
    for asked in (path, f"{path}?app=one", f"{path}?app=two"):
        fields = {"why": "walls", "status": "confirmed", "for": "1d", "note": "walls", "reason": "walls"}
        answer = reader.get(asked) if method == "GET" else reader.post(asked, fields)
        assert answer.status < 500
        named = unquote(re.split(r"[?]", path)[0].removeprefix(name.split(" ")[1].partition("{")[0]))
        body = unquote(answer.body.decode()).replace(named, "")  # what was asked for is named
        assert MARKER not in body
        assert ADDRESS not in body
        if "app=two" in asked or method == "POST":
            assert answer.status == 404
    assert picture(console) == before


def test_its_own_administrator_sees_what_the_walls_keep_in(console, ids):
    """Hold the tests above and below to account."""
    reader = console.invited("of-two", "admin", ("two",))
    for word in ("findings", "decisions"):
        assert MARKER in reader.page(f"/{word}/{ids[word]}")
    for path in [
        "/people", "/explorer", "/explorer/words", "/settings/keys", "/settings/audit", "/decisions",
        "/decisions/allowed/list", "/reports/names", *ASKED[2:9],
    ]:  # fmt: skip
        assert MARKER in reader.page(path), path
    for path in ("/addresses", "/findings", *ASKED[:2]):
        assert ADDRESS in reader.page(path), path


def test_no_list_names_the_other_app_or_anything_of_it(console, ids):
    reader = console.reader("admin", everywhere=False)
    pages = [f"{route.path}" for route in site.routes() if route.method == "GET" and route.role and not route.server]
    for path in (*(path for path in pages if "{" not in path and path not in STREAMS), *ASKED):
        answer = reader.get(path)
        assert answer.status < 500
        assert MARKER not in answer.body.decode(), path
        assert ADDRESS not in answer.body.decode(), path
        assert "nobody there" not in answer.body.decode(), path  # as its deliveries were told


@pytest.mark.parametrize("page", ["/people", "/people/id:both", "/addresses", "/addresses/203.0.113.90"])
def test_whom_two_apps_know_each_knows_by_itself(console, page):
    """What app `two` decides about them and calls them is not seen in app `one`, whose users they are as well."""
    reader, admin = console.reader("admin", everywhere=False), console.whole.using("admin", "two")
    for app in ("one", "two"):
        console.whole.using("sdk", app).post("/v1/events", {"event": "x", "user": "both", "ip": "203.0.113.90"})
    before = text(console.reader("admin", everywhere=False).get(page)).lower().count("block")
    for scope, value in (("user", "both"), ("ip", "203.0.113.90")):
        admin.post("/v1/labels", {"kind": scope, "target": value, "name": "label-of-two"})
        made = {"kind": "block", "scope": scope, "value": value, "reason": "reason-of-two"}
        assert admin.post("/v1/decisions", made).status == 201
    said = text(reader.get(page))
    assert "label-of-two" not in said and "reason-of-two" not in said
    assert said.lower().count("block") == before
    own = text(console.invited(f"of-two-{len(page)}", "admin", ("two",)).get(page))
    assert "label-of-two" in own or own.lower().count("block") > before


def test_the_tail_tells_ones_own_app_alone(console):
    reader = console.reader("admin", everywhere=False)
    stream = Stream(reader.client.port, "/explorer/tail", reader._head(None).items())
    try:
        assert (stream.status, stream.block()) == (200, [":"])
        for app in ("two", "one"):
            sent = {"event": f"told-{app}", "user": f"told-{app}"}
            console.whole.using("sdk", app).post("/v1/events", sent)
        while (rows := stream.block()) and rows[0].startswith(":"):
            pass
        assert "told-one" in "".join(rows) and "told-two" not in "".join(rows)
    finally:
        stream.close()


def test_the_tail_ends_once_its_reader_reaches_the_app_no_more(console):
    accounts, hub = console.server.accounts, console.server.hub
    invited = accounts.invite("of-one-tail", "viewer", ("one",), "test")
    reader = Reader(console.whole.client, accounts.accept(invited.code, "", PASSWORD))
    stream = Stream(reader.client.port, "/explorer/tail", reader._head(None).items())
    try:
        assert (stream.status, stream.block()) == (200, [":"])
        accounts.change(invited.account.id, "viewer", ("two",), "test")
        asyncio.run_coroutine_threadsafe(hub.sweep(), hub._loop).result(60)  # which it does by itself each second
        console.whole.using("sdk").post("/v1/events", {"event": "told-no-more", "user": "told-no-more"})
        while (rows := stream.block()) and rows[0].startswith(":"):
            pass
        assert rows == []
    finally:
        stream.close()


def goes_on(console):
    """Let everything that pages count become more in app `two`, and turn its switch."""
    whole, admin, number = console.whole, console.whole.using("admin", "two"), next(FRESH)
    heard = {SDK_HEADER: json.dumps({"instance": f"only-two-{number}", "enforcing": True})}
    events = [{"event": "only-two", "user": f"only-two-{number}-{one}"} for one in range(7)]
    events.append({"event": "only-two", "properties": {f"fresh-{number}": 1}})
    assert whole.using("sdk", "two").post("/v1/events", events, headers=heard).json["accepted"] == 8
    courier = whole.server.courier
    kept, courier._channels = courier._channels, Nobody()
    dead = len(given_up(admin))
    whole.fail(f"198.51.100.{number}", app="two")
    whole.fail("203.0.113.91", times=1, app="two")
    wait_for(lambda: len(given_up(admin)) > dead)
    courier._channels = kept
    newest = admin.get("/v1/findings?playbook=three-failures&limit=1").json["items"][0]["id"]
    assert admin.ask("PATCH", f"/v1/findings/{newest}", {"status": "false-positive"}).status == 200
    now = time.time_ns() // 1000
    earlier = finding(f"only-two-{number}", now - 30 * HOUR, playbook="three-failures")
    put(console.store, batch("two", now, findings=(earlier,)))
    on = admin.get("/v1/enforcement").json["app"]
    assert admin.ask("PUT", "/v1/enforcement", {"on": not on, "why": "walls"}).status == 200


def given_up(admin):
    return admin.get("/v1/outbox?dead=true&limit=1000").json["items"]


def test_what_is_counted_is_counted_in_ones_own_app_alone(console):
    """No word of app `two` stands on these pages but those that were asked for: their numbers would tell."""
    own = console.invited("of-two-counted", "admin", ("two",))
    kept = console.reader("admin", everywhere=False)
    console.whole.using("sdk").post("/v1/events", {"event": "only-two"})  # where nothing is, no chart is drawn
    console.whole.fail("198.51.100.200")

    def changed():
        before = [[figures(reader.get(page)) for page in COUNTED] for reader in (own, kept)]
        goes_on(console)
        after = [[figures(reader.get(page)) for page in COUNTED] for reader in (own, kept)]
        return [
            {page for page, was, is_now in zip(COUNTED, *said, strict=True) if was != is_now}
            for said in zip(before, after, strict=True)
        ]

    mine, others = changed()
    assert mine == set(COUNTED)
    for _ in range(4):  # of a minute that ends meanwhile a page may tell, but not each time
        others &= changed()[1] if others else set()
    assert others == set()


def figures(answer):
    """Return what a page says but how long ago anything was."""
    return text(re.sub(r"<time.*?</time>", "", answer.body.decode(), flags=re.DOTALL))


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("/playbooks", "guard holds"), ("/playbooks/of/only-watching", "guard holds"), ("/playbooks", " errors "),
        ("/playbooks/of/three-failures", "of app two"),
    ],
)  # fmt: skip
def test_what_is_amiss_with_a_playbook_is_told_in_its_own_app_alone(console, ids, page, word):
    pipeline = console.server.pipeline
    pipeline.tenants["two"].memory.ledger.trip("only-watching", time.time_ns() // 1000 + HOUR)
    pipeline.counts.errors["two", "three-failures", "of app two"] += 1
    own = console.invited(f"of-two-{len(page)}-{len(word)}", "viewer", ("two",))
    assert word in text(own.get(page))
    assert word not in text(console.reader("viewer", everywhere=False).get(page))


def test_a_property_that_two_apps_know_is_promoted_by_hand_in_one_of_them(console):
    for app in ("one", "two"):
        console.whole.using("sdk", app).post("/v1/events", {"event": "x", "properties": {"of-both": "x"}})
    admin = console.whole.using("admin", "two")
    wait_for(lambda: admin.ask("PUT", "/v1/schema/of-both", {"promoted": True}).status == 200)
    own = console.invited("of-two-promoted", "admin", ("two",)).page("/settings")
    assert "of-both string, by hand" in text(own) and '<option value="of-both">' not in own
    kept = console.reader("admin", everywhere=False).page("/settings")
    assert "of-both string, by hand" not in text(kept) and '<option value="of-both">' in kept


@pytest.mark.parametrize("path", DONE)
def test_what_is_done_without_an_id_is_done_in_ones_own_app(console, ids, path):
    before, fields = picture(console), {**DONE[path], **({"id": ids["decisions"]} if "id" in DONE[path] else {})}
    reader = console.reader("admin", everywhere=False)
    assert reader.post(f"{path}?app=two", fields).status == 404
    answer = reader.post(path, fields)
    assert answer.status == 404 if path in NOT_THERE else answer.status in (200, 303), answer.body.decode()[-300:]
    assert picture(console) == before
    if path == "/settings/enforcement":
        reader.done(path, {"turn": "on", "why": "walls"})


@pytest.mark.parametrize("file", ["", "../../etc/passwd", "/etc/passwd", "a/../../b.yaml", "x.yaml\0", ".hidden.yaml"])
@pytest.mark.parametrize("role", ["analyst", "admin"])
def test_playbooks_are_every_apps_and_whoever_is_kept_to_one_cannot_write_them(console, file, role):
    folder = console.server.settings.playbooks[0]
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    text = "playbook: mine\nevent: x\ngroup_by: user\nwindow: 1m\nwhen: {count: 1}\n"
    fields = {"do": "save", "text": text, "file": file, "name": "mine.yaml", "mark": "", "anyway": "on"}
    answer = console.reader(role, everywhere=False).post("/playbooks/edit", fields)
    assert answer.status == (403 if not file else 422)
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    "name",
    ["../x.yaml", "/tmp/x.yaml", "x.yaml/../../y.yaml", ".x.yaml", "x.txt", "x", "X.yaml", "a\0.yaml", "a\n.yaml"],
)
def test_a_new_files_name_leads_nowhere_else(console, name):
    folder = console.server.settings.playbooks[0]
    before = sorted(folder.parent.rglob("*.yaml"))
    fields = {"do": "save", "text": "rule: mine\nevent: x\n", "name": name, "mark": "", "anyway": "on"}
    for named in ({"name": name}, {"file": name}):
        answer = console.reader("admin").post("/playbooks/edit", {**fields, **named})
        assert 400 <= answer.status < 500
    assert sorted(folder.parent.rglob("*.yaml")) == before


@pytest.fixture(scope="module")
def own(console, ids):
    """Put findings, a search and a link into app `one` by what was in no other; return what is to be named."""
    whole, admin = console.whole, console.whole.using("admin")
    for number in range(2):
        whole.fail(f"203.0.113.{100 + number}", user="of-one", properties={"note": "note-of-one"})
    known = {"event": "signup", "user": {"id": "of-one", "username": "of-one-name"}}
    whole.using("sdk").post("/v1/events", known)
    found = admin.get("/v1/findings?playbook=three-failures&limit=2").json["items"]
    return [one["id"] for one in found], admin.post("/v1/searches", {"name": "of-one"}).json["id"]


def test_what_is_done_by_hand_is_done_and_told_in_ones_own_app(console, ids, own):
    """Each change is made, nothing of app `two` becomes another, and the listeners of app `one` alone hear of it."""
    (first, second), search = own
    reader, state = console.reader("admin", everywhere=False), console.server.front.console._pages.state
    before, told = picture(console), []
    block = {"kind": "block", "scope": "user", "value": "of-one", "reason": "walls", "for": "1d"}
    free = {"scope": "ip", "value": "203.0.113.101", "reason": "walls", "for": "1d", "lift": "on"}
    shown = reader.page(f"/findings/{first}")
    assert "only counted" not in shown and "/decisions/" in shown
    kept, state.context = state.context, replace(state.context, told=told.append)
    try:
        reader.done(f"/findings/{first}/mark", {"status": "confirmed", "note": "walls"})
        reader.done(f"/findings/{second}/pardon", {"why": "walls", "for": "1d"})
        reader.done(f"/findings/{first}/prolong", {"why": "walls", "for": "1d"})
        reader.done("/decisions/new", block)
        reader.done("/decisions/allowed/add", free)
        made = console.whole.using("admin").get("/v1/decisions?value=id:of-one").json["items"][0]["id"]
        reader.done(f"/decisions/{made}/lift", {"why": "walls"})
        reader.done("/people/decide", block)
        made = console.whole.using("admin").get("/v1/decisions?value=id:of-one").json["items"][0]["id"]
        reader.done("/people/lift", {"scope": "user", "value": "id:of-one", "id": made, "why": "walls"})
        reader.done("/people/part", {"key": "username:of-one-name"})
        reader.done("/people/delete", {"key": "id:of-one", "again": "id:of-one"})
    finally:
        state.context = kept
    assert told == ["one"] * len(told) and len(told) == 9
    admin = console.whole.using("admin")
    assert admin.get(f"/v1/findings/{first}").json["status"] == "confirmed"
    assert admin.get(f"/v1/findings/{second}").json["status"] == "false-positive"
    reader.done(f"/explorer/searches/{search}/rename", {"name": "renamed"})
    assert admin.get(f"/v1/searches/{search}").json["name"] == "renamed"
    reader.done(f"/explorer/searches/{search}/remove")
    assert admin.get(f"/v1/searches/{search}").status == 404
    assert picture(console) == before


def test_a_draft_is_judged_by_the_events_of_ones_own_app_alone(console, ids):
    draft = "playbook: walls\nevent: auth\nwhere: ip == '203.0.113.110'\ngroup_by: user\nwindow: 1m\nwhen: {count: 1}\n"
    console.whole.fail("203.0.113.110", user=f"{MARKER}-drafted", times=1, app="two")
    fields = {"do": "backtest", "text": draft, "file": "", "name": "", "mark": "", "since": "7d"}
    mine, others = (
        text(reader.post("/playbooks/edit", fields))
        for reader in (console.invited("of-two-drafts", "admin", ("two",)), console.reader("admin", everywhere=False))
    )
    assert f"{MARKER}-drafted" in mine
    assert f"{MARKER}-drafted" not in others


def test_who_is_linked_in_another_app_is_not_linked_in_ones_own(console):
    """App `two` knows that its two identifiers are one person."""
    linked = {"event": "signup", "user": {"id": "hidden-id", "username": "shown-name"}}
    assert console.whole.using("sdk", "two").post("/v1/events", linked).json["accepted"] == 1
    reader, own = console.reader("admin", everywhere=False), console.invited("of-two-linked", "admin", ("two",))
    page, label = "/people/username:shown-name", {"scope": "user", "value": "username:shown-name", "name": "of-one"}
    assert "hidden-id" in own.page(page)
    reader.done("/people/label", {**label, "for": "1d"})
    assert "hidden-id" not in reader.page(page)
    labels = console.whole.using("admin").get("/v1/labels?name=of-one").json["items"]
    assert [one["target"] for one in labels] == ["username:shown-name"]
    reader.done("/people/unlabel", label)
    assert console.whole.using("admin").get("/v1/labels?name=of-one").json["items"] == []
