"""Backtest: what is reported of past events, whatever their order, and that nothing is acted on by mistake."""

import json
import random
from contextlib import ExitStack, closing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import InputError
from sentinel.service.eventfiles import order
from sentinel.service.eventfiles.reading import Options
from sentinel.service.eventfiles.streams import Stream
from sentinel.service.trials import backtest as module
from sentinel.service.trials import past
from sentinel.service.trials.backtest import Backtest, Plan, asks_enrichment
from sentinel.service.trials.summary import summary
from tests.service.stories import HOUR, MINUTE, failed, passed, playbook, playbooks, raw, windows

BLOCK = playbook("block", mode="monitor", actions="[block_ip: {for: [1h, 2h]}, notify: {channel: security}]")


@pytest.fixture
def run(tmp_path):
    """Judge raw events by playbooks; return the findings' lines and the summary."""

    def judge(raws, *texts, files=1, progress=past.nothing, **options):
        paths = [tmp_path / f"events{n}.ndjson" for n in range(files)]
        for n, path in enumerate(paths):
            rows = raws[n * len(raws) // files : (n + 1) * len(raws) // files]
            path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows))
        plan = Plan(playbooks(*(texts or (BLOCK,))), windows, **options)
        with ExitStack() as stack:
            found = stack.enter_context(closing(Backtest(plan)))
            found.run([stack.enter_context(closing(Stream(str(path)))) for path in paths], progress)
            return [json.loads(line) for line in found.findings.lines()], summary(found)

    return judge


def burst(count=3, after=0, ip="203.0.113.9"):
    return [failed(f"{after}-{n}", after + n, ip=ip) for n in range(count)]


def test_a_finding_says_who_when_why_and_what_would_be_done(run):
    (found,), _ = run(burst())
    assert found == {
        "playbook": "block", "version": playbooks(BLOCK)[0].version, "group": {"ip": "203.0.113.9"},
        "at": "2026-01-05T00:00:02Z", "event_id": "0-2", "tally": {"count": 3},
        "actions": [
            {"kind": "block_ip", "target": "203.0.113.9", "for_s": 3600},
            {"kind": "notify", "target": "security", "for_s": None},
        ],
    }  # fmt: skip
    assert list(found) == ["playbook", "version", "group", "at", "event_id", "tally", "actions"]


def test_a_monitored_playbook_is_judged_as_if_enforced_unless_asked(run):
    (found,), total = run(burst())
    assert (len(found["actions"]), total["judged_as"], total["playbooks"]["block"]["mode"]) == (2, "enforce", "monitor")
    (found,), total = run(burst(), own_modes=True)
    assert [one["kind"] for one in found["actions"]] == ["notify"]
    assert (total["judged_as"], total["held_back"]) == ("own", {"block_ip": {"monitor": 1}})


def test_playbooks_that_are_off_are_left_out_and_named(run):
    _, total = run(burst(), BLOCK, playbook("sleeping", mode='"off"'))
    assert (total["left_out"], list(total["playbooks"])) == (["sleeping"], ["block"])


def test_the_summary_counts_what_went_by(run):
    raws = [*burst(5), raw("view", 7, "page.viewed"), failed("nobody", 8, ip=None), "{oops", failed("bad", 9, ip="x")]
    _, total = run(raws)
    assert (total["events"], total["findings"], total["historical"], total["approximate"]) == (7, 1, 0, 0)
    assert total["playbooks"]["block"] == {
        "mode": "monitor", "version": playbooks(BLOCK)[0].version, "matched": 5, "findings": 1,
        "skipped": {"a group field is missing": 1}, "errors": {},
    }  # fmt: skip
    assert (total["bad_lines"]["count"], set(total["bad_lines"]["reasons"])) == (
        2,
        {"not JSON", "`ip`: `…` is not an address"},
    )
    assert len(total["bad_lines"]["first"]) == 2
    assert total["span"] == {
        "from": "2026-01-05T00:00:00Z", "to": "2026-01-05T00:00:08Z", "seconds": 8.0, "events_per_s": 0.875,
    }  # fmt: skip


def test_overlapping_blocks_of_one_target_cover_their_union(run):
    """The second block, of two hours, begins half an hour into the first, of one."""
    _, total = run(burst() + burst(after=1800))
    assert total["addresses"] == {"targets": 1, "seconds": 1800 + 7200, "forever": 0}
    assert total["actions"]["block_ip"] == {"times": 2, "targets": 1, "seconds": 9000, "forever": 0}
    assert (total["actions"]["notify"], total["users"]["targets"]) == ({"times": 2}, 0)


def test_a_label_is_an_action_and_keeps_nobody_out(run):
    label = playbook("label", actions="[label_ip: {name: seen, for: 1h}]")
    _, total = run(burst(), label)
    assert (total["actions"]["label_ip"]["targets"], total["addresses"]["targets"]) == (1, 0)


