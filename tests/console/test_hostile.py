"""What attackers send, on the pages about playbooks, in what a script puts into a page, and when it is very long."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from sentinel.core.record import Filter
from tests.api.served import wait_for
from tests.console.browsing import tab, write
from tests.console.test_browser import HOSTILE, LINES, details, of_one
from tests.console.visiting import visited

LONG = "<img src=x>" * 2_700  # a property near the 32 KiB that all of an event's may have: pages cut it
STEERING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x1b\x07]")
GROUPED = """\
playbook: grouped
title: "{title}"
mode: enforce
event: auth
group_by: properties.note
window: 10m
when: {{count: 2}}
actions:
  - block_users: all
tests:
  - name: "{title}"
    events:
      - {{at: 0s, event: auth, properties: {{note: "{title}"}}, repeat: 3, every: 1s}}
    expect: []
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """A console whose events are hostile, of which some are as long as an event may be."""
    with visited(tmp_path_factory.mktemp("hostile")) as found:
        found.file = Path(found.server.library.folders[0]) / "all.yaml"
        for number, value in enumerate(HOSTILE.values()):
            more = {"properties": {"note": value, "long": LONG}}
            found.whole.fail(f"203.0.113.{number}", user=value.replace("\x07", "")[:200], **more)
        yield found


def inert(page, root="main"):
    """Fail where what was sent became more than text; return the text."""
    assert page.title().endswith("· Sentinel")
    assert (
        page.locator("main img, main iframe, main script, main [autofocus], main [data-hx-get='/settings']").count()
        == 0
    )
    assert page.locator('a:not([href^="/"]):not([href^="#"]):not([href^="blob:"]):not(#draft-download)').count() == 0
    said = page.locator(root).inner_text()
    assert not STEERING.search(said)
    assert len(said) < 100_000
    return said


def test_the_pages_of_playbooks_show_what_attackers_send_as_text(chromium, console):
    groups = [f"/playbooks/of/only-watching?group={quote('user=id:' + value)}" for value in HOSTILE.values()]
    paths = ("/playbooks", "/playbooks/of/three-failures", "/playbooks/new", f"/playbooks/edit?file={console.file}")
    with tab(chromium, console.reader()) as seen:
        for path in (*paths, *groups, "/playbooks/of/three-failures?version=%3Cscript%3E"):
            seen.open(of_one(path))
            inert(seen.page)
        seen.open(of_one("/playbooks/of/only-watching"))
        assert "{{ 7 * 7 }}" in inert(seen.page)
        seen.quiet()


def test_what_a_backtest_puts_into_the_page_stays_text(chromium, console):
    with tab(chromium, console.reader("analyst")) as seen:
        page = seen.page
        seen.open(of_one("/playbooks/new"))
        page.locator("#draft-status", has_text="No mistakes").wait_for()
        write(page, GROUPED.format(title="<img src=x onerror=document.title=1>"))
        page.locator("#draft-report", has_text="could matter").wait_for()
        page.locator("#draft-report", has_text="{{ 7 * 7 }}").wait_for()
        page.locator("#draft-report details summary").click()
        said = inert(page, "#draft-report")
        assert "<script>document.title" in said and "\\u202eevil" in said and "\\x1b[31m" in said
        page.get_by_role("button", name="Run its tests").click()
        page.locator("#draft-result", has_text="failed").wait_for()
        assert "<img src=x onerror" in inert(page, "#draft-result")
        write(page, "playbook: '<img src=x onerror=document.title=1>'\n\"<script>x</script>\": 1\n")
        page.locator("#draft-status", has_text="the first in line").wait_for()
        page.get_by_role("button", name="Check").click()
        page.locator("#draft-result", has_text="mistake").wait_for()
        assert "<script>x" in inert(page, "#draft-result")
        assert page.title() == "New playbook · Sentinel"
        seen.quiet()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_longest_address_is_whole_and_goes_on_behind_a_colon(chromium, console, width):
    ip = "2a02:8109:b5c0:1234:5c3a:9b1f:22aa:7e01"
    console.whole.fail(ip, user="six", times=1)
    wait_for(lambda: console.store.events.count("one", Filter(ip=ip)) > 0)
    with tab(chromium, console.reader(), width=width) as seen:
        seen.open(of_one(f"/explorer?ip={quote(ip)}"))
        lines = seen.page.locator('td[data-label="Address"] bdi').first.evaluate(LINES)
        assert "".join(lines) == ip and all(line.endswith(":") for line in lines[:-1]), lines
        card = seen.page.locator("section:has(tbody)", has_text="Watch live").first.bounding_box()
        cell = seen.page.locator('td[data-label="Address"] bdi').first.bounding_box()
        assert cell["x"] + cell["width"] <= card["x"] + card["width"]
        seen.quiet()


def test_a_rule_made_of_a_hostile_search_is_shown_as_text_and_opens_in_the_editor(chromium, console):
    with tab(chromium, console.reader("analyst")) as seen:
        page = seen.page
        for value in (HOSTILE[name] for name in ("attribute", "template", "bidi", "terminal", "script")):
            q = f"properties.note == {json.dumps(value, ensure_ascii=True)}"
            seen.open("/explorer?" + urlencode({"app": "one", "q": q}))
            inert(page)
            page.locator("summary", has_text="Make this a rule").click()
            page.fill("#rule-title", "".join(one for one in value if one.isprintable()))
            page.get_by_role("button", name="Show the rule").click()
            page.locator("#rule-text", has_text="rule: ").wait_for()
            inert(page)
        assert seen.serious() == []
        page.get_by_role("link", name="Open in the editor").click()
        page.locator("#draft-status", has_text="No mistakes").wait_for()
        inert(page)
        seen.quiet()


def test_ten_million_characters_are_refused_and_every_page_stays_as_it_was(chromium, console):
    sdk, long = console.whole.using("sdk"), "<b>" + "y" * 10_000_000
    for event in ({"event": "auth", "properties": {"note": long}}, {"event": long}, {"event": "auth", "user": long}):
        answer = sdk.post("/v1/events", event)
        assert (answer.status, answer.error["code"]) == (413, "too_large")
        packed = gzip.compress(json.dumps(event).encode())
        answer = sdk.ask("POST", "/v1/events", raw=packed, headers={"Content-Encoding": "gzip"})
        assert (answer.status, answer.error["code"]) == (413, "too_large")
    for place in ("event", "user", "device", "ip", "properties", "request"):
        small = long[:7_000_000]
        event = {"event": "auth"} | {place: {"note": small} if place in ("properties", "request") else small}
        answer = sdk.post("/v1/events", event)
        assert (answer.status, answer.json["accepted"], len(answer.json["rejected"])) == (200, 0, 1), place
        assert len(answer.body) < 1000
    with tab(chromium, console.reader()) as seen:
        for path in ("/overview", "/explorer", "/people", "/findings", *details(console)):
            seen.open(of_one(path))
            said = inert(seen.page)
            assert LONG[: len(LONG) // 2] not in said or path.startswith("/explorer/events/"), path
            wide = seen.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            assert not wide, path
        seen.quiet()
