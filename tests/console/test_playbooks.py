"""The pages of playbooks: what they list, how a draft is tried and becomes a file, and what must never be written."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from sentinel.core.record import PlaybookVersion
from tests.api.served import wait_for
from tests.console.browsing import tab, write
from tests.console.visiting import PASSWORD, text, visited

WATCHING = """\
playbook: {id}
title: Failures from one address
mode: {mode}
event: auth
where: not success
group_by: ip
window: 10m
when: {{count: {count}}}
actions:
  - block_ip: {{for: 1h}}
tests:
  - name: enough
    events:
      - {{at: 0s, event: auth, success: false, ip: 203.0.113.9, repeat: 4, every: 1s}}
    expect:
      - {{at: 3s, group: {{ip: 203.0.113.9}}}}
"""

GUARDED = """\
playbook: guarded
title: At most one address
mode: enforce
event: guarded
group_by: ip
window: 10m
when: {count: 1}
actions:
  - block_ip: {for: 1h}
guard: {max: 1, per: 1h}
"""


# Where a word of the editor is on the screen.
WORD = """word => {
  const walker = document.createTreeWalker(document.querySelector(".cm-content"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const at = node.data.indexOf(word);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + word.length);
    const box = range.getBoundingClientRect();
    return {x: box.x + box.width / 2, y: box.y + box.height / 2};
  }
}"""


def watching(id="four", mode="monitor", count=4):
    return WATCHING.format(id=id, mode=mode, count=count)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with visited(tmp_path_factory.mktemp("playbooks"), channels={"security": {"kind": "log"}}) as found:
        found.folder = Path(found.server.library.folders[0])
        kept = found.store.playbooks.history
        wait_for(lambda: kept("one", "three-failures").items)  # by the first look at the files
        yield found


@pytest.fixture
def ana(console):
    """An analyst of every app, who looks at `one`."""
    return console.reader("analyst")


def sheet(reader, path="/playbooks/new"):
    """Return what the form of the editor holds."""
    html = reader.page(path)
    found = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html)}
    return found | {"text": unescape(re.search(r"data-draft>(.*?)</textarea>", html, re.S)[1]), "since": "7d"}


def edited(reader, console, name):
    return sheet(reader, f"/playbooks/edit?file={console.folder / name}")


def test_the_list_says_what_each_playbook_found_and_whom_it_acted_on(console):
    console.whole.fail("203.0.113.61")
    said = text(console.reader("viewer").page("/playbooks"))
    assert "Found, 24 h Found, 7 d Acted on" in said
    assert "Three failed logins from one address three-failures enforce medium 1 1 1 0 ready" in said
    assert "sleeping" in said
    assert "New playbook" not in said


def test_of_many_playbooks_those_are_listed_that_are_asked_for(console):
    console.whole.fail("203.0.113.67")
    reader = console.reader("viewer")
    every = {"name=FAILED+logins": True, "name=three-fail": True, "name=sleep": False, "mode=enforce": True,
             "mode=off": False, "found=1": True}  # fmt: skip
    for asked, there in every.items():
        said = text(reader.page(f"/playbooks?{asked}")).partition("Judged wrong")[2]
        assert ("three-failures" in said, "sleeping" in said) == (there, not there), asked
    assert "No playbook is like that" in text(reader.page("/playbooks?name=nothing"))


def test_a_playbook_shows_its_text_its_versions_and_how_near_a_group_is(console):
    console.whole.fail("203.0.113.62", times=2)
    said = text(console.reader("viewer").page("/playbooks/of/three-failures?group=ip%3D203.0.113.62"))
    assert "when: {count: 3}" in said
    assert "1 more matching event" in said and "Nobody acts on" not in said
    near = text(console.reader("viewer").page("/playbooks/of/three-failures?group=ip%3D127.0.0.1"))
    assert "Nobody acts on ip 127.0.0.1: private or local address" in near
    assert re.search(r"Versions `\w{12}`", said)
    assert "no playbook groups by `plan`" in text(
        console.reader("viewer").page("/playbooks/of/three-failures?group=plan%3Dx")
    )
    assert console.reader("viewer").get("/playbooks/of/nothing").status == 404


def test_a_playbook_of_many_versions_shows_them_page_by_page(console):
    versions = [PlaybookVersion("often", f"v{n:03}", f"line {n}\n", 1_000_000 + n) for n in range(51)]
    console.store.playbooks.keep("one", versions)
    first = console.reader("viewer").page("/playbooks/of/often")
    assert ("51 versions" in text(first), "v050" in text(first), "v000" in text(first)) == (True, True, False)
    older = next(link for link in re.findall(r'href="([^"]*cursor=[^"]*)"', first) if "version=" not in link)
    second = console.reader("viewer").page(unescape(older))
    assert ("v000" in text(second), "line 50" in text(second)) == (True, True), "the newest text stands above"
    last = console.reader("viewer").page(f"{unescape(older)}&version=v000")
    assert "+line 0" in text(last)
    edge = console.reader("viewer").page("/playbooks/of/often?version=v001")
    assert "-line 0" in text(edge) and "+line 1" in text(edge), "the one before it is on the next page"


def test_what_was_found_today_stands_at_today_however_long_a_page_takes(console):
    console.whole.fail("203.0.113.63")
    reader = console.reader("viewer")
    for _ in range(5):
        before, page, after = day(), text(reader.page("/playbooks/of/three-failures")), day()
        *earlier, (newest, found) = re.findall(r"(\d{4}-\d\d-\d\d): (\d+) finding", page)
        assert (len(earlier), before <= newest <= after, int(found) > 0 or before < after) == (29, True, True)


def day():
    return datetime.now(UTC).date().isoformat()


def test_findings_are_counted_by_the_days_of_the_reader(console):
    """One of half past three in the afternoon is the next day's in Tokyo, also where its hours begin at half past."""
    noon = datetime.now(UTC).replace(hour=15, minute=35, second=0) - timedelta(days=3)
    past = [{"event": "auth", "success": False, "user": "days", "ip": "203.0.113.64", "timestamp": noon.isoformat()}]
    assert console.whole.using("admin").post("/v1/import", past).json["accepted"] == 1
    reader = console.reader("viewer")

    def days(zone):
        cookie = {"Cookie": f"sentinel={reader.session}; sentinel_zone={zone}"}
        page = reader.get("/playbooks/of/only-watching", cookie).body.decode()
        return dict(re.findall(r"(\d{4}-\d\d-\d\d): (\d+) finding", page))

    before, after = noon.date().isoformat(), (noon + timedelta(days=1)).date().isoformat()
    assert (days("UTC")[before], days("UTC")[after]) == ("1", "0")
    for zone in ("Asia/Tokyo", "Australia/Adelaide"):
        assert (days(zone)[before], days(zone)[after]) == ("0", "1"), zone


