"""Detectors as files say them: the values that become of them, their JSON Schema, their hashes."""

from typing import Any

import jsonschema
import pytest

from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.engine.playbook import Absent, FirstSeen, Playbook, Selector, Sequence, Spike, Step, Travel
from sentinel.loader.assembly import assemble
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.loader.schema import json_schema
from sentinel.loader.source import open_page, read_documents
from sentinel.loader.words import as_json
from tests.loader.samples import RULE

BOTH = jsonschema.Draft202012Validator(json_schema())
SEQUENCE = """\
window: 1h
sequence: [{rule: login-failed, count: 5, distinct: {ip: {gt: 2}}}, {event: [payout, refund]}]
until: {event: password.reset}
"""
OWN = "event: auth\n"
FIRST_SEEN = OWN + "first_seen: {field: geo.country, history: 30d, after: 5}\n"
TRAVEL = OWN + "travel: {faster_than: 900.5}\n"
ABSENT = OWN + "absent: {rule: login-failed, within: 10m}\n"
SPIKE = OWN + "window: 1h\nspike: {factor: 2.5, baseline: 7d, min: 20}\n"
ALL = [SEQUENCE, FIRST_SEEN, TRAVEL, ABSENT, SPIKE]


def text(detector: str) -> str:
    return f"playbook: p\ngroup_by: user\n{detector}"


def read(detector: str, rule: str = RULE) -> Playbook:
    return assemble({"r.yaml": rule.encode(), "p.yaml": text(detector).encode()}).playbooks["p"]


def schema_takes(detector: str) -> bool:
    (document,) = read_documents(open_page("p.yaml", text(detector).encode()))
    return BOTH.is_valid(as_json(document.root))


def test_a_sequence_is_read_with_its_steps_and_its_end() -> None:
    playbook = read(SEQUENCE)
    assert playbook.rule is None and not playbook.when
    match playbook.detector:
        case Sequence((Step(Selector(rule), 5, "ip", 3), Step(Selector(None, events), 1, None, 0)), until):
            assert rule is not None and rule.id == "login-failed"
            assert events == ("payout", "refund")
            assert until == Selector(events=("password.reset",))
        case other:
            pytest.fail(str(other))


@pytest.mark.parametrize(
    ("detector", "value"),
    [
        (FIRST_SEEN, FirstSeen("geo.country", 30 * DAY, 5)),
        (TRAVEL, Travel(900.5)),
        (TRAVEL.replace("900.5", "900, anonymous: true"), Travel(900, anonymous=True)),
        (SPIKE, Spike(2.5, 7 * DAY, 20)),
    ],
)
def test_each_detector_becomes_its_value(detector: str, value: object) -> None:
    assert read(detector).detector == value


@pytest.mark.parametrize(
    "detector",
    ["window: 1h\nwhen: {distinct: {event: 3}}\n", FIRST_SEEN.removeprefix(OWN).replace("geo.country", "event")],
)
def test_a_pattern_names_any_number_of_events(detector: str) -> None:
    """Only of names that are written out there may be fewer than are asked for."""
    assert read("event: payment.*\n" + detector).events == ("payment.*",)
    with pytest.raises(PlaybookErrors, match="never"):
        read("event: payment.failed\n" + detector)


def test_what_is_awaited_may_be_a_rule() -> None:
    detector = read(ABSENT).detector
    assert isinstance(detector, Absent) and detector.within == 10 * MINUTE
    assert detector.selector.rule is not None and detector.selector.rule.id == "login-failed"


@pytest.mark.parametrize(
    ("detector", "window", "cooldown"),
    [(SEQUENCE, HOUR, HOUR), (FIRST_SEEN, 0, HOUR), (TRAVEL, 0, HOUR), (ABSENT, 0, 10 * MINUTE), (SPIKE, HOUR, HOUR)],
)
def test_the_cooldown_is_by_default_the_window_or_what_stands_for_it(detector: str, window: int, cooldown: int) -> None:
    playbook = read(detector)
    assert (playbook.window, playbook.cooldown) == (window, cooldown)
    assert read(detector + "cooldown: 7m\n").cooldown == 7 * MINUTE


def test_a_rule_that_only_a_detector_names_is_among_the_content() -> None:
    """So that its tests are run, too, where it stands in another folder."""
    base = assemble({"r.yaml": RULE.encode()})
    for detector in (SEQUENCE, ABSENT):
        assert "login-failed" in assemble({"p.yaml": text(detector).encode()}, base=base).rules


@pytest.mark.parametrize("detector", ALL)
def test_the_schema_takes_every_detector(detector: str) -> None:
    assert schema_takes(detector)


