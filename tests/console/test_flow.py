"""The whole way of an analyst in one run of a browser: from the door to a block that is seen, and lifted."""

from __future__ import annotations

import pytest

from tests.api.served import wait_for
from tests.console.browsing import tab
from tests.console.test_playbooks import watching, write
from tests.console.visiting import PASSWORD, visited

ATTACKER, VICTIM = "198.51.100.77", "198.51.100.1"


PLAYBOOK = watching("guessing", mode="enforce").replace("event: auth", "event: pin.wrong")
PLAYBOOK = PLAYBOOK.replace("where: not success\n", "").replace("success: false, ", "")


def fail(console, ip, user, times):
    """Send wrong codes that no other playbook looks at."""
    event = {"event": "pin.wrong", "ip": ip, "user": user}
    assert console.whole.using("sdk").post("/v1/events", [event] * times).json["accepted"] == times


@pytest.fixture
def console(tmp_path):
    with visited(tmp_path) as found:
        fail(found, VICTIM, "mallory", 2)
        fail(found, "198.51.100.50", "early", 5)
        found.invited("ana", "analyst")
        yield found


def sign_in_and_find(seen):
    """Sign in, search, and click through to a user."""
    page = seen.page
    seen.open("/explorer?app=one")
    page.fill("#f-name", "ana")
    page.fill("#f-password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/explorer?app=one")
    page.fill("#f-q", f'event == "pin.wrong" and ip == "{VICTIM}"')
    page.keyboard.press("Enter")
    page.locator("h2", has_text="2 events").wait_for()
    page.locator("tbody a", has_text="id:mallory").first.click()
    page.wait_for_url("**/people/id%3Amallory*")
    assert "is not blocked" in page.locator("#the-answer").inner_text()


def write_and_enforce(seen):
    """Write a playbook with an error, fix it, see what it would have done, and let it act."""
    page = seen.page
    page.locator("nav a", has_text="Playbooks").click()
    page.get_by_role("link", name="New playbook").click()
    page.wait_for_selector(".cm-content")
    write(page, PLAYBOOK.replace("window:", "widow:"))
    page.locator("#draft-status", has_text="the first in line").wait_for()
    page.locator(".cm-lintRange-error").first.wait_for(state="attached")
    write(page, PLAYBOOK)
    page.locator("#draft-report", has_text="198.51.100.50").wait_for()
    page.get_by_role("button", name="Run its tests").click()
    page.locator("#draft-result", has_text="1 passed").wait_for()
    page.fill("#f-name", "guessing.yaml")
    page.get_by_role("button", name="Save the file").click()
    page.wait_for_url("**/playbooks/of/guessing*")


def ready(console):
    return any(one.id == "guessing" and one.state == "ready" for one in console.server.overview.playbooks("one"))


def test_an_analyst_goes_from_the_door_to_an_attack_that_is_blocked_and_lets_it_through_again(chromium, console):
    sdk = console.whole.using("sdk")
    with tab(chromium, console.anybody()) as seen:
        page = seen.page
        sign_in_and_find(seen)
        write_and_enforce(seen)
        wait_for(lambda: ready(console))
        since = sdk.get("/v1/feed?since=0").json["revision"]
        fail(console, ATTACKER, "mallory", 4)
        page.locator("nav a", has_text="Decisions").click()
        page.locator("tr", has_text="guessing").get_by_role("link", name=ATTACKER).click()
        page.locator("dd", has_text="playbook guessing").wait_for()
        page.get_by_role("link", name=ATTACKER).click()
        assert "Your address was blocked on" in page.locator("#the-answer").inner_text()
        fed = sdk.get(f"/v1/feed?since={since}").json
        assert ATTACKER in [one["value"] for one in fed["added"]]
        held = page.locator(".held", has_text="Failures from one address")
        held.locator("summary").click()
        held.get_by_label("Why").fill("our own office")
        held.get_by_role("button", name="Lift for good").click()
        page.get_by_text("The decision was lifted").wait_for()
        assert "which our team lifted on" in page.locator("#the-answer").inner_text()
        gone = sdk.get(f"/v1/feed?since={fed['revision']}").json["removed"]
        assert gone and set(gone) <= {one["id"] for one in fed["added"]}
        seen.quiet()