def test_a_playbook_that_was_just_saved_is_waited_for(console):
    answer = console.reader("viewer").get("/playbooks/of/not-yet?done=playbook-saved")
    assert answer.status == 202
    assert "The engine is reading it" in text(answer) and 'http-equiv="refresh"' in answer.body.decode()
    assert console.reader("viewer").get("/playbooks/of/not-yet?done=marked").status == 404


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        ("rule: x\nevent: auth\n", "there is no threshold to suggest (a `sequence` has none, nor what is off)"),
        ("playbook: x\nwidow: 1\n", "unknown key `widow`"),
    ],
)
def test_a_draft_without_thresholds_has_none_suggested(console, ana, draft, words):
    assert words in text(ana.post("/playbooks/edit", sheet(ana), do="suggest", since="7d", text=draft))


def test_a_playbook_that_was_just_saved_shows_its_new_text_before_the_engine_goes_by_it(console, ana):
    where = ana.done("/playbooks/edit", {**sheet(ana), "text": watching("ahead"), "name": "ahead.yaml"}, do="save")
    wait_for(lambda: console.store.playbooks.history("one", "ahead", 1).items)
    assert "takes it over in a moment" not in ana.page(where)
    console.store.playbooks.keep(
        "one", [PlaybookVersion("ahead", "v2", "playbook: as-it-was\n", console.server.clock())]
    )
    page = ana.page(where)
    assert "The engine takes it over in a moment" in text(page)
    assert (page.count(watching("ahead").strip()), page.count("as-it-was")) == (1, 0)
    later = ana.page("/playbooks/of/ahead")
    assert "as-it-was" in later and "takes it over in a moment" not in later
    (console.folder / "ahead.yaml").write_text("playbook: ahead\nwidow: 1\n")
    assert "as-it-was" in ana.page(where), "what is a mistake is not taken over"
    (console.folder / "ahead.yaml").unlink()


