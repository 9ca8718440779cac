"""The pages of people and addresses: who was there, what they met, what can be done about them, and by whom."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from sentinel.core.batch import Batch
from sentinel.core.decision import Decision
from sentinel.service import hand
from tests.api.served import wait_for
from tests.console.visiting import text


@pytest.fixture(scope="module", autouse=True)
def events(console):
    """Somebody with two identifiers who fails, somebody who does not, and another app's user of the same key."""
    who = {"id": "mallory", "email": "m@example.com"}
    known = {"event": "auth", "success": True, "user": who, "ip": "198.51.100.7"}
    assert console.whole.using("sdk").post("/v1/events", known).json["accepted"] == 1
    console.whole.fail("198.51.100.7", user=who, times=5)
    for app, user in (("one", "quiet/one?x=1"), ("one", "unloved"), ("two", "mallory"), ("two", "theirs")):
        event = {"event": "visit", "user": user, "ip": "198.51.100.8", "properties": {"secret": f"of {app}"}}
        assert console.whole.using("sdk", app).post("/v1/events", event).json["accepted"] == 1
    wait_for(lambda: "id:unloved" in text(console.reader().page("/people")))


def test_people_are_listed_in_each_order_and_found_by_key(console):
    reader = console.reader("viewer")
    for sort in ("last", "events", "findings"):
        said = text(reader.page(f"/people?sort={sort}"))
        assert "id:mallory" in said and "id:theirs" not in said
    assert said.index("id:mallory") > 0 and "id:unloved" not in said
    begins = text(reader.page("/people?begins=id:un"))
    assert "id:unloved" in begins and "id:mallory" not in begins
    assert "Nobody's key begins like that" in text(reader.page("/people?begins=nobody"))


def test_a_box_leads_to_a_person_to_an_address_and_to_the_decision_a_customer_names(console):
    reader = console.reader("viewer")
    console.store.decisions.add("one", Decision("told-1", "block", "ip", "203.0.113.66", made=1, by="jane"), "test", 1)
    for typed, leads in (
        ("mallory", "/people/id%3Amallory"), (" id:198.51.100.7 ", "/people/id%3A198.51.100.7"),
        ("198.51.100.7", "/addresses/198.51.100.7"), ("2001:DB8::1", "/addresses/2001%3Adb8%3A%3A1"),
        ("told-1", "/decisions/told-1"), ("", "/people"),
    ):  # fmt: skip
        to = reader.get(f"/people/find?key={quote(typed)}")
        assert to.headers["location"].partition("?")[0] == leads, typed


def test_a_persons_page_says_what_they_did_and_met_and_nothing_of_another_app(console):
    said = text(console.reader("viewer").page("/people/id:mallory"))
    assert "email:m@example.com" in said
    assert "Your account was blocked on" in said or "Your account is not blocked" in said
    assert "198.51.100.7" in said and "finding" in said
    assert "of two" not in said and "198.51.100.8" not in said
    assert "Decide by hand" not in said and "Delete this person" not in said
    assert "Delete this person" not in text(console.reader("analyst").page("/people/id:mallory"))


def test_buttons_that_say_the_same_are_told_apart_by_those_who_hear_them(console):
    admin = console.reader()
    for value in ("192.0.2.77", "192.0.2.78"):
        fields = {"scope": "ip", "value": value, "reason": "an office", "for": "1d"}
        admin.done("/decisions/allowed/add", fields)
    said = text(admin.page("/decisions/allowed/list"))
    assert "Take back 192.0.2.77" in said and "Take back 192.0.2.78" in said
    assert "Part email:m@example.com" in text(admin.page("/people/id:mallory"))


def test_a_networks_page_speaks_of_a_network(console):
    reader = console.reader("analyst")
    for network in ("10.0.0.0/8", "2001:db8::/48"):
        assert "Your network as a whole is not blocked" in text(reader.page(f"/addresses/{network}"))
    assert "Your address is not blocked" in text(reader.page("/addresses/10.1.2.3"))
    fields = {"kind": "block", "scope": "network", "value": "192.0.2.0/28", "reason": "x", "logins_only": "1"}
    reader.done("/decisions/new", fields, **{"for": "1d"})
    assert "Your network was blocked from logging in on" in text(reader.page("/addresses/192.0.2.0/28"))
    assert "Your address was blocked from logging in on" in text(reader.page("/addresses/192.0.2.3"))