@pytest.mark.parametrize(
    "detector",
    [
        SEQUENCE.replace("window: 1h\n", ""),
        SEQUENCE.replace("sequence", "event: a\nsequence"),
        SEQUENCE.replace(", {event: [payout, refund]}", ""),
        SEQUENCE.replace("count: 5", "times: 5"),
        SEQUENCE.replace("{event: password.reset}", "{}"),
        SPIKE + "until: {event: a}\n",
        SPIKE + "when: {count: 5}\n",
        SPIKE.replace("window: 1h\n", ""),
        SPIKE.replace("2.5", "1"),
        SPIKE.replace(", min: 20", ""),
        FIRST_SEEN + "window: 1h\n",
        FIRST_SEEN.replace("after: 5", "after: 0"),
        FIRST_SEEN.replace("geo.country", "user.labels"),
        TRAVEL.replace("900.5", "-1"),
        TRAVEL.replace(OWN, ""),
        ABSENT + "window: 1h\n",
        ABSENT.replace(", within: 10m", ""),
        ABSENT.replace("rule: login-failed, ", ""),
        OWN,
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(detector: str) -> None:
    with pytest.raises(PlaybookErrors):
        read(detector)
    assert not schema_takes(detector)


def hashes(playbook: Playbook) -> tuple[str, str]:
    return playbook.version, playbook.detection


@pytest.mark.parametrize(
    ("detector", "old", "new"),
    [
        (SEQUENCE, "count: 5", "count: 6"),
        (SEQUENCE, "gt: 2", "gt: 3"),
        (SEQUENCE, "{ip:", "{device:"),
        (SEQUENCE, "[payout, refund]", "[payout]"),
        (SEQUENCE, "password.reset", "password.changed"),
        (SEQUENCE, "until: {event: password.reset}\n", ""),
        (FIRST_SEEN, "geo.country", "device"),
        (FIRST_SEEN, "30d", "31d"),
        (FIRST_SEEN, "after: 5", "after: 6"),
        (TRAVEL, "900.5", "901"),
        (TRAVEL, "900.5", "900.5, anonymous: true"),
        (ABSENT, "10m", "11m"),
        (ABSENT, "rule: login-failed", "event: logout"),
        (SPIKE, "2.5", "2.6"),
        (SPIKE, "7d", "8d"),
        (SPIKE, "min: 20", "min: 21"),
    ],
)
def test_all_that_a_detector_says_is_in_both_hashes(detector: str, old: str, new: str) -> None:
    assert detector.count(old) == 1
    before, after = read(detector), read(detector.replace(old, new))
    assert before.version != after.version and before.detection != after.detection


@pytest.mark.parametrize("detector", [SEQUENCE, ABSENT])
def test_a_changed_rule_of_a_detector_changes_both_hashes_a_new_name_for_it_the_version_alone(detector: str) -> None:
    base = hashes(read(detector))
    changed = hashes(read(detector, RULE.replace("where: not success", "where: not success and ip != None")))
    renamed = hashes(read(detector.replace("login-failed", "failed"), RULE.replace("login-failed", "failed")))
    assert changed[0] != base[0] and changed[1] != base[1]
    assert renamed[0] != base[0] and renamed[1] == base[1]
    assert hashes(read(detector, RULE.replace("A login that failed", "Failed"))) == base


@pytest.mark.parametrize(
    ("detector", "claimed"),
    [
        (SEQUENCE, True),
        ("window: 1h\nsequence: [{event: signup}, {event: payout}]\nuntil: {rule: login-failed}\n", False),
        (OWN + "where: success\nabsent: {rule: login-failed, within: 10m}\n", False),
        (OWN + "where: not success\nabsent: {event: logout, within: 10m}\n", True),
        (OWN + "where: success\ntravel: {faster_than: 900}\n", False),
        (TRAVEL, True),
    ],
)
def test_only_events_that_count_can_make_users_claimed(detector: str, claimed: bool) -> None:
    """An `until` and what is awaited name nobody: they only prevent findings."""
    redirect = detector + "actions: [{redirect_user: {to: /help, for: 1d}}]\n"
    if not claimed:
        read(redirect)
        return
    with pytest.raises(PlaybookErrors, match="only claim their user"):
        read(redirect)


def test_every_key_of_a_detector_is_described() -> None:
    def undescribed(schema: Any, path: str) -> list[str]:
        found = []
        for name, key in schema.get("properties", {}).items():
            found += [f"{path}.{name}"] if not key.get("description") else []
            found += undescribed(key, f"{path}.{name}") + undescribed(key.get("items", {}), f"{path}.{name}")
        return found

    properties = json_schema("playbook")["properties"]
    for name in ("sequence", "until", "first_seen", "travel", "absent", "spike"):
        assert undescribed(properties[name], name) + undescribed(properties[name].get("items", {}), name) == []