def test_every_mistake_is_told_with_its_line_and_caret_and_without_scripts(console, ana):
    said = ana.post("/playbooks/edit", sheet(ana), do="check", text=watching() + "widow: 3m\ngroup: ip\n").body.decode()
    assert "2 mistakes" in said
    line = watching().count("\n") + 1
    assert f"draft.yaml:{line} unknown key `widow` (did you mean `window`?)" in text(said)
    assert f"draft.yaml:{line + 1} unknown key `group` (" in text(said)
    assert "^^^^^" in said
    found = json.loads(ana.post("/playbooks/check", sheet(ana), text="playbook: x\nwidow: 1").body)
    assert not found["ok"]
    assert found["mistakes"][-1]["line"] >= 1


def test_what_asks_for_a_secret_that_no_sdk_sends_is_noted_beside_no_mistakes(console, ana):
    draft = "playbook: x\nevent: a\ngroup_by: properties.session_id\nwindow: 1m\nwhen: {count: 2}\n"
    said = text(ana.post("/playbooks/edit", sheet(ana), do="check", text=draft))
    assert "no mistakes" in said
    assert "draft.yaml:1 `properties.session_id`: an SDK sends `<redacted>` in its place" in said
    found = json.loads(ana.post("/playbooks/check", sheet(ana), text=draft).body)
    assert found["ok"] and [one["field"] for one in found["notes"]] == ["properties.session_id"]


def test_a_test_that_fails_shows_its_difference_and_holds_the_file_back(console, ana):
    given = {**sheet(ana), "text": watching("held", count=5), "name": "held.yaml"}
    said = text(ana.post("/playbooks/edit", given, do="test"))
    assert "1 failed" in said
    assert "- at 3s: ip 203.0.113.9" in said
    assert "Not saved: tests fail." in text(ana.post("/playbooks/edit", given, do="save"))
    assert not (console.folder / "held.yaml").exists()
    ana.done("/playbooks/edit", {**given, "do": "save", "anyway": "1"})
    assert (console.folder / "held.yaml").read_text() == watching("held", count=5)


def test_a_backtest_tells_whom_it_would_have_acted_on(console, ana):
    console.whole.fail("203.0.113.71", times=4)
    page = ana.post("/playbooks/edit", {**sheet(ana), "text": watching()}, do="backtest").body.decode()
    assert re.search(r'href="/addresses/203\.0\.113\.71[^"]*" target="_blank"', page)  # the draft stays where it is
    report = text(page)
    assert "ip 203.0.113.71" in report and "count ≥ 4" in report
    assert re.search(r"[\d,]+ of [\d,]+ events could matter", report)
    alone = watching().replace("where: not success", 'where: ip == "203.0.113.71"')
    report = text(ana.post("/playbooks/edit", {**sheet(ana), "text": alone}, do="backtest"))
    assert "`block_ip` 1 time on 1 target, 1 h in all" in report and "1 finding " in report


def test_times_of_a_backtest_are_the_readers(console, ana):
    console.whole.fail("203.0.113.72", times=4)

    def shown(zone):
        cookie = {"Cookie": f"sentinel={ana.session}; sentinel_zone={zone}"}
        given = {**sheet(ana), "text": watching()}
        page = ana.post("/playbooks/edit", given, cookie, do="backtest").body.decode()
        assert len(re.findall(r'<time [^>]*data-local="minute"', page)) == 2, "the ends of the axis"
        return set(re.findall(r"<title>[\d-]+ \d\d:(\d\d)( UTC)?: [\d,]+ findings", page))

    assert (shown("UTC"), shown("Asia/Kolkata")) == ({("00", " UTC")}, {("30", "")})


def test_saving_makes_a_version_by_whom_and_shows_what_changed(console, ana):
    assert f"It goes into {console.folder}." in text(ana.page("/playbooks/new"))
    where = ana.done("/playbooks/edit", {**sheet(ana), "text": watching("mine"), "name": "mine.yaml"}, do="save")
    assert where.startswith("/playbooks/of/mine")
    wait_for(lambda: console.store.playbooks.history("one", "mine").items)
    changed = {**edited(ana, console, "mine.yaml"), "text": watching("mine", mode="enforce")}
    ana.done("/playbooks/edit", changed, do="save")
    wait_for(lambda: len(console.store.playbooks.history("one", "mine").items) == 2)
    newest = console.store.playbooks.history("one", "mine").items[0]
    assert newest.by == "account:analyst-all"
    said = text(ana.page(f"/playbooks/of/mine?version={newest.version}"))
    assert "-mode: monitor" in said
    assert "+mode: enforce" in said
    assert "playbook.saved" in [line.action for line in console.store.audit.list(None).items]