def test_what_a_person_decided_is_told_alike_by_lists_pages_and_decisions(console):
    console.whole.fail("198.51.100.9", user="overruled", times=5)
    reader = console.reader("analyst")
    (block,) = console.store.decisions.list("one", value="198.51.100.9").items
    listed = r"198\.51\.100\.9 \d+ \d+ \d+ {}"
    wait_for(lambda: re.search(listed.format("block"), text(reader.page("/addresses"))))
    reader.done("/decisions/new", {"kind": "allow", "scope": "ip", "value": "198.51.100.9", "reason": "x", "for": "1d"})
    said = text(reader.page("/addresses/198.51.100.9"))
    assert "In force 1 allow" in said and "overruled by hand, ends in" in said
    assert re.search(r"Your address was blocked .* which our team lifted on", said)
    assert re.search(listed.format("allow"), text(reader.page("/addresses")))
    listed = text(reader.page("/decisions?who=198.51.100.9"))
    assert re.search(r"block 198\.51\.100\.9 .* overruled by hand", listed) and listed.count("overruled") == 1
    assert "1 more overruled by hand" in text(reader.page("/overview"))
    told = text(reader.page(f"/decisions/{block.decision.id}"))
    assert "overruled by hand" in told and "as long as a decision by hand stands in its place" in told
    read, allow = console.whole.using("read"), console.store.decisions.list("one", kind="allow", value="198.51.100.9")
    by, id, ways = allow.items[0].decision.id, block.decision.id, ("decisions?value=198.51.100.9", "ips/198.51.100.9")
    for items in (read.get(f"/v1/{way}").json for way in ways):
        shown = {one["id"]: one["overruled"] for one in items.get("items") or items["decisions"]}
        assert shown == {id: by, by: None}
    one, why = read.get(f"/v1/decisions/{id}").json, read.get(f"/v1/explain/decision/{id}").json["decision"]
    assert [(each["in_force"], each["overruled"]) for each in (one, why)] == [(True, by)] * 2
    reader.done("/people/decide", {"kind": "block", "scope": "user", "value": "id:twice", "reason": "x", "for": "1d"})
    assert "overruled" not in text(reader.page("/people/id:twice"))


def test_whichever_of_a_persons_keys_a_colleague_named_the_list_of_decisions_marks_what_does_not_count(console):
    came = {"event": "auth", "success": True, "user": {"id": "keys", "email": "keys@example.com"}}
    assert console.whole.using("sdk").post("/v1/events", came).status == 200
    made = Decision("on-the-id", "block", "user", "id:keys", made=1, playbook="three-failures")
    console.store.decisions.add("one", made, "test", 1)
    reader = console.reader("analyst")
    assert "overruled" not in text(reader.page("/decisions?who=id:keys"))
    form = {"kind": "allow", "scope": "user", "value": "email:keys@example.com", "reason": "x", "for": "1d"}
    reader.done("/decisions/new", form)
    assert "overruled by hand" in text(reader.page("/decisions?who=id:keys"))
    assert "overruled by hand" in text(reader.page("/decisions/on-the-id"))


def test_a_timeline_says_of_a_decision_that_it_was_lifted(console):
    admin, reader = console.whole.using("admin"), console.reader("analyst")
    body = {"kind": "block", "scope": "user", "value": "id:lifted", "reason": "x"}
    made = admin.post("/v1/decisions", body).json["id"]
    assert "lifted" not in text(reader.page("/people/id:lifted")).partition("Timeline")[2]
    assert admin.delete(f"/v1/decisions/{made}").status == 200
    assert re.search(r"block by hand lifted \d+ s ago", text(reader.page("/people/id:lifted")).partition("Timeline")[2])
    (line,) = admin.get("/v1/users/id:lifted").json["timeline"]
    assert line["lifted"] >= line["at"]


