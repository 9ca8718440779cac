"""What is logged: one line of ours a line, nothing a terminal would obey, and never a secret."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ATTACK = "a\nb\r2026-01-01 [info] all is well \x1b[31m\x1b]0;title\x07\x85\u2028\u202e"
SCRIPT = """
import logging, sys, structlog
from sentinel.logs import configure
configure(sys.argv[1], "info")
attack = eval(sys.argv[2])
log = structlog.get_logger()
log.warning("trouble", error=attack, path="/\\x1b[2J", inside={"k": attack}, **{attack: 1})
log.info(attack, api_key_secret="hunter2", settings={"password": "hunter2", "authorization": "Bearer hunter2"},
         several=[{"secret": "hunter2"}, ({"inner": [{"Cookie": "hunter2"}]},)])
logging.getLogger("other").warning("said %s", attack)
try:
    raise ValueError(attack)
except ValueError:
    log.exception("fault")
"""


def logged(form: str) -> str:
    command = [sys.executable, "-c", SCRIPT, form, ascii(ATTACK)]
    ran = subprocess.run(command, capture_output=True, timeout=300, check=True)
    return ran.stderr.decode()


@pytest.fixture(scope="module", params=["console", "json"])
def lines(request):
    text = logged(request.param)
    assert text.endswith("\n")
    return request.param, text[:-1].split("\n")


def test_no_value_begins_a_line_of_its_own(lines):
    form, found = lines
    if form == "json":
        assert [json.loads(line)["event"] for line in found] == ["trouble", ATTACK, f"said {ATTACK}", "fault"]
        return
    ours = [line for line in found if not line.startswith("    ")]
    assert len(ours) == 4
    assert all("Z [" in line for line in ours)
    assert any("ValueError" in line for line in found if line.startswith("    "))


def test_nothing_is_written_that_a_terminal_would_obey(lines):
    _, found = lines
    assert [char for line in found for char in line if not char.isprintable()] == []


def test_what_is_called_secret_is_not_written(lines):
    _, found = lines
    assert "hunter2" not in "\n".join(found)
