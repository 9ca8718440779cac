"""Drafts by API: mistakes with their places, tests with their differences, and what a draft would have done."""

from __future__ import annotations

import threading

import pytest

from sentinel.service.trials.workbench import Superseded, Workbench
from tests.api.whole import whole

DRAFT = """\
playbook: draft
title: Two failures
event: auth
where: not success
group_by: ip
window: 10m
when: {count: 2}
actions:
  - block_ip: {for: 1h}
tests:
  - name: two
    events:
      - {at: 0s, event: auth, success: false, ip: 203.0.113.9, repeat: 2, every: 1s}
    expect:
      - {at: 2s, group: {ip: 203.0.113.9}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with whole(tmp_path_factory.mktemp("drafting")) as found:
        yield found


def post(server, what, text, status=200, app="one", **more):
    answer = server.using("admin", app).post(f"/v1/playbooks/{what}", {"text": text, **more})
    assert answer.status == status, answer.body
    return answer.json


def test_every_mistake_has_its_place_its_caret_and_a_hint(server):
    found = post(server, "check", DRAFT.replace("group_by", "groupby").replace("10m", "10x"))
    assert (found["ok"], [one["line"] for one in found["mistakes"]]) == (False, [5, 6])
    first = found["mistakes"][0]
    assert (first["file"], first["column"], first["width"]) == ("draft.yaml", 1, 7)
    assert "group_by" in first["hint"]
    assert first["shown"].splitlines()[2].strip() == "^^^^^^^"


def test_a_drafts_tests_know_a_device_by_its_user_agent(server):
    text = DRAFT.replace("group_by: ip", "group_by: device").replace("ip: 203.0.113.9, ", "request: {user_agent: x}, ")
    text = text.replace("block_ip: {for: 1h}", "emit: {event: many.failures}")
    text = text.replace("{ip: 203.0.113.9}", "{device: y}")
    (outcome,) = post(server, "test", text)["outcomes"]
    assert "at 1s: device " in str(outcome["faults"]), outcome


def test_a_draft_without_mistakes_says_what_is_in_it(server):
    found = post(server, "check", DRAFT)
    assert (found["ok"], found["playbooks"][0]["id"], found["playbooks"][0]["tests"]) == (True, "draft", 1)


def test_a_draft_of_a_file_in_use_takes_its_place(server):
    text = DRAFT.replace("playbook: draft", "playbook: three-failures")
    assert not post(server, "check", text)["ok"]  # there is one already
    file = next(one for one in server.server.library.files if one.endswith("all.yaml"))
    assert post(server, "check", text, file=file)["ok"]


def test_tests_say_what_was_expected_and_what_was_found(server):
    found = post(server, "test", DRAFT)
    assert (found["ok"], found["failed"]) == (False, 1)
    assert any(line.startswith("+ at 1s: ip 203.0.113.9") for line in found["outcomes"][0]["faults"])
    assert post(server, "test", DRAFT.replace("at: 2s", "at: 1s"))["ok"]


def test_a_drafts_tests_run_with_the_playbooks_in_force(server):
    text = DRAFT.replace("at: 2s", "at: 1s").replace("  - name: two\n", "  - name: two\n    with: three-failures\n")
    assert post(server, "test", text)["ok"]
    more = text.replace("repeat: 2", "user: u, repeat: 3")
    (outcome,) = post(server, "test", more)["outcomes"]
    assert any(line.startswith("+ at 2s: three-failures: ") for line in outcome["faults"]), outcome
    (mistake,) = post(server, "check", text.replace("three-failures", "three-failurs"))["mistakes"]
    assert (mistake["line"], mistake["hint"]) == (12, "did you mean `three-failures`?")


@pytest.mark.parametrize("what", ["test", "backtest", "suggest"])
def test_what_cannot_be_read_is_refused_with_every_mistake(server, what):
    error = post(server, what, "playbook: x\nwidow: 1", status=422)["error"]
    assert error["problems"][0]["line"] == 1


def test_a_backtest_judges_the_events_of_its_app_alone(server):
    server.fail("203.0.113.40", times=2)
    found = post(server, "backtest", DRAFT, since="1d")
    assert found["findings"][0]["group"] == {"ip": "203.0.113.40"}
    assert (found["summary"]["addresses"]["targets"], found["partial"]) == (1, False)
    assert sum(count for _, count in found["chart"]["counts"]) == found["summary"]["findings"] == 1
    assert found["read"] <= found["events"]
    assert post(server, "backtest", DRAFT, since="1d", app="two")["summary"]["findings"] == 0
    assert server.using("admin").get("/v1/findings?playbook=draft").json["items"] == []


def test_thresholds_are_suggested_by_how_high_the_groups_of_ones_own_app_came(server):
    sent = [{"event": "stepped", "user": f"s{n}"} for n in range(4) for _ in range(n + 1)]
    assert server.using("sdk").post("/v1/events", sent).json["accepted"] == 10
    text = "playbook: steps\nevent: stepped\ngroup_by: user\nwindow: 1h\nwhen: {count: 2}\n"
    found = post(server, "suggest", text, since="1d")
    (one,) = found["measures"]
    assert (found["read"], found["partial"], one["measured"], one["percentiles"]["50"]) == (10, False, 4, 2)
    assert one["options"] == [{"percentile": 100, "threshold": 5, "fires": 0, "needs": 0}]
    assert one["now"] == {"threshold": 2, "strict": False, "fires": 3}
    assert one["highest"][0] == {"group": {"user": "id:s3"}, "value": 4}
    assert post(server, "suggest", text, since="1d", app="two")["measures"][0]["measured"] == 0
    text += "---\nplaybook: more\nevent: stepped\ngroup_by: []\nwindow: 1h\nwhen: {count: 20}\n"
    assert [one["playbook"] for one in post(server, "suggest", text, since="1d")["measures"]] == ["steps", "more"]


@pytest.mark.parametrize("what", ["backtest", "suggest"])
def test_a_time_that_is_too_long_is_refused(server, what):
    assert "90 days" in post(server, what, DRAFT, status=422, since="91d")["error"]["message"]


def test_a_draft_that_is_off_is_refused(server):
    off = DRAFT.replace("title:", 'mode: "off"\ntitle:')
    assert "off" in post(server, "backtest", off, status=422)["error"]["hint"]


def test_a_newer_question_of_the_same_user_ends_the_older(server):
    bench: Workbench = server.server.workbench
    inside, newer = threading.Event(), threading.Event()
    seen = []

    def older():
        with pytest.raises(Superseded), bench._turn("ana") as gone:
            seen.append(gone())
            inside.set()
            newer.wait(60)
            seen.append(gone())
            raise Superseded("over")

    thread = threading.Thread(target=older)
    thread.start()
    assert inside.wait(60)
    with bench._turn("ana") as gone:
        newer.set()
        thread.join(60)
        assert not gone()
    assert seen == [False, True]