def test_of_many_decisions_in_force_the_first_five_are_told_and_the_rest_on_demand(console):
    for number in range(7):
        body = {"kind": "block", "scope": "user", "value": "id:often", "reason": f"reason {number}"}
        assert console.whole.using("admin").post("/v1/decisions", body).status == 201
    page = console.reader("analyst").page("/people/id:often")
    first, _, rest = page.partition("<summary>2 more</summary>")
    assert (first.count('id="lift-'), rest.count('id="lift-')) == (5, 2)


def test_an_administrator_parts_an_identifier_from_its_person(console):
    who = {"id": "shared", "email": "box@example.com"}
    known = {"event": "auth", "success": True, "user": who, "ip": "198.51.100.7"}
    assert console.whole.using("sdk").post("/v1/events", known).json["accepted"] == 1
    admin, fields = console.reader(), {"key": "email:box@example.com"}
    assert "Part for good" not in admin.page("/people/id:unloved")
    assert "email:box@example.com" in text(admin.page("/people/id:shared"))
    where = admin.done("/people/part", fields)
    assert where.startswith("/people/id%3Ashared?") and "email:box@example.com" not in text(admin.page(where))
    assert admin.post("/people/part", fields).status == 404
    assert admin.post("/people/part", {"key": "id:shared"}).status in (404, 422)


def test_a_key_with_signs_of_addresses_in_it_has_its_page(console):
    listed = console.reader().page("/people?begins=id:quiet")
    link = re.search(r'href="(/people/[^"]*quiet[^"]*)"', listed)
    assert link and quote("id:quiet/one?x=1", safe="") in link[1]
    page = text(console.reader().page(link[1].replace("&amp;", "&")))
    assert "id:quiet/one?x=1" in page and "visit" in page


def test_nobody_knows_an_unknown_key_and_the_page_says_so(console):
    page = console.reader().page("/people/%2B49%2030%201")
    said = text(page)
    assert "Nobody of that key was seen" in said and "not blocked" not in said
    assert 'user.phone == "+49 30 1"' in said and 'href="/explorer?' in page
    assert "telephone" not in text(console.reader().page("/people/id:nobody"))


def test_an_address_that_failed_logins_alone_named_beside_another_identifier_leads_to_their_events(console):
    sent = {
        "event": "auth",
        "success": False,
        "user": {"id": "tried-1", "email": "Tried@Example.com"},
        "ip": "192.0.2.77",
    }
    assert console.whole.using("sdk").post("/v1/events", sent).json["accepted"] == 1
    page = console.reader().page("/people/Tried@Example.com")
    (search,) = re.findall(r'href="(/explorer\?[^"]*user.email[^"]*)"', page)
    assert "Whose events tell it as their e-mail address" in text(page)
    assert "id:tried-1" in text(console.reader().page(search.replace("&amp;", "&")))


def test_what_is_no_address_is_told_to_be_none(console):
    assert console.reader().get("/addresses/nonsense").status == 422


def test_somebody_is_blocked_answered_lifted_and_answered_again(console):
    reader, fields = console.reader("analyst"), {"scope": "user", "value": "id:unloved"}
    to = reader.done("/people/decide", fields, kind="block", reason="spam ring <i>7</i>", **{"for": "1d"})
    assert to.startswith("/people/id%3Aunloved?") and "done=blocked" in to
    page = text(reader.page(to))
    assert "Your account was blocked on" in page and "a member of our team decided so" in page
    answer = re.search(r'<blockquote id="the-answer">(.*?)</blockquote>', reader.page("/people/id:unloved"))
    assert answer and "spam ring" not in answer[1]
    assert "block" in text(console.reader("viewer").page("/people?begins=id:unloved"))
    (kept,) = console.store.decisions.list("one", now=1, value="id:unloved").items
    assert reader.post("/people/lift", fields, id=kept.decision.id).status == 422
    reader.done("/people/lift", fields, id=kept.decision.id, why="a mistake")
    assert "which our team lifted on" in text(reader.page("/people/id:unloved"))
    assert reader.post("/people/decide", {"scope": "user+ip", "value": "x", "kind": "block"}).status == 422
    assert reader.post("/people/lift", fields, id="unknown", why="x").status == 404


