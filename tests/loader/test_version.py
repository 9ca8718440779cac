"""A playbook's version tells what it says, not how it is written; its detection hash tells what it finds alone."""

import pytest

from sentinel.engine.expression import parse_list
from sentinel.engine.playbook import Playbook
from sentinel.loader.assembly import assemble
from tests.loader.samples import LISTS, PLAYBOOK, RULE


def stamped(playbook: str = PLAYBOOK, rule: str = RULE, office: str = LISTS["office"]) -> Playbook:
    files = {"rules/r.yaml": rule.encode(), "playbooks/p.yaml": playbook.encode()}
    lists = {"office": parse_list(office), "other": parse_list("x\n")}
    return assemble(files, lists).playbooks["stuffing"]


def changed(old: str, new: str) -> Playbook:
    assert PLAYBOOK.count(old) == 1
    return stamped(PLAYBOOK.replace(old, new))


BASE = stamped()


def test_a_version_is_twelve_hex_digits() -> None:
    assert len(BASE.version) == len(BASE.detection) == 12
    assert int(BASE.version, 16) and int(BASE.detection, 16)
    assert BASE.version != BASE.detection


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("playbook: stuffing\n", "# a comment\n\nplaybook: 'stuffing'  # another\n"),
        ("window: 10m", "window: 600s"),
        ("group_by: [ip, request.host]", "group_by:\n  - ip\n  - request.host"),
        ("'request.status == 401'", '"request.status==(401)"'),
        ("for: [15m, 1h, forever]", "for: [15m, 60m, forever]"),
        ("accept_lockout: false\n", ""),
        ("for: 1h, target: user", "target: user, for: [1h]"),
    ],
)
def test_layout_comments_and_other_spellings_change_nothing(old: str, new: str) -> None:
    found = changed(old, new)
    assert (found.version, found.detection) == (BASE.version, BASE.detection)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: One address", "title: An address"),
        ("mode: enforce", "mode: monitor"),
        ("severity: high", "severity: low"),
        ("what a false positive", "what a mistake"),
        ("for: [15m, 1h, forever]", "for: [15m, 2h, forever]"),
        ("max: 50", "max: 51"),
        ("reason: office address", "reason: the office"),
        ("name: ten accounts", "name: 10 accounts"),
        ("verdict: block", "verdict: challenge"),
    ],
)
def test_what_does_not_decide_findings_changes_the_version_alone(old: str, new: str) -> None:
    """So that a change of title, mode, actions or tests keeps the state of windows."""
    found = changed(old, new)
    assert found.version != BASE.version
    assert found.detection == BASE.detection


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id:probe", "id:probes"),
        ("group_by: [ip, request.host]", "group_by: [request.host, ip]"),
        ("window: 10m", "window: 11m"),
        ("cooldown: 15m", "cooldown: 14m"),
        ("gt: 12", "gte: 12"),
        ("distinct: {user: 10}", "distinct: {device: 10}"),
        ("gte: 0.9", "gte: 0.8"),
        ("198.51.100.0/24", "198.51.101.0/24"),
        ("2030-01-31", "2030-02-01"),
    ],
)
def test_what_decides_findings_changes_both(old: str, new: str) -> None:
    found = changed(old, new)
    assert found.version != BASE.version
    assert found.detection != BASE.detection


COUNTED = "playbook: stuffing\nevent: a\ngroup_by: user\nwindow: 1h\nwhen: {count: 2}\n"


@pytest.mark.parametrize(
    "other",
    [
        COUNTED + "trust: any\n",
        COUNTED.replace("event: a", "event: [a, b]"),
        COUNTED + "exceptions: [{where: network.private, reason: ours}]\n",
    ],
    ids=["trust", "events", "exceptions"],
)
def test_what_is_counted_changes_both(other: str) -> None:
    """Else windows would go on with what they kept of other events."""
    one, two = stamped(COUNTED), stamped(other)
    assert one.version != two.version
    assert one.detection != two.detection


def test_a_changed_rule_or_list_that_is_used_changes_both() -> None:
    rule = stamped(rule=RULE.replace("where: not success", "where: not success and ip != None"))
    office = stamped(office="198.51.100.0/24\n203.0.113.0/24\n")
    for found in (rule, office):
        assert found.version != BASE.version
        assert found.detection != BASE.detection


def test_a_rules_title_and_tests_and_a_lists_order_and_comments_change_nothing() -> None:
    rule = stamped(rule=RULE.replace("A login that failed", "Failed").replace("matches: false", "matches: true"))
    office = stamped(office="# ours\n198.51.100.0/24  # main\n\n198.51.100.0/24\n")
    for found in (rule, office):
        assert (found.version, found.detection) == (BASE.version, BASE.detection)


def test_one_text_is_not_another_number() -> None:
    """`5` and `"5"` differ, so do 1 and true."""
    base = "playbook: stuffing\nevent: a\ngroup_by: ip\nwindow: 1h\nwhen: {count: 2}\nwhere: properties.x == "
    assert len({stamped(base + f"'{one}'\n").version for one in ("1", '"1"', "True", "1.5", '"True"')}) == 5
