"""CrowdSec's own bouncers, unmodified, enforce our bans: the Debian binaries in stream mode, and pycrowdsec."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys

import pytest

from tests.api.served import wait_for
from tests.compat import clients
from tests.compat.test_crowdsec import Bouncer

BASES = ["compat/crowdsec/", ""]


@contextlib.contextmanager
def running(command, **options):
    """Run a process while the block runs."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def config(folder, bouncer, base, **more):
    """Write a bouncer's configuration, which says nothing but where Sentinel is and what to run."""
    settings = {
        "api_url": f"http://127.0.0.1:{bouncer.whole.client.port}/{base}", "api_key": bouncer.key,
        "update_frequency": "1s", "daemonize": False, "log_mode": "stdout", "log_level": "info",
        "piddir": str(folder), "pid_dir": str(folder), "prometheus": {"enabled": False}, **more,
    }  # fmt: skip
    path = folder / "bouncer.yaml"
    path.write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("base", BASES, ids=["prefix", "root"])
def test_the_custom_bouncer_runs_its_program_for_what_is_new_and_what_is_deleted(whole, tmp_path, base):
    binary = clients.debian("crowdsec-custom-bouncer") / "usr/bin/crowdsec-custom-bouncer"
    bouncer = Bouncer(whole, f"custom-{len(base)}")
    heard, program = tmp_path / "heard", tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$1 $2 $3 $4" >> {heard}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    first = bouncer.ban("192.0.2.1")
    path = config(tmp_path, bouncer, base, bin_path=str(program), cache_retention_duration="10s")

    def lines():
        return heard.read_text().splitlines() if heard.exists() else []

    with running([str(binary), "-c", str(path)]) as process:
        wait_for(lambda: lines() or process.poll() is not None)
        assert process.poll() is None, process.stdout.read()
        action, value, seconds, reason = lines()[0].split()
        assert (action, value, reason) == ("add", "192.0.2.1", "sentinel/manual")
        assert 4 * 3600 - 60 < int(seconds) <= 4 * 3600
        bouncer.ban("198.51.100.0/24", "network")
        wait_for(lambda: any("198.51.100.0/24" in line for line in lines()))
        bouncer.lift(first)
        wait_for(lambda: any(line.startswith("del 192.0.2.1") for line in lines()))


def test_pycrowdsec_streams_and_asks(whole, tmp_path):
    folder = clients.pypi("pycrowdsec==0.0.5")
    bouncer = Bouncer(whole, "pycrowdsec")
    bouncer.ban("192.0.2.1")
    script = tmp_path / "client.py"
    script.write_text(
        "import sys, time\n"
        "from pycrowdsec.client import StreamClient\n"
        "client = StreamClient(api_key=sys.argv[1], lapi_url=sys.argv[2], interval=1)\n"
        "client.run()\n"
        "for line in sys.stdin:\n"
        "    print(client.get_action_for(line.strip()), flush=True)\n"
    )
    url = f"http://127.0.0.1:{whole.client.port}/compat/crowdsec/"
    command = [sys.executable, str(script), bouncer.key, url]
    with running(command, env=clients.environment(folder), stdin=subprocess.PIPE) as process:

        def action(ip):
            process.stdin.write(f"{ip}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        assert (action("192.0.2.1"), action("192.0.2.2")) == ("ban", "None")
        second = bouncer.ban("192.0.2.2")
        wait_for(lambda: action("192.0.2.2") == "ban")
        bouncer.lift(second)
        wait_for(lambda: action("192.0.2.2") == "None")
        assert action("192.0.2.1") == "ban"


@pytest.mark.parametrize("base", BASES, ids=["prefix", "root"])
def test_the_firewall_bouncer_fills_its_set_and_takes_the_longer_ban_over(whole, tmp_path, base):
    """Its commands go to a program that only writes them down: no firewall is touched."""
    binary = clients.debian("crowdsec-firewall-bouncer") / "usr/bin/crowdsec-firewall-bouncer"
    bouncer = Bouncer(whole, f"firewall-{len(base)}")
    heard, tools = tmp_path / "heard", tmp_path / "bin"
    tools.mkdir()
    for name in ("ipset", "iptables", "ip6tables"):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\necho "$*" >> {heard}\n')
        tool.chmod(0o755)
    first = bouncer.ban("192.0.2.1")
    bouncer.ban("198.51.100.0/24", "network")
    path = config(tmp_path, bouncer, base, mode="ipset", deny_action="DROP", disable_ipv6=True)

    def said(action, value):
        words = [line.split() for line in heard.read_text().splitlines()] if heard.exists() else []
        return [line for line in words if line[1:2] == [action] and value in line]

    with running([str(binary), "-c", str(path)], env={"PATH": f"{tools}:{os.environ['PATH']}"}) as process:
        wait_for(lambda: said("add", "198.51.100.0/24") or process.poll() is not None)
        assert process.poll() is None, process.stdout.read()
        assert 4 * 3600 - 60 < int(said("add", "192.0.2.1")[0][-1]) <= 4 * 3600
        bouncer.lift(first)
        wait_for(lambda: said("del", "192.0.2.1"))
        bouncer.ban("198.51.100.0/24", "network", **{"for": "9h"})
        wait_for(lambda: len(said("add", "198.51.100.0/24")) == 2)
        assert said("del", "198.51.100.0/24")
        assert int(said("add", "198.51.100.0/24")[1][-1]) > 8 * 3600