def test_somebody_is_let_back_in_by_one_form_whatever_stops_them(console):
    whole, reader, fields = console.whole, console.reader("analyst"), {"scope": "user", "value": "id:back"}
    assert "Let them back in" not in reader.page("/people/id:back")
    store, device = console.store.decisions, '["id:back","0123456789abcdef"]'
    store.add("one", Decision("free-all", "challenge", "user", "id:back", made=1, playbook="three-failures"), "test", 1)
    store.add("one", Decision("free-one", "block", "user+device", device, made=1, playbook="three-failures"), "test", 1)
    store.add("one", Decision("free-kept", "allow", "user", "id:back", made=1, by="jane"), "test", 1)
    reader.done("/people/decide", fields, kind="block", reason="a colleague's", **{"for": "1d"})
    assert "Let them back in" in reader.page("/people/id:back")
    told = reader.page("/decisions/free-one")
    assert "2 other decisions stop them as well" in text(told) and 'href="/people/id%3Aback' in told
    assert "stop them as well" not in text(reader.page("/decisions/free-kept"))
    assert "Let them back in" not in console.reader("viewer").page("/people/id:back")
    assert reader.post("/people/free", fields, **{"for": ""}).status == 422
    reader.done("/people/free", fields, why="it was their flat mate", **{"for": ""})
    held = whole.using("read").get("/v1/users/id:back").json["decisions"]
    assert [one["id"] for one in held] == ["free-kept"]
    assert "id:back" not in [one.value for one in console.store.allow.list("one")]
    assert "What stopped them is lifted" in text(reader.page("/people/id:back?done=let-in"))
    assert "Let them back in" not in reader.page("/people/id:back")


def test_who_is_stopped_by_their_address_alone_is_told_on_their_page_and_the_other_way_round(console):
    assert "In force on their addresses" not in text(console.reader().page("/people/id:both"))
    sdk = console.whole.using("sdk")
    sdk.post("/v1/events", [{"event": "visit", "user": "both", "ip": ip} for ip in ("203.0.113.71", "203.0.113.72")])
    add = console.store.decisions.add
    add("one", Decision("at-71", "block", "network", "203.0.113.71/32", made=1, by="jane"), "test", 1)
    add("one", Decision("at-72", "allow", "ip", "203.0.113.72", made=1, by="jane"), "test", 1)
    add("one", Decision("on-both", "challenge", "user", "id:both", made=1, by="jane"), "test", 1)
    wait_for(lambda: "In force on their addresses" in text(console.reader().page("/people/id:both")))
    for page, head, says, says_not in (
        ("/people/id:both", "In force on their addresses", "block 203.0.113.71", "203.0.113.72"),
        ("/addresses/203.0.113.72", "In force on users seen here", "challenge id:both", "allow"),
    ):
        told = text(console.reader().page(page)).partition(head)[2].partition("Findings")[0]
        assert says in told and says_not not in told


def test_an_address_is_let_back_in_and_what_is_on_a_network_around_it_stays(console):
    reader, fields = console.reader("analyst"), {"scope": "ip", "value": "203.0.113.200"}
    for scope, value in (("ip", "203.0.113.200"), ("network", "203.0.113.192/28")):
        reader.done("/people/decide", {"scope": scope, "value": value}, kind="block", reason="x", **{"for": "1d"})
    reader.done("/people/free", fields, why="a school", **{"for": "1d"})
    held = console.whole.using("read").get("/v1/ips/203.0.113.200").json["decisions"]
    assert [one["value"] for one in held] == ["203.0.113.192/28"]
    (allowed,) = (one for one in console.store.allow.list("one") if one.value == "203.0.113.200")
    assert (allowed.reason, allowed.until is not None) == ("a school", True)