def test_the_busiest_groups_come_first(run):
    raws = burst() + burst(after=1000) + burst(after=1500, ip="203.0.113.8")
    _, total = run(raws)
    assert total["busiest"] == [
        {"playbook": "block", "group": {"ip": "203.0.113.9"}, "findings": 2},
        {"playbook": "block", "group": {"ip": "203.0.113.8"}, "findings": 1},
    ]


def test_what_is_held_back_is_no_action_and_is_counted(run):
    found, total = run(burst(ip="10.0.0.1"))
    assert [one["kind"] for one in found[0]["actions"]] == ["notify"]
    assert total["held_back"] == {"block_ip": {"private or local address": 1}}
    assert total["addresses"]["targets"] == 0


def test_harm_is_a_blocked_owner_who_comes_back(run):
    lock = playbook("lock", group_by="user", accept_lockout="true", actions="[block_user: {for: 1h}]")
    home = [passed("h", 0, ip="192.0.2.1"), passed("i", 1, user="v", ip="192.0.2.2")]
    attack = [failed(f"{user}{n}", 10 + n, user=user) for n in range(3) for user in "uv"]
    _, total = run(
        [*home, *attack, passed("back", 60, ip="192.0.2.1"), passed("new", 61, user="v", ip="192.0.2.9")], lock
    )
    assert total["harm"] == {
        "users": {"blocked": 2, "owners": 1}, "addresses": {"blocked": 0, "owners": 0}, "refused": 1,
    }  # fmt: skip


def test_a_device_is_known_by_its_user_agent_as_a_server_would(run):
    lock = playbook("lock", group_by="user", accept_lockout="true", actions="[block_user: {for: 1h}]")
    agent = {"user_agent": "Firefox"}
    home, back = passed("h", 0, ip="192.0.2.1", request=agent), passed("b", 60, ip="192.0.2.7", request=agent)
    _, total = run([home, *[failed(str(n), 10 + n) for n in range(3)], back], lock)
    assert total["harm"]["users"]["owners"] == 1


def shuffled(raws, seed=1):
    return random.Random(seed).sample(raws, len(raws))


MANY = sorted(
    (failed(f"{ip}-{n}", n * ip, user=f"u{n}", ip=f"203.0.113.{ip}") for ip in range(1, 6) for n in range(40)),
    key=lambda one: (one["timestamp"], one["id"]),
)


def test_out_of_order_files_give_the_same_report(run):
    found, total = run(MANY)
    again, other = run(shuffled(MANY))
    assert (found, total["order"], other["order"]) == (again, "as in the files", "sorted in memory")
    assert {**total, "order": ""} == {**other, "order": ""}


def test_what_does_not_fit_into_memory_is_sorted_on_disk(run, monkeypatch):
    monkeypatch.setattr(order, "PIECE", 20)
    found, total = run(shuffled(MANY))
    assert (found, total["order"]) == (run(MANY)[0], "sorted on disk")


def test_several_files_are_one_stream(run):
    assert run(MANY, files=3)[0] == run(MANY)[0]
    assert run(MANY[100:] + MANY[:100], files=2)[1]["order"] == "sorted in memory"


def test_repeats_are_dropped_and_counted(run):
    found, total = run(shuffled(MANY + MANY[:50]))
    assert (found, total["repeats"], total["playbooks"]["block"]["matched"]) == (run(MANY)[0], 50, 200)


def test_what_was_found_before_disorder_showed_is_not_counted_twice(run):
    raws = [*MANY, "{oops", MANY[0] | {"id": "late"}]
    found, total = run(raws)
    assert (total["findings"], total["bad_lines"]["count"], total["events"]) == (len(found), 1, 201)
    assert len({json.dumps(one) for one in found}) == len(found)


def test_in_order_of_arrival_late_events_act_on_nobody(run):
    raws = [raw("now", 1000, "page.viewed"), *burst()]
    found, total = run(raws, arrival_order=True)
    assert (found[0]["actions"], total["historical"], total["order"]) == ([], 1, "as they arrived")
    found, total = run(raws)
    assert (len(found[0]["actions"]), total["historical"], total["order"]) == (2, 0, "sorted in memory")


def test_the_lateness_decides_what_is_late(run):
    raws = [raw("now", 1000, "page.viewed"), *burst()]
    assert run(raws, arrival_order=True, lateness=HOUR)[1]["historical"] == 0
    assert run(raws, arrival_order=True, lateness=MINUTE)[1]["historical"] == 1