def test_an_older_version_is_taken_to_the_editor_and_saved_anew(console, ana):
    beside = "---\n" + watching("beside")
    ana.done("/playbooks/edit", {**sheet(ana), "text": watching("back") + beside, "name": "back.yaml"}, do="save")
    wait_for(lambda: console.store.playbooks.history("one", "back").items)
    old = console.store.playbooks.history("one", "back").items[0].version
    ana.done(
        "/playbooks/edit",
        {**edited(ana, console, "back.yaml"), "text": watching("back", mode="enforce") + beside},
        do="save",
    )
    wait_for(lambda: len(console.store.playbooks.history("one", "back").items) == 2)
    page = ana.page(f"/playbooks/of/back?version={old}")
    (link,) = (unescape(one) for one in re.findall(r'href="([^"]*)">Edit as it was then', page))
    taken = sheet(ana, link)
    assert taken["text"] == watching("back") + beside
    ana.done("/playbooks/edit", taken, do="save")
    assert (console.folder / "back.yaml").read_text() == watching("back") + beside
    wait_for(lambda: console.store.playbooks.history("one", "back").items[0].version == old)
    assert "Edit as it was then" not in ana.page(f"/playbooks/of/back?version={old}")
    assert ana.get(f"/playbooks/edit?file={console.folder / 'back.yaml'}&id=back&version=none").status == 404


def test_whoever_reaches_some_apps_tries_drafts_and_is_told_who_saves_them(console):
    reader = console.reader("analyst", everywhere=False)
    page = reader.page("/playbooks/new")
    assert "whoever reaches all apps saves them" in text(page) and "Save the file" not in page
    for button in ("Check", "Run its tests", "Backtest", "Keep as draft"):
        assert f">{button}</button>" in page, button
    assert reader.post("/playbooks/edit", {**sheet(reader), "text": watching("theirs")}, do="save").status == 403


def test_until_when_a_guard_holds_is_told(console, ana):
    given = {**sheet(ana), "text": GUARDED, "name": "guarded.yaml"}
    ana.done("/playbooks/edit", given, do="save")
    held = lambda: next((one for one in api.get("/v1/playbooks").json["items"] if one["id"] == "guarded"), None)  # noqa: E731
    api = console.whole.using("read")
    wait_for(lambda: held() is not None and held()["state"] == "ready")
    assert held()["guard_until"] is None
    for number in (1, 2):
        seen = {"event": "guarded", "ip": f"203.0.113.{170 + number}"}
        assert console.whole.using("sdk").post("/v1/events", seen).json["accepted"] == 1
    until = datetime.fromisoformat(held()["guard_until"]).astimezone(UTC)
    assert timedelta(minutes=50) < until - datetime.now(UTC) <= timedelta(hours=1)
    page, listed = text(ana.page("/playbooks/of/guarded")), text(ana.page("/playbooks"))
    assert f"guard holds: it only watches until {until:%Y-%m-%d %H:%M:%S}" in page
    assert f"guard holds until {until:%Y-%m-%d %H:%M}" in listed


def test_a_file_that_somebody_changed_meanwhile_is_not_overwritten(console, ana):
    file = console.folder / "shared.yaml"
    ana.done("/playbooks/edit", {**sheet(ana), "text": watching("shared"), "name": "shared.yaml"}, do="save")
    wait_for(lambda: str(file) in console.server.library.files)
    mine = edited(ana, console, "shared.yaml")
    file.write_text(watching("shared", count=4) + "# theirs\n")
    said = text(ana.post("/playbooks/edit", {**mine, "text": watching("shared") + "# mine\n"}, do="save"))
    assert "Not saved: somebody changed this file meanwhile" in said
    assert "# theirs" in file.read_text()
    assert "# mine" in said
    again = text(
        ana.post("/playbooks/edit", {**sheet(ana), "text": watching("other"), "name": "shared.yaml"}, do="save")
    )
    assert "somebody" in again
    assert "# theirs" in file.read_text()