def test_where_nobody_more_can_be_excepted_nothing_is_lifted_either(console, monkeypatch):
    """What stopped them had ended, and the next finding stopped them again."""
    reader, fields = console.reader("analyst"), {"scope": "ip", "value": "203.0.113.230"}
    reader.done("/people/decide", fields, kind="block", reason="x", **{"for": "1d"})
    monkeypatch.setattr(hand, "MOST_ALLOWED", 0)
    assert reader.post("/people/free", fields, why="a school", **{"for": "1d"}).status == 409
    assert len(console.whole.using("read").get("/v1/ips/203.0.113.230").json["decisions"]) == 1


def test_lists_say_how_somebody_is_met_however_many_decisions_were_made_since(console):
    made = {"kind": "challenge", "made": 2, "reason": "x", "by": "test"}
    some = [Decision(id="early-user", scope="user", value="id:unloved", **made | {"made": 1}),
            Decision(id="early-net", scope="network", value="198.51.100.8/31", **made | {"made": 1})]  # fmt: skip
    some += [Decision(id=f"late{n}", scope="user", value=f"id:late{n}", **made) for n in range(1001)]
    with console.store.unit() as unit:
        unit.commit([Batch("one", 2, decisions=tuple(some))])
    assert re.search(r"id:unloved[^i]* challenge ", text(console.reader().page("/people?begins=id:unl")) + " ")
    assert re.search(r"198\.51\.100\.8 \d+ \d+ \d+ challenge", text(console.reader().page("/addresses")))
    assert "Your address was asked for a further proof" in text(console.reader().page("/addresses/198.51.100.8"))


def test_a_decision_on_somebody_at_one_address_is_on_their_page_and_is_lifted_there(console):
    reader = console.reader("analyst")
    fields = {"kind": "block", "scope": "user+ip", "value": "paired", "other": "198.51.100.3", "reason": "x"}
    reader.done("/decisions/new", fields, **{"for": "1d"})
    said = text(reader.page("/people/id:paired"))
    assert "Your account was blocked at one address on" in said and "id:paired at 198.51.100.3" in said
    (kept,) = console.store.decisions.list("one", users=["id:paired"]).items
    reader.done("/people/lift", {"scope": "user", "value": "id:paired", "id": kept.decision.id}, why="a mistake")
    assert "which our team lifted on" in text(reader.page("/people/id:paired"))


def test_a_label_is_put_on_and_taken_off(console):
    reader, fields = console.reader("analyst"), {"scope": "user", "value": "id:unloved", "name": "<i>vip</i>"}
    reader.done("/people/label", fields, **{"for": "forever"})
    assert console.store.labels.of("one", "user", "id:unloved", 1) == ("<i>vip</i>",)
    page = reader.page("/people/id:unloved")
    assert "&lt;i&gt;vip" in page and "<i>vip" not in page
    reader.done("/people/unlabel", fields)
    assert console.store.labels.of("one", "user", "id:unloved", 1) == ()
    assert reader.post("/people/unlabel", fields).status == 404
    assert reader.post("/people/label", {**fields, "name": "a\x1b[31m"}, **{"for": "1d"}).status == 422


def test_addresses_and_networks_have_pages_and_are_blocked(console):
    reader = console.reader("analyst")
    assert "198.51.100.7" in text(reader.page("/addresses?sort=findings"))
    assert "id:mallory" in text(reader.page("/addresses/198.51.100.0%2F24"))
    whole = {"scope": "network", "value": "198.51.100.0/24", "kind": "challenge", "for": "1h"}
    to = reader.done("/people/decide", whole, reason="x")
    assert to.startswith("/addresses/198.51.100.0%2F24")
    assert "Your address was asked for a further proof" in text(reader.page("/addresses/198.51.100.8"))
    assert "challenge" in text(reader.page("/addresses"))
    assert reader.get("/addresses/find?ip=198.51.100.8").headers["location"].startswith("/addresses/198.51.100.8")