def test_in_order_of_arrival_a_repeat_changes_nothing_however_late_it_comes(run):
    """Its matches were counted, and beyond the lateness it opened findings: windows know it no longer."""
    raws = [*burst(), raw("now", 4000, "page.viewed")]
    sent_again = [*burst(), raw("0-0", 4000, "auth", success=False, user="u", ip="203.0.113.9")]
    found, total = run([*raws, *sent_again], arrival_order=True)
    assert (total["repeats"], total["playbooks"]["block"]["matched"], total["historical"]) == (4, 3, 0)
    assert found == run(raws, arrival_order=True)[0]


TAKEN_BACK = (
    "playbook: p\ngroup_by: user\nwindow: 1h\nsequence: [{event: a, count: 2}, {event: b}]\nuntil: {event: c}\n"
)


@pytest.mark.parametrize(
    ("late", "lines", "back"), [("", 1, 0), ("c2", 0, 1), ("c2 a3", 0, 1), ("c2 a3 a4", 1, 1), ("c2 a3 a4 c5", 0, 2)]
)
def test_what_is_taken_back_and_found_again_is_told_once(run, late, lines, back):
    raws = [raw(one, int(one[1]), one[0], user="u") for one in ["a0", "a1", "b9", *late.split()]]
    found, total = run(raws, TAKEN_BACK, arrival_order=True)
    assert (len(found), total["findings"], total["retracted"]) == (lines, lines, back)
    assert {one["event_id"] for one in found} <= {"b9"}


def test_strict_ends_at_the_first_bad_line(run):
    with pytest.raises(InputError, match=r"events0\.ndjson:4: not JSON"):
        run([*burst(), "{oops", *burst(after=100)], strict=True)


def test_no_events_are_no_fault(run):
    found, total = run([])
    assert (found, total["events"], total["span"], total["findings"]) == ([], 0, None, 0)


def test_reading_is_told_as_it_goes(run):
    told = []
    run(MANY * 20, progress=lambda: told.append(1))
    assert len(told) > 3


def test_findings_past_what_memory_holds_are_all_there(run, monkeypatch):
    monkeypatch.setattr(module, "KEPT_IN_MEMORY", 1000)
    found, total = run(MANY)
    assert len(found) == total["findings"] >= 5


@given(st.randoms(use_true_random=False))
def test_the_report_is_the_same_for_every_order_of_the_lines(run_once, chance):
    assert run_once(chance.sample(MANY, len(MANY))) == run_once(MANY)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """Judge raw events; return the report without how they were ordered, as bytes."""
    file = tmp_path_factory.mktemp("events") / "events.ndjson"

    def judge(raws):
        file.write_bytes(msgspec.json.Encoder().encode_lines(raws))
        with closing(Backtest(Plan(playbooks(BLOCK), windows))) as found, closing(Stream(str(file))) as stream:
            found.run([stream])
            return list(found.findings.lines()), msgspec.json.encode(summary(found) | {"order": ""})

    return judge


@pytest.mark.parametrize(
    ("more", "asks"),
    [
        ({}, False),
        ({"where": "'geo.country == \"FR\"'"}, True),
        ({"group_by": "[ip, agent.os]"}, True),
        ({"group_by": "device"}, True),
        ({"when": "{distinct: {geo.asn: 3}}"}, True),
        ({"when": "{count: 3, ratio: {where: network.private, gte: 0.5}}"}, True),
        ({"exceptions": "[{where: agent.bot, reason: known}]"}, True),
        ({"actions": "[notify: {channel: device}]"}, True),
        ({"tests": "[{name: x, events: [{at: 0s, event: auth, device: d}], expect: []}]"}, False),
    ],
)
def test_enrichment_is_done_only_where_a_playbook_asks(more, asks):
    """A channel named like a field costs time and nothing else."""
    assert asks_enrichment(playbooks(playbook(**more))[0]) is asks


def test_enrichment_is_seen_by_conditions(run):
    def enrich(event):
        event.geo = {"country": "FR" if event.id.endswith("1") else "DE"}

    abroad = playbook("abroad", when="{distinct: {geo.country: 2}}")
    assert run(burst(2), abroad)[0] == []
    assert len(run(burst(2), abroad, enrich=enrich)[0]) == 1


def test_columns_of_tables_are_taken_from_the_plan(tmp_path):
    rows = "".join(f"{n},2026-01-05T00:00:0{n}Z,no,203.0.113.9\n" for n in range(3))
    (tmp_path / "logins").write_text(f"id,when,ok,ip\n{rows}")
    options = Options(columns={"when": "timestamp", "ok": "success"}, name="auth")
    plan = Plan(playbooks(BLOCK), windows, options=options)
    with closing(Backtest(plan)) as found, closing(Stream(str(tmp_path / "logins"))) as stream:
        found.run([stream])
        assert found.findings.count == {"block": 1}