@pytest.mark.parametrize(
    "file",
    [
        "../evil.yaml",
        "/etc/passwd",
        "/tmp/evil.yaml",
        "a/b.yaml",
        "evil.txt",
        ".hidden.yaml",
        "a\0.yaml",
        "%2e%2e/x.yaml",
    ],
)
def test_no_path_that_was_sent_is_read_or_written(console, ana, file):
    given = {**sheet(ana), "text": watching("evil"), "name": file}
    assert ana.post("/playbooks/edit", given, do="save").status == 422
    assert ana.post("/playbooks/edit", {**given, "file": file}, do="save").status == 422
    below = str(console.folder / ".." / "evil.yaml")
    assert ana.post("/playbooks/edit", {**given, "file": below}, do="save").status == 422
    assert ana.get(f"/playbooks/edit?file={'/etc/passwd'}").status == 422
    assert not list(console.folder.parent.glob("**/evil*"))


def test_a_new_file_without_a_name_is_named_after_its_playbook(console, ana):
    where = ana.done("/playbooks/edit", {**sheet(ana), "text": watching("unnamed"), "name": ""}, do="save")
    assert where.startswith("/playbooks/of/unnamed") and (console.folder / "unnamed.yaml").read_text()
    (console.folder / "unnamed.yaml").unlink()
    answer = ana.post("/playbooks/edit", {**sheet(ana), "text": "playbook: half", "name": ""}, do="draft")
    assert answer.status == 422 and "the file has no name (write one, such as" in text(answer)


def test_a_link_out_of_the_folder_is_not_followed(console, ana, tmp_path):
    outside = tmp_path / "outside.yaml"
    outside.write_text(watching("outside"))
    (console.folder / "linked.yaml").symlink_to(outside)
    wait_for(lambda: str(console.folder / "linked.yaml") in console.server.library.files)
    mine = edited(ana, console, "linked.yaml")
    answer = ana.post("/playbooks/edit", {**mine, "text": watching("outside", count=9), "anyway": "1"}, do="save")
    assert (answer.status, outside.read_text()) == (422, watching("outside"))
    (console.folder / "linked.yaml").unlink()


def test_a_draft_is_its_writers_until_it_is_saved(console, ana):
    ana.done("/playbooks/edit", {**sheet(ana), "text": "playbook: half", "name": "half.yaml"}, do="draft")
    where = f"/playbooks/edit?file={console.folder / 'half.yaml'}"
    assert sheet(ana, where)["text"] == "playbook: half"
    assert "half.yaml" in text(ana.page("/playbooks"))
    other = console.reader("admin")
    assert "half.yaml" not in text(other.page("/playbooks"))
    ana.done("/playbooks/edit", {**sheet(ana, where)}, do="discard")
    assert "half.yaml" not in text(ana.page("/playbooks"))


def test_who_is_kept_to_one_app_changes_no_playbook_of_all(console):
    kept = console.reader("analyst", everywhere=False)
    given = {**sheet(kept), "text": watching("sly"), "name": "sly.yaml"}
    assert kept.post("/playbooks/edit", given, do="save").status == 403
    assert "No mistakes" in text(kept.post("/playbooks/edit", given, do="check"))


def refused(answer):
    """Return the status of a refusal and what the form on its page holds: all that was sent."""
    html = answer.body.decode()
    found = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html)}
    found["text"] = unescape(re.search(r'name="text"[^>]*>(.*?)</textarea>', html, re.S)[1])
    found["to"] = unescape(re.search(r'action="(/playbooks/[^"]*)"', html)[1])
    return answer.status, found


def test_whoever_is_signed_out_while_writing_gets_the_text_back_and_goes_on_with_it(console):
    ana = console.invited("writing", "analyst")
    ana.app = "one"
    given = {**sheet(ana), "text": "</textarea><script>x</script>\nmine", "name": "lost.yaml"}
    ana.csrf = given["csrf"]
    console.server.accounts.sign_out(ana.session, "account:writing")
    answer = ana.post("/playbooks/edit", given, do="save")
    status, kept = refused(answer)
    assert (status, kept["text"], kept["name"], kept["csrf"]) == (401, given["text"], "lost.yaml", "")
    assert "<script>x" not in answer.body.decode() and "Sign in in another tab" in text(answer)
    ana.post("/sign-in", {"name": "writing", "password": PASSWORD})
    status, again = refused(ana.post(kept.pop("to"), kept))  # the token of no session
    assert (status, again["text"]) == (403, given["text"])
    done = ana.post(again.pop("to"), again).body.decode()
    assert "data-draft>&lt;/textarea&gt;&lt;script&gt;" in done and 'value="lost.yaml"' in done
    assert not (console.folder / "lost.yaml").exists()


