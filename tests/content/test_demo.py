"""The demo's stream is what its generator says: reproducible, readable, in order, within the reserved names."""

import gzip
import ipaddress
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data import make_demo
from sentinel.cli.program import run
from sentinel.core import event as events

RESERVED = [ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
RESERVED_6 = ipaddress.ip_network("2001:db8::/32")
LARGEST = 300_000


@pytest.fixture(scope="module")
def text() -> str:
    return gzip.decompress(make_demo.FILE.read_bytes()).decode()


@pytest.fixture(scope="module")
def day(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_committed_file_is_what_the_generator_makes(text: str) -> None:
    """Compared as text: two builds of zlib may compress the same bytes differently."""
    assert "".join(make_demo.lines()) == text


def test_the_file_is_small_enough_to_be_committed() -> None:
    assert make_demo.FILE.stat().st_size <= LARGEST


def test_every_line_is_an_event_that_the_server_takes(day: list[dict[str, Any]]) -> None:
    read = [events.read(raw) for raw in day]
    assert len(read) > 15_000
    assert all(one.user or one.ip for one in read)


def test_events_come_in_the_order_of_time_with_ids_that_sort_alike(day: list[dict[str, Any]]) -> None:
    keys = [(one["timestamp"], one["id"]) for one in day]
    assert keys == sorted(keys)
    assert len({one["id"] for one in day}) == len(day)
    assert {one["timestamp"][:10] for one in day} == {"2026-03-09"}


def test_addresses_and_mailboxes_belong_to_nobody(day: list[dict[str, Any]]) -> None:
    for one in day:
        ip = ipaddress.ip_address(one["ip"])
        assert ip in RESERVED_6 if ip.version == 6 else any(ip in network for network in RESERVED)
        for email in (one.get("user", {}).get("email"), one.get("properties", {}).get("email")):
            assert email is None or email.rpartition("@")[2].endswith(("example.com", "example.org"))


def test_it_is_a_believable_day_and_not_only_attacks(day: list[dict[str, Any]]) -> None:
    names = Counter(one["event"] for one in day)
    assert names["page.viewed"] > len(day) / 2
    honest = [one for one in day if one["event"] == "auth" and one["ip"] == "192.0.2.10"]
    assert sum(not one["success"] for one in honest) >= 10, "colleagues mistype too"
    assert sum(one["success"] for one in honest) == 60


def _backtest(capsys: pytest.CaptureFixture[str], *paths: str) -> dict[str, list[dict[str, str]]]:
    """Return the groups with findings of each playbook, each once, in the order of their first."""
    assert run(["backtest", *paths, "--events", str(make_demo.FILE), "--format", "json"]) == 0
    found: dict[str, list[dict[str, str]]] = {}
    for line in capsys.readouterr().out.splitlines():
        one = json.loads(line)
        if "playbook" in one and one["group"] not in found.setdefault(one["playbook"], []):
            found[one["playbook"]].append(one["group"])
    return found


def test_the_shipped_playbooks_find_every_attack_of_the_day_and_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert _backtest(capsys) == {name: list(groups) for name, groups in make_demo.CAUGHT.items()}


def test_the_readme_s_first_playbook_finds_the_two_card_testers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(make_demo.__file__).parents[1] / "README.md").read_text()
    (block,) = re.findall(r"^```yaml\n(playbook: tiny-payments\n.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "tiny-payments.yaml").write_text(block)
    found = _backtest(capsys, str(tmp_path))
    assert found == {"tiny-payments": list(make_demo.CAUGHT["card-testing-by-address"])}
