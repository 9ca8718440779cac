"""Bundles: what they say of the findings in them is so, in whichever order and in whatever parts these come."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core import moment
from sentinel.core.bundle import BUSIEST, FIRST, fold, lane_of

START = 1_767_571_200_000_000
FINDINGS = st.lists(
    st.builds(
        lambda playbook, severity, at, acted, ip, user: {
            "playbook": playbook, "title": playbook.title(), "severity": severity, "at": moment.to_text(START + at),
            "acted": acted, "group": {"ip": ip}, "ip": ip, "user": user,
        },
        st.sampled_from(["guess", "scrape"]), st.sampled_from(["info", "low", "medium", "high"]),
        st.sampled_from([0, 1, 250_000, 500_000, 1_000_000, 86_400_000_000]), st.booleans(),
        st.sampled_from(["203.0.113.1", "203.0.113.2"]), st.sampled_from([None, "id:1", "id:2"]),
    ),
    min_size=1, max_size=12,
).map(lambda found: [{**one, "id": f"f{number}"} for number, one in enumerate(found)])  # fmt: skip


def finding(ip, user=None):
    return {
        "id": ip, "playbook": "p", "title": "P", "severity": "high", "at": "2026-01-05T00:00:00Z", "acted": True,
        "group": {"ip": ip}, "ip": ip, "user": user,
    }  # fmt: skip


@given(FINDINGS, st.randoms(use_true_random=False), st.data())
def test_a_bundle_is_the_same_in_every_order_and_in_whatever_parts(found, random, data):
    whole, parted, shuffled = fold({}, found), {}, random.sample(found, len(found))
    while shuffled:
        number = data.draw(st.integers(1, len(shuffled)))
        parted, shuffled = fold(parted, shuffled[:number]), shuffled[number:]
    titles = {one["playbook"]: one["title"] for one in found}
    assert parted == whole
    assert {one["playbook"]: one["title"] for one in whole["playbooks"]} == titles


@given(FINDINGS)
def test_its_numbers_add_up_and_its_times_are_the_first_and_the_last(found):
    bundle, playbooks = fold({}, found), Counter(one["playbook"] for one in found)
    assert {one["playbook"]: one["findings"] for one in bundle["playbooks"]} == playbooks
    assert bundle["findings"] == len(found)
    assert bundle["acted"] == sum(one["acted"] for one in bundle["playbooks"]) == sum(one["acted"] for one in found)
    times = sorted(moment.parse(one["at"]) for one in found)
    assert (moment.parse(bundle["since"]), moment.parse(bundle["until"])) == (times[0], times[-1])
    for one in bundle["playbooks"]:
        mine = [each for each in found if each["playbook"] == one["playbook"]]
        first = sorted(mine, key=lambda each: (moment.parse(each["at"]), each["id"]))[:FIRST]
        assert [each["id"] for each in one["first"]] == [each["id"] for each in first]
        counted = Counter(each["ip"] for each in mine)
        assert {each["value"]: each["findings"] for each in one["busiest"] if each["field"] == "ip"} == counted


def test_it_is_as_severe_as_the_worst_in_it():
    found = [{**finding("203.0.113.1"), "severity": severity} for severity in ("low", "high", "medium")]
    assert fold({}, found)["severity"] == "high"


def test_of_a_botnet_the_user_it_is_after_is_found_and_no_more_is_kept_than_some():
    found = [finding(f"10.{n // 256}.{n % 256}.1", "id:victim" if n % 4 == 0 else f"id:{n}") for n in range(2000)]
    bundle = {}
    for start in range(0, len(found), 100):
        bundle = fold(bundle, found[start : start + 100])
    (one,) = bundle["playbooks"]
    assert len(one["busiest"]) <= BUSIEST
    victim = one["busiest"][0]
    assert victim["value"] == "id:victim"
    assert 500 - 2 * len(found) // BUSIEST <= victim["findings"] <= 500


def test_critical_ones_are_counted_by_themselves():
    assert lane_of("critical") != lane_of("high") == lane_of("info")