def test_a_text_that_is_refused_is_given_back_and_nobody_elses_token_takes_it(console, ana):
    given = {**sheet(ana), "text": watching("kept"), "name": "../kept.yaml"}
    status, kept = refused(ana.post("/playbooks/edit", given, do="save"))
    assert (status, kept["text"]) == (422, watching("kept"))
    status, kept = refused(ana.post("/playbooks/edit", {**given, "name": "kept.yaml", "csrf": "0" * 64}, do="save"))
    assert (status, kept["csrf"]) == (403, ana.csrf)
    assert not (console.folder / "kept.yaml").exists()
    script = ana.post("/playbooks/edit", {**given, "csrf": "x"}, headers={"HX-Request": "true"})
    assert "<textarea" not in script.body.decode()


def test_a_session_that_ends_while_one_writes_is_told_and_the_next_one_goes_on(chromium, console):
    reader = console.invited("typing", "analyst", ("one",))
    with tab(chromium, reader) as seen:
        page = seen.page
        seen.open("/playbooks/new")
        page.locator("#draft-status", has_text="No mistakes").wait_for()
        console.server.accounts.sign_out(reader.session, "account:typing")
        write(page, watching("typed"))
        page.locator("#draft-status", has_text="Your session is over").wait_for()
        page.get_by_role("button", name="Run its tests").click()
        page.locator("#draft-result", has_text="Your session is over").wait_for()
        with page.context.expect_page() as opened:
            page.locator("#draft-status a").click()
        other = opened.value
        other.fill("#f-name", "typing")
        other.fill("#f-password", PASSWORD)
        other.keyboard.press("Enter")
        other.wait_for_url("**/overview")
        page.get_by_role("button", name="Run its tests").click()
        page.locator("#draft-result", has_text="1 passed").wait_for()
        page.get_by_role("button", name="Backtest").click()
        page.locator("#draft-report", has_text="could matter").wait_for()
        assert "typed" in page.evaluate("document.getElementById('draft-text').value")


def test_no_word_of_every_object_is_explained(chromium, console):
    with tab(chromium, console.reader("analyst", everywhere=False)) as seen:
        page = seen.page
        seen.open("/playbooks/new")
        page.locator("#draft-status", has_text="No mistakes").wait_for()
        write(page, "constructor\ntoString: __proto__\nwindow: 10m\nwhere: cidr\n")
        for word in ("constructor", "toString", "__proto__", "cidr"):
            place = page.evaluate(WORD, word)
            page.mouse.move(place["x"], place["y"])
            page.wait_for_timeout(400)  # what the editor waits before it explains
            assert page.locator(".explained").count() == 0 or word == "cidr", word
        page.locator(".explained", has_text="cidr(").wait_for()
        seen.quiet()


def test_a_rule_made_of_a_search_opens_in_the_editor(ana):
    assert sheet(ana, "/playbooks/new?rule=rule%3A%20odd%0Aevent%3A%20auth%0A")["text"] == "rule: odd\nevent: auth\n"


def test_what_the_editor_completes_is_there(ana):
    words = json.loads(ana.page("/playbooks/words"))
    assert words["fields"]["geo.country"]
    assert words["functions"]["cidr"][0].startswith("cidr(")
    assert words["schema"]["$defs"]["playbook"]["properties"]["window"]
    assert "auth" in words["events"]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_no_page_has_a_serious_violation_or_is_wider_than_the_window(chromium, console, theme, width):
    console.whole.fail("198.51.100.5", user="early", times=5)
    file = console.folder / "all.yaml"
    with tab(chromium, console.reader("analyst"), theme=theme, width=width) as seen:
        for path in ("", "/of/three-failures?", "/new?", f"/edit?file={file}&"):
            seen.open(f"/playbooks{path}{'' if '?' in path else '?'}app=one")
            if path.startswith(("/new", "/edit")):
                seen.page.locator("#draft-report", has_text="could matter").wait_for()
            assert seen.serious() == [], path
            wide = seen.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
            assert not wide, path
        seen.page.get_by_role("button", name="Run its tests").click()
        seen.page.locator("#draft-result", has_text="passed").wait_for()
        write(seen.page, watching().replace("window:", "widow:"))
        seen.page.locator("#draft-status.wrong").wait_for()
        assert seen.serious() == [], "an editor with tests that ran, and with a mistake"
        seen.quiet()


