"""Who is blocked as text for firewalls and proxies: in their forms, of one's own app, and no more than is blocked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sentinel.api.lists import FORMS, places
from sentinel.core.decision import Decision, Delta
from sentinel.core.record import App
from sentinel.service.bans import Table


@pytest.fixture(scope="module")
def lister(whole):
    access = whole.server.store.access
    access.add_app(App("lists"), "test", 1)
    keys = {scope: access.make_key("lists", scope, "test", 1)[1] for scope in ("admin", "sdk", "read", "ingest")}
    admin = whole.client.using(keys["admin"])
    for kind, scope, value in [
        ("block", "ip", "192.0.2.10"),
        ("block", "ip", "192.0.2.9"),
        ("block", "network", "198.51.100.0/24"),
        ("block", "network", "2001:db8:1::/48"),
        ("challenge", "ip", "192.0.2.11"),
        ("block", "user", "id:42"),
    ]:
        body = {"kind": kind, "scope": scope, "value": value, "reason": "test", "for": "1h"}
        assert admin.post("/v1/decisions", body).status == 201
    return lambda scope="read": whole.client.using(keys[scope])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("txt", "192.0.2.9\n192.0.2.10\n198.51.100.0/24\n2001:db8:1::/48\n"),
        ("nginx", "192.0.2.9 1;\n192.0.2.10 1;\n198.51.100.0/24 1;\n2001:db8:1::/48 1;\n"),
        ("haproxy", "192.0.2.9 block\n192.0.2.10 block\n198.51.100.0/24 block\n2001:db8:1::/48 block\n"),
    ],
)
@pytest.mark.parametrize("scope", ["read", "sdk"])
def test_what_is_blocked_is_a_line_each_in_the_order_of_numbers(lister, form, text, scope):
    answer = lister(scope).get(f"/v1/blocklist.{form}")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.body.decode() == text


def test_who_has_the_list_is_told_so(lister):
    tag = lister().get("/v1/blocklist.txt").headers["etag"]
    answer = lister().get("/v1/blocklist.txt", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (answer.status, answer.body) == (304, b"")
    assert lister().get("/v1/blocklist.txt", headers={"If-None-Match": '"x"'}).status == 200
    assert lister().get("/v1/blocklist.txt", headers={"If-None-Match": "*"}).status == 304, "whatever it is"


def test_nobody_sees_another_apps_list(whole):
    assert b"198.51.100.0/24" not in whole.using("read").get("/v1/blocklist.txt").body


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_may_not_read_gets_none(lister, form):
    assert lister("ingest").get(f"/v1/blocklist.{form}").status == 403


def test_no_line_can_be_broken_by_what_it_names():
    table = Table()
    table.update(Delta(1, (Decision("a", "block", "network", "::ffff:192.0.2.0/120"),), reset=True), True, 1)
    assert places(table) == ["192.0.2.0/24"]


PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text().partition("\n## Lists for firewalls")[2]
COMMANDS = re.findall(r"```sh\n(curl.*?)```", PAGE.partition("\n## ")[0], re.DOTALL)
IPSET = """
    import json, pathlib, sys
    kept = pathlib.Path(sys.argv[0] + ".json")
    sets = json.loads(kept.read_text()) if kept.exists() else {}
    assert sys.argv[1:] == ["-exist", "restore"]
    for verb, name, *more in map(str.split, sys.stdin):
        if verb == "create":
            sets.setdefault(name, [])
        elif verb == "add":
            sets[name] = sorted({*sets[name], *more})
        elif verb == "flush":
            sets[name] = []
        elif verb == "swap":
            sets[name], sets[more[0]] = sets[more[0]], sets[name]
        elif verb == "destroy":
            del sets[name]
        else:
            sys.exit(f"unknown: {verb}")
        kept.write_text(json.dumps(sets))
"""


@pytest.fixture
def documented(whole, tmp_path):
    """The commands of the page, run with programs that only write down what they were told, and a model of ipset."""
    if shutil.which("curl") is None:
        pytest.skip("needs the curl command")
    tools = {
        "nginx": "#!/bin/sh\n",
        "systemctl": "#!/bin/sh\n",
        "ipset": f"#!{sys.executable}\n{textwrap.dedent(IPSET)}",
    }
    for name, text in tools.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(words, key):
        (command,) = [one for one in COMMANDS if words in one]
        command = command.replace("https://sentinel.example", f"http://127.0.0.1:{whole.client.port}")
        command = re.sub(r"/(run|etc/nginx|etc/haproxy)/", f"{tmp_path}/", command)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SENTINEL_KEY": key}
        return subprocess.run(["sh", "-c", command], env=env, capture_output=True, timeout=300, check=False).returncode

    return run


def test_a_block_that_is_lifted_leaves_the_set_of_a_firewall_and_a_refused_list_empties_none(
    whole, documented, tmp_path
):
    access = whole.server.store.access
    access.add_app(App("walls"), "test", 1)
    key = access.make_key("walls", "sdk", "test", 1)[1]
    admin = whole.client.using(access.make_key("walls", "admin", "test", 1)[1])
    body = {"kind": "block", "scope": "ip", "reason": "test", "for": "1h"}
    ids = [
        admin.post("/v1/decisions", {**body, "value": value}).json["id"]
        for value in ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    ]
    model = tmp_path / "ipset.json"
    assert documented("ipset", key) == 0
    assert model.read_text() == '{"sentinel": ["192.0.2.1", "192.0.2.2"]}'
    assert admin.delete(f"/v1/decisions/{ids[0]}").status == 200
    assert documented("ipset", "nobody's") != 0
    assert model.read_text() == '{"sentinel": ["192.0.2.1", "192.0.2.2"]}'
    assert documented("ipset", key) == 0
    assert model.read_text() == '{"sentinel": ["192.0.2.2"]}'


@pytest.mark.parametrize(("words", "name"), [("nginx -s", "blocked.conf"), ("haproxy", "blocked.map")])
def test_the_file_of_a_proxy_is_replaced_by_a_good_answer_only(whole, documented, tmp_path, words, name):
    assert documented(words, whole.secrets["one", "read"]) == 0
    (tmp_path / name).write_text("old")
    (tmp_path / "blocked.new").write_text("half of a list")
    assert documented(words, "nobody's") != 0
    assert (tmp_path / name).read_text() == "old"
