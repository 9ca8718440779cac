"""`sentinel demo` as somebody runs it: a real server, a real shop, real requests; its exit code is its verdict."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-c", "import sys; from sentinel.cli import main; sys.exit(main())", "demo"]
LIMIT = 300  # seconds, on a slow machine


def environment(scratch: Path) -> dict[str, str]:
    """Return an environment whose temporary files are in `scratch`, with a setting that must not leak into the demo."""
    return os.environ | {"TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), "SENTINEL_PORT": "1", "COLUMNS": "60"}


def run(scratch: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*DEMO, "--once", *arguments]
    return subprocess.run(
        command, env=environment(scratch), cwd=scratch, capture_output=True, text=True, timeout=LIMIT, check=False
    )


def addresses(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"http://127\.0\.0\.1:\d+", text)))


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait(what: str, condition: Callable[[], bool], seconds: float = LIMIT) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


@pytest.fixture
def scratch(tmp_path) -> Path:
    """An empty folder for temporary files, which the demo must leave empty."""
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def shown(scratch):
    """Start the demo without an end of its own; kill it where the test has not ended it."""
    log = scratch.parent / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(DEMO, env=environment(scratch), stdout=output, stderr=subprocess.STDOUT)
    try:
        wait("two addresses", lambda: len(addresses(log.read_text())) == 2)
        yield process, addresses(log.read_text())
    finally:
        process.kill()
        process.wait()


def sign_in(page: str) -> str:
    """Choose a password at a one-time link, as its page does; return where that leads."""
    server, _, code = page.partition("/welcome#")
    form = {"code": code, "password": "river anvil seven moss", "again": "river anvil seven moss"}
    wanted = urllib.request.Request(f"{server}/welcome", urllib.parse.urlencode(form).encode(), {"Origin": server})
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(wanted, timeout=60) as answer:
        return str(answer.url).removeprefix(server)


def test_every_attack_is_stopped_no_customer_refused_and_then_one_may_look_around(shown, scratch):
    process, _ = shown
    log = scratch.parent / "log"
    wait("the end of the story", lambda: "curl -i -H" in log.read_text())
    story, _, after = log.read_text().partition("Everything goes on")
    lines = [" ".join(line.split()) for line in story.splitlines()]
    for playbook, tally in {
        "credential-stuffing": "tally distinct.user >= 10 for ip 198.51.100.23",
        "account-brute-force": "tally count >= 10 for user id:1001",
        "many-signups-from-one-address": "tally count >= 10 for ip 198.51.100.200",
    }.items():
        told = lines.index(next(line for line in lines if line.startswith(f"playbook {playbook}: ")))
        assert lines[told + 1] == tally
    assert len(re.findall(r"^   time +\d+ ms from the deciding try", story, re.MULTILINE)) == 3
    assert len(re.findall(r"^   gain +0 accounts opened$", story, re.MULTILINE)) == 2
    assert re.search(r"customers +19 people, \d{3,} requests, 0 refused, 0 failed", story)
    assert "Every attack was stopped, and no customer was refused." in lines
    assert "\x1b" not in story and max(map(len, story.splitlines())) <= 100
    (link,) = re.findall(r"^ +(http://127\.0\.0\.1:\d+/welcome#\S+)$", after, re.MULTILINE)
    assert sign_in(link) == "/overview"
    assert f"console      {link.partition('/welcome')[0]}/overview" in after
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert process.returncode == 0
    assert [url for url in addresses(story) if answers(url)] == []
    assert list(scratch.iterdir()) == []


def test_without_playbooks_nothing_is_stopped_and_the_exit_code_says_so(scratch, tmp_path):
    (tmp_path / "none").mkdir()
    ran = run(scratch, "--playbooks", str(tmp_path / "none"))
    assert (ran.returncode, ran.stderr) == (1, ""), ran.stdout
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert [line for line in lines if line.startswith("not so ")] == [
        "not so Credential stuffing was not stopped: none of its 41 tries was refused",
        "not so Brute force was not stopped: none of its 40 tries was refused",
        "not so Sign-up fraud was not stopped: none of its 30 tries was refused",
    ]
    assert [line for line in lines if line.startswith("gain ")] == [
        "gain 1 account opened", "gain 1 account opened", "gain 30 accounts made",
    ]  # fmt: skip
    assert re.search(r"customers +19 people, \d{3,} requests, 0 refused, 0 failed", ran.stdout)
    assert "no customer was refused" not in ran.stdout
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_processes_and_its_folder(shown, scratch, number):
    process, urls = shown
    assert all(map(answers, urls))
    process.send_signal(number)
    process.wait(60)
    assert process.returncode == 130
    assert [url for url in urls if answers(url)] == []
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_its_processes_do_not_outlive_it_even_where_it_is_killed(shown):
    process, urls = shown
    assert all(map(answers, urls))
    process.kill()
    process.wait(60)
    wait("nobody answers", lambda: not any(map(answers, urls)))