@pytest.mark.parametrize(
    ("ip", "network", "other"),
    [
        ("198.51.101.5", "198.51.101.0/24", "198.51.101.128/25"),
        ("2001:db8:77::5", "2001:db8:77::/48", "2001:db8:77:1::/64"),
    ],
)
def test_the_page_of_a_network_has_the_findings_of_the_addresses_in_it(console, ip, network, other):
    console.whole.fail(ip)
    reader = console.reader()
    assert "Three failed logins" in text(reader.page(f"/addresses/{quote(network, safe='')}"))
    assert "No playbook found anything" in text(reader.page(f"/addresses/{quote(other, safe='')}"))
    told = console.whole.using("read").get(f"/v1/ips/{quote(network, safe='')}").json["findings"]
    assert "three-failures" in {one["playbook"] for one in told}


def test_refusals_in_a_row_are_one_line_and_leave_room_for_what_they_are_for(console):
    ip, other = "198.51.100.41", "198.51.100.42"
    console.whole.fail(ip, user="folded")
    refused = {"event": "sentinel.enforced", "user": "folded"}
    for events in ([{**refused, "ip": ip}] * 3, [{**refused, "ip": other}]):
        assert console.whole.using("sdk").post("/v1/events", events).status == 200
    _, _, timeline = text(console.reader("viewer").page("/people/id:folded")).partition("Timeline")
    assert re.search(rf"enforced {other} .*enforced 3 of the newest 50 {ip} .*auth failed", timeline)
    assert timeline.partition("Labels")[0].count("enforced") == 2


def test_decisions_tell_their_kind_and_what_they_are_kept_to(console):
    said = {"reason": "x", "scope": "user"}
    at = {**said, "kind": "allow", "scope": "user+ip", "value": '["id:told","198.51.100.31"]'}
    for body in ({**said, "kind": "block", "value": "id:told", "logins_only": True}, at):
        assert console.whole.using("admin").post("/v1/decisions", body).status == 201
    page = console.reader("viewer").page("/people/id:told")
    held, _, timeline = text(page).partition("Timeline")
    assert "block by hand at logins only, for ever" in held
    assert "allow by hand 198.51.100.31" in timeline and "block by hand" in timeline
    assert '<li class="decision allow">' in page and '<li class="decision block">' in page


def test_a_person_is_deleted_by_an_administrator_who_types_the_key(console):
    console.whole.fail("198.51.100.99", user="leaving", times=1)
    admin, fields = console.reader(), {"key": "id:leaving"}
    assert console.reader("analyst").post("/people/delete", fields, again="id:leaving").status == 403
    wrong = admin.post("/people/delete", fields, again="id:other")
    assert wrong.status == 422 and "not this person" in text(wrong)
    assert admin.done("/people/delete", fields, again="leaving", why="request 7").endswith("done=person-deleted")
    wait_for(lambda: "Nobody of that key was seen" in text(admin.page("/people/id:leaving")))
    assert "id:leaving" not in text(admin.page("/addresses/198.51.100.99"))


def test_a_list_of_addresses_that_is_cut_says_so(console):
    def page():
        return text(console.reader().page("/addresses?range=1h"))

    assert "The first 50 alone" not in page()
    seen = [{"event": "page", "ip": f"198.51.100.{number}"} for number in range(100, 151)]
    assert console.whole.using("sdk").post("/v1/events", seen).json["accepted"] == 51
    wait_for(lambda: "The first 50 alone. A shorter period shows others" in page())


def test_a_list_of_people_by_findings_that_is_cut_says_so(console):
    def page():
        return text(console.reader().page("/people?sort=findings&begins=id%3Aguessed"))

    tries = [{"event": "auth", "success": False, "user": f"guessed{number}"} for number in range(50)]
    assert console.whole.using("sdk").post("/v1/events", tries[:49]).json["accepted"] == 49
    assert "guessed48" in page() and "The first 50 alone" not in page()
    assert console.whole.using("sdk").post("/v1/events", tries[49:]).json["accepted"] == 1
    assert "The first 50 alone" in page()
