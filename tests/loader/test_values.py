"""What a file says arrives as it was written: in the engine's values, converted by its place and by nothing else."""

from typing import Any

import pytest

from sentinel.core.duration import HOUR, MINUTE, SECOND
from sentinel.engine.expression import parse_list
from sentinel.engine.playbook import Action, Exemption, Guard, Place, Playbook, PlaybookTest, Rule
from sentinel.loader.assembly import Content, assemble
from sentinel.loader.mistakes import PlaybookErrors
from tests.loader.samples import LISTS, PLAYBOOK, RULE

OFFICE = {name: parse_list(text) for name, text in LISTS.items()}


def read(*texts: str, **more: Any) -> Content:
    """Return the content of texts, each a file of its own."""
    return assemble({f"{number}.yaml": text.encode() for number, text in enumerate(texts)}, OFFICE, **more)


def only_playbook(text: str) -> Playbook:
    (playbook,) = read(text).playbooks.values()
    return playbook


@pytest.fixture(scope="module")
def rule() -> Rule:
    return read(RULE).rules["login-failed"]


@pytest.fixture(scope="module")
def playbook() -> Playbook:
    return read(RULE, PLAYBOOK).playbooks["stuffing"]


@pytest.fixture(scope="module")
def case(playbook: Playbook) -> PlaybookTest:
    return playbook.tests[0]


def test_a_rule_has_its_events_condition_and_tests(rule: Rule) -> None:
    assert (rule.title, rule.events, rule.place) == ("A login that failed", ("auth",), Place("0.yaml", 1, 1))
    assert rule.where and rule.where.source == "not success"
    assert [one.matches for one in rule.tests] == [True, False]
    assert rule.tests[0].event == {"event": "auth", "success": False, "user": {"id": "42", "email": "jane@example.com"}}
    assert rule.tests[1].event["timestamp"] == "2026-01-05T03:00:00Z"


def test_a_playbook_has_its_rule_times_and_words(playbook: Playbook, rule: Rule) -> None:
    assert playbook.rule and playbook.rule.id == rule.id
    assert (playbook.mode, playbook.severity, playbook.trust) == ("enforce", "high", "server")
    assert (playbook.group_by, playbook.window, playbook.cooldown) == (("ip", "request.host"), 10 * MINUTE, 15 * MINUTE)
    assert playbook.where and playbook.where.source == 'user != "id:probe" and not in_list(ip, "office")'
    assert playbook.description == "Why this matters,\nwhat a false positive looks like.\n"
    assert playbook.guard == Guard(50, HOUR)


def test_metrics_stand_in_the_order_of_the_file(playbook: Playbook) -> None:
    said = [(one.kind, one.field, one.threshold, one.strict) for one in playbook.when]
    assert said == [("count", None, 12, True), ("distinct", "user", 10, False), ("ratio", None, 0.9, False)]
    assert playbook.when[2].where and playbook.when[2].where.source == "request.status == 401"


def test_actions_have_their_ladder_target_and_channel(playbook: Playbook) -> None:
    assert playbook.actions == (
        Action("block_ip", (15 * MINUTE, HOUR, None), unless_shared_by=5),
        Action("challenge_user", (HOUR,), target="user"),
        Action("label_ip", label="stuffing"),
        Action("notify", channel="security"),
        Action("block_users"),
        Action("emit", event="stuffing.found", properties={"weight": 2, "tags": ["a"]}),
    )


def test_an_exception_ends_at_midnight_utc_of_its_day(playbook: Playbook) -> None:
    (exception,) = playbook.exceptions
    assert isinstance(exception, Exemption)
    assert (exception.reason, exception.until) == ("office address", 1_896_048_000 * SECOND)


def test_a_delivery_is_typed_by_its_fields_and_properties_by_their_looks(case: PlaybookTest) -> None:
    """Quoted numbers and codes with leading zeros stay text; the rest of the event is what its fields are."""
    first, second = case.events
    assert (first.at, first.repeat, first.every, first.received) == (0, 10, 5 * SECOND, None)
    assert first.event == {
        "event": "auth", "success": False, "ip": "203.0.113.9", "user": "u{n}",
        "request": {"host": "shop.example", "status": 401, "params": {"next": "/"}},
        "properties": {"amount": 1.5, "code": "007", "zip": "0123"},
    }  # fmt: skip
    assert (second.at, second.received) == (50 * SECOND, 2 * MINUTE)
    assert second.event["user"] == {"email": "Jane@Example.com"}


def test_expected_users_are_keys_and_expected_ipv6_addresses_networks(case: PlaybookTest) -> None:
    (found,) = case.expect
    assert found.group == {"ip": "2001:db8::/64", "request.host": "shop.example"}
    assert found.actions == {
        "block_ip": ("203.0.113.9",),
        "challenge_user": ("id:u9", "id:u8"),
        "emit": ("stuffing.found",),
    }
    assert (case.requests[1].user, case.requests[1].login, case.requests[1].verdict) == ("id:u1", True, "allow")