def test_a_playbook_is_written_tried_enforced_and_its_block_lifted_in_a_browser(chromium, console):
    with tab(chromium, console.reader("analyst")) as seen:
        page = seen.page
        console.whole.fail("198.51.100.1", user="early", times=5)
        seen.open("/playbooks?app=one")
        page.get_by_role("link", name="New playbook").click()
        page.wait_for_selector(".cm-content")

        wrong = watching("flow", mode="enforce").replace("window:", "widow:")
        write(page, wrong)
        page.locator("#draft-status", has_text="the first in line").wait_for()
        assert page.locator("#draft-status code").inner_text() == "widow"
        page.locator(".cm-lintRange-error").first.wait_for(state="attached")
        write(page, watching("flow", mode="enforce"))
        page.locator("#draft-status", has_text="No mistakes").wait_for()
        page.locator("#draft-report", has_text="198.51.100.1").wait_for()
        page.get_by_role("button", name="Run its tests").click()
        page.locator("#draft-result", has_text="1 passed").wait_for()
        page.fill("#f-name", "flow.yaml")
        page.get_by_role("button", name="Save the file").click()
        page.wait_for_url("**/playbooks/of/flow*")
        wait_for(
            lambda: any(one.id == "flow" and one.state == "ready" for one in console.server.overview.playbooks("one"))
        )
        console.whole.fail("198.51.100.77", user="late", times=4)
        found = lambda: [one.decision for one in console.store.decisions.list("one", playbook="flow").items]  # noqa: E731
        wait_for(lambda: found())
        decision = found()[0]
        assert (decision.kind, decision.value) == ("block", "198.51.100.77")
        seen.open(f"/decisions/{decision.id}?app=one")
        page.fill("#f-why", "a mistake")
        page.get_by_role("button", name="Lift for good").click()
        page.wait_for_url("**done=lifted*")
        assert console.store.decisions.get("one", decision.id).lifted
        seen.quiet()


def test_the_tests_of_a_draft_leave_its_backtest_alone_and_what_is_told_of_an_older_text_says_so(chromium, console):
    console.whole.fail("198.51.100.6", user="early", times=5)
    with tab(chromium, console.reader("analyst")) as seen:
        page, held = seen.page, []
        seen.open("/playbooks/new?app=one")
        page.locator("#draft-report", has_text="could matter").wait_for()
        holds = lambda route: held.append(route) if "do=backtest" in route.request.post_data else route.continue_()  # noqa: E731
        page.route("**/playbooks/edit*", holds)
        write(page, watching())
        page.locator("#draft-status", has_text="Judging").wait_for()
        page.get_by_role("button", name="Run its tests").click()
        page.locator("#draft-result", has_text="passed").wait_for()
        wait_for(lambda: page.title() and held)  # asked for something, the browser tells what it was about to send
        held[-1].continue_()
        page.locator("#draft-report:not([aria-busy])", has_text="block_ip").wait_for()
        times = page.locator("#draft-report time")
        assert times.count() > 2 and "Japan" in times.first.get_attribute("title")
        page.locator("#draft-status", has_text="No mistakes.").wait_for()
        checks = []
        page.route("**/playbooks/check*", lambda route: checks.append(route))
        write(page, watching().replace("window:", "widow:"))
        page.locator("#draft-status", has_text="Checking").wait_for()
        wait_for(lambda: page.title() and checks)
        checks[-1].continue_()
        page.locator("#draft-report.stale").wait_for()
        before = "getComputedStyle(document.getElementById('draft-result'), '::before').content"
        assert page.evaluate(before) == '"Of the text as it was before:"'  # that its tests passed
        assert page.locator(".cm-content").get_attribute("aria-describedby") == "draft-text-keys"
        assert page.locator("#draft-text-keys").is_visible()
        page.locator(".cm-content").press("Escape")
        page.keyboard.press("Tab")
        page.locator("button[value=check]:focus").wait_for()
        seen.quiet()
