"""What the product ships keeps its own advice: explained, careful about whom it hits, tested around each threshold."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentinel.cli.program import run
from sentinel.core.duration import parse_duration
from sentinel.core.scrub import Scrubber

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "rules").glob("*.yaml"))
PLAYBOOKS = sorted((ROOT / "playbooks").rglob("*.yaml"))
# Those that enforce from the start, and the most that a wrong hit of each costs.
ENFORCING = {
    "logins-without-address": "a message",
    "only-private-addresses": "a message",
    "report-missing": "a message",
    "account-brute-force": "a login from an unfamiliar place is refused for a quarter of an hour",
    "address-brute-force": "an address is refused for a quarter of an hour",
    "coupon-abuse": "a mark",
    "credential-stuffing": "an address is refused for a quarter of an hour",
    "invoice-overdue": "a mark and a message",
    "login-failure-spike": "a message",
    "login-failure-storm": "a message",
    "many-signups-from-one-address": "an address is refused for an hour",
    "new-admin": "a mark",
    "new-country": "a mark",
    "new-device": "a mark",
    "password-reset-flood": "a mark",
}


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def _terms(action: dict[str, Any]) -> list[int]:
    (settings,) = action.values()
    terms = settings.get("for", [])
    return [parse_duration(term) for term in (terms if isinstance(terms, list) else [terms])]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_is_named_like_its_file_and_shows_what_it_matches_and_what_not(path: Path) -> None:
    rule = _read(path)
    assert rule["rule"] == path.stem
    assert rule["title"]
    assert {test["matches"] for test in rule["tests"]} == {True, False}


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_names_its_typical_false_positive_what_to_do_and_what_to_tune(
    path: Path,
) -> None:
    playbook = _read(path)
    assert playbook["playbook"] == path.stem
    assert playbook["title"] and playbook["severity"] and playbook["mode"]
    for part in ("Typical false positive:", "What to do:", "Tuning:"):
        assert playbook["description"].count(part) == 1


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_only_those_enforce_from_the_start_whose_wrong_hits_cost_little(path: Path) -> None:
    assert (_read(path)["mode"] == "enforce") == (path.stem in ENFORCING)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_whoever_refuses_anybody_has_a_guard_and_spares_shared_addresses(path: Path) -> None:
    playbook = _read(path)
    kinds = {kind for action in playbook["actions"] for kind in action}
    if any(kind.startswith(("block", "challenge", "redirect")) for kind in kinds):
        assert playbook["guard"]["max"] <= 50
    for action in playbook["actions"]:
        assert "block_ip" not in action or action["block_ip"]["unless_shared_by"] >= 3


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_whoever_goes_on_is_found_again_before_the_shortest_action_ends(path: Path) -> None:
    playbook = _read(path)
    terms = [term for action in playbook["actions"] for term in _terms(action)]
    within = playbook.get("absent", {}).get("within", "1h")
    cooldown = parse_duration(playbook.get("cooldown", playbook.get("window", within)))
    assert not terms or cooldown <= min(terms)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_is_tested_at_below_and_beside_its_threshold_and_on_a_neighbour(path: Path) -> None:
    tests = _read(path)["tests"]
    assert sum(bool(test["expect"]) for test in tests) >= 2, "one at the threshold, one just inside the window"
    assert sum(not test["expect"] for test in tests) >= 2, "one just below, one just outside the window"
    verdicts = [request["verdict"] for test in tests for request in test.get("requests", [])]
    assert "allow" in verdicts
    decides = any(kind.startswith(("block", "challenge")) for action in _read(path)["actions"] for kind in action)
    assert decides == any(verdict in ("block", "challenge") for verdict in verdicts)


def test_every_rule_that_ships_is_used_by_a_playbook() -> None:
    used: set[str] = set()
    for playbook in map(_read, PLAYBOOKS):
        parts = [playbook, *playbook.get("sequence", []), playbook.get("until", {}), playbook.get("absent", {})]
        used |= {part["rule"] for part in parts if "rule" in part}
    assert {path.stem for path in RULES} - used == set()


def test_a_mark_that_a_playbook_asks_for_is_one_that_another_puts_on() -> None:
    """And that one enforces, or nobody would ever have the mark."""
    put = {
        action["label_user"]["name"]: playbook["mode"]
        for playbook in map(_read, PLAYBOOKS)
        for action in playbook["actions"]
        if "label_user" in action
    }
    texts = [path.read_text().partition("\ntests:")[0] for path in PLAYBOOKS]
    asked = {name for text in texts for name in re.findall(r'"([\w-]+)" in user\.labels', text)}
    assert asked == {"new-admin", "new-device", "new-country", "reset-flood"}
    assert {put[name] for name in asked} == {"enforce"}


@pytest.mark.parametrize("path", [*PLAYBOOKS, *RULES], ids=lambda path: path.stem)
def test_what_ships_asks_for_no_value_that_the_sdk_leaves_out_as_a_secret(path: Path) -> None:
    names = re.findall(r"properties\.(\w+)", path.read_text().partition("\ntests:")[0])
    assert not [name for name in names if Scrubber().is_secret(name)]


def test_the_list_of_throw_away_mailboxes_holds_domains_each_once_in_lower_case() -> None:
    lines = (ROOT / "rules" / "lists" / "disposable-email-domains.txt").read_text().splitlines()
    domains = [line for line in lines if line and not line.startswith("#")]
    assert len(domains) > 50
    assert len(set(domains)) == len(domains)
    assert all(domain == domain.lower().strip() and "." in domain and " " not in domain for domain in domains)
    assert not {"gmail.com", "outlook.com", "proton.me", "example.com", "example.org"} & set(domains)


def test_what_ships_passes_its_own_tests_and_they_notice_every_small_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "--mutate"]) == 0, capsys.readouterr().out


def test_what_ships_finds_the_same_groups_in_other_orders_of_arrival(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "--shuffle", "--seed", "7"]) == 0, capsys.readouterr().out
