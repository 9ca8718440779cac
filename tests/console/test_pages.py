"""What the pages show and do, asked for without a browser."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

import pytest

from sentinel.api import program
from sentinel.console import site
from sentinel.console.render import bound, dotted, environment, many, metric
from sentinel.core.batch import Note
from sentinel.core.errors import StoreBusy
from tests.api.served import wait_for
from tests.console.visiting import PASSWORD, text, visited

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with visited(tmp_path_factory.mktemp("empty")) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/overview", "No events in the last hour"),
        ("/overview", "Nothing found in a week"),
        ("/findings", "Nothing was found yet"),
        ("/findings?status=new", "No finding is like that"),
        ("/decisions", "Nothing is in force"),
        ("/decisions?who=203.0.113.9", "No decision is like that"),
        ("/decisions/allowed/list", "Nobody is allowed specially"),
    ],
)
def test_an_empty_list_says_why_it_is_empty(empty, path, words):
    assert words in text(empty.reader().page(path))


@pytest.mark.parametrize("path", ["/findings/none", "/decisions/none", "/findings/a/b", "/settings/nothing"])
def test_what_is_not_there_is_told_as_a_page(empty, path):
    answer = empty.reader().get(path)
    assert answer.status == 404
    assert "Not found" in text(answer)
    assert 'aria-label="Pages"' in answer.body.decode()


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nothing", "/console", "/wp-login.php", "/nothing/v1", "/static/none.js"])
def test_a_browser_at_no_address_is_shown_a_page(empty, path):
    for reader in (empty.reader(), empty.anybody()):
        answer = reader.get(path, BROWSER)
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "Not found" in text(answer) and "there is nothing at this address" in text(answer)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert empty.anybody().get(path).headers["content-type"] == "application/json"
    assert empty.anybody().post(path, headers=BROWSER).status in (404, 405)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/healthz", "/readyz/x", "/metrics/x", "/compat/nothing"])
def test_the_api_answers_a_browser_as_it_does_a_program(empty, path):
    answer = empty.anybody().get(path, BROWSER)
    assert answer.headers["content-type"] == "application/json"


def test_every_path_of_the_api_is_known_not_to_be_a_page():
    routes = [*program.PATHS, *program.ALLOWED]
    routes += [route.path for module in (*program.ROUTERS, program.health) for route in module.router.routes]
    assert {path.split("/")[1] for path in routes} | {"compat"} == program.WORDS


def test_a_form_from_another_site_is_refused_by_a_page(empty):
    answer = empty.anybody().post("/sign-in", headers={**BROWSER, "Origin": "https://evil.example"})
    assert (answer.status, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "the request comes from another site" in text(answer)


def test_an_app_that_is_not_there_is_told_to_whoever_is_signed_in(empty):
    answer = empty.reader().get("/overview?app=nowhere")
    assert answer.status == 404
    assert "there is no app `nowhere`" in text(answer)
    assert 'aria-label="Pages"' in answer.body.decode()


def finding(console, ip, playbook="three-failures"):
    return console.store.findings.list("one", ip=ip, playbook=playbook).items[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("count", "events"),
        ("distinct.user", "different users"),
        ("distinct.properties.code", "different values of properties.code"),
        ("sum.properties.rows", "sum of properties.rows"),
        ("step.2", "events of step 2"),
        ("ratio", "share of events"),
        ("made-up", "made-up"),
    ],
)
def test_what_a_figure_of_a_tally_counts_is_said_in_words(name, said):
    assert metric(name) == said
    assert bound("count >= 5 x mean") == "events ≥ 5 × the usual number"


def test_a_finding_shows_its_tally_its_threshold_and_its_events(console):
    console.whole.fail("203.0.113.1", user="ana", times=4, properties={"note": "from the test"})
    kept = finding(console, "203.0.113.1")
    said = text(console.reader().page(f"/findings/{kept.finding.id}"))
    assert "events ≥ 3 threshold ≥ 3 Within 10 min" in said
    assert "Evidence 3 events kept when it was found, 1 more since, the newest 20" in said
    assert said.count("from the test") == 3
    assert "block 203.0.113.1" in said


def hrefs(page):
    """Return where the links of a page lead, menus aside."""
    return {unescape(link).replace("app=one&", "").removesuffix("?app=one") for link in
            re.findall(r'<a[^>]* href="([^"]+)"', page[page.index("<main"):])}  # fmt: skip


def test_a_finding_says_how_many_events_are_counted_and_not_shown(console):
    console.whole.fail("203.0.113.47")
    reader, id = console.reader(), finding(console, "203.0.113.47").finding.id
    assert "only counted" not in text(reader.page(f"/findings/{id}"))
    console.whole.fail("203.0.113.47", times=1)
    assert "1 more is only counted, or no longer kept." in text(reader.page(f"/findings/{id}"))
    console.whole.fail("203.0.113.47", times=1)
    assert "Evidence 3 events kept when it was found, 2 more since" in text(reader.page(f"/findings/{id}"))
    assert "2 more are only counted, or no longer kept." in text(reader.page(f"/findings/{id}"))


@pytest.mark.parametrize(("kind", "says"), [("block", "lets them through at once"), ("allow", "no longer lets them")])
def test_what_lifting_comes_to_is_told_by_the_kind_of_a_decision(console, kind, says):
    fields = {"kind": kind, "scope": "user", "value": f"id:told-{kind}", "reason": "x", "for": "1h"}
    assert says in text(console.reader().page(console.reader().done("/decisions/new", fields)))


def test_a_finding_leads_to_whom_it_is_about_to_its_events_and_to_its_playbook(console):
    console.whole.fail("203.0.113.21", user="odd/one?x=1", times=3)
    kept, reader = finding(console, "203.0.113.21"), console.reader("viewer")
    found = hrefs(reader.page(f"/findings/{kept.finding.id}"))
    assert {"/people/id%3Aodd%2Fone%3Fx%3D1", "/addresses/203.0.113.21", "/playbooks/of/three-failures"} <= found
    events = sorted(link for link in found if link.startswith("/explorer/events/"))
    assert len(events) == 3
    for link in (*events, "/people/id%3Aodd%2Fone%3Fx%3D1", "/addresses/203.0.113.21", "/playbooks/of/three-failures"):
        assert reader.get(link).status == 200, link
    (beside,) = (link for link in found if link.startswith("/explorer?"))
    wait_for(lambda: "3 events" in text(reader.page(beside)))
    (decision,) = (link for link in found if link.startswith("/decisions/"))
    assert {"/addresses/203.0.113.21", "/playbooks/of/three-failures"} <= hrefs(reader.page(decision))


@pytest.mark.parametrize(("ip", "playbook"), [("2001:db8:5::7", "three-failures"), ("203.0.113.22", "only-watching")])
def test_a_finding_leads_to_all_that_its_group_did_meanwhile(console, ip, playbook):
    """Of the addresses of a network, or of a user with quotes in the name, and nothing of others."""
    console.whole.fail(ip, user=f'said "{playbook}"')
    console.whole.fail("203.0.113.23", user="another")
    kept = next(
        one for one in console.store.findings.list("one", playbook=playbook).items if playbook in one.finding.user
    )
    page = console.reader().page(f"/findings/{kept.finding.id}")
    (beside,) = (link for link in hrefs(page) if link.startswith("/explorer?"))
    wait_for(lambda: "3 events" in text(console.reader().page(beside)))
    assert "id:another" not in console.reader().page(beside)


def test_a_group_by_a_network_leads_to_the_page_where_it_can_be_blocked(console):
    written = environment().from_string("{% import 'ui.html' as ui with context %}{{ ui.group(group) }}")
    group = {"ip.network": "198.51.100.0/24", "properties.shop": "7"}
    shown = written.render(url=lambda *parts: "/".join(parts), group=group)
    assert re.findall(r'href="([^"]+)"', shown) == ["/addresses/198.51.100.0/24"]
    console.whole.fail("198.51.100.77", times=1)
    said = text(console.reader().page("/addresses/198.51.100.0/24"))
    assert "Decide" in said and "What they did auth 1" in said


@pytest.mark.parametrize(
    ("scope", "value", "other", "leads"),
    [
        ("user", "id:a/b", "", {"/people/id%3Aa%2Fb"}),
        ("ip", "2001:db8:1::5", "", {"/addresses/2001%3Adb8%3A1%3A%3A%2F64"}),
        ("network", "198.51.100.0/24", "", {"/addresses/198.51.100.0%2F24"}),
        ("user+ip", "pair", "198.51.100.3", {"/people/id%3Apair", "/addresses/198.51.100.3"}),
        ("user+device", "pair", "laptop", {"/people/id%3Apair"}),
    ],
)
def test_a_decision_leads_to_whom_it_is_about(console, scope, value, other, leads):
    fields = {"kind": "challenge", "scope": scope, "value": value, "other": other, "reason": "x", "for": "1h"}
    page = console.reader().page(console.reader().done("/decisions/new", fields))
    assert {link for link in hrefs(page) if link.startswith(("/people/", "/addresses/"))} == leads
    assert other in text(page)
    assert ("id:pair on device laptop" in text(page)) is (scope == "user+device")


def counted(monkeypatch, room, names):
    """Return how often each method of a room is called from now on."""
    calls = Counter()
    for name in names:
        real = getattr(type(room), name)
        monkeypatch.setattr(type(room), name, lambda *a, _n=name, _r=real, **k: calls.update([_n]) or _r(*a, **k))
    return calls


def test_a_page_asks_once_for_all_events_of_a_finding_and_for_all_days_of_a_playbook(console, monkeypatch):
    console.whole.fail("203.0.113.41")
    kept, reader = finding(console, "203.0.113.41"), console.reader()
    page = f"/findings/{kept.finding.id}"
    events = counted(monkeypatch, console.store.events, ("get", "some"))
    findings = counted(monkeypatch, console.store.findings, ("tally", "steps", "list"))
    assert reader.page(page).count('data-label="Time"') == len(kept.finding.events) == 3
    assert events == {"some": 1}
    findings.clear()
    reader.done(f"{page}/mark", {"status": "false-positive", "note": ""})
    said = text(reader.page("/playbooks/of/three-failures"))
    assert re.search(r"\d+ in 30 days, [1-9]\d* judged wrong today", said)
    assert findings == {"tally": 1, "steps": 1, "list": 1}


def test_findings_are_filtered_and_paged_and_every_state_is_a_link(console):
    for number in range(60):
        console.whole.fail(f"198.51.100.{number}", user=f"many{number}", times=1)
    reader = console.reader()
    first = reader.page("/findings?playbook=only-watching")
    assert first.count("<tr>") - 1 == 50
    (older,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = reader.page(older.replace("&amp;", "&"))
    assert "playbook=only-watching" in older and "app=one" in older
    assert second.count("<tr>") - 1 >= 10
    users = [set(re.findall(r"id:many\d+", page)) for page in (first, second)]
    assert not users[0] & users[1]
    assert len(users[0] | users[1]) == 60
    assert len(set(re.findall(r"id:many\d+", reader.page("/findings?user=many7")))) == 1
    assert "only-watching" in reader.page("/findings?user=many7&severity=medium")
    assert "No finding is like that" in reader.page("/findings?user=many7&severity=high")
    answer = reader.get("/findings?ip=nonsense")
    assert answer.status == 422
    assert "is not an address" in text(answer)
    assert reader.get("/findings?cursor=nonsense").status == 422


def test_a_judgement_is_kept_with_who_judged(console):
    console.whole.fail("203.0.113.2")
    kept, reader = finding(console, "203.0.113.2"), console.reader("analyst")
    reader.app = "one"
    where = reader.done(f"/findings/{kept.finding.id}/mark", {"status": "confirmed", "note": "seen it"})
    said = text(reader.page(where))
    assert "The finding was marked." in said
    assert "analyst-all: seen it" in said
    assert finding(console, "203.0.113.2").status == "confirmed"
    assert reader.post(f"/findings/{kept.finding.id}/mark", {"status": "retracted"}).status == 422


def test_blocked_for_longer_is_a_decision_by_hand_that_beats_the_playbooks(console):
    console.whole.fail("203.0.113.3")
    kept, reader = finding(console, "203.0.113.3"), console.reader()
    before = console.store.decisions.revision("one")
    reader.done(f"/findings/{kept.finding.id}/prolong", {"why": "again and again", "for": "30d"})
    (mine,) = (
        one.decision
        for one in console.store.decisions.list("one", finding=kept.finding.id).items
        if one.decision.manual
    )
    assert (mine.kind, mine.value, mine.reason) == ("block", "203.0.113.3", "again and again")
    assert (mine.by, mine.until - mine.made) == ("account:admin-all", 30 * DAY)
    assert console.store.decisions.revision("one") > before
    assert console.whole.using("sdk").get(f"/v1/feed?since={before}").json["added"][0]["value"] == "203.0.113.3"


def test_a_finding_that_was_lifted_can_still_be_decided_by_hand(console):
    console.whole.fail("203.0.113.4")
    kept, reader = finding(console, "203.0.113.4"), console.reader()
    where = f"/findings/{kept.finding.id}"
    reader.done(f"{where}/pardon", {"why": "a mistake", "for": "1d"})
    reader.done(f"{where}/prolong", {"why": "no mistake", "for": "forever"})
    standing = console.store.decisions.list("one", now=kept.opened, value="203.0.113.4").items
    assert [one.decision.reason for one in standing] == ["no mistake"]


def test_an_exception_of_a_finding_that_acted_on_nobody_is_for_its_user(console):
    console.whole.fail("203.0.113.5", user="calm", times=1)
    kept = console.store.findings.list("one", user="id:calm").items[0]
    console.reader().done(f"/findings/{kept.finding.id}/pardon", {"why": "calm", "for": "forever"})
    assert [(one.scope, one.value, one.until) for one in console.store.allow.list("one") if one.reason == "calm"] == [
        ("user", "id:calm", None)
    ]


def test_all_that_a_playbook_decided_is_lifted_at_once_and_nothing_else(console):
    """A playbook that was wrong about hundreds was undone a person at a time."""
    for host in (41, 42):
        console.whole.fail(f"203.0.113.{host}")
    reader, decisions = console.reader(), console.store.decisions
    given = {"kind": "block", "scope": "ip", "value": "203.0.113.43", "reason": "spam", "for": "1d"}
    reader.done("/decisions/new", given)
    assert "Lift all of this playbook" not in text(reader.page("/decisions"))
    assert "Lift all of this playbook" in text(reader.page("/decisions?playbook=three-failures"))
    assert reader.post("/decisions/lift", {"playbook": "three-failures", "kind": "", "why": ""}).status == 422
    where = reader.done("/decisions/lift", {"playbook": "three-failures", "kind": "", "why": "a mistake"})
    assert "All of these were lifted for good." in text(reader.page(where))
    standing = {one.decision.value for one in decisions.list("one", limit=1000).items if one.lifted is None}
    assert "203.0.113.43" in standing and not {"203.0.113.41", "203.0.113.42"} & standing


def test_what_people_decided_is_listed_by_who_did_and_lifted_at_once(console):
    console.whole.fail("203.0.113.51")
    ana, reader, decisions = console.invited("ana-of-the-list", "analyst"), console.reader(), console.store.decisions
    ana.app = "one"
    for kind, host in (("block", 52), ("challenge", 53)):
        given = {"kind": kind, "scope": "ip", "value": f"203.0.113.{host}", "reason": "spam", "for": "1d"}
        ana.done("/decisions/new", given)
    said = text(reader.page("/decisions?by=hand"))
    assert "203.0.113.52" in said and "203.0.113.51" not in said
    assert "Lift all made by hand" in said and "ana-of-the-list" in said
    hers = "by=account%3Aana-of-the-list"
    assert "Every block that ana-of-the-list decided ends now" in text(reader.page(f"/decisions?{hers}&kind=block"))
    assert "Lift all" not in text(reader.page(f"/decisions?{hers}&who=203.0.113.52")), "it would lift what is not shown"
    assert reader.post("/decisions/lift", {"why": "a mistake", "kind": ""}).status == 422
    fields = {"by": "account:ana-of-the-list", "kind": "block", "why": "a mistake"}
    said = text(reader.page(reader.done("/decisions/lift", fields)))
    assert "All of these were lifted for good." in said and "No decision is like that" in said
    standing = {one.decision.value for one in decisions.list("one", limit=1000).items if one.lifted is None}
    assert {"203.0.113.51", "203.0.113.53"} <= standing and "203.0.113.52" not in standing


def test_a_decision_that_was_lifted_says_when_it_would_have_ended_and_of_no_finding_where_there_is_none(console):
    reader = console.reader()
    given = {"kind": "block", "scope": "ip", "value": "203.0.113.88", "reason": "spam", "for": "1d"}
    where = reader.done("/decisions/new", given).partition("?")[0]
    assert "Ends" in text(reader.page(where))
    said = text(reader.page(reader.done(f"{where}/lift", {"why": "a mistake"})))
    assert "The decision was lifted for good." in said and "finding never" not in said
    assert re.search(r"Would have ended [\d-]+ [\d:]+ Lifted", said)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": ""}, "`Whom`: missing"),
        ({"reason": " "}, "`Why`: missing"),
        ({"kind": "hang"}, "`Kind`: `hang` is none of"),
        ({"scope": "ip", "value": "x"}, "is not an address"),
        ({"scope": "network", "value": "0.0.0.0/1"}, "is wider than /8"),
        ({"scope": "user+ip"}, "`At`: missing"),
        ({"kind": "redirect"}, "a redirect leads to a URL"),
        ({"for": "10y"}, "`For`: `10y` is none of"),
    ],
)
def test_what_is_wrong_with_a_decision_is_told(console, fields, words):
    good = {"kind": "block", "scope": "user", "value": "7", "reason": "x", "for": "1d"}
    answer = console.reader().post("/decisions/new", {**good, **fields})
    assert answer.status == 422
    assert words in text(answer)
    part = console.reader().post("/decisions/new", {**good, **fields}, headers={"HX-Request": "true"})
    assert part.status == 422
    assert words in text(part)
    assert "<html" not in part.body.decode()


@pytest.mark.parametrize(
    ("value", "scope", "says"),
    [
        ("203.0.113.77", "user", "choose `ip`, or write `id:203.0.113.77`"),
        ("2001:db8::7", "user+ip", "is an address, and the scope is `user+ip`"),
        ("203.0.113.0/24", "user", "choose `network`"),
    ],
)
def test_an_address_in_the_place_of_a_user_is_not_taken_for_a_users_name(console, value, scope, says):
    reader, fields = (
        console.reader(),
        {"scope": scope, "value": value, "other": "203.0.113.1", "reason": "x", "for": "1d"},
    )
    for path in ("/decisions/new", "/decisions/allowed/add")[: 1 + (scope == "user")]:
        answer = reader.post(path, {"kind": "block", **fields})
        assert answer.status == 422 and says in text(answer), path
    named = {**fields, "kind": "block", "scope": "user", "value": "id:203.0.113.77"}
    assert "id:203.0.113.77" in text(reader.page(reader.done("/decisions/new", named)))


def test_a_script_is_led_by_a_head_and_a_browser_by_its_address(console):
    good = {"kind": "block", "scope": "user", "value": "8", "reason": "x", "for": "1d"}
    answer = console.reader().post("/decisions/new", good, headers={"HX-Request": "true"})
    assert answer.status == 204
    assert answer.headers["hx-redirect"].startswith("/decisions/")
    gone = console.anybody().get("/overview", headers={"HX-Request": "true"})
    assert (gone.status, gone.headers["hx-redirect"]) == (204, "/sign-in")


def test_allowing_somebody_lifts_what_playbooks_decided(console):
    console.whole.fail("203.0.113.6")
    fields = {"scope": "network", "value": "203.0.113.6/31", "reason": "office", "for": "7d"}
    reader = console.reader()
    reader.done("/decisions/allowed/add", fields)
    assert console.store.decisions.list("one", now=1, value="203.0.113.6").items == ()
    said = reader.page("/decisions/allowed/list")
    assert "203.0.113.6/31" in said and "in 7 d" in text(said)
    assert "/addresses/203.0.113.6%2F31" in hrefs(said)
    assert "1 allowance" in text(reader.page("/decisions/allowed/list?who=203.0.113.6/31"))
    assert "No allowance is like that" in text(reader.page("/decisions/allowed/list?who=id:nobody"))
    (id,) = (one.id for one in console.store.allow.list("one") if one.reason == "office")
    reader.done(f"/decisions/allowed/{id}/remove", {"why": "moved"})
    assert "203.0.113.6/31" not in reader.page("/decisions/allowed/list")


def test_decisions_are_picked_by_a_playbook_there_is_or_by_one_that_is_gone(console):
    found = console.reader("viewer").page("/decisions?playbook=long-gone")
    offered = re.findall(r'<option value="([^"]*)"', found.partition('name="playbook"')[2].partition("</select>")[0])
    assert offered == ["", "long-gone", "only-watching", "sleeping", "three-failures"]
    assert '<option value="long-gone" selected>' in found


def test_what_was_written_is_shown_again_where_it_is_refused_but_no_password(console):
    reader = console.reader()
    fields = {
        "kind": "block",
        "scope": "ip",
        "value": "no address",
        "reason": "<b>a long story</b>",
        "for": "1d",
        "to": "",
    }
    refused = reader.post("/decisions/new", fields)
    assert refused.status == 422
    said = text(refused).partition("What you wrote")[2]
    assert "Whom no address Why <b>a long story</b> For 1d" in said and reader.csrf not in said
    assert "<b>a long" not in refused.body.decode()
    asked = {"old": "wrong secret words", "new": "new secret words", "again": "new secret words"}
    refused = reader.post("/account", asked)
    assert refused.status == 422 and "secret words" not in refused.body.decode()
    refused = reader.post("/decisions/new", {**fields, "csrf": "no"})
    assert refused.status == 403 and "a long story" not in refused.body.decode()


def test_why_a_delivery_was_given_up_is_told_whole(tmp_path):
    hook = {"kind": "webhook", "url": "http://127.0.0.1:9/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    with visited(tmp_path, channels={"security": hook}) as console:
        console.whole.fail("203.0.113.9")
        (dead,) = wait_for(lambda: console.whole.using("admin").get("/v1/outbox?dead=true").json["items"])
        assert len(dead["error"]) > 100 and dead["error"] in text(console.reader().page("/settings"))


@pytest.mark.parametrize(("number", "says"), [(1, "1 event"), (0, "0 events"), (1234, "1,234 events")])
def test_one_of_something_is_not_many(number, says):
    assert many(number, "event") == says


def test_a_long_name_goes_on_behind_its_dots_and_steers_nothing():
    assert dotted("a@<b>.c\u202e", 60) == "a@<wbr>&lt;b&gt;.<wbr>c\\u202e"
    assert dotted("x" * 70, 60) == "x" * 60 + "…"


def test_a_key_is_shown_once_works_and_ends_when_it_is_revoked(console):
    reader = console.reader()
    answer = reader.post("/settings/keys", {"scope": "read", "name": "dashboard"})
    (secret,) = re.findall(r'<code id="secret">([\w-]+)</code>', answer.body.decode())
    assert answer.headers["cache-control"] == "no-store"
    client = console.whole.client.using(secret)
    assert client.get("/v1/findings").status == 200
    page = reader.page("/settings/keys")
    assert secret not in page and "dashboard" in page
    (id,) = (key.id for key in console.store.access.keys("one") if key.name == "dashboard")
    reader.done(f"/settings/keys/{id}/revoke")
    assert client.get("/v1/findings").status == 401
    assert reader.post("/settings/keys", {"scope": "browser"}).status == 422


def test_a_key_for_a_foreign_client_is_made_with_its_settings_and_opens_nothing_else(console):
    reader, asked = console.reader(), {"scope": "sdk", "name": "bouncer", "protocol": "crowdsec"}
    answer = reader.post("/settings/keys", {**asked, "settings": " captcha = yes \r\n\r\n"})
    (secret,) = re.findall(r'<code id="secret">([\w-]+)</code>', answer.body.decode())
    (key,) = (key for key in console.store.access.keys("one") if key.name == "bouncer")
    assert (key.protocol, key.settings) == ("crowdsec", {"captcha": True})
    assert console.whole.client.using(secret).get("/v1/findings").status == 403
    assert "bouncer for crowdsec" in text(reader.page("/settings/keys"))
    for wrong, words in (
        ({**asked, "protocol": "telepathy"}, "`For the clients of`: `telepathy` is not known"),
        ({**asked, "scope": "ingest"}, "keys for `crowdsec` cannot be `ingest`"),
        ({**asked, "settings": "captcha"}, "`captcha` is no setting"),
        ({**asked, "settings": "mood=good"}, "not a setting of keys for `crowdsec`"),
        ({"scope": "read", "settings": "captcha=yes"}, "only keys for a foreign protocol have them"),
    ):
        answer = reader.post("/settings/keys", wrong)
        assert answer.status == 422 and words in text(answer), words


def test_the_findings_of_a_list_are_exported_in_the_forms_of_other_systems(console):
    console.whole.fail("203.0.113.31", user="exported")
    reader = console.reader("viewer")
    page = reader.page("/findings?user=exported&playbook=three-failures")
    links = [link for link in hrefs(page) if link.startswith("/findings/export")]
    assert len(links) == 2
    for link, word in zip(sorted(links), ("@timestamp", "class_uid"), strict=True):
        answer = reader.get(link)
        assert answer.headers["content-disposition"].startswith('attachment; filename="findings.')
        lines = answer.body.decode().splitlines()
        assert len(lines) == 1 and "exported" in lines[0] and word in lines[0]
    assert reader.get("/findings/export?format=xml").status == 422
    assert reader.get("/findings/export?format=ecs&ip=nonsense").status == 422


def test_the_switch_lets_every_request_through_and_every_page_says_so(console):
    reader = console.reader()
    reader.done("/settings/enforcement", {"turn": "off", "why": "a test"})
    assert console.server.switch.on("one") is False
    assert "Enforcement is stopped" in text(reader.page("/decisions"))
    reader.done("/settings/server/enforcement", {"turn": "off", "why": "a test"})
    assert console.server.switch.on("two") is False
    reader.done("/settings/server/enforcement", {"turn": "on", "why": "a test"})
    reader.done("/settings/enforcement", {"turn": "on", "why": "a test"})
    assert console.server.switch.on("one") is True
    assert "Enforcement is stopped" not in text(reader.page("/decisions"))


def test_somebody_is_invited_to_one_app_and_sees_no_other(console):
    reader = console.reader()
    answer = reader.post("/settings/accounts", {"name": "guest@example.com", "role": "viewer", "apps": ["two"]})
    (link,) = re.findall(r'<code id="link">([^<]+)</code>', answer.body.decode())
    guest = console.anybody()
    code = link.partition("#")[2]
    assert link.startswith(guest.origin)
    assert guest.post("/welcome", {"code": code, "password": PASSWORD, "again": PASSWORD}).status == 303
    assert "Two" in text(guest.page("/overview"))
    assert guest.get("/overview?app=one").status == 404
    (id,) = (one.id for one in console.store.accounts.list() if one.name == "guest@example.com")
    reader.done(f"/settings/accounts/{id}/change", {"role": "analyst", "apps": ["one", "two"]})
    assert guest.get("/overview?app=one").status == 200
    assert "by=account%3Aguest%40example.com" in reader.page("/settings/accounts")  # to the audit of what they did
    reader.done(f"/settings/accounts/{id}/remove")
    assert guest.get("/overview").status == 303


def test_nobody_reaches_every_app_because_none_was_ticked(console):
    reader = console.reader()
    form = {"name": "careless@example.com", "role": "viewer"}
    assert "none is chosen" in text(reader.post("/settings/accounts", form))
    assert all(one.name != "careless@example.com" for one in console.store.accounts.list())
    reader.post("/settings/accounts", {**form, "apps": ["one"]})
    (made,) = (one for one in console.store.accounts.list() if one.name == "careless@example.com")
    assert "none is chosen" in text(reader.post(f"/settings/accounts/{made.id}/change", {"role": "viewer"}))
    reader.done(f"/settings/accounts/{made.id}/change", {"role": "viewer", "apps": ["*"]})
    assert f'id="every-{made.id}" name="apps" value="*" checked' in reader.page("/settings/accounts")


def test_a_form_whose_answer_is_a_secret_keeps_what_was_written_where_something_is_wrong_with_it(console):
    reader = console.reader()
    key = {"scope": "browser", "name": "the shop", "origins": "shop.example", "settings": "a=b"}
    page = reader.post("/settings/keys", key)
    assert page.status == 422 and "`Origins`:" in text(page)
    for kept in ('value="browser" selected', 'value="the shop"', 'value="shop.example"', ">a=b</textarea>"):
        assert kept in page.body.decode(), kept
    page = reader.post("/settings/accounts", {"name": "", "role": "analyst", "apps": ["two"]})
    assert page.status == 422 and "`Name`: missing" in text(page)
    assert 'value="analyst" selected' in page.body.decode()
    assert 'id="apps-new-two" name="apps" value="two" checked' in page.body.decode()


def test_whoever_takes_a_colleagues_password_away_is_told_so_before(console):
    console.invited("forgetful", "viewer", ("one",))
    said = text(console.reader().page("/settings/accounts"))
    warned = r"New link for forgetful Their password is gone and they are signed out .* Take the password away"
    assert re.search(warned, said)


def test_whoever_signs_in_anew_is_led_back_to_the_page_whose_form_they_sent(console):
    nobody, page = console.anybody(), "/decisions/new?app=one"
    for came, where in ((nobody.origin + page, "/sign-in?next=%2Fdecisions%2Fnew%3Fapp%3Done"), ("", "/sign-in"),
                        ("https://evil.example/decisions/new", "/sign-in")):  # fmt: skip
        assert nobody.post("/decisions/new", {}, {"Referer": came}).headers["location"] == where
        told = nobody.post("/decisions/new", {}, {"Referer": came, "HX-Request": "true"})
        assert told.headers["hx-redirect"] == where


def test_a_refused_form_leads_back_to_its_page_and_to_none_of_others(console):
    reader = console.reader()
    own = f"{reader.origin}/decisions/new?app=one"
    for came in (own, "", "https://evil.example/decisions/new", f"{reader.origin}//evil.example/", "http://[", "x:y"):
        refused = reader.post("/decisions/new", {"kind": "block"}, {"Referer": came})
        led = 'href="/decisions/new?app=one">Back to the form' in refused.body.decode()
        assert (refused.status, led, "Back to the form" in text(refused)) == (422, came == own, came == own), came


def test_nobody_removes_themselves(console):
    reader = console.reader()
    id = console.server.accounts.session(reader.session).account.id
    for act in ("remove", "reset"):
        assert "your own account" in text(reader.post(f"/settings/accounts/{id}/{act}"))


def test_an_app_is_added_and_changed(console):
    reader = console.reader()
    reader.done("/settings/apps", {"id": "shop-3", "name": "<b>Third</b>"})
    reader.done("/settings/app?app=shop-3", {"name": "The third", "retention": "90d", "ipv6": "56"})
    assert console.store.access.app("shop-3").retention == 90 * DAY
    assert console.store.access.app("shop-3").ipv6 == 56
    for prefix in ("31", "129", "-1", "x", "²"):
        assert reader.post("/settings/app?app=shop-3", {"name": "x", "ipv6": prefix}).status == 422, prefix
    assert "90d" in reader.page("/settings?app=shop-3")
    for id in ("", "-x", "Shop", "a b", "é"):
        assert reader.post("/settings/apps", {"id": id}).status == 422
    assert reader.post("/settings/apps", {"id": "shop-3"}).status == 409
    assert reader.post("/settings/app", {"retention": "1m"}).status == 422


def test_channels_are_named_their_secrets_are_not_and_what_waits_for_one_message_is_counted(tmp_path):
    chat = {"kind": "webhook", "url": "https://chat.example/hooks/topsecret", "secret": "whsec_" + "a" * 32}
    with visited(tmp_path, channels={"chat": chat, "security": {"kind": "log", "most": "1/1h"}}) as console:
        page = console.reader().page("/settings")
        assert "chat" in page and "webhook" in page and "log, at most 1 in 1h one by one" in page
        assert "topsecret" not in page and "whsec" not in page and "chat.example" not in page
        for number in range(4):
            console.whole.fail(f"203.0.113.{number}")
        (growing,) = wait_for(lambda: [one for one in console.store.outbox.growing("one") if one.body["findings"] == 3])
        assert "Began Channel Findings Sent at" in text(console.reader().page("/settings"))
        listed = console.whole.using("read").get(f"/v1/outbox?bundle={growing.id}").json["items"]
        assert [one["bundle"] for one in listed] == [growing.id] * 3 and all(one["done"] for one in listed)
        assert {one["channel"] for one in listed} == {"security"}
        assert console.whole.using("read", "two").get(f"/v1/outbox?bundle={growing.id}").json["items"] == []
        told = {one["finding"] for one in listed}
        link = site.bundle_page("https://s.example/")("one", growing.id).removeprefix("https://s.example")
        page, found = console.reader().page(link), console.whole.using("read").get(f"/v1/findings?bundle={growing.id}")
        assert {one["id"] for one in found.json["items"]} == told == set(re.findall(r"/findings/(\w{32})", page))
        assert found.json["total"] == 3 and "3 findings" in text(page)
        assert console.whole.using("read", "two").get(f"/v1/findings?bundle={growing.id}").json["items"] == []
    assert site.bundle_page("https://s.example")("a&b", 7) == "https://s.example/findings?app=a%26b&bundle=7"
    assert site.bundle_page(None) is None


def test_a_property_is_promoted_by_hand_listed_and_left_to_use_again(console):
    sent = {"event": "order", "properties": {"tier": "gold", "<b>cart</b>": {"n": 7}, "list": []}}
    assert console.whole.using("sdk").post("/v1/events", sent).json["accepted"] == 1
    wait_for(lambda: "tier" in [one.path for one in console.store.schema.properties("one")])
    admin, viewer = console.reader(), console.reader("viewer")
    assert '<option value="tier">' in admin.page("/settings") and "Promote a" not in text(viewer.page("/settings"))
    for path, kind in (("tier", "string"), ("<b>cart</b>.n", "number")):
        admin.done("/settings/properties", {"path": path, "turn": "on"})
        assert f"{path} {kind}, by hand" in text(viewer.page("/settings"))
    assert {one.path: one.slot is not None for one in console.store.schema.properties("one")}["tier"]
    admin.done("/settings/properties", {"path": "tier", "turn": "off"})
    assert "tier string, by hand" not in text(viewer.page("/settings"))
    assert admin.post("/settings/properties", {"path": "nothing", "turn": "on"}).status == 404
    wrong = admin.post("/settings/properties", {"path": "<b>cart</b>", "turn": "on"})
    assert wrong.status == 422 and "no property that is a text or a number" in text(wrong)
    assert ("setting.put", "account:admin-all") in [(a.action, a.actor) for a in console.store.audit.list("one").items]


def test_pages_stand_while_events_cannot_be_searched(console, monkeypatch):
    console.whole.fail("203.0.113.8")

    def busy(*args, **more):
        raise StoreBusy("the explorer is down")

    monkeypatch.setattr(type(console.store.explorer), "series", busy)
    monkeypatch.setattr(type(console.store.events), "some", busy)
    reader = console.reader()
    assert "Events cannot be searched now" in text(reader.page("/overview"))
    kept = finding(console, "203.0.113.8")
    assert "Events cannot be searched now." in text(reader.page(f"/findings/{kept.finding.id}"))


def test_a_store_that_cannot_answer_now_is_told_as_a_page_that_says_when_to_come_back(console, monkeypatch):
    def busy(*args, **more):
        raise StoreBusy("the disk is full", retry_after=7)

    monkeypatch.setattr(type(console.store.findings), "list", busy)
    answer = console.reader().get("/findings")
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert "the disk is full" in text(answer)


def test_a_message_about_a_finding_leads_to_its_page(console):
    console.whole.fail("203.0.113.9")
    kept = finding(console, "203.0.113.9")
    page = site.finding_page("https://sentinel.example/")("one", kept.finding.id)
    assert page.startswith("https://sentinel.example/findings/")
    assert "Three failed logins" in text(console.reader().page(page.removeprefix("https://sentinel.example")))
    assert site.finding_page(None) is None


def test_tries_to_sign_in_are_counted_without_names(console):
    console.anybody().post("/sign-in", {"name": "nobody-of-note", "password": "not this one"})
    said = console.whole.local.get("/metrics").body.decode()
    assert re.search(r'sentinel_sign_ins_total\{outcome="wrong"\} [1-9]', said)
    assert "nobody-of-note" not in said


def test_the_overview_shows_each_process_how_old_its_list_is_and_what_it_dropped_by_reason(console):
    told = {
        "instance": "a1", "host": "web-7.example", "pid": 4711, "version": "0.1.0", "enforcing": True, "list_age": 900,
        "enforced": 31, "sent": 1200, "queued": 17, "dropped": {"full": 12, "refused": 3, "exit": 0},
    }  # fmt: skip
    heard = console.server.processes.heard
    heard("one", told)
    heard("one", {"instance": "b2", "host": "<b>web</b>", "enforcing": False})
    heard("two", {"instance": "c3", "host": "of-another-app"})
    page = console.reader().page("/overview")
    table = page.partition('id="h-processes"')[2].partition("</section>")[0]
    rows = [text(row) for row in re.findall(r"<tr>\s*<td.*?</tr>", table, re.DOTALL)]
    assert "what it told another server is not here" in text(table)
    assert [row.split(" ")[0] for row in rows] == ["<b>web</b>", "web-7.example"]
    assert "<b>" not in table and "of-another-app" not in page
    assert re.fullmatch(r"<b>web</b> .* no has none 0 0 0 none", rows[0])
    assert re.fullmatch(r"web-7\.example 4711, 0\.1\.0 .* yes 15 ?m.* 31 1,200 17 full 12, refused 3", rows[1])


def test_a_line_of_the_audit_leads_to_the_finding_that_was_judged(console):
    console.whole.fail("203.0.113.87")
    id = finding(console, "203.0.113.87").finding.id
    console.reader().done(f"/findings/{id}/mark", {"status": "confirmed", "note": ""})
    assert f"/findings/{id}" in hrefs(console.reader().page("/settings/audit"))


def test_a_line_of_the_audit_leads_to_the_versions_of_the_playbook_that_was_changed(console):
    console.store.audit.write("one", Note("root", "playbook.changed", "three-failures", "version b instead of a"), 1)
    assert "/playbooks/of/three-failures" in "".join(hrefs(console.reader().page("/settings/audit")))


def test_the_audit_is_narrowed_by_who_what_and_whom_and_stays_so_on_older_pages(console):
    for n in range(60):
        console.store.audit.write("one", Note("key:narrow", "label.put", f"user id:{n}", "narrowed"), n + 1)
    reader = console.reader()
    page = reader.page("/settings/audit?by=key:narrow&action=label")
    assert page.count("narrowed") == 50
    older = next(href for href in hrefs(page) if "cursor=" in href)
    assert reader.page(older).count("narrowed") == 10
    assert reader.page("/settings/audit?by=key:narrow&target=user+id:7").count("narrowed") == 1
    assert "No line is like that" in reader.page("/settings/audit?by=key:narrow&range=24h")


def test_a_line_of_the_audit_without_a_reason_has_an_empty_cell_for_it(console):
    page = console.reader().page("/settings/audit?server=1")
    assert '<td data-label="Why"></td>' in page
    assert not re.search(r'<td data-label="Why">\s*<bdi[^>]*></bdi>', page)
