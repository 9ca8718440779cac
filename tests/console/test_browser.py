"""The console in Chromium: signing in, by keyboard, in both themes, on a phone, without scripts, under attack."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote

import pytest

from sentinel.core.record import App, Filter
from sentinel.service.setup import ADMINISTRATOR
from tests.api.served import wait_for
from tests.console.browsing import tab
from tests.console.visiting import PASSWORD, visited
from tests.contract.values import make_link

HOSTILE = {
    "script": "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
    "attribute": "\" autofocus onfocus=\"document.title='owned'\" x='",
    "htmx": '<div data-hx-get="/settings" data-hx-trigger="load">x</div>',
    "template": "{{ 7 * 7 }}${7 * 7}{% raw %}",
    "bidi": "\u202eevil\u2066\u200f",
    "terminal": "\x1b[31m\x1b]0;owned\x07",
    "formula": "=HYPERLINK(\"https://evil.example\";\"x\")",
    "url": "javascript:document.title='owned'",
}  # fmt: skip
PAGES = (
    "/overview", "/explorer", "/people", "/addresses", "/reports", "/reports?period=period", "/reports/series",
    "/reports/names", "/reports/funnel?step=auth&step=auth&group_by=properties.note", "/reports/retention",
    "/findings", "/decisions", "/decisions/new", "/decisions/allowed/list", "/settings", "/settings/keys",
    "/settings/apps", "/settings/accounts", "/settings/audit", "/account",
)  # fmt: skip


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """A console whose every list holds something, all of it hostile."""
    with visited(tmp_path_factory.mktemp("browser"), channels={"evil": {"kind": "log"}}) as found:
        for number, (name, value) in enumerate(HOSTILE.items()):
            huge = {"properties": {"note": value, name: "y" * 20_000}, "request": {"user_agent": value}}
            found.whole.fail(f"203.0.113.{number}", user=value.replace("\x07", "")[:200], **huge)
            admin = found.whole.using("admin")
            said = "".join(char if char.isprintable() else "?" for char in value)
            body = {"kind": "block", "scope": "user", "value": said, "reason": said}
            assert admin.post("/v1/decisions", body).status == 201
            assert admin.post("/v1/allow", {"scope": "user", "value": f"allowed {said}", "reason": said}).status == 201
            assert admin.post("/v1/keys", {"scope": "read", "name": said}).status == 201
        found.store.access.add_app(App("long", "n" * 100), "test", 0)
        yield found


# What is wider than the card it lies in, and neither scrolls nor is cut on purpose within it.
STICKING_OUT = """() => [...document.querySelectorAll(".card *, .stat *")].filter((one) => {
  const card = one.closest(".card, .stat"), own = one.getBoundingClientRect();
  if (!one.checkVisibility() || own.right <= card.getBoundingClientRect().right + 1) return false;
  for (let at = one; at !== card; at = at.parentElement) if (getComputedStyle(at).overflowX !== "visible") return false;
  return !one.closest("svg, [data-chart], .menu");
}).map((one) => one.outerHTML.slice(0, 120))"""


# The lines that the text of an element takes.
LINES = """element => {
  const lines = new Map(), range = document.createRange();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    for (let at = 0; at < node.length; at++) {
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const top = Math.round(range.getBoundingClientRect().top);
      lines.set(top, (lines.get(top) ?? "") + node.data[at]);
    }
  return [...lines.values()];
}"""


# What is written onto a chart.
WRITTEN = """window.written = [];
const fill = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.written.push(text);
  return fill.call(this, text, ...where);
};"""


def of_one(path):
    return f"{path}{'&' if '?' in path else '?'}app=one"


def details(console):
    """Return the page of one acting finding, of one that watches, and of a decision."""
    findings = console.store.findings.list("one").items
    acted, watched = (next(one.finding.id for one in findings if one.finding.acted is which) for which in (True, False))
    decision = console.store.decisions.list("one").items[0].decision.id
    people = [f"/people/{quote(one.finding.user, safe='')}" for one in console.store.findings.list("one").items[:8]]
    event = console.store.events.search("one", Filter()).items[0].event.id
    places = ("/addresses/203.0.113.0%2F24", "/addresses/203.0.113.4", f"/explorer/events/{event}")
    return (f"/findings/{acted}", f"/findings/{watched}", f"/decisions/{decision}", *places, *people[::3])


@pytest.mark.parametrize(("theme", "other", "width"), [("light", "dark", 1280), ("dark", "light", 390)])
def test_no_page_has_a_serious_violation_breaks_its_policy_or_is_wider_than_the_window(
    chromium, console, theme, other, width
):
    reader = console.reader()
    with tab(chromium, reader, theme=theme, width=width) as seen:
        for path in (*PAGES, *details(console)):
            seen.open(of_one(path))
            readable(seen, path)
            assert seen.serious_in(other) == [], path
            fitting(seen, path)
            seen.page.emulate_media(color_scheme=theme)
        seen.quiet()


def test_no_column_of_a_list_lies_beyond_its_edge_on_a_small_screen(chromium, console):
    beyond = "() => [...document.querySelectorAll('main .scroll')].some((one) => one.scrollWidth > one.clientWidth)"
    with tab(chromium, console.reader(), width=1024) as seen:
        for path in ("/overview", "/findings", "/playbooks", "/settings/accounts"):
            seen.open(of_one(path))
            assert not seen.page.evaluate(beyond), path


def readable(seen, path):
    """Fail where axe finds something serious, or the page is wider than the window."""
    assert seen.serious() == [], path
    fitting(seen, path)


def fitting(seen, path):
    """Fail where the page is wider than the window, or something wider than its card."""
    wide = seen.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide, path
    assert seen.page.evaluate(STICKING_OUT) == [], path


def test_what_is_behind_buttons_has_no_serious_violation_either(chromium, console):
    paths = ("/explorer", "/decisions/allowed/list", "/settings", "/settings/keys", "/settings/accounts")
    opened = "for (const one of document.querySelectorAll('{}')) one.open = true"
    with tab(chromium, console.reader()) as seen:
        for path in (*paths, *details(console)[:4]):
            seen.open(of_one(path))
            seen.page.evaluate(opened.format("details:not(.menu)"))
            readable(seen, path)
        seen.open(of_one("/explorer"))
        seen.page.evaluate(opened.format("details.menu"))
        readable(seen, "menus")
        seen.quiet()


def test_a_rule_made_of_a_search_has_no_serious_violation(chromium, console):
    with tab(chromium, console.reader()) as seen:
        seen.open(of_one("/explorer?q=success"))
        seen.page.locator("summary", has_text="Make this a rule").click()
        seen.page.fill("#rule-title", "Whoever came in")
        seen.page.get_by_role("button", name="Show the rule").click()
        seen.page.get_by_role("heading", name="Rule whoever-came-in").wait_for()
        readable(seen, "/explorer/rule")
        seen.quiet()


def test_nothing_found_and_what_cannot_be_done_are_said_without_a_serious_violation(chromium, console):
    wrong = ("/explorer?q=evnt", "/explorer?range=between&from=x", "/findings/none", "/reports?period=eon")
    none = (
        "/explorer?q=event+%3D%3D+%22none%22",
        "/people/id:nobody",
        "/addresses/192.0.2.250",
        "/findings?playbook=none",
    )
    empty = [path for path in PAGES if "?" not in path and not path.startswith(("/settings", "/account"))]
    with tab(chromium, console.reader(), theme="dark", width=390) as seen:
        for path in (*map(of_one, (*wrong, *none)), *(f"{path}?app=two" for path in empty)):  # it has no events
            seen.open(path)
            readable(seen, path)
        assert [one for one in seen.troubles if "Failed to load resource" not in one] == []
    with tab(chromium, console.reader("viewer", everywhere=False)) as seen:
        seen.open("/settings/keys")
        assert seen.page.get_by_role("heading", name="Not allowed").is_visible()
        readable(seen, "/settings/keys")


@pytest.mark.parametrize("path", ["/sign-in", "/welcome"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_door_has_no_serious_violation(chromium, console, path, theme):
    with tab(chromium, console.anybody(), theme=theme) as seen:
        seen.open(path)
        assert seen.serious() == []
        seen.quiet()


def test_what_attackers_send_is_shown_and_does_nothing(chromium, console):
    with tab(chromium, console.reader()) as seen:
        for path in (*PAGES, *details(console)):
            seen.open(of_one(path))
            assert seen.page.title().endswith("· Sentinel"), path
            assert seen.page.locator("main img, main iframe, main script, main [autofocus]").count() == 0
            assert seen.page.locator('a:not([href^="/"]):not([href^="#"])').count() == 0
            said = seen.page.locator("main").inner_text()
            assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x1b\x07]", said), path
            assert len(said) < 100_000
        seen.open("/findings?app=one")
        said = seen.page.locator("main").inner_text()
        assert "<script>document.title" in said and "\\u202eevil" in said and "\\x1b[31m" in said
        assert "{{ 7 * 7 }}" in said
        seen.quiet()


def test_whoever_was_invited_by_name_is_asked_for_none_after_a_mistake_either(chromium, console):
    code = console.server.accounts.invite("later", "viewer", ("one",), "test").code
    with tab(chromium, console.anybody()) as seen:
        page = seen.page
        seen.open(f"/welcome#{code}")
        assert page.locator("#f-name").is_hidden()
        page.fill("#f-password", PASSWORD)
        page.fill("#f-again", "four other words here")
        page.keyboard.press("Enter")
        page.get_by_text("not the same password").wait_for()
        assert page.locator("#f-name").is_hidden()
        page.fill("#f-password", PASSWORD)
        page.fill("#f-again", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/overview")


def test_an_administrator_begins_by_the_link_and_finds_the_way_by_keyboard(chromium, tmp_path):
    with visited(tmp_path) as console:
        code = make_link(console.store, ADMINISTRATOR, 1 << 60, 1)
        with tab(chromium, console.anybody()) as seen:
            page = seen.page
            seen.open(f"/welcome#{code}")
            assert code not in page.url
            assert page.locator("#f-code").is_hidden()
            page.fill("#f-name", "ana")
            page.fill("#f-password", PASSWORD)
            page.fill("#f-again", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url("**/overview")
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.id") == "main"
            page.locator("nav a", has_text="Decisions").focus()
            page.keyboard.press("Enter")
            page.wait_for_url("**/decisions**")
            assert page.locator('nav[aria-label="Pages"] [aria-current="page"]').inner_text() == "Decisions"
            page.get_by_label("Account: ana").press("Enter")
            page.keyboard.press("Escape")
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Account: ana"
            page.get_by_label("Account: ana").press("Enter")
            page.get_by_role("button", name="Sign out").press("Enter")
            page.wait_for_url("**/sign-in")
            seen.quiet()
            page.fill("#f-name", "ana")
            page.fill("#f-password", "not this one at all")
            page.keyboard.press("Enter")
            page.get_by_role("alert").wait_for()
            page.fill("#f-password", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url("**/overview")
            assert seen.strangers == []


@pytest.mark.parametrize("scripts", [True, False])
def test_somebody_is_blocked_by_hand_and_let_through_again(chromium, console, scripts):
    name = f"spammer{scripts}"
    with tab(chromium, console.reader(), scripts=scripts) as seen:
        page = seen.page
        seen.open("/decisions/new?app=one")
        page.fill("#f-value", name)
        page.fill("#f-reason", "spam")
        page.select_option("#f-for", "7d")
        page.get_by_role("button", name="Decide").click()
        page.get_by_text("The decision is in force.").wait_for()
        assert any(one.decision.value == f"id:{name}" for one in console.store.decisions.list("one", now=1).items)
        page.fill("#f-why", "a mistake")
        page.get_by_role("button", name="Lift for good").click()
        page.get_by_text("The decision was lifted").wait_for()
        assert not scripts or "lifted" in page.locator(":focus").inner_text()  # a reader hears it and goes on there
        assert "a mistake" in page.locator("main").inner_text()
        assert page.get_by_role("button", name="Lift for good").count() == 0


def test_what_is_wrong_with_a_form_is_told_beside_it_and_what_was_typed_stays(chromium, console):
    with tab(chromium, console.reader()) as seen:
        page = seen.page
        seen.open("/decisions/new?app=one")
        page.select_option("#f-scope", "ip")
        page.fill("#f-value", "not an address")
        page.fill("#f-reason", "spam")
        page.get_by_role("button", name="Decide").click()
        page.get_by_role("alert").wait_for()
        assert "is neither an address nor a network" in page.get_by_role("alert").inner_text() or (
            "is not an address" in page.get_by_role("alert").inner_text()
        )
        assert page.input_value("#f-value") == "not an address"
        assert page.locator("#f-value:focus[aria-invalid]").count() == 1
        described = (page.get_attribute("#f-value", "aria-describedby") or "").split()
        assert described == ["f-value-flaw", "f-value-hint"]
        assert page.locator("#f-value-flaw").inner_text() == page.get_by_role("alert").inner_text()
        page.locator("#f-value").press_sequentially("!")
        assert page.locator("#f-value[aria-invalid]").count() == 0


def test_a_false_positive_is_lifted_and_excepted_with_one_form(chromium, console):
    console.whole.fail("198.51.100.77", user="victim")
    found = console.store.findings.list("one", ip="198.51.100.77", playbook="three-failures").items[0].finding
    with tab(chromium, console.reader("analyst", everywhere=False)) as seen:
        page = seen.page
        seen.open(f"/findings/{found.id}")
        page.get_by_text("False positive: lift and allow").press("Enter")
        page.fill("#pardon-why", "our own office")
        page.get_by_role("button", name="Lift and allow").click()
        page.get_by_text("Marked as a false positive").wait_for()
        seen.quiet()
    assert [one.value for one in console.store.allow.list("one", 1) if one.reason == "our own office"] == [
        "198.51.100.77"
    ]
    kept = console.store.findings.get("one", found.id)
    assert (kept.status, kept.undone) == ("false-positive", True)
    assert console.store.decisions.list("one", finding=found.id, now=1).items == ()


def test_times_are_the_readers_own_and_utc_is_told(chromium, console):
    with tab(chromium, console.reader()) as seen:
        seen.open("/findings?app=one")
        time = seen.page.locator("main time").first
        utc = time.get_attribute("datetime")
        hour = (int(utc[11:13]) + 9) % 24  # Tokyo
        assert time.inner_text()[11:13] == f"{hour:02d}"
        assert "UTC" in time.get_attribute("title") and "Japan" in time.get_attribute("title")
        assert seen.page.get_by_text("Times are those of Japan Standard Time, UTC on hover.").is_visible()
    with tab(chromium, console.reader(), scripts=False) as seen:
        seen.open("/findings?app=one")
        assert seen.page.get_by_text("Times are UTC.").is_visible()


def test_without_scripts_nothing_keeps_room_or_a_button_for_what_they_would_do(chromium, console):
    console.whole.fail("203.0.113.62", user="vera", times=1)
    with tab(chromium, console.reader(), scripts=False) as seen:
        seen.open(of_one("/explorer"))
        assert seen.page.locator("figure.chart").bounding_box()["height"] < 60
        seen.open(of_one("/people/id:vera"))
        assert seen.page.get_by_role("heading", name="Why was I blocked").is_visible()
        assert not seen.page.get_by_text("Copy the answer").is_visible()
    with tab(chromium, console.reader()) as seen:
        seen.open(of_one("/people/id:vera"))
        assert seen.page.get_by_text("Copy the answer").is_visible()


def test_the_theme_is_the_systems_until_it_is_chosen(chromium, console):
    with tab(chromium, console.reader(), theme="dark") as seen:
        page = seen.page
        seen.open("/overview?app=one")
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(ground)
        page.get_by_label("Theme: auto").click()
        page.get_by_role("button", name="Light").click()
        page.wait_for_selector('html[data-theme="light"]')
        assert page.evaluate(ground) != dark
        assert "app=one" in page.url


def test_the_overview_refreshes_itself_and_nothing_jumps(chromium, console):
    with tab(chromium, console.reader()) as seen:
        page = seen.page
        page.clock.install()
        seen.open("/overview?app=one")
        before = page.locator("main").bounding_box()
        link = page.locator("main a", has_text="All findings")
        link.focus()
        with page.expect_response(lambda answer: "hx-request" in answer.request.headers) as asked:
            page.clock.fast_forward(11_000)
        assert asked.value.request.headers["sentinel-poll"] == "1"
        assert asked.value.status == 200
        page.wait_for_timeout(200)
        assert link.evaluate("(link) => link === document.activeElement")
        assert page.locator(".frame .frame").count() == 0
        assert page.locator("main").bounding_box()["y"] == before["y"]
        seen.quiet()


def test_a_session_that_ended_leads_to_the_door_and_back(chromium, console):
    reader = console.invited("briefly", "viewer", ("one",))
    with tab(chromium, reader) as seen:
        seen.open("/findings")
        console.server.accounts.sign_out(reader.session, "account:briefly")
        seen.page.locator("nav a", has_text="Decisions").click()
        seen.page.wait_for_url("**/sign-in?next=%2Fdecisions")
        assert seen.page.locator('input[name="next"]').input_value() == "/decisions"


def test_a_page_the_browser_kept_is_shown_again_to_none_but_its_reader(chromium, console):
    reader = console.invited("kept", "viewer", ("one",))
    again = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    with tab(chromium, reader) as seen:
        page = seen.page
        seen.open("/people/id%3Akept")
        with page.expect_response("**/account"):
            page.evaluate(again)
        page.locator("h1", has_text="id:kept").wait_for()
        console.server.accounts.sign_out(reader.session, "account:kept")
        page.evaluate(again)
        page.wait_for_url("**/sign-in")


def test_a_list_gone_back_to_says_what_it_shows(chromium, console):
    with tab(chromium, console.reader()) as seen:
        page = seen.page
        seen.open("/findings?app=one")
        page.select_option("#f-status", "confirmed")
        page.wait_for_url("**status=confirmed*")
        page.go_back()
        page.wait_for_url("**/findings?app=one")
        page.wait_for_function("document.querySelector('#f-status').value === ''")


def test_somebody_is_found_by_a_search_blocked_from_their_page_and_let_through_again(chromium, tmp_path):
    with visited(tmp_path) as console:
        console.whole.fail("203.0.113.77", user="mallory", times=2)
        console.invited("ana", "analyst", ("one",))
        with tab(chromium, console.anybody()) as seen:
            page = seen.page
            seen.open("/explorer")
            page.fill("#f-name", "ana")
            page.fill("#f-password", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url("**/explorer")
            page.locator("#f-q").press_sequentially("succ")
            page.locator("#q-words li", has_text="success").first.wait_for()
            page.keyboard.press("ArrowDown")
            assert page.locator("#f-q").get_attribute("aria-activedescendant") == "q-word-0"
            page.keyboard.press("Enter")
            assert page.input_value("#f-q") == "success"
            page.locator("#f-q").press_sequentially(' == False and event == "')
            page.locator("#q-words li", has_text='"auth"').click()
            page.keyboard.press("Enter")
            page.wait_for_url("**success*")
            page.locator("h2", has_text="2 events").wait_for()
            page.locator(".chart canvas").wait_for()
            page.focus("#f-facet")
            page.locator("#f-facet-fields option[value='geo.country']").wait_for(state="attached")
            page.locator("tbody a", has_text="id:mallory").first.click()
            page.wait_for_url("**/people/id%3Amallory*")
            page.fill("#f-reason", "tried many passwords")
            page.get_by_role("button", name="Decide").click()
            page.get_by_text("The decision is in force.").wait_for()
            assert "Your account was blocked on" in page.locator("#the-answer").inner_text()
            assert seen.serious() == []
            decided = console.store.decisions.list("one", now=1, value="id:mallory").items
            assert [one.decision.kind for one in decided] == ["block"]
            page.locator("summary", has_text="Lift").first.click()
            page.locator("[id^=lift-]").first.fill("it was the owner")
            page.get_by_role("button", name="Lift for good").first.click()
            page.get_by_text("The decision was lifted").wait_for()
            assert "which our team lifted on" in page.locator("#the-answer").inner_text()
            seen.quiet()


def test_rows_come_live_wait_while_paused_and_stay_inert(chromium, console):
    with tab(chromium, console.reader()) as seen:
        page = seen.page
        seen.open(of_one("/explorer?event=live"))
        page.get_by_role("button", name="Watch live").click()
        page.get_by_text("Live, 0 so far").wait_for()
        send = console.whole.using("sdk")
        evil = {"event": "live", "user": "\u202eevil", "properties": {"x": HOSTILE["script"], "y": "\x1b[31m" * 2000}}
        assert send.post("/v1/events", evil).json["accepted"] == 1
        page.get_by_text("Live, 1 so far").wait_for()
        assert "\\u202eevil" in page.locator("section[aria-labelledby=h-events] tbody tr").first.inner_text()
        page.get_by_role("button", name="Pause").click()
        assert send.post("/v1/events", [{**evil, "user": "later"}, evil]).json["accepted"] == 2
        page.get_by_text("Paused, 2 waiting").wait_for()
        assert page.locator("tbody a", has_text="id:later").count() == 0
        page.get_by_role("button", name="Go on").click()
        page.locator("tbody a", has_text="id:later").wait_for()
        assert page.locator("main script, main img").count() == 0
        assert page.title() == "Explorer · Sentinel"
        page.locator("details.peek summary").first.click()
        assert page.locator("tr.more pre").first.is_visible()
        assert seen.serious() == []
        seen.quiet()


def test_a_stream_ends_with_the_session(chromium, console):
    reader = console.invited("watching", "viewer", ("one",))
    with tab(chromium, reader) as seen:
        seen.open("/explorer")
        seen.page.get_by_role("button", name="Watch live").click()
        seen.page.get_by_text("Live, 0 so far").wait_for()
        console.server.accounts.sign_out(reader.session, "account:watching")
        seen.page.get_by_text("Not connected any more").wait_for()
        assert seen.page.get_by_role("button", name="Watch live").is_visible()


@pytest.mark.parametrize("path", ["/explorer", "/people", "/reports", "/reports/funnel?step=auth&step=auth"])
def test_nothing_jumps_while_a_page_is_opened(chromium, console, path):
    with tab(chromium, console.reader()) as seen:
        seen.page.add_init_script(
            "window.shifts = []; new PerformanceObserver((list) => { for (const one of list.getEntries())"
            " window.shifts.push(one.value); }).observe({ type: 'layout-shift', buffered: true });"
        )
        seen.open(of_one(path))
        seen.page.wait_for_timeout(600)
        assert sum(seen.page.evaluate("window.shifts")) < 0.02


@pytest.mark.parametrize("path", ["/settings", "/reports/retention"])
def test_on_a_phone_the_name_of_the_page_is_in_sight_among_those_of_all(chromium, console, path):
    with tab(chromium, console.reader(), width=390) as seen:
        seen.open(of_one(path))
        for link in seen.page.locator("[aria-current=page]").all():
            box = link.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 390


@pytest.mark.parametrize("width", [1280, 390])
def test_the_name_of_a_user_goes_on_behind_its_parts_alone(chromium, tmp_path, width):
    with visited(tmp_path) as console:
        console.whole.fail("203.0.113.61", user={"email": "anastasia@example.com"}, times=1)
        wait_for(lambda: console.store.events.count("one", Filter()) == 1)
        with tab(chromium, console.reader(), width=width) as seen:
            seen.open(of_one("/explorer"))
            name = seen.page.locator('td[data-label="User"] bdi')
            assert name.inner_text() == "email:anastasia@example.com"
            lines = name.evaluate(LINES)
            assert len(lines) == 1 if width == 390 else all(line[-1] in ".@m" for line in lines), lines


def test_a_bar_stands_over_its_own_time_and_days_are_told_by_days_alone(chromium, tmp_path):
    with visited(tmp_path) as console:
        day = 86_400
        stamps = [(datetime.now(UTC) - timedelta(days=ago)).isoformat() for ago in range(4)]
        lost = {"properties": {"lost": -40}}
        past = [{"event": "seen", "user": "u", "timestamp": stamp, **lost} for stamp in stamps]
        assert console.whole.using("admin").post("/v1/import", past).json["accepted"] == 4
        wait_for(lambda: console.store.events.count("one", Filter()) == 4)
        with tab(chromium, console.reader()) as seen:
            page = seen.page
            page.add_init_script(WRITTEN)
            for kind in ("&group_by=event&previous=1", ""):  # lines, and bars
                seen.open(of_one(f"/reports/series?range=7d&interval=day{kind}"))
                page.locator(".chart canvas").wait_for()
                assert page.evaluate("written.filter(text => /[A-Z][a-z]/.test(text)).length") > 3, kind
                assert page.evaluate("written.filter(text => text.includes(':'))") == [], kind
            assert not page.locator(".u-legend tr").first.is_visible()  # until something is pointed at
            seen.open(of_one("/reports/series?range=7d&metric=sum&of=properties.lost"))
            page.locator(".chart canvas").wait_for()
            wait_for(lambda: page.evaluate("written.some(text => /^-\\d/.test(text))"))
            seen.open(of_one("/reports/series?range=7d&interval=day"))
            page.locator(".chart canvas").wait_for()
            x = page.evaluate("JSON.parse(document.querySelector('[data-chart]').dataset.chart).x")
            assert [later - at for at, later in pairwise(x)] == [day] * (len(x) - 1)
            box = page.locator(".u-over").bounding_box()
            for number, at in enumerate(x):
                for part in (0.1, 0.9):
                    page.mouse.move(box["x"] + box["width"] * (number + part) / len(x), box["y"] + 50)
                    told, time = page.locator(".u-legend .u-value").first, "at => new Date(at * 1000).toLocaleString()"
                    wanted = page.evaluate(time, at)
                    wait_for(lambda told=told, wanted=wanted: told.inner_text() == wanted)
            seen.quiet()