def test_an_expected_network_is_as_written_and_an_event_may_arrive_as_it_happens() -> None:
    one = "{at: 5s, received: 5s, event: auth, ip: '2001:db8::1'}"
    found = "{at: 5s, group: {ip: '2001:db8::/64'}, block_ip: '2001:db8::/64'}"
    (case,) = only_playbook(
        "playbook: p\nevent: auth\ngroup_by: ip\nwindow: 1m\nwhen: {count: 1}\nactions: [block_ip: {for: 1h}]\n"
        f"tests:\n  - {{name: one, events: [{one}], expect: [{found}]}}\n"
    ).tests
    assert (case.events[0].at, case.events[0].received) == (5 * SECOND, 5 * SECOND)
    assert case.expect[0].group == {"ip": "2001:db8::/64"}
    assert case.expect[0].actions == {"block_ip": ("2001:db8::/64",)}


def test_what_is_left_out_has_its_default() -> None:
    playbook = only_playbook("playbook: p\nevent: 'payment.*'\ngroup_by: []\nwindow: 90s\nwhen: {count: 3}\n")
    assert (playbook.title, playbook.mode, playbook.severity) == ("p", "monitor", "medium")
    assert (playbook.group_by, playbook.cooldown, playbook.events) == ((), 90 * SECOND, ("payment.*",))
    assert (playbook.actions, playbook.guard, playbook.accept_lockout) == ((), None, False)


@pytest.mark.parametrize("written", ["0123", "no", "on", "1:30", "1e3", "2026-01-05", "0x1F", "true", ".inf"])
def test_a_text_is_never_changed_behind_the_authors_back(written: str) -> None:
    """YAML 1.1 reads these as numbers, booleans and dates; a user of that name is who was meant."""
    rule = read(f"rule: r\nevent: a\ntests: [{{event: {{event: a, user: {written}}}, matches: true}}]\n").rules["r"]
    assert rule.tests[0].event["user"] == written


@pytest.mark.parametrize(
    ("written", "value"),
    [("5", 5), ("-2.5", -2.5), ("1e3", 1000.0), ("true", True), ("False", False), ("null", None), ("~", None),
     ('"5"', "5"), ("'true'", "true"), ("0123", "0123"), ("yes", "yes"), ("1_000", "1_000"), (".nan", ".nan"),
     ("1e999", "1e999"), ("0x1F", "0x1F"), ("[1, a]", [1, "a"]), ("{a: {b: 2}}", {"a": {"b": 2}})],
)  # fmt: skip
def test_a_property_is_what_json_would_say(written: str, value: object) -> None:
    rule = read(f"rule: r\nevent: a\ntests: [{{event: {{event: a, properties: {{x: {written}}}}}, matches: true}}]\n")
    found = rule.rules["r"].tests[0].event["properties"]["x"]
    assert found == value and type(found) is type(value)


def test_one_file_may_hold_several_documents_of_both_kinds() -> None:
    """In any order: a playbook may stand before its rule."""
    content = read("---\n" + PLAYBOOK + "---\n" + RULE + "---\n# nothing\n---\n")
    assert (list(content.rules), list(content.playbooks)) == (["login-failed"], ["stuffing"])
    assert content.playbooks["stuffing"].place == Place("0.yaml", 2, 1)


def test_a_byte_order_mark_and_windows_lines_change_nothing() -> None:
    text = "\ufeff" + (RULE + "---\n" + PLAYBOOK).replace("\n", "\r\n")
    assert read(text).playbooks["stuffing"].version == read(RULE, PLAYBOOK).playbooks["stuffing"].version


def test_of_the_base_only_the_rules_that_are_used_come_along() -> None:
    base = read(RULE, "rule: other\nevent: x\n")
    assert list(read(PLAYBOOK, base=base).rules) == ["login-failed"]


def test_a_rule_of_ones_own_stands_before_one_of_the_base() -> None:
    own = "rule: login-failed\nevent: login\n"
    assert read(PLAYBOOK, own, base=read(RULE)).playbooks["stuffing"].rule.events == ("login",)  # type: ignore[union-attr]


def only_playbook_with(line: str) -> Playbook:
    return only_playbook(f"playbook: p\nevent: a\ngroup_by: ip\nwindow: 10m\nwhen: {{count: 3}}\n{line}\n")


@pytest.mark.parametrize(("written", "value"), [("25%", 25), ("0.5%", 0.5), ("100%", 100), ('"10%"', 10)])
def test_a_roll_out_is_a_share_of_the_groups(written: str, value: float) -> None:
    assert only_playbook_with(f"rollout: {written}").rollout == value


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("25", "`25` is no share", "did you mean `25%`?"),
        ("0%", "`0%` is not more than 0% and at most 100%", "`mode: monitor` acts on nobody"),
        ("101%", "`101%` is not more than 0% and at most 100%", "`mode: monitor` acts on nobody"),
        ("half", "`half` is no share", "write `25%`"),
        ("-5%", "`-5%` is not more than 0% and at most 100%", "`mode: monitor` acts on nobody"),
    ],
)
def test_what_is_no_share_is_refused(written: str, message: str, hint: str) -> None:
    with pytest.raises(PlaybookErrors) as caught:
        only_playbook_with(f"rollout: {written}")
    (mistake,) = caught.value.mistakes
    assert (mistake.message, mistake.hint) == (message, hint)


def test_a_roll_out_is_another_version_of_the_same_detection() -> None:
    one, other = only_playbook_with(""), only_playbook_with("rollout: 25%")
    assert one.version != other.version
    assert one.detection == other.detection
